//! API calls that agents make through the tunnel: the same routes as on the admin listener, with the session's token.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use link::{BodySend, ExchangeError, FrameRecv, RecvHalf, SendHalf};
use protocol::body::BodyPart;
use protocol::codec::Extensions;
use protocol::field::{BodyFraming, HeaderBlock};
use protocol::head::{RequestHead, ResponseHead, Timing};
use tower_service::Service;

use super::session::Session;
use crate::api::Identity;
use crate::model::Token;
use link::Tasks;

/// Largest body of an API call: as much as the route takes that takes most. Each route has its own limit below that.
const BODY_BYTES_MAX: usize = crate::api::CALL_BYTES_MAX;

/// How long a call may take to be said. Answers may take longer: some are streams.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// Answers API calls. Cheap to clone.
#[derive(Clone)]
pub struct Calls {
    router: Router,
}

impl Calls {
    /// Answers from these routes.
    #[must_use]
    pub fn new(router: Router) -> Self {
        Self { router }
    }

    /// Answers one call in a task of its own.
    pub fn answer(
        &self,
        tasks: &Tasks,
        session: &Arc<Session>,
        token: Token,
        send: SendHalf,
        recv: RecvHalf,
    ) {
        let (router, session) = (self.router.clone(), session.id);
        tasks.spawn(async move {
            if let Err(error) = answer_one(router, token, send, recv).await {
                tracing::debug!(%error, session.id = %session, "API call broke off");
            }
        });
    }
}

#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("not an API call")]
    Malformed,
    #[error("the call was not said in time")]
    Slow,
    #[error("the answer broke off")]
    Answer,
}

async fn answer_one(
    mut router: Router,
    token: Token,
    send: SendHalf,
    recv: RecvHalf,
) -> Result<(), CallError> {
    let request = tokio::time::timeout(CALL_DEADLINE, hear(recv)).await.map_err(|_| CallError::Slow)??;
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(Identity(token));
    let response = router.call(http::Request::from_parts(parts, Body::from(body))).await;
    let Ok(response) = response;
    tell(response, send).await
}

async fn hear(recv: RecvHalf) -> Result<http::Request<Bytes>, CallError> {
    let mut frames = FrameRecv::new(recv);
    let frame = frames.next_frame().await?.ok_or(CallError::Malformed)?;
    let head = RequestHead::read(&frame).map_err(|_| CallError::Malformed)?;
    let mut recv = frames.into_body(head.body);
    let mut body = Vec::new();
    while let Some(part) = recv.next().await? {
        if let BodyPart::Data(data) = part {
            if body.len() + data.len() > BODY_BYTES_MAX {
                return Err(CallError::Malformed);
            }
            body.extend_from_slice(&data);
        }
    }
    let mut request = http::Request::builder().method(head.method.as_str()).uri(head.target.as_slice());
    for (name, value) in &head.headers {
        request = request.header(name, value);
    }
    request.body(Bytes::from(body)).map_err(|_| CallError::Malformed)
}

async fn tell(response: http::Response<Body>, half: SendHalf) -> Result<(), CallError> {
    let (parts, mut body) = response.into_parts();
    let mut headers = HeaderBlock::default();
    for (name, value) in &parts.headers {
        if name != http::header::CONTENT_LENGTH && name != http::header::TRANSFER_ENCODING {
            // The caps of a block are far above what the API says.
            let _ = headers.push(name.as_str().as_bytes(), value.as_bytes());
        }
    }
    let head = ResponseHead {
        status: parts.status.as_u16(),
        reason: Vec::new(),
        headers,
        body: BodyFraming::Chunked,
        timing: Timing::default(),
        extensions: Extensions::default(),
    };
    let mut bytes = Vec::new();
    head.write(&mut bytes);
    let mut send = BodySend::new(half, bytes.into(), BodyFraming::Chunked);
    send.flush().await.map_err(ExchangeError::from)?;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| CallError::Answer)?.into_data() else { continue };
        send.queue(data).map_err(ExchangeError::from)?;
        send.flush().await.map_err(ExchangeError::from)?;
    }
    Ok(send.end(&HeaderBlock::default()).await?)
}
