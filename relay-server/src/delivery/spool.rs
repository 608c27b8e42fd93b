//! A body that is taken in whole: in memory while it is small, in a file from there on, never held whole past that.

use std::io;

use bytes::Bytes;
use protocol::id::EventId;

use crate::model::Captured;
use crate::store::{BodyFiles, INLINE_BYTES_MAX, OwnFile, PartialBody};

/// Bytes of one body held in memory while it comes.
pub const MEMORY_BYTES_MAX: usize = 256 * 1024;

/// A body on its way in.
#[derive(Debug)]
pub struct Spool {
    files: BodyFiles,
    event: EventId,
    memory: Vec<u8>,
    partial: Option<PartialBody>,
    total_bytes: u64,
}

impl Spool {
    /// An empty one for the body of `event`.
    #[must_use]
    pub fn new(files: BodyFiles, event: EventId) -> Self {
        Self { files, event, memory: Vec::new(), partial: None, total_bytes: 0 }
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.memory.extend_from_slice(piece);
        self.total_bytes += piece.len() as u64;
        if self.memory.len() > MEMORY_BYTES_MAX { self.spill().await } else { Ok(()) }
    }

    /// Moves what is in memory into the file.
    async fn spill(&mut self) -> io::Result<()> {
        let memory = std::mem::take(&mut self.memory);
        let (partial, files, event) = (self.partial.take(), self.files.clone(), self.event);
        let written = tokio::task::spawn_blocking(move || {
            let mut partial = partial.map_or_else(|| files.begin(event), Ok)?;
            partial.write(&memory)?;
            partial.catch_up()?;
            Ok::<_, io::Error>((partial, memory))
        });
        let (partial, mut memory) = written.await.map_err(io::Error::other)??;
        memory.clear();
        (self.partial, self.memory) = (Some(partial), memory);
        Ok(())
    }

    /// The whole body; on disk, if it went into a file. Whoever is gone by then leaves none behind.
    ///
    /// # Errors
    /// When the disk refuses: the body is not kept then.
    pub async fn finish(mut self) -> io::Result<(Captured, Option<OwnFile>)> {
        let total_bytes = self.total_bytes;
        let whole = |bytes: Vec<u8>, is_in_file| Captured {
            bytes: Bytes::from(bytes),
            total_bytes,
            complete: true,
            is_in_file,
        };
        if self.partial.is_none() {
            return Ok((whole(std::mem::take(&mut self.memory), false), None));
        }
        if !self.memory.is_empty() {
            self.spill().await?;
        }
        let Some(partial) = self.partial.take() else { return Err(io::ErrorKind::NotFound.into()) };
        let is_small = self.total_bytes <= INLINE_BYTES_MAX;
        let ended = tokio::task::spawn_blocking(move || {
            if is_small {
                partial.read_back().map(|bytes| (bytes, None))
            } else {
                partial.finish().map(|file| (Vec::new(), Some(file)))
            }
        });
        let (bytes, file) = ended.await.map_err(io::Error::other)??;
        Ok((whole(bytes, !is_small), file))
    }
}
