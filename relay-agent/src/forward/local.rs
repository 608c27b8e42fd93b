//! Sends requests that are kept on this machine to a local app, over the very path live traffic takes: the same
//! connections, the same head byte for byte, the same gate for answers.
//!
//! Nothing is sent twice: what may have reached the app is told as [`Sent::Maybe`] and left to the caller.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use link::Tasks;
use protocol::codec::Extensions;
use protocol::field::{BodyFraming, FieldError, HeaderBlock, is_target, is_token};
use protocol::head::{FailureKind, RequestFlags, RequestHead, Sent, Timing};
use protocol::id::{EventId, Slug};
use protocol::limits::{METHOD_BYTES_MAX, TARGET_BYTES_MAX};

use super::connect::Connector;
use super::exchange::{Exchange, RequestBody, Tried};
use super::pool::{LocalConnection, Pool};
use crate::settings::{HostField, Route};
use crate::target::Target;

/// Bytes of an answer's body kept; what is longer is not read on. An answer to a webhook is a word or a page.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A request as it is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRequest {
    /// Method token, at most 32 bytes. Never `CONNECT`.
    pub method: String,
    /// What follows the target's own path: empty, or starts with `/` or `?`. At most 16 KiB, never normalised.
    /// Also what the relay lets in beside: a fragment (`#`), and `*`.
    pub target: Vec<u8>,
    /// Header fields, written in this order with their case. `Host` becomes what [`HostField`] says.
    pub headers: HeaderBlock,
    /// The body, whole. Sent in chunks if the fields say so, with a length otherwise.
    pub body: Bytes,
    /// Say `Relay-Replay: 1` to the app, as the relay does for an event that is sent again.
    pub is_replay: bool,
}

impl LocalRequest {
    /// Makes `Content-Length` say how long the body is: in its place if it is there, at the end if a body needs it.
    /// A chunked request stays as it is. Says whether anything changed.
    ///
    /// # Errors
    /// When the fields frame the body twice or in a way that cannot be, or there is no room for one more.
    pub fn fit_length(&mut self) -> Result<bool, FieldError> {
        let length = self.body.len() as u64;
        let is_right = match self.headers.framing()? {
            Some(BodyFraming::Length(said)) => said == length,
            Some(BodyFraming::Chunked) => true,
            Some(BodyFraming::None) | None => length == 0,
        };
        if is_right {
            return Ok(false);
        }
        let said = length.to_string();
        let mut fitted = HeaderBlock::with_capacity(self.headers.as_bytes().len() + 32);
        let mut has_said = false;
        for (name, value) in &self.headers {
            let is_length = name.eq_ignore_ascii_case(b"content-length");
            has_said |= is_length;
            fitted.push(name, if is_length { said.as_bytes() } else { value })?;
        }
        if !has_said {
            fitted.push(b"Content-Length", said.as_bytes())?;
        }
        self.headers = fitted;
        Ok(true)
    }

    fn head(&self) -> Result<RequestHead, LocalFailure> {
        let impossible = LocalFailure::impossible;
        let is_method = self.method.len() <= METHOD_BYTES_MAX && is_token(self.method.as_bytes());
        // hyper would take what follows for a tunnel.
        if !is_method || self.method == "CONNECT" {
            return Err(impossible(format!(
                "`{}` is not a method a webhook has",
                self.method.escape_debug()
            )));
        }
        if !is_app_target(&self.target) {
            return Err(impossible("the path is not one: it starts with `/` and holds no spaces".to_owned()));
        }
        let framing = self.headers.framing().map_err(|error| impossible(error.to_string()))?;
        let body = framing.unwrap_or(BodyFraming::None);
        let length = self.body.len() as u64;
        let is_said = match body {
            BodyFraming::None => length == 0,
            BodyFraming::Length(said) => said == length,
            BodyFraming::Chunked => true,
        };
        if !is_said {
            return Err(impossible(format!("Content-Length does not say that the body has {length} bytes")));
        }
        let flags = if self.is_replay { RequestFlags::REPLAY } else { RequestFlags::default() };
        Ok(RequestHead {
            event: EventId(0),
            attempt: 1,
            serve: 0,
            flags,
            patience_ms: 0,
            method: self.method.clone(),
            target: self.target.clone(),
            mount: 0,
            headers: self.headers.clone(),
            body,
            extensions: Extensions::default(),
        })
    }
}

/// The app's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAnswer {
    /// 200 to 599; 101 if the app switched protocols, which ends the exchange here.
    pub status: u16,
    /// Reason phrase as sent.
    pub reason: Vec<u8>,
    /// Header fields as sent.
    pub headers: HeaderBlock,
    /// The body, at most [`ANSWER_BYTES_MAX`].
    pub body: Bytes,
    /// Whether that is all of it. An answer that goes on for longer than the answer timeout is left, too.
    pub is_whole: bool,
    /// Getting a connection.
    pub connect: Duration,
    /// From the first byte written until the answer's head was there.
    pub app: Duration,
    /// All of it, the answer's body included.
    pub total: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct LocalFailure {
    /// What went wrong.
    pub kind: LocalFailureKind,
    /// Whether the app may have acted.
    pub sent: Sent,
    /// A sentence for a person.
    pub text: String,
    /// How long the app was waited for; zero when it was not reached.
    pub app: Duration,
}

impl LocalFailure {
    /// A request that cannot be written; nothing was sent.
    #[must_use]
    pub fn impossible(text: String) -> Self {
        Self { kind: LocalFailureKind::Impossible, sent: Sent::No, text, app: Duration::ZERO }
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalFailureKind {
    /// No HTTP request can say this.
    Impossible,
    /// The app cannot be reached.
    Unreachable,
    /// The app closed the connection, or answered something that is not HTTP.
    Broke,
    /// No answer in time.
    Slow,
}

/// Sends requests to one local target. Dropping it closes its connections.
#[derive(Debug)]
pub struct LocalSender {
    route: Route,
    pool: Pool,
    tasks: Tasks,
}

impl LocalSender {
    /// A sender for `target`, with an extra certificate authority (PEM) for `https://`. Answers may take 60 s to begin.
    ///
    /// # Errors
    /// When the authority cannot be read.
    pub fn new(target: Target, host: HostField, extra_ca: Option<&Path>) -> io::Result<Self> {
        let tasks = Tasks::default();
        let pool = Pool::new(Connector::new(target.clone(), extra_ca)?, tasks.clone());
        // No source is meant: what a route says about sources is for the server.
        let nowhere: Slug = "local".parse().map_err(io::Error::other)?;
        Ok(Self { route: Route { host, ..Route::new(nowhere, target) }, pool, tasks })
    }

    /// The same, with another time for an answer to begin, and again for its body to end.
    #[must_use]
    pub fn with_answer_timeout(mut self, timeout: Duration) -> Self {
        self.route.answer_timeout = timeout;
        self
    }

    /// The target of a request as the app gets it: the target's own path in front.
    #[must_use]
    pub fn app_target(&self, request: &LocalRequest) -> Vec<u8> {
        self.route.target.join(&request.target)
    }

    /// Sends one request and reads its answer. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When there is no answer; [`LocalFailure::sent`] says whether the app may have seen the request.
    pub async fn send(&self, request: &LocalRequest) -> Result<LocalAnswer, LocalFailure> {
        let head = request.head()?;
        let started = Instant::now();
        let body = RequestBody::whole(request.body.clone(), head.body);
        let exchange = Exchange { head: &head, route: &self.route, pool: &self.pool };
        match Box::pin(exchange.ask(body, std::future::pending::<()>())).await {
            Tried::Response(response, connection, timing) => {
                let mut answer = self.read(response, connection, timing).await?;
                answer.total = started.elapsed();
                Ok(answer)
            }
            Tried::Failed(failure) => {
                let kind = match failure.kind {
                    FailureKind::APP_REFUSED => LocalFailureKind::Unreachable,
                    FailureKind::APP_SLOW => LocalFailureKind::Slow,
                    FailureKind::REQUEST_BROKE => LocalFailureKind::Impossible,
                    _ => LocalFailureKind::Broke,
                };
                Err(LocalFailure {
                    kind,
                    sent: failure.sent,
                    text: failure.text,
                    app: app_time(failure.timing),
                })
            }
            Tried::Cancelled => unreachable!("what never comes cannot have come"),
        }
    }

    async fn read(
        &self,
        response: Response<Incoming>,
        connection: LocalConnection,
        timing: Timing,
    ) -> Result<LocalAnswer, LocalFailure> {
        let app = app_time(timing);
        let broke = |text: &str| LocalFailure {
            kind: LocalFailureKind::Broke,
            sent: Sent::Maybe,
            text: text.to_owned(),
            app,
        };
        let raw = connection.tap.response().ok_or_else(|| broke("the app's answer had no head"))?;
        let mut body = response.into_body();
        let mut kept = BytesMut::new();
        let reading = async {
            loop {
                match body.frame().await {
                    None => return Some(true),
                    Some(Err(_)) => return None,
                    Some(Ok(frame)) => {
                        let Ok(data) = frame.into_data() else { continue };
                        let room = ANSWER_BYTES_MAX - kept.len();
                        kept.extend_from_slice(&data[..data.len().min(room)]);
                        if data.len() > room {
                            return Some(false);
                        }
                    }
                }
            }
        };
        // After a switch the connection speaks another protocol.
        let is_switch = raw.status == 101;
        let read = match is_switch {
            true => Ok(Some(false)),
            false => tokio::time::timeout(self.route.answer_timeout, reading).await,
        };
        let is_whole = read.unwrap_or(Some(false)).ok_or_else(|| broke("the app's answer broke off"))?;
        if is_whole && !raw.closes {
            self.pool.give_back(connection);
        }
        Ok(LocalAnswer {
            status: raw.status,
            reason: raw.reason,
            headers: raw.headers,
            body: kept.freeze(),
            is_whole: is_whole || is_switch,
            connect: Duration::from_micros(u64::from(timing.connect_us)),
            app,
            total: Duration::ZERO,
        })
    }
}

impl Drop for LocalSender {
    fn drop(&mut self) {
        self.tasks.kill();
    }
}

/// Whether this can follow a target's own path.
pub(crate) fn is_app_target(target: &[u8]) -> bool {
    let has_start = matches!(target, [] | [b'/' | b'?' | b'#', ..] | b"*");
    has_start && target.len() <= TARGET_BYTES_MAX && (target.is_empty() || is_target(target))
}

fn app_time(timing: Timing) -> Duration {
    Duration::from_micros(u64::from(timing.app_us))
}
