//! The path to the server: its name, each of its addresses, and whether UDP gets there and back.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use relay_agent::entropy::random;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

use super::report::Report;
use super::version_probe::VersionProbe;
use crate::output::unit;

/// Resolvers give up after this long by themselves (resolv.conf: 5 s and a second try), mostly.
const LOOKUP_WAIT: Duration = Duration::from_secs(10);

/// How long to wait for the answer to one packet, and how many to send. A round trip around the world is 0.4 s.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
const PACKETS: u32 = 3;

/// Addresses tried. A name with more has them for balance, and they live or die together.
const ADDRESSES_MAX: usize = 8;

/// The addresses of the server.
pub(super) async fn names(report: &mut Report, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let start = Instant::now();
    let advice = "is the name spelt right? does this network's resolver know it?";
    let addresses = match timeout(LOOKUP_WAIT, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
        Ok(Err(error)) => {
            report.fail("dns", &format!("{host}: {error}"), advice)?;
            return Ok(vec![]);
        }
        Err(_) => {
            report.fail("dns", &format!("{host}: no answer in {}", unit::duration(LOOKUP_WAIT)), advice)?;
            return Ok(vec![]);
        }
    };
    let mut ips: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    ips.dedup();
    if ips.is_empty() {
        report.fail("dns", &format!("{host} has no address"), advice)?;
    } else {
        report.ok("dns", &format!("{host} is {} ({})", ips.join(", "), unit::duration(start.elapsed())))?;
    }
    Ok(addresses)
}

/// Whether a QUIC server answers on any of the addresses.
pub(super) async fn answers(report: &mut Report, addresses: &[SocketAddr]) -> io::Result<bool> {
    let mut is_answered = false;
    for address in addresses.iter().take(ADDRESSES_MAX) {
        match ask(*address).await {
            Ok(time) => {
                is_answered = true;
                report.ok("udp", &format!("{address} answers in {}", unit::duration(time)))?;
            }
            Err(error) => {
                let (found, advice) = explained(*address, &error);
                // One address that answers is enough to connect.
                if is_answered || addresses.len() > 1 {
                    report.warn("udp", &found, advice)?;
                } else {
                    report.fail("udp", &found, advice)?;
                }
            }
        }
    }
    if !is_answered && addresses.len() > 1 {
        report.fail("udp", "no address answers", "the lines above say what each did")?;
    }
    Ok(is_answered)
}

fn explained(address: SocketAddr, error: &io::Error) -> (String, &'static str) {
    let port = address.port();
    match error.kind() {
        ErrorKind::ConnectionRefused => (
            format!("{address}: the machine is there, but nothing has UDP port {port} open"),
            "is relay-server running, and is this its tunnel port?",
        ),
        ErrorKind::TimedOut => (
            format!("{address}: no answer at all"),
            "UDP may be blocked on the way: let UDP through to this port in the server's firewall, or try another \
             network (a phone's hotspot tells quickly)",
        ),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable => (
            format!("{address}: this machine has no way there"),
            if address.is_ipv6() {
                "this network has no IPv6; IPv4 will do"
            } else {
                "is this machine online?"
            },
        ),
        _ => (format!("{address}: {error}"), "is this machine online?"),
    }
}

/// The time one answer takes.
async fn ask(address: SocketAddr) -> io::Result<Duration> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    let probe = VersionProbe::new(random());
    for _ in 0..PACKETS {
        let start = Instant::now();
        socket.send(&probe.packet()).await?;
        if let Ok(answered) = timeout(ANSWER_WAIT, answer(&socket, &probe)).await {
            return answered.map(|()| start.elapsed());
        }
    }
    Err(ErrorKind::TimedOut.into())
}

async fn answer(socket: &UdpSocket, probe: &VersionProbe) -> io::Result<()> {
    let mut packet = [0; 2048];
    loop {
        let length = socket.recv(&mut packet).await?;
        if probe.is_answered_by(&packet[..length]) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_answers_is_told_from_a_closed_port() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let serve = async {
            let mut packet = [0; 2048];
            let (_, from) = server.recv_from(&mut packet).await.unwrap();
            server.send_to(b"noise", from).await.unwrap();
            let mut answer = vec![0x80, 0, 0, 0, 0];
            answer.extend(&packet[14..23]);
            answer.extend(&packet[5..14]);
            server.send_to(&answer, from).await.unwrap();
        };
        let (asked, ()) = tokio::join!(ask(address), serve);
        asked.unwrap();
        drop(server);
        let error = ask(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(explained(address, &error).0.contains("the machine is there"));
    }

    #[test]
    fn silence_is_told_from_refusal() {
        let address = "192.0.2.1:4433".parse().unwrap();
        let (found, advice) = explained(address, &ErrorKind::TimedOut.into());
        assert!(found.ends_with("no answer at all") && advice.contains("UDP may be blocked"));
    }
}
