//! The app on this machine: does anything take a connection where events would go?

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use relay_agent::Target;
use relay_agent::forward::nearby;
use relay_agent::target::At;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::report::Report;
use crate::output::unit;

/// As long as forwarding waits for a connection (5 s).
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Connects to a target, sends nothing.
pub(super) async fn check(report: &mut Report, target: &Target) -> io::Result<()> {
    let shown = target.to_string();
    match &target.at {
        At::Http { host, port } | At::Https { host, port, .. } => tcp(report, &shown, host, *port).await,
        At::Unix(path) => unix(report, &shown, path).await,
    }
}

/// As forwarding sees it: `localhost` is both loopbacks.
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    Ok(lookup_host((host, port)).await?.collect())
}

async fn tcp(report: &mut Report, target: &str, host: &str, port: u16) -> io::Result<()> {
    let addresses = match addresses(host, port).await {
        Ok(addresses) => addresses,
        Err(error) => {
            return report.fail("target", &format!("{target}: {host}: {error}"), "is the name spelt right?");
        }
    };
    let mut found = Vec::new();
    let mut is_open = false;
    for address in addresses {
        let start = Instant::now();
        let result = timeout(CONNECT_WAIT, TcpStream::connect(address)).await;
        is_open |= matches!(result, Ok(Ok(_)));
        found.push(match result {
            Ok(Ok(_)) => format!("{address} answers in {}", unit::duration(start.elapsed())),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => format!("{address} refuses"),
            Ok(Err(error)) => format!("{address}: {error}"),
            Err(_) => format!("{address}: no answer in {}", unit::duration(CONNECT_WAIT)),
        });
    }
    let found = format!("{target}: {}", found.join(", "));
    if is_open {
        return report.ok("target", &found);
    }
    let nearby = nearby::describe(&nearby::listeners_nearby(port).await);
    report.fail("target", &format!("{found}; {nearby}"), "start the app, or name the port it listens on")
}

#[cfg(unix)]
async fn unix(report: &mut Report, target: &str, path: &Path) -> io::Result<()> {
    match timeout(CONNECT_WAIT, tokio::net::UnixStream::connect(path)).await {
        Ok(Ok(_)) => report.ok("target", &format!("{target} takes connections")),
        Ok(Err(error)) => {
            report.fail("target", &format!("{target}: {error}"), "start the app; check the socket's path")
        }
        Err(_) => {
            report.fail("target", &format!("{target}: no answer"), "the app does not accept connections")
        }
    }
}

#[cfg(not(unix))]
async fn unix(report: &mut Report, target: &str, _path: &Path) -> io::Result<()> {
    report.fail("target", &format!("{target}: no unix sockets on this system"), "a port or a URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_both_loopbacks() {
        let both: [SocketAddr; 2] = ["127.0.0.1:3000".parse().unwrap(), "[::1]:3000".parse().unwrap()];
        assert_eq!(addresses("LocalHost", 3000).await.unwrap(), both);
        assert_eq!(addresses("127.0.0.1", 3000).await.unwrap(), both[..1]);
        assert_eq!(addresses("::1", 3000).await.unwrap(), both[1..]);
    }
}
