//! The agent's program and stored deliveries: what a person or a script sees and can do.

#[cfg(target_os = "linux")]
mod on_a_terminal;

use std::process::Output;

use relay_server::model::{Scope, SourceRules};
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::{PATIENCE, post};
use relay_tests::world::route;
use relay_tests::{AgentInWorld, App, World};
use serde_json::{Value, json};

use crate::fixtures::{Verbs, objects, said};
use crate::programs::{House, Process, serve};

/// A world with a source, and as many events waiting.
async fn with_waiting(count: usize) -> World {
    let world = World::start().await;
    world.source("hook", SourceRules::default()).await;
    for at in 0..count {
        assert_eq!(world.post("hook", at.to_string().as_bytes()).await.status, 202);
    }
    world
}

fn answer(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn bodies(app: &App) -> Vec<String> {
    app.recorded().iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// The one object a verb printed.
fn only(output: &Output) -> Value {
    let objects = objects(output);
    assert_eq!((code(output), objects.len()), (0, 1), "{objects:?} {}", said(output));
    objects[0].clone()
}

fn forward(verbs: &Verbs, app: &App, words: &[&str]) -> Process {
    let to = app.addr().to_string();
    let all = [&["forward", "hook", &to, "--json"], words].concat();
    Process::start_with_env(&mut verbs.command(&all))
}

/// Asks until the deliveries in this state are so many.
async fn deliveries(verbs: &Verbs, state: &str, count: usize) -> Vec<Value> {
    let listed = tokio::time::timeout(PATIENCE, async {
        loop {
            let listed = objects(&verbs.run(&["deliveries", "--state", state, "--json"]).await);
            if listed.len() == count {
                return listed;
            }
        }
    });
    listed.await.unwrap_or_else(|_| panic!("never {count} {state}"))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_comes_back_says_what_waited_and_takes_it() {
    let mut world = with_waiting(3).await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let verbs = Verbs::of(&mut world).await;
    let mut agent = forward(&verbs, &app, &[]);
    let source = agent.line_with(&[("type", "source"), ("name", "hook")]);
    assert_eq!(source["waiting"], 3);
    let told = agent.line_with(&[("type", "backlog"), ("source", "hook"), ("kept", "all")]);
    assert_eq!((&told["waiting"], &told["cancelled"]), (&json!(3), &json!(0)));
    app.wait_for(3).await;
    agent.signal("INT");
    assert_eq!(agent.exit_code(), Some(0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_latest_of_what_waited_is_delivered_or_none() {
    let mut world = with_waiting(3).await;
    let app = App::start(Behaviour::Say(ok("live"))).await;
    let verbs = Verbs::of(&mut world).await;
    let mut agent = forward(&verbs, &app, &["--backlog", "latest"]);
    let told = agent.line_with(&[("type", "backlog"), ("source", "hook"), ("kept", "latest")]);
    assert_eq!((&told["waiting"], &told["cancelled"]), (&json!(3), &json!(2)));
    app.wait_for(1).await;
    assert_eq!(world.post("hook", b"live").await.text(), "live");
    assert_eq!(bodies(&app), ["2", "live"], "the newest of what waited, and what came since");
    agent.signal("INT");
    assert_eq!(agent.exit_code(), Some(0));

    assert_eq!(world.post("hook", b"away").await.status, 202);
    let mut agent = forward(&verbs, &app, &["--backlog", "none"]);
    let told = agent.line_with(&[("type", "backlog"), ("source", "hook"), ("kept", "none")]);
    assert_eq!((&told["waiting"], &told["cancelled"]), (&json!(1), &json!(1)));
    assert_eq!(world.post("hook", b"live").await.text(), "live");
    assert_eq!(bodies(&app), ["2", "live", "live"]);
    // From here on nothing is held: what is stored while it is away comes when it is back.
    agent.signal("INT");
    assert_eq!(agent.exit_code(), Some(0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_counted_and_skipped_by_a_verb() {
    let mut world = with_waiting(3).await;
    let verbs = Verbs::of(&mut world).await;
    let shown = only(&verbs.run(&["backlog", "hook", "--json"]).await);
    assert_eq!((&shown["waiting"], &shown["keep"]), (&json!(3), &Value::Null));
    let kept = only(&verbs.run(&["backlog", "hook", "latest", "--json"]).await);
    assert_eq!((&kept["waiting"], &kept["cancelled"]), (&json!(3), &json!(2)));
    let ran = verbs.run(&["backlog", "hook/nowhere"]).await;
    assert_eq!(code(&ran), 1);
    assert!(said(&ran).contains("destination_not_found"), "{}", said(&ran));
    let kept = only(&verbs.run(&["backlog", "hook", "all", "--json"]).await);
    assert_eq!((&kept["waiting"], &kept["cancelled"]), (&json!(1), &json!(0)));
    assert_eq!(deliveries(&verbs, "cancelled", 2).await.len(), 2);
    let reader = Verbs::with(&mut world, Scope::Read).await;
    assert_eq!(code(&reader.run(&["backlog", "hook", "none"]).await), 3, "a reader changes nothing");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_listed_shown_with_their_event_and_cancelled() {
    let mut world = with_waiting(2).await;
    let verbs = Verbs::of(&mut world).await;
    let waiting = deliveries(&verbs, "waiting", 2).await;
    let (newer, older) = (text(&waiting[0], "id"), text(&waiting[1], "id"));
    assert!(newer > older, "the newest first");
    let ran = verbs.run(&["cancel", older, older, "--json"]).await;
    assert_eq!((code(&ran), objects(&ran).len()), (1, 1), "the second time it is over: {}", said(&ran));
    assert_eq!(text(&objects(&ran)[0], "state"), "cancelled");
    let event = only(&verbs.run(&["event", text(&waiting[1], "event"), "--json"]).await);
    assert_eq!(text(&event["deliveries"][0], "state"), "cancelled");
    assert_eq!(event["seq"], 1);
    let ran = verbs.run(&["event", text(&waiting[0], "event")]).await;
    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(shown.contains("delivery to default  waiting"), "{shown}");
    let app = App::start(Behaviour::Say(ok(""))).await;
    let agent = AgentInWorld::live(world.settings().await.with_route(route("hook", app.addr()))).await;
    deliveries(&verbs, "delivered", 1).await;
    let ran = verbs.run(&["event", text(&waiting[0], "event")]).await;
    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(shown.contains("delivery to default  delivered") && shown.contains("   1  "), "{shown}");
    assert_eq!(bodies(&app), ["1"]);
    agent.drain().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_sends_again_what_is_named_edited_or_not_and_says_how_it_ended() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let agent = world.agent("hook", app.addr()).await;
    let sent = post("/h/hook/a?b", "Content-Type: application/json\r\nX-A: 1\r\nX-B: 2\r\n", b"{\"a\": 1}");
    assert_eq!(world.exchange(&sent).await.status, 200);
    let verbs = Verbs::of(&mut world).await;
    let waited = only(&verbs.run(&["wait", "--since", "1h", "--source", "hook"]).await);
    let id = text(&waited, "id").to_owned();

    let ran = verbs.run(&["replay", &id, "--wait", "--json"]).await;
    assert_eq!(code(&ran), 0, "{}", said(&ran));
    let told = objects(&ran);
    let delivery = text(&told[0], "delivery").to_owned();
    assert_eq!((text(&told[1], "id"), text(&told[1], "state")), (delivery.as_str(), "delivered"));
    let replayed = app.wait_for(2).await.remove(1);
    assert_eq!(
        (replayed.line.as_slice(), replayed.body.as_slice()),
        (&b"POST /a?b HTTP/1.1"[..], &b"{\"a\": 1}"[..])
    );
    assert_eq!(replayed.values("relay-replay"), ["1"]);

    let edits = [
        "replay",
        &id,
        "--method",
        "PUT",
        "--path",
        "/h/hook/c",
        "--header",
        "X-A: new",
        "--without-header",
        "x-b",
    ];
    let ran = verbs.run(&[&edits[..], &["--wait", "--json"]].concat()).await;
    assert_eq!(code(&ran), 0, "{}", said(&ran));
    let copy = text(&objects(&ran)[0], "event").to_owned();
    assert_ne!(copy, id, "an edited one is an event of its own");
    let edited = app.wait_for(3).await.remove(2);
    assert!(edited.line.starts_with(b"PUT "), "{:?}", String::from_utf8_lossy(&edited.line));
    assert_eq!(edited.values("x-a"), ["new"]);
    assert!(edited.values("x-b").is_empty());
    let event = only(&verbs.run(&["event", &copy, "--json"]).await);
    assert_eq!(text(&event, "related"), id);

    // The delivery itself again, and into an app that refuses it for good.
    app.behave(Behaviour::Say(answer(410, "gone")));
    let ran = verbs.run(&["replay", &delivery, "--wait", "--json"]).await;
    assert_eq!((code(&ran), text(&objects(&ran)[1], "state")), (1, "dead"), "{}", said(&ran));
    let ran = verbs.run(&["replay", &id, "--destination", "nowhere"]).await;
    assert_eq!(code(&ran), 1);
    assert!(said(&ran).contains("is not replayed"), "{}", said(&ran));
    agent.drain().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_counted_and_sent_again_only_after_a_yes() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(answer(500, "broken"))).await;
    let agent = world.agent("hook", app.addr()).await;
    for _ in 0..3 {
        assert_eq!(world.post("hook", b"x").await.status, 500);
    }
    app.behave(Behaviour::Say(ok("")));
    assert_eq!(world.post("hook", b"x").await.status, 200);
    let verbs = Verbs::of(&mut world).await;
    let many = ["replay", "--source", "hook", "--status", "5xx"];
    let counted = tokio::time::timeout(PATIENCE, async {
        // Live events are recorded a moment after they were answered.
        loop {
            let counted = only(&verbs.run(&[&many[..], &["--dry-run", "--json"]].concat()).await);
            if counted["matched"] == 3 {
                return counted;
            }
        }
    });
    let counted = counted.await.expect("recorded");
    assert_eq!((&counted["made"], &counted["dry_run"]), (&json!(0), &json!(true)));
    let ran = verbs.run(&many).await;
    assert_eq!(code(&ran), 2, "nobody is there to ask: {}", said(&ran));
    assert!(said(&ran).contains("3 events") && said(&ran).contains("--yes"), "{}", said(&ran));
    assert_eq!(app.recorded().len(), 4, "nothing was sent");
    let sum = only(&verbs.run(&[&many[..], &["--yes", "--json"]].concat()).await);
    assert_eq!((&sum["made"], &sum["refused"], &sum["more"]), (&json!(3), &json!(0), &json!(false)));
    app.wait_for(7).await;
    deliveries(&verbs, "delivered", 3).await;
    let sum =
        only(&verbs.run(&["replay", "--state", "delivered", "--method", "PUT", "--yes", "--json"]).await);
    assert_eq!(sum["matched"], 0, "none was sent with that method");
    agent.drain().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_waits_for_the_event_it_means_and_is_told_what_came_instead() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let agent = world.agent("hook", app.addr()).await;
    let verbs = Verbs::of(&mut world).await;
    let ran = verbs.run(&["wait", "--timeout", "100ms"]).await;
    assert_eq!(code(&ran), 1);
    assert!(ran.stdout.is_empty() && said(&ran).contains("no event came"), "{}", said(&ran));

    let words = [
        "wait",
        "--source",
        "hook",
        "--event",
        "push",
        "--body",
        "needle",
        "--header",
        "X-A: 1",
        "--timeout",
        "20s",
    ];
    let mut waiting = Process::start_with_env(&mut verbs.command(&words));
    let field = |name: &str, a: u32| format!("X-GitHub-Event: {name}\r\nX-A: {a}\r\n");
    // It may not watch yet: what does not match is sent until it is seen, which its end tells.
    let mut sent = 0;
    for (name, a, body) in [("pull", 1, "needle"), ("push", 2, "needle"), ("push", 1, "hay")] {
        assert_eq!(world.exchange(&post("/h/hook", &field(name, a), body.as_bytes())).await.status, 200);
        sent += 1;
    }
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            let needle = post("/h/hook", &field("push", 1), b"in the hay a needle");
            assert_eq!(world.exchange(&needle).await.status, 200);
            sent += 1;
            if let Some(found) = waiting.line_within(std::time::Duration::from_millis(200)) {
                return found;
            }
        }
    });
    let found: Value = serde_json::from_str(&found.await.expect("found")).expect("one JSON line");
    assert_eq!((text(&found["body"], "text"), &found["status"]), ("in the hay a needle", &json!(200)));
    assert_eq!(waiting.exit_code(), Some(0));
    assert_eq!(app.recorded().len(), sent);

    let since = ["wait", "--since", "1h", "--timeout", "2s", "--path", "/h/hook", "--method", "PUT"];
    let ran = verbs.run(&since).await;
    assert_eq!(code(&ran), 1);
    assert!(
        said(&ran).contains(&format!("{sent} events came and differed in method ({sent})")),
        "{}",
        said(&ran)
    );
    agent.drain().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_waits_is_waited_for_until_the_app_has_it() {
    let mut world = World::start().await;
    world.source("hook", SourceRules::default()).await;
    let verbs = Verbs::of(&mut world).await;
    let mut waiting =
        Process::start_with_env(&mut verbs.command(&["wait", "--since", "1h", "--body", "later"]));
    assert_eq!(world.post("hook", b"later").await.status, 202);
    assert!(waiting.line_within(std::time::Duration::from_millis(300)).is_none(), "stored is not delivered");
    let app = App::start(Behaviour::Say(ok(""))).await;
    let agent = AgentInWorld::live(world.settings().await.with_route(route("hook", app.addr()))).await;
    let found = waiting.line_within(PATIENCE).expect("delivered");
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(text(&found["deliveries"][0], "state"), "delivered");
    assert_eq!(waiting.exit_code(), Some(0));
    agent.drain().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_survives_a_restart_of_the_server() {
    let mut house = House::start();
    house.log_in();
    let app = App::start(Behaviour::Say(ok(""))).await;
    let agent = house.agent("hook", &app);
    let mut waiting = Process::start(house.agent_command().args([
        "wait",
        "--source",
        "hook",
        "--method",
        "POST",
        "--timeout",
        "1m",
    ]));
    // Lets it begin to watch: what came before is not what it waits for.
    let mut asked =
        Process::start(house.agent_command().args(["wait", "--source", "hook", "--timeout", "500ms"]));
    assert_eq!(asked.exit_code(), Some(1));
    house.server.kill();
    house.server = serve(&house.data(), &house.ports);
    house.server.line_with(&[("type", "ready")]);
    agent.line_with(&[("type", "link"), ("state", "live")]);
    // The agent is back before the watch is: the event is found in the list, not in the stream.
    assert_eq!(house.post("hook").await.expect("up").status, 200);
    let found: Value = serde_json::from_str(&waiting.line_within(PATIENCE).expect("found")).expect("JSON");
    assert_eq!(text(&found, "method"), "POST");
    assert_eq!(waiting.exit_code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_are_added_changed_paused_and_removed() {
    let mut world = World::start().await;
    world.source("hook", SourceRules::default()).await;
    let verbs = Verbs::of(&mut world).await;
    let added = only(
        &verbs
            .run(&["destinations", "add", "hook", "ci", "--order", "strict", "--pace", "5", "--json"])
            .await,
    );
    assert_eq!((text(&added["rules"], "order"), &added["rules"]["pace_per_s"]), ("strict", &json!(5)));
    let changed = only(
        &verbs.run(&["destinations", "set", "hook", "ci", "--pace", "0", "--timeout", "10s", "--json"]).await,
    );
    assert_eq!(
        (&changed["rules"]["pace_per_s"], &changed["rules"]["timeout_ms"]),
        (&Value::Null, &json!(10_000))
    );
    assert_eq!(text(&changed["rules"], "order"), "strict", "what is not named stays");
    let ran = verbs.run(&["destinations", "set", "hook", "ci", "--filter", ".a |"]).await;
    assert_eq!(code(&ran), 1, "a filter that is none");
    assert!(said(&ran).contains("the server says:"), "{}", said(&ran));
    let paused = only(&verbs.run(&["pause", "hook/ci", "--json"]).await);
    assert_eq!(paused["rules"]["paused"], true);
    let resumed = only(&verbs.run(&["resume", "hook/ci", "--json"]).await);
    assert_eq!(resumed["rules"]["paused"], false);
    let listed = objects(&verbs.run(&["destinations", "hook", "--json"]).await);
    let names: Vec<_> = listed.iter().map(|destination| text(destination, "name")).collect();
    assert_eq!(names, ["default", "ci"], "the primary first");
    assert_eq!(code(&verbs.run(&["destinations", "rm", "hook", "ci"]).await), 0);
    let ran = verbs.run(&["destinations", "rm", "hook", "default"]).await;
    assert_eq!(code(&ran), 1);
    assert!(said(&ran).contains("last_destination"), "{}", said(&ran));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_a_source_are_changed_by_name_and_mistakes_are_told_in_the_servers_words() {
    let mut world = World::start().await;
    world.source("hook", SourceRules::default()).await;
    let verbs = Verbs::with(&mut world, Scope::Admin).await;
    let changed = only(&verbs.run(&["source", "hook", "reply=accepted", "patience_ms=9000", "--json"]).await);
    assert_eq!(
        (text(&changed["rules"], "reply"), &changed["rules"]["patience_ms"]),
        ("accepted", &json!(9000))
    );
    let reset = only(&verbs.run(&["source", "hook", "patience_ms=null", "--json"]).await);
    assert_eq!(reset["rules"]["patience_ms"], 30_000);
    let ran = verbs.run(&["source", "hook", "patience=1"]).await;
    assert_eq!(code(&ran), 1);
    assert!(said(&ran).contains("patience"), "{}", said(&ran));
    assert_eq!(code(&verbs.run(&["pause", "hook"]).await), 0);
    assert_eq!(world.post("hook", b"x").await.status, 503);
    assert_eq!(code(&verbs.run(&["resume", "hook"]).await), 0);
    assert_eq!(world.post("hook", b"x").await.status, 202);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forward_sets_how_senders_are_answered_or_ends() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok("live"))).await;
    let verbs = Verbs::with(&mut world, Scope::Admin).await;
    let mut agent = forward(&verbs, &app, &["--reply", "accepted"]);
    agent.line_with(&[("type", "rules"), ("source", "hook")]);
    assert_eq!(world.post("hook", b"x").await.status, 202);
    app.wait_for(1).await;
    agent.signal("INT");
    assert_eq!(agent.exit_code(), Some(0));
    let guest =
        Verbs::with(&mut world, Scope::Agent { sources: vec!["hook".to_owned()], create: false }).await;
    let mut agent = forward(&guest, &app, &["--reply", "live"]);
    assert_eq!(agent.exit_code(), Some(3), "a token that may not");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_our_own_reaches_its_destinations() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let agent = world.agent("billing", app.addr()).await;
    let verbs = Verbs::of(&mut world).await;
    let dir = tempfile::tempdir().expect("a temp dir");
    let file = dir.path().join("invoice.json");
    std::fs::write(&file, "{\"id\": 7}").expect("written");
    let words =
        ["publish", "billing", "invoice.paid", "--payload-file", file.to_str().expect("text"), "--json"];
    let published = only(&verbs.run(&words).await);
    assert_eq!(published["deliveries"], 1);
    let request = app.only().await;
    assert!(
        String::from_utf8_lossy(&request.body).contains("\"id\":7"),
        "{:?}",
        String::from_utf8_lossy(&request.body)
    );
    assert_eq!(request.values("webhook-signature").len(), 1);
    agent.drain().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_watches_sees_what_becomes_of_deliveries() {
    let mut world = with_waiting(1).await;
    let verbs = Verbs::of(&mut world).await;
    let tail = Process::start_with_env(&mut verbs.command(&["tail", "--source", "hook"]));
    let app = App::start(Behaviour::Say(ok(""))).await;
    // The watch has begun once it tells of something.
    let live = App::start(Behaviour::Say(ok(""))).await;
    let other = world.agent("other", live.addr()).await;
    let agent = tokio::time::timeout(PATIENCE, async {
        loop {
            let _ = world.post("hook", b"x").await;
            if tail.line_within(std::time::Duration::from_millis(200)).is_some() {
                return world.agent("hook", app.addr()).await;
            }
        }
    });
    let agent = agent.await.expect("watched");
    let told = tail.line_with(&[("type", "delivery"), ("state", "delivered")]);
    assert_eq!((text(&told, "source"), &told["status"]), ("hook", &json!(200)));
    agent.drain().await;
    other.drain().await;
    world.end().await;
}
