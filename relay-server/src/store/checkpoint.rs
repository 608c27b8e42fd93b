//! Copies the log into the database beside the writer, on a thread and a connection of its own.
//!
//! A checkpoint of a thousand pages takes 10 ms on a small store and 100 ms on one of a million events, whose pages lie
//! everywhere: done between two commits, everybody who comes meanwhile would wait for it. So most of it is done beside
//! the commits, and what they have added since is left to the writer: that is short, and lets the log begin anew.
//!
//! SQLite syncs the database only with a copy of the whole log, which is the writer's: left to that, it waited 22 ms for
//! all that had been copied since the last time. So it is synced here too, and little is left to wait for.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::open::DatabaseFile;

/// Rounds beside the writer, each over what was added during the one before, and pages left from which on another one
/// is worth it.
const ROUNDS_MAX: usize = 4;
const PAGES_LEFT_MAX: i64 = 64;

/// What a checkpoint came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    /// Pages in the log.
    pub(super) log: i64,
    /// Of those, in the database.
    pub(super) copied: i64,
}

impl Copied {
    /// Whether the log can begin anew.
    pub(super) fn is_whole(self) -> bool {
        self.log == self.copied
    }
}

/// Copies the log, or as much of it as no reader still needs.
///
/// # Errors
/// When the disk refuses.
pub(super) fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<Copied> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok(Copied { log: row.get(1)?, copied: row.get(2)? })
    })
}

/// The thread.
pub(super) struct Checkpointer {
    ask: Option<Sender<()>>,
    told: Receiver<rusqlite::Result<()>>,
    is_at_work: bool,
    thread: Option<JoinHandle<()>>,
}

/// What it is doing.
pub(super) enum Progress {
    Idle,
    AtWork,
    /// It has just ended.
    Over(rusqlite::Result<()>),
}

impl Checkpointer {
    /// Starts it.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start(conn: Connection, file: DatabaseFile) -> std::io::Result<Self> {
        let (ask, asked) = channel();
        let (tell, told) = channel();
        let work = move || {
            while asked.recv().is_ok() {
                if tell.send(rounds(&conn, &file)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("store-checkpoint".to_owned()).spawn(work)?;
        Ok(Self { ask: Some(ask), told, is_at_work: false, thread: Some(thread) })
    }

    /// Has it begin. To be called while it is idle.
    pub(super) fn begin(&mut self) {
        self.is_at_work = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
    }

    /// How it is getting on.
    pub(super) fn progress(&mut self) -> Progress {
        if !self.is_at_work {
            return Progress::Idle;
        }
        match self.told.try_recv() {
            Ok(ended) => {
                self.is_at_work = false;
                Progress::Over(ended)
            }
            Err(TryRecvError::Empty) => Progress::AtWork,
            Err(TryRecvError::Disconnected) => {
                self.is_at_work = false;
                Progress::Idle
            }
        }
    }
}

impl Drop for Checkpointer {
    /// Waits for what it is at: its connection has to be closed before the writer's.
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn rounds(conn: &Connection, file: &DatabaseFile) -> rusqlite::Result<()> {
    for _ in 0..ROUNDS_MAX {
        let Copied { log, copied } = checkpoint(conn, "PASSIVE")?;
        if log - copied <= PAGES_LEFT_MAX {
            break;
        }
    }
    file.sync()
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::File;

    use super::super::error::{Meaning, meaning};
    use super::*;

    #[test]
    fn a_database_that_cannot_be_synced_is_a_broken_disk() {
        let dir = tempfile::tempdir().unwrap();
        let conn = Connection::open(dir.path().join("relay.db")).unwrap();
        // No file that can be synced.
        let file = File::open("/dev/null").unwrap();
        let mut checkpointer = Checkpointer::start(conn, file.into()).unwrap();
        checkpointer.begin();
        let ended = loop {
            match checkpointer.progress() {
                Progress::Over(ended) => break ended,
                Progress::AtWork => std::thread::yield_now(),
                Progress::Idle => panic!("it did not begin"),
            }
        };
        assert_eq!(meaning(&ended.unwrap_err()), Meaning::Broken);
    }
}
