//! What can go wrong between us and the disk, and whose turn it is then.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;

/// Why the data directory could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is missing and cannot be made, or cannot be written.
    #[error("the data directory {} cannot be used; create it, or let this user write there", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another server is at work there.
    #[error("another server is at work on {}; end it first, or give this one a data directory of its own (--data)", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// There is nothing to look at.
    #[error("there is no store in {}; name the data directory with --data", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// The log cannot be read where nothing can be written.
    #[error("the log of {} cannot be read without writing beside it; ask as a user who may write there, or copy the directory to where that is possible", path.display())]
    Log {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The file that should be the database is something else.
    #[error("{} is not a database of this program; move it away, or choose another data directory", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of this program wrote the database.
    #[error("{} was written by a newer version (schema {found}, this version knows {known}); update", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's schema version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// An older version of this program wrote the database, and it is not ours to bring it up to date here.
    #[error("{} was written by an older version (schema {found}, this version knows {known}); start the server once", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// The file's schema version.
        found: i64,
        /// The version this program knows.
        known: i64,
    },
    /// The SQLite linked in has a known way of corrupting a write-ahead log.
    #[error("this program was built with SQLite {found}; 3.51.3 or newer is needed (WAL-reset bug)")]
    SqliteTooOld {
        /// The version linked in.
        found: &'static str,
    },
    /// SQLite refused.
    #[error("the database {} cannot be opened", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
}

impl OpenError {
    /// Whether there is just no room.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Directory { source, .. } => {
                matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            }
            Self::Database { source, .. } => meaning(source) == Meaning::Full,
            _ => false,
        }
    }
}

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Too much is asked at once, or another process holds the database: later.
    #[error("the store is busy")]
    Busy,
    /// A question took longer than a question may.
    #[error("the store did not answer in time")]
    TooSlow,
    /// The disk is full: what frees space still works.
    #[error("the disk is full")]
    Full,
    /// The disk failed. The process has to end: only a fresh read can tell what is really there.
    #[error("the disk failed")]
    Poisoned,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Something this program does not expect of its database.
    #[error("the database refused")]
    Database(#[source] Arc<rusqlite::Error>),
}

impl StoreError {
    /// Whether what was asked may be found done after a restart: a commit whose sync failed lies in the log, and may be
    /// read from there. What belongs to it has to stay.
    #[must_use]
    pub fn may_be_done(&self) -> bool {
        matches!(self, Self::Poisoned)
    }
}

/// Why a source could not be made or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// The name is in use, or reserved because another project once used it.
    #[error("the name is taken")]
    Taken,
    /// There is no such source in the project.
    #[error("there is no such source")]
    NotFound,
    /// The project has as many sources, or the source as many destinations, or names of them in use or used, as there
    /// may be.
    #[error(
        "there are as many as there may be: 10,000 sources of a project, 32 destinations of a source and 1,000 names \
         that they ever had; use a name again, or another source"
    )]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The record was not taken: the queue is full, or the store is going down. The event stays unrecorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record queue is full")]
pub struct RecordFull;

/// Whether the store can still be relied on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// It works.
    #[default]
    Ok,
    /// The disk is full; events go unrecorded until there is space again.
    Full,
    /// The disk failed; the text says how. Never recovers: end the process.
    Poisoned(String),
}

/// What an I/O error on a body's file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileTrouble {
    /// No space.
    Full,
    /// The process may open no more files, or has no memory: later.
    Short,
    /// The disk: nothing that was written can be relied on any more.
    Broken,
}

impl FileTrouble {
    /// What `error` means.
    #[must_use]
    pub fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            ErrorKind::OutOfMemory => Self::Short,
            _ if is_out_of_files(error) => Self::Short,
            _ => Self::Broken,
        }
    }
}

/// `EMFILE` and `ENFILE`, which have no kind of their own.
#[cfg(unix)]
fn is_out_of_files(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(not(unix))]
fn is_out_of_files(_: &std::io::Error) -> bool {
    false
}

/// What a database error means for the whole store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Concerns the one who asked.
    Theirs,
    Busy,
    TooSlow,
    Full,
    /// An I/O error on a sync is not to be retried: the kernel may have forgotten the page it could not write, and
    /// the next sync then succeeds without it.
    Broken,
}

/// `SQLITE_IOERR_SHMSIZE`: the shared-memory file could not grow. That is a full disk by another name.
const IOERR_SHMSIZE: i32 = 4874;

pub(super) fn meaning(error: &rusqlite::Error) -> Meaning {
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return Meaning::Theirs };
    match failure.code {
        ErrorCode::DiskFull => Meaning::Full,
        ErrorCode::SystemIoFailure if failure.extended_code == IOERR_SHMSIZE => Meaning::Full,
        ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Meaning::Broken,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Meaning::Busy,
        ErrorCode::OperationInterrupted => Meaning::TooSlow,
        _ => Meaning::Theirs,
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::from(&Arc::new(error))
    }
}

impl From<&Arc<rusqlite::Error>> for StoreError {
    fn from(error: &Arc<rusqlite::Error>) -> Self {
        match meaning(error) {
            Meaning::Theirs => Self::Database(Arc::clone(error)),
            Meaning::Busy => Self::Busy,
            Meaning::TooSlow => Self::TooSlow,
            Meaning::Full => Self::Full,
            Meaning::Broken => Self::Poisoned,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_shortage_of_files_is_no_broken_disk() {
        for (errno, trouble) in [
            (28, FileTrouble::Full),
            (23, FileTrouble::Short),
            (24, FileTrouble::Short),
            (12, FileTrouble::Short),
            (5, FileTrouble::Broken),
            (30, FileTrouble::Broken),
        ] {
            assert_eq!(FileTrouble::of(&Error::from_raw_os_error(errno)), trouble, "errno {errno}");
        }
    }
}
