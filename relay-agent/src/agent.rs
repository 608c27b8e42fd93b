//! A running agent: connects, serves its routes, reconnects for ever, and answers API calls of its owner.
//!
//! One task owns everything ([`Run`]); an [`Agent`] is the handle to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use link::{Closed, Dialer, FrameRecv, Link, RecvHalf, SendHalf, Tasks, Trust};
use protocol::code::{CloseCode, StreamCode};
use protocol::codec::Extensions;
use protocol::control::{BacklogWish, Control};
use protocol::field::BodyFraming;
use protocol::head::{Failure, FailureKind, RequestHead, Sent, Timing};
use protocol::id::{DestinationName, InstanceId, Slug};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use crate::entropy;
use crate::event::{AgentEvent, Answered, Arrived, EndReason, LinkState};
use crate::forward::connect::Connector;
use crate::forward::event_name::{event_name, unchecked_sender};
use crate::forward::exchange::Exchange;
use crate::forward::pool::Pool;
use crate::settings::{Backlog, Route, Settings};
use crate::tunnel::{self, ConnectError, Happened, Session, Welcomed};

/// Events that may wait for whoever watches. A watcher that stops reading loses events, never slows traffic.
const EVENTS_MAX: usize = 4096;

/// Reconnecting: full jitter over a window that doubles from half a second to a minute.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The first dials give up soon: a server that comes back is then found within a second. Later ones are patient.
const DIAL_SHORT: Duration = Duration::from_secs(1);
const DIAL_LONG: Duration = Duration::from_secs(5);
const SHORT_DIALS: u32 = 4;

/// How long requests under way may take to finish when the agent is asked to stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// How long an old connection may linger for its last answers after a new one took over.
const LINGER: Duration = Duration::from_secs(30);

mod calls;

pub use calls::{ApiCaller, ApiError, ApiLines, ApiResponse};

/// One route, ready to be used.
#[derive(Debug)]
struct Way {
    route: Route,
    pool: Pool,
    // What waits is wanted, whatever the route said at first.
    is_released: AtomicBool,
}

#[derive(Debug)]
struct Shared {
    events: mpsc::Sender<AgentEvent>,
    ways: Vec<Way>,
    tasks: Tasks,
    in_flight: AtomicU32,
    in_flight_max: u32,
    link: watch::Sender<Option<Link>>,
    released: Notify,
    heard: watch::Sender<Option<Instant>>,
}

/// A running agent. Dropping the last handle aborts it; [`Agent::drain`] ends it kindly.
#[derive(Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    stop: Tasks,
}

impl Agent {
    /// Starts an agent. It tells what happens through the receiver; must be called inside a tokio runtime.
    ///
    /// A route whose target cannot be used (a certificate authority that cannot be read) answers 502 and says why.
    #[must_use]
    pub fn start(settings: Settings) -> (Self, mpsc::Receiver<AgentEvent>) {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let tasks = Tasks::default();
        let ca = settings.target_ca.clone();
        let way = |route: &Route| {
            let connector = Connector::new(route.target.clone(), ca.as_deref());
            let connector =
                connector.unwrap_or_else(|error| Connector::unusable(route.target.clone(), &error));
            let pool = Pool::new(connector, tasks.clone());
            Way { route: route.clone(), pool, is_released: AtomicBool::new(false) }
        };
        let shared = Arc::new(Shared {
            events,
            ways: settings.routes.iter().map(way).collect(),
            tasks: tasks.clone(),
            in_flight: AtomicU32::new(0),
            in_flight_max: settings.in_flight_max,
            link: watch::Sender::new(None),
            released: Notify::new(),
            heard: watch::Sender::new(None),
        });
        let stop = Tasks::default();
        let run = Run {
            settings,
            shared: Arc::clone(&shared),
            stop: stop.clone(),
            instance: InstanceId(u128::from_le_bytes(entropy::random())),
            attempt: 0,
        };
        stop.spawn(run.for_ever());
        (Self { shared, stop }, receiver)
    }

    /// Takes nothing new, finishes what is under way (bounded), says goodbye.
    pub async fn drain(&self) {
        self.stop.begin_drain();
        self.stop.finish(DRAIN_DEADLINE + Duration::from_secs(5)).await;
        self.shared.tasks.abort().await;
    }

    /// Takes what waits for a route that was started with [`Backlog::Hold`], now and after every reconnect. Does nothing
    /// for any other.
    pub fn release_backlog(&self, source: &Slug, destination: &DestinationName) {
        let is_meant = |way: &&Way| way.route.source == *source && way.route.destination == *destination;
        for way in self.shared.ways.iter().filter(is_meant) {
            way.is_released.store(true, Ordering::Relaxed);
        }
        self.shared.released.notify_one();
    }

    /// Round-trip time of the link, while there is one.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        self.shared.link.borrow().as_ref().map(Link::rtt)
    }

    /// How long ago the server last gave a sign of life: a request, an answered ping. Pings go out every five seconds at
    /// the latest.
    #[must_use]
    pub fn heard(&self) -> Option<Duration> {
        self.shared.heard.borrow().map(|at| at.elapsed())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.kill();
        self.shared.tasks.kill();
    }
}

/// How a session came to its end.
enum End {
    /// Asked to stop, and stopped.
    Stopped,
    /// Trying again cannot help.
    Final(EndReason),
    /// Lost; the text says how. At once means that the server is known to be there.
    Lost { reason: String, at_once: bool },
}

/// The task behind an agent.
struct Run {
    settings: Settings,
    shared: Arc<Shared>,
    stop: Tasks,
    instance: InstanceId,
    attempt: u64,
}

impl Shared {
    fn say(&self, event: AgentEvent) {
        // A full queue means that nobody reads: traffic goes on without being watched.
        let _ = self.events.try_send(event);
    }

    fn say_link(&self, state: LinkState) {
        self.say(AgentEvent::Link(state));
    }
}

/// Full jitter: anything between nothing and the window.
fn jittered(window: Duration) -> Duration {
    let dice = u32::from_le_bytes(entropy::random());
    window.mul_f64(f64::from(dice) / f64::from(u32::MAX))
}

impl Run {
    async fn for_ever(mut self) {
        let server = &self.settings.server;
        let trust = server.pin.map_or(Trust::PublicAuthority, Trust::Pinned);
        let dialer = match Dialer::new(server.host.clone(), server.port, trust) {
            Ok(dialer) => dialer,
            Err(error) => return self.end(EndReason::Identity(error.to_string())),
        };
        let mut tries = 0u32;
        loop {
            self.shared.say_link(LinkState::Connecting { attempt: tries + 1 });
            let deadline = if tries < SHORT_DIALS { DIAL_SHORT } else { DIAL_LONG };
            self.attempt += 1;
            self.note_released();
            let connected = tokio::select! {
                connected = tunnel::connect(&dialer, &self.settings, self.instance, self.attempt, deadline) => connected,
                () = self.stop.draining() => return self.end(EndReason::Stopped),
            };
            let (reason, wait) = match connected {
                Err(ConnectError::Identity(text)) => return self.end(EndReason::Identity(text)),
                Err(ConnectError::Refused(refusal)) if tunnel::is_final(&refusal) => {
                    return self.end(EndReason::Refused(refusal.text));
                }
                Err(ConnectError::Refused(refusal)) => {
                    let least = Duration::from_millis(u64::from(refusal.retry_after_ms.unwrap_or(0)));
                    tries += 1;
                    (refusal.text, least + jittered(self.window(tries)))
                }
                Err(ConnectError::Unreachable(text)) => {
                    tries += 1;
                    (text, jittered(self.window(tries)))
                }
                Ok(welcomed) => match self.live(&dialer, welcomed).await {
                    End::Stopped => return self.end(EndReason::Stopped),
                    End::Final(reason) => return self.end(reason),
                    End::Lost { reason, at_once } => {
                        tries = 0;
                        (reason, if at_once { Duration::ZERO } else { jittered(BACKOFF_FIRST) })
                    }
                },
            };
            self.shared.link.send_replace(None);
            self.shared.say_link(LinkState::Down { reason, next_try: wait });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.draining() => return self.end(EndReason::Stopped),
            }
        }
    }

    fn window(&self, tries: u32) -> Duration {
        BACKOFF_FIRST.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(BACKOFF_MAX)
    }

    fn end(&self, reason: EndReason) {
        self.shared.link.send_replace(None);
        self.shared.say_link(LinkState::Ended(reason));
    }

    fn announce(&self, welcomed: &Welcomed) {
        self.shared.link.send_replace(Some(welcomed.link.clone()));
        self.shared.say_link(LinkState::Live {
            session: welcomed.welcome.session,
            rtt: welcomed.link.rtt(),
            server: welcomed.welcome.program.clone(),
            clock_skew_ms: welcomed.clock_skew_ms,
        });
        for served in &welcomed.welcome.served {
            self.say_served(served);
        }
    }

    fn say_served(&self, served: &protocol::control::Served) {
        let way = (served.id as usize).checked_sub(1).and_then(|at| self.shared.ways.get(at));
        if let Some(way) = way {
            self.shared.say(AgentEvent::Served {
                source: way.route.source.clone(),
                destination: way.route.destination.clone(),
                result: served.result.clone(),
                waiting: served.waiting(),
            });
        }
    }

    /// What was released is not held again by the next session.
    fn note_released(&mut self) {
        let ways = self.shared.ways.iter().zip(&mut self.settings.routes);
        for (_, route) in ways.filter(|(way, _)| way.is_released.load(Ordering::Relaxed)) {
            route.backlog = Backlog::All;
        }
    }

    /// Asks for what was released since the session began.
    async fn release(&self, session: &mut Session) {
        let way = |id: u32| &self.shared.ways[id as usize - 1];
        let is_released = |id: &mut u32| way(*id).is_released.load(Ordering::Relaxed);
        let released: Vec<u32> = session.held.extract_if(.., is_released).collect();
        for id in released {
            let serve = tunnel::serve(id, &way(id).route, BacklogWish::Release);
            // A session that cannot say it is at its end, and the next one does not hold it.
            session.tell(&Control::Serve(Box::new(serve))).await;
        }
    }

    /// Lives one session, or a row of them when a raced connection takes over.
    async fn live(&mut self, dialer: &Dialer, welcomed: Welcomed) -> End {
        self.announce(&welcomed);
        let mut session = Session::new(welcomed, self.shared.heard.clone());
        let mut racing = tokio::task::JoinSet::new();
        let mut suspect = false;
        // Connections of our own that may have been let in without our hearing of it.
        let mut has_raced = false;
        loop {
            self.release(&mut session).await;
            if suspect && racing.is_empty() {
                has_raced = true;
                self.attempt += 1;
                self.note_released();
                let (dialer, settings) = (dialer.clone(), self.settings.clone());
                let (instance, attempt) = (self.instance, self.attempt);
                racing.spawn(async move {
                    tunnel::connect(&dialer, &settings, instance, attempt, DIAL_SHORT).await
                });
            }
            let happened = tokio::select! {
                happened = session.next() => happened,
                Some(raced) = racing.join_next() => {
                    match raced {
                        Ok(Ok(welcomed)) => {
                            self.announce(&welcomed);
                            self.let_linger(std::mem::replace(&mut session, Session::new(welcomed, self.shared.heard.clone())));
                            suspect = false;
                            has_raced = false;
                        }
                        Ok(Err(ConnectError::Refused(refusal))) if tunnel::is_final(&refusal) => {
                            return End::Final(EndReason::Refused(refusal.text));
                        }
                        Ok(Err(_)) | Err(_) => {}
                    }
                    continue;
                }
                () = self.shared.released.notified() => continue,
                () = self.stop.draining() => {
                    self.farewell(session).await;
                    return End::Stopped;
                }
            };
            match happened {
                Happened::Exchange(send, recv) => self.forward(&session.link, send, recv),
                Happened::Served(served) => self.say_served(&served),
                Happened::Notice(text) => self.shared.say(AgentEvent::Notice(text)),
                Happened::Suspect => suspect = true,
                Happened::Recovered => {
                    suspect = false;
                    racing.abort_all();
                    while racing.join_next().await.is_some() {}
                }
                Happened::Drain(wait) => {
                    self.let_linger(session);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.stop.draining() => return End::Stopped,
                    }
                    return End::Lost { reason: "the server is restarting".to_owned(), at_once: true };
                }
                Happened::Gone(closed) => {
                    // A race may have been won already, just not noticed.
                    while let Some(raced) = racing.join_next().await {
                        if let Ok(Ok(welcomed)) = raced {
                            self.announce(&welcomed);
                            session = Session::new(welcomed, self.shared.heard.clone());
                            suspect = false;
                            break;
                        }
                    }
                    if session.link.close_reason().is_some() {
                        return end_of(&closed, has_raced);
                    }
                }
            }
        }
    }

    /// Starts one request in a task of its own.
    fn forward(&self, link: &Link, mut send: SendHalf, recv: RecvHalf) {
        let shared = Arc::clone(&self.shared);
        if shared.in_flight.fetch_add(1, Ordering::Relaxed) >= shared.in_flight_max {
            shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            return send.reset(StreamCode::REFUSED);
        }
        let link = link.clone();
        // Boxed: the future of an exchange has 4 KiB and would be copied several times on its way into the runtime.
        self.shared.tasks.spawn_brief(Box::pin(async move {
            let _place = InFlight(&shared.in_flight);
            shared.take(&link, send, recv).await;
        }));
    }

    /// An old connection may still carry the last answers home.
    fn let_linger(&self, session: Session) {
        let link = session.link.clone();
        self.shared.tasks.spawn(async move {
            let _ = tokio::time::timeout(LINGER, async {
                let mut session = session;
                loop {
                    match session.next().await {
                        // Not processed: the server asks the new connection.
                        Happened::Exchange(mut send, _) => send.reset(StreamCode::REFUSED),
                        Happened::Gone(_) => break,
                        _ => {}
                    }
                }
            })
            .await;
            link.close(CloseCode::DONE, "a newer connection took over");
        });
    }

    async fn farewell(&self, mut session: Session) {
        session.tell(&Control::Drain(0)).await;
        let finished = async {
            while self.shared.in_flight.load(Ordering::Relaxed) > 0 {
                tokio::select! {
                    // What crossed our word on the way is refused, so that the server asks somebody else.
                    happened = session.next() => match happened {
                        Happened::Exchange(mut send, _) => send.reset(StreamCode::REFUSED),
                        Happened::Gone(_) => return,
                        _ => {}
                    },
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                }
            }
        };
        let _ = tokio::time::timeout(DRAIN_DEADLINE, finished).await;
        // One round trip lets the last answers arrive: closing throws away what did not.
        tokio::time::sleep((2 * session.link.rtt()).clamp(Duration::from_millis(20), Duration::from_secs(1)))
            .await;
        session.link.close(CloseCode::DONE, "goodbye");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct InFlight<'a>(&'a AtomicU32);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a lost link means. Taken over by a connection this very process raced is no end: its welcome was lost.
fn end_of(closed: &Closed, has_raced: bool) -> End {
    if let Closed::There { code, reason } = closed {
        match CloseCode(*code) {
            CloseCode::REVOKED => return End::Final(EndReason::Revoked),
            CloseCode::TAKEN_OVER if has_raced => {
                return End::Lost { reason: closed.to_string(), at_once: true };
            }
            CloseCode::TAKEN_OVER => return End::Final(EndReason::TakenOver),
            CloseCode::REFUSED => return End::Final(EndReason::Refused(reason.clone())),
            _ => {}
        }
    }
    // A reset comes from a server that is up again.
    End::Lost { reason: closed.to_string(), at_once: *closed == Closed::Reset }
}

impl Shared {
    async fn take(&self, link: &Link, mut send: SendHalf, recv: RecvHalf) {
        let mut frames = FrameRecv::new(recv);
        let Ok(Some(frame)) = frames.next_frame().await else {
            return send.reset(StreamCode::PROTOCOL);
        };
        let Ok(head) = RequestHead::read(&frame) else {
            return send.reset(StreamCode::PROTOCOL);
        };
        let Some(way) = (head.serve as usize).checked_sub(1).and_then(|at| self.ways.get(at)) else {
            let failure = Failure {
                kind: FailureKind::NOT_SERVED,
                sent: Sent::No,
                text: "this agent does not serve that".to_owned(),
                timing: Timing::default(),
                extensions: Extensions::default(),
            };
            let mut bytes = Vec::new();
            failure.write(&mut bytes);
            if send.write_all(&mut [bytes.into()]).await.is_ok() {
                send.finish();
            }
            return;
        };
        if !self.events.is_closed() {
            self.say(AgentEvent::Arrived(arrived(&head, &way.route)));
        }
        let exchange = Exchange { head: &head, route: &way.route, pool: &way.pool };
        let ended = exchange.run(send, frames).await;
        self.say(AgentEvent::Answered(Answered {
            event: head.event,
            source: way.route.source.clone(),
            result: ended.result,
            app: ended.app,
            tunnel: link.rtt(),
        }));
    }
}

fn arrived(head: &RequestHead, route: &Route) -> Arrived {
    let path = String::from_utf8(route.target.join(head.app_target()))
        .unwrap_or_else(|error| escaped(error.as_bytes()));
    Arrived {
        event: head.event,
        attempt: head.attempt,
        source: route.source.clone(),
        method: head.method.clone(),
        path,
        name: event_name(&head.headers),
        unchecked: unchecked_sender(&head.headers),
        body_bytes: match head.body {
            BodyFraming::None => Some(0),
            BodyFraming::Length(n) => Some(n),
            BodyFraming::Chunked => None,
        },
    }
}

/// Text with the bytes that are not UTF-8 written as `\\xff`.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
