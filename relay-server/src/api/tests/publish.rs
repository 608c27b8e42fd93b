//! Publishing events through the API.

use super::*;
use crate::model::DeliveryState;

const PUBLISH: &str = "/api/v1/sources/mine/publish";

#[tokio::test]
async fn a_published_event_goes_to_every_destination() {
    let house = house().await;
    let admin = house.admin().await;
    let second = house.second_destination(DestinationRules::default()).await;
    let mut watch = house.state.activity.watch(|_| true).unwrap();
    // Digits that no double holds, and the order of members.
    let text = r#"{"name":"invoice.paid","payload":{"z":1.10,"a":12345678901234567890}}"#;
    let call =
        Request::builder().method("POST").uri(PUBLISH).header("authorization", format!("Bearer {admin}"));
    let call = call.header("content-type", "application/json").body(Body::from(text)).unwrap();
    let told = house.send(call).await;
    assert_eq!(told.status, 202, "{}", told.json());
    let id: EventId = told.json()["event"].as_str().unwrap().parse().unwrap();
    assert_eq!(told.json(), json!({ "event": id.to_string(), "seq": 1, "deliveries": 2 }));
    let found = house.state.store.event(house.project, id).await.unwrap().unwrap();
    let body = r#"{"type":"invoice.paid","timestamp":"2023-11-14T22:13:20.000Z","data":{"z":1.10,"a":12345678901234567890}}"#;
    assert_eq!(std::str::from_utf8(&found.body.bytes).unwrap(), body);
    let fields: Vec<_> = found
        .headers
        .iter()
        .map(|(n, v)| [n, v].map(|text| String::from_utf8_lossy(text).into_owned()))
        .collect();
    let expected = [
        ("Content-Type", "application/json"),
        ("Content-Length", &body.len().to_string()),
        ("Relay-Event-Id", &id.to_string()),
    ];
    assert_eq!(fields, expected.map(|(name, value)| [name.to_owned(), value.to_owned()]));
    assert_eq!((found.summary.method.as_str(), found.summary.target.as_slice()), ("POST", &b"/h/mine"[..]));
    assert_eq!((found.shape.mount, found.shape.is_chunked), (7, false));
    assert_eq!(
        (found.summary.reason.as_deref(), found.summary.status, found.summary.seq),
        (Some("published"), 202, Some(1))
    );
    let made = house.state.store.deliveries_of(id).await.unwrap();
    let made: Vec<_> = made.iter().map(|(made, _)| (made.destination, made.state, made.is_replay)).collect();
    let first = house.destination("mine", "default").id;
    assert_eq!(made, [(first, DeliveryState::Waiting, false), (second.id, DeliveryState::Waiting, false)]);
    assert!(
        matches!(watch.next().await, Some(crate::activity::Seen::Event(seen)) if seen.id == id),
        "it is told"
    );
    let again =
        house.call(Some(&admin), "POST", PUBLISH, Some(json!({ "name": "a", "payload": null }))).await.json();
    assert_eq!(again["seq"], 2, "the same thing twice is two events");
}

#[tokio::test]
async fn what_cannot_be_published_is_refused() {
    let house = house().await;
    let admin = house.admin().await;
    let table = [
        (json!({ "name": "", "payload": 1 }), 400, "malformed"),
        (json!({ "name": "a b", "payload": 1 }), 400, "malformed"),
        (json!({ "name": "a".repeat(121), "payload": 1 }), 400, "malformed"),
        (json!({ "name": "a" }), 400, "malformed"),
        (json!({ "payload": 1 }), 400, "malformed"),
        (json!({ "name": "a", "payload": 1, "colour": "red" }), 400, "malformed"),
        (json!({ "name": "a", "payload": "x".repeat(1024 * 1024 - 1) }), 413, "body_too_large"),
        (json!({ "name": "a", "payload": "x".repeat(2 * 1024 * 1024) }), 413, "body_too_large"),
    ];
    for (body, status, code) in table {
        let told = house.call(Some(&admin), "POST", PUBLISH, Some(body.clone())).await;
        let body = body.to_string().chars().take(60).collect::<String>();
        assert_eq!((told.status.as_u16(), told.code().as_str()), (status, code), "{body}");
    }
    let largest = json!({ "name": "a".repeat(120), "payload": "x".repeat(1024 * 1024 - 2) });
    assert_eq!(house.call(Some(&admin), "POST", PUBLISH, Some(largest)).await.status, 202);
    let listed = house.call(Some(&admin), "GET", "/api/v1/events", None).await.json();
    assert_eq!(listed["events"].as_array().unwrap().len(), 1, "nothing else was kept");
}
