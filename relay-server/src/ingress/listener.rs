//! The public port: accepts connections under caps, finds out what they speak, serves them behind the gate.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::frame_budget::BudgetedIo;
use super::gate::Head;
use super::gated::{GateLimits, Gated, GatedIo, Gatekeeper};
use super::h2;
use super::h2_watch::{H2Watch, WatchedBody};
use super::reply::{GatedBody, Outgoing};
use super::request_body::IncomingBody;
use super::route::{Peer, Router, order};
use crate::delivery::answer::AnswerBody;
use crate::delivery::live::{Live, Reply, Switched};
use crate::delivery::upgrade;
use crate::model::Source;
use crate::refusal::Refusal;
use crate::smee::Smee;
use crate::store::Store;
use futures_util::StreamExt as _;
use link::Tasks;
use protocol::id::EventId;

/// What every HTTP/2 connection starts with; three bytes tell it from any HTTP/1 method in use.
const H2_PREFACE_START: &[u8] = b"PRI";

/// A pause after `accept` failed (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Streams one HTTP/2 connection may have open.
const H2_STREAMS_MAX: u32 = 128;

/// HTTP/2 receive windows, per stream and per connection.
const H2_STREAM_WINDOW: u32 = 256 * 1024;
const H2_CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The public side of the house.
pub struct Ingress {
    /// Finds sources.
    pub router: Router,
    /// Makes event ids.
    pub store: Store,
    /// Brings events to their agents.
    pub live: Live,
    /// Who listens as to smee.io.
    pub smee: Smee,
    /// Caps and timers.
    pub limits: GateLimits,
    /// Most connections at once, in all.
    pub connections_max: usize,
    /// Most connections at once from one address; loopback is exempt.
    pub connections_per_ip_max: usize,
    /// Where connections run.
    pub tasks: Tasks,
}

/// Connections per address.
#[derive(Debug, Clone, Default)]
struct PerIp(Arc<Mutex<HashMap<IpAddr, usize>>>);

struct PerIpPlace {
    per_ip: PerIp,
    ip: IpAddr,
}

impl PerIp {
    fn enter(&self, ip: IpAddr, max: usize) -> Option<PerIpPlace> {
        let mut counts = self.0.lock().expect("connection count lock");
        let count = counts.entry(ip).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(PerIpPlace { per_ip: self.clone(), ip })
    }
}

impl Drop for PerIpPlace {
    fn drop(&mut self) {
        let mut counts = self.per_ip.0.lock().expect("connection count lock");
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

/// What one sender has: an address of IPv4, a network of 64 bits of IPv6.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

impl Ingress {
    /// Serves the port until the drain begins.
    pub async fn run(self: Arc<Self>, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let places = Arc::new(Semaphore::new(self.connections_max));
        let per_ip = PerIp::default();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.tasks.draining() => return,
            };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // At the cap a connection is closed at once: the sender retries, and nobody waits in a hidden queue.
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let ip = remote.ip().to_canonical();
            let max = if ip.is_loopback() { usize::MAX } else { self.connections_per_ip_max };
            let Some(per_ip_place) = per_ip.enter(network_of(ip), max) else { continue };
            let this = Arc::clone(&self);
            let tls = tls.clone();
            // Boxed: the future of a connection is large, and would be copied several times on its way into the runtime.
            self.tasks.spawn(Box::pin(async move {
                if let Err(error) = this.serve(stream, remote, tls).await {
                    tracing::debug!(%error, %remote, "connection ended");
                }
                drop((place, per_ip_place));
            }));
        }
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        remote: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let peer = Peer { remote: remote.ip(), is_tls: tls.is_some() };
        let Some(tls) = tls else { return self.sniff(stream, peer).await };
        let stream = tokio::time::timeout(self.limits.first_byte, tls.accept(stream))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            return self.serve_h2(stream, BytesMut::new(), peer).await;
        }
        self.serve_h1(stream, BytesMut::new(), peer).await
    }

    /// Without TLS the first bytes tell the protocol.
    async fn sniff(self: Arc<Self>, mut stream: TcpStream, peer: Peer) -> io::Result<()> {
        let mut inbox = BytesMut::with_capacity(8 * 1024);
        let first = async {
            while inbox.len() < H2_PREFACE_START.len() && H2_PREFACE_START.starts_with(&inbox) {
                if stream.read_buf(&mut inbox).await? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                }
            }
            Ok(())
        };
        tokio::time::timeout(self.limits.first_byte, first)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if inbox.starts_with(H2_PREFACE_START) {
            return self.serve_h2(stream, inbox, peer).await;
        }
        self.serve_h1(stream, inbox, peer).await
    }

    async fn serve_h1<IO>(self: Arc<Self>, io: IO, inbox: BytesMut, peer: Peer) -> io::Result<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (gated, keeper) = GatedIo::new(io, inbox, self.limits);
        let tasks = self.tasks.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (this, keeper) = (Arc::clone(&self), keeper.clone());
            async move { Ok::<_, Infallible>(this.answer_h1(request, &keeper, peer).await) }
        });
        let connection = http1::Builder::new()
            .auto_date_header(false)
            .half_close(false)
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(gated), service)
            .with_upgrades();
        tokio::pin!(connection);
        tokio::select! {
            done = connection.as_mut() => return done.map_err(io::Error::other),
            () = tasks.draining() => connection.as_mut().graceful_shutdown(),
        }
        connection.await.map_err(io::Error::other)
    }

    async fn serve_h2<IO>(self: Arc<Self>, io: IO, inbox: BytesMut, peer: Peer) -> io::Result<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let tasks = self.tasks.clone();
        let limits = self.limits;
        let watch = H2Watch::start(limits);
        let asking = watch.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (this, watch) = (Arc::clone(&self), asking.clone());
            async move { Ok::<_, Infallible>(this.answer_h2(request, peer, &watch).await) }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .max_concurrent_streams(H2_STREAMS_MAX)
            .initial_stream_window_size(H2_STREAM_WINDOW)
            .initial_connection_window_size(H2_CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(limits.head.header_bytes_max).unwrap_or(u32::MAX))
            .max_local_error_reset_streams(64)
            .keep_alive_interval(Some(limits.keep_alive.min(Duration::from_secs(20))))
            .keep_alive_timeout(Duration::from_secs(10))
            .serve_connection(TokioIo::new(BudgetedIo::new(io, inbox)), service);
        tokio::pin!(connection);
        let is_over = watch.is_over();
        tokio::pin!(is_over);
        tokio::select! {
            done = connection.as_mut() => return done.map_err(io::Error::other),
            () = &mut is_over => return Err(io::ErrorKind::TimedOut.into()),
            () = tasks.draining() => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            done = connection.as_mut() => done.map_err(io::Error::other),
            () = &mut is_over => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn answer_h1(
        &self,
        mut request: Request<Incoming>,
        keeper: &Gatekeeper,
        peer: Peer,
    ) -> Response<GatedBody> {
        let received = Instant::now();
        let head = match keeper.next_head() {
            Gated::Head(head) => head,
            Gated::Refused(refusal) => {
                return self.refused(refusal, None, &[]).into_h1(keeper);
            }
        };
        let may_switch = head.upgrade.is_some();
        let on_upgrade = may_switch.then(|| hyper::upgrade::on(&mut request));
        let body_of = |bytes_max| IncomingBody::gated(request.into_body(), bytes_max, keeper.clone());
        let (outgoing, switched) = self.answer(&head, peer, received, body_of).await;
        if may_switch {
            keeper.switched(switched.is_some());
        }
        if let (Some(switched), Some(on_upgrade)) = (switched, on_upgrade) {
            self.tasks.spawn(upgrade::carry(on_upgrade, *switched));
        }
        outgoing.into_h1(keeper)
    }

    async fn answer_h2(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        watch: &H2Watch,
    ) -> Response<WatchedBody> {
        let place = watch.enter();
        let received = Instant::now();
        let (parts, body) = request.into_parts();
        let has_body = !http_body::Body::is_end_stream(&body);
        let body = IncomingBody::of_stream(body, self.limits, self.tasks.clone());
        let head = match h2::head_of(&parts, has_body, &self.limits.head) {
            Ok(head) => head,
            Err(refusal) => {
                let outgoing = self.refused(refusal, None, &[]);
                return outgoing.into_h2(place);
            }
        };
        let body_of = |bytes_max| body.limited(bytes_max);
        let (outgoing, _) = self.answer(&head, peer, received, body_of).await;
        outgoing.into_h2(place)
    }

    /// The relay's own no, counted. `methods` are those the source takes.
    fn refused(&self, refusal: Refusal, event: Option<EventId>, methods: &[String]) -> Outgoing {
        self.live.recorder.metrics.refused(refusal.code());
        let outgoing = Outgoing::of_relay(refusal, event);
        if refusal == Refusal::MethodRefused { outgoing.allowing(methods) } else { outgoing }
    }

    /// The event stream of a source, for clients of smee.io.
    fn stream(&self, source: &Source, peer: Peer) -> Outgoing {
        let (store, slug, id) = (self.store.clone(), source.slug.clone(), source.id);
        let is_offered = move || {
            let now = store.source(slug.as_str()).filter(|now| now.id == id && now.rules.smee);
            now.is_some_and(|now| Router::check_network(&now, peer).is_ok())
        };
        match self.smee.listen(source.id, is_offered) {
            Some(stream) => {
                let tasks = self.tasks.clone();
                let until_the_drain = stream.take_until(Box::pin(async move { tasks.draining().await }));
                Outgoing::of_stream(AnswerBody::told(until_the_drain))
            }
            None => Outgoing::of_relay(Refusal::RateLimited, None),
        }
    }

    async fn answer(
        &self,
        head: &Head,
        peer: Peer,
        received: Instant,
        body_of: impl FnOnce(u64) -> IncomingBody,
    ) -> (Outgoing, Option<Box<Switched>>) {
        if head.target == b"*" {
            return (Outgoing::no_content(), None);
        }
        let refused = |refusal, event| (self.refused(refusal, event, &[]), None);
        if self.tasks.is_draining() {
            return refused(Refusal::Draining, None);
        }
        let (source, mount) = match self.router.find(head) {
            Ok(found) => found,
            Err(refusal) => return refused(refusal, None),
        };
        if Router::wants_stream(&source, head, mount) {
            return match Router::check_network(&source, peer) {
                Ok(()) => (self.stream(&source, peer), None),
                Err(refusal) => refused(refusal, None),
            };
        }
        let body_bytes_max = source.rules.body_bytes_max.unwrap_or(u64::MAX).min(self.limits.body_bytes_max);
        let flight = match self.router.check(&source, head, peer, body_bytes_max) {
            Ok(flight) => flight,
            Err(refusal) => return (self.refused(refusal, None, &source.rules.methods), None),
        };
        let event = self.store.next_event_id();
        let order = match order(head, source, mount, peer, event, received) {
            Ok(order) => order,
            Err(refusal) => return refused(refusal, None),
        };
        let reply = self.live.deliver(order, flight, body_of(body_bytes_max)).await;
        match reply {
            Reply::Answer(response, body) => (Outgoing::of_app(&response, body, event), None),
            Reply::Switched(response, switched) => {
                let body = AnswerBody::own(bytes::Bytes::new());
                (Outgoing::of_app(&response, body, event), Some(switched))
            }
            Reply::Accepted(source, event, receipt) => (Outgoing::of_receipt(&source, event, receipt), None),
            Reply::Copy(response, body, first) => {
                (Outgoing::of_app(&response, body, event).a_copy_of(first), None)
            }
            Reply::Refused(refusal) => (Outgoing::of_relay(refusal, Some(event)), None),
            // Nobody reads this; hyper wants an answer all the same.
            Reply::Gone => {
                (Outgoing::of_relay(Refusal::BadRequest("the request broke off"), Some(event)), None)
            }
        }
    }
}
