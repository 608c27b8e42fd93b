//! Bringing an event to its destination. Today: [`live`], while the sender waits.

pub mod answer;
pub mod body;
pub mod capture;
pub mod copies;
pub mod live;
pub mod recording;
pub mod upgrade;
pub mod url;
