//! Events as a file: HAR for other tools' viewers, or one JSON object a line as the API tells each.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName};
use protocol::id::EventId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::identity::Caller;
use super::input::Params;
use super::{ApiState, events};
use crate::model::SourceId;
use crate::store::{EVENTS_MAX, Only};

/// Most events of a file, and most bytes of it: what a person opens in an editor.
const EXPORTED_MAX: usize = 1_000;
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Pages of a search that are looked through for them.
const LOOKS_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    format: Format,
    #[serde(default)]
    q: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Har,
    Ndjson,
}

/// `GET /events/export?format=&q=`: the newest thousand that the search means, newest first, as a download.
pub(super) async fn export(
    State(state): State<ApiState>,
    caller: Caller,
    Params(wanted): Params<Wanted>,
) -> Result<Response, ApiError> {
    // One file at a time: each is in memory until it is sent.
    let _place = state.exporting.lock().await;
    let (mut shown, mut bytes, mut is_cut) = (Vec::new(), 0, false);
    for id in found(&state, &caller, caller.sources(&state), &wanted.q).await? {
        // Deleted by retention in this moment.
        let Ok(event) = events::shown(&state, &caller, id).await else { continue };
        let one = match wanted.format {
            Format::Ndjson => event,
            Format::Har => entry(&event, &caller, &state),
        };
        let line = one.to_string();
        bytes += line.len();
        if bytes > BYTES_MAX {
            is_cut = true;
            break;
        }
        shown.push(line);
    }
    let (media_type, name, text) = match wanted.format {
        Format::Ndjson => {
            ("application/x-ndjson", "events.ndjson", shown.iter().map(|line| format!("{line}\n")).collect())
        }
        Format::Har => ("application/json", "events.har", har(&shown)),
    };
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (CONTENT_TYPE, media_type.to_owned()),
        (CONTENT_DISPOSITION, disposition),
        (HeaderName::from_static("relay-truncated"), is_cut.to_string()),
    ];
    Ok((headers, text).into_response())
}

async fn found(
    state: &ApiState,
    caller: &Caller,
    sources: Option<Vec<SourceId>>,
    q: &str,
) -> Result<Vec<EventId>, ApiError> {
    let (mut ids, mut before) = (Vec::new(), None);
    for _ in 0..LOOKS_MAX {
        let page =
            events::find_all(state, caller, sources.clone(), before, EVENTS_MAX, (q, &Only::default()))
                .await?;
        ids.extend(page.events.iter().map(|event| event.id));
        before = page.next;
        if before.is_none() || ids.len() >= EXPORTED_MAX {
            break;
        }
    }
    ids.truncate(EXPORTED_MAX);
    Ok(ids)
}

/// HTTP Archive 1.2.
fn har(entries: &[String]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let creator = json!({ "name": "relay-server", "version": version });
    format!(r#"{{"log":{{"version":"1.2","creator":{creator},"entries":[{}]}}}}"#, entries.join(","))
}

/// An event as an entry of an archive, from what the API tells of it.
fn entry(event: &Value, caller: &Caller, state: &ApiState) -> Value {
    let fields = |of: &Value| -> Vec<Value> {
        let pairs = of["headers"].as_array().into_iter().flatten();
        pairs.map(|pair| json!({ "name": pair[0], "value": pair[1] })).collect()
    };
    let ms = |name: &str| event[name].as_f64().unwrap_or_default() / 1_000.0;
    let text = |body: &Value| match (&body["text"], &body["base64"]) {
        (Value::String(text), _) => json!({ "text": text }),
        (_, Value::String(base64)) => json!({ "text": base64, "encoding": "base64" }),
        _ => json!({ "text": "" }),
    };
    let type_of = |of: &Value| {
        let mut pairs = of["headers"].as_array().into_iter().flatten();
        let found =
            pairs.find(|pair| pair[0].as_str().is_some_and(|name| name.eq_ignore_ascii_case("content-type")));
        found.map_or(json!(""), |pair| pair[1].clone())
    };
    let slug = event["source"].as_str().unwrap_or_default();
    let target = event["path"].as_str().unwrap_or_default();
    let base = caller.source(state, slug).map(|source| (state.public_url)(&source.slug)).unwrap_or_default();
    let url = format!("{base}{}", target.strip_prefix(&format!("/h/{slug}")).unwrap_or(target));
    let (_, query) = target.split_once('?').unwrap_or((target, ""));
    let query: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    let mut sent = text(&event["body"]);
    sent["mimeType"] = type_of(event);
    let answer = &event["answer"];
    let mut content = text(&answer["body"]);
    content["mimeType"] = type_of(answer);
    content["size"] = event["answer_bytes"].clone();
    let (head, app, total) = (ms("head_us"), ms("app_us"), ms("total_us"));
    json!({
        "startedDateTime": event["received_at"],
        "time": total,
        "request": {
            "method": event["method"], "url": url, "httpVersion": "HTTP/1.1", "cookies": [],
            "headers": fields(event), "queryString": query, "postData": sent,
            "headersSize": -1, "bodySize": event["body_bytes"],
        },
        "response": {
            "status": answer["status"], "statusText": "", "httpVersion": "HTTP/1.1", "cookies": [],
            "headers": fields(answer), "content": content, "redirectURL": "",
            "headersSize": -1, "bodySize": event["answer_bytes"],
        },
        "cache": {},
        "timings": { "send": (head - app).max(0.0), "wait": app, "receive": (total - head).max(0.0) },
        "comment": event["id"],
    })
}
