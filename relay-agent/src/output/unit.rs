//! Sizes, durations and times as a person reads them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `512 B`, `1.2 KiB`, `25 MiB`: powers of 1024, one decimal below ten.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub(crate) fn bytes(count: u64) -> String {
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        // 1023.5 and more would be shown as 1024 of the smaller unit.
        if value < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// `0.4 ms`, `41 ms`, `2.4 s`, `3 min 5 s`, `2 h 4 min`: as many digits as one acts on.
pub(crate) fn duration(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    let seconds = time.as_secs();
    match seconds {
        0 if ms < 9.95 => format!("{ms:.1} ms"),
        0 => format!("{ms:.0} ms"),
        1..60 => format!("{:.1} s", ms / 1000.0),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn timestamp(unix_ms: u64) -> Timestamp {
    i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

/// `14:03:05` in the given zone.
pub(crate) fn time_of_day(unix_ms: u64, zone: &TimeZone) -> String {
    timestamp(unix_ms).to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// `2026-03-01 14:03:05` in the given zone.
pub(crate) fn day_and_time(unix_ms: u64, zone: &TimeZone) -> String {
    timestamp(unix_ms).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `2026-03-01T13:03:05.120Z` (RFC 3339).
pub(crate) fn rfc3339(unix_ms: u64) -> String {
    format!("{:.3}", timestamp(unix_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1229, "1.2 KiB"),
            (10 * 1024, "10 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (25 << 20, "25 MiB"),
            (u64::MAX, "16777216 TiB"),
        ];
        for (count, shown) in table {
            assert_eq!(bytes(count), shown);
        }
    }

    #[test]
    fn durations_read_well() {
        let table = [(400, "0.4 ms"), (12_300, "12 ms"), (2_400_000, "2.4 s"), (185_000_000, "3 min 5 s")];
        for (us, shown) in table {
            assert_eq!(duration(Duration::from_micros(us)), shown);
        }
        assert_eq!(duration(Duration::from_secs(7440)), "2 h 4 min");
    }

    #[test]
    fn times_are_shown_in_their_zone() {
        let ms = 1_772_370_185_120;
        assert_eq!(rfc3339(ms), "2026-03-01T13:03:05.120Z");
        assert_eq!(time_of_day(ms, &TimeZone::UTC), "13:03:05");
        let east = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(day_and_time(ms, &east), "2026-03-01 14:03:05");
        assert_eq!(rfc3339(u64::MAX).get(..4), Some("9999"), "a time past every calendar does not panic");
    }
}
