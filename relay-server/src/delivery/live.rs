//! One webhook while its sender waits: pick an agent, send the request through the tunnel, bring the answer back.
//!
//! Retried silently only where not a byte can have reached the app. When the sender hangs up, a request that was
//! sent whole may finish, and its outcome is recorded.

mod admit;
mod keep;
mod upload;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use link::{BodySend, BodyStream, ExchangeError, FrameRecv, StreamError};
use protocol::code::StreamCode;
use protocol::codec::Extensions;
use protocol::field::{BodyFraming, HeaderBlock};
use protocol::head::{Failure, FailureKind, RequestFlags, RequestHead, Response, ResponseHead, Sent, Timing};
use protocol::id::{EventId, SessionId};

use self::admit::Admitted;
use self::upload::{FirstSent, Upload};
use super::answer::AnswerBody;
use super::body::{BodyFault, RequestBody};
use super::copies::Copies;
use super::dedupe;
use super::dispatcher::Dispatcher;
use super::intake::{Fault, Intake, Receipt, Whole};
use super::recording::{Recorder, Recording};
use super::tunnelled;
use super::turns::{Turn, Turns};
use super::under_way::{FirstCopy, UnderWay};
use super::verdict::{AttemptOutcome, is_worth_a_retry};
use crate::clock::Clock;
use crate::model::{
    self, AttemptRecord, Destination, EventRecord, IfAway, IfFailed, IfSenderLeaves, IfSlow, Outcome,
    RecordedAnswer, ReplyMode, RequestShape, Source, Times,
};
use crate::refusal::Refusal;
use crate::sender::Senders;
use crate::signing::SigningKey;
use crate::store::Start;
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
    /// It was kept, for this source under this id; the sender is told so.
    Accepted(Arc<Source>, EventId, Receipt),
    /// It is a copy; the sender is told what the first, of this id, was told.
    Copy(ResponseHead, AnswerBody, EventId),
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
    /// Keeps what cannot be passed on.
    pub intake: Intake,
    /// Brings what is kept to where it belongs.
    pub dispatcher: Dispatcher,
    /// Copies of one event at the same instant.
    pub under_way: UnderWay,
    /// Whose turn it is where order is strict.
    pub turns: Turns,
    /// Who sends.
    pub senders: Senders,
    /// Signs what goes to destinations that want it.
    pub signing: SigningKey,
    /// Wall clock.
    pub clock: Clock,
    /// Where pumps and last wishes run.
    pub tasks: Tasks,
}

/// A failed try, and what is to be done about it.
enum Missed {
    /// Nobody took anything: another agent may be asked.
    Again,
    /// The sender is to be told, unless the event can be kept.
    Over(Refusal, Outcome, Timing),
    /// The app was asked and is not done.
    Slow(Box<Held>),
    /// The app answered, and its answer is one that is worth another try.
    Failed(Box<AttemptRecord>),
    SenderGone,
}

fn over(refusal: Refusal, outcome: Outcome) -> Missed {
    Missed::Over(refusal, outcome, Timing::default())
}

impl Live {
    /// Brings the webhook to its primary destination and the answer back, or keeps it, as the source's rules say.
    pub async fn deliver(&self, mut order: Order, flight: Flight, body: impl RequestBody) -> Reply {
        let mut recording = self.start_recording(&order, flight);
        let source = Arc::clone(&order.source);
        let rules = &source.rules;
        let primary = &source.destinations[0];
        let mut challenge = None;
        let admitted = match source.guard(&self.senders.vault) {
            Ok(None) => Err(body),
            Err(_) => return refuse_at_door(recording, Refusal::Unverifiable),
            Ok(Some(guard)) => {
                if let Some(refusal) = self.refused_by_head(&guard, &order, &mut recording) {
                    return refuse_at_door(recording, refusal);
                }
                // Whoever is not the provider takes no place of an agent, and is no copy of anything.
                let mut coming = match Upload::begin(body, Arc::clone(&recording.request)) {
                    Ok(coming) => coming,
                    Err(fault) => return body_fault(recording, fault),
                };
                if let Err(fault) = coming.complete(&self.intake, order.event).await {
                    return self.fault(recording, fault);
                }
                let can_ask_app = self.must_wait(&source).is_none() && self.registry.is_served(primary.id);
                match self.admit(&guard, &order, can_ask_app, &mut recording, &coming).await {
                    Ok(Admitted::In(greeting)) => {
                        challenge = greeting.map(|greeting| (guard, greeting));
                        Ok(coming)
                    }
                    Ok(Admitted::Greeted(head, body)) => return Reply::Answer(head, body),
                    Err(refusal) => return refuse_at_door(recording, refusal),
                }
            }
        };
        // Claimed before the body is touched: to touch it is to answer `Expect: 100-continue`.
        let claimed = match self.must_wait(&source) {
            Some(why) => Err(why),
            None => self.registry.claim(primary.id, primary.sharing, &[]).map_err(|no| match no {
                NoClaim::Away => "agent_away",
                NoClaim::Full => "agent_full",
            }),
        };
        let is_kept = rules.reply == ReplyMode::Accepted || rules.if_away == IfAway::Accept || rules.hold;
        match &claimed {
            Ok(_) => {}
            Err(_) if is_kept && !order.is_upgrade => {}
            Err("agent_full") => return refuse(recording, Refusal::Overloaded),
            Err(_) => return refuse(recording, Refusal::AgentAway),
        }
        let begun = admitted.or_else(|body| Upload::begin(body, Arc::clone(&recording.request)));
        let mut upload = match begun {
            Ok(upload) => upload,
            Err(fault) => return body_fault(recording, fault),
        };
        // What may have to be kept after the app has seen it is kept first: the sender cannot be asked for it again.
        if needs_whole(&source)
            && !order.is_upgrade
            && let Err(fault) = upload.complete(&self.intake, order.event).await
        {
            return self.fault(recording, fault);
        }
        let deadline = tokio::time::Instant::from_std(order.received + patience(&source));
        let first = match self.first_of_copies(&source, &mut recording, &upload, deadline).await {
            Ok(first) => first,
            Err(Copied::Before) => {
                return self.keep(&source, "duplicate", recording, upload, Start::Ready).await;
            }
            Err(Copied::StillUnderWay) => return refuse(recording, Refusal::AppSlow),
            Err(Copied::Unknown(fault)) => return self.fault(recording, fault),
        };
        if !primary.rules.events.is_empty() && !order.is_upgrade {
            if let Some(whole) = upload.whole_so_far() {
                recording.recognise(&whole.body);
            }
            if !primary.wants(recording.event_record().known.name.as_deref()) {
                return self.keep(&source, "not_wanted", recording, upload, Start::Ready).await;
            }
        }
        let mut claim = match claimed {
            Ok(claim) => claim,
            Err(why) => {
                if let Some(reply) = self.greet_after_all(challenge, &order, &mut recording).await {
                    return reply;
                }
                return self.keep(&source, why, recording, upload, Start::Ready).await;
            }
        };
        let turn = match self.turn(primary, deadline).await {
            Ok(turn) => turn,
            Err(InTurn) if is_kept && !order.is_upgrade => {
                drop(claim);
                return self.keep(&source, "in_turn", recording, upload, Start::Ready).await;
            }
            Err(InTurn) => return refuse(recording, Refusal::AppSlow),
        };
        let last_wish = || LastWish {
            live: self.clone(),
            source: Arc::clone(&source),
            whole: upload.whole_so_far(),
            _first: first,
            _turn: turn,
        };
        let mut last_wish = (keeps_live(&source) || is_strict(primary)).then(last_wish);
        if let Err(fault) = self.vouch(&mut order, &recording, &upload).await {
            return self.fault(recording, fault);
        }
        let mut tried: Vec<SessionId> = Vec::new();
        let mut head = request_head(&mut order, claim.serve);
        upload.copy_to(self.copies(&source, &head, claim.session.id));
        loop {
            recording.goes_to(claim.session.agent);
            head.serve = claim.serve;
            tried.push(claim.session.id);
            let waiting = Waiting {
                tasks: &self.tasks,
                held: None,
                last_wish: &mut last_wish,
                may_finish: rules.if_sender_leaves == IfSenderLeaves::Finish,
            };
            let missed = match self.try_once(&order, &head, &mut upload, claim, waiting, recording).await {
                Ok(reply) => return reply,
                Err((missed, back)) => {
                    recording = back;
                    missed
                }
            };
            let (refusal, outcome, timing) = match missed {
                Missed::SenderGone => return Reply::Gone,
                Missed::Slow(held) => return self.keep_slow(&source, *held, recording, upload).await,
                Missed::Failed(attempt) => {
                    let next = self.judge(&attempt, &source);
                    return self
                        .keep(&source, "app_failed", recording, upload, Start::Tried(attempt, next))
                        .await;
                }
                Missed::Over(refusal, outcome, timing) => (refusal, outcome, timing),
                Missed::Again => match self.registry.claim(primary.id, primary.sharing, &tried) {
                    Ok(next) if tried.len() < TRIES_MAX && upload.can_be_sent_again() => {
                        claim = next;
                        continue;
                    }
                    Ok(_) | Err(_) => (Refusal::AgentAway, Outcome::NotSent("agent_away"), Timing::default()),
                },
            };
            if matches!(outcome, Outcome::NotSent(_))
                && let Some(reply) = self.greet_after_all(challenge.take(), &order, &mut recording).await
            {
                return reply;
            }
            if let Outcome::NotSent(reason) = outcome
                && rules.if_away == IfAway::Accept
                && !order.is_upgrade
            {
                return self.keep_unsent(&source, reason, (refusal, timing), recording, upload).await;
            }
            recording.refused(refusal.status(), refusal.code(), outcome, timing);
            return Reply::Refused(refusal);
        }
    }

    /// Why the event cannot be passed on while its sender waits, whoever is there.
    fn must_wait(&self, source: &Source) -> Option<&'static str> {
        let primary = &source.destinations[0];
        if source.rules.reply == ReplyMode::Accepted {
            return Some("accepted");
        }
        if primary.rules.url.is_some() {
            return Some("primary_is_url");
        }
        if source.rules.hold {
            return Some("on_hold");
        }
        if primary.rules.paused {
            return Some("destination_paused");
        }
        self.is_behind(primary).then_some("in_turn")
    }

    fn is_behind(&self, primary: &Destination) -> bool {
        is_strict(primary) && self.dispatcher.has_open(primary.id)
    }

    /// Waits until everything before it is over, where order is strict.
    async fn turn(
        &self,
        primary: &Destination,
        deadline: tokio::time::Instant,
    ) -> Result<Option<Turn>, InTurn> {
        if !is_strict(primary) {
            return Ok(None);
        }
        let turn = tokio::time::timeout_at(deadline, self.turns.wait(primary.id)).await;
        // Whoever was before it may have been kept.
        turn.ok().filter(|_| !self.is_behind(primary)).map(Some).ok_or(InTurn)
    }

    /// Waits until no other copy of the event is under way, and says whether one came before. The guard keeps later
    /// copies waiting.
    async fn first_of_copies<B: RequestBody>(
        &self,
        source: &Source,
        recording: &mut Recording,
        upload: &Upload<B>,
        deadline: tokio::time::Instant,
    ) -> Result<Option<FirstCopy>, Copied> {
        let Some(rule) = source.rules.dedupe.as_ref().filter(|_| source.rules.reply == ReplyMode::Live)
        else {
            return Ok(None);
        };
        let Some(whole) = upload.whole_so_far() else { return Ok(None) };
        recording.recognise(&whole.body);
        let record = recording.event_record();
        let Some(key) = dedupe::key(rule, &record.known, &record.headers, &whole.body) else {
            return Ok(None);
        };
        let waited = tokio::time::timeout_at(deadline, self.under_way.enter(source.id, key.hash)).await;
        let Ok(first) = waited else { return Err(Copied::StillUnderWay) };
        match self.intake.store.first_copy(source.id, key).await {
            Ok(None) => Ok(Some(first)),
            Ok(Some(_)) => Err(Copied::Before),
            Err(error) => Err(Copied::Unknown(error.into())),
        }
    }

    fn fault(&self, mut recording: Recording, fault: Fault) -> Reply {
        match fault {
            Fault::Body(fault) => body_fault(recording, fault),
            Fault::Relay(refusal) => {
                let outcome = Outcome::Refused(refusal.code());
                recording.refused(refusal.status(), refusal.code(), outcome, Timing::default());
                Reply::Refused(refusal)
            }
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
            shape: RequestShape {
                mount: order.mount,
                is_chunked: order.framing == BodyFraming::Chunked,
                trailers: HeaderBlock::default(),
            },
            body: Default::default(),
            related: None,
            outcome: Outcome::NotSent("sender_gone"),
            agent: None,
            answer: RecordedAnswer::default(),
            times: Default::default(),
            is_accepted: false,
            known: Default::default(),
        };
        Recording::start(Arc::clone(&self.recorder), Box::new(record), flight, order.received)
    }

    /// Copies for the other agents of a broadcast.
    fn copies(&self, source: &Source, head: &RequestHead, primary: SessionId) -> Copies {
        let destination = &source.destinations[0];
        if destination.sharing != protocol::control::Sharing::Broadcast {
            return Copies::default();
        }
        let claims = self.registry.claim_others(destination.id, Some(primary));
        if claims.is_empty() { Copies::default() } else { Copies::start(&self.tasks, claims, head) }
    }

    async fn try_once<B: RequestBody>(
        &self,
        order: &Order,
        head: &RequestHead,
        upload: &mut Upload<B>,
        claim: Claim,
        mut waiting: Waiting<'_>,
        mut recording: Recording,
    ) -> Result<Reply, (Missed, Recording)> {
        let source = &order.source;
        let deadline = tokio::time::Instant::from_std(order.received + patience(source));
        let opened = claim.session.link().open(OPEN_DEADLINE).await;
        let Ok((half, recv)) = opened else {
            claim.session.probe();
            return Err((Missed::Again, recording));
        };
        recording.sent();
        let sent = tokio::time::timeout_at(deadline, upload.send(&self.tasks, half, head)).await;
        let upgrade_half = match sent {
            Ok(Ok(FirstSent::Under)) => None,
            Ok(Ok(FirstSent::Switchable(send))) => Some(send),
            Ok(Err(error)) if is_refusal(&error) => return Err((Missed::Again, recording)),
            Ok(Err(error)) => {
                tracing::debug!(%error, event.id = %order.event, "request broke off");
                return Err((over(Refusal::AppBroke, Outcome::SentNoAnswer("link_lost")), recording));
            }
            Err(_) => return Err((over(Refusal::AppSlow, Outcome::SentNoAnswer("app_slow")), recording)),
        };
        waiting.may_finish &= !upload.is_pumping() && !order.is_upgrade;
        waiting.held = Some(Under { held: Held { frames: FrameRecv::new(recv), claim }, recording });
        let waited = waiting.for_head(deadline, upload).await;
        let Under { held, mut recording } = waiting.held.take().expect("given above, taken here");
        let method = &head.method;
        let head = match waited {
            Waited::Head(head) => head,
            Waited::Failed(failure) => return Err((failed(&failure), recording)),
            Waited::Refused => return Err((Missed::Again, recording)),
            Waited::Broke(error) => {
                tracing::debug!(%error, event.id = %order.event, "no answer");
                return Err((over(Refusal::AppBroke, Outcome::SentNoAnswer("answer_broke")), recording));
            }
            Waited::Slow
                if source.rules.if_slow == IfSlow::Accept && upload.is_whole() && !order.is_upgrade =>
            {
                return Err((Missed::Slow(Box::new(held)), recording));
            }
            Waited::Slow => {
                return Err((over(Refusal::AppSlow, Outcome::SentNoAnswer("app_slow")), recording));
            }
            Waited::Fault(BodyFault::Gone) => return Err((Missed::SenderGone, recording)),
            Waited::Fault(BodyFault::Refused(refusal)) => {
                return Err((over(refusal, Outcome::SentNoAnswer("request_broke")), recording));
            }
        };
        let Held { frames, claim } = held;
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
        if source.rules.if_failed == IfFailed::Accept && is_worth_a_retry(head.status) && upload.is_whole() {
            let started_ms = self.clock.now_ms();
            let answer = tunnelled::read_answer(&head, frames).await;
            let times = Times {
                head_us: 0,
                total_us: u64::try_from(order.received.elapsed().as_micros()).unwrap_or(u64::MAX),
                connect_us: u64::from(head.timing.connect_us),
                app_us: u64::from(head.timing.app_us),
            };
            let outcome = AttemptOutcome::Answered(head.status);
            let agent = Some(claim.session.agent);
            let attempt =
                AttemptRecord { started_ms, outcome, text: None, agent, answer, times, is_resigned: false };
            return Err((Missed::Failed(Box::new(attempt)), recording));
        }
        let Ok(stream) = BodyStream::new(frames.into_body(head.body)) else {
            return Err((over(Refusal::AppBroke, Outcome::SentNoAnswer("answer_broke")), recording));
        };
        recording.answered(&head);
        if let Err(refusal) = self.keep_live(source, &mut recording, upload).await {
            // The app has it, the others will not: the sender hears that it is to be sent again.
            return Err((over(refusal, Outcome::Answered), recording));
        }
        let body = AnswerBody::of_app(stream, head.body, claim, recording);
        Ok(Reply::Answer(head, body))
    }
}

/// Something before it is still open, and order is strict.
struct InTurn;

/// What is left to do for an event whose sender leaves while the app is at it: later copies and later events wait for
/// its end, and what the app took is remembered.
struct LastWish {
    live: Live,
    source: Arc<Source>,
    whole: Option<Whole>,
    _first: Option<FirstCopy>,
    _turn: Option<Turn>,
}

/// Why an event is not to be passed on.
enum Copied {
    /// A copy of it was taken before.
    Before,
    /// A copy of it has been under way for as long as its sender has patience.
    StillUnderWay,
    /// That could not be found out.
    Unknown(Fault),
}

fn patience(source: &Source) -> Duration {
    Duration::from_millis(u64::from(source.patience_ms()))
}

fn is_strict(destination: &Destination) -> bool {
    destination.rules.order == model::Order::Strict
}

/// Whether an event that the app answered is put on disk all the same: for other destinations, or against copies.
fn keeps_live(source: &Source) -> bool {
    source.destinations.len() > 1 || source.rules.dedupe.is_some()
}

/// Whether the whole body has to be there before the app sees any of it.
fn needs_whole(source: &Source) -> bool {
    let rules = &source.rules;
    let primary = &source.destinations[0].rules;
    let looks_into_it = primary.sign || !primary.events.is_empty();
    let may_keep =
        rules.if_slow == IfSlow::Accept || rules.if_failed == IfFailed::Accept || keeps_live(source);
    rules.reply == ReplyMode::Live && (may_keep || looks_into_it || rules.smee)
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

fn refuse(mut recording: Recording, refusal: Refusal) -> Reply {
    recording.refused(refusal.status(), refusal.code(), Outcome::NotSent(refusal.code()), Timing::default());
    Reply::Refused(refusal)
}

/// Refused for who sends it, not for what happened on the way.
fn refuse_at_door(mut recording: Recording, refusal: Refusal) -> Reply {
    recording.refused(refusal.status(), refusal.code(), Outcome::Refused(refusal.code()), Timing::default());
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

fn failed(failure: &Failure) -> Missed {
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
        (FailureKind::APP_SLOW, _) => Missed::Over(Refusal::AppSlow, outcome("app_slow"), failure.timing),
        _ => Missed::Over(Refusal::AppBroke, outcome("app_broke"), failure.timing),
    }
}

fn is_refusal(error: &ExchangeError) -> bool {
    matches!(error, ExchangeError::Stream(StreamError::GivenUp(StreamCode::REFUSED)))
}

enum Waited {
    Head(ResponseHead),
    Failed(Failure),
    Refused,
    Broke(ExchangeError),
    Slow,
    Fault(BodyFault),
}

/// An exchange that waits for its answer.
struct Held {
    frames: FrameRecv,
    claim: Claim,
}

/// The same, with the record of its event.
struct Under {
    held: Held,
    recording: Recording,
}

/// Waits for the response head. Dropped meanwhile (the sender hung up), it lets the app finish if it may.
struct Waiting<'a> {
    tasks: &'a Tasks,
    held: Option<Under>,
    last_wish: &'a mut Option<LastWish>,
    may_finish: bool,
}

impl Waiting<'_> {
    async fn for_head<B: RequestBody>(
        &mut self,
        patience: tokio::time::Instant,
        upload: &mut Upload<B>,
    ) -> Waited {
        let held = &mut self.held.as_mut().expect("held while waiting").held;
        let probe_every = PROBE_AFTER.max(3 * held.claim.session.link().rtt());
        let wake = tokio::time::sleep_until(patience.min(tokio::time::Instant::now() + probe_every));
        tokio::pin!(wake);
        loop {
            let frame = tokio::select! {
                frame = held.frames.next_frame() => frame,
                fault = upload.broke(), if upload.is_pumping() => return Waited::Fault(fault),
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
        let Some(under) = self.held.take() else { return };
        if self.may_finish {
            let last_wish = self.last_wish.take();
            self.tasks.spawn(async move {
                let _ = tokio::time::timeout(FINISH_DEADLINE, finish(under, last_wish)).await;
            });
        }
    }
}

/// Hears the app out for the record, after its sender left.
async fn finish(under: Under, last_wish: Option<LastWish>) {
    let Under { held: Held { mut frames, claim }, mut recording } = under;
    let head = loop {
        match frames.next_frame().await.ok().flatten().map(|frame| Response::read(&frame)) {
            Some(Ok(Response::Head(head))) => break head,
            Some(Ok(Response::Interim(_))) => {}
            _ => return,
        }
    };
    recording.answered(&head);
    if let Some(LastWish { live, source, whole: Some(whole), .. }) = &last_wish
        && keeps_live(source)
        && let Err(refusal) = live.intake.take_in_live(source, &mut recording, whole.clone()).await
    {
        tracing::warn!(
            code = refusal.code(),
            "an event the app took could not be kept; its copies will pass"
        );
    }
    let mut recv = frames.into_body(head.body);
    while let Ok(Some(part)) = recv.next().await {
        match part {
            protocol::body::BodyPart::Data(data) => recording.answer.see(&data),
            protocol::body::BodyPart::End(_) => {
                recording.answer.see_end();
                break;
            }
        }
    }
    drop(claim);
}
