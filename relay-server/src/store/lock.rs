//! One server at a time on a data directory: a second one would sweep away what the first is writing, and deliver what
//! the first delivers.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::error::OpenError;
use super::open::{make_directory, make_file};

/// Name of the file that is locked. It stays when nobody holds it: the lock is the kernel's, and ends with the process.
const FILE: &str = "lock";

/// Held by the server at work on a data directory, until it is dropped or the process ends in whatever way.
#[derive(Debug)]
pub struct DirectoryLock(File);

impl DirectoryLock {
    /// Takes it, without waiting. Makes the directory if it is not there.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when another server holds it.
    pub fn take(data_dir: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Directory { path: data_dir.to_owned(), source };
        make_directory(data_dir).map_err(unusable)?;
        let file = make_file(&data_dir.join(FILE)).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: data_dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}

impl Drop for DirectoryLock {
    /// Said outright: a process that is just being started still has a copy of the file, and would hold the lock with it.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_server_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let first = DirectoryLock::take(&data).unwrap();
        let refused = DirectoryLock::take(&data).unwrap_err();
        assert!(matches!(&refused, OpenError::InUse { path } if *path == data), "{refused:?}");
        drop(first);
        DirectoryLock::take(&data).unwrap();
    }
}
