//! Bringing an event to its destination: [`live`] while the sender waits, or kept by [`intake`] and brought there by
//! the [`dispatcher`].

pub mod answer;
pub mod body;
pub mod capture;
pub mod copies;
pub mod dedupe;
pub mod dispatcher;
pub mod intake;
pub mod live;
pub mod recording;
mod retry_after;
pub mod schedule;
pub mod spool;
pub mod tunnelled;
pub mod turns;
pub mod under_way;
pub mod upgrade;
pub mod url;
pub mod verdict;
