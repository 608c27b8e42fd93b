//! Words become a [`Search`]; what is no word of it is told with what to say instead.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;

use super::{Pattern, Search, Signature, Term, Text, What};

/// Longest search, and most words of one. Each event is held against each.
const TEXT_BYTES_MAX: usize = 1024;
const TERMS_MAX: usize = 32;

const KEYS: [&str; 16] = [
    "source",
    "method",
    "status",
    "event",
    "path",
    "outcome",
    "signature",
    "delivery",
    "body",
    "header",
    "since",
    "until",
    "pinned",
    "note",
    "id",
    "text",
];

/// What is not understood, as a sentence for whoever typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mistake(String);

/// Reads a search. `now_ms`, unix milliseconds, is what `since:2h` counts from.
///
/// # Errors
/// The first thing that is not understood.
pub fn parse(text: &str, now_ms: u64) -> Result<Search, Mistake> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Mistake("a search has at most 1024 bytes".to_owned()));
    }
    let mut search = Search::default();
    for word in words(text)? {
        match (word.key.as_deref(), word.is_not) {
            (Some("since"), false) => search.since_ms = Some(time(&word.value, now_ms)?),
            (Some("until"), false) => search.until_ms = Some(time(&word.value, now_ms)?),
            (Some("since" | "until"), true) => {
                return Err(Mistake("`since:` and `until:` take no `-`: use the other one".to_owned()));
            }
            _ => search.terms.push(Term { is_not: word.is_not, what: what(&word)? }),
        }
    }
    if search.weight() > TERMS_MAX {
        return Err(Mistake("a search has at most 32 words, what stands between `|` counted".to_owned()));
    }
    Ok(search)
}

struct Word {
    is_not: bool,
    key: Option<String>,
    value: String,
}

/// Splits at blanks, but not within quotes; `\"` is a quote within them.
fn words(text: &str) -> Result<Vec<Word>, Mistake> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return Ok(words);
        }
        let is_not = rest.next_if_eq(&'-').is_some();
        let (mut key, mut value, mut is_quoted) = (None, String::new(), false);
        while let Some(c) = rest.next_if(|c| is_quoted || !c.is_whitespace()) {
            match c {
                '"' => is_quoted = !is_quoted,
                '\\' if is_quoted => value.push(rest.next().unwrap_or('\\')),
                ':' if !is_quoted && key.is_none() && is_key(&value) => {
                    key = Some(std::mem::take(&mut value));
                }
                c => value.push(c),
            }
        }
        if is_quoted {
            return Err(Mistake(format!("a quote is not closed: \"{value}")));
        }
        if value.is_empty() {
            return Err(Mistake(match key {
                Some(key) => format!("say what, after `{key}:`"),
                None => "an empty word; take the `-` or the quotes away".to_owned(),
            }));
        }
        words.push(Word { is_not, key: key.map(|key| key.to_ascii_lowercase()), value });
    }
}

/// Letters alone: `http://…` and `12:30` are values. Whether it is one of ours is asked later.
fn is_key(text: &str) -> bool {
    text.len() >= 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) && !text.starts_with("http")
}

fn what(word: &Word) -> Result<What, Mistake> {
    let value = word.value.as_str();
    let either = || value.split('|').filter(|one| !one.is_empty());
    let patterns = || either().map(Pattern::new).collect();
    Ok(match word.key.as_deref() {
        None | Some("text" | "id") => What::Text(Text::new(value)),
        Some("source") => What::Source(patterns()),
        Some("event") => What::Event(patterns()),
        Some("path") => What::Path(patterns()),
        Some("method") => What::Method(either().map(str::to_owned).collect()),
        Some("status") => What::Status(either().map(status).collect::<Result<_, _>>()?),
        Some("outcome") => What::Outcome(names(
            either(),
            "outcome",
            "answered, not_sent, sent_no_answer, refused, accepted, duplicate, greeted",
        )?),
        Some("delivery") => {
            What::Delivery(names(either(), "delivery", "waiting, leased, delivered, dead, cancelled")?)
        }
        Some("signature") => What::Signature(either().map(signature).collect::<Result<_, _>>()?),
        Some("header") => What::Header(Text::new(value)),
        Some("body") => What::Body(Text::new(value)),
        Some("note") => What::Note(Text::new(value)),
        Some("pinned") => match value {
            "yes" | "true" => What::Pinned,
            _ => return Err(Mistake("say `pinned:yes`, or `-pinned:yes`".to_owned())),
        },
        Some(key) => return Err(unknown(key, value)),
    })
}

fn unknown(key: &str, value: &str) -> Mistake {
    let near = KEYS.into_iter().min_by_key(|known| strsim::damerau_levenshtein(known, key));
    let near = near.filter(|known| strsim::damerau_levenshtein(known, key) <= 2);
    Mistake(match near {
        Some(near) => format!("`{key}:` is no word of a search; did you mean `{near}:{value}`?"),
        None => format!(
            "`{key}:` is no word of a search; to look for this very text, quote it: \"{key}:{value}\""
        ),
    })
}

/// Words that the API says too.
fn names<'v, T: DeserializeOwned>(
    values: impl Iterator<Item = &'v str>,
    key: &str,
    known: &str,
) -> Result<Vec<T>, Mistake> {
    let read = |value: &str| serde_json::from_value(value.to_ascii_lowercase().into());
    values
        .map(|value| read(value).map_err(|_| Mistake(format!("{key}: one of {known}; not `{value}`"))))
        .collect()
}

fn status(text: &str) -> Result<(u16, u16), Mistake> {
    let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
    let class = class.filter(|class| (1..=5).contains(class)).map(|class| (class * 100, class * 100 + 99));
    let one = text.parse::<u16>().ok().filter(|status| (100..600).contains(status)).map(|one| (one, one));
    let range = text.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    class.or(one).or(range).ok_or_else(|| {
        Mistake(format!(
            "status: a number, a class such as `5xx`, or a range such as `400-410`; not `{text}`"
        ))
    })
}

fn signature(text: &str) -> Result<Signature, Mistake> {
    Ok(match text {
        "verified" | "good" => Signature::Verified,
        "refused" | "bad" => Signature::Refused,
        "none" | "unchecked" => Signature::None,
        other => return Err(Mistake(format!("signature: verified, refused or none; not `{other}`"))),
    })
}

/// `90s`, `30m`, `2h`, `7d` ago; a day, or a day and a time (UTC unless it says otherwise).
fn time(text: &str, now_ms: u64) -> Result<u64, Mistake> {
    let unit = |unit: char| match unit {
        's' => Some(1_000),
        'm' => Some(60_000),
        'h' => Some(3_600_000),
        'd' => Some(86_400_000),
        'w' => Some(7 * 86_400_000),
        _ => None,
    };
    let ago = text
        .char_indices()
        .next_back()
        .and_then(|(at, last)| Some(text[..at].parse::<u64>().ok()?.saturating_mul(unit(last)?)));
    if let Some(ago) = ago {
        return Ok(now_ms.saturating_sub(ago));
    }
    let exact = || text.parse::<jiff::Timestamp>().ok();
    let local = || text.parse::<DateTime>().ok().or_else(|| Some(text.parse::<Date>().ok()?.into()));
    let found = exact().or_else(|| Some(local()?.to_zoned(TimeZone::UTC).ok()?.timestamp()));
    found.and_then(|time| u64::try_from(time.as_millisecond()).ok()).ok_or_else(|| {
        Mistake(format!("a time is `2h`, `30m`, `7d` ago, `2026-11-22` or `2026-11-22T10:00`; not `{text}`"))
    })
}
