//! QUIC by quinn: listening, dialling, connections, stream halves. The only file tree that names quinn.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use protocol::code::{CloseCode, StreamCode};
use quinn::{ConnectionError, ReadError, VarInt, WriteError};

mod congestion;
mod dial;
mod listen;
#[cfg(unix)]
mod socket;
mod tuning;

pub use dial::{DialError, Dialer, Trust};
pub use listen::{Knock, Listener, ListenerSettings};

/// Most bytes taken from a stream at once.
const READ_BYTES_MAX: usize = 256 * 1024;

/// How long the other side may take nothing of what is sent. Twice what a reader behind it is given.
const STALL_MAX: Duration = Duration::from_secs(60);

/// One connection between an agent and a server. Cheap to clone; the connection lives while a clone does.
#[derive(Debug, Clone)]
pub struct Link {
    connection: quinn::Connection,
    // A dialled link owns its socket: it must live as long.
    _endpoint: Option<quinn::Endpoint>,
}

/// Why a link is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// We closed it.
    #[error("closed by this side")]
    Here,
    /// The other side closed it, and said why.
    #[error("closed by the other side (code {code:#04x}): {reason}")]
    There {
        /// See [`CloseCode`].
        code: u32,
        /// Their words.
        reason: String,
    },
    /// Nothing was heard for the idle timeout.
    #[error("no sign of life")]
    Silent,
    /// The other side does not know this connection (it was restarted).
    #[error("the other side was restarted")]
    Reset,
    /// Something below.
    #[error("{0}")]
    Transport(String),
}

impl From<ConnectionError> for Closed {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::LocallyClosed => Self::Here,
            ConnectionError::TimedOut => Self::Silent,
            ConnectionError::Reset => Self::Reset,
            ConnectionError::ApplicationClosed(close) => Self::There {
                code: u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX),
                reason: String::from_utf8_lossy(&close.reason).chars().filter(|c| !c.is_control()).collect(),
            },
            other => Self::Transport(other.to_string()),
        }
    }
}

/// A stream that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The other side reset it, or does not want it.
    #[error("the stream was given up by the other side (code {:#04x})", .0.0)]
    GivenUp(StreamCode),
    /// The whole link is gone.
    #[error("the link is gone: {0}")]
    Link(#[from] Closed),
    /// The other side keeps the link up and takes nothing of the stream.
    #[error("the other side took nothing for {STALL_MAX:?}")]
    Stalled,
    /// No stream could be opened in time: the other side allows no more at once.
    #[error("no stream to be had in time")]
    NoStream,
}

impl From<ConnectionError> for StreamError {
    fn from(error: ConnectionError) -> Self {
        Self::Link(error.into())
    }
}

fn stream_code(code: VarInt) -> StreamCode {
    StreamCode(u32::try_from(code.into_inner()).unwrap_or(u32::MAX))
}

impl From<ReadError> for StreamError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::GivenUp(stream_code(code)),
            ReadError::ConnectionLost(error) => error.into(),
            // Not read after its end, not ordered and unordered, never 0-RTT: the rest cannot happen.
            other => Self::Link(Closed::Transport(other.to_string())),
        }
    }
}

impl From<WriteError> for StreamError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::GivenUp(stream_code(code)),
            WriteError::ConnectionLost(error) => error.into(),
            other => Self::Link(Closed::Transport(other.to_string())),
        }
    }
}

impl Link {
    /// Opens a stream. The other side sees it with its first bytes.
    ///
    /// # Errors
    /// When none is to be had within `deadline`, or the link is gone.
    pub async fn open(&self, deadline: Duration) -> Result<(SendHalf, RecvHalf), StreamError> {
        match tokio::time::timeout(deadline, self.connection.open_bi()).await {
            Ok(opened) => Ok(halves(opened?)),
            Err(_) => Err(StreamError::NoStream),
        }
    }

    /// The next stream the other side opens.
    ///
    /// # Errors
    /// When the link is gone.
    pub async fn accept(&self) -> Result<(SendHalf, RecvHalf), Closed> {
        Ok(halves(self.connection.accept_bi().await?))
    }

    /// Closes the link now; what was not delivered is lost.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.connection.close(VarInt::from_u32(code.0), reason.as_bytes());
    }

    /// Waits until the link is gone.
    pub async fn closed(&self) -> Closed {
        self.connection.closed().await.into()
    }

    /// Why the link is gone, if it is.
    #[must_use]
    pub fn close_reason(&self) -> Option<Closed> {
        self.connection.close_reason().map(Closed::from)
    }

    /// Smoothed round-trip time.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.connection.rtt()
    }

    /// The other side's address, which may change while the link lives.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// Once a peer is known, it may send as much as an exchange needs.
    pub fn lift_greeting_limits(&self) {
        self.connection.set_receive_window(VarInt::from_u32(tuning::RECEIVE_WINDOW));
    }
}

fn halves((send, recv): (quinn::SendStream, quinn::RecvStream)) -> (SendHalf, RecvHalf) {
    (SendHalf { stream: send, is_over: false }, RecvHalf { stream: recv, is_over: false })
}

/// The sending half of a stream. Dropped before [`SendHalf::finish`], it resets the stream: quinn alone would finish
/// it, and the other side would take the piece it has for the whole.
#[derive(Debug)]
pub struct SendHalf {
    stream: quinn::SendStream,
    is_over: bool,
}

impl SendHalf {
    /// Writes all pieces, in one go where there is room. Not safe to cancel.
    ///
    /// # Errors
    /// When the other side gave the stream up or takes nothing more, or the link is gone.
    pub async fn write_all(&mut self, pieces: &mut [Bytes]) -> Result<(), StreamError> {
        let mut rest = pieces;
        while !rest.is_empty() {
            let writing = tokio::time::timeout(STALL_MAX, self.stream.write_chunks(rest));
            let written = writing.await.map_err(|_| StreamError::Stalled)??;
            rest = &mut rest[written.chunks..];
        }
        Ok(())
    }

    /// Ends the stream.
    pub fn finish(&mut self) {
        self.is_over = true;
        // An error says that the other side gave it up already.
        let _ = self.stream.finish();
    }

    /// Breaks the stream off.
    pub fn reset(&mut self, code: StreamCode) {
        self.is_over = true;
        let _ = self.stream.reset(VarInt::from_u32(code.0));
    }

    /// Puts this stream before others of the connection (higher goes first; 0 is usual).
    pub fn prioritise(&self, priority: i32) {
        let _ = self.stream.set_priority(priority);
    }

    /// Waits until the other side does not want the stream any more; for a finished one, until all of it arrived.
    /// `None` in the latter case, or when the link is gone.
    pub async fn given_up(&mut self) -> Option<StreamCode> {
        self.stream.stopped().await.ok().flatten().map(stream_code)
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.stream.reset(VarInt::from_u32(StreamCode::TRUNCATED.0));
        }
    }
}

/// The receiving half of a stream. Dropped before its end, it asks the other side to stop.
#[derive(Debug)]
pub struct RecvHalf {
    stream: quinn::RecvStream,
    is_over: bool,
}

impl RecvHalf {
    /// The next bytes in order; `None` at the stream's end. Safe to cancel.
    ///
    /// # Errors
    /// When the stream was reset, or the link is gone.
    pub async fn read_chunk(&mut self) -> Result<Option<Bytes>, StreamError> {
        if self.is_over {
            return Ok(None);
        }
        let read = self.stream.read_chunk(READ_BYTES_MAX, true).await;
        self.is_over = !matches!(read, Ok(Some(_)));
        Ok(read?.map(|chunk| chunk.bytes))
    }

    /// Takes notice of the stream's end if it is here already. Whoever has all it wanted calls this before dropping the
    /// half: otherwise the other side is asked to stop what it has long sent, one packet each way for nothing.
    pub(crate) fn notice_end(&mut self) {
        let _ = self.read_now();
    }

    /// Bytes that are here already. Past them the next read tells the stream's end, also where it was broken off: too
    /// early for any body.
    pub(crate) fn read_now(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(self.stream.read_chunk(READ_BYTES_MAX, true)).poll(&mut cx) {
            Poll::Pending => None,
            Poll::Ready(Ok(Some(chunk))) => Some(chunk.bytes),
            Poll::Ready(Ok(None) | Err(_)) => {
                self.is_over = true;
                None
            }
        }
    }

    /// Gives up on the rest.
    pub fn stop(&mut self, code: StreamCode) {
        self.is_over = true;
        let _ = self.stream.stop(VarInt::from_u32(code.0));
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.stream.stop(VarInt::from_u32(StreamCode::CANCELLED.0));
        }
    }
}

fn quic_error(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}
