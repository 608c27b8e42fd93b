//! Bad input gets a clear error and costs nobody else.

use std::time::{Duration, Instant};

use link::{Dialer, FrameRecv, Trust};
use protocol::control::{Features, Greeting, Serve, TokenText};
use protocol::frame::FrameKind;
use protocol::handshake::AgentHandshake;
use protocol::id::{AgentId, InstanceId};
use relay_server::model::{Scope, SourceRules};
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::{PATIENCE, Sender, post};
use relay_tests::{App, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A house in which one good source keeps being asked while something bad happens.
async fn good_house(world: &mut World) -> (App, relay_tests::AgentInWorld) {
    let app = App::start(Behaviour::Say(ok("good"))).await;
    let agent = world.agent("good", app.addr()).await;
    (app, agent)
}

async fn nobody_else_pays(world: &World) {
    let asked = Instant::now();
    let answer = world.post("good", b"x").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "good"));
    assert!(asked.elapsed() < Duration::from_secs(2), "a good request took {:?}", asked.elapsed());
}

#[tokio::test]
async fn ambiguous_requests_are_400_and_the_connection_closes() {
    let mut world = World::start().await;
    let (app, _agent) = good_house(&mut world).await;
    let requests: &[&[u8]] = &[
        b"POST /h/good HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /h/good HTTP/1.1\r\n\r\n",
        b"POST /h/good HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /h/good HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /h/good HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /h/good HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"POST /h/good HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"POST /h/good HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST /h/good HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n",
        b"POST /h/good HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
        b"POST /h/good HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
    ];
    for request in requests {
        let mut sender = Sender::to(world.public()).await;
        // What follows must never be taken for a second request.
        sender.say(&[*request, b"GET /h/good/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"].concat()).await;
        let answer = sender.answer().await;
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(request));
        assert_eq!(answer.value("relay-error"), "bad_request");
        assert!(sender.is_closed().await, "{}", String::from_utf8_lossy(request));
    }
    assert!(app.recorded().iter().all(|r| !r.is_whole), "nothing of it reached the app whole");
    nobody_else_pays(&world).await;
    world.end().await;
}

#[tokio::test]
async fn limits_of_a_head_have_their_own_status() {
    let world = World::start().await;
    let cases = [
        (format!("POST /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(20_000)), 414),
        (format!("POST / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(300)), 431),
        (format!("POST / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(80_000)), 431),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n".to_owned(), 413),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
    ];
    for (request, status) in cases {
        let answer = world.exchange(request.as_bytes()).await;
        assert_eq!(answer.status, status, "{}", &request[..40]);
        assert_eq!(!answer.values("allow").is_empty(), status == 405, "{}", answer.head);
    }
}

#[tokio::test]
async fn slow_heads_and_dripped_bodies_are_told_so_and_let_go() {
    let mut world = World::with(|config| {
        config.limits.first_byte_ms = 300;
        config.limits.head_ms = 400;
        config.limits.body_idle_ms = 400;
    })
    .await;
    let (app, _agent) = good_house(&mut world).await;
    let mut silent = Sender::to(world.public()).await;
    let mut head = Sender::to(world.public()).await;
    head.say(b"POST /h/good HTTP/1.1\r\nHo").await;
    let mut body = Sender::to(world.public()).await;
    body.say(b"POST /h/good HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nsome").await;
    let (mut reads, mut drips) =
        tokio::net::TcpStream::connect(world.public()).await.expect("taken").into_split();
    let dripping = tokio::spawn(async move {
        let _ =
            drips.write_all(b"POST /h/good HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        // Never idle for long, and never fast enough.
        while drips.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    nobody_else_pays(&world).await;
    assert!(silent.is_closed().await, "an idle connection is closed without a word");
    let slow_head = head.answer().await;
    assert_eq!((slow_head.status, slow_head.value("relay-error")), (408, "request_too_slow"));
    assert_eq!(body.answer().await.status, 408);
    let mut dripped = [0; 12];
    tokio::time::timeout(PATIENCE, reads.read_exact(&mut dripped)).await.expect("in time").expect("told");
    assert_eq!(&dripped, b"HTTP/1.1 408");
    dripping.abort();
    assert!(app.recorded().iter().all(|r| !r.is_whole || r.body == b"x"));
}

#[tokio::test]
async fn an_answer_that_is_never_read_is_given_up() {
    let mut world = World::with(|config| config.limits.body_idle_ms = 500).await;
    let app = App::start(Behaviour::Say(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n".to_vec(), vec![b'x'; 50_000_000]].concat(),
    ))
    .await;
    let _agent = world.agent("large", app.addr()).await;
    let mut sender = Sender::to(world.public()).await;
    sender.say(&post("/h/large", "", b"")).await;
    app.wait_for(1).await;
    let let_go = async {
        while world.server().metrics().in_flight.get() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), let_go).await.expect("the exchange is let go");
}

async fn stranger(world: &World) -> link::Link {
    let at = world.addresses();
    let pin = at.pin.as_ref().expect("an own key").parse().expect("a pin");
    let dialer = Dialer::new("127.0.0.1".into(), at.tunnel.port(), Trust::Pinned(pin)).expect("a dialer");
    dialer.dial(Duration::from_secs(5)).await.expect("the handshake is free")
}

#[tokio::test]
async fn malformed_greetings_end_the_connection_and_nothing_else() {
    let mut world = World::start().await;
    let (_app, _agent) = good_house(&mut world).await;
    let greetings: &[&[u8]] = &[
        &[0x01, 0xff, 0xff, 0xff, 0xff],
        &[0x01, 4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        &[0x01, 0, 0, 0, 0],
        &[0x20, 3, 0, 0, 0, 1, 2, 3],
        &[0x9f, 1, 0, 0, 0, 1],
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for greeting in greetings {
        let link = stranger(&world).await;
        let (mut send, _recv) = link.open(Duration::from_secs(2)).await.expect("one stream");
        send.write_all(&mut [greeting.to_vec().into()]).await.expect("written");
        let closed =
            tokio::time::timeout(Duration::from_secs(10), link.closed()).await.expect("closed in time");
        assert!(matches!(closed, link::Closed::There { code: 0x01, .. }), "{greeting:?} gave {closed:?}");
        nobody_else_pays(&world).await;
    }
}

#[tokio::test]
async fn a_stranger_that_never_greets_is_let_go() {
    let world = World::start().await;
    let link = stranger(&world).await;
    let closed = tokio::time::timeout(Duration::from_secs(8), link.closed()).await.expect("closed in time");
    assert!(matches!(closed, link::Closed::There { code: 0x14, .. }), "{closed:?}");
}

#[tokio::test]
async fn ten_thousand_half_open_greetings_cost_nobody_else() {
    let mut world = World::start().await;
    let (_app, _agent) = good_house(&mut world).await;
    let before = relay_tests::app::resident_bytes();
    let tunnel = world.addresses().tunnel;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    // Initial packets that look right from outside: version 1, ids of their own, full length; inside is noise.
    for n in 0..10_000u32 {
        let mut packet = vec![0u8; 1200];
        packet[0] = 0xc3;
        packet[1..5].copy_from_slice(&1u32.to_be_bytes());
        packet[5] = 8;
        packet[6..10].copy_from_slice(&n.to_be_bytes());
        packet[14] = 4;
        packet[15..19].copy_from_slice(&n.to_be_bytes());
        packet[19] = 0;
        packet[20..22].copy_from_slice(&0x4492u16.to_be_bytes());
        let _ = socket.send_to(&packet, tunnel).await;
    }
    // And real clients that finish the handshake, open the stream and say half a greeting.
    let mut half_open = Vec::new();
    for _ in 0..100 {
        let link = stranger(&world).await;
        let (mut send, recv) = link.open(Duration::from_secs(2)).await.expect("one stream");
        let _ = send.write_all(&mut [bytes::Bytes::from_static(&[0x01, 200, 0, 0, 0, 1])]).await;
        half_open.push((link, send, recv));
    }
    nobody_else_pays(&world).await;
    let grown = relay_tests::app::resident_bytes().saturating_sub(before) >> 20;
    assert!(grown < 100, "memory grew by {grown} MiB");
    for (link, ..) in half_open {
        let closed = tokio::time::timeout(Duration::from_secs(15), link.closed()).await.expect("let go");
        assert!(matches!(closed, link::Closed::There { .. } | link::Closed::Here), "{closed:?}");
    }
    nobody_else_pays(&world).await;
}

fn serve(source: &str) -> Serve {
    Serve {
        id: 1,
        slug: source.parse().expect("a slug"),
        destination: Default::default(),
        create: true,
        sharing: Default::default(),
        upgrade: false,
        extensions: Default::default(),
    }
}

/// Says hello as agent 66, life 66, and gives the control stream and what was answered.
async fn greet(
    link: &link::Link,
    token: &str,
    attempt: u64,
    serves: Vec<Serve>,
) -> ((link::SendHalf, FrameRecv), FrameKind) {
    let greeting = Greeting {
        version_min: 1,
        version_max: 1,
        features: Features::ALL,
        agent: AgentId(66),
        instance: InstanceId(66),
        attempt,
        token: TokenText(token.to_owned()),
        program: "hostile".into(),
        host: "hostile\r\nhost".into(),
        serves,
        extensions: Default::default(),
    };
    let (mut send, recv) = link.open(Duration::from_secs(2)).await.expect("a stream");
    let (_, bytes) = AgentHandshake::start(greeting);
    send.write_all(&mut [bytes.into()]).await.expect("greeted");
    let mut recv = FrameRecv::new(recv);
    let answer = recv.next_frame().await.expect("an answer").expect("a frame");
    ((send, recv), answer.kind)
}

#[tokio::test]
async fn who_only_knows_an_agents_ids_takes_nothing_over() {
    let mut world = World::start().await;
    let token = world.settings().await.server.token.reveal().to_owned();
    let first = stranger(&world).await;
    let (_control, answer) = greet(&first, &token, 1, vec![serve("mine")]).await;
    assert_eq!(answer, FrameKind::WELCOME);
    // A reader of the API sees the ids of agents.
    for scope in [Scope::Read, Scope::Agent { sources: vec!["other".into()], create: true }] {
        let other = world.token(scope).await;
        let second = stranger(&world).await;
        let (_control, answer) = greet(&second, &other, u64::MAX, Vec::new()).await;
        assert_eq!(answer, FrameKind::REFUSAL);
    }
    assert_eq!(first.close_reason(), None);
    let again = stranger(&world).await;
    let (_control, answer) = greet(&again, &token, 2, vec![serve("mine")]).await;
    assert_eq!(answer, FrameKind::WELCOME, "the agent itself may");
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_an_ordinary_request() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Echo).await;
    world.source("ws", SourceRules { upgrade: true, ..SourceRules::default() }).await;
    let _agent = world.agent("ws", app.addr()).await;
    let hidden = "GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let request = format!(
        "GET /h/ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    assert_eq!(world.exchange(request.as_bytes()).await.text(), hidden, "its body is its body");
    assert_eq!(world.post("ws", b"next").await.text(), "next");
    let seen = app.wait_for(2).await;
    assert!(seen[0].values("upgrade").is_empty() && seen.len() == 2, "{seen:?}");
}

#[tokio::test]
async fn a_hostile_agent_cannot_split_or_smuggle_an_answer() {
    let mut world = World::start().await;
    let settings = world.settings().await;
    let link = stranger(&world).await;
    // An agent of our own making that answers every request with what the test says.
    let (_control, answer) = greet(&link, settings.server.token.reveal(), 1, vec![serve("evil")]).await;
    assert_eq!(answer, FrameKind::WELCOME);

    let head = |fields: &[(&str, &str)], status: u16, body| {
        let mut headers = protocol::field::HeaderBlock::default();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes()).expect("valid apart");
        }
        let mut bytes = Vec::new();
        protocol::head::ResponseHead {
            status,
            reason: b"OK".to_vec(),
            headers,
            body,
            timing: Default::default(),
            extensions: Default::default(),
        }
        .write(&mut bytes);
        bytes
    };
    use protocol::field::BodyFraming::{Chunked, Length, None as Nothing};
    let mut injected = head(&[("X-A", "AAAAAAAAAAAAAAAAA")], 200, Chunked);
    let at = injected.windows(4).position(|w| w == b"AAAA").expect("there");
    injected[at..at + 17].copy_from_slice(b"\r\nSet-Cookie: a=1");
    let answers = [
        injected,
        head(&[("Content-Length", "5"), ("Content-Length", "7")], 200, Length(5)),
        head(&[("Content-Length", "5"), ("Transfer-Encoding", "chunked")], 200, Chunked),
        head(&[("Content-Length", "50")], 200, Length(5)),
        head(&[("Content-Length", "50")], 200, Nothing),
        head(&[], 99, Chunked),
        head(&[], 777, Chunked),
        head(&[("Upgrade", "websocket"), ("Connection", "upgrade")], 101, Chunked),
        vec![0x21, 0xff, 0xff, 0xff, 0x7f],
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
    ];
    for answer in answers {
        let mut sender = Sender::to(world.public()).await;
        sender.say(&post("/h/evil", "", b"x")).await;
        let (mut send, _recv) = link.accept().await.expect("a request");
        send.write_all(&mut [answer.clone().into()]).await.expect("written");
        let got = sender.answer().await;
        assert_eq!((got.status, got.value("relay-error")), (502, "app_broke"), "{answer:?}");
        assert!(!got.head.to_lowercase().contains("cookie"));
    }
}
