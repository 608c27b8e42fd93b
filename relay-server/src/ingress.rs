//! The public listener: webhooks come in here.
//!
//! [`listener`] accepts connections, [`gate`] decides from bytes alone what may pass, [`gated`] is that gate at work
//! between the socket and hyper, [`pace`] says when a body comes too slowly, [`route`] finds the source, [`reply`] writes the answer.

pub mod frame_budget;
pub mod gate;
pub mod gated;
pub mod h2;
pub mod h2_watch;
pub mod listener;
pub mod pace;
pub mod reply;
pub mod request_body;
pub mod route;
pub mod tls;
