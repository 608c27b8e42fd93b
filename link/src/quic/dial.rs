//! The agent's side: find the server, prove it is the one, connect.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use protocol::ALPN;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectError, ConnectionError, EndpointConfig};
use rustls_platform_verifier::BuilderVerifierExt;

use super::{Closed, Link, quic_error, tuning};
use crate::identity::{Pin, PinnedVerifier};

/// Head start of an address before the next one is tried beside it (RFC 8305 section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Name sent to a server whose key is pinned: it proves itself by the key, whatever it is called.
const PINNED_NAME: &str = "relay.invalid";

/// What makes a server believable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Exactly this key.
    Pinned(Pin),
    /// A certificate of a public authority for the host name.
    PublicAuthority,
}

/// A dial that failed.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("{host} cannot be resolved: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody answered.
    #[error("no answer from {addrs} (UDP): is the server up, is the port right, is UDP allowed?")]
    NoAnswer {
        /// The addresses tried.
        addrs: String,
    },
    /// Somebody answered who is not the server we trust.
    #[error("{0}")]
    Identity(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Dials one server, again and again.
#[derive(Debug, Clone)]
pub struct Dialer {
    host: String,
    port: u16,
    trust: Trust,
    config: ClientConfig,
}

impl Dialer {
    /// A dialler for `host:port`.
    ///
    /// # Errors
    /// When this machine's certificate authorities cannot be read.
    pub fn new(host: String, port: u16, trust: Trust) -> io::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(quic_error)?;
        let mut tls = match trust {
            Trust::Pinned(pin) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(PinnedVerifier::new(pin, provider)))
                .with_no_client_auth(),
            Trust::PublicAuthority => {
                builder.with_platform_verifier().map_err(quic_error)?.with_no_client_auth()
            }
        };
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.enable_early_data = false;
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).map_err(quic_error)?));
        Ok(Self { host, port, trust, config })
    }

    /// Every address of the server.
    ///
    /// # Errors
    /// When the name cannot be resolved.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, DialError> {
        let failed = |source| DialError::Resolve { host: self.host.clone(), source };
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(failed)?;
        let addrs: Vec<_> = found.collect();
        if addrs.is_empty() {
            return Err(failed(io::Error::from(io::ErrorKind::NotFound)));
        }
        Ok(addrs)
    }

    /// Connects to the first address that answers within `deadline`. Each try has a socket of its own, so that a forgotten NAT
    /// mapping or a changed network is left behind.
    ///
    /// # Errors
    /// The most telling failure of all addresses tried.
    pub async fn dial(&self, deadline: Duration) -> Result<Link, DialError> {
        let addrs = self.resolve().await?;
        let mut tries = tokio::task::JoinSet::new();
        let mut waiting = addrs.iter().copied();
        let mut worst = None;
        loop {
            if let Some(addr) = waiting.next() {
                let this = self.clone();
                tries.spawn(async move { this.dial_one(addr, deadline).await });
            } else if tries.is_empty() {
                break;
            }
            let more = waiting.len() > 0;
            tokio::select! {
                Some(done) = tries.join_next() => match done {
                    Ok(Ok(link)) => return Ok(link),
                    Ok(Err(error)) => {
                        // Who answered wrongly tells more than who did not answer.
                        if !matches!(worst, Some(DialError::Identity(_))) {
                            worst = Some(error);
                        }
                    }
                    Err(_) => {}
                },
                () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if more => {}
            }
        }
        match worst {
            Some(DialError::NoAnswer { .. }) | None => {
                let list: Vec<_> = addrs.iter().map(ToString::to_string).collect();
                Err(DialError::NoAnswer { addrs: list.join(", ") })
            }
            Some(error) => Err(error),
        }
    }

    async fn dial_one(&self, addr: SocketAddr, deadline: Duration) -> Result<Link, DialError> {
        let any = if addr.is_ipv6() {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        };
        let other = |error: &dyn std::fmt::Display| DialError::Other(error.to_string());
        let socket = tuning::socket(SocketAddr::new(any, 0)).map_err(|e| other(&e))?;
        let mut own = EndpointConfig::default();
        tuning::widen(&mut own);
        let endpoint = quinn::Endpoint::new(own, None, socket, tuning::runtime()).map_err(|e| other(&e))?;
        let mut config = self.config.clone();
        config.transport_config(Arc::new(tuning::of_agent(addr.ip())));
        let name = if self.trust == Trust::PublicAuthority { self.host.as_str() } else { PINNED_NAME };
        let connecting = endpoint.connect_with(config, addr, name).map_err(|error| match error {
            ConnectError::InvalidServerName(name) => other(&format!("`{name}` is not a host name")),
            error => other(&error),
        })?;
        let no_answer = || DialError::NoAnswer { addrs: addr.to_string() };
        match tokio::time::timeout(deadline, connecting).await {
            Err(_) | Ok(Err(ConnectionError::TimedOut)) => Err(no_answer()),
            Ok(Ok(connection)) => Ok(Link { connection, _endpoint: Some(endpoint) }),
            Ok(Err(error)) => Err(self.explain(error)),
        }
    }

    /// TLS alerts 42 to 49 and 0x100 codes carry what rustls found wrong with the certificate.
    fn explain(&self, error: ConnectionError) -> DialError {
        if let ConnectionError::TransportError(transport) = &error {
            let code = u64::from(transport.code);
            if (0x12a..=0x131).contains(&code) {
                return DialError::Identity(match self.trust {
                    Trust::Pinned(pin) => format!(
                        "{} answered with another key than the pinned {pin}: if its key was changed on purpose, \
                         log in again with a new join line; otherwise somebody is in between",
                        self.host
                    ),
                    Trust::PublicAuthority => {
                        format!("the certificate of {} does not hold: {}", self.host, transport.reason)
                    }
                });
            }
        }
        DialError::Other(Closed::from(error).to_string())
    }
}
