//! The API as its callers see it: who may do what, what the answers look like, and what is refused.

mod answers;
mod bulk;
mod deliveries;
mod destinations;
mod document;
mod inspecting;
mod publish;
mod replay;
mod stream;
mod who;

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
use crate::delivery::url::UrlPolicy;
use crate::delivery::verdict::AttemptOutcome;
use crate::jq::JqSettings;
use crate::model::{
    AttemptRecord, Captured, Delivery, DeliveryId, Destination, DestinationRules, EventRecord, Outcome,
    RecordedAnswer, Scope, SourceId, SourceRules, Times, Token,
};
use crate::sender::Vault;
use crate::store::{
    Acceptance, DEFAULT_PROJECT, Leased, NewDelivery, NewToken, Next, Settlement, Start, Want,
};

const NOW: u64 = 1_700_000_000_000;

/// A server's API with two projects, in the first of which there are the sources `mine` and `other`.
struct House {
    dir: TempDir,
    state: ApiState,
    router: Router,
    project: ProjectId,
    stranger: ProjectId,
    mine: SourceId,
    other: SourceId,
    revoked: Arc<std::sync::Mutex<Vec<TokenId>>>,
    released: Arc<std::sync::Mutex<Vec<DestinationId>>>,
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
    let revoked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let is_ready = Arc::new(AtomicBool::new(true));
    let (ending, ready) = (Arc::clone(&revoked), Arc::clone(&is_ready));
    let released = Arc::new(std::sync::Mutex::new(Vec::new()));
    let taking = Arc::clone(&released);
    let urls = UrlSender::new(UrlPolicy::default(), link::Tasks::default()).unwrap();
    let vault = Vault::new(&link::EndpointSecret::new([9; 32]));
    let state = ApiState {
        sessions: Sessions::default(),
        pulse: Default::default(),
        overviews: Default::default(),
        exporting: Default::default(),
        searching: Default::default(),
        senders: Senders::new(vault, "https://relay.example", urls.clone(), clock.clone()),
        store,
        metrics: Arc::default(),
        activity: Activity::default(),
        tellers: Tellers::new(link::Tasks::default()),
        clock,
        // No such program: what needs a worker is told that there is none. Real ones are in `tests/expressions.rs`.
        jq: Jq::new(JqSettings::new(dir.path().join("no-such-program"))),
        urls,
        signing: SigningKey::load_or_keep(&dir.path().join("signing-secret"), [7; 32]).unwrap(),
        changing: Arc::default(),
        agents: Arc::new(move |of| {
            if of == project {
                vec![agent(&["mine/default", "other/default"]), agent(&["other/ci"])]
            } else {
                vec![]
            }
        }),
        revoked: Arc::new(move |token| ending.lock().unwrap().push(token)),
        released: Arc::new(move |destination| taking.lock().unwrap().push(destination)),
        public_url: Arc::new(|slug| format!("https://relay.example/h/{slug}")),
        ready: Arc::new(move || ready.load(Ordering::Relaxed)),
    };
    let router = router(state.clone());
    House { dir, state, router, project, stranger, mine: ids[0], other: ids[1], revoked, released, is_ready }
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
        let answer = self.send(request(token, method, path, body.clone())).await;
        document::hold_call(method, path, body.as_ref(), &answer);
        answer
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

impl House {
    fn destination(&self, slug: &str, name: &str) -> Destination {
        let source = self.state.store.source(slug).expect("a source");
        source.destinations.iter().find(|one| one.name.as_str() == name).expect("a destination").clone()
    }

    async fn second_destination(&self, rules: DestinationRules) -> Destination {
        let name = "second".parse().unwrap();
        self.state.store.create_destination(self.mine, name, Sharing::Pool, rules).await.unwrap();
        self.destination("mine", "second")
    }

    /// An accepted event with a ready delivery to each destination of its source.
    async fn accept(&self, slug: &str, body: &'static [u8]) -> EventId {
        let source = self.state.store.source(slug).expect("a source");
        let mut record = event(self.state.store.next_event_id(), source.id, body);
        (record.outcome, record.agent) = (Outcome::Accepted("agent_away"), None);
        record.answer = RecordedAnswer { status: 202, ..RecordedAnswer::default() };
        self.accept_record(record).await
    }

    async fn accept_record(&self, record: Box<EventRecord>) -> EventId {
        let id = record.id;
        let owner = self.state.store.owner(record.source).expect("an owner");
        let source = self.state.store.source(owner.slug.as_str()).expect("a source");
        let ready = |one: &Destination| NewDelivery { destination: one.id, start: Start::Ready };
        let deliveries = source.destinations.iter().map(ready).collect();
        self.state.store.accept(Acceptance { record, deliveries, dedupe: None }).await.unwrap();
        id
    }

    /// Leases the oldest deliveries to a destination, as the dispatcher does.
    async fn lease(&self, destination: &Destination, limit: u32) -> Vec<Leased> {
        let want = Want {
            destination: destination.id,
            limit,
            lease_ms: 60_000,
            bytes_max: u64::MAX,
            is_strict: false,
            is_on_hold: false,
        };
        self.state.store.advance(Arc::default(), vec![want], u64::MAX).await.unwrap().leased
    }

    async fn settle(&self, leased: Leased, outcome: AttemptOutcome, next: Next) {
        let status = match outcome {
            AttemptOutcome::Answered(status) => status,
            AttemptOutcome::NotSent(_) | AttemptOutcome::SentNoAnswer(_) => 0,
        };
        let mut headers = HeaderBlock::default();
        headers.push(b"Server", b"app").unwrap();
        let body = Captured::whole(b"no, thanks"[..].into());
        let record = AttemptRecord {
            started_ms: NOW,
            outcome,
            text: Some("a sentence".to_owned()),
            agent: Some(AgentId(1)),
            answer: RecordedAnswer { status, headers, body },
            times: Times { head_us: 0, total_us: 2, connect_us: 3, app_us: 4 },
            is_resigned: false,
        };
        let (delivery, attempt) = (leased.delivery, leased.attempt);
        let settlement = Settlement { delivery, attempt, record: Some(Box::new(record)), next };
        self.state.store.advance(Arc::new(vec![settlement]), Vec::new(), u64::MAX).await.unwrap();
    }

    async fn delivery(&self, id: &str) -> Delivery {
        self.state.store.delivery(id.parse().unwrap()).await.unwrap().expect("a delivery")
    }
}

fn path(rest: impl std::fmt::Display) -> String {
    format!("/api/v1{rest}")
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
        known: Default::default(),
        agent: Some(AgentId(1)),
        answer: RecordedAnswer { status: 200, headers, body: captured(b"\xff") },
        times: Times { head_us: 1, total_us: 2, connect_us: 3, app_us: 4 },
    })
}
