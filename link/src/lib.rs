//! The tunnel link: how bytes of the protocol get from one side to the other.
//!
//! One connection is a [`Link`]; one exchange is one bidirectional stream of it. Both crates use the same code, so
//! that the rule "a stream that was dropped never looks complete" is written once ([`SendHalf`]). quinn is named
//! only below [`quic`]; a second transport (the same frames over TLS on TCP) would stand beside it.

pub mod exchange;
pub mod identity;
pub mod quic;
pub mod rewrite;
pub mod secret;
pub mod splice;
pub mod tasks;

pub use exchange::{BodyRecv, BodySend, BodyStream, ExchangeError, FrameRecv};
pub use identity::{Pin, PinError, ServerIdentity};
pub use quic::{
    Closed, DialError, Dialer, Knock, Link, Listener, ListenerSettings, RecvHalf, SendHalf, StreamError,
    Trust,
};
pub use rewrite::Rewrite;
pub use secret::EndpointSecret;
pub use splice::splice;
pub use tasks::Tasks;
