//! An application behind the agent: keeps every byte it got, answers with the bytes it is told to.
//!
//! It speaks HTTP/1.1 by hand on purpose: a library between the wire and the test would hide what the tests are about.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Request line, without its end.
    pub line: Vec<u8>,
    /// Header lines in order: name and value as sent.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Body, chunk framing removed.
    pub body: Vec<u8>,
    /// Trailer lines of a chunked body.
    pub trailers: Vec<u8>,
    /// Whether the body came to its end.
    pub is_whole: bool,
}

impl Recorded {
    /// Values of all fields called `name`, as text.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        self.fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, v)| String::from_utf8_lossy(v).into_owned())
            .collect()
    }

    /// The request target, as text.
    #[must_use]
    pub fn target(&self) -> String {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        line.split(' ').nth(1).unwrap_or_default().to_owned()
    }
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Read it whole, then write exactly these bytes. The connection stays open.
    Say(Vec<u8>),
    /// Read it whole, then write these pieces, each after its pause; then close.
    Drip(Vec<(Duration, Vec<u8>)>),
    /// Answer before reading the body; then read it and keep the connection.
    AnswerEarly(Vec<u8>),
    /// Read it whole, answer after a pause.
    Slow(Duration, Vec<u8>),
    /// Read the head, then close without a word.
    HangUp,
    /// Read it whole and never answer.
    Silence,
    /// Write this head, then echo every byte that comes (a protocol switch).
    SwitchAndEcho(Vec<u8>),
    /// Answer with the body that came.
    Echo,
}

/// `200 OK` with a small body.
#[must_use]
pub fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    recorded: watch::Sender<Vec<Recorded>>,
    connections: watch::Sender<usize>,
}

/// A recording application.
#[derive(Debug)]
pub struct App {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl App {
    /// Starts on a port of its own.
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        Self::on(listener, behaviour)
    }

    /// Starts on this listener.
    #[must_use]
    pub fn on(listener: TcpListener, behaviour: Behaviour) -> Self {
        let addr = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            recorded: watch::Sender::new(Vec::new()),
            connections: watch::Sender::new(0),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.send_modify(|n| *n += 1);
                let shared = Arc::clone(&serving);
                connections.spawn(async move {
                    // A broken connection is the end of it; what arrived is recorded.
                    let _ = serve(stream, &shared).await;
                });
            }
        });
        Self { addr, shared, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What to do with requests from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().expect("behaviour lock") = behaviour;
    }

    /// What arrived so far.
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        self.shared.recorded.borrow().clone()
    }

    /// Connections made to it so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Waits (bounded) until `count` requests arrived.
    pub async fn wait_for(&self, count: usize) -> Vec<Recorded> {
        let mut recorded = self.shared.recorded.subscribe();
        let waited =
            tokio::time::timeout(Duration::from_secs(10), recorded.wait_for(|r| r.len() >= count)).await;
        waited.unwrap_or_else(|_| panic!("{count} requests did not arrive")).expect("app lives").clone()
    }

    /// The one request that arrived.
    pub async fn only(&self) -> Recorded {
        let all = self.wait_for(1).await;
        assert_eq!(all.len(), 1, "exactly one request");
        all[0].clone()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection, read in parts.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pub(crate) inbox: Vec<u8>,
}

impl Wire {
    async fn more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.inbox).await
    }

    /// Everything before `end`, which is taken, too; `None` at the end of the stream.
    pub(crate) async fn until(&mut self, end: &[u8]) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.inbox.windows(end.len()).position(|w| w == end) {
                let rest = self.inbox.split_off(at + end.len());
                let mut taken = std::mem::replace(&mut self.inbox, rest);
                taken.truncate(at);
                return Ok(Some(taken));
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Takes `bytes`, or what there is before the end.
    pub(crate) async fn take(&mut self, bytes: usize, into: &mut Vec<u8>) -> io::Result<bool> {
        let mut left = bytes;
        loop {
            let taken = left.min(self.inbox.len());
            into.extend(self.inbox.drain(..taken));
            left -= taken;
            if left == 0 {
                return Ok(true);
            }
            if self.more().await? == 0 {
                return Ok(false);
            }
        }
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = Wire { stream, inbox: Vec::new() };
    while let Some(head) = wire.until(b"\r\n\r\n").await? {
        let mut request = parse(&head);
        let behaviour = shared.behaviour.lock().expect("behaviour lock").clone();
        if let Behaviour::AnswerEarly(answer) = &behaviour {
            wire.stream.write_all(answer).await?;
        }
        if !matches!(behaviour, Behaviour::HangUp) {
            let read = read_body(&mut wire, &mut request).await;
            request.is_whole = matches!(read, Ok(true));
        }
        let body = request.body.clone();
        let is_whole = request.is_whole;
        shared.recorded.send_modify(|all| all.push(request));
        if !is_whole {
            return Ok(());
        }
        match behaviour {
            Behaviour::AnswerEarly(_) => {}
            Behaviour::HangUp => return Ok(()),
            Behaviour::Say(answer) => wire.stream.write_all(&answer).await?,
            Behaviour::Slow(pause, answer) => {
                tokio::time::sleep(pause).await;
                wire.stream.write_all(&answer).await?;
            }
            Behaviour::Silence => {
                wire.more().await?;
                return Ok(());
            }
            Behaviour::Drip(pieces) => {
                for (pause, piece) in pieces {
                    tokio::time::sleep(pause).await;
                    wire.stream.write_all(&piece).await?;
                }
                return Ok(());
            }
            Behaviour::SwitchAndEcho(head) => {
                wire.stream.write_all(&head).await?;
                loop {
                    let bytes = std::mem::take(&mut wire.inbox);
                    wire.stream.write_all(&bytes).await?;
                    if wire.more().await? == 0 {
                        return Ok(());
                    }
                }
            }
            Behaviour::Echo => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                wire.stream.write_all(head.as_bytes()).await?;
                wire.stream.write_all(&body).await?;
            }
        }
    }
    Ok(())
}

/// The head of a request.
pub(crate) fn parse(head: &[u8]) -> Recorded {
    let mut lines = head.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    let line = lines.next().unwrap_or_default().to_vec();
    let field = |l: &[u8]| {
        let colon = l.iter().position(|b| *b == b':').unwrap_or(l.len());
        (l[..colon].to_vec(), l.get(colon + 1..).unwrap_or_default().trim_ascii().to_vec())
    };
    let fields = lines.map(field).collect();
    Recorded { line, fields, body: Vec::new(), trailers: Vec::new(), is_whole: false }
}

/// Reads the body; says whether it came to its end.
pub(crate) async fn read_body(wire: &mut Wire, request: &mut Recorded) -> io::Result<bool> {
    if let Some(length) = request.values("content-length").first() {
        let length = length.parse().map_err(io::Error::other)?;
        return wire.take(length, &mut request.body).await;
    }
    if request.values("transfer-encoding").is_empty() {
        return Ok(true);
    }
    loop {
        let Some(size) = wire.until(b"\r\n").await? else { return Ok(false) };
        let size = usize::from_str_radix(&String::from_utf8_lossy(&size), 16).map_err(io::Error::other)?;
        if size == 0 {
            break;
        }
        if !wire.take(size, &mut request.body).await? || wire.until(b"\r\n").await?.is_none() {
            return Ok(false);
        }
    }
    while let Some(line) = wire.until(b"\r\n").await? {
        if line.is_empty() {
            return Ok(true);
        }
        request.trailers.extend_from_slice(&line);
        request.trailers.push(b'\n');
    }
    Ok(false)
}

/// An application that counts the bytes of a body and keeps none of them.
#[derive(Debug)]
pub struct Sink {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Sink {
    /// Starts on a port of its own. Answers with the number of bytes counted.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let addr = listener.local_addr().expect("bound");
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A sender that breaks off shows in the answer that does not come.
                let _ = Self::count(stream).await;
            }
        });
        Self { addr, task }
    }

    async fn count(stream: TcpStream) -> io::Result<()> {
        let mut wire = Wire { stream, inbox: Vec::new() };
        let Some(head) = wire.until(b"\r\n\r\n").await? else { return Ok(()) };
        let length: u64 =
            parse(&head).values("content-length").first().and_then(|l| l.parse().ok()).unwrap_or(0);
        let mut counted = wire.inbox.len() as u64;
        let mut buffer = vec![0; 256 * 1024];
        while counted < length {
            match wire.stream.read(&mut buffer).await? {
                0 => return Ok(()),
                read => counted += read as u64,
            }
        }
        wire.stream.write_all(&ok(&counted.to_string())).await
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Resident memory of this process in bytes; zero where the system does not say.
#[must_use]
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
