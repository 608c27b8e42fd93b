//! One webhook while its sender waits: pick an agent, send the request through the tunnel, bring the answer back.
//!
//! Retried silently only where not a byte can have reached the app. When the sender hangs up, a request that was
//! sent whole may finish, and its outcome is recorded.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use link::{BodySend, BodyStream, ExchangeError, FrameRecv, SendHalf, StreamError};
use protocol::code::StreamCode;
use protocol::codec::Extensions;
use protocol::field::{BodyFraming, HeaderBlock};
use protocol::head::{Failure, FailureKind, RequestFlags, RequestHead, Response, ResponseHead, Sent, Timing};
use protocol::id::{EventId, SessionId};
use tokio::sync::oneshot;

use super::answer::AnswerBody;
use super::body::{BodyFault, Gathered, Piece, RequestBody, gather, next_piece};
use super::copies::Copies;
use super::recording::{Recorder, Recording};
use crate::model::{EventRecord, IfAway, IfSenderLeaves, IfSlow, Outcome, RecordedAnswer, Source};
use crate::refusal::Refusal;
use crate::tunnel::registry::{Claim, NoClaim, Registry};
use link::Tasks;

/// How long a stream may take to open. The agent allows more streams than we ever use, so only a dead link waits.
pub const OPEN_DEADLINE: Duration = Duration::from_secs(2);

/// A head unanswered for this long makes us ask whether the agent is still there.
const PROBE_AFTER: Duration = Duration::from_millis(500);

/// Agents asked in turn while nothing was sent.
const TRIES_MAX: usize = 3;

/// How long an app may go on after its sender hung up. As long as an agent waits for an answer.
const FINISH_DEADLINE: Duration = Duration::from_secs(60);

/// A webhook at the door, all but its body.
#[derive(Debug)]
pub struct Order {
    /// The event's id, already said to nobody.
    pub event: EventId,
    /// Through which source.
    pub source: Arc<Source>,
    /// Who sends.
    pub remote: IpAddr,
    /// When its head was complete.
    pub received: Instant,
    /// Method token.
    pub method: String,
    /// Target as sent.
    pub target: Vec<u8>,
    /// How many bytes of the target found the source.
    pub mount: u16,
    /// Fields to forward.
    pub headers: HeaderBlock,
    /// How the body ends.
    pub framing: BodyFraming,
    /// The sender asks to switch protocols, and may.
    pub is_upgrade: bool,
}

/// A place in a source's flight, given back when dropped: when the answer has left, not just its head.
#[derive(Debug)]
pub struct Flight(pub Arc<AtomicU32>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Both directions of a connection that switched protocols.
pub struct Switched {
    /// Towards the app.
    pub send: BodySend,
    /// From the app.
    pub recv: link::BodyRecv,
    /// Held while it lasts.
    pub claim: Claim,
    /// Written when it is over.
    pub recording: Recording,
}

/// What the sender gets.
pub enum Reply {
    /// The app's answer.
    Answer(ResponseHead, AnswerBody),
    /// The app's yes to a protocol switch (101).
    Switched(ResponseHead, Box<Switched>),
    /// The relay's own no.
    Refused(Refusal),
    /// Nobody is there to be told.
    Gone,
}

/// The live path.
#[derive(Clone)]
pub struct Live {
    /// Who serves what.
    pub registry: Registry,
    /// Writes events down.
    pub recorder: Arc<Recorder>,
    /// Where pumps and last wishes run.
    pub tasks: Tasks,
}

/// A failed try, and whether another agent may be asked.
enum Missed {
    Again,
    Over(Refusal, Outcome, Timing),
    SenderGone,
}

fn over(refusal: Refusal, outcome: Outcome) -> Missed {
    Missed::Over(refusal, outcome, Timing::default())
}

impl Live {
    /// Brings the webhook to its primary destination and the answer back.
    pub async fn deliver(&self, mut order: Order, flight: Flight, mut body: impl RequestBody) -> Reply {
        let mut recording = self.start_recording(&order, flight);
        let source = Arc::clone(&order.source);
        let primary = &source.destinations[0];
        let mut tried: Vec<SessionId> = Vec::new();
        // Claimed before the body is touched: to touch it is to answer `Expect: 100-continue`.
        let mut claim = match self.registry.claim(primary.id, primary.sharing, &[]) {
            Ok(claim) => claim,
            Err(no) => return refuse(recording, no_claim(&order.source, no)),
        };
        let gathered = match gather(&mut body) {
            Ok(gathered) => gathered,
            Err(fault) => return body_fault(recording, fault),
        };
        for piece in &gathered.pieces {
            recording.see_request(piece);
        }
        if gathered.end.is_some() {
            recording.see_request_end();
        }
        let mut head = request_head(&mut order, claim.serve);
        let mut copies = self.copies(&order, &head, claim.session.id);
        for piece in &gathered.pieces {
            copies.data(piece);
        }
        let mut body = Some((body, copies));
        loop {
            recording.goes_to(claim.session.agent);
            head.serve = claim.serve;
            tried.push(claim.session.id);
            let waiting = Waiting {
                tasks: &self.tasks,
                held: None,
                may_finish: order.source.rules.if_sender_leaves == IfSenderLeaves::Finish,
            };
            let missed =
                match self.try_once(&order, &head, &gathered, &mut body, claim, waiting, recording).await {
                    Ok(reply) => return reply,
                    Err((missed, back)) => {
                        recording = back;
                        missed
                    }
                };
            let last = match missed {
                Missed::SenderGone => return Reply::Gone,
                Missed::Over(refusal, outcome, timing) => (refusal, outcome, timing),
                Missed::Again => match self.registry.claim(primary.id, primary.sharing, &tried) {
                    Ok(next) if tried.len() < TRIES_MAX && (gathered.end.is_some() || body.is_some()) => {
                        claim = next;
                        continue;
                    }
                    Ok(_) | Err(_) => {
                        let refusal = no_claim(&order.source, NoClaim::Away);
                        (refusal, Outcome::NotSent("no agent took it"), Timing::default())
                    }
                },
            };
            recording.refused(last.0.status(), last.0.code(), last.1, last.2);
            return Reply::Refused(last.0);
        }
    }

    fn start_recording(&self, order: &Order, flight: Flight) -> Recording {
        let record = EventRecord {
            id: order.event,
            source: order.source.id,
            remote: order.remote,
            method: order.method.clone(),
            target: order.target.clone(),
            headers: order.headers.clone(),
            body: Default::default(),
            outcome: Outcome::NotSent("sender_gone"),
            agent: None,
            answer: RecordedAnswer { status: 0, headers: HeaderBlock::default(), body: Default::default() },
            times: Default::default(),
        };
        Recording::start(Arc::clone(&self.recorder), Box::new(record), flight, order.received)
    }

    fn copies(&self, order: &Order, head: &RequestHead, primary: SessionId) -> Copies {
        let mut claims = Vec::new();
        let mut destinations = order.source.destinations.iter();
        if let Some(first) = destinations.next()
            && first.sharing == protocol::control::Sharing::Broadcast
        {
            claims = self.registry.claim_others(first.id, Some(primary));
        }
        for other in destinations {
            if other.sharing == protocol::control::Sharing::Broadcast {
                claims.extend(self.registry.claim_others(other.id, None));
            } else if let Ok(claim) = self.registry.claim(other.id, other.sharing, &[]) {
                claims.push(claim);
            }
        }
        if claims.is_empty() { Copies::default() } else { Copies::start(&self.tasks, claims, head) }
    }

    #[expect(clippy::too_many_arguments, reason = "one try needs everything one delivery has")]
    async fn try_once<B: RequestBody>(
        &self,
        order: &Order,
        head: &RequestHead,
        gathered: &Gathered,
        body: &mut Option<(B, Copies)>,
        claim: Claim,
        mut waiting: Waiting<'_>,
        mut recording: Recording,
    ) -> Result<Reply, (Missed, Recording)> {
        let patience = Duration::from_millis(u64::from(order.source.rules.patience_ms));
        let deadline = tokio::time::Instant::from_std(order.received + patience);
        let opened = claim.session.link().open(OPEN_DEADLINE).await;
        let Ok((half, recv)) = opened else {
            claim.session.probe();
            return Err((Missed::Again, recording));
        };
        recording.sent();
        let sent = tokio::time::timeout_at(deadline, send_first(half, head, gathered)).await;
        let rest = match sent {
            Ok(Ok(rest)) => rest,
            Ok(Err(error)) if is_refusal(&error) => return Err((Missed::Again, recording)),
            Ok(Err(error)) => {
                tracing::debug!(%error, event.id = %order.event, "request broke off");
                return Err((over(Refusal::AppBroke, Outcome::SentNoAnswer("link_lost")), recording));
            }
            Err(_) => return Err((over(too_slow(order), Outcome::SentNoAnswer("app_slow")), recording)),
        };
        let mut fault = None;
        let mut upgrade_half = None;
        match rest {
            Rest::Nothing => {
                if let Some((_, copies)) = body.take() {
                    copies.end(gathered.end.as_ref().unwrap_or(&HeaderBlock::default()));
                }
            }
            Rest::Switchable(send) => upgrade_half = Some(send),
            // From here on the body is on its way and cannot be sent to anybody else.
            Rest::Body(send) => {
                if let Some((body, copies)) = body.take() {
                    let (tell, told) = oneshot::channel();
                    let capture = Arc::clone(&recording.request);
                    self.tasks.spawn(async move {
                        let end = pump(body, send, capture, copies).await;
                        let _ = tell.send(end);
                    });
                    fault = Some(told);
                }
            }
        }
        waiting.may_finish &= fault.is_none() && !order.is_upgrade;
        waiting.held = Some(Held { frames: FrameRecv::new(recv), claim, recording });
        let waited = waiting.for_head(deadline, fault).await;
        let Held { frames, claim, recording } = waiting.held.take().expect("given above, taken here");
        let method = &head.method;
        let head = match waited {
            Waited::Head(head) => head,
            Waited::Failed(failure) => return Err((failed(order, &failure), recording)),
            Waited::Refused => return Err((Missed::Again, recording)),
            Waited::Broke(error) => {
                tracing::debug!(%error, event.id = %order.event, "no answer");
                return Err((over(Refusal::AppBroke, Outcome::SentNoAnswer("answer_broke")), recording));
            }
            Waited::Slow => {
                return Err((over(too_slow(order), Outcome::SentNoAnswer("app_slow")), recording));
            }
            Waited::Fault(BodyFault::Gone) => return Err((Missed::SenderGone, recording)),
            Waited::Fault(BodyFault::Refused(refusal)) => {
                return Err((over(refusal, Outcome::SentNoAnswer("request_broke")), recording));
            }
        };
        let mut recording = recording;
        if head.status == 101 {
            let Some(send) = upgrade_half else {
                // Nobody asked to switch: an app that does so anyway is not understood.
                return Err((over(Refusal::AppBroke, Outcome::SentNoAnswer("unasked_switch")), recording));
            };
            recording.answered(&head);
            let recv = frames.into_body(BodyFraming::Chunked);
            return Ok(Reply::Switched(head, Box::new(Switched { send, recv, claim, recording })));
        }
        drop(upgrade_half);
        if head.body == BodyFraming::None && promises_body(&head, method) {
            return Err((over(Refusal::AppBroke, Outcome::SentNoAnswer("answer_broke")), recording));
        }
        let Ok(stream) = BodyStream::new(frames.into_body(head.body)) else {
            return Err((over(Refusal::AppBroke, Outcome::SentNoAnswer("answer_broke")), recording));
        };
        recording.answered(&head);
        let body = AnswerBody::of_app(stream, head.body, claim, recording);
        Ok(Reply::Answer(head, body))
    }
}

/// The head as the agent gets it. Takes what it needs out of the order, whose record has a copy.
fn request_head(order: &mut Order, serve: u32) -> RequestHead {
    let mut flags = RequestFlags::default();
    if order.is_upgrade {
        flags = flags.with(RequestFlags::UPGRADE);
    }
    if order.source.rules.if_sender_leaves == IfSenderLeaves::Cancel {
        flags = flags.with(RequestFlags::CANCEL_WITH_SENDER);
    }
    RequestHead {
        event: order.event,
        attempt: 1,
        serve,
        flags,
        patience_ms: order.source.rules.patience_ms,
        method: std::mem::take(&mut order.method),
        target: std::mem::take(&mut order.target),
        mount: order.mount,
        headers: std::mem::take(&mut order.headers),
        body: order.framing,
        extensions: Extensions::default(),
    }
}

/// Whether the fields of a head speak of a body that has to come: an agent that sends none would have the sender take
/// the next answer for it.
fn promises_body(head: &ResponseHead, method: &str) -> bool {
    let may_speak_of_it = method == "HEAD" || matches!(head.status, 204 | 304);
    !may_speak_of_it
        && !matches!(head.headers.framing(), Ok(None | Some(BodyFraming::None | BodyFraming::Length(0))))
}

fn no_claim(source: &Source, no: NoClaim) -> Refusal {
    match (no, source.rules.if_away) {
        (NoClaim::Full, _) => Refusal::Overloaded,
        // Stored deliveries do not exist yet, so `accept` cannot promise anything either.
        (NoClaim::Away, IfAway::Accept | IfAway::Refuse) => Refusal::AgentAway,
    }
}

fn too_slow(order: &Order) -> Refusal {
    match order.source.rules.if_slow {
        IfSlow::Fail => Refusal::AppSlow,
        IfSlow::Accept => Refusal::NotKept,
    }
}

fn refuse(mut recording: Recording, refusal: Refusal) -> Reply {
    recording.refused(refusal.status(), refusal.code(), Outcome::NotSent(refusal.code()), Timing::default());
    Reply::Refused(refusal)
}

fn body_fault(mut recording: Recording, fault: BodyFault) -> Reply {
    match fault {
        BodyFault::Gone => Reply::Gone,
        BodyFault::Refused(refusal) => {
            let outcome = Outcome::Refused(refusal.code());
            recording.refused(refusal.status(), refusal.code(), outcome, Timing::default());
            Reply::Refused(refusal)
        }
    }
}

fn failed(order: &Order, failure: &Failure) -> Missed {
    let outcome = |code| match failure.sent {
        Sent::No => Outcome::NotSent(code),
        Sent::Maybe => Outcome::SentNoAnswer(code),
    };
    match (failure.kind, failure.sent) {
        (FailureKind::DRAINING | FailureKind::NOT_SERVED | FailureKind::OVERLOADED, Sent::No) => {
            Missed::Again
        }
        (FailureKind::APP_REFUSED, _) => {
            Missed::Over(Refusal::AppRefused, outcome("app_refused"), failure.timing)
        }
        (FailureKind::APP_SLOW, _) => Missed::Over(too_slow(order), outcome("app_slow"), failure.timing),
        _ => Missed::Over(Refusal::AppBroke, outcome("app_broke"), failure.timing),
    }
}

fn is_refusal(error: &ExchangeError) -> bool {
    matches!(error, ExchangeError::Stream(StreamError::GivenUp(StreamCode::REFUSED)))
}

enum Rest {
    /// All of the body was sent.
    Nothing,
    /// More is to come.
    Body(BodySend),
    /// The stream stays open, in case the app switches protocols.
    Switchable(BodySend),
}

/// Sends head and gathered body in one write; ends the body if that was all.
async fn send_first(half: SendHalf, head: &RequestHead, gathered: &Gathered) -> Result<Rest, ExchangeError> {
    let mut bytes = Vec::with_capacity(head.headers.as_bytes().len() + head.target.len() + 128);
    head.write(&mut bytes);
    if head.flags.has(RequestFlags::UPGRADE) {
        let mut send = BodySend::new(half, bytes.into(), BodyFraming::Chunked);
        send.flush().await?;
        return Ok(Rest::Switchable(send));
    }
    let mut send = BodySend::new(half, bytes.into(), head.body);
    for piece in &gathered.pieces {
        send.queue(piece.clone())?;
    }
    if let Some(trailers) = &gathered.end {
        send.end(trailers).await?;
        return Ok(Rest::Nothing);
    }
    send.flush().await?;
    Ok(Rest::Body(send))
}

/// Moves the rest of a request body into the tunnel at the pace of the slower side.
async fn pump(
    mut body: impl RequestBody,
    mut send: BodySend,
    capture: Arc<std::sync::Mutex<super::capture::Capture>>,
    mut copies: Copies,
) -> Option<BodyFault> {
    let mut trailers = HeaderBlock::default();
    loop {
        let piece = match next_piece(&mut body).await {
            Ok(Some(Piece::Data(data))) => data,
            Ok(Some(Piece::Trailers(block))) => {
                trailers = block;
                continue;
            }
            Ok(None) => {
                capture.lock().expect("capture lock").see_end();
                copies.end(&trailers);
                // A short body resets the stream: the app sees a broken request, never a short complete one.
                return match send.end(&trailers).await {
                    Err(ExchangeError::Body(_)) => Some(BodyFault::Gone),
                    _ => None,
                };
            }
            Err(fault) => {
                send.reset(StreamCode::CANCELLED);
                return Some(fault);
            }
        };
        capture.lock().expect("capture lock").see(&piece);
        copies.data(&piece);
        let sent = match send.queue(piece) {
            Ok(()) => send.flush().await,
            Err(_) => return Some(BodyFault::Gone),
        };
        if sent.is_err() {
            // An early answer: the app wants no more of it. Whoever waits for the head hears why.
            return None;
        }
    }
}

enum Waited {
    Head(ResponseHead),
    Failed(Failure),
    Refused,
    Broke(ExchangeError),
    Slow,
    Fault(BodyFault),
}

struct Held {
    frames: FrameRecv,
    claim: Claim,
    recording: Recording,
}

/// Waits for the response head. Dropped meanwhile (the sender hung up), it lets the app finish if it may.
struct Waiting<'a> {
    tasks: &'a Tasks,
    held: Option<Held>,
    may_finish: bool,
}

impl Waiting<'_> {
    async fn for_head(
        &mut self,
        patience: tokio::time::Instant,
        mut fault: Option<oneshot::Receiver<Option<BodyFault>>>,
    ) -> Waited {
        let held = self.held.as_mut().expect("held while waiting");
        let probe_every = PROBE_AFTER.max(3 * held.claim.session.link().rtt());
        let wake = tokio::time::sleep_until(patience.min(tokio::time::Instant::now() + probe_every));
        tokio::pin!(wake);
        loop {
            let frame = tokio::select! {
                frame = held.frames.next_frame() => frame,
                end = async { fault.as_mut().expect("guarded").await }, if fault.is_some() => {
                    fault = None;
                    match end {
                        Ok(Some(fault)) => return Waited::Fault(fault),
                        Ok(None) | Err(_) => continue,
                    }
                }
                () = &mut wake => {
                    let now = tokio::time::Instant::now();
                    if now >= patience {
                        return Waited::Slow;
                    }
                    held.claim.session.probe();
                    wake.as_mut().reset(patience.min(now + probe_every));
                    continue;
                }
            };
            match frame.map(|frame| frame.map(|frame| Response::read(&frame))) {
                Ok(Some(Ok(Response::Head(head)))) => return Waited::Head(head),
                // hyper cannot send interim responses but 100; the final one says the same again.
                Ok(Some(Ok(Response::Interim(_)))) => {}
                Ok(Some(Ok(Response::Failure(failure)))) => return Waited::Failed(failure),
                Ok(Some(Err(error))) => {
                    tracing::warn!(%error, session.id = %held.claim.session.id, "agent sent a response that cannot be");
                    return Waited::Broke(StreamError::GivenUp(StreamCode::PROTOCOL).into());
                }
                Ok(None) => return Waited::Broke(protocol::body::BodyError::Truncated.into()),
                Err(error) if is_refusal(&error) => return Waited::Refused,
                Err(error) => return Waited::Broke(error),
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        if self.may_finish {
            self.tasks.spawn(async move {
                let _ = tokio::time::timeout(FINISH_DEADLINE, finish(held)).await;
            });
        }
    }
}

/// Hears the app out for the record, after its sender left.
async fn finish(mut held: Held) {
    let head = loop {
        match held.frames.next_frame().await.ok().flatten().map(|frame| Response::read(&frame)) {
            Some(Ok(Response::Head(head))) => break head,
            Some(Ok(Response::Interim(_))) => {}
            _ => return,
        }
    };
    held.recording.answered(&head);
    let mut recv = held.frames.into_body(head.body);
    while let Ok(Some(part)) = recv.next().await {
        match part {
            protocol::body::BodyPart::Data(data) => held.recording.answer.see(&data),
            protocol::body::BodyPart::End(_) => {
                held.recording.answer.see_end();
                return;
            }
        }
    }
}
