//! A change somebody waits for: work inside the writer's transaction, and an answer after its commit.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::cache::Change;
use super::error::StoreError;

/// How a job is treated when much is asked for or the disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An API call, or an agent's greeting.
    Change,
    /// Takes an event in: refused while the disk is full. Weighs so many bytes.
    Accept { weight: usize },
    /// Settles and claims deliveries: goes on while the disk is full.
    Advance,
}

impl Kind {
    /// Whether the work can be done again. Such jobs run without a savepoint each, which costs a sixth of the writer's
    /// time: in the one case that matters, a row the database refuses, the whole batch is begun again.
    pub(super) const fn is_repeatable(self) -> bool {
        match self {
            Self::Accept { .. } | Self::Advance => true,
            Self::Change => false,
        }
    }
}

/// What the writer knows of a job.
pub(super) trait Job: Send {
    /// See [`Kind`].
    fn kind(&self) -> Kind;

    /// Does the work. Adds what changes in the cache once this is committed. May be asked again, after everything the
    /// first time did was undone, if [`Kind::is_repeatable`].
    ///
    /// # Errors
    /// When the database refused; what the job did so far has to be undone then.
    fn run(&mut self, conn: &Connection, changes: &mut Vec<Change>) -> Result<(), Arc<rusqlite::Error>>;

    /// Tells whoever asked. `batch` says whether the transaction the job ran in was committed.
    fn answer(self: Box<Self>, batch: Result<(), StoreError>);
}

struct Work<F, T> {
    kind: Kind,
    work: F,
    done: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

/// Where the answer of a job will be.
pub(super) type Answer<T> = oneshot::Receiver<Result<T, StoreError>>;

/// A job that does `work` once, and where its answer will be. A refusal in domain words is part of `T`: only what the
/// database says is an error here.
pub(super) fn job<T, F>(work: F) -> (Box<dyn Job>, Answer<T>)
where
    T: Send + 'static,
    F: FnOnce(&Connection, &mut Vec<Change>) -> rusqlite::Result<T> + Send + 'static,
{
    let mut work = Some(work);
    let once = move |conn: &Connection, changes: &mut Vec<Change>| match work.take() {
        Some(work) => work(conn, changes),
        None => Err(rusqlite::Error::InvalidQuery),
    };
    repeatable(Kind::Change, once)
}

/// A job whose work can be done again, see [`Kind::is_repeatable`].
pub(super) fn repeatable<T, F>(kind: Kind, work: F) -> (Box<dyn Job>, Answer<T>)
where
    T: Send + 'static,
    F: FnMut(&Connection, &mut Vec<Change>) -> rusqlite::Result<T> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Work { kind, work, done: None, reply }), answer)
}

impl<T, F> Job for Work<F, T>
where
    T: Send,
    F: FnMut(&Connection, &mut Vec<Change>) -> rusqlite::Result<T> + Send,
{
    fn kind(&self) -> Kind {
        self.kind
    }

    fn run(&mut self, conn: &Connection, changes: &mut Vec<Change>) -> Result<(), Arc<rusqlite::Error>> {
        match (self.work)(conn, changes) {
            Ok(value) => {
                self.done = Some(Ok(value));
                Ok(())
            }
            Err(error) => {
                let error = Arc::new(error);
                self.done = Some(Err(StoreError::from(&error)));
                Err(error)
            }
        }
    }

    fn answer(self: Box<Self>, batch: Result<(), StoreError>) {
        let done = match batch {
            Ok(()) => self.done.unwrap_or(Err(StoreError::Closed)),
            Err(error) => Err(error),
        };
        // Whoever asked may have given up waiting; what was committed stays committed.
        let _ = self.reply.send(done);
    }
}
