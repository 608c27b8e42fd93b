//! Connects to a relay-server from behind NAT and forwards webhooks to a local application.
//!
//! The `relay-agent` program is built from this crate; a test suite can embed an agent the same way:
//!
//! ```no_run
//! # async fn example(server: relay_agent::Server, id: protocol::id::AgentId) -> Result<(), Box<dyn std::error::Error>> {
//! use relay_agent::{Agent, AgentEvent, Route, Settings};
//!
//! let route = Route::new("github".parse()?, "http://localhost:3000/hooks".parse()?);
//! let settings = Settings::new(server, id).with_route(route);
//! let (agent, mut events) = Agent::start(settings);
//! while let Some(event) = events.recv().await {
//!     if let AgentEvent::Served { result: Ok(url), .. } = event {
//!         println!("webhooks to {url} arrive at localhost:3000");
//!         break;
//!     }
//! }
//! agent.drain().await;
//! # Ok(()) }
//! ```
//!
//! - [`Agent`]: a running agent; stays connected until drained
//! - [`Settings`], [`Route`], [`Target`]: what it is started with
//! - [`AgentEvent`]: what it tells as it happens
//! - [`forward`]: from a request head to the app and back
//! - [`LocalSender`]: the same for requests that are kept here; [`fixture`]: how they are kept

pub mod agent;
pub mod clock;
pub mod entropy;
pub mod event;
pub mod fixture;
pub mod forward;
pub mod inspector;
pub mod settings;
pub mod target;
mod tunnel;

pub use agent::{Agent, ApiCaller, ApiError, ApiLines, ApiResponse};
pub use event::{AgentEvent, Answered, Arrived, EndReason, LinkState};
pub use forward::local::{LocalAnswer, LocalFailure, LocalFailureKind, LocalRequest, LocalSender};
pub use link::Pin;
pub use settings::{Backlog, HostField, Route, Server, Settings, Token};
pub use target::{Target, TargetError};
