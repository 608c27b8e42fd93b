//! One exchange over one stream: frames in, then a body in; a head out, then a body out.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use protocol::body::{BodyError, BodyPart, BodyReader, BodyWriter};
use protocol::field::{BodyFraming, HeaderBlock};
use protocol::frame::{Frame, FrameError, FrameReader};

use crate::quic::{RecvHalf, SendHalf, StreamError};

/// Bytes of a body taken at once before it is passed on.
const GATHER_BYTES_MAX: usize = 64 * 1024;

/// An exchange that broke.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The stream itself.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Bytes that are no frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A body that is not what its head promised.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Frames as they arrive on a stream.
#[derive(Debug)]
pub struct FrameRecv {
    half: RecvHalf,
    reader: FrameReader,
}

impl FrameRecv {
    /// Frames of this stream.
    #[must_use]
    pub fn new(half: RecvHalf) -> Self {
        Self { half, reader: FrameReader::default() }
    }

    /// The next frame; `None` when the stream ended between frames. Safe to cancel.
    ///
    /// # Errors
    /// When the stream was reset, ended inside a frame, or carries no frames.
    pub async fn next_frame(&mut self) -> Result<Option<Frame>, ExchangeError> {
        loop {
            if let Some(frame) = self.reader.next_frame()? {
                return Ok(Some(frame));
            }
            match self.half.read_chunk().await? {
                Some(bytes) => self.reader.push(bytes),
                None => {
                    self.reader.finish()?;
                    return Ok(None);
                }
            }
        }
    }

    /// What follows is a body of this framing.
    #[must_use]
    pub fn into_body(mut self, framing: BodyFraming) -> BodyRecv {
        let mut reader = BodyReader::new(framing);
        reader.push(self.reader.take_rest());
        BodyRecv { half: self.half, reader }
    }
}

/// A body as it arrives.
#[derive(Debug)]
pub struct BodyRecv {
    half: RecvHalf,
    reader: BodyReader,
}

impl BodyRecv {
    /// A part that is already here, without waiting.
    ///
    /// # Errors
    /// When the bytes are no such body.
    pub fn buffered(&mut self) -> Result<Option<BodyPart>, BodyError> {
        let part = self.reader.next_part()?;
        if matches!(part, Some(BodyPart::End(_))) {
            self.half.notice_end();
        }
        Ok(part)
    }

    /// A part that is already here or in the stream, without waiting.
    ///
    /// # Errors
    /// When the bytes are no such body.
    fn available(&mut self) -> Result<Option<BodyPart>, BodyError> {
        loop {
            if let Some(part) = self.buffered()? {
                return Ok(Some(part));
            }
            match self.half.read_now() {
                Some(bytes) => self.reader.push(bytes),
                None => return Ok(None),
            }
        }
    }

    /// The next part; after END, `None`. Safe to cancel.
    ///
    /// # Errors
    /// When the stream was reset, or the body ends before its end.
    pub async fn next(&mut self) -> Result<Option<BodyPart>, ExchangeError> {
        loop {
            if let Some(part) = self.buffered()? {
                return Ok(Some(part));
            }
            match self.half.read_chunk().await? {
                Some(bytes) => self.reader.push(bytes),
                None => {
                    self.reader.finish()?;
                    return Ok(None);
                }
            }
        }
    }

    /// Whether END was reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.reader.is_done()
    }

    /// Gives up on the rest; the other side stops sending.
    pub fn stop(mut self, code: protocol::code::StreamCode) {
        self.half.stop(code);
    }
}

/// A head was sent; this sends the body.
#[derive(Debug)]
pub struct BodySend {
    half: SendHalf,
    writer: BodyWriter,
    out: Vec<Bytes>,
}

impl BodySend {
    /// The body of this framing, after `head` (any frames, written together with the first piece).
    #[must_use]
    pub fn new(half: SendHalf, head: Bytes, framing: BodyFraming) -> Self {
        Self { half, writer: BodyWriter::new(framing), out: vec![head] }
    }

    /// Adds a piece, to be written with the next [`BodySend::flush`] or [`BodySend::end`].
    ///
    /// # Errors
    /// When more comes than was declared.
    pub fn queue(&mut self, data: Bytes) -> Result<(), BodyError> {
        self.writer.data(data, &mut self.out)
    }

    /// Writes what is queued. Waits while the other side has no room. Not safe to cancel.
    ///
    /// # Errors
    /// When the stream or connection is gone.
    pub async fn flush(&mut self) -> Result<(), StreamError> {
        let written = self.half.write_all(&mut self.out).await;
        self.out.clear();
        written
    }

    /// Ends the body and the stream. Only now can the other side take it for whole.
    ///
    /// # Errors
    /// When less was queued than was declared (the stream is reset), or the stream is gone.
    pub async fn end(mut self, trailers: &HeaderBlock) -> Result<(), ExchangeError> {
        self.writer.end(trailers, &mut self.out)?;
        self.half.write_all(&mut self.out).await?;
        self.half.finish();
        Ok(())
    }

    /// The same, and waits until all of it has arrived, or the other side wants no more of it.
    ///
    /// # Errors
    /// As [`BodySend::end`].
    pub async fn deliver(mut self, trailers: &HeaderBlock) -> Result<(), ExchangeError> {
        self.writer.end(trailers, &mut self.out)?;
        self.half.write_all(&mut self.out).await?;
        self.half.finish();
        self.half.given_up().await;
        Ok(())
    }

    /// Waits until the other side wants no more of it. Safe to cancel.
    pub async fn given_up(&mut self) {
        self.half.given_up().await;
    }

    /// Breaks off: the other side learns that this is not the whole body.
    pub fn reset(mut self, code: protocol::code::StreamCode) {
        self.half.reset(code);
    }
}

type Step = Pin<Box<dyn Future<Output = (BodyRecv, Result<Option<BodyPart>, ExchangeError>)> + Send>>;

/// A body as something that can be polled, for HTTP libraries.
pub struct BodyStream {
    queued: VecDeque<BodyPart>,
    recv: Option<BodyRecv>,
    step: Option<Step>,
}

impl BodyStream {
    /// The parts of `recv`; those that are here already are taken at once.
    ///
    /// # Errors
    /// When the bytes that are here are no such body.
    pub fn new(mut recv: BodyRecv) -> Result<Self, BodyError> {
        let mut queued = VecDeque::new();
        let mut bytes = 0;
        while bytes < GATHER_BYTES_MAX
            && !recv.is_done()
            && let Some(part) = recv.available()?
        {
            if let BodyPart::Data(data) = &part {
                bytes += data.len();
            }
            queued.push_back(part);
        }
        Ok(Self { queued, recv: Some(recv), step: None })
    }

    /// All of the body, when it is here already and in one piece.
    pub fn whole(&mut self) -> Option<Bytes> {
        match self.queued.make_contiguous() {
            [BodyPart::End(trailers)] if trailers.is_empty() => Some(Bytes::new()),
            [BodyPart::Data(data), BodyPart::End(trailers)] if trailers.is_empty() => Some(data.clone()),
            _ => None,
        }
    }

    /// The next part; after END, `None`.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<BodyPart>, ExchangeError>> {
        if let Some(part) = self.queued.pop_front() {
            return Poll::Ready(Ok(Some(part)));
        }
        if let Some(mut recv) = self.recv.take() {
            self.step = Some(Box::pin(async move {
                let part = recv.next().await;
                (recv, part)
            }));
        }
        let Some(step) = &mut self.step else { return Poll::Ready(Ok(None)) };
        let (recv, part) = ready!(step.as_mut().poll(cx));
        self.step = None;
        self.recv = Some(recv);
        Poll::Ready(part)
    }
}
