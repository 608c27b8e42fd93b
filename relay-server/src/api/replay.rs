//! Replaying one event or one delivery: a new delivery of what was kept, or of an edited copy.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use protocol::id::EventId;
use serde_json::{Value, json};

use super::edit::Wish;
use super::error::ApiError;
use super::identity::Caller;
use super::input::Body;
use super::{ApiState, deliveries, destinations, entrusted, events, rules};
use crate::model::{DeliveryId, DestinationId, EventRecord, SourceId};
use crate::store::{NewDelivery, Replayed, Start};

/// Largest body of a wish: one of 1 MiB as base64, or as text with some of it escaped.
pub(super) const WISH_BYTES_MAX: usize = 2 * 1024 * 1024;

type Made = (StatusCode, Json<Value>);

fn made(delivery: DeliveryId) -> Made {
    let event = delivery.event.to_string();
    (StatusCode::CREATED, Json(json!({ "event": event, "delivery": delivery.to_string() })))
}

/// `POST /events/{id}/replay`: a new delivery of an event, or of an edited copy of it, which is an event of its own.
pub(super) async fn event(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    Body(wish): Body<Wish>,
) -> Result<Made, ApiError> {
    if wish.is_as_it_was() {
        let (event, source) = events::find(&state, &caller, &id).await?;
        caller.must_manage(&source)?;
        let destination = destination(&state, &source, event.summary.source, wish.destination.as_deref())?;
        return again(&state, event.summary.id, destination).await;
    }
    edit(&state, &caller, &id, wish, None).await?.take_in(&state).await.map(made)
}

/// An edited copy of an event, checked, and in nobody's hands yet.
pub(super) struct Edited {
    original: EventId,
    record: Box<EventRecord>,
    destination: DestinationId,
}

/// An edited copy of an event: for the destination the wish names, or else for `otherwise`, or else for the primary.
pub(super) async fn edit(
    state: &ApiState,
    caller: &Caller,
    id: &str,
    wish: Wish,
    otherwise: Option<DestinationId>,
) -> Result<Edited, ApiError> {
    let (event, source) = events::find(state, caller, id).await?;
    caller.must_manage(&source)?;
    let destination = match (otherwise, &wish.destination) {
        (Some(destination), None) => destination,
        (_, name) => destination(state, &source, event.summary.source, name.as_deref())?,
    };
    let original = event.summary.id;
    let record = wish.apply(event, state.store.next_event_id())?;
    Ok(Edited { original, record, destination })
}

impl Edited {
    /// Keeps the copy, with a delivery of it.
    pub(super) async fn take_in(self, state: &ApiState) -> Result<DeliveryId, ApiError> {
        let copy = self.record.id;
        if self.record.body.is_in_file {
            entrusted::share_body(state, self.original, copy).await?;
        }
        let delivery = NewDelivery { destination: self.destination, start: Start::Replay };
        entrusted::take_in(state, self.record, vec![delivery]).await?;
        Ok(DeliveryId { event: copy, no: 1 })
    }
}

/// `POST /deliveries/{id}/replay`: a new delivery of its event to the same destination.
pub(super) async fn delivery(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Made, ApiError> {
    let (delivery, source) = deliveries::find(&state, &caller, &id).await?;
    caller.must_manage(&source)?;
    again(&state, delivery.id.event, delivery.destination).await
}

/// The live destination of that name, or else the primary. A source of the same name that was made later is another.
fn destination(
    state: &ApiState,
    slug: &str,
    source: SourceId,
    name: Option<&str>,
) -> Result<DestinationId, ApiError> {
    let live = state.store.source(slug).filter(|live| live.id == source);
    let live = live.ok_or_else(ApiError::no_such_destination)?;
    let found = match name {
        Some(name) => Some(destinations::find(&live, name)?),
        None => rules::primary(&live),
    };
    found.map(|destination| destination.id).ok_or_else(ApiError::no_such_destination)
}

async fn again(state: &ApiState, event: EventId, destination: DestinationId) -> Result<Made, ApiError> {
    let replayed = state.store.replay(vec![(event, destination)]).await?;
    match replayed.first() {
        Some(Replayed::Made(delivery)) => Ok(made(*delivery)),
        Some(Replayed::Truncated(_)) => Err(ApiError::truncated()),
        Some(Replayed::NoDestination(_)) => Err(ApiError::no_such_destination()),
        Some(Replayed::Gone(_)) | None => Err(ApiError::no_such_event()),
    }
}
