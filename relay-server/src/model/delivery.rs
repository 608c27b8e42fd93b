//! Stored deliveries and their attempts.

use std::fmt;
use std::str::FromStr;

use protocol::id::{AgentId, EventId};
use serde::{Deserialize, Serialize};

use super::{DestinationId, RecordedAnswer, SourceId, Times};
use crate::delivery::verdict::AttemptOutcome;

/// Names a delivery: its event, and its number among that event's deliveries, from 1. As text: `evt_….2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId {
    /// The event.
    pub event: EventId,
    /// From 1 within the event.
    pub no: u32,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.event, self.no)
    }
}

/// Text that names no delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a delivery: expected an event's id, a dot and a number, such as `evt_….1`")]
pub struct NotADelivery;

impl FromStr for DeliveryId {
    type Err = NotADelivery;

    fn from_str(text: &str) -> Result<Self, NotADelivery> {
        let (event, no) = text.split_once('.').ok_or(NotADelivery)?;
        let event = event.parse().map_err(|_| NotADelivery)?;
        let no = no.parse().ok().filter(|no| *no > 0).ok_or(NotADelivery)?;
        Ok(Self { event, no })
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Its turn or its time has not come.
    Waiting,
    /// An attempt is under way.
    Leased,
    /// The app took it.
    Delivered,
    /// Its schedule is used up, or the app refused it for good.
    Dead,
    /// A person, a filter or a deleted destination ended it.
    Cancelled,
}

/// One attempt as it is written down when it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// When it began, unix milliseconds.
    pub started_ms: u64,
    /// What happened.
    pub outcome: AttemptOutcome,
    /// A sentence about a failure.
    pub text: Option<String>,
    /// Which agent it went to.
    pub agent: Option<AgentId>,
    /// The app's answer; empty where there is none.
    pub answer: RecordedAnswer,
    /// Where the time went.
    pub times: Times,
    /// It was signed afresh, with the provider's scheme, for this attempt.
    pub is_resigned: bool,
}

/// One line about a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The event's source.
    pub source: SourceId,
    /// Where to.
    pub destination: DestinationId,
    /// A person asked for it.
    pub is_replay: bool,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts made, the one under way included.
    pub attempts: u32,
    /// When the next attempt is due, unix milliseconds, where one is.
    pub due_ms: Option<u64>,
    /// When it came to its end, unix milliseconds, where it did.
    pub ended_ms: Option<u64>,
    /// Why it is dead or cancelled, or why the last attempt failed.
    pub reason: Option<String>,
}
