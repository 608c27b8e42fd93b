//! A budget for HTTP/2 frames that carry nothing: SETTINGS, PING, PRIORITY, unknown ones, and window updates.
//!
//! The h2 crate answers floods of streams and of empty data itself, but serves control frames for ever. This counts
//! frame headers as they come in and ends a connection that sends too many.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Control frames per [`PERIOD`]. A well-behaved peer sends a handful.
const CONTROL_FRAMES_MAX: u32 = 1_000;

/// Window updates per [`PERIOD`]: one per 16 KiB received would be 1.6 GB.
const WINDOW_UPDATES_MAX: u32 = 100_000;

const PERIOD: Duration = Duration::from_secs(10);

const PREFACE_BYTES: usize = 24;
const FRAME_HEADER_BYTES: usize = 9;

/// Counts frames in a stream of bytes. Pure.
#[derive(Debug)]
struct Counter {
    skip: usize,
    header: [u8; FRAME_HEADER_BYTES],
    have: usize,
    control: u32,
    window_updates: u32,
}

impl Counter {
    fn new() -> Self {
        Self { skip: PREFACE_BYTES, header: [0; FRAME_HEADER_BYTES], have: 0, control: 0, window_updates: 0 }
    }

    fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (FRAME_HEADER_BYTES - self.have).min(bytes.len());
            self.header[self.have..self.have + wanted].copy_from_slice(&bytes[..wanted]);
            self.have += wanted;
            bytes = &bytes[wanted..];
            if self.have == FRAME_HEADER_BYTES {
                self.have = 0;
                self.skip = u32::from_be_bytes([0, self.header[0], self.header[1], self.header[2]]) as usize;
                match self.header[3] {
                    // DATA, HEADERS, RST_STREAM, PUSH_PROMISE, GOAWAY, CONTINUATION: h2 has limits for these.
                    0 | 1 | 3 | 5 | 7 | 9 => {}
                    8 => self.window_updates += 1,
                    _ => self.control += 1,
                }
            }
        }
    }

    fn is_over_budget(&self) -> bool {
        self.control > CONTROL_FRAMES_MAX || self.window_updates > WINDOW_UPDATES_MAX
    }

    fn new_period(&mut self) {
        self.control = 0;
        self.window_updates = 0;
    }
}

/// An HTTP/2 connection with a frame budget, from which some bytes were read already.
#[derive(Debug)]
pub struct BudgetedIo<IO> {
    io: IO,
    inbox: BytesMut,
    counter: Counter,
    period_ends: Instant,
}

impl<IO> BudgetedIo<IO> {
    /// Watches `io`.
    pub fn new(io: IO, inbox: BytesMut) -> Self {
        Self { io, inbox, counter: Counter::new(), period_ends: Instant::now() + PERIOD }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for BudgetedIo<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if this.inbox.is_empty() {
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        } else {
            let taken = buf.remaining().min(this.inbox.len());
            buf.put_slice(&this.inbox[..taken]);
            this.inbox.advance(taken);
        }
        this.counter.see(&buf.filled()[before..]);
        if this.counter.is_over_budget() {
            return Poll::Ready(Err(io::Error::other("too many HTTP/2 control frames")));
        }
        let now = Instant::now();
        if now >= this.period_ends {
            this.period_ends = now + PERIOD;
            this.counter.new_period();
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for BudgetedIo<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("small").to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 0], &vec![0; payload]].concat()
    }

    #[test]
    fn control_frames_are_counted_however_the_bytes_were_cut() {
        let mut wire = vec![0; PREFACE_BYTES];
        for _ in 0..10 {
            wire.extend(frame(6, 8));
            wire.extend(frame(0, 100));
            wire.extend(frame(8, 4));
        }
        for step in [1, 3, 9, 10, wire.len()] {
            let mut counter = Counter::new();
            wire.chunks(step).for_each(|piece| counter.see(piece));
            assert_eq!((counter.control, counter.window_updates), (10, 10), "step {step}");
        }
    }

    #[test]
    fn a_flood_of_pings_goes_over_budget_and_a_long_download_does_not() {
        let mut counter = Counter::new();
        counter.see(&[0; PREFACE_BYTES]);
        for _ in 0..10_000 {
            counter.see(&frame(8, 4));
        }
        assert!(!counter.is_over_budget());
        for _ in 0..=CONTROL_FRAMES_MAX {
            counter.see(&frame(6, 8));
        }
        assert!(counter.is_over_budget());
    }
}
