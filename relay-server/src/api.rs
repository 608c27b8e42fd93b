//! The API: the same routes on the admin listener (`Authorization: Bearer`) and through the tunnel ([`Identity`]).
//!
//! JSON in and out. Every refusal is `{"error": {"code", "message", "doc"}}` with a stable code. Who may do what is
//! decided in `identity`, what a request may look like in `input`; each noun has a file, each route a line below.

mod agents;
mod error;
mod events;
mod health;
mod hosts;
mod identity;
mod input;
mod moment;
mod sources;
mod stream;
mod tokens;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{delete, get};
use http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use protocol::id::Slug;

pub use self::agents::AgentView;
pub use self::hosts::on_admin_listener;
pub use self::identity::Identity;
use crate::activity::Activity;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::model::{ProjectId, TokenId};
use crate::store::Store;

/// Largest request body. Rules and tokens are small; this is what a mistake may cost.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What the routes need of the house.
#[derive(Clone)]
pub struct ApiState {
    /// Everything remembered.
    pub store: Store,
    /// Everything counted.
    pub metrics: Arc<Metrics>,
    /// Events as they happen.
    pub activity: Activity,
    /// Wall clock.
    pub clock: Clock,
    /// Agents connected for a project.
    pub agents: Arc<dyn Fn(ProjectId) -> Vec<AgentView> + Send + Sync>,
    /// Ends the sessions of a token just revoked.
    pub revoked: Arc<dyn Fn(TokenId) + Send + Sync>,
    /// Public URL of a source.
    pub public_url: Arc<dyn Fn(&Slug) -> String + Send + Sync>,
    /// Whether webhooks are taken: false before the start is over, and from the drain on.
    pub ready: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Every route there is.
pub fn router(state: ApiState) -> Router {
    let v1 = Router::new()
        .route("/whoami", get(tokens::whoami))
        .route("/sources", get(sources::list).post(sources::create))
        .route("/sources/{slug}", get(sources::show).patch(sources::change).delete(sources::delete))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{id}", delete(tokens::revoke))
        .route("/events", get(events::list))
        .route("/events/stream", get(stream::follow))
        .route("/events/{id}", get(events::show))
        .route("/events/{id}/body", get(events::body))
        .route("/agents", get(agents::list));
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .nest("/api/v1", v1)
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(map_response(keep_private))
        .with_state(state)
}

/// No answer belongs into a cache, and none is to be taken for something it does not say it is.
async fn keep_private(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
