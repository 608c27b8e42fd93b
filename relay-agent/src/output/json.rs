//! What happens as JSON lines, for scripts: one object per [`AgentEvent`], told apart by `type`. Fields are only ever
//! added; a reader skips what it does not know. Described in `docs/agent.md`.

use std::time::Duration;

use relay_agent::{AgentEvent, EndReason, LinkState, Route};
use serde_json::{Value, json};

use super::printer::Batch;

/// A request that arrived; the fields in the order every object has, which is the alphabet's.
#[derive(serde::Serialize)]
struct ArrivedLine<'a> {
    at: &'a str,
    attempt: u32,
    body_bytes: Option<u64>,
    event: &'a str,
    method: &'a str,
    name: Option<&'a str>,
    path: &'a str,
    source: &'a str,
    r#type: &'static str,
}

/// Its answer.
#[derive(serde::Serialize)]
struct AnsweredLine<'a> {
    app_us: u64,
    at: &'a str,
    error: Option<&'a str>,
    event: &'a str,
    source: &'a str,
    status: Option<u16>,
    tunnel_us: u64,
    r#type: &'static str,
}

/// Writes the lines for something that happened at `at` (RFC 3339). Requests and answers, of which there may be
/// thousands a second, are written without building an object first.
pub(crate) fn write(event: &AgentEvent, routes: &[Route], at: &str, into: &mut Batch) {
    match event {
        AgentEvent::Arrived(arrived) => line(
            &ArrivedLine {
                at,
                attempt: arrived.attempt,
                body_bytes: arrived.body_bytes,
                event: &arrived.event.text(),
                method: &arrived.method,
                name: arrived.name.as_deref(),
                path: &arrived.path,
                source: arrived.source.as_str(),
                r#type: "arrived",
            },
            into,
        ),
        AgentEvent::Answered(answered) => line(
            &AnsweredLine {
                app_us: micros(answered.app),
                at,
                error: answered.result.as_ref().err().map(String::as_str),
                event: &answered.event.text(),
                source: answered.source.as_str(),
                status: answered.result.as_ref().ok().copied(),
                tunnel_us: micros(answered.tunnel),
                r#type: "answered",
            },
            into,
        ),
        other => objects(other, routes, at).iter().for_each(|object| line(object, into)),
    }
}

fn line(object: &impl serde::Serialize, into: &mut Batch) {
    into.line_with(|text| {
        serde_json::to_writer(text, object).expect("plain structs of text and numbers have a JSON form");
    });
}

/// The objects for something that happened at `at`.
fn objects(event: &AgentEvent, routes: &[Route], at: &str) -> Vec<Value> {
    let objects = match event {
        AgentEvent::Link(state) => vec![link(state)],
        AgentEvent::Served { source, destination, result, waiting } => {
            let is_meant = |route: &&Route| route.source == *source && route.destination == *destination;
            routes.iter().filter(is_meant).map(|route| served(route, result, *waiting)).collect()
        }
        AgentEvent::Arrived(_) | AgentEvent::Answered(_) => Vec::new(),
        AgentEvent::Notice(text) => vec![json!({ "type": "notice", "text": text })],
    };
    let dated = |mut object: Value| {
        object["at"] = at.into();
        object
    };
    objects.into_iter().map(dated).collect()
}

/// The object that stands for lines left out because the reader was too slow.
pub(crate) fn skipped(lines: u64) -> Value {
    json!({ "type": "skipped", "lines": lines })
}

fn link(state: &LinkState) -> Value {
    match state {
        LinkState::Connecting { attempt } => {
            json!({ "type": "link", "state": "connecting", "attempt": attempt })
        }
        LinkState::Live { session, rtt, server, clock_skew_ms } => json!({
            "type": "link",
            "state": "live",
            "session": session.to_string(),
            "rtt_us": micros(*rtt),
            "server": server,
            "clock_skew_ms": clock_skew_ms,
        }),
        LinkState::Down { reason, next_try } => json!({
            "type": "link",
            "state": "down",
            "reason": reason,
            "next_try_ms": u64::try_from(next_try.as_millis()).unwrap_or(u64::MAX),
        }),
        LinkState::Ended(reason) => json!({
            "type": "link",
            "state": "ended",
            "reason": match reason {
                EndReason::Stopped => "stopped",
                EndReason::Refused(_) => "refused",
                EndReason::Identity(_) => "identity",
                EndReason::TakenOver => "taken_over",
                EndReason::Revoked => "revoked",
            },
            "text": reason.to_string(),
        }),
    }
}

fn served(
    route: &Route,
    result: &Result<String, protocol::control::ServeError>,
    waiting: Option<u64>,
) -> Value {
    json!({
        "type": "source",
        "name": route.source.as_str(),
        "destination": route.destination.as_str(),
        "target": route.target.to_string(),
        "url": result.as_ref().ok(),
        "waiting": waiting,
        "error": result.as_ref().err().map(|error| json!({ "code": error.code, "text": error.text })),
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use protocol::control::ServeError;
    use protocol::id::{EventId, SessionId};
    use relay_agent::{Answered, Arrived};

    use super::super::unit;
    use super::*;

    const NOW: u64 = 1_772_370_185_120;

    fn object(event: &AgentEvent) -> Value {
        let route = Route::new("github".parse().unwrap(), "http://localhost:3000/hooks".parse().unwrap());
        let mut batch = Batch::default();
        write(event, &[route], &unit::rfc3339(NOW), &mut batch);
        let text = batch.text();
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(['\n', '\x1b']), "one line, nothing raw");
        serde_json::from_str(line).unwrap()
    }

    /// Frozen: scripts read these.
    #[test]
    fn every_event_has_its_object() {
        let at = r#""at":"2026-03-01T13:03:05.120Z""#;
        let id = EventId(7).to_string();
        let ended = AgentEvent::Link(LinkState::Ended(EndReason::TakenOver));
        let refused = ServeError { code: "scope_refused".to_owned(), text: "no".to_owned() };
        let github = || "github".parse().unwrap();
        let table = [
            (
                AgentEvent::Link(LinkState::Connecting { attempt: 2 }),
                format!(r#"{{{at},"attempt":2,"state":"connecting","type":"link"}}"#),
            ),
            (
                AgentEvent::Link(LinkState::Live {
                    session: SessionId(1),
                    rtt: Duration::from_millis(23),
                    server: "relay-server 0.1.0".to_owned(),
                    clock_skew_ms: -4,
                }),
                format!(
                    r#"{{{at},"clock_skew_ms":-4,"rtt_us":23000,"server":"relay-server 0.1.0","session":"{}","state":"live","type":"link"}}"#,
                    SessionId(1)
                ),
            ),
            (
                AgentEvent::Link(LinkState::Down {
                    reason: "no answer".to_owned(),
                    next_try: Duration::from_millis(2400),
                }),
                format!(r#"{{{at},"next_try_ms":2400,"reason":"no answer","state":"down","type":"link"}}"#),
            ),
            (
                ended,
                format!(
                    r#"{{{at},"reason":"taken_over","state":"ended","text":"taken over by another connection of this agent","type":"link"}}"#
                ),
            ),
            (
                AgentEvent::Served {
                    source: github(),
                    destination: Default::default(),
                    result: Ok("https://r.example/h/github".to_owned()),
                    waiting: Some(12),
                },
                format!(
                    r#"{{{at},"destination":"default","error":null,"name":"github","target":"http://localhost:3000/hooks","type":"source","url":"https://r.example/h/github","waiting":12}}"#
                ),
            ),
            (
                AgentEvent::Served {
                    source: github(),
                    destination: Default::default(),
                    result: Err(refused),
                    waiting: None,
                },
                format!(
                    r#"{{{at},"destination":"default","error":{{"code":"scope_refused","text":"no"}},"name":"github","target":"http://localhost:3000/hooks","type":"source","url":null,"waiting":null}}"#
                ),
            ),
            (
                AgentEvent::Arrived(Arrived {
                    unchecked: None,
                    event: EventId(7),
                    attempt: 1,
                    source: github(),
                    method: "POST".to_owned(),
                    path: "/hooks\u{1b}".to_owned(),
                    name: None,
                    body_bytes: Some(3),
                }),
                format!(
                    r#"{{{at},"attempt":1,"body_bytes":3,"event":"{id}","method":"POST","name":null,"path":"/hooks\u001b","source":"github","type":"arrived"}}"#
                ),
            ),
            (
                AgentEvent::Answered(Answered {
                    event: EventId(7),
                    source: github(),
                    result: Ok(200),
                    app: Duration::from_millis(12),
                    tunnel: Duration::from_millis(41),
                }),
                format!(
                    r#"{{{at},"app_us":12000,"error":null,"event":"{id}","source":"github","status":200,"tunnel_us":41000,"type":"answered"}}"#
                ),
            ),
            (AgentEvent::Notice("hi".to_owned()), format!(r#"{{{at},"text":"hi","type":"notice"}}"#)),
        ];
        for (event, line) in table {
            assert_eq!(object(&event), serde_json::from_str::<Value>(&line).unwrap());
        }
    }
}
