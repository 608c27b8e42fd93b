//! What the provider is told: the status table of the product, line by line.

use std::time::Duration;

use relay_server::model::{IfAway, IfSlow, SourceRules};
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::post;
use relay_tests::{Answer, App, Sender, World};

/// Checks status, code and form of an answer of the relay's own.
fn is_refusal(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.value("relay-error")), (status, code), "{}", answer.head);
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("a JSON error");
    assert_eq!(body["error"]["code"], code);
    assert!(body["error"]["message"].as_str().is_some_and(|m| m.len() > 10));
    assert_eq!(answer.values("retry-after").len(), usize::from(matches!(status, 429 | 503)), "Retry-After");
    assert!(!answer.text().contains("127.0.0.1"), "no local address reaches the public side");
}

fn rules(change: impl FnOnce(&mut SourceRules)) -> SourceRules {
    let mut rules = SourceRules::default();
    change(&mut rules);
    rules
}

#[tokio::test]
async fn an_unknown_slug_is_404_and_says_nothing_more() {
    let world = World::start().await;
    for target in ["/h/nobody", "/h/", "/h", "/", "/x", "/h/NOBODY", "/h/%67ithub", "/h//x"] {
        let answer = world.exchange(&post(target, "", b"")).await;
        is_refusal(&answer, 404, "source_not_found");
        assert!(answer.values("relay-event-id").is_empty());
    }
}

#[tokio::test]
async fn a_source_without_an_agent_is_503_and_never_404() {
    let world = World::start().await;
    world.source("lonely", rules(|r| r.if_away = IfAway::Refuse)).await;
    let answer = world.post("lonely", b"{}").await;
    is_refusal(&answer, 503, "agent_away");
    assert!(answer.value("relay-event-id").starts_with("evt_"), "an event exists");
}

#[tokio::test]
async fn rules_of_a_source_refuse_at_the_door() {
    let world = World::start().await;
    world.source("posts", rules(|r| r.methods = vec!["POST".into()])).await;
    world.source("far", rules(|r| r.networks = vec!["10.0.0.0/8".parse().expect("a network")])).await;
    let near = |r: &mut SourceRules| {
        r.networks = vec!["127.0.0.0/8".parse().expect("a network")];
        r.if_away = IfAway::Refuse;
    };
    world.source("near", rules(near)).await;
    world.source("paused", rules(|r| r.paused = true)).await;
    world.source("small", rules(|r| r.body_bytes_max = Some(10))).await;
    let only_posts = world.exchange(b"GET /h/posts HTTP/1.1\r\nHost: a\r\n\r\n").await;
    is_refusal(&only_posts, 405, "method_refused");
    assert_eq!(only_posts.value("allow"), "POST");
    is_refusal(&world.post("far", b"").await, 403, "network_refused");
    is_refusal(&world.post("near", b"").await, 503, "agent_away");
    is_refusal(&world.post("paused", b"").await, 503, "source_paused");
    is_refusal(&world.post("small", b"12345678901").await, 413, "body_too_large");
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_413_and_never_whole_for_the_app() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    world.source("small", rules(|r| r.body_bytes_max = Some(100_000))).await;
    let _agent = world.agent("small", app.addr()).await;
    let mut sender = Sender::to(world.public()).await;
    sender.say(b"POST /h/small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for _ in 0..4 {
        sender.say(b"8000\r\n").await;
        sender.say(&[b'x'; 0x8000]).await;
        sender.say(b"\r\n").await;
    }
    sender.say(b"0\r\n\r\n").await;
    is_refusal(&sender.answer().await, 413, "body_too_large");
    assert!(app.recorded().iter().all(|r| !r.is_whole));
}

#[tokio::test]
async fn nothing_listening_is_502_and_the_owner_hears_what_does() {
    let mut world = World::start().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    world.source("hook", rules(|r| r.if_away = IfAway::Refuse)).await;
    let mut agent = world.agent("hook", gone).await;
    is_refusal(&world.post("hook", b"").await, 502, "app_refused");
    let told = agent.until("answered", |e| matches!(e, relay_agent::AgentEvent::Answered(_))).await;
    let relay_agent::AgentEvent::Answered(told) = told else { unreachable!("just matched") };
    let text = told.result.expect_err("no answer");
    assert!(text.contains(&gone.to_string()) && text.contains("listens"), "{text}");
}

#[tokio::test]
async fn an_app_that_answers_garbage_or_breaks_off_is_502() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::HangUp).await;
    let _agent = world.agent("hook", app.addr()).await;
    is_refusal(&world.post("hook", b"x").await, 502, "app_broke");
    let garbage: &[&[u8]] = &[
        b"<html>not http</html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Split: a\nSet-Cookie: evil=1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 999 What\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ];
    for raw in garbage {
        app.behave(Behaviour::Drip(vec![(Duration::ZERO, raw.to_vec())]));
        let answer = world.post("hook", b"x").await;
        is_refusal(&answer, 502, "app_broke");
        assert!(!answer.head.contains("evil"));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_after_its_head_never_looks_complete() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Drip(vec![])).await;
    let _agent = world.agent("hook", app.addr()).await;
    for raw in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nonly",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nonly\r\n",
    ] {
        let pause = Duration::from_millis(200);
        app.behave(Behaviour::Drip(vec![(Duration::ZERO, raw.as_bytes().to_vec()), (pause, Vec::new())]));
        let answer = world.post("hook", b"x").await;
        assert_eq!((answer.status, answer.is_whole), (200, false), "{raw:?}");
        // Where it breaks off before its head has left, the sender is told instead.
        app.behave(Behaviour::Drip(vec![(Duration::ZERO, raw.as_bytes().to_vec())]));
        let answer = world.post("hook", b"x").await;
        assert!(answer.status == 502 || !answer.is_whole, "{raw:?} looked complete");
    }
}

#[tokio::test]
async fn an_app_that_does_not_answer_in_time_is_504() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Silence).await;
    world.source("slow", rules(|r| r.patience_ms = 300)).await;
    world.source("kept", rules(|r| (r.patience_ms, r.if_slow) = (300, IfSlow::Accept))).await;
    let _slow = world.agent("slow", app.addr()).await;
    let _kept = world.agent("kept", app.addr()).await;
    is_refusal(&world.post("slow", b"x").await, 504, "app_slow");
    let kept = world.post("kept", b"x").await;
    assert_eq!(kept.status, 202, "{}", kept.head);
}

#[tokio::test]
async fn too_many_at_once_is_429_and_frees_itself() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Slow(Duration::from_millis(300), ok(""))).await;
    world.source("tight", rules(|r| r.in_flight_max = 2)).await;
    let _agent = world.agent("tight", app.addr()).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut sender = Sender::to(world.public()).await;
        sender.say(&post("/h/tight", "", b"")).await;
        held.push(sender);
    }
    app.wait_for(2).await;
    is_refusal(&world.post("tight", b"").await, 429, "rate_limited");
    for mut sender in held {
        assert_eq!(sender.answer().await.status, 200);
    }
    assert_eq!(world.post("tight", b"").await.status, 200);
}

#[tokio::test]
async fn an_agent_with_its_hands_full_is_503_overloaded() {
    let mut world = World::with(|config| config.limits.in_flight_per_agent = 1).await;
    world.source("hook", rules(|r| r.if_away = IfAway::Refuse)).await;
    let app = App::start(Behaviour::Slow(Duration::from_millis(300), ok(""))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let mut first = Sender::to(world.public()).await;
    first.say(&post("/h/hook", "", b"")).await;
    app.wait_for(1).await;
    is_refusal(&world.post("hook", b"").await, 503, "overloaded");
    assert_eq!(first.answer().await.status, 200);
}

#[tokio::test]
async fn a_draining_server_finishes_what_it_holds_and_says_so_to_the_rest() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Slow(Duration::from_millis(500), ok("done"))).await;
    let mut agent = world.agent("hook", app.addr()).await;
    let mut busy = Sender::to(world.public()).await;
    busy.say(&post("/h/hook", "", b"")).await;
    let mut kept = Sender::to(world.public()).await;
    kept.say(&post("/h/nobody", "", b"")).await;
    assert_eq!(kept.answer().await.status, 404);
    app.wait_for(1).await;
    let ending = tokio::spawn(world.end());
    agent
        .until("down", |e| matches!(e, relay_agent::AgentEvent::Link(relay_agent::LinkState::Down { .. })))
        .await;
    assert_eq!(busy.answer().await.text(), "done");
    assert!(kept.is_closed().await, "an idle connection is closed");
    ending.await.expect("the server drains clean");
}

#[tokio::test]
async fn sources_are_found_by_host_where_a_domain_is_configured() {
    let mut world = World::with(|config| config.public.domain = Some("hooks.test".into())).await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let _agent = world.agent("shop", app.addr()).await;
    for host in ["shop.hooks.test", "SHOP.hooks.test:8080"] {
        let request = format!("POST /a/b?c=1 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(world.exchange(request.as_bytes()).await.status, 200);
    }
    assert!(app.recorded().iter().all(|r| r.target() == "/a/b?c=1"));
    let other =
        world.exchange(b"POST /a HTTP/1.1\r\nHost: other.hooks.test\r\nContent-Length: 0\r\n\r\n").await;
    is_refusal(&other, 404, "source_not_found");
}
