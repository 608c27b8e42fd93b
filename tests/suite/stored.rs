//! What is stored is delivered: accepted, retried, replayed, fanned out.

use relay_server::model::SourceRules;
use relay_tests::app::{Behaviour, ok};
use relay_tests::{App, World};

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
    agent.drain().await;
    world.end().await;
}
