//! Files only their owner may read: written whole or not at all, refused when others could have read them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::ConfigError;

/// Ours are some hundred bytes; a file past this is not one of ours.
const BYTES_MAX: u64 = 1 << 20;

/// The text of a file, or `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // The open file is asked, not the path: between the two it could become another one.
    refuse_if_open_to_others(path, &file)?;
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

#[cfg(unix)]
fn refuse_if_open_to_others(path: &Path, file: &File) -> Result<(), ConfigError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata().map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(ConfigError::OpenToOthers { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_if_open_to_others(_path: &Path, _file: &File) -> Result<(), ConfigError> {
    Ok(())
}

/// Puts `text` in place of whatever the file held. After a crash there is the old file or the new one.
pub(super) fn write(path: &Path, text: &str) -> Result<(), ConfigError> {
    write_beside(path, text).map_err(|source| ConfigError::Write { path: path.to_owned(), source })
}

fn write_beside(path: &Path, text: &str) -> io::Result<()> {
    let tag = u64::from_ne_bytes(relay_agent::entropy::random());
    let partial = path.with_extension(format!("{tag:016x}.partial"));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&partial)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_private_file_is_written_whole_and_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.toml");
        assert!(read(&path).unwrap().is_none());
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half-written is left");
    }

    #[test]
    fn a_file_open_to_others_is_refused_with_the_cure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.toml");
        write(&path, "secret").unwrap();
        for mode in [0o640, 0o604, 0o660, 0o777] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:o}")) && error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_written_says_where() {
        let error = write(Path::new("/nonexistent/dir/agent.toml"), "x").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/dir/agent.toml"));
    }
}
