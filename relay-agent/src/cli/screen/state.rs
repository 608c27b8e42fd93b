//! What the screen knows. Changed by [`super::update`] and [`super::keys`] only, shown by [`super::draw`].

use std::net::SocketAddr;
use std::time::Duration;

use jiff::tz::TimeZone;
use protocol::id::{EventId, Slug};
use relay_agent::{Route, Target};

use super::detail::Detail;
use super::draft::{Change, Draft};
use super::message::Counts;
use super::rows::{Row, Rows};

/// From this width on the event that is chosen is shown beside the list.
const SPLIT_COLUMNS: u16 = 110;

/// How long a word stays in sight, and a bad one.
const STATUS_MS: u64 = 12_000;
const BAD_STATUS_MS: u64 = 30_000;

/// What the screen is made for.
#[derive(Debug, Clone)]
pub(in super::super) struct Setup {
    pub(in super::super) server: String,
    pub(in super::super) routes: Vec<Route>,
    pub(in super::super) zone: TimeZone,
    /// Where an inspector runs on this machine.
    pub(in super::super) inspector: Option<SocketAddr>,
}

/// A route, and how it stands.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) source: Slug,
    pub(super) destination: protocol::id::DestinationName,
    pub(super) target: Target,
    /// The public URL, or why there is none; `None` until the server has said.
    pub(super) url: Option<Result<String, String>>,
    /// What was found in place of the target.
    pub(super) missing: Option<String>,
    /// Whether the source holds what comes in, where the server says so.
    pub(super) is_held: Option<bool>,
}

/// The link to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LinkSeen {
    Connecting { since_ms: u64 },
    Live { rtt: Duration, heard_ms: u64 },
    Down { since_ms: u64, reason: String, next_ms: Option<u64> },
}

/// Where keys go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Focus {
    #[default]
    List,
    Request,
    Answer,
}

impl Focus {
    /// Which of the two texts it is on.
    pub(super) fn side(self) -> usize {
        usize::from(self == Self::Answer)
    }
}

/// How far an event's detail has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// To be asked for at this time: not while somebody runs through the list.
    Due(u64),
    Asked,
    Done,
}

/// The event that is shown in full.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) id: EventId,
    pub(super) load: Load,
    pub(super) tries: u32,
    pub(super) known: Option<Detail>,
    pub(super) why_not: Option<String>,
    pub(super) scroll: [usize; 2],
}

/// A word about what was done.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub(super) text: String,
    pub(super) is_bad: bool,
    pub(super) until_ms: u64,
}

/// What lies over the list.
#[derive(Debug, Clone, Default)]
pub(super) enum Over {
    #[default]
    Nothing,
    Help,
    /// The words of the filter before somebody began to type.
    Typing(String),
    /// Is the edited copy to be sent?
    Confirm(EventId, Box<Change>),
}

/// The question about what waited.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) text: String,
    pub(super) since_ms: u64,
}

/// What was drawn, as far as keys depend on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) scroll_max: [usize; 2],
    pub(super) list_lines: usize,
}

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    pub(super) setup: Setup,
    pub(super) now_ms: u64,
    pub(super) size: (u16, u16),
    pub(super) lanes: Vec<Lane>,
    pub(super) link: LinkSeen,
    pub(super) clock_skew_ms: i64,
    pub(super) counts: Counts,
    pub(super) skipped: u64,
    pub(super) rows: Rows,
    /// The chosen event; `None`: always the newest.
    pub(super) chosen: Option<EventId>,
    pub(super) opened: Option<Opened>,
    /// The event has the whole screen.
    pub(super) is_full: bool,
    pub(super) focus: Focus,
    pub(super) over: Over,
    pub(super) question: Option<Question>,
    pub(super) status: Option<Status>,
    pub(super) is_stopping: bool,
    pub(super) drafted: Option<(EventId, Draft)>,
    /// Events of which the answer to a replay is awaited.
    pub(super) replayed: Vec<EventId>,
    pub(super) drawn: Drawn,
}

impl State {
    pub(super) fn new(setup: Setup, size: (u16, u16), now_ms: u64) -> Self {
        let lane = |route: &Route| Lane {
            source: route.source.clone(),
            destination: route.destination.clone(),
            target: route.target.clone(),
            url: None,
            missing: None,
            is_held: None,
        };
        Self {
            lanes: setup.routes.iter().map(lane).collect(),
            setup,
            now_ms,
            size,
            link: LinkSeen::Connecting { since_ms: now_ms },
            clock_skew_ms: 0,
            counts: Counts::default(),
            skipped: 0,
            rows: Rows::default(),
            chosen: None,
            opened: None,
            is_full: false,
            focus: Focus::List,
            over: Over::Nothing,
            question: None,
            status: None,
            is_stopping: false,
            drafted: None,
            replayed: Vec::new(),
            drawn: Drawn::default(),
        }
    }

    /// Whether list and event stand side by side.
    pub(super) fn is_split(&self) -> bool {
        self.size.0 >= SPLIT_COLUMNS && !self.is_full
    }

    /// The event keys are about: the chosen one while it is listed, else the newest.
    pub(super) fn current(&self) -> Option<&Row> {
        let chosen = self.chosen.and_then(|id| self.rows.shown().find(|row| row.id == id));
        chosen.or_else(|| self.rows.shown().next())
    }

    /// The route keys are about: that of the current event, else the first.
    pub(super) fn current_lane(&self) -> Option<&Lane> {
        let source = self.current().map(|row| row.source.as_str());
        self.lanes.iter().find(|lane| Some(lane.source.as_str()) == source).or(self.lanes.first())
    }

    /// Whether the routes are of more than one source.
    pub(super) fn has_several(&self) -> bool {
        self.lanes.iter().any(|lane| lane.source != self.lanes[0].source)
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        let until_ms = self.now_ms + STATUS_MS;
        self.status = Some(Status { text: text.into(), is_bad: false, until_ms });
    }

    pub(super) fn complain(&mut self, text: impl Into<String>) {
        let until_ms = self.now_ms + BAD_STATUS_MS;
        self.status = Some(Status { text: text.into(), is_bad: true, until_ms });
    }

    /// Takes over what was seen while drawing.
    pub(super) fn settle(&mut self, drawn: Drawn) {
        self.drawn = drawn;
        if let Some(opened) = &mut self.opened {
            for (scroll, max) in opened.scroll.iter_mut().zip(drawn.scroll_max) {
                *scroll = (*scroll).min(max);
            }
        }
    }
}
