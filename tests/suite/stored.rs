//! What is stored is delivered: accepted, retried, in order, fanned out, once.

use std::time::Duration;

use protocol::id::EventId;
use relay_server::delivery::schedule::Schedule;
use relay_server::model::{
    AcceptedReply, Dedupe, DedupeBy, DeliveryState, IfAway, IfFailed, IfSlow, Order, ReplyMode, SourceRules,
};
use relay_server::store::{Attempt, OutcomeKind, Replayed};
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::post;
use relay_tests::{Answer, App, Sender, World};

fn rules(change: impl FnOnce(&mut SourceRules)) -> SourceRules {
    let mut rules = SourceRules::default();
    change(&mut rules);
    rules
}

fn accepted() -> SourceRules {
    rules(|rules| rules.reply = ReplyMode::Accepted)
}

/// Second attempts after a second, at most a minute of them.
fn soon() -> Schedule {
    Schedule { first_s: 1, factor: 1, delay_s_max: 1, for_s: 60 }
}

/// Expressions run in the server's own program, which a test is not.
fn with_jq(config: &mut relay_server::config::Config) {
    config.jq.program = Some(crate::programs::program("relay-server").get_program().into());
}

fn status_bytes(code: u16) -> Vec<u8> {
    format!("HTTP/1.1 {code} X\r\nContent-Length: 3\r\n\r\nwhy").into_bytes()
}

fn status(code: u16) -> Behaviour {
    Behaviour::Say(status_bytes(code))
}

fn event_of(answer: &Answer) -> EventId {
    answer.value("relay-event-id").parse().expect("an event id")
}

/// Waits (bounded) until the event's delivery with that number is in that state, and gives its attempts.
async fn settled(world: &World, event: EventId, no: u32, state: DeliveryState) -> Vec<Attempt> {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let found = world.server().store().deliveries_of(event).await.expect("deliveries");
            let found =
                found.into_iter().find(|(delivery, _)| delivery.id.no == no && delivery.state == state);
            if let Some((delivery, _)) = found {
                return world.server().store().attempts(delivery.id).await.expect("attempts");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    match waited.await {
        Ok(attempts) => attempts,
        Err(_) => panic!("{:#?}", world.server().store().deliveries_of(event).await),
    }
}

fn outcomes(attempts: &[Attempt]) -> Vec<(OutcomeKind, Option<u16>, Option<&str>)> {
    attempts.iter().map(|attempt| (attempt.outcome, attempt.status, attempt.reason.as_deref())).collect()
}

#[tokio::test]
async fn an_event_waits_for_its_agent() {
    let mut world = World::start().await;
    world.source("github", SourceRules::default()).await;
    let answer = world.post("github", b"while nobody is there").await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let app = App::start(Behaviour::Say(ok("done"))).await;
    let agent = world.agent("github", app.addr()).await;
    let request = app.only().await;
    assert_eq!(request.body, b"while nobody is there");
    assert_eq!(request.values("relay-attempt"), ["1"]);
    assert_eq!(request.values("relay-event-id"), [event_of(&answer).to_string()]);
    let attempts = settled(&world, event_of(&answer), 1, DeliveryState::Delivered).await;
    assert_eq!(outcomes(&attempts), [(OutcomeKind::Answered, Some(200), None)]);
    assert_eq!(&attempts[0].answer.body.bytes[..], b"done");
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn what_was_accepted_is_delivered_after_the_server_was_gone() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    let answer = world.post("hook", b"x").await;
    world = world.restart(|_| ()).await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let _agent = world.agent("hook", app.addr()).await;
    assert_eq!(app.only().await.body, b"x");
    settled(&world, event_of(&answer), 1, DeliveryState::Delivered).await;
    world.end().await;
}

#[tokio::test]
async fn an_accepted_event_is_answered_in_the_sources_own_words() {
    let world = World::start().await;
    let own = AcceptedReply {
        status: 200,
        headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
        body: Some("[accepted]".to_owned()),
    };
    world.source("own", rules(|r| (r.reply, r.accepted) = (ReplyMode::Accepted, own))).await;
    let answer = world.post("own", b"{}").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "[accepted]"));
    assert_eq!((answer.value("content-type"), answer.value("content-length")), ("text/plain", "10"));
    world
        .source(
            "empty",
            rules(|r| {
                r.reply = ReplyMode::Accepted;
                r.accepted = AcceptedReply { status: 204, ..AcceptedReply::default() };
            }),
        )
        .await;
    let answer = world.post("empty", b"{}").await;
    assert_eq!((answer.status, answer.body.len(), answer.values("content-length").len()), (204, 0, 0));
    world.end().await;
}

#[tokio::test]
async fn a_stored_request_arrives_byte_for_byte() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    let head = "POST /h/hook/a//b/../c?x=%2F&y HTTP/1.1\r\nHost: a\r\nx-CaSe: one\r\nX-Case: two\r\n\
                X-Bytes: \u{e9}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 7\r\n\r\n";
    let answer = world.exchange(head.as_bytes()).await;
    assert_eq!(answer.status, 202, "{}", answer.head);
    let app = App::start(Behaviour::Say(ok(""))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let request = app.only().await;
    assert_eq!(String::from_utf8_lossy(&request.line), "POST /a//b/../c?x=%2F&y HTTP/1.1");
    let cases: Vec<_> =
        request.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"x-case")).collect();
    assert_eq!(cases[0].0, b"x-CaSe");
    assert_eq!(request.values("x-case"), ["one", "two"]);
    assert_eq!(request.values("transfer-encoding"), ["chunked"]);
    assert_eq!(request.values("x-bytes"), ["\u{e9}"]);
    assert_eq!(request.body, b"hello!");
    assert_eq!(String::from_utf8_lossy(&request.trailers).to_ascii_lowercase().trim(), "x-sum: 7");
    world.end().await;
}

#[tokio::test]
async fn large_bodies_are_kept_in_files_and_arrive_whole() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let mut bodies = Vec::new();
    for kib in [300, 1_024, 1_025, 5_000] {
        let body: Vec<u8> = (0..kib * 1024_u32).map(|at| (at % 251) as u8).collect();
        assert_eq!(world.post("hook", &body).await.status, 202);
        bodies.push(body);
    }
    let files = || std::fs::read_dir(world.data().join("bodies")).expect("the directory").count();
    assert_eq!(files(), 2, "those past 1 MiB");
    let world_files = files();
    let _agent = world.agent("hook", app.addr()).await;
    let mut arrived: Vec<_> = app.wait_for(4).await.into_iter().map(|request| request.body).collect();
    arrived.sort_by_key(Vec::len);
    assert!(arrived == bodies, "byte for byte");
    assert_eq!(world_files, 2);
    world.end().await;
}

#[tokio::test]
async fn a_sender_that_breaks_off_leaves_nothing_behind() {
    let world = World::start().await;
    world.source("hook", accepted()).await;
    let mut sender = Sender::to(world.public()).await;
    sender.say(b"POST /h/hook HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n").await;
    sender.say(&vec![7; 2_000_000]).await;
    sender.hang_up().await;
    let gone = tokio::time::timeout(Duration::from_secs(10), async {
        while std::fs::read_dir(world.data().join("bodies")).expect("the directory").count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    gone.await.expect("the half body goes");
    world.end().await;
}

#[tokio::test]
async fn failed_attempts_are_made_again_by_the_schedule_until_the_app_takes_it() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    world.destination("hook", "default", |rules| rules.retry = soon()).await;
    let app = App::start(status(500)).await;
    let _agent = world.agent("hook", app.addr()).await;
    let answer = world.post("hook", b"x").await;
    app.wait_for(2).await;
    app.behave(Behaviour::HangUp);
    app.wait_for(3).await;
    app.behave(Behaviour::Say(ok("at last")));
    let attempts = settled(&world, event_of(&answer), 1, DeliveryState::Delivered).await;
    let outcomes = outcomes(&attempts);
    assert_eq!(outcomes[..2], [(OutcomeKind::Answered, Some(500), None); 2]);
    assert_eq!(outcomes.last(), Some(&(OutcomeKind::Answered, Some(200), None)));
    assert!(outcomes.contains(&(OutcomeKind::SentNoAnswer, None, Some("app_broke"))), "{outcomes:?}");
    let numbers: Vec<_> =
        app.recorded().iter().map(|request| request.values("relay-attempt").concat()).collect();
    let expected: Vec<_> = (1..=numbers.len()).map(|no| no.to_string()).collect();
    assert_eq!(numbers, expected);
    world.end().await;
}

#[tokio::test]
async fn what_an_app_refuses_for_good_is_dead_at_once() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    let app = App::start(status(422)).await;
    let _agent = world.agent("hook", app.addr()).await;
    let refused = world.post("hook", b"x").await;
    let attempts = settled(&world, event_of(&refused), 1, DeliveryState::Dead).await;
    assert_eq!(outcomes(&attempts), [(OutcomeKind::Answered, Some(422), None)]);
    app.behave(status(410));
    let gone = world.post("hook", b"x").await;
    settled(&world, event_of(&gone), 1, DeliveryState::Dead).await;
    world.end().await;
}

#[tokio::test]
async fn an_app_that_is_down_costs_no_event_its_place() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    drop(listener);
    let _agent = world.agent("hook", addr).await;
    let mut events = Vec::new();
    for no in 0..5 {
        events.push(event_of(&world.post("hook", format!("{no}").as_bytes()).await));
    }
    let store = world.server().store();
    let tried = tokio::time::timeout(Duration::from_secs(10), async {
        while store.deliveries_of(events[0]).await.expect("deliveries")[0].1.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    tried.await.expect("one attempt found out");
    let listener = tokio::net::TcpListener::bind(addr).await.expect("the same port");
    let app = App::on(listener, Behaviour::Say(ok("")));
    app.wait_for(5).await;
    for event in &events {
        let attempts = settled(&world, *event, 1, DeliveryState::Delivered).await;
        let not_sent = attempts.iter().filter(|attempt| attempt.outcome == OutcomeKind::NotSent).count();
        assert_eq!(attempts.len(), not_sent + 1, "{attempts:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn strict_order_holds_while_the_first_fails() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    world.destination("hook", "default", |rules| (rules.order, rules.retry) = (Order::Strict, soon())).await;
    let app = App::start(status(503)).await;
    let _agent = world.agent("hook", app.addr()).await;
    for no in 0..10 {
        assert_eq!(world.post("hook", format!("{no}").as_bytes()).await.status, 202);
    }
    app.wait_for(2).await;
    app.behave(Behaviour::Say(ok("")));
    let arrived = app.wait_for(12).await;
    let bodies: Vec<_> =
        arrived.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect();
    let failed = bodies.iter().take_while(|body| *body == "0").count();
    assert_eq!(bodies[failed..], ["1", "2", "3", "4", "5", "6", "7", "8", "9"], "{bodies:?}");
    world.end().await;
}

#[tokio::test]
async fn live_traffic_does_not_overtake_a_strict_backlog() {
    let mut world = World::start().await;
    world.source("hook", SourceRules::default()).await;
    world.destination("hook", "default", |rules| rules.order = Order::Strict).await;
    for no in 0..3 {
        assert_eq!(world.post("hook", format!("{no}").as_bytes()).await.status, 202);
    }
    let app = App::start(Behaviour::Slow(Duration::from_millis(200), ok("live"))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let behind = world.post("hook", b"3").await;
    assert_eq!(behind.status, 202, "waits for its turn");
    app.wait_for(4).await;
    settled(&world, event_of(&behind), 1, DeliveryState::Delivered).await;
    let bodies: Vec<_> = app.recorded().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, [b"0", b"1", b"2", b"3"]);
    let live = tokio::time::timeout(Duration::from_secs(5), async {
        while world.post("hook", b"4").await.status != 200 {}
    });
    live.await.expect("live again once the backlog is gone");
    world.end().await;
}

#[tokio::test]
async fn a_destination_is_asked_as_often_at_once_as_it_allows() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    world.destination("hook", "default", |rules| rules.concurrency = 3).await;
    let app = App::start(Behaviour::Silence).await;
    let _agent = world.agent("hook", app.addr()).await;
    for _ in 0..10 {
        world.post("hook", b"x").await;
    }
    app.wait_for(3).await;
    let store = world.server().store();
    let source = store.source("hook").expect("the source");
    let leased = relay_server::store::DeliveryFilter {
        sources: vec![source.id],
        state: Some(DeliveryState::Leased),
        limit: 100,
        ..Default::default()
    };
    assert_eq!(store.deliveries(leased).await.expect("deliveries").deliveries.len(), 3);
    assert_eq!(app.recorded().len(), 3, "no fourth");
}

#[tokio::test]
async fn every_destination_gets_its_own_delivery() {
    let mut world = World::start().await;
    world.source("hook", SourceRules::default()).await;
    world.destination("hook", "audit", |rules| rules.retry = soon()).await;
    let (main, audit) = (App::start(Behaviour::Say(ok("main"))).await, App::start(status(500)).await);
    let _main = world.agent("hook", main.addr()).await;
    let answer = world.post("hook", b"x").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "main"), "the primary answers");
    let _audit = world.agent_at("hook", "audit", audit.addr()).await;
    audit.wait_for(1).await;
    audit.behave(Behaviour::Say(ok("")));
    let attempts = settled(&world, event_of(&answer), 1, DeliveryState::Delivered).await;
    assert_eq!(outcomes(&attempts).last(), Some(&(OutcomeKind::Answered, Some(200), None)));
    assert_eq!(main.recorded().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_url_gets_what_an_agent_would_and_a_private_address_nothing() {
    let mut world =
        World::with(|config| config.urls.allowed = vec!["127.0.0.1/32".parse().expect("a network")]).await;
    let app = App::start(Behaviour::Say(ok("taken"))).await;
    world.source("hook", accepted()).await;
    let url = format!("http://127.0.0.1:{}/in?k=v", app.addr().port());
    world.destination("hook", "default", |rules| rules.url = Some(url.parse().expect("a URL"))).await;
    let answer = world.post("hook", b"straight").await;
    let request = app.only().await;
    assert_eq!((request.target().as_str(), request.body.as_slice()), ("/in?k=v", &b"straight"[..]));
    settled(&world, event_of(&answer), 1, DeliveryState::Delivered).await;
    world = world.restart(|config| config.urls.allowed.clear()).await;
    let answer = world.post("hook", b"inside").await;
    let store = world.server().store();
    let refused = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let found = store.deliveries_of(event_of(&answer)).await.expect("deliveries");
            if let Some(attempt) = found[0].1.first() {
                return attempt.reason.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert_eq!(refused.await.expect("an attempt").as_deref(), Some("address_refused"));
    assert_eq!(app.recorded().len(), 1, "nothing reached it");
    world.end().await;
}

#[tokio::test]
async fn filters_and_transforms_decide_what_a_destination_gets() {
    let mut world = World::with(with_jq).await;
    world.source("hook", accepted()).await;
    world
        .destination("hook", "default", |rules| {
            rules.filter = Some(r#".body.action == "opened""#.to_owned());
            rules.transform =
                Some(r#"{path: "/made", body: {n: .body.n}, headers: {"X-Made": "yes"}}"#.to_owned());
        })
        .await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let other = world.post("hook", br#"{"action":"closed","n":1}"#).await;
    settled(&world, event_of(&other), 1, DeliveryState::Cancelled).await;
    let meant = world.post("hook", br#"{"action":"opened","n":12345678901234567890}"#).await;
    settled(&world, event_of(&meant), 1, DeliveryState::Delivered).await;
    let request = app.only().await;
    assert_eq!(request.target(), "/made");
    assert_eq!(String::from_utf8_lossy(&request.body), r#"{"n":12345678901234567890}"#);
    assert_eq!(request.values("x-made"), ["yes"]);
    world.destination("hook", "default", |rules| rules.filter = Some("def f: f; f".to_owned())).await;
    let hostile = world.post("hook", b"{}").await;
    let attempts = settled(&world, event_of(&hostile), 1, DeliveryState::Dead).await;
    assert_eq!(outcomes(&attempts), [(OutcomeKind::NotSent, None, Some("filter_failed"))]);
    world.end().await;
}

/// A sender whose events an expression is slow on cannot have others' events given up: they wait until it runs again.
#[tokio::test]
async fn an_event_waits_while_its_filter_rests_and_never_dies_of_it() {
    let mut world = World::with(|config| {
        config.jq.program = Some(crate::programs::program("relay-server").get_program().into());
    })
    .await;
    world.source("hook", accepted()).await;
    let filter = "if .body.slow then last(range(infinite)) else .body end";
    world.destination("hook", "default", |rules| rules.filter = Some(filter.to_owned())).await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let _agent = world.agent("hook", app.addr()).await;
    for _ in 0..3 {
        let hostile = world.post("hook", br#"{"slow":true}"#).await;
        settled(&world, event_of(&hostile), 1, DeliveryState::Dead).await;
    }
    let genuine = world.post("hook", b"{}").await;
    let attempts = settled(&world, event_of(&genuine), 1, DeliveryState::Delivered).await;
    assert_eq!(outcomes(&attempts), [(OutcomeKind::Answered, Some(200), None)], "no attempt was lost on it");
    app.only().await;
    world.end().await;
}

/// What a filter cannot see it cannot pass: the app's parser may be more lenient than ours.
#[tokio::test]
async fn no_sender_hides_json_from_a_filter() {
    let mut world = World::with(|config| {
        config.jq.program = Some(crate::programs::program("relay-server").get_program().into());
    })
    .await;
    world.source("hook", accepted()).await;
    let filter = r#".body.type != "refund""#;
    world.destination("hook", "default", |rules| rules.filter = Some(filter.to_owned())).await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let padding = "x".repeat(1024 * 1024);
    let large = format!(r#"{{"type":"refund","padding":"{padding}"}}"#);
    for hidden in [r#"{"type":"refund","x":"\ud800"}"#, &large] {
        let answer = world.post("hook", hidden.as_bytes()).await;
        let attempts = settled(&world, event_of(&answer), 1, DeliveryState::Dead).await;
        assert_eq!(outcomes(&attempts), [(OutcomeKind::NotSent, None, Some("filter_failed"))]);
        let text = attempts[0].text.as_deref().unwrap_or_default();
        assert!(text.contains("cannot be shown to the expression"), "{text}");
    }
    let text = world.post("hook", padding.as_bytes()).await;
    settled(&world, event_of(&text), 1, DeliveryState::Delivered).await;
    assert_eq!(app.only().await.body.len(), padding.len(), "what is no JSON is null to a filter, as ever");
    world.end().await;
}

#[tokio::test]
async fn an_app_too_slow_for_its_sender_is_heard_out() {
    let mut world = World::start().await;
    world.source("hook", rules(|r| (r.patience_ms, r.if_slow) = (200, IfSlow::Accept))).await;
    let app = App::start(Behaviour::Slow(Duration::from_millis(800), ok("late"))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let answer = world.post("hook", b"x").await;
    assert_eq!(answer.status, 202, "{}", answer.head);
    let attempts = settled(&world, event_of(&answer), 1, DeliveryState::Delivered).await;
    assert_eq!(outcomes(&attempts), [(OutcomeKind::Answered, Some(200), None)]);
    assert_eq!(&attempts[0].answer.body.bytes[..], b"late");
    assert_eq!(app.recorded().len(), 1, "asked once");
    world.end().await;
}

#[tokio::test]
async fn an_apps_failure_is_kept_where_the_source_says_so() {
    let mut world = World::start().await;
    world.source("hook", rules(|r| r.if_failed = IfFailed::Accept)).await;
    world.destination("hook", "default", |rules| rules.retry = soon()).await;
    let app = App::start(status(503)).await;
    let _agent = world.agent("hook", app.addr()).await;
    let answer = world.post("hook", b"x").await;
    assert_eq!(answer.status, 202, "{}", answer.head);
    app.behave(Behaviour::Say(ok("")));
    let attempts = settled(&world, event_of(&answer), 1, DeliveryState::Delivered).await;
    let expected = [(OutcomeKind::Answered, Some(503), None), (OutcomeKind::Answered, Some(200), None)];
    assert_eq!(outcomes(&attempts), expected);
    app.behave(status(404));
    assert_eq!(world.post("hook", b"x").await.status, 404, "what another try cannot better is passed on");
    world.end().await;
}

#[tokio::test]
async fn an_app_that_refuses_connections_is_away() {
    let mut world = World::start().await;
    world.source("hook", SourceRules::default()).await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let _agent = world.agent("hook", gone).await;
    // The body comes after its head: what was not there at once is kept too.
    let mut sender = Sender::to(world.public()).await;
    sender.say(b"POST /h/hook HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    sender.say(b"56789").await;
    let answer = sender.answer().await;
    assert_eq!(answer.status, 202, "{}", answer.head);
    let listener = tokio::net::TcpListener::bind(gone).await.expect("the same port");
    let app = App::on(listener, Behaviour::Say(ok("")));
    assert_eq!(app.only().await.body, b"0123456789");
    let attempts = settled(&world, event_of(&answer), 1, DeliveryState::Delivered).await;
    assert_eq!(outcomes(&attempts)[0], (OutcomeKind::NotSent, None, Some("app_refused")));
    world.end().await;
}

fn by_header(change: impl FnOnce(&mut SourceRules)) -> SourceRules {
    rules(|rules| {
        rules.dedupe = Some(Dedupe { by: DedupeBy::Header("X-Id".to_owned()), window_s: 60 });
        change(rules);
    })
}

async fn copy(world: &World, name: &str, id: &str) -> Answer {
    world.exchange(&post(&format!("/h/{name}"), &format!("X-Id: {id}\r\n"), b"x")).await
}

#[tokio::test]
async fn a_second_copy_is_answered_like_the_first_and_not_delivered_again() {
    let mut world = World::start().await;
    world.source("stored", by_header(|r| r.reply = ReplyMode::Accepted)).await;
    world.source("live", by_header(|_| ())).await;
    let app = App::start(Behaviour::Slow(Duration::from_millis(200), ok("made"))).await;
    let _stored = world.agent("stored", app.addr()).await;
    let _live = world.agent("live", app.addr()).await;
    for (name, status) in [("stored", 202), ("live", 200)] {
        let before = app.recorded().len();
        let copies = futures_util::future::join_all((0..8).map(|_| copy(&world, name, "1"))).await;
        let firsts: Vec<_> =
            copies.iter().filter(|answer| answer.values("relay-duplicate-of").is_empty()).collect();
        assert_eq!(firsts.len(), 1, "{name}: one is the first");
        let first = event_of(firsts[0]).to_string();
        for answer in &copies {
            assert_eq!(answer.status, status, "{name}: {}", answer.head);
            assert!(answer.values("relay-duplicate-of").iter().all(|of| **of == first));
        }
        copy(&world, name, "2").await;
        app.wait_for(before + 2).await;
        assert_eq!(app.recorded().len(), before + 2, "{name}: each of two once");
    }
    world.end().await;
}

#[tokio::test]
async fn a_copy_of_what_failed_is_a_first() {
    let mut world = World::start().await;
    world.source("hook", by_header(|_| ())).await;
    let app = App::start(status(500)).await;
    let _agent = world.agent("hook", app.addr()).await;
    assert_eq!(copy(&world, "hook", "1").await.status, 500);
    app.behave(Behaviour::Say(ok("")));
    assert_eq!(copy(&world, "hook", "1").await.status, 200);
    assert_eq!(app.recorded().len(), 2);
    let again = copy(&world, "hook", "1").await;
    assert_eq!((again.status, again.values("relay-duplicate-of").len()), (200, 1), "{}", again.head);
    assert_eq!(app.recorded().len(), 2);
    world.end().await;
}

#[tokio::test]
async fn a_paused_destination_keeps_what_comes_and_gives_it_when_resumed() {
    let mut world = World::start().await;
    world.source("hook", SourceRules::default()).await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let _agent = world.agent("hook", app.addr()).await;
    world.destination("hook", "default", |rules| rules.paused = true).await;
    let answer = world.post("hook", b"x").await;
    assert_eq!(answer.status, 202, "{}", answer.head);
    let store = world.server().store();
    let found = store.deliveries_of(event_of(&answer)).await.expect("deliveries");
    assert_eq!((found[0].0.state, app.recorded().len()), (DeliveryState::Waiting, 0));
    world.destination("hook", "default", |rules| rules.paused = false).await;
    settled(&world, event_of(&answer), 1, DeliveryState::Delivered).await;
    world.end().await;
}

#[tokio::test]
async fn a_replay_is_a_new_delivery_of_the_same_event() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let answer = world.post("hook", b"again").await;
    assert_eq!(answer.status, 200);
    world.recorded(1).await;
    let event = event_of(&answer);
    let store = world.server().store();
    let destination = store.source("hook").expect("the source").destinations[0].id;
    let made = store.replay(vec![(event, destination)]).await.expect("replayed");
    assert!(matches!(made[..], [Replayed::Made(delivery)] if delivery.no == 1), "{made:?}");
    settled(&world, event, 1, DeliveryState::Delivered).await;
    let [first, second] = &app.wait_for(2).await[..] else { panic!("two requests") };
    assert_eq!(first.body, second.body);
    assert_eq!(first.values("relay-replay"), Vec::<String>::new());
    assert_eq!(second.values("relay-replay").len(), 1, "said once");
    let nobody = store.replay(vec![(EventId(7), destination)]).await.expect("looked up");
    assert_eq!(nobody, [Replayed::Gone(EventId(7))]);
    world.end().await;
}

#[tokio::test]
async fn a_cancelled_delivery_is_not_made() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    let first = event_of(&world.post("hook", b"1").await);
    let second = event_of(&world.post("hook", b"2").await);
    let store = world.server().store();
    let delivery = relay_server::model::DeliveryId { event: first, no: 1 };
    assert!(store.cancel(delivery, "by_hand").await.expect("cancelled"));
    assert!(!store.cancel(delivery, "by_hand").await.expect("looked up"), "once");
    let app = App::start(Behaviour::Say(ok(""))).await;
    let _agent = world.agent("hook", app.addr()).await;
    settled(&world, second, 1, DeliveryState::Delivered).await;
    assert_eq!(app.only().await.body, b"2");
    world.end().await;
}

#[tokio::test]
async fn a_source_that_refuses_keeps_nothing() {
    let world = World::start().await;
    world.source("hook", rules(|r| r.if_away = IfAway::Refuse)).await;
    let answer = world.post("hook", b"x").await;
    assert_eq!((answer.status, answer.value("relay-error")), (503, "agent_away"));
    let found = world.server().store().deliveries_of(event_of(&answer)).await.expect("deliveries");
    assert!(found.is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_body_that_was_only_held_in_case_leaves_no_file() {
    let mut world = World::start().await;
    world.source("hook", rules(|r| r.if_failed = IfFailed::Accept)).await;
    let app = App::start(Behaviour::Say(ok("fine"))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let body = vec![b'x'; 2 * 1024 * 1024];
    let answer = world.post("hook", &body).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
    assert!(app.only().await.body == body, "whole, from its file");
    let files = std::fs::read_dir(world.data().join("bodies")).expect("the directory").count();
    assert_eq!(files, 0);
    world.end().await;
}

#[tokio::test]
async fn what_is_under_way_when_the_server_drains_is_settled() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    let app = App::start(Behaviour::Slow(Duration::from_millis(500), ok("done"))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let answer = world.post("hook", b"x").await;
    app.wait_for(1).await;
    let world = world.restart(|_| ()).await;
    let attempts = settled(&world, event_of(&answer), 1, DeliveryState::Delivered).await;
    assert_eq!(outcomes(&attempts), [(OutcomeKind::Answered, Some(200), None)]);
    assert_eq!(app.recorded().len(), 1, "once");
    world.end().await;
}

#[tokio::test]
async fn an_attempt_cut_off_by_the_servers_end_is_recorded_as_one_that_may_have_reached_the_app() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    let app = App::start(Behaviour::Silence).await;
    let _agent = world.agent("hook", app.addr()).await;
    let answer = world.post("hook", b"x").await;
    app.wait_for(1).await;
    app.behave(Behaviour::Say(ok("")));
    let mut world = world.crash().await;
    let _agent = world.agent("hook", app.addr()).await;
    let attempts = settled(&world, event_of(&answer), 1, DeliveryState::Delivered).await;
    let cut_off = (OutcomeKind::SentNoAnswer, None, Some("relay_stopped"));
    assert_eq!(outcomes(&attempts), [cut_off, (OutcomeKind::Answered, Some(200), None)]);
    world.end().await;
}

#[tokio::test]
async fn a_target_with_a_fragment_does_not_hold_up_a_url() {
    let world =
        World::with(|config| config.urls.allowed = vec!["127.0.0.1/32".parse().expect("a network")]).await;
    let app = App::start(Behaviour::Say(ok("taken"))).await;
    world.source("hook", accepted()).await;
    let url = format!("http://127.0.0.1:{}/in", app.addr().port());
    world.destination("hook", "default", |rules| rules.url = Some(url.parse().expect("a URL"))).await;
    let odd = world.exchange(&post("/h/hook#x", "", b"odd")).await;
    let plain = world.post("hook", b"plain").await;
    for answer in [&odd, &plain] {
        assert_eq!(answer.status, 202);
        settled(&world, event_of(answer), 1, DeliveryState::Delivered).await;
    }
    let targets: Vec<_> = app.recorded().iter().map(|request| request.target()).collect();
    assert_eq!(targets, ["/in", "/in"], "a fragment goes to no server");
    world.end().await;
}

#[tokio::test]
async fn cancelling_what_blocks_a_strict_destination_lets_the_next_go() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    let late = Schedule { first_s: 3_600, factor: 1, delay_s_max: 3_600, for_s: 100_000 };
    world.destination("hook", "default", |rules| (rules.order, rules.retry) = (Order::Strict, late)).await;
    let app = App::start(status(503)).await;
    let _agent = world.agent("hook", app.addr()).await;
    let first = event_of(&world.post("hook", b"1").await);
    app.wait_for(1).await;
    app.behave(Behaviour::Say(ok("")));
    let second = event_of(&world.post("hook", b"2").await);
    let store = world.server().store();
    tokio::time::timeout(Duration::from_secs(20), async {
        while store.deliveries_of(first).await.expect("deliveries")[0].1.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the first has failed");
    let delivery = relay_server::model::DeliveryId { event: first, no: 1 };
    assert!(store.cancel(delivery, "by_hand").await.expect("cancelled"));
    settled(&world, second, 1, DeliveryState::Delivered).await;
    world.end().await;
}

#[tokio::test]
async fn live_exchanges_of_a_strict_destination_come_one_after_the_other() {
    let mut world = World::start().await;
    world.source("hook", rules(|rules| rules.if_failed = IfFailed::Accept)).await;
    world.destination("hook", "default", |rules| (rules.order, rules.retry) = (Order::Strict, soon())).await;
    let app = App::start(Behaviour::Slow(Duration::from_millis(300), status_bytes(503))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let public = world.public();
    let send = |body: &'static [u8]| {
        tokio::spawn(async move { relay_tests::client::exchange(public, &post("/h/hook", "", body)).await })
    };
    let first = send(b"1");
    app.wait_for(1).await;
    let second = send(b"2");
    assert_eq!(first.await.expect("answered").status, 202, "it failed, and is kept");
    app.behave(Behaviour::Say(ok("")));
    let second = second.await.expect("answered");
    assert_eq!(second.status, 202, "behind the first");
    settled(&world, event_of(&second), 1, DeliveryState::Delivered).await;
    let bodies: Vec<_> = app.recorded().into_iter().map(|request| request.body).collect();
    let (last, before) = bodies.split_last().expect("some came");
    assert_eq!(last, b"2");
    assert!(before.len() >= 2 && before.iter().all(|body| body == b"1"), "{bodies:?}");
    world.end().await;
}

#[tokio::test]
async fn what_the_app_took_after_its_sender_left_is_not_delivered_again() {
    let mut world = World::start().await;
    world.source("hook", by_header(|_| ())).await;
    let app = App::start(Behaviour::Slow(Duration::from_millis(600), ok("made"))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let mut impatient = Sender::to(world.public()).await;
    impatient.say(&post("/h/hook", "X-Id: 1\r\n", b"x")).await;
    app.wait_for(1).await;
    impatient.hang_up().await;
    let again = copy(&world, "hook", "1").await;
    assert_eq!((again.status, again.values("relay-duplicate-of").len()), (200, 1), "{}", again.head);
    assert_eq!(again.text(), "made");
    assert_eq!(app.recorded().len(), 1, "once");
    world.end().await;
}

#[tokio::test]
async fn a_copy_with_another_body_learns_only_the_status_of_the_first() {
    let mut world = World::start().await;
    world.source("hook", by_header(|_| ())).await;
    let app = App::start(Behaviour::Say(ok("a secret of the first"))).await;
    let _agent = world.agent("hook", app.addr()).await;
    assert_eq!(copy(&world, "hook", "1").await.text(), "a secret of the first");
    let guessed = world.exchange(&post("/h/hook", "X-Id: 1\r\n", b"guessed")).await;
    assert_eq!((guessed.status, guessed.text().as_str()), (200, ""), "{}", guessed.head);
    assert_eq!(copy(&world, "hook", "1").await.text(), "a secret of the first");
    assert_eq!(app.recorded().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_copy_is_known_whatever_another_destination_made_of_the_first() {
    let mut world = World::with(with_jq).await;
    world.source("hook", by_header(|_| ())).await;
    world.destination("hook", "never", |rules| rules.filter = Some("false".to_owned())).await;
    let (app, never) = (App::start(Behaviour::Say(ok(""))).await, App::start(Behaviour::Say(ok(""))).await);
    let _agent = world.agent("hook", app.addr()).await;
    let _never = world.agent_at("hook", "never", never.addr()).await;
    let first = copy(&world, "hook", "1").await;
    settled(&world, event_of(&first), 1, DeliveryState::Cancelled).await;
    let second = copy(&world, "hook", "1").await;
    assert_eq!(second.values("relay-duplicate-of").len(), 1, "{}", second.head);
    assert_eq!(app.recorded().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_lease_left_on_a_destination_that_was_deleted_ends_with_it() {
    let mut world = World::start().await;
    world.source("hook", accepted()).await;
    world.destination("hook", "second", |_| ()).await;
    let app = App::start(Behaviour::Silence).await;
    let _agent = world.agent_at("hook", "second", app.addr()).await;
    let event = event_of(&world.post("hook", b"x").await);
    app.wait_for(1).await;
    {
        let store = world.server().store();
        let source = store.source("hook").expect("the source");
        let second = source.destinations.iter().find(|one| one.name.as_str() == "second").expect("made");
        store.delete_destination(source.id, second.id).await.expect("deleted");
    }
    world = world.crash().await;
    settled(&world, event, 2, DeliveryState::Cancelled).await;
    world.end().await;
}
