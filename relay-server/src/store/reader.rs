//! A few connections that cannot write, for questions. Each question has a deadline: an open read keeps the log from
//! being reused, and a slow one must not take the CPU from the requests.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::StoreError;
use super::open::DatabaseFile;

/// Connections for the questions of callers, and so of these answered at once, and as many for the relay's own, which
/// do not wait behind them. More would only take CPU from the requests.
pub(super) const READERS: usize = 2;

/// How long a question may wait for a connection.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// How long a question may run. Pages of a list take below 1 ms on a warm cache, 55 ms on a cold one of 5 M events.
const RUN_MAX: Duration = Duration::from_secs(1);

/// SQLite operations between two looks at the clock: some 10 µs.
const OPS_PER_LOOK: i32 = 1_000;

/// The connections.
#[derive(Clone)]
pub(super) struct Readers {
    idle: Arc<Idle>,
    places: Arc<Semaphore>,
}

/// Those that nobody asks.
struct Idle {
    conns: Mutex<Vec<Connection>>,
    _file: DatabaseFile,
}

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.conns.lock().expect("nothing panics while it holds the list of readers")
    }
}

/// A connection that goes back on every way out.
struct Loan {
    conn: Option<Connection>,
    idle: Arc<Idle>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.idle.lock().extend(self.conn.take());
    }
}

impl Readers {
    /// A pool of these connections.
    pub(super) fn new(conns: Vec<Connection>, file: DatabaseFile) -> Self {
        let places = Arc::new(Semaphore::new(conns.len()));
        Self { idle: Arc::new(Idle { conns: Mutex::new(conns), _file: file }), places }
    }

    /// Asks a question, on a thread that may block.
    pub(super) async fn ask<T, F>(&self, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let waiting = tokio::time::timeout(WAIT_MAX, Arc::clone(&self.places).acquire_owned());
        let place = waiting.await.map_err(|_| StoreError::Busy)?.map_err(|_| StoreError::Closed)?;
        let idle = Arc::clone(&self.idle);
        let asked = tokio::task::spawn_blocking(move || {
            let conn = idle.lock().pop();
            let mut loan = Loan { conn, idle };
            let conn = loan.conn.as_mut().ok_or(StoreError::Closed)?;
            let deadline = Instant::now() + RUN_MAX;
            conn.progress_handler(OPS_PER_LOOK, Some(move || Instant::now() >= deadline))?;
            let answer = question(conn);
            drop(loan);
            drop(place);
            Ok(answer?)
        });
        asked.await.unwrap_or(Err(StoreError::Closed))
    }
}
