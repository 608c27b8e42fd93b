//! Which events are meant, as `events` and `replay` take it and the API understands it.

use jiff::tz::TimeZone;
use protocol::field::is_token;
use serde_json::{Map, Value};

use super::moments::{Moment, moment};
use super::query::Query;
use crate::suggest::did_you_mean;

/// What came of an event, in the server's words.
const OUTCOMES: [&str; 6] = ["answered", "not_sent", "sent_no_answer", "refused", "accepted", "duplicate"];

/// What events have to be.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Filter {
    /// Only events whose sender got this status, or one of a class: `500`, `5xx`
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<Status>,
    /// Only events received since then: `2h`, `3 days`, `2026-03-01`, `2026-03-01T14:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Only events received before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
}

/// A status, or a class of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    text: String,
    from: u16,
    to: u16,
}

impl Status {
    /// Whether it is this one, or one of these.
    pub(super) fn takes(&self, status: u64) -> bool {
        (u64::from(self.from)..=u64::from(self.to)).contains(&status)
    }
}

/// `500` or `5xx`.
pub(super) fn status(text: &str) -> Result<Status, String> {
    let class =
        text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok()).filter(|c| (1..=5).contains(c));
    let one = text.parse::<u16>().ok().filter(|status| (100..600).contains(status));
    let (from, to) = match (class, one) {
        (Some(class), _) => (class * 100, class * 100 + 99),
        (None, Some(status)) => (status, status),
        (None, None) => return Err(format!("expected a status such as `500` or `5xx`, not `{text}`")),
    };
    Ok(Status { text: text.to_owned(), from, to })
}

/// A method.
pub(super) fn method(text: &str) -> Result<String, String> {
    if is_token(text.as_bytes()) { Ok(text.to_owned()) } else { Err(format!("`{text}` is not a method")) }
}

/// What came of an event.
pub(super) fn outcome(text: &str) -> Result<String, String> {
    one_of(text, &OUTCOMES)
}

/// One of a few words, with the one that was meant where it is none.
pub(super) fn one_of(text: &str, words: &[&'static str]) -> Result<String, String> {
    if words.contains(&text) {
        return Ok(text.to_owned());
    }
    let hint = did_you_mean(text, words.iter().copied());
    let (last, rest) = words.split_last().expect("a list of words is not empty");
    let rest = rest.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    Err(format!("expected {rest} or `{last}`, not `{text}`{hint}"))
}

impl Filter {
    fn pairs(&self, now_ms: u64, zone: &TimeZone) -> Result<Vec<(&'static str, String)>, jiff::Error> {
        let time = |moment: &Option<Moment>| moment.as_ref().map(|at| at.rfc3339(now_ms, zone)).transpose();
        let all = [
            ("status", self.status.as_ref().map(|status| status.text.clone())),
            ("since", time(&self.since)?),
            ("until", time(&self.until)?),
        ];
        Ok(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }

    /// As a query.
    pub(super) fn ask(&self, query: Query, now_ms: u64, zone: &TimeZone) -> Result<Query, jiff::Error> {
        let pairs = self.pairs(now_ms, zone)?;
        Ok(pairs.into_iter().fold(query, |query, (name, value)| query.with(name, value)))
    }

    /// As an object.
    pub(super) fn object(&self, now_ms: u64, zone: &TimeZone) -> Result<Map<String, Value>, jiff::Error> {
        let pairs = self.pairs(now_ms, zone)?;
        Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_or_a_class() {
        let takes = |text: &str, given: u64| status(text).unwrap().takes(given);
        assert!(takes("404", 404) && !takes("404", 405));
        assert!(takes("5xx", 500) && takes("5xx", 599) && !takes("5xx", 404));
        for text in ["", "5", "99", "600", "0xx", "6xx", "xx", "5XX"] {
            assert!(status(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_asked_is_said_once_and_escaped() {
        let filter = Filter {
            status: Some(status("5xx").unwrap()),
            since: Some(moment("2026-03-01T14:00:00Z").unwrap()),
            until: None,
        };
        let query = filter.ask(Query::of("/events"), 0, &TimeZone::UTC).unwrap();
        assert_eq!(query.text(), "/api/v1/events?status=5xx&since=2026-03-01T14%3A00%3A00.000Z");
        let object = Value::Object(filter.object(0, &TimeZone::UTC).unwrap());
        let expected = serde_json::json!({ "status": "5xx", "since": "2026-03-01T14:00:00.000Z" });
        assert_eq!(object, expected);
        assert!(Filter::default().object(0, &TimeZone::UTC).unwrap().is_empty());
    }

    #[test]
    fn a_word_that_is_none_leads_to_the_one_that_was_meant() {
        assert_eq!(outcome("not_sent").as_deref(), Ok("not_sent"));
        assert!(outcome("acepted").unwrap_err().ends_with("did you mean `accepted`?"));
    }
}
