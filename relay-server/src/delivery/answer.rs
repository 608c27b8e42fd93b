//! The app's answer on its way to the sender, as a hyper body. Broken off, it never looks complete.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use link::BodyStream;
use protocol::body::BodyPart;
use protocol::field::{BodyFraming, HeaderBlock, may_trail};

use super::body::Piece;
use super::recording::Recording;
use crate::tunnel::registry::Claim;

/// The answer broke off; the sender must see a broken message, never a short complete one.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub struct BrokeOff;

/// A body that is still coming.
struct Coming {
    stream: BodyStream,
    // Dropped when the body is over: the place in the agent's flight.
    _claim: Claim,
    recording: Recording,
}

enum State {
    Whole(Bytes),
    Coming(Box<Coming>),
    Told(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    Over,
}

/// A response body.
pub struct AnswerBody {
    state: State,
    size: SizeHint,
}

impl AnswerBody {
    /// A body the relay wrote itself.
    #[must_use]
    pub fn own(bytes: Bytes) -> Self {
        let size = SizeHint::with_exact(bytes.len() as u64);
        Self { state: if bytes.is_empty() { State::Over } else { State::Whole(bytes) }, size }
    }

    /// A body that the relay writes as it goes, without an end of its own.
    #[must_use]
    pub fn told(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self { state: State::Told(Box::pin(stream)), size: SizeHint::default() }
    }

    /// The app's body. When all of it is here already, the exchange is over now.
    #[must_use]
    pub fn of_app(
        mut stream: BodyStream,
        framing: BodyFraming,
        claim: Claim,
        mut recording: Recording,
    ) -> Self {
        let size = match framing {
            BodyFraming::None => SizeHint::with_exact(0),
            BodyFraming::Length(n) => SizeHint::with_exact(n),
            BodyFraming::Chunked => SizeHint::default(),
        };
        if let Some(bytes) = stream.whole() {
            recording.answer.see(&bytes);
            recording.answer.see_end();
            // An empty chunked body is still sent chunked: hyper writes no end for one that is over from the start.
            let is_over = bytes.is_empty() && framing != BodyFraming::Chunked;
            return Self { state: if is_over { State::Over } else { State::Whole(bytes) }, size };
        }
        let coming = Coming { stream, _claim: claim, recording };
        Self { state: State::Coming(Box::new(coming)), size }
    }
}

fn trailer_map(trailers: &HeaderBlock) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(trailers.len());
    for (name, value) in trailers.iter().filter(|(name, _)| may_trail(name)) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}

impl AnswerBody {
    /// The next piece; after trailers nothing follows.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BrokeOff>>> {
        let coming = match &mut self.state {
            State::Over => return Poll::Ready(None),
            State::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.state = State::Over;
                return Poll::Ready((!bytes.is_empty()).then(|| Ok(Piece::Data(bytes))));
            }
            State::Told(stream) => {
                return stream.as_mut().poll_next(cx).map(|bytes| bytes.map(|bytes| Ok(Piece::Data(bytes))));
            }
            State::Coming(coming) => coming,
        };
        let piece = match ready!(coming.stream.poll_part(cx)) {
            Ok(Some(BodyPart::Data(data))) => {
                coming.recording.answer.see(&data);
                return Poll::Ready(Some(Ok(Piece::Data(data))));
            }
            Ok(Some(BodyPart::End(trailers))) => {
                coming.recording.answer.see_end();
                (!trailers.is_empty()).then(|| Ok(Piece::Trailers(trailers)))
            }
            Ok(None) => None,
            Err(error) => {
                tracing::debug!(%error, "answer broke off");
                Some(Err(BrokeOff))
            }
        };
        self.state = State::Over;
        Poll::Ready(piece)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        self.poll_piece(cx).map_ok(|piece| match piece {
            Piece::Data(data) => Frame::data(data),
            Piece::Trailers(trailers) => Frame::trailers(trailer_map(&trailers)),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}
