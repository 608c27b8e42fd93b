//! API calls of the agent's owner, each over a stream of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use link::{BodyRecv, BodySend, FrameRecv, Link};
use protocol::body::BodyPart;
use protocol::codec::Extensions;
use protocol::field::{BodyFraming, HeaderBlock};
use protocol::head::{RequestFlags, RequestHead, Response, ResponseHead};
use protocol::id::EventId;

use super::{Agent, Shared};

/// How long an API call waits for the link, and for its answer.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// Largest API answer taken into memory.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An API call that failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// There is no link to the server.
    #[error("not connected to the server")]
    NotConnected,
    /// The link broke during the call.
    #[error("the connection broke during the call: {0}")]
    Broke(String),
    /// The answer is larger than can be shown.
    #[error("the answer is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    /// No answer in time.
    #[error("the server did not answer within {CALL_DEADLINE:?}")]
    Slow,
}

/// An API answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiResponse {
    /// HTTP status.
    pub status: u16,
    /// Body, whole.
    pub body: Bytes,
}

/// An API answer that comes line by line (NDJSON).
#[derive(Debug)]
pub struct ApiLines {
    recv: BodyRecv,
    pending: Vec<u8>,
    status: u16,
}

impl ApiLines {
    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The next line, without its end; `None` when the stream is over.
    pub async fn next_line(&mut self) -> Option<Result<String, ApiError>> {
        loop {
            if let Some(end) = self.pending.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return Some(Ok(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            match self.recv.next().await {
                Ok(Some(BodyPart::Data(data))) if self.pending.len() + data.len() <= ANSWER_BYTES_MAX => {
                    self.pending.extend_from_slice(&data);
                }
                Ok(Some(BodyPart::Data(_))) => return Some(Err(ApiError::TooLarge)),
                Ok(Some(BodyPart::End(_)) | None) => return None,
                Err(error) => return Some(Err(ApiError::Broke(error.to_string()))),
            }
        }
    }
}

/// Calls the server's API for as long as the agent lives. Cheap to clone.
#[derive(Clone)]
pub struct ApiCaller(Arc<Shared>);

impl Agent {
    /// A handle that calls the server's API.
    #[must_use]
    pub fn api_caller(&self) -> ApiCaller {
        ApiCaller(Arc::clone(&self.shared))
    }

    /// Calls the server's API through the tunnel.
    ///
    /// # Errors
    /// When there is no link within ten seconds, or the call breaks.
    pub async fn api(
        &self,
        method: &str,
        path_and_query: &str,
        body: Option<Vec<u8>>,
    ) -> Result<ApiResponse, ApiError> {
        self.api_caller().api(method, path_and_query, body).await
    }

    /// Opens an API stream of lines.
    ///
    /// # Errors
    /// When there is no link within ten seconds, or the call breaks.
    pub async fn api_stream(&self, path_and_query: &str) -> Result<ApiLines, ApiError> {
        let (head, recv) = self.api_caller().json("GET", path_and_query, None).await?;
        Ok(ApiLines { recv, pending: Vec::new(), status: head.status })
    }
}

impl ApiCaller {
    /// Calls the server's API through the tunnel.
    ///
    /// # Errors
    /// When there is no link within ten seconds, or the call breaks.
    pub async fn api(
        &self,
        method: &str,
        path_and_query: &str,
        body: Option<Vec<u8>>,
    ) -> Result<ApiResponse, ApiError> {
        let call = async {
            let (head, mut recv) = self.json(method, path_and_query, body).await?;
            let status = head.status;
            let mut body = Vec::new();
            while let Some(part) = recv.next().await.map_err(|error| ApiError::Broke(error.to_string()))? {
                if let BodyPart::Data(data) = part {
                    if body.len() + data.len() > ANSWER_BYTES_MAX {
                        return Err(ApiError::TooLarge);
                    }
                    body.extend_from_slice(&data);
                }
            }
            Ok(ApiResponse { status, body: body.into() })
        };
        tokio::time::timeout(2 * CALL_DEADLINE, call).await.unwrap_or(Err(ApiError::Slow))
    }

    async fn linked(&self) -> Result<Link, ApiError> {
        let mut links = self.0.link.subscribe();
        let linked = links.wait_for(Option::is_some);
        let found = tokio::time::timeout(CALL_DEADLINE, linked).await.map_err(|_| ApiError::NotConnected)?;
        found.ok().and_then(|link| link.clone()).ok_or(ApiError::NotConnected)
    }

    async fn json(
        &self,
        method: &str,
        target: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(ResponseHead, BodyRecv), ApiError> {
        self.call(method, target, &[("Content-Type", b"application/json")], body.unwrap_or_default()).await
    }

    /// One call: the head of the answer, and its body as it comes.
    pub(crate) async fn call(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &[u8])],
        body: Vec<u8>,
    ) -> Result<(ResponseHead, BodyRecv), ApiError> {
        let broke = |error: &dyn std::fmt::Display| ApiError::Broke(error.to_string());
        let link = self.linked().await?;
        let (half, recv) = link.open(CALL_DEADLINE).await.map_err(|error| broke(&error))?;
        let mut headers = HeaderBlock::default();
        let length = body.len().to_string();
        for (name, value) in fields.iter().chain(&[("Content-Length", length.as_bytes())]) {
            headers.push(name.as_bytes(), value).map_err(|error| broke(&error))?;
        }
        let head = RequestHead {
            event: EventId(0),
            attempt: 1,
            serve: 0,
            flags: RequestFlags::default(),
            patience_ms: 0,
            method: method.to_owned(),
            target: target.as_bytes().to_vec(),
            mount: 0,
            headers,
            body: BodyFraming::Length(body.len() as u64),
            extensions: Extensions::default(),
        };
        let mut bytes = Vec::new();
        head.write(&mut bytes);
        let mut send = BodySend::new(half, bytes.into(), head.body);
        send.queue(body.into()).map_err(|error| broke(&error))?;
        send.end(&HeaderBlock::default()).await.map_err(|error| broke(&error))?;
        let mut frames = FrameRecv::new(recv);
        let frame =
            tokio::time::timeout(CALL_DEADLINE, frames.next_frame()).await.map_err(|_| ApiError::Slow)?;
        let frame = frame.map_err(|error| broke(&error))?.ok_or_else(|| broke(&"no answer"))?;
        match Response::read(&frame).map_err(|error| broke(&error))? {
            Response::Head(head) => {
                let framing = head.body;
                Ok((head, frames.into_body(framing)))
            }
            Response::Interim(_) => Err(broke(&"not an answer")),
            Response::Failure(failure) => Err(broke(&failure.text)),
        }
    }
}
