//! Seeing what happened and stepping through it: the inspector on the developer's machine, sources on hold, the event
//! stream of smee.io, tools for assistants.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use relay_server::model::{IfAway, ReplyMode, Scope, SourceRules};
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::{PATIENCE, exchange};
use relay_tests::{Answer, App, Sender, World};
use serde_json::{Value, json};

use crate::fixtures::Verbs;
use crate::programs::Process;

/// What an address with a page says, as a browser asks for it.
async fn page(addr: &str, lines: &str, method: &str, path: &str, body: &str) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {addr}\r\n{lines}Connection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(addr.parse().expect("an address"), request.as_bytes()).await
}

/// Bytes that come until these words are among them.
async fn hears(sender: &mut Sender, words: &str) -> String {
    let mut heard = String::new();
    let wait = async {
        while !heard.contains(words) {
            let some = sender.some().await;
            assert!(!some.is_empty(), "the stream ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&some));
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never {words}"));
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_is_there_on_the_developers_machine_and_for_nobody_else() {
    let mut world = World::start().await;
    world.source("hook", SourceRules::default()).await;
    let app = App::start(Behaviour::Say(ok("seen"))).await;
    let verbs = Verbs::of(&mut world).await;
    let to = app.addr().to_string();
    let words = ["forward", "hook", &to, "--json", "--inspector", "127.0.0.1:0"];
    let mut agent = Process::start_with_env(&mut verbs.command(&words));
    let url = agent.line_with(&[("type", "inspector")])["url"].as_str().expect("a URL").to_owned();
    let addr = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    agent.line_with(&[("type", "source"), ("name", "hook")]);

    let home = page(&addr, "", "GET", "/", "").await;
    assert_eq!((home.status, home.value("content-type")), (200, "text/html; charset=utf-8"));
    assert!(home.value("content-security-policy").contains("default-src 'none'"));
    assert!(!home.text().contains("rt_"), "no token in the page");
    let tag = format!("If-None-Match: {}\r\n", home.value("etag"));
    assert_eq!(page(&addr, &tag, "GET", "/", "").await.status, 304);
    let named = home.text();
    let mut scripts = named.split('"').filter(|named| named.ends_with("/start.js"));
    let script = format!("/{}", scripts.next().expect("the page names its script"));
    let kept = page(&addr, "", "GET", &script, "").await;
    assert_eq!(kept.value("content-type"), "text/javascript; charset=utf-8");
    assert!(kept.value("cache-control").contains("immutable"), "{script} never changes");
    let of_another_version = page(&addr, "", "GET", "/inspector/AAAAAAAAAAAAAAAA/start.js", "").await;
    assert_eq!(of_another_version.status, 404);

    let mut stream = Sender::to(addr.parse().expect("an address")).await;
    let ask =
        format!("GET /api/v1/events/stream HTTP/1.1\r\nHost: {addr}\r\nAccept: text/event-stream\r\n\r\n");
    stream.say(ask.as_bytes()).await;
    hears(&mut stream, "text/event-stream").await;
    assert_eq!(world.post("hook", b"hello").await.status, 200);
    hears(&mut stream, "\"body_bytes\":5").await;
    let listed = page(&addr, "", "GET", "/api/v1/events?q=source:hook", "").await;
    let listed: Value = serde_json::from_slice(&listed.body).expect("JSON");
    let id = listed["events"][0]["id"].as_str().expect("an id").to_owned();

    let replay = format!("/api/v1/events/{id}/replay");
    let evil =
        page(&addr, "Origin: http://evil.example\r\nRelay-Inspector: 1\r\n", "POST", &replay, "{}").await;
    assert_eq!((evil.status, app.recorded().len()), (403, 1));
    assert_eq!(page(&addr, "", "POST", &replay, "{}").await.status, 403, "a form of another site");
    assert_eq!(page(&addr, "Relay-Inspector: 1\r\n", "POST", &replay, "{}").await.status, 201);
    assert_eq!(app.wait_for(2).await[1].body, b"hello");

    let port = addr.rsplit(':').next().expect("a port");
    let rebound =
        format!("GET /api/v1/events HTTP/1.1\r\nHost: evil.example:{port}\r\nConnection: close\r\n\r\n");
    assert_eq!(exchange(addr.parse().expect("an address"), rebound.as_bytes()).await.status, 421);
    drop(stream);
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), Some(0));

    let open = ["forward", "hook", &to, "--json", "--inspector", "0.0.0.0:0"];
    let mut open = Process::start_with_env(&mut verbs.command(&open));
    assert_eq!(open.exit_code(), Some(1), "without a password it is for this machine only");
    world.end().await;
}

/// A debugger for webhooks: nothing goes on by itself, each goes when it is let go, edited if need be.
#[tokio::test]
async fn a_source_on_hold_is_stepped_through() {
    let mut world = World::start().await;
    world.source("hook", SourceRules { hold: true, if_away: IfAway::Refuse, ..SourceRules::default() }).await;
    let app = App::start(Behaviour::Say(ok("seen"))).await;
    let agent = world.agent("hook", app.addr()).await;
    for body in ["one", "two", "three", "four"] {
        let held = world.post("hook", body.as_bytes()).await;
        assert_eq!(held.status, 202, "kept, though the app is there and its owner would rather refuse");
    }
    let waiting = async || {
        let (_, told) = world.api("GET", "/deliveries?source=hook&state=waiting&order=oldest", None).await;
        let ids = told["deliveries"].as_array().expect("a list").iter();
        ids.map(|delivery| delivery["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    let held = waiting().await;
    assert_eq!((held.len(), app.recorded().len()), (4, 0));
    let release = async |id: &str, edit: Value| {
        world.api("POST", &format!("/deliveries/{id}/release"), Some(edit)).await
    };
    assert_eq!(release(&held[1], json!({})).await.0, 200);
    let second = app.wait_for(1).await.remove(0);
    assert_eq!((second.body.as_slice(), second.values("relay-replay").len()), (&b"two"[..], 0), "no replay");
    assert_eq!(release(&held[0], json!({ "body": { "text": "edited" } })).await.0, 200);
    assert_eq!(app.wait_for(2).await[1].body, b"edited");
    assert_eq!(release(&held[2], json!({ "destination": "other" })).await.0, 400, "not somewhere else");
    assert_eq!(release(&held[2], json!({ "method": "B A D" })).await.0, 400);
    assert_eq!(waiting().await, held[2..], "an edit that is refused leaves the original waiting");

    let (status, _) = world.api("PATCH", "/sources/hook", Some(json!({ "rules": { "hold": false } }))).await;
    assert_eq!(status, 200);
    let all: Vec<_> = app.wait_for(4).await.into_iter().map(|request| request.body).collect();
    assert_eq!(all[2..], [b"three".to_vec(), b"four".to_vec()], "the rest goes when the hold ends");
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn whoever_asks_for_a_stream_hears_what_smee_would_tell() {
    let world = World::start().await;
    world.source("bot", SourceRules { smee: true, ..SourceRules::default() }).await;
    world.source("plain", SourceRules::default()).await;
    let ask = |name: &str| {
        format!("GET /h/{name} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n").into_bytes()
    };
    let mut refused = Sender::to(world.public()).await;
    refused.say(&ask("plain")).await;
    assert_eq!(refused.answer().await.status, 202, "a GET like any other where the rules offer no stream");

    assert_eq!(world.post("bot", b"{\"at\":\"nobody listens\"}").await.status, 202);
    let mut stream = Sender::to(world.public()).await;
    stream.say(&ask("bot")).await;
    let head = hears(&mut stream, "event: ready").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
    assert_eq!(world.post("bot", b"{\"at\":\"somebody does\"}").await.status, 202);
    let heard = hears(&mut stream, "somebody does").await;
    assert!(!heard.contains("nobody listens"));
    let (_, waiting) = world.api("GET", "/deliveries?source=bot&state=waiting", None).await;
    assert_eq!(
        waiting["deliveries"].as_array().map(Vec::len),
        Some(2),
        "who listens takes nothing from anybody"
    );
    let (status, _) = world.api("PATCH", "/sources/bot", Some(json!({ "rules": { "smee": false } }))).await;
    assert_eq!(status, 200);
    assert_eq!(world.post("bot", b"{\"at\":\"a closed door\"}").await.status, 202);
    let ended = async {
        loop {
            let some = stream.some().await;
            assert!(!String::from_utf8_lossy(&some).contains("closed door"), "the owner has ended it");
            if some.is_empty() {
                return;
            }
        }
    };
    // At the latest with the next sign of life.
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("the stream ends");
    world.end().await;
}

#[tokio::test]
async fn a_live_answer_and_the_stream_go_side_by_side() {
    let mut world = World::start().await;
    world.source("bot", SourceRules { smee: true, ..SourceRules::default() }).await;
    let app = App::start(Behaviour::Say(ok("mine"))).await;
    let agent = world.agent("bot", app.addr()).await;
    let mut stream = Sender::to(world.public()).await;
    stream.say(b"GET /h/bot/ HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream, */*\r\n\r\n").await;
    hears(&mut stream, "event: ready").await;
    let answer = world.post("bot", b"{\"to\":\"both\"}").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "mine"));
    hears(&mut stream, "\"to\":\"both\"").await;
    drop(stream);
    agent.drain().await;
    world.end().await;
}

/// An assistant at the other end of its standard input and output.
struct Assistant {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    id: u64,
}

impl Assistant {
    fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (send, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut assistant = Self { child, lines, id: 0 };
        let hello = json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "suite", "version": "1" },
        });
        let told = assistant.ask("initialize", &hello);
        assert_eq!(told["serverInfo"]["name"], "relay-agent");
        assistant.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        assistant
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.child.stdin.as_mut().expect("piped"), "{message}").expect("it listens");
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.begin(method, params);
        self.answer()
    }

    fn begin(&mut self, method: &str, params: &Value) {
        self.id += 1;
        self.say(&json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params }));
    }

    fn answer(&mut self) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("an answer");
            let message: Value = serde_json::from_str(&line).expect("JSON, one message a line");
            if message["id"] == self.id {
                return message["result"].clone();
            }
        }
    }

    /// What a tool says, and whether it worked.
    fn call(&mut self, name: &str, arguments: &Value) -> (bool, String) {
        self.begin("tools/call", &json!({ "name": name, "arguments": arguments }));
        self.called()
    }

    fn called(&mut self) -> (bool, String) {
        let result = self.answer();
        let text = result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        (result["isError"] != true, text)
    }
}

impl Drop for Assistant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assistant_reads_waits_and_replays_only_where_that_is_allowed() {
    let mut world = World::start().await;
    world.source("hook", SourceRules { reply: ReplyMode::Accepted, ..SourceRules::default() }).await;
    let verbs = Verbs::with(&mut world, Scope::Admin).await;
    assert_eq!(world.post("hook", b"{\"say\":\"first\"}").await.status, 202);
    let mut reader = Assistant::start(&mut verbs.command(&["mcp"]));
    let names = |told: Value| -> Vec<String> {
        let tools = told["tools"].as_array().expect("tools").clone();
        tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
    };
    let tools = names(reader.ask("tools/list", &json!({})));
    assert!(
        tools.contains(&"find_events".to_owned()) && !tools.contains(&"replay_event".to_owned()),
        "{tools:?}"
    );
    let (_, found) = reader.call("find_events", &json!({ "search": "body:first" }));
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let id = found["events"][0]["id"].as_str().expect("an id").to_owned();
    let (is_good, shown) = reader.call("show_event", &json!({ "id": id }));
    assert!(is_good && shown.contains("first"), "{shown}");
    let (is_good, why) = reader.call("replay_event", &json!({ "id": id }));
    assert!(!is_good && why.contains("--allow-replay"), "{why}");
    let (is_good, why) = reader.call("find_events", &json!({ "search": "satus:500" }));
    assert!(!is_good && why.contains("status:500"), "{why}");

    reader
        .begin("tools/call", &json!({ "name": "wait_for_event", "arguments": { "search": "body:second" } }));
    // Sent until it is heard: the wait may not have begun when the first comes.
    let second = tokio::time::timeout(PATIENCE, async {
        loop {
            assert_eq!(world.post("hook", b"{\"say\":\"second\"}").await.status, 202);
            if let Ok(line) = reader.lines.recv_timeout(Duration::from_millis(700)) {
                return line;
            }
        }
    });
    assert!(second.await.expect("it waits").contains("second"));
    let (is_good, why) = reader.call("wait_for_event", &json!({ "search": "body:never", "timeout_s": 1 }));
    assert!(!is_good && why.contains("within 1 s"), "{why}");
    drop(reader);

    let mut writer = Assistant::start(&mut verbs.command(&["mcp", "--allow-replay"]));
    let (is_good, made) = writer.call("replay_event", &json!({ "id": id }));
    assert!(is_good && made.contains("\"delivery\""), "{made}");
    let (is_good, _) =
        writer.call("test_event", &json!({ "source": "hook", "provider": "github", "event": "push" }));
    assert!(is_good);
    drop(writer);
    world.end().await;
}
