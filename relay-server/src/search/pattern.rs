//! `invoice.*`: text in which `*` stands for anything. Without one, the whole has to be the same. In any letter case.

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// In lower case; between two of them stood a `*`.
    pieces: Vec<Vec<u8>>,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let pieces = text.to_ascii_lowercase().split('*').map(|piece| piece.as_bytes().to_vec()).collect();
        Self { pieces }
    }

    /// Whether this text is meant.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        let text = text.to_ascii_lowercase();
        let (first, rest) = self.pieces.split_first().expect("splitting gives a piece");
        let Some((last, between)) = rest.split_last() else { return text == *first };
        let Some(mut text) = text.strip_prefix(first.as_slice()) else { return false };
        for piece in between {
            // The earliest place leaves most for those that follow.
            let Some(at) = memchr::memmem::find(text, piece) else { return false };
            text = &text[at + piece.len()..];
        }
        text.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, texts) in [
            ("push", &["push", "PUSH"][..]),
            ("invoice.*", &["invoice.", "invoice.paid", "Invoice.Payment_Failed"]),
            ("*.paid", &["invoice.paid", ".paid"]),
            ("a*b*c", &["abc", "a-b-c", "abbcc", "aXbcbc"]),
            ("*", &["", "anything"]),
            ("**", &["", "x"]),
        ] {
            for text in texts {
                assert!(Pattern::new(pattern).is(text.as_bytes()), "{pattern} {text}");
            }
        }
        for (pattern, text) in
            [("push", "pushed"), ("invoice.*", "invoice"), ("a*b*c", "acb"), ("ab*ba", "aba"), ("a*", "ba")]
        {
            assert!(!Pattern::new(pattern).is(text.as_bytes()), "{pattern} {text}");
        }
    }
}
