//! What an agent needs to know: which server, as whom, and which source goes to which local target.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use link::Pin;
use protocol::control::Sharing;
use protocol::id::{AgentId, DestinationName, Slug};

use crate::target::Target;

/// A bearer token. Shows nothing of itself in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token from its text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that sends it (and the one that keeps it).
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A join line taken apart: `relay://TOKEN@HOST:PORT#sha256:PIN`. Without a pin the server must have a certificate
/// of a public authority for HOST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Host name or address.
    pub host: String,
    /// UDP port of the tunnel.
    pub port: u16,
    /// The server's pinned key.
    pub pin: Option<Pin>,
    /// The token.
    pub token: Token,
}

/// What the app sees as `Host`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HostField {
    /// The target's own host and port (dev servers refuse strangers).
    #[default]
    Target,
    /// What the sender wrote.
    Preserve,
    /// This text.
    Fixed(String),
}

/// What to do with deliveries that wait for a route when the agent comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backlog {
    /// Take them, oldest first.
    #[default]
    All,
    /// Leave them waiting until [`crate::Agent::release_backlog`]. Live events pass meanwhile; what is stored meanwhile
    /// waits with the rest.
    Hold,
}

/// One source and where its events go on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The source.
    pub source: Slug,
    /// The destination within it.
    pub destination: DestinationName,
    /// Where to forward to. Nothing the server says can change it.
    pub target: Target,
    /// See [`HostField`].
    pub host: HostField,
    /// Make the source if there is none of that name.
    pub create: bool,
    /// How to share the destination with other agents, if it is made now.
    pub sharing: Sharing,
    /// Allow protocol upgrades (WebSocket), if the source is made now.
    pub upgrade: bool,
    /// How long the app may take until its response head. Default 60 s.
    pub answer_timeout: Duration,
    /// See [`Backlog`].
    pub backlog: Backlog,
}

/// Default of [`Route::answer_timeout`].
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

impl Route {
    /// A route with every default: the source is made when missing and pooled, `Host` is the target's.
    #[must_use]
    pub fn new(source: Slug, target: Target) -> Self {
        Self {
            source,
            destination: DestinationName::default(),
            target,
            host: HostField::default(),
            create: true,
            sharing: Sharing::default(),
            upgrade: false,
            answer_timeout: ANSWER_TIMEOUT,
            backlog: Backlog::default(),
        }
    }
}

/// Everything an [`crate::Agent`] is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which server, and the token for it.
    pub server: Server,
    /// This machine's lasting identity.
    pub agent: AgentId,
    /// Host name, for people.
    pub host_name: String,
    /// What to serve. May be empty: an agent that only makes API calls.
    pub routes: Vec<Route>,
    /// Most requests forwarded at once. Default 256.
    pub in_flight_max: u32,
    /// Extra certificate authority (PEM) for `https://` targets.
    pub target_ca: Option<PathBuf>,
}

/// Default of [`Settings::in_flight_max`]: what the server allows an agent.
pub const IN_FLIGHT_MAX: u32 = 256;

impl Settings {
    /// Settings with every default and no route yet.
    #[must_use]
    pub fn new(server: Server, agent: AgentId) -> Self {
        Self {
            server,
            agent,
            host_name: String::new(),
            routes: Vec::new(),
            in_flight_max: IN_FLIGHT_MAX,
            target_ca: None,
        }
    }

    /// The same, with one more route.
    #[must_use]
    pub fn with_route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }
}
