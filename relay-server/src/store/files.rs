//! Bodies too large for the database, each in a file of its own under `DIR/bodies`, named by its event.
//!
//! A file is whole and on disk before the row that speaks of it is written, and removed after that row: a file nobody
//! speaks of is left over from a crash, and swept away at the next start of a server. Never the reverse.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::id::EventId;
use rusqlite::Connection;

use super::open::{make_directory, make_file};

/// Bodies up to this size, in bytes, stand in the database. A larger one would make everybody of its commit wait: with
/// 10 MiB inside, an acknowledgement took 54 ms at the 99th percentile instead of 3.
pub const INLINE_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes written between two syncs: what a crash-safe end has left to wait for.
const SYNC_EVERY: u64 = 1024 * 1024;

/// The directory of large bodies. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BodyFiles {
    dir: Arc<Path>,
}

/// A body that is being written. Removed when dropped before its end.
#[derive(Debug)]
pub struct PartialBody {
    file: Option<File>,
    partial: PathBuf,
    whole: PathBuf,
    written: u64,
    synced: u64,
}

/// The whole file of a body no row speaks of yet. Removed when dropped, unless one does by then, or may.
#[derive(Debug)]
#[must_use = "dropped, it removes the file"]
pub struct OwnFile {
    path: PathBuf,
    is_kept: AtomicBool,
}

impl OwnFile {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays.
    pub fn keep(&self, is_kept: bool) {
        self.is_kept.store(is_kept, Ordering::Relaxed);
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if !*self.is_kept.get_mut() {
            // One that cannot be removed is swept at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl BodyFiles {
    /// The directory of `data_dir`, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn in_directory(data_dir: &Path) -> io::Result<Self> {
        let files = Self::of_directory(data_dir);
        make_directory(&files.dir)?;
        Ok(files)
    }

    /// The directory of `data_dir`, which need not be there.
    pub(super) fn of_directory(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("bodies").into() }
    }

    /// The directory itself.
    pub(super) fn directory(&self) -> &Path {
        &self.dir
    }

    /// What the files hold together, in bytes. Blocks.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(&*self.dir)? {
            // One that went meanwhile holds nothing.
            bytes += entry?.metadata().map_or(0, |file| file.len());
        }
        Ok(bytes)
    }

    /// Where the body of an event is, if it has a file.
    #[must_use]
    pub fn path(&self, event: EventId) -> PathBuf {
        self.dir.join(&*event.text())
    }

    /// Begins a body. Blocks; so do its other methods.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin(&self, event: EventId) -> io::Result<PartialBody> {
        let whole = self.path(event);
        let partial = whole.with_extension("partial");
        let file = make_file(&partial)?;
        Ok(PartialBody { file: Some(file), partial, whole, written: 0, synced: 0 })
    }

    /// Gives the body of an event to a second one as well, on disk with its name. Bodies never change, so where the
    /// file system can, it is one file under two names. Blocks.
    ///
    /// # Errors
    /// When the first event has no file, or the disk refuses.
    pub fn share(&self, from: EventId, with: EventId) -> io::Result<()> {
        if fs::hard_link(self.path(from), self.path(with)).is_ok() {
            return File::open(&self.dir)?.sync_all();
        }
        let mut body = File::open(self.path(from))?;
        let mut copy = self.begin(with)?;
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match body.read(&mut chunk)? {
                0 => return copy.finish().map(|file| file.keep(true)),
                read => copy.write(&chunk[..read])?,
            }
        }
    }

    /// Removes the file of an event that is no longer there, or was not accepted after all. One that cannot be removed
    /// is swept at the next start. Blocks.
    pub fn remove(&self, event: EventId) {
        if let Err(error) = fs::remove_file(self.path(event)) {
            tracing::warn!(%error, event.id = %event, "the file of a deleted body could not be removed");
        }
    }

    /// Removes what no row speaks of. Asked at a server's start, before anything is written.
    ///
    /// # Errors
    /// When the directory or the database cannot be read.
    pub(super) fn sweep(&self, conn: &Connection) -> io::Result<()> {
        let mut speaks = conn
            .prepare("SELECT EXISTS (SELECT 1 FROM events WHERE id = ?1 AND flags & 16)")
            .map_err(io::Error::other)?;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let event = entry.file_name().to_str().and_then(|name| name.parse::<EventId>().ok());
            let is_spoken_of = match event {
                Some(event) => speaks
                    .query_row([event.sort_key().cast_signed()], |row| row.get(0))
                    .map_err(io::Error::other)?,
                None => false,
            };
            if !is_spoken_of {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl PartialBody {
    /// Adds to the body.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Lets the disk catch up, so that the end has less to wait for.
    ///
    /// # Errors
    /// When the disk refuses: nothing that was written can be relied on any more.
    pub fn catch_up(&mut self) -> io::Result<()> {
        if self.written - self.synced >= SYNC_EVERY {
            self.file.as_ref().ok_or(io::ErrorKind::NotFound)?.sync_data()?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// What was written so far, for a body that turned out small.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn read_back(&self) -> io::Result<Vec<u8>> {
        fs::read(&self.partial)
    }

    /// Puts the whole body in its place, on disk with its name.
    ///
    /// # Errors
    /// When the disk refuses: nothing that was written can be relied on any more.
    pub fn finish(mut self) -> io::Result<OwnFile> {
        let file = self.file.take().ok_or(io::ErrorKind::NotFound)?;
        let done = file.sync_all().and_then(|()| fs::rename(&self.partial, &self.whole)).and_then(|()| {
            let dir = self.whole.parent().ok_or(io::ErrorKind::NotFound)?;
            File::open(dir)?.sync_all()
        });
        if done.is_err() {
            let _ = fs::remove_file(&self.partial);
            let _ = fs::remove_file(&self.whole);
        }
        done.map(|()| OwnFile { path: self.whole.clone(), is_kept: AtomicBool::new(false) })
    }
}

impl Drop for PartialBody {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.partial);
        }
    }
}
