//! Lets agents in: handshake, greeting, token, then a session until it ends.

use std::sync::Arc;
use std::time::Duration;

use link::{FrameRecv, Knock, Link, Listener, RecvHalf, SendHalf};
use protocol::code::CloseCode;
use protocol::control::{BacklogWish, Control, Refusal, RefusalCode, Serve, ServeError, Served, Welcome};
use protocol::handshake::{Greeted, ServerHandshake, refusal};
use protocol::id::SessionId;
use protocol::limits::{GREETING_DEADLINE, SERVES_MAX, WAITING_MAX};
use tokio::time::Instant;

use super::calls::Calls;
use super::registry::Registry;
use super::session::{self, Household, NewSession, Session};
use crate::clock::Clock;
use crate::delivery::dispatcher::Dispatcher;
use crate::entropy;
use crate::metrics::Metrics;
use crate::model::{DestinationId, Scope, Source, SourceRules, Token};
use crate::store::{SourceError, Store};
use link::Tasks;

/// When a full or draining server may be asked again, in milliseconds.
const BUSY_RETRY_MS: u32 = 2_000;

/// How long a greeting, or a serve after it, may spend on counting what waits. Counting 100,000 takes some milliseconds;
/// an agent gives the welcome five seconds, and being served matters more than the number.
const COUNT_WITHIN: Duration = Duration::from_secs(1);

/// Program and version, as said to agents.
const PROGRAM: &str = concat!("relay-server ", env!("CARGO_PKG_VERSION"));

/// Everything the tunnel needs of the house.
#[derive(Clone)]
pub struct Tunnel {
    /// Tokens and sources.
    pub store: Store,
    /// Who serves what.
    pub registry: Registry,
    /// Is told who comes.
    pub dispatcher: Dispatcher,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Wall clock.
    pub clock: Clock,
    /// Where tasks are spawned.
    pub tasks: Tasks,
    /// Answers API calls of agents.
    pub calls: Calls,
    /// Public URL of a source.
    pub public_url: Arc<dyn Fn(&protocol::id::Slug) -> String + Send + Sync>,
    /// Most exchanges of one session at once.
    pub in_flight_per_agent: u32,
    /// Most sessions at once.
    pub sessions_max: usize,
    /// Largest request body, in bytes; agents are told.
    pub body_bytes_max: u64,
}

impl Tunnel {
    /// Lets agents in until the drain begins.
    pub async fn run(self, listener: Arc<Listener>) {
        loop {
            let knock = tokio::select! {
                knock = listener.knock() => knock,
                () = self.tasks.draining() => None,
            };
            let Some(knock) = knock else { break };
            let this = self.clone();
            self.tasks.spawn(async move { this.welcome(knock).await });
        }
        listener.stop_knocks();
    }

    async fn welcome(self, knock: Knock) {
        let remote = knock.remote();
        let (link, place) = match knock.answer().await {
            Ok(answered) => answered,
            // Scanners and wrong pins end here; nothing about them is worth a line above debug.
            Err(closed) => {
                self.metrics.handshakes.failed.inc();
                return tracing::debug!(%remote, %closed, "handshake failed");
            }
        };
        let greeted = tokio::time::timeout(GREETING_DEADLINE, self.hear_greeting(&link)).await;
        let Ok(heard) = greeted else {
            self.metrics.handshakes.failed.inc();
            return link.close(CloseCode::SILENT, "no greeting came in time");
        };
        let (mut send, recv, answer) = match heard {
            Ok(heard) => heard,
            Err(why) => {
                self.metrics.handshakes.failed.inc();
                tracing::debug!(%remote, why, "not a greeting");
                return link.close(CloseCode::PROTOCOL, why);
            }
        };
        let admitted = match answer {
            Ok(greeted) => self.admit(&link, greeted).await,
            Err(refusal) => Err(refusal),
        };
        drop(place);
        match admitted {
            Ok(admitted) => self.live(admitted, send, recv).await,
            Err(refusal) => {
                self.metrics.handshakes.refused.inc();
                tracing::info!(%remote, code = refusal.code.0, reason = refusal.text, "agent refused");
                let bytes = Control::Refusal(refusal).to_bytes();
                if send.write_all(&mut [bytes.into()]).await.is_ok() {
                    send.finish();
                    // The last one to hear closes: wait until the refusal arrived.
                    let _ = tokio::time::timeout(Duration::from_secs(2), send.given_up()).await;
                }
                link.close(CloseCode::REFUSED, "refused");
            }
        }
    }

    async fn hear_greeting(
        &self,
        link: &Link,
    ) -> Result<(SendHalf, FrameRecv, Result<Greeted, Refusal>), &'static str> {
        let (send, recv) = link.accept().await.map_err(|_| "no control stream")?;
        send.prioritise(10);
        let mut recv = FrameRecv::new(recv);
        let frame = match recv.next_frame().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err("the control stream ended before the greeting"),
            Err(_) => return Err("malformed greeting"),
        };
        let answer = ServerHandshake::default().on_frame(&frame).map_err(|_| "malformed greeting")?;
        Ok((send, recv, answer))
    }

    async fn admit(&self, link: &Link, greeted: Greeted) -> Result<Admitted, Refusal> {
        if self.tasks.is_draining() || self.registry.len() >= self.sessions_max {
            let text = "the server takes no new agents right now".to_owned();
            return Err(refusal(RefusalCode::BUSY, text, Some(BUSY_RETRY_MS)));
        }
        let verified = self.store.verify_token(&greeted.greeting.token.0).await;
        let token = verified.map_err(|error| {
            tracing::error!(%error, "token could not be looked up");
            refusal(
                RefusalCode::BUSY,
                "the server cannot look tokens up right now".to_owned(),
                Some(BUSY_RETRY_MS),
            )
        })?;
        let Some(token) = token else {
            let text =
                "the token is unknown, expired or revoked; log in again with a new join line".to_owned();
            return Err(refusal(RefusalCode::TOKEN, text, None));
        };
        if matches!(token.scope, Scope::Read) && !greeted.greeting.serves.is_empty() {
            let text = "this token may look, not serve; use one of scope `agent`".to_owned();
            return Err(refusal(RefusalCode::SCOPE, text, None));
        }
        let (version, features) = (greeted.version, greeted.features);
        let serves = greeted.greeting.serves.clone();
        let epoch = self.registry.next_epoch();
        let new = NewSession {
            id: SessionId(entropy::random_u128()),
            epoch,
            greeting: greeted.greeting,
            token: token.clone(),
            connected_ms: self.clock.now_ms(),
            in_flight_max: self.in_flight_per_agent,
        };
        let (session, queue) = Session::new(link.clone(), new);
        if self.registry.admit(&session).is_err() {
            let text = "a later connection of this agent is already here".to_owned();
            return Err(refusal(RefusalCode::STALE, text, None));
        }
        link.lift_greeting_limits();
        let household = AtHome { tunnel: self.clone(), token };
        // From here on the registry knows the session: whatever happens, the guard takes it out again.
        let guard = Evict { registry: self.registry.clone(), session };
        let mut served = Vec::with_capacity(serves.len());
        let count_until = Instant::now() + COUNT_WITHIN;
        for serve in serves {
            served.push(household.serve_and_count(&guard.session, serve, count_until).await);
        }
        let welcome = Welcome {
            version,
            features,
            session: guard.session.id,
            epoch,
            program: PROGRAM.to_owned(),
            unix_ms: self.clock.now_ms(),
            body_bytes_max: self.body_bytes_max,
            served,
            extensions: Default::default(),
        };
        Ok(Admitted { guard, queue, household, welcome })
    }

    async fn live(&self, admitted: Admitted, mut send: SendHalf, recv: FrameRecv) {
        let Admitted { guard, queue, household, welcome } = admitted;
        let session = &guard.session;
        let hello = Control::Welcome(Box::new(welcome)).to_bytes();
        if send.write_all(&mut [hello.into()]).await.is_err() {
            return;
        }
        self.metrics.handshakes.welcomed.inc();
        self.metrics.sessions.inc();
        tracing::info!(
            session.id = %session.id, agent.id = %session.agent, agent.host = session.host,
            remote = %session.remote(), "agent connected"
        );
        // Other lives of the same agent may be dead without anybody having noticed.
        for other in self.registry.sessions(session.project) {
            if other.agent == session.agent && other.id != session.id {
                other.probe();
            }
        }
        let closed = session::run(session, (send, recv), queue, &household, &self.metrics).await;
        self.metrics.sessions.dec();
        tracing::info!(session.id = %session.id, agent.id = %session.agent, reason = %closed, "agent disconnected");
    }
}

struct Admitted {
    guard: Evict,
    queue: tokio::sync::mpsc::Receiver<Control>,
    household: AtHome,
    welcome: Welcome,
}

/// Takes the session out of the registry on every way out.
struct Evict {
    registry: Registry,
    session: Arc<Session>,
}

impl Drop for Evict {
    fn drop(&mut self) {
        self.registry.evict(&self.session);
    }
}

/// The house as one session sees it.
struct AtHome {
    tunnel: Tunnel,
    token: Token,
}

fn serve_error(code: &str, text: String) -> ServeError {
    ServeError { code: code.to_owned(), text }
}

impl AtHome {
    fn may_serve(&self, slug: &str) -> Result<bool, ServeError> {
        match &self.token.scope {
            Scope::Admin => Ok(true),
            Scope::Agent { sources, create } if sources.is_empty() || sources.iter().any(|s| s == slug) => {
                Ok(*create)
            }
            Scope::Agent { .. } | Scope::Read => {
                Err(serve_error("scope_refused", format!("this token may not serve `{slug}`")))
            }
        }
    }

    async fn find_or_create(&self, serve: &Serve) -> Result<Arc<Source>, ServeError> {
        let slug = serve.slug.as_str();
        let may_create = self.may_serve(slug)?;
        let store = &self.tunnel.store;
        if let Some(source) = store.source(slug) {
            if source.project != self.token.project {
                // Not even whose it is may show: the same words as for a name that is reserved.
                return Err(serve_error("name_taken", format!("the name `{slug}` is taken; choose another")));
            }
            if source.destinations.iter().any(|d| d.name == serve.destination) {
                return Ok(source);
            }
            if !may_create {
                let text = format!("`{slug}` has no destination `{}`", serve.destination);
                return Err(serve_error("destination_not_found", text));
            }
            let added = store.ensure_destination(source.id, serve.destination.clone(), serve.sharing).await;
            return added.map_err(|error| serve_error("store_failed", error.to_string()));
        }
        if !serve.create || !may_create {
            return Err(serve_error("source_not_found", format!("there is no source `{slug}`")));
        }
        let rules = SourceRules { upgrade: serve.upgrade, ..SourceRules::default() };
        let made = store.create_source(self.token.project, serve.slug.clone(), rules, serve.sharing).await;
        let source = made.map_err(|error| match error {
            SourceError::Taken => {
                serve_error("name_taken", format!("the name `{slug}` is taken; choose another"))
            }
            other => serve_error("store_failed", other.to_string()),
        })?;
        if source.destinations.iter().any(|d| d.name == serve.destination) {
            return Ok(source);
        }
        let added = store.ensure_destination(source.id, serve.destination.clone(), serve.sharing).await;
        added.map_err(|error| serve_error("store_failed", error.to_string()))
    }

    async fn try_serve(
        &self,
        session: &Arc<Session>,
        serve: &Serve,
        count_until: Instant,
    ) -> Result<(String, Option<u64>), ServeError> {
        let served = session.serves();
        let before = served.iter().find(|(id, ..)| *id == serve.id);
        if before.is_none() && served.len() >= SERVES_MAX {
            return Err(serve_error("too_many", format!("a session serves at most {SERVES_MAX} sources")));
        }
        let source = self.find_or_create(serve).await?;
        let destination = source
            .destinations
            .iter()
            .find(|d| d.name == serve.destination)
            .ok_or_else(|| serve_error("store_failed", "the destination could not be made".to_owned()))?;
        // Counted before anything of it is on its way.
        let waiting = self.waiting(destination.id, count_until).await;
        let url = (self.tunnel.public_url)(&serve.slug);
        let registry = &self.tunnel.registry;
        if serve.backlog() == BacklogWish::Release {
            if !registry.release_backlog(destination.id, Some(session.id)) {
                return Err(serve_error(
                    "taken_over",
                    format!("`{}` is not served here any more", serve.slug),
                ));
            }
            self.tunnel.dispatcher.seated(destination.id);
            return Ok((url, waiting));
        }
        if before.is_some_and(|(_, slug, name)| (slug, name) != (&serve.slug, &serve.destination)) {
            registry.unseat(session.id, serve.id);
        }
        session.note_serve(serve);
        let takes_backlog = serve.backlog() == BacklogWish::Take;
        let replaced = registry.seat(session, destination.id, destination.sharing, serve.id, takes_backlog);
        if takes_backlog {
            self.tunnel.dispatcher.seated(destination.id);
        }
        for (other, id) in replaced {
            other.forget_serve(id);
            let text = format!("another agent now serves `{}`", serve.slug);
            let result = Err(serve_error("taken_over", text));
            other.tell(Control::Served(Served { id, result, extensions: Default::default() }));
        }
        Ok((url, waiting))
    }

    /// How many deliveries wait; `None` when that could not be counted in time, which keeps nobody from serving.
    async fn waiting(&self, destination: DestinationId, until: Instant) -> Option<u64> {
        let counting = self.tunnel.store.waiting(destination, WAITING_MAX);
        match tokio::time::timeout_at(until, counting).await {
            Ok(Ok(waiting)) => Some(waiting),
            Ok(Err(error)) => {
                tracing::warn!(%error, "what waits for an agent could not be counted");
                None
            }
            Err(_) => None,
        }
    }

    async fn serve_and_count(&self, session: &Arc<Session>, serve: Serve, count_until: Instant) -> Served {
        let (result, waiting) = match self.try_serve(session, &serve, count_until).await {
            Ok((url, waiting)) => (Ok(url), waiting),
            Err(error) => (Err(error), None),
        };
        let served = Served { id: serve.id, result, extensions: Default::default() };
        match waiting {
            Some(waiting) => served.with_waiting(waiting),
            None => served,
        }
    }
}

impl Household for AtHome {
    async fn serve(&self, session: &Arc<Session>, serve: Serve) -> Served {
        self.serve_and_count(session, serve, Instant::now() + COUNT_WITHIN).await
    }

    fn unserve(&self, session: &Session, serve: u32) {
        session.forget_serve(serve);
        self.tunnel.registry.unseat(session.id, serve);
    }

    fn call(&self, session: &Arc<Session>, send: SendHalf, recv: RecvHalf) {
        self.tunnel.calls.answer(&self.tunnel.tasks, session, self.token.clone(), send, recv);
    }
}
