//! Moments as people name them: `2h`, `2026-03-01`, `2026-03-01T14:00:00Z`.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};

use crate::output::unit;

/// A moment as people name it.
#[derive(Debug, Clone)]
pub(super) enum Moment {
    At(Timestamp),
    /// In this machine's time zone.
    Local(civil::DateTime),
    Ago(Span),
}

/// Reads one.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    let at = text.parse().map(Moment::At).ok();
    let local = || text.parse().map(Moment::Local).ok();
    let ago = || text.parse().ok().filter(|span: &Span| span.is_positive()).map(Moment::Ago);
    at.or_else(local).or_else(ago).ok_or_else(|| {
        format!("expected a time such as `2h`, `2026-03-01` or `2026-03-01T14:00:00Z`, not `{text}`")
    })
}

impl Moment {
    /// In unix milliseconds.
    pub(super) fn unix_ms(&self, now_ms: u64, zone: &TimeZone) -> Result<u64, jiff::Error> {
        let moment = match self {
            Self::At(moment) => *moment,
            Self::Local(local) => local.to_zoned(zone.clone())?.timestamp(),
            Self::Ago(span) => {
                let now = Timestamp::from_millisecond(i64::try_from(now_ms).unwrap_or(i64::MAX))?;
                now.to_zoned(zone.clone()).checked_sub(*span)?.timestamp()
            }
        };
        Ok(u64::try_from(moment.as_millisecond()).unwrap_or(0))
    }

    /// As the API takes it.
    pub(super) fn rfc3339(&self, now_ms: u64, zone: &TimeZone) -> Result<String, jiff::Error> {
        self.unix_ms(now_ms, zone).map(unit::rfc3339)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_344_879_250;

    #[test]
    fn a_moment_is_named_as_people_do() {
        let east = TimeZone::fixed(jiff::tz::offset(1));
        let table = [
            ("2026-11-22T10:54:39Z", NOW - 250),
            ("2026-11-22T11:54:39+01:00", NOW - 250),
            ("2026-11-22T11:54:39", NOW - 250),
            ("2026-11-22", NOW - 250 - (11 * 3600 + 54 * 60 + 39) * 1000),
            ("2h", NOW - 7_200_000),
            ("90s", NOW - 90_000),
            ("1h 30m", NOW - 5_400_000),
            ("3 days", NOW - 3 * 86_400_000),
            ("PT1M", NOW - 60_000),
        ];
        for (text, expected) in table {
            assert_eq!(moment(text).expect(text).unix_ms(NOW, &east).unwrap(), expected, "{text}");
        }
        for text in ["", "soon", "-2h", "0s", "7", "2026-13-01"] {
            assert!(moment(text).is_err(), "{text}");
        }
        assert_eq!(moment("100y").unwrap().unix_ms(NOW, &east).unwrap(), 0, "everything there is");
        assert!(moment("15000y").unwrap().unix_ms(NOW, &east).is_err(), "before every calendar");
        assert_eq!(moment("2h").unwrap().rfc3339(NOW, &east).unwrap(), "2026-11-22T08:54:39.250Z");
    }
}
