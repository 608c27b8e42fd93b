//! stand-in
use std::sync::Arc; use crate::model::*; use crate::store::Store; use crate::metrics::Metrics; use crate::activity::Activity; use crate::clock::Clock;
#[derive(Debug, Clone)] pub struct Identity(pub Token);
#[derive(Debug, Clone, serde::Serialize)] pub struct AgentView { pub agent: String, pub instance: String, pub session: String, pub host: String, pub program: String, pub remote: String, pub connected_ms: u64, pub rtt_us: u64, pub in_flight: u32, pub transport: &'static str, pub serves: Vec<String> }
#[derive(Clone)] pub struct ApiState { pub store: Store, pub metrics: Arc<Metrics>, pub activity: Activity, pub clock: Clock, pub agents: Arc<dyn Fn(ProjectId) -> Vec<AgentView> + Send + Sync>, pub revoked: Arc<dyn Fn(TokenId)+Send+Sync>, pub public_url: Arc<dyn Fn(&protocol::id::Slug)->String+Send+Sync>, pub ready: Arc<dyn Fn() -> bool + Send + Sync> }
pub fn router(_s: ApiState) -> axum::Router { axum::Router::new() }
pub fn on_admin_listener(r: axum::Router, _a: std::net::SocketAddr) -> axum::Router { r }
