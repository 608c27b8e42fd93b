//! One attempt of a stored delivery through an agent: the request written whole, the answer read to its end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use link::{BodySend, ExchangeError, FrameRecv, SendHalf, StreamError};
use protocol::body::BodyPart;
use protocol::code::StreamCode;
use protocol::field::HeaderBlock;
use protocol::head::{Failure, FailureKind, RequestHead, Response, ResponseHead, Sent, Timing};
use tokio::io::AsyncReadExt;

use super::live::OPEN_DEADLINE;
use super::verdict::{AttemptOutcome, BODY_UNREADABLE};
use crate::config::limits::BODY_TOTAL_MS;
use crate::model::{Captured, RecordedAnswer, Times};
use crate::tunnel::registry::Claim;

/// Bytes kept of the answer to a stored delivery: enough for any error page's first lines, for each of twenty attempts.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Bytes read of an answer nobody waits for, and how long: then it is broken off, and taken for what its head says.
const ANSWER_READ_MAX: u64 = 1024 * 1024;
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes of a file sent at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Slowest a body may be on its way to the agent, in bytes per second, before its attempt is given up: two megabits for
/// sixteen at once. At most so long in all, in milliseconds: as long as one may take to come in.
const UPLOAD_RATE_MIN: u64 = 16 * 1024;
pub(super) const UPLOAD_MS_MAX: u64 = BODY_TOTAL_MS;

/// A request body that is there whole.
#[derive(Debug, Clone)]
pub enum StoredBody {
    /// In memory.
    Bytes(Bytes),
    /// In a file of so many bytes.
    File(PathBuf, u64),
}

/// What became of an attempt.
#[derive(Debug)]
pub enum Tried {
    /// It was made.
    Made {
        /// What happened.
        outcome: AttemptOutcome,
        /// A sentence about a failure.
        text: Option<String>,
        /// The answer, if one came.
        answer: RecordedAnswer,
        /// Where the time went.
        times: Times,
    },
    /// The agent took nothing: as if it had not been asked.
    NotTaken,
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn failed(outcome: AttemptOutcome, text: Option<String>, timing: Timing, started: Instant) -> Tried {
    Tried::Made { outcome, text, answer: RecordedAnswer::default(), times: times(timing, started) }
}

fn times(timing: Timing, started: Instant) -> Times {
    Times {
        head_us: 0,
        total_us: us(started.elapsed()),
        connect_us: u64::from(timing.connect_us),
        app_us: u64::from(timing.app_us),
    }
}

/// How much longer than its app's time an attempt may take for the sake of its body.
fn upload_time(body: &StoredBody) -> Duration {
    let bytes = match body {
        StoredBody::Bytes(bytes) => bytes.len() as u64,
        StoredBody::File(_, bytes) => *bytes,
    };
    Duration::from_millis((bytes * 1_000 / UPLOAD_RATE_MIN).min(UPLOAD_MS_MAX))
}

/// Makes one attempt. The response head has to come within `timeout` of the request's arrival: the time a large body
/// needs on a slow link is not the app's.
pub async fn attempt(
    claim: &Claim,
    head: &RequestHead,
    body: &StoredBody,
    trailers: &HeaderBlock,
    timeout: Duration,
) -> Tried {
    let started = Instant::now();
    let Ok((half, recv)) = claim.session.link().open(OPEN_DEADLINE).await else {
        claim.session.probe();
        return Tried::NotTaken;
    };
    let mut frames = FrameRecv::new(recv);
    let sending = send(half, head, body, trailers);
    tokio::pin!(sending);
    let deadline = tokio::time::sleep(timeout + upload_time(body));
    tokio::pin!(deadline);
    let mut is_sending = true;
    let answered = loop {
        tokio::select! {
            frame = frames.next_frame() => match frame.map(|frame| frame.map(|frame| Response::read(&frame))) {
                Ok(Some(Ok(Response::Interim(_)))) => {}
                other => break other,
            },
            sent = &mut sending, if is_sending => match sent {
                Ok(()) => {
                    is_sending = false;
                    deadline.as_mut().reset(tokio::time::Instant::now() + timeout);
                }
                Err(SendError::Stream(error)) if is_refusal(&error) => return Tried::NotTaken,
                // An early answer: the app wants no more of it. What it says is read all the same.
                Err(SendError::Stream(_)) => is_sending = false,
                Err(SendError::File(error)) => {
                    let text = format!("the stored body could not be read: {error}");
                    let outcome = AttemptOutcome::SentNoAnswer(BODY_UNREADABLE);
                    return failed(outcome, Some(text), Timing::default(), started);
                }
            },
            () = &mut deadline => {
                claim.session.probe();
                return failed(AttemptOutcome::SentNoAnswer("app_slow"), None, Timing::default(), started);
            }
        }
    };
    match answered {
        Ok(Some(Ok(Response::Head(head)))) if head.status != 101 => {
            let answer = read_answer(&head, frames).await;
            let outcome = AttemptOutcome::Answered(head.status);
            Tried::Made { outcome, text: None, answer, times: times(head.timing, started) }
        }
        Ok(Some(Ok(Response::Failure(failure)))) => of_failure(failure, started),
        Err(error) if is_refusal(&error) => Tried::NotTaken,
        _ => failed(AttemptOutcome::SentNoAnswer("answer_broke"), None, Timing::default(), started),
    }
}

fn is_refusal(error: &ExchangeError) -> bool {
    matches!(error, ExchangeError::Stream(StreamError::GivenUp(StreamCode::REFUSED)))
}

/// The attempt as the agent says it failed.
fn of_failure(failure: Failure, started: Instant) -> Tried {
    let outcome = outcome_of(&failure);
    match (failure.kind, failure.sent) {
        (FailureKind::DRAINING | FailureKind::NOT_SERVED | FailureKind::OVERLOADED, Sent::No) => {
            Tried::NotTaken
        }
        _ => failed(outcome, Some(failure.text), failure.timing, started),
    }
}

/// What a failure the agent told means.
#[must_use]
pub fn outcome_of(failure: &Failure) -> AttemptOutcome {
    let reason = match failure.kind {
        FailureKind::APP_REFUSED => "app_refused",
        FailureKind::APP_SLOW => "app_slow",
        _ => "app_broke",
    };
    match failure.sent {
        Sent::No => AttemptOutcome::NotSent(reason),
        Sent::Maybe => AttemptOutcome::SentNoAnswer(reason),
    }
}

enum SendError {
    Stream(ExchangeError),
    File(std::io::Error),
}

impl<E: Into<ExchangeError>> From<E> for SendError {
    fn from(error: E) -> Self {
        Self::Stream(error.into())
    }
}

/// Sends a request, and waits until it has arrived.
async fn send(
    half: SendHalf,
    head: &RequestHead,
    body: &StoredBody,
    trailers: &HeaderBlock,
) -> Result<(), SendError> {
    let mut bytes = Vec::with_capacity(head.headers.as_bytes().len() + head.target.len() + 128);
    head.write(&mut bytes);
    let mut send = BodySend::new(half, bytes.into(), head.body);
    match body {
        StoredBody::Bytes(bytes) if bytes.is_empty() => {}
        StoredBody::Bytes(bytes) => send.queue(bytes.clone()).map_err(ExchangeError::from)?,
        StoredBody::File(path, _) => {
            let mut file = tokio::fs::File::open(path).await.map_err(SendError::File)?;
            loop {
                let mut chunk = bytes::BytesMut::with_capacity(CHUNK_BYTES);
                if file.read_buf(&mut chunk).await.map_err(SendError::File)? == 0 {
                    break;
                }
                send.queue(chunk.freeze()).map_err(ExchangeError::from)?;
                send.flush().await.map_err(ExchangeError::from)?;
            }
        }
    }
    send.deliver(trailers).await?;
    Ok(())
}

/// Reads an answer for the record: some of it is kept, a little more is heard out.
pub async fn read_answer(head: &ResponseHead, frames: FrameRecv) -> RecordedAnswer {
    let mut recv = frames.into_body(head.body);
    let mut kept = Vec::new();
    let mut body = Captured::default();
    let reading = async {
        while body.total_bytes <= ANSWER_READ_MAX {
            match recv.next().await {
                Ok(Some(BodyPart::Data(data))) => {
                    let room = ANSWER_BYTES_MAX.saturating_sub(kept.len());
                    kept.extend_from_slice(&data[..data.len().min(room)]);
                    body.total_bytes += data.len() as u64;
                }
                Ok(Some(BodyPart::End(_))) => {
                    body.complete = true;
                    return;
                }
                Ok(None) | Err(_) => return,
            }
        }
    };
    let _ = tokio::time::timeout(ANSWER_DEADLINE, reading).await;
    if !body.complete {
        recv.stop(StreamCode::CANCELLED);
    }
    body.bytes = kept.into();
    RecordedAnswer { status: head.status, headers: head.headers.clone(), body }
}
