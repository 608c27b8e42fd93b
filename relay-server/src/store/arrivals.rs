//! Which destinations have something new to do: told by the writer with the commit that made it so, before anybody
//! else hears of that commit.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::model::DestinationId;

/// What the dispatcher waits for.
#[derive(Debug, Default)]
pub struct Arrivals {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    new: HashSet<DestinationId>,
    open: HashSet<DestinationId>,
}

impl Arrivals {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the arrivals")
    }

    /// There is something new for this destination.
    pub(crate) fn add(&self, destination: DestinationId) {
        let mut state = self.lock();
        state.open.insert(destination);
        let is_new = state.new.insert(destination);
        drop(state);
        if is_new {
            self.wake.notify_one();
        }
    }

    /// Has whoever waits look again.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until there may be something new. One waiter at a time.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// What is new since the last time this was asked.
    pub(crate) fn take(&self) -> HashSet<DestinationId> {
        std::mem::take(&mut self.lock().new)
    }

    /// Nothing waits for this destination any more, unless something has arrived meanwhile.
    pub(crate) fn close(&self, destination: DestinationId) {
        let mut state = self.lock();
        if !state.new.contains(&destination) {
            state.open.remove(&destination);
        }
    }

    /// Whether something waits for this destination, or is under way to it.
    pub(crate) fn is_open(&self, destination: DestinationId) -> bool {
        self.lock().open.contains(&destination)
    }
}
