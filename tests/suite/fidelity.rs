//! What a sender writes is what the app gets, and what the app answers is what the sender gets.

use std::time::Duration;

use relay_server::model::SourceRules;
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::post;
use relay_tests::{App, Sender, World};

/// Fields the relay adds or replaces; everything else must arrive as it was sent.
const OURS: [&str; 6] =
    ["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "relay-event-id", "relay-attempt"];

fn foreign(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let is_ours = |name: &[u8]| OURS.iter().any(|o| name.eq_ignore_ascii_case(o.as_bytes()));
    fields.iter().filter(|(name, _)| !is_ours(name)).cloned().collect()
}

async fn house(behaviour: Behaviour) -> (World, App, relay_tests::AgentInWorld) {
    let mut world = World::start().await;
    let app = App::start(behaviour).await;
    let agent = world.agent("hook", app.addr()).await;
    (world, app, agent)
}

#[tokio::test]
async fn header_fields_arrive_in_order_with_duplicates_case_and_bytes() {
    let (world, app, _agent) = house(Behaviour::Say(ok(""))).await;
    let lines: &[(&[u8], &[u8])] = &[
        (b"X-Multi", b"one"),
        (b"x-other", b"  inner  space "),
        (b"X-MULTI", b"two"),
        (b"X-Empty", b""),
        (b"X-Latin", b"caf\xe9 \xff\x80"),
        (b"Content-Type", b"application/json; charset=\"utf-8\""),
        (b"x_underscore", b"kept"),
        (b"X-Hub-Signature-256", b"sha256=abc"),
        (b"X-Multi", b"three"),
        (b"Content-Length", b"3"),
    ];
    let mut request = b"POST /h/hook HTTP/1.1\r\nHost: relay.test\r\n".to_vec();
    for (name, value) in lines {
        request.extend([*name, b": ", *value, b"\r\n"].concat());
    }
    request.extend(b"\r\nabc");
    assert_eq!(world.exchange(&request).await.status, 200);
    let seen = foreign(&app.only().await.fields);
    let trim = |v: &[u8]| v.trim_ascii().to_vec();
    let expected: Vec<_> = lines.iter().map(|(n, v)| (n.to_vec(), trim(v))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_target_reaches_the_app_without_any_normalisation() {
    let (world, app, _agent) = house(Behaviour::Say(ok(""))).await;
    let targets: &[&[u8]] = &[
        b"/a//b/./c/../d",
        b"/%2e%2e/%00%zz%2F",
        b"/x?a=1&a=2&b=%20+&&=?x#frag",
        b"?only=query",
        b"/caf\xc3\xa9/\xff",
        b"/|\"^<>`{}\\;,@:!$'()*",
        b"/",
    ];
    for target in targets {
        let request =
            [b"POST /h/hook", *target, b" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"].concat();
        assert_eq!(world.exchange(&request).await.status, 200, "{}", String::from_utf8_lossy(target));
    }
    let seen: Vec<Vec<u8>> = app.wait_for(targets.len()).await.into_iter().map(|r| r.line).collect();
    for (line, target) in seen.iter().zip(targets) {
        let path = if target.starts_with(b"?") { [b"/", *target].concat() } else { target.to_vec() };
        assert_eq!(*line, [b"POST ", path.as_slice(), b" HTTP/1.1"].concat());
    }
}

#[tokio::test]
async fn bodies_of_every_kind_arrive_as_they_were_sent() {
    let (world, _app, _agent) = house(Behaviour::Echo).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..5_000_000u32).map(|n| n.to_le_bytes()[(n % 4) as usize]).collect();
    for body in [&b""[..], b"x", &every_byte, b"\r\n\r\n0\r\n\r\n", &large] {
        let answer = world.post("hook", body).await;
        assert_eq!((answer.status, answer.is_whole), (200, true));
        assert!(answer.body == body, "{} bytes came back changed", body.len());
    }
}

#[tokio::test]
async fn a_length_stays_a_length_and_chunked_stays_chunked() {
    let (world, app, _agent) = house(Behaviour::Say(ok(""))).await;
    world.post("hook", b"abc").await;
    let chunked = b"POST /h/hook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
        3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n";
    assert_eq!(world.exchange(chunked).await.status, 200);
    let [plain, chunked] = app.wait_for(2).await.try_into().expect("two requests");
    assert_eq!(
        (plain.values("content-length"), plain.values("transfer-encoding")),
        (vec!["3".into()], vec![])
    );
    assert_eq!(chunked.values("transfer-encoding"), ["chunked"]);
    assert!(chunked.values("content-length").is_empty());
    assert_eq!((chunked.body.as_slice(), chunked.is_whole), (&b"abcdefg"[..], true));
    assert_eq!(String::from_utf8_lossy(&chunked.trailers).to_lowercase(), "x-sum: 7\n");
}

#[tokio::test]
async fn what_concerns_one_connection_or_pretends_to_be_ours_is_not_forwarded() {
    let (world, app, _agent) = house(Behaviour::Say(ok(""))).await;
    let lines = "Connection: X-Drop-Me, Content-Length\r\nX-Drop-Me: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n\
        Proxy-Authorization: Basic x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nX-Forwarded-For: 6.6.6.6\r\n\
        Relay-Event-Id: evt_fake\r\nrelay-replay: 1\r\nForwarded: for=evil\r\nX-Kept: yes\r\n";
    assert_eq!(world.exchange(&post("/h/hook", lines, b"abc")).await.status, 200);
    let request = app.only().await;
    let names: Vec<String> =
        foreign(&request.fields).iter().map(|(n, _)| String::from_utf8_lossy(n).into_owned()).collect();
    assert_eq!(names, ["X-Kept", "Content-Length"]);
    assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.values("x-forwarded-host"), ["relay.test"]);
    assert_eq!(request.values("x-forwarded-proto"), ["http"]);
    assert!(
        request.values("relay-event-id")[0].starts_with("evt_")
            && request.values("relay-event-id").len() == 1
    );
    assert_eq!(request.values("host"), [app.addr().to_string()], "dev servers refuse strangers");
}

#[tokio::test]
async fn the_apps_answer_comes_back_letter_for_letter() {
    let answer = b"HTTP/1.1 418 I'm a teapot, really\r\nX-One: 1\r\nSet-Cookie: a=1; Path=/\r\nx-two:  2 \r\n\
        SET-COOKIE: b=2\r\nContent-Length: 4\r\nX-Latin: \xe9\r\nRelay-Error: fake\r\nConnection: keep-alive, X-Gone\r\n\
        X-Gone: 1\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\n\r\nteap";
    let (world, _app, _agent) = house(Behaviour::Say(answer.to_vec())).await;
    let got = world.post("hook", b"").await;
    let lines: Vec<&str> = got.head.lines().collect();
    assert_eq!(
        lines[..8],
        [
            "HTTP/1.1 418 I'm a teapot, really",
            "X-One: 1",
            "Set-Cookie: a=1; Path=/",
            "x-two: 2",
            "SET-COOKIE: b=2",
            "Content-Length: 4",
            "X-Latin: \u{fffd}",
            "Date: Mon, 01 Jan 2001 00:00:00 GMT",
        ]
    );
    assert!(lines[8].starts_with("Relay-Event-Id: evt_") && lines.len() == 9, "{lines:#?}");
    assert_eq!(got.text(), "teap");
}

#[tokio::test]
async fn answers_without_a_body_stay_without_one() {
    let (world, app, _agent) = house(Behaviour::Say(ok(""))).await;
    for (method, raw, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", Some("1234")),
        ("HEAD", "HTTP/1.1 200 OK\r\nX: 1\r\n\r\n", None),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n", Some("99")),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Some("0")),
    ] {
        app.behave(Behaviour::Say(raw.as_bytes().to_vec()));
        let mut sender = Sender::to(world.public()).await;
        sender.say(format!("{method} /h/hook HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
        let answer = sender.answer_to(method == "HEAD").await;
        assert_eq!(answer.values("content-length"), length.into_iter().collect::<Vec<_>>(), "{method} {raw}");
        assert!(answer.values("transfer-encoding").is_empty(), "{method} {raw}");
        // The connection goes on: nothing was left on it.
        app.behave(Behaviour::Say(ok("next")));
        sender.say(&post("/h/hook", "", b"")).await;
        assert_eq!(sender.answer().await.text(), "next", "after {method} {raw}");
    }
}

#[tokio::test]
async fn chunked_answers_and_their_trailers_come_back() {
    let (world, app, _agent) = house(Behaviour::Echo).await;
    let mut sender = Sender::to(world.public()).await;
    for announced in ["Trailer: X-Sum\r\n", ""] {
        let raw = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{announced}\r\n3\r\nabc\r\n2\r\nde\r\n\
             0\r\nX-Sum: 5\r\nX-Sum: 6\r\nContent-Length: 9\r\n\r\n"
        );
        app.behave(Behaviour::Say(raw.into_bytes()));
        sender.say(&post("/h/hook", "TE: trailers\r\nConnection: TE\r\n", b"")).await;
        let answer = sender.answer().await;
        assert_eq!((answer.text().as_str(), answer.is_whole), ("abcde", true));
        assert_eq!(answer.value("transfer-encoding"), "chunked");
        assert_eq!(answer.trailers.to_lowercase(), "x-sum: 5\nx-sum: 6\n", "announced by {announced:?}");
        // The connection goes on: nothing was left on it.
        app.behave(Behaviour::Say(ok("next")));
        sender.say(&post("/h/hook", "", b"")).await;
        assert_eq!(sender.answer().await.text(), "next");
    }
}

#[tokio::test]
async fn trailers_of_a_request_reach_the_app_announced_or_not() {
    let (world, app, _agent) = house(Behaviour::Say(ok(""))).await;
    for (at, announced) in ["Trailer: X-Sum\r\n", ""].into_iter().enumerate() {
        let request = format!(
            "POST /h/hook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{announced}\r\n\
             3\r\nabc\r\n0\r\nX-Sum: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        assert_eq!(world.exchange(request.as_bytes()).await.status, 200);
        let seen = &app.wait_for(at + 1).await[at];
        assert_eq!((seen.body.as_slice(), seen.is_whole), (&b"abc"[..], true));
        assert_eq!(String::from_utf8_lossy(&seen.trailers).to_lowercase(), "x-sum: 5\n", "{announced:?}");
    }
}

#[tokio::test]
async fn answers_to_requests_in_a_row_keep_their_own_heads() {
    let (world, _app, _agent) = house(Behaviour::Say(ok("here"))).await;
    let mut sender = Sender::to(world.public()).await;
    let missing = b"GET /h/nobody HTTP/1.1\r\nHost: a\r\n\r\n";
    let found = b"GET /h/hook HTTP/1.1\r\nHost: a\r\n\r\n";
    sender.say(&[&missing[..], found, missing, missing, found].concat()).await;
    for status in [404, 200, 404, 404, 200] {
        let answer = sender.answer().await;
        assert_eq!((answer.status, answer.is_whole), (status, true), "{}", answer.head);
        assert!(!answer.head.lines().next().is_some_and(|line| line.contains(" R")), "{}", answer.head);
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole_for_the_sender() {
    let raw = b"HTTP/1.0 200 OK\r\nX: 1\r\n\r\nold but gold".to_vec();
    let (world, _app, _agent) = house(Behaviour::Drip(vec![(Duration::ZERO, raw)])).await;
    let answer = world.post("hook", b"").await;
    assert_eq!((answer.text().as_str(), answer.is_whole), ("old but gold", true));
}

#[tokio::test]
async fn expect_100_continue_is_answered_here() {
    let (world, app, _agent) = house(Behaviour::Echo).await;
    let mut sender = Sender::to(world.public()).await;
    sender
        .say(b"POST /h/hook HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    assert_eq!(sender.head().await.status, 100);
    sender.say(b"hello").await;
    assert_eq!(sender.answer().await.text(), "hello");
    assert!(app.only().await.values("expect").is_empty());
}

#[tokio::test]
async fn a_refused_sender_is_not_asked_for_its_body() {
    let world = World::start().await;
    let mut sender = Sender::to(world.public()).await;
    sender
        .say(b"POST /h/nobody HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    assert_eq!(sender.head().await.status, 404);
}

#[tokio::test]
async fn an_early_answer_comes_while_the_body_is_still_on_its_way() {
    let (world, _app, _agent) = house(Behaviour::AnswerEarly(ok("early"))).await;
    let mut sender = Sender::to(world.public()).await;
    sender.say(b"POST /h/hook HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf.").await;
    let answer = sender.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "early"));
}

#[tokio::test]
async fn server_sent_events_pass_one_by_one() {
    let event = |n: u32| (Duration::from_millis(150), format!("data: {n}\n\n").into_bytes());
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_vec();
    let pieces = vec![(Duration::ZERO, head), event(1), event(2), event(3)];
    let (world, _app, _agent) = house(Behaviour::Drip(pieces)).await;
    let mut sender = Sender::to(world.public()).await;
    sender.say(b"GET /h/hook HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(sender.head().await.status, 200);
    for n in 1..=3 {
        let piece = String::from_utf8(sender.some().await).expect("text");
        assert!(piece.contains(&format!("data: {n}\n\n")), "event {n} alone, got {piece:?}");
        assert!(!piece.contains(&format!("data: {}\n\n", n + 1)), "events were held back");
    }
}

#[tokio::test]
async fn a_websocket_switches_where_the_source_allows_it_and_only_there() {
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let mut world = World::start().await;
    let app = App::start(Behaviour::SwitchAndEcho(switch.to_vec())).await;
    world.source("ws", SourceRules { upgrade: true, ..SourceRules::default() }).await;
    let _agent = world.agent("ws", app.addr()).await;
    let ask = |name: &str| {
        format!(
            "GET /h/{name}/chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: abc\r\n\r\n"
        )
    };
    let mut sender = Sender::to(world.public()).await;
    sender.say(ask("ws").as_bytes()).await;
    let answer = sender.head().await;
    assert_eq!(
        (answer.status, answer.value("upgrade"), answer.value("sec-websocket-accept")),
        (101, "websocket", "x")
    );
    for frame in [&b"\x81\x03abc"[..], b"\x00\xff\r\n\r\n", &[7; 40_000]] {
        sender.say(frame).await;
        let mut echoed = Vec::new();
        while echoed.len() < frame.len() {
            echoed.extend(sender.some().await);
        }
        assert!(echoed == frame, "frames pass as they are");
    }
    sender.hang_up().await;
    let request = app.only().await;
    assert_eq!(
        (request.values("upgrade"), request.values("connection")),
        (vec!["websocket".into()], vec!["keep-alive, Upgrade".into()])
    );

    let plain = App::start(Behaviour::Say(ok("no"))).await;
    let _agent = world.agent("plain", plain.addr()).await;
    assert_eq!(world.exchange(ask("plain").as_bytes()).await.text(), "no");
    assert!(plain.only().await.values("upgrade").is_empty(), "not forwarded where it is not allowed");
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let (world, app, _agent) = house(Behaviour::Echo).await;
    let mut sender = Sender::to(world.public()).await;
    let pipelined: Vec<u8> =
        (0..20).flat_map(|n| post("/h/hook", "", format!("body {n}").as_bytes())).collect();
    sender.say(&pipelined).await;
    for n in 0..20 {
        assert_eq!(sender.answer().await.text(), format!("body {n}"));
    }
    assert_eq!(app.recorded().len(), 20);
}

#[tokio::test]
async fn a_sender_that_hangs_up_half_way_leaves_the_app_with_a_broken_request() {
    let (world, app, _agent) = house(Behaviour::Say(ok(""))).await;
    let mut sender = Sender::to(world.public()).await;
    sender.say(b"POST /h/hook HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nonly this").await;
    sender.say(&[b'x'; 70_000]).await;
    // The request is under way once the app has its connection.
    while app.connections() == 0 {
        tokio::task::yield_now().await;
    }
    sender.hang_up().await;
    let request = app.only().await;
    assert!(!request.is_whole, "never a short complete one");
}

#[tokio::test]
async fn an_app_that_was_asked_in_full_may_finish_when_its_sender_leaves() {
    let (world, app, _agent) = house(Behaviour::Slow(Duration::from_millis(400), ok("late"))).await;
    let mut sender = Sender::to(world.public()).await;
    sender.say(&post("/h/hook", "", b"do it")).await;
    app.wait_for(1).await;
    sender.hang_up().await;
    let project = world.project();
    let outcome = async {
        loop {
            let filter = relay_server::store::EventFilter {
                project,
                sources: None,
                before: None,
                limit: 10,
                only: Default::default(),
            };
            if let [event] = &world.server().store().events(filter).await.expect("events").events[..] {
                return (event.status, event.outcome);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(10), outcome).await.expect("recorded");
    assert_eq!(seen, (200, relay_server::store::OutcomeKind::Answered));
}

#[tokio::test]
async fn a_gigabyte_passes_at_flat_memory() {
    const BYTES: u64 = 1 << 30;
    let mut world = World::with(|config| config.limits.body_bytes_max = BYTES).await;
    let sink = relay_tests::app::Sink::start().await;
    let _agent = world.agent("big", sink.addr()).await;
    let before = relay_tests::app::resident_bytes();
    let mut sender = Sender::to(world.public()).await;
    sender
        .say(format!("POST /h/big HTTP/1.1\r\nHost: a\r\nContent-Length: {BYTES}\r\n\r\n").as_bytes())
        .await;
    let piece = vec![b'g'; 1 << 20];
    let mut peak = 0;
    for _ in 0..BYTES / (1 << 20) {
        sender.say(&piece).await;
        peak = peak.max(relay_tests::app::resident_bytes());
    }
    assert_eq!(sender.answer().await.text(), BYTES.to_string(), "the app counted every byte");
    let grown = peak.saturating_sub(before) >> 20;
    // Windows of 8 MiB each way and socket buffers; the other tests of this process need theirs meanwhile.
    assert!(grown < 400, "memory grew by {grown} MiB");
}

#[tokio::test]
async fn a_sender_of_the_old_kind_gets_the_apps_answer_too() {
    let (world, app, _agent) = house(Behaviour::Say(ok("for the old"))).await;
    let answer = world.exchange(b"POST /h/hook HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi").await;
    assert!(answer.head.starts_with("HTTP/1.0 200 OK\r\n"), "{}", answer.head);
    assert!(answer.value("relay-event-id").starts_with("evt_"));
    assert_eq!((answer.text().as_str(), app.only().await.body.as_slice()), ("for the old", &b"hi"[..]));
    app.behave(Behaviour::Say(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec(),
    ));
    let answer = world.exchange(b"GET /h/hook HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.text().as_str(), answer.values("transfer-encoding").len()), ("abc", 0));
    let refused = world.exchange(b"GET /h/nobody HTTP/1.0\r\n\r\n").await;
    assert_eq!((refused.status, refused.value("relay-error")), (404, "source_not_found"));
}
