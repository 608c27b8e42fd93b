//! Events on their way into files and out of them again, through the whole house.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use relay_server::model::Scope;
use relay_tests::app::{Behaviour, Recorded, ok};
use relay_tests::client::{PATIENCE, post};
use relay_tests::{App, World};
use serde_json::Value;

use crate::programs::{House, Process, program, serve};

/// The agent's program in a world, with a token of its own.
pub(crate) struct Verbs {
    address: String,
    token: String,
    config: tempfile::TempDir,
}

impl Verbs {
    /// With a token of scope `agent` that may make sources.
    pub(crate) async fn of(world: &mut World) -> Self {
        Self::with(world, Scope::Agent { sources: Vec::new(), create: true }).await
    }

    /// With a token of this scope.
    pub(crate) async fn with(world: &mut World, scope: Scope) -> Self {
        let token = world.token(scope).await;
        let addresses = world.addresses();
        let pin = addresses.pin.clone().expect("a key of its own");
        let address = format!("{}#{pin}", addresses.tunnel);
        Self { address, token, config: tempfile::tempdir().expect("a temp dir") }
    }

    /// The program with these words, not started yet.
    pub(crate) fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = program("relay-agent");
        command.args(words).env("RELAY_CONFIG_DIR", self.config.path());
        command.env("RELAY_SERVER", &self.address).env("RELAY_TOKEN", &self.token);
        command
    }

    pub(crate) async fn run(&self, words: &[&str]) -> Output {
        let mut command = tokio::process::Command::from(self.command(words));
        command.stdin(std::process::Stdio::null());
        let ran = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
        ran.expect("ends in time").expect("the program runs")
    }
}

pub(crate) fn objects(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A request without what says that it came through a relay, and through which door.
fn of_sender(mut request: Recorded) -> Recorded {
    request.fields.retain(|(name, _)| {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        !(name.starts_with("relay-") || name.starts_with("x-forwarded-") || name == "host")
    });
    request
}

async fn event_ids(verbs: &Verbs) -> Vec<String> {
    let listed = verbs.run(&["events", "--json"]).await;
    let ids = objects(&listed).iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(listed.status.code(), Some(0), "{}", said(&listed));
    ids
}

/// Asks until as many events are on record.
async fn recorded_ids(verbs: &Verbs, count: usize) -> Vec<String> {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let ids = event_ids(verbs).await;
            if ids.len() == count {
                return ids;
            }
        }
    });
    waited.await.expect("events are recorded")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_and_replayed_is_what_the_app_got_the_first_time() {
    let mut world = World::start().await;
    let first = App::start(Behaviour::Say(ok("live"))).await;
    let agent = world.agent("hook", first.addr()).await;
    let odd = b"POST /h/hook/a%2Fb//../c?x=\xff HTTP/1.1\r\nHost: relay.test\r\nX-GitHub-Event: push\r\n\
        x-twice: caf\xe9\r\nX-Forwarded-For: 192.0.2.9\r\nX-Twice:\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\n\x00\xff\n\r\n2\r\nab\r\n0\r\n\r\n";
    assert_eq!(world.exchange(odd).await.status, 200);
    let plain =
        post("/h/hook", "Content-Type: application/json\r\nAuthorization: Bearer x\r\n", b"{\"a\": 1}\n");
    assert_eq!(world.exchange(&plain).await.status, 200);
    let large = vec![b'x'; 300 * 1024];
    assert_eq!(world.post("hook", &large).await.status, 200);
    let live = first.wait_for(3).await;

    let verbs = Verbs::of(&mut world).await;
    let ids = recorded_ids(&verbs, 3).await;
    let dir = tempfile::tempdir().expect("a temp dir");
    let under = dir.path().join("fixtures");
    let under = under.to_str().expect("text");
    let ran = verbs.run(&["record", under, "--last", "10", "--json"]).await;
    let written = objects(&ran);
    assert_eq!((ran.status.code(), written.len()), (Some(1), 2), "{}", said(&ran));
    assert!(said(&ran).contains("only the first 256 KiB of its body's 300 KiB were kept"), "{}", said(&ran));
    assert!(said(&ran).contains("1 not written"), "{}", said(&ran));
    assert_eq!(
        (&written[0]["name"], &written[1]["name"]),
        (&Value::from("push"), &Value::Null),
        "the oldest first"
    );
    let again = verbs.run(&["record", under, "--last", "2", "--source", "hook", "--json"]).await;
    assert!(objects(&again).is_empty() && said(&again).contains("1 there already"), "{}", said(&again));
    let file = |at: usize, name: &str| {
        let path = Path::new(written[at]["fixture"].as_str().expect("a path")).join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let headers =
        "Host: relay.test\nX-GitHub-Event: push\nx-twice:: Y2Fm6Q==\nX-Twice:\nTransfer-Encoding: chunked\n";
    assert_eq!(String::from_utf8(file(0, "headers")).expect("text"), headers);
    assert_eq!(file(0, "body.bin"), b"\x00\xff\nab");
    assert_eq!(file(1, "body.json"), b"{\"a\": 1}\n");

    let second = App::start(Behaviour::Say(ok("again"))).await;
    let to = second.addr().to_string();
    let ran = verbs.run(&["replay", under, "--to", &to]).await;
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    let replayed = second.wait_for(2).await;
    assert_eq!(replayed[0].values("relay-replay"), ["1"]);
    for (live, replayed) in live.iter().zip(replayed) {
        assert_eq!(of_sender(replayed), of_sender(live.clone()));
    }
    // The same straight from the server; a part of a body never passes for the whole.
    let ran = verbs.run(&["replay", &ids[2], "--to", &to]).await;
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    assert_eq!(of_sender(second.wait_for(3).await[2].clone()), of_sender(live[0].clone()));
    let ran = verbs.run(&["replay", &ids[1], &ids[0], "--to", &to]).await;
    assert_eq!(ran.status.code(), Some(1));
    assert!(said(&ran).contains("cannot be sent again: only the first"), "{}", said(&ran));
    assert_eq!(second.recorded().len(), 3, "nothing is sent when not all can be");

    let ran = verbs.run(&["record", under, &ids[1], "--without-headers", "authorization", "--json"]).await;
    assert!(objects(&ran).is_empty(), "it is there, edited or not");
    let other = dir.path().join("other");
    let other = other.to_str().expect("text");
    let since = ["record", other, "--since", "1h", "--without-headers", "authorization,Host", "--json"];
    let written = objects(&verbs.run(&since).await);
    let path = Path::new(written[1]["fixture"].as_str().expect("a path")).join("headers");
    let headers = std::fs::read_to_string(path).expect("headers");
    assert_eq!(headers, "Content-Type: application/json\nContent-Length: 9\n");
    agent.drain().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_goes_on_misses_nothing_while_the_server_restarts() {
    let mut house = House::start();
    house.log_in();
    let app = App::start(Behaviour::Say(ok(""))).await;
    let agent = house.agent("hook", &app);
    let dir = tempfile::tempdir().expect("a temp dir");
    let under = dir.path().join("fixtures");
    assert_eq!(house.post("hook").await.expect("up").status, 200);
    let mut command = house.agent_command();
    let mut recording =
        Process::start(command.arg("record").arg(&under).args(["--follow", "--last", "1", "--json"]));
    recording.line_with(&[("type", "recorded"), ("source", "hook")]);
    assert_eq!(house.post("hook").await.expect("up").status, 200);
    recording.line_with(&[("type", "recorded"), ("source", "hook")]);
    house.server.kill();
    house.server = serve(&house.data(), &house.ports);
    house.server.line_with(&[("type", "ready")]);
    agent.line_with(&[("type", "link"), ("state", "live")]);
    // The agent is back before the recording is: what comes now is found in the list, not in the stream.
    let mut taken = 0;
    while taken < 3 {
        taken += usize::from(house.post("hook").await.expect("up").status == 200);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for _ in 0..3 {
        recording.line_with(&[("type", "recorded"), ("source", "hook")]);
    }
    recording.signal("INT");
    assert_eq!(recording.exit_code(), Some(0));
    let mut fixtures = 0;
    for entry in std::fs::read_dir(&under).expect("made") {
        assert!(
            entry.expect("readable").path().join("event.json").is_file(),
            "whole fixtures, and nothing else"
        );
        fixtures += 1;
    }
    assert!(fixtures >= 5, "{fixtures}");
}
