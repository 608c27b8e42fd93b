//! Events as files: one directory an event, readable, diffable in git, and exact to the byte.
//!
//! `event.json` says what the event was, `headers` holds its fields as lines (see [`lines`]), `body.*` its body as
//! received. What the relay added on the way (`X-Forwarded-*`, `Relay-*`) is left out. A fixture is written whole or
//! not at all; one that is read is taken for a stranger's: it may name no file but its own, nor be without bound.

mod files;
pub mod lines;

pub use files::find;

use std::path::PathBuf;
use std::{fmt, io};

use bytes::Bytes;
use protocol::field::{HeaderBlock, is_hop_by_hop, is_ours, says_origin};
use protocol::id::EventId;

use crate::forward::event_name::event_name;

/// Version of the layout, in `event.json` as `format`.
pub const FORMAT: u32 = 1;

/// Largest body of a fixture. Servers take 25 MiB unless told otherwise.
pub const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Largest `event.json` and `headers`: the 66 KiB of a head as base64, sixteen times over.
const TEXT_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Characters of an event's name that go into the name of its directory.
const NAME_CHARS_MAX: usize = 40;

/// One event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixture {
    /// What the server called the event.
    pub id: Option<EventId>,
    /// Its source.
    pub source: Option<String>,
    /// When it was received, in unix milliseconds.
    pub received_ms: Option<u64>,
    /// The name its provider gave it (`push`), where a header says so.
    pub name: Option<String>,
    /// The status its sender got.
    pub status: Option<u16>,
    /// Method.
    pub method: String,
    /// Request target as sent.
    pub target: Vec<u8>,
    /// How many bytes of the target found the source (`/h/github`); what follows is the app's.
    pub mount: usize,
    /// Header fields in order, with case and duplicates, less what the relay added.
    pub headers: HeaderBlock,
    /// The body as received.
    pub body: Bytes,
}

/// A body that is another one than `event.json` tells of: somebody edited it. A signature over it no longer verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edited {
    /// Bytes that were recorded.
    pub recorded_bytes: Option<u64>,
    /// Bytes there are now.
    pub found_bytes: u64,
}

impl fmt::Display for Edited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.recorded_bytes {
            Some(recorded) if recorded != self.found_bytes => {
                write!(f, "the body has {} bytes where {recorded} were recorded", self.found_bytes)
            }
            _ => f.write_str("the body is not the one that was recorded (SHA-256 differs)"),
        }
    }
}

/// Where a fixture was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its directory.
    pub path: PathBuf,
    /// Whether it was not there before. What is there is never written over: it may have been edited.
    pub is_new: bool,
}

/// A fixture that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// No such directory, or nothing in it that says it is a fixture.
    #[error("{} is no fixture: it has no event.json", .0.display())]
    NoFixture(PathBuf),
    /// A file is not there or cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something else stands where a file should.
    #[error("{} is {what}, not a file", .path.display())]
    NotAFile {
        /// Which path.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// A file past its cap.
    #[error("{} is larger than {bytes_max} bytes", .path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The cap.
        bytes_max: u64,
    },
    /// A file that does not say what it should.
    #[error("{}: {text}", .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        text: String,
    },
    /// Nothing could be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// Which path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Fixture {
    /// The part of the target that is the app's: empty, or starting with `/` or `?`.
    #[must_use]
    pub fn app_target(&self) -> &[u8] {
        self.target.get(self.mount..).unwrap_or_default()
    }

    /// Takes away what the relay added (`X-Forwarded-For`, `-Proto`, `-Host`, `Forwarded`, `Relay-*`: it lets no
    /// sender say these), what concerns one connection only, and every field called one of `unwanted`. Learns the
    /// event's name from what is there.
    #[must_use]
    pub fn without(mut self, unwanted: &[String]) -> Self {
        self.name = self.name.or_else(|| event_name(&self.headers));
        let is_unwanted = |name: &[u8]| unwanted.iter().any(|u| name.eq_ignore_ascii_case(u.as_bytes()));
        let mut kept = HeaderBlock::with_capacity(self.headers.as_bytes().len());
        let is_senders = |name: &[u8]| !(is_ours(name) || says_origin(name) || is_hop_by_hop(name));
        // It came out of a block: it fits into one.
        let _ = kept.copy_from(&self.headers, |name, _| is_senders(name) && !is_unwanted(name));
        self.headers = kept;
        self
    }

    /// `20261122T105439Z-evt_…-push`: names sort as the events came in, for ids sort by time.
    #[must_use]
    pub fn directory_name(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.received_ms.map(|ms| moment(ms).strftime("%Y%m%dT%H%M%SZ").to_string()));
        parts.extend(self.id.map(|id| id.to_string()));
        parts.extend(self.name.as_deref().map(file_name_part).filter(|part| !part.is_empty()));
        if parts.is_empty() { "event".to_owned() } else { parts.join("-") }
    }
}

fn moment(unix_ms: u64) -> jiff::Timestamp {
    let ms = i64::try_from(unix_ms).ok();
    ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).unwrap_or(jiff::Timestamp::MAX)
}

/// A name from a stranger as a part of a file name that every system takes: letters, digits, `.`, `_` and `-`.
fn file_name_part(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let part: String = name.chars().take(NAME_CHARS_MAX).map(plain).collect();
    part.trim_matches(['.', '-']).to_owned()
}

#[cfg(test)]
mod tests;
