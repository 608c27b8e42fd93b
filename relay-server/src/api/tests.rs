//! The API as its callers see it: who may do what, route by route, and what the answers look like.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use protocol::control::Sharing;
use protocol::field::HeaderBlock;
use protocol::id::{AgentId, EventId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower_service::Service;

use super::*;
use crate::model::{
    Captured, EventRecord, Outcome, RecordedAnswer, Scope, SourceId, SourceRules, Times, Token,
};
use crate::store::{DEFAULT_PROJECT, NewToken};

const NOW: u64 = 1_700_000_000_000;

/// A server's API with two projects, in the first of which there are the sources `mine` and `other`.
struct House {
    _dir: TempDir,
    state: ApiState,
    router: Router,
    project: ProjectId,
    stranger: ProjectId,
    mine: SourceId,
    revoked: Arc<Mutex<Vec<TokenId>>>,
    is_ready: Arc<AtomicBool>,
}

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

fn agent(serves: &[&str]) -> AgentView {
    AgentView {
        agent: AgentId(1).to_string(),
        instance: String::new(),
        session: String::new(),
        host: "laptop".to_owned(),
        program: String::new(),
        remote: String::new(),
        connected_ms: NOW,
        rtt_us: 5,
        in_flight: 0,
        transport: "quic",
        serves: serves.iter().map(|serve| (*serve).to_owned()).collect(),
    }
}

async fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW);
    let store = Store::open(dir.path(), clock.clone()).await.unwrap();
    let project = store.project(DEFAULT_PROJECT).await.unwrap();
    let stranger = store.project("stranger").await.unwrap();
    let mut ids = Vec::new();
    for slug in ["mine", "other"] {
        let rules = SourceRules::default();
        let made = store.create_source(project, slug.parse().unwrap(), rules, Sharing::Pool).await.unwrap();
        ids.push(made.id);
    }
    let revoked = Arc::new(Mutex::new(Vec::new()));
    let is_ready = Arc::new(AtomicBool::new(true));
    let (ending, ready) = (Arc::clone(&revoked), Arc::clone(&is_ready));
    let state = ApiState {
        store,
        metrics: Arc::default(),
        activity: Activity::default(),
        clock,
        agents: Arc::new(move |of| {
            if of == project {
                vec![agent(&["mine/default", "other/default"]), agent(&["other/ci"])]
            } else {
                vec![]
            }
        }),
        revoked: Arc::new(move |token| ending.lock().unwrap().push(token)),
        public_url: Arc::new(|slug| format!("https://relay.example/h/{slug}")),
        ready: Arc::new(move || ready.load(Ordering::Relaxed)),
    };
    let router = router(state.clone());
    House { _dir: dir, state, router, project, stranger, mine: ids[0], revoked, is_ready }
}

impl House {
    async fn token(&self, project: ProjectId, scope: Scope) -> NewToken {
        self.state.store.create_token(project, scope, "a label", None).await.unwrap()
    }

    async fn admin(&self) -> String {
        self.token(self.project, Scope::Admin).await.text.0
    }

    async fn open(&self, request: Request<Body>) -> http::Response<Body> {
        let Ok(response) = self.router.clone().call(request).await;
        response
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.open(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    async fn call(&self, token: Option<&str>, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send(request(token, method, path, body)).await
    }

    async fn tunnelled(&self, token: &Token, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = request(None, method, path, body);
        request.extensions_mut().insert(Identity(token.clone()));
        self.send(request).await
    }

    async fn record(&self, source: SourceId, body: &'static [u8]) -> EventId {
        let record = event(self.state.store.next_event_id(), source, body);
        let id = record.id;
        self.state.activity.publish(&record);
        self.state.store.record(record).unwrap();
        let written = async {
            while self.state.store.event(self.project, id).await.unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), written).await.expect("written in time");
        id
    }
}

fn request(token: Option<&str>, method: &str, path: &str, body: Option<Value>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:8081");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    match body {
        Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    }
    .unwrap()
}

fn event(id: EventId, source: SourceId, body: &'static [u8]) -> Box<EventRecord> {
    let mut headers = HeaderBlock::default();
    headers.push(b"X-Kind", b"caf\xe9").unwrap();
    headers.push(b"x-kind", b"2").unwrap();
    let captured = |bytes: &'static [u8]| Captured {
        bytes: bytes.into(),
        total_bytes: bytes.len() as u64,
        complete: true,
        is_in_file: false,
    };
    Box::new(EventRecord {
        id,
        source,
        remote: [192, 0, 2, 1].into(),
        method: "POST".to_owned(),
        target: b"/h/mine/a?b".to_vec(),
        headers: headers.clone(),
        body: captured(body),
        outcome: Outcome::Answered,
        shape: Default::default(),
        related: None,
        is_accepted: false,
        agent: Some(AgentId(1)),
        answer: RecordedAnswer { status: 200, headers, body: captured(b"\xff") },
        times: Times { head_us: 1, total_us: 2, connect_us: 3, app_us: 4 },
    })
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Revoked,
    Stranger,
    Read,
    AgentOfOther,
    AgentOfMine,
    Admin,
}

/// Who is let do it, from the one who may least; whoever may less is told the status beside.
type Row = (&'static str, &'static str, Option<Value>, [(Who, u16); 5]);

fn matrix(event: EventId, token: TokenId) -> Vec<Row> {
    use Who::{Admin, AgentOfMine, AgentOfOther, Read, Stranger};
    let to = |who: [u16; 5]| {
        [(Stranger, who[0]), (Read, who[1]), (AgentOfOther, who[2]), (AgentOfMine, who[3]), (Admin, who[4])]
    };
    let path = |rest: &str| -> &'static str { Box::leak(format!("/api/v1{rest}").into_boxed_str()) };
    let event = |rest: &str| path(&format!("/events/{event}{rest}"));
    let rules = || Some(json!({ "rules": { "paused": false } }));
    vec![
        ("GET", path("/whoami"), None, to([200, 200, 200, 200, 200])),
        ("GET", path("/sources"), None, to([200, 200, 200, 200, 200])),
        ("POST", path("/sources"), Some(json!({})), to([201, 403, 403, 403, 201])),
        ("GET", path("/sources/mine"), None, to([404, 200, 404, 200, 200])),
        ("PATCH", path("/sources/mine"), rules(), to([404, 403, 404, 403, 200])),
        ("GET", path("/tokens"), None, to([200, 200, 403, 403, 200])),
        ("POST", path("/tokens"), Some(json!({ "scope": "read" })), to([201, 403, 403, 403, 201])),
        ("GET", path("/events"), None, to([200, 200, 200, 200, 200])),
        ("GET", path("/events?source=mine"), None, to([404, 200, 404, 200, 200])),
        ("GET", path("/events/stream?source=mine"), None, to([404, 200, 404, 200, 200])),
        ("GET", event(""), None, to([404, 200, 404, 200, 200])),
        ("GET", event("/body"), None, to([404, 200, 404, 200, 200])),
        ("GET", path("/agents"), None, to([200, 200, 200, 200, 200])),
        // What takes something away comes last.
        ("DELETE", path(&format!("/tokens/{}", token.0)), None, to([404, 403, 403, 403, 204])),
        ("DELETE", path("/sources/mine"), None, to([404, 403, 404, 403, 204])),
    ]
}

#[tokio::test]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let house = house().await;
    let event = house.record(house.mine, b"hello").await;
    let bound = |source: &str| Scope::Agent { sources: vec![source.to_owned()], create: true };
    let victim = house.token(house.project, Scope::Read).await;
    let revoked = house.token(house.project, Scope::Admin).await;
    house.state.store.revoke_token(house.project, revoked.token.id).await.unwrap();
    let tokens = [
        (Who::Stranger, house.token(house.stranger, Scope::Admin).await),
        (Who::Read, house.token(house.project, Scope::Read).await),
        (Who::AgentOfOther, house.token(house.project, bound("other")).await),
        (Who::AgentOfMine, house.token(house.project, bound("mine")).await),
        (Who::Admin, house.token(house.project, Scope::Admin).await),
    ];
    // A stream has no end: only its head is looked at.
    let status = async |request: Request<Body>| house.open(request).await.status().as_u16();
    for (method, path, body, expected) in matrix(event, victim.token.id) {
        for (who, token) in [(Who::Nobody, None), (Who::Revoked, Some(revoked.text.0.as_str()))] {
            let told = status(request(token, method, path, body.clone())).await;
            assert_eq!(told, 401, "{method} {path} by {who:?}");
        }
        let mut request_of_revoked = request(None, method, path, body.clone());
        request_of_revoked.extensions_mut().insert(Identity(revoked.token.clone()));
        assert_eq!(status(request_of_revoked).await, 401, "{method} {path} through the tunnel");
        for (who, expected) in expected {
            let (_, token) = tokens.iter().find(|(holder, _)| *holder == who).unwrap();
            let mut through_tunnel = request(None, method, path, body.clone());
            through_tunnel.extensions_mut().insert(Identity(token.token.clone()));
            if !(200..300).contains(&expected) || method == "GET" {
                assert_eq!(status(through_tunnel).await, expected, "{method} {path} by {who:?}, tunnel");
            }
            let told = status(request(Some(&token.text.0), method, path, body.clone())).await;
            assert_eq!(told, expected, "{method} {path} by {who:?}");
        }
    }
    assert_eq!(*house.revoked.lock().unwrap(), [victim.token.id]);
}

#[tokio::test]
async fn lists_hold_only_what_the_caller_may_look_at() {
    let house = house().await;
    let mine = house.record(house.mine, b"").await;
    let other = house.state.store.source("other").unwrap().id;
    let others = house.record(other, b"").await;
    let bound = Scope::Agent { sources: vec!["mine".to_owned(), "no-such".to_owned()], create: false };
    let agent = house.token(house.project, bound).await.text.0;
    let free = house.token(house.project, Scope::Agent { sources: vec![], create: false }).await.text.0;
    let nothing = Scope::Agent { sources: vec!["no-such".to_owned()], create: false };
    let nothing = house.token(house.project, nothing).await.text.0;
    let stranger = house.token(house.stranger, Scope::Admin).await.text.0;
    let of = |list: &Value, key: &str, field: &str| -> Vec<String> {
        let items = list[key].as_array().unwrap();
        items.iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
    };
    let admin = house.admin().await;
    let table = [
        (&admin, vec!["mine", "other"], vec![others, mine], 2),
        (&free, vec!["mine", "other"], vec![others, mine], 2),
        (&agent, vec!["mine"], vec![mine], 1),
        (&nothing, vec![], vec![], 0),
        (&stranger, vec![], vec![], 0),
    ];
    for (token, slugs, events, agents) in table {
        let told = house.call(Some(token), "GET", "/api/v1/sources", None).await.json();
        assert_eq!(of(&told, "sources", "slug"), slugs);
        let told = house.call(Some(token), "GET", "/api/v1/events", None).await.json();
        assert_eq!(of(&told, "events", "id"), events.iter().map(EventId::to_string).collect::<Vec<_>>());
        let told = house.call(Some(token), "GET", "/api/v1/agents", None).await.json();
        assert_eq!(told["agents"].as_array().unwrap().len(), agents);
    }
    let told = house.call(Some(&agent), "GET", "/api/v1/agents", None).await.json();
    assert_eq!(told["agents"][0]["serves"], json!(["mine/default"]));
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
        "destinations": [{ "name": "default", "sharing": "broadcast" }],
        "rules": {
            "paused": false, "methods": ["POST"], "networks": [], "upgrade": false, "patience_ms": 5,
            "body_bytes_max": null, "in_flight_max": 256, "reply": "live", "if_away": "accept", "if_slow": "fail",
            "if_failed": "pass", "if_sender_leaves": "finish", "dedupe": null,
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
        "agent": AgentId(1).to_string(), "body_bytes": 7, "answer_bytes": 1,
        "head_us": 1, "total_us": 2, "connect_us": 3, "app_us": 4,
        "headers": headers,
        "exact": { "path": "L2gvbWluZS9hP2I=", "headers": [["X-Kind", "Y2Fm6Q=="], ["x-kind", "Mg=="]] },
        "body": { "text": "{\"a\":1}", "total_bytes": 7, "truncated": false },
        "answer": {
            "status": 200, "headers": headers, "body": { "base64": "/w==", "total_bytes": 1, "truncated": false },
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
        ("POST", "/api/v1/sources", json!({ "rules": { "reply": "accepted" } }), 400, "malformed"),
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
        ("GET", "/", json!(null), 404, "route_not_found"),
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

async fn next_line(body: &mut Body) -> Option<Value> {
    let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.expect("in time")?;
    Some(serde_json::from_slice(&frame.unwrap().into_data().unwrap()).unwrap())
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
