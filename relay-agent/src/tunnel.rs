//! The agent's side of the tunnel: one welcomed connection, from greeting to farewell.
//!
//! [`Welcomed`] is a connection that may be used; [`Session`] lives it. What happens to the agent as a whole
//! (reconnecting, racing a second connection) is decided in [`crate::agent`].

use std::pin::Pin;
use std::time::Duration;

use link::{Closed, DialError, Dialer, FrameRecv, Link, RecvHalf, SendHalf};
use protocol::control::{
    BacklogWish, Control, Features, Greeting, Refusal, RefusalCode, Serve, Served, TokenText, Welcome,
};
use protocol::handshake::{AgentHandshake, Answer, VERSION_MAX, VERSION_MIN};
use protocol::id::InstanceId;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock;
use crate::settings::{Backlog, Route, Settings};

/// Program and version, as said to the server.
const PROGRAM: &str = concat!("relay-agent ", env!("CARGO_PKG_VERSION"));

/// How long the server may take to answer a greeting.
const WELCOME_DEADLINE: Duration = Duration::from_secs(5);

/// Pings while requests came lately: one a second finds a dead link within two.
const PING_BUSY: Duration = Duration::from_secs(1);

/// Pings otherwise, when QUIC's own keep-alive does the rest.
const PING_IDLE: Duration = Duration::from_secs(5);

/// How long "lately" is.
const BUSY_FOR: Duration = Duration::from_secs(60);

/// A ping unanswered for this long makes the link suspect: a second one is raced.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);

/// While suspect, a fresh ping goes out this often: it wakes QUIC out of its doubling probe timer when the link heals.
const PING_SUSPECT: Duration = Duration::from_millis(250);

/// Wall clock ahead of the monotonic one by this much: the machine slept.
const SLEPT_MS: u64 = 3_000;

/// Why no connection came about.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// Nobody answered, or not as a server should. Trying again may help.
    Unreachable(String),
    /// Somebody answered who is not our server.
    Identity(String),
    /// The server said no.
    Refused(Refusal),
}

/// A connection on which we are welcome.
#[derive(Debug)]
pub(crate) struct Welcomed {
    pub(crate) link: Link,
    pub(crate) welcome: Welcome,
    /// Server's wall clock less ours.
    pub(crate) clock_skew_ms: i64,
    /// Numbers of the serves whose backlog is held.
    held: Vec<u32>,
    say: SendHalf,
    hear: FrameRecv,
}

/// The routes with the numbers they are served by.
fn numbered(routes: &[Route]) -> impl Iterator<Item = (u32, &Route)> {
    (1..).zip(routes)
}

/// The wish to be served a route.
pub(crate) fn serve(id: u32, route: &Route, backlog: BacklogWish) -> Serve {
    let serve = Serve {
        id,
        slug: route.source.clone(),
        destination: route.destination.clone(),
        create: route.create,
        sharing: route.sharing,
        upgrade: route.upgrade,
        extensions: Default::default(),
    };
    serve.with_backlog(backlog)
}

fn greeting(settings: &Settings, instance: InstanceId, attempt: u64) -> Greeting {
    Greeting {
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        features: Features::ALL,
        agent: settings.agent,
        instance,
        attempt,
        token: TokenText(settings.server.token.reveal().to_owned()),
        program: PROGRAM.to_owned(),
        host: settings.host_name.clone(),
        serves: numbered(&settings.routes).map(|(id, route)| serve(id, route, wish(route))).collect(),
        extensions: Default::default(),
    }
}

fn wish(route: &Route) -> BacklogWish {
    match route.backlog {
        Backlog::All => BacklogWish::Take,
        Backlog::Hold => BacklogWish::Hold,
    }
}

/// Dials, greets and waits for the word.
pub(crate) async fn connect(
    dialer: &Dialer,
    settings: &Settings,
    instance: InstanceId,
    attempt: u64,
    dial_deadline: Duration,
) -> Result<Welcomed, ConnectError> {
    let link = dialer.dial(dial_deadline).await.map_err(|error| match error {
        DialError::Identity(text) => ConnectError::Identity(text),
        other => ConnectError::Unreachable(other.to_string()),
    })?;
    let broke =
        |what: &dyn std::fmt::Display| ConnectError::Unreachable(format!("the server broke off: {what}"));
    let greeted = async {
        let (mut say, hear) = link.open(WELCOME_DEADLINE).await.map_err(|error| broke(&error))?;
        say.prioritise(10);
        let mut hear = FrameRecv::new(hear);
        let (handshake, bytes) = AgentHandshake::start(greeting(settings, instance, attempt));
        let asked_ms = clock::unix_ms();
        say.write_all(&mut [bytes.into()]).await.map_err(|error| broke(&error))?;
        loop {
            let frame = hear.next_frame().await.map_err(|error| broke(&error))?;
            let frame = frame.ok_or_else(|| broke(&"no answer to the greeting"))?;
            match handshake.on_frame(&frame).map_err(|error| broke(&error))? {
                None => {}
                Some(Answer::Refusal(refusal)) => return Err(ConnectError::Refused(refusal)),
                Some(Answer::Welcome(welcome)) => {
                    // The server read its clock about half-way between our two readings.
                    let halfway = u64::midpoint(asked_ms, clock::unix_ms());
                    let clock_skew_ms = welcome.unix_ms.cast_signed() - halfway.cast_signed();
                    return Ok((*welcome, clock_skew_ms, say, hear));
                }
            }
        }
    };
    match tokio::time::timeout(WELCOME_DEADLINE, greeted).await {
        Ok(Ok((welcome, clock_skew_ms, say, hear))) => {
            let is_held = |(_, route): &(u32, &Route)| route.backlog == Backlog::Hold;
            let held = numbered(&settings.routes).filter(is_held).map(|(id, _)| id).collect();
            Ok(Welcomed { link, welcome, clock_skew_ms, held, say, hear })
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(broke(&"no answer to the greeting in time")),
    }
}

/// Whether a refusal can be helped by trying again.
pub(crate) fn is_final(refusal: &Refusal) -> bool {
    refusal.retry_after_ms.is_none()
        && refusal.code != RefusalCode::STALE
        && refusal.code != RefusalCode::BUSY
}

/// What happened on a session.
#[derive(Debug)]
pub(crate) enum Happened {
    /// The server opened a stream: a request.
    Exchange(SendHalf, RecvHalf),
    /// The server says how a serve fares.
    Served(Served),
    /// The server will restart; come back after so long.
    Drain(Duration),
    /// A word for the person.
    Notice(String),
    /// Pings stay unanswered.
    Suspect,
    /// They are answered again.
    Recovered,
    /// It is over.
    Gone(Closed),
}

/// An unanswered ping.
#[derive(Debug)]
struct Unanswered {
    since: Instant,
    told: bool,
}

/// A session being lived. Cancel-safe: [`Session::next`] may be dropped and called again.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) link: Link,
    /// Numbers of the serves whose backlog is still held.
    pub(crate) held: Vec<u32>,
    say: SendHalf,
    hear: FrameRecv,
    nonce: u64,
    unanswered: Option<Unanswered>,
    // Armed for `next_ping` or earlier: to move it for every request would cost more than to wake once too early.
    ping_timer: Pin<Box<Sleep>>,
    next_ping: Instant,
    last_request: Instant,
    // Wall and monotonic reading taken together, to notice a sleep.
    awake: (u64, Instant),
    heard: watch::Sender<Option<Instant>>,
}

impl Session {
    /// `heard` is told when the server last gave a sign of life.
    pub(crate) fn new(welcomed: Welcomed, heard: watch::Sender<Option<Instant>>) -> Self {
        let now = Instant::now();
        heard.send_replace(Some(now));
        Self {
            heard,
            link: welcomed.link,
            held: welcomed.held,
            say: welcomed.say,
            hear: welcomed.hear,
            nonce: 0,
            unanswered: None,
            ping_timer: Box::pin(sleep_until(now + PING_BUSY)),
            next_ping: now + PING_BUSY,
            last_request: now,
            awake: (clock::unix_ms(), now),
        }
    }

    /// Sends a control message.
    pub(crate) async fn tell(&mut self, message: &Control) -> bool {
        self.say.write_all(&mut [message.to_bytes().into()]).await.is_ok()
    }

    fn has_slept(&mut self) -> bool {
        let (wall, monotonic) = std::mem::replace(&mut self.awake, (clock::unix_ms(), Instant::now()));
        let wall_ms = self.awake.0.saturating_sub(wall);
        let monotonic_ms =
            u64::try_from(self.awake.1.duration_since(monotonic).as_millis()).unwrap_or(u64::MAX);
        wall_ms > monotonic_ms.saturating_add(SLEPT_MS)
    }

    fn ping_at(&mut self, at: Instant) {
        self.next_ping = at;
        if at < self.ping_timer.deadline() {
            self.ping_timer.as_mut().reset(at);
        }
    }

    async fn ping(&mut self) -> Option<Happened> {
        let has_slept = self.has_slept();
        self.nonce += 1;
        if !self.tell(&Control::Ping(self.nonce)).await {
            return Some(Happened::Gone(self.link.closed().await));
        }
        let now = Instant::now();
        let unanswered = self.unanswered.get_or_insert(Unanswered { since: now, told: false });
        let is_suspect = has_slept || now.duration_since(unanswered.since) >= SUSPECT_AFTER;
        let is_news = is_suspect && !unanswered.told;
        unanswered.told |= is_suspect;
        self.ping_at(now + PING_SUSPECT);
        is_news.then_some(Happened::Suspect)
    }

    fn pong(&mut self) -> Option<Happened> {
        let now = Instant::now();
        let is_busy = now.duration_since(self.last_request) < BUSY_FOR;
        self.ping_at(now + if is_busy { PING_BUSY } else { PING_IDLE });
        let was = self.unanswered.take()?;
        was.told.then_some(Happened::Recovered)
    }

    /// Waits for the next thing that happens.
    pub(crate) async fn next(&mut self) -> Happened {
        loop {
            let frame = tokio::select! {
                stream = self.link.accept() => match stream {
                    Ok((send, recv)) => {
                        let now = Instant::now();
                        self.last_request = now;
                        self.heard.send_replace(Some(now));
                        self.ping_at(self.next_ping.min(now + PING_BUSY));
                        return Happened::Exchange(send, recv);
                    }
                    Err(closed) => return Happened::Gone(closed),
                },
                frame = self.hear.next_frame() => frame,
                () = self.ping_timer.as_mut() => {
                    if self.next_ping > Instant::now() {
                        self.ping_timer.as_mut().reset(self.next_ping);
                        continue;
                    }
                    match self.ping().await {
                        Some(happened) => return happened,
                        None => continue,
                    }
                }
            };
            let Ok(Some(frame)) = frame else {
                return Happened::Gone(self.link.closed().await);
            };
            self.heard.send_replace(Some(Instant::now()));
            match Control::read(&frame) {
                Ok(Some(Control::Ping(nonce))) => {
                    self.tell(&Control::Pong(nonce)).await;
                }
                Ok(Some(Control::Pong(_))) => {
                    if let Some(happened) = self.pong() {
                        return happened;
                    }
                }
                Ok(Some(Control::Served(served))) => return Happened::Served(served),
                Ok(Some(Control::Drain(ms))) => return Happened::Drain(Duration::from_millis(u64::from(ms))),
                Ok(Some(Control::Notice(text))) => return Happened::Notice(text),
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => {
                    self.link.close(
                        protocol::code::CloseCode::PROTOCOL,
                        "a control message that has no place here",
                    );
                    return Happened::Gone(Closed::Here);
                }
            }
        }
    }
}
