//! From a request head to the app and back.
//!
//! The agent forwards only to the targets its user named. [`connect`] reaches the app, [`pool`] keeps connections
//! that are provably still good, [`tap`] sees to it that heads cross unchanged and that a hostile app cannot split a
//! response, [`event_name`] reads what a provider calls an event, [`exchange`] is one request from arrival to answer, [`local`] sends requests that did not come through a
//! tunnel the same way.

pub(crate) mod connect;
pub mod event_name;
pub(crate) mod exchange;
pub mod local;
pub mod nearby;
pub(crate) mod pool;
pub(crate) mod response_gate;
pub(crate) mod tap;
