//! The tools: each a question to the API. A new one is a line in [`Tools::list`] and one in [`Tools::path`].

use std::sync::Arc;
use std::time::Duration;

use relay_agent::ApiCaller;
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::super::query::Query;

/// Events or deliveries told at once: an assistant has to read them.
const LISTED_DEFAULT: u64 = 20;
const LISTED_MAX: u64 = 100;

/// Longest wait, and how often is looked meanwhile.
const WAIT_S_DEFAULT: u64 = 30;
const WAIT_S_MAX: u64 = 300;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the tools work with.
pub(super) struct Tools {
    pub(super) api: ApiCaller,
    pub(super) may_replay: bool,
}

type Arguments = Map<String, Value>;

const SEARCH: &str = "A search: words that all have to hold, `-` before one turns it round. method:POST status:5xx \
    event:invoice.* source:NAME path:/a/* outcome:answered|not_sent|refused signature:refused delivery:dead|waiting \
    body:\"text\" header:\"text\" since:2h until:1h, or bare text.";

fn tool(name: &'static str, what: &'static str, reads: bool, properties: &Value, required: &[&str]) -> Tool {
    let schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    let schema = schema.as_object().cloned().unwrap_or_default();
    let mut tool = Tool::new(name, what, Arc::new(schema));
    tool.annotations =
        Some(ToolAnnotations::from_raw(None, Some(reads), Some(false), Some(reads), Some(false)));
    tool
}

impl Tools {
    /// What may be called.
    pub(super) fn list(&self) -> Vec<Tool> {
        let text = |what: &str| json!({ "type": "string", "description": what });
        let limit =
            json!({ "type": "integer", "minimum": 1, "maximum": LISTED_MAX, "default": LISTED_DEFAULT });
        let id = text("An event's id, evt_…");
        let mut all = vec![
            tool("list_sources", "Sources with their URLs, rules and destinations", true, &json!({}), &[]),
            tool(
                "overview",
                "Whether all is well: each source in a line, and problems with advice",
                true,
                &json!({}),
                &[],
            ),
            tool(
                "find_events",
                "Events, newest first, without their bodies",
                true,
                &json!({ "search": text(SEARCH), "limit": limit, "before": text("The `next` of an earlier answer") }),
                &[],
            ),
            tool(
                "show_event",
                "One event in full: request, answer, signature, deliveries and their attempts",
                true,
                &json!({ "id": id }),
                &["id"],
            ),
            tool(
                "wait_for_event",
                "Waits until an event that matches comes, and shows it in full",
                true,
                &json!({
                    "search": text(SEARCH),
                    "timeout_s": { "type": "integer", "minimum": 1, "maximum": WAIT_S_MAX, "default": WAIT_S_DEFAULT },
                }),
                &[],
            ),
            tool(
                "list_deliveries",
                "Stored deliveries, newest event first",
                true,
                &json!({
                    "source": text("Name of a source"),
                    "state": { "type": "string", "enum": ["waiting", "leased", "delivered", "dead", "cancelled"] },
                    "limit": limit,
                }),
                &[],
            ),
        ];
        if self.may_replay {
            all.extend([
                tool(
                    "replay_event",
                    "Delivers an event once more, as it was",
                    false,
                    &json!({ "id": id }),
                    &["id"],
                ),
                tool(
                    "replay_delivery",
                    "Makes a delivery once more, to the same destination",
                    false,
                    &json!({ "id": text("A delivery's id, evt_….1") }),
                    &["id"],
                ),
                tool(
                    "test_event",
                    "Sends a sample webhook through a source",
                    false,
                    &json!({
                        "source": text("Name of the source"),
                        "provider": text("A provider, such as github; default: the source's"),
                        "event": text("Name of a sample, such as push"),
                    }),
                    &["source"],
                ),
            ]);
        }
        all
    }

    /// Calls one of them.
    ///
    /// # Errors
    /// What went wrong, for the assistant to read.
    pub(super) async fn call(&self, name: &str, given: &Arguments) -> Result<Value, String> {
        if !self.list().iter().any(|tool| tool.name == name) {
            let hint =
                if self.may_replay { "" } else { " (its owner has not allowed replays: --allow-replay)" };
            return Err(format!("there is no tool `{name}`{hint}"));
        }
        match name {
            "wait_for_event" => self.wait(given).await,
            "replay_event" => self.ask("POST", &at("/events", given, "/replay")?, Some(&json!({}))).await,
            "replay_delivery" => self.ask("POST", &at("/deliveries", given, "/replay")?, None).await,
            "test_event" => {
                let source = name_of(given, "source")?;
                let wish = json!({ "provider": given.get("provider"), "event": given.get("event") });
                self.ask("POST", Query::of(format!("/sources/{source}/test")).text(), Some(&wish)).await
            }
            reading => self.ask("GET", &Self::path(reading, given)?, None).await,
        }
    }

    fn path(name: &str, given: &Arguments) -> Result<String, String> {
        let text = |key: &str| given.get(key).and_then(Value::as_str);
        let limit = given.get("limit").and_then(Value::as_u64).unwrap_or(LISTED_DEFAULT).clamp(1, LISTED_MAX);
        Ok(match name {
            "list_sources" => Query::of("/sources").text().to_owned(),
            "overview" => Query::of("/overview").text().to_owned(),
            "find_events" => {
                let query = Query::of("/events").with("limit", limit);
                query.maybe("q", text("search")).maybe("before", text("before")).text().to_owned()
            }
            "list_deliveries" => {
                let query = Query::of("/deliveries").with("limit", limit);
                query.maybe("source", text("source")).maybe("state", text("state")).text().to_owned()
            }
            _ => at("/events", given, "")?,
        })
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let body = body.map(|body| body.to_string().into_bytes());
        let answer = self.api.api(method, path, body).await.map_err(|error| error.to_string())?;
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if (200..300).contains(&answer.status) {
            return Ok(value);
        }
        let message = value.pointer("/error/message").and_then(Value::as_str).unwrap_or("no");
        Err(format!("the server says: {message} (status {})", answer.status))
    }

    async fn wait(&self, given: &Arguments) -> Result<Value, String> {
        let timeout_s = given.get("timeout_s").and_then(Value::as_u64).unwrap_or(WAIT_S_DEFAULT);
        let deadline = Instant::now() + Duration::from_secs(timeout_s.clamp(1, WAIT_S_MAX));
        let search = given.get("search").and_then(Value::as_str).unwrap_or_default();
        // Told apart by id: the clocks of the two machines need not agree.
        let before = self.newest("").await?;
        loop {
            let found = self.newest(search).await?.filter(|found| before.as_ref() < Some(found));
            if let Some(id) = found {
                return self.ask("GET", Query::of(format!("/events/{id}")).text(), None).await;
            }
            if Instant::now() >= deadline {
                return Err(format!("no such event came within {timeout_s} s"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The id of the newest event that a search means; ids rise with time.
    async fn newest(&self, search: &str) -> Result<Option<String>, String> {
        let query = Query::of("/events").with("limit", 1).with("q", search);
        let found = self.ask("GET", query.text(), None).await?;
        Ok(found.pointer("/events/0/id").and_then(Value::as_str).map(str::to_owned))
    }
}

/// A path with an id in it, which has to be one: it is no place for an assistant to write its own path.
fn at(before: &str, given: &Arguments, after: &str) -> Result<String, String> {
    Ok(Query::of(format!("{before}/{}{after}", name_of(given, "id")?)).text().to_owned())
}

fn name_of<'g>(given: &'g Arguments, key: &str) -> Result<&'g str, String> {
    let text = given.get(key).and_then(Value::as_str).unwrap_or_default();
    let is_name = !text.is_empty()
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if is_name { Ok(text) } else { Err(format!("{key}: an id or a name is needed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: &Value) -> Arguments {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn questions_become_paths_and_nothing_else() {
        let path = |name: &str, value| Tools::path(name, &given(&value));
        let table = [
            (path("list_sources", json!({})), "/api/v1/sources"),
            (path("find_events", json!({})), "/api/v1/events?limit=20"),
            (
                path("find_events", json!({ "search": "status:5xx a&b", "limit": 1_000 })),
                "/api/v1/events?limit=100&q=status%3A5xx%20a%26b",
            ),
            (path("show_event", json!({ "id": "evt_1" })), "/api/v1/events/evt_1"),
            (path("list_deliveries", json!({ "state": "dead" })), "/api/v1/deliveries?limit=20&state=dead"),
        ];
        for (path, expected) in table {
            assert_eq!(path.as_deref(), Ok(expected));
        }
        for id in ["", "../tokens", "evt_1/replay", "evt_1?x", ".."] {
            assert!(path("show_event", json!({ "id": id })).is_err(), "{id}");
        }
    }
}
