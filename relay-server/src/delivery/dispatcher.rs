//! Brings stored events to their destinations: finds what is due, makes attempts, settles them.
//!
//! One task owns what is known of each destination. Each of its turns is one transaction: what is over is settled, and
//! what may begin is leased, on disk before the first byte is sent. It is woken by the store (something was accepted,
//! replayed, resumed), by agents that come, by attempts that end, and by the next time something is due: never to look
//! whether there is something to do.

mod attempting;
mod lane;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use link::Tasks;

use self::attempting::Attempting;
pub(super) use self::attempting::judge;
use self::lane::{Lane, Room};
use super::tunnelled;
use super::url::UrlSender;
use crate::activity::{Activity, Settled};
use crate::clock::Clock;
use crate::jq::Jq;
use crate::metrics::Metrics;
use crate::model::{DestinationId, Source};
use crate::sender::Senders;
use crate::signing::SigningKey;
use crate::store::{CANCEL_STEP, Health, INLINE_BYTES_MAX, Leased, Settlement, Store, StoreError, Want};
use crate::tunnel::registry::Registry;

/// Most attempts under way, all destinations together, and most bytes of their bodies in memory: of these one
/// destination has a quarter at most, so that a slow one leaves room for the others.
const IN_FLIGHT_MAX: u32 = 1_024;
const BYTES_IN_FLIGHT_MAX: u64 = 64 * 1024 * 1024;
const BYTES_PER_LANE_MAX: u64 = BYTES_IN_FLIGHT_MAX / 4;

/// Most deliveries of one destination leased in one turn: what keeps a turn short for everybody else's commits.
const CLAIM_MAX: u32 = 64;

/// Added to an attempt's timeout to give its lease: opening a stream, sending a large body over a slow link, reading
/// the answer, and the commit.
const LEASE_MARGIN_MS: u64 = tunnelled::UPLOAD_MS_MAX + 60_000;

/// How often to look whether everything under way has ended, once nothing new is begun.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// How long to wait after the store refused a turn.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// What the dispatcher needs of the house.
pub struct Parts {
    /// Everything remembered.
    pub store: Store,
    /// Who serves what.
    pub registry: Registry,
    /// Sends to destinations that are URLs.
    pub urls: UrlSender,
    /// Runs filters and transforms.
    pub jq: Jq,
    /// Signs.
    pub signing: SigningKey,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Tells whoever watches.
    pub activity: Activity,
    /// Who sends, for what is signed afresh.
    pub senders: Senders,
    /// Wall clock.
    pub clock: Clock,
    /// Where attempts run.
    pub tasks: Tasks,
}

/// A handle on the dispatcher. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    inbox: Mutex<Inbox>,
}

#[derive(Default)]
struct Inbox {
    seated: Vec<DestinationId>,
    finished: Vec<Finished>,
}

/// An attempt that is over.
struct Finished {
    destination: DestinationId,
    settlement: Settlement,
    /// Whether the destination was there to be asked, where that was found out.
    was_reached: Option<bool>,
    /// Bytes it held; `None` for a live exchange, which the dispatcher did not begin.
    memory_bytes: Option<u64>,
}

impl Dispatcher {
    /// A dispatcher; [`Dispatcher::run`] makes it work.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { inner: Arc::new(Inner { parts, inbox: Mutex::default() }) }
    }

    /// An agent has come to serve this destination, and takes what waited.
    pub fn seated(&self, destination: DestinationId) {
        self.tell(|inbox| inbox.seated.push(destination));
    }

    /// A live exchange that an accepted delivery was leased for is over.
    pub fn live_is_over(&self, destination: DestinationId, settlement: Settlement) {
        let finished = Finished { destination, settlement, was_reached: None, memory_bytes: None };
        self.tell(|inbox| inbox.finished.push(finished));
    }

    /// Whether something waits for this destination, or is under way to it.
    #[must_use]
    pub fn has_open(&self, destination: DestinationId) -> bool {
        self.inner.parts.store.arrivals().is_open(destination)
    }

    fn tell(&self, what: impl FnOnce(&mut Inbox)) {
        what(&mut self.inner.inbox.lock().expect("nothing panics while it holds the inbox"));
        self.inner.parts.store.arrivals().wake();
    }

    fn inbox_is_empty(&self) -> bool {
        self.inner.inbox.lock().expect("nothing panics while it holds the inbox").finished.is_empty()
    }

    fn take_inbox(&self) -> Inbox {
        std::mem::take(&mut *self.inner.inbox.lock().expect("nothing panics while it holds the inbox"))
    }

    /// Takes over from an earlier life of the server: what it left leased, and which destinations something waits for.
    /// To be done before anything new comes in, so that nothing new overtakes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_over(&self) -> Result<(), StoreError> {
        let store = &self.inner.parts.store;
        let cut_off = match store.expire_leases().await {
            // The store has just made room for this.
            Err(StoreError::Full) => store.expire_leases().await?,
            expired => expired?,
        };
        if cut_off > 0 {
            tracing::info!(cut_off, "attempts were cut off when the server last ended");
        }
        let open = store.open_destinations().await?;
        open.into_iter().for_each(|destination| store.arrivals().add(destination));
        Ok(())
    }

    /// Works until the drain: then what is under way may finish, live exchanges that are owed a settlement included,
    /// and is settled.
    pub async fn run(self) {
        let mut desk = Desk {
            dispatcher: self,
            lanes: HashMap::new(),
            unsettled: Vec::new(),
            bytes_in_flight: 0,
            turns: 0,
        };
        desk.work().await;
    }
}

/// What the dispatcher's task owns.
struct Desk {
    dispatcher: Dispatcher,
    lanes: HashMap<DestinationId, Lane>,
    unsettled: Vec<(DestinationId, Settlement)>,
    bytes_in_flight: u64,
    turns: usize,
}

/// A turn's wish, or when the next may be.
struct Plan {
    wants: Vec<Want>,
    wake: Option<Instant>,
    /// Deleted destinations for which something may still wait.
    orphaned: Vec<DestinationId>,
}

impl Desk {
    fn parts(&self) -> &Parts {
        &self.dispatcher.inner.parts
    }

    async fn work(&mut self) {
        let tasks = self.parts().tasks.clone();
        loop {
            self.hear();
            let plan = self.plan(tasks.is_draining());
            if !plan.wants.is_empty() || !self.unsettled.is_empty() {
                self.turn(plan.wants).await;
                self.cancel_orphans(plan.orphaned);
                continue;
            }
            self.cancel_orphans(plan.orphaned);
            if tasks.is_draining() {
                if tasks.alive() == 0 && self.dispatcher.inbox_is_empty() {
                    return;
                }
                // Whatever still runs may end without a word to us.
                tokio::time::sleep(DRAIN_LOOK).await;
                continue;
            }
            let wake = plan.wake;
            let store = self.parts().store.clone();
            tokio::select! {
                () = store.arrivals().woken() => {}
                () = async { tokio::time::sleep_until(wake.expect("guarded").into()).await }, if wake.is_some() => {}
                () = tasks.draining() => {}
            }
        }
    }

    /// Takes in what happened.
    fn hear(&mut self) {
        let now = Instant::now();
        for destination in self.parts().store.arrivals().take() {
            self.lane(destination, now).wake();
        }
        let Inbox { seated, finished } = self.dispatcher.take_inbox();
        for destination in seated {
            let lane = self.lane(destination, now);
            lane.warm_up();
            lane.wake();
            let store = self.parts().store.clone();
            self.parts().tasks.spawn(async move {
                // What failed because nobody was there is worth a try now.
                if let Err(error) = store.hasten(destination).await {
                    tracing::warn!(%error, "deliveries could not be brought forward");
                }
            });
        }
        for Finished { destination, settlement, was_reached, memory_bytes } in finished {
            if let Some(bytes) = memory_bytes {
                self.bytes_in_flight = self.bytes_in_flight.saturating_sub(bytes);
                self.lane(destination, now).end(bytes, was_reached, now);
            }
            self.lane(destination, now).wake();
            self.unsettled.push((destination, settlement));
        }
    }

    fn lane(&mut self, destination: DestinationId, now: Instant) -> &mut Lane {
        self.lanes.entry(destination).or_insert_with(|| Lane::new(now))
    }

    /// What to ask the store for.
    fn plan(&mut self, is_draining: bool) -> Plan {
        let mut plan = Plan { wants: Vec::new(), wake: None, orphaned: Vec::new() };
        let parts = &self.dispatcher.inner.parts;
        let in_flight: u32 = self.lanes.values().map(|lane| lane.in_flight).sum();
        let mut left = IN_FLIGHT_MAX.saturating_sub(in_flight);
        let is_broken = matches!(parts.store.health(), Health::Poisoned(_));
        if is_draining || is_broken || self.bytes_in_flight + INLINE_BYTES_MAX > BYTES_IN_FLIGHT_MAX {
            left = 0;
        }
        let now = Instant::now();
        let mut takers = Vec::new();
        self.lanes.retain(|destination, lane| {
            // Of a thousand that wait for their agents none costs the others a look.
            if lane.is_asleep {
                return true;
            }
            let Some(source) = parts.store.source_of(*destination) else {
                if lane.in_flight == 0 {
                    plan.orphaned.push(*destination);
                }
                return lane.in_flight > 0;
            };
            if lane.is_idle() && source.rules.hold {
                // What waits is not looked for while it may not go; it is when the hold ends.
                lane.is_asleep = true;
                return true;
            }
            if lane.is_idle() {
                parts.store.arrivals().close(*destination);
                return false;
            }
            let Some(rules) = source.destination(*destination).map(|destination| &destination.rules) else {
                return lane.in_flight > 0;
            };
            let is_held = source.rules.paused || rules.paused;
            let is_there = rules.url.is_some() || parts.registry.takes_backlog(*destination);
            if is_held || !is_there {
                lane.is_asleep = true;
                return true;
            }
            if left == 0 || lane.bytes + INLINE_BYTES_MAX > BYTES_PER_LANE_MAX {
                return true;
            }
            match lane.room(rules, now) {
                Room::Now(count) => takers.push(Want {
                    destination: *destination,
                    limit: count.min(CLAIM_MAX),
                    bytes_max: BYTES_PER_LANE_MAX - lane.bytes,
                    lease_ms: u64::from(rules.timeout_ms) + LEASE_MARGIN_MS,
                    is_strict: rules.order == crate::model::Order::Strict,
                    is_on_hold: source.rules.hold,
                }),
                Room::At(at) => plan.wake = Some(plan.wake.map_or(at, |wake: Instant| wake.min(at))),
                Room::Nothing => {}
            }
            true
        });
        // Where there is not room for all, it is another's turn to be first.
        self.turns = self.turns.wrapping_add(1);
        if !takers.is_empty() {
            let first = self.turns % takers.len();
            takers.rotate_left(first);
        }
        for mut want in takers {
            want.limit = want.limit.min(left);
            left -= want.limit;
            if want.limit > 0 {
                plan.wants.push(want);
            }
        }
        plan
    }

    /// Ends what waits for deleted destinations. Whoever deletes one does so too; this finds what was under way then,
    /// was accepted in the same moment, or was left when the server ended.
    fn cancel_orphans(&self, orphaned: Vec<DestinationId>) {
        for destination in orphaned {
            let store = self.parts().store.clone();
            if !self.unsettled.is_empty() {
                // What the store refused to settle may wait again: after the next turn.
                store.arrivals().add(destination);
                continue;
            }
            self.parts()
                .tasks
                .spawn(async move { while let Ok(CANCEL_STEP) = store.cancel_deleted(destination).await {} });
        }
    }

    /// One turn: settles what is over, leases what may begin, and begins it.
    async fn turn(&mut self, wants: Vec<Want>) {
        let (unsettled, settlements): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unsettled).into_iter().unzip();
        let settlements = Arc::new(settlements);
        let parts = &self.dispatcher.inner.parts;
        let bytes_max = BYTES_IN_FLIGHT_MAX.saturating_sub(self.bytes_in_flight);
        match parts.store.advance(Arc::clone(&settlements), wants, bytes_max).await {
            Ok(advanced) => {
                for (destination, settlement) in unsettled.iter().zip(settlements.iter()) {
                    parts.metrics.settled(settlement);
                    attempting::log(settlement);
                    parts.activity.tell_settled(|| settled(parts, *destination, settlement));
                }
                let (now, now_ms) = (Instant::now(), parts.clock.now_ms());
                let mut of_lane: HashMap<DestinationId, Vec<Leased>> = HashMap::new();
                for leased in advanced.leased {
                    of_lane.entry(leased.destination).or_default().push(leased);
                }
                for state in advanced.lanes {
                    let leased = of_lane.remove(&state.destination).unwrap_or_default();
                    let lane = self.lane(state.destination, now);
                    lane.has_more = state.has_more;
                    lane.due = state
                        .next_due_ms
                        .map(|due_ms| now + Duration::from_millis(due_ms.saturating_sub(now_ms)));
                    let bytes = leased.iter().map(|one| one.memory_bytes).sum();
                    lane.begin(u32::try_from(leased.len()).unwrap_or(u32::MAX), bytes);
                    self.begin_attempts(leased);
                }
            }
            Err(error) => {
                self.unsettled = unsettled.into_iter().zip(Arc::unwrap_or_clone(settlements)).collect();
                match error {
                    StoreError::Poisoned | StoreError::Closed => self.unsettled.clear(),
                    error => {
                        tracing::warn!(%error, "the store refused a turn of the dispatcher; trying again");
                        tokio::time::sleep(STORE_RETRY).await;
                    }
                }
                if matches!(self.parts().store.health(), Health::Poisoned(_)) {
                    // The process ends now; what is leased is found by the next start.
                    self.parts().tasks.draining().await;
                }
            }
        }
    }

    /// Begins what was leased of one destination.
    fn begin_attempts(&mut self, leased: Vec<Leased>) {
        if leased.is_empty() {
            return;
        }
        self.bytes_in_flight += leased.iter().map(|one| one.memory_bytes).sum::<u64>();
        // Each is settled whatever happens to the task that makes it.
        let attempts =
            leased.into_iter().map(|one| Attempting::new(self.dispatcher.clone(), one)).collect::<Vec<_>>();
        let dispatcher = self.dispatcher.clone();
        self.parts().tasks.spawn(async move {
            let events = attempts.iter().map(|attempt| attempt.event()).collect();
            match dispatcher.inner.parts.store.load(events).await {
                Ok(mut events) => {
                    for attempt in attempts {
                        let at = events.iter().position(|event| event.summary.id == attempt.event());
                        let event = at.map(|at| events.swap_remove(at));
                        dispatcher.inner.parts.tasks.spawn(attempt.make(event));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "events to be delivered could not be read together; each by itself");
                    for attempt in attempts {
                        dispatcher.inner.parts.tasks.spawn(attempt.load_and_make());
                    }
                }
            }
        });
    }
}

/// What watchers are told.
fn settled(parts: &Parts, destination: DestinationId, settlement: &Settlement) -> Option<Settled> {
    let source = parts.store.source_of(destination)?;
    let name = source.destination(destination)?.name.clone();
    Some(Settled { source: source.id, destination: name, settlement: settlement.clone() })
}

impl Source {
    /// The destination of that id.
    #[must_use]
    pub fn destination(&self, id: DestinationId) -> Option<&crate::model::Destination> {
        self.destinations.iter().find(|destination| destination.id == id)
    }
}
