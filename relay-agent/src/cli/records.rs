//! What the server lists, read field by field: a missing or unknown field costs a dash, never the whole answer, so
//! that neighbouring versions of agent and server get along.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use protocol::id::EventId;
use serde_json::Value;

use crate::output::escape;
use crate::output::style::{BAD, BOLD, DIM, GOOD, ODD, of_status, paint};
use crate::output::unit;

/// The objects of a list in an answer; none when it is missing.
pub(crate) fn list<'v>(answer: &'v Value, key: &str) -> &'v [Value] {
    answer.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text field, not empty.
pub(crate) fn text<'v>(record: &'v Value, key: &str) -> Option<&'v str> {
    record.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The id of an event in a list or a stream.
pub(crate) fn id_of(event: &Value) -> Option<EventId> {
    text(event, "id")?.parse().ok()
}

/// A text field, or a dash.
pub(crate) fn text_or_dash(record: &Value, key: &str) -> String {
    text(record, key).unwrap_or("-").to_owned()
}

/// A whole number.
pub(crate) fn number(record: &Value, key: &str) -> Option<u64> {
    record.get(key).and_then(Value::as_u64)
}

/// A moment in unix milliseconds, from RFC 3339 or from milliseconds.
pub(crate) fn moment(record: &Value, key: &str) -> Option<u64> {
    let value = record.get(key)?;
    let from_text = || value.as_str()?.parse::<Timestamp>().ok()?.as_millisecond().try_into().ok();
    value.as_u64().or_else(from_text)
}

/// A moment for people, or a dash.
pub(crate) fn moment_or_dash(record: &Value, key: &str, zone: &TimeZone) -> String {
    moment(record, key).map_or_else(|| "-".to_owned(), |ms| unit::day_and_time(ms, zone))
}

/// When a delivery is due next or came to its end, or a dash.
pub(crate) fn when(delivery: &Value, zone: &TimeZone) -> String {
    match (moment(delivery, "ended_at"), moment(delivery, "due_at")) {
        (Some(ended), _) => unit::day_and_time(ended, zone),
        (None, Some(due)) => format!("due {}", unit::day_and_time(due, zone)),
        (None, None) => "-".to_owned(),
    }
}

/// A number of microseconds for people.
pub(crate) fn took(record: &Value, key: &str) -> Option<String> {
    number(record, key).map(|us| unit::duration(Duration::from_micros(us)))
}

/// What became of an event: the status the sender got, and the outcome where it was none of the app's.
pub(crate) fn result(event: &Value) -> String {
    let status = number(event, "status").map_or_else(|| "-".to_owned(), |status| status.to_string());
    match text(event, "outcome") {
        Some(outcome) if outcome != "answered" => format!("{status} {outcome}"),
        _ => status,
    }
}

/// `POST /hooks`.
pub(crate) fn request(event: &Value) -> String {
    format!("{} {}", text(event, "method").unwrap_or("-"), text(event, "path").unwrap_or("-"))
}

/// An event on one line, with colour.
pub(crate) fn line(event: &Value, zone: &TimeZone) -> String {
    let time =
        moment(event, "received_at").map_or_else(|| "--:--:--".to_owned(), |ms| unit::time_of_day(ms, zone));
    let status = number(event, "status").and_then(|status| u16::try_from(status).ok());
    let mut parts = vec![paint(DIM, &time)];
    parts.push(paint(status.map_or(BAD, of_status), &escape::line(&result(event))));
    parts.push(escape::line(text(event, "source").unwrap_or("-")));
    parts.extend(text(event, "name").map(|name| paint(BOLD, &escape::line(name))));
    parts.push(escape::line(&request(event)));
    parts.extend(number(event, "body_bytes").map(unit::bytes));
    parts.extend(took(event, "app_us").map(|time| format!("app {time}")));
    parts.extend(took(event, "head_us").map(|time| format!("answer {time}")));
    parts.push(paint(DIM, &escape::line(text(event, "id").unwrap_or("-"))));
    parts.join("  ")
}

/// The colour of where a delivery stands.
pub(crate) fn paint_state(state: &str) -> String {
    match state {
        "delivered" => paint(GOOD, state),
        "dead" => paint(BAD, state),
        "waiting" | "leased" => paint(ODD, state),
        other => paint(DIM, &escape::line(other)),
    }
}

/// What became of a delivery, on one line, with colour.
pub(crate) fn delivery_line(news: &Value, now_ms: u64, zone: &TimeZone) -> String {
    let mut parts = vec![paint(DIM, &unit::time_of_day(now_ms, zone))];
    parts.push(paint_state(text(news, "state").unwrap_or("-")));
    let destination = text(news, "destination").filter(|name| *name != "default");
    let place = [text(news, "source"), destination].into_iter().flatten().collect::<Vec<_>>().join("/");
    parts.push(escape::line(&place));
    parts.extend(number(news, "attempt").map(|no| format!("attempt {no}")));
    match (number(news, "status"), text(news, "outcome")) {
        (Some(status), _) => parts.push(status.to_string()),
        (None, Some(outcome)) => parts.push(escape::line(outcome)),
        (None, None) => {}
    }
    parts.extend(text(news, "reason").map(escape::line));
    parts.extend(took(news, "total_us"));
    parts.push(paint(DIM, &escape::line(text(news, "id").unwrap_or("-"))));
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(event: &Value) -> String {
        anstream::adapter::strip_str(&line(event, &TimeZone::UTC)).to_string()
    }

    #[test]
    fn an_event_reads_on_one_line() {
        let event = json!({
            "id": "evt_1", "source": "github", "received_at": "2026-03-01T13:03:05.120Z", "method": "POST",
            "path": "/hooks", "name": "push", "status": 200, "outcome": "answered", "head_us": 41_000,
            "app_us": 12_000, "body_bytes": 1229,
        });
        let expected = "13:03:05  200  github  push  POST /hooks  1.2 KiB  app 12 ms  answer 41 ms  evt_1";
        assert_eq!(plain(&event), expected);
    }

    #[test]
    fn what_becomes_of_a_delivery_is_a_short_line() {
        let plain = |news: &Value| {
            let line = delivery_line(news, 1_772_370_185_120, &TimeZone::UTC);
            anstream::adapter::strip_str(&line).to_string()
        };
        let news = json!({
            "type": "delivery", "id": "evt_1.2", "event": "evt_1", "source": "github", "destination": "default",
            "state": "waiting", "attempt": 3, "outcome": "answered", "status": 503, "reason": "app_status",
            "total_us": 41_000,
        });
        assert_eq!(plain(&news), "13:03:05  waiting  github  attempt 3  503  app_status  41 ms  evt_1.2");
        let news = json!({
            "id": "evt_1.1", "source": "github", "destination": "ci", "state": "dead", "attempt": 17,
            "outcome": "not_sent", "status": null, "reason": null, "total_us": 0,
        });
        assert_eq!(plain(&news), "13:03:05  dead  github/ci  attempt 17  not_sent  0.0 ms  evt_1.1");
        assert_eq!(plain(&json!({})), "13:03:05  -    -");
    }

    #[test]
    fn missing_and_odd_fields_cost_a_dash() {
        assert_eq!(plain(&json!({})), "--:--:--  -  -  - -  -");
        let odd = json!({ "received_at": 1_772_370_185_120_u64, "status": "?", "outcome": "not_sent", "path": "/\u{1b}[2J" });
        assert_eq!(plain(&odd), "13:03:05  - not_sent  -  - /\\u{1b}[2J  -");
        assert!(list(&json!({ "events": 3 }), "events").is_empty());
    }
}
