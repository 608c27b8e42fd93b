//! What waited while no agent was there: how an agent that comes back hears of it, and what it may do about it.

use protocol::code::CloseCode;
use protocol::control::Sharing;
use protocol::id::DestinationName;
use relay_agent::{AgentEvent, Backlog, Route};
use relay_server::model::SourceRules;
use relay_tests::app::{Behaviour, ok};
use relay_tests::world::route;
use relay_tests::{AgentInWorld, App, World};

/// Live exchanges after which anything that was on its way would have arrived.
const EXCHANGES: usize = 20;

async fn with_three_waiting() -> World {
    let world = World::start().await;
    world.source("hook", SourceRules::default()).await;
    for body in ["one", "two", "three"] {
        assert_eq!(world.post("hook", body.as_bytes()).await.status, 202);
    }
    world
}

fn holding(app: &App) -> Route {
    Route { backlog: Backlog::Hold, ..route("hook", app.addr()) }
}

async fn served(agent: &mut AgentInWorld) -> Option<u64> {
    match agent.until("served", |event| matches!(event, AgentEvent::Served { .. })).await {
        AgentEvent::Served { result: Ok(_), waiting, .. } => waiting,
        other => panic!("{other:?}"),
    }
}

fn bodies(app: &App) -> Vec<String> {
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    let mut bodies: Vec<_> = app.recorded().iter().map(|request| text(&request.body)).collect();
    bodies.sort();
    bodies
}

/// Ends every session as a restart does; the agents come back at once.
fn send_away(world: &World) {
    for session in world.server().registry().all() {
        session.close(CloseCode::GO_AWAY, "again");
    }
}

fn release(agent: &AgentInWorld) {
    agent.agent.release_backlog(&"hook".parse().expect("a slug"), &DestinationName::default());
}

#[tokio::test]
async fn what_waits_is_held_until_it_is_asked_for_and_live_events_pass() {
    let mut world = with_three_waiting().await;
    let app = App::start(Behaviour::Say(ok("live"))).await;
    let mut agent = AgentInWorld::start(world.settings().await.with_route(holding(&app)));
    assert_eq!(served(&mut agent).await, Some(3));
    for _ in 0..EXCHANGES {
        assert_eq!(world.post("hook", b"live").await.text(), "live");
    }
    assert_eq!(bodies(&app), ["live"; EXCHANGES], "nothing of what waits");
    release(&agent);
    app.wait_for(EXCHANGES + 3).await;
    assert_eq!(bodies(&app)[EXCHANGES..], ["one", "three", "two"]);
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn an_agent_that_says_nothing_takes_what_waits_and_hears_how_much() {
    let mut world = with_three_waiting().await;
    let app = App::start(Behaviour::Say(ok(""))).await;
    let settings = world.settings().await.with_route(route("hook", app.addr()));
    let mut agent = AgentInWorld::start(settings);
    assert_eq!(served(&mut agent).await, Some(3));
    app.wait_for(3).await;
    assert_eq!(bodies(&app), ["one", "three", "two"]);
    agent.drain().await;
    let mut again = AgentInWorld::start(world.settings().await.with_route(route("hook", app.addr())));
    assert_eq!(served(&mut again).await, Some(0));
    again.drain().await;
    world.end().await;
}

#[tokio::test]
async fn what_is_held_is_still_held_after_a_reconnect_and_what_was_released_stays_released() {
    let mut world = with_three_waiting().await;
    let app = App::start(Behaviour::Say(ok("live"))).await;
    let mut agent = AgentInWorld::start(world.settings().await.with_route(holding(&app)));
    assert_eq!(served(&mut agent).await, Some(3));
    send_away(&world);
    assert_eq!(served(&mut agent).await, Some(3), "held again");
    for _ in 0..EXCHANGES {
        assert_eq!(world.post("hook", b"live").await.text(), "live");
    }
    assert_eq!(bodies(&app), ["live"; EXCHANGES]);
    // Into a link that is gone: the next session knows.
    send_away(&world);
    release(&agent);
    app.wait_for(EXCHANGES + 3).await;
    assert_eq!(bodies(&app)[EXCHANGES..], ["one", "three", "two"]);
    agent.drain().await;
    world.end().await;
}

#[tokio::test]
async fn a_release_does_not_take_a_destination_back() {
    let mut world = with_three_waiting().await;
    let (first, second) =
        (App::start(Behaviour::Say(ok("first"))).await, App::start(Behaviour::Say(ok("second"))).await);
    let to = |app: &App| Route {
        source: "other".parse().expect("a slug"),
        sharing: Sharing::Replace,
        ..holding(app)
    };
    let mut old = AgentInWorld::start(world.settings().await.with_route(to(&first)));
    assert_eq!(served(&mut old).await, Some(0));
    let mut new = AgentInWorld::start(world.settings().await.with_route(to(&second)));
    assert_eq!(served(&mut new).await, Some(0));
    // Released before it has heard that it was replaced, or after: it makes no difference.
    old.agent.release_backlog(&"other".parse().expect("a slug"), &DestinationName::default());
    for _ in 0..2 {
        let is_lost = |event: &AgentEvent| matches!(event, AgentEvent::Served { result: Err(error), .. } if error.code == "taken_over");
        old.until("taken over", is_lost).await;
    }
    assert_eq!(world.post("other", b"x").await.text(), "second");
    old.drain().await;
    new.drain().await;
    world.end().await;
}
