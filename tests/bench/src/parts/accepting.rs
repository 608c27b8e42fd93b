//! Accepting events without HTTP, in a closed loop: through the store's own interface, and as bare rows by the plainest
//! writer there could be. What either of them costs, the server cannot undercut.
//!
//! Both write what the server wrote when it accepted one event like these; both wait for the disk.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use relay_server::clock::Clock;
use relay_server::model::SourceRules;
use relay_server::store::{Accepted, DEFAULT_PROJECT, EventFilter, Only, Store};
use rusqlite::{Connection, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use crate::copies::{self, KEY_SHIFT, Place, Rows, Template};
use crate::dice::Dice;
use crate::load::Measured;
use crate::load::account::{Snapshot, Tally};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub way: Way,
    /// A data directory at rest with an accepted event to be like.
    pub like: PathBuf,
    /// Which one: of this body size.
    pub body_bytes: u64,
    /// Where to write; made, and not removed.
    pub folder: PathBuf,
    /// Each has one event under way.
    pub submitters: usize,
    pub warm_up: Duration,
    pub window: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// `Store::accept`.
    Store,
    /// One writer thread, group commit, WAL, `synchronous=FULL`, SQLite's own checkpoints.
    Rows,
}

/// Most events of one commit, as in the store.
const BATCH_MAX: usize = 1_024;

/// As the store's writer has.
const CACHE_KIB: i32 = 32 * 1_024;

pub async fn run(plan: &Plan) -> Result<()> {
    let measured = LocalSet::new().run_until(accept(plan)).await?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

async fn accept(plan: &Plan) -> Result<Measured> {
    let filled = Store::open(&plan.like, Clock::system()).await?;
    let project = filled.project(DEFAULT_PROJECT).await?;
    let filter = EventFilter { project, sources: None, before: None, limit: 200, only: Only::default() };
    let like = copies::newest(&filled, filter, plan.body_bytes).await?;
    filled.close().await;

    let store = Store::open(&plan.folder, Clock::system()).await?;
    let project = store.project(DEFAULT_PROJECT).await?;
    let rules = SourceRules::default();
    let source = store.create_source(project, "accepting".parse()?, rules, Default::default()).await?;
    let destination = source.destinations[0].id;
    match plan.way {
        Way::Store => {
            let template = Rc::new(Template::new(like)?);
            let accept = {
                let store = store.clone();
                move || {
                    let store = store.clone();
                    let acceptance = template.acceptance(store.next_event_id(), source.id, destination);
                    async move {
                        match store.accept(acceptance).await? {
                            Accepted::Stored { .. } => Ok(()),
                            Accepted::Duplicate { of } => bail!("taken for a copy of {of}"),
                        }
                    }
                }
            };
            let measured = closed_loop(plan, accept).await;
            store.close().await;
            measured
        }
        Way::Rows => {
            store.close().await;
            let rows = Rows::read(&copies::open(&plan.like)?, like.summary.id.sort_key().cast_signed())?;
            let (submit, submitted) = mpsc::channel(plan.submitters);
            let writer = Writer::open(plan, rows, (source.id.0, destination.0))?;
            let writing = std::thread::Builder::new().name("plain-writer".to_owned());
            let writing = writing.spawn(move || writer.run(submitted))?;
            let accept = move || {
                let submit = submit.clone();
                async move {
                    let (done, committed) = oneshot::channel();
                    submit.send(done).await.ok().context("the writer has ended")?;
                    committed.await.context("the writer has failed")
                }
            };
            let measured = closed_loop(plan, accept).await;
            // With the last submitter gone the writer ends, and tells if it failed.
            writing.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
            measured
        }
    }
}

/// So many submitters, each with one event under way, until the window is over.
async fn closed_loop<A, F>(plan: &Plan, accept: A) -> Result<Measured>
where
    A: Fn() -> F + 'static,
    F: Future<Output = Result<()>> + 'static,
{
    let accept = Rc::new(accept);
    let tally = Rc::new(RefCell::new(Tally::default()));
    let is_measured = Rc::new(Cell::new(false));
    let mut submitters = JoinSet::new();
    for _ in 0..plan.submitters {
        let (accept, tally, is_measured) = (Rc::clone(&accept), Rc::clone(&tally), Rc::clone(&is_measured));
        submitters.spawn_local(async move {
            loop {
                let started = Instant::now();
                let accepted = accept().await;
                if is_measured.get() {
                    tally.borrow_mut().note(started.elapsed(), &accepted);
                }
                if accepted.is_err() {
                    return;
                }
            }
        });
    }
    sleep(plan.warm_up).await;
    let before = Snapshot::take(&Default::default())?;
    is_measured.set(true);
    sleep(plan.window).await;
    is_measured.set(false);
    let after = Snapshot::take(&Default::default())?;
    submitters.shutdown().await;
    let measured = Measured::new(&tally.borrow(), 0, after.since(&before)?);
    Ok(measured)
}

/// The plainest writer that makes the same promise.
struct Writer {
    conn: Connection,
    rows: Rows,
    place: Place,
    dice: Dice,
    clock: Clock,
}

impl Writer {
    fn open(plan: &Plan, rows: Rows, (source, destination): (i64, i64)) -> Result<Self> {
        let conn = copies::open(&plan.folder)?;
        conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
        conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let place = Place { key: 0, chance: 0, source, destination, seq: 0 };
        Ok(Self { conn, rows, place, dice: Dice::new(1, 0), clock: Clock::system() })
    }

    /// Writes until nobody is left who could submit.
    fn run(mut self, mut submitted: mpsc::Receiver<oneshot::Sender<()>>) -> Result<()> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while let Some(first) = submitted.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH_MAX
                && let Ok(next) = submitted.try_recv()
            {
                batch.push(next);
            }
            self.commit(batch.len())?;
            // Somebody who was aborted at the end of the window does not hear it.
            for done in batch.drain(..) {
                let _ = done.send(());
            }
        }
        Ok(())
    }

    fn commit(&mut self, events: usize) -> rusqlite::Result<()> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for _ in 0..events {
            let now = (self.clock.now_ms() << KEY_SHIFT).cast_signed();
            self.place.key = now.max(self.place.key + 1);
            self.place.chance = self.dice.bits().cast_signed();
            self.place.seq = tx
                .prepare_cached(
                    "INSERT INTO ledgers (source_id, accepted, made, delivered, dead, cancelled)
                     VALUES (?1, 1, 1, 0, 0, 0)
                     ON CONFLICT DO UPDATE SET accepted = accepted + 1, made = made + 1 RETURNING accepted",
                )?
                .query_row(params![self.place.source], |row| row.get(0))?;
            self.rows.write(&tx, &self.place)?;
        }
        tx.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds;
    use relay_server::store::Audit;

    async fn accepted(way: Way) -> Result<(Measured, Audit)> {
        let folder = tempfile::tempdir()?;
        let like = folder.path().join("like");
        seeds::one_accepted(&like, 1_024).await?;
        let plan = Plan {
            way,
            like,
            body_bytes: 1_024,
            folder: folder.path().join("new"),
            submitters: 8,
            warm_up: Duration::from_millis(50),
            window: Duration::from_millis(300),
        };
        let measured = LocalSet::new().run_until(accept(&plan)).await?;
        Ok((measured, Audit::of_data_dir(&plan.folder, true)?))
    }

    /// Whichever way they come, the server's own audit finds them whole.
    fn check((measured, audit): &(Measured, Audit)) {
        assert!(measured.requests > 0 && measured.errors == 0, "{measured:?}");
        assert!(audit.is_balanced(), "{audit:#?}");
        let [source] = &audit.sources[..] else { panic!("one source: {audit:#?}") };
        assert!(source.accepted >= measured.requests, "{measured:?} {source:?}");
        assert_eq!((source.stored, source.waiting), (source.accepted, source.accepted));
    }

    #[tokio::test]
    async fn events_accepted_by_the_store_alone_are_whole() -> Result<()> {
        check(&accepted(Way::Store).await?);
        Ok(())
    }

    #[tokio::test]
    async fn events_written_as_bare_rows_are_what_the_store_would_have_written() -> Result<()> {
        check(&accepted(Way::Rows).await?);
        Ok(())
    }
}
