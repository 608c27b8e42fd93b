//! Stands between hyper and the app's socket: the request head hyper writes is replaced by the sender's own, and the
//! response head goes through [`super::response_gate`] before hyper sees a canonical one.
//!
//! One exchange at a time uses a connection, so where heads begin is never in doubt.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use link::Rewrite;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::response_gate::{self, GateError, RawResponse};

/// Bytes read from the app at once while a head is awaited.
const READ_BYTES: usize = 8 * 1024;

/// Interim responses kept per exchange.
const INTERIM_MAX: usize = 8;

/// Lines to put after a chunked request body, once they are known.
pub(crate) type Trailers = Arc<Mutex<Vec<u8>>>;

/// A request head to write in place of hyper's.
#[derive(Debug)]
pub(crate) struct RawRequest {
    pub(crate) head: Vec<u8>,
    /// It asks for a head only.
    pub(crate) is_head: bool,
    /// Present when its body is chunked.
    pub(crate) trailers: Option<Trailers>,
}

#[derive(Debug, Default)]
struct Shared {
    request: Option<RawRequest>,
    trailers: Option<Trailers>,
    awaits_head: bool,
    is_head_request: bool,
    interim: Vec<RawResponse>,
    response: Option<RawResponse>,
    error: Option<GateError>,
    has_written: bool,
}

/// The exchange's end of a tapped connection. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct TapHandle(Arc<Mutex<Shared>>);

impl TapHandle {
    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.0.lock().expect("tap lock")
    }

    /// The head to write instead of hyper's next one.
    pub(crate) fn begin(&self, request: RawRequest) {
        let mut shared = self.shared();
        *shared = Shared {
            is_head_request: request.is_head,
            request: Some(request),
            awaits_head: true,
            ..Shared::default()
        };
    }

    /// The real head of the response hyper just handed over.
    pub(crate) fn response(&self) -> Option<RawResponse> {
        self.shared().response.take()
    }

    /// Interim responses that came before it.
    pub(crate) fn interim(&self) -> Vec<RawResponse> {
        std::mem::take(&mut self.shared().interim)
    }

    /// What was wrong with the answer, if the gate refused it.
    pub(crate) fn error(&self) -> Option<GateError> {
        self.shared().error
    }

    /// Whether a byte of the request reached the socket.
    pub(crate) fn has_written(&self) -> bool {
        self.shared().has_written
    }
}

/// A tapped connection.
#[derive(Debug)]
pub(crate) struct TappedIo<IO> {
    io: IO,
    handle: TapHandle,
    inbox: BytesMut,
    scanned: usize,
    ready: BytesMut,
    rewrite: Rewrite,
}

impl<IO> TappedIo<IO> {
    pub(crate) fn new(io: IO) -> (Self, TapHandle) {
        let handle = TapHandle::default();
        let tapped = Self {
            io,
            handle: handle.clone(),
            inbox: BytesMut::new(),
            scanned: 0,
            ready: BytesMut::new(),
            rewrite: Rewrite::default(),
        };
        (tapped, handle)
    }

    /// Takes heads off the inbox until a final one is found.
    fn take_heads(&mut self) -> Result<(), GateError> {
        let mut shared = self.handle.shared();
        while shared.awaits_head && self.inbox.len() > self.scanned {
            let read = response_gate::read_head(&self.inbox, self.scanned, shared.is_head_request);
            let read = read.inspect_err(|error| shared.error = Some(*error))?;
            let Some((response, used)) = read else {
                self.scanned = self.inbox.len();
                return Ok(());
            };
            self.inbox.advance(used);
            self.scanned = 0;
            if response.status < 200 && response.status != 101 {
                if shared.interim.len() < INTERIM_MAX {
                    shared.interim.push(response);
                }
                continue;
            }
            self.ready.extend_from_slice(&response_gate::canonical(&response));
            shared.awaits_head = false;
            shared.response = Some(response);
        }
        Ok(())
    }
}

fn hand_over(from: &mut BytesMut, buf: &mut ReadBuf<'_>) {
    let taken = buf.remaining().min(from.len());
    buf.put_slice(&from[..taken]);
    from.advance(taken);
}

impl<IO: AsyncRead + Unpin> AsyncRead for TappedIo<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                hand_over(&mut this.ready, buf);
                return Poll::Ready(Ok(()));
            }
            if !this.handle.shared().awaits_head {
                if this.inbox.is_empty() {
                    return Pin::new(&mut this.io).poll_read(cx, buf);
                }
                hand_over(&mut this.inbox, buf);
                return Poll::Ready(Ok(()));
            }
            if this.inbox.len() == this.scanned {
                this.inbox.reserve(READ_BYTES);
                if ready!(tokio_util::io::poll_read_buf(Pin::new(&mut this.io), cx, &mut this.inbox))? == 0 {
                    return Poll::Ready(Ok(()));
                }
            }
            this.take_heads().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }
}

impl<IO: AsyncWrite + Unpin> TappedIo<IO> {
    fn poll_outbox(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.rewrite.poll_outbox(|bytes| {
            let written = Pin::new(&mut self.io).poll_write(cx, bytes);
            if matches!(written, Poll::Ready(Ok(1..))) {
                self.handle.shared().has_written = true;
            }
            written
        })
    }

    /// Puts the sender's head in place of hyper's, which starts `buf`. Gives the length of hyper's.
    fn replace_head(&mut self, buf: &[u8]) -> io::Result<Option<usize>> {
        let mut shared = self.handle.shared();
        let Some(request) = shared.request.take() else { return Ok(None) };
        let Some(end) = memchr::memmem::find(buf, b"\r\n\r\n") else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a request head in pieces"));
        };
        self.rewrite.begin(request.trailers.is_some()).extend_from_slice(&request.head);
        shared.trailers = request.trailers;
        Ok(Some(end + 4))
    }

    fn take_trailers(&mut self) {
        if let Some(trailers) = &self.handle.shared().trailers {
            let lines = std::mem::take(&mut *trailers.lock().expect("trailers lock"));
            if !lines.is_empty() {
                self.rewrite.trail(lines);
            }
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for TappedIo<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
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
        this.take_trailers();
        let taken = match replaced {
            _ if this.rewrite.wants_all() => this.rewrite.take(bufs, replaced.unwrap_or(0)),
            Some(skip) => this.rewrite.take_small(bufs, skip),
            None => {
                let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
                if let Poll::Ready(Ok(count)) = written {
                    this.rewrite.went_past(bufs, count);
                }
                return written;
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
        ready!(self.poll_outbox(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_outbox(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
