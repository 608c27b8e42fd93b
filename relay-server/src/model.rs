//! The nouns of the product as the server holds them: sources with their rules, destinations, tokens, events.
//!
//! Plain values. Parsed at the door (API, configuration, store), never looked at twice afterwards.

mod delivery;
mod sender;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use ipnet::IpNet;
use protocol::control::Sharing;
use protocol::field::HeaderBlock;
use protocol::id::{AgentId, DestinationName, EventId, Slug};
use serde::{Deserialize, Serialize};

pub use self::delivery::{AttemptRecord, Delivery, DeliveryId, DeliveryState, NotADelivery};
pub use self::sender::{GreetBy, Known, ProviderRules, SealedSecret, SecretId, SignatureSeen};
use crate::delivery::schedule::Schedule;
use crate::delivery::url::TargetUrl;
use crate::sender::OnceGuard;

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

/// What to do when the app answered, and its answer is one that is worth another try (408, 425, 429, 5xx).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfFailed {
    /// The sender gets it as it is, and decides.
    #[default]
    Pass,
    /// Store, answer 202, deliver again by the destination's schedule.
    Accept,
}

/// How two copies of one webhook are told from two webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DedupeBy {
    /// The delivery id a provider sends along, where there is one.
    Provider,
    /// The value of this header field.
    Header(String),
    /// The value in the JSON body this pointer (RFC 6901) leads to.
    Pointer(String),
    /// The body, byte for byte.
    Body,
}

/// A second copy within the window is recorded, answered like the first, and not delivered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dedupe {
    /// See [`DedupeBy`]. An event without such an id has no copies.
    pub by: DedupeBy,
    /// How long a copy is recognised, in seconds. Default a day: longer than most providers' first retries.
    #[serde(default = "a_day_s")]
    pub window_s: u32,
}

const fn a_day_s() -> u32 {
    24 * 60 * 60
}

/// What a sender is told when its event was stored, instead of the relay's own 202.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcceptedReply {
    /// Status, 200 to 299. Default 202.
    pub status: u16,
    /// Header fields, name and value.
    pub headers: Vec<(String, String)>,
    /// Body. Default: a small JSON object with the event's id.
    pub body: Option<String>,
}

impl Default for AcceptedReply {
    fn default() -> Self {
        Self { status: 202, headers: Vec::new(), body: None }
    }
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
    /// Refuses everything with 503 while set, and delivers nothing that is stored.
    pub paused: bool,
    /// Keeps everything while set: senders are told that it was accepted, and nothing is delivered but what a person lets go.
    pub hold: bool,
    /// Methods taken; empty takes all (never CONNECT or TRACE).
    pub methods: Vec<String>,
    /// Networks taken; empty takes all.
    pub networks: Vec<IpNet>,
    /// Lets senders switch protocols (WebSocket).
    pub upgrade: bool,
    /// How long a sender is kept waiting for the response head, in milliseconds. 30,000, the default, is less where the
    /// provider waits less: see [`Source::patience_ms`].
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
    /// See [`IfFailed`].
    pub if_failed: IfFailed,
    /// See [`IfSenderLeaves`].
    pub if_sender_leaves: IfSenderLeaves,
    /// See [`AcceptedReply`].
    pub accepted: AcceptedReply,
    /// See [`Dedupe`]; `None` takes every copy for a webhook of its own.
    pub dedupe: Option<Dedupe>,
    /// See [`ProviderRules`]; `None`: whoever knows the URL.
    pub provider: Option<ProviderRules>,
    /// Whoever asks the source's URL for an event stream gets its events as smee.io tells them. It takes no token: the URL is
    /// the secret.
    pub smee: bool,
}

impl Default for SourceRules {
    fn default() -> Self {
        Self {
            paused: false,
            hold: false,
            methods: Vec::new(),
            networks: Vec::new(),
            upgrade: false,
            patience_ms: PATIENCE_MS,
            body_bytes_max: None,
            in_flight_max: 256,
            reply: ReplyMode::default(),
            if_away: IfAway::default(),
            if_slow: IfSlow::default(),
            if_failed: IfFailed::default(),
            if_sender_leaves: IfSenderLeaves::default(),
            accepted: AcceptedReply::default(),
            dedupe: None,
            provider: None,
            smee: false,
        }
    }
}

/// In what order a destination gets stored events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Oldest first, several at once; one that has to wait for its next attempt holds up nobody.
    #[default]
    None,
    /// One after the other: the next only after the last was settled.
    Strict,
}

/// Rules of a destination. Every field has a default, so a partial document is a valid one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DestinationRules {
    /// Where events go straight from the relay; `None`: to whatever agent serves the destination.
    pub url: Option<TargetUrl>,
    /// Keeps stored events waiting while set.
    pub paused: bool,
    /// A jq expression; events for which it gives `false`, `null` or nothing are not delivered.
    pub filter: Option<String>,
    /// A jq expression that makes what is delivered out of what came.
    pub transform: Option<String>,
    /// How long an attempt may take until the response head, once the request has arrived, in milliseconds. Default
    /// 30,000.
    pub timeout_ms: u32,
    /// Most attempts under way at once. Default 16: keeps a dev server busy and does not drown it.
    pub concurrency: u32,
    /// Most attempts started per second; `None` sets no pace.
    pub pace_per_s: Option<u32>,
    /// See [`Order`].
    pub order: Order,
    /// When to try again.
    pub retry: Schedule,
    /// Sign every delivery (Standard Webhooks). Published events are signed whatever this says.
    pub sign: bool,
    /// Only events of these names go there, such as `push` or `invoice.*`; empty takes all.
    pub events: Vec<String>,
}

impl Default for DestinationRules {
    fn default() -> Self {
        Self {
            url: None,
            paused: false,
            filter: None,
            transform: None,
            timeout_ms: 30_000,
            concurrency: 16,
            pace_per_s: None,
            order: Order::default(),
            retry: Schedule::default(),
            sign: false,
            events: Vec::new(),
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
    /// Its rules.
    pub rules: Arc<DestinationRules>,
}

impl Destination {
    /// Whether an event of this name goes there. One without a name goes only where all do.
    #[must_use]
    pub fn wants(&self, name: Option<&str>) -> bool {
        let events = &self.rules.events;
        let takes = |wanted: &String, name: &str| match wanted.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            // `pull_request` means `pull_request.opened` too.
            None => name
                .strip_prefix(wanted.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
        };
        events.is_empty() || name.is_some_and(|name| events.iter().any(|wanted| takes(wanted, name)))
    }
}

/// How long a sender waits where neither the source nor its provider says it, in milliseconds.
const PATIENCE_MS: u32 = 30_000;

/// Of a provider's deadline, what is left for the way there and back: a tenth, and at least so many milliseconds.
const MARGIN_MS_MIN: u32 = 300;

impl Source {
    /// How long a sender is kept waiting: as the rules say, or else as long as its provider waits, less a margin.
    #[must_use]
    pub fn patience_ms(&self) -> u32 {
        let said = self.rules.patience_ms;
        let provider = self.rules.provider.as_ref().filter(|_| said == PATIENCE_MS);
        let deadline = provider.and_then(|provider| provider::find(&provider.name)?.facts.deadline_ms);
        deadline.map_or(said, |ms| said.min(ms.saturating_sub(MARGIN_MS_MIN.max(ms / 10)).max(1)))
    }
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
    /// Where events go; the first one is the primary, which answers the sender. Never empty.
    pub destinations: Vec<Destination>,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// By what its provider's signatures are checked, oldest first.
    pub secrets: Vec<SealedSecret>,
    /// Made of rules and secrets when it is first needed.
    pub guard: OnceGuard,
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
    /// The whole body is in a file of the store instead of in `bytes`.
    pub is_in_file: bool,
}

impl Captured {
    /// A whole body.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self { total_bytes: bytes.len() as u64, bytes, complete: true, is_in_file: false }
    }

    /// Whether the bytes kept are not the whole body.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        !self.complete || (!self.is_in_file && self.bytes.len() as u64 != self.total_bytes)
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
    /// Stored, and the sender told so; what becomes of it is told by its deliveries.
    Accepted(&'static str),
    /// A copy of an event that was taken before.
    Duplicate,
    /// A challenge of the provider, of this kind, that the relay answered itself.
    Greeted(&'static str),
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

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedAnswer {
    /// Status; 0 where nothing came.
    pub status: u16,
    /// Header fields of the app's answer; empty when the answer is the relay's own.
    pub headers: HeaderBlock,
    /// Its body.
    pub body: Captured,
}

/// What of a request is not in its head's fields and not in its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestShape {
    /// How many bytes of the target found the source.
    pub mount: u16,
    /// Whether its body was chunked.
    pub is_chunked: bool,
    /// Trailer fields.
    pub trailers: HeaderBlock,
}

/// One event as it is written down: with its one live attempt when that exchange is over, or when it is accepted.
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
    /// See [`RequestShape`].
    pub shape: RequestShape,
    /// Request body.
    pub body: Captured,
    /// The event this one is an edited copy or a duplicate of.
    pub related: Option<EventId>,
    /// What happened.
    pub outcome: Outcome,
    /// Which agent it went to.
    pub agent: Option<AgentId>,
    /// What the sender was told.
    pub answer: RecordedAnswer,
    /// Where the time went.
    pub times: Times,
    /// It was accepted and is in the store already: only what came later is added.
    pub is_accepted: bool,
    /// See [`Known`].
    pub known: Known,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(provider: &str, patience_ms: u32) -> Source {
        let provider = ProviderRules { name: provider.to_owned(), ..ProviderRules::default() };
        let provider = Some(provider).filter(|provider| !provider.name.is_empty());
        Source {
            id: SourceId(1),
            project: ProjectId(1),
            slug: "a".parse().unwrap(),
            rules: SourceRules { patience_ms, provider, ..SourceRules::default() },
            destinations: Vec::new(),
            created_ms: 0,
            secrets: Vec::new(),
            guard: OnceGuard::default(),
        }
    }

    #[test]
    fn patience_ends_before_the_providers_does() {
        for (provider, said, expected) in [
            ("", 30_000, 30_000),
            ("slack", 30_000, 2_700),
            ("github", 30_000, 9_000),
            ("github", 20_000, 20_000),
            ("twilio", 30_000, 13_500),
        ] {
            assert_eq!(source(provider, said).patience_ms(), expected, "{provider} {said}");
        }
    }

    #[test]
    fn names_of_events_are_whole_or_begin_so() {
        let destination = |events: &[&str]| Destination {
            id: DestinationId(1),
            name: Default::default(),
            sharing: Sharing::Pool,
            rules: Arc::new(DestinationRules {
                events: events.iter().map(|name| (*name).to_owned()).collect(),
                ..DestinationRules::default()
            }),
        };
        for (events, name, expected) in [
            (&[][..], None, true),
            (&[], Some("push"), true),
            (&["push"], None, false),
            (&["push"], Some("push"), true),
            (&["push"], Some("pushed"), false),
            (&["pull_request"], Some("pull_request.opened"), true),
            (&["pull_request.opened"], Some("pull_request.closed"), false),
            (&["invoice.*", "push"], Some("invoice.paid"), true),
            (&["invoice.*"], Some("invoice"), false),
            (&["*"], Some("anything"), true),
        ] {
            assert_eq!(destination(events).wants(name), expected, "{events:?} {name:?}");
        }
    }
}
