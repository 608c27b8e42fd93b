//! An application that keeps account of every request, and behaves as badly as applications do: errors, answers that
//! come late or break off, connections that end without a word, a process that is gone for a while or stands still.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::house::free_port;
use crate::app::{Recorded, Wire, parse, read_body};
use crate::dice::Dice;

/// Header field with which the app says which request it answers.
pub const SAYS: &str = "App-Says";

/// Header field in which a sender gives its request a name of its own.
pub const TAG: &str = "X-Tag";

/// What of a request can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Method token.
    pub method: String,
    /// Path and query, after the place.
    pub target: String,
    /// Some header fields, in order.
    pub fields: Vec<(String, String)>,
    /// Length of the body.
    pub body_bytes: usize,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
}

impl Content {
    /// The hash of a body.
    #[must_use]
    pub fn hash(body: &[u8]) -> [u8; 32] {
        digest(&SHA256, body).as_ref().try_into().expect("32 bytes")
    }
}

/// Fields that are compared.
pub const COMPARED: [&str; 3] = ["Content-Type", "X-Many", TAG];

/// A request that reached the app whole.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// At which of its doors: `source.destination`.
    pub place: String,
    /// The sender's name for it.
    pub tag: String,
    /// `Relay-Event-Id`.
    pub event: String,
    /// `Relay-Attempt`.
    pub attempt: u32,
    /// What came.
    pub content: Content,
    /// Status of the answer, once its head was written to the last byte.
    pub status: Option<u16>,
}

impl Arrival {
    /// Whether the app said that it took it.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.status.is_some_and(|status| (200..400).contains(&status))
    }
}

#[derive(Debug)]
struct Shared {
    dice: Mutex<Dice>,
    is_well: watch::Sender<bool>,
    is_stalled: watch::Sender<bool>,
    arrivals: Mutex<Vec<Arrival>>,
}

/// What the app does with one request.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Say(u16),
    SayLate(Duration),
    SayHalf,
    HangUpUnread,
    HangUpRead,
}

impl Manner {
    fn thrown(dice: &mut Dice) -> Self {
        match dice.between(0..100) {
            0..4 => Self::Say([500, 503, 429, 408][usize::try_from(dice.between(0..4)).unwrap_or(0)]),
            4..6 => Self::HangUpUnread,
            6..9 => Self::HangUpRead,
            9..12 => Self::SayLate(Duration::from_millis(dice.between(300..1_500))),
            // Past the end of an attempt.
            12 => Self::SayLate(Duration::from_millis(3_500)),
            13 => Self::SayHalf,
            _ => Self::Say(200),
        }
    }
}

/// The application. It can be ended and come back at the same address, and it forgets nothing meanwhile.
#[derive(Debug)]
pub struct FaultyApp {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl FaultyApp {
    /// Starts, well behaved or not.
    pub async fn start(seed: u64, is_well: bool) -> Self {
        let shared = Shared {
            dice: Mutex::new(Dice::new(seed)),
            is_well: watch::Sender::new(is_well),
            is_stalled: watch::Sender::new(false),
            arrivals: Mutex::default(),
        };
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut this = Self { addr, shared: Arc::new(shared), task: None };
        this.come_back().await;
        this
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends as if killed: its port is closed, and so is every connection.
    pub async fn go(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Listens again.
    ///
    /// # Panics
    /// When the port was taken meanwhile.
    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.addr).await.expect("the port is ours");
        let shared = Arc::clone(&self.shared);
        self.task = Some(tokio::spawn(async move {
            // Aborted with this task.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    // A connection that breaks is the end of it.
                    let _ = serve(stream, &shared).await;
                });
                while connections.try_join_next().is_some() {}
            }
        }));
    }

    /// Stands still, as if stopped: connections are made, and nothing is read or said.
    pub fn stall(&self, is_stalled: bool) {
        self.shared.is_stalled.send_replace(is_stalled);
    }

    /// Behaves well, or badly.
    pub fn behave(&self, is_well: bool) {
        self.shared.is_well.send_replace(is_well);
    }

    /// Everything that reached it whole, in that order.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().expect("no panic").clone()
    }

    /// How many requests reached it whole.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.arrivals.lock().expect("no panic").len()
    }
}

impl Drop for FaultyApp {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Shared {
    async fn while_stalled(&self) {
        let mut stalled = self.is_stalled.subscribe();
        let _ = stalled.wait_for(|is_stalled| !is_stalled).await;
    }

    fn manner(&self) -> Manner {
        if *self.is_well.borrow() {
            return Manner::Say(200);
        }
        Manner::thrown(&mut self.dice.lock().expect("no panic"))
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    use tokio::io::AsyncWriteExt;

    stream.set_nodelay(true)?;
    let mut wire = Wire { stream, inbox: Vec::new() };
    loop {
        shared.while_stalled().await;
        let Some(head) = wire.until(b"\r\n\r\n").await? else { return Ok(()) };
        shared.while_stalled().await;
        let mut request = parse(&head);
        let manner = shared.manner();
        if matches!(manner, Manner::HangUpUnread) || !read_body(&mut wire, &mut request).await? {
            return Ok(());
        }
        let arrival = arrival(&request);
        let tag = arrival.tag.clone();
        let at = {
            let mut arrivals = shared.arrivals.lock().expect("no panic");
            arrivals.push(arrival);
            arrivals.len() - 1
        };
        let (status, rest) = match manner {
            Manner::HangUpUnread | Manner::HangUpRead => return Ok(()),
            Manner::Say(status) => (status, "ok"),
            Manner::SayLate(pause) => {
                tokio::time::sleep(pause).await;
                (200, "ok")
            }
            Manner::SayHalf => (200, "o"),
        };
        shared.while_stalled().await;
        let wait = if status == 503 { "Retry-After: 1\r\n" } else { "" };
        let head = format!("HTTP/1.1 {status} So\r\n{SAYS}: {tag}\r\n{wait}Content-Length: 2\r\n\r\n{rest}");
        wire.stream.write_all(head.as_bytes()).await?;
        shared.arrivals.lock().expect("no panic")[at].status = Some(status);
        if matches!(manner, Manner::SayHalf) {
            return Ok(());
        }
    }
}

fn arrival(request: &Recorded) -> Arrival {
    let only = |name: &str| request.values(name).first().cloned().unwrap_or_default();
    let target = request.target();
    let (place, rest) = target.trim_start_matches('/').split_once('/').unwrap_or((&target, ""));
    let line = String::from_utf8_lossy(&request.line).into_owned();
    let fields = COMPARED.iter().flat_map(|name| {
        request.values(name).into_iter().map(|value| ((*name).to_owned(), value)).collect::<Vec<_>>()
    });
    Arrival {
        place: place.to_owned(),
        tag: only(TAG),
        event: only("Relay-Event-Id"),
        attempt: only("Relay-Attempt").parse().unwrap_or_default(),
        content: Content {
            method: line.split(' ').next().unwrap_or_default().to_owned(),
            target: format!("/{rest}"),
            fields: fields.collect(),
            body_bytes: request.body.len(),
            body_hash: Content::hash(&request.body),
        },
        status: None,
    }
}
