//! The bytes of every message, frozen. A change here is a change of the protocol: old peers will not follow.

use relay_protocol::codec::Extensions;
use relay_protocol::control::{
    BacklogWish, Control, Features, Greeting, RefusalCode, Serve, ServeError, Served, Sharing, TokenText,
    Welcome,
};
use relay_protocol::field::{BodyFraming, HeaderBlock};
use relay_protocol::frame::{Frame, FrameReader};
use relay_protocol::handshake::refusal;
use relay_protocol::head::{
    Failure, FailureKind, RequestFlags, RequestHead, Response, ResponseHead, Sent, Timing,
};
use relay_protocol::id::{AgentId, DestinationName, EventId, InstanceId, SessionId};

const GOLDEN: &str = include_str!("golden/v1.txt");

fn block(fields: &[(&str, &str)]) -> HeaderBlock {
    let mut block = HeaderBlock::default();
    for (name, value) in fields {
        block.push(name.as_bytes(), value.as_bytes()).expect("valid field");
    }
    block
}

fn serve() -> Serve {
    Serve {
        id: 1,
        slug: "github".parse().expect("valid"),
        destination: DestinationName::default(),
        create: true,
        sharing: Sharing::Broadcast,
        upgrade: true,
        extensions: Extensions(vec![(7, vec![1, 2, 3])]),
    }
}

fn plain_serve() -> Serve {
    Serve { extensions: Extensions::default(), ..serve() }
}

fn served(ok: bool) -> Served {
    let error = ServeError { code: "name_taken".into(), text: "taken".into() };
    Served {
        id: 1,
        result: if ok { Ok("https://relay.example/h/github".into()) } else { Err(error) },
        extensions: Extensions::default(),
    }
}

fn controls() -> Vec<(&'static str, Control)> {
    vec![
        (
            "greeting",
            Control::Greeting(Box::new(Greeting {
                version_min: 1,
                version_max: 3,
                features: Features::ALL,
                agent: AgentId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
                instance: InstanceId(u128::MAX),
                attempt: 300,
                token: TokenText("rt_secret".into()),
                program: "relay-agent 0.1.0".into(),
                host: "laptop".into(),
                serves: vec![serve()],
                extensions: Extensions::default(),
            })),
        ),
        (
            "welcome",
            Control::Welcome(Box::new(Welcome {
                version: 1,
                features: Features::API,
                session: SessionId(5),
                epoch: 70_000,
                program: "relay-server 0.1.0".into(),
                unix_ms: 1_790_000_000_000,
                body_bytes_max: 26_214_400,
                served: vec![served(true), served(false)],
                extensions: Extensions(vec![(1, vec![])]),
            })),
        ),
        ("refusal", Control::Refusal(refusal(RefusalCode::TOKEN, "unknown token".into(), Some(1500)))),
        ("ping", Control::Ping(1 << 40)),
        ("pong", Control::Pong(0)),
        ("serve", Control::Serve(Box::new(serve()))),
        ("served", Control::Served(served(true))),
        ("unserve", Control::Unserve(9)),
        ("drain", Control::Drain(250)),
        ("notice", Control::Notice("hello".into())),
        ("serve_hold", Control::Serve(Box::new(plain_serve().with_backlog(BacklogWish::Hold)))),
        ("serve_release", Control::Serve(Box::new(plain_serve().with_backlog(BacklogWish::Release)))),
        ("served_waiting", Control::Served(served(true).with_waiting(1234))),
    ]
}

fn request() -> RequestHead {
    RequestHead {
        event: EventId::from_parts(1_790_000_000_000 << 20, 99),
        attempt: 1,
        serve: 1,
        flags: RequestFlags::REPLAY.with(RequestFlags::CANCEL_WITH_SENDER),
        patience_ms: 30_000,
        method: "POST".into(),
        target: b"/h/github/a%2Fb//c?x=1&x=2".to_vec(),
        mount: 9,
        headers: block(&[
            ("Host", "relay.example"),
            ("Content-Length", "5"),
            ("X-Twice", "a"),
            ("x-twice", "b"),
        ]),
        body: BodyFraming::Length(5),
        extensions: Extensions::default(),
    }
}

fn responses() -> Vec<(&'static str, Response)> {
    let head = ResponseHead {
        status: 200,
        reason: b"OK".to_vec(),
        headers: block(&[("Transfer-Encoding", "chunked"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]),
        body: BodyFraming::Chunked,
        timing: Timing { connect_us: 80, app_us: 1200 },
        extensions: Extensions::default(),
    };
    let interim = ResponseHead {
        status: 103,
        body: BodyFraming::None,
        headers: HeaderBlock::default(),
        ..head.clone()
    };
    let failure = Failure {
        kind: FailureKind::APP_REFUSED,
        sent: Sent::No,
        text: "nothing listens".into(),
        timing: Timing::default(),
        extensions: Extensions::default(),
    };
    vec![
        ("response", Response::Head(head)),
        ("interim", Response::Interim(interim)),
        ("failure", Response::Failure(failure)),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect()
}

fn encoded() -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<_> = controls().into_iter().map(|(name, message)| (name, message.to_bytes())).collect();
    let mut bytes = Vec::new();
    request().write(&mut bytes);
    all.push(("request", bytes));
    for (name, response) in responses() {
        let mut bytes = Vec::new();
        match response {
            Response::Head(head) | Response::Interim(head) => head.write(&mut bytes),
            Response::Failure(failure) => failure.write(&mut bytes),
        }
        all.push((name, bytes));
    }
    all
}

fn golden_frame(name: &str) -> Frame {
    let line = GOLDEN.lines().find_map(|l| l.split_once(' ').filter(|(n, _)| *n == name));
    let (_, text) = line.unwrap_or_else(|| panic!("no golden bytes for {name}"));
    let mut reader = FrameReader::default();
    reader.push(unhex(text).into());
    reader.next_frame().expect("a frame").expect("whole")
}

#[test]
fn every_message_is_written_as_it_always_was() {
    let now: String = encoded().iter().map(|(name, bytes)| format!("{name} {}\n", hex(bytes))).collect();
    assert_eq!(now, GOLDEN, "the wire changed; if that is meant, it is a new protocol version");
}

#[test]
fn every_message_ever_written_is_still_understood() {
    for (name, message) in controls() {
        assert_eq!(Control::read(&golden_frame(name)).expect(name), Some(message), "{name}");
    }
    assert_eq!(RequestHead::read(&golden_frame("request")).expect("request"), request());
    for (name, response) in responses() {
        assert_eq!(Response::read(&golden_frame(name)).expect(name), response, "{name}");
    }
}

#[test]
fn what_a_peer_says_of_a_backlog_is_understood_or_skipped() {
    for backlog in [BacklogWish::Take, BacklogWish::Hold, BacklogWish::Release] {
        assert_eq!(plain_serve().with_backlog(backlog).backlog(), backlog);
    }
    for value in [vec![], vec![9], vec![1, 1]] {
        let later = Serve { extensions: Extensions(vec![(1, value.clone())]), ..serve() };
        assert_eq!(later.backlog(), BacklogWish::Take, "{value:?}");
    }
    for count in [0, 12, 100_000] {
        assert_eq!(served(true).with_waiting(count).waiting(), Some(count));
    }
    for value in [vec![], vec![251], vec![1, 1]] {
        let odd = Served { extensions: Extensions(vec![(1, value.clone())]), ..served(true) };
        assert_eq!(odd.waiting(), None, "{value:?}");
    }
    assert_eq!(served(true).waiting(), None, "a server that does not say");
}

#[test]
fn a_token_does_not_show_in_debug_output() {
    let (_, greeting) = controls().remove(0);
    assert!(!format!("{greeting:?}").contains("rt_secret"));
}
