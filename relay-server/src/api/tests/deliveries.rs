//! Deliveries: lists, one with its attempts, and ending one.

use super::*;

fn ids(list: &Value) -> Vec<String> {
    list["deliveries"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_delivery_is_shown_with_its_attempts_by_itself_and_with_its_event() {
    let house = house().await;
    let admin = house.admin().await;
    let event = house.accept("mine", b"hello").await;
    let destination = house.destination("mine", "default");
    let leased = house.lease(&destination, 1).await[0];
    house.settle(leased, AttemptOutcome::Answered(503), Next::RetryAt(NOW + 5_000)).await;
    house.state.clock.set(NOW + 5_000);
    let leased = house.lease(&destination, 1).await[0];
    house.settle(leased, AttemptOutcome::NotSent("app_refused"), Next::Dead("schedule_used_up")).await;

    let id = format!("{event}.1");
    let shown = house.call(Some(&admin), "GET", &path(format!("/deliveries/{id}")), None).await.json();
    let answer = json!({
        "headers": [["Server", "app"]],
        "body": { "text": "no, thanks", "total_bytes": 10, "truncated": false, "is_partial": false },
    });
    let attempt = |no: u32, outcome: &str, reason: Value, status: Value| {
        json!({
            "no": no, "started_at": "2023-11-14T22:13:20.000Z", "outcome": outcome, "reason": reason,
            "text": "a sentence", "agent": AgentId(1).to_string(), "status": status,
            "is_resigned": false,
            "connect_us": 3, "app_us": 4, "total_us": 2, "answer": answer,
        })
    };
    let expected = json!({
        "id": id, "event": event.to_string(), "source": "mine", "destination": "default", "state": "dead",
        "is_replay": false, "attempts_made": 2, "due_at": null, "ended_at": "2023-11-14T22:13:25.000Z",
        "reason": "schedule_used_up",
        "attempts": [
            attempt(1, "answered", Value::Null, json!(503)),
            attempt(2, "not_sent", json!("app_refused"), Value::Null),
        ],
    });
    assert_eq!(shown, expected);
    let shown = house.call(Some(&admin), "GET", &path(format!("/events/{event}")), None).await.json();
    let mut with_event = expected.clone();
    for attempt in with_event["attempts"].as_array_mut().unwrap() {
        attempt.as_object_mut().unwrap().remove("answer");
    }
    assert_eq!(shown["deliveries"], json!([with_event]), "answers stand with each delivery only");
    assert_eq!((&shown["seq"], &shown["related"]), (&json!(1), &Value::Null));
    let listed = house.call(Some(&admin), "GET", "/api/v1/deliveries", None).await.json();
    let mut line = expected;
    let fields = line.as_object_mut().unwrap();
    fields.remove("attempts_made");
    fields.insert("attempts".to_owned(), json!(2));
    assert_eq!(listed, json!({ "deliveries": [line], "next": null }));
}

#[tokio::test]
async fn deliveries_are_listed_by_source_destination_and_state_page_by_page() {
    let house = house().await;
    let admin = house.admin().await;
    house.second_destination(DestinationRules::default()).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(house.accept("mine", b"").await);
    }
    let others = house.accept("other", b"").await;
    let get =
        async |query: &str| house.call(Some(&admin), "GET", &path(format!("/deliveries{query}")), None).await;
    let of = |at: usize, no: u32| format!("{}.{no}", events[at]);
    let all = [of(2, 2), of(2, 1), of(1, 2), of(1, 1), of(0, 2), of(0, 1)];
    assert_eq!(ids(&get("?source=mine").await.json()), all);
    assert_eq!(ids(&get("?source=other").await.json()), [format!("{others}.1")]);
    assert_eq!(ids(&get("").await.json()).len(), 7);
    let second = ids(&get("?source=mine&destination=second").await.json());
    assert_eq!(second, [of(2, 2), of(1, 2), of(0, 2)]);

    // Pages end between two deliveries of one event as well.
    let (mut seen, mut before) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = get(&format!("?source=mine&limit=3{before}")).await.json();
        seen.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(seen, all);
    let older = get(&format!("?source=mine&before={}", events[1])).await.json();
    assert_eq!(ids(&older), [of(0, 2), of(0, 1)], "an event's id leaves out all of it");

    // One of each state.
    let destination = house.destination("mine", "second");
    let leased = house.lease(&destination, 2).await;
    house.settle(leased[0], AttemptOutcome::Answered(200), Next::Delivered).await;
    house.call(Some(&admin), "POST", &path(format!("/deliveries/{}/cancel", of(2, 2))), None).await;
    let first = house.lease(&house.destination("mine", "default"), 2).await;
    house.settle(first[0], AttemptOutcome::Answered(410), Next::Dead("gone")).await;
    house.settle(first[1], AttemptOutcome::Answered(503), Next::RetryAt(NOW + 1_000)).await;
    for (state, expected) in [
        ("waiting", vec![of(2, 1), of(1, 1)]),
        ("leased", vec![of(1, 2)]),
        ("delivered", vec![of(0, 2)]),
        ("dead", vec![of(0, 1)]),
        ("cancelled", vec![of(2, 2)]),
    ] {
        assert_eq!(ids(&get(&format!("?source=mine&state={state}")).await.json()), expected, "{state}");
    }
    let open = vec![of(2, 1), of(1, 2), of(1, 1), of(0, 1)];
    assert_eq!(ids(&get("?source=mine").await.json()), open, "what waits, is under way or dead");
    let retried = &get("?source=mine&state=waiting").await.json()["deliveries"][1];
    assert_eq!(retried["due_at"], "2023-11-14T22:13:21.000Z");

    // A deleted destination keeps its name.
    house.call(Some(&admin), "DELETE", "/api/v1/sources/mine/destinations/second", None).await;
    let gone = get("?source=mine&destination=second&state=delivered").await.json();
    assert_eq!(ids(&gone), [of(0, 2)]);
    assert_eq!(gone["deliveries"][0]["destination"], "second");

    for (query, status, code) in [
        ("?destination=second", 400, "malformed"),
        ("?source=mine&destination=third", 404, "destination_not_found"),
        ("?source=mine&destination=Not%20One", 404, "destination_not_found"),
        ("?state=lost", 400, "malformed"),
        ("?limit=0", 400, "malformed"),
        ("?before=evt_1", 400, "malformed"),
        ("?colour=red", 400, "malformed"),
        ("/evt_1.1", 404, "delivery_not_found"),
        ("/7", 404, "delivery_not_found"),
    ] {
        let told = get(query).await;
        assert_eq!((told.status.as_u16(), told.code().as_str()), (status, code), "{query}");
    }
}

#[tokio::test]
async fn nothing_of_others_is_listed_or_found() {
    let house = house().await;
    let mine = house.accept("mine", b"").await;
    let others = house.accept("other", b"").await;
    let bound = Scope::Agent { sources: vec!["other".to_owned()], create: true };
    let bound = house.token(house.project, bound).await.text.0;
    let stranger = house.token(house.stranger, Scope::Admin).await.text.0;
    for (token, expected) in [(&bound, vec![format!("{others}.1")]), (&stranger, vec![])] {
        for query in ["", "?state=waiting", "?state=delivered", "?limit=1"] {
            let listed =
                house.call(Some(token), "GET", &path(format!("/deliveries{query}")), None).await.json();
            let expected = if query.ends_with("delivered") { &[] } else { expected.as_slice() };
            assert_eq!(ids(&listed), expected, "{query}");
            // Not even where they stand.
            assert!(!listed.to_string().contains(&mine.to_string()), "{query}: {listed}");
        }
        for (method, path) in [
            ("GET", path(format!("/deliveries/{mine}.1"))),
            ("POST", path(format!("/deliveries/{mine}.1/cancel"))),
            ("POST", path(format!("/deliveries/{mine}.1/replay"))),
        ] {
            let told = house.call(Some(token), method, &path, None).await;
            assert_eq!(
                (told.status.as_u16(), told.code().as_str()),
                (404, "delivery_not_found"),
                "{method} {path}"
            );
        }
        let wish = Some(json!({ "filter": { "state": "waiting" } }));
        let told = house.call(Some(token), "POST", "/api/v1/replay", wish).await.json();
        assert_eq!(told["matched"], expected.len());
    }
    assert_eq!(house.state.store.deliveries_of(mine).await.unwrap().len(), 1, "nothing was made of it");
    // An id is its chance too: who knows only when it came knows nothing.
    let admin = house.admin().await;
    let near = EventId(mine.0 ^ 1);
    let told = house.call(Some(&admin), "POST", &path(format!("/deliveries/{near}.1/cancel")), None).await;
    assert_eq!(told.code(), "delivery_not_found");
}

#[tokio::test]
async fn a_delivery_is_cancelled_once() {
    let house = house().await;
    let admin = house.admin().await;
    let event = house.accept("mine", b"").await;
    let cancel = path(format!("/deliveries/{event}.1/cancel"));
    let told = house.call(Some(&admin), "POST", &cancel, None).await;
    let expected = json!({ "delivery": {
        "id": format!("{event}.1"), "event": event.to_string(), "source": "mine", "destination": "default",
        "state": "cancelled", "is_replay": false, "attempts": 0, "due_at": null,
        "ended_at": "2023-11-14T22:13:20.000Z", "reason": "cancelled_by_person",
    } });
    assert_eq!((told.status.as_u16(), told.json()), (200, expected));
    let again = house.call(Some(&admin), "POST", &cancel, None).await;
    assert_eq!((again.status.as_u16(), again.code().as_str()), (409, "delivery_over"));
    // One under way is ended as well; what it comes to is recorded all the same.
    let event = house.accept("mine", b"").await;
    let leased = house.lease(&house.destination("mine", "default"), 1).await[0];
    let path = path(format!("/deliveries/{event}.1"));
    assert_eq!(house.call(Some(&admin), "POST", &format!("{path}/cancel"), None).await.status, 200);
    house.settle(leased, AttemptOutcome::Answered(200), Next::Delivered).await;
    let shown = house.call(Some(&admin), "GET", &path, None).await.json();
    assert_eq!((&shown["state"], &shown["attempts"][0]["status"]), (&json!("cancelled"), &json!(200)));
}

#[tokio::test]
async fn an_event_with_many_deliveries_shows_the_newest() {
    let house = house().await;
    let admin = house.admin().await;
    let event = house.accept("mine", b"").await;
    let wishes = vec![(event, house.destination("mine", "default").id); 60];
    house.state.store.replay(wishes).await.unwrap();
    let shown = house.call(Some(&admin), "GET", &path(format!("/events/{event}")), None).await.json();
    let shown = ids(&shown);
    assert_eq!((shown.len(), &shown[0], &shown[49]), (50, &format!("{event}.12"), &format!("{event}.61")));
}

#[tokio::test]
async fn a_ledger_adds_up() {
    let house = house().await;
    let admin = house.admin().await;
    let read = async || house.call(Some(&admin), "GET", "/api/v1/sources/mine/ledger", None).await.json();
    let zero = json!({
        "accepted": 0, "stored": 0, "forgotten": 0, "deliveries": 0, "delivered": 0, "dead": 0, "cancelled": 0,
        "waiting": 0,
    });
    assert_eq!(read().await, zero);
    for _ in 0..5 {
        house.accept("mine", b"").await;
    }
    house.accept("other", b"").await;
    let leased = house.lease(&house.destination("mine", "default"), 4).await;
    house.settle(leased[0], AttemptOutcome::Answered(200), Next::Delivered).await;
    house.settle(leased[1], AttemptOutcome::Answered(410), Next::Dead("gone")).await;
    house.settle(leased[2], AttemptOutcome::Answered(503), Next::RetryAt(NOW + 1)).await;
    let cancel = path(format!("/deliveries/{}.1/cancel", leased[3].delivery.event));
    house.call(Some(&admin), "POST", &cancel, None).await;
    let expected = json!({
        "accepted": 5, "stored": 5, "forgotten": 0, "deliveries": 5, "delivered": 1, "dead": 1, "cancelled": 1,
        "waiting": 2,
    });
    assert_eq!(read().await, expected);
    // A week later what is over is forgotten, and still counted.
    house.state.clock.set(NOW + 60_000);
    let policy = crate::store::Retention { age_ms: 1_000, bytes_max: u64::MAX };
    house.state.store.prune(policy, crate::store::Cursor::default()).await.unwrap();
    let mut expected = expected;
    (expected["stored"], expected["forgotten"]) = (json!(2), json!(3));
    assert_eq!(read().await, expected);
}
