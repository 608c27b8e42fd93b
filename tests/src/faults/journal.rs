//! What senders sent and what they were told.

use std::sync::Mutex;

use super::app::Content;

/// What a sender was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It is taken: a whole answer of 2xx.
    Yes {
        /// `Relay-Event-Id`.
        event: String,
        /// The app's own word, not the relay's.
        by_app: bool,
        /// `Relay-Duplicate-Of`.
        copy_of: Option<String>,
    },
    /// Something else than 2xx.
    No {
        /// Status.
        status: u16,
        /// `Relay-Error`; empty where the app said it.
        code: String,
        /// There was a `Retry-After`.
        says_when: bool,
    },
    /// The connection broke before an answer was whole.
    Nothing,
    /// The sender had waited long enough. What it sent may still be read by a server that was stopped.
    GaveUp,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Place of the source among the plans.
    pub plan: usize,
    /// The sender's name for the webhook; of its copies as well.
    pub tag: String,
    /// Its number among those of its sender.
    pub number: u64,
    /// What was sent.
    pub content: Content,
    /// What was told.
    pub told: Told,
}

/// All requests, each written down when its sender knows what it was told.
#[derive(Debug, Default)]
pub struct Journal {
    sent: Mutex<Vec<Sent>>,
    wrong_answers: Mutex<Vec<String>>,
}

impl Journal {
    /// Writes a request down.
    pub fn note(&self, sent: Sent) {
        self.sent.lock().expect("no panic").push(sent);
    }

    /// Writes down that an answer was one to another request.
    pub fn note_wrong(&self, what: String) {
        self.wrong_answers.lock().expect("no panic").push(what);
    }

    /// How many requests there were, and how many of them were told yes.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let sent = self.sent.lock().expect("no panic");
        (sent.len(), sent.iter().filter(|sent| matches!(sent.told, Told::Yes { .. })).count())
    }

    /// All of it: requests, and answers that were not theirs.
    #[must_use]
    pub fn read(&self) -> (Vec<Sent>, Vec<String>) {
        let sent = self.sent.lock().expect("no panic").clone();
        (sent, self.wrong_answers.lock().expect("no panic").clone())
    }
}
