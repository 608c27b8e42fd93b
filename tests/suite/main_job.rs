//! The main job: a webhook reaches localhost and its answer comes back.

use relay_tests::app::{Behaviour, ok};
use relay_tests::{App, World};

#[tokio::test]
async fn a_webhook_reaches_localhost_and_its_answer_comes_back() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok("pong"))).await;
    let agent = world.agent("github", app.addr()).await;
    let answer = world.post("github", b"ping").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "pong"));
    let request = app.only().await;
    assert_eq!((request.line.as_slice(), request.body.as_slice()), (&b"POST / HTTP/1.1"[..], &b"ping"[..]));
    agent.drain().await;
    world.end().await;
}
