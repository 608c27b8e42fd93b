//! The way out: hyper's heads are replaced by the real ones, trailers put in, and the sender has to read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::{GatedIo, LINGER, LINGER_BYTES_MAX, Phase, RawResponse, VERSION_BYTES};
use crate::ingress::pace::Verdict;

/// The app's head in place of hyper's: its lines, and of hyper's only those it does not say itself. Says whether hyper
/// will write chunks.
fn real_head(head: &[u8], response: &RawResponse) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(response.lines.len() + head.len());
    let mut is_chunked = false;
    // hyper knows which version the sender speaks.
    out.extend_from_slice(&head[..VERSION_BYTES]);
    out.extend_from_slice(&response.lines);
    let mut lines = head.split(|b| *b == b'\n').skip(1);
    for line in lines.by_ref().map_while(|line| line.strip_suffix(b"\r")).take_while(|line| !line.is_empty())
    {
        let name = &line[..memchr::memchr(b':', line).unwrap_or(line.len())];
        is_chunked |= name.eq_ignore_ascii_case(b"transfer-encoding");
        if !response.said.iter().any(|said| name.eq_ignore_ascii_case(said.as_bytes())) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    (out, is_chunked)
}

impl<IO: AsyncRead + AsyncWrite + Unpin> GatedIo<IO> {
    /// A write that waits, but not for ever, and not byte by byte.
    fn bound_wait<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        bytes: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        let done = match written {
            Poll::Ready(done) => done,
            Poll::Pending => return self.poll_write_timer(cx).map(Err),
        };
        if let Ok(done) = &done
            && self.write_pace.came(Instant::now(), bytes(done))
        {
            self.write_timer = None;
        }
        Poll::Ready(done)
    }

    /// Ready with an error when the sender reads too slowly.
    fn poll_write_timer(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let limits = self.limits.of_reading();
        loop {
            match self.write_pace.wait(Instant::now(), &limits) {
                Verdict::TooSlow => return Poll::Ready(io::ErrorKind::TimedOut.into()),
                Verdict::WaitUntil(next) => {
                    let timer =
                        self.write_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
                    if timer.is_elapsed() {
                        timer.as_mut().reset(next);
                    }
                    ready!(timer.as_mut().poll(cx));
                }
            }
        }
    }

    fn poll_outbox(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = 0;
        let written = self.rewrite.poll_outbox(|out| {
            let written = Pin::new(&mut self.io).poll_write(cx, out);
            if let Poll::Ready(Ok(count)) = written {
                bytes += count;
            }
            written
        });
        if bytes > 0 && self.write_pace.came(Instant::now(), bytes) {
            self.write_timer = None;
        }
        if written.is_pending() { self.poll_write_timer(cx).map(Err) } else { written }
    }

    /// Looks for the head that is to be replaced. Gives how many bytes of `buf` are dealt with, if it is in there, and
    /// whether another one may follow.
    fn replace_head(&mut self, buf: &[u8]) -> io::Result<Option<(usize, bool)>> {
        let mut shared = self.keeper.shared();
        let Some(response) = shared.responses.front() else { return Ok(None) };
        let Some(at) = memchr::memmem::find(buf, response.marker.as_bytes()) else { return Ok(None) };
        // `HTTP/1.x SSS ` stands before it.
        let start = at.saturating_sub(VERSION_BYTES + 5);
        let Some(end) = memchr::memmem::find(&buf[start..], b"\r\n\r\n") else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a response head in pieces"));
        };
        let end = start + end + 4;
        // What is left of the message before this one.
        self.rewrite.take(&[io::IoSlice::new(&buf[..start])], 0);
        let (head, is_chunked) = real_head(&buf[start..end], response);
        self.rewrite.begin(is_chunked).extend_from_slice(&head);
        shared.trailers = shared.responses.pop_front().map(|response| response.trailers);
        Ok(Some((end, !shared.responses.is_empty())))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for GatedIo<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.as_mut().poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_outbox(cx))?;
        let first = bufs.iter().find(|b| !b.is_empty()).map_or(&[][..], |b| &**b);
        let replaced = this.replace_head(first)?;
        if let Some(lines) = this.keeper.shared().trailers.take() {
            this.rewrite.trail(lines);
        }
        let taken = match replaced {
            Some((skip, true)) => skip,
            Some((skip, false)) if !this.rewrite.wants_all() => this.rewrite.take_small(bufs, skip),
            Some((skip, false)) => this.rewrite.take(bufs, skip),
            None if this.rewrite.wants_all() => this.rewrite.take(bufs, 0),
            None => {
                let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
                if let Poll::Ready(Ok(count)) = written {
                    this.rewrite.went_past(bufs, count);
                }
                return this.bound_wait(cx, written, |count| *count);
            }
        };
        // The bytes are ours now; what does not go out at once goes first next time.
        match this.poll_outbox(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_outbox(cx))?;
        // Behind TLS a flush may wait for the socket too.
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.bound_wait(cx, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_outbox(cx))?;
        if this.linger.is_none() {
            let shut = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.bound_wait(cx, shut, |()| 0))?;
            if !matches!(this.phase, Phase::Refused | Phase::Length(_) | Phase::Chunks(_)) {
                return Poll::Ready(Ok(()));
            }
            let until = Instant::now() + LINGER;
            this.timer.set(until);
            this.linger = Some((until, 0));
        }
        while let Some((until, drained)) = this.linger {
            this.inbox.clear();
            match this.poll_inbox(cx) {
                Poll::Ready(Ok(read)) if read > 0 && drained + read < LINGER_BYTES_MAX => {
                    this.linger = Some((until, drained + read));
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    ready!(this.timer.poll(cx));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
