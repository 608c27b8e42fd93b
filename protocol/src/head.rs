//! What an exchange opens with, and what comes back: request heads, response heads, failures.

use crate::codec::{self, CodecError, Decode, Encode, Extensions};
use crate::field::{BodyFraming, FieldError, HeaderBlock, is_field_value, is_target, is_token};
use crate::frame::{Frame, FrameKind, write_frame};
use crate::id::EventId;
use crate::limits::{METHOD_BYTES_MAX, TARGET_BYTES_MAX, TEXT_BYTES_MAX};

/// A head that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The bytes are no such message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The message is whole, but no HTTP message can say this.
    #[error("not a possible HTTP head: {0}")]
    Field(#[from] FieldError),
    /// Method, target, status or text outside its form or cap.
    #[error("{0} is malformed or too long")]
    Part(&'static str),
    /// Another frame came where a head was due.
    #[error("frame of kind {0:#04x} where a head was due")]
    Kind(u8),
}

/// Facts about a request beside its HTTP head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct RequestFlags(pub u32);

impl RequestFlags {
    /// The sender asked to switch protocols, and the source allows it.
    pub const UPGRADE: Self = Self(1);
    /// A person sent this event again.
    pub const REPLAY: Self = Self(1 << 1);
    /// If the sender goes away, the app's answer is not wanted either.
    pub const CANCEL_WITH_SENDER: Self = Self(1 << 2);

    /// Whether all of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A request, as the sender wrote it: target and fields byte for byte, framing fields in their place.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RequestHead {
    /// The event this attempt is about. Zero for an API call.
    pub event: EventId,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Which of the agent's serves is meant: the number the agent gave it. Zero for an API call.
    pub serve: u32,
    /// See [`RequestFlags`].
    pub flags: RequestFlags,
    /// How long the sender will be kept waiting for a response head, in milliseconds.
    pub patience_ms: u32,
    /// Method token, at most 32 bytes.
    pub method: String,
    /// Request target as sent, at most 16 KiB, never normalised.
    pub target: Vec<u8>,
    /// How many bytes of the target found the source (`/h/<slug>`); what follows is the app's. Zero for sources found by host.
    pub mount: u16,
    /// Header fields as sent, less hop-by-hop ones, plus what the relay adds.
    pub headers: HeaderBlock,
    /// How the body ends.
    pub body: BodyFraming,
    /// Later additions.
    pub extensions: Extensions,
}

impl RequestHead {
    /// Appends the head as a frame.
    pub fn write(&self, into: &mut Vec<u8>) {
        write_frame(FrameKind::REQUEST, into, |payload| codec::encode(self, payload));
    }

    /// Reads a request head from its frame.
    ///
    /// # Errors
    /// When the frame is another one, malformed, or says what no request can say.
    pub fn read(frame: &Frame) -> Result<Self, HeadError> {
        if frame.kind != FrameKind::REQUEST {
            return Err(HeadError::Kind(frame.kind.0));
        }
        let head: Self = codec::decode(&frame.payload)?;
        if head.method.len() > METHOD_BYTES_MAX || !is_token(head.method.as_bytes()) {
            return Err(HeadError::Part("method"));
        }
        if head.target.len() > TARGET_BYTES_MAX || !is_target(&head.target) {
            return Err(HeadError::Part("target"));
        }
        if usize::from(head.mount) > head.target.len() {
            return Err(HeadError::Part("mount"));
        }
        match (head.headers.framing()?, head.body) {
            (Some(promised), declared) if promised != declared => Err(FieldError::Disagree.into()),
            // An HTTP/2 request may have a body of unsaid length and no field about it.
            (None, BodyFraming::Length(_)) => Err(FieldError::Disagree.into()),
            _ => Ok(head),
        }
    }
}

impl RequestHead {
    /// The part of the target that is the app's: empty, or starting with `/` or `?`.
    #[must_use]
    pub fn app_target(&self) -> &[u8] {
        &self.target[usize::from(self.mount)..]
    }
}

/// Where the time went, as the agent saw it. Microseconds, saturating at about 71 minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Timing {
    /// Getting a connection to the app.
    pub connect_us: u32,
    /// From the first byte sent to the app until its response head was there.
    pub app_us: u32,
}

/// A response of the app, final or interim.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ResponseHead {
    /// 200 to 599; 101 after an upgrade; 100 to 199 for an interim one.
    pub status: u16,
    /// Reason phrase as sent. HTTP/2 has none.
    pub reason: Vec<u8>,
    /// Header fields as sent, less hop-by-hop ones.
    pub headers: HeaderBlock,
    /// How the body ends. [`BodyFraming::None`] for HEAD, 204, 304 and interim responses.
    pub body: BodyFraming,
    /// Where the time went.
    pub timing: Timing,
    /// Later additions.
    pub extensions: Extensions,
}

impl ResponseHead {
    /// Appends the head as a frame: RESPONSE, or INTERIM for a 1xx that is not 101.
    pub fn write(&self, into: &mut Vec<u8>) {
        let kind = if self.is_interim() { FrameKind::INTERIM } else { FrameKind::RESPONSE };
        write_frame(kind, into, |payload| codec::encode(self, payload));
    }

    fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    fn check(self) -> Result<Self, HeadError> {
        if !(100..=599).contains(&self.status) {
            return Err(HeadError::Part("status"));
        }
        if self.reason.len() > TEXT_BYTES_MAX || !is_field_value(&self.reason) {
            return Err(HeadError::Part("reason phrase"));
        }
        match (self.headers.framing()?, self.body) {
            // Fields may speak of a body that HEAD and 304 do not send.
            (_, BodyFraming::None) => Ok(self),
            (Some(promised), declared) if promised == declared => Ok(self),
            // A response that ends with its connection says nothing about its length.
            (None, BodyFraming::Chunked) => Ok(self),
            _ => Err(FieldError::Disagree.into()),
        }
    }
}

/// Why no response came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct FailureKind(pub u8);

impl FailureKind {
    /// Nothing listens where the agent forwards to.
    pub const APP_REFUSED: Self = Self(1);
    /// The app closed the connection, or answered something that is not HTTP.
    pub const APP_BROKE: Self = Self(2);
    /// The app did not answer within the agent's deadline.
    pub const APP_SLOW: Self = Self(3);
    /// The agent is going away and took nothing.
    pub const DRAINING: Self = Self(4);
    /// The agent does not serve what was asked for (any more).
    pub const NOT_SERVED: Self = Self(5);
    /// The agent already forwards as many requests as it may.
    pub const OVERLOADED: Self = Self(6);
    /// The request broke off on its way to the app.
    pub const REQUEST_BROKE: Self = Self(7);
}

/// Whether the app may have acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Sent {
    /// Not a byte reached the app: safe to try again.
    No,
    /// Some or all of it may have.
    Maybe,
}

/// No response, and why.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// Whether the app may have acted.
    pub sent: Sent,
    /// A sentence for the owner of the source; never shown to the sender. At most 1 KiB.
    pub text: String,
    /// Where the time went.
    pub timing: Timing,
    /// Later additions.
    pub extensions: Extensions,
}

impl Failure {
    /// Appends the failure as a frame.
    pub fn write(&self, into: &mut Vec<u8>) {
        write_frame(FrameKind::FAILURE, into, |payload| codec::encode(self, payload));
    }
}

/// What an agent says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// A 1xx before the real one.
    Interim(ResponseHead),
    /// The app's response; its body follows.
    Head(ResponseHead),
    /// There is none.
    Failure(Failure),
}

impl Response {
    /// Reads a response frame.
    ///
    /// # Errors
    /// When the frame is another one, malformed, or says what no response can say.
    pub fn read(frame: &Frame) -> Result<Self, HeadError> {
        match frame.kind {
            FrameKind::RESPONSE => {
                let head = codec::decode::<ResponseHead>(&frame.payload)?.check()?;
                if head.is_interim() { Err(HeadError::Part("status")) } else { Ok(Self::Head(head)) }
            }
            FrameKind::INTERIM => {
                let head = codec::decode::<ResponseHead>(&frame.payload)?.check()?;
                if head.is_interim() { Ok(Self::Interim(head)) } else { Err(HeadError::Part("status")) }
            }
            FrameKind::FAILURE => {
                let failure: Failure = codec::decode(&frame.payload)?;
                if failure.text.len() > TEXT_BYTES_MAX {
                    return Err(HeadError::Part("failure text"));
                }
                Ok(Self::Failure(failure))
            }
            other => Err(HeadError::Kind(other.0)),
        }
    }
}
