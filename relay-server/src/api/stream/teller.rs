//! Who writes the lines: one teller for all callers who may see the same, so that ten open inspectors cost little more
//! than one. A teller begins with its first listener and ends with its last.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use link::Tasks;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::super::events::{self, EventView};
use super::super::identity::Caller;
use super::Form;
use crate::activity::{Activity, Seen, Settled, Watch};
use crate::delivery::verdict::AttemptOutcome;
use crate::model::{ProjectId, SourceId};
use crate::store::{Next, OutcomeKind, Owner, Settlement, Store};

/// Most streams at once.
const LISTENERS_MAX: usize = 256;

/// Most audiences at once: each may keep `BEHIND_BYTES_MAX`, all together 128 MiB.
const AUDIENCES_MAX: usize = 64;

/// What a slow listener may be behind, 2.5 s for browsers and 0.4 s for others at the least. It is kept for as long as
/// one of them has not heard it.
const BEHIND_BYTES_MAX: usize = 2 << 20;

/// Who may see the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Audience {
    project: ProjectId,
    /// Names of sources; empty: every source of the project.
    slugs: Vec<String>,
    only: Option<SourceId>,
    form: Form,
}

impl Audience {
    /// `only` has been found to be the caller's to look at.
    pub(super) fn new(caller: &Caller, only: Option<SourceId>, form: Form) -> Self {
        let slugs = caller.bound_to().to_vec();
        Self { project: caller.project(), slugs, only, form }
    }

    /// The source's owner, if it is theirs to look at.
    fn owner(&self, store: &Store, source: SourceId) -> Option<Arc<Owner>> {
        let owner = store.owner(source).filter(|owner| owner.project == self.project)?;
        let is_theirs = self.slugs.is_empty() || self.slugs.iter().any(|own| own == owner.slug.as_str());
        (is_theirs && self.only.is_none_or(|only| only == source)).then_some(owner)
    }
}

/// All tellers. Cheap to clone.
#[derive(Clone)]
pub struct Tellers {
    tasks: Tasks,
    tellers: Arc<Mutex<HashMap<Audience, Arc<Teller>>>>,
    listeners: Arc<Semaphore>,
}

struct Teller {
    batches: broadcast::Sender<Batch>,
    /// Lines told so far, and those that could not be.
    told: AtomicU64,
}

/// Lines told together.
#[derive(Debug, Clone)]
struct Batch {
    lines: Bytes,
    /// Lines told before these, and after them.
    before: u64,
    after: u64,
}

/// A teller's entry among all. Dropped at its end, however that comes, so that whoever listens next gets another.
struct Listed {
    audience: Audience,
    teller: Arc<Teller>,
    tellers: Tellers,
}

/// What one listener hears.
pub(super) struct Hearing {
    batches: broadcast::Receiver<Batch>,
    heard: u64,
    form: Form,
    _place: OwnedSemaphorePermit,
}

impl Tellers {
    /// None yet; they run in `tasks`.
    #[must_use]
    pub fn new(tasks: Tasks) -> Self {
        Self { tasks, tellers: Arc::default(), listeners: Arc::new(Semaphore::new(LISTENERS_MAX)) }
    }

    /// Listens from now on. `None` when as many do as may, or to as many different things.
    pub(super) fn hear(&self, audience: Audience, store: &Store, activity: &Activity) -> Option<Hearing> {
        let place = Arc::clone(&self.listeners).try_acquire_owned().ok()?;
        let form = audience.form;
        let mut tellers = self.lock();
        let is_full = tellers.len() >= AUDIENCES_MAX;
        let (teller, batches) = match tellers.entry(audience) {
            Entry::Occupied(known) => (Arc::clone(known.get()), known.get().batches.subscribe()),
            Entry::Vacant(_) if is_full => return None,
            Entry::Vacant(new) => {
                let audience = new.key().clone();
                let watch = activity.watch({
                    let (audience, store) = (audience.clone(), store.clone());
                    move |source| audience.owner(&store, source).is_some()
                })?;
                let (batches, first) = broadcast::channel(BEHIND_BYTES_MAX / form.together_bytes_max());
                let teller = Arc::new(Teller { batches, told: AtomicU64::new(0) });
                let listed = Listed { audience, teller: Arc::clone(&teller), tellers: self.clone() };
                self.tasks.spawn(listed.tell(store.clone(), watch));
                (Arc::clone(new.insert(teller)), first)
            }
        };
        // Not less than what the first batch heard comes after.
        let heard = teller.told.load(Ordering::Acquire);
        Some(Hearing { batches, heard, form, _place: place })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Audience, Arc<Teller>>> {
        self.tellers.lock().expect("nobody panics with the lock")
    }
}

impl Listed {
    async fn tell(self, store: Store, mut watch: Watch) {
        let together = self.audience.form.together();
        let mut last = Instant::now() - together;
        loop {
            // What comes at once is told at once; what comes thick is told together.
            let next = async {
                tokio::time::sleep_until(last + together).await;
                watch.next().await
            };
            tokio::select! {
                seen = next => {
                    let Some(seen) = seen else { return };
                    self.teller.tell(&self.audience, &store, seen, &mut watch);
                    last = Instant::now();
                }
                () = self.teller.batches.closed() => {
                    let mut tellers = self.tellers.lock();
                    // Somebody may have come since.
                    if self.teller.batches.receiver_count() == 0 {
                        tellers.remove(&self.audience);
                        return;
                    }
                }
            }
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let Ok(mut tellers) = self.tellers.tellers.lock() else { return };
        // Another may be in its place by now.
        if tellers.get(&self.audience).is_some_and(|listed| Arc::ptr_eq(listed, &self.teller)) {
            tellers.remove(&self.audience);
        }
    }
}

impl Teller {
    /// Tells what was seen, and all else that is there by now.
    fn tell(&self, audience: &Audience, store: &Store, first: Seen, watch: &mut Watch) {
        let (mut lines, mut count) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(seen) = next {
            count += audience.write(store, &seen, &mut lines);
            next = if lines.len() < audience.form.together_bytes_max() { watch.next_now() } else { None };
        }
        let before = self.told.load(Ordering::Relaxed);
        let after = before + count;
        // Before the batch is there: who comes between the two hears it too, and takes it for known.
        self.told.store(after, Ordering::Release);
        if count > 0 {
            // Nobody may be left to hear it.
            let _ = self.batches.send(Batch { lines: lines.into(), before, after });
        }
    }
}

impl Hearing {
    /// The next lines, with a gap before them where some were missed. Cancel-safe. `None` once nobody tells any more.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let Batch { lines, before, after } = match self.batches.recv().await {
                Ok(batch) => batch,
                // The next one says how much.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return None,
            };
            let missed = before.saturating_sub(self.heard);
            self.heard = after;
            if missed == 0 {
                return Some(lines);
            }
            let mut with_gap = Vec::with_capacity(lines.len() + 64);
            self.form.write(&gap(missed), &mut with_gap);
            with_gap.extend_from_slice(&lines);
            return Some(with_gap.into());
        }
    }
}

impl Audience {
    /// Writes what was seen. Gives how many lines that counts for.
    fn write(&self, store: &Store, seen: &Seen, lines: &mut Vec<u8>) -> u64 {
        match seen {
            Seen::Gap(missed) => {
                self.form.write(&gap(*missed), lines);
                *missed
            }
            Seen::Settled(settled) => {
                let Some(owner) = self.owner(store, settled.source) else { return 0 };
                self.form.write(&settled_line(settled, owner.slug.as_str()), lines);
                1
            }
            Seen::Event(event) => {
                let Some(owner) = self.owner(store, event.source) else { return 0 };
                let event = events::view(event, owner.slug.as_str().to_owned());
                self.form.write(&Line { r#type: "event", event }, lines);
                1
            }
        }
    }
}

fn gap(missed: u64) -> Value {
    json!({ "type": "gap", "missed": missed })
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    event: EventView<'a>,
}

/// A settled attempt of a stored delivery.
fn settled_line(settled: &Settled, source: &str) -> Value {
    let Settlement { delivery, attempt, record, next } = &settled.settlement;
    let (outcome, status, reason) = match record.as_ref().map(|record| record.outcome) {
        None => (None, None, None),
        Some(AttemptOutcome::Answered(status)) => (Some(OutcomeKind::Answered), Some(status), None),
        Some(AttemptOutcome::NotSent(reason)) => (Some(OutcomeKind::NotSent), None, Some(reason)),
        Some(AttemptOutcome::SentNoAnswer(reason)) => (Some(OutcomeKind::SentNoAnswer), None, Some(reason)),
    };
    let ended_by = match next {
        Next::Dead(reason) | Next::Cancelled(reason) => Some(*reason),
        Next::Ready | Next::RetryAt(_) | Next::Delivered => None,
    };
    json!({
        "type": "delivery", "id": delivery.to_string(), "event": delivery.event.to_string(), "source": source,
        "destination": settled.destination.as_str(), "state": next.state(), "attempt": attempt,
        "outcome": outcome, "status": status, "reason": ended_by.or(reason),
        "total_us": record.as_ref().map(|record| record.times.total_us),
    })
}
