//! Messages of the control stream: the handshake's three, and the few that follow it.

use std::fmt;

use crate::codec::{self, CodecError, Decode, Encode, Extensions};
use crate::frame::{Frame, FrameKind, write_frame};
use crate::id::{AgentId, DestinationName, InstanceId, SessionId, Slug};

/// A bearer token. Shows nothing of itself in `Debug`.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct TokenText(pub String);

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(…)")
    }
}

/// What a peer can do beyond the version's minimum. Bits; the welcome holds those both have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Features(pub u64);

impl Features {
    /// Protocol upgrades (WebSocket) through an exchange.
    pub const UPGRADE: Self = Self(1);
    /// Interim (1xx) responses.
    pub const INTERIM: Self = Self(1 << 1);
    /// API calls over streams the agent opens.
    pub const API: Self = Self(1 << 2);
    /// All this build knows.
    pub const ALL: Self = Self(0b111);

    /// Those of both.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of `other` is there.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How agents that serve the same destination share it. Decided when the destination is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub enum Sharing {
    /// Each event goes to one of them: the one with the least in flight.
    #[default]
    Pool,
    /// The newest wins; the one before is told.
    Replace,
    /// Each gets a copy; the first to have come answers the sender.
    Broadcast,
}

/// "Route this to me."
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Serve {
    /// The agent's number for it, from 1; request heads name it.
    pub id: u32,
    /// The source.
    pub slug: Slug,
    /// The destination within it.
    pub destination: DestinationName,
    /// Make the source if there is none of that name.
    pub create: bool,
    /// How to share it, if it is made now.
    pub sharing: Sharing,
    /// Allow protocol upgrades, if it is made now.
    pub upgrade: bool,
    /// Later additions.
    pub extensions: Extensions,
}

/// What an agent wants done with deliveries that wait for it. Extension 1 of [`Serve`], one byte; without it, or with a
/// byte this build does not know: [`BacklogWish::Take`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BacklogWish {
    /// Deliver it, oldest first.
    #[default]
    Take,
    /// Keep it until a later serve of the same number takes or releases it. Live events pass meanwhile.
    Hold,
    /// Deliver what was held, if the number is still served: one that was taken over since is not fought for.
    Release,
}

/// Extension of [`Serve`]: see [`BacklogWish`].
const SERVE_BACKLOG: u16 = 1;

/// Extension of [`Served`]: see [`Served::waiting`].
const SERVED_WAITING: u16 = 1;

impl Serve {
    /// What to do with what waits.
    #[must_use]
    pub fn backlog(&self) -> BacklogWish {
        match self.extensions.find(SERVE_BACKLOG) {
            Some([1]) => BacklogWish::Hold,
            Some([2]) => BacklogWish::Release,
            _ => BacklogWish::Take,
        }
    }

    /// The same, with this wish.
    #[must_use]
    pub fn with_backlog(mut self, backlog: BacklogWish) -> Self {
        let value = match backlog {
            BacklogWish::Take => None,
            BacklogWish::Hold => Some(1),
            BacklogWish::Release => Some(2),
        };
        self.extensions.0.extend(value.map(|byte| (SERVE_BACKLOG, vec![byte])));
        self
    }
}

/// The answer to a [`Serve`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Served {
    /// Number of the serve.
    pub id: u32,
    /// Public URL of the source, or why it is not served.
    pub result: Result<String, ServeError>,
    /// Later additions.
    pub extensions: Extensions,
}

impl Served {
    /// How many deliveries waited for the destination when it was served, counted up to [`WAITING_MAX`](crate::limits::WAITING_MAX). `None` from a
    /// server that does not say.
    #[must_use]
    pub fn waiting(&self) -> Option<u64> {
        codec::decode(self.extensions.find(SERVED_WAITING)?).ok()
    }

    /// The same, with that number.
    #[must_use]
    pub fn with_waiting(mut self, waiting: u64) -> Self {
        let mut value = Vec::new();
        codec::encode(&waiting, &mut value);
        self.extensions.0.push((SERVED_WAITING, value));
        self
    }
}

/// Why a source is not served.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[error("{text}")]
pub struct ServeError {
    /// Stable code: `source_not_found`, `scope_refused`, `name_taken`, `too_many`, `taken_over`.
    pub code: String,
    /// A sentence for a person.
    pub text: String,
}

/// The agent's first word.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Greeting {
    /// Lowest protocol minor it speaks.
    pub version_min: u16,
    /// Highest protocol minor it speaks.
    pub version_max: u16,
    /// What it can do.
    pub features: Features,
    /// Which agent.
    pub agent: AgentId,
    /// Which life of it.
    pub instance: InstanceId,
    /// Counts this instance's connections: a later one takes over from an earlier one, never the reverse.
    pub attempt: u64,
    /// What it is allowed.
    pub token: TokenText,
    /// Program version, for people.
    pub program: String,
    /// Host name, for people.
    pub host: String,
    /// What it serves at once.
    pub serves: Vec<Serve>,
    /// Later additions.
    pub extensions: Extensions,
}

/// The server's yes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Welcome {
    /// Protocol minor both speak from here on.
    pub version: u16,
    /// Features both have.
    pub features: Features,
    /// The session.
    pub session: SessionId,
    /// Orders the sessions of an instance.
    pub epoch: u64,
    /// Program version, for people.
    pub program: String,
    /// The server's wall clock, unix milliseconds, so that a wrong clock is noticed.
    pub unix_ms: u64,
    /// Largest request body the server takes, in bytes.
    pub body_bytes_max: u64,
    /// Answers to the greeting's serves.
    pub served: Vec<Served>,
    /// Later additions.
    pub extensions: Extensions,
}

/// Why a greeting was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct RefusalCode(pub u16);

impl RefusalCode {
    /// No common protocol version.
    pub const VERSION: Self = Self(1);
    /// Token unknown, expired or revoked.
    pub const TOKEN: Self = Self(2);
    /// Token known, but not for this.
    pub const SCOPE: Self = Self(3);
    /// The server is full or going away: later.
    pub const BUSY: Self = Self(4);
    /// The greeting makes no sense.
    pub const MALFORMED: Self = Self(5);
    /// A later connection of the same instance is already there.
    pub const STALE: Self = Self(6);
}

/// The server's no.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Refusal {
    /// Why.
    pub code: RefusalCode,
    /// A sentence for a person.
    pub text: String,
    /// When to try again, in milliseconds; `None` when trying again cannot help.
    pub retry_after_ms: Option<u32>,
    /// Later additions.
    pub extensions: Extensions,
}

/// Everything that may go over the control stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Agent's first word.
    Greeting(Box<Greeting>),
    /// Server's yes.
    Welcome(Box<Welcome>),
    /// Server's no.
    Refusal(Refusal),
    /// Are you there? The number comes back.
    Ping(u64),
    /// I am.
    Pong(u64),
    /// Route this to me.
    Serve(Box<Serve>),
    /// Routed, or why not; also said later, when a serve ends.
    Served(Served),
    /// No longer route this number to me.
    Unserve(u32),
    /// Nothing new; what runs may finish. From the server: come back in so many milliseconds.
    Drain(u32),
    /// A sentence for the person at the agent.
    Notice(String),
}

/// A control frame that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The bytes are no such message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A kind this version does not know and may not skip.
    #[error("unknown control frame {0:#04x}")]
    Unknown(u8),
}

impl Control {
    /// Appends the message as a frame.
    pub fn write(&self, into: &mut Vec<u8>) {
        let kind = match self {
            Self::Greeting(_) => FrameKind::GREETING,
            Self::Welcome(_) => FrameKind::WELCOME,
            Self::Refusal(_) => FrameKind::REFUSAL,
            Self::Ping(_) => FrameKind::PING,
            Self::Pong(_) => FrameKind::PONG,
            Self::Serve(_) => FrameKind::SERVE,
            Self::Served(_) => FrameKind::SERVED,
            Self::Unserve(_) => FrameKind::UNSERVE,
            Self::Drain(_) => FrameKind::DRAIN,
            Self::Notice(_) => FrameKind::NOTICE,
        };
        write_frame(kind, into, |payload| match self {
            Self::Greeting(m) => codec::encode(m.as_ref(), payload),
            Self::Welcome(m) => codec::encode(m.as_ref(), payload),
            Self::Refusal(m) => codec::encode(m, payload),
            Self::Serve(m) => codec::encode(m.as_ref(), payload),
            Self::Served(m) => codec::encode(m, payload),
            Self::Ping(n) | Self::Pong(n) => codec::encode(n, payload),
            Self::Unserve(n) | Self::Drain(n) => codec::encode(n, payload),
            Self::Notice(text) => codec::encode(text, payload),
        });
    }

    /// The message as a frame of its own.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Reads a control frame. `None` for an unknown one that may be skipped.
    ///
    /// # Errors
    /// When the frame is malformed, or unknown and not optional.
    pub fn read(frame: &Frame) -> Result<Option<Self>, ControlError> {
        let bytes = &frame.payload;
        Ok(Some(match frame.kind {
            FrameKind::GREETING => Self::Greeting(codec::decode(bytes)?),
            FrameKind::WELCOME => Self::Welcome(codec::decode(bytes)?),
            FrameKind::REFUSAL => Self::Refusal(codec::decode(bytes)?),
            FrameKind::PING => Self::Ping(codec::decode(bytes)?),
            FrameKind::PONG => Self::Pong(codec::decode(bytes)?),
            FrameKind::SERVE => Self::Serve(codec::decode(bytes)?),
            FrameKind::SERVED => Self::Served(codec::decode(bytes)?),
            FrameKind::UNSERVE => Self::Unserve(codec::decode(bytes)?),
            FrameKind::DRAIN => Self::Drain(codec::decode(bytes)?),
            FrameKind::NOTICE => Self::Notice(codec::decode(bytes)?),
            other if other.is_optional() => return Ok(None),
            other => return Err(ControlError::Unknown(other.0)),
        }))
    }
}
