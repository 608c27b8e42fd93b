//! One sender: a connection that is kept while it lasts, and one request after the other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::app::{Content, SAYS, TAG};
use super::arrangement::{COPY_FIELD, Plan};
use super::journal::{Journal, Sent, Told};
use crate::app::Wire;
use crate::dice::Dice;

/// How long a sender waits for an answer: far longer than anything is stopped.
const PATIENCE: Duration = Duration::from_secs(25);

/// What a sender is made of.
pub(super) struct Sender {
    pub(super) public: SocketAddr,
    pub(super) plan: Plan,
    /// Place of the plan among all.
    pub(super) at: usize,
    /// Number of the sender among those of its source.
    pub(super) number: u64,
    pub(super) seed: u64,
    /// Longest pause between two requests, in milliseconds.
    pub(super) pause_ms: u64,
    pub(super) journal: Arc<Journal>,
    pub(super) stop: Arc<AtomicBool>,
}

/// A request before it is sent.
pub(super) struct Request {
    plan: Plan,
    tag: String,
    number: u64,
    content: Content,
    body: Vec<u8>,
    is_chunked: bool,
}

fn body_bytes(dice: &mut Dice) -> usize {
    let bytes = match dice.between(0..1_000) {
        0..50 => 0,
        50..700 => dice.between(1..2_048),
        700..930 => dice.between(2_048..65_536),
        930..980 => dice.between(200..400) * 1_024,
        980..993 => 1_572_864,
        _ => 3_145_728,
    };
    usize::try_from(bytes).unwrap_or(0)
}

impl Sender {
    /// Sends until told to stop.
    pub(super) async fn run(self) {
        let mut dice = Dice::of(self.seed, (self.at as u64) << 8 | self.number);
        let mut wire = None;
        let mut number = 0;
        while !self.is_stopped() {
            number += 1;
            let tag = format!("{}-{}-{number}", self.plan.name, self.number);
            let request = Request::thrown(self.plan, tag, number, &mut dice);
            self.send(&request, &mut wire).await;
            if self.plan.has_copies && dice.percent(40) {
                for _ in 0..dice.between(1..3) {
                    self.send(&request, &mut wire).await;
                }
            }
            if dice.percent(3) {
                // A new connection now and then.
                wire = None;
            }
            tokio::time::sleep(Duration::from_millis(dice.between(0..self.pause_ms.max(1)))).await;
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends a request and writes down what was told. One of which copies are known is sent until there is an answer,
    /// as providers do.
    async fn send(&self, request: &Request, wire: &mut Option<Wire>) {
        loop {
            let Some(connection) = self.connect(wire).await else { return };
            let told = request.exchange(connection, &self.journal).await;
            if matches!(told, Told::Nothing | Told::GaveUp) {
                *wire = None;
            }
            let is_told = matches!(told, Told::Yes { .. });
            self.journal.note(request.sent(self.at, told));
            if is_told || !self.plan.has_copies || self.is_stopped() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The connection, made if there is none; `None` when it is time to stop.
    async fn connect<'a>(&self, wire: &'a mut Option<Wire>) -> Option<&'a mut Wire> {
        while wire.is_none() {
            if self.is_stopped() {
                return None;
            }
            match TcpStream::connect(self.public).await {
                Ok(stream) if stream.set_nodelay(true).is_ok() => {
                    *wire = Some(Wire { stream, inbox: Vec::new() });
                }
                _ => tokio::time::sleep(Duration::from_millis(30)).await,
            }
        }
        wire.as_mut()
    }
}

impl Request {
    /// A request as the dice say.
    pub(super) fn thrown(plan: Plan, tag: String, number: u64, dice: &mut Dice) -> Self {
        let size = body_bytes(dice);
        let method =
            ["POST", "POST", "POST", "PUT", "PATCH"][usize::try_from(dice.between(0..5)).unwrap_or(0)];
        let is_chunked = dice.percent(10);
        Self { is_chunked, ..Self::new(plan, tag, number, method, dice.bytes(size)) }
    }

    /// A request with this body.
    pub(super) fn new(plan: Plan, tag: String, number: u64, method: &str, body: Vec<u8>) -> Self {
        let fields = [
            ("Content-Type", "application/x-tag".to_owned()),
            ("X-Many", format!("one {number}")),
            ("X-Many", "two".to_owned()),
            (TAG, tag.clone()),
        ];
        let content = Content {
            method: method.to_owned(),
            target: format!("/a//b/{number}?tag={tag}&x=%2F"),
            fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            body_bytes: body.len(),
            body_hash: Content::hash(&body),
        };
        Self { plan, tag, number, content, body, is_chunked: false }
    }

    /// The line for the journal.
    pub(super) fn sent(&self, plan: usize, told: Told) -> Sent {
        Sent { plan, tag: self.tag.clone(), number: self.number, content: self.content.clone(), told }
    }

    fn bytes(&self) -> Vec<u8> {
        let Content { method, target, fields, body_bytes, .. } = &self.content;
        let mut head = format!("{method} /h/{}{target} HTTP/1.1\r\nHost: relay.test\r\n", self.plan.name);
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.plan.has_copies {
            head.push_str(&format!("{COPY_FIELD}: {}\r\n", self.tag));
        }
        let mut bytes = head.into_bytes();
        if !self.is_chunked {
            bytes.extend_from_slice(format!("Content-Length: {body_bytes}\r\n\r\n").as_bytes());
            bytes.extend_from_slice(&self.body);
            return bytes;
        }
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in self.body.chunks(50_000) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }

    /// Sends it, and says what was told.
    pub(super) async fn exchange(&self, wire: &mut Wire, journal: &Journal) -> Told {
        let exchanged = async {
            // A server that answers early and closes: what it said may still be there.
            let written = wire.stream.write_all(&self.bytes()).await;
            let told = self.answer(wire, journal).await;
            if written.is_err() {
                wire.stream.shutdown().await?;
            }
            told
        };
        match tokio::time::timeout(PATIENCE, exchanged).await {
            Ok(told) => told.unwrap_or(Told::Nothing),
            Err(_) => Told::GaveUp,
        }
    }

    /// The same on a connection of its own.
    pub(super) async fn exchange_at(&self, public: SocketAddr, journal: &Journal) -> Told {
        match TcpStream::connect(public).await {
            Ok(stream) => self.exchange(&mut Wire { stream, inbox: Vec::new() }, journal).await,
            Err(_) => Told::Nothing,
        }
    }

    async fn answer(&self, wire: &mut Wire, journal: &Journal) -> io::Result<Told> {
        let broke = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let head = wire.until(b"\r\n\r\n").await?.ok_or_else(broke)?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let value = |name: &str| {
            let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
            let mut found = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.trim().to_owned())
        };
        let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broke)?;
        let length = value("Content-Length").and_then(|length| length.parse().ok()).ok_or_else(broke)?;
        let mut body = Vec::new();
        if !wire.take(length, &mut body).await? {
            return Err(broke());
        }
        let says = value(SAYS);
        if says.as_ref().is_some_and(|tag| *tag != self.tag) {
            journal.note_wrong(format!("{} was answered with the answer to {says:?}", self.tag));
        }
        if !(200..300).contains(&status) {
            let code = value("Relay-Error").unwrap_or_default();
            return Ok(Told::No { status, code, says_when: value("Retry-After").is_some() });
        }
        Ok(Told::Yes {
            event: value("Relay-Event-Id").unwrap_or_default(),
            by_app: says.is_some(),
            copy_of: value("Relay-Duplicate-Of"),
        })
    }
}
