//! The stream of events.

use super::*;

/// A stream, and the lines of it that came together.
struct Lines(Body, std::collections::VecDeque<Value>);

async fn next_line(lines: &mut Lines) -> Option<Value> {
    if lines.1.is_empty() {
        let frame = tokio::time::timeout(Duration::from_secs(20), lines.0.frame()).await.expect("in time")?;
        let bytes = frame.unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        lines.1.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    let line = lines.1.pop_front()?;
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
        let answer = house.open(request(Some(&token.text.0), "GET", "/api/v1/events/stream", None)).await;
        Lines(answer.into_body(), Default::default())
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
    for _ in 0..5_072 {
        house.state.activity.publish(&event(house.state.store.next_event_id(), house.mine, b""));
    }
    let line = next_line(&mut seen).await.unwrap();
    assert_eq!(line["type"], "event");
    for _ in 1..4_096 {
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
