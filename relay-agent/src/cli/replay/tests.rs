use bytes::Bytes;
use clap::Parser as _;
use protocol::field::HeaderBlock;
use relay_agent::LocalFailureKind;

use super::super::ask::AskError;
use super::*;

#[derive(clap::Parser)]
struct Only {
    #[command(flatten)]
    args: Args,
}

fn args(words: &[&str]) -> Args {
    let program = std::iter::once(&"replay");
    Only::try_parse_from(program.chain(words)).unwrap_or_else(|error| panic!("{error}")).args
}

fn id() -> EventId {
    EventId(1)
}

#[test]
fn ids_without_a_target_are_the_servers_and_everything_with_one_is_sent_from_here() {
    let event = id().to_string();
    let at = |words: &[&str]| {
        let args = args(words);
        asked(args.what, args.to)
    };
    let delivery = format!("{event}.2");
    let again = [Again::Event(id()), Again::Delivery(DeliveryId { event: id(), no: 2 })];
    assert!(matches!(at(&[&event, &delivery]), Ok(Asked::AtServer(asked)) if asked == again));
    assert!(matches!(at(&["--source", "github"]), Ok(Asked::Many)));
    let both = [What::Files("fixtures".into()), What::Event(id())];
    assert!(matches!(at(&["fixtures", &event, "--to", "3000"]), Ok(Asked::Here(_, what)) if what == both));
    let refused = at(&["fixtures"]).err().expect("refused").to_string();
    assert!(refused.contains("--to 3000"), "{refused}");
    let path = format!("./{event}");
    assert_eq!(what(&path), Ok(What::Files(path.clone().into())), "a path that looks like an id");
}

#[test]
fn a_server_without_replays_is_told_from_an_event_that_is_gone() {
    let refused =
        |status, code: &str| AskError::Refused { status, code: code.to_owned(), text: String::new() };
    for (status, code, expected) in [
        (404, "route_not_found", true),
        (405, "method_not_allowed", true),
        (404, "status 404", true),
        (404, "event_not_found", false),
        (404, "destination_not_found", false),
        (403, "scope_refused", false),
        (409, "event_truncated", false),
    ] {
        assert_eq!(at_server::is_no_such_route(&refused(status, code)), expected, "{code}");
    }
    assert!(!at_server::is_no_such_route(&AskError::Unreadable(String::new())));
}

fn request() -> LocalRequest {
    let mut headers = HeaderBlock::default();
    for (name, value) in [("Host", "a"), ("X-A", "1"), ("X-B", "2"), ("x-a", "3"), ("Content-Length", "2")] {
        headers.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    let body = Bytes::from_static(b"{}");
    LocalRequest { method: "POST".to_owned(), target: b"/x".to_vec(), headers, body, is_replay: true }
}

fn edited(words: &[&str]) -> (LocalRequest, Vec<String>) {
    let mut request = request();
    let args = args(&[&["fixtures", "--to", "3000"], words].concat());
    assert!(args.edits.is_any());
    args.edits.load().unwrap().apply(&mut request).unwrap();
    request.fit_length().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let fields = request.headers.iter().map(|(name, value)| format!("{}: {}", text(name), text(value)));
    let fields = fields.collect();
    (request, fields)
}

#[test]
fn an_edit_changes_what_it_names_and_nothing_else() {
    let (request, fields) = edited(&["--method", "PUT", "--path", "/other?a=1"]);
    assert_eq!((request.method.as_str(), &request.target[..]), ("PUT", &b"/other?a=1"[..]));
    assert_eq!(fields, ["Host: a", "X-A: 1", "X-B: 2", "x-a: 3", "Content-Length: 2"]);
    let words = [
        "--header",
        "X-a: new",
        "--header",
        "x-A:newer ",
        "--header",
        "X-C: c: d",
        "--without-header",
        "x-b",
    ];
    let (_, fields) = edited(&words);
    assert_eq!(fields, ["Host: a", "X-a: new", "x-A: newer", "Content-Length: 2", "X-C: c: d"]);
}

#[test]
fn an_edit_is_said_to_the_server_in_its_own_words() {
    let event = id().to_string();
    let object = |words: &[&str]| {
        let loaded = args(&[&[event.as_str()], words].concat()).edits.load().unwrap();
        Value::Object(loaded.object())
    };
    assert_eq!(object(&[]), json!({}));
    let words = [
        "--method",
        "PUT",
        "--path",
        "/a?b",
        "--header",
        "X-A: 1",
        "--header",
        "x-a:2",
        "--without-header",
        "X-B",
    ];
    let expected = json!({
        "method": "PUT", "path": "/a?b", "headers": [["X-A", "1"], ["x-a", "2"]], "remove_headers": ["X-B"],
    });
    assert_eq!(object(&words), expected);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("body");
    let file = ["--body-file", path.to_str().unwrap()];
    std::fs::write(&path, "{\"a\": 1}\n").unwrap();
    assert_eq!(object(&file), json!({ "body": { "text": "{\"a\": 1}\n" } }));
    std::fs::write(&path, b"\x00\xff").unwrap();
    assert_eq!(object(&file), json!({ "body": { "base64": "AP8=" } }), "bytes that are no text");
    std::fs::write(&path, "").unwrap();
    assert_eq!(object(&file), json!({ "body": { "text": "" } }), "an empty body is one");
}

#[test]
fn many_take_a_method_to_look_for_and_no_edits() {
    let method = |words: &[&str]| args(&[&["--source", "github"], words].concat()).edits.only_method();
    assert_eq!(method(&["--method", "POST"]).unwrap().as_deref(), Some("POST"));
    assert_eq!(method(&[]).unwrap(), None);
    for words in [["--path", "/x"], ["--header", "X: 1"], ["--without-header", "X"], ["--body-file", "x"]] {
        assert!(method(&words).unwrap_err().to_string().contains("one request"), "{words:?}");
    }
}

#[test]
fn another_body_has_its_own_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("body");
    std::fs::write(&path, "longer than before").unwrap();
    let path = path.to_str().unwrap();
    let (request, fields) = edited(&["--body-file", path]);
    assert_eq!(&request.body[..], b"longer than before");
    assert_eq!(fields.last().unwrap(), "Content-Length: 18");
    let (_, fields) = edited(&["--body-file", path, "--without-header", "content-length"]);
    assert_eq!(fields.last().unwrap(), "Content-Length: 18", "added where it is due");
    let chunked =
        ["--body-file", path, "--without-header", "content-length", "--header", "Transfer-Encoding: chunked"];
    let (_, fields) = edited(&chunked);
    assert_eq!(fields.last().unwrap(), "Transfer-Encoding: chunked", "chunks have no length");
    let missing = args(&["fixtures", "--to", "3000", "--body-file", "/nonexistent/body"]).edits.load();
    assert!(missing.err().unwrap().to_string().contains("/nonexistent/body"));
}

fn told(told: &Result<LocalAnswer, LocalFailure>) -> (String, Value) {
    let fixture = Fixture {
        id: Some(id()),
        source: None,
        received_ms: None,
        name: Some("push\u{1b}[2J".to_owned()),
        status: None,
        method: "POST".to_owned(),
        target: b"/x".to_vec(),
        mount: 0,
        headers: HeaderBlock::default(),
        body: Bytes::new(),
    };
    let request = request();
    let path = Some(Path::new("fixtures/one"));
    let sent =
        SentOne { fixture: &fixture, path, app_target: b"/hooks/x\xff".to_vec(), request: &request, told };
    (anstream::adapter::strip_str(&sent.line()).to_string(), sent.object("2026-03-01T13:03:05.120Z"))
}

#[test]
fn each_request_is_one_line_and_one_object() {
    let answer = LocalAnswer {
        status: 200,
        reason: Vec::new(),
        headers: HeaderBlock::default(),
        body: Bytes::new(),
        is_whole: true,
        connect: Duration::ZERO,
        app: Duration::from_millis(12),
        total: Duration::from_millis(13),
    };
    let (line, object) = told(&Ok(answer));
    assert_eq!(line, "←  200  push\\u{1b}[2J  POST /hooks/x\u{fffd}  2 B  app 12 ms  one");
    let expected = json!({
        "type": "replayed", "at": "2026-03-01T13:03:05.120Z", "fixture": "fixtures/one", "event": id().to_string(),
        "name": "push\u{1b}[2J", "method": "POST", "path": "/hooks/x\u{fffd}", "body_bytes": 2, "status": 200,
        "error": null, "sent": "yes", "app_us": 12_000, "total_us": 13_000,
    });
    assert_eq!(object, expected);
    let failure = |sent| LocalFailure {
        kind: LocalFailureKind::Broke,
        sent,
        text: "the app closed".to_owned(),
        app: Duration::from_millis(3),
    };
    let (line, object) = told(&Err(failure(Sent::Maybe)));
    assert!(line.ends_with("no answer: the app closed  one"), "{line}");
    assert_eq!(
        (&object["sent"], &object["status"], &object["app_us"]),
        (&json!("maybe"), &Value::Null, &json!(3000))
    );
    let (line, object) = told(&Err(failure(Sent::No)));
    assert!(line.contains("not sent: the app closed") && object["sent"] == "no", "{line}");
}
