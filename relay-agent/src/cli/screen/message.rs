//! What the screen is told, and what it wants done. Everything it knows comes through here.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::id::{EventId, Slug};
use ratatui::crossterm::event::KeyEvent;
use relay_agent::AgentEvent;
use relay_agent::fixture::Fixture;
use serde_json::Value;

use super::draft::Draft;

/// What was forwarded since the start, counted where nothing is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Counts {
    pub(in super::super) arrived: u64,
    pub(in super::super) answered: u64,
    /// Of those: without an answer, or with one of 400 and above.
    pub(in super::super) failed: u64,
}

/// A question to the server.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Ask {
    /// The last events of a source.
    History(Slug),
    /// The rules of a source.
    Rules(Slug),
    /// One event in full.
    Detail(EventId),
    /// An event exactly as it was sent, and what for.
    Exact(EventId, Purpose),
    /// A new delivery, edited where the object says how.
    Replay(EventId, Value),
    /// A test event into a source.
    Test(Slug),
    /// Hold what comes in for a source, or let it pass.
    Hold(Slug, bool),
    /// Let the oldest held one go.
    Next(Slug),
}

/// What an exact event is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Purpose {
    Edit,
    /// Into the clipboard.
    Copy,
    /// Onto the plain screen.
    Show,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Reply {
    Object(Value),
    Exact(Box<Fixture>),
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Refusal {
    /// HTTP status; `None` when the call itself failed.
    pub(in super::super) status: Option<u16>,
    /// The server knows nothing of the kind.
    pub(in super::super) is_unknown: bool,
    /// In words for a person.
    pub(in super::super) text: String,
}

/// Something to be shown, or a key.
#[derive(Debug)]
pub(in super::super) enum Message {
    /// The agent told something.
    Happened(Vec<AgentEvent>, Counts),
    /// So many of the agent's words were left out: the terminal stood still.
    Skipped(u64),
    /// How the link fares.
    Pulse {
        rtt: Option<Duration>,
        heard: Option<Duration>,
    },
    /// Whether the target of a route takes connections; if not, what was found.
    Target(usize, Option<String>),
    /// Where the web inspector is.
    Inspector(SocketAddr),
    /// Something was done.
    Told(String),
    /// The question about what waited, while it is open.
    Question(Option<String>),
    /// A call came to its end.
    Called(Ask, Result<Reply, Refusal>),
    /// What is in flight is finished, nothing new is taken.
    Stopping,
    /// The end: the terminal is given back.
    Leave,
    Key(KeyEvent),
    /// Text that was pasted: never taken for keys.
    Paste(String),
    Size(u16, u16),
    /// What the editor left.
    Edited(Result<String, String>),
    /// Nobody is at the terminal any more.
    Gone,
}

/// What the screen wants of the part that forwards.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Wish {
    Ask(Ask),
    /// The answer to the question about what waited.
    Answer(&'static str),
    /// The first time: finish and end. The second: end.
    Stop,
    /// Nobody is at the terminal any more.
    Gone,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    Wish(Wish),
    /// Into the clipboard of the terminal.
    Copy(String),
    /// Onto the plain screen, for selecting it there.
    Show(String),
    /// Into an editor.
    Edit(Box<Draft>),
    /// Into a browser.
    Browse(String),
    /// Give the terminal back.
    Leave,
}

impl From<Ask> for Effect {
    fn from(ask: Ask) -> Self {
        Self::Wish(Wish::Ask(ask))
    }
}
