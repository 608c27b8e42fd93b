//! Whether the app on this machine is there, asked before a webhook has to find out. Only of this machine: what listens
//! nearby says nothing about another.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use relay_agent::Target;
use relay_agent::forward::nearby;
use relay_agent::target::At;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// This machine answers at once or not at all.
const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// What is found in place of the target; `None` where it takes connections, or nobody can tell from here.
pub(in super::super) async fn missing(target: &Target) -> Option<String> {
    match &target.at {
        At::Http { host, port } | At::Https { host, port, .. } => {
            let addresses = here(host, *port)?;
            for address in addresses {
                match timeout(CONNECT_WAIT, TcpStream::connect(address)).await {
                    Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {}
                    // It is there, or something else is wrong, which the first webhook will tell.
                    _ => return None,
                }
            }
            let near = nearby::describe(&nearby::listeners_nearby(*port).await);
            Some(format!("nothing listens on {host}:{port}; {near}. Is the app running, on this port?"))
        }
        At::Unix(path) => {
            let error = unix(path).await.err()?;
            Some(format!("{}: {error}. Is the app running?", path.display()))
        }
    }
}

/// The addresses of a host on this machine; `None` for any other.
fn here(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Some(both.map(|ip| SocketAddr::new(ip, port)).to_vec());
    }
    let ip = host.parse::<IpAddr>().ok().filter(IpAddr::is_loopback)?;
    Some(vec![SocketAddr::new(ip, port)])
}

#[cfg(unix)]
async fn unix(path: &std::path::Path) -> io::Result<()> {
    tokio::net::UnixStream::connect(path).await.map(drop)
}

#[cfg(not(unix))]
async fn unix(_path: &std::path::Path) -> io::Result<()> {
    Err(io::Error::other("this system has no Unix sockets"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_listen_is_told_and_what_cannot_be_known_is_not() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let missing = async |text: String| missing(&text.parse().unwrap()).await;
        assert_eq!(missing(format!("http://localhost:{port}")).await, None);
        drop(listener);
        let told = missing(format!("127.0.0.1:{port}")).await.unwrap();
        assert!(told.starts_with(&format!("nothing listens on 127.0.0.1:{port}; ")), "{told}");
        assert_eq!(missing("http://app.invalid:1".to_owned()).await, None, "another machine");
        assert!(missing("unix:/nowhere/app.sock".to_owned()).await.is_some());
    }
}
