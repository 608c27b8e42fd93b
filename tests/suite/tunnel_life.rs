//! The tunnel through loss, cuts, crashes and restarts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_agent::{AgentEvent, EndReason, LinkState};
use relay_bench::lossy::{Conditions, LossyProxy};
use relay_server::clock::Clock;
use relay_server::{Config, Server};
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::{self, post};
use relay_tests::world::{config, route};
use relay_tests::{AgentInWorld, App, Sender, World};

async fn behind_proxy(
    conditions: Conditions,
    behaviour: Behaviour,
) -> (World, App, AgentInWorld, LossyProxy) {
    let mut world = World::start().await;
    let app = App::start(behaviour).await;
    let proxy = LossyProxy::start(world.addresses().tunnel, conditions).expect("a proxy");
    let settings = world.settings_at(proxy.addr()).await.with_route(route("hook", app.addr()));
    let agent = AgentInWorld::live(settings).await;
    (world, app, agent, proxy)
}

fn bad_link() -> Conditions {
    Conditions {
        drop: 0.02,
        delay: Duration::from_millis(25),
        jitter: Duration::from_millis(5),
        reorder: 0.02,
        seed: 7,
    }
}

#[tokio::test]
async fn on_a_lossy_link_no_request_is_lost_cut_short_or_mixed_up() {
    let (world, app, _agent, _proxy) = behind_proxy(bad_link(), Behaviour::Echo).await;
    let public = world.public();
    let mut senders = tokio::task::JoinSet::new();
    for n in 0..40u32 {
        senders.spawn(async move {
            let mut sender = Sender::to(public).await;
            for round in 0..5u32 {
                let bytes = [3, 900, 20_000, 120_000][((n + round) % 4) as usize];
                let body: Vec<u8> = (0..bytes).map(|i: u32| (i ^ n ^ round).to_le_bytes()[0]).collect();
                sender.say(&post("/h/hook", "", &body)).await;
                let answer = sender.answer().await;
                assert_eq!((answer.status, answer.is_whole), (200, true));
                assert!(answer.body == body, "request {n}.{round} got somebody else's answer");
            }
        });
    }
    while let Some(done) = senders.join_next().await {
        done.expect("every request is answered");
    }
    assert_eq!(app.recorded().len(), 200, "each reached the app exactly once");
}

/// First answer after a cut of so long, for a request that was sent during it and for one sent after it healed.
async fn after_a_cut(cut: Duration) {
    let link = Conditions { delay: Duration::from_millis(10), ..Conditions::default() };
    let (world, _app, _agent, proxy) = behind_proxy(link, Behaviour::Say(ok("back"))).await;
    assert_eq!(world.post("hook", b"before").await.status, 200);
    proxy.cut();
    let mut during = Sender::to(world.public()).await;
    during.say(&post("/h/hook", "", b"during")).await;
    tokio::time::sleep(cut).await;
    proxy.heal();
    let healed = Instant::now();
    let mut after = Sender::to(world.public()).await;
    after.say(&post("/h/hook", "", b"after")).await;
    assert_eq!(after.answer().await.status, 200);
    assert_eq!(during.answer().await.status, 200, "a request sent into the cut is answered too");
    let took = healed.elapsed();
    assert!(took < Duration::from_secs(2), "after {cut:?} the answers took {took:?}");
}

#[tokio::test]
async fn a_cut_of_one_second_heals_within_two() {
    after_a_cut(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_cut_of_two_seconds_heals_within_two() {
    after_a_cut(Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_cut_of_five_seconds_heals_within_two() {
    after_a_cut(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn an_agent_whose_address_changes_keeps_serving() {
    let link = Conditions::default();
    let (world, _app, _agent, proxy) = behind_proxy(link, Behaviour::Say(ok(""))).await;
    assert_eq!(world.post("hook", b"").await.status, 200);
    // The old path is gone for good: only a second connection, raced by the agent, can bring it back.
    proxy.cut();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    proxy.heal();
    assert_eq!(world.post("hook", b"").await.status, 200);
}

/// A server on fixed ports that can be killed and started again on the same data.
struct Restartable {
    dir: tempfile::TempDir,
    config: Config,
    server: Option<Server>,
}

impl Restartable {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temp dir");
        let mut this = Self { config: config(dir.path()), dir, server: None };
        this.up().await;
        let at = this.server.as_ref().expect("up").addresses().clone();
        this.config.public.addr = at.public;
        this.config.tunnel.addr = at.tunnel;
        this.config.admin.addr = at.admin;
        this
    }

    async fn up(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match Server::start(self.config.clone(), Clock::system()).await {
                Ok(server) => break self.server = Some(server),
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("up")
    }
}

#[tokio::test]
async fn a_drained_and_restarted_server_is_found_again_and_the_url_is_the_same() {
    let mut house = Restartable::start().await;
    let store = house.server().store();
    let project = store.project("default").await.expect("project");
    let scope = relay_server::model::Scope::Agent { sources: vec![], create: true };
    let token = store.create_token(project, scope, "t", None).await.expect("token").text.0;
    let at = house.server().addresses().clone();
    let server = relay_agent::Server {
        host: "127.0.0.1".into(),
        port: at.tunnel.port(),
        pin: at.pin.as_ref().map(|p| p.parse().expect("pin")),
        token: relay_agent::Token::new(token),
    };
    let app = App::start(Behaviour::Say(ok(""))).await;
    let settings =
        relay_agent::Settings::new(server, protocol::id::AgentId(1)).with_route(route("hook", app.addr()));
    let mut agent = AgentInWorld::live(settings).await;
    assert_eq!(client::exchange(at.public, &post("/h/hook", "", b"")).await.status, 200);
    assert!(house.server.take().expect("up").drain().await);
    agent.until("down", |e| matches!(e, AgentEvent::Link(LinkState::Down { .. }))).await;
    house.up().await;
    assert_eq!(house.server().addresses().pin, at.pin, "the key is kept");
    agent.until_live().await;
    assert_eq!(client::exchange(at.public, &post("/h/hook", "", b"")).await.status, 200);
    drop(house.dir);
}

#[tokio::test]
async fn a_wrong_pin_ends_the_agent_with_a_clear_word() {
    let mut world = World::start().await;
    let mut settings = world.settings().await;
    settings.server.pin = Some(format!("sha256:{}", "ab".repeat(32)).parse().expect("a pin"));
    let mut agent = AgentInWorld::start(settings);
    let end = agent.until("the end", |e| matches!(e, AgentEvent::Link(LinkState::Ended(_)))).await;
    let AgentEvent::Link(LinkState::Ended(EndReason::Identity(text))) = end else { panic!("{end:?}") };
    assert!(text.contains("pinned"), "{text}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again_and_said_by_presence() {
    let mut world = World::start().await;
    let mut settings = world.settings().await;
    settings.server.port =
        std::net::UdpSocket::bind("127.0.0.1:0").expect("port").local_addr().expect("bound").port();
    let mut agent = AgentInWorld::start(settings);
    agent.until("connecting", |e| matches!(e, AgentEvent::Link(LinkState::Connecting { attempt: 1 }))).await;
    let down = agent.until("down", |e| matches!(e, AgentEvent::Link(LinkState::Down { .. }))).await;
    let AgentEvent::Link(LinkState::Down { reason, next_try }) = down else { panic!("{down:?}") };
    assert!(reason.contains("UDP") && next_try <= Duration::from_millis(500), "{reason} {next_try:?}");
    agent.until("again", |e| matches!(e, AgentEvent::Link(LinkState::Connecting { attempt: 2 }))).await;
}

#[tokio::test]
async fn a_drained_agent_finishes_what_it_holds() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Slow(Duration::from_millis(500), ok("finished"))).await;
    let agent = world.agent("hook", app.addr()).await;
    let mut sender = Sender::to(world.public()).await;
    sender.say(&post("/h/hook", "", b"")).await;
    app.wait_for(1).await;
    agent.drain().await;
    assert_eq!(sender.answer().await.text(), "finished");
    assert_eq!(world.post("hook", b"").await.status, 202, "kept for whoever comes");
}

#[tokio::test]
async fn a_connection_the_app_just_closed_never_costs_a_webhook() {
    // This app closes every connection right after its answer, without saying so.
    let mut world = World::start().await;
    let app = App::start(Behaviour::Drip(vec![(Duration::ZERO, ok("closing"))])).await;
    let _agent = world.agent("hook", app.addr()).await;
    for n in 0..60 {
        let answer = world.post("hook", b"x").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "closing"), "request {n}");
    }
}

#[tokio::test]
async fn localhost_is_either_loopback() {
    let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else { return };
    let port = listener.local_addr().expect("bound").port();
    let app = App::on(listener, Behaviour::Say(ok("six")));
    let mut world = World::start().await;
    let mut only_six = route("six", app.addr());
    only_six.target = format!("http://localhost:{port}").parse().expect("a target");
    let settings = world.settings().await.with_route(only_six);
    let _agent = AgentInWorld::live(settings).await;
    assert_eq!(world.post("six", b"").await.text(), "six");
}

#[tokio::test]
async fn api_calls_go_through_the_tunnel() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok("seen"))).await;
    let agent = world.agent("hook", app.addr()).await;
    world.post("hook", b"recorded").await;
    let agent = Arc::new(agent);
    let sources = agent.agent.api("GET", "/api/v1/sources", None).await.expect("an answer");
    assert_eq!(sources.status, 200);
    let listed: serde_json::Value = serde_json::from_slice(&sources.body).expect("JSON");
    assert_eq!(listed["sources"][0]["slug"], "hook");
    let denied = agent.agent.api("GET", "/api/v1/tokens", None).await.expect("an answer");
    assert_eq!(denied.status, 403, "an agent's token does not manage tokens");
}
