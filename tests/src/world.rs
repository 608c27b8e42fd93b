//! The whole house in one process: a server on ports of its own, agents around it, and an end that is checked.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use protocol::id::AgentId;
use relay_agent::{Agent, AgentEvent, LinkState, Route, Settings, Token};
use relay_server::clock::Clock;
use relay_server::model::{DestinationRules, ProjectId, ProviderRules, Scope, SourceRules};
use relay_server::serve::Addresses;
use relay_server::store::{Audit, DestinationChange};
use relay_server::{Config, Server};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::client::{self, Answer, PATIENCE};

/// A server and its data directory.
pub struct World {
    server: Option<Server>,
    dir: TempDir,
    addresses: Addresses,
    project: ProjectId,
    agents_made: u128,
}

/// An agent in the world, with what it has told so far.
pub struct AgentInWorld {
    /// The agent.
    pub agent: Agent,
    events: mpsc::Receiver<AgentEvent>,
}

/// Configuration for tests: every port 0, data in `dir`.
#[must_use]
pub fn config(dir: &Path) -> Config {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = Config { data: dir.to_owned(), ..Config::default() };
    config.public.addr = loopback;
    config.tunnel.addr = loopback;
    config.admin.addr = loopback;
    config
}

impl World {
    /// A server with every default.
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// A server whose configuration was changed.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a temp dir");
        let mut config = config(dir.path());
        change(&mut config);
        let server = Server::start(config, Clock::system()).await.expect("the server starts");
        let addresses = server.addresses().clone();
        let project = server.store().project("default").await.expect("the default project");
        Self { server: Some(server), dir, addresses, project, agents_made: 0 }
    }

    /// The server.
    ///
    /// # Panics
    /// When it was stopped.
    #[must_use]
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("the server runs")
    }

    /// Where the server is.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Address of the public listener.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.addresses.public
    }

    /// The project everything here belongs to.
    #[must_use]
    pub fn project(&self) -> ProjectId {
        self.project
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.dir.path()
    }

    /// A source with these rules.
    pub async fn source(&self, name: &str, rules: SourceRules) {
        let slug = name.parse().expect("a slug");
        let made = self.server().store().create_source(self.project, slug, rules, Default::default()).await;
        made.expect("the source is made");
    }

    /// Gives a destination of a source other rules; makes it if there is none of that name.
    pub async fn destination(&self, source: &str, name: &str, change: impl FnOnce(&mut DestinationRules)) {
        let store = self.server().store();
        let source = store.source(source).expect("the source");
        let found = source.destinations.iter().find(|destination| destination.name.as_str() == name);
        let mut rules = found.map_or_else(DestinationRules::default, |found| (*found.rules).clone());
        change(&mut rules);
        match found {
            Some(found) => {
                let change = DestinationChange { rules: Some(rules), ..DestinationChange::default() };
                store.update_destination(source.id, found.id, change).await.expect("changed");
            }
            None => {
                let name = name.parse().expect("a name");
                store.create_destination(source.id, name, Default::default(), rules).await.expect("made");
            }
        }
    }

    /// Ends the server kindly and starts it again on the same data, with a changed configuration.
    #[must_use]
    pub async fn restart(mut self, change: impl FnOnce(&mut Config)) -> Self {
        assert!(self.server.take().expect("the server runs").drain().await, "everything ended in time");
        let mut config = config(self.dir.path());
        change(&mut config);
        let server = Server::start(config, Clock::system()).await.expect("the server starts");
        self.addresses = server.addresses().clone();
        self.server = Some(server);
        self
    }

    /// Stops the server where it stands and starts it again on the same data.
    #[must_use]
    pub async fn crash(mut self) -> Self {
        self.server.take().expect("the server runs").abort().await;
        let server =
            Server::start(config(self.dir.path()), Clock::system()).await.expect("the server starts");
        self.addresses = server.addresses().clone();
        self.server = Some(server);
        self
    }

    /// Waits (bounded) until so many events are on disk.
    pub async fn recorded(&self, count: u64) {
        let store = self.server().store();
        let waited = tokio::time::timeout(PATIENCE, async {
            while store.record_counts().written < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        waited.await.expect("the events are recorded");
    }

    /// An agent that serves a destination of source `name` from `target`, live.
    pub async fn agent_at(&mut self, name: &str, destination: &str, target: SocketAddr) -> AgentInWorld {
        let mut route = route(name, target);
        route.destination = destination.parse().expect("a name");
        let settings = self.settings().await.with_route(route);
        AgentInWorld::live(settings).await
    }

    /// A token of this scope, as text.
    pub async fn token(&self, scope: Scope) -> String {
        let made = self.server().store().create_token(self.project, scope, "test", None).await;
        made.expect("the token is made").text.0
    }

    /// Calls the API on the admin listener as its owner does: the status, and what was answered.
    pub async fn api(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let token = self.token(Scope::Admin).await;
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.addresses.admin,
            body.len()
        );
        let answer = client::exchange(self.addresses.admin, request.as_bytes()).await;
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    /// A source whose provider is this one, and what it signs with.
    pub async fn provided(
        &self,
        name: &str,
        provider: &str,
        secret: &str,
        change: impl FnOnce(&mut SourceRules),
    ) {
        let provider = ProviderRules { name: provider.to_owned(), ..ProviderRules::default() };
        let mut rules = SourceRules { provider: Some(provider), ..SourceRules::default() };
        change(&mut rules);
        self.source(name, rules).await;
        self.secret(name, secret).await;
    }

    /// One more secret of a source.
    pub async fn secret(&self, name: &str, secret: &str) {
        let path = format!("/sources/{name}/secrets");
        let (status, answer) = self.api("POST", &path, Some(json!({ "secret": secret }))).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// What an agent with a token of scope `agent` is started with, dialling `tunnel`.
    pub async fn settings_at(&mut self, tunnel: SocketAddr) -> Settings {
        let token = self.token(Scope::Agent { sources: Vec::new(), create: true }).await;
        self.agents_made += 1;
        let server = relay_agent::Server {
            host: tunnel.ip().to_string(),
            port: tunnel.port(),
            pin: self.addresses.pin.as_ref().map(|pin| pin.parse().expect("a pin")),
            token: Token::new(token),
        };
        Settings::new(server, AgentId(self.agents_made))
    }

    /// What an agent with a token of scope `agent` is started with.
    pub async fn settings(&mut self) -> Settings {
        self.settings_at(self.addresses.tunnel).await
    }

    /// An agent that serves source `name` from `target`, live.
    pub async fn agent(&mut self, name: &str, target: SocketAddr) -> AgentInWorld {
        let settings = self.settings().await.with_route(route(name, target));
        AgentInWorld::live(settings).await
    }

    /// Sends these bytes to the public listener on a connection of their own.
    pub async fn exchange(&self, bytes: &[u8]) -> Answer {
        client::exchange(self.public(), bytes).await
    }

    /// POSTs `body` to `/h/<name>` and gives the answer.
    pub async fn post(&self, name: &str, body: &[u8]) -> Answer {
        self.exchange(&client::post(&format!("/h/{name}"), "", body)).await
    }

    /// Ends the server kindly and checks that nothing is left: no task, and every exchange was recorded.
    ///
    /// # Panics
    /// When something is.
    pub async fn end(mut self) {
        let server = self.server.take().expect("the server runs");
        let metrics = server.metrics();
        assert!(server.drain().await, "everything under way ended in time");
        let (recorded, lost) = (metrics.events_recorded.get(), metrics.events_unrecorded.get());
        let in_flight = metrics.in_flight.get();
        assert_eq!((lost, in_flight), (0, 0), "{recorded} events recorded, none lost, none under way");
        let audit = Audit::of_data_dir(self.dir.path(), true).expect("the store can be read");
        assert!(audit.is_balanced(), "everything accepted is accounted for: {audit:#?}");
    }
}

/// A route with every default.
#[must_use]
pub fn route(name: &str, target: SocketAddr) -> Route {
    Route::new(name.parse().expect("a slug"), format!("http://{target}").parse().expect("a target"))
}

impl AgentInWorld {
    /// Starts an agent and waits until it serves all its routes.
    pub async fn live(settings: Settings) -> Self {
        let routes = settings.routes.len();
        let mut this = Self::start(settings);
        this.until("live", |event| matches!(event, AgentEvent::Link(LinkState::Live { .. }))).await;
        for _ in 0..routes {
            let served = this.until("served", |event| matches!(event, AgentEvent::Served { .. })).await;
            assert!(matches!(served, AgentEvent::Served { result: Ok(_), .. }), "{served:?}");
        }
        this
    }

    /// Starts an agent.
    #[must_use]
    pub fn start(settings: Settings) -> Self {
        let (agent, events) = Agent::start(settings);
        Self { agent, events }
    }

    /// Waits (bounded) for an event.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn until(&mut self, what: &str, is_it: impl Fn(&AgentEvent) -> bool) -> AgentEvent {
        let mut seen = Vec::new();
        let waited = tokio::time::timeout(PATIENCE, async {
            while let Some(event) = self.events.recv().await {
                if is_it(&event) {
                    return Some(event);
                }
                seen.push(event);
            }
            None
        });
        waited.await.ok().flatten().unwrap_or_else(|| panic!("{what} did not come; saw {seen:#?}"))
    }

    /// Waits (bounded) for a state of the link.
    pub async fn until_live(&mut self) {
        self.until("live", |event| matches!(event, AgentEvent::Link(LinkState::Live { .. }))).await;
    }

    /// Lets it finish and say goodbye.
    pub async fn drain(self) {
        let drained = tokio::time::timeout(Duration::from_secs(30), self.agent.drain()).await;
        assert!(drained.is_ok(), "the agent drains in time");
    }
}
