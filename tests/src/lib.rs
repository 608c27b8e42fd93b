//! The harness: the whole house in one process on real sockets, and a small language to talk about it.
//!
//! [`World`] is a server with agents around it, [`App`] an application that records what reaches it and answers as
//! told, [`client`] a sender that writes exactly the bytes it is given, `disk` a disk that fails or loses its power,
//! `faults` the programs under everything that can go wrong, and the ledger that says whether they kept their word. The
//! lossy UDP proxy is `relay_bench::lossy`.

#![allow(
    clippy::disallowed_methods,
    reason = "tests and the demo own their process: they may spawn and read the clock"
)]

pub mod app;
pub mod client;
pub mod dice;
#[cfg(target_os = "linux")]
pub mod disk;
#[cfg(target_os = "linux")]
pub mod faults;
pub mod program;
pub mod world;

pub use app::{App, Recorded};
pub use client::{Answer, Sender};
pub use world::{AgentInWorld, World};
