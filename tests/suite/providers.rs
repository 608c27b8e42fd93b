//! Who sends: signatures are checked before anything else counts, challenges answered, late deliveries signed afresh.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::id::EventId;
use relay_server::model::{Dedupe, DedupeBy, GreetBy, ReplyMode, SourceRules};
use relay_server::store::OutcomeKind;
use relay_tests::app::{Behaviour, Recorded, ok};
use relay_tests::client::post;
use relay_tests::{Answer, App, Sender, World};
use ring::hmac;
use serde_json::json;

const SECRET: &str = "It's a Secret to Everybody";

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// HMAC-SHA256 as hex, by another hand than the relay's.
fn hex_of(secret: &str, parts: &[&[u8]]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &parts.concat());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn github(secret: &str, body: &[u8]) -> String {
    format!("X-GitHub-Event: push\r\nX-Hub-Signature-256: sha256={}\r\n", hex_of(secret, &[body]))
}

fn stripe(secret: &str, at_s: u64, body: &[u8]) -> String {
    let signature = hex_of(secret, &[at_s.to_string().as_bytes(), b".", body]);
    format!("Stripe-Signature: t={at_s},v1={signature}\r\n")
}

fn slack(secret: &str, at_s: u64, body: &[u8]) -> String {
    let signature = hex_of(secret, &[format!("v0:{at_s}:").as_bytes(), body]);
    format!(
        "Content-Type: application/json\r\nX-Slack-Request-Timestamp: {at_s}\r\nX-Slack-Signature: v0={signature}\r\n"
    )
}

async fn send(world: &World, name: &str, lines: &str, body: &[u8]) -> Answer {
    world.exchange(&post(&format!("/h/{name}"), lines, body)).await
}

fn event_of(answer: &Answer) -> EventId {
    answer.value("relay-event-id").parse().expect("an event id")
}

/// What the store says of an event's signature, once it is there.
async fn seen(world: &World, answer: &Answer) -> (OutcomeKind, Option<String>, Option<String>) {
    let id = event_of(answer);
    for _ in 0..1_000 {
        if let Some(event) = world.server().store().load(vec![id]).await.expect("the store").pop() {
            return (event.summary.outcome, event.summary.signature, event.summary.name);
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{id} is not recorded");
}

#[tokio::test]
async fn what_the_provider_signed_comes_in_and_nothing_else() {
    let mut world = World::start().await;
    world.provided("gh", "github", SECRET, |_| {}).await;
    let app = App::start(Behaviour::Say(ok("taken"))).await;
    let agent = world.agent("gh", app.addr()).await;
    let body = br#"{"ref":"refs/heads/main","zen":"x"}"#;
    let good = send(&world, "gh", &github(SECRET, body), body).await;
    assert_eq!((good.status, good.text().as_str()), (200, "taken"));
    let mut flipped = body.to_vec();
    flipped[5] ^= 1;
    let twice = github(SECRET, body) + &github(SECRET, body);
    let forged: [(&str, String, &[u8], &str); 5] = [
        ("another secret", github("guess", body), body, "wrong_secret"),
        ("another body", github(SECRET, body), &flipped, "wrong_secret"),
        ("no signature", String::new(), body, "header_missing"),
        ("two signatures", twice, body, "header_twice"),
        ("a lost line break", github(SECRET, &[body, &b"\n"[..]].concat()), body, "body_altered"),
    ];
    for (what, lines, body, code) in forged {
        let refused = send(&world, "gh", &lines, body).await;
        assert_eq!((refused.status, refused.value("relay-error")), (401, "signature_invalid"), "{what}");
        let (outcome, signature, _) = seen(&world, &refused).await;
        assert_eq!((outcome, signature.as_deref()), (OutcomeKind::Refused, Some(code)), "{what}");
    }
    assert_eq!(app.recorded().len(), 1, "the app saw what was signed");
    let (outcome, signature, name) = seen(&world, &good).await;
    assert_eq!(
        (outcome, signature.as_deref(), name.as_deref()),
        (OutcomeKind::Answered, Some("verified"), Some("push"))
    );
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn a_body_too_long_for_memory_is_checked_too() {
    let mut world = World::start().await;
    world.provided("gh", "github", SECRET, |_| {}).await;
    let app = App::start(Behaviour::Say(ok("taken"))).await;
    let agent = world.agent("gh", app.addr()).await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| at.to_le_bytes()[1]).collect();
    assert_eq!(send(&world, "gh", &github(SECRET, &body), &body).await.status, 200);
    let mut flipped = body.clone();
    flipped[2_999_999] ^= 1;
    assert_eq!(send(&world, "gh", &github(SECRET, &body), &flipped).await.status, 401);
    assert_eq!(app.only().await.body, body);
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn secrets_change_without_a_gap() {
    let world = World::start().await;
    world.provided("gh", "github", "old", |_| {}).await;
    world.secret("gh", "new").await;
    let status = async |secret: &str| send(&world, "gh", &github(secret, b"{}"), b"{}").await.status;
    assert_eq!((status("old").await, status("new").await, status("none").await), (202, 202, 401));
    let (_, list) = world.api("GET", "/sources/gh/secrets", None).await;
    let forget = async |at: usize| {
        let id = list["secrets"][at]["id"].as_i64().expect("an id");
        world.api("DELETE", &format!("/sources/gh/secrets/{id}"), None).await.0
    };
    assert_eq!(forget(0).await, 204);
    assert_eq!((status("old").await, status("new").await), (401, 202));
    assert_eq!(forget(1).await, 409, "without any, everything would pass");
    assert_eq!(status("old").await, 401);
    world.end().await;
}

#[tokio::test]
async fn a_secret_is_never_shown_and_never_stored_as_text() {
    let world = World::start().await;
    world.provided("gh", "github", SECRET, |_| {}).await;
    for path in ["/sources/gh", "/sources", "/sources/gh/secrets"] {
        let (status, answer) = world.api("GET", path, None).await;
        assert_eq!(status, 200);
        assert!(!answer.to_string().contains("Secret to"), "{path}: {answer}");
    }
    fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    files(world.data(), &mut found);
    assert!(found.iter().any(|path| path.ends_with("secrets-key")));
    for path in found {
        let bytes = fs::read(&path).expect("readable");
        let has_it = bytes.windows(9).any(|window| window == b"Secret to");
        assert!(!has_it, "{} holds the secret", path.display());
    }
    world.end().await;
}

#[tokio::test]
async fn a_token_that_is_sent_along_reaches_the_app_and_no_record() {
    let mut world = World::start().await;
    world.provided("lab", "gitlab", SECRET, |_| {}).await;
    let token = format!("X-Gitlab-Event: Push Hook\r\nX-Gitlab-Token: {SECRET}\r\n");
    let kept = send(&world, "lab", &token, b"{}").await;
    assert_eq!(kept.status, 202);
    assert_eq!(send(&world, "lab", &token.replace("Secret", "secret"), b"{}").await.status, 401);
    let app = App::start(Behaviour::Say(ok("taken"))).await;
    let agent = world.agent("lab", app.addr()).await;
    app.wait_for(1).await;
    let live = send(&world, "lab", &token, b"[]").await;
    assert_eq!(live.status, 200);
    let sample = json!({ "headers": [["X-Gitlab-Event", "Push Hook"]], "body": "e30=" });
    assert_eq!(world.api("POST", "/sources/lab/trigger", Some(sample)).await.0, 202);
    for request in app.wait_for(3).await {
        assert_eq!(request.values("x-gitlab-token"), [SECRET]);
    }
    seen(&world, &live).await;
    for answer in [&kept, &live] {
        let (_, told) = world.api("GET", &format!("/events/{}", event_of(answer)), None).await;
        assert!(
            told.to_string().contains("(kept by the relay)") && !told.to_string().contains("Secret to"),
            "{told}"
        );
    }
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn without_the_servers_key_nothing_is_let_through() {
    let world = World::start().await;
    world.provided("gh", "github", SECRET, |_| {}).await;
    let key = world.data().join("secrets-key");
    let world = world.restart(|_| fs::write(&key, [7; 32]).expect("written")).await;
    let refused = send(&world, "gh", &github(SECRET, b"{}"), b"{}").await;
    assert_eq!((refused.status, refused.value("relay-error")), (503, "signature_unverifiable"));
    assert_eq!(refused.value("retry-after"), "10");
    // The way out: the same secret again, and the one that cannot be opened away.
    world.secret("gh", SECRET).await;
    let (_, list) = world.api("GET", "/sources/gh/secrets", None).await;
    let id = list["secrets"][0]["id"].as_i64().expect("an id");
    world.api("DELETE", &format!("/sources/gh/secrets/{id}"), None).await;
    assert_eq!(send(&world, "gh", &github(SECRET, b"{}"), b"{}").await.status, 202);
    world.end().await;
}

#[tokio::test]
async fn a_challenge_is_answered_while_nobody_is_there_and_by_the_app_while_it_is() {
    let mut world = World::start().await;
    world.provided("chat", "slack", SECRET, |_| {}).await;
    let body = br#"{"type":"url_verification","challenge":"3eZbrw1a","token":"t"}"#;
    let away = send(&world, "chat", &slack(SECRET, now_s(), body), body).await;
    assert_eq!(away.status, 200);
    let told: serde_json::Value = serde_json::from_slice(&away.body).expect("JSON");
    assert_eq!(told, json!({ "challenge": "3eZbrw1a" }));
    assert_eq!(seen(&world, &away).await.0, OutcomeKind::Greeted);
    assert_eq!(
        send(&world, "chat", &slack("guess", now_s(), body), body).await.status,
        401,
        "signed, so checked"
    );
    // An agent without its app is as good as none.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let alone = world.agent("chat", nobody).await;
    let down = send(&world, "chat", &slack(SECRET, now_s(), body), body).await;
    assert_eq!((down.status, down.text()), (200, away.text()));
    alone.drain().await;
    let app = App::start(Behaviour::Say(ok("mine"))).await;
    let agent = world.agent("chat", app.addr()).await;
    assert_eq!(send(&world, "chat", &slack(SECRET, now_s(), body), body).await.text(), "mine");
    let (changed, _) = world
        .api("PATCH", "/sources/chat", Some(json!({ "rules": { "provider": { "greet": "relay" } } })))
        .await;
    assert_eq!(changed, 200);
    assert_ne!(send(&world, "chat", &slack(SECRET, now_s(), body), body).await.text(), "mine");
    assert_eq!(app.recorded().len(), 1);
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn a_handshake_that_brings_a_secret_is_believed_only_when_it_is_awaited() {
    let world = World::start().await;
    world
        .provided("tasks", "asana", "first", |rules| {
            rules.provider.as_mut().expect("a provider").greet = GreetBy::Relay;
        })
        .await;
    let shake =
        async || send(&world, "tasks", "X-Hook-Secret: b537207f20cbfa02357cf448134da559\r\n", b"").await;
    assert_eq!(shake().await.status, 401, "anybody could send it");
    let (opened, _) = world.api("POST", "/sources/tasks/pair", Some(json!({}))).await;
    assert_eq!(opened, 200);
    let awaited = shake().await;
    assert_eq!(awaited.value("x-hook-secret"), "b537207f20cbfa02357cf448134da559");
    assert_eq!(shake().await.status, 200, "said again by who did not hear the answer");
    let other = send(&world, "tasks", "X-Hook-Secret: 00000000000000000000000000000000\r\n", b"").await;
    assert_eq!(other.status, 401, "once");
    let signed = format!("X-Hook-Signature: {}\r\n", hex_of("b537207f20cbfa02357cf448134da559", &[b"{}"]));
    assert_eq!(send(&world, "tasks", &signed, b"{}").await.status, 202);
    world.end().await;
}

#[tokio::test]
async fn what_comes_late_is_signed_afresh_and_says_so() {
    let mut world = World::start().await;
    let change = |rules: &mut SourceRules| rules.provider.as_mut().expect("a provider").resign = true;
    world.provided("pay", "stripe", SECRET, change).await;
    let body = br#"{"id":"evt_1","type":"invoice.paid"}"#;
    let then_s = now_s() - 200;
    let accepted = send(&world, "pay", &stripe(SECRET, then_s, body), body).await;
    assert_eq!(accepted.status, 202);
    let app = App::start(Behaviour::Say(ok("late"))).await;
    let agent = world.agent("pay", app.addr()).await;
    let late = app.only().await;
    let signed_at = |request: &Recorded| -> u64 {
        let field = request.values("stripe-signature").pop().expect("signed");
        let at_s = field.split(',').next().and_then(|part| part.strip_prefix("t=")).expect("a time");
        let at_s = at_s.parse().expect("seconds");
        assert_eq!(stripe(SECRET, at_s, &request.body), format!("Stripe-Signature: {field}\r\n"));
        at_s
    };
    assert!(signed_at(&late) >= then_s + 195, "{}", signed_at(&late));
    assert_eq!((late.body.as_slice(), late.values("relay-resigned")), (&body[..], vec!["stripe".to_owned()]));
    // A live one is the provider's own, to the letter.
    let live = send(&world, "pay", &stripe(SECRET, then_s, body), body).await;
    assert_eq!(live.status, 200);
    let live = app.wait_for(2).await.pop().expect("two");
    assert_eq!((signed_at(&live), live.values("relay-resigned")), (then_s, Vec::new()));
    // And one whose source does not ask for it stays as it was.
    let stay = json!({ "rules": { "provider": { "resign": false } } });
    assert_eq!(world.api("PATCH", "/sources/pay", Some(stay)).await.0, 200);
    let id = event_of(&accepted);
    let (replayed, told) = world.api("POST", &format!("/events/{id}/replay"), Some(json!({}))).await;
    assert!(replayed < 300, "{told}");
    let again = app.wait_for(3).await.pop().expect("three");
    assert_eq!((signed_at(&again), again.values("relay-resigned")), (then_s, Vec::new()));
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn what_was_signed_too_long_ago_is_refused() {
    let world = World::start().await;
    world.provided("pay", "stripe", SECRET, |_| {}).await;
    for (at_s, code) in [(now_s() - 3_600, "stale"), (now_s() + 3_600, "future")] {
        let refused = send(&world, "pay", &stripe(SECRET, at_s, b"{}"), b"{}").await;
        assert_eq!(refused.status, 401);
        assert_eq!(seen(&world, &refused).await.1.as_deref(), Some(code));
    }
    world.end().await;
}

#[tokio::test]
async fn a_source_that_says_nothing_recognises_who_sends_by_what_comes() {
    let world = World::start().await;
    let by_provider = Dedupe { by: DedupeBy::Provider, window_s: 60 };
    let rules =
        SourceRules { reply: ReplyMode::Accepted, dedupe: Some(by_provider), ..SourceRules::default() };
    world.source("any", rules).await;
    let body = br#"{"id":"evt_7","type":"invoice.paid"}"#;
    let first = send(&world, "any", &stripe("unknown", 1, body), body).await;
    let (_, signature, name) = seen(&world, &first).await;
    assert_eq!((signature, name.as_deref()), (None, Some("invoice.paid")));
    let second = send(&world, "any", &stripe("unknown", 2, body), body).await;
    assert_eq!(seen(&world, &second).await.0, OutcomeKind::Duplicate);
    world.end().await;
}

/// Postmark says in no header field who it is.
#[tokio::test]
async fn who_sends_is_recognised_by_the_body_alone() {
    let world = World::start().await;
    world.source("any", SourceRules { reply: ReplyMode::Accepted, ..SourceRules::default() }).await;
    let body = br#"{"RecordType":"Bounce","MessageID":"883953f4"}"#;
    let answer = send(&world, "any", "Content-Type: application/json\r\n", body).await;
    seen(&world, &answer).await;
    let (_, event) = world.api("GET", &format!("/events/{}", event_of(&answer)), None).await;
    assert_eq!(event["recognised"], "postmark");
    world.end().await;
}

/// One message of Postmark's bounces, is opened and clicked: three events under one id.
#[tokio::test]
async fn what_happens_twice_to_one_thing_is_two_events() {
    let world = World::start().await;
    world
        .provided("mail", "postmark", "user:password", |rules| {
            rules.reply = ReplyMode::Accepted;
            rules.dedupe = Some(Dedupe { by: DedupeBy::Provider, window_s: 60 });
        })
        .await;
    let lines = "Authorization: Basic dXNlcjpwYXNzd29yZA==\r\nContent-Type: application/json\r\n";
    let outcome = async |kind: &str| {
        let body = format!(r#"{{"RecordType":"{kind}","MessageID":"883953f4"}}"#);
        seen(&world, &send(&world, "mail", lines, body.as_bytes()).await).await.0
    };
    assert_eq!(outcome("Open").await, OutcomeKind::Accepted);
    assert_eq!(outcome("Click").await, OutcomeKind::Accepted);
    assert_eq!(outcome("Open").await, OutcomeKind::Duplicate);
    world.end().await;
}

/// Whoever forges may not even send what it announces: 25 MiB of disk would be the price of a URL.
#[tokio::test]
async fn a_long_body_without_a_signature_is_refused_before_it_comes() {
    let world = World::start().await;
    world.provided("gh", "github", SECRET, |_| {}).await;
    let head = "POST /h/gh HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 26000000\r\n\r\n";
    let mut sender = Sender::to(world.public()).await;
    sender.say(head.as_bytes()).await;
    let refused = sender.answer().await;
    assert_eq!((refused.status, refused.value("relay-error")), (401, "signature_invalid"));
    assert_eq!(seen(&world, &refused).await.1.as_deref(), Some("header_missing"));
    world.end().await;
}

#[tokio::test]
async fn a_sample_is_signed_as_the_provider_would() {
    let mut world = World::start().await;
    world.provided("gh", "github", SECRET, |_| {}).await;
    let app = App::start(Behaviour::Say(ok("tried"))).await;
    let agent = world.agent("gh", app.addr()).await;
    let sample = json!({ "headers": [["X-GitHub-Event", "push"]], "body": "e30=" });
    let (status, told) = world.api("POST", "/sources/gh/trigger", Some(sample)).await;
    assert_eq!((status, &told["signed"]), (202, &json!(true)), "{told}");
    let request = app.only().await;
    assert_eq!(request.values("x-hub-signature-256"), [format!("sha256={}", hex_of(SECRET, &[b"{}"]))]);
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn an_app_is_told_what_was_checked_and_nobody_else_can_say_it() {
    let mut world = World::start().await;
    world.provided("gh", "github", SECRET, |_| {}).await;
    world.source("any", SourceRules::default()).await;
    let app = App::start(Behaviour::Say(ok("taken"))).await;
    let agent = world.agent("gh", app.addr()).await;
    let other = world.agent("any", app.addr()).await;
    send(&world, "gh", &github(SECRET, b"{}"), b"{}").await;
    send(&world, "any", "Relay-Verified: github\r\n", b"{}").await;
    let requests = app.wait_for(2).await;
    assert_eq!(requests[0].values("relay-verified"), ["github"]);
    assert_eq!(requests[0].values("relay-event-name"), ["push"]);
    assert_eq!(requests[1].values("relay-verified"), Vec::<String>::new());
    agent.drain().await;
    other.drain().await;
    // And what was kept meanwhile.
    assert_eq!(send(&world, "gh", &github(SECRET, b"[]"), b"[]").await.status, 202);
    let agent = world.agent("gh", app.addr()).await;
    assert_eq!(app.wait_for(3).await[2].values("relay-verified"), ["github"]);
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn a_destination_gets_the_events_it_asks_for() {
    let mut world = World::start().await;
    world.source("gh", SourceRules::default()).await;
    world
        .destination("gh", "default", |rules| rules.events = vec!["push".to_owned(), "issue*".to_owned()])
        .await;
    let app = App::start(Behaviour::Say(ok("taken"))).await;
    let agent = world.agent("gh", app.addr()).await;
    let named =
        async |name: &str| send(&world, "gh", &format!("X-GitHub-Event: {name}\r\n"), b"{}").await.status;
    assert_eq!((named("push").await, named("issues").await), (200, 200));
    assert_eq!((named("star").await, named("pushy").await), (202, 202), "kept, and not passed on");
    assert_eq!(world.post("gh", b"without a name").await.status, 202);
    agent.drain().await;
    assert_eq!((named("star").await, named("push").await), (202, 202));
    let agent = world.agent("gh", app.addr()).await;
    let names: Vec<_> = app.wait_for(3).await.iter().flat_map(|one| one.values("x-github-event")).collect();
    assert_eq!(names, ["push", "issues", "push"]);
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn what_passes_live_carries_the_relays_own_signature_where_it_is_wanted() {
    let mut world = World::start().await;
    world.source("own", SourceRules::default()).await;
    world.destination("own", "default", |rules| rules.sign = true).await;
    let (_, told) = world.api("GET", "/sources/own/destinations/default/secret", None).await;
    let secret =
        told["secret"].as_str().and_then(|text| text.strip_prefix("whsec_")).expect("a secret").to_owned();
    let app = App::start(Behaviour::Say(ok("taken"))).await;
    let agent = world.agent("own", app.addr()).await;
    for body in [b"short".to_vec(), vec![7; 2_000_000]] {
        assert_eq!(world.post("own", &body).await.text(), "taken");
    }
    for request in app.wait_for(2).await {
        let field = |name: &str| request.values(name).pop().expect("a field");
        let key = base64_of(&secret);
        let head = format!("{}.{}.", field("webhook-id"), field("webhook-timestamp"));
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &key),
            &[head.as_bytes(), request.body.as_slice()].concat(),
        );
        let signature = field("webhook-signature");
        let signed = base64_of(signature.strip_prefix("v1,").expect("version 1"));
        assert_eq!(signed, tag.as_ref());
    }
    agent.drain().await;
    world.end().await;
}

/// The bytes of some base64, by another hand than the relay's.
fn base64_of(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter_map(|byte| LETTERS.iter().position(|letter| *letter == byte));
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in digits {
        bits = bits << 6 | u32::try_from(digit).expect("below 64");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).expect("a byte"));
        }
    }
    bytes
}

#[tokio::test]
async fn a_challenge_that_nobody_signs_reaches_neither_the_app_nor_anything_else() {
    let mut world = World::start().await;
    let by_provider = || Some(Dedupe { by: DedupeBy::Provider, window_s: 60 });
    world.provided("notes", "notion", SECRET, |rules| rules.dedupe = by_provider()).await;
    world.destination("notes", "second", |_| {}).await;
    let app = App::start(Behaviour::Say(ok("mine"))).await;
    let agent = world.agent("notes", app.addr()).await;
    let second = world.agent_at("notes", "second", app.addr()).await;
    let forged = br#"{"verification_token":"guess","id":"evt-1","type":"page.created"}"#;
    let shaken = send(&world, "notes", "", forged).await;
    assert_eq!(shaken.status, 401, "nobody waits for it");
    let body = br#"{"id":"evt-1","type":"page.created"}"#;
    let signed = format!("X-Notion-Signature: sha256={}\r\n", hex_of(SECRET, &[body]));
    let genuine = send(&world, "notes", &signed, body).await;
    assert_eq!((genuine.status, genuine.text().as_str()), (200, "mine"), "no copy of what was forged");
    assert!(app.wait_for(2).await.iter().all(|request| request.body == body));
    agent.drain().await;
    second.drain().await;
    world.end().await;
}

#[tokio::test]
async fn what_was_refused_is_not_signed_because_somebody_edits_it() {
    let mut world = World::start().await;
    let change = |rules: &mut SourceRules| rules.provider.as_mut().expect("a provider").resign = true;
    world.provided("pay", "stripe", SECRET, change).await;
    let body = br#"{"id":"evt_1","type":"invoice.paid"}"#;
    let good = send(&world, "pay", &stripe(SECRET, now_s(), body), body).await;
    let forged = send(&world, "pay", &stripe("guess", now_s(), body), body).await;
    assert_eq!((good.status, forged.status), (202, 401));
    seen(&world, &forged).await;
    let app = App::start(Behaviour::Say(ok("late"))).await;
    let agent = world.agent("pay", app.addr()).await;
    app.wait_for(1).await;
    let edit = json!({ "headers": [["X-Edited", "1"]] });
    for (answer, signed) in [(&forged, 0), (&good, 1)] {
        let path = format!("/events/{}/replay", event_of(answer));
        let (status, told) = world.api("POST", &path, Some(edit.clone())).await;
        assert_eq!(status, 201, "{told}");
        let seen = app.wait_for(2 + signed).await.pop().expect("it came");
        assert_eq!(seen.values("relay-resigned").len(), signed);
    }
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn every_agent_of_a_broadcast_gets_the_whole_of_what_was_checked() {
    let mut world = World::start().await;
    world.provided("gh", "github", SECRET, |_| {}).await;
    let mut agents = Vec::new();
    let apps = [App::start(Behaviour::Say(ok("one"))).await, App::start(Behaviour::Say(ok("two"))).await];
    let change = json!({ "sharing": "broadcast" });
    assert_eq!(world.api("PATCH", "/sources/gh/destinations/default", Some(change)).await.0, 200);
    for app in &apps {
        agents.push(world.agent("gh", app.addr()).await);
    }
    // Longer than what comes with the head: it arrives in pieces.
    let body: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    assert_eq!(send(&world, "gh", &github(SECRET, &body), &body).await.status, 200);
    for app in &apps {
        assert_eq!(app.only().await.body, body);
    }
    for agent in agents {
        agent.drain().await;
    }
    world.end().await;
}
