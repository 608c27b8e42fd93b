//! Reaching the app: TCP, with `localhost` meaning both loopbacks, TLS, or a Unix socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::{BuilderVerifierExt, Verifier};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::nearby;
use crate::target::{At, Target};

/// How long connecting to the app may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// A connection to the app.
#[derive(Debug)]
pub(crate) enum LocalIo {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

/// The app cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Unreachable {
    /// A sentence with every address tried.
    pub(crate) text: String,
}

/// Knows how to reach one target.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    target: Target,
    tls: Option<Arc<ClientConfig>>,
    unusable: Option<String>,
}

impl Connector {
    /// A connector for `target`, with an extra certificate authority for `https://`.
    pub(crate) fn new(target: Target, extra_ca: Option<&Path>) -> io::Result<Self> {
        let tls = match &target.at {
            At::Https { insecure, .. } => Some(Arc::new(tls_config(*insecure, extra_ca)?)),
            At::Http { .. } | At::Unix(_) => None,
        };
        Ok(Self { target, tls, unusable: None })
    }

    /// One that says why it cannot connect.
    pub(crate) fn unusable(target: Target, why: &io::Error) -> Self {
        Self { target, tls: None, unusable: Some(why.to_string()) }
    }

    /// A fresh connection.
    pub(crate) async fn connect(&self) -> Result<LocalIo, Unreachable> {
        if let Some(why) = &self.unusable {
            return Err(Unreachable { text: format!("{} cannot be used: {why}", self.target) });
        }
        match tokio::time::timeout(CONNECT_DEADLINE, self.try_connect()).await {
            Ok(connected) => connected,
            Err(_) => {
                let text = format!("{} did not accept a connection within {CONNECT_DEADLINE:?}", self.target);
                Err(Unreachable { text })
            }
        }
    }

    async fn try_connect(&self) -> Result<LocalIo, Unreachable> {
        match &self.target.at {
            At::Http { host, port } => Ok(LocalIo::Tcp(tcp(host, *port).await?)),
            At::Https { host, port, .. } => {
                let stream = tcp(host, *port).await?;
                let failed = |error: &dyn std::fmt::Display| Unreachable {
                    text: format!("{} does not speak TLS as expected: {error}", self.target),
                };
                let name = ServerName::try_from(host.clone()).map_err(|error| failed(&error))?;
                let config = self.tls.clone().ok_or_else(|| failed(&"no TLS configuration"))?;
                let stream =
                    TlsConnector::from(config).connect(name, stream).await.map_err(|error| failed(&error))?;
                Ok(LocalIo::Tls(Box::new(stream)))
            }
            #[cfg(unix)]
            At::Unix(path) => match tokio::net::UnixStream::connect(path).await {
                Ok(stream) => Ok(LocalIo::Unix(stream)),
                Err(error) => Err(Unreachable { text: format!("{}: {error}", self.target) }),
            },
            #[cfg(not(unix))]
            At::Unix(_) => Err(Unreachable { text: "this system has no Unix sockets".to_owned() }),
        }
    }
}

/// `localhost` is both loopbacks: an app that binds only one of them is found.
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Ok(both.into_iter().map(|ip| SocketAddr::new(ip, port)).collect());
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, Unreachable> {
    let addrs = addresses(host, port)
        .await
        .map_err(|error| Unreachable { text: format!("{host} cannot be resolved: {error}") })?;
    let mut errors = Vec::new();
    let mut is_refused = !addrs.is_empty();
    // In order: a refusal on loopback takes microseconds, so racing would only cost a second socket per request.
    for addr in addrs {
        match TcpStream::connect(addr).await {
            Ok(stream) => {
                // Without this small requests wait for the delayed acknowledgement of their head.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => {
                is_refused &= error.kind() == io::ErrorKind::ConnectionRefused;
                errors.push(format!("{addr} ({error})"));
            }
        }
    }
    let tried = errors.join(", ");
    if !is_refused {
        return Err(Unreachable { text: format!("cannot connect to {tried}") });
    }
    let near = nearby::describe(&nearby::listeners_nearby(port).await);
    Err(Unreachable {
        text: format!("nothing listens on {tried}; {near}. Is the app running, on this port?"),
    })
}

fn tls_config(insecure: bool, extra_ca: Option<&Path>) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    if insecure {
        let verifier = Arc::new(AnyCertificate(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    let Some(path) = extra_ca else {
        return Ok(builder.with_platform_verifier().map_err(io::Error::other)?.with_no_client_auth());
    };
    let bad = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
    let extra: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let extra = extra.map_err(|error| bad(&error))?;
    let verifier = Verifier::new_with_extra_roots(extra, provider).map_err(|error| bad(&error))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// Takes any certificate: for `https+insecure://` targets on this machine, never for the tunnel.
#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

macro_rules! each {
    ($self:expr, $io:ident => $call:expr) => {
        match $self.get_mut() {
            LocalIo::Tcp($io) => $call,
            LocalIo::Tls($io) => $call,
            #[cfg(unix)]
            LocalIo::Unix($io) => $call,
        }
    };
}

impl AsyncRead for LocalIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl AsyncWrite for LocalIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
            #[cfg(unix)]
            Self::Unix(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_shutdown(cx))
    }
}
