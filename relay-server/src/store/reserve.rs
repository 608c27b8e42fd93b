//! A file that holds some disk space back, so that a full disk still lets deletions commit.
//!
//! It is given up when the disk turns out full, and taken again when there is room: that is also the sign by which
//! the store knows that it may go on recording.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::open::make_file;

/// Space held back, in bytes: two of the retention's longest steps, in the log and then in the database.
const RESERVE_BYTES: usize = 8 * 1024 * 1024;

/// The space held back.
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Where the reserve of `data_dir` is; nothing is taken yet.
    pub(super) fn in_directory(data_dir: &Path) -> Self {
        Self { path: data_dir.join("reserve") }
    }

    /// Takes the space, if it is not taken already.
    ///
    /// # Errors
    /// When there is no room. Nothing is left behind then.
    pub(super) fn take(&self) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|file| file.len() == RESERVE_BYTES as u64) {
            return Ok(());
        }
        let written = self.write();
        if written.is_err() {
            self.give_up();
        }
        written
    }

    fn write(&self) -> io::Result<()> {
        let mut file = make_file(&self.path)?;
        file.set_len(0)?;
        // Real bytes: a file of a set length holds no space.
        let block = vec![0x5a; 1024 * 1024];
        for _ in 0..RESERVE_BYTES / block.len() {
            file.write_all(&block)?;
        }
        file.sync_all()
    }

    /// Gives the space back to the disk. A reserve that cannot be removed does no harm.
    pub(super) fn give_up(&self) {
        let _ = fs::remove_file(&self.path);
    }
}
