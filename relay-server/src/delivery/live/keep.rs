//! What becomes of a live webhook that its sender gets no answer of the app for: kept, with what is known of its first
//! attempt.

use std::sync::Arc;

use bytes::Bytes;
use protocol::codec::Extensions;
use protocol::field::{BodyFraming, HeaderBlock};
use protocol::head::{Response, ResponseHead, Timing};
use protocol::id::EventId;
use tokio::sync::oneshot;

use super::upload::Upload;
use super::{FINISH_DEADLINE, Held, Live, Reply, keeps_live, refuse};
use crate::delivery::answer::AnswerBody;
use crate::delivery::body::RequestBody;
use crate::delivery::dispatcher::judge;
use crate::delivery::intake::{Fault, Receipt, StoredAnswer, Whole};
use crate::delivery::recording::Recording;
use crate::delivery::tunnelled;
use crate::delivery::verdict::AttemptOutcome;
use crate::model::{AttemptRecord, DeliveryId, Outcome, RecordedAnswer, Source, Times};
use crate::refusal::Refusal;
use crate::store::{EventDetail, Next, OutcomeKind, Settlement, Start};

impl Live {
    /// Keeps an event whose body is still coming.
    pub(super) async fn keep<B: RequestBody>(
        &self,
        source: &Arc<Source>,
        why: &'static str,
        recording: Recording,
        upload: Upload<B>,
        start: Start,
    ) -> Reply {
        let event = recording.event();
        match upload.whole(&self.intake, event).await {
            Ok(whole) => self.keep_whole(source, why, recording, whole, start).await,
            Err(Some(fault)) => self.fault(recording, fault),
            Err(None) => refuse(recording, Refusal::AppBroke),
        }
    }

    pub(super) async fn keep_whole(
        &self,
        source: &Arc<Source>,
        why: &'static str,
        recording: Recording,
        whole: Whole,
        start: Start,
    ) -> Reply {
        let event = recording.event();
        let status = source.rules.accepted.status;
        let answer = StoredAnswer::Relay { status, why };
        let body = whole.body.bytes.clone();
        match self.intake.take_in(source, recording, whole, answer, Some(start)).await {
            Ok(Receipt { duplicate_of: Some(first) }) => {
                self.like_the_first(source, event, first, &body).await
            }
            Ok(receipt) => Reply::Accepted(Arc::clone(source), event, receipt),
            Err(Fault::Relay(refusal)) => Reply::Refused(refusal),
            Err(Fault::Body(_)) => Reply::Gone,
        }
    }

    /// The answer to a copy: what the first was told. Of an app's answer that was not kept whole only the status is left,
    /// and no more is told to whoever knows the id of an event but not what was in it.
    async fn like_the_first(
        &self,
        source: &Arc<Source>,
        event: EventId,
        first: EventId,
        body: &Bytes,
    ) -> Reply {
        let found = self.intake.store.load(vec![first]).await.unwrap_or_default().pop();
        let live = found.filter(|first| first.summary.outcome == OutcomeKind::Answered);
        let Some(EventDetail { answer, body: first_body, .. }) = live else {
            return Reply::Accepted(Arc::clone(source), event, Receipt { duplicate_of: Some(first) });
        };
        let framing = answer.headers.framing().ok().flatten();
        let is_told = !answer.body.is_truncated() && !first_body.is_in_file && first_body.bytes == *body;
        let (headers, framing, bytes) = match framing {
            Some(framing) if is_told => (answer.headers, framing, answer.body.bytes),
            _ => (HeaderBlock::default(), BodyFraming::Length(0), Bytes::new()),
        };
        let head = ResponseHead {
            status: answer.status,
            reason: Vec::new(),
            headers,
            body: framing,
            timing: Timing::default(),
            extensions: Extensions::default(),
        };
        Reply::Copy(head, AnswerBody::own(bytes), first)
    }

    /// Keeps an event of which not a byte reached the app, if its body can still be had.
    pub(super) async fn keep_unsent<B: RequestBody>(
        &self,
        source: &Arc<Source>,
        reason: &'static str,
        (refusal, timing): (Refusal, Timing),
        mut recording: Recording,
        upload: Upload<B>,
    ) -> Reply {
        let attempt = Box::new(AttemptRecord {
            started_ms: self.clock.now_ms(),
            outcome: AttemptOutcome::NotSent(reason),
            text: None,
            agent: recording.agent(),
            answer: RecordedAnswer::default(),
            times: Times { connect_us: u64::from(timing.connect_us), ..Times::default() },
            is_resigned: false,
        });
        match upload.whole(&self.intake, recording.event()).await {
            Ok(whole) => {
                let start =
                    if reason == "agent_away" { Start::Ready } else { Start::Tried(attempt, Next::Ready) };
                self.keep_whole(source, reason, recording, whole, start).await
            }
            Err(Some(fault)) => self.fault(recording, fault),
            // Too much of it is gone to keep it.
            Err(None) => {
                recording.refused(refusal.status(), refusal.code(), Outcome::NotSent(reason), timing);
                Reply::Refused(refusal)
            }
        }
    }

    /// Keeps an event whose app is not done yet: the exchange goes on, and its outcome is the first attempt's.
    pub(super) async fn keep_slow<B: RequestBody>(
        &self,
        source: &Arc<Source>,
        held: Held,
        recording: Recording,
        upload: Upload<B>,
    ) -> Reply {
        let event = recording.event();
        let started_ms = self.clock.now_ms().saturating_sub(u64::from(source.patience_ms()));
        let Some(whole) = upload.into_whole() else { return refuse(recording, Refusal::AppSlow) };
        let (tell, told) = oneshot::channel();
        let (this, source) = (self.clone(), Arc::clone(source));
        // In a task of its own: a sender who hangs up just now must not leave behind a lease that nobody settles.
        self.tasks.spawn(async move {
            let start = Start::UnderWay(started_ms);
            let reply = this.keep_whole(&source, "app_slow", recording, whole, start).await;
            let is_kept = matches!(reply, Reply::Accepted(_, _, Receipt { duplicate_of: None }));
            let _ = tell.send(reply);
            if is_kept {
                this.hear_out(source, event, held, started_ms).await;
            }
        });
        told.await.unwrap_or(Reply::Gone)
    }

    /// Waits for an app that was too slow for its sender, and settles the delivery with what it says.
    async fn hear_out(&self, source: Arc<Source>, event: EventId, mut held: Held, started_ms: u64) {
        let heard = tokio::time::timeout(FINISH_DEADLINE, async {
            loop {
                match held.frames.next_frame().await.ok().flatten().map(|frame| Response::read(&frame)) {
                    Some(Ok(Response::Head(head))) => break Ok(head),
                    Some(Ok(Response::Interim(_))) => {}
                    Some(Ok(Response::Failure(failure))) => break Err(Some(failure)),
                    _ => break Err(None),
                }
            }
        });
        let agent = Some(held.claim.session.agent);
        let of = |outcome, text, answer, timing: Timing| {
            let times = Times {
                head_us: 0,
                total_us: self.clock.now_ms().saturating_sub(started_ms) * 1_000,
                connect_us: u64::from(timing.connect_us),
                app_us: u64::from(timing.app_us),
            };
            Box::new(AttemptRecord { started_ms, outcome, text, agent, answer, times, is_resigned: false })
        };
        let attempt = match heard.await {
            Ok(Ok(head)) => {
                let answer = tunnelled::read_answer(&head, held.frames).await;
                of(AttemptOutcome::Answered(head.status), None, answer, head.timing)
            }
            Ok(Err(Some(failure))) => {
                let outcome = tunnelled::outcome_of(&failure);
                of(outcome, Some(failure.text), RecordedAnswer::default(), failure.timing)
            }
            Ok(Err(None)) => of(
                AttemptOutcome::SentNoAnswer("answer_broke"),
                None,
                RecordedAnswer::default(),
                Timing::default(),
            ),
            Err(_) => of(
                AttemptOutcome::SentNoAnswer("app_slow"),
                None,
                RecordedAnswer::default(),
                Timing::default(),
            ),
        };
        let next = self.judge(&attempt, &source);
        let settlement =
            Settlement { delivery: DeliveryId { event, no: 1 }, attempt: 1, record: Some(attempt), next };
        self.dispatcher.live_is_over(source.destinations[0].id, settlement);
    }

    pub(super) fn judge(&self, attempt: &AttemptRecord, source: &Source) -> Next {
        judge(attempt, &source.destinations[0], 1, attempt.started_ms, self.clock.now_ms())
    }

    /// Puts an event that the app answered on disk for the other destinations, and against copies, before its sender
    /// hears of it.
    pub(super) async fn keep_live<B: RequestBody>(
        &self,
        source: &Arc<Source>,
        recording: &mut Recording,
        upload: &Upload<B>,
    ) -> Result<(), Refusal> {
        if !keeps_live(source) {
            return Ok(());
        }
        match upload.whole_so_far() {
            Some(whole) => self.intake.take_in_live(source, recording, whole).await,
            // A switched protocol has no body to keep.
            None => Ok(()),
        }
    }
}
