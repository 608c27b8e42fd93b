//! What the answers look like, and what is refused.

use super::*;

pub(super) fn default_rules() -> Value {
    json!({
        "url": null, "paused": false, "filter": null, "transform": null, "timeout_ms": 30_000, "concurrency": 16,
        "pace_per_s": null, "order": "none", "sign": false, "events": [],
        "retry": { "first_s": 5, "factor": 3, "delay_s_max": 21_600, "for_s": 259_200 },
    })
}

#[tokio::test]
async fn a_source_lives_through_the_api() {
    let house = house().await;
    let admin = house.admin().await;
    let new = json!({ "slug": "hooks", "rules": { "methods": ["POST"], "patience_ms": 5 }, "sharing": "broadcast" });
    let made = house.call(Some(&admin), "POST", "/api/v1/sources", Some(new.clone())).await;
    assert_eq!(made.status, 201);
    let expected = json!({
        "slug": "hooks", "url": "https://relay.example/h/hooks", "created_at": "2023-11-14T22:13:20.000Z",
        "secrets": [],
        "destinations": [{
            "name": "default", "is_primary": true, "sharing": "broadcast", "rules": default_rules(),
        }],
        "rules": {
            "paused": false, "hold": false, "smee": false, "methods": ["POST"], "networks": [], "upgrade": false, "patience_ms": 5,
            "body_bytes_max": null, "in_flight_max": 256, "reply": "live", "if_away": "accept", "if_slow": "fail",
            "if_failed": "pass", "if_sender_leaves": "finish", "dedupe": null, "provider": null,
            "accepted": { "status": 202, "headers": [], "body": null },
        },
    });
    assert_eq!(made.json(), expected);
    let again = house.call(Some(&admin), "POST", "/api/v1/sources", Some(new)).await;
    assert_eq!((again.status.as_u16(), again.code().as_str()), (409, "name_taken"));
    let change = json!({ "rules": { "paused": true, "patience_ms": null } });
    let changed = house.call(Some(&admin), "PATCH", "/api/v1/sources/hooks", Some(change)).await.json();
    assert_eq!(changed["rules"]["paused"], true);
    assert_eq!(changed["rules"]["patience_ms"], 30_000, "null is the default");
    assert_eq!(changed["rules"]["methods"], json!(["POST"]), "what is not named stays");
    assert_eq!(house.call(Some(&admin), "GET", "/api/v1/sources/hooks", None).await.json(), changed);
    assert_eq!(house.call(Some(&admin), "DELETE", "/api/v1/sources/hooks", None).await.status, 204);
    let gone = house.call(Some(&admin), "GET", "/api/v1/sources/hooks", None).await;
    assert_eq!((gone.status.as_u16(), gone.code().as_str()), (404, "source_not_found"));
    let nameless = house.call(Some(&admin), "POST", "/api/v1/sources", Some(json!({}))).await.json();
    assert_eq!(nameless["slug"].as_str().unwrap().len(), 26, "nobody guesses it");
}

#[tokio::test]
async fn a_token_is_shown_once() {
    let house = house().await;
    let admin = house.admin().await;
    let new = json!({
        "scope": "agent", "sources": ["mine"], "create": false, "label": "ci", "expires_at": "2024-01-01T00:00:00Z",
    });
    let made = house.call(Some(&admin), "POST", "/api/v1/tokens", Some(new)).await;
    assert_eq!(made.headers["cache-control"], "no-store");
    let made = made.json();
    let text = made["text"].as_str().unwrap();
    let listed = house.call(Some(&admin), "GET", "/api/v1/tokens", None).await;
    assert_eq!(listed.json()["tokens"][1], made["token"]);
    assert!(!String::from_utf8(listed.bytes).unwrap().contains(text));
    let me = house.call(Some(text), "GET", "/api/v1/whoami", None).await.json();
    let expected = json!({
        "id": made["token"]["id"], "scope": "agent", "sources": ["mine"], "create": false, "label": "ci",
        "created_at": "2023-11-14T22:13:20.000Z", "expires_at": "2024-01-01T00:00:00.000Z", "revoked_at": null,
    });
    assert_eq!(me["token"], expected);
    house.state.clock.set(1_704_067_200_000);
    let late = house.call(Some(text), "GET", "/api/v1/whoami", None).await;
    assert_eq!((late.status.as_u16(), late.code().as_str()), (401, "token_invalid"));
    assert_eq!(late.headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn an_event_is_shown_with_everything() {
    let house = house().await;
    let admin = house.admin().await;
    let id = house.record(house.mine, b"{\"a\":1}").await.to_string();
    let shown = house.call(Some(&admin), "GET", &format!("/api/v1/events/{id}"), None).await.json();
    let headers = json!([["X-Kind", "caf\u{fffd}"], ["x-kind", "2"]]);
    let expected = json!({
        "id": id, "source": "mine", "received_at": "2023-11-14T22:13:20.000Z", "remote": "192.0.2.1",
        "method": "POST", "path": "/h/mine/a?b", "status": 200, "outcome": "answered", "reason": null,
        "name": null, "signature": null, "sender_id": null, "signature_text": null, "recognised": null,
        "pinned": false, "note": null, "late": null,
        "agent": AgentId(1).to_string(), "body_bytes": 7, "answer_bytes": 1,
        "head_us": 1, "total_us": 2, "connect_us": 3, "app_us": 4,
        "seq": null, "related": null, "deliveries": [],
        "headers": headers,
        "exact": { "path": "L2gvbWluZS9hP2I=", "headers": [["X-Kind", "Y2Fm6Q=="], ["x-kind", "Mg=="]] },
        "body": { "text": "{\"a\":1}", "total_bytes": 7, "truncated": false, "is_partial": false },
        "answer": {
            "status": 200, "headers": headers,
            "body": { "base64": "/w==", "total_bytes": 1, "truncated": false, "is_partial": false },
        },
    });
    assert_eq!(shown, expected);
    let body = house.call(Some(&admin), "GET", &format!("/api/v1/events/{id}/body"), None).await;
    assert_eq!(body.bytes, b"{\"a\":1}");
    assert_eq!(body.headers["content-type"], "application/octet-stream");
    assert_eq!(body.headers["content-disposition"], format!("attachment; filename=\"{id}.bin\""));
    assert_eq!(body.headers["x-content-type-options"], "nosniff");
    assert_eq!(body.headers["relay-truncated"], "false");
}

#[tokio::test]
async fn pages_of_events_lead_to_the_next() {
    let house = house().await;
    let admin = house.admin().await;
    let ids = [
        house.record(house.mine, b"").await,
        house.record(house.mine, b"").await,
        house.record(house.mine, b"").await,
    ];
    let first = house.call(Some(&admin), "GET", "/api/v1/events?limit=2&source=mine", None).await.json();
    assert_eq!(first["events"].as_array().unwrap().len(), 2);
    assert_eq!(first["next"], ids[1].to_string());
    let path = format!("/api/v1/events?limit=2&before={}", ids[1]);
    let second = house.call(Some(&admin), "GET", &path, None).await.json();
    assert_eq!(second["events"][0]["id"], ids[0].to_string());
    assert_eq!(second["next"], Value::Null);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_our_own_words() {
    let house = house().await;
    let admin = house.admin().await;
    let table = [
        ("POST", "/api/v1/sources", json!({ "slug": "No Good" }), 400, "malformed"),
        ("POST", "/api/v1/sources", json!({ "rules": { "patience": 1 } }), 400, "malformed"),
        ("POST", "/api/v1/sources", json!({ "rules": { "patience_ms": 0 } }), 400, "malformed"),
        ("POST", "/api/v1/sources", json!({ "rules": { "methods": ["CONNECT"] } }), 400, "malformed"),
        ("POST", "/api/v1/sources", json!({ "rules": { "methods": ["A B"] } }), 400, "malformed"),
        ("POST", "/api/v1/sources", json!({ "rules": { "networks": ["10.0.0.0/99"] } }), 400, "malformed"),
        ("POST", "/api/v1/sources", json!({ "name": "x" }), 400, "malformed"),
        ("PATCH", "/api/v1/sources/mine", json!({ "rules": { "reply": "maybe" } }), 400, "malformed"),
        ("POST", "/api/v1/tokens", json!({ "scope": "root" }), 400, "malformed"),
        ("POST", "/api/v1/tokens", json!({ "scope": "read", "sources": ["a"] }), 400, "malformed"),
        ("POST", "/api/v1/tokens", json!({ "scope": "agent", "sources": ["A"] }), 400, "malformed"),
        (
            "POST",
            "/api/v1/tokens",
            json!({ "scope": "read", "expires_at": "2020-01-01T00:00:00Z" }),
            400,
            "malformed",
        ),
        ("GET", "/api/v1/events?limit=none", json!(null), 400, "malformed"),
        ("GET", "/api/v1/events?limit=0", json!(null), 400, "malformed"),
        ("GET", "/api/v1/events?before=yesterday", json!(null), 400, "malformed"),
        ("GET", "/api/v1/events?colour=red", json!(null), 400, "malformed"),
        ("GET", "/api/v1/events/evt_1", json!(null), 404, "event_not_found"),
        ("DELETE", "/api/v1/tokens/999", json!(null), 404, "token_not_found"),
        ("DELETE", "/api/v1/tokens/x", json!(null), 404, "token_not_found"),
        ("GET", "/api/v2/events", json!(null), 404, "route_not_found"),
        ("GET", "/nowhere", json!(null), 404, "route_not_found"),
        ("PUT", "/api/v1/sources", json!({}), 405, "method_not_allowed"),
    ];
    for (method, path, body, status, code) in table {
        let told = house.call(Some(&admin), method, path, Some(body.clone())).await;
        assert_eq!((told.status.as_u16(), told.code().as_str()), (status, code), "{method} {path} {body}");
        assert!(told.json()["error"]["doc"].is_string());
    }
    let large = json!({ "slug": "x".repeat(2 * 1024 * 1024) });
    let told = house.call(Some(&admin), "POST", "/api/v1/sources", Some(large)).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (413, "body_too_large"));
    let form = Request::builder()
        .method("POST")
        .uri("/api/v1/sources")
        .header("authorization", format!("Bearer {admin}"));
    let told = house.send(form.body(Body::from("slug=x")).unwrap()).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (415, "not_json"));
}

#[tokio::test]
async fn health_and_metrics_need_no_token_but_metrics_stay_here() {
    let house = house().await;
    assert_eq!(house.call(None, "GET", "/healthz", None).await.status, 200);
    assert_eq!(house.call(None, "GET", "/readyz", None).await.status, 200);
    house.is_ready.store(false, Ordering::Relaxed);
    assert_eq!(house.call(None, "GET", "/readyz", None).await.status, 503);
    let metrics = house.call(None, "GET", "/metrics", None).await;
    assert!(String::from_utf8(metrics.bytes).unwrap().contains("\nrelay_store_ok 1\n"));
    assert_eq!(metrics.headers["content-type"], crate::metrics::CONTENT_TYPE);
    let admin = house.token(house.project, Scope::Admin).await;
    assert_eq!(house.tunnelled(&admin.token, "GET", "/metrics", None).await.status, 404);
}

#[tokio::test]
async fn the_admin_listener_answers_to_its_own_names_only() {
    let house = house().await;
    let mut router = on_admin_listener(house.router.clone(), &["relay.internal".to_owned()]);
    for (host, expected) in [
        ("127.0.0.1:8081", 200),
        ("localhost", 200),
        ("relay.internal", 200),
        ("evil.example", 421),
        ("", 421),
    ] {
        let mut request = request(None, "GET", "/healthz", None);
        request.headers_mut().insert("host", host.parse().unwrap());
        let Ok(response) = router.call(request).await;
        assert_eq!(response.status().as_u16(), expected, "{host}");
    }
    let absolute = Request::builder().uri("http://evil.example/healthz").header("host", "localhost");
    let Ok(response) = router.call(absolute.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 421);
}
