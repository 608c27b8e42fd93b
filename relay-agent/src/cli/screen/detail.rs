//! One event in full, as lines without a width: what is known of it, its request, the answer.

use std::time::Duration;

use jiff::tz::TimeZone;
use protocol::id::EventId;
use serde_json::Value;

use super::super::event::{body_of, signature};
use super::super::records;
use super::{pretty, text};
use crate::output::unit;

/// Most of a body that is shown: some thousand lines. The verb `event ID --body` has it all.
const BODY_CHARS_MAX: usize = 128 * 1024;

/// A line of a request or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// `POST /hooks`, `200`.
    Title(String),
    /// A header field.
    Field(String, String),
    /// A line of a body.
    Body(String),
    /// A word of ours.
    Note(String),
    Empty,
}

/// An event in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Detail {
    /// What is known of it, by name.
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) request: Vec<Part>,
    pub(super) answer: Vec<Part>,
}

impl Detail {
    /// As the server tells it.
    pub(super) fn of(event: &Value, zone: &TimeZone) -> Self {
        let owned = |key| records::text(event, key).map(str::to_owned);
        let mut facts = Vec::new();
        let mut fact =
            |name, value: Option<String>| facts.extend(value.map(|value| (name, text::value(&value))));
        fact("name", owned("name"));
        fact("result", Some(result(event)));
        fact("signature", signature(event));
        let received = records::moment(event, "received_at").map(|ms| unit::day_and_time(ms, zone));
        let from = owned("remote").map(|remote| format!("from {remote}"));
        fact("received", Some([received, from].into_iter().flatten().collect::<Vec<_>>().join("  ")));
        fact("related", owned("related").map(|related| format!("an edited copy of {related}")));
        for delivery in records::list(event, "deliveries") {
            facts.push(("delivery", delivery_line(delivery, zone)));
            let attempts = records::list(delivery, "attempts").iter();
            facts.extend(attempts.map(|attempt| ("", attempt_line(attempt, zone))));
        }
        facts.extend(owned("id").map(|id| ("event", text::value(&id))));
        Self { facts, request: request(event), answer: answer(event) }
    }

    /// What is known before the server has told.
    pub(super) fn of_row(id: EventId, row: Option<&super::rows::Row>, zone: &TimeZone) -> Self {
        let mut facts = Vec::new();
        if let Some(row) = row {
            facts.extend(row.name.clone().map(|name| ("name", name)));
            let why = if let super::rows::Came::Nothing(why) = &row.came {
                format!("  {why}")
            } else {
                String::new()
            };
            facts.push(("result", format!("{}{why}", row.result())));
            facts.push(("received", unit::day_and_time(row.at_ms, zone)));
        }
        facts.push(("event", id.to_string()));
        let title = row.map(|row| Part::Title(format!("{} {}", row.method, row.path)));
        Self { facts, request: title.into_iter().collect(), answer: vec![] }
    }
}

fn result(event: &Value) -> String {
    let mut parts = vec![records::result(event)];
    parts.extend(records::text(event, "reason").map(str::to_owned));
    let time = |key| records::number(event, key).filter(|us| *us > 0).map(Duration::from_micros);
    parts.extend(time("app_us").map(|time| format!("app {}", unit::duration(time))));
    parts.extend(time("head_us").map(|time| format!("answer {}", unit::duration(time))));
    parts.join("  ")
}

fn delivery_line(delivery: &Value, zone: &TimeZone) -> String {
    let word = |key| text::shown(records::text(delivery, key).unwrap_or("-"));
    let is_replay = delivery.get("is_replay").and_then(Value::as_bool).unwrap_or(false);
    let mut parts = vec![format!("to {}", word("destination"))];
    parts.push(format!("{}{}", word("state"), if is_replay { ", a replay" } else { "" }));
    parts.push(records::when(delivery, zone));
    parts.extend(records::text(delivery, "reason").map(text::shown));
    parts.join("  ")
}

fn attempt_line(attempt: &Value, zone: &TimeZone) -> String {
    let no = records::number(attempt, "no").unwrap_or(0);
    let mut parts = vec![format!("attempt {no}")];
    parts.extend(records::moment(attempt, "started_at").map(|ms| unit::time_of_day(ms, zone)));
    parts.extend(
        records::number(attempt, "status").filter(|status| *status > 0).map(|status| status.to_string()),
    );
    let outcome = records::text(attempt, "outcome").filter(|outcome| *outcome != "answered");
    parts.extend(outcome.map(text::shown));
    parts.extend(
        ["reason", "text"].into_iter().filter_map(|key| records::text(attempt, key)).map(text::shown),
    );
    parts.extend(records::took(attempt, "total_us"));
    parts.join("  ")
}

fn request(event: &Value) -> Vec<Part> {
    let mut parts = vec![Part::Title(text::value(&records::request(event)))];
    parts.extend(message(event));
    parts
}

fn answer(event: &Value) -> Vec<Part> {
    let Some(answer) = event.get("answer").filter(|answer| answer.is_object()) else {
        return vec![Part::Note("no answer is recorded".to_owned())];
    };
    let is_ours = records::text(event, "outcome").is_some_and(|outcome| outcome != "answered");
    let of = if is_ours { "  by the relay" } else { "" };
    let status =
        records::number(answer, "status").map_or_else(|| "-".to_owned(), |status| status.to_string());
    let mut parts = vec![Part::Title(format!("{status}{of}"))];
    parts.extend(message(answer));
    parts
}

fn message(message: &Value) -> Vec<Part> {
    let field = |field: &Value| {
        let part = |at: usize| field.get(at).and_then(Value::as_str).map(text::value);
        Some(Part::Field(part(0)?, part(1)?))
    };
    let mut parts: Vec<_> = records::list(message, "headers").iter().filter_map(field).collect();
    parts.extend(body(message));
    parts
}

fn body(message: &Value) -> Vec<Part> {
    let Some(record) = message.get("body").filter(|body| body.is_object()) else { return vec![] };
    let Ok(body) = body_of(record) else {
        return vec![Part::Empty, Part::Note("the body cannot be read".to_owned())];
    };
    if body.total_bytes == 0 {
        return vec![];
    }
    let size = unit::bytes(body.total_bytes);
    let mut parts = vec![Part::Empty];
    let Ok(whole) = std::str::from_utf8(&body.bytes) else {
        parts.push(Part::Note(format!("{size}, not text")));
        return parts;
    };
    let pretty = pretty::json(whole);
    let readable = pretty.as_deref().unwrap_or(whole);
    let end = readable.char_indices().nth(BODY_CHARS_MAX).map_or(readable.len(), |(at, _)| at);
    parts.extend(text::lines(readable[..end].trim_end_matches('\n')).map(Part::Body));
    let is_partial = record.get("is_partial").and_then(Value::as_bool).unwrap_or(false);
    if body.is_truncated && !is_partial {
        let kept = unit::bytes(body.bytes.len() as u64);
        parts.push(Part::Note(format!("only the first {kept} of {size} were kept")));
    } else if is_partial || end < readable.len() {
        parts.push(Part::Note(format!(
            "there is more: {size} in all; relay-agent event ID --body writes it out"
        )));
    }
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_told_with_its_request_answer_and_attempts() {
        let event = json!({
            "id": "evt_1", "source": "github", "received_at": "2026-03-01T13:03:05.120Z", "method": "POST",
            "path": "/h/github", "name": "push", "status": 200, "outcome": "answered", "head_us": 41_000,
            "app_us": 12_000, "remote": "192.0.2.1", "signature": "verified",
            "headers": [["X-Evil", "\u{1b}[2J"], ["odd"]],
            "body": { "text": "{\"b\":1,\"a\":2}", "total_bytes": 13 },
            "answer": { "status": 200, "headers": [], "body": { "base64": "AP8=", "total_bytes": 2 } },
            "deliveries": [{ "id": "evt_1.1", "destination": "ci", "state": "delivered", "is_replay": true,
                "ended_at": "2026-03-01T13:03:06Z",
                "attempts": [{ "no": 1, "started_at": "2026-03-01T13:03:05Z", "status": 200, "total_us": 9_000 }] }],
        });
        let detail = Detail::of(&event, &TimeZone::UTC);
        let facts: Vec<_> = detail.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let expected = [
            "name: push",
            "result: 200  app 12 ms  answer 41 ms",
            "signature: good: the provider signed this body",
            "received: 2026-03-01 13:03:05  from 192.0.2.1",
            "delivery: to ci  delivered, a replay  2026-03-01 13:03:06",
            ": attempt 1  13:03:05  200  9.0 ms",
            "event: evt_1",
        ];
        assert_eq!(facts, expected);
        let body = |line: &str| Part::Body(line.to_owned());
        let field = Part::Field("X-Evil".to_owned(), "\\u{1b}[2J".to_owned());
        let title = Part::Title("POST /h/github".to_owned());
        let lines =
            [title, field, Part::Empty, body("{"), body("  \"b\": 1,"), body("  \"a\": 2"), body("}")];
        assert_eq!(detail.request, lines);
        let expected = [Part::Title("200".to_owned()), Part::Empty, Part::Note("2 B, not text".to_owned())];
        assert_eq!(detail.answer, expected);
    }

    #[test]
    fn a_part_never_passes_for_the_whole() {
        let note = |event: Value| match body(&event).pop() {
            Some(Part::Note(text)) => text,
            other => panic!("{other:?}"),
        };
        let cut = json!({ "body": { "text": "ab", "total_bytes": 2048, "truncated": true } });
        assert_eq!(note(cut), "only the first 2 B of 2.0 KiB were kept");
        let partial = json!({ "body": { "text": "ab", "total_bytes": 2048, "is_partial": true } });
        assert!(note(partial).starts_with("there is more: 2.0 KiB in all"));
        let long = "x".repeat(BODY_CHARS_MAX + 1);
        let shown = json!({ "body": { "text": long, "total_bytes": long.len() } });
        assert!(note(shown).starts_with("there is more"));
    }

    #[test]
    fn an_answer_that_knows_nothing_costs_dashes() {
        let detail = Detail::of(&json!({}), &TimeZone::UTC);
        assert_eq!(detail.request, [Part::Title("- -".to_owned())]);
        assert_eq!(detail.answer, [Part::Note("no answer is recorded".to_owned())]);
    }
}
