//! Codes with which a stream is reset or a connection closed. They cross the wire; numbers never change meaning.

/// Why a stream was reset or refused (QUIC application error code of RESET_STREAM and STOP_SENDING).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCode(pub u32);

impl StreamCode {
    /// Nothing is wrong; the rest is not needed.
    pub const DONE: Self = Self(0x00);
    /// The peer said something that is not the protocol.
    pub const PROTOCOL: Self = Self(0x01);
    /// Not processed at all: safe to try elsewhere.
    pub const REFUSED: Self = Self(0x02);
    /// Whoever asked went away.
    pub const CANCELLED: Self = Self(0x03);
    /// The body broke off: what arrived is not the whole of it.
    pub const TRUNCATED: Self = Self(0x07);
    /// A cap was reached.
    pub const TOO_LARGE: Self = Self(0x09);
}

/// Why a connection was closed (QUIC application error code of CONNECTION_CLOSE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseCode(pub u32);

impl CloseCode {
    /// Said goodbye; nothing is wrong.
    pub const DONE: Self = Self(0x00);
    /// The peer broke the protocol.
    pub const PROTOCOL: Self = Self(0x01);
    /// The server is restarting or shedding load: come back.
    pub const GO_AWAY: Self = Self(0x10);
    /// A newer connection of the same instance took over.
    pub const TAKEN_OVER: Self = Self(0x11);
    /// The token or greeting was refused; the refusal frame says why.
    pub const REFUSED: Self = Self(0x12);
    /// The token was revoked.
    pub const REVOKED: Self = Self(0x13);
    /// No greeting came in time.
    pub const SILENT: Self = Self(0x14);
    /// Pings stayed unanswered.
    pub const DEAD: Self = Self(0x15);
}
