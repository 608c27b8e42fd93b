//! The API: the same routes on the admin listener (`Authorization: Bearer`) and through the tunnel ([`Identity`]).
//!
//! JSON in and out. Every refusal is `{"error": {"code", "message", "doc"}}` with a stable code. Who may do what is
//! decided in `identity`, what a request may look like in `input`; each noun has a file, each route a line below.

mod agents;
mod backlog;
mod body;
mod bulk;
mod deliveries;
mod destinations;
mod edit;
mod entrusted;
mod error;
mod events;
mod export;
mod health;
mod hosts;
mod identity;
mod input;
mod ledger;
mod moment;
mod openapi;
mod overview;
mod providers;
mod publish;
mod replay;
mod rules;
mod secrets;
mod session;
mod sources;
mod stream;
mod tokens;
mod trigger;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};
use http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use protocol::id::Slug;
use tokio::sync::Mutex;

pub use self::agents::AgentView;
pub use self::hosts::on_admin_listener;
pub use self::identity::Identity;
pub use self::overview::Overviews;
pub use self::session::Sessions;
pub use self::stream::Tellers;
use crate::activity::Activity;
use crate::clock::Clock;
use crate::delivery::url::UrlSender;
use crate::inspector;
use crate::jq::Jq;
use crate::metrics::Metrics;
use crate::model::{DestinationId, ProjectId, TokenId};
use crate::pulse::Pulse;
use crate::sender::Senders;
use crate::signing::SigningKey;
use crate::store::Store;

/// Largest request body where a route says nothing else. Rules and tokens are small; this is what a mistake may cost.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Largest request body any route takes.
pub const CALL_BYTES_MAX: usize = replay::WISH_BYTES_MAX;

/// What the routes need of the house.
#[derive(Clone)]
pub struct ApiState {
    /// Everything remembered.
    pub store: Store,
    /// Everything counted.
    pub metrics: Arc<Metrics>,
    /// Events as they happen.
    pub activity: Activity,
    /// Those who write them out for streams.
    pub tellers: Tellers,
    /// Wall clock.
    pub clock: Clock,
    /// Compiles expressions of destinations.
    pub jq: Jq,
    /// Knows to which URLs nothing would ever be sent.
    pub urls: UrlSender,
    /// Makes the secrets of destinations.
    pub signing: SigningKey,
    /// Keeps the secrets of sources.
    pub senders: Senders,
    /// How each source does.
    pub pulse: Pulse,
    /// What was last told of that.
    pub overviews: Overviews,
    /// Who is signed in to the inspector.
    pub sessions: Sessions,
    /// Held while a file of events is made.
    pub exporting: Arc<Mutex<()>>,
    /// Held while events are searched for: one at a time, so that lists are not kept waiting.
    pub searching: Arc<Mutex<()>>,
    /// Held while rules are read, checked against each other and written back.
    pub changing: Arc<Mutex<()>>,
    /// Agents connected for a project.
    pub agents: Arc<dyn Fn(ProjectId) -> Vec<AgentView> + Send + Sync>,
    /// Ends the sessions of a token just revoked.
    pub revoked: Arc<dyn Fn(TokenId) + Send + Sync>,
    /// Has the agents of a destination take what they were told to leave waiting.
    pub released: Arc<dyn Fn(DestinationId) + Send + Sync>,
    /// Public URL of a source.
    pub public_url: Arc<dyn Fn(&Slug) -> String + Send + Sync>,
    /// Whether webhooks are taken: false before the start is over, and from the drain on.
    pub ready: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Every route below `/api/v1`. Also tells the tests what the document has to speak of.
#[rustfmt::skip]
fn v1() -> Vec<(&'static str, MethodRouter<ApiState>)> {
    let up_to = DefaultBodyLimit::max;
    vec![
        ("/openapi.json", get(openapi::show)),
        ("/whoami", get(tokens::whoami)),
        ("/sources", get(sources::list).post(sources::create)),
        ("/sources/{slug}", get(sources::show).patch(sources::change).delete(sources::delete)),
        ("/sources/{slug}/publish", post(publish::publish).layer(up_to(publish::CALL_BYTES_MAX))),
        ("/sources/{slug}/trigger", post(trigger::trigger).layer(up_to(trigger::CALL_BYTES_MAX))),
        ("/sources/{slug}/test", post(trigger::test)),
        ("/sources/{slug}/secrets", get(secrets::list).post(secrets::create)),
        ("/sources/{slug}/secrets/{id}", delete(secrets::delete)),
        ("/sources/{slug}/pair", post(secrets::pair)),
        ("/sources/{slug}/ledger", get(ledger::show)),
        ("/sources/{slug}/destinations", get(destinations::list).post(destinations::create)),
        ("/sources/{slug}/destinations/{name}",
            get(destinations::show).patch(destinations::change).delete(destinations::delete)),
        ("/sources/{slug}/destinations/{name}/backlog", get(backlog::show).post(backlog::change)),
        ("/sources/{slug}/destinations/{name}/secret", get(destinations::secret)),
        ("/tokens", get(tokens::list).post(tokens::create)),
        ("/tokens/{id}", delete(tokens::revoke)),
        ("/events", get(events::list)),
        ("/events/stream", get(stream::follow)),
        ("/events/export", get(export::export)),
        ("/events/{id}", get(events::show).patch(events::mark)),
        ("/events/{id}/body", get(events::body)),
        ("/events/{id}/replay", post(replay::event).layer(up_to(replay::WISH_BYTES_MAX))),
        ("/deliveries", get(deliveries::list)),
        ("/deliveries/{id}", get(deliveries::show)),
        ("/deliveries/{id}/cancel", post(deliveries::cancel)),
        ("/deliveries/{id}/release", post(deliveries::release).layer(up_to(replay::WISH_BYTES_MAX))),
        ("/deliveries/{id}/replay", post(replay::delivery)),
        ("/replay", post(bulk::replay)),
        ("/agents", get(agents::list)),
        ("/overview", get(overview::show)),
        ("/providers", get(providers::list)),
    ]
}

/// Every other route.
fn beside() -> Vec<(&'static str, MethodRouter<ApiState>)> {
    vec![
        ("/healthz", get(health::alive)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(health::metrics)),
        ("/api/v1/session", post(session::begin).delete(session::end)),
    ]
}

/// Every route there is.
pub fn router(state: ApiState) -> Router {
    let routed = |routes: Vec<_>| {
        routes.into_iter().fold(Router::new(), |router, (path, handlers)| router.route(path, handlers))
    };
    routed(beside())
        .nest("/api/v1", routed(v1()))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(map_response(keep_private))
        .with_state(state)
        .merge(inspector::router())
}

/// No answer belongs into a cache, and none is to be taken for something it does not say it is.
async fn keep_private(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
