//! An app in this process that counts: how many requests came, and how often each numbered body.
//!
//! It reads each body whole, looks at its number, and answers `ok`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::load::visitor::number_in;
use crate::parts::app::ANSWER;

/// The app. Gone when dropped.
#[derive(Debug)]
pub struct Sink {
    pub addr: SocketAddr,
    counts: Arc<Mutex<Counts>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    requests: u64,
    /// By number.
    seen: Vec<u32>,
    distinct: u64,
    /// Bodies without a number, or with one nobody sent.
    strange: u64,
    first_at: Option<Instant>,
    last_new_at: Option<Instant>,
}

/// What became of the numbered bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    pub once: u64,
    pub more_than_once: u64,
    pub never: u64,
    pub strange: u64,
}

impl Sink {
    /// Expects bodies numbered from 0 to `numbers` - 1.
    pub async fn start(numbers: usize) -> Result<Self> {
        let counts = Arc::new(Mutex::new(Counts { seen: vec![0; numbers], ..Counts::default() }));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, Arc::clone(&counts)));
        Ok(Self { addr, counts, accepting })
    }

    pub fn requests(&self) -> u64 {
        lock(&self.counts).requests
    }

    /// How many of the numbers have come.
    pub fn distinct(&self) -> u64 {
        lock(&self.counts).distinct
    }

    /// When the first body came, and when the last that had not come before.
    pub fn span(&self) -> Option<(Instant, Instant)> {
        let counts = lock(&self.counts);
        Some((counts.first_at?, counts.last_new_at?))
    }

    pub fn seen(&self) -> Seen {
        let counts = lock(&self.counts);
        let count =
            |wanted: fn(u32) -> bool| counts.seen.iter().filter(|times| wanted(**times)).count() as u64;
        Seen {
            once: count(|times| times == 1),
            more_than_once: count(|times| times > 1),
            never: count(|times| times == 0),
            strange: counts.strange,
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().expect("nothing panics while it counts")
}

async fn accept(listener: TcpListener, counts: Arc<Mutex<Counts>>) {
    // Ends its connections when it is aborted itself.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Without it an answer may wait for an acknowledgement; that costs time and breaks nothing.
        let _ = stream.set_nodelay(true);
        let counts = Arc::clone(&counts);
        let service = service_fn(move |request| answer(request, Arc::clone(&counts)));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
    counts: Arc<Mutex<Counts>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    lock(&counts).note(number_in(&body));
    Ok(Response::new(Full::from(ANSWER)))
}

impl Counts {
    fn note(&mut self, number: Option<u64>) {
        let now = Instant::now();
        self.requests += 1;
        self.first_at.get_or_insert(now);
        let number = number.and_then(|number| usize::try_from(number).ok());
        match number.and_then(|number| self.seen.get_mut(number)) {
            Some(times) => {
                *times += 1;
                if *times == 1 {
                    self.distinct += 1;
                    self.last_new_at = Some(now);
                }
            }
            None => self.strange += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_comes_twice_never_or_from_elsewhere_is_told_apart() {
        let mut counts = Counts { seen: vec![0; 4], ..Counts::default() };
        for number in [Some(0), Some(1), Some(1), None, Some(4)] {
            counts.note(number);
        }
        assert_eq!((counts.requests, counts.distinct, counts.strange), (5, 2, 2));
        assert_eq!(counts.seen, [1, 2, 0, 0]);
    }
}
