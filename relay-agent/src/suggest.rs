//! "Did you mean": the known word nearest to one that is not known.

/// Words further apart than this have nothing to do with each other (0 is unrelated, 1 is equal).
const LIKENESS_MIN: f64 = 0.75;

/// The candidate most like `word`, if any is like it at all.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?` to end a sentence with, or nothing.
pub(crate) fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |candidate| format!("; did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let words = ["status", "sources", "tail", "answer_timeout", "target"];
        for (slip, meant) in
            [("statsu", "status"), ("source", "sources"), ("tagret", "target"), ("timeout", "")]
        {
            assert_eq!(nearest(slip, words).unwrap_or_default(), meant, "{slip}");
        }
        assert_eq!(did_you_mean("xyzzy", words), "");
        assert_eq!(did_you_mean("answer-timeout", words), "; did you mean `answer_timeout`?");
    }
}
