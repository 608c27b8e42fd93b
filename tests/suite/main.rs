//! The suite: the whole house on real sockets. Each file is a group of promises.

#![allow(
    clippy::disallowed_methods,
    reason = "tests and the demo own their process: they may spawn and read the clock"
)]

mod agent_verbs;
mod backlog;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod faults;
mod fidelity;
mod fixtures;
mod hostile;
mod http2;
mod inspecting;
mod main_job;
mod programs;
mod providers;
mod public_tls;
mod reply_table;
mod sharing;
#[cfg(target_os = "linux")]
mod stewardship;
mod stored;
#[cfg(unix)]
mod terminal;
mod tunnel_life;
mod walls;
