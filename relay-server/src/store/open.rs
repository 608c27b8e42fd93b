//! Opening the database: the directory, the file and its rights, the settings of a connection, the schema.

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::OpenError;

/// Name of the database in the data directory.
pub(super) const FILE: &str = "relay.db";

/// First SQLite without the WAL-reset bug (3.7.0 to 3.51.2 may corrupt a log two connections write to).
const SQLITE_MIN: i32 = 3_051_003;

/// Marks a file as ours: "RELY".
const APPLICATION_ID: i64 = 0x5245_4c59;

/// How long to wait for another process that writes. `token create` beside a running server takes milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages of 8 KiB: recording an event with a 1 KiB body costs a sixth less CPU than with 4 KiB pages. 16 KiB would
/// save little more, and cost more where a hundred sources are busy: each has a page of the index rewritten per commit.
const PAGE_BYTES: u32 = 8192;

/// Page cache of the writer, in KiB. Holds the index leaves of some thousand busy sources.
const WRITER_CACHE_KIB: i32 = 32 * 1024;

/// Page cache of a reader, in KiB. The system's own page cache stands behind it.
const READER_CACHE_KIB: i32 = 8 * 1024;

/// The schema, step by step. A step that was ever released never changes.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
];

/// The schema this version writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// The database's file, beside the connections: for a sync that SQLite leaves to the writer.
///
/// Where a process closes any descriptor of a file, the kernel ends all locks it has on that file, SQLite's too. So
/// whoever has a connection holds this as well, and lets go of it later.
#[derive(Debug, Clone)]
pub(super) struct DatabaseFile(Arc<fs::File>);

impl From<fs::File> for DatabaseFile {
    fn from(file: fs::File) -> Self {
        Self(Arc::new(file))
    }
}

impl DatabaseFile {
    /// Waits until what was written to it is on disk.
    ///
    /// # Errors
    /// As SQLite says it of a sync of its own.
    pub(super) fn sync(&self) -> rusqlite::Result<()> {
        let failed = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        self.0.sync_data().map_err(|error| rusqlite::Error::SqliteFailure(failed, Some(error.to_string())))
    }
}

/// The path of the database, with the directory made and the file there, both for this user only.
pub(super) fn prepare(data_dir: &Path) -> Result<(PathBuf, DatabaseFile), OpenError> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(OpenError::SqliteTooOld { found: rusqlite::version() });
    }
    let unusable = |source| OpenError::Directory { path: data_dir.to_owned(), source };
    make_directory(data_dir).map_err(unusable)?;
    let path = data_dir.join(FILE);
    let file = make_file(&path).map_err(unusable)?;
    Ok((path, file.into()))
}

pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens `path` for writing, made for this user only if it is not there. Log and index inherit its rights.
pub(super) fn make_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A connection that writes, with the schema up to date.
pub(super) fn writer(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let refused = |source| refusal(path, source);
    let mut conn = Connection::open_with_flags(path, flags).map_err(refused)?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(refused)?;
    if check_owner(&conn, path)? {
        // These two only count before the first table is made; setting them later would write all the same.
        conn.pragma_update(None, "page_size", PAGE_BYTES).map_err(refused)?;
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(refused)?;
    } else {
        version(&conn, path)?;
    }
    use_log(&conn).map_err(refused)?;
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON;",
    )
    .map_err(refused)?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(refused)?;
    migrate(&mut conn, path)?;
    Ok(conn)
}

/// Switches to a write-ahead log. The statement says so in a row, and commits after it: it has to be run to its end for
/// a failed commit to be seen. Everything else would work without the log, only slower and with readers in the way.
fn use_log(conn: &Connection) -> rusqlite::Result<()> {
    let mut change = conn.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = change.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// A connection that copies the log of an open database into it.
pub(super) fn checkpointer(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        conn.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA mmap_size = 0;
             PRAGMA trusted_schema = OFF;",
        )?;
        Ok(conn)
    };
    open().map_err(|source| refusal(path, source))
}

/// A connection that cannot write.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.execute_batch("PRAGMA query_only = ON; PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF;")?;
        conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        Ok(conn)
    };
    open().map_err(|source| refusal(path, source))
}

fn refusal(path: &Path, source: rusqlite::Error) -> OpenError {
    if source.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
        OpenError::NotADatabase { path: path.to_owned() }
    } else {
        OpenError::Database { path: path.to_owned(), source }
    }
}

/// Refuses a database that somebody else's program made. Says whether it is still empty.
fn check_owner(conn: &Connection, path: &Path) -> Result<bool, OpenError> {
    let number =
        |sql| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|source| refusal(path, source));
    let is_empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    if is_empty || number("PRAGMA application_id")? == APPLICATION_ID {
        Ok(is_empty)
    } else {
        Err(OpenError::NotADatabase { path: path.to_owned() })
    }
}

/// Opens the store in `data_dir` for looking at it, beside a server at work or without one, and says its schema's
/// version: this one's or an older one's. Makes nothing, save the log's own files where there is a log to be read.
pub(super) fn look(data_dir: &Path) -> Result<(Connection, i64), OpenError> {
    let path = data_dir.join(FILE);
    match fs::metadata(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Missing { path: data_dir.to_owned() });
        }
        Err(source) => return Err(OpenError::Directory { path: data_dir.to_owned(), source }),
    }
    let looked = reader(&path).and_then(|conn| version(&conn, &path).map(|version| (conn, version)));
    looked.map_err(|error| match error {
        OpenError::Database { path, source } if needs_to_write(&source) => OpenError::Log { path, source },
        error => error,
    })
}

/// Even a reader of a write-ahead log has to write its index, and to make both files where the last writer removed them.
fn needs_to_write(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly))
}

/// The version of the schema. Refuses one this version does not know.
fn version(conn: &Connection, path: &Path) -> Result<i64, OpenError> {
    check_owner(conn, path)?;
    let version = conn.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    let found = version.map_err(|source| refusal(path, source))?;
    if found > VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    Ok(found)
}

fn migrate(conn: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let refused = |source| refusal(path, source);
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(refused)?;
    let found: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(refused)?;
    let Some(missing) = usize::try_from(found).ok().and_then(|done| MIGRATIONS.get(done..)) else {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: VERSION });
    };
    if missing.is_empty() {
        return Ok(());
    }
    for step in missing {
        tx.execute_batch(step).map_err(refused)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(refused)?;
    tx.pragma_update(None, "user_version", VERSION).map_err(refused)?;
    tx.commit().map_err(refused)
}
