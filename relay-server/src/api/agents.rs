//! Agents connected now.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};

use super::ApiState;
use super::error::ApiError;
use super::identity::Caller;

/// One connected agent.
#[derive(Debug, Clone, Serialize)]
pub struct AgentView {
    /// Which agent, `agt_…`.
    pub agent: String,
    /// Which life of it, `ins_…`.
    pub instance: String,
    /// Which connection of that, `ses_…`.
    pub session: String,
    /// Host name it told.
    pub host: String,
    /// Program and version it told.
    pub program: String,
    /// Address it comes from.
    pub remote: String,
    /// Since when, in unix milliseconds.
    pub connected_ms: u64,
    /// Round trip, in microseconds.
    pub rtt_us: u64,
    /// Requests on their way to it.
    pub in_flight: u32,
    /// What carries the tunnel.
    pub transport: &'static str,
    /// What it serves, as `source/destination`.
    pub serves: Vec<String>,
}

/// `GET /agents`. An agent whose token is bound to some sources sees who else serves those, and only that of them.
pub(super) async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Json<Value>, ApiError> {
    let mut agents = (state.agents)(caller.project());
    if caller.must_see_all().is_err() {
        for agent in &mut agents {
            agent.serves.retain(|serve| caller.may_see(serve.split('/').next().unwrap_or_default()));
        }
        agents.retain(|agent| !agent.serves.is_empty());
    }
    Ok(Json(json!({ "agents": agents })))
}
