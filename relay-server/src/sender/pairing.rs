//! Sources whose owner expects a handshake that brings a secret. Anybody could send one: so only then is it believed,
//! and only once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::model::SourceId;

/// How long a source stays open: long enough to press a button on another page.
pub(super) const PAIRING_MS: u64 = 10 * 60 * 1000;

/// The open ones. Cheap to clone; forgotten at a restart.
#[derive(Debug, Clone, Default)]
pub struct Pairings(Arc<Mutex<HashMap<SourceId, u64>>>);

impl Pairings {
    /// Opens a source for ten minutes; says until when, unix milliseconds.
    ///
    /// # Panics
    /// Never: nothing panics while it holds the list.
    #[must_use]
    pub fn open(&self, source: SourceId, now_ms: u64) -> u64 {
        let mut open = self.0.lock().expect("pairing lock");
        open.retain(|_, until_ms| *until_ms > now_ms);
        let until_ms = now_ms + PAIRING_MS;
        open.insert(source, until_ms);
        until_ms
    }

    /// Whether a source is open.
    ///
    /// # Panics
    /// Never: nothing panics while it holds the list.
    #[must_use]
    pub fn is_open(&self, source: SourceId, now_ms: u64) -> bool {
        let open = self.0.lock().expect("pairing lock");
        open.get(&source).is_some_and(|until_ms| *until_ms > now_ms)
    }

    /// Closes a source.
    ///
    /// # Panics
    /// Never: nothing panics while it holds the list.
    pub fn close(&self, source: SourceId) {
        self.0.lock().expect("pairing lock").remove(&source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_open_once_and_not_for_long() {
        let pairings = Pairings::default();
        assert!(!pairings.is_open(SourceId(1), 5));
        assert_eq!(pairings.open(SourceId(1), 5), 5 + PAIRING_MS);
        assert!(!pairings.is_open(SourceId(2), 6));
        assert!(pairings.is_open(SourceId(1), 6));
        pairings.close(SourceId(1));
        assert!(!pairings.is_open(SourceId(1), 6));
        let _ = pairings.open(SourceId(1), 5);
        assert!(!pairings.is_open(SourceId(1), 5 + PAIRING_MS));
    }
}
