//! What hyper writes on an HTTP/1 connection, on its way to the socket: with another head in front, and with trailers
//! that hyper would not write.
//!
//! hyper gets canonical heads and writes canonical heads; both sides of the relay put the real ones, letter for letter,
//! in their place. Trailers hyper only writes where a field announced them.

use std::io::{self, IoSlice};
use std::task::{Poll, ready};

use bytes::{Buf, BytesMut};
use protocol::chunks::ChunkWalker;

/// A body this small goes out in the same write as its head.
const JOIN_BYTES_MAX: usize = 16 * 1024;

/// Bytes on their way out.
#[derive(Debug, Default)]
pub struct Rewrite {
    outbox: BytesMut,
    // A chunked body under way, and lines to put before its end.
    body: Option<ChunkWalker>,
    trailers: Vec<u8>,
}

impl Rewrite {
    /// Writes what waits, by the connection's own `write`.
    ///
    /// # Errors
    /// What `write` says, or [`io::ErrorKind::WriteZero`].
    pub fn poll_outbox(
        &mut self,
        mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            let written = ready!(write(&self.outbox))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outbox.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Starts a message: here its head is put. `is_chunked` says whether a chunked body follows.
    pub fn begin(&mut self, is_chunked: bool) -> &mut BytesMut {
        self.body = is_chunked.then(ChunkWalker::default);
        self.trailers.clear();
        &mut self.outbox
    }

    /// Puts `lines` (with their ends) before the last empty line of the chunked body under way. Without one they are
    /// lost: there is no place for them.
    pub fn trail(&mut self, lines: Vec<u8>) {
        self.trailers = lines;
    }

    /// Whether bytes have to come through [`Rewrite::take`].
    #[must_use]
    pub fn wants_all(&self) -> bool {
        self.body.is_some() && !self.trailers.is_empty()
    }

    /// After a head, of which `skip` bytes at the start of `bufs` were hyper's: takes a small body along. Gives how many
    /// bytes of `bufs` are dealt with.
    pub fn take_small(&mut self, bufs: &[IoSlice<'_>], skip: usize) -> usize {
        let rest = bufs.iter().map(|buf| buf.len()).sum::<usize>() - skip;
        if rest <= JOIN_BYTES_MAX { self.take(bufs, skip) } else { skip }
    }

    /// Takes everything but the first `skip` bytes. Gives how many bytes of `bufs` are dealt with: all.
    pub fn take(&mut self, bufs: &[IoSlice<'_>], skip: usize) -> usize {
        let mut to_skip = skip;
        for buf in bufs {
            let skipped = to_skip.min(buf.len());
            to_skip -= skipped;
            let mut rest = &buf[skipped..];
            if let Some(walker) = &mut self.body {
                // hyper's own chunks are never in doubt.
                let before = walker.walk_to_trailers(rest).unwrap_or(rest.len());
                self.outbox.extend_from_slice(&rest[..before]);
                rest = &rest[before..];
                if walker.is_at_trailers() {
                    self.outbox.extend_from_slice(&self.trailers);
                    self.body = None;
                }
            }
            self.outbox.extend_from_slice(rest);
        }
        bufs.iter().map(|buf| buf.len()).sum()
    }

    /// Bytes at the start of `bufs` went past, to the socket itself.
    pub fn went_past(&mut self, bufs: &[IoSlice<'_>], mut count: usize) {
        let Some(walker) = &mut self.body else { return };
        for buf in bufs {
            let passed = count.min(buf.len());
            count -= passed;
            let _ = walker.walk_to_trailers(&buf[..passed]);
        }
        if walker.is_at_trailers() || walker.is_done() {
            self.body = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rewrite: &mut Rewrite) -> String {
        let mut out = Vec::new();
        let done = rewrite.poll_outbox(|bytes| {
            out.push(bytes[0]);
            Poll::Ready(Ok(1))
        });
        assert!(matches!(done, Poll::Ready(Ok(()))));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn trailers_stand_before_the_last_empty_line_however_the_bytes_come() {
        let message = b"3\r\nabc\r\n0\r\n\r\nHTTP/1.1 404 next";
        for cut in 0..=message.len() {
            let mut rewrite = Rewrite::default();
            rewrite.begin(true).extend_from_slice(b"head\r\n\r\n");
            rewrite.trail(b"X-Sum: 1\r\n".to_vec());
            let (first, second) = message.split_at(cut);
            for part in [first, second] {
                rewrite.take(&[IoSlice::new(b""), IoSlice::new(part)], 0);
            }
            let expected = "head\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\nHTTP/1.1 404 next";
            assert_eq!(written(&mut rewrite), expected, "cut at {cut}");
            assert!(!rewrite.wants_all());
        }
    }

    #[test]
    fn bytes_that_went_past_count_for_where_the_body_ends() {
        let mut rewrite = Rewrite::default();
        rewrite.begin(true);
        rewrite.went_past(&[IoSlice::new(b"3\r\n0\r"), IoSlice::new(b"\n\r\n0")], 8);
        rewrite.trail(b"A: b\r\n".to_vec());
        assert!(rewrite.wants_all(), "the 0 in the data is no last chunk");
        rewrite.take(&[IoSlice::new(b"\r\n0\r\n\r\n")], 2);
        assert_eq!(written(&mut rewrite), "0\r\nA: b\r\n\r\n");
    }

    #[test]
    fn trailers_that_find_no_chunked_body_do_not_wait_for_the_next() {
        let mut rewrite = Rewrite::default();
        rewrite.begin(false);
        rewrite.trail(b"A: b\r\n".to_vec());
        assert!(!rewrite.wants_all());
        rewrite.begin(true);
        rewrite.take(&[IoSlice::new(b"0\r\n\r\n")], 0);
        assert_eq!(written(&mut rewrite), "0\r\n\r\n");
    }

    #[test]
    fn a_small_body_goes_along_and_a_large_one_does_not() {
        let mut rewrite = Rewrite::default();
        rewrite.begin(false).extend_from_slice(b"H");
        let large = vec![b'x'; JOIN_BYTES_MAX + 1];
        assert_eq!(rewrite.take_small(&[IoSlice::new(b"hhh"), IoSlice::new(&large)], 3), 3);
        assert_eq!(written(&mut rewrite), "H");
        assert_eq!(rewrite.take_small(&[IoSlice::new(b"hhhb"), IoSlice::new(b"ody")], 3), 7);
        assert_eq!(written(&mut rewrite), "body");
    }
}
