//! Deliveries: pages of them, one with its attempts, and ending one that waits.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use protocol::id::{DestinationName, EventId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::{self, BodyView};
use super::edit::Wish;
use super::error::ApiError;
use super::events::fields;
use super::identity::Caller;
use super::input::{Body, Params};
use super::{ApiState, moment, replay};
use crate::model::{Delivery, DeliveryId, DeliveryState, DestinationId};
use crate::store::{Attempt, DELIVERIES_MAX, DeliveryFilter, DeliveryPage, Only, OutcomeKind, StoreError};

/// Deliveries of a page when nothing is asked for.
const DELIVERIES_DEFAULT: usize = 50;

/// One delivery in a list.
#[derive(Serialize)]
pub(super) struct DeliveryView<'a> {
    id: String,
    event: String,
    source: String,
    destination: &'a str,
    state: DeliveryState,
    is_replay: bool,
    attempts: u32,
    due_at: Option<String>,
    ended_at: Option<String>,
    reason: Option<&'a str>,
}

/// One delivery with its attempts in place of their count.
#[derive(Serialize)]
pub(super) struct DetailedDelivery<'a> {
    id: String,
    event: String,
    source: String,
    destination: &'a str,
    state: DeliveryState,
    is_replay: bool,
    /// How many were made: more than are shown where there were many.
    attempts_made: u32,
    attempts: Vec<AttemptView<'a>>,
    due_at: Option<String>,
    ended_at: Option<String>,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct AttemptView<'a> {
    no: u32,
    started_at: String,
    outcome: OutcomeKind,
    reason: Option<&'a str>,
    text: Option<&'a str>,
    agent: Option<String>,
    status: Option<u16>,
    /// Signed afresh, with the provider's scheme, for this attempt.
    is_resigned: bool,
    connect_us: u64,
    app_us: u64,
    total_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerView<'a>>,
}

#[derive(Serialize)]
struct AnswerView<'a> {
    headers: Vec<[String; 2]>,
    body: BodyView<'a>,
}

/// Whether attempts are shown with the answers they got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    Shown,
    /// With an event there are too many: up to a thousand attempts.
    Left,
}

fn attempt(attempt: &Attempt, answers: Answers) -> AttemptView<'_> {
    let answer =
        || AnswerView { headers: fields(&attempt.answer.headers), body: body::view(&attempt.answer.body) };
    AttemptView {
        no: attempt.no,
        started_at: moment::text(attempt.started_ms),
        outcome: attempt.outcome,
        reason: attempt.reason.as_deref(),
        text: attempt.text.as_deref(),
        agent: attempt.agent.map(|agent| agent.to_string()),
        status: attempt.status,
        is_resigned: attempt.is_resigned,
        connect_us: attempt.times.connect_us,
        app_us: attempt.times.app_us,
        total_us: attempt.times.total_us,
        answer: (answers == Answers::Shown).then(answer),
    }
}

/// Names of destinations, also of deleted ones.
pub(super) struct Names(HashMap<DestinationId, String>);

impl Names {
    /// The names these deliveries need.
    pub(super) async fn of(
        state: &ApiState,
        deliveries: impl Iterator<Item = &Delivery> + Send,
    ) -> Result<Self, StoreError> {
        let ids = deliveries.map(|delivery| delivery.destination).collect();
        state.store.destination_names(ids).await.map(Self)
    }

    fn name(&self, destination: DestinationId) -> &str {
        self.0.get(&destination).map_or("", String::as_str)
    }

    /// The delivery as a list shows it, to somebody who may know the name of its source.
    fn view<'a>(&'a self, delivery: &'a Delivery, source: String) -> DeliveryView<'a> {
        DeliveryView {
            id: delivery.id.to_string(),
            event: delivery.id.event.to_string(),
            source,
            destination: self.name(delivery.destination),
            state: delivery.state,
            is_replay: delivery.is_replay,
            attempts: delivery.attempts,
            due_at: delivery.due_ms.map(moment::text),
            ended_at: delivery.ended_ms.map(moment::text),
            reason: delivery.reason.as_deref(),
        }
    }

    /// The delivery with its attempts.
    pub(super) fn detailed<'a>(
        &'a self,
        delivery: &'a Delivery,
        source: String,
        attempts: &'a [Attempt],
        answers: Answers,
    ) -> DetailedDelivery<'a> {
        let DeliveryView {
            id,
            event,
            source,
            destination,
            state,
            is_replay,
            attempts: made,
            due_at,
            ended_at,
            reason,
        } = self.view(delivery, source);
        DetailedDelivery {
            id,
            event,
            source,
            destination,
            state,
            is_replay,
            attempts_made: made,
            attempts: attempts.iter().map(|one| attempt(one, answers)).collect(),
            due_at,
            ended_at,
            reason,
        }
    }
}

/// Text as the `before` of a page: a delivery's id, or an event's.
pub(super) fn before(text: &str) -> Result<DeliveryId, ApiError> {
    let event = text.parse::<EventId>().map(|event| DeliveryId { event, no: 0 });
    let either = event.ok().or_else(|| text.parse().ok());
    either.ok_or_else(|| ApiError::malformed("before: the id of an event, or of a delivery"))
}

/// Where a page ends, as the `before` of the next.
pub(super) fn cursor(at: DeliveryId) -> String {
    if at.no == 0 { at.event.to_string() } else { at.to_string() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    source: Option<String>,
    destination: Option<String>,
    state: Option<DeliveryState>,
    before: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    order: ListOrder,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ListOrder {
    #[default]
    Newest,
    Oldest,
}

/// `GET /deliveries?source=&destination=&state=&before=&limit=`: newest event first, at most 200. Without a state:
/// those that wait, are under way or dead.
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Json<Value>, ApiError> {
    let source = page.source.as_deref().map(|slug| caller.source(&state, slug)).transpose()?;
    let destination = match (&page.destination, &source) {
        (None, _) => None,
        (Some(_), None) => return Err(ApiError::malformed("destination: say `source` too")),
        (Some(name), Some(source)) => {
            let name = name.parse::<DestinationName>().map_err(|_| ApiError::no_such_destination())?;
            let found = state.store.destination_of_name(source.id, name).await?;
            Some(found.ok_or_else(ApiError::no_such_destination)?)
        }
    };
    let sources = match source {
        Some(source) => vec![source.id],
        None => caller.sources(&state).unwrap_or_else(|| state.store.owned_sources(caller.project())),
    };
    let limit = page.limit.unwrap_or(DELIVERIES_DEFAULT).min(DELIVERIES_MAX);
    if limit == 0 {
        return Err(ApiError::malformed("limit: at least 1"));
    }
    let before = page.before.as_deref().map(before).transpose()?;
    if page.order == ListOrder::Oldest {
        let is_waiting =
            page.state == Some(DeliveryState::Waiting) && destination.is_none() && before.is_none();
        let source = sources.first().copied().filter(|_| is_waiting && sources.len() == 1);
        let source = source.ok_or_else(|| {
            ApiError::malformed("order: `oldest` goes with `source` and `state=waiting`, and nothing else")
        })?;
        let deliveries = state.store.oldest_waiting(source, limit).await?;
        return views(&state, &caller, &DeliveryPage { deliveries, next: None }).await;
    }
    let filter =
        DeliveryFilter { sources, destination, state: page.state, only: Only::default(), before, limit };
    let found = state.store.deliveries(filter).await?;
    views(&state, &caller, &found).await
}

async fn views(state: &ApiState, caller: &Caller, found: &DeliveryPage) -> Result<Json<Value>, ApiError> {
    let names = Names::of(state, found.deliveries.iter()).await?;
    let visible = found.deliveries.iter().filter_map(|delivery| {
        let source = caller.name_of(state, delivery.source)?;
        Some(names.view(delivery, source))
    });
    let next = found.next.map(cursor);
    Ok(Json(json!({ "deliveries": visible.collect::<Vec<_>>(), "next": next })))
}

/// The delivery with that id, and its source's name, if it is the caller's to look at.
pub(super) async fn find(
    state: &ApiState,
    caller: &Caller,
    id: &str,
) -> Result<(Delivery, String), ApiError> {
    let id = id.parse::<DeliveryId>().map_err(|_| ApiError::no_such_delivery())?;
    let delivery = state.store.delivery(id).await?.ok_or_else(ApiError::no_such_delivery)?;
    let source = caller.name_of(state, delivery.source).ok_or_else(ApiError::no_such_delivery)?;
    Ok((delivery, source))
}

/// `GET /deliveries/{id}`: with its newest attempts, at most 100.
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (delivery, source) = find(&state, &caller, &id).await?;
    let attempts = state.store.attempts(delivery.id).await?;
    let names = Names::of(&state, std::iter::once(&delivery)).await?;
    Ok(Json(names.detailed(&delivery, source, &attempts, Answers::Shown)).into_response())
}

/// `POST /deliveries/{id}/cancel`: no further attempt is made. One under way goes on, and is recorded.
pub(super) async fn cancel(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let (delivery, source) = find(&state, &caller, &id).await?;
    caller.must_manage(&source)?;
    if !state.store.cancel(delivery.id, "cancelled_by_person").await? {
        let message = "the delivery has ended already; a replay makes a new one";
        return Err(ApiError::new(StatusCode::CONFLICT, "delivery_over", message));
    }
    let delivery = state.store.delivery(delivery.id).await?.ok_or_else(ApiError::no_such_delivery)?;
    let names = Names::of(&state, std::iter::once(&delivery)).await?;
    Ok(Json(json!({ "delivery": names.view(&delivery, source) })))
}

/// `POST /deliveries/{id}/release`: has one that waits go next, though its source is on hold; or, where something is said
/// otherwise, an edited copy of its event in its place.
pub(super) async fn release(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    Body(wish): Body<Wish>,
) -> Result<Json<Value>, ApiError> {
    let (delivery, source) = find(&state, &caller, &id).await?;
    caller.must_manage(&source)?;
    let over = || {
        let message = "the delivery does not wait any more; a replay makes a new one";
        ApiError::new(StatusCode::CONFLICT, "delivery_over", message)
    };
    if delivery.state != DeliveryState::Waiting {
        return Err(over());
    }
    if wish.is_as_it_was() && wish.destination.is_some() {
        return Err(ApiError::malformed(
            "destination: a delivery goes to its own; a replay may go to another",
        ));
    }
    if wish.is_as_it_was() {
        if !state.store.release(delivery.id).await? {
            return Err(over());
        }
        let event = delivery.id.event.to_string();
        return Ok(Json(json!({ "event": event, "delivery": delivery.id.to_string() })));
    }
    let edited =
        replay::edit(&state, &caller, &delivery.id.event.to_string(), wish, Some(delivery.destination))
            .await?;
    // Never both: the original is withdrawn before its copy is there.
    if !state.store.withdraw(delivery.id).await? {
        return Err(over());
    }
    let made = match edited.take_in(&state).await {
        Ok(made) => made,
        Err(error) => {
            state.store.put_back(delivery.id).await?;
            return Err(error);
        }
    };
    Ok(Json(json!({ "event": made.event.to_string(), "delivery": made.to_string() })))
}
