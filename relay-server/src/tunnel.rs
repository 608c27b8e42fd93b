//! The tunnel's server side: who is connected, what each serves, and who gets the next event.
//!
//! [`calls`] answers what they ask, [`listener`] lets agents in, [`session`] is one connected life of one agent, [`registry`] routes to them.

pub mod calls;
pub mod listener;
pub mod registry;
pub mod session;
