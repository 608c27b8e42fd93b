//! Any bytes in: an error or a message, never a panic, never more memory than the cap.

use bytes::Bytes;
use proptest::prelude::*;
use relay_protocol::body::{BodyPart, BodyReader, BodyWriter};
use relay_protocol::codec::Extensions;
use relay_protocol::control::{Control, Features, Greeting, TokenText};
use relay_protocol::field::{BodyFraming, HeaderBlock};
use relay_protocol::frame::{Frame, FrameKind, FrameReader};
use relay_protocol::handshake::{AgentHandshake, Answer, ServerHandshake, VERSION_MAX};
use relay_protocol::head::{RequestFlags, RequestHead, Response, ResponseHead, Timing};
use relay_protocol::id::{AgentId, EventId, InstanceId};
use relay_protocol::limits::HEAD_FRAME_BYTES_MAX;

fn read_everything(frame: &Frame) {
    let _ = Control::read(frame);
    let _ = RequestHead::read(frame);
    let _ = Response::read(frame);
    let _ = ServerHandshake::default().on_frame(frame);
}

fn greeting(version_min: u16, version_max: u16) -> Greeting {
    Greeting {
        version_min,
        version_max,
        features: Features(u64::MAX),
        agent: AgentId(1),
        instance: InstanceId(2),
        attempt: 1,
        token: TokenText("t".into()),
        program: String::new(),
        host: String::new(),
        serves: Vec::new(),
        extensions: Extensions(vec![(0xffff, b"from the future".to_vec())]),
    }
}

fn one_frame(bytes: Vec<u8>) -> Frame {
    let mut reader = FrameReader::default();
    reader.push(bytes.into());
    reader.next_frame().expect("valid").expect("whole")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(kind: u8, payload in prop::collection::vec(any::<u8>(), 0..600)) {
        read_everything(&Frame { kind: FrameKind(kind), payload: payload.clone().into() });
        let _ = HeaderBlock::from_bytes(payload.clone());
        let mut reader = FrameReader::default();
        reader.push(payload.into());
        while let Ok(Some(frame)) = reader.next_frame() {
            read_everything(&frame);
        }
    }

    #[test]
    fn valid_messages_with_flipped_bytes_never_panic(at in 0usize..400, bits in 1u8..=255) {
        let mut bytes = Vec::new();
        let mut headers = HeaderBlock::default();
        headers.push(b"X-Long", &[b'v'; 200]).expect("valid");
        RequestHead {
            event: EventId(3), attempt: 1, serve: 1, flags: RequestFlags::default(), patience_ms: 1,
            method: "POST".into(), target: b"/x".to_vec(), mount: 0, headers, body: BodyFraming::Chunked,
            extensions: Extensions::default(),
        }.write(&mut bytes);
        let at = 5 + at % (bytes.len() - 5);
        bytes[at] ^= bits;
        let frame = one_frame(bytes);
        if let Ok(head) = RequestHead::read(&frame) {
            // What still reads is still safe to write to an app.
            for (name, value) in &head.headers {
                prop_assert!(!name.iter().chain(value).any(|b| matches!(b, b'\r' | b'\n' | 0)));
            }
            prop_assert!(!head.target.iter().any(u8::is_ascii_whitespace));
        }
        read_everything(&frame);
    }

    #[test]
    fn body_bytes_never_panic_and_never_end_by_accident(
        wire in prop::collection::vec(any::<u8>(), 0..300), length in 0u64..400, chunked: bool,
    ) {
        let framing = if chunked { BodyFraming::Chunked } else { BodyFraming::Length(length) };
        let mut reader = BodyReader::new(framing);
        let mut seen = 0;
        reader.push(wire.clone().into());
        while let Ok(Some(part)) = reader.next_part() {
            if let BodyPart::Data(data) = part { seen += data.len() as u64 }
        }
        if !chunked {
            prop_assert!(seen <= length);
            prop_assert_eq!(reader.is_done(), wire.len() as u64 >= length);
        }
    }

    #[test]
    fn what_is_written_reads_back(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..20), cut in 1usize..5000) {
        let mut writer = BodyWriter::new(BodyFraming::Chunked);
        let mut out = Vec::new();
        for piece in &pieces {
            writer.data(Bytes::from(piece.clone()), &mut out).expect("chunked takes any length");
        }
        writer.end(&HeaderBlock::default(), &mut out).expect("chunked can always end");
        let wire = out.concat();
        let mut reader = BodyReader::new(BodyFraming::Chunked);
        let mut body = Vec::new();
        for bytes in wire.chunks(cut) {
            reader.push(Bytes::copy_from_slice(bytes));
            while let Some(part) = reader.next_part().expect("own bytes") {
                if let BodyPart::Data(data) = part { body.extend_from_slice(&data) }
            }
        }
        prop_assert!(reader.finish().is_ok());
        prop_assert_eq!(body, pieces.concat());
    }
}

#[test]
fn a_claimed_length_costs_nothing() {
    // A valid varint length of 2^60 where a byte vector starts: refused by the limit, not by the allocator.
    let mut payload = vec![0; 16];
    payload.extend_from_slice(&[253, 0, 0, 0, 0, 0, 0, 0, 16]);
    read_everything(&Frame { kind: FrameKind::NOTICE, payload: payload.clone().into() });
    for kind in 0..=255 {
        for start in 0..payload.len() {
            read_everything(&Frame { kind: FrameKind(kind), payload: payload[start..].to_vec().into() });
        }
    }
}

#[test]
fn a_head_at_its_caps_still_fits_its_frame() {
    let mut headers = HeaderBlock::default();
    for _ in 0..256 {
        headers.push(b"n", &[b'v'; 250]).expect("within caps");
    }
    let head = RequestHead {
        event: EventId(1),
        attempt: 1,
        serve: 1,
        flags: RequestFlags::default(),
        patience_ms: 1,
        method: "M".repeat(32),
        target: vec![b'/'; 16 * 1024],
        mount: 16 * 1024,
        headers,
        body: BodyFraming::None,
        extensions: Extensions::default(),
    };
    let mut bytes = Vec::new();
    head.write(&mut bytes);
    assert!(bytes.len() <= HEAD_FRAME_BYTES_MAX);
    assert_eq!(RequestHead::read(&one_frame(bytes)).expect("within caps"), head);
}

#[test]
fn a_response_that_could_split_is_refused() {
    let base = ResponseHead {
        status: 200,
        reason: b"OK".to_vec(),
        headers: HeaderBlock::default(),
        body: BodyFraming::Length(5),
        timing: Timing::default(),
        extensions: Extensions::default(),
    };
    let with = |change: &dyn Fn(&mut ResponseHead)| {
        let mut head = base.clone();
        change(&mut head);
        let mut bytes = Vec::new();
        head.write(&mut bytes);
        Response::read(&one_frame(bytes)).is_err()
    };
    assert!(with(&|h| h.status = 42));
    assert!(with(&|h| h.status = 700));
    assert!(with(&|h| h.reason = b"OK\r\nX-Injected: 1".to_vec()));
    assert!(with(&|h| h.headers.push(b"Content-Length", b"6").expect("valid")), "declares 5, says 6");
    assert!(with(&|_| ()), "a declared length without its field");
    assert!(!with(&|h| h.headers.push(b"Content-Length", b"5").expect("valid")));
}

#[test]
fn peers_one_minor_apart_agree_on_the_older_one() {
    let newer_agent = one_frame(Control::Greeting(Box::new(greeting(1, VERSION_MAX + 1))).to_bytes());
    let greeted = ServerHandshake::default().on_frame(&newer_agent).expect("read").expect("agreed");
    assert_eq!(greeted.version, VERSION_MAX);
    assert_eq!(greeted.features, Features::ALL, "features we do not know are not granted");

    let newer_server =
        ServerHandshake { version_min: 1, version_max: VERSION_MAX + 1, features: Features::ALL };
    let agent = one_frame(Control::Greeting(Box::new(greeting(1, VERSION_MAX))).to_bytes());
    assert_eq!(newer_server.on_frame(&agent).expect("read").expect("agreed").version, VERSION_MAX);

    let future = one_frame(Control::Greeting(Box::new(greeting(90, 91))).to_bytes());
    let refused = ServerHandshake::default().on_frame(&future).expect("read").expect_err("nothing in common");
    assert!(refused.text.contains("90 to 91"), "{}", refused.text);
}

#[test]
fn optional_frames_of_a_newer_peer_are_skipped_and_others_are_not() {
    let frame = |kind| Frame { kind: FrameKind(kind), payload: Bytes::from_static(b"?") };
    assert!(matches!(Control::read(&frame(0x9f)), Ok(None)));
    assert!(Control::read(&frame(0x1f)).is_err());
    let (state, _) = AgentHandshake::start(greeting(1, 1));
    assert!(matches!(state.on_frame(&frame(0x9f)), Ok(None)));
    let pong = one_frame(Control::Pong(1).to_bytes());
    assert!(state.on_frame(&pong).is_err(), "a pong is no answer to a greeting");
    let refusal = relay_protocol::handshake::refusal(
        relay_protocol::control::RefusalCode::BUSY,
        "later".into(),
        Some(5),
    );
    let refusal = one_frame(Control::Refusal(refusal).to_bytes());
    assert!(matches!(state.on_frame(&refusal), Ok(Some(Answer::Refusal(_)))));
}
