//! From a checked list of addresses to a connection: TCP to exactly those, then TLS for the name of the URL.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{NotSent, UrlPolicy};

/// Head start of an address before the next one is tried beside it (RFC 8305 section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Addresses tried of one name. All of them are checked.
const ADDRESSES_MAX: usize = 8;

/// A connection to the app.
#[derive(Debug)]
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Turns away the whole list for one bad address: who controls the name controls which one would be used next time.
pub(super) fn check(policy: &UrlPolicy, host: &str, found: &[IpAddr], port: u16) -> Result<(), NotSent> {
    for ip in found {
        // The owner of a destination is not told addresses of the relay's own network.
        if let Some(why) = policy.refuses_address(*ip) {
            let text = format!("{host} has an address that is not public ({why})");
            return Err(NotSent::new("address_refused", text));
        }
        if let Some(why) = policy.refuses_port(*ip, port) {
            return Err(NotSent::new("port_refused", format!("port {port} of {host} is not used: {why}")));
        }
    }
    Ok(())
}

/// The addresses to try, families taking turns, starting with the one the resolver prefers.
pub(super) fn order(found: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    let starts_v6 = found.first().is_some_and(IpAddr::is_ipv6);
    let (first, second): (Vec<IpAddr>, Vec<IpAddr>) =
        found.iter().map(IpAddr::to_canonical).partition(|ip| ip.is_ipv6() == starts_v6);
    let turns = first.len().max(second.len());
    (0..turns)
        .flat_map(|turn| [first.get(turn), second.get(turn)])
        .flatten()
        .take(ADDRESSES_MAX)
        .map(|ip| SocketAddr::new(*ip, port))
        .collect()
}

/// Connects to the first of `addrs` that answers.
pub(super) async fn tcp(policy: &UrlPolicy, addrs: &[SocketAddr]) -> Result<TcpStream, NotSent> {
    let mut waiting = addrs.iter().copied();
    let mut tries = FuturesUnordered::new();
    let mut errors = Vec::new();
    let mut is_refused = true;
    loop {
        if let Some(addr) = waiting.next() {
            tries.push(async move { (addr, TcpStream::connect(addr).await) });
        } else if tries.is_empty() {
            break;
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some((addr, tried)) = tries.next() => match tried {
                Ok(stream) => {
                    check_peer(policy, &stream, addr)?;
                    // Without this small requests wait for the delayed acknowledgement of their head.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => {
                    is_refused &= error.kind() == io::ErrorKind::ConnectionRefused;
                    errors.push(format!("{addr} ({error})"));
                }
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if more => {}
        }
    }
    let reason = if is_refused { "connect_refused" } else { "connect_failed" };
    Err(NotSent::new(reason, format!("cannot connect to {}", errors.join(", "))))
}

/// By construction it is the address that was checked. Asked once more where it counts.
fn check_peer(policy: &UrlPolicy, stream: &TcpStream, addr: SocketAddr) -> Result<(), NotSent> {
    let peer = stream.peer_addr().map_err(|error| {
        NotSent::new("connect_failed", format!("the connection to {addr} was lost at once: {error}"))
    })?;
    if peer.ip().to_canonical() != addr.ip() || policy.refuses_address(peer.ip()).is_some() {
        let text = format!("the connection to {addr} leads to another address");
        return Err(NotSent::new("address_refused", text));
    }
    // From an address to the same one: the relay's own machine, by whatever address it has in public.
    let is_own = stream.local_addr().is_ok_and(|own| own.ip().to_canonical() == addr.ip());
    if is_own && !policy.allows(addr.ip()) {
        let text = format!("{addr} is the relay's own machine");
        return Err(NotSent::new("address_refused", text));
    }
    Ok(())
}

/// TLS 1.2 or 1.3 over `stream`, to whoever proves to be `name`.
pub(super) async fn tls(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, NotSent> {
    let text_name = name.to_str().into_owned();
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| {
        NotSent::new("tls_failed", format!("{text_name} does not speak TLS as it should: {error}"))
    })
}

/// The system's certificate authorities, and `roots`. HTTP/1.1 only.
pub(super) fn tls_config(roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

macro_rules! each {
    ($self:expr, $io:ident => $call:expr) => {
        match $self.get_mut() {
            Io::Plain($io) => $call,
            Io::Tls($io) => $call,
        }
    };
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_the_resolvers_first_choice_comes_first() {
        let found =
            ["2606::1", "2606::2", "2606::3", "1.0.0.1", "::ffff:1.0.0.2"].map(|ip| ip.parse().unwrap());
        let ordered: Vec<_> = order(&found, 80).iter().map(ToString::to_string).collect();
        assert_eq!(ordered, ["[2606::1]:80", "1.0.0.1:80", "[2606::2]:80", "1.0.0.2:80", "[2606::3]:80"]);
        let many: Vec<IpAddr> = (1..=50).map(|n| IpAddr::from([1, 0, 0, n])).collect();
        assert_eq!(order(&many, 80).len(), ADDRESSES_MAX);
    }

    #[test]
    fn one_bad_address_turns_away_the_whole_list_wherever_it_stands() {
        let policy = UrlPolicy::default();
        let good: Vec<IpAddr> = (1..=20).map(|n| IpAddr::from([1, 0, 0, n])).collect();
        assert!(check(&policy, "a.example", &good, 443).is_ok());
        for at in 0..=good.len() {
            let mut mixed = good.clone();
            mixed.insert(at, "10.0.0.1".parse().unwrap());
            let refused = check(&policy, "a.example", &mixed, 443).unwrap_err();
            assert_eq!(refused.reason, "address_refused");
            assert!(
                !refused.text.contains("10.0.0.1"),
                "nobody outside is told inner addresses: {}",
                refused.text
            );
        }
        assert_eq!(check(&policy, "a.example", &good, 25).unwrap_err().reason, "port_refused");
    }
}
