//! One request from its arrival through the tunnel to the app's answer, or the reason why there is none.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use link::{BodyRecv, BodySend, BodyStream, ExchangeError, FrameRecv, SendHalf, splice};
use protocol::body::BodyPart;
use protocol::code::StreamCode;
use protocol::codec::Extensions;
use protocol::field::{BodyFraming, HeaderBlock, is_hop_by_hop, trailer_lines};
use protocol::head::{Failure, FailureKind, RequestFlags, RequestHead, ResponseHead, Sent, Timing};

use super::pool::{LocalConnection, Pool};
use super::response_gate::RawResponse;
use super::tap::{RawRequest, TapHandle, Trailers};
use crate::settings::{HostField, Route};

/// Bytes of an answer gathered before its head is sent without waiting for the rest.
const GATHER_BYTES_MAX: usize = 64 * 1024;

/// The request body broke off in the tunnel; the app must see a broken request.
#[derive(Debug, thiserror::Error)]
#[error("the request broke off on its way")]
pub(crate) struct BrokeOff;

/// A request body on its way to the app.
pub(crate) struct RequestBody {
    state: BodyState,
    size: SizeHint,
    // Where its trailers go; hyper would write only those that a field announced.
    trailers: Option<Trailers>,
}

enum BodyState {
    Whole(Bytes),
    Coming(BodyStream),
    Over,
}

impl RequestBody {
    fn new(recv: BodyRecv, framing: BodyFraming) -> Result<Self, protocol::body::BodyError> {
        let size = match framing {
            BodyFraming::None => SizeHint::with_exact(0),
            BodyFraming::Length(n) => SizeHint::with_exact(n),
            BodyFraming::Chunked => SizeHint::default(),
        };
        let mut stream = BodyStream::new(recv)?;
        if let Some(bytes) = stream.whole() {
            return Ok(Self::whole(bytes, framing));
        }
        let trailers = (framing == BodyFraming::Chunked).then(Trailers::default);
        Ok(Self { state: BodyState::Coming(stream), size, trailers })
    }

    /// A body that is all here.
    pub(super) fn whole(bytes: Bytes, framing: BodyFraming) -> Self {
        let size = match framing {
            BodyFraming::None | BodyFraming::Length(_) => SizeHint::with_exact(bytes.len() as u64),
            BodyFraming::Chunked => SizeHint::default(),
        };
        let state = match bytes.is_empty() {
            // An empty chunked body has an end to be written: hyper writes none for a body that is over from the start.
            true if framing != BodyFraming::Chunked => BodyState::Over,
            _ => BodyState::Whole(bytes),
        };
        let trailers = (framing == BodyFraming::Chunked).then(Trailers::default);
        Self { state, size, trailers }
    }

    fn empty() -> Self {
        Self { state: BodyState::Over, size: SizeHint::with_exact(0), trailers: None }
    }

    /// Whether all of it is here: then, and only then, a connection that failed unsent costs nothing.
    fn is_whole(&self) -> bool {
        !matches!(self.state, BodyState::Coming(_))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let this = &mut *self;
        let stream = match &mut this.state {
            BodyState::Over => return Poll::Ready(None),
            BodyState::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                this.state = BodyState::Over;
                return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
            }
            BodyState::Coming(stream) => stream,
        };
        let frame = match ready!(stream.poll_part(cx)) {
            Ok(Some(BodyPart::Data(data))) => return Poll::Ready(Some(Ok(Frame::data(data)))),
            Ok(Some(BodyPart::End(trailers))) => {
                if let Some(place) = &this.trailers {
                    *place.lock().expect("trailers lock") = trailer_lines(&trailers);
                }
                None
            }
            Ok(None) => None,
            Err(_) => Some(Err(BrokeOff)),
        };
        this.state = BodyState::Over;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, BodyState::Over)
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

/// The head as the app gets it, byte for byte: the sender's, with `Host` as the route wants it.
pub(crate) fn app_head(head: &RequestHead, route: &Route) -> Vec<u8> {
    let target = route.target.join(head.app_target());
    let mut out = Vec::with_capacity(head.headers.as_bytes().len() + target.len() + 128);
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(&target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let own_host = match &route.host {
        HostField::Preserve => None,
        HostField::Target => Some(route.target.host_field()),
        HostField::Fixed(host) => Some(host.clone()),
    };
    let mut line = |name: &[u8], value: &[u8]| {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    };
    let mut has_host = false;
    for (name, value) in &head.headers {
        if name.eq_ignore_ascii_case(b"host") {
            has_host = true;
            line(name, own_host.as_ref().map_or(value, |h| h.as_bytes()));
        } else {
            line(name, value);
        }
    }
    if !has_host {
        line(b"Host", own_host.unwrap_or_else(|| route.target.host_field()).as_bytes());
    }
    if head.flags.has(RequestFlags::REPLAY) {
        line(b"Relay-Replay", b"1");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// What hyper is given: method and framing, nothing a sender wrote.
fn canonical(head: &RequestHead, body: RequestBody) -> Option<Request<RequestBody>> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(head.method.as_bytes()).ok()?;
    let headers = request.headers_mut();
    match head.body {
        BodyFraming::None => {}
        BodyFraming::Length(n) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(n));
        }
        BodyFraming::Chunked => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    Some(request)
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn failure(kind: FailureKind, sent: Sent, text: &str, timing: Timing) -> Failure {
    let text = text.chars().take(300).collect();
    Failure { kind, sent, text, timing, extensions: Extensions::default() }
}

/// How an exchange ended, for whoever watches.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) result: Result<u16, String>,
    pub(crate) app: Duration,
}

/// One request with what is needed to bring it to the app.
pub(crate) struct Exchange<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) route: &'a Route,
    pub(crate) pool: &'a Pool,
}

pub(super) enum Tried {
    Response(Response<Incoming>, LocalConnection, Timing),
    Failed(Failure),
    /// The sender is gone and wants no answer.
    Cancelled,
}

impl Exchange<'_> {
    /// Brings the request to the app and the answer back.
    pub(crate) async fn run(&self, mut send: SendHalf, recv: FrameRecv) -> Ended {
        let started = Instant::now();
        let is_upgrade = self.head.flags.has(RequestFlags::UPGRADE);
        // After a switch the rest of the stream is the sender's side of the new protocol.
        let framing = if is_upgrade { BodyFraming::Chunked } else { self.head.body };
        let recv = recv.into_body(framing);
        let (body, held) = if is_upgrade && self.head.body != BodyFraming::None {
            // The app would wait for a body that never comes, and take the next request for it.
            (Err(protocol::body::BodyError::Malformed), None)
        } else if is_upgrade {
            (Ok(RequestBody::empty()), Some(recv))
        } else {
            (RequestBody::new(recv, framing), None)
        };
        let tried = match body {
            Ok(body) => self.ask(body, send.given_up()).await,
            Err(error) => Tried::Failed(failure(
                FailureKind::REQUEST_BROKE,
                Sent::No,
                &error.to_string(),
                Timing::default(),
            )),
        };
        match tried {
            Tried::Response(response, connection, timing) => {
                let app = Duration::from_micros(u64::from(timing.app_us));
                let result = self.answer(response, connection, timing, send, held).await;
                Ended { result, app }
            }
            Tried::Failed(failure) => {
                let mut bytes = Vec::new();
                failure.write(&mut bytes);
                if send.write_all(&mut [bytes.into()]).await.is_ok() {
                    send.finish();
                }
                Ended { result: Err(failure.text), app: Duration::ZERO }
            }
            Tried::Cancelled => {
                Ended { result: Err("the sender hung up".to_owned()), app: started.elapsed() }
            }
        }
    }

    /// Asks the app, unless `given_up` comes first: nobody waits for the answer any more.
    pub(super) async fn ask<T>(&self, body: RequestBody, given_up: impl Future<Output = T>) -> Tried {
        let mut given_up = std::pin::pin!(given_up);
        let Some(mut request) = canonical(self.head, body) else {
            let text = "the method is not one";
            return Tried::Failed(failure(FailureKind::REQUEST_BROKE, Sent::No, text, Timing::default()));
        };
        let mut timing = Timing::default();
        let mut reused = self.pool.reusable().await;
        loop {
            let connecting = Instant::now();
            let mut connection = match reused.take() {
                Some(connection) => connection,
                None => match self.pool.fresh().await {
                    Ok(connection) => connection,
                    Err(error) => {
                        return Tried::Failed(failure(
                            FailureKind::APP_REFUSED,
                            Sent::No,
                            &error.text,
                            timing,
                        ));
                    }
                },
            };
            timing.connect_us = micros(connecting.elapsed());
            connection.tap.begin(RawRequest {
                head: app_head(self.head, self.route),
                is_head: self.head.method == "HEAD",
                trailers: request.body().trailers.clone(),
            });
            let asked = Instant::now();
            let answered = {
                let response = connection.sender.try_send_request(request);
                tokio::pin!(response);
                tokio::select! {
                    answered = &mut response => answered,
                    () = tokio::time::sleep(self.route.answer_timeout) => {
                        timing.app_us = micros(asked.elapsed());
                        let text = format!("the app did not answer within {:?}", self.route.answer_timeout);
                        return Tried::Failed(failure(FailureKind::APP_SLOW, Sent::Maybe, &text, timing));
                    }
                    _ = &mut given_up => return Tried::Cancelled,
                }
            };
            timing.app_us = micros(asked.elapsed());
            let mut error = match answered {
                Ok(response) => return Tried::Response(response, connection, timing),
                Err(error) => error,
            };
            // hyper gives back what it did not send. That, and only that, may be sent again.
            if let Some(unsent) = error.take_message()
                && !connection.tap.has_written()
                && unsent.body().is_whole()
            {
                request = unsent;
                continue;
            }
            return Tried::Failed(broken(&connection.tap, error.error(), timing));
        }
    }

    async fn answer(
        &self,
        mut response: Response<Incoming>,
        connection: LocalConnection,
        timing: Timing,
        send: SendHalf,
        held: Option<BodyRecv>,
    ) -> Result<u16, String> {
        let Some(raw) = connection.tap.response() else {
            return Err("the app's answer had no head".to_owned());
        };
        let mut bytes = Vec::with_capacity(raw.headers.as_bytes().len() + 64);
        for interim in connection.tap.interim() {
            response_head(&interim, timing).write(&mut bytes);
        }
        let head = response_head(&raw, timing);
        head.write(&mut bytes);
        if raw.status == 101 {
            return switch(&mut response, bytes.into(), send, held).await;
        }
        let body = response.into_body();
        match forward_body(body, BodySend::new(send, bytes.into(), head.body)).await {
            Ok(()) => {
                if !raw.closes {
                    self.pool.give_back(connection);
                }
                Ok(raw.status)
            }
            Err(why) => Err(why),
        }
    }
}

/// Why there was no answer, as well as it can be told.
fn broken(tap: &TapHandle, error: &hyper::Error, timing: Timing) -> Failure {
    if let Some(gate) = tap.error() {
        return failure(FailureKind::APP_BROKE, Sent::Maybe, &gate.to_string(), timing);
    }
    let is_body = std::error::Error::source(error).is_some_and(|s| s.downcast_ref::<BrokeOff>().is_some());
    if error.is_user() || is_body {
        return failure(FailureKind::REQUEST_BROKE, Sent::Maybe, "the request broke off on its way", timing);
    }
    let sent = if tap.has_written() { Sent::Maybe } else { Sent::No };
    let text = if error.is_incomplete_message() || error.is_closed() {
        "the app closed the connection without an answer".to_owned()
    } else {
        format!("the app's answer broke: {error}")
    };
    failure(FailureKind::APP_BROKE, sent, &text, timing)
}

fn response_head(raw: &RawResponse, timing: Timing) -> ResponseHead {
    let is_switch = raw.status == 101;
    let mut named: Vec<&[u8]> = Vec::new();
    for (name, value) in &raw.headers {
        if name.eq_ignore_ascii_case(b"connection") {
            named.extend(value.split(|b| *b == b',').map(<[u8]>::trim_ascii));
        }
    }
    let mut headers = HeaderBlock::with_capacity(raw.headers.as_bytes().len());
    let goes = |name: &[u8], _: &[u8]| {
        let is_named =
            !protocol::field::is_protected(name) && named.iter().any(|n| name.eq_ignore_ascii_case(n));
        is_switch || !(is_hop_by_hop(name) || is_named)
    };
    // It came out of a block: it fits into one.
    let _ = headers.copy_from(&raw.headers, goes);
    ResponseHead {
        status: raw.status,
        reason: raw.reason.clone(),
        headers,
        body: raw.framing,
        timing,
        extensions: Extensions::default(),
    }
}

/// Sends the answer's body as it comes; a small one together with its head.
async fn forward_body(mut body: Incoming, mut send: BodySend) -> Result<(), String> {
    const BROKE: &str = "the app's answer broke off";
    let mut trailers = HeaderBlock::default();
    let mut gathered = 0;
    loop {
        let next = if gathered < GATHER_BYTES_MAX && !body.is_end_stream() {
            body.frame().now_or_never()
        } else if body.is_end_stream() {
            Some(None)
        } else {
            None
        };
        let next = match next {
            Some(next) => next,
            None => {
                send.flush().await.map_err(|_| "the sender hung up".to_owned())?;
                gathered = 0;
                tokio::select! {
                    next = body.frame() => next,
                    // An answer that pauses for long may have lost its reader meanwhile.
                    _ = send.given_up() => return Err("the sender hung up".to_owned()),
                }
            }
        };
        match next {
            None => break,
            Some(Err(_)) => {
                send.reset(StreamCode::TRUNCATED);
                return Err(BROKE.to_owned());
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    gathered += data.len();
                    send.queue(data).map_err(|_| BROKE.to_owned())?;
                }
                Err(frame) => {
                    for (name, value) in frame.trailers_ref().into_iter().flatten() {
                        let _ = trailers.push(name.as_str().as_bytes(), value.as_bytes());
                    }
                }
            },
        }
    }
    match send.end(&trailers).await {
        Ok(()) => Ok(()),
        Err(ExchangeError::Body(_)) => Err(BROKE.to_owned()),
        Err(_) => Err("the sender hung up".to_owned()),
    }
}

async fn switch(
    response: &mut Response<Incoming>,
    head: Bytes,
    half: SendHalf,
    held: Option<BodyRecv>,
) -> Result<u16, String> {
    let Some(recv) = held else { return Err("the app switched protocols unasked".to_owned()) };
    let mut send = BodySend::new(half, head, BodyFraming::Chunked);
    send.flush().await.map_err(|_| "the sender hung up".to_owned())?;
    match hyper::upgrade::on(response).await {
        Ok(upgraded) => {
            splice(TokioIo::new(upgraded), send, recv).await;
            Ok(101)
        }
        Err(error) => Err(format!("the app did not switch protocols: {error}")),
    }
}
