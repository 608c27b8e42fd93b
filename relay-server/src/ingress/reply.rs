//! Turns what delivery says into an HTTP response: for hyper, and letter for letter for HTTP/1.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::ext::ReasonPhrase;
use protocol::field::{BodyFraming, HeaderBlock, is_hop_by_hop, is_ours, trailer_lines};
use protocol::head::ResponseHead;
use protocol::id::EventId;

use super::gated::{Gatekeeper, RawResponse};
use super::h2_watch::{Place, WatchedBody};

use crate::delivery::answer::{AnswerBody, BrokeOff};
use crate::delivery::body::Piece;
use crate::delivery::intake::Receipt;
use crate::model::{AcceptedReply, Source};
use crate::refusal::Refusal;

/// Where error codes are explained.
const DOC: &str = "docs/errors.md";

/// Methods any source takes by default: all but CONNECT and TRACE, which no relay should pass on.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// A response of either kind, before it is written for a protocol version.
pub struct Outgoing {
    /// Status.
    pub status: u16,
    /// Reason phrase, for HTTP/1.
    pub reason: Vec<u8>,
    /// Fields.
    pub headers: HeaderBlock,
    /// Framing of the body as the app declared it.
    pub framing: BodyFraming,
    /// The body.
    pub body: AnswerBody,
    /// Close the connection afterwards.
    pub closes: bool,
}

fn push(block: &mut HeaderBlock, name: &str, value: &str) {
    // Our own fields are short and few; an app that filled the block to its cap loses them, not its answer.
    let _ = block.push(name.as_bytes(), value.as_bytes());
}

fn reason_of(status: u16) -> Vec<u8> {
    let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
    reason.unwrap_or_default().as_bytes().to_vec()
}

impl Outgoing {
    /// The app's answer, less what concerns its own connection or pretends to be ours.
    #[must_use]
    pub fn of_app(head: &ResponseHead, body: AnswerBody, event: EventId) -> Self {
        let mut headers = HeaderBlock::with_capacity(head.headers.as_bytes().len() + 64);
        let is_switch = head.status == 101;
        let goes = |name: &[u8], _: &[u8]| {
            !((is_hop_by_hop(name) && !is_switch)
                || is_ours(name)
                || name.eq_ignore_ascii_case(b"transfer-encoding"))
        };
        // It came out of a block: it fits into one.
        let _ = headers.copy_from(&head.headers, goes);
        push(&mut headers, "Relay-Event-Id", &event.text());
        Self {
            status: head.status,
            reason: head.reason.clone(),
            headers,
            framing: head.body,
            body,
            closes: false,
        }
    }

    /// A stream of Server-Sent Events.
    #[must_use]
    pub fn of_stream(body: AnswerBody) -> Self {
        let mut headers = HeaderBlock::with_capacity(256);
        push(&mut headers, "Content-Type", "text/event-stream");
        push(&mut headers, "Cache-Control", "no-cache");
        push(&mut headers, "X-Accel-Buffering", "no");
        Self { status: 200, reason: Vec::new(), headers, framing: BodyFraming::Chunked, body, closes: false }
    }

    /// The relay's own answer.
    #[must_use]
    pub fn of_relay(refusal: Refusal, event: Option<EventId>) -> Self {
        let error = serde_json::json!({
            "error": { "code": refusal.code(), "message": refusal.to_string(), "doc": DOC }
        });
        let text = error.to_string();
        let mut headers = HeaderBlock::with_capacity(256);
        push(&mut headers, "Content-Type", "application/json");
        push(&mut headers, "Content-Length", &text.len().to_string());
        push(&mut headers, "Relay-Error", refusal.code());
        if let Some(wait) = refusal.retry_after() {
            push(&mut headers, "Retry-After", &wait.as_secs().to_string());
        }
        if let Some(event) = event {
            push(&mut headers, "Relay-Event-Id", &event.text());
        }
        let status = refusal.status();
        Self {
            status,
            reason: reason_of(status),
            headers,
            framing: BodyFraming::Length(text.len() as u64),
            body: AnswerBody::own(Bytes::from(text)),
            closes: refusal.closes(),
        }
    }

    /// The relay's receipt for an event it keeps, in the source's own words where it has some.
    #[must_use]
    pub fn of_receipt(source: &Source, event: EventId, receipt: Receipt) -> Self {
        let AcceptedReply { status, headers: own, body } = &source.rules.accepted;
        let text = match body {
            Some(text) => text.clone(),
            None => serde_json::json!({ "accepted": true, "event": &*event.text() }).to_string(),
        };
        let mut headers = HeaderBlock::with_capacity(256);
        let says_type = own.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if body.is_none() && !says_type {
            push(&mut headers, "Content-Type", "application/json");
        }
        own.iter().for_each(|(name, value)| push(&mut headers, name, value));
        let has_body = !matches!(status, 204 | 304);
        let text = if has_body { text } else { String::new() };
        if has_body {
            push(&mut headers, "Content-Length", &text.len().to_string());
        }
        push(&mut headers, "Relay-Event-Id", &event.text());
        let outgoing = Self {
            status: *status,
            reason: reason_of(*status),
            headers,
            framing: if has_body { BodyFraming::Length(text.len() as u64) } else { BodyFraming::None },
            body: AnswerBody::own(Bytes::from(text)),
            closes: false,
        };
        match receipt.duplicate_of {
            Some(first) => outgoing.a_copy_of(first),
            None => outgoing,
        }
    }

    /// Says that the answer was another event's first.
    #[must_use]
    pub fn a_copy_of(mut self, first: EventId) -> Self {
        push(&mut self.headers, "Relay-Duplicate-Of", &first.text());
        self
    }

    /// Says which methods are taken (RFC 9110 section 15.5.6 asks for it with 405); `methods` empty means any.
    #[must_use]
    pub fn allowing(mut self, methods: &[String]) -> Self {
        let listed = if methods.is_empty() { METHODS.to_owned() } else { methods.join(", ") };
        push(&mut self.headers, "Allow", &listed);
        self
    }

    /// 204 to `OPTIONS *`, which is about the server and no source.
    #[must_use]
    pub fn no_content() -> Self {
        Self {
            status: 204,
            reason: reason_of(204),
            headers: HeaderBlock::default(),
            framing: BodyFraming::None,
            body: AnswerBody::own(Bytes::new()),
            closes: false,
        }
    }

    /// For an HTTP/1 connection: hyper frames the message, the gate writes the head as it is here.
    #[must_use]
    pub fn into_h1(self, keeper: &Gatekeeper) -> Response<GatedBody> {
        let marker = format!("R{:016x}", next_marker());
        let mut lines = Vec::with_capacity(self.headers.as_bytes().len() + 64);
        lines.extend_from_slice(format!(" {} ", self.status).as_bytes());
        lines.extend_from_slice(&self.reason);
        lines.extend_from_slice(b"\r\n");
        let mut said = Vec::with_capacity(3);
        let mut framing = HeaderMap::new();
        for (name, value) in &self.headers {
            lines.extend_from_slice(name);
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value);
            lines.extend_from_slice(b"\r\n");
            if name.eq_ignore_ascii_case(b"content-length") {
                said.push("content-length");
                // Also where there is no body: hyper then leaves the length of a HEAD answer alone.
                insert(&mut framing, &CONTENT_LENGTH, value);
            } else if name.eq_ignore_ascii_case(b"date") {
                said.push("date");
            } else if self.status == 101 && name.eq_ignore_ascii_case(b"connection") {
                said.push("connection");
            } else if self.status == 101 && name.eq_ignore_ascii_case(b"upgrade") {
                said.push("upgrade");
            }
        }
        if matches!(self.framing, BodyFraming::None)
            && self.status >= 200
            && !said.contains(&"content-length")
        {
            // HEAD, 204 and 304 say no length unless the app did.
            said.push("content-length");
        }
        if self.closes {
            framing.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        let mut response = Response::new(GatedBody { inner: self.body, keeper: keeper.clone() });
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        *response.headers_mut() = framing;
        if let Ok(phrase) = ReasonPhrase::try_from(marker.as_bytes()) {
            response.extensions_mut().insert(phrase);
        }
        keeper.respond(RawResponse { marker, lines, said, trailers: Vec::new() });
        response
    }

    /// For an HTTP/2 stream: names are lower case, and nothing speaks of connections.
    #[must_use]
    pub fn into_h2(self, place: Place) -> Response<WatchedBody> {
        let mut map = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            if is_hop_by_hop(name) {
                continue;
            }
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                map.append(name, value);
            }
        }
        let mut response = Response::new(WatchedBody::new(self.body, place));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        *response.headers_mut() = map;
        response
    }
}

fn insert(map: &mut HeaderMap, name: &HeaderName, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        map.insert(name.clone(), value);
    }
}

/// Marks a response head so that the gate finds it in hyper's output. A counter mixed with a per-process secret: an
/// answer's body cannot hold the next one by design.
fn next_marker() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static SECRET: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let secret = *SECRET.get_or_init(|| u64::from_le_bytes(crate::entropy::random()));
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    // SplitMix64's finaliser: bijective, so markers never repeat.
    let mut mixed = count.wrapping_add(secret);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A response body that tells the gate when it is over.
pub struct GatedBody {
    inner: AnswerBody,
    keeper: Gatekeeper,
}

impl Body for GatedBody {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let piece = match ready!(self.inner.poll_piece(cx)) {
            Some(Ok(Piece::Trailers(trailers))) => {
                // hyper writes trailers only where a field announced them; the gate puts them in.
                self.keeper.trail(trailer_lines(&trailers));
                return Poll::Ready(None);
            }
            Some(Ok(Piece::Data(data))) => Some(Ok(Frame::data(data))),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        };
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for GatedBody {
    fn drop(&mut self) {
        self.keeper.exchange_over();
    }
}
