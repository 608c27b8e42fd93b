//! What is kept on this machine, and the project file.
//!
//! One directory holds both files of the agent: `credentials.toml` (which server, the token; only its owner may read
//! it) and `agent.toml` (the lasting identity, the names `relay-agent PORT` made). `RELAY_CONFIG_DIR` moves it.

pub(crate) mod credentials;
pub(crate) mod host_name;
pub(crate) mod join_line;
mod private_file;
pub(crate) mod project;
pub(crate) mod state;
pub(crate) mod words;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

/// Something about the files on this machine that only a person can put right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// No home directory to find the place from.
    #[error("no home directory, so no place for credentials: set RELAY_CONFIG_DIR to a directory")]
    NoHome,
    /// A file is there but cannot be read.
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file cannot be written.
    #[error("cannot write {}; RELAY_CONFIG_DIR can name another directory", .path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A secret that others could have read.
    #[error("{} can be read by others (mode {mode:03o}): chmod 600 {}", .path.display(), .path.display())]
    OpenToOthers { path: PathBuf, mode: u32 },
    /// A file that is not what it should be.
    #[error("{}: {text}", .path.display())]
    Malformed { path: PathBuf, text: String },
    /// Nobody has logged in here.
    #[error("no server is known: run `relay-agent login`, or set RELAY_SERVER and RELAY_TOKEN ({} is missing)",
        .path.display())]
    NotLoggedIn { path: PathBuf },
}

/// The directory of this agent's files.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// The chosen one, or `relay-agent` in the user's configuration directory (XDG).
    pub(crate) fn locate(chosen: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(chosen) = chosen {
            return Ok(Self(chosen.to_owned()));
        }
        let base = etcetera::choose_base_strategy().map_err(|_| ConfigError::NoHome)?;
        Ok(Self(base.config_dir().join("relay-agent")))
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes it if it is missing, for its owner alone.
    fn make(&self) -> Result<(), ConfigError> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0).map_err(|source| ConfigError::Write { path: self.0.clone(), source })
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}
