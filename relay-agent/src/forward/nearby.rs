//! When nothing listens where it should: what does, so that a typo is found at a glance.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

/// Ports that development servers like.
const LIKELY: [u16; 16] =
    [3000, 3001, 3002, 3030, 4000, 4200, 4321, 5000, 5001, 5173, 8000, 8001, 8080, 8081, 8787, 8888];

/// Loopback answers at once or not at all.
const DEADLINE: Duration = Duration::from_millis(100);

/// Ports on this machine that something listens on, among likely ones and neighbours of `port`.
pub async fn listeners_nearby(port: u16) -> Vec<u16> {
    let neighbours = (1..=2).flat_map(|n| [port.checked_sub(n), port.checked_add(n)]).flatten();
    let mut ports: Vec<u16> =
        LIKELY.into_iter().chain(neighbours).filter(|p| *p != port && *p != 0).collect();
    ports.sort_unstable();
    ports.dedup();
    let mut tries = tokio::task::JoinSet::new();
    for port in ports {
        tries.spawn(async move { is_listening(port).await.then_some(port) });
    }
    let mut found: Vec<u16> = tries.join_all().await.into_iter().flatten().collect();
    found.sort_unstable();
    found
}

async fn is_listening(port: u16) -> bool {
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let connected = tokio::time::timeout(DEADLINE, TcpStream::connect(SocketAddr::new(ip, port))).await;
        if matches!(connected, Ok(Ok(_))) {
            return true;
        }
    }
    false
}

/// "Something listens on 3001 and 8080" or nothing.
#[must_use]
pub fn describe(ports: &[u16]) -> String {
    match ports {
        [] => "nothing listens nearby either".to_owned(),
        [one] => format!("something listens on port {one}"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(ToString::to_string).collect();
            format!("something listens on ports {} and {last}", first.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_one_port_off_is_found() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("port");
        let port = listener.local_addr().expect("bound").port();
        assert!(listeners_nearby(port - 1).await.contains(&port));
    }

    #[test]
    fn ports_read_as_a_sentence() {
        assert_eq!(describe(&[3001]), "something listens on port 3001");
        assert_eq!(describe(&[3001, 5173, 8080]), "something listens on ports 3001, 5173 and 8080");
    }
}
