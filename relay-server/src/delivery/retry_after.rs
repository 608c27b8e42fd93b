//! `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.

use std::time::Duration;

use protocol::field::HeaderBlock;

/// How long an answer asks to be left alone, at `now_ms` (unix milliseconds). `None` where it says nothing that can be
/// understood.
#[must_use]
pub(super) fn retry_after(headers: &HeaderBlock, now_ms: u64) -> Option<Duration> {
    let value = std::str::from_utf8(headers.find("retry-after")?).ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(value).ok()?;
    let at_ms = u64::try_from(date.timestamp().as_millisecond()).ok()?;
    Some(Duration::from_millis(at_ms.saturating_sub(now_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood_and_nothing_else() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the RFC's own example.
        let now_ms = 784_111_777_000;
        for (value, expected_s) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let mut headers = HeaderBlock::default();
            headers.push(b"Retry-After", value.trim().as_bytes()).expect("a field");
            let found = retry_after(&headers, now_ms).map(|wait| wait.as_secs());
            assert_eq!(found, expected_s, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderBlock::default(), now_ms), None);
    }
}
