//! The server's side: one endpoint, and knocks at its door.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use protocol::ALPN;
use protocol::limits::GREETING_DEADLINE;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{EndpointConfig, ServerConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;

use super::{Closed, Link, quic_error, tuning};
use crate::identity::ServerIdentity;
use crate::secret::EndpointSecret;

/// Handshakes with unproven addresses before everybody new must prove theirs (one more round trip). Without the
/// proof a spoofed packet makes us send three times its size.
const UNVALIDATED_MAX: usize = 64;

/// Connections whose handshake may wait at once.
const INCOMING_MAX: usize = 4096;

/// What a listener is made of.
#[derive(Debug)]
pub struct ListenerSettings {
    /// Where to listen; port 0 takes any.
    pub addr: SocketAddr,
    /// Most connections that have not greeted yet.
    pub unauthenticated_max: usize,
}

/// The tunnel's UDP port.
#[derive(Debug)]
pub struct Listener {
    endpoint: quinn::Endpoint,
    config: ServerConfig,
    handshakes: Arc<AtomicUsize>,
    unauthenticated_max: usize,
    /// Set when the kernel granted less than wanted: `(granted, wanted)` bytes.
    pub short_buffer: Option<(usize, usize)>,
}

impl Listener {
    /// Opens the port. Must be called inside the runtime that will drive it.
    ///
    /// # Errors
    /// When the address cannot be bound or the identity is unusable.
    pub fn bind(
        settings: &ListenerSettings,
        identity: ServerIdentity,
        secret: &EndpointSecret,
    ) -> io::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(quic_error)?
            .with_no_client_auth()
            .with_single_cert(identity.chain, identity.key)
            .map_err(quic_error)?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        // A replayed greeting would take over a session.
        tls.max_early_data_size = 0;

        let mut server =
            ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).map_err(quic_error)?));
        server
            .token_key(Arc::new(secret.token_key()))
            .max_incoming(INCOMING_MAX)
            // No early data, so what arrives before a handshake is accepted is one flight.
            .incoming_buffer_size(64 * 1024)
            .incoming_buffer_size_total(16 * 1024 * 1024);

        let mut config = EndpointConfig::new(Arc::new(secret.reset_key()));
        tuning::widen(&mut config);
        let id_key = secret.connection_id_key();
        config
            .cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(id_key)))
            // quinn sends at most 50 resets a second; a restarted server has thousands of agents to tell.
            .min_reset_interval(Duration::from_micros(200));

        let socket = tuning::socket(settings.addr)?;
        let granted = tuning::granted_buffer_bytes(&socket);
        let wanted = tuning::SOCKET_BUFFER_BYTES_WANTED;
        let endpoint = quinn::Endpoint::new(config, Some(server.clone()), socket, tuning::runtime())?;
        Ok(Self {
            endpoint,
            config: server,
            handshakes: Arc::default(),
            unauthenticated_max: settings.unauthenticated_max,
            short_buffer: (granted < wanted).then_some((granted, wanted)),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket cannot say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The next connection that wants in; `None` once closed. Floods are answered here: addresses must be proven
    /// beyond [`UNVALIDATED_MAX`] handshakes, and beyond the unauthenticated limit nobody gets in.
    pub async fn knock(&self) -> Option<Knock> {
        loop {
            let incoming = self.endpoint.accept().await?;
            let waiting = self.handshakes.load(Ordering::Relaxed);
            if waiting >= UNVALIDATED_MAX && !incoming.remote_address_validated() {
                let _ = incoming.retry();
                continue;
            }
            if waiting >= self.unauthenticated_max {
                incoming.refuse();
                continue;
            }
            self.handshakes.fetch_add(1, Ordering::Relaxed);
            let mut config = self.config.clone();
            config.transport_config(Arc::new(tuning::of_server(incoming.remote_address().ip())));
            return Some(Knock { incoming, config, place: Place(Arc::clone(&self.handshakes)) });
        }
    }

    /// Takes nobody new.
    pub fn stop_knocks(&self) {
        self.endpoint.set_server_config(None);
    }

    /// Closes every connection and waits (bounded) until the peers were told.
    pub async fn close(&self, code: protocol::code::CloseCode, reason: &str) {
        self.endpoint.close(VarInt::from_u32(code.0), reason.as_bytes());
        let _ = tokio::time::timeout(Duration::from_secs(2), self.endpoint.wait_idle()).await;
    }
}

/// A place among the connections that have not greeted yet; given back when dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that wants in.
#[derive(Debug)]
pub struct Knock {
    incoming: quinn::Incoming,
    config: ServerConfig,
    place: Place,
}

impl Knock {
    /// Who knocks.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Finishes the handshake. Keep the [`Place`] until the peer has greeted.
    ///
    /// # Errors
    /// When the peer does not finish it in time.
    pub async fn answer(self) -> Result<(Link, Place), Closed> {
        let connecting = self.incoming.accept_with(Arc::new(self.config))?;
        match tokio::time::timeout(GREETING_DEADLINE, connecting).await {
            Ok(connection) => Ok((Link { connection: connection?, _endpoint: None }, self.place)),
            Err(_) => Err(Closed::Silent),
        }
    }
}
