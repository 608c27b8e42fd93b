//! One connected life of one agent.
//!
//! [`Session`] is what others hold: it can be asked for a stream, told to probe, and closed. [`run`] is the task
//! behind it: control messages, pings, API calls the agent opens, and the farewell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use link::{Closed, FrameRecv, Link, RecvHalf, SendHalf};
use protocol::code::CloseCode;
use protocol::control::{Control, Serve};
use protocol::id::{AgentId, DestinationName, InstanceId, SessionId, Slug};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::model::{ProjectId, Token, TokenId};

/// Control messages that may wait to be sent. They are few and small; a full queue means a dead peer.
const OUTBOX_MAX: usize = 64;

/// A ping is repeated this often at least while it stays unanswered. Fresh packets also wake QUIC out of its
/// doubling probe timer when a link heals.
const PING_EVERY_MIN: Duration = Duration::from_millis(500);

/// A session whose pings stay unanswered for this long is given up. Longer than the five seconds a link may be cut
/// and heal; shorter than the idle timeout.
const PING_GIVE_UP: Duration = Duration::from_secs(7);

/// How long a session that was taken over may finish what it holds.
const RETIRE_DEADLINE: Duration = Duration::from_secs(30);

/// One connected agent.
#[derive(Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Orders the sessions of the instance.
    pub epoch: u64,
    /// Which agent.
    pub agent: AgentId,
    /// Which life of it.
    pub instance: InstanceId,
    /// The instance's own count of its connections.
    pub attempt: u64,
    /// Project of its token.
    pub project: ProjectId,
    /// The token it was let in with.
    pub token: TokenId,
    /// When that token expires, unix milliseconds.
    pub expires_ms: Option<u64>,
    /// Host name, for people.
    pub host: String,
    /// Program version, for people.
    pub program: String,
    /// Unix milliseconds.
    pub connected_ms: u64,
    link: Link,
    serves: Mutex<Vec<(u32, Slug, DestinationName)>>,
    in_flight: AtomicU32,
    in_flight_max: u32,
    // The code it will be closed with once it holds nothing; zero while it takes new events.
    retired: AtomicU32,
    is_draining: AtomicBool,
    is_suspect: AtomicBool,
    probe: Notify,
    outbox: mpsc::Sender<Control>,
}

/// What [`Session::new`] is made from.
#[derive(Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// See [`Session::epoch`].
    pub epoch: u64,
    /// What the agent said of itself.
    pub greeting: Box<protocol::control::Greeting>,
    /// The token it showed.
    pub token: Token,
    /// Unix milliseconds.
    pub connected_ms: u64,
    /// Most exchanges at once.
    pub in_flight_max: u32,
}

impl Session {
    /// A session over `link`, and the queue its task sends from.
    #[must_use]
    pub fn new(link: Link, new: NewSession) -> (Arc<Self>, mpsc::Receiver<Control>) {
        let (outbox, queue) = mpsc::channel(OUTBOX_MAX);
        let text = |text: &str| text.chars().filter(|c| !c.is_control()).take(120).collect::<String>();
        let NewSession { id, epoch, greeting, token, connected_ms, in_flight_max } = new;
        let session = Self {
            id,
            epoch,
            agent: greeting.agent,
            instance: greeting.instance,
            attempt: greeting.attempt,
            project: token.project,
            token: token.id,
            expires_ms: token.expires_ms,
            host: text(&greeting.host),
            program: text(&greeting.program),
            connected_ms,
            link,
            serves: Mutex::default(),
            in_flight: AtomicU32::new(0),
            in_flight_max,
            retired: AtomicU32::new(0),
            is_draining: AtomicBool::new(false),
            is_suspect: AtomicBool::new(false),
            probe: Notify::new(),
            outbox,
        };
        (Arc::new(session), queue)
    }

    /// The link under it.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Where it is.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.link.remote()
    }

    /// What it serves: number, source, destination.
    #[must_use]
    pub fn serves(&self) -> Vec<(u32, Slug, DestinationName)> {
        self.serves.lock().expect("serves lock").clone()
    }

    pub(super) fn note_serve(&self, serve: &Serve) {
        let mut serves = self.serves.lock().expect("serves lock");
        serves.retain(|(id, ..)| *id != serve.id);
        serves.push((serve.id, serve.slug.clone(), serve.destination.clone()));
    }

    pub(super) fn forget_serve(&self, id: u32) {
        self.serves.lock().expect("serves lock").retain(|(serve, ..)| *serve != id);
    }

    /// Exchanges it holds.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn take_place(&self) -> bool {
        let taken = self.in_flight.fetch_add(1, Ordering::Relaxed);
        if taken < self.in_flight_max {
            return true;
        }
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        false
    }

    pub(super) fn give_place_back(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether it may be given new events.
    #[must_use]
    pub fn takes_new(&self) -> bool {
        self.retired.load(Ordering::Relaxed) == 0 && !self.is_draining.load(Ordering::Relaxed)
    }

    /// Whether its pings stay unanswered.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Relaxed)
    }

    /// Gives it nothing new from now on; once it holds nothing it is closed with `code`.
    pub fn retire(&self, code: CloseCode) {
        self.retired.store(code.0, Ordering::Relaxed);
        self.probe.notify_one();
    }

    /// The agent takes nothing new and will say goodbye itself.
    fn drains(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Asks whether the agent is still there. Cheap; at most one ping is under way.
    pub fn probe(&self) {
        self.probe.notify_one();
    }

    /// Sends a control message. One that finds the queue full is dropped: the ping timer deals with a dead peer.
    pub fn tell(&self, message: Control) {
        let _ = self.outbox.try_send(message);
    }

    /// Ends it at once.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.link.close(code, reason);
    }
}

/// What a session's task cannot decide by itself.
pub trait Household: Send + Sync {
    /// The agent asks to serve something.
    fn serve(
        &self,
        session: &Arc<Session>,
        serve: Serve,
    ) -> impl Future<Output = protocol::control::Served> + Send;
    /// The agent no longer serves something.
    fn unserve(&self, session: &Session, serve: u32);
    /// The agent opened a stream: an API call.
    fn call(&self, session: &Arc<Session>, send: SendHalf, recv: RecvHalf);
}

#[derive(Debug)]
enum Turn {
    Frame(Option<protocol::frame::Frame>),
    Say(Control),
    Call((SendHalf, RecvHalf)),
    Probe,
    PingDue,
    Gone(Closed),
    Broken,
}

/// An unanswered ping.
#[derive(Debug)]
struct Pinging {
    since: Instant,
    next: Instant,
    nonce: u64,
}

/// Lives the session until its link is gone; says why it went.
pub async fn run(
    session: &Arc<Session>,
    mut control: (SendHalf, FrameRecv),
    mut queue: mpsc::Receiver<Control>,
    household: &impl Household,
    metrics: &Metrics,
) -> Closed {
    let (say, hear) = (&mut control.0, &mut control.1);
    let mut pinging: Option<Pinging> = None;
    let mut nonce = 0;
    let retired_by = tokio::time::sleep(RETIRE_DEADLINE);
    tokio::pin!(retired_by);
    let mut is_retiring = false;
    loop {
        let retired = session.retired.load(Ordering::Relaxed);
        if retired != 0 {
            if !is_retiring {
                is_retiring = true;
                retired_by.as_mut().reset(Instant::now() + RETIRE_DEADLINE);
            }
            if session.in_flight() == 0 || retired_by.is_elapsed() {
                session.close(CloseCode(retired), "another connection of this agent took over");
                return Closed::Here;
            }
        }
        let ping_due =
            pinging.as_ref().map_or_else(|| Instant::now() + Duration::from_secs(3600), |p| p.next);
        let turn = tokio::select! {
            frame = hear.next_frame() => frame.map_or(Turn::Broken, Turn::Frame),
            Some(message) = queue.recv() => Turn::Say(message),
            stream = session.link.accept() => match stream {
                Ok(halves) => Turn::Call(halves),
                Err(closed) => Turn::Gone(closed),
            },
            () = session.probe.notified(), if pinging.is_none() || (retired != 0 && !is_retiring) => Turn::Probe,
            () = tokio::time::sleep_until(ping_due), if pinging.is_some() => Turn::PingDue,
            // A retired session ends when its last exchange does; look again now and then.
            () = tokio::time::sleep(Duration::from_millis(200)), if is_retiring => continue,
        };
        let said = match turn {
            Turn::Say(message) => Some(message),
            Turn::Probe | Turn::PingDue => {
                let now = Instant::now();
                nonce += 1;
                let since = pinging.as_ref().map_or(now, |p| p.since);
                if pinging.is_some() {
                    metrics.pings_missed.inc();
                    session.is_suspect.store(true, Ordering::Relaxed);
                }
                if now.duration_since(since) > PING_GIVE_UP {
                    session.close(CloseCode::DEAD, "pings stay unanswered");
                    return Closed::Silent;
                }
                let next = now + PING_EVERY_MIN.max(3 * session.link.rtt());
                pinging = Some(Pinging { since, next, nonce });
                Some(Control::Ping(nonce))
            }
            Turn::Call((send, recv)) => {
                household.call(session, send, recv);
                None
            }
            Turn::Frame(Some(frame)) => match Control::read(&frame) {
                Ok(Some(Control::Ping(n))) => Some(Control::Pong(n)),
                Ok(Some(Control::Pong(n))) => {
                    if pinging.as_ref().is_some_and(|p| n <= p.nonce) {
                        pinging = None;
                        session.is_suspect.store(false, Ordering::Relaxed);
                    }
                    None
                }
                Ok(Some(Control::Serve(serve))) => {
                    Some(Control::Served(household.serve(session, *serve).await))
                }
                Ok(Some(Control::Unserve(serve))) => {
                    household.unserve(session, serve);
                    None
                }
                Ok(Some(Control::Drain(_))) => {
                    session.drains();
                    None
                }
                Ok(None | Some(Control::Notice(_))) => None,
                Ok(Some(_)) | Err(_) => {
                    session.close(CloseCode::PROTOCOL, "a control message that has no place here");
                    return Closed::Here;
                }
            },
            Turn::Frame(None) => {
                session.close(CloseCode::DONE, "goodbye");
                return Closed::Here;
            }
            Turn::Gone(closed) => return closed,
            // The stream and the link end together, but not in a fixed order; the link knows why.
            Turn::Broken => {
                session.close(CloseCode::PROTOCOL, "the control stream broke");
                return session.link.closed().await;
            }
        };
        if let Some(message) = said
            && say.write_all(&mut [message.to_bytes().into()]).await.is_err()
        {
            return session.link.closed().await;
        }
    }
}
