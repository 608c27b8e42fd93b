//! The stream of events.

use super::*;

async fn next_line(body: &mut Body) -> Option<Value> {
    let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.expect("in time")?;
    let line = serde_json::from_slice(&frame.unwrap().into_data().unwrap()).unwrap();
    document::hold_line(&line);
    Some(line)
}

#[tokio::test]
async fn the_stream_tells_events_as_they_happen_to_those_who_may_see_them() {
    let house = house().await;
    let bound = Scope::Agent { sources: vec!["mine".to_owned()], create: false };
    let agent = house.token(house.project, bound).await;
    let stranger = house.token(house.stranger, Scope::Admin).await;
    let open = async |token: &NewToken| {
        house.open(request(Some(&token.text.0), "GET", "/api/v1/events/stream", None)).await.into_body()
    };
    let (mut seen, mut unseen) = (open(&agent).await, open(&stranger).await);
    let other = house.state.store.source("other").unwrap().id;
    house.record(other, b"").await;
    let id = house.record(house.mine, b"hello").await;
    let line = next_line(&mut seen).await.unwrap();
    assert_eq!(
        (&line["type"], &line["id"], &line["body_bytes"]),
        (&json!("event"), &json!(id.to_string()), &json!(5))
    );
    // More than the backlog while nobody reads.
    for _ in 0..2_000 {
        house.state.activity.publish(&event(house.state.store.next_event_id(), house.mine, b""));
    }
    let line = next_line(&mut seen).await.unwrap();
    assert_eq!(line["type"], "event");
    for _ in 1..1_024 {
        assert_eq!(next_line(&mut seen).await.unwrap()["type"], "event");
    }
    let line = next_line(&mut seen).await.unwrap();
    assert_eq!((&line["type"], &line["missed"]), (&json!("gap"), &json!(976)));
    house.state.store.revoke_token(house.project, agent.token.id).await.unwrap();
    assert_eq!(next_line(&mut seen).await, None, "a revoked token sees no more");
    house.is_ready.store(false, Ordering::Relaxed);
    assert_eq!(
        next_line(&mut unseen).await,
        None,
        "a drain ends streams; the stranger saw nothing, not even a gap"
    );
}

#[tokio::test]
async fn watchers_are_bounded() {
    let house = house().await;
    let watches: Vec<_> = (0..256).filter_map(|_| house.state.activity.watch(|_| true)).collect();
    assert_eq!(watches.len(), 256);
    let admin = house.admin().await;
    let told = house.call(Some(&admin), "GET", "/api/v1/events/stream", None).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (503, "too_many_watchers"));
    assert_eq!(told.headers["retry-after"], "1");
}
