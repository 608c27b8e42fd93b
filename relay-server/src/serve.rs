//! The server as a whole: every part started in order, and ended in the reverse.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use link::{EndpointSecret, Listener, ListenerSettings, Pin, ServerIdentity, Tasks};
use protocol::code::CloseCode;
use protocol::control::{Control, TokenText};
use protocol::id::Slug;
use serde::{Deserialize, Serialize};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpListener;

use crate::activity::Activity;
use crate::api::{self, AgentView, ApiState, Tellers};
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::dispatcher::{Dispatcher, Parts};
use crate::delivery::intake::Intake;
use crate::delivery::live::Live;
use crate::delivery::recording::Recorder;
use crate::delivery::turns::Turns;
use crate::delivery::under_way::UnderWay;
use crate::delivery::url::UrlSender;
use crate::ingress::gate::HeadLimits;
use crate::ingress::gated::GateLimits;
use crate::ingress::listener::Ingress;
use crate::ingress::route::Router;
use crate::ingress::tls;
use crate::jq::{Jq, JqSettings};
use crate::metrics::Metrics;
use crate::pulse::Pulse;
use crate::sender::{Senders, Vault};
use crate::signing::SigningKey;
use crate::smee::Smee;
use crate::store::{Cursor, DirectoryLock, OpenError, Retention, Store, StoreError};
use crate::tunnel::calls::Calls;
use crate::tunnel::listener::Tunnel;
use crate::tunnel::registry::Registry;
use crate::tunnel::session::Session;
use crate::{admin, entropy};

/// How often revocations made by another process are looked for: sessions end within a second.
const REVOCATIONS_EVERY: Duration = Duration::from_millis(500);

/// How often old events are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Agents told to come back after a restart are spread over this long, in milliseconds.
const RECONNECT_SPREAD_MS: u32 = 500;

/// How long the rest of the house may take once the public side is done.
const HOUSE_DEADLINE: Duration = Duration::from_secs(3);

/// The file in which a running server says where it listens, for commands run beside it.
const RUN_FILE: &str = "run.json";

/// Connections waiting to be accepted.
const BACKLOG: u32 = 4096;

/// A server that did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What was stored could not be taken over.
    #[error("what waits to be delivered could not be looked up: {0}")]
    Backlog(#[from] StoreError),
    /// A port.
    #[error("cannot listen on {addr} ({what})")]
    Listen {
        /// Which listener.
        what: &'static str,
        /// Where.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A key, certificate or other file.
    #[error("{what} cannot be used")]
    File {
        /// What it is, and where.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

/// Where a server is to be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Base of public URLs, without a slash at the end.
    pub public_url: String,
    /// Where the public listener is bound.
    pub public: SocketAddr,
    /// Where the tunnel listener is bound.
    pub tunnel: SocketAddr,
    /// Where the admin listener is bound.
    pub admin: SocketAddr,
    /// `HOST:PORT` that agents dial.
    pub announce: String,
    /// What agents pin; `None` where a public authority vouches.
    pub pin: Option<String>,
}

impl Addresses {
    /// The line an agent logs in with.
    #[must_use]
    pub fn join_line(&self, token: &TokenText) -> String {
        let pin = self.pin.as_ref().map(|pin| format!("#{pin}")).unwrap_or_default();
        format!("relay://{}@{}{pin}", token.0, self.announce)
    }

    /// What a running (or the last) server wrote into its data directory.
    ///
    /// # Errors
    /// When there is no such file or it cannot be read.
    pub fn of_data_dir(data: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(data.join(RUN_FILE))?;
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    fn keep(&self, data: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        let partial = data.join("run.json.partial");
        std::fs::write(&partial, text)?;
        std::fs::rename(partial, data.join(RUN_FILE))
    }
}

/// A running server.
pub struct Server {
    addresses: Addresses,
    store: Store,
    registry: Registry,
    metrics: Arc<Metrics>,
    listener: Arc<Listener>,
    // Public connections and what they wait for; everything else.
    public: Tasks,
    house: Tasks,
    is_ready: Arc<AtomicBool>,
    drain: Duration,
    // Given back last, once nothing writes there any more.
    lock: DirectoryLock,
}

/// How long a TCP connection may be silent before the kernel asks whether the other side is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

async fn listen(what: &'static str, addr: SocketAddr) -> Result<TcpListener, StartError> {
    let bind = || {
        let socket =
            if addr.is_ipv6() { tokio::net::TcpSocket::new_v6()? } else { tokio::net::TcpSocket::new_v4()? };
        socket.set_reuseaddr(true)?;
        // What the listener has, each connection gets. It matters where nobody writes: on a switched protocol.
        SockRef::from(&socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER))?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)
    };
    bind().map_err(|source| StartError::Listen { what, addr, source })
}

/// The address as somebody on this machine would type it.
fn reachable(addr: SocketAddr) -> String {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => format!("localhost:{}", addr.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => format!("localhost:{}", addr.port()),
        _ => addr.to_string(),
    }
}

fn gate_limits(config: &Config) -> GateLimits {
    let limits = &config.limits;
    let ms = Duration::from_millis;
    GateLimits {
        head: HeadLimits {
            header_bytes_max: limits.header_bytes_max,
            header_fields_max: limits.header_fields_max,
            target_bytes_max: limits.target_bytes_max,
        },
        body_bytes_max: limits.body_bytes_max,
        first_byte: ms(limits.first_byte_ms),
        head_time: ms(limits.head_ms),
        body_idle: ms(limits.body_idle_ms),
        body_rate_min: limits.body_rate_min,
        body_total: ms(limits.body_total_ms),
        keep_alive: ms(limits.keep_alive_ms),
        write_idle: ms(limits.body_idle_ms),
    }
}

/// Why a start fails on a file, or on something like one that has no path.
fn failed(what: &str, path: Option<&Path>) -> impl FnOnce(io::Error) -> StartError {
    let what = path.map_or_else(|| what.to_owned(), |path| format!("{what} ({})", path.display()));
    move |source| StartError::File { what, source }
}

fn tunnel_identity(config: &Config) -> Result<(ServerIdentity, Option<Pin>), StartError> {
    match &config.tunnel.tls {
        Some(files) => {
            let identity = ServerIdentity::from_files(&files.cert, &files.key);
            Ok((identity.map_err(failed("the tunnel's certificate", Some(&files.cert)))?, None))
        }
        None => {
            let identity = ServerIdentity::load_or_make(&config.data);
            let identity = identity.map_err(failed("the tunnel's key", Some(&config.data)))?;
            let pin = identity.pin();
            Ok((identity, Some(pin)))
        }
    }
}

fn agent_view(session: &Arc<Session>) -> AgentView {
    AgentView {
        agent: session.agent.to_string(),
        instance: session.instance.to_string(),
        session: session.id.to_string(),
        host: session.host.clone(),
        program: session.program.clone(),
        remote: session.remote().to_string(),
        connected_ms: session.connected_ms,
        rtt_us: u64::try_from(session.link().rtt().as_micros()).unwrap_or(u64::MAX),
        in_flight: session.in_flight(),
        transport: "quic",
        serves: session.serves().iter().map(|(_, slug, name)| format!("{slug}/{name}")).collect(),
    }
}

impl Server {
    /// Starts everything; when it returns, every listener takes connections.
    ///
    /// # Errors
    /// With what to look at; nothing is left running.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let lock = DirectoryLock::take(&config.data)?;
        let store = Store::open(&config.data, clock.clone()).await?;
        let swept = store.sweep_bodies().await;
        swept.map_err(failed("the files of bodies", Some(&config.data.join("bodies"))))?;
        let metrics = Arc::new(Metrics::default());
        let activity = Activity::default();
        let registry = Registry::default();
        let (public, house) = (Tasks::default(), Tasks::default());
        let is_ready = Arc::new(AtomicBool::new(false));

        let public_listener = listen("public", config.public.addr).await?;
        let admin_listener = listen("admin", config.admin.addr).await?;
        let tls = config.public.tls.clone().map(|files| {
            let cert = files.cert.clone();
            tls::acceptor(files, &public).map_err(failed("the public certificate", Some(&cert)))
        });
        let tls = tls.transpose()?;
        let (identity, pin) = tunnel_identity(&config)?;
        let secret_file = config.data.join("tunnel-secret");
        let secret = EndpointSecret::load_or_keep(&secret_file, entropy::random());
        let secret = secret.map_err(failed("the tunnel's secret", Some(&secret_file)))?;
        let settings = ListenerSettings {
            addr: config.tunnel.addr,
            unauthenticated_max: config.limits.unauthenticated_max,
        };
        let listener = Listener::bind(&settings, identity, &secret).map_err(|source| StartError::Listen {
            what: "tunnel",
            addr: config.tunnel.addr,
            source,
        })?;
        if let Some((granted, wanted)) = listener.short_buffer {
            tracing::warn!(
                granted.bytes = granted,
                wanted.bytes = wanted,
                "the kernel grants small UDP buffers; bursts will lose packets; raise net.core.rmem_max and wmem_max"
            );
        }
        let listener = Arc::new(listener);

        let address_of = |bound: io::Result<SocketAddr>| bound.map_err(failed("an address", None));
        let tunnel_addr = address_of(listener.local_addr())?;
        let public_addr = address_of(public_listener.local_addr())?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let own_url = || format!("{scheme}://{}", reachable(public_addr));
        let addresses = Addresses {
            public_url: config.public.url.clone().unwrap_or_else(own_url).trim_end_matches('/').to_owned(),
            public: public_addr,
            tunnel: tunnel_addr,
            admin: address_of(admin_listener.local_addr())?,
            announce: config.tunnel.announce.clone().unwrap_or_else(|| reachable(tunnel_addr)),
            pin: pin.map(|pin| pin.to_string()),
        };
        match addresses.keep(&config.data) {
            // Commands beside it may then look for it where it was before; everything else goes on.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                tracing::warn!(%error, "the disk is full: where this server listens could not be written down");
            }
            kept => kept.map_err(failed("where this server listens", Some(&config.data.join(RUN_FILE))))?,
        }

        let base = addresses.public_url.clone();
        let public_url: Arc<dyn Fn(&Slug) -> String + Send + Sync> =
            Arc::new(move |slug| format!("{base}/h/{slug}"));
        let signing_file = config.data.join("signing-secret");
        let signing = SigningKey::load_or_keep(&signing_file, entropy::random());
        let signing = signing.map_err(failed("the secret of signatures", Some(&signing_file)))?;
        let program = config.jq.program.clone().map_or_else(std::env::current_exe, Ok);
        let program = program.map_err(failed("the path of this program", None))?;
        let jq = Jq::new(JqSettings::new(program));
        let urls = UrlSender::new(config.urls.clone(), house.clone());
        let urls = urls.map_err(failed("what URLs are sent with", None))?;
        let vault_file = config.secrets.key_file.clone().unwrap_or_else(|| config.data.join("secrets-key"));
        let vault = match &config.secrets.key {
            Some(key) => Vault::new(&EndpointSecret::new(key.0)),
            None => Vault::load_or_keep(&vault_file, entropy::random())
                .map_err(failed("the key of sources' secrets", Some(&vault_file)))?,
        };
        let senders = Senders::new(vault, &addresses.public_url, urls.clone(), clock.clone());
        let dispatcher = Dispatcher::new(Parts {
            store: store.clone(),
            registry: registry.clone(),
            urls: urls.clone(),
            jq: jq.clone(),
            signing: signing.clone(),
            metrics: Arc::clone(&metrics),
            activity: activity.clone(),
            senders: senders.clone(),
            clock: clock.clone(),
            tasks: public.clone(),
        });
        let pulse = Pulse::default();
        let api_state = ApiState {
            pulse: pulse.clone(),
            overviews: Default::default(),
            exporting: Default::default(),
            searching: Default::default(),
            store: store.clone(),
            metrics: Arc::clone(&metrics),
            activity: activity.clone(),
            tellers: Tellers::new(house.clone()),
            clock: clock.clone(),
            jq,
            urls,
            signing: signing.clone(),
            sessions: Default::default(),
            senders: senders.clone(),
            changing: Arc::default(),
            agents: {
                let registry = registry.clone();
                Arc::new(move |project| registry.sessions(project).iter().map(agent_view).collect())
            },
            revoked: {
                let registry = registry.clone();
                Arc::new(move |token| end_sessions(&registry, token))
            },
            released: {
                let (registry, dispatcher) = (registry.clone(), dispatcher.clone());
                Arc::new(move |destination| {
                    if registry.release_backlog(destination, None) {
                        dispatcher.seated(destination);
                    }
                })
            },
            public_url: Arc::clone(&public_url),
            ready: {
                let is_ready = Arc::clone(&is_ready);
                Arc::new(move || is_ready.load(Ordering::Relaxed))
            },
        };
        let router = api::router(api_state);

        let tunnel = Tunnel {
            store: store.clone(),
            registry: registry.clone(),
            dispatcher: dispatcher.clone(),
            metrics: Arc::clone(&metrics),
            clock: clock.clone(),
            tasks: house.clone(),
            calls: Calls::new(router.clone()),
            public_url,
            in_flight_per_agent: config.limits.in_flight_per_agent,
            sessions_max: config.limits.sessions_max,
            body_bytes_max: config.limits.body_bytes_max,
        };
        let smee = Smee::default();
        let recorder = Arc::new(Recorder {
            store: store.clone(),
            activity,
            metrics: Arc::clone(&metrics),
            capture_bytes_max: config.limits.capture_bytes_max,
            pulse,
            smee: smee.clone(),
            clock: clock.clone(),
        });
        let ingress = Arc::new(Ingress {
            router: Router::new(store.clone(), config.public.domain.clone()),
            smee,
            store: store.clone(),
            live: Live {
                registry: registry.clone(),
                intake: Intake {
                    store: store.clone(),
                    recorder: Arc::clone(&recorder),
                    tasks: public.clone(),
                },
                recorder,
                dispatcher: dispatcher.clone(),
                under_way: UnderWay::default(),
                turns: Turns::default(),
                senders,
                signing,
                clock: clock.clone(),
                tasks: public.clone(),
            },
            limits: gate_limits(&config),
            connections_max: config.limits.connections_max,
            connections_per_ip_max: config.limits.connections_per_ip_max,
            tasks: public.clone(),
        });
        dispatcher.take_over().await?;
        house.spawn(tunnel.run(Arc::clone(&listener)));
        house.spawn(admin::run(
            admin_listener,
            api::on_admin_listener(router, &config.admin.hosts),
            house.clone(),
        ));
        house.spawn(watch_revocations(store.clone(), registry.clone(), clock, house.clone()));
        house.spawn(prune_for_ever(store.clone(), config.retention.policy(), house.clone()));
        house.spawn(dispatcher.run());
        public.spawn(ingress.run(public_listener, tls));
        is_ready.store(true, Ordering::Relaxed);
        let drain = Duration::from_millis(config.limits.drain_ms);
        Ok(Self { addresses, store, registry, metrics, listener, public, house, is_ready, drain, lock })
    }

    /// Where it is.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Its counters.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Who is connected.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Waits until the store can no longer be trusted, and says why. The process should then end and be restarted.
    pub async fn failed(&self) -> String {
        self.store.poisoned().await
    }

    /// Takes nothing new, finishes what is under way, tells agents to come back, ends. Says whether all of it ended
    /// in time.
    pub async fn drain(self) -> bool {
        self.is_ready.store(false, Ordering::Relaxed);
        self.public.begin_drain();
        self.house.begin_drain();
        for session in self.registry.all() {
            let spread = u32::from_le_bytes(entropy::random()) % RECONNECT_SPREAD_MS;
            session.tell(Control::Drain(spread));
        }
        let clean = self.public.finish(self.drain).await;
        self.listener.close(CloseCode::GO_AWAY, "the server is restarting").await;
        self.house.finish(HOUSE_DEADLINE).await;
        self.store.close().await;
        drop(self.lock);
        clean
    }

    /// Stops where it stands. What was recorded is kept.
    pub async fn abort(self) {
        self.public.abort().await;
        self.house.abort().await;
        self.store.close().await;
    }

    /// Tasks that have not ended: zero once drained.
    #[must_use]
    pub fn tasks_alive(&self) -> usize {
        self.public.alive() + self.house.alive()
    }
}

fn end_sessions(registry: &Registry, token: crate::model::TokenId) {
    for session in registry.of_token(token) {
        registry.evict(&session);
        session.close(CloseCode::REVOKED, "the token was revoked");
    }
}

/// Ends sessions whose token expired, or was revoked by another process.
async fn watch_revocations(store: Store, registry: Registry, clock: Clock, tasks: Tasks) {
    let mut since = clock.now_ms();
    while tokio::time::timeout(REVOCATIONS_EVERY, tasks.draining()).await.is_err() {
        if registry.is_empty() {
            since = clock.now_ms();
            continue;
        }
        let now = clock.now_ms();
        for session in registry.all().iter().filter(|s| s.expires_ms.is_some_and(|at| at <= now)) {
            end_sessions(&registry, session.token);
        }
        match store.revoked_since(since).await {
            Ok(tokens) => {
                tokens.into_iter().for_each(|token| end_sessions(&registry, token));
                // A second of overlap: the other process has a clock reading of its own.
                since = now.saturating_sub(1_000);
            }
            Err(error) => tracing::warn!(%error, "revocations could not be looked up"),
        }
    }
}

/// Deletes old events in short steps.
async fn prune_for_ever(store: Store, policy: Retention, tasks: Tasks) {
    let mut after = Cursor::default();
    while tokio::time::timeout(PRUNE_EVERY, tasks.draining()).await.is_err() {
        loop {
            match store.prune(policy, after).await {
                Ok(pruned) => {
                    after = pruned.after;
                    if !pruned.more || tasks.is_draining() {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "old events could not be deleted");
                    break;
                }
            }
        }
        after = after.next_round();
    }
}
