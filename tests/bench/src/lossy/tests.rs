use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use super::{Conditions, LossyProxy, REORDER_HOLD};

const BOUND: Duration = Duration::from_secs(10);

/// Sends every datagram back to where it came from.
async fn echo() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.expect("a free port")
}

async fn echo_forever(socket: UdpSocket) {
    let mut buffer = [0; 2_048];
    loop {
        let (bytes, from) = socket.recv_from(&mut buffer).await.expect("an echo can read");
        socket.send_to(&buffer[..bytes], from).await.expect("an echo can write");
    }
}

async fn proxied_echo(conditions: Conditions) -> LossyProxy {
    let socket = echo().await;
    let upstream = socket.local_addr().expect("a bound socket has an address");
    tokio::spawn(echo_forever(socket));
    LossyProxy::start(upstream, conditions).expect("a proxy starts")
}

async fn client(proxy: &LossyProxy) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    socket.connect(proxy.addr()).await.expect("loopback is reachable");
    socket
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2_048];
    let bytes = timeout(BOUND, socket.recv(&mut buffer)).await.expect("an answer in time").expect("a read");
    buffer[..bytes].to_vec()
}

/// Waits until the proxy has decided about so many datagrams.
async fn until_decided(proxy: &LossyProxy, count: u64) {
    let reached = async {
        while proxy.forwarded() + proxy.dropped() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(BOUND, reached).await.expect("every datagram is forwarded or dropped");
}

/// Sends numbered datagrams one way, to a socket that does not answer, and returns the numbers that arrived.
async fn one_way(conditions: Conditions, count: u32) -> Vec<u32> {
    let sink = echo().await;
    let proxy =
        LossyProxy::start(sink.local_addr().expect("an address"), conditions).expect("a proxy starts");
    let client = client(&proxy).await;
    let mut buffer = [0; 4];
    let mut arrived = Vec::new();
    let mut sent = 0;
    while sent < count {
        for _ in 0..100 {
            client.send(&sent.to_be_bytes()).await.expect("a send");
            sent += 1;
        }
        // In step with the proxy, so that only what it drops is lost.
        until_decided(&proxy, u64::from(sent)).await;
        while u64::try_from(arrived.len()).expect("a small number") < proxy.forwarded() {
            timeout(BOUND, sink.recv(&mut buffer))
                .await
                .expect("what was forwarded arrives")
                .expect("a read");
            arrived.push(u32::from_be_bytes(buffer));
        }
    }
    arrived
}

#[tokio::test]
async fn a_clear_link_passes_everything_in_order() {
    let arrived = one_way(Conditions::default(), 1_000).await;
    assert_eq!(arrived, (0..1_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn about_as_many_datagrams_are_lost_as_was_asked() {
    let arrived = one_way(Conditions { drop: 0.1, seed: 5, ..Conditions::default() }, 10_000).await;
    assert!((8_850..9_150).contains(&arrived.len()), "{} of 10,000 arrived", arrived.len());
}

#[tokio::test]
async fn the_same_seed_drops_the_same_datagrams() {
    let conditions = Conditions { drop: 0.2, seed: 42, ..Conditions::default() };
    let first = one_way(conditions, 500).await;
    assert_eq!(first, one_way(conditions, 500).await);
    assert_ne!(first, one_way(Conditions { seed: 43, ..conditions }, 500).await);
}

#[tokio::test]
async fn an_answer_takes_at_least_the_delay_of_both_ways() {
    let delay = Duration::from_millis(20);
    let proxy = proxied_echo(Conditions { delay, ..Conditions::default() }).await;
    let client = client(&proxy).await;
    for number in 0..5_u8 {
        let sent_at = Instant::now();
        client.send(&[number]).await.expect("a send");
        assert_eq!(receive(&client).await, [number]);
        let took = sent_at.elapsed();
        assert!(took >= delay * 2, "a round trip took {took:?}");
    }
}

#[tokio::test]
async fn reordering_changes_the_order_and_loses_nothing() {
    assert!(REORDER_HOLD > Duration::ZERO);
    let mut arrived = one_way(Conditions { reorder: 0.2, seed: 3, ..Conditions::default() }, 500).await;
    assert!(!arrived.is_sorted());
    arrived.sort_unstable();
    assert_eq!(arrived, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cut_link_passes_nothing_until_it_is_healed() {
    let proxy = proxied_echo(Conditions::default()).await;
    let client = client(&proxy).await;
    client.send(b"before").await.expect("a send");
    assert_eq!(receive(&client).await, b"before");

    proxy.cut();
    assert!(proxy.is_cut());
    client.send(b"during").await.expect("a send");
    until_decided(&proxy, 3).await;
    assert_eq!((proxy.forwarded(), proxy.dropped()), (2, 1));

    proxy.heal();
    client.send(b"after").await.expect("a send");
    assert_eq!(receive(&client).await, b"after");
    assert_eq!(proxy.dropped(), 1);
}

#[tokio::test]
async fn a_cut_also_loses_what_is_under_way() {
    let proxy = proxied_echo(Conditions { delay: Duration::from_millis(30), ..Conditions::default() }).await;
    let client = client(&proxy).await;
    client.send(b"under way").await.expect("a send");
    proxy.cut();
    until_decided(&proxy, 1).await;
    assert_eq!((proxy.forwarded(), proxy.dropped()), (0, 1));
}

#[tokio::test]
async fn two_clients_are_kept_apart() {
    let upstream = echo().await;
    let proxy = LossyProxy::start(upstream.local_addr().expect("an address"), Conditions::default())
        .expect("a proxy starts");
    let (first, second) = (client(&proxy).await, client(&proxy).await);
    first.send(b"first").await.expect("a send");
    second.send(b"second").await.expect("a send");

    let mut buffer = [0; 64];
    let mut peers = Vec::new();
    for _ in 0..2 {
        let (bytes, from) =
            timeout(BOUND, upstream.recv_from(&mut buffer)).await.expect("both arrive").expect("a read");
        upstream.send_to(&buffer[..bytes], from).await.expect("an answer");
        peers.push(from);
    }
    assert_ne!(peers[0], peers[1]);
    assert_eq!(receive(&first).await, b"first");
    assert_eq!(receive(&second).await, b"second");
}

#[tokio::test]
async fn new_conditions_hold_from_the_next_datagram_on() {
    let proxy = proxied_echo(Conditions::default()).await;
    let client = client(&proxy).await;
    proxy.set(Conditions { drop: 1.0, ..proxy.conditions() });
    client.send(b"lost").await.expect("a send");
    until_decided(&proxy, 1).await;
    assert_eq!((proxy.forwarded(), proxy.dropped()), (0, 1));
    proxy.set(Conditions::default());
    client.send(b"passed").await.expect("a send");
    assert_eq!(receive(&client).await, b"passed");
}

/// A server that restarts on its port leaves the proxy with ICMP errors on a connected socket.
#[tokio::test]
async fn an_upstream_that_comes_back_on_its_port_is_reached_again() {
    let upstream = echo().await;
    let addr = upstream.local_addr().expect("an address");
    let proxy = LossyProxy::start(addr, Conditions::default()).expect("a proxy starts");
    let client = client(&proxy).await;
    client.send(b"one").await.expect("a send");
    until_decided(&proxy, 1).await;
    drop(upstream);
    client.send(b"two").await.expect("a send");
    until_decided(&proxy, 2).await;

    tokio::spawn(echo_forever(UdpSocket::bind(addr).await.expect("the port is free again")));
    client.send(b"three").await.expect("a send");
    assert_eq!(receive(&client).await, b"three");
}

#[tokio::test]
async fn dropping_the_proxy_frees_its_port() {
    let proxy = proxied_echo(Conditions::default()).await;
    let client = client(&proxy).await;
    client.send(b"x").await.expect("a send");
    assert_eq!(receive(&client).await, b"x");
    let addr = proxy.addr();
    drop(proxy);
    let freed = async {
        while UdpSocket::bind(addr).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(BOUND, freed).await.expect("the tasks end and the port is free");
}
