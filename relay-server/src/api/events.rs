//! Events: pages of them, one in full, and the bytes of one's body.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use protocol::field::HeaderBlock;
use protocol::id::EventId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::body::{self, BodyView};
use super::deliveries::{self, Answers, DetailedDelivery};
use super::error::ApiError;
use super::identity::Caller;
use super::input::{Body, Params};
use super::{ApiState, moment};
use crate::model::{DeliveryState, SourceId, Times};
use crate::search;
use crate::store::{
    Beside, EVENTS_MAX, EventDetail, EventFilter, EventPage, EventSummary, MarkChange, Marked, Only,
    OutcomeKind, PINNED_MAX, StoreError,
};

/// Events of a page when nothing is asked for.
const EVENTS_DEFAULT: usize = 50;

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
    /// The provider's name for it, such as `pull_request.opened`.
    name: Option<&'a str>,
    /// What came of checking its signature; null: nobody asked for it.
    signature: Option<&'a str>,
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
        name: event.name.as_deref(),
        signature: event.signature.as_deref(),
        agent: event.agent.map(|agent| agent.to_string()),
        body_bytes: event.request_bytes,
        answer_bytes: event.answer_bytes,
        times: event.times,
    }
}

/// One event in a list, with what its owner noted and what became of its deliveries.
#[derive(Serialize)]
pub(super) struct ListedView<'a> {
    #[serde(flatten)]
    event: EventView<'a>,
    #[serde(flatten)]
    beside: BesideView,
}

#[derive(Serialize)]
struct BesideView {
    pinned: bool,
    note: Option<String>,
    /// The state of the delivery that asks for most attention.
    late: Option<DeliveryState>,
}

impl From<Beside> for BesideView {
    fn from(Beside { is_pinned, note, late }: Beside) -> Self {
        Self { pinned: is_pinned, note, late }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    source: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
    /// What people type: see [`crate::search`].
    q: Option<String>,
    #[serde(flatten)]
    only: Wanted,
}

/// What events have to be, as a query or a body says it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    method: Option<String>,
    outcome: Option<OutcomeKind>,
    /// `500`, or `5xx`.
    #[serde(default, deserialize_with = "number_or_text")]
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

/// In a query everything is text; in a body a status may be a number.
fn number_or_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u16),
        Text(String),
    }
    Ok(Option::<Either>::deserialize(from)?.map(|either| match either {
        Either::Number(number) => number.to_string(),
        Either::Text(text) => text,
    }))
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
    let only = page.only.only()?;
    let found = match &page.q {
        Some(text) => find_all(&state, &caller, sources, before, limit, (text, &only)).await?,
        None => {
            let filter = EventFilter { project: caller.project(), sources, before, limit, only };
            state.store.events(filter).await?
        }
    };
    let next = found.next.map(|next| next.to_string());
    let listed = listed(&state, &caller, &found.events).await?;
    Ok(Json(json!({ "events": listed, "next": next })))
}

/// The events a search means.
pub(super) async fn find_all(
    state: &ApiState,
    caller: &Caller,
    sources: Option<Vec<SourceId>>,
    before: Option<EventId>,
    limit: usize,
    (text, only): (&str, &Only),
) -> Result<EventPage, ApiError> {
    let search = search::parse(text, state.clock.now_ms())
        .map_err(|mistake| ApiError::malformed(format!("q: {mistake}")))?;
    let search = search.narrowed(only);
    if search.takes_all() {
        let (since_ms, until_ms) = search.between();
        let only = Only { since_ms, until_ms, ..Only::default() };
        let filter = EventFilter { project: caller.project(), sources, before, limit, only };
        return Ok(state.store.events(filter).await?);
    }
    let _turn = timeout(SEARCH_TURN, state.searching.lock()).await.map_err(|_| StoreError::Busy)?;
    Ok(state.store.search(caller.project(), sources, before, limit, search).await?)
}

/// Events with what stands beside them.
async fn listed<'e>(
    state: &ApiState,
    caller: &Caller,
    events: &'e [EventSummary],
) -> Result<Vec<ListedView<'e>>, ApiError> {
    let mut beside = state.store.beside(events.iter().map(|event| event.id).collect()).await?;
    let visible = events.iter().filter_map(|event| {
        let source = caller.name_of(state, event.source)?;
        Some(ListedView {
            event: view(event, source),
            beside: beside.remove(&event.id).unwrap_or_default().into(),
        })
    });
    Ok(visible.collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    pinned: Option<bool>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "said")]
    note: Option<Option<String>>,
}

/// Tells a null from what is not there.
fn said<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

/// Longest note, in bytes.
const NOTE_BYTES_MAX: usize = 2_000;

/// `PATCH /events/{id}`: pins it (retention keeps it then), or notes something about it.
pub(super) async fn mark(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    Body(mark): Body<Mark>,
) -> Result<Response, ApiError> {
    let (event, source) = find(&state, &caller, &id).await?;
    caller.must_manage(&source)?;
    let note = mark.note.map(|note| note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty()));
    if note.as_ref().and_then(Option::as_ref).is_some_and(|note| note.len() > NOTE_BYTES_MAX) {
        return Err(ApiError::malformed("note: at most 2000 bytes"));
    }
    let change = MarkChange { is_pinned: mark.pinned, note };
    if state.store.mark(caller.project(), event.summary.id, change).await? == Marked::TooManyPinned {
        let message =
            format!("at most {PINNED_MAX} events of 256 MiB together may be pinned: unpin some first");
        return Err(ApiError::new(StatusCode::CONFLICT, "too_many_pinned", message));
    }
    let marked = [event.summary];
    let listed = listed(&state, &caller, &marked).await?;
    Ok(Json(listed.into_iter().next().ok_or_else(ApiError::no_such_event)?).into_response())
}

/// The event with that id, and its source's name, if it is the caller's to look at.
pub(super) async fn find(
    state: &ApiState,
    caller: &Caller,
    id: &str,
) -> Result<(EventDetail, String), ApiError> {
    let id = id.parse::<EventId>().map_err(|_| ApiError::no_such_event())?;
    let event = state.store.event(caller.project(), id).await?.ok_or_else(ApiError::no_such_event)?;
    let source = caller.name_of(state, event.summary.source).ok_or_else(ApiError::no_such_event)?;
    Ok((event, source))
}

#[derive(Serialize)]
struct DetailView<'a> {
    #[serde(flatten)]
    summary: EventView<'a>,
    #[serde(flatten)]
    beside: BesideView,
    seq: Option<u64>,
    related: Option<String>,
    sender_id: Option<String>,
    signature_text: Option<String>,
    /// The provider it looks to be from, where its source has none.
    recognised: Option<&'static str>,
    headers: Vec<[String; 2]>,
    exact: Option<ExactView>,
    body: BodyView<'a>,
    answer: AnswerView<'a>,
    deliveries: Vec<DetailedDelivery<'a>>,
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

/// How long a search waits for those before it.
const SEARCH_TURN: Duration = Duration::from_secs(5);

/// Largest body that is read to find out who sent it: two dozen looks through it.
const RECOGNISED_BYTES_MAX: usize = 64 * 1024;

/// Whose webhook it looks to be, for the owner of a source that has no provider yet.
fn recognised(state: &ApiState, slug: &str, event: &EventDetail) -> Option<&'static str> {
    state.store.source(slug).filter(|source| source.rules.provider.is_none())?;
    let url = std::str::from_utf8(&event.summary.target).ok()?;
    let is_read = !event.body.is_truncated() && event.body.bytes.len() <= RECOGNISED_BYTES_MAX;
    let body = if is_read { &event.body.bytes } else { &[][..] };
    let request = provider::Request { method: &event.summary.method, url, headers: &event.headers, body };
    provider::recognise(&request).map(|provider| provider.name)
}

#[derive(Serialize)]
struct AnswerView<'a> {
    status: u16,
    headers: Vec<[String; 2]>,
    body: BodyView<'a>,
}

/// Header fields as pairs of name and value.
pub(super) fn fields(block: &HeaderBlock) -> Vec<[String; 2]> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    block.iter().map(|(name, value)| [text(name), text(value)]).collect()
}

/// `GET /events/{id}`: everything that was kept, and what became of its deliveries; the answers they got are shown with
/// each of them.
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let id = id.parse::<EventId>().map_err(|_| ApiError::no_such_event())?;
    shown(&state, &caller, id).await.map(Json)
}

/// An event as [`show`] tells it.
pub(super) async fn shown(state: &ApiState, caller: &Caller, id: EventId) -> Result<Value, ApiError> {
    let (event, source) = find(state, caller, &id.to_string()).await?;
    let made = state.store.deliveries_of(event.summary.id).await?;
    let names = deliveries::Names::of(state, made.iter().map(|(delivery, _)| delivery)).await?;
    let start = body::start(state, event.summary.id, &event.body).await?;
    let mut beside = state.store.beside(vec![event.summary.id]).await?;
    let shown = DetailView {
        beside: beside.remove(&event.summary.id).unwrap_or_default().into(),
        seq: event.summary.seq,
        related: event.summary.related.map(|related| related.to_string()),
        sender_id: event.summary.sender_id.clone(),
        signature_text: event.summary.signature_text.clone(),
        recognised: recognised(state, &source, &event),
        headers: fields(&event.headers),
        exact: exact(&event),
        body: start.view(),
        answer: AnswerView {
            status: event.answer.status,
            headers: fields(&event.answer.headers),
            body: body::view(&event.answer.body),
        },
        deliveries: made
            .iter()
            .map(|(delivery, attempts)| names.detailed(delivery, source.clone(), attempts, Answers::Left))
            .collect(),
        summary: view(&event.summary, source),
    };
    serde_json::to_value(shown).map_err(|_| ApiError::no_such_event())
}

/// `GET /events/{id}/body`: the request's body, byte for byte, as a download: it is a stranger's, and no page of ours.
pub(super) async fn body(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (event, _) = find(&state, &caller, &id).await?;
    body::download(&state, event.summary.id, event.body).await
}
