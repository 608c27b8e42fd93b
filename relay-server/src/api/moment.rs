//! Moments as the API says them: RFC 3339 in UTC, with milliseconds.

use jiff::Timestamp;

/// Unix milliseconds as text; empty for a moment no calendar has.
pub(super) fn text(unix_ms: u64) -> String {
    let moment = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.map(|moment| format!("{moment:.3}")).unwrap_or_default()
}

/// Text as unix milliseconds, if it is a moment after 1970.
pub(super) fn parse(text: &str) -> Option<u64> {
    text.parse::<Timestamp>().ok().and_then(|moment| u64::try_from(moment.as_millisecond()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_from_its_text() {
        assert_eq!(text(1_700_000_000_120), "2023-11-14T22:13:20.120Z");
        assert_eq!(parse("2023-11-14T22:13:20.120Z"), Some(1_700_000_000_120));
        assert_eq!(parse("2023-11-14T23:13:20.12+01:00"), Some(1_700_000_000_120));
        assert_eq!((parse("tomorrow"), parse("1969-12-31T23:59:59Z")), (None, None));
        assert_eq!(text(u64::MAX), "");
    }
}
