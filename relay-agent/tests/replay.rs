//! Fixtures on their way to an app that speaks no library: what it gets is compared byte for byte.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use bytes::Bytes;
use protocol::field::HeaderBlock;
use protocol::head::Sent;
use protocol::id::EventId;
use relay_agent::fixture::Fixture;
use relay_agent::forward::local::ANSWER_BYTES_MAX;
use relay_agent::{HostField, LocalFailureKind, LocalRequest, LocalSender};

const PATIENCE: Duration = Duration::from_secs(20);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The same from an app that says what it does next: nobody then uses the connection again.
const CLOSING: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// Takes requests until `end` of each is there, and answers with these bytes, one request a connection.
struct App {
    addr: SocketAddr,
    requests: Receiver<Vec<u8>>,
}

fn serve(stream: &mut (impl std::io::Read + std::io::Write), end: &[u8], answer: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(end) {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    // An app may answer whom it likes, also nobody.
    let _ = stream.write_all(answer);
    request
}

impl App {
    fn start(end: &'static [u8], answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("bound");
        let (send, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut stream = stream;
                if send.send(serve(&mut stream, end, answer)).is_err() {
                    return;
                }
            }
        });
        Self { addr, requests }
    }

    fn next(&self) -> String {
        let request = self.requests.recv_timeout(PATIENCE).expect("a request arrives");
        request.iter().map(|byte| char::from(*byte)).collect()
    }

    fn is_left_alone(&self) -> bool {
        self.requests.try_recv().is_err()
    }
}

fn headers(fields: &[(&str, &[u8])]) -> HeaderBlock {
    let mut block = HeaderBlock::default();
    for (name, value) in fields {
        block.push(name.as_bytes(), value).expect("a field");
    }
    block
}

fn fixture(number: u64, framing: (&str, &[u8]), body: &'static [u8]) -> Fixture {
    Fixture {
        id: Some(EventId::from_parts((1_795_344_879_250 << 20) + number, 0)),
        source: Some("github".to_owned()),
        received_ms: Some(1_795_344_879_250),
        name: None,
        status: Some(200),
        method: "POST".to_owned(),
        target: b"/h/github/a//../%2e?x=\xff".to_vec(),
        mount: 9,
        headers: headers(&[
            ("hOsT", b"relay.example"),
            ("X-Twice", b"1"),
            ("Accept", b"*/*"),
            ("x-twice", b"caf\xe9"),
            framing,
            ("X-Empty", b""),
            ("X-Relay-Free", b"mine"),
        ]),
        body: Bytes::from_static(body),
    }
}

/// The program, without a configuration to read: fixtures need none.
fn replay(dir: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relay-agent"))
        .args(["replay", "--color", "never"])
        .args(words)
        .current_dir(dir)
        .env("RELAY_CONFIG_DIR", dir.join("no-such-configuration"))
        .env_remove("RELAY_SERVER")
        .output()
        .expect("the program runs")
}

fn lines(output: &Output) -> Vec<serde_json::Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_fixture_reaches_the_app_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let body = b"{\"a\":\r\n 1}";
    let plain = fixture(1, ("content-Length", b"10"), body).write(&dir.path().join("plain")).unwrap();
    let chunked =
        fixture(2, ("Transfer-encoding", b"Chunked"), body).write(&dir.path().join("chunked")).unwrap();
    let rest = "X-Empty: \r\nX-Relay-Free: mine\r\nRelay-Replay: 1\r\n\r\n";
    let head = |target: &str, host: &str, framing: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nhOsT: {host}\r\nX-Twice: 1\r\nAccept: */*\r\nx-twice: caf\u{e9}\r\n{framing}\r\n{rest}"
        )
    };
    let app = App::start(b" 1}", OK);
    let done = replay(dir.path(), &[plain.path.to_str().unwrap(), "--to", &app.addr.to_string()]);
    assert_eq!(done.status.code(), Some(0), "{}", complaints(&done));
    let host = app.addr.to_string();
    let expected = head("/a//../%2e?x=\u{ff}", &host, "content-Length: 10") + "{\"a\":\r\n 1}";
    assert_eq!(app.next(), expected);

    let app = App::start(b"0\r\n\r\n", OK);
    let to = format!("http://{}/hooks", app.addr);
    let done = replay(dir.path(), &[chunked.path.to_str().unwrap(), "--to", &to, "--host", "preserve"]);
    assert_eq!(done.status.code(), Some(0), "{}", complaints(&done));
    let expected = head("/hooks/a//../%2e?x=\u{ff}", "relay.example", "Transfer-encoding: Chunked")
        + "A\r\n{\"a\":\r\n 1}\r\n0\r\n\r\n";
    assert_eq!(app.next(), expected);
}

/// Files come from colleagues and strangers, too. An app trusts what the relay says of where a request is from.
#[test]
fn a_fixture_says_nothing_in_the_relays_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut forged = fixture(1, ("Content-Length", b"2"), b"{}");
    for (name, value) in [
        ("X-Forwarded-For", "10.0.0.1"),
        ("x_forwarded_host", "bank.example"),
        ("Forwarded", "for=10.0.0.1"),
        ("Relay-Event-Id", "evt_1"),
        ("Relay_Attempt", "7"),
        ("Proxy-Authorization", "Basic eA=="),
        ("Connection", "X-Empty"),
        ("TE", "trailers"),
        ("X-Kept", "yes"),
    ] {
        forged.headers.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    forged.write(&dir.path().join("one")).unwrap();
    let app = App::start(b"{}", OK);
    let done = replay(dir.path(), &["one", "--to", &app.addr.to_string()]);
    assert_eq!(done.status.code(), Some(0), "{}", complaints(&done));
    let sent = app.next();
    let head = sent.split("\r\n\r\n").next().unwrap();
    let names: Vec<_> = head.lines().skip(1).map(|line| line.split(':').next().unwrap()).collect();
    let expected = [
        "hOsT",
        "X-Twice",
        "Accept",
        "x-twice",
        "Content-Length",
        "X-Empty",
        "X-Relay-Free",
        "X-Kept",
        "Relay-Replay",
    ];
    assert_eq!(names, expected);
}

#[test]
fn many_go_in_the_order_of_their_names_as_often_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    let under = dir.path().join("fixtures");
    for (number, body) in [(3, b"third!"), (1, b"first!"), (2, b"secnd!")] {
        fixture(number, ("Content-Length", b"6"), body).write(&under).unwrap();
    }
    let app = App::start(b"!", CLOSING);
    let to = app.addr.to_string();
    let done = replay(dir.path(), &["fixtures", "--to", &to, "--repeat", "2", "--rate", "1000"]);
    assert_eq!(done.status.code(), Some(0), "{}", complaints(&done));
    let told = lines(&done);
    let ids: Vec<_> =
        (1..=3).map(|n| EventId::from_parts((1_795_344_879_250 << 20) + n, 0).to_string()).collect();
    let expected: Vec<_> = ids.iter().chain(&ids).collect();
    assert_eq!(told.iter().map(|line| line["event"].as_str().unwrap()).collect::<Vec<_>>(), expected);
    assert!(
        told.iter().all(|line| line["status"] == 200 && line["sent"] == "yes" && line["type"] == "replayed")
    );
    assert!(complaints(&done).contains("6 answered below 400"), "{}", complaints(&done));
}

#[test]
fn the_exit_code_says_whether_all_were_answered_below_400() {
    let dir = tempfile::tempdir().unwrap();
    fixture(1, ("Content-Length", b"2"), b"{}").write(&dir.path().join("one")).unwrap();
    let ran = |answer| {
        let app = App::start(b"{}", answer);
        let done = replay(dir.path(), &["one", "--to", &app.addr.to_string()]);
        let line = lines(&done).remove(0);
        (done.status.code(), line["status"].clone(), line["sent"].as_str().unwrap().to_owned())
    };
    let answer = |code: i32, status: u16| (Some(code), serde_json::json!(status), "yes".to_owned());
    assert_eq!(ran(b"HTTP/1.1 204 No Content\r\n\r\n"), answer(0, 204));
    assert_eq!(ran(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), answer(0, 302));
    assert_eq!(ran(b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"), answer(1, 400));
    assert_eq!(ran(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"), answer(1, 500));
    let none = |sent: &str| (Some(1), serde_json::Value::Null, sent.to_owned());
    assert_eq!(ran(b""), none("maybe"), "hung up");
    assert_eq!(ran(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), none("maybe"), "broke off");
    assert_eq!(ran(b"HTTP/1.1 200 OK\nX: y\n\n"), none("maybe"), "not HTTP");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let done = replay(dir.path(), &["one", "--to", &closed.to_string()]);
    assert_eq!((done.status.code(), lines(&done)[0]["sent"].as_str()), (Some(1), Some("no")));
    assert!(lines(&done)[0]["error"].as_str().unwrap().contains("nothing listens"));
}

#[test]
fn an_edited_body_is_sent_with_a_note_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = fixture(1, ("Content-Length", b"2"), b"{}").write(&dir.path().join("one")).unwrap().path;
    fs::write(path.join("body.bin"), "{\"edited\":1}").unwrap();
    let app = App::start(b"1}", OK);
    let to = app.addr.to_string();
    let strict = replay(dir.path(), &["one", "--to", &to, "--strict"]);
    assert_eq!(strict.status.code(), Some(1));
    assert!(complaints(&strict).contains("is not sent: the body has 12 bytes where 2 were recorded"));
    assert!(app.is_left_alone());
    let done = replay(dir.path(), &["one", "--to", &to]);
    assert_eq!(done.status.code(), Some(0));
    assert!(complaints(&done).contains("no longer verifies"), "{}", complaints(&done));
    let request = app.next();
    assert!(
        request.contains("\r\nContent-Length: 12\r\n") && request.ends_with("{\"edited\":1}"),
        "{request}"
    );
}

#[test]
fn edits_are_for_one_request() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("new-body"), "<x/>").unwrap();
    fixture(1, ("Content-Length", b"2"), b"{}").write(&dir.path().join("one")).unwrap();
    let app = App::start(b"<x/>", OK);
    let to = app.addr.to_string();
    let edits = ["--method", "PUT", "--path", "/b?c", "--header", "x-TWICE: 2", "--without-header", "accept"];
    let words = [&["one", "--to", &to, "--body-file", "new-body"], &edits[..]].concat();
    let done = replay(dir.path(), &words);
    assert_eq!(done.status.code(), Some(0), "{}", complaints(&done));
    let expected = format!(
        "PUT /b?c HTTP/1.1\r\nhOsT: {to}\r\nx-TWICE: 2\r\nContent-Length: 4\r\nX-Empty: \r\nX-Relay-Free: mine\r\n\
         Relay-Replay: 1\r\n\r\n<x/>"
    );
    assert_eq!(app.next(), expected);
    fixture(2, ("Content-Length", b"2"), b"{}").write(&dir.path().join("one")).unwrap();
    let refused = replay(dir.path(), &words);
    assert_eq!(refused.status.code(), Some(2));
    assert!(complaints(&refused).contains("edits are for one request, and this is 2"));
    assert!(app.is_left_alone());
}

#[test]
fn a_broken_fixture_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let under = dir.path().join("fixtures");
    let broken = fixture(1, ("Content-Length", b"2"), b"{}").write(&under).unwrap().path;
    fixture(2, ("Content-Length", b"2"), b"{}").write(&under).unwrap();
    let app = App::start(b"{}", OK);
    let to = app.addr.to_string();
    let spoil = |file: &str, text: &str| fs::write(broken.join(file), text).unwrap();
    let ran = || {
        let done = replay(dir.path(), &["fixtures", "--to", &to]);
        assert_eq!((done.status.code(), lines(&done).len()), (Some(1), 1), "{}", complaints(&done));
        app.next();
        complaints(&done)
    };
    let event = fs::read_to_string(broken.join("event.json")).unwrap();
    spoil("event.json", "{ \"format\": 1,, }");
    assert!(ran().contains("at line 1 column"), "where the JSON breaks");
    fs::write(dir.path().join("secret"), "secret").unwrap();
    spoil("event.json", &event.replace("body.bin", "../../secret"));
    assert!(ran().contains("is no name for it"));
    spoil("event.json", &event);
    fs::remove_file(broken.join("headers")).unwrap();
    assert!(ran().contains("cannot read"));
    // What the files say may still be no request: then the line says so.
    spoil("headers", "Content-Length: 2\nTransfer-Encoding: chunked\n");
    let done = replay(dir.path(), &["fixtures", "--to", &to]);
    assert_eq!((done.status.code(), lines(&done).len()), (Some(1), 2));
    assert!(lines(&done)[0]["error"].as_str().unwrap().contains("together"));
    app.next();
    for missing in ["no-such-directory", "secret"] {
        let done = replay(dir.path(), &[missing, "--to", &to]);
        assert_eq!(done.status.code(), Some(2), "{}", complaints(&done));
    }
    assert!(app.is_left_alone());
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_a_target_too() {
    let dir = tempfile::tempdir().unwrap();
    let socket: PathBuf = dir.path().join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let app = std::thread::spawn(move || serve(&mut listener.accept().unwrap().0, b"{}", OK));
    fixture(1, ("Content-Length", b"2"), b"{}").write(&dir.path().join("one")).unwrap();
    let to = format!("unix:{}:/hooks", socket.display());
    let done = replay(dir.path(), &["one", "--to", &to]);
    assert_eq!(done.status.code(), Some(0), "{}", complaints(&done));
    let request = app.join().unwrap();
    assert!(request.starts_with(b"POST /hooks/a//../%2e?x=\xff HTTP/1.1\r\nhOsT: localhost\r\n"));
}

fn request(addr: SocketAddr, body: &'static [u8]) -> (LocalSender, LocalRequest) {
    let target = format!("http://{addr}").parse().expect("a target");
    let sender = LocalSender::new(target, HostField::Target, None).expect("no authority to read");
    let mut request = LocalRequest {
        method: "POST".to_owned(),
        target: b"/x".to_vec(),
        headers: headers(&[("Host", b"a")]),
        body: Bytes::from_static(body),
        is_replay: false,
    };
    assert_eq!(request.fit_length(), Ok(!body.is_empty()));
    (sender, request)
}

#[tokio::test]
async fn a_sender_tells_the_answer_and_its_times() {
    let app = App::start(b"{}", b"HTTP/1.1 201 Made so\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 4\r\n\r\nmade");
    let (sender, request) = request(app.addr, b"{}");
    let answer = sender.send(&request).await.unwrap();
    assert_eq!((answer.status, &answer.reason[..], &answer.body[..]), (201, &b"Made so"[..], &b"made"[..]));
    assert!(answer.is_whole && answer.headers.len() == 3 && answer.app <= answer.total);
    let expected = format!("POST /x HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\n\r\n{{}}", app.addr);
    assert_eq!(app.next(), expected, "nothing is added unasked");
}

#[tokio::test]
async fn an_answer_without_end_is_kept_up_to_a_cap() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        serve(&mut stream, b"{}", b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 8192]).is_ok() {}
    });
    let (sender, request) = request(addr, b"{}");
    let answer = tokio::time::timeout(PATIENCE, sender.send(&request)).await.unwrap().unwrap();
    assert_eq!((answer.is_whole, answer.body.len()), (false, ANSWER_BYTES_MAX));
}

#[tokio::test]
async fn a_failure_says_whether_the_app_may_have_acted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (sender, slow) = request(listener.local_addr().unwrap(), b"{}");
    let failure = sender.with_answer_timeout(Duration::from_millis(50)).send(&slow).await.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (LocalFailureKind::Slow, Sent::Maybe));
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let (sender, good) = request(addr, b"{}");
    let failure = sender.send(&good).await.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (LocalFailureKind::Unreachable, Sent::No));
    let impossible = [
        LocalRequest { method: "CONNECT".to_owned(), ..good.clone() },
        LocalRequest { method: "A B".to_owned(), ..good.clone() },
        LocalRequest { target: b"/a b".to_vec(), ..good.clone() },
        LocalRequest { target: b"http://evil/".to_vec(), ..good.clone() },
        LocalRequest { target: b"/a\r\nX: y".to_vec(), ..good.clone() },
        LocalRequest { body: Bytes::from_static(b"longer"), ..good.clone() },
        LocalRequest { headers: HeaderBlock::default(), ..good.clone() },
    ];
    for request in impossible {
        let failure = sender.send(&request).await.unwrap_err();
        assert_eq!((failure.kind, failure.sent), (LocalFailureKind::Impossible, Sent::No), "{request:?}");
    }
}
