//! Is it alive, does it take webhooks, what does it count. Without a token: probes and scrapers have none, and the
//! admin listener is on loopback unless configured otherwise. Not through the tunnel: the numbers are of all projects.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{StatusCode, Uri};

use super::error::no_such_route;
use super::{ApiState, Identity};
use crate::metrics::CONTENT_TYPE as OPENMETRICS;
use crate::store::Health;

/// `GET /healthz`: 200 while the process runs its tasks and can trust its disk.
pub(super) async fn alive(State(state): State<ApiState>) -> (StatusCode, &'static str) {
    match state.store.health() {
        Health::Ok | Health::Full => (StatusCode::OK, "ok\n"),
        Health::Poisoned(_) => (StatusCode::SERVICE_UNAVAILABLE, "the disk failed\n"),
    }
}

/// `GET /readyz`: 200 while webhooks are taken.
pub(super) async fn ready(State(state): State<ApiState>) -> (StatusCode, &'static str) {
    match ((state.ready)(), state.store.health()) {
        (true, Health::Ok | Health::Full) => (StatusCode::OK, "ready\n"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "starting or draining\n"),
        (_, Health::Poisoned(_)) => (StatusCode::SERVICE_UNAVAILABLE, "the disk failed\n"),
    }
}

/// `GET /metrics`: OpenMetrics text.
pub(super) async fn metrics(
    State(state): State<ApiState>,
    through_tunnel: Option<Extension<Identity>>,
    uri: Uri,
) -> Response {
    if through_tunnel.is_some() {
        return no_such_route(uri).await.into_response();
    }
    state.metrics.note_store(state.store.record_counts(), &state.store.health());
    ([(CONTENT_TYPE, OPENMETRICS)], state.metrics.render()).into_response()
}
