//! One request and its answer on a connection of their own. The request goes out while the answer is read: an app may
//! answer before it has read everything, and may wait for its answer to be read before it reads on.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use protocol::chunks::ChunkWalker;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::head::{self, AnswerFraming, AnswerHead, HeadError};
use crate::delivery::capture::Capture;
use crate::model::Captured;

/// How long an answer may go on past its head. What an app has to say to a webhook fits; an endless answer does not
/// hold a place in the flight.
pub(super) const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes of an answer read past those that are kept, to learn how long it is and whether it ends.
const DRAIN_BYTES_MAX: u64 = 1024 * 1024;

/// Interim answers (1xx) before the one that counts.
const INTERIM_MAX: usize = 16;

/// Bytes read at once, of an answer and of a stored body.
const READ_BYTES: usize = 16 * 1024;
const PIECE_BYTES: usize = 64 * 1024;

/// A request, ready to go out.
pub(super) struct Outgoing {
    pub(super) head: Vec<u8>,
    pub(super) body: Body,
    /// It asks for a head only.
    pub(super) is_head: bool,
}

/// A request body that can be read.
pub(super) enum Body {
    Bytes(Bytes),
    File { file: File, bytes: u64 },
}

/// A head, and as much of the body behind it as was wanted.
pub(super) struct Answer {
    pub(super) head: AnswerHead,
    pub(super) head_at: Instant,
    pub(super) body: Captured,
}

/// The app may have acted, but no answer came.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) reason: &'static str,
    pub(super) text: String,
}

/// Sends `request` and reads the answer: its head until `head_by`, and [`ANSWER_DEADLINE`] of what follows.
pub(super) async fn exchange<IO: AsyncRead + AsyncWrite + Unpin>(
    io: IO,
    request: Outgoing,
    head_by: Instant,
    answer_bytes_max: usize,
) -> Result<Answer, NoAnswer> {
    let (reader, writer) = tokio::io::split(io);
    let mut reading = Reading::new(reader, request.is_head);
    let upload = pin!(send(writer, request.head, request.body));
    let mut upload = Upload { under_way: upload, ended: None };
    let head = match timeout_at(head_by, upload.beside(reading.head())).await {
        Err(_) => {
            let text = "the app did not answer in time".to_owned();
            return Err(NoAnswer { reason: "answer_timeout", text });
        }
        Ok(Err(error)) => {
            let text = format!("the stored body cannot be read: {error}");
            return Err(NoAnswer { reason: "request_broke", text });
        }
        Ok(Ok(Err(fault))) => return Err(upload.explain(&fault)),
        Ok(Ok(Ok(head))) => head,
    };
    let head_at = Instant::now();
    let mut capture = Capture::new(answer_bytes_max);
    let bytes_max = answer_bytes_max as u64 + DRAIN_BYTES_MAX;
    let rest = async {
        upload.beside(reading.body(head.framing, &mut capture, bytes_max)).await?;
        // An app that said yes before it had read everything still gets everything.
        if (200..300).contains(&head.status) { upload.finish().await } else { Ok(()) }
    };
    // However this ends, there is an answer; whether its body is whole, the capture knows.
    let _ = timeout_at(head_at + ANSWER_DEADLINE, rest).await;
    Ok(Answer { head, head_at, body: capture.take() })
}

/// Why a request did not go out whole.
enum UploadError {
    /// Our own file.
    Source(io::Error),
    /// The connection; an answer may be waiting nevertheless.
    Connection(io::Error),
}

async fn send(mut writer: impl AsyncWrite + Unpin, head: Vec<u8>, body: Body) -> Result<(), UploadError> {
    use UploadError::{Connection, Source};
    match body {
        // In one go where it fits, so that a small webhook is one packet.
        Body::Bytes(bytes) if bytes.len() <= READ_BYTES => {
            writer.write_all(&[&head, &bytes[..]].concat()).await.map_err(Connection)?;
        }
        Body::Bytes(bytes) => {
            writer.write_all(&head).await.map_err(Connection)?;
            writer.write_all(&bytes).await.map_err(Connection)?;
        }
        Body::File { mut file, bytes } => {
            writer.write_all(&head).await.map_err(Connection)?;
            let mut left = bytes;
            let mut piece = vec![0; PIECE_BYTES];
            while left > 0 {
                let wanted = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
                let read = file.read(&mut piece[..wanted]).await.map_err(Source)?;
                if read == 0 {
                    return Err(Source(io::ErrorKind::UnexpectedEof.into()));
                }
                writer.write_all(&piece[..read]).await.map_err(Connection)?;
                left -= read as u64;
            }
        }
    }
    // The writing side stays open: many an app takes half a connection for a sender who left.
    writer.flush().await.map_err(Connection)
}

/// A request going out while something else is waited for.
struct Upload<'a, F> {
    under_way: Pin<&'a mut F>,
    ended: Option<Result<(), UploadError>>,
}

impl<F: Future<Output = Result<(), UploadError>>> Upload<'_, F> {
    /// Waits for `other`; fails as soon as our own file does, because then the request will never be whole.
    async fn beside<T>(&mut self, other: impl Future<Output = T>) -> io::Result<T> {
        let mut other = pin!(other);
        loop {
            tokio::select! {
                ended = &mut self.under_way, if self.ended.is_none() => match ended {
                    Err(UploadError::Source(error)) => return Err(error),
                    ended => self.ended = Some(ended),
                },
                done = &mut other => return Ok(done),
            }
        }
    }

    async fn finish(&mut self) -> io::Result<()> {
        if self.ended.is_none() {
            self.ended = Some(self.under_way.as_mut().await);
        }
        Ok(())
    }

    /// Why there is no answer.
    fn explain(&self, fault: &HeadFault) -> NoAnswer {
        match (fault, &self.ended) {
            (HeadFault::Ended(_), Some(Err(UploadError::Connection(error) | UploadError::Source(error)))) => {
                let text = format!("the app ended the connection while the request was on its way: {error}");
                NoAnswer { reason: "request_broke", text }
            }
            _ => NoAnswer { reason: "answer_broke", text: fault.to_string() },
        }
    }
}

/// Why no head came.
enum HeadFault {
    Ended(Option<io::Error>),
    Unbelievable(HeadError),
    Switch,
    TooManyInterim,
}

impl fmt::Display for HeadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(None) => f.write_str("the app ended the connection without an answer"),
            Self::Ended(Some(error)) => write!(f, "the connection broke before an answer: {error}"),
            Self::Unbelievable(error) => write!(f, "the app's answer cannot be used: {error}"),
            Self::Switch => f.write_str("the app switched to another protocol (101) although nobody asked"),
            Self::TooManyInterim => write!(f, "the app gave more than {INTERIM_MAX} interim answers (1xx)"),
        }
    }
}

/// An answer being read.
struct Reading<R> {
    io: R,
    inbox: BytesMut,
    is_head_request: bool,
}

impl<R: AsyncRead + Unpin> Reading<R> {
    fn new(io: R, is_head_request: bool) -> Self {
        Self { io, inbox: BytesMut::with_capacity(READ_BYTES), is_head_request }
    }

    /// Reads more; the number of bytes, 0 at the end.
    async fn more(&mut self) -> io::Result<usize> {
        self.inbox.reserve(READ_BYTES);
        self.io.read_buf(&mut self.inbox).await
    }

    async fn head(&mut self) -> Result<AnswerHead, HeadFault> {
        let (mut scanned, mut interim) = (0, 0);
        loop {
            let read = head::read_answer(&self.inbox, scanned, self.is_head_request);
            match read.map_err(HeadFault::Unbelievable)? {
                Some((head, used)) => {
                    self.inbox.advance(used);
                    match head.status {
                        101 => return Err(HeadFault::Switch),
                        200.. => return Ok(head),
                        _ if interim == INTERIM_MAX => return Err(HeadFault::TooManyInterim),
                        _ => (scanned, interim) = (0, interim + 1),
                    }
                }
                None => {
                    scanned = self.inbox.len();
                    let read = self.more().await.map_err(|error| HeadFault::Ended(Some(error)))?;
                    if read == 0 {
                        return Err(HeadFault::Ended(None));
                    }
                }
            }
        }
    }

    /// Shows the body to `capture`, up to `bytes_max` bytes; and its end, if it comes before that and in due form.
    async fn body(&mut self, framing: AnswerFraming, capture: &mut Capture, bytes_max: u64) {
        let mut seen = 0;
        let mut see = |data: &[u8]| {
            capture.see(data);
            seen += data.len() as u64;
            seen < bytes_max
        };
        let mut walker = ChunkWalker::default();
        let mut left = if let AnswerFraming::Length(bytes) = framing { bytes } else { 0 };
        let is_whole = loop {
            match framing {
                AnswerFraming::None => break true,
                AnswerFraming::Length(_) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.inbox.len());
                    left -= here as u64;
                    let goes_on = see(&self.inbox.split_to(here));
                    if left == 0 || !goes_on {
                        break left == 0;
                    }
                }
                AnswerFraming::Chunked => {
                    let mut goes_on = true;
                    while goes_on && !self.inbox.is_empty() && !walker.is_done() {
                        match walker.next_data(&self.inbox) {
                            Ok((walked, data)) => {
                                goes_on = see(data);
                                self.inbox.advance(walked);
                            }
                            Err(_) => goes_on = false,
                        }
                    }
                    if walker.is_done() || !goes_on {
                        break walker.is_done();
                    }
                }
                AnswerFraming::UntilClose => {
                    if !see(&self.inbox.split()) {
                        break false;
                    }
                }
            }
            match self.more().await {
                Ok(0) => break framing == AnswerFraming::UntilClose,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        if is_whole {
            capture.see_end();
        }
    }
}
