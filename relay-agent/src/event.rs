//! What an agent tells whoever started it, as it happens.

use std::time::Duration;

use protocol::control::ServeError;
use protocol::id::{DestinationName, EventId, SessionId, Slug};

/// State of the link to the server. Always said, never implied by silence.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkState {
    /// Dialling.
    Connecting {
        /// Tries since the link was last live, from 1.
        attempt: u32,
    },
    /// Connected and welcomed.
    Live {
        /// The session.
        session: SessionId,
        /// Round-trip time as QUIC measures it.
        rtt: Duration,
        /// The server's program version.
        server: String,
        /// Server's wall clock less ours, in milliseconds.
        clock_skew_ms: i64,
    },
    /// Not connected.
    Down {
        /// Why, in words for a person.
        reason: String,
        /// When the next try comes.
        next_try: Duration,
    },
    /// Over for good: trying again cannot help.
    Ended(EndReason),
}

/// Why an agent stopped for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// Asked to by its owner.
    #[error("stopped")]
    Stopped,
    /// The server refused the token, the scope or the version. The text is the server's.
    #[error("refused by the server: {0}")]
    Refused(String),
    /// The server showed another key than the pinned one, or a certificate that does not hold.
    #[error("the server could not prove who it is: {0}")]
    Identity(String),
    /// Another process took over this instance's place.
    #[error("taken over by another connection of this agent")]
    TakenOver,
    /// The token was revoked.
    #[error("the token was revoked")]
    Revoked,
}

/// One request on its way to the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The event.
    pub event: EventId,
    /// Number of the attempt.
    pub attempt: u32,
    /// Its source.
    pub source: Slug,
    /// Method.
    pub method: String,
    /// Path and query the app sees, as text (bytes that are not UTF-8 are escaped).
    pub path: String,
    /// Name the provider gives the event (`push`, `invoice.paid`), where a header says so.
    pub name: Option<String>,
    /// Declared body length; `None` when chunked.
    pub body_bytes: Option<u64>,
    /// Name of the provider it looks to be from, where the relay has not checked that it is.
    pub unchecked: Option<&'static str>,
}

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The event.
    pub event: EventId,
    /// Its source.
    pub source: Slug,
    /// Status of the app's answer, or why there was none.
    pub result: Result<u16, String>,
    /// The app's time until its response head; zero when it was not reached.
    pub app: Duration,
    /// One round trip through the tunnel, as measured by QUIC.
    pub tunnel: Duration,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentEvent {
    /// The link changed state.
    Link(LinkState),
    /// A route is served at this URL, or is not. Said again after each reconnect.
    Served {
        /// The source.
        source: Slug,
        /// The destination within it.
        destination: DestinationName,
        /// Public URL, or why not.
        result: Result<String, ServeError>,
        /// How many deliveries waited for it at that moment, counted up to 100,000. `None`: the server does not say.
        waiting: Option<u64>,
    },
    /// A request arrived.
    Arrived(Arrived),
    /// Its answer went back.
    Answered(Answered),
    /// A word from the server for the person.
    Notice(String),
}
