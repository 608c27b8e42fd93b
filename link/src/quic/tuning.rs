//! Transport settings. quinn's defaults are not ours; each number says why.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use protocol::limits::{GREETING_BYTES_MAX, IDLE_TIMEOUT, KEEP_ALIVE};
use quinn::{AckFrequencyConfig, EndpointConfig, MtuDiscoveryConfig, Runtime, TransportConfig, VarInt};
use socket2::{Domain, Protocol, Socket, Type};

use super::congestion::TolerantConfig;

/// Streams an agent may open at once: the control stream and API calls. quinn keeps state for every stream a peer
/// may open, so this number is most of what an idle agent costs the server (29 KiB at 8, 50 KiB at 256).
const AGENT_STREAMS_MAX: u32 = 8;

/// Streams a server may open at once: exchanges. Above the 256 in flight per agent, so that our own limit, which
/// can say 503, is reached first.
const SERVER_STREAMS_MAX: u32 = 320;

/// Bytes one stream may have in flight towards us. 1 MiB fills 100 Mbit/s at 80 ms.
const STREAM_RECEIVE_WINDOW: u32 = 1024 * 1024;

/// Bytes all streams of a connection may have in flight towards us. quinn's default is no bound at all.
pub(crate) const RECEIVE_WINDOW: u32 = 8 * 1024 * 1024;

/// Bytes kept per connection until the other side has them.
const SEND_WINDOW: u64 = 8 * 1024 * 1024;

/// First guess of the round trip. RFC 9002 says 333 ms; agents are nearer than that, and a lost first packet of a
/// webhook should not wait a second.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Bytes that may be sent before the first acknowledgement: a 100 KiB body then takes two round trips, not four.
const INITIAL_WINDOW: u64 = 128 * 1024;

/// Packets before an acknowledgement, and the longest it may wait: an eighth less CPU per request than one
/// acknowledgement for every second packet.
const ACK_EVERY_PACKETS: u32 = 10;
const ACK_WITHIN: Duration = Duration::from_millis(10);

/// Largest datagram looked for on this host and on private networks. Loopback and jumbo frames carry it, and several
/// small requests then share a packet; a tenth of [`SEND_BYTES_MAX`], so that ten still leave in one system call. On a
/// private path of 1,500 the search costs some fifteen lost probes every ten minutes. On the public internet nothing
/// above 1,500 arrives, so there quinn's own bound of 1,452 stands: a stranger who claims to have got more would have us
/// send what our own card refuses.
const DATAGRAM_BYTES_MAX: u16 = 6_550;

/// Most bytes the kernel takes in one call, however many datagrams it cuts them into: an IPv4 packet less its headers.
const SEND_BYTES_MAX: usize = 65_507;

/// Datagrams to hand to the kernel at once. More than it takes would be lost without a word.
#[cfg(unix)]
pub(super) const SEND_DATAGRAMS_MAX: usize = SEND_BYTES_MAX / DATAGRAM_BYTES_MAX as usize;

/// Datagrams of full size that hold whatever the kernel joins into one read, 64 KiB at most. quinn's receive buffer is
/// 32 times this: 2.3 MB; by the number of datagrams that may be joined (64) it would be 13 MB.
#[cfg(unix)]
pub(super) const RECEIVE_DATAGRAMS_MAX: usize = (1usize << 16).div_ceil(DATAGRAM_BYTES_MAX as usize);

/// Kernel buffers of the UDP socket. The usual default of 208 KiB holds fewer than 150 packets; the kernel clamps
/// to net.core.rmem_max and wmem_max.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Whether datagrams above 1,500 bytes may arrive there at all.
fn is_near(peer: IpAddr) -> bool {
    match peer.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn common(peer: IpAddr) -> TransportConfig {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_EVERY_PACKETS)).max_ack_delay(Some(ACK_WITHIN));
    let mut mtu = MtuDiscoveryConfig::default();
    if is_near(peer) {
        mtu.upper_bound(DATAGRAM_BYTES_MAX);
    }
    let mut transport = TransportConfig::default();
    transport
        .mtu_discovery_config(Some(mtu))
        .ack_frequency_config(Some(acks))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        .initial_rtt(INITIAL_RTT)
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().expect("15 s fit")))
        .datagram_receive_buffer_size(None)
        .congestion_controller_factory(Arc::new(TolerantConfig::new(INITIAL_WINDOW)));
    transport
}

/// For a server's connection to an agent at `peer`.
pub(crate) fn of_server(peer: IpAddr) -> TransportConfig {
    let mut transport = common(peer);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(AGENT_STREAMS_MAX))
        // Until it is welcomed a peer may send one greeting; `Link::lift_greeting_limits` comes after that.
        .receive_window(VarInt::from_u32(u32::try_from(GREETING_BYTES_MAX).expect("small") + 1024));
    transport
}

/// For an agent's connection to a server at `peer`.
pub(crate) fn of_agent(peer: IpAddr) -> TransportConfig {
    let mut transport = common(peer);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(SERVER_STREAMS_MAX))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .keep_alive_interval(Some(KEEP_ALIVE));
    transport
}

/// Lets the other side send datagrams as large as ours may become.
pub(crate) fn widen(endpoint: &mut EndpointConfig) {
    endpoint.max_udp_payload_size(DATAGRAM_BYTES_MAX).expect("between 1,200 and 65,527");
}

/// What drives the sockets.
#[cfg(unix)]
pub(crate) fn runtime() -> Arc<dyn Runtime> {
    Arc::new(super::socket::TunnelRuntime)
}

/// What drives the sockets.
#[cfg(not(unix))]
pub(crate) fn runtime() -> Arc<dyn Runtime> {
    Arc::new(quinn::TokioRuntime)
}

/// A UDP socket with large buffers; on `[::]` it takes IPv4 too.
pub(crate) fn socket(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Refusals are no reason to fail: the kernel's own limit then stands.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Receive buffer the kernel granted, in bytes of payload (it reports twice that).
pub(crate) fn granted_buffer_bytes(socket: &UdpSocket) -> usize {
    socket2::SockRef::from(socket).recv_buffer_size().unwrap_or(0) / 2
}

/// What the buffer should at least be.
pub(crate) const SOCKET_BUFFER_BYTES_WANTED: usize = SOCKET_BUFFER_BYTES / 2;
