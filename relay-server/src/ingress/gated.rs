//! The gate at work on an HTTP/1 connection: stands between the socket and hyper, in both directions.
//!
//! Inbound, every head goes through [`super::gate`]; hyper gets a canonical one, the service gets the real one, and
//! bodies are followed to their end. Outbound, the head hyper writes is replaced by the app's own, letter for letter.
//! The timers of a public port live here too: first byte, head, body, keep-alive.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use link::Rewrite;
use protocol::chunks::{ChunkError, ChunkWalker};
use protocol::field::BodyFraming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::gate::{self, Head, HeadLimits};
use super::pace::{Pace, Verdict};
use crate::refusal::Refusal;

mod outbound;

/// Bytes read from a socket at once while a head is awaited.
const READ_BYTES: usize = 8 * 1024;

/// Length of `HTTP/1.1`.
const VERSION_BYTES: usize = 8;

/// Requests in a row whose answers are not written yet. Who sends more without reading is up to no good.
const UNWRITTEN_MAX: usize = 16;

/// After a refusal the rest of a request is read and thrown away, so that the answer is not lost to a reset: at most
/// this many bytes (twice the largest body there is by default), for at most [`LINGER`]. Nothing of it is kept.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(2);

/// Caps and timers of one connection.
#[derive(Debug, Clone, Copy)]
pub struct GateLimits {
    /// Caps of heads.
    pub head: HeadLimits,
    /// Largest body any source may take, in bytes.
    pub body_bytes_max: u64,
    /// From accept to the first byte.
    pub first_byte: Duration,
    /// From a head's first byte to its last.
    pub head_time: Duration,
    /// Between two pieces of a body.
    pub body_idle: Duration,
    /// Slowest body, in bytes per second, once it was waited for longer than [`GateLimits::first_byte`].
    pub body_rate_min: u64,
    /// All waiting for one body together.
    pub body_total: Duration,
    /// Between two requests.
    pub keep_alive: Duration,
    /// How long a sender may take none of its answer.
    pub write_idle: Duration,
}

impl GateLimits {
    /// How an answer has to be read: never idle for longer than [`GateLimits::write_idle`], and no slower than a body has
    /// to come. As long as it is read, it may take as long as it takes.
    #[must_use]
    pub fn of_reading(&self) -> Self {
        Self { body_idle: self.write_idle, body_total: Duration::MAX, ..*self }
    }
}

/// What came in, for the service.
#[derive(Debug)]
pub enum Gated {
    /// A request.
    Head(Box<Head>),
    /// Something to refuse.
    Refused(Refusal),
}

/// A response head to put in place of hyper's.
#[derive(Debug)]
pub struct RawResponse {
    /// The reason phrase hyper was given; nothing else on the connection can hold it.
    pub marker: String,
    /// Status line without its version, and fields, each line with its end.
    pub lines: Vec<u8>,
    /// Lower-case names in `lines` that hyper may say too (`content-length`, `date`, `transfer-encoding`).
    pub said: Vec<&'static str>,
    /// Lines after the body, each with its end.
    pub trailers: Vec<u8>,
}

#[derive(Debug, Default)]
struct Shared {
    heads: VecDeque<Gated>,
    fault: Option<Refusal>,
    // Heads hyper was given and has not written yet: with requests in a row, and a sender that does not read, several.
    responses: VecDeque<RawResponse>,
    trailers: Option<Vec<u8>>,
    switched: Option<bool>,
    // Requests that were read and whose answers are not over: several when they come in a row.
    under_way: usize,
}

/// The service's end of a gated connection. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Gatekeeper(Arc<Mutex<Shared>>);

impl Gatekeeper {
    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.0.lock().expect("gate lock")
    }

    /// The real head of the request hyper just handed over.
    #[must_use]
    pub fn next_head(&self) -> Gated {
        self.shared().heads.pop_front().unwrap_or(Gated::Refused(Refusal::BadRequest("no head")))
    }

    /// Why the body broke off; `None` means that the sender went away.
    #[must_use]
    pub fn fault(&self) -> Option<Refusal> {
        self.shared().fault
    }

    /// The head that hyper's next response head is to be replaced by.
    pub fn respond(&self, response: RawResponse) {
        self.shared().responses.push_back(response);
    }

    /// Lines to put after the body of the latest response, whose end hyper is about to write.
    pub fn trail(&self, lines: Vec<u8>) {
        let mut shared = self.shared();
        match shared.responses.back_mut() {
            Some(response) => response.trailers = lines,
            None => shared.trailers = Some(lines),
        }
    }

    /// The exchange under way is over; the keep-alive clock may start.
    pub fn exchange_over(&self) {
        let mut shared = self.shared();
        shared.under_way = shared.under_way.saturating_sub(1);
    }

    /// Whether the protocol switch that was asked for comes about.
    pub fn switched(&self, yes: bool) {
        self.shared().switched = Some(yes);
    }
}

#[derive(Debug)]
enum Phase {
    /// Between requests.
    Idle,
    /// Some of a head is here.
    Head,
    Length(u64),
    Chunks(ChunkWalker),
    /// A protocol switch was asked for; what comes next depends on the answer.
    MaySwitch,
    Switched,
    /// Nothing more is read.
    Refused,
}

/// The clock of the phase under way.
#[derive(Debug)]
struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed: Instant,
    deadline: Instant,
}

impl Timer {
    fn new(deadline: Instant) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(deadline)), armed: deadline, deadline }
    }

    /// The sleep is moved only when it would wake too late: most deadlines are left behind before they come.
    fn set(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if deadline < self.armed {
            self.armed = deadline;
            self.sleep.as_mut().reset(deadline);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if self.deadline <= Instant::now() {
                return Poll::Ready(());
            }
            self.armed = self.deadline;
            self.sleep.as_mut().reset(self.deadline);
        }
    }
}

/// A gated HTTP/1 connection.
#[derive(Debug)]
pub struct GatedIo<IO> {
    io: IO,
    keeper: Gatekeeper,
    limits: GateLimits,
    phase: Phase,
    inbox: BytesMut,
    scanned: usize,
    ready: BytesMut,
    timer: Timer,
    pace: Pace,
    // Since when the next request is awaited.
    idle_since: Option<Instant>,
    is_first: bool,
    rewrite: Rewrite,
    write_pace: Pace,
    write_timer: Option<Pin<Box<Sleep>>>,
    linger: Option<(Instant, usize)>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> GatedIo<IO> {
    /// Gates `io`, from which `inbox` was read already.
    pub fn new(io: IO, inbox: BytesMut, limits: GateLimits) -> (Self, Gatekeeper) {
        let keeper = Gatekeeper::default();
        let gated = Self {
            io,
            keeper: keeper.clone(),
            limits,
            phase: Phase::Idle,
            inbox,
            scanned: 0,
            ready: BytesMut::new(),
            timer: Timer::new(Instant::now() + limits.head_time),
            pace: Pace::default(),
            idle_since: None,
            is_first: true,
            rewrite: Rewrite::default(),
            write_pace: Pace::default(),
            write_timer: None,
            linger: None,
        };
        (gated, keeper)
    }

    fn refuse(&mut self, refusal: Refusal) {
        let mut shared = self.keeper.shared();
        shared.heads.push_back(Gated::Refused(refusal));
        shared.under_way += 1;
        drop(shared);
        self.ready.extend_from_slice(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n");
        self.phase = Phase::Refused;
    }

    fn break_body(&mut self, refusal: Refusal) -> io::Error {
        self.keeper.shared().fault = Some(refusal);
        self.phase = Phase::Refused;
        io::Error::new(io::ErrorKind::InvalidData, refusal.code())
    }

    /// Tries to make a head of what is here.
    fn try_head(&mut self) {
        match gate::read_head(&self.inbox, self.scanned, &self.limits.head) {
            Err(refusal) => self.refuse(refusal),
            Ok(None) => {
                self.scanned = self.inbox.len();
                if matches!(self.phase, Phase::Idle) && !self.inbox.is_empty() {
                    self.phase = Phase::Head;
                    self.timer.set(Instant::now() + self.limits.head_time);
                }
            }
            Ok(Some((head, used))) => {
                self.inbox.advance(used);
                self.scanned = 0;
                self.is_first = false;
                if matches!(head.framing, BodyFraming::Length(n) if n > self.limits.body_bytes_max) {
                    return self.refuse(Refusal::BodyTooLarge);
                }
                let may_switch =
                    head.upgrade.as_deref() == Some("websocket") && head.framing == BodyFraming::None;
                self.ready.extend_from_slice(&gate::canonical(&head, may_switch));
                self.pace = Pace::default();
                self.idle_since = None;
                self.phase = match head.framing {
                    _ if may_switch => Phase::MaySwitch,
                    BodyFraming::None | BodyFraming::Length(0) => Phase::Idle,
                    BodyFraming::Length(n) => Phase::Length(n),
                    BodyFraming::Chunked => {
                        // What came with the head counts for the rate too.
                        self.pace.came(Instant::now(), self.inbox.len());
                        Phase::Chunks(ChunkWalker::default())
                    }
                };
                let mut shared = self.keeper.shared();
                shared.under_way += 1;
                shared.heads.push_back(Gated::Head(Box::new(head)));
            }
        }
    }

    fn poll_inbox(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.inbox.reserve(READ_BYTES);
        tokio_util::io::poll_read_buf(Pin::new(&mut self.io), cx, &mut self.inbox)
    }

    /// Called when the socket has nothing; says what that means by now.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = Instant::now();
        match &self.phase {
            // An answer may take as long as it takes.
            Phase::Idle if self.keeper.shared().under_way > 0 => return Poll::Pending,
            Phase::Idle => {
                let wait = if self.is_first { self.limits.first_byte } else { self.limits.keep_alive };
                if self.idle_since.is_none() {
                    self.idle_since = Some(now);
                    self.timer.set(now + wait);
                }
            }
            Phase::Length(_) | Phase::Chunks(_) => return self.judge_body(cx),
            _ => {}
        }
        ready!(self.timer.poll(cx));
        match &self.phase {
            Phase::Head => {
                self.refuse(Refusal::TooSlow);
                Poll::Ready(Ok(()))
            }
            Phase::Idle => {
                self.phase = Phase::Refused;
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            _ => Poll::Pending,
        }
    }

    fn judge_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.pace.wait(Instant::now(), &self.limits) {
                Verdict::TooSlow => return Poll::Ready(Err(self.break_body(Refusal::TooSlow))),
                Verdict::WaitUntil(next) => self.timer.set(next),
            }
            ready!(self.timer.poll(cx));
        }
    }

    fn note_body(&mut self, bytes: usize) {
        let now = Instant::now();
        if self.pace.came(now, bytes) {
            self.timer.set(now + self.limits.keep_alive);
        }
    }

    fn poll_length(
        &mut self,
        left: u64,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.remaining().min(usize::try_from(left).unwrap_or(usize::MAX));
        let taken = if self.inbox.is_empty() {
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
            let taken = part.filled().len();
            buf.advance(taken);
            taken
        } else {
            let taken = room.min(self.inbox.len());
            buf.put_slice(&self.inbox[..taken]);
            self.inbox.advance(taken);
            taken
        };
        self.note_body(taken);
        let left = left - taken as u64;
        // At the sender's early end hyper gets its end too, and calls the body incomplete.
        self.phase = match (taken, left) {
            (0, _) => Phase::Refused,
            (_, 0) => Phase::Idle,
            _ => Phase::Length(left),
        };
        Poll::Ready(Ok(()))
    }

    fn poll_chunks(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.inbox.is_empty() {
            let read = ready!(self.poll_inbox(cx))?;
            self.note_body(read);
            if read == 0 {
                self.phase = Phase::Refused;
                return Poll::Ready(Ok(()));
            }
        }
        let room = buf.remaining().min(self.inbox.len());
        let Phase::Chunks(walker) = &mut self.phase else { return Poll::Ready(Ok(())) };
        match walker.walk(&self.inbox[..room]) {
            Ok(used) => {
                let is_done = walker.is_done();
                buf.put_slice(&self.inbox[..used]);
                self.inbox.advance(used);
                if is_done {
                    self.phase = Phase::Idle;
                }
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.break_body(match error {
                ChunkError::Malformed => Refusal::BadRequest("malformed chunked body"),
                ChunkError::TrailersTooLong => Refusal::HeaderTooLarge,
            }))),
        }
    }

    /// Reads ahead only to notice that the sender went away.
    fn poll_may_switch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self.keeper.shared().switched.take() {
            Some(true) => self.phase = Phase::Switched,
            Some(false) => self.phase = Phase::Idle,
            None => {}
        }
        if !matches!(self.phase, Phase::MaySwitch) {
            return Poll::Ready(Ok(true));
        }
        while self.inbox.len() < READ_BYTES {
            if ready!(self.poll_inbox(cx))? == 0 {
                return Poll::Ready(Ok(false));
            }
        }
        Poll::Pending
    }

    fn poll_passing(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.inbox.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let taken = buf.remaining().min(self.inbox.len());
        buf.put_slice(&self.inbox[..taken]);
        self.inbox.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for GatedIo<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                let taken = buf.remaining().min(this.ready.len());
                buf.put_slice(&this.ready[..taken]);
                this.ready.advance(taken);
                return Poll::Ready(Ok(()));
            }
            let read = match &this.phase {
                Phase::Refused => return Poll::Pending,
                Phase::Switched => return this.poll_passing(cx, buf),
                Phase::MaySwitch => match ready!(this.poll_may_switch(cx))? {
                    true => continue,
                    false => return Poll::Ready(Ok(())),
                },
                Phase::Length(left) => {
                    let left = *left;
                    this.poll_length(left, cx, buf)
                }
                Phase::Chunks(_) => this.poll_chunks(cx, buf),
                Phase::Idle | Phase::Head => {
                    if this.keeper.shared().responses.len() >= UNWRITTEN_MAX {
                        return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
                    }
                    if this.inbox.len() > this.scanned {
                        this.idle_since = None;
                        this.try_head();
                        continue;
                    }
                    match this.poll_inbox(cx) {
                        Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                        Poll::Ready(Ok(_)) => continue,
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                        Poll::Pending => Poll::Pending,
                    }
                }
            };
            match read {
                Poll::Ready(done) => return Poll::Ready(done),
                Poll::Pending => ready!(this.poll_timer(cx))?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn limits() -> GateLimits {
        GateLimits {
            head: HeadLimits { header_bytes_max: 1024, header_fields_max: 10, target_bytes_max: 100 },
            body_bytes_max: 0,
            first_byte: S,
            head_time: S,
            body_idle: S,
            body_rate_min: 0,
            body_total: S,
            keep_alive: S,
            write_idle: S,
        }
    }

    fn answer() -> RawResponse {
        RawResponse { marker: "R".to_owned(), lines: Vec::new(), said: Vec::new(), trailers: Vec::new() }
    }

    #[tokio::test]
    async fn requests_in_a_row_whose_answers_are_not_read_do_not_pile_up() {
        let (mut sender, io) = tokio::io::duplex(64 * 1024);
        let (mut gated, keeper) = GatedIo::new(io, BytesMut::new(), limits());
        let mut canonical = [0; 256];
        for _ in 0..UNWRITTEN_MAX {
            sender.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            assert!(gated.read(&mut canonical).await.unwrap() > 0);
            // Answered, but hyper has not got rid of it.
            keeper.respond(answer());
        }
        sender.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let error = gated.read(&mut canonical).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
    }
}
