//! Moves the datagrams. One task reads what clients send; one task per client reads what the upstream answers.
//! Each takes a batch, asks the lane for each datagram's fate, and then sends what has come due.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::fate::{Direction, Fate, Lane};
use super::held::Held;
use super::{Link, loopback_like};

/// The kernel caps this at net.core.rmem_max and wmem_max. A burst of a whole congestion window must fit while the
/// task is not running, or the proxy would lose what nobody asked it to lose.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// The largest UDP payload there is, rounded up.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;

/// What a wide-area link carries: an Ethernet frame of 1,500 less IPv4 and UDP headers. Larger ones never arrive.
const CARRIED_BYTES_MAX: usize = 1_472;

/// Read before looking at what is due: bounds how late a due datagram gets under load (64 reads are about 0.1 ms).
const BATCH: usize = 64;

/// Each client has a socket. Past this a new client's datagrams are dropped.
const CLIENTS_MAX: usize = 4_096;

pub(super) fn socket(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    UdpSocket::from_std(socket.into())
}

pub(super) async fn run(front: UdpSocket, link: Arc<Link>) {
    let mut up = Up {
        front: Arc::new(front),
        link,
        clients: HashMap::new(),
        held: Held::new(),
        downs: JoinSet::new(),
    };
    up.run().await;
}

/// Clients to upstream. Owns the tasks of the other direction, which end with it.
struct Up {
    front: Arc<UdpSocket>,
    link: Arc<Link>,
    clients: HashMap<SocketAddr, Client>,
    held: Held<Arc<UdpSocket>>,
    downs: JoinSet<()>,
}

struct Client {
    upstream: Arc<UdpSocket>,
    lane: Lane,
}

impl Up {
    async fn run(&mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            readable_or_due(&self.front, self.held.next_due()).await;
            let now = Instant::now();
            for _ in 0..BATCH {
                match self.front.try_recv_from(&mut buffer) {
                    Ok((bytes, from)) => self.take(from, &buffer[..bytes], now).await,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // An ICMP answer to something sent earlier. A lossy link says nothing about it.
                    Err(_) => {}
                }
            }
            while let Some((upstream, bytes)) = self.held.pop_due(now) {
                send(&self.link, &upstream, None, &bytes).await;
            }
        }
    }

    async fn take(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) {
        let conditions = self.link.conditions();
        let Some(client) = self.client(from).await else {
            return self.link.count_dropped();
        };
        let upstream = Arc::clone(&client.upstream);
        match client.lane.fate(&conditions, now) {
            Fate::Lost => self.link.count_dropped(),
            Fate::Now => send(&self.link, &upstream, None, bytes).await,
            Fate::At(due) => {
                if !self.held.push(due, upstream, bytes) {
                    self.link.count_dropped();
                }
            }
        }
    }

    async fn client(&mut self, from: SocketAddr) -> Option<&mut Client> {
        if !self.clients.contains_key(&from) {
            if self.clients.len() >= CLIENTS_MAX {
                return None;
            }
            let upstream = socket(loopback_like(self.link.upstream)).ok()?;
            upstream.connect(self.link.upstream).await.ok()?;
            let upstream = Arc::new(upstream);
            let number = u64::try_from(self.clients.len()).unwrap_or(u64::MAX);
            let seed = self.link.conditions().seed;
            self.downs.spawn(down(
                Arc::clone(&upstream),
                Arc::clone(&self.front),
                from,
                Lane::new(seed, number, Direction::Down),
                Arc::clone(&self.link),
            ));
            let lane = Lane::new(seed, number, Direction::Up);
            self.clients.insert(from, Client { upstream, lane });
        }
        self.clients.get_mut(&from)
    }
}

/// Upstream to one client.
async fn down(
    upstream: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    mut lane: Lane,
    link: Arc<Link>,
) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut held: Held<()> = Held::new();
    loop {
        readable_or_due(&upstream, held.next_due()).await;
        let now = Instant::now();
        for _ in 0..BATCH {
            let bytes = match upstream.try_recv(&mut buffer) {
                Ok(bytes) => &buffer[..bytes],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The upstream's port is closed for now, as while a server restarts. Whoever sends next finds out.
                Err(_) => continue,
            };
            match lane.fate(&link.conditions(), now) {
                Fate::Lost => link.count_dropped(),
                Fate::Now => send(&link, &front, Some(client), bytes).await,
                Fate::At(due) => {
                    if !held.push(due, (), bytes) {
                        link.count_dropped();
                    }
                }
            }
        }
        while let Some(((), bytes)) = held.pop_due(now) {
            send(&link, &front, Some(client), &bytes).await;
        }
    }
}

async fn readable_or_due(socket: &UdpSocket, due: Option<Instant>) {
    // An error of readiness shows itself in the read that follows.
    match due {
        None => drop(socket.readable().await),
        Some(due) => tokio::select! {
            ready = socket.readable() => drop(ready),
            () = sleep_until(due) => {}
        },
    }
}

/// `to` is None on a connected socket.
async fn send(link: &Link, socket: &UdpSocket, to: Option<SocketAddr>, bytes: &[u8]) {
    if link.is_cut() || bytes.len() > CARRIED_BYTES_MAX {
        return link.count_dropped();
    }
    let mut sent = send_once(socket, to, bytes).await;
    // A connected socket reports the ICMP answer to an earlier datagram here, and has then not sent this one.
    if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        sent = send_once(socket, to, bytes).await;
    }
    match sent {
        Ok(_) => link.count_forwarded(),
        Err(_) => link.count_dropped(),
    }
}

async fn send_once(socket: &UdpSocket, to: Option<SocketAddr>, bytes: &[u8]) -> io::Result<usize> {
    match to {
        Some(to) => socket.send_to(bytes, to).await,
        None => socket.send(bytes).await,
    }
}
