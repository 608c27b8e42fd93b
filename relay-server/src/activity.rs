//! Events as they happen, told to whoever watches. Costs one look at a counter while nobody does.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::model::EventRecord;
use crate::store::EventSummary;

/// Events a slow watcher may be behind before it misses some.
const BACKLOG: usize = 1_024;

/// Most watchers at once. Each event is turned into text once for each.
const WATCHERS_MAX: usize = 256;

/// Where events are told. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Activity {
    events: broadcast::Sender<Arc<EventSummary>>,
}

/// What a watcher sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// An event.
    Event(Arc<EventSummary>),
    /// So many events came too fast to be shown.
    Gap(u64),
}

/// One watcher's view.
#[derive(Debug)]
pub struct Watch {
    events: broadcast::Receiver<Arc<EventSummary>>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { events: broadcast::Sender::new(BACKLOG) }
    }
}

impl Activity {
    /// Tells of an event.
    pub fn publish(&self, record: &EventRecord) {
        if self.events.receiver_count() > 0 {
            // Fails only when the last watcher just left.
            let _ = self.events.send(Arc::new(EventSummary::from(record)));
        }
    }

    /// Watches from now on. `None` when 256 do already.
    #[must_use]
    pub fn watch(&self) -> Option<Watch> {
        (self.events.receiver_count() < WATCHERS_MAX).then(|| Watch { events: self.events.subscribe() })
    }
}

impl Watch {
    /// The next event, or how many were missed. `None` when there will be no more. Cancel-safe.
    pub async fn next(&mut self) -> Option<Seen> {
        match self.events.recv().await {
            Ok(event) => Some(Seen::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Seen::Gap(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
