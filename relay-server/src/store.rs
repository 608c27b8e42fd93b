//! What the server remembers: projects, sources, tokens, events. SQLite under `DIR/relay.db`.
//!
//! [`Store`] is a cheap handle. Sources are read from memory; everything else that is asked goes to a few reading
//! connections, everything that changes to one writing thread that commits in batches. A method that says it changed
//! something has it on disk (`fsync`) by then. Only [`Store::record`] does not wait: nobody was promised anything.

mod accept;
mod arrivals;
mod audit;
mod backup;
mod cache;
mod checkpoint;
mod column;
mod deliveries;
mod destinations;
mod error;
mod events;
mod files;
mod job;
mod ledger;
mod listing;
mod lock;
mod marks;
mod open;
mod projects;
mod queue;
mod reader;
mod record;
mod replay;
mod reserve;
mod retention;
mod search;
mod secrets;
mod sources;
mod standing;
mod tokens;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use protocol::id::EventId;
use rusqlite::Connection;

pub use self::accept::{Acceptance, Accepted, DedupeKey, NewDelivery, Start};
pub use self::arrivals::Arrivals;
pub use self::audit::{Audit, Orphan, SourceAudit};
pub use self::backup::{Copied, CopyError, Manner, Progress, copy_store};
pub use self::cache::Owner;
pub use self::deliveries::{
    Advanced, Attempt, CANCEL_STEP, DeliveryKey, Lane, Leased, Next, Settlement, Want,
};
pub use self::destinations::DestinationChange;
pub use self::error::{FileTrouble, Health, OpenError, RecordFull, SourceError, StoreError};
pub use self::events::{EVENTS_MAX, EventDetail, EventFilter, EventPage, EventSummary, Only, OutcomeKind};
pub use self::files::{BodyFiles, INLINE_BYTES_MAX, OwnFile, PartialBody};
pub use self::ledger::Ledger;
pub use self::listing::{DELIVERIES_MAX, DeliveryFilter, DeliveryPage};
pub use self::lock::DirectoryLock;
pub use self::marks::{Beside, MarkChange, Marked, PINNED_MAX};
pub use self::projects::DEFAULT_PROJECT;
pub use self::replay::{REPLAY_STEP, Replayed};
pub use self::retention::{Cursor, Pruned, Retention};
pub use self::standing::{COUNTED_MAX, Standing};
pub use self::tokens::NewToken;

use self::cache::Change;
use self::checkpoint::Checkpointer;
use self::job::{Job, Kind};
use self::reader::Readers;
use self::reserve::Reserve;
use self::writer::{Shared, Writer};
use crate::clock::Clock;
use crate::entropy;
use crate::model::EventRecord;

/// What became of records so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// On disk.
    pub written: u64,
    /// Taken by [`Store::record`], and then not written: the disk was full or failed.
    pub lost: u64,
}

/// A handle on the database. The last one to go writes what is still queued, and waits for that.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    // For whoever asks through the API, and for what the relay itself has to know to go on.
    readers: Readers,
    own_readers: Readers,
    files: BodyFiles,
    last_key: AtomicU64,
    clock: Clock,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    /// Lets the writer finish, and waits for it.
    fn stop(&self) {
        self.shared.queue.close();
        let writer = self.writer.lock().ok().and_then(|mut writer| writer.take());
        // A writer that panicked has said so through its health.
        let _ = writer.map(JoinHandle::join);
    }
}

impl Store {
    /// Opens the database in `data_dir`; makes both, for this user only, if they are not there.
    ///
    /// # Errors
    /// When the directory cannot be used, or what is in it is not ours, too new, or broken.
    pub async fn open(data_dir: &Path, clock: Clock) -> Result<Self, OpenError> {
        let dir = data_dir.to_owned();
        let opening = tokio::task::spawn_blocking(move || Self::open_blocking(&dir, clock));
        opening.await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(OpenError::Directory { path: data_dir.to_owned(), source })
        })
    }

    fn open_blocking(data_dir: &Path, clock: Clock) -> Result<Self, OpenError> {
        match Self::try_open(data_dir, clock.clone(), Health::Ok) {
            // What is held back is room enough: what is stored is delivered, and old events can be deleted.
            Err(error) if error.is_full() => {
                tracing::error!("the disk is full: no event is accepted or recorded until there is room");
                Reserve::in_directory(data_dir).give_up();
                Self::try_open(data_dir, clock, Health::Full)
            }
            opened => opened,
        }
    }

    fn try_open(data_dir: &Path, clock: Clock, health: Health) -> Result<Self, OpenError> {
        let (path, file) = open::prepare(data_dir)?;
        let refused = |source| OpenError::Database { path: path.clone(), source };
        let conn = open::writer(&path)?;
        let cache = sources::load_all(&conn).map_err(refused)?;
        let last_key = newest_key(&conn).map_err(refused)?;
        let files = BodyFiles::in_directory(data_dir)
            .map_err(|source| OpenError::Directory { path: data_dir.join("bodies"), source })?;
        let readers = || (0..reader::READERS).map(|_| open::reader(&path)).collect::<Result<_, _>>();
        let shared = Arc::new(Shared::new(cache, health));
        let no_thread = |source| OpenError::Directory { path: data_dir.to_owned(), source };
        let checkpointer =
            Checkpointer::start(open::checkpointer(&path)?, file.clone()).map_err(no_thread)?;
        let reserve = Reserve::in_directory(data_dir);
        let writer =
            Writer::new(conn, file.clone(), checkpointer, Arc::clone(&shared), reserve).map_err(refused)?;
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        let thread = thread.spawn(move || writer.run()).map_err(no_thread)?;
        let inner = Inner {
            shared,
            readers: Readers::new(readers()?, file.clone()),
            own_readers: Readers::new(readers()?, file),
            files,
            last_key: AtomicU64::new(last_key),
            clock,
            writer: Mutex::new(Some(thread)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes what is queued and closes. Whoever still holds a handle is told [`StoreError::Closed`] from here on.
    pub async fn close(self) {
        let inner = self.inner;
        // A runtime that is going down runs this here and now: `Drop` does the same.
        let _ = tokio::task::spawn_blocking(move || inner.stop()).await;
    }

    /// A new event's id. Ids of one store rise, even when the clock goes back.
    #[must_use]
    pub fn next_event_id(&self) -> EventId {
        let now = self.inner.clock.now_ms() << 20;
        let next = |last: u64| Some((last + 1).max(now));
        let last = self.inner.last_key.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let key = next(last.unwrap_or_default()).unwrap_or(now);
        EventId::from_parts(key, entropy::pooled_u128())
    }

    /// Has an event written down soon. Never waits: at most 16,384 records or 64 MiB of them queue up.
    ///
    /// # Errors
    /// When the queue is full or the store is closed: the event stays unrecorded.
    pub fn record(&self, record: Box<EventRecord>) -> Result<(), RecordFull> {
        self.inner.shared.queue.put_record(record)
    }

    /// What became of records so far.
    #[must_use]
    pub fn record_counts(&self) -> RecordCounts {
        let shared = self.shared();
        RecordCounts {
            written: shared.recorded.load(Ordering::Relaxed),
            lost: shared.lost.load(Ordering::Relaxed),
        }
    }

    /// Whether the store can be relied on.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared().health.borrow().clone()
    }

    /// Which destinations have something to do.
    #[must_use]
    pub fn arrivals(&self) -> &Arrivals {
        &self.shared().arrivals
    }

    /// Where bodies are that are too large for the database.
    #[must_use]
    pub fn body_files(&self) -> &BodyFiles {
        &self.inner.files
    }

    /// Removes files of bodies that an earlier life of this server left behind without an event. Only for the one that
    /// takes events in, and before it does: a body whose event is about to be committed looks the same.
    ///
    /// # Errors
    /// When the directory or the database cannot be read.
    pub async fn sweep_bodies(&self) -> std::io::Result<()> {
        let files = self.inner.files.clone();
        let swept = self.write(move |conn, _| Ok(files.sweep(conn)));
        swept.await.map_err(std::io::Error::other).flatten()
    }

    /// The disk failed under something other than the database: nothing is acknowledged from here on.
    pub fn poison(&self, how: &std::io::Error) {
        tracing::error!(error = %how, "the disk failed: nothing more is written");
        self.shared().health.send_replace(Health::Poisoned(how.to_string()));
    }

    /// Waits until the disk fails, and says how. The process has to end then: the next start reads what is there.
    pub async fn poisoned(&self) -> String {
        let mut health = self.shared().health.subscribe();
        let poisoned = health.wait_for(|health| matches!(health, Health::Poisoned(_))).await;
        match poisoned.as_deref() {
            Ok(Health::Poisoned(how)) => how.clone(),
            // The sender lives as long as this handle.
            _ => std::future::pending().await,
        }
    }

    /// Does a change in a transaction of the writer; done when it is on disk.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Vec<Change>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (job, answer) = job::job(work);
        self.wait_for(job, answer).await
    }

    /// The same for work that can be done again.
    async fn write_repeatable<T, F>(&self, kind: Kind, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection, &mut Vec<Change>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (job, answer) = job::repeatable(kind, work);
        self.wait_for(job, answer).await
    }

    async fn wait_for<T>(&self, job: Box<dyn Job>, answer: job::Answer<T>) -> Result<T, StoreError> {
        let queued = self.shared().queue.put_job(job);
        let answered = match queued {
            Ok(()) => answer.await.unwrap_or(Err(StoreError::Closed)),
            Err(error) => Err(error),
        };
        match answered {
            Err(StoreError::Closed) if matches!(self.health(), Health::Poisoned(_)) => {
                Err(StoreError::Poisoned)
            }
            answered => answered,
        }
    }

    /// Asks a question of a reading connection.
    async fn read<T, F>(&self, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.inner.readers.ask(question).await
    }

    /// The same for what the relay has to know to go on: not behind any question of a caller. Short ones only.
    async fn read_own<T, F>(&self, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.inner.own_readers.ask(question).await
    }

    fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The time as a column holds it.
    fn now_ms(&self) -> i64 {
        column::number(self.inner.clock.now_ms())
    }
}

fn newest_key(conn: &Connection) -> rusqlite::Result<u64> {
    conn.query_row("SELECT ifnull(max(id), 0) FROM events", [], |row| column::count(row, 0))
}
