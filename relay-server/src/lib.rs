//! Accepts webhooks at stable URLs and forwards them through a QUIC tunnel to agents behind NAT.
//!
//! The program `relay-server` is built from this crate; tests run the same [`Server`] in their own process.
//!
//! - [`ingress`]: the public listener and its gate
//! - [`delivery`]: from an event to an agent or a URL, at once or later
//! - [`tunnel`]: agents, their sessions, and who serves what
//! - [`store`]: sources, tokens and recorded events
//! - [`jq`]: expressions of destinations, run in processes of their own
//! - [`api`], [`admin`]: what people and agents ask
//! - [`serve`]: the parts put together, and their end

pub mod activity;
pub mod admin;
pub mod allowance;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod entropy;
pub mod ingress;
pub mod inspector;
pub mod jq;
pub mod metrics;
pub mod model;
pub mod pulse;
pub mod refusal;
pub mod search;
pub mod sender;
pub mod serve;
pub mod signing;
pub mod smee;
pub mod store;
pub mod tunnel;

pub use config::Config;
pub use serve::Server;
