//! Events: pages of them, one in full, and the bytes of one's body.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName};
use protocol::field::HeaderBlock;
use protocol::id::EventId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ApiError;
use super::identity::Caller;
use super::input::Params;
use super::{ApiState, moment};
use crate::model::{Captured, Times};
use crate::store::{EVENTS_MAX, EventDetail, EventFilter, EventSummary, Only, OutcomeKind};

/// Events of a page when nothing is asked for.
const EVENTS_DEFAULT: usize = 50;

/// Says on a body that it is not the whole one.
const TRUNCATED: HeaderName = HeaderName::from_static("relay-truncated");

/// One event in a list. Targets that are not UTF-8 are shown with replacement characters.
#[derive(Serialize)]
pub(super) struct EventView<'a> {
    id: String,
    source: String,
    received_at: String,
    remote: String,
    method: &'a str,
    path: std::borrow::Cow<'a, str>,
    status: u16,
    outcome: OutcomeKind,
    reason: Option<&'a str>,
    agent: Option<String>,
    body_bytes: u64,
    answer_bytes: u64,
    #[serde(flatten)]
    times: Times,
}

/// The event as a list shows it, to somebody who may know the name of its source.
pub(super) fn view(event: &EventSummary, source: String) -> EventView<'_> {
    EventView {
        id: event.id.to_string(),
        source,
        received_at: moment::text(event.id.unix_ms()),
        remote: event.remote.to_string(),
        method: &event.method,
        path: String::from_utf8_lossy(&event.target),
        status: event.status,
        outcome: event.outcome,
        reason: event.reason.as_deref(),
        agent: event.agent.map(|agent| agent.to_string()),
        body_bytes: event.request_bytes,
        answer_bytes: event.answer_bytes,
        times: event.times,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    source: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
    #[serde(flatten)]
    only: Wanted,
}

/// What events have to be, as a query or a body says it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    method: Option<String>,
    outcome: Option<OutcomeKind>,
    /// `500`, or `5xx`.
    status: Option<String>,
    /// RFC 3339.
    since: Option<String>,
    until: Option<String>,
}

impl Wanted {
    pub(super) fn only(&self) -> Result<Only, ApiError> {
        let time = |name, text: &Option<String>| -> Result<Option<u64>, ApiError> {
            let parsed = text.as_deref().map(str::parse::<jiff::Timestamp>).transpose();
            let parsed = parsed.map_err(|error| ApiError::malformed(format!("{name}: {error}")))?;
            Ok(parsed.map(|time| u64::try_from(time.as_millisecond()).unwrap_or_default()))
        };
        Ok(Only {
            method: self.method.clone(),
            outcome: self.outcome,
            status: self.status.as_deref().map(statuses).transpose()?,
            since_ms: time("since", &self.since)?,
            until_ms: time("until", &self.until)?,
        })
    }
}

/// `404` or `4xx` as a range.
fn statuses(text: &str) -> Result<(u16, u16), ApiError> {
    let class =
        text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok()).filter(|c| (1..=5).contains(c));
    let one = text.parse::<u16>().ok().filter(|status| (100..600).contains(status));
    match (class, one) {
        (Some(class), _) => Ok((class * 100, class * 100 + 99)),
        (None, Some(status)) => Ok((status, status)),
        (None, None) => {
            Err(ApiError::malformed("status: a number from 100 to 599, or a class such as `5xx`"))
        }
    }
}

/// `GET /events?source=&before=&limit=`: newest first, at most 200; `next` is the `before` of the page that follows.
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Json<Value>, ApiError> {
    let sources = match &page.source {
        Some(slug) => Some(vec![caller.source(&state, slug)?.id]),
        None => caller.sources(&state),
    };
    let before = page.before.as_deref().map(str::parse::<EventId>).transpose();
    let before = before.map_err(|error| ApiError::malformed(format!("before: {error}")))?;
    let limit = page.limit.unwrap_or(EVENTS_DEFAULT).min(EVENTS_MAX);
    if limit == 0 {
        return Err(ApiError::malformed("limit: at least 1"));
    }
    let filter = EventFilter { project: caller.project(), sources, before, limit, only: page.only.only()? };
    let found = state.store.events(filter).await?;
    let next = found.next.map(|next| next.to_string());
    let views =
        found.events.iter().filter_map(|event| Some(view(event, caller.name_of(&state, event.source)?)));
    Ok(Json(json!({ "events": views.collect::<Vec<_>>(), "next": next })))
}

/// The event with that id, and its source's name, if it is the caller's to look at.
async fn find(state: &ApiState, caller: &Caller, id: &str) -> Result<(EventDetail, String), ApiError> {
    let id = id.parse::<EventId>().map_err(|_| ApiError::no_such_event())?;
    let event = state.store.event(caller.project(), id).await?.ok_or_else(ApiError::no_such_event)?;
    let source = caller.name_of(state, event.summary.source).ok_or_else(ApiError::no_such_event)?;
    Ok((event, source))
}

#[derive(Serialize)]
struct DetailView<'a> {
    #[serde(flatten)]
    summary: EventView<'a>,
    headers: Vec<[String; 2]>,
    exact: Option<ExactView>,
    body: BodyView<'a>,
    answer: AnswerView<'a>,
}

/// The request's target and header fields as base64; only for an event whose text says less than was sent.
#[derive(Serialize)]
struct ExactView {
    path: String,
    headers: Vec<[String; 2]>,
}

fn exact(event: &EventDetail) -> Option<ExactView> {
    let is_text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    if is_text(&event.summary.target) && event.headers.iter().all(|(_, value)| is_text(value)) {
        return None;
    }
    let field =
        |(name, value): (&[u8], &[u8])| [String::from_utf8_lossy(name).into_owned(), STANDARD.encode(value)];
    Some(ExactView {
        path: STANDARD.encode(&event.summary.target),
        headers: event.headers.iter().map(field).collect(),
    })
}

#[derive(Serialize)]
struct AnswerView<'a> {
    status: u16,
    headers: Vec<[String; 2]>,
    body: BodyView<'a>,
}

/// A body as text where it is some, else as base64.
#[derive(Serialize)]
struct BodyView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    total_bytes: u64,
    truncated: bool,
}

fn body_view(body: &Captured) -> BodyView<'_> {
    let text = std::str::from_utf8(&body.bytes).ok();
    BodyView {
        text,
        base64: text.is_none().then(|| STANDARD.encode(&body.bytes)),
        total_bytes: body.total_bytes,
        truncated: body.is_truncated(),
    }
}

fn fields(block: &HeaderBlock) -> Vec<[String; 2]> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    block.iter().map(|(name, value)| [text(name), text(value)]).collect()
}

/// `GET /events/{id}`: everything that was kept.
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let (event, source) = find(&state, &caller, &id).await?;
    let shown = DetailView {
        summary: view(&event.summary, source),
        headers: fields(&event.headers),
        exact: exact(&event),
        body: body_view(&event.body),
        answer: AnswerView {
            status: event.answer.status,
            headers: fields(&event.answer.headers),
            body: body_view(&event.answer.body),
        },
    };
    Ok(Json(json!(shown)))
}

/// `GET /events/{id}/body`: the request's body, byte for byte, as a download: it is a stranger's, and no page of ours.
pub(super) async fn body(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (event, _) = find(&state, &caller, &id).await?;
    let is_truncated = if event.body.is_truncated() { "true" } else { "false" };
    let fields = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}.bin\"", event.summary.id)),
        (TRUNCATED, is_truncated.to_owned()),
    ];
    Ok((fields, event.body.bytes).into_response())
}
