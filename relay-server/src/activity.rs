//! Events as they happen, told to whoever watches. Costs one look at a counter while nobody does.
//!
//! Each watcher says which sources it wants and has a queue of its own: what it misses, and how much, depends on
//! nothing but its own sources, so not even a count tells of another project.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use protocol::id::DestinationName;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use crate::model::{EventRecord, SourceId};
use crate::store::{EventSummary, Settlement};

/// Events a slow watcher may be behind before it misses some: watchers look ten times a second at the least.
const BACKLOG: usize = 4_096;

/// Most watchers at once. Each event is offered to each.
const WATCHERS_MAX: usize = 256;

/// Where events are told. Cheap to clone.
#[derive(Clone, Default)]
pub struct Activity {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    // As many as are in the list; read without its lock.
    count: AtomicUsize,
    watchers: RwLock<Vec<Watcher>>,
    next_id: AtomicU64,
}

struct Watcher {
    id: u64,
    wants: Box<dyn Fn(SourceId) -> bool + Send + Sync>,
    queue: mpsc::Sender<Seen>,
    missed: Arc<AtomicU64>,
}

/// What a watcher sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// An event.
    Event(Arc<EventSummary>),
    /// An attempt of a stored delivery was settled.
    Settled(Arc<Settled>),
    /// So many events came too fast to be shown.
    Gap(u64),
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The event's source.
    pub source: SourceId,
    /// Name of the destination.
    pub destination: DestinationName,
    /// What was settled.
    pub settlement: Settlement,
}

/// One watcher's view. Ends when dropped.
pub struct Watch {
    id: u64,
    queue: mpsc::Receiver<Seen>,
    missed: Arc<AtomicU64>,
    activity: Activity,
}

impl Activity {
    /// Tells of an event.
    ///
    /// # Panics
    /// When a watcher's wish panicked before.
    pub fn publish(&self, record: &EventRecord) {
        if self.is_watched() {
            let mut told: Option<Arc<EventSummary>> = None;
            self.offer(record.source, || {
                Seen::Event(told.get_or_insert_with(|| Arc::new(record.into())).clone())
            });
        }
    }

    /// What is to be told of an event once it is accepted; `None` while nobody watches.
    #[must_use]
    pub fn prepare(&self, record: &EventRecord) -> Option<Arc<EventSummary>> {
        self.is_watched().then(|| Arc::new(record.into()))
    }

    /// Tells of an event.
    ///
    /// # Panics
    /// When a watcher's wish panicked before.
    pub fn tell(&self, event: Option<Arc<EventSummary>>) {
        let Some(event) = event else { return };
        self.offer(event.source, || Seen::Event(Arc::clone(&event)));
    }

    /// Tells of a settled attempt.
    ///
    /// # Panics
    /// When a watcher's wish panicked before.
    pub fn tell_settled(&self, settled: impl FnOnce() -> Option<Settled>) {
        if self.is_watched()
            && let Some(settled) = settled()
        {
            let settled = Arc::new(settled);
            self.offer(settled.source, || Seen::Settled(Arc::clone(&settled)));
        }
    }

    fn is_watched(&self) -> bool {
        self.inner.count.load(Ordering::Relaxed) > 0
    }

    /// `seen` is asked only for who has room for it.
    fn offer(&self, source: SourceId, mut seen: impl FnMut() -> Seen) {
        let watchers = self.inner.watchers.read().expect("no wish panics");
        watchers
            .iter()
            .filter(|watcher| (watcher.wants)(source))
            .for_each(|watcher| watcher.offer(&mut seen));
    }

    /// Watches events of the sources `wants` says yes to, from now on. `None` when 256 watch already.
    ///
    /// # Panics
    /// When a watcher's wish panicked before.
    #[must_use]
    pub fn watch(&self, wants: impl Fn(SourceId) -> bool + Send + Sync + 'static) -> Option<Watch> {
        let mut watchers = self.inner.watchers.write().expect("no wish panics");
        if watchers.len() >= WATCHERS_MAX {
            return None;
        }
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let (offer, queue) = mpsc::channel(BACKLOG);
        let missed = Arc::new(AtomicU64::new(0));
        watchers.push(Watcher { id, wants: Box::new(wants), queue: offer, missed: Arc::clone(&missed) });
        self.inner.count.store(watchers.len(), Ordering::Relaxed);
        Some(Watch { id, queue, missed, activity: self.clone() })
    }
}

impl Watcher {
    fn offer(&self, seen: impl FnOnce() -> Seen) {
        if self.queue.capacity() == 0 {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // A gap is told where it is: before the first event after it.
        let missed = self.missed.swap(0, Ordering::Relaxed);
        let gap_is_told = missed == 0 || self.queue.try_send(Seen::Gap(missed)).is_ok();
        let is_told = gap_is_told && self.queue.try_send(seen()).is_ok();
        let untold = if gap_is_told { 0 } else { missed } + u64::from(!is_told);
        if untold > 0 {
            self.missed.fetch_add(untold, Ordering::Relaxed);
        }
    }
}

impl Watch {
    /// The next event that is there already.
    pub fn next_now(&mut self) -> Option<Seen> {
        self.queue.try_recv().ok()
    }

    /// The next event, or how many were missed. Cancel-safe.
    pub async fn next(&mut self) -> Option<Seen> {
        match self.queue.try_recv() {
            Ok(seen) => Some(seen),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => match self.missed.swap(0, Ordering::Relaxed) {
                0 => self.queue.recv().await,
                missed => Some(Seen::Gap(missed)),
            },
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let inner = &self.activity.inner;
        if let Ok(mut watchers) = inner.watchers.write() {
            watchers.retain(|watcher| watcher.id != self.id);
            inner.count.store(watchers.len(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use protocol::id::EventId;

    use super::*;
    use crate::model::{Captured, Outcome, RecordedAnswer, Times};

    fn event(key: u64, source: i64) -> EventRecord {
        EventRecord {
            id: EventId::from_parts(key, 0),
            source: SourceId(source),
            remote: Ipv4Addr::LOCALHOST.into(),
            method: String::new(),
            target: Vec::new(),
            headers: Default::default(),
            body: Captured::default(),
            outcome: Outcome::Answered,
            shape: Default::default(),
            related: None,
            is_accepted: false,
            known: Default::default(),
            agent: None,
            answer: RecordedAnswer { status: 200, headers: Default::default(), body: Captured::default() },
            times: Times::default(),
        }
    }

    fn key(seen: Option<Seen>) -> u64 {
        match seen {
            Some(Seen::Event(event)) => event.id.sort_key(),
            other => panic!("{other:?} instead of an event"),
        }
    }

    #[tokio::test]
    async fn a_gap_is_told_where_it_is() {
        let activity = Activity::default();
        let mut watch = activity.watch(|source| source == SourceId(1)).unwrap();
        for at in 0..4_102 {
            activity.publish(&event(at, 1));
            activity.publish(&event(at, 2));
        }
        for at in 0..5 {
            assert_eq!(key(watch.next().await), at);
        }
        activity.publish(&event(9_000, 1));
        for at in 5..4_096 {
            assert_eq!(key(watch.next().await), at);
        }
        assert_eq!(watch.next().await, Some(Seen::Gap(6)));
        assert_eq!(key(watch.next().await), 9_000);
    }

    #[tokio::test]
    async fn whoever_leaves_makes_room() {
        let activity = Activity::default();
        let mut watches: Vec<_> = (0..WATCHERS_MAX).filter_map(|_| activity.watch(|_| true)).collect();
        assert!(activity.watch(|_| true).is_none());
        watches.pop();
        assert!(activity.watch(|_| true).is_some());
        watches.clear();
        assert_eq!(activity.inner.count.load(Ordering::Relaxed), 0);
    }
}
