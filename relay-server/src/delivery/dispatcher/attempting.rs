//! One attempt from its lease to its settlement, on every way out.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use protocol::codec::Extensions;
use protocol::field::{BodyFraming, HeaderBlock, is_field_value};
use protocol::head::{RequestFlags, RequestHead};
use protocol::id::{AgentId, EventId};
use tokio::io::AsyncReadExt;

use super::{Dispatcher, Finished, Parts};
use crate::delivery::retry_after::retry_after;
use crate::delivery::tunnelled::{self, ANSWER_BYTES_MAX, StoredBody, Tried};
use crate::delivery::url::{UrlBody, UrlOutcome, UrlRequest};
use crate::delivery::verdict::{
    AttemptOutcome, BODY_UNREADABLE, EVENT_UNREADABLE, Verdict, verdict, was_reached,
};
use crate::entropy;
use crate::jq::{JqError, JqEvent, Unshown, apply, document, is_match, looks_like_json};
use crate::model::{AttemptRecord, Destination, RecordedAnswer, Source, Times};
use crate::store::{EventDetail, Health, INLINE_BYTES_MAX, Leased, Next, Settlement, StoreError};

/// Bytes of a body in a file that are looked at to see whether it is JSON. One that begins with more white space counts
/// as JSON.
const START_BYTES: u64 = 4 * 1024;

/// An attempt that was leased. Dropped before its end, it is settled as one that may have reached the app.
pub(super) struct Attempting {
    dispatcher: Dispatcher,
    leased: Leased,
    started_ms: u64,
    finished: Option<Finished>,
}

/// What an attempt came to.
struct End {
    record: Option<Box<AttemptRecord>>,
    next: Next,
    was_reached: Option<bool>,
}

impl End {
    /// No attempt was made; everything as before.
    fn put_back(was_reached: Option<bool>) -> Self {
        Self { record: None, next: Next::Ready, was_reached }
    }

    /// Ended by a rule, before anything was sent.
    fn cancelled(reason: &'static str) -> Self {
        Self { record: None, next: Next::Cancelled(reason), was_reached: None }
    }
}

/// The request as it will be sent.
struct Request {
    method: String,
    target: Vec<u8>,
    mount: u16,
    headers: HeaderBlock,
    framing: BodyFraming,
    trailers: HeaderBlock,
    body: StoredBody,
    is_resigned: bool,
}

impl Attempting {
    pub(super) fn new(dispatcher: Dispatcher, leased: Leased) -> Self {
        let started_ms = dispatcher.inner.parts.clock.now_ms();
        let cut_off = AttemptRecord {
            started_ms,
            outcome: AttemptOutcome::SentNoAnswer("relay_stopped"),
            text: None,
            agent: None,
            answer: RecordedAnswer::default(),
            times: Times::default(),
            is_resigned: false,
        };
        let settlement = Settlement {
            delivery: leased.delivery,
            attempt: leased.attempt,
            record: Some(Box::new(cut_off)),
            next: Next::Ready,
        };
        let finished = Finished {
            destination: leased.destination,
            settlement,
            was_reached: None,
            memory_bytes: Some(leased.memory_bytes),
        };
        Self { dispatcher, leased, started_ms, finished: Some(finished) }
    }

    pub(super) fn event(&self) -> EventId {
        self.leased.delivery.event
    }

    fn end(mut self, end: End) {
        if let Some(finished) = &mut self.finished {
            finished.settlement.record = end.record;
            finished.settlement.next = end.next;
            finished.was_reached = end.was_reached;
        }
    }

    fn parts(&self) -> &Parts {
        &self.dispatcher.inner.parts
    }

    /// Makes the attempt with the event as it was stored.
    pub(super) async fn make(self, event: Option<EventDetail>) {
        let end = self.made(event).await;
        self.end(end);
    }

    /// The same with an event that still has to be read.
    pub(super) async fn load_and_make(self) {
        let store = &self.parts().store;
        let end = match store.load(vec![self.event()]).await {
            Ok(mut events) => self.made(events.pop()).await,
            Err(StoreError::Busy | StoreError::Closed) => End::put_back(Some(false)),
            Err(_) if matches!(store.health(), Health::Poisoned(_)) => End::put_back(None),
            Err(error) => self.unread(EVENT_UNREADABLE, format!("the event could not be read: {error}")),
        };
        self.end(end);
    }

    /// The store, or a file, does not give up what is to be sent. Others may be read all the same.
    fn unread(&self, reason: &'static str, text: String) -> End {
        let outcome = AttemptOutcome::NotSent(reason);
        let record = self.record(outcome, Some(text), None, Default::default(), Default::default());
        let source = self.parts().store.source_of(self.leased.destination);
        match source.as_ref().and_then(|source| source.destination(self.leased.destination)) {
            Some(destination) => self.judged(record, destination),
            None => End::cancelled("destination_deleted"),
        }
    }

    async fn made(&self, event: Option<EventDetail>) -> End {
        // Retention keeps what waits: only a hand in the database can have done that.
        let Some(event) = event else {
            return self.dead("event_gone", "the event is not in the store".to_owned());
        };
        let store = &self.parts().store;
        let source = store.source_of(self.leased.destination);
        let Some((source, destination)) = source.and_then(|source| {
            let destination = source.destination(self.leased.destination)?.clone();
            Some((source, destination))
        }) else {
            return End::cancelled("destination_deleted");
        };
        let request = match self.request(event, &source, &destination).await {
            Ok(request) => request,
            Err(end) => return end,
        };
        let is_resigned = request.is_resigned;
        let mut end = match &destination.rules.url {
            Some(url) => self.by_url(url.clone(), request, &destination).await,
            None => self.by_agent(request, &destination).await,
        };
        if let Some(record) = &mut end.record {
            record.is_resigned = is_resigned;
        }
        end
    }

    /// An end without an answer that no later attempt can better.
    fn dead(&self, reason: &'static str, text: String) -> End {
        let record = self.record(
            AttemptOutcome::NotSent(reason),
            Some(text),
            None,
            Default::default(),
            Default::default(),
        );
        End { record: Some(record), next: Next::Dead(reason), was_reached: None }
    }

    fn record(
        &self,
        outcome: AttemptOutcome,
        text: Option<String>,
        agent: Option<AgentId>,
        answer: RecordedAnswer,
        times: Times,
    ) -> Box<AttemptRecord> {
        Box::new(AttemptRecord {
            started_ms: self.started_ms,
            outcome,
            text,
            agent,
            answer,
            times,
            is_resigned: false,
        })
    }

    /// What is sent of the event: filtered, transformed, signed.
    async fn request(
        &self,
        event: EventDetail,
        source: &Source,
        destination: &Destination,
    ) -> Result<Request, End> {
        let id = event.summary.id;
        let framing = event.headers.framing().ok().flatten();
        let body = if event.body.is_in_file {
            StoredBody::File(self.parts().store.body_files().path(id), event.body.total_bytes)
        } else {
            StoredBody::Bytes(event.body.bytes)
        };
        // A row that a person or a restored backup brought may say more than there is.
        let is_within = usize::from(event.shape.mount) <= event.summary.target.len();
        let mut request = Request {
            method: event.summary.method,
            target: event.summary.target,
            mount: if is_within { event.shape.mount } else { 0 },
            headers: event.headers,
            framing: framing.unwrap_or(if event.shape.is_chunked {
                BodyFraming::Chunked
            } else {
                BodyFraming::None
            }),
            trailers: event.shape.trailers,
            body,
            is_resigned: false,
        };
        if !destination.wants(event.summary.name.as_deref()) {
            return Err(End::cancelled("filtered"));
        }
        if let Some(filter) = &destination.rules.filter {
            self.filter(filter, id, source, &request).await?;
        }
        if let Some(transform) = &destination.rules.transform {
            self.transform(transform, id, source, &mut request).await?;
        }
        let mut ours = vec![
            ("Relay-Event-Id".to_owned(), id.to_string()),
            ("Relay-Attempt".to_owned(), self.leased.attempt.to_string()),
        ];
        // Through a tunnel the agent says it, as the request's flags tell it to.
        if self.leased.is_replay && destination.rules.url.is_some() {
            ours.push(("Relay-Replay".to_owned(), "1".to_owned()));
        }
        let is_published = event.summary.reason.as_deref() == Some("published");
        // Only what was signed before, or what its owner has made of that.
        let signature = event.summary.signature.as_deref();
        let was_signed = matches!(signature, Some("verified" | "sender_verified"));
        if let Some(provider) = source.rules.provider.as_ref().filter(|_| was_signed) {
            ours.push(("Relay-Verified".to_owned(), provider.name.clone()));
        }
        let name = event.summary.name.as_ref().filter(|name| is_field_value(name.as_bytes()));
        if let Some(name) = name.filter(|_| source.rules.provider.is_some()) {
            ours.push(("Relay-Event-Name".to_owned(), name.clone()));
        }
        if was_signed || signature == Some("edited") {
            if let Ok(Some(guard)) = source.guard(&self.parts().senders.vault)
                && guard.has_secret_fields()
            {
                request.headers = guard.with_secrets(&request.headers);
            }
            let fields = self.resign(source, &request, signature == Some("sender_verified")).await;
            request.is_resigned = !fields.is_empty();
            ours.extend(fields);
        }
        if destination.rules.sign || is_published {
            let now_s = self.parts().clock.now_ms() / 1000;
            let signing = self.parts().signing.clone();
            let body = request.body.clone();
            let of = self.leased.destination;
            // A file is read to be signed.
            let signed = tokio::task::spawn_blocking(move || signing.sign(of, id, now_s, &body)).await;
            match signed {
                Ok(Ok(fields)) => {
                    ours.extend(fields.map(|(name, value)| (name.to_owned(), value)));
                }
                _ => {
                    return Err(self.unread(BODY_UNREADABLE, "the stored body could not be read".to_owned()));
                }
            }
        }
        let mut headers = HeaderBlock::with_capacity(request.headers.as_bytes().len() + 256);
        let is_replaced =
            |name: &[u8]| ours.iter().any(|(ours, _)| name.eq_ignore_ascii_case(ours.as_bytes()));
        let copied = headers.copy_from(&request.headers, |name, _| !is_replaced(name));
        let added = ours.iter().try_for_each(|(name, value)| headers.push(name.as_bytes(), value.as_bytes()));
        if copied.is_err() || added.is_err() {
            return Err(self
                .dead("headers_too_large", "the header has no room for the relay's own fields".to_owned()));
        }
        request.headers = headers;
        Ok(request)
    }

    /// The fields that sign the request as the provider would now, where the source wants that and it can be done.
    async fn resign(
        &self,
        source: &Source,
        request: &Request,
        is_body_unsigned: bool,
    ) -> Vec<(String, String)> {
        let senders = self.parts().senders.clone();
        let guard = match source.guard(&senders.vault) {
            Ok(Some(guard)) if guard.resigns && guard.is_checked && guard.verifier.can_sign() => guard,
            _ => return Vec::new(),
        };
        // A scheme that says less was checked then: its body is not to be vouched for now.
        if is_body_unsigned && guard.provider.covers_body {
            return Vec::new();
        }
        let name = guard.provider.name.to_owned();
        let (method, headers, body) = (request.method.clone(), request.headers.clone(), request.body.clone());
        let url = senders.url(request.mount, &request.target, &headers);
        let is_in_file = matches!(body, StoredBody::File(..));
        let permit = if is_in_file { senders.place_for_body().await } else { None };
        if is_in_file && permit.is_none() {
            return Vec::new();
        }
        let signed = tokio::task::spawn_blocking(move || {
            let read;
            let body = match &body {
                StoredBody::Bytes(bytes) => &bytes[..],
                StoredBody::File(path, _) => {
                    read = std::fs::read(path).ok()?;
                    &read
                }
            };
            let asked = provider::Request { method: &method, url: &url, headers: &headers, body };
            guard.verifier.sign(&asked, senders.clock.now_ms()).ok()
        });
        let Ok(Some(mut fields)) = signed.await else { return Vec::new() };
        fields.push(("Relay-Resigned".to_owned(), name));
        fields
    }

    async fn filter(&self, filter: &str, id: EventId, source: &Source, request: &Request) -> Result<(), End> {
        let id = id.text();
        let hidden = |why: Unshown| self.hidden("filter_failed", why);
        let body = self.body_for_filter(request).await?;
        let event = jq_event(&id, source, request, &body);
        let input = document(&event).map_err(hidden)?;
        match self.parts().jq.run(source.project, filter, input.into()).await {
            Ok(output) if is_match(output.as_deref()) => Ok(()),
            Ok(_) => Err(End::cancelled("filtered")),
            Err(error) => Err(self.jq_failed("filter_failed", &error)),
        }
    }

    async fn transform(
        &self,
        transform: &str,
        id: EventId,
        source: &Source,
        request: &mut Request,
    ) -> Result<(), End> {
        let id = id.text();
        let failed = |text: String| self.dead("transform_failed", text);
        let body = match &request.body {
            StoredBody::Bytes(bytes) => bytes.clone(),
            StoredBody::File(..) => {
                return Err(failed(format!(
                    "the body is larger than the {INLINE_BYTES_MAX} bytes a transform can take"
                )));
            }
        };
        let transformed = {
            let event = jq_event(&id, source, request, &body);
            let input = document(&event).map_err(|why| self.hidden("transform_failed", why))?;
            let output = self.parts().jq.run(source.project, transform, input.into()).await;
            let output = output.map_err(|error| self.jq_failed("transform_failed", &error))?;
            apply(output.as_deref(), &event).map_err(|error| failed(error.to_string()))?
        };
        let Some(made) = transformed else { return Err(End::cancelled("dropped_by_transform")) };
        if made.target != request.target {
            request.mount = 0;
        }
        let is_same_body = made.body == body;
        let mut headers = HeaderBlock::with_capacity(made.headers.as_bytes().len() + 32);
        let is_framing = |name: &[u8]| {
            name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
        };
        let copied = headers.copy_from(&made.headers, |name, _| is_same_body || !is_framing(name));
        let length = made.body.len();
        let framed = if is_same_body {
            Ok(())
        } else {
            headers.push(b"Content-Length", length.to_string().as_bytes())
        };
        if copied.is_err() || framed.is_err() {
            return Err(failed("the header is too large".to_owned()));
        }
        if !is_same_body {
            (request.framing, request.trailers) =
                (BodyFraming::Length(length as u64), HeaderBlock::default());
        }
        (request.method, request.target, request.headers) = (made.method, made.target, headers);
        request.body = StoredBody::Bytes(made.body);
        Ok(())
    }

    /// What a filter sees of the body. One in a file is larger than it can take: of that it sees nothing, unless
    /// somebody may read it as JSON.
    async fn body_for_filter(&self, request: &Request) -> Result<Bytes, End> {
        let path = match &request.body {
            StoredBody::Bytes(bytes) => return Ok(bytes.clone()),
            StoredBody::File(path, _) => path,
        };
        let Ok(start) = start_of(path).await else {
            return Err(self.dead("body_unreadable", "the stored body could not be read".to_owned()));
        };
        if looks_like_json(&request.headers, &start) {
            return Err(self.hidden("filter_failed", Unshown::Size));
        }
        Ok(Bytes::new())
    }

    /// What an app may read as JSON and an expression cannot see is not sent: nobody could say what was let through.
    fn hidden(&self, reason: &'static str, why: Unshown) -> End {
        let text = format!(
            "the body begins like JSON or is sent as JSON, and cannot be shown to the expression: {why}; nothing was sent"
        );
        self.dead(reason, text)
    }

    /// An expression that does not run is the destination's own trouble; where it was not this event that failed, the
    /// delivery waits for another time.
    fn jq_failed(&self, reason: &'static str, error: &JqError) -> End {
        if error.is_passing() {
            tracing::warn!(%error, delivery.id = %self.leased.delivery, "an expression could not be run; trying again");
            return End::put_back(Some(false));
        }
        self.dead(reason, error.to_string())
    }

    async fn by_agent(&self, request: Request, destination: &Destination) -> End {
        let claim = match self.parts().registry.claim_for_backlog(destination.id, destination.sharing) {
            Ok(claim) => claim,
            // Full or gone: the lane is asked again when a place is free or somebody comes, or in half a second.
            Err(_) => return End::put_back(Some(false)),
        };
        let timeout = Duration::from_millis(u64::from(destination.rules.timeout_ms));
        let flags = if self.leased.is_replay { RequestFlags::REPLAY } else { RequestFlags::default() };
        let head = RequestHead {
            event: self.leased.delivery.event,
            attempt: self.leased.attempt,
            serve: claim.serve,
            flags,
            patience_ms: destination.rules.timeout_ms,
            method: request.method,
            target: request.target,
            mount: request.mount,
            headers: request.headers,
            body: request.framing,
            extensions: Extensions::default(),
        };
        let tried = tunnelled::attempt(&claim, &head, &request.body, &request.trailers, timeout).await;
        match tried {
            Tried::NotTaken => End::put_back(Some(false)),
            Tried::Made { outcome, text, answer, times } => {
                let record = self.record(outcome, text, Some(claim.session.agent), answer, times);
                self.judged(record, destination)
            }
        }
    }

    async fn by_url(
        &self,
        url: crate::delivery::url::TargetUrl,
        request: Request,
        destination: &Destination,
    ) -> End {
        let request = UrlRequest {
            url,
            method: request.method,
            target_suffix: request.target.get(usize::from(request.mount)..).unwrap_or_default().to_vec(),
            headers: request.headers,
            body: match request.body {
                StoredBody::Bytes(bytes) => UrlBody::Bytes(bytes),
                StoredBody::File(path, bytes) => UrlBody::File { path, bytes },
            },
            timeout: Duration::from_millis(u64::from(destination.rules.timeout_ms)),
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let sent = self.parts().urls.send(request).await;
        let times =
            Times { head_us: 0, total_us: sent.total_us, connect_us: sent.connect_us, app_us: sent.app_us };
        let (outcome, text, answer) = match sent.outcome {
            UrlOutcome::Answered { status, headers, body } => {
                (AttemptOutcome::Answered(status), None, RecordedAnswer { status, headers, body })
            }
            UrlOutcome::NotSent { reason, text } => {
                (AttemptOutcome::NotSent(reason), Some(text), RecordedAnswer::default())
            }
            UrlOutcome::SentNoAnswer { reason, text } => {
                (AttemptOutcome::SentNoAnswer(reason), Some(text), RecordedAnswer::default())
            }
        };
        let record = self.record(outcome, text, None, answer, times);
        self.judged(record, destination)
    }

    fn judged(&self, record: Box<AttemptRecord>, destination: &Destination) -> End {
        let now_ms = self.parts().clock.now_ms();
        let next = judge(&record, destination, self.leased.attempt, self.leased.start_ms, now_ms);
        let was_reached = was_reached(record.outcome);
        End { record: Some(record), next, was_reached }
    }
}

impl Drop for Attempting {
    fn drop(&mut self) {
        if let Some(finished) = self.finished.take() {
            self.dispatcher.tell(|inbox| inbox.finished.push(finished));
        }
    }
}

/// Where a delivery stands after this attempt.
pub(in crate::delivery) fn judge(
    record: &AttemptRecord,
    destination: &Destination,
    attempt: u32,
    start_ms: u64,
    now_ms: u64,
) -> Next {
    let is_unreached = was_reached(record.outcome) == Some(false);
    let elapsed = if is_unreached && destination.rules.url.is_none() {
        // On somebody's machine an app that does not run is like an agent that is away: waiting for it uses nothing up.
        Duration::ZERO
    } else {
        Duration::from_millis(now_ms.saturating_sub(start_ms))
    };
    let chance = f64::from(u32::from_le_bytes(entropy::random())) / f64::from(u32::MAX);
    let wait = retry_after(&record.answer.headers, now_ms);
    match verdict(record.outcome, wait, &destination.rules.retry, attempt, elapsed, chance) {
        Verdict::Delivered => Next::Delivered,
        Verdict::Retry(delay) => {
            Next::RetryAt(now_ms + u64::try_from(delay.as_millis()).unwrap_or(u64::MAX / 2))
        }
        Verdict::Hold => Next::Ready,
        Verdict::Dead(reason) => Next::Dead(reason),
    }
}

/// The first bytes of a body in a file.
async fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(START_BYTES).read_to_end(&mut start).await?;
    Ok(start)
}

fn jq_event<'a>(id: &'a str, source: &'a Source, request: &'a Request, body: &'a Bytes) -> JqEvent<'a> {
    JqEvent {
        id,
        source: source.slug.as_str(),
        method: &request.method,
        target: &request.target,
        headers: &request.headers,
        body,
    }
}

/// One line about a settled attempt.
pub(super) fn log(settlement: &Settlement) {
    let Settlement { delivery, attempt, record, next } = settlement;
    let (outcome, status) = match record.as_ref().map(|record| record.outcome) {
        Some(AttemptOutcome::Answered(status)) => ("answered", Some(status)),
        Some(AttemptOutcome::NotSent(reason) | AttemptOutcome::SentNoAnswer(reason)) => (reason, None),
        None => return,
    };
    let next = match next {
        Next::Ready => "to be tried again when the destination is back",
        Next::RetryAt(_) => "to be tried again",
        Next::Delivered => "delivered",
        Next::Dead(_) => "dead",
        Next::Cancelled(_) => "cancelled",
    };
    tracing::debug!(delivery.id = %delivery, attempt.no = attempt, outcome, status, next, "attempt settled");
}
