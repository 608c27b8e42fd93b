//! Events that come through the API instead of from a sender: published ones, and edited copies. Taken in like any
//! other, on disk before anybody is told.

use std::io;

use http::StatusCode;
use protocol::id::EventId;

use super::ApiState;
use super::error::ApiError;
use crate::model::EventRecord;
use crate::store::{Acceptance, Accepted, FileTrouble, NewDelivery, StoreError};

/// Takes an event in, and says its number among those of its source.
pub(super) async fn take_in(
    state: &ApiState,
    record: Box<EventRecord>,
    deliveries: Vec<NewDelivery>,
) -> Result<u64, ApiError> {
    let (event, is_in_file) = (record.id, record.body.is_in_file);
    let summary = record.clone();
    let accepted = state.store.accept(Acceptance { record, deliveries, dedupe: None }).await;
    match accepted {
        Ok(Accepted::Stored { seq }) => {
            state.metrics.events_recorded.inc();
            state.metrics.events_accepted.inc();
            state.activity.publish(&summary);
            Ok(seq)
        }
        other => {
            if is_in_file && !other.as_ref().is_err_and(StoreError::may_be_done) {
                let files = state.store.body_files().clone();
                let _ = tokio::task::spawn_blocking(move || files.remove(event)).await;
            }
            match other {
                Err(error) => Err(error.into()),
                // Without a key nothing is a copy.
                Ok(_) => Err(ApiError::internal("an event was taken for a copy")),
            }
        }
    }
}

/// Gives the body of `from` that is in a file to the event `with`, which is not accepted yet.
pub(super) async fn share_body(state: &ApiState, from: EventId, with: EventId) -> Result<(), ApiError> {
    let files = state.store.body_files().clone();
    let shared = tokio::task::spawn_blocking(move || files.share(from, with)).await;
    let error = match shared {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(error) => io::Error::other(error),
    };
    if error.kind() == io::ErrorKind::NotFound {
        return Err(ApiError::no_such_event());
    }
    let (code, message) = match FileTrouble::of(&error) {
        FileTrouble::Full => ("disk_full", "the server's disk is full"),
        FileTrouble::Short => ("store_busy", "the server has too many files open; try again later"),
        FileTrouble::Broken => {
            state.store.poison(&error);
            ("store_closed", "the server is going down")
        }
    };
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message))
}
