//! The nouns of the product as the server holds them: sources with their rules, destinations, tokens, events.
//!
//! Plain values. Parsed at the door (API, configuration, store), never looked at twice afterwards.

use std::net::IpAddr;

use bytes::Bytes;
use ipnet::IpNet;
use protocol::control::Sharing;
use protocol::field::HeaderBlock;
use protocol::id::{AgentId, DestinationName, EventId, Slug};
use serde::{Deserialize, Serialize};

/// Row id of a project. Nothing of another project is visible, not even its existence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProjectId(pub i64);

/// Row id of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceId(pub i64);

/// Row id of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DestinationId(pub i64);

/// Row id of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenId(pub i64);

/// How a sender is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyMode {
    /// The app's own answer, streamed.
    #[default]
    Live,
    /// Stored, then 202.
    Accepted,
}

/// What to do when nobody can be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfAway {
    /// Store, answer 202, deliver later.
    #[default]
    Accept,
    /// 503; the sender's own retry does the work.
    Refuse,
}

/// What to do when the app was asked and patience ran out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfSlow {
    /// Store, answer 202, let the exchange go on.
    Accept,
    /// 504.
    #[default]
    Fail,
}

/// What to do with the app when the sender hangs up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfSenderLeaves {
    /// Let the app finish, record its answer.
    #[default]
    Finish,
    /// Hang up on the app too.
    Cancel,
}

/// Rules of a source. Every field has a default, so a partial document is a valid one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceRules {
    /// Refuses everything with 503 while set.
    pub paused: bool,
    /// Methods taken; empty takes all (never CONNECT or TRACE).
    pub methods: Vec<String>,
    /// Networks taken; empty takes all.
    pub networks: Vec<IpNet>,
    /// Lets senders switch protocols (WebSocket).
    pub upgrade: bool,
    /// How long a sender is kept waiting for the response head, in milliseconds. Default 30,000.
    pub patience_ms: u32,
    /// Largest request body in bytes; `None` takes the server's limit.
    pub body_bytes_max: Option<u64>,
    /// Most requests in flight at once. Default 256.
    pub in_flight_max: u32,
    /// See [`ReplyMode`].
    pub reply: ReplyMode,
    /// See [`IfAway`].
    pub if_away: IfAway,
    /// See [`IfSlow`].
    pub if_slow: IfSlow,
    /// See [`IfSenderLeaves`].
    pub if_sender_leaves: IfSenderLeaves,
}

impl Default for SourceRules {
    fn default() -> Self {
        Self {
            paused: false,
            methods: Vec::new(),
            networks: Vec::new(),
            upgrade: false,
            patience_ms: 30_000,
            body_bytes_max: None,
            in_flight_max: 256,
            reply: ReplyMode::default(),
            if_away: IfAway::default(),
            if_slow: IfSlow::default(),
            if_sender_leaves: IfSenderLeaves::default(),
        }
    }
}

/// Where a source's events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Row id.
    pub id: DestinationId,
    /// Its name within the source.
    pub name: DestinationName,
    /// How agents share it.
    pub sharing: Sharing,
}

/// A stable public URL with its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Row id.
    pub id: SourceId,
    /// Whose it is.
    pub project: ProjectId,
    /// Its name; the URL is `/h/<slug>`.
    pub slug: Slug,
    /// Its rules.
    pub rules: SourceRules,
    /// Where events go; the first one is primary and answers the sender. Never empty.
    pub destinations: Vec<Destination>,
    /// Unix milliseconds.
    pub created_ms: u64,
}

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// Everything in the project.
    Admin,
    /// Serve sources, and see the events of those it may serve.
    Agent {
        /// Only these sources; empty means any of the project.
        #[serde(default)]
        sources: Vec<String>,
        /// May make sources that do not exist.
        #[serde(default = "yes")]
        create: bool,
    },
    /// See, not change.
    Read,
}

const fn yes() -> bool {
    true
}

/// A token, without its text: that is shown once and never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Row id.
    pub id: TokenId,
    /// Whose.
    pub project: ProjectId,
    /// What for.
    pub scope: Scope,
    /// A name for people.
    pub label: String,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds; `None` never expires.
    pub expires_ms: Option<u64>,
    /// Unix milliseconds; `None` while it is good.
    pub revoked_ms: Option<u64>,
}

/// As much of a body as was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The bytes kept, from the start.
    pub bytes: Bytes,
    /// Bytes that passed in all.
    pub total_bytes: u64,
    /// Whether the body came to its proper end.
    pub complete: bool,
}

impl Captured {
    /// Whether the bytes kept are not the whole body.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        !self.complete || self.bytes.len() as u64 != self.total_bytes
    }
}

/// What happened in an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The app answered.
    Answered,
    /// Not a byte reached the app: safe to try again.
    NotSent(&'static str),
    /// The app may have acted, but no answer came (or it broke off).
    SentNoAnswer(&'static str),
    /// Refused at the door; never meant for the app.
    Refused(&'static str),
}

/// Where the time of one exchange went, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// From the request head's arrival until the response head left.
    pub head_us: u64,
    /// From the request head's arrival until the response's end.
    pub total_us: u64,
    /// Getting a connection to the app, as the agent measured.
    pub connect_us: u64,
    /// The app's own time until its response head, as the agent measured.
    pub app_us: u64,
}

/// What came back to the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAnswer {
    /// Status sent to the sender.
    pub status: u16,
    /// Header fields of the app's answer; empty when the answer is the relay's own.
    pub headers: HeaderBlock,
    /// Its body.
    pub body: Captured,
}

/// One event, with its one live attempt, as it is written down when the exchange is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its id; the time of arrival is part of it.
    pub id: EventId,
    /// Through which source it came.
    pub source: SourceId,
    /// Who sent it.
    pub remote: IpAddr,
    /// Method as sent.
    pub method: String,
    /// Request target as sent.
    pub target: Vec<u8>,
    /// Header fields as forwarded.
    pub headers: HeaderBlock,
    /// Request body.
    pub body: Captured,
    /// What happened.
    pub outcome: Outcome,
    /// Which agent it went to.
    pub agent: Option<AgentId>,
    /// What the sender was told.
    pub answer: RecordedAnswer,
    /// Where the time went.
    pub times: Times,
}
