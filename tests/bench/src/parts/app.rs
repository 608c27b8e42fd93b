//! The app at the end of every way: as little as can answer a webhook.
//!
//! `POST` to any path reads the body and answers `ok`; `POST …/up/N` answers so only if the body had N bytes;
//! `GET …/down/N` answers N bytes, streamed.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// What a POST is answered with.
pub const ANSWER: &str = "ok";

type AnswerBody = Either<Full<Bytes>, Stretch>;

pub async fn run() -> Result<()> {
    super::accept_each(|stream| {
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    })
    .await
}

async fn answer(request: Request<Incoming>) -> Result<Response<AnswerBody>, hyper::Error> {
    let path = request.uri().path();
    // A relay may put a prefix in front, so only the end of the path counts.
    let mut ends = path.rsplit('/');
    let number = ends.next().and_then(|last| last.parse().ok());
    let verb = number.and(ends.next());
    if request.method() == Method::GET {
        let bytes = if verb == Some("down") { number.unwrap_or_default() } else { 0 };
        return Ok(Response::new(Either::Right(Stretch::new(bytes))));
    }
    let expected = if verb == Some("up") { number } else { None };
    let mut body = request.into_body();
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        received += frame?.data_ref().map_or(0, Bytes::len) as u64;
    }
    let mut response = Response::new(Either::Left(Full::from(ANSWER)));
    if expected.is_some_and(|expected| expected != received) {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

/// A body of so many bytes, in pieces of 64 KiB that cost nothing to make.
struct Stretch {
    left: u64,
}

static PIECE: [u8; 64 << 10] = [b'x'; 64 << 10];

impl Stretch {
    fn new(bytes: u64) -> Self {
        Self { left: bytes }
    }
}

impl Body for Stretch {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let bytes = usize::try_from(self.left).map_or(PIECE.len(), |left| left.min(PIECE.len()));
        self.left -= bytes as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE[..bytes])))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
