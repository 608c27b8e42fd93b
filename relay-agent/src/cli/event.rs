//! `relay-agent event ID`: one event in full with its deliveries and their attempts, or its body byte for byte.

use std::io::Write as _;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use protocol::id::EventId;
use serde_json::Value;

use super::Exit;
use super::ask::Asker;
use super::context::Context;
use super::records;
use crate::output::style::{BOLD, DIM, paint};
use crate::output::{complain, escape, stdout_is_terminal, unit};

/// Body text shown before `--body` is recommended: about a screenful.
const BODY_CHARS_SHOWN: usize = 4096;

/// Show one event: request, answer, times, deliveries
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  relay-agent event evt_…\n  relay-agent event evt_… --body > body.json")]
pub(super) struct Args {
    /// The event, `evt_…`
    #[arg(value_name = "ID")]
    id: EventId,
    /// Write the request's body to stdout, byte for byte, and nothing else
    #[arg(long, conflicts_with = "json")]
    body: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut asker = Asker::open(context).await?;
    let event = asker.get(&format!("/api/v1/events/{}", args.id)).await?;
    asker.close().await;
    if args.body {
        return write_body(event.get("body").unwrap_or(&Value::Null));
    }
    if context.output.json {
        context.output.object(&event)?;
    } else {
        describe(&event, context).iter().try_for_each(|line| context.output.data(line))?;
    }
    Ok(Exit::Done)
}

/// A body as it was captured.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) total_bytes: u64,
    pub(super) is_truncated: bool,
}

pub(super) fn body_of(record: &Value) -> anyhow::Result<Body> {
    let bytes = match (records::text(record, "text"), records::text(record, "base64")) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => STANDARD.decode(text).context("the server sent a body that is not base64")?,
        (None, None) => Vec::new(),
    };
    let total_bytes = records::number(record, "total_bytes").unwrap_or(bytes.len() as u64);
    let said = record.get("truncated").and_then(Value::as_bool).unwrap_or(false);
    Ok(Body { is_truncated: said || total_bytes != bytes.len() as u64, bytes, total_bytes })
}

/// A part of a body passes for the whole too easily: it is written, but the exit code says so.
fn write_body(record: &Value) -> anyhow::Result<Exit> {
    let body = body_of(record)?;
    if stdout_is_terminal() {
        let shown = escape::text(&String::from_utf8_lossy(&body.bytes));
        writeln!(std::io::stdout().lock(), "{shown}")?;
    } else {
        let mut out = std::io::stdout().lock();
        out.write_all(&body.bytes)?;
        out.flush()?;
    }
    if body.is_truncated {
        let (kept, total) = (unit::bytes(body.bytes.len() as u64), unit::bytes(body.total_bytes));
        complain(&format!("warning: only the first {kept} of {total} were kept"));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// What came of checking a signature, in words.
pub(super) fn signature(event: &Value) -> Option<String> {
    Some(match (records::text(event, "signature")?, records::text(event, "signature_text")) {
        ("verified", _) => "good: the provider signed this body".to_owned(),
        ("sender_verified", _) => "good: the provider sent it; the body itself is not signed".to_owned(),
        (code, None) => code.to_owned(),
        (code, Some(text)) => format!("{text} ({code})"),
    })
}

/// Whom it looks to be from, and how to have that checked.
fn recognised(event: &Value) -> Option<String> {
    let provider = provider::find(records::text(event, "recognised")?)?;
    let (title, name) = (&provider.title, provider.name);
    let source = records::text(event, "source")?;
    Some(format!(
        "{title}; to have it checked: relay-agent source {source} --provider {name} --secret-file -"
    ))
}

fn describe(event: &Value, context: &Context) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fact = |name: &str, value: Option<String>| {
        lines.extend(
            value.map(|value| format!("{}  {}", paint(DIM, &format!("{name:<9}")), escape::value(&value))),
        );
    };
    let owned = |key: &str| records::text(event, key).map(str::to_owned);
    fact("event", owned("id"));
    fact("source", owned("source"));
    fact("received", records::moment(event, "received_at").map(|ms| unit::day_and_time(ms, &context.zone)));
    fact("from", owned("remote"));
    fact("name", owned("name"));
    fact("sender id", owned("sender_id"));
    fact("signature", signature(event));
    fact("looks like", recognised(event));
    fact("number", records::number(event, "seq").map(|seq| seq.to_string()));
    fact("related", owned("related"));
    fact("result", Some(records::result(event)));
    fact("app", records::took(event, "app_us").or_else(|| nested_time(event, "app_us")));
    fact("answer", records::took(event, "head_us").or_else(|| nested_time(event, "head_us")));
    lines.push(String::new());
    lines.push(paint(BOLD, &escape::value(&records::request(event))));
    lines.extend(headers(event));
    lines.extend(body_lines(event));
    if let Some(answer) = event.get("answer").filter(|answer| answer.is_object()) {
        let status =
            records::number(answer, "status").map_or_else(|| "-".to_owned(), |status| status.to_string());
        lines.push(String::new());
        lines.push(paint(BOLD, &format!("answer {status}")));
        lines.extend(headers(answer));
        lines.extend(body_lines(answer));
    }
    for delivery in records::list(event, "deliveries") {
        lines.push(String::new());
        lines.extend(delivery_lines(delivery, &context.zone));
    }
    lines
}

/// A delivery, and a line for each of its attempts.
fn delivery_lines(delivery: &Value, zone: &TimeZone) -> Vec<String> {
    let text = |key: &str| escape::line(records::text(delivery, key).unwrap_or("-"));
    let is_replay = delivery.get("is_replay").and_then(Value::as_bool).unwrap_or(false);
    let replay = if is_replay { ", a replay" } else { "" };
    let to = paint(BOLD, &format!("delivery to {}", text("destination")));
    let state = records::paint_state(records::text(delivery, "state").unwrap_or("-"));
    let mut head = vec![format!("{to}  {state}{replay}")];
    head.push(records::when(delivery, zone));
    head.extend(records::text(delivery, "reason").map(escape::line));
    head.push(paint(DIM, &text("id")));
    let mut lines = vec![head.join("  ")];
    lines.extend(records::list(delivery, "attempts").iter().map(|attempt| attempt_line(attempt, zone)));
    lines
}

fn attempt_line(attempt: &Value, zone: &TimeZone) -> String {
    let no = records::number(attempt, "no").map_or_else(|| "-".to_owned(), |no| no.to_string());
    let mut parts = vec![format!("  {no:>2}")];
    parts.push(records::moment_or_dash(attempt, "started_at", zone));
    // The relay's 0 says that nothing was answered.
    let status = records::number(attempt, "status").filter(|status| *status > 0);
    let outcome = records::text(attempt, "outcome").filter(|outcome| *outcome != "answered");
    parts.extend(status.map(|status| status.to_string()));
    parts.extend(outcome.map(escape::line));
    parts.extend(records::text(attempt, "reason").map(escape::line));
    parts.extend(records::text(attempt, "text").map(escape::line));
    parts.extend(records::took(attempt, "total_us"));
    parts.join("  ")
}

fn nested_time(event: &Value, key: &str) -> Option<String> {
    event.get("times").and_then(|times| records::took(times, key))
}

fn headers(message: &Value) -> Vec<String> {
    let pair = |field: &Value| {
        let part = |at: usize| field.get(at).and_then(Value::as_str).map(escape::value);
        Some(format!("{} {}", paint(DIM, &format!("{}:", part(0)?)), part(1)?))
    };
    records::list(message, "headers").iter().filter_map(pair).collect()
}

fn body_lines(message: &Value) -> Vec<String> {
    let Some(record) = message.get("body").filter(|body| body.is_object()) else { return vec![] };
    let Ok(body) = body_of(record) else { return vec!["(the body cannot be read)".to_owned()] };
    if body.total_bytes == 0 {
        return vec![];
    }
    let size = unit::bytes(body.total_bytes);
    let mut lines = vec![String::new()];
    match std::str::from_utf8(&body.bytes) {
        Ok(text) => {
            let shown: String = text.chars().take(BODY_CHARS_SHOWN).collect();
            lines.push(escape::text(&shown));
            if shown.len() < text.len() {
                lines.push(paint(DIM, &format!("… {size} in all; --body writes it out")));
            }
        }
        Err(_) => lines.push(paint(DIM, &format!("{size}, not text; --body writes it out"))),
    }
    if body.is_truncated {
        let kept = unit::bytes(body.bytes.len() as u64);
        lines.push(paint(DIM, &format!("only the first {kept} of {size} were kept")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_comes_as_text_or_base64() {
        let text = body_of(&json!({ "text": "hä", "total_bytes": 3, "truncated": false })).unwrap();
        assert_eq!((text.bytes.as_slice(), text.is_truncated), ("hä".as_bytes(), false));
        let binary = body_of(&json!({ "base64": "AP8=", "total_bytes": 2 })).unwrap();
        assert_eq!((binary.bytes.as_slice(), binary.is_truncated), ([0, 255].as_slice(), false));
        assert!(body_of(&json!({ "base64": "!" })).is_err());
        assert!(body_of(&Value::Null).unwrap().bytes.is_empty());
    }

    #[test]
    fn a_part_never_passes_for_the_whole() {
        assert!(body_of(&json!({ "text": "ab", "total_bytes": 3 })).unwrap().is_truncated);
        assert!(body_of(&json!({ "text": "ab", "total_bytes": 2, "truncated": true })).unwrap().is_truncated);
        let lines = body_lines(&json!({ "body": { "text": "ab", "total_bytes": 2048 } })).join("\n");
        assert!(lines.contains("only the first 2 B of 2.0 KiB were kept"), "{lines}");
    }

    #[test]
    fn a_delivery_is_told_with_each_of_its_attempts() {
        let delivery = json!({
            "id": "evt_1.2", "destination": "ci", "state": "dead", "is_replay": true, "due_at": null,
            "ended_at": "2026-03-01T13:03:05Z", "reason": "gone\u{7}",
            "attempts": [
                { "no": 1, "started_at": "2026-03-01T13:03:01Z", "outcome": "not_sent", "status": 0,
                  "reason": "app_refused", "text": "nothing listens", "total_us": 900 },
                { "no": 2, "started_at": "2026-03-01T13:03:04Z", "outcome": "answered", "status": 410, "total_us": 41_000 },
                {},
            ],
        });
        let plain: Vec<_> = delivery_lines(&delivery, &TimeZone::UTC)
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect();
        let expected = [
            "delivery to ci  dead, a replay  2026-03-01 13:03:05  gone\\u{7}  evt_1.2",
            "   1  2026-03-01 13:03:01  not_sent  app_refused  nothing listens  0.9 ms",
            "   2  2026-03-01 13:03:04  410  41 ms",
            "   -  -",
        ];
        assert_eq!(plain, expected);
    }

    #[test]
    fn headers_and_bodies_are_escaped() {
        let message = json!({
            "headers": [["X-Evil", "\u{1b}[2J"], ["odd"], 3],
            "body": { "text": "line\n\u{7}", "total_bytes": 6 },
        });
        let plain: Vec<_> =
            headers(&message).iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert_eq!(plain, ["X-Evil: \\u{1b}[2J"]);
        assert_eq!(body_lines(&message), ["", "line\n\\u{7}"]);
    }
}
