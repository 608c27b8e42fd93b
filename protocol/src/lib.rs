//! What relay-server and relay-agent say to each other.
//!
//! Pure code: bytes in, messages or errors out. No IO, no clock, no runtime; whoever moves the bytes (the `link`
//! crate today) calls in. Every length a stranger can claim is checked against [`limits`] before it costs memory,
//! and a decoded message is a valid message: nothing past this crate looks at it twice.
//!
//! - [`frame`]: the envelope of everything, `kind | length | payload`
//! - [`handshake`]: greeting, welcome, refusal; one small state machine a side
//! - [`control`]: what goes over the control stream afterwards
//! - [`head`]: request heads, response heads, typed failures
//! - [`body`]: body framing that proves its end
//! - [`field`], [`chunks`]: which header fields may exist and which may pass; where a chunked HTTP/1 body ends
//! - [`id`], [`code`], [`limits`]: names, reset codes, numbers
//!
//! The bytes are described in `docs/protocol.md` and frozen by golden tests.

pub mod body;
pub mod chunks;
pub mod code;
pub mod codec;
pub mod control;
pub mod field;
pub mod frame;
pub mod handshake;
pub mod head;
pub mod id;
pub mod limits;

/// ALPN of the tunnel. The number is the protocol's major version: it changes when old peers cannot follow.
pub const ALPN: &[u8] = b"webhook-relay/1";
