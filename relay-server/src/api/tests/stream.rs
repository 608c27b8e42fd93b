//! The stream of events.

use super::*;

/// A stream, and the lines of it that came together.
struct Lines(Body, std::collections::VecDeque<Value>);

async fn open(house: &House, token: &str, query: &str) -> Lines {
    let path = format!("/api/v1/events/stream{query}");
    let answer = house.open(request(Some(token), "GET", &path, None)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    Lines(answer.into_body(), Default::default())
}

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
    let (mut seen, mut unseen) =
        (open(&house, &agent.text.0, "").await, open(&house, &stranger.text.0, "").await);
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
async fn who_listens_to_less_hears_less_though_others_listen_beside() {
    let house = house().await;
    let admin = house.admin().await;
    let bound =
        house.token(house.project, Scope::Agent { sources: vec!["mine".to_owned()], create: false }).await;
    let mut all = [open(&house, &admin, "").await, open(&house, &admin, "").await];
    let mut less = [open(&house, &admin, "?source=mine").await, open(&house, &bound.text.0, "").await];
    let other = house.state.store.source("other").unwrap().id;
    let ids = [house.record(other, b"").await, house.record(house.mine, b"").await];
    for lines in &mut all {
        for id in ids {
            assert_eq!(next_line(lines).await.unwrap()["id"], json!(id.to_string()));
        }
    }
    for lines in &mut less {
        let line = next_line(lines).await.unwrap();
        assert_eq!((&line["id"], &line["source"]), (&json!(ids[1].to_string()), &json!("mine")));
    }
}

#[tokio::test]
async fn who_reads_slowly_hears_how_much_was_missed_and_holds_up_nobody() {
    let house = house().await;
    let admin = house.admin().await;
    let (mut quick, mut slow) = (open(&house, &admin, "").await, open(&house, &admin, "").await);
    let tell = || house.state.activity.publish(&event(house.state.store.next_event_id(), house.mine, b""));
    const TOLD: u64 = 40;
    for _ in 0..TOLD {
        tell();
        assert_eq!(next_line(&mut quick).await.unwrap()["type"], "event");
    }
    let gap = next_line(&mut slow).await.unwrap();
    let missed = gap["missed"].as_u64().unwrap();
    assert!(gap["type"] == "gap" && missed > 0 && missed < TOLD, "{gap}");
    for _ in missed..TOLD {
        assert_eq!(next_line(&mut slow).await.unwrap()["type"], "event");
    }
    tell();
    assert_eq!(next_line(&mut slow).await.unwrap()["type"], "event", "nothing more is missing");
}

#[tokio::test]
async fn as_many_may_listen_as_may_and_their_places_are_given_back() {
    let house = house().await;
    let admin = house.admin().await;
    let mut listeners = Vec::new();
    for _ in 0..256 {
        listeners.push(open(&house, &admin, "").await);
    }
    let told = house.call(Some(&admin), "GET", "/api/v1/events/stream", None).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (503, "too_many_watchers"));
    listeners.clear();
    drop(open(&house, &admin, "").await);
    // Whoever wrote for them has left too.
    let has_left = async {
        while (0..256).filter_map(|_| house.state.activity.watch(|_| true)).collect::<Vec<_>>().len() < 256 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), has_left).await.expect("in time");
}

#[tokio::test]
async fn streams_that_differ_are_bounded_and_those_that_say_the_same_are_not() {
    let house = house().await;
    let status = async |token: &str| {
        house.open(request(Some(token), "GET", "/api/v1/events/stream", None)).await.status().as_u16()
    };
    let mut listeners = Vec::new();
    let mut last = String::new();
    for number in 0..64 {
        let bound = Scope::Agent { sources: vec![format!("source-{number}")], create: false };
        last.clone_from(&house.token(house.project, bound).await.text.0);
        listeners.push(open(&house, &last, "").await);
    }
    let admin = house.admin().await;
    assert_eq!(status(&admin).await, 503);
    assert_eq!(status(&last).await, 200);
    listeners.remove(0);
    let has_room = async {
        while status(&admin).await != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), has_room).await.expect("in time");
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
