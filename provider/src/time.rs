//! Times as providers write them. Milliseconds since 1970, no leap seconds.

/// Digits only: what integer parsers take besides (a sign, white space, what follows) has no meaning here.
pub(crate) fn digits(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}

/// RFC 3339 with any number of digits after the second; `None` for anything else.
pub(crate) fn rfc3339_ms(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let bytes = text.as_bytes();
    let is_at = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    let has_marks =
        is_at(4, b"-") && is_at(7, b"-") && is_at(10, b"Tt ") && is_at(13, b":") && is_at(16, b":");
    if !has_marks || text.len() > 40 {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_possible = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_possible || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut milliseconds = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let end = fraction.find(|c: char| !c.is_ascii_digit())?;
        let shown = fraction.get(..end).filter(|digits| !digits.is_empty())?;
        milliseconds = format!("{shown:0<3.3}").parse().ok()?;
        rest = fraction.get(end..)?;
    }
    let offset_minutes = match rest.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let hours: i64 = plain(rest.get(1..3)?)?;
            let minutes: i64 = plain(rest.get(4..6)?)?;
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let minutes = (days(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    u64::try_from((minutes * 60 + second) * 1000 + milliseconds).ok()
}

fn plain(text: &str) -> Option<i64> {
    digits(text).and_then(|number| i64::try_from(number).ok())
}

/// A time as RFC 3339 in UTC, to the second.
pub(crate) fn to_rfc3339(ms: u64) -> String {
    let seconds = ms / 1000;
    let (day, of_day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil_from_days, for days after 1970 only.
    let day = day + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Days since 1970 (Howard Hinnant's days_from_civil).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_rfc_3339_writes_them() {
        for (text, expected) in [
            ("2025-10-09T08:53:20Z", Some(1_760_000_000_000)),
            ("2025-10-09T08:53:20.123456789Z", Some(1_760_000_000_123)),
            ("2025-10-09T08:53:20.5Z", Some(1_760_000_000_500)),
            ("2025-10-09T10:53:20+02:00", Some(1_760_000_000_000)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("1969-12-31T23:59:59Z", None),
            ("2025-10-09T08:53:20", None),
            ("2025-10-09T08:53:20.Z", None),
            ("2025-13-09T08:53:20Z", None),
            ("2025-10-09T08:53:20Zjunk", None),
            ("+025-10-09T08:53:20Z", None),
            ("1760000000", None),
            ("2025-10-09T08:53:2é", None),
        ] {
            assert_eq!(rfc3339_ms(text), expected, "{text}");
        }
        for second in [0, 951_782_400, 1_760_000_000, 4_102_444_799] {
            assert_eq!(rfc3339_ms(&to_rfc3339(second * 1000)), Some(second * 1000));
        }
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        assert_eq!(digits("1760000000"), Some(1_760_000_000));
        for text in ["", "+1", "-1", " 1", "1 ", "1760000000abc", "1e9", "9999999999999999", "١"] {
            assert_eq!(digits(text), None, "{text}");
        }
    }
}
