//! Destinations: made, changed, deleted; what their rules may be; what waits for them.

use super::answers::default_rules;
use super::*;
use crate::model::{DeliveryState, ReplyMode};

const DESTINATIONS: &str = "/api/v1/sources/mine/destinations";

#[tokio::test]
async fn a_destination_lives_through_the_api() {
    let house = house().await;
    let admin = house.admin().await;
    let new = json!({ "name": "ci", "sharing": "replace", "rules": { "concurrency": 1, "retry": { "for_s": 60 } } });
    let made = house.call(Some(&admin), "POST", DESTINATIONS, Some(new.clone())).await;
    let mut rules = default_rules();
    (rules["concurrency"], rules["retry"]["for_s"]) = (json!(1), json!(60));
    let expected = json!({ "name": "ci", "is_primary": false, "sharing": "replace", "rules": rules });
    assert_eq!((made.status.as_u16(), made.json()), (201, expected.clone()));
    let again = house.call(Some(&admin), "POST", DESTINATIONS, Some(new)).await;
    assert_eq!((again.status.as_u16(), again.code().as_str()), (409, "name_taken"));

    let one = format!("{DESTINATIONS}/ci");
    assert_eq!(house.call(Some(&admin), "GET", &one, None).await.json(), expected);
    let change = json!({
        "rules": { "concurrency": null, "retry": { "first_s": 9 }, "paused": true }, "sharing": "pool", "primary": true,
    });
    let changed = house.call(Some(&admin), "PATCH", &one, Some(change)).await.json();
    assert_eq!((&changed["sharing"], &changed["is_primary"]), (&json!("pool"), &json!(true)));
    assert_eq!(changed["rules"]["concurrency"], 16, "null is the default");
    assert_eq!(changed["rules"]["retry"]["first_s"], 9);
    assert_eq!(changed["rules"]["retry"]["for_s"], 60, "what is not named stays, also inside of a rule");
    let listed = house.call(Some(&admin), "GET", DESTINATIONS, None).await.json();
    let source = house.call(Some(&admin), "GET", "/api/v1/sources/mine", None).await.json();
    assert_eq!(listed["destinations"], source["destinations"]);
    let names = listed["destinations"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["ci", "default"], "the primary comes first");

    assert_eq!(house.call(Some(&admin), "DELETE", &one, None).await.status, 204);
    let gone = house.call(Some(&admin), "GET", &one, None).await;
    assert_eq!((gone.status.as_u16(), gone.code().as_str()), (404, "destination_not_found"));
    let last = house.call(Some(&admin), "DELETE", &format!("{DESTINATIONS}/default"), None).await;
    assert_eq!((last.status.as_u16(), last.code().as_str()), (409, "last_destination"));
    assert_eq!(
        house.call(Some(&admin), "GET", DESTINATIONS, None).await.json()["destinations"][0]["is_primary"],
        true
    );
}

#[tokio::test]
async fn a_new_destination_can_be_the_primary_at_once() {
    let house = house().await;
    let admin = house.admin().await;
    let new = json!({ "name": "ci", "primary": true });
    let made = house.call(Some(&admin), "POST", DESTINATIONS, Some(new)).await;
    assert_eq!((made.status.as_u16(), &made.json()["is_primary"]), (201, &json!(true)));
    assert_eq!(house.state.store.source("mine").unwrap().destinations[0].name.as_str(), "ci");
}

#[tokio::test]
async fn rules_that_cannot_be_kept_are_refused_by_name() {
    let house = house().await;
    let admin = house.admin().await;
    let long = "x".repeat(4 * 1024 + 1);
    let table = [
        (json!({ "timeout_ms": 0 }), "rules.timeout_ms:"),
        (json!({ "timeout_ms": 600_001 }), "rules.timeout_ms:"),
        (json!({ "concurrency": 0 }), "rules.concurrency:"),
        (json!({ "concurrency": 257 }), "rules.concurrency:"),
        (json!({ "pace_per_s": 0 }), "rules.pace_per_s:"),
        (json!({ "pace_per_s": 10_001 }), "rules.pace_per_s:"),
        (json!({ "retry": { "factor": 0 } }), "rules.retry.factor:"),
        (json!({ "retry": { "factor": 11 } }), "rules.retry.factor:"),
        (json!({ "retry": { "first_s": 0 } }), "rules.retry.first_s:"),
        (json!({ "retry": { "first_s": 9, "delay_s_max": 8 } }), "rules.retry.delay_s_max:"),
        (json!({ "retry": { "delay_s_max": 2_592_001 } }), "rules.retry.delay_s_max:"),
        (json!({ "retry": { "for_s": 2_592_001 } }), "rules.retry.for_s:"),
        (json!({ "retry": { "every_s": 1 } }), "every_s"),
        (json!({ "url": "http://127.0.0.1:1/" }), "rules.url:"),
        (json!({ "url": "http://169.254.169.254/latest" }), "rules.url:"),
        (json!({ "url": "https://192.0.2.1:25/" }), "rules.url:"),
        (json!({ "url": "ftp://example.com/" }), "http://"),
        (json!({ "url": "https://user:word@example.com/" }), "password"),
        (json!({ "filter": "" }), "rules.filter:"),
        (json!({ "transform": long }), "rules.transform:"),
        (json!({ "order": "backwards" }), "backwards"),
        (
            json!({ "timeout_ms": 0, "concurrency": 0 }),
            "rules.timeout_ms: from 1 to 600000; rules.concurrency:",
        ),
    ];
    for (rules, message) in table {
        for (method, path, body) in [
            ("POST", DESTINATIONS.to_owned(), json!({ "name": "new", "rules": rules })),
            ("PATCH", format!("{DESTINATIONS}/default"), json!({ "rules": rules })),
        ] {
            let told = house.call(Some(&admin), method, &path, Some(body)).await;
            let code = told.code();
            assert!(
                (told.status, code.as_str()) == (StatusCode::BAD_REQUEST, "malformed"),
                "{method} {rules}: {} {code}",
                told.status
            );
            let told = told.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(told.contains(message), "{method} {rules}: {told}");
        }
    }
    for (body, code) in [
        (json!({ "name": "No Good" }), "malformed"),
        (json!({ "sharing": "pool" }), "malformed"),
        (json!({ "name": "a", "colour": "red" }), "malformed"),
    ] {
        let told = house.call(Some(&admin), "POST", DESTINATIONS, Some(body)).await;
        assert_eq!((told.status.as_u16(), told.code().as_str()), (400, code));
    }
    let one = format!("{DESTINATIONS}/default");
    let down = house.call(Some(&admin), "PATCH", &one, Some(json!({ "primary": false }))).await;
    assert_eq!(down.code(), "malformed");
    assert_eq!(
        house.destination("mine", "default").rules.as_ref(),
        &DestinationRules::default(),
        "nothing was kept"
    );
    let public = json!({ "name": "url", "rules": { "url": "https://93.184.216.34/hooks?a=1" } });
    let told = house.call(Some(&admin), "POST", DESTINATIONS, Some(public)).await;
    assert_eq!(
        (told.status.as_u16(), &told.json()["rules"]["url"]),
        (201, &json!("https://93.184.216.34/hooks?a=1"))
    );
}

#[tokio::test]
async fn an_expression_that_cannot_be_checked_now_is_not_kept() {
    let house = house().await;
    let admin = house.admin().await;
    let body = json!({ "name": "new", "rules": { "filter": ".a" } });
    let told = house.call(Some(&admin), "POST", DESTINATIONS, Some(body)).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (503, "jq_unavailable"));
    assert_eq!(told.headers["retry-after"], "1");
    assert_eq!(house.state.store.source("mine").unwrap().destinations.len(), 1);
}

#[tokio::test]
async fn who_answers_a_live_sender_neither_filters_nor_transforms() {
    let house = house().await;
    let admin = house.admin().await;
    for (at, rules) in [
        DestinationRules { filter: Some(".a".to_owned()), ..DestinationRules::default() },
        DestinationRules { transform: Some(".a".to_owned()), ..DestinationRules::default() },
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("d{at}");
        let store = &house.state.store;
        store.create_destination(house.mine, name.parse().unwrap(), Sharing::Pool, rules).await.unwrap();
        let refused = async |method: &str, path: &str, body: Option<Value>| {
            let told = house.call(Some(&admin), method, path, body).await;
            assert_eq!(
                (told.status.as_u16(), told.code().as_str()),
                (409, "live_primary"),
                "{method} {path}"
            );
            let message = told.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(
                message.contains("`reply: accepted`") && message.contains("another destination"),
                "{message}"
            );
        };
        let reply = |mode: &str| Some(json!({ "rules": { "reply": mode } }));
        let (one, source) = (format!("{DESTINATIONS}/{name}"), "/api/v1/sources/mine");
        let primary = Some(json!({ "primary": true }));
        refused("PATCH", &one, primary.clone()).await;
        assert_eq!(house.call(Some(&admin), "PATCH", source, reply("accepted")).await.status, 200);
        assert_eq!(house.call(Some(&admin), "PATCH", &one, primary.clone()).await.status, 200);
        refused("PATCH", source, reply("live")).await;
        refused("PATCH", source, Some(json!({ "rules": { "reply": null } }))).await;
        // Back: the plain one first, then live again; the one that filters may not inherit either.
        let plain = format!("{DESTINATIONS}/default");
        assert_eq!(house.call(Some(&admin), "PATCH", &plain, primary).await.status, 200);
        assert_eq!(house.call(Some(&admin), "PATCH", source, reply("live")).await.status, 200);
        refused("DELETE", &plain, None).await;
        assert_eq!(house.call(Some(&admin), "DELETE", &one, None).await.status, 204);
    }
    assert_eq!(house.state.store.source("mine").unwrap().rules.reply, ReplyMode::Live);
}

#[tokio::test]
async fn rules_of_a_source_that_cannot_be_kept_are_refused_by_name() {
    let house = house().await;
    let admin = house.admin().await;
    let fields = |count: usize| (0..count).map(|at| json!([format!("X-{at}"), "1"])).collect::<Vec<_>>();
    let table = [
        (json!({ "accepted": { "status": 199 } }), "rules.accepted.status:"),
        (json!({ "accepted": { "status": 300 } }), "rules.accepted.status:"),
        (json!({ "accepted": { "headers": fields(33) } }), "rules.accepted.headers: at most 32"),
        (
            json!({ "accepted": { "headers": [["X-A", "x".repeat(9_000)]] } }),
            "rules.accepted.headers: at most 8 KiB",
        ),
        (json!({ "accepted": { "headers": [["a b", "1"]] } }), "no name of a header field"),
        (
            json!({ "accepted": { "headers": [["X-A", "1\r\nX-B: 2"]] } }),
            "the value of X-A holds control characters",
        ),
        (
            json!({ "accepted": { "headers": [["Content-Length", "1"]] } }),
            "Content-Length is the relay's own",
        ),
        (json!({ "accepted": { "headers": [["transfer-encoding", "chunked"]] } }), "the relay's own"),
        (json!({ "accepted": { "headers": [["Connection", "close"]] } }), "the relay's own"),
        (json!({ "accepted": { "headers": [["Relay-Error", "x"]] } }), "the relay's own"),
        (json!({ "accepted": { "headers": [["relay_event_id", "x"]] } }), "the relay's own"),
        (json!({ "accepted": { "body": "x".repeat(64 * 1024 + 1) } }), "rules.accepted.body: at most 64 KiB"),
        (json!({ "accepted": { "status": 204, "body": "x" } }), "rules.accepted.body:"),
        (json!({ "accepted": { "code": 200 } }), "code"),
        (json!({ "dedupe": { "by": "body", "window_s": 0 } }), "rules.dedupe.window_s:"),
        (json!({ "dedupe": { "by": "body", "window_s": 2_592_001 } }), "rules.dedupe.window_s:"),
        (json!({ "dedupe": { "by": { "header": "a b" } } }), "rules.dedupe.by.header:"),
        (json!({ "dedupe": { "by": { "pointer": "id" } } }), "rules.dedupe.by.pointer:"),
        (json!({ "dedupe": { "by": "chance" } }), "chance"),
        (
            json!({ "patience_ms": 0, "in_flight_max": 0 }),
            "rules.patience_ms: from 1 to 600000; rules.in_flight_max:",
        ),
    ];
    for (rules, message) in table {
        for (method, path) in [("POST", "/api/v1/sources"), ("PATCH", "/api/v1/sources/mine")] {
            let told = house.call(Some(&admin), method, path, Some(json!({ "rules": rules }))).await;
            assert_eq!((told.status.as_u16(), told.code().as_str()), (400, "malformed"), "{method} {rules}");
            let told = told.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(told.contains(message), "{method} {rules}: {told}");
        }
    }
    assert_eq!(house.state.store.source("mine").unwrap().rules, SourceRules::default(), "nothing was kept");
    let good = json!({ "rules": {
        "reply": "accepted",
        "accepted": { "status": 200, "headers": [["Content-Type", "text/plain"]], "body": "ok" },
        "dedupe": { "by": { "header": "X-Id" }, "window_s": 60 },
    } });
    assert_eq!(house.call(Some(&admin), "PATCH", "/api/v1/sources/mine", Some(good)).await.status, 200);
    let other_id =
        json!({ "rules": { "dedupe": { "by": { "pointer": "" } }, "accepted": { "body": null } } });
    let told = house.call(Some(&admin), "PATCH", "/api/v1/sources/mine", Some(other_id)).await.json();
    assert_eq!(
        told["rules"]["dedupe"],
        json!({ "by": { "pointer": "" }, "window_s": 60 }),
        "`by` changes as a whole"
    );
    assert_eq!(
        (&told["rules"]["accepted"]["body"], &told["rules"]["accepted"]["status"]),
        (&Value::Null, &json!(200))
    );
}

#[tokio::test]
async fn a_secret_is_the_destinations_own_and_for_managers_only() {
    let house = house().await;
    house.second_destination(DestinationRules::default()).await;
    let admin = house.admin().await;
    let secret = async |name: &str| {
        house.call(Some(&admin), "GET", &format!("{DESTINATIONS}/{name}/secret"), None).await.json()["secret"]
            .clone()
    };
    let first = secret("default").await;
    assert_eq!(first, house.state.signing.secret(house.destination("mine", "default").id));
    assert!(first.as_str().unwrap().starts_with("whsec_"));
    assert_ne!(first, secret("second").await);
    let read = house.token(house.project, Scope::Read).await.text.0;
    for path in [DESTINATIONS, "/api/v1/sources/mine", "/api/v1/sources"] {
        let seen = house.call(Some(&read), "GET", path, None).await;
        assert!(!String::from_utf8(seen.bytes).unwrap().contains("whsec_"), "{path}");
    }
}

#[tokio::test]
async fn a_backlog_is_counted_and_let_go() {
    let house = house().await;
    let admin = house.admin().await;
    let backlog = format!("{DESTINATIONS}/default/backlog");
    let count = async || house.call(Some(&admin), "GET", &backlog, None).await.json();
    let keep = async |keep: &str| {
        house.call(Some(&admin), "POST", &backlog, Some(json!({ "keep": keep }))).await.json()["cancelled"]
            .clone()
    };
    assert_eq!(count().await, json!({ "waiting": 0, "is_more": false }));
    let mut events = Vec::new();
    for _ in 0..1_003 {
        events.push(house.accept("mine", b"").await);
    }
    // The oldest is under way, and left alone.
    let leased = house.lease(&house.destination("mine", "default"), 1).await;
    assert_eq!(leased[0].delivery.event, events[0]);
    assert_eq!(count().await, json!({ "waiting": 1_003, "is_more": false }));
    assert_eq!(keep("all").await, 0);
    let destination = house.destination("mine", "default").id;
    assert_eq!(*house.released.lock().unwrap(), [destination], "whoever left it waiting takes it now");
    assert_eq!(keep("latest").await, 1_001, "in more than one step");
    assert_eq!(count().await, json!({ "waiting": 2, "is_more": false }));
    let newest = house.delivery(&format!("{}.1", events[1_002])).await;
    assert_eq!(newest.state, DeliveryState::Waiting);
    let gone = house.delivery(&format!("{}.1", events[1])).await;
    assert_eq!((gone.state, gone.reason.as_deref()), (DeliveryState::Cancelled, Some("skipped_by_agent")));
    assert_eq!(keep("none").await, 1);
    assert_eq!(keep("none").await, 0);
    assert_eq!(house.delivery(&format!("{}.1", events[0])).await.state, DeliveryState::Leased);
    let told = house.call(Some(&admin), "POST", &backlog, Some(json!({ "keep": "some" }))).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (400, "malformed"));
}

#[tokio::test]
async fn what_waits_for_a_deleted_destination_or_source_is_cancelled() {
    let house = house().await;
    let admin = house.admin().await;
    house.second_destination(DestinationRules::default()).await;
    let event = house.accept("mine", b"").await;
    assert_eq!(house.call(Some(&admin), "DELETE", &format!("{DESTINATIONS}/second"), None).await.status, 204);
    let told = house.call(Some(&admin), "GET", &path(format!("/deliveries/{event}.2")), None).await.json();
    assert_eq!(
        (&told["state"], &told["reason"], &told["destination"]),
        (&json!("cancelled"), &json!("destination_deleted"), &json!("second"))
    );
    assert_eq!(house.delivery(&format!("{event}.1")).await.state, DeliveryState::Waiting);
    assert_eq!(house.call(Some(&admin), "DELETE", "/api/v1/sources/mine", None).await.status, 204);
    let gone = house.delivery(&format!("{event}.1")).await;
    assert_eq!((gone.state, gone.reason.as_deref()), (DeliveryState::Cancelled, Some("destination_deleted")));
}
