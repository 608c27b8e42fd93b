//! Open inspectors, as a server knows them: each follows the stream of events, and asks for the overview every few
//! seconds. What comes is counted and thrown away. Any line on standard input asks for what was seen so far.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use crate::api;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub admin: SocketAddr,
    /// Made for this run.
    pub token: String,
    pub inspectors: usize,
    pub overview_every: Duration,
}

/// What all of them together were told since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// One of which is an event, a settled delivery, or a gap.
    pub lines: u64,
    pub bytes: u64,
    pub overviews: u64,
}

pub async fn run(plan: Plan) -> Result<()> {
    LocalSet::new().run_until(watch(plan)).await
}

async fn watch(plan: Plan) -> Result<()> {
    let seen = Rc::new(Counters::default());
    let mut inspectors = JoinSet::new();
    for number in 0..plan.inspectors {
        let stream = follow(&plan).await?;
        inspectors.spawn_local(count(stream, Lines::new(Rc::clone(&seen))));
        // People did not open their pages in the same instant.
        let first = plan.overview_every.mul_f64(number as f64 / plan.inspectors as f64);
        inspectors.spawn_local(look(plan.clone(), first, Rc::clone(&seen)));
    }
    println!("{}", serde_json::json!({ "open": plan.inspectors }));
    let mut asked = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = asked.next_line() => match line? {
                Some(_) => println!("{}", serde_json::to_string(&seen.read())?),
                None => return Ok(()),
            },
            Some(ended) = inspectors.join_next() => return ended?,
        }
    }
}

#[derive(Default)]
struct Counters {
    lines: Cell<u64>,
    bytes: Cell<u64>,
    overviews: Cell<u64>,
}

impl Counters {
    fn read(&self) -> Seen {
        Seen { lines: self.lines.get(), bytes: self.bytes.get(), overviews: self.overviews.get() }
    }
}

/// Counts the lines of one stream, however it is cut into pieces.
struct Lines {
    seen: Rc<Counters>,
    /// The last byte of the piece before.
    last: u8,
}

impl Lines {
    fn new(seen: Rc<Counters>) -> Self {
        Self { seen, last: b'\n' }
    }

    fn note(&mut self, piece: &[u8]) {
        // JSON holds no line break, and a sign of life begins with a colon: nothing else begins with a `d`, of `data: `.
        let mut begun = 0;
        for &byte in piece {
            begun += u64::from(self.last == b'\n' && byte == b'd');
            self.last = byte;
        }
        self.seen.lines.set(self.seen.lines.get() + begun);
        self.seen.bytes.set(self.seen.bytes.get() + piece.len() as u64);
    }
}

/// Opens the stream, as a browser's `EventSource` does.
async fn follow(plan: &Plan) -> Result<Incoming> {
    let connection = TcpStream::connect(plan.admin).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
    // Ends with the server, or with this process.
    tokio::task::spawn_local(connection);
    let request = Request::get("/api/v1/events/stream")
        .header(HOST, plan.admin.to_string())
        .header(ACCEPT, "text/event-stream")
        .header(AUTHORIZATION, format!("Bearer {}", plan.token))
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    ensure!(answer.status() == StatusCode::OK, "the stream was answered {}", answer.status());
    Ok(answer.into_body())
}

async fn count(mut stream: Incoming, mut lines: Lines) -> Result<()> {
    while let Some(frame) = stream.frame().await {
        if let Some(piece) = frame.context("the stream broke")?.data_ref() {
            lines.note(piece);
        }
    }
    bail!("the server ended a stream")
}

async fn look(plan: Plan, first: Duration, seen: Rc<Counters>) -> Result<()> {
    sleep(first).await;
    loop {
        api::json(plan.admin, "/api/v1/overview", &plan.token).await?;
        seen.overviews.set(seen.overviews.get() + 1);
        sleep(plan.overview_every).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_signs_of_life_are_not() {
        let said = "data: {\"type\":\"event\"}\n\n:\n\ndata: {\"a\":\"data: \"}\n\ndata: {}\n\n";
        for cut in 0..said.len() {
            let seen = Rc::new(Counters::default());
            let mut lines = Lines::new(Rc::clone(&seen));
            lines.note(&said.as_bytes()[..cut]);
            lines.note(&said.as_bytes()[cut..]);
            assert_eq!(seen.read(), Seen { lines: 3, bytes: 59, overviews: 0 }, "cut at {cut}");
        }
    }
}
