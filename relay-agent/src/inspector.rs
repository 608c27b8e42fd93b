//! The inspector on the developer's own machine: the server's pages and API, through the tunnel, with the agent's token.
//!
//! Whoever can connect to it may do what the token may, so it listens on loopback only, answers only to this machine's
//! names (a web page may have its own name lead here), and takes no call that changes something from another site's
//! page. The token itself never leaves the agent.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use link::{BodyRecv, Tasks};
use protocol::body::BodyPart;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::agent::{ApiCaller, ApiError};

/// Where it listens unless said otherwise: the port that other tools' inspectors have.
pub const ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4040);

/// Ports tried from there on, for a second agent on the same machine.
const PORTS_TRIED: u16 = 10;

/// Connections at once: a browser opens six for a page.
const CONNECTIONS_MAX: usize = 64;

/// How long a request head may take.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// A pause after `accept` failed, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Largest call: as much as the server takes.
const CALL_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Says that a page of ours asks; another site's page cannot send it.
const OURS: &str = "relay-inspector";

/// Fields of a request that the server is told.
const PASSED_ON: [&str; 4] = ["accept", "content-type", "if-none-match", "sec-fetch-site"];

/// Why there is no inspector.
#[derive(Debug, thiserror::Error)]
pub enum InspectorError {
    /// Anybody who reaches it may do what the token may.
    #[error("the inspector asks for no password, so it listens on this machine only, not on {0}")]
    NotLoopback(IpAddr),
    /// The address cannot be had.
    #[error("the inspector cannot listen on {addr}")]
    Taken {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        error: std::io::Error,
    },
}

/// A running inspector. Ends when dropped.
pub struct Inspector {
    addr: SocketAddr,
    tasks: Tasks,
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.tasks.kill();
    }
}

impl Inspector {
    /// Starts it. With `is_strict` only at `addr`; otherwise at one of the ten ports from there on that is free.
    ///
    /// # Errors
    /// When it may not or cannot listen there.
    pub async fn start(api: ApiCaller, addr: SocketAddr, is_strict: bool) -> Result<Self, InspectorError> {
        if !addr.ip().is_loopback() {
            return Err(InspectorError::NotLoopback(addr.ip()));
        }
        let listener = listen(addr, if is_strict { 1 } else { PORTS_TRIED }).await?;
        let addr = listener.local_addr().map_err(|error| InspectorError::Taken { addr, error })?;
        let tasks = Tasks::default();
        tasks.spawn(run(listener, api, tasks.clone()));
        Ok(Self { addr, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

async fn listen(first: SocketAddr, ports: u16) -> Result<TcpListener, InspectorError> {
    let mut failed = None;
    for addr in (0..ports).filter_map(|at| Some(SocketAddr::new(first.ip(), first.port().checked_add(at)?))) {
        match TcpListener::bind(addr).await {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let error = failed.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into());
    Err(InspectorError::Taken { addr: first, error })
}

async fn run(listener: TcpListener, api: ApiCaller, tasks: Tasks) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let api = api.clone();
        tasks.spawn(async move {
            let service = service_fn(move |request| {
                let api = api.clone();
                async move { Ok::<_, Infallible>(answer(&api, request).await) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE);
            // A browser that leaves is no news.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, ApiError>;

async fn answer(api: &ApiCaller, request: Request<Incoming>) -> Response<Body> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    if let Err((status, code, message)) = check(&request) {
        return refused(status, code, message);
    }
    let mut fields: Vec<(&str, Vec<u8>)> = Vec::new();
    for name in PASSED_ON {
        fields.extend(request.headers().get(name).map(|value| (name, value.as_bytes().to_vec())));
    }
    let method = request.method().as_str().to_owned();
    let Ok(body) = Limited::new(request.into_body(), CALL_BYTES_MAX).collect().await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the call is larger than 2 MiB");
    };
    let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_slice())).collect();
    match api.call(&method, &target, &fields, body.to_bytes().to_vec()).await {
        Ok((head, recv)) => {
            let mut response = Response::new(StreamBody::new(pieces(recv)).boxed_unsync());
            *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
            for (name, value) in &head.headers {
                if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
                {
                    response.headers_mut().append(name, value);
                }
            }
            response
        }
        Err(error) => {
            let message = format!("{error}; the agent connects again by itself");
            refused(StatusCode::BAD_GATEWAY, "not_connected", &message)
        }
    }
}

/// Whether a page of ours may ask this.
fn check<B>(request: &Request<B>) -> Result<(), (StatusCode, &'static str, &'static str)> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_ours =
        is_this_machine(host) && request.uri().authority().is_none_or(|a| is_this_machine(a.as_str()));
    if !is_ours {
        let message = "this is the inspector of an agent: it answers to 127.0.0.1 and localhost only";
        return Err((StatusCode::MISDIRECTED_REQUEST, "host_refused", message));
    }
    let origin = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let is_same_origin = origin.is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    // Browsers say so where they send no `Origin`: images, scripts, what a page opens in secret.
    let site = request.headers().get("sec-fetch-site").and_then(|site| site.to_str().ok());
    let is_same_origin = is_same_origin && site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    if !is_same_origin || !(is_reading || request.headers().contains_key(OURS)) {
        let message = "a call that changes something has to come from the inspector's own page";
        return Err((StatusCode::FORBIDDEN, "cross_site", message));
    }
    let path = request.uri().path();
    // Who is signed in here is the agent.
    let is_known = path == "/"
        || path.starts_with("/inspector/")
        || (path.starts_with("/api/v1/") && path != "/api/v1/session");
    // What would give a stranger on this machine more than it has.
    let is_kept_back = path.starts_with("/api/v1/tokens") || path.ends_with("/secret");
    if is_kept_back {
        let message = "tokens and signing secrets are managed at the server's own inspector";
        return Err((StatusCode::FORBIDDEN, "scope_refused", message));
    }
    if is_known { Ok(()) } else { Err((StatusCode::NOT_FOUND, "route_not_found", "there is no such page")) }
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let name = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let is_loopback = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    !host.contains('@') && (is_loopback || name.eq_ignore_ascii_case("localhost"))
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let text = serde_json::json!({ "error": { "code": code, "message": message } }).to_string();
    let mut response =
        Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The body of an answer, as it comes.
fn pieces(recv: BodyRecv) -> BoxStream<'static, Result<Frame<Bytes>, ApiError>> {
    let parts = stream::try_unfold(recv, |mut recv| async {
        let part = recv.next().await.map_err(|error| ApiError::Broke(error.to_string()))?;
        Ok(part.map(|part| (part, recv)))
    });
    let data = parts.try_filter_map(|part| async {
        Ok(match part {
            BodyPart::Data(data) => Some(Frame::data(data)),
            BodyPart::End(_) => None,
        })
    });
    data.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told, to which method and path, with which fields.
    type Row = (u16, &'static str, &'static str, &'static [(&'static str, &'static str)]);

    fn verdict(method: &str, path: &str, fields: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        check(&request.body(()).expect("a request")).map_or_else(|(status, ..)| status.as_u16(), |()| 200)
    }

    #[test]
    fn only_pages_of_this_inspector_may_ask() {
        const HOST: (&str, &str) = ("Host", "127.0.0.1:4040");
        const OURS: (&str, &str) = ("Relay-Inspector", "1");
        let table: &[Row] = &[
            (200, "GET", "/", &[HOST]),
            (200, "GET", "/", &[("Host", "localhost:4040")]),
            (200, "GET", "/", &[("Host", "[::1]:4040")]),
            (200, "GET", "/inspector/AAAA/start.js", &[HOST]),
            (200, "GET", "/api/v1/events?q=x", &[HOST, ("Origin", "http://127.0.0.1:4040")]),
            (200, "POST", "/api/v1/events/evt_1/replay", &[HOST, OURS, ("Origin", "http://127.0.0.1:4040")]),
            (421, "GET", "/", &[("Host", "evil.example:4040")]),
            (421, "GET", "/", &[("Host", "127.0.0.1.evil.example")]),
            (421, "GET", "/", &[("Host", "10.0.0.1:4040")]),
            (421, "GET", "/", &[]),
            (403, "POST", "/api/v1/events/evt_1/replay", &[HOST]),
            (403, "POST", "/api/v1/events/evt_1/replay", &[HOST, OURS, ("Origin", "http://evil.example")]),
            (403, "GET", "/api/v1/events", &[HOST, ("Origin", "null")]),
            (403, "GET", "/api/v1/events", &[HOST, ("Origin", "http://127.0.0.1:3000")]),
            (403, "GET", "/api/v1/events?q=x", &[HOST, ("Sec-Fetch-Site", "cross-site")]),
            (403, "GET", "/api/v1/events", &[HOST, ("Sec-Fetch-Site", "same-site")]),
            (200, "GET", "/api/v1/events", &[HOST, ("Sec-Fetch-Site", "same-origin")]),
            (200, "GET", "/", &[HOST, ("Sec-Fetch-Site", "none")]),
            (403, "POST", "/api/v1/tokens", &[HOST, OURS]),
            (403, "GET", "/api/v1/sources/a/destinations/b/secret", &[HOST]),
            (404, "GET", "/metrics", &[HOST]),
            (404, "POST", "/api/v1/session", &[HOST, OURS]),
        ];
        for (status, method, path, fields) in table {
            assert_eq!(verdict(method, path, fields), *status, "{method} {path} {fields:?}");
        }
    }
}
