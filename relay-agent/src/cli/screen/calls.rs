//! The screen's questions to the server, each made once: who asked sees what came of it, and may ask again.

use bytes::Bytes;
use protocol::id::EventId;
use relay_agent::Agent;
use relay_agent::fixture::Fixture;
use serde_json::{Value, json};

use super::super::ask::{AskError, refusal};
use super::super::event::body_of;
use super::super::query::Query;
use super::super::recorded::head_of;
use super::super::records;
use super::message::{Ask, Message, Refusal, Reply};
use crate::output::unit;

/// Earlier events that are listed.
const HISTORY: u32 = 50;

/// Asks, and says what came of it.
pub(in super::super) async fn call(agent: &Agent, ask: Ask) -> Message {
    let result = match &ask {
        Ask::History(source) => {
            let query = Query::of("/events").with("source", source).with("limit", HISTORY);
            get(agent, query.text()).await.map(Reply::Object)
        }
        Ask::Rules(source) => {
            get(agent, Query::of(format!("/sources/{source}")).text()).await.map(Reply::Object)
        }
        Ask::Detail(id) => get(agent, Query::of(format!("/events/{id}")).text()).await.map(Reply::Object),
        Ask::Exact(id, _) => exact(agent, *id).await.map(|fixture| Reply::Exact(Box::new(fixture))),
        Ask::Replay(id, wish) => {
            send(agent, "POST", &format!("/events/{id}/replay"), wish).await.map(Reply::Object)
        }
        Ask::Test(source) => {
            send(agent, "POST", &format!("/sources/{source}/test"), &json!({})).await.map(Reply::Object)
        }
        Ask::Hold(source, is_held) => {
            let rules = json!({ "rules": { "hold": is_held } });
            send(agent, "PATCH", &format!("/sources/{source}"), &rules).await.map(Reply::Object)
        }
        Ask::Next(source) => next(agent, source).await.map(Reply::Object),
    };
    Message::Called(ask, result)
}

/// Lets the oldest one go; nothing where nothing waits.
async fn next(agent: &Agent, source: &protocol::id::Slug) -> Result<Value, Refusal> {
    let query = Query::of("/deliveries").with("source", source).with("state", "waiting");
    let found = get(agent, query.with("order", "oldest").with("limit", 1).text()).await?;
    let Some(id) = records::list(&found, "deliveries").first().and_then(|first| records::text(first, "id"))
    else {
        return Ok(json!({}));
    };
    send(agent, "POST", &format!("/deliveries/{id}/release"), &json!({})).await?;
    Ok(json!({ "id": id }))
}

/// An event as it was sent, or the reason why it cannot be had so.
async fn exact(agent: &Agent, id: EventId) -> Result<Fixture, Refusal> {
    let words = |text: String| Refusal { status: None, is_unknown: false, text };
    let event = get(agent, Query::of(format!("/events/{id}")).text()).await?;
    let fixture = head_of(&event, id).map_err(|error| words(error.to_string()))?;
    let record = event.get("body").unwrap_or(&Value::Null);
    let body = body_of(record).map_err(|error| words(error.to_string()))?;
    let is_partial = record.get("is_partial").and_then(Value::as_bool).unwrap_or(false);
    let bytes = if is_partial {
        bytes(agent, "GET", Query::of(format!("/events/{id}/body")).text(), None).await?
    } else {
        body.bytes.into()
    };
    if bytes.len() as u64 != body.total_bytes {
        let (kept, total) = (unit::bytes(bytes.len() as u64), unit::bytes(body.total_bytes));
        return Err(words(format!("only the first {kept} of its body's {total} were kept")));
    }
    Ok(Fixture { body: bytes, ..fixture })
}

async fn get(agent: &Agent, path: &str) -> Result<Value, Refusal> {
    let answer = bytes(agent, "GET", path, None).await?;
    object(path, &answer)
}

async fn send(agent: &Agent, method: &str, path: &str, body: &Value) -> Result<Value, Refusal> {
    let path = Query::of(path);
    let answer = bytes(agent, method, path.text(), Some(body.to_string().into_bytes())).await?;
    if answer.is_empty() { Ok(Value::Null) } else { object(path.text(), &answer) }
}

fn object(path: &str, answer: &Bytes) -> Result<Value, Refusal> {
    serde_json::from_slice(answer).map_err(|_| failed(&AskError::Unreadable(path.to_owned())))
}

async fn bytes(agent: &Agent, method: &str, path: &str, body: Option<Vec<u8>>) -> Result<Bytes, Refusal> {
    let answer = agent.api(method, path, body).await;
    let answer =
        answer.map_err(|error| Refusal { status: None, is_unknown: false, text: error.to_string() })?;
    match answer.status {
        200..300 => Ok(answer.body),
        status => Err(failed(&refusal(status, serde_json::from_slice(&answer.body).ok().as_ref()))),
    }
}

/// A refusal, and whether it says that the server is too old to know what it was asked.
fn failed(error: &AskError) -> Refusal {
    let (status, is_unknown) = match error {
        AskError::Refused { status, code, text } => {
            let is_no_route = matches!(code.as_str(), "route_not_found" | "method_not_allowed");
            (Some(*status), is_no_route || code.starts_with("status 404") || text.contains("unknown field"))
        }
        _ => (None, false),
    };
    Refusal { status, is_unknown, text: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_server_is_told_from_one_that_says_no() {
        let refused = |status, code: &str, text: &str| {
            let body = json!({ "error": { "code": code, "message": text } });
            failed(&refusal(status, Some(&body))).is_unknown
        };
        assert!(refused(404, "route_not_found", "no such route"));
        assert!(refused(400, "malformed", "rules: unknown field `hold`"));
        assert!(failed(&refusal(404, None)).is_unknown);
        assert!(!refused(404, "source_not_found", "no such source"));
        assert!(!refused(403, "scope_refused", "read only"));
    }
}
