//! Sends one request of a stored delivery straight to a URL, and brings back what came of it.
//!
//! Promises: nothing is sent to an address that is not public unless [`UrlPolicy::allowed`] names it. *Every* address
//! of a name is checked, the connection goes to one of exactly those (the name is not looked up again in between), and
//! its other end is checked once more; all of it anew for every request. Redirects are answers, never followed; proxy
//! settings of the environment are not read; certificates are always verified. Target and fields go out as given:
//! order, letter case, duplicates. Nobody is waited for without a deadline: [`UrlRequest::timeout`] until the answer's
//! head, ten seconds for the rest. Dropping the future closes the connection.
//!
//! Each request has a connection of its own: to know that one which was kept is still good takes a byte, and a byte
//! may make the app act. TLS sessions are resumed, which is the dear part. HTTP is written and read here, not by hyper:
//! stored bodies have a known length, so a request is a head and bytes; the answer's head needs the real bytes anyway,
//! and the workspace's own parsers ([`HeaderBlock::from_lines`], [`protocol::chunks`]) refuse what is ambiguous.
//!
//! Reasons, stable. Not a byte of the request has left ([`UrlOutcome::NotSent`]):
//! - `request_refused`: method, path or query cannot stand on a request line
//! - `url_refused`: plain `http://` where the relay sends over TLS only
//! - `body_unreadable`: the stored body is missing, or not as long as its record says
//! - `name_not_found`: the name has no address, or nobody told it within five seconds
//! - `address_refused`: an address of the host is not public; `port_refused`: another protocol's port
//! - `connect_refused`, `connect_failed`: every address refused / at least one could not be reached
//! - `connect_timeout`: no connection, TLS included, within ten seconds or the timeout
//! - `tls_failed`: no TLS, or a certificate that does not prove the name
//!
//! The app may have acted ([`UrlOutcome::SentNoAnswer`]):
//! - `answer_timeout`: no head in time
//! - `answer_broke`: the connection ended before a head, or what came is no HTTP answer (a 101 is none either)
//! - `request_broke`: the connection, or reading the stored body, ended while the request was on its way
//!
//! An answer whose body breaks off, is malformed, or goes on for too long is an answer: its [`Captured`] says that it
//! is not complete.

mod address;
mod connect;
mod exchange;
mod head;
mod resolve;
mod target;
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use link::Tasks;
use protocol::field::{HeaderBlock, is_token};
use protocol::limits::METHOD_BYTES_MAX;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use tokio::fs::File;
use tokio::time::{Instant, timeout_at};
use url::Host;

pub use address::UrlPolicy;
pub use resolve::{Resolver, system};
pub use target::{TargetUrl, TargetUrlError, URL_BYTES_MAX};

use super::verdict::{BODY_UNREADABLE, REQUEST_REFUSED};
use crate::model::Captured;
use connect::Io;
use exchange::{Body, NoAnswer, Outgoing};
use resolve::Lookups;

/// How long connecting may take: looking up the name, TCP to some address, TLS.
const CONNECT_BUDGET: Duration = Duration::from_secs(10);

/// Longest text of an outcome, in characters. It is for people.
const TEXT_CHARS_MAX: usize = 300;

/// Sends requests to URLs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct UrlSender {
    policy: Arc<UrlPolicy>,
    // Without certificate authorities there is no https, and a reason to give.
    tls: Result<Arc<ClientConfig>, Arc<str>>,
    lookups: Lookups,
}

/// One request.
pub struct UrlRequest {
    /// Where to.
    pub url: TargetUrl,
    /// A token; not `CONNECT` and not `TRACE`.
    pub method: String,
    /// Raw path and query of the event, put behind the URL's path as text ([`TargetUrl::join`]). May be empty.
    pub target_suffix: Vec<u8>,
    /// Fields, as they shall go out. The sender's own are `Host`, `Content-Length`, `Transfer-Encoding`, `Trailer`,
    /// `Expect`, and those of the connection.
    pub headers: HeaderBlock,
    /// The body.
    pub body: UrlBody,
    /// From now until the head of the answer, connecting included.
    pub timeout: Duration,
    /// Bytes kept of the answer's body.
    pub answer_bytes_max: usize,
}

/// A stored body.
pub enum UrlBody {
    /// In memory.
    Bytes(Bytes),
    /// In a file of exactly this many bytes: streamed, never held whole.
    File {
        /// Where it lies.
        path: PathBuf,
        /// How long it is.
        bytes: u64,
    },
}

/// What came of a request, and where the time went, in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlResult {
    /// What came of it.
    pub outcome: UrlOutcome,
    /// Until there was a connection, or none.
    pub connect_us: u64,
    /// From then until the answer's head, or none. 0 when nothing was sent.
    pub app_us: u64,
    /// All of it.
    pub total_us: u64,
}

/// What came of a request. The reasons are listed at the top of this module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlOutcome {
    /// The app answered, whatever it said.
    Answered {
        /// 200 to 599.
        status: u16,
        /// All fields as sent, those of its connection included.
        headers: HeaderBlock,
        /// Its body, without chunks.
        body: Captured,
    },
    /// Not a byte of the request can have reached the app: safe to try again.
    NotSent {
        /// A stable code.
        reason: &'static str,
        /// A sentence for people.
        text: String,
    },
    /// The app may have acted, but no answer came.
    SentNoAnswer {
        /// A stable code.
        reason: &'static str,
        /// A sentence for people.
        text: String,
    },
}

/// Why nothing was sent.
#[derive(Debug)]
struct NotSent {
    reason: &'static str,
    text: String,
}

impl NotSent {
    fn new(reason: &'static str, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

impl UrlSender {
    /// A sender that believes the system's certificate authorities. Names are looked up in `tasks`.
    ///
    /// A system without any is no error as long as nothing is sent to `https`; then it is `tls_failed`.
    ///
    /// # Errors
    /// When TLS cannot be set up at all.
    pub fn new(policy: UrlPolicy, tasks: Tasks) -> io::Result<Self> {
        Self::with_roots(policy, tasks, Vec::new())
    }

    /// [`UrlSender::new`], with further certificate authorities beside the system's.
    ///
    /// # Errors
    /// When one of `roots` is no certificate.
    pub fn with_roots(
        policy: UrlPolicy,
        tasks: Tasks,
        roots: Vec<CertificateDer<'static>>,
    ) -> io::Result<Self> {
        let has_roots = !roots.is_empty();
        let tls = match connect::tls_config(roots) {
            Ok(config) => Ok(Arc::new(config)),
            Err(error) if has_roots => return Err(io::Error::other(error)),
            Err(error) => {
                tracing::warn!(%error, "https destinations cannot be reached: no certificate authorities");
                Err(Arc::from(error.to_string()))
            }
        };
        Ok(Self { policy: Arc::new(policy), tls, lookups: Lookups::new(system(), tasks) })
    }

    /// The same sender with another way to look up names. What it says is checked like what the system says.
    #[must_use]
    pub fn with_resolver(self, resolver: Resolver) -> Self {
        Self { lookups: self.lookups.with_resolver(resolver), ..self }
    }

    /// Why nothing would ever be sent to `url`, as far as the URL itself tells: for the door, where somebody is still
    /// there to hear it. `None` says nothing about what a name will resolve to.
    #[must_use]
    pub fn refuses(&self, url: &TargetUrl) -> Option<String> {
        let literal = match url.host() {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some(IpAddr::from(ip)),
            Host::Ipv6(ip) => Some(IpAddr::from(ip)),
        };
        let checked = self.check_scheme(url).and_then(|()| match literal {
            Some(ip) => connect::check(&self.policy, url.authority(), &[ip], url.port()),
            None => Ok(()),
        });
        checked.err().map(|refused| refused.text)
    }

    /// Sends `request`. Takes at most its timeout and ten seconds. Dropped, it closes the connection.
    pub async fn send(&self, request: UrlRequest) -> UrlResult {
        let begun = Instant::now();
        let head_by = begun + request.timeout;
        let answer_bytes_max = request.answer_bytes_max;
        let connected = self.prepare_and_connect(request, begun).await;
        let connected_at = Instant::now();
        let (outcome, head_at) = match connected {
            Err(NotSent { reason, text }) => {
                (UrlOutcome::NotSent { reason, text: shortened(&text) }, connected_at)
            }
            // From here on the app may have acted: what was handed to the kernel, or to TLS, may have gone out.
            Ok((io, outgoing)) => {
                match Box::pin(exchange::exchange(io, outgoing, head_by, answer_bytes_max)).await {
                    Ok(answer) => {
                        let head = answer.head;
                        let (status, headers) = (head.status, head.headers);
                        (UrlOutcome::Answered { status, headers, body: answer.body }, answer.head_at)
                    }
                    Err(NoAnswer { reason, text }) => {
                        (UrlOutcome::SentNoAnswer { reason, text: shortened(&text) }, Instant::now())
                    }
                }
            }
        };
        UrlResult {
            outcome,
            connect_us: micros(connected_at - begun),
            app_us: micros(head_at - connected_at),
            total_us: micros(begun.elapsed()),
        }
    }

    async fn prepare_and_connect(
        &self,
        request: UrlRequest,
        begun: Instant,
    ) -> Result<(Io, Outgoing), NotSent> {
        let UrlRequest { url, method, target_suffix, headers, body, timeout, .. } = request;
        self.check_scheme(&url)?;
        let is_method = is_token(method.as_bytes()) && method.len() <= METHOD_BYTES_MAX;
        if !is_method || method == "CONNECT" || method == "TRACE" {
            return Err(NotSent::new(REQUEST_REFUSED, "the method is not one that can be delivered"));
        }
        let target = url.join(&target_suffix).ok_or_else(|| {
            NotSent::new(REQUEST_REFUSED, "the path or query of the event cannot stand on a request line")
        })?;
        let (body, body_bytes) = open(body).await?;
        let head = head::write_request(&method, &target, url.authority(), &headers, body_bytes);
        let outgoing = Outgoing { head, body, is_head: method == "HEAD" };
        let budget = timeout.min(CONNECT_BUDGET);
        match timeout_at(begun + budget, Box::pin(self.connect(&url))).await {
            Ok(connected) => connected.map(|io| (io, outgoing)),
            Err(_) => {
                let text = format!("no connection to {} within {budget:?}", url.authority());
                Err(NotSent::new("connect_timeout", text))
            }
        }
    }

    fn check_scheme(&self, url: &TargetUrl) -> Result<(), NotSent> {
        if url.is_https() || self.policy.plain_http {
            return Ok(());
        }
        Err(NotSent::new("url_refused", "this relay sends to https:// only"))
    }

    async fn connect(&self, url: &TargetUrl) -> Result<Io, NotSent> {
        let found = match url.host() {
            Host::Domain(name) => self.lookups.find(name).await?,
            Host::Ipv4(ip) => Arc::from([IpAddr::from(ip)]),
            Host::Ipv6(ip) => Arc::from([IpAddr::from(ip)]),
        };
        connect::check(&self.policy, url.authority(), &found, url.port())?;
        let tls = if url.is_https() {
            let no_tls =
                |why: &str| NotSent::new("tls_failed", format!("no TLS to {}: {why}", url.authority()));
            let config = self.tls.as_ref().map_err(|why| no_tls(why))?;
            let name = url.server_name().ok_or_else(|| no_tls("a certificate cannot be for this name"))?;
            Some((Arc::clone(config), name))
        } else {
            None
        };
        let stream = connect::tcp(&self.policy, &connect::order(&found, url.port())).await?;
        match tls {
            None => Ok(Io::Plain(stream)),
            Some((config, name)) => Ok(Io::Tls(Box::new(connect::tls(config, name, stream).await?))),
        }
    }
}

async fn open(body: UrlBody) -> Result<(Body, u64), NotSent> {
    let (path, bytes) = match body {
        UrlBody::Bytes(bytes) => {
            let length = bytes.len() as u64;
            return Ok((Body::Bytes(bytes), length));
        }
        UrlBody::File { path, bytes } => (path, bytes),
    };
    let unreadable = |why: &dyn std::fmt::Display| {
        NotSent::new(BODY_UNREADABLE, format!("the stored body cannot be read: {why}"))
    };
    let file = File::open(&path).await.map_err(|error| unreadable(&error))?;
    let found = file.metadata().await.map_err(|error| unreadable(&error))?.len();
    if found != bytes {
        return Err(unreadable(&format_args!("it has {found} bytes instead of {bytes}")));
    }
    Ok((Body::File { file, bytes }, bytes))
}

fn shortened(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
