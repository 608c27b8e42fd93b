//! A recorded event as it was sent, for verbs that keep it or send it again: exact, or refused with the reason.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use protocol::field::HeaderBlock;
use protocol::id::EventId;
use relay_agent::ApiError;
use relay_agent::fixture::Fixture;
use serde_json::Value;

use super::ask::{AskError, Asker};
use super::event::body_of;
use super::records;
use crate::output::unit;

/// Stands where text lost a byte.
const LOST: char = char::REPLACEMENT_CHARACTER;

/// An event that cannot be had as it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordedError {
    /// The server does not have it.
    #[error("there is no such event, or it was deleted by retention")]
    Gone,
    /// A part of a body passes for the whole too easily.
    #[error("only the first {} of its body's {} were kept", unit::bytes(*.kept), unit::bytes(*.total))]
    Truncated { kept: u64, total: u64 },
    /// The sender hung up, or the relay refused it in the middle.
    #[error("its body did not come to an end")]
    BrokeOff,
    /// Text in which bytes are lost.
    #[error("its path or header fields are not all text, and this server is too old to tell their bytes")]
    Inexact,
    /// More than is taken into memory.
    #[error("the server's answer about it is larger than this program takes")]
    TooLarge,
    /// Not what an event looks like.
    #[error("the server's answer is not what this version understands: {0}")]
    Unreadable(&'static str),
    /// The question itself failed.
    #[error(transparent)]
    Ask(AskError),
}

impl From<AskError> for RecordedError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Refused { status: 404, .. } => Self::Gone,
            AskError::Call(ApiError::TooLarge) => Self::TooLarge,
            other => Self::Ask(other),
        }
    }
}

/// Asks for one event in full.
pub(super) async fn fetch(asker: &mut Asker, id: EventId) -> Result<Fixture, RecordedError> {
    let path = format!("/api/v1/events/{id}");
    let event = asker.get(&path).await?;
    let fixture = head_of(&event, id)?;
    let (bytes, total, is_cut) = body(asker, id, &event).await?;
    let kept = bytes.len() as u64;
    match is_cut {
        _ if kept != total => Err(RecordedError::Truncated { kept, total }),
        true => Err(RecordedError::BrokeOff),
        false => Ok(Fixture { body: bytes, ..fixture }),
    }
}

/// As much of an event's body as was kept, how long it was, and whether it came to no end.
pub(super) async fn body(
    asker: &mut Asker,
    id: EventId,
    event: &Value,
) -> Result<(Bytes, u64, bool), RecordedError> {
    let record = event.get("body").unwrap_or(&Value::Null);
    let body = body_of(record).map_err(|_| RecordedError::Unreadable("body"))?;
    let is_inline = records::text(record, "text").or(records::text(record, "base64")).is_some();
    let is_cut = record.get("truncated").and_then(Value::as_bool).unwrap_or(false);
    let bytes = match body.is_truncated {
        // A body too long to be shown beside its head has an address of its own.
        true if !is_inline && !is_cut => asker.bytes(&format!("/api/v1/events/{id}/body")).await?,
        _ => body.bytes.into(),
    };
    Ok((bytes, body.total_bytes, is_cut))
}

/// An event as a fixture without its body.
pub(super) fn head_of(event: &Value, id: EventId) -> Result<Fixture, RecordedError> {
    let unreadable = RecordedError::Unreadable;
    let exact = event.get("exact").filter(|exact| exact.is_object());
    let decoded =
        |text: Option<&str>, what| STANDARD.decode(text.unwrap_or("!")).map_err(|_| unreadable(what));
    let target = match exact {
        Some(exact) => decoded(records::text(exact, "path"), "path")?,
        None => records::text(event, "path").ok_or(unreadable("path"))?.as_bytes().to_vec(),
    };
    let mut headers = HeaderBlock::default();
    for field in records::list(exact.unwrap_or(event), "headers") {
        let part = |at: usize| field.get(at).and_then(Value::as_str).ok_or(unreadable("headers"));
        let value =
            if exact.is_some() { decoded(Some(part(1)?), "headers")? } else { part(1)?.as_bytes().to_vec() };
        headers.push(part(0)?.as_bytes(), &value).map_err(|_| unreadable("headers"))?;
    }
    // A server that can tell the bytes always says whether there is something to tell.
    let is_text_all_there_is = event.get("exact").is_none();
    let has_lost = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| text.contains(LOST));
    if is_text_all_there_is && (has_lost(&target) || headers.iter().any(|(_, value)| has_lost(value))) {
        return Err(RecordedError::Inexact);
    }
    let source = records::text(event, "source").map(str::to_owned);
    Ok(Fixture {
        id: Some(id),
        received_ms: Some(records::moment(event, "received_at").unwrap_or(id.unix_ms())),
        name: records::text(event, "name").map(str::to_owned),
        status: records::number(event, "status").and_then(|status| u16::try_from(status).ok()),
        method: records::text(event, "method").ok_or(unreadable("method"))?.to_owned(),
        mount: mount(&target, source.as_deref()),
        source,
        target,
        headers,
        body: Bytes::new(),
    })
}

/// How much of a target found its source: `/h/NAME`, unless the source was found by its host.
pub(super) fn mount(target: &[u8], source: Option<&str>) -> usize {
    let Some(source) = source else { return 0 };
    let mount = format!("/h/{source}");
    let rest = target.strip_prefix(mount.as_bytes());
    if matches!(rest, Some([] | [b'/' | b'?' | b'#', ..])) { mount.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: EventId = EventId::from_parts(1_795_344_879_250 << 20, 7);

    #[test]
    fn an_event_is_taken_as_it_was_sent() {
        let event = json!({
            "source": "github", "received_at": "2026-11-22T10:54:39.250Z", "method": "PUT", "status": 201,
            "path": "/h/github?a=1", "headers": [["X-A", "ü"], ["x-a", ""]], "exact": null, "later": 1,
        });
        let fixture = head_of(&event, ID).unwrap();
        assert_eq!(
            (fixture.method.as_str(), fixture.app_target(), fixture.status),
            ("PUT", &b"?a=1"[..], Some(201))
        );
        assert_eq!((fixture.id, fixture.received_ms), (Some(ID), Some(1_795_344_879_250)));
        let fields: Vec<_> = fixture.headers.iter().collect();
        assert_eq!(fields, [(&b"X-A"[..], "ü".as_bytes()), (b"x-a", b"")]);
    }

    #[test]
    fn bytes_that_are_no_text_are_exact_or_refused() {
        let mut event = json!({
            "source": "a", "method": "POST", "path": "/h/a/\u{fffd}", "headers": [["X", "caf\u{fffd}"]],
        });
        assert!(matches!(head_of(&event, ID), Err(RecordedError::Inexact)), "an old server");
        event["exact"] = json!({ "path": "L2gvYS//", "headers": [["X", "Y2Fm6Q=="]] });
        let fixture = head_of(&event, ID).unwrap();
        assert_eq!((fixture.app_target(), fixture.headers.find("x")), (&b"/\xff"[..], Some(&b"caf\xe9"[..])));
        event["exact"] = Value::Null;
        assert!(head_of(&event, ID).is_ok(), "the sender wrote that character itself");
        event["exact"] = json!({ "path": "%", "headers": [] });
        assert!(matches!(head_of(&event, ID), Err(RecordedError::Unreadable("path"))));
        assert!(matches!(head_of(&json!({}), ID), Err(RecordedError::Unreadable("path"))));
        let split = json!({ "method": "GET", "path": "/", "headers": [["X", "a\r\nB: c"]] });
        assert!(matches!(head_of(&split, ID), Err(RecordedError::Unreadable("headers"))));
    }

    #[test]
    fn the_apps_part_of_the_path_is_found() {
        for (target, source, expected) in [
            ("/h/github", "github", 9),
            ("/h/github/x", "github", 9),
            ("/h/github?x", "github", 9),
            ("/h/githubber", "github", 0),
            ("/hooks", "github", 0),
        ] {
            assert_eq!(mount(target.as_bytes(), Some(source)), expected, "{target}");
        }
        assert_eq!(mount(b"/h/", None), 0);
    }
}
