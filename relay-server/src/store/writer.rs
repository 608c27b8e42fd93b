//! The one thread that writes: batches of jobs and records, one commit each. The log is copied into the database beside
//! it ([`super::checkpoint`]); the end of that, which lets the log begin anew, is done here, when the answers are out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::hooks::Wal;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::watch;

use super::arrivals::Arrivals;
use super::cache::{Cache, Change};
use super::checkpoint::{Checkpointer, Progress, checkpoint};
use super::error::{Health, Meaning, StoreError, meaning};
use super::job::{Job, Kind};
use super::open::DatabaseFile;
use super::queue::{Batch, Queue};
use super::record;
use super::reserve::Reserve;
use crate::model::{DestinationId, EventRecord};

/// Least time between two commits of records alone, start to start. Nobody waits for a record, so its share of a
/// commit (0.6 ms of CPU, whatever is in it) may be small: 13 µs at 1,000 events a second, 9 µs at 5,000. With 20 ms
/// it is twice that. What a power cut can take is what was recorded within that time.
const PACE: Duration = Duration::from_millis(100);

/// Pages added to the log (2 MiB) after which it is copied: at 2,000 accepts a second on a store of a million events, 99
/// commits in a hundred take less than 6 ms beside that. With 1,000 it is 8 ms, for a twentieth less CPU.
const CHECKPOINT_PAGES: u32 = 250;

/// Pages in the log (64 MiB) from which on it is to begin anew. The writer takes some 5 ms for it, on a store of a million
/// events: so seldom enough that not one commit in a hundred waits for it.
const LOG_PAGES_ENOUGH: u32 = 8_000;

/// Pages in the log (256 MiB) that mean some reader keeps it from being reused.
const LOG_PAGES_ALARM: u32 = 32_768;

/// Least time between two commits, start to start, while several wait for each: at 2,000 events a second a seventh less
/// CPU and a quarter less written than without, and nothing is lost where a commit takes longer anyway.
const COMMIT_PACE: Duration = Duration::from_millis(1);

/// Jobs of a commit from which on the next one is paced. Whoever asks alone never waits.
const PACED_FROM: usize = 4;

/// How long a full disk is taken for full before it is looked at again.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// What the writer and the handles share.
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) cache: Cache,
    pub(super) arrivals: Arrivals,
    pub(super) health: watch::Sender<Health>,
    pub(super) recorded: AtomicU64,
    pub(super) lost: AtomicU64,
}

impl Shared {
    pub(super) fn new(cache: Cache, health: Health) -> Self {
        Self {
            queue: Queue::default(),
            cache,
            arrivals: Arrivals::default(),
            health: watch::Sender::new(health),
            recorded: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    fn lose(&self, records: usize) {
        self.lost.fetch_add(records as u64, Ordering::Relaxed);
    }
}

/// The thread's own state.
pub(super) struct Writer {
    // Closed before the connection that writes: the last one to close looks after the log.
    checkpointer: Checkpointer,
    conn: Connection,
    _file: DatabaseFile,
    shared: Arc<Shared>,
    reserve: Reserve,
    log_pages: Arc<AtomicU32>,
    /// Pages in the log when it was last copied.
    copied_pages: u32,
    log_is_long: bool,
    look_again: Instant,
}

/// Answers what is left when the thread ends, however it ends.
struct Leaving(Arc<Shared>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.health.send_replace(Health::Poisoned("the writer thread panicked".to_owned()));
        }
        let is_poisoned = matches!(*self.0.health.borrow(), Health::Poisoned(_));
        let Batch { jobs, records } = self.0.queue.abandon();
        self.0.lose(records.len());
        for job in jobs {
            job.answer(Err(if is_poisoned { StoreError::Poisoned } else { StoreError::Closed }));
        }
    }
}

/// Runs the jobs that can be done again.
fn run_repeatable(
    conn: &Connection,
    jobs: &mut [Box<dyn Job>],
    changes: &mut Vec<Change>,
) -> Result<(), Arc<rusqlite::Error>> {
    jobs.iter_mut().filter(|job| job.kind().is_repeatable()).try_for_each(|job| job.run(conn, changes))
}

/// Destinations the dispatcher has to look at after these changes.
fn concerned(changes: &[Change]) -> Vec<DestinationId> {
    let of_change = |change: &Change| match change {
        Change::Arrived(destination) => vec![*destination],
        Change::Source(source) => source.destinations.iter().map(|destination| destination.id).collect(),
        Change::Deleted(_) => Vec::new(),
    };
    changes.iter().flat_map(of_change).collect()
}

impl Writer {
    /// Makes `conn` the writing connection.
    ///
    /// # Errors
    /// When SQLite does not take the hook.
    pub(super) fn new(
        conn: Connection,
        file: DatabaseFile,
        checkpointer: Checkpointer,
        shared: Arc<Shared>,
        reserve: Reserve,
    ) -> rusqlite::Result<Self> {
        let log_pages = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&log_pages);
        conn.set_prepared_statement_cache_capacity(64);
        let mut conn = conn;
        conn.wal_hook(Some(move |_: &mut Wal, pages: i32| {
            seen.store(pages.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            conn,
            _file: file,
            shared,
            reserve,
            checkpointer,
            log_pages,
            copied_pages: 0,
            log_is_long: false,
            look_again: Instant::now(),
        })
    }

    /// Writes until the queue is closed and empty, or the disk fails.
    pub(super) fn run(mut self) {
        let _leaving = Leaving(Arc::clone(&self.shared));
        if self.is_full() {
            self.look_again = Instant::now() + FULL_RETRY;
        } else if let Err(error) = self.reserve.take() {
            tracing::warn!(%error, "no disk space could be held back");
        }
        let mut paced = Instant::now();
        loop {
            let wake = self.is_full().then_some(self.look_again);
            let Some(batch) = self.shared.queue.take(paced, wake) else { break };
            if self.is_poisoned() {
                // By a body's file. What is queued is answered on the way out.
                batch.jobs.into_iter().for_each(|job| job.answer(Err(StoreError::Poisoned)));
                return;
            }
            let start = Instant::now();
            if !batch.records.is_empty() {
                paced = start + PACE;
            }
            let is_busy = batch.jobs.len() >= PACED_FROM;
            self.settle(batch);
            if is_busy {
                std::thread::sleep(COMMIT_PACE.saturating_sub(start.elapsed()));
            }
            self.checkpoint_when_due();
            if self.is_poisoned() {
                return;
            }
        }
        // Leaves an empty log, so that a copy of the one file is a whole backup.
        let Self { conn, checkpointer, .. } = self;
        drop(checkpointer);
        if let Err(error) = checkpoint(&conn, "TRUNCATE") {
            tracing::warn!(%error, "the log could not be emptied at the end");
        }
    }

    fn settle(&mut self, batch: Batch) {
        let Batch { mut jobs, mut records } = batch;
        if self.is_full() && !self.has_room_again() {
            self.shared.lose(records.len());
            records.clear();
            let is_accept = |job: &mut Box<dyn Job>| matches!(job.kind(), Kind::Accept { .. });
            jobs.extract_if(.., is_accept).for_each(|job| job.answer(Err(StoreError::Full)));
        }
        if jobs.is_empty() && records.is_empty() {
            return;
        }
        let mut changes = Vec::new();
        let committed = match self.commit(&mut jobs, &records, &mut changes) {
            Ok(recorded) => {
                self.shared.recorded.fetch_add(recorded as u64, Ordering::Relaxed);
                self.shared.lose(records.len() - recorded);
                let concerned = concerned(&changes);
                self.shared.cache.apply(changes);
                concerned.into_iter().for_each(|destination| self.shared.arrivals.add(destination));
                Ok(())
            }
            Err(error) => {
                self.shared.lose(records.len());
                self.note(&error);
                Err(StoreError::from(&error))
            }
        };
        for job in jobs {
            job.answer(committed.clone());
        }
    }

    /// One transaction. Says how many records are in it.
    fn commit(
        &mut self,
        jobs: &mut [Box<dyn Job>],
        records: &[Box<EventRecord>],
        changes: &mut Vec<Change>,
    ) -> Result<usize, Arc<rusqlite::Error>> {
        let mut tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut is_careful = false;
        if let Err(error) = run_repeatable(&tx, jobs, changes) {
            if meaning(&error) != Meaning::Theirs {
                return Err(error);
            }
            // One of them has no place in the database: everybody again, each behind a savepoint.
            drop(tx);
            changes.clear();
            is_careful = true;
            tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        }
        for job in jobs.iter_mut().filter(|job| is_careful || !job.kind().is_repeatable()) {
            let point = tx.savepoint()?;
            let before = changes.len();
            match job.run(&point, changes) {
                Ok(()) => point.commit()?,
                Err(error) if meaning(&error) == Meaning::Theirs => {
                    // Only this job is undone: dropping the savepoint does it.
                    changes.truncate(before);
                }
                Err(error) => return Err(error),
            }
        }
        let recorded = record::insert(&tx, records)?;
        tx.commit()?;
        Ok(recorded)
    }

    fn is_poisoned(&self) -> bool {
        matches!(*self.shared.health.borrow(), Health::Poisoned(_))
    }

    fn is_full(&self) -> bool {
        *self.shared.health.borrow() == Health::Full
    }

    /// Whether a full disk has room again: as much as is held back.
    fn has_room_again(&mut self) -> bool {
        if Instant::now() < self.look_again {
            return false;
        }
        self.look_again = Instant::now() + FULL_RETRY;
        let has_room = self.reserve.take().is_ok();
        if has_room {
            tracing::info!("the disk has room again: events are accepted and recorded");
            self.shared.health.send_replace(Health::Ok);
        }
        has_room
    }

    /// Draws the consequences of a failed transaction or checkpoint.
    fn note(&mut self, error: &rusqlite::Error) {
        match meaning(error) {
            Meaning::Full => {
                if !self.is_full() {
                    tracing::error!("the disk is full: no event is accepted or recorded until there is room");
                }
                self.reserve.give_up();
                self.look_again = Instant::now() + FULL_RETRY;
                self.shared.health.send_replace(Health::Full);
            }
            Meaning::Broken => {
                tracing::error!(%error, "the disk failed: nothing more is written");
                self.shared.health.send_replace(Health::Poisoned(error.to_string()));
            }
            Meaning::Theirs | Meaning::Busy | Meaning::TooSlow => {
                tracing::error!(%error, "a transaction failed");
            }
        }
    }

    fn checkpoint_when_due(&mut self) {
        let pages = self.log_pages.load(Ordering::Relaxed);
        // Fewer than before: it has begun anew.
        self.copied_pages = self.copied_pages.min(pages);
        match self.checkpointer.progress() {
            Progress::AtWork => return,
            Progress::Over(Ok(())) => {
                if pages >= LOG_PAGES_ENOUGH {
                    self.begin_log_anew();
                }
                self.copied_pages = self.log_pages.load(Ordering::Relaxed);
                return;
            }
            Progress::Over(Err(error)) => self.note(&error),
            Progress::Idle => {}
        }
        if pages - self.copied_pages < CHECKPOINT_PAGES {
            return;
        }
        if pages >= LOG_PAGES_ALARM && !self.log_is_long {
            tracing::warn!(
                log.pages = pages,
                "the write-ahead log grows: some reader keeps it from being reused"
            );
        }
        self.log_is_long = pages >= LOG_PAGES_ALARM;
        self.checkpointer.begin();
    }

    /// Copies the little that is left, so that the next commit writes to the log's beginning.
    fn begin_log_anew(&mut self) {
        match checkpoint(&self.conn, "PASSIVE") {
            Ok(copied) if copied.is_whole() => self.log_pages.store(0, Ordering::Relaxed),
            Ok(_) => {}
            Err(error) => self.note(&error),
        }
    }
}
