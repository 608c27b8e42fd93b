//! Several agents at one destination: pool, replace, broadcast; and who may serve what.

use protocol::control::Sharing;
use relay_agent::{AgentEvent, EndReason, LinkState};
use relay_server::model::Scope;
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::{Sender, post};
use relay_tests::world::route;
use relay_tests::{AgentInWorld, App, World};

async fn sharing_agent(world: &mut World, sharing: Sharing, app: &App) -> AgentInWorld {
    let mut route = route("shared", app.addr());
    route.sharing = sharing;
    let settings = world.settings().await.with_route(route);
    AgentInWorld::live(settings).await
}

#[tokio::test]
async fn a_pool_gives_each_event_to_the_agent_with_the_least_to_do() {
    let mut world = World::start().await;
    let slow = App::start(Behaviour::Slow(std::time::Duration::from_millis(400), ok("slow"))).await;
    let quick = App::start(Behaviour::Say(ok("quick"))).await;
    let _a = sharing_agent(&mut world, Sharing::Pool, &slow).await;
    let _b = sharing_agent(&mut world, Sharing::Pool, &quick).await;
    // Two at once go to two agents; while the slow one is busy everything else goes to the quick one.
    let mut held = Vec::new();
    while slow.recorded().is_empty() {
        let mut sender = Sender::to(world.public()).await;
        sender.say(&post("/h/shared", "", b"")).await;
        held.push(sender);
        tokio::task::yield_now().await;
        assert!(held.len() < 50, "the slow one gets its turn");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for _ in 0..5 {
        assert_eq!(world.post("shared", b"").await.text(), "quick");
    }
}

#[tokio::test]
async fn with_replace_the_newest_wins_and_the_one_before_is_told() {
    let mut world = World::start().await;
    let old = App::start(Behaviour::Say(ok("old"))).await;
    let new = App::start(Behaviour::Say(ok("new"))).await;
    let mut first = sharing_agent(&mut world, Sharing::Replace, &old).await;
    assert_eq!(world.post("shared", b"").await.text(), "old");
    let _second = sharing_agent(&mut world, Sharing::Replace, &new).await;
    first
        .until(
            "told",
            |e| matches!(e, AgentEvent::Served { result: Err(error), .. } if error.code == "taken_over"),
        )
        .await;
    for _ in 0..5 {
        assert_eq!(world.post("shared", b"").await.text(), "new");
    }
}

#[tokio::test]
async fn with_broadcast_each_gets_a_copy_and_the_first_answers() {
    let mut world = World::start().await;
    let apps = [
        App::start(Behaviour::Say(ok("first"))).await,
        App::start(Behaviour::Say(ok("second"))).await,
        App::start(Behaviour::HangUp).await,
    ];
    let mut agents = Vec::new();
    for app in &apps {
        agents.push(sharing_agent(&mut world, Sharing::Broadcast, app).await);
    }
    let body: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
    assert_eq!(world.post("shared", &body).await.text(), "first");
    for app in &apps[..2] {
        assert!(app.only().await.body == body, "a whole copy");
    }
    apps[2].only().await;
}

#[tokio::test]
async fn an_agent_that_goes_away_leaves_its_share_to_the_others() {
    let mut world = World::start().await;
    let a = App::start(Behaviour::Say(ok("a"))).await;
    let b = App::start(Behaviour::Say(ok("b"))).await;
    let first = sharing_agent(&mut world, Sharing::Pool, &a).await;
    let _second = sharing_agent(&mut world, Sharing::Pool, &b).await;
    first.drain().await;
    for _ in 0..10 {
        assert_eq!(world.post("shared", b"").await.text(), "b");
    }
}

async fn refused(world: &World, token: String, name: &str) -> AgentEvent {
    refused_at(world, token, name, "default").await
}

async fn refused_at(world: &World, token: String, name: &str, destination: &str) -> AgentEvent {
    let at = world.addresses();
    let server = relay_agent::Server {
        host: at.tunnel.ip().to_string(),
        port: at.tunnel.port(),
        pin: at.pin.as_ref().map(|p| p.parse().expect("a pin")),
        token: relay_agent::Token::new(token),
    };
    let settings = relay_agent::Settings::new(server, protocol::id::AgentId(99));
    let mut asked = route(name, at.public);
    asked.destination = destination.parse().expect("a name");
    let mut agent = AgentInWorld::start(settings.with_route(asked));
    let is_no = |e: &AgentEvent| {
        matches!(e, AgentEvent::Link(LinkState::Ended(_)) | AgentEvent::Served { result: Err(_), .. })
    };
    agent.until("a no", is_no).await
}

#[tokio::test]
async fn a_token_serves_what_it_may_and_nothing_else() {
    let world = World::start().await;
    world.source("mine", Default::default()).await;
    world.source("yours", Default::default()).await;
    let only_mine = Scope::Agent { sources: vec!["mine".into()], create: false };
    let no = refused(&world, world.token(only_mine.clone()).await, "yours").await;
    assert!(matches!(no, AgentEvent::Served { result: Err(e), .. } if e.code == "scope_refused"));
    let no_create = Scope::Agent { sources: Vec::new(), create: false };
    let no = refused(&world, world.token(no_create.clone()).await, "missing").await;
    assert!(matches!(no, AgentEvent::Served { result: Err(e), .. } if e.code == "source_not_found"));
    let no = refused_at(&world, world.token(no_create).await, "mine", "another").await;
    assert!(matches!(no, AgentEvent::Served { result: Err(e), .. } if e.code == "destination_not_found"));
    assert_eq!(world.server().store().source("mine").expect("the source").destinations.len(), 1);
    let no = refused(&world, world.token(Scope::Read).await, "mine").await;
    assert!(matches!(no, AgentEvent::Link(LinkState::Ended(EndReason::Refused(_)))));
    let no = refused(&world, "rt_wrong".into(), "mine").await;
    assert!(
        matches!(no, AgentEvent::Link(LinkState::Ended(EndReason::Refused(text))) if text.contains("join line"))
    );
}

#[tokio::test]
async fn a_name_of_another_project_cannot_be_had_nor_told_from_a_reserved_one() {
    let world = World::start().await;
    let store = world.server().store();
    let theirs = store.project("theirs").await.expect("a project");
    let slug: protocol::id::Slug = "secret".parse().expect("a slug");
    store.create_source(theirs, slug, Default::default(), Sharing::Pool).await.expect("made");
    let no = refused(&world, world.token(Scope::Admin).await, "secret").await;
    assert!(matches!(no, AgentEvent::Served { result: Err(e), .. } if e.code == "name_taken"));
}

#[tokio::test]
async fn revoking_a_token_ends_its_sessions_within_a_second() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let mut agent = world.agent("hook", app.addr()).await;
    let store = world.server().store();
    let tokens = store.tokens(world.project()).await.expect("tokens");
    let revoked = std::time::Instant::now();
    assert!(store.revoke_token(world.project(), tokens[0].id).await.expect("revoked"));
    agent.until("the end", |e| matches!(e, AgentEvent::Link(LinkState::Ended(EndReason::Revoked)))).await;
    assert!(revoked.elapsed() < std::time::Duration::from_millis(1500), "{:?}", revoked.elapsed());
    assert_eq!(world.post("hook", b"").await.status, 202, "kept for whoever comes");
}
