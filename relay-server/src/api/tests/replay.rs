//! Replaying one event, as it was or edited.

use super::*;
use crate::model::RequestShape;

async fn replay(house: &House, event: EventId, wish: Value) -> Answer {
    let admin = house.admin().await;
    house.call(Some(&admin), "POST", &path(format!("/events/{event}/replay")), Some(wish)).await
}

fn id(told: &Value) -> EventId {
    told["event"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_event_is_replayed_to_the_primary_or_to_whom_is_named() {
    let house = house().await;
    house.second_destination(DestinationRules::default()).await;
    let event = house.record(house.mine, b"hello").await;
    let told = replay(&house, event, json!({})).await;
    let expected = json!({ "event": event.to_string(), "delivery": format!("{event}.1") });
    assert_eq!((told.status.as_u16(), told.json()), (201, expected));
    let told = replay(&house, event, json!({ "destination": "second" })).await.json();
    assert_eq!(told["delivery"], format!("{event}.2"));
    for (no, name) in [(1, "default"), (2, "second")] {
        let made = house.delivery(&format!("{event}.{no}")).await;
        assert_eq!((made.is_replay, made.destination), (true, house.destination("mine", name).id));
    }
    let admin = house.admin().await;
    let again = house.call(Some(&admin), "POST", &path(format!("/deliveries/{event}.2/replay")), None).await;
    let expected = json!({ "event": event.to_string(), "delivery": format!("{event}.3") });
    assert_eq!((again.status.as_u16(), again.json()), (201, expected));
    let made = house.delivery(&format!("{event}.3")).await;
    assert_eq!(made.destination, house.destination("mine", "second").id, "the same destination");

    let told = replay(&house, event, json!({ "destination": "third" })).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (404, "destination_not_found"));
    house.call(Some(&admin), "DELETE", "/api/v1/sources/mine/destinations/second", None).await;
    let told = house.call(Some(&admin), "POST", &path(format!("/deliveries/{event}.2/replay")), None).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (404, "destination_not_found"));
}

#[tokio::test]
async fn an_event_of_a_deleted_source_goes_nowhere_even_if_there_is_a_new_one_of_that_name() {
    let house = house().await;
    let admin = house.admin().await;
    let event = house.record(house.mine, b"hello").await;
    replay(&house, event, json!({})).await;
    house.call(Some(&admin), "DELETE", "/api/v1/sources/mine", None).await;
    house.call(Some(&admin), "POST", "/api/v1/sources", Some(json!({ "slug": "mine" }))).await;
    for wish in [json!({}), json!({ "destination": "default" }), json!({ "method": "PUT" })] {
        let told = replay(&house, event, wish).await;
        assert_eq!((told.status.as_u16(), told.code().as_str()), (404, "destination_not_found"));
    }
    let told = house.call(Some(&admin), "POST", &path(format!("/deliveries/{event}.1/replay")), None).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (404, "destination_not_found"));
}

#[tokio::test]
async fn what_was_not_kept_whole_is_not_replayed_unless_it_gets_another_body() {
    let house = house().await;
    let mut record = event(house.state.store.next_event_id(), house.mine, b"the start");
    record.body.total_bytes = 70_000;
    let event = house.accept_record(record).await;
    for wish in [json!({}), json!({ "method": "PUT" })] {
        let told = replay(&house, event, wish).await;
        assert_eq!((told.status.as_u16(), told.code().as_str()), (409, "event_truncated"));
    }
    let told = replay(&house, event, json!({ "body": { "text": "whole" } })).await;
    assert_eq!(told.status, 201);
    let copy = house.state.store.event(house.project, id(&told.json())).await.unwrap().unwrap();
    assert_eq!((copy.body.is_truncated(), copy.body.bytes.as_ref()), (false, &b"whole"[..]));
}

#[tokio::test]
async fn an_edited_replay_is_an_event_of_its_own() {
    let house = house().await;
    let admin = house.admin().await;
    let mut headers = HeaderBlock::default();
    let fields: [(&str, &[u8]); 9] = [
        ("Host", b"a"),
        ("X-Keep", b"caf\xe9"),
        ("X-Twice", b"1"),
        ("Relay-Event-Id", b"evt_old"),
        ("Transfer-Encoding", b"chunked"),
        ("x-twice", b"2"),
        ("Content-Encoding", b"gzip"),
        ("X-Gone", b"1"),
        ("Relay-Attempt", b"1"),
    ];
    for (name, value) in fields {
        headers.push(name.as_bytes(), value).unwrap();
    }
    let mut record = event(house.state.store.next_event_id(), house.mine, b"old body");
    let mut trailers = HeaderBlock::default();
    trailers.push(b"X-Trailer", b"1").unwrap();
    (record.headers, record.shape) =
        (headers, RequestShape { mount: 7, is_chunked: true, trailers: trailers.clone() });
    record.agent = None;
    let original = house.accept_record(record).await;
    let mut watch = house.state.activity.watch(|_| true).unwrap();

    let wish = json!({
        "method": "PUT", "path": "/h/mine/b?c=%20", "headers": [["X-Twice", "9"], ["X-New", "n"], ["X-Twice", "8"]],
        "remove_headers": ["x-gone"], "body": { "base64": "AAE=" },
    });
    let told = replay(&house, original, wish).await;
    assert_eq!(told.status, 201, "{}", told.json());
    let copy_id = id(&told.json());
    assert_ne!(copy_id, original);
    assert_eq!(told.json()["delivery"], format!("{copy_id}.1"));
    let copy = house.state.store.event(house.project, copy_id).await.unwrap().unwrap();
    let fields: Vec<_> = copy.headers.iter().map(|(n, v)| (String::from_utf8_lossy(n), v.to_vec())).collect();
    let named = copy_id.to_string();
    let expected: [(&str, &[u8]); 8] = [
        ("Host", b"a"),
        ("X-Keep", b"caf\xe9"),
        ("X-Twice", b"9"),
        ("X-Twice", b"8"),
        ("Relay-Event-Id", named.as_bytes()),
        ("Relay-Attempt", b"1"),
        ("Content-Length", b"2"),
        ("X-New", b"n"),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name.into(), value.to_vec())));
    assert_eq!(
        (copy.summary.method.as_str(), copy.summary.target.as_slice()),
        ("PUT", &b"/h/mine/b?c=%20"[..])
    );
    assert_eq!((copy.body.bytes.as_ref(), copy.body.is_truncated()), (&[0, 1][..], false));
    assert_eq!(copy.shape, RequestShape { mount: 7, ..RequestShape::default() }, "no chunks, no trailers");
    assert_eq!((copy.summary.related, copy.summary.seq), (Some(original), Some(2)));
    let made = house.delivery(&format!("{copy_id}.1")).await;
    assert!(made.is_replay);
    let shown = house.call(Some(&admin), "GET", &path(format!("/events/{copy_id}")), None).await.json();
    assert_eq!(
        (&shown["outcome"], &shown["reason"], &shown["related"], &shown["status"]),
        (&json!("accepted"), &json!("edited"), &json!(original.to_string()), &json!(202))
    );
    assert!(
        matches!(watch.next().await, Some(crate::activity::Seen::Event(seen)) if seen.id == copy_id),
        "it is told"
    );

    // The original is as it was; and what is not edited stays, chunks and trailers too.
    let told = replay(&house, original, json!({ "path": "/elsewhere" })).await.json();
    let copy = house.state.store.event(house.project, id(&told)).await.unwrap().unwrap();
    assert_eq!(copy.shape, RequestShape { mount: 0, is_chunked: true, trailers });
    assert_eq!(copy.headers.find("content-encoding"), Some(&b"gzip"[..]));
    assert_eq!(copy.body.bytes.as_ref(), b"old body");
    let mounts = [("/h/mine", 7), ("/h/mine?x", 7), ("/h/mineral", 0), ("/h/min", 0)];
    for (target, mount) in mounts {
        let told = replay(&house, original, json!({ "path": target })).await.json();
        let copy = house.state.store.event(house.project, id(&told)).await.unwrap().unwrap();
        assert_eq!(copy.shape.mount, mount, "{target}");
    }
    let encoded = json!({ "body": { "text": "x" }, "headers": [["content-encoding", "identity"]] });
    let told = replay(&house, original, encoded).await.json();
    let copy = house.state.store.event(house.project, id(&told)).await.unwrap().unwrap();
    assert_eq!(
        copy.headers.find("content-encoding"),
        Some(&b"identity"[..]),
        "what is said of the new body stays"
    );
    let told = house.call(Some(&admin), "GET", "/api/v1/sources/mine/ledger", None).await.json();
    assert_eq!((&told["accepted"], &told["deliveries"]), (&json!(8), &json!(8)));
}

#[tokio::test]
async fn edits_that_make_no_request_are_refused() {
    let house = house().await;
    let event = house.record(house.mine, b"hello").await;
    let table = [
        (json!({ "method": "CONNECT" }), "method:"),
        (json!({ "method": "A B" }), "method:"),
        (json!({ "method": "" }), "method:"),
        (json!({ "path": "" }), "path:"),
        (json!({ "path": "elsewhere" }), "path:"),
        (json!({ "path": "/a b" }), "path:"),
        (json!({ "path": "/a\r\nX: 1" }), "path:"),
        (json!({ "path": format!("/{}", "a".repeat(16 * 1024)) }), "path:"),
        (json!({ "headers": [["a b", "1"]] }), "no name"),
        (json!({ "headers": [["X-A", "1\n2"]] }), "control characters"),
        (json!({ "headers": [["Content-Length", "9"]] }), "Content-Length is the relay's own"),
        (json!({ "headers": [["Upgrade", "x"]] }), "the relay's own"),
        (json!({ "headers": [["Relay-Event-Id", "evt_x"]] }), "the relay's own"),
        (json!({ "remove_headers": ["relay-attempt"] }), "the relay's own"),
        (json!({ "headers": [["X-A", "x".repeat(70_000)]] }), "header"),
        (json!({ "body": { "text": "a", "base64": "YQ==" } }), ""),
        (json!({ "body": { "base64": "!" } }), "body.base64:"),
        (json!({ "body": { "text": "x".repeat(1024 * 1024 + 1) } }), "body: at most 1 MiB"),
        (json!({ "headers": [["Host", "bank.example"]] }), "Host is the relay's own to say"),
        (
            json!({ "headers": [["X-Forwarded-For", "10.0.0.1"]] }),
            "X-Forwarded-For is the relay's own to say",
        ),
        (
            json!({ "headers": [["x_forwarded_host", "bank.example"]] }),
            "x_forwarded_host is the relay's own to say",
        ),
        (json!({ "headers": [["Forwarded", "for=10.0.0.1"]] }), "Forwarded is the relay's own to say"),
        (
            json!({ "headers": [["Proxy-Authorization", "x"]] }),
            "Proxy-Authorization is the relay's own to say",
        ),
        (json!({ "remove_headers": ["Host"] }), "Host is the relay's own to say"),
        (json!({ "body": "text" }), ""),
        (json!({ "colour": "red" }), "colour"),
    ];
    for (wish, message) in table {
        let told = replay(&house, event, wish.clone()).await;
        let wish = wish.to_string().chars().take(80).collect::<String>();
        assert_eq!((told.status.as_u16(), told.code().as_str()), (400, "malformed"), "{wish}");
        let told = told.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains(message), "{wish}: {told}");
    }
    assert_eq!(house.state.store.deliveries_of(event).await.unwrap(), []);
    let told = replay(&house, event, json!({ "body": { "text": "x".repeat(3 * 1024 * 1024) } })).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (413, "body_too_large"));
    let told = replay(&house, event, json!({ "body": { "text": "x".repeat(1024 * 1024) } })).await;
    assert_eq!(told.status, 201);
}

/// An event whose body is in a file, as the spool makes them.
async fn in_file(house: &House, bytes: &[u8]) -> EventId {
    let mut record = event(house.state.store.next_event_id(), house.mine, b"");
    let mut body = house.state.store.body_files().begin(record.id).unwrap();
    body.write(bytes).unwrap();
    body.finish().unwrap().keep(true);
    let total_bytes = bytes.len() as u64;
    record.body = Captured { bytes: bytes::Bytes::new(), total_bytes, complete: true, is_in_file: true };
    house.accept_record(record).await
}

#[tokio::test]
async fn a_body_in_a_file_is_shown_in_part_and_downloaded_whole() {
    let house = house().await;
    let admin = house.admin().await;
    // A character of two bytes stands across the end of what is shown.
    let bytes = format!("{}{}", "x".repeat(256 * 1024 - 1), "é".repeat(600_000)).into_bytes();
    let event = in_file(&house, &bytes).await;
    let shown = house.call(Some(&admin), "GET", &path(format!("/events/{event}")), None).await.json();
    let body = &shown["body"];
    assert_eq!(body["text"].as_str().map(str::len), Some(256 * 1024 - 1));
    assert_eq!(
        (&body["total_bytes"], &body["truncated"], &body["is_partial"]),
        (&json!(bytes.len()), &json!(false), &json!(true))
    );
    let whole = house.call(Some(&admin), "GET", &path(format!("/events/{event}/body")), None).await;
    assert!(whole.bytes == bytes);
    assert_eq!(whole.headers["content-length"], bytes.len().to_string());
    assert_eq!(whole.headers["relay-truncated"], "false");
    let binary = in_file(&house, &[0xff; 300_000]).await;
    let shown = house.call(Some(&admin), "GET", &path(format!("/events/{binary}")), None).await.json();
    assert_eq!(shown["body"]["base64"].as_str().map(str::len), Some((256_usize * 1024).div_ceil(3) * 4));
}

#[tokio::test]
async fn an_edited_copy_of_a_large_body_has_a_file_of_its_own() {
    let house = house().await;
    let admin = house.admin().await;
    let bytes = vec![b'x'; 1_500_000];
    let original = in_file(&house, &bytes).await;
    let copy = id(&replay(&house, original, json!({ "method": "PUT" })).await.json());
    // Retention takes the original, the copy stays.
    std::fs::remove_file(house.state.store.body_files().path(original)).unwrap();
    let whole = house.call(Some(&admin), "GET", &path(format!("/events/{copy}/body")), None).await;
    assert!(whole.bytes == bytes);
    let told = house.call(Some(&admin), "GET", &path(format!("/events/{original}/body")), None).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (404, "event_not_found"));
    let told = replay(&house, original, json!({ "method": "PUT" })).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (404, "event_not_found"));
    let files = std::fs::read_dir(house.dir.path().join("bodies")).unwrap();
    assert_eq!(files.count(), 1, "nothing half made is left");
    let told = replay(&house, copy, json!({ "body": { "text": "small" } })).await.json();
    let edited = house.state.store.event(house.project, id(&told)).await.unwrap().unwrap();
    assert_eq!((edited.body.is_in_file, edited.body.bytes.as_ref()), (false, &b"small"[..]));
}
