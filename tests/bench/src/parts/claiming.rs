//! The dispatcher's turn by itself, on a store that lies there: claims and settlements while events are accepted.
//!
//! A running server cannot be asked how long its turns take, so this plays its dispatcher: each turn settles what the
//! last one claimed and claims again, for one destination after the other. The events are accepted in this process too.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use relay_server::clock::Clock;
use relay_server::delivery::verdict::AttemptOutcome;
use relay_server::model::{AttemptRecord, DestinationId, Source, Times};
use relay_server::store::{
    Advanced, DEFAULT_PROJECT, EventFilter, Next, Only, OutcomeKind, Settlement, Store, Want,
};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::copies::{self, Template};
use crate::load::Measured;
use crate::load::account::{Snapshot, Tally};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// A data directory at rest.
    pub data: PathBuf,
    /// The accepted event to be like: of this body size.
    pub body_bytes: u64,
    /// Evenly spread, to all sources in turn.
    pub accepts_per_second: f64,
    pub turns_per_second: f64,
    /// Most deliveries claimed in one turn.
    pub claims: u32,
    pub warm_up: Duration,
    pub window: Duration,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turns {
    pub turns: Measured,
    /// Deliveries claimed by them.
    pub claimed: u64,
    pub accepts: Measured,
}

/// As the dispatcher asks for, where an attempt may take 30 s.
const LEASE_MS: u64 = 90_000;

/// How often the accepts that are due are begun.
const BEGIN_EVERY: Duration = Duration::from_millis(1);

pub async fn run(plan: &Plan) -> Result<()> {
    let turns = LocalSet::new().run_until(measure(plan)).await?;
    println!("{}", serde_json::to_string(&turns)?);
    Ok(())
}

/// What both loops share.
struct Course {
    store: Store,
    sources: Vec<Arc<Source>>,
    is_measured: Cell<bool>,
    turns: RefCell<Tally>,
    claimed: Cell<u64>,
    accepts: RefCell<Tally>,
}

async fn measure(plan: &Plan) -> Result<Turns> {
    let store = Store::open(&plan.data, Clock::system()).await?;
    let project = store.project(DEFAULT_PROJECT).await?;
    let only = Only { outcome: Some(OutcomeKind::Accepted), ..Only::default() };
    let filter = EventFilter { project, sources: None, before: None, limit: 200, only };
    let template = Rc::new(Template::new(copies::newest(&store, filter, plan.body_bytes).await?)?);
    store.expire_leases().await?;
    let open = store.open_destinations().await?;
    ensure!(!open.is_empty(), "nothing waits in {}", plan.data.display());
    let course = Rc::new(Course {
        sources: store.sources(project),
        store,
        is_measured: Cell::new(false),
        turns: RefCell::default(),
        claimed: Cell::new(0),
        accepts: RefCell::default(),
    });

    let mut loops = JoinSet::new();
    loops.spawn_local(accept(Rc::clone(&course), template, plan.accepts_per_second));
    loops.spawn_local(turn(Rc::clone(&course), open, plan.turns_per_second, plan.claims));
    sleep(plan.warm_up).await;
    let before = Snapshot::take(&Default::default())?;
    course.is_measured.set(true);
    sleep(plan.window).await;
    course.is_measured.set(false);
    let used = Snapshot::take(&Default::default())?.since(&before)?;
    // Neither ends by itself, but for an error that everything after it would repeat.
    if let Some(ended) = loops.try_join_next() {
        ended?.context("a loop ended before its time")?;
    }
    loops.shutdown().await;
    let turns = Measured::new(&course.turns.borrow(), 0, used.clone());
    let accepts = Measured::new(&course.accepts.borrow(), 0, used);
    course.store.clone().close().await;
    Ok(Turns { turns, claimed: course.claimed.get(), accepts })
}

/// Begins as many accepts as are due, and waits for none.
async fn accept(course: Rc<Course>, template: Rc<Template>, per_second: f64) -> Result<()> {
    let mut under_way = JoinSet::new();
    let mut ticks = interval(BEGIN_EVERY);
    let (started, mut begun) = (Instant::now(), 0_u32);
    loop {
        ticks.tick().await;
        while f64::from(begun) < started.elapsed().as_secs_f64() * per_second {
            let source = &course.sources[begun as usize % course.sources.len()];
            let id = course.store.next_event_id();
            let acceptance = template.acceptance(id, source.id, source.destinations[0].id);
            let course = Rc::clone(&course);
            under_way.spawn_local(async move {
                let (is_measured, started) = (course.is_measured.get(), Instant::now());
                let accepted = course.store.accept(acceptance).await.map_err(anyhow::Error::from);
                if is_measured {
                    course.accepts.borrow_mut().note(started.elapsed(), &accepted);
                }
            });
            begun += 1;
        }
        while under_way.try_join_next().is_some() {}
    }
}

/// Turn after turn, each for the next destination.
async fn turn(course: Rc<Course>, open: Vec<DestinationId>, per_second: f64, claims: u32) -> Result<()> {
    let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut settlements = Vec::new();
    for destination in open.into_iter().cycle() {
        ticks.tick().await;
        let want = Want {
            destination,
            limit: claims,
            lease_ms: LEASE_MS,
            bytes_max: u64::MAX,
            is_strict: false,
            is_on_hold: false,
        };
        let (is_measured, started) = (course.is_measured.get(), Instant::now());
        let turned = course.store.advance(Arc::new(settlements), vec![want], u64::MAX).await;
        let took = started.elapsed();
        let turned = turned.map_err(anyhow::Error::from);
        if is_measured {
            course.turns.borrow_mut().note(took, &turned);
        }
        let Advanced { leased, .. } = turned?;
        if is_measured {
            course.claimed.set(course.claimed.get() + leased.len() as u64);
        }
        settlements = leased
            .iter()
            .map(|one| Settlement {
                delivery: one.delivery,
                attempt: one.attempt,
                record: Some(Box::new(delivered(one.start_ms))),
                next: Next::Delivered,
            })
            .collect();
    }
    Ok(())
}

fn delivered(started_ms: u64) -> AttemptRecord {
    AttemptRecord {
        started_ms,
        outcome: AttemptOutcome::Answered(200),
        text: None,
        agent: None,
        answer: Default::default(),
        times: Times { head_us: 0, total_us: 1_300, connect_us: 80, app_us: 700 },
        is_resigned: false,
    }
}

#[cfg(test)]
mod tests {
    use relay_server::store::Audit;

    use super::*;
    use crate::seeds;

    #[tokio::test]
    async fn turns_claim_what_waits_and_settle_what_they_claimed() -> Result<()> {
        let folder = tempfile::tempdir()?;
        seeds::one_accepted(folder.path(), 1_024).await?;
        let plan = Plan {
            data: folder.path().to_owned(),
            body_bytes: 1_024,
            accepts_per_second: 200.0,
            turns_per_second: 50.0,
            claims: 16,
            warm_up: Duration::from_millis(100),
            window: Duration::from_millis(600),
        };
        let turns = LocalSet::new().run_until(measure(&plan)).await?;
        assert!(turns.turns.requests > 5 && turns.turns.errors == 0, "{turns:?}");
        assert!(turns.accepts.requests > 20 && turns.accepts.errors == 0, "{turns:?}");
        assert!(turns.claimed > 20, "{turns:?}");
        let audit = Audit::of_data_dir(folder.path(), true)?;
        assert!(audit.is_balanced(), "{audit:#?}");
        let [source] = &audit.sources[..] else { panic!("one source: {audit:#?}") };
        // What the last turn claimed is still leased.
        assert!(source.delivered >= turns.claimed - 16 && source.waiting <= source.accepted, "{source:?}");
        Ok(())
    }
}
