//! The screen: what forwarding looks like on a terminal.
//!
//! What decides is pure: [`state::State`] is changed by messages and keys, says what is to be done next, and is drawn
//! without being changed. Around it is one thread that has the terminal ([`terminal`]), and this handle for the part
//! that forwards. Messages never wait: where the terminal stands still they are left out and counted, and the list is
//! read again from the server. Nothing is lost or slowed by looking.

mod calls;
mod curl;
mod detail;
mod draft;
mod draw;
mod keys;
mod look;
mod message;
mod pretty;
mod rows;
mod state;
mod summary;
mod targets;
mod terminal;
mod text;
mod update;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self as threads, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use relay_agent::{Agent, AgentEvent, Target};
use tokio::sync::mpsc;

pub(super) use self::calls::call;
pub(super) use self::look::Look;
pub(super) use self::message::{Ask, Message, Wish};
pub(super) use self::state::Setup;
use self::summary::Summary;
pub(super) use self::targets::missing;

/// Messages that may wait for the terminal: some seconds of a busy agent.
const MESSAGES_MAX: usize = 4096;

/// Words that are never left out (links, questions, answers) and found no room. There are few of them.
const LATE_MAX: usize = 1024;

/// Wishes that may wait: nobody types faster.
const WISHES_MAX: usize = 64;

/// How long the terminal may take to be given back before the program ends without.
const FINISH_WAIT: Duration = Duration::from_secs(2);

/// Pulses between two looks at a target that is not there.
const LOOK_PULSES: u32 = 2;

/// A target on this machine, as far as it is watched.
struct Watched {
    target: Target,
    is_missing: bool,
    is_asked: bool,
    /// Pulses until it is looked at again; `None`: not by itself.
    due: Option<u32>,
}

/// The handle.
pub(super) struct Screen {
    messages: SyncSender<Message>,
    late: VecDeque<Message>,
    skipped: u64,
    wishes: mpsc::Receiver<Wish>,
    ended: threads::Receiver<()>,
    is_away: Arc<AtomicBool>,
    watched: Vec<Watched>,
    summary: Summary,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be had; it is as it was then.
    pub(super) fn start(setup: Setup, look: Look, editor: Option<String>, now_ms: u64) -> io::Result<Self> {
        if let Err(error) = terminal::enter() {
            terminal::leave();
            return Err(error);
        }
        let (messages, queue) = threads::sync_channel(MESSAGES_MAX);
        let (wish, wishes) = mpsc::channel(WISHES_MAX);
        let (end, ended) = threads::sync_channel(1);
        let is_away = Arc::new(AtomicBool::new(false));
        let watched = |target: &Target| Watched {
            target: target.clone(),
            is_missing: false,
            is_asked: false,
            due: Some(0),
        };
        let watched = setup.routes.iter().map(|route| watched(&route.target)).collect();
        let summary = Summary::new(&setup.routes, now_ms);
        let parts = terminal::Parts {
            setup,
            look,
            editor,
            messages: messages.clone(),
            queue,
            wishes: wish,
            is_away: Arc::clone(&is_away),
        };
        std::thread::Builder::new().name("screen".to_owned()).spawn(move || {
            terminal::run(parts);
            let _ = end.send(());
        })?;
        Ok(Self { messages, late: VecDeque::new(), skipped: 0, wishes, ended, is_away, watched, summary })
    }

    /// Shows what the agent tells.
    pub(super) fn happened(&mut self, events: &[AgentEvent]) {
        for event in events {
            self.summary.take(event);
            if let AgentEvent::Answered(answered) = event {
                self.suspect(answered);
            }
        }
        let counts = self.summary.counts;
        if self.flush() && self.skipped == 0 {
            let Err(TrySendError::Full(_)) =
                self.messages.try_send(Message::Happened(events.to_vec(), counts))
            else {
                return;
            };
        }
        let (traffic, rest): (Vec<_>, Vec<_>) = events
            .iter()
            .partition(|event| matches!(event, AgentEvent::Arrived(_) | AgentEvent::Answered(_)));
        self.skipped += traffic.len() as u64;
        if !rest.is_empty() {
            self.tell(Message::Happened(rest.into_iter().cloned().collect(), counts));
        }
    }

    /// Shows something that must not be left out.
    pub(super) fn tell(&mut self, message: Message) {
        if let Message::Told(text) = &message {
            self.summary.told(text);
        }
        if let Message::Target(at, found) = &message
            && let Some(watched) = self.watched.get_mut(*at)
        {
            watched.is_missing = found.is_some();
            watched.is_asked = false;
            watched.due = found.is_some().then_some(LOOK_PULSES);
        }
        if self.late.len() < LATE_MAX {
            self.late.push_back(message);
        }
        self.flush();
    }

    /// Hands over what found no room. Says whether there is nothing left.
    fn flush(&mut self) -> bool {
        while let Some(message) = self.late.pop_front() {
            if let Err(TrySendError::Full(message)) = self.messages.try_send(message) {
                self.late.push_front(message);
                return false;
            }
        }
        if self.skipped > 0 && self.messages.try_send(Message::Skipped(self.skipped)).is_ok() {
            self.skipped = 0;
        }
        true
    }

    /// Once a second: how the link fares. Returns the targets to be looked at.
    pub(super) fn pulse(&mut self, agent: &Agent) -> Vec<(usize, Target)> {
        self.flush();
        let pulse = Message::Pulse { rtt: agent.rtt(), heard: agent.heard() };
        // The next one comes in a second.
        let _ = self.messages.try_send(pulse);
        let mut due = Vec::new();
        for (at, watched) in self.watched.iter_mut().enumerate().filter(|(_, watched)| !watched.is_asked) {
            match watched.due {
                Some(0) => {
                    watched.is_asked = true;
                    due.push((at, watched.target.clone()));
                }
                Some(pulses) => watched.due = Some(pulses - 1),
                None => {}
            }
        }
        due
    }

    /// An event without an answer may mean that the app is gone, one with an answer that it is back.
    fn suspect(&mut self, answered: &relay_agent::Answered) {
        let is_good = answered.result.is_ok();
        for at in self.summary.routes_of(&answered.source) {
            if let Some(watched) = self.watched.get_mut(at)
                && watched.is_missing == is_good
                && !watched.is_asked
            {
                watched.due = Some(0);
            }
        }
    }

    /// What is wanted next; `None` when the screen is gone by mistake.
    pub(super) async fn wish(&mut self) -> Option<Wish> {
        self.wishes.recv().await
    }

    /// Whether an editor has the terminal: Ctrl-C is meant for it.
    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Gives the terminal back. Returns what is to stay on it.
    pub(super) fn finish(mut self, now_ms: u64) -> Vec<String> {
        self.tell(Message::Leave);
        let deadline = std::time::Instant::now() + FINISH_WAIT;
        loop {
            self.flush();
            let is_late = std::time::Instant::now() >= deadline;
            match self.ended.recv_timeout(Duration::from_millis(20)) {
                Err(RecvTimeoutError::Timeout) if !is_late => {}
                _ => break,
            }
        }
        terminal::leave();
        self.summary.lines(now_ms)
    }
}
