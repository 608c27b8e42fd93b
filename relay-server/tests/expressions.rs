//! Expressions of destinations at the door of the API, held against real jq workers.

#![cfg(unix)]

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use protocol::control::Sharing;
use relay_server::activity::Activity;
use relay_server::api::{self, ApiState, Tellers};
use relay_server::clock::Clock;
use relay_server::delivery::url::{UrlPolicy, UrlSender};
use relay_server::jq::{Jq, JqSettings};
use relay_server::model::{Scope, SourceRules};
use relay_server::sender::{Senders, Vault};
use relay_server::signing::SigningKey;
use relay_server::store::{DEFAULT_PROJECT, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower_service::Service;

struct House {
    _dir: TempDir,
    router: Router,
    token: String,
}

async fn house() -> House {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Clock::fixed(1_700_000_000_000);
    let store = Store::open(dir.path(), clock.clone()).await.expect("a store");
    let project = store.project(DEFAULT_PROJECT).await.expect("a project");
    let slug = "mine".parse().expect("a name");
    store.create_source(project, slug, SourceRules::default(), Sharing::Pool).await.expect("a source");
    let token = store.create_token(project, Scope::Admin, "", None).await.expect("a token").text.0;
    // However busy the machine is, only what never ends takes this long.
    let patient = std::time::Duration::from_secs(20);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_relay-server"));
    let urls = UrlSender::new(UrlPolicy::default(), link::Tasks::default()).expect("a sender");
    let vault = Vault::new(&link::EndpointSecret::new([9; 32]));
    let state = ApiState {
        sessions: Default::default(),
        pulse: Default::default(),
        overviews: Default::default(),
        exporting: Default::default(),
        searching: Default::default(),
        senders: Senders::new(vault, "https://relay.example", urls.clone(), clock.clone()),
        store,
        metrics: Arc::default(),
        activity: Activity::default(),
        tellers: Tellers::new(Default::default()),
        clock,
        jq: Jq::new(JqSettings { time_max: patient, ..JqSettings::new(program) }),
        urls,
        signing: SigningKey::load_or_keep(&dir.path().join("signing-secret"), [7; 32]).expect("a key"),
        changing: Arc::default(),
        agents: Arc::new(|_| Vec::new()),
        revoked: Arc::new(|_| ()),
        released: Arc::new(|_| ()),
        public_url: Arc::new(|slug| format!("https://relay.example/h/{slug}")),
        ready: Arc::new(|| true),
    };
    House { _dir: dir, router: api::router(state), token }
}

impl House {
    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/sources/mine/destinations{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let Ok(answer) = self.router.clone().call(request).await;
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

#[tokio::test]
async fn an_expression_is_kept_if_it_compiles_and_else_its_author_is_told_where_it_does_not() {
    let house = house().await;
    let filter = ".body.action == \"opened\"";
    let rules = json!({ "filter": filter, "transform": "{ body: .body }" });
    let (status, made) = house.call("POST", "", json!({ "name": "ci", "rules": rules })).await;
    assert_eq!((status, &made["rules"]["filter"]), (201, &json!(filter)));
    for (name, expression) in
        [("filter", ".a |"), ("transform", "nonsense(1)"), ("filter", "input"), ("filter", "$ENV")]
    {
        let rules = json!({ name: expression });
        for (method, path, body) in [
            ("POST", "", json!({ "name": "other", "rules": rules })),
            ("PATCH", "/ci", json!({ "rules": rules })),
        ] {
            let (status, told) = house.call(method, path, body).await;
            assert_eq!((status, &told["error"]["code"]), (400, &json!("malformed")), "{expression}: {told}");
            let message = told["error"]["message"].as_str().expect("text");
            let start = format!("rules.{name}: the expression is no valid jq:");
            assert!(message.starts_with(&start), "{expression}: {message}");
        }
    }
    let (_, shown) = house.call("GET", "/ci", Value::Null).await;
    assert_eq!(shown["rules"]["filter"], filter, "as it was");
    let (status, changed) =
        house.call("PATCH", "/ci", json!({ "rules": { "filter": null, "transform": "." } })).await;
    assert_eq!(
        (status, &changed["rules"]["filter"], &changed["rules"]["transform"]),
        (200, &Value::Null, &json!("."))
    );
}
