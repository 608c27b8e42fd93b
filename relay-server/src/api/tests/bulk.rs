//! Replaying many at once.

use super::*;
use crate::store::OutcomeKind;

async fn bulk(house: &House, wish: Value) -> Value {
    let admin = house.admin().await;
    let told = house.call(Some(&admin), "POST", "/api/v1/replay", Some(wish.clone())).await;
    assert_eq!(told.status, 200, "{wish}: {}", told.json());
    told.json()
}

fn counts(told: &Value) -> [u64; 3] {
    ["matched", "made", "refused"].map(|name| told[name].as_u64().unwrap())
}

async fn waiting(house: &House, slug: &str, name: &str) -> u64 {
    house.state.store.waiting(house.destination(slug, name).id, 100_000).await.unwrap()
}

#[tokio::test]
async fn a_dry_run_counts_and_a_run_makes() {
    let house = house().await;
    for status in [200, 500, 503] {
        let mut record = event(house.state.store.next_event_id(), house.mine, b"hello");
        record.answer.status = status;
        house.state.store.record(record).unwrap();
    }
    let mut cut = event(house.state.store.next_event_id(), house.mine, b"the start");
    (cut.answer.status, cut.body.total_bytes) = (500, 70_000);
    house.state.store.record(cut).unwrap();
    house.record(house.other, b"").await;
    let failed = json!({ "source": "mine", "filter": { "status": "5xx" } });
    let mut dry = failed.clone();
    dry["dry_run"] = json!(true);
    let told = bulk(&house, dry).await;
    assert_eq!(told, json!({ "matched": 3, "made": 0, "refused": 0, "more": false, "next": null }));
    assert_eq!(waiting(&house, "mine", "default").await, 0);
    let told = bulk(&house, failed).await;
    assert_eq!(told, json!({ "matched": 3, "made": 2, "refused": 1, "more": false, "next": null }));
    assert_eq!(waiting(&house, "mine", "default").await, 2);
    assert_eq!(waiting(&house, "other", "default").await, 0);
    assert_eq!(counts(&bulk(&house, json!({ "filter": { "status": 503 } })).await), [1, 1, 0]);
    assert_eq!(counts(&bulk(&house, json!({})).await), [5, 4, 1], "of all sources");
    assert_eq!(waiting(&house, "other", "default").await, 1);
    let later = json!({ "filter": { "since": "2023-11-14T22:13:21Z" } });
    assert_eq!(counts(&bulk(&house, later).await), [0, 0, 0]);
    let by_method = json!({ "filter": { "method": "GET" }, "dry_run": true });
    assert_eq!(counts(&bulk(&house, by_method).await), [0, 0, 0]);
}

#[tokio::test]
async fn a_limit_is_kept_and_the_next_call_goes_on() {
    let house = house().await;
    let mut events = Vec::new();
    for _ in 0..450 {
        events.push(house.accept("mine", b"").await);
    }
    let mut wish = json!({ "source": "mine", "limit": 300 });
    let told = bulk(&house, wish.clone()).await;
    assert_eq!((counts(&told), &told["more"]), ([300, 300, 0], &json!(true)));
    assert_eq!(told["next"], events[150].to_string());
    wish["before"] = told["next"].clone();
    let told = bulk(&house, wish).await;
    assert_eq!((counts(&told), &told["more"], &told["next"]), ([150, 150, 0], &json!(false), &Value::Null));
    for event in events {
        assert_eq!(house.state.store.deliveries_of(event).await.unwrap().len(), 2, "each once");
    }
}

#[tokio::test]
async fn deliveries_in_a_state_go_to_the_same_destination_again() {
    let house = house().await;
    let admin = house.admin().await;
    let second = house.second_destination(DestinationRules::default()).await;
    for _ in 0..3 {
        house.accept("mine", b"").await;
    }
    let leased = house.lease(&second, 3).await;
    for one in &leased[..2] {
        house.settle(*one, AttemptOutcome::Answered(410), Next::Dead("gone")).await;
    }
    house.settle(leased[2], AttemptOutcome::Answered(200), Next::Delivered).await;
    let dead = json!({ "source": "mine", "filter": { "state": "dead" } });
    assert_eq!(counts(&bulk(&house, dead.clone()).await), [2, 2, 0]);
    assert_eq!((waiting(&house, "mine", "second").await, waiting(&house, "mine", "default").await), (2, 3));
    // Dead once more: each event is sent again once, however often it died.
    for one in house.lease(&second, 2).await {
        house.settle(one, AttemptOutcome::Answered(410), Next::Dead("gone")).await;
    }
    assert_eq!(counts(&bulk(&house, dead.clone()).await), [2, 2, 0]);
    let elsewhere = json!({ "source": "mine", "filter": { "state": "delivered" }, "destination": "default" });
    assert_eq!(counts(&bulk(&house, elsewhere).await), [1, 1, 0]);
    assert_eq!(waiting(&house, "mine", "default").await, 4);
    let of_event =
        json!({ "source": "mine", "filter": { "state": "dead", "outcome": OutcomeKind::Refused } });
    assert_eq!(counts(&bulk(&house, of_event).await), [0, 0, 0]);
    // What went to a destination that is deleted cannot go there again.
    house.call(Some(&admin), "DELETE", "/api/v1/sources/mine/destinations/second", None).await;
    assert_eq!(counts(&bulk(&house, dead).await), [2, 0, 2]);
}

#[tokio::test]
async fn a_destination_named_for_all_sources_leaves_out_those_that_lack_it() {
    let house = house().await;
    let admin = house.admin().await;
    house.second_destination(DestinationRules::default()).await;
    house.accept("mine", b"").await;
    house.accept("other", b"").await;
    assert_eq!(counts(&bulk(&house, json!({ "destination": "second" })).await), [1, 1, 0]);
    for (wish, status, code) in [
        (json!({ "destination": "third" }), 404, "destination_not_found"),
        (json!({ "source": "other", "destination": "second" }), 404, "destination_not_found"),
        (json!({ "source": "nowhere" }), 404, "source_not_found"),
        (json!({ "limit": 0 }), 400, "malformed"),
        (json!({ "limit": 10_001 }), 400, "malformed"),
        (json!({ "before": "yesterday" }), 400, "malformed"),
        (json!({ "filter": { "status": "7xx" } }), 400, "malformed"),
        (json!({ "filter": { "colour": "red" } }), 400, "malformed"),
    ] {
        let told = house.call(Some(&admin), "POST", "/api/v1/replay", Some(wish.clone())).await;
        assert_eq!((told.status.as_u16(), told.code().as_str()), (status, code), "{wish}");
    }
}

#[tokio::test]
async fn an_agent_replays_what_it_may_manage_and_no_more() {
    let house = house().await;
    for slug in ["mine", "other"] {
        house.accept(slug, b"").await;
    }
    let bound = Scope::Agent { sources: vec!["mine".to_owned()], create: true };
    let agent = house.token(house.project, bound).await.text.0;
    let told = house.call(Some(&agent), "POST", "/api/v1/replay", Some(json!({}))).await.json();
    assert_eq!(counts(&told), [1, 1, 0]);
    assert_eq!((waiting(&house, "mine", "default").await, waiting(&house, "other", "default").await), (2, 1));
}
