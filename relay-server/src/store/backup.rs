//! A copy of a data directory, taken beside a server at work: the database as it was at one moment, the files of its
//! bodies, the server's secrets. A backup and a restore are the same thing in two directions.
//!
//! A copy that was cut off never looks whole: it is made under another name, and the last rename makes it a store.

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::id::EventId;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::audit::{self, Audit};
use super::files::BodyFiles;
use super::open::{self, make_directory, make_file};
use super::{OpenError, column, record, retention};

/// What a server keeps beside its store and cannot make again: without the key every agent has to log in again, without
/// the other two agents notice a restart late, and receivers refuse the relay's signatures.
const SECRETS: [&str; 5] =
    ["tunnel-key.pem", "tunnel-cert.pem", "tunnel-secret", "signing-secret", "secrets-key"];

/// Longest secret, in bytes: a chain of certificates is a few thousand.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// What the copy is called until it is whole: as an ending where the target is yet to be made, else inside of it.
const PARTIAL: &str = "partial";

/// Pages (of 8 KiB) copied between two words about how far it is, and bytes after which the disk is made to catch up.
/// Otherwise the kernel collects gigabytes, and a commit of the server beside waits until all are written. Tests copy
/// small stores, and need some steps all the same.
const PAGES_PER_STEP: i32 = if cfg!(test) { 8 } else { 1_024 };
const SYNC_EVERY: u64 = 64 * 1024 * 1024;

/// How long to wait for a page somebody holds, how often. Nobody does in a write-ahead log; in a copy that another
/// program opened, somebody may.
const BUSY_WAIT: Duration = Duration::from_millis(50);
const BUSY_WAITS_MAX: u32 = 200;

/// First schema with bodies in files.
const FILES_SINCE: i64 = 2;

/// What a new mount holds of itself.
const LOST_AND_FOUND: &str = "lost+found";

/// How to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Bodies' files get a second name where that is possible: they never change, and it takes no time and no space.
    Backup,
    /// Everything is copied, so that what happens to the one does not happen to the other, and looked at to the last
    /// page before it is trusted.
    Restore,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Bytes of the database, of so many.
    Database(u64, u64),
    /// Files of bodies, of so many.
    Bodies(u64, u64),
    /// The copy is looked at.
    Audit,
}

/// A copy that is whole, and on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Events in it.
    pub events: u64,
    /// When the newest of them was received, unix milliseconds.
    pub newest_ms: Option<u64>,
    /// Files of bodies in it.
    pub files: u64,
    /// Secrets that were not there to be copied.
    pub secrets_missing: Vec<&'static str>,
    /// What an audit of the copy found; `None` of a store that an older version wrote.
    pub audit: Option<Audit>,
}

/// Why there is no copy. Nothing is left of it, as far as it could be removed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// There is something in the target.
    #[error("{} is not empty (it holds {holds})", path.display())]
    NotEmpty {
        /// The target.
        path: PathBuf,
        /// One thing that is in it.
        holds: String,
    },
    /// A copy was cut off there, or is at work.
    #[error("{} is there: left by a copy that was cut off, or one at work; remove it if it is not", path.display())]
    Unfinished {
        /// Where.
        path: PathBuf,
    },
    /// The target is part of what is to be copied.
    #[error("{} is inside of what is to be copied; choose another place", path.display())]
    Inside {
        /// The target.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be copied or written", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// SQLite refused.
    #[error("the database {} cannot be copied", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
}

impl CopyError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }

    fn database(path: &Path) -> impl Fn(rusqlite::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Database { path: path.clone(), source }
    }
}

/// Copies the data directory `from` to `to`, which has to be empty or not there. Blocks: a gigabyte takes seconds.
///
/// The moment whose state is copied is the beginning. Until the database is copied the log of a server at work cannot
/// be reused, and grows by what is written meanwhile.
///
/// # Errors
/// When there is no copy.
pub fn copy_store(
    from: &Path,
    to: &Path,
    manner: Manner,
    mut tell: impl FnMut(Progress),
) -> Result<Copied, CopyError> {
    let (source, version) = open::look(from)?;
    let staging = Staging::make(from, to)?;
    let refused = CopyError::database(&from.join(open::FILE));
    let path = staging.dir.join(open::FILE);
    copy_database(&source, &path, &refused, &mut tell)?;
    let copy = open_copy(&path).map_err(CopyError::database(&path))?;
    let mut files = 0;
    if version >= FILES_SINCE {
        let (there, here) = (BodyFiles::of_directory(from), BodyFiles::of_directory(&staging.dir));
        make_directory(here.directory()).map_err(CopyError::file(here.directory()))?;
        let bodies = bodies(&copy).map_err(CopyError::database(&path))?;
        let mut gone = Vec::new();
        for (done, body) in (1..).zip(&bodies) {
            if copy_body(&there.path(body.event), &here.path(body.event), body.bytes, manner)? {
                files += 1;
            } else if !audit::has_file(&source, body.key).map_err(&refused)? {
                gone.push(body.key);
            }
            tell(Progress::Bodies(done, bodies.len() as u64));
        }
        sync(here.directory())?;
        forget(&copy, &gone).map_err(CopyError::database(&path))?;
    }
    drop(source);
    let (events, newest_ms) = extent(&copy).map_err(CopyError::database(&path))?;
    copy.close().map_err(|(_, source)| CopyError::Database { path: path.clone(), source })?;
    sync(&path)?;
    let mut secrets_missing = Vec::new();
    for name in SECRETS {
        if !copy_secret(&from.join(name), &staging.dir.join(name), manner)? {
            secrets_missing.push(name);
        }
    }
    sync(&staging.dir)?;
    let audit = if version == open::VERSION {
        tell(Progress::Audit);
        Some(Audit::of_data_dir(&staging.dir, manner == Manner::Restore)?)
    } else {
        None
    };
    staging.publish()?;
    Ok(Copied { events, newest_ms, files, secrets_missing, audit })
}

/// The directory the copy is made in. Removed when dropped before its end.
struct Staging {
    dir: PathBuf,
    target: PathBuf,
    is_inside: bool,
    is_done: bool,
}

impl Staging {
    fn make(from: &Path, to: &Path) -> Result<Self, CopyError> {
        let is_inside = match fs::read_dir(to) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry.map_err(CopyError::file(to))?.file_name();
                    if name == PARTIAL {
                        return Err(CopyError::Unfinished { path: to.join(PARTIAL) });
                    }
                    if name != LOST_AND_FOUND {
                        let holds = name.to_string_lossy().into_owned();
                        return Err(CopyError::NotEmpty { path: to.to_owned(), holds });
                    }
                }
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(CopyError::file(to)(error)),
        };
        let dir = if is_inside { to.join(PARTIAL) } else { beside(to)? };
        let parent = parent_of(&dir);
        let home = fs::canonicalize(parent).map_err(CopyError::file(parent))?;
        let from = fs::canonicalize(from).map_err(CopyError::file(from))?;
        if home.starts_with(from) {
            return Err(CopyError::Inside { path: to.to_owned() });
        }
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&dir) {
            Ok(()) => Ok(Self { dir, target: to.to_owned(), is_inside, is_done: false }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(CopyError::Unfinished { path: dir })
            }
            Err(error) => Err(CopyError::file(&dir)(error)),
        }
    }

    /// Gives the copy its name. A directory that is there already gets the database last: without it, it is no store.
    fn publish(mut self) -> Result<(), CopyError> {
        if self.is_inside {
            let entries = fs::read_dir(&self.dir).map_err(CopyError::file(&self.dir))?;
            let mut names = Vec::new();
            for entry in entries {
                names.push(entry.map_err(CopyError::file(&self.dir))?.file_name());
            }
            names.sort_by_key(|name| name == open::FILE);
            for name in names {
                let to = self.target.join(&name);
                if name == open::FILE {
                    sync(&self.target)?;
                }
                fs::rename(self.dir.join(&name), &to).map_err(CopyError::file(&to))?;
            }
            fs::remove_dir(&self.dir).map_err(CopyError::file(&self.dir))?;
            sync(&self.target)?;
        } else {
            fs::rename(&self.dir, &self.target).map_err(CopyError::file(&self.target))?;
            sync(parent_of(&self.target))?;
        }
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// `NAME.partial` beside `NAME`.
fn beside(path: &Path) -> Result<PathBuf, CopyError> {
    let unnamed = || CopyError::File { path: path.to_owned(), source: io::ErrorKind::InvalidFilename.into() };
    let mut name = path.file_name().ok_or_else(unnamed)?.to_owned();
    name.push(".");
    name.push(PARTIAL);
    Ok(path.with_file_name(name))
}

fn parent_of(path: &Path) -> &Path {
    // An empty parent means here.
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Has a file or directory on disk.
fn sync(path: &Path) -> Result<(), CopyError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(CopyError::file(path))
}

/// Page by page, as the pages are. That takes as long as `VACUUM INTO` (some 6 s for 2.3 GB), and as long the log of a
/// server at work grows; but it can tell how far it is, and lets the disk catch up on its way.
fn copy_database(
    source: &Connection,
    path: &Path,
    refused: &dyn Fn(rusqlite::Error) -> CopyError,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), CopyError> {
    let file = make_file(path).map_err(CopyError::file(path))?;
    let here = CopyError::database(path);
    let mut copy = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(&here)?;
    // Nothing of it counts before it is whole, and synced by us.
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(&here)?;
    // With this transaction open, each step sees the same moment. Without it every commit of a server at work would
    // have the copy begin anew. It is open from its first read on.
    let moment = source.unchecked_transaction().map_err(refused)?;
    let number = |sql| moment.query_row(sql, [], |row| column::count(row, 0)).map_err(refused);
    number("SELECT count(*) FROM sqlite_schema")?;
    let page_bytes = number("PRAGMA page_size")?;
    let backup = Backup::new(&moment, &mut copy).map_err(refused)?;
    let (mut synced, mut waits) = (0, 0);
    loop {
        let step = backup.step(PAGES_PER_STEP).map_err(refused)?;
        let progress = backup.progress();
        let pages = |count: i32| u64::from(count.unsigned_abs()) * page_bytes;
        let (all, left) = (pages(progress.pagecount), pages(progress.remaining));
        let done = all.saturating_sub(left);
        tell(Progress::Database(done, all));
        match step {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked if waits < BUSY_WAITS_MAX => {
                waits += 1;
                std::thread::sleep(BUSY_WAIT);
            }
            StepResult::More => {
                if done - synced >= SYNC_EVERY {
                    file.sync_data().map_err(CopyError::file(path))?;
                    synced = done;
                }
            }
            _ => {
                let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                return Err(refused(rusqlite::Error::SqliteFailure(busy, None)));
            }
        }
    }
}

/// Opens the copy for the last touches. Without a log: a copy is one file, and can be read where nothing can be written.
fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    let copy = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mode: String = copy.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    debug_assert_eq!(mode, "delete");
    copy.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON;")?;
    Ok(copy)
}

/// An event whose body is a file.
struct Body {
    key: i64,
    event: EventId,
    bytes: u64,
}

/// Events whose body is a file.
fn bodies(copy: &Connection) -> rusqlite::Result<Vec<Body>> {
    copy.prepare(
        "SELECT id, chance, flags, request_bytes FROM events INDEXED BY events_in_files WHERE flags & 16",
    )?
    .query_map([], |row| {
        let event = record::id_of(column::count(row, 0)?, row.get(1)?, row.get(2)?);
        Ok(Body { key: row.get(0)?, event, bytes: column::count(row, 3)? })
    })?
    .collect()
}

/// What the server forgot meanwhile, the copy forgets.
fn forget(copy: &Connection, gone: &[i64]) -> rusqlite::Result<()> {
    let tx = copy.unchecked_transaction()?;
    gone.iter().try_for_each(|key| retention::forget_one(&tx, *key))?;
    tx.commit()
}

/// How many events there are, and when the newest came.
fn extent(copy: &Connection) -> rusqlite::Result<(u64, Option<u64>)> {
    copy.query_row("SELECT (SELECT count(*) FROM events), (SELECT max(id) FROM events)", [], |row| {
        let newest = column::count_or_none(row, 1)?;
        Ok((column::count(row, 0)?, newest.map(|key| key >> retention::KEY_SHIFT)))
    })
}

/// Brings a body's file over. Says whether there was one.
fn copy_body(from: &Path, to: &Path, bytes: u64, manner: Manner) -> Result<bool, CopyError> {
    let Some(there) = open_plain(from, manner).map_err(CopyError::file(from))? else { return Ok(false) };
    // Whatever speaks against a second name (another disk, another owner, too many names): a copy it is, then.
    if manner == Manner::Backup && fs::hard_link(from, to).is_ok() {
        return Ok(true);
    }
    copy_file(there, from, to, bytes).map(|()| true)
}

/// Brings a secret over, for this user only. Says whether there was one.
fn copy_secret(from: &Path, to: &Path, manner: Manner) -> Result<bool, CopyError> {
    let Some(there) = open_plain(from, manner).map_err(CopyError::file(from))? else { return Ok(false) };
    copy_file(there, from, to, SECRET_BYTES_MAX).map(|()| true)
}

/// Opens a file that is one; `None` when there is nothing. A backup may come from a stranger: where it is restored no
/// link leads out of it, and no pipe or device is read. A server's own directory may hold links to where its secrets are.
fn open_plain(path: &Path, manner: Manner) -> io::Result<Option<File>> {
    let follows = manner == Manner::Backup;
    let looked = if follows { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let refused = || io::Error::other("it is no plain file; put the file itself there, or leave it out");
    match looked {
        Ok(found) if !found.is_file() => return Err(refused()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut options = File::options();
    options.read(true);
    // Should it have become something else since.
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = if follows { OFlags::NONBLOCK } else { OFlags::NONBLOCK | OFlags::NOFOLLOW };
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(Some(file)) } else { Err(refused()) }
}

/// Copies a file of at most so many bytes. One that is longer has grown, or is not what the database says it is.
fn copy_file(there: File, from: &Path, to: &Path, bytes_max: u64) -> Result<(), CopyError> {
    let mut here = make_file(to).map_err(CopyError::file(to))?;
    let mut there = there.take(bytes_max.saturating_add(1));
    let copied = io::copy(&mut there, &mut here).map_err(CopyError::file(to))?;
    if copied > bytes_max {
        let error = format!("it is longer than the {bytes_max} bytes it may have");
        return Err(CopyError::file(from)(io::Error::other(error)));
    }
    here.sync_all().map_err(CopyError::file(to))
}
