//! What waits for a destination: how much, and letting it go.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ApiState;
use super::destinations;
use super::error::ApiError;
use super::identity::Caller;
use super::input::Body;
use crate::model::DestinationId;
use crate::store::{CANCEL_STEP, DeliveryKey, StoreError};

/// How far waiting deliveries are counted: 20 ms of a reader's time.
const COUNTED_MAX: u32 = 100_000;

/// `GET /sources/{slug}/destinations/{name}/backlog`: how many deliveries wait or are under way.
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path((slug, name)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let source = caller.source(&state, &slug)?;
    let destination = destinations::find(&source, &name)?;
    let waiting = state.store.waiting(destination.id, COUNTED_MAX + 1).await?;
    let is_more = waiting > u64::from(COUNTED_MAX);
    Ok(Json(json!({ "waiting": waiting.min(u64::from(COUNTED_MAX)), "is_more": is_more })))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Keep {
    All,
    Latest,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    keep: Keep,
}

/// `POST /sources/{slug}/destinations/{name}/backlog`: cancels what waits, all of it or all but the newest. What is
/// under way is left alone. `all` cancels nothing: agents that left it waiting take it.
pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    Path((slug, name)): Path<(String, String)>,
    Body(wish): Body<Wish>,
) -> Result<Json<Value>, ApiError> {
    let source = caller.managed(&state, &slug)?;
    let destination = destinations::find(&source, &name)?;
    let cancelled = match wish.keep {
        Keep::All => {
            (state.released)(destination.id);
            0
        }
        Keep::Latest => match state.store.newest_waiting(destination.id).await? {
            Some(newest) => cancel(&state, destination.id, Some(newest)).await?,
            None => 0,
        },
        Keep::None => cancel(&state, destination.id, None).await?,
    };
    Ok(Json(json!({ "cancelled": cancelled })))
}

/// Cancels what waits for a destination but `keep`, step by step, and says how much that was.
async fn cancel(
    state: &ApiState,
    destination: DestinationId,
    keep: Option<DeliveryKey>,
) -> Result<usize, StoreError> {
    let mut cancelled = 0;
    loop {
        let step = state.store.cancel_waiting(destination, keep, "skipped_by_agent").await?;
        cancelled += step;
        // A full step may not be the last. What arrives meanwhile is not waited for.
        if step < CANCEL_STEP {
            return Ok(cancelled);
        }
    }
}

/// Cancels what waits for a destination that was deleted. What cannot be cancelled now is left to the dispatcher.
pub(super) async fn cancel_deleted(state: &ApiState, destination: DestinationId) {
    loop {
        match state.store.cancel_deleted(destination).await {
            Ok(CANCEL_STEP) => {}
            Ok(_) => break,
            Err(error) => {
                tracing::warn!(%error, "deliveries to a deleted destination could not be cancelled yet");
                break;
            }
        }
    }
    // Finds what was under way.
    state.store.arrivals().add(destination);
}
