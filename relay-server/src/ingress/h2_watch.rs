//! Keeps the time of HTTP/2 connections, as the gate does of HTTP/1 ones.
//!
//! An HTTP/2 sender can keep a connection alive with pings alone: without ever asking, with half a head, or with the
//! windows of its streams shut so that answers stay unread. Each would hold a connection, and the last one an exchange
//! and its agent's place, for ever.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::gated::GateLimits;
use super::pace::{Pace, Verdict};
use crate::delivery::answer::{AnswerBody, BrokeOff};

/// How often a connection is looked at within the shortest of its limits, and how seldom at most.
const LOOKS: u32 = 4;
const LOOK_EVERY_MAX: Duration = Duration::from_secs(5);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds this")
}

#[derive(Default)]
struct Stream {
    // Present from the answer's head on, until it is over or taken back.
    body: Option<AnswerBody>,
    // Bytes the sender was given room for, against the time it had none.
    pace: Pace,
    given_bytes: usize,
    waits_for_room: bool,
    was_taken_back: bool,
}

struct Connection {
    streams: HashMap<u64, Arc<Mutex<Stream>>>,
    next: u64,
    idle_since: Instant,
}

/// The clock of one connection. Cheap to clone.
#[derive(Clone)]
pub struct H2Watch {
    connection: Arc<Mutex<Connection>>,
    limits: GateLimits,
}

impl H2Watch {
    /// Starts the clock.
    #[must_use]
    pub fn start(limits: GateLimits) -> Self {
        let connection = Connection { streams: HashMap::new(), next: 0, idle_since: Instant::now() };
        Self { connection: Arc::new(Mutex::new(connection)), limits }
    }

    /// A request came.
    #[must_use]
    pub fn enter(&self) -> Place {
        let stream = Arc::default();
        let mut connection = lock(&self.connection);
        let id = connection.next;
        connection.next += 1;
        connection.streams.insert(id, Arc::clone(&stream));
        Place { id, stream, connection: Arc::clone(&self.connection) }
    }

    /// Waits until the connection has to be closed: nothing was asked in time, or no stream is left but those whose
    /// answers are not read. Takes such answers back meanwhile, so that their exchanges end.
    pub async fn is_over(&self) {
        let limits = &self.limits;
        let shortest = limits.first_byte.min(limits.keep_alive).min(limits.write_idle);
        loop {
            tokio::time::sleep((shortest / LOOKS).min(LOOK_EVERY_MAX)).await;
            if self.look(Instant::now()) {
                return;
            }
        }
    }

    fn look(&self, now: Instant) -> bool {
        let connection = lock(&self.connection);
        if connection.streams.is_empty() {
            let is_new = connection.next == 0;
            let most = if is_new { self.limits.first_byte } else { self.limits.keep_alive };
            return now.saturating_duration_since(connection.idle_since) >= most;
        }
        let streams: Vec<_> = connection.streams.values().cloned().collect();
        drop(connection);
        let limits = self.limits.of_reading();
        let mut is_over = true;
        for stream in streams {
            let mut stream = lock(&stream);
            if stream.waits_for_room && stream.pace.wait(now, &limits) == Verdict::TooSlow {
                stream.was_taken_back = true;
                let body = stream.body.take();
                drop(stream);
                drop(body);
                continue;
            }
            is_over &= stream.was_taken_back;
        }
        is_over
    }
}

/// One request's place on its connection, given back when dropped.
pub struct Place {
    id: u64,
    stream: Arc<Mutex<Stream>>,
    connection: Arc<Mutex<Connection>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connection = lock(&self.connection);
        connection.streams.remove(&self.id);
        connection.idle_since = Instant::now();
    }
}

/// An answer that is taken back when the sender does not read it.
pub struct WatchedBody(Place);

impl WatchedBody {
    /// Watches over `body`.
    #[must_use]
    pub fn new(body: AnswerBody, place: Place) -> Self {
        let mut stream = lock(&place.stream);
        stream.body = Some(body);
        // hyper asks for the first piece when there is room for it.
        stream.waits_for_room = true;
        drop(stream);
        Self(place)
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let mut stream = lock(&self.0.stream);
        let stream = &mut *stream;
        if stream.waits_for_room {
            stream.waits_for_room = false;
            stream.pace.came(Instant::now(), std::mem::take(&mut stream.given_bytes));
        }
        let Some(body) = &mut stream.body else { return Poll::Ready(Some(Err(BrokeOff))) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            stream.given_bytes = frame.data_ref().map_or(0, Bytes::len);
            stream.waits_for_room = true;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0.stream).body.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0.stream).body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
