//! The record of one event, filled in while it passes and written when the exchange is over, on every way out.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use protocol::field::HeaderBlock;
use protocol::head::{ResponseHead, Timing};
use protocol::id::{AgentId, EventId};

use super::capture::Capture;
use super::intake::{StoredAnswer, Whole};
use super::live::Flight;
use crate::activity::Activity;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::model::{Captured, EventRecord, Known, Outcome, RecordedAnswer};
use crate::pulse::Pulse;
use crate::smee::Smee;
use crate::store::Store;

/// Where records go.
pub struct Recorder {
    /// Writes them down.
    pub store: Store,
    /// Tells whoever watches.
    pub activity: Activity,
    /// How each source does.
    pub pulse: Pulse,
    /// Tells events to clients of smee.io.
    pub smee: Smee,
    /// Wall clock.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Most bytes kept of a body.
    pub capture_bytes_max: usize,
}

/// One event's record in the making. Written when dropped.
pub struct Recording {
    recorder: Arc<Recorder>,
    record: Option<Box<EventRecord>>,
    started: Instant,
    /// The request body as it passes; shared with whoever pumps it.
    pub request: Arc<Mutex<Capture>>,
    /// The answer's body as it passes.
    pub answer: Capture,
    // The exchange is over when its record is.
    _flight: Flight,
}

impl Recording {
    /// Starts a record. Its outcome is "the sender hung up" until something else is said.
    #[must_use]
    pub fn start(
        recorder: Arc<Recorder>,
        record: Box<EventRecord>,
        flight: Flight,
        started: Instant,
    ) -> Self {
        let request = Arc::new(Mutex::new(Capture::new(recorder.capture_bytes_max)));
        let answer = Capture::new(recorder.capture_bytes_max);
        recorder.metrics.in_flight.inc();
        Self { recorder, record: Some(record), started, request, answer, _flight: flight }
    }

    fn record(&mut self) -> &mut EventRecord {
        self.record.as_mut().expect("there until dropped")
    }

    /// Says which agent it goes to.
    pub fn goes_to(&mut self, agent: AgentId) {
        self.record().agent = Some(agent);
    }

    /// The request was sent: from now on the app may have acted.
    pub fn sent(&mut self) {
        self.record().outcome = Outcome::SentNoAnswer("sender_gone");
    }

    /// Sees a piece of the request body pass.
    pub fn see_request(&mut self, piece: &[u8]) {
        self.request.lock().expect("capture lock").see(piece);
    }

    /// Sees the end of the request body.
    pub fn see_request_end(&mut self) {
        self.request.lock().expect("capture lock").see_end();
    }

    fn head_is_out(&mut self, timing: Timing) {
        let head_us = self.elapsed_us();
        let times = &mut self.record().times;
        times.head_us = head_us;
        times.connect_us = u64::from(timing.connect_us);
        times.app_us = u64::from(timing.app_us);
    }

    /// The app's answer is on its way.
    pub fn answered(&mut self, head: &ResponseHead) {
        self.head_is_out(head.timing);
        let record = self.record();
        record.outcome = Outcome::Answered;
        record.answer.status = head.status;
        record.answer.headers = head.headers.clone();
        let head_us = record.times.head_us;
        self.recorder.metrics.answered(head.status, head_us);
    }

    /// The relay's own answer is on its way.
    pub fn refused(&mut self, status: u16, code: &'static str, outcome: Outcome, timing: Timing) {
        self.head_is_out(timing);
        let record = self.record();
        record.outcome = outcome;
        record.answer.status = status;
        self.recorder.metrics.refused(code);
    }

    /// The event's id.
    #[must_use]
    pub fn event(&self) -> EventId {
        self.record.as_ref().expect("there until dropped").id
    }

    /// What is written down so far.
    #[must_use]
    pub fn event_record(&self) -> &EventRecord {
        self.record.as_ref().expect("there until dropped")
    }

    /// Says what is known of its sender.
    pub fn know(&mut self, known: Known) {
        self.record().known = known;
    }

    /// Recognises by the whole body who sent it, where the source does not say.
    pub fn recognise(&mut self, body: &Captured) {
        recognise(self.record(), body);
    }

    /// What is written down of its header.
    pub fn write_headers(&mut self, headers: HeaderBlock) {
        self.record().headers = headers;
    }

    /// Keeps nothing of the request's body.
    pub fn forget_body(&mut self) {
        self.request = Arc::new(Mutex::new(Capture::new(0)));
    }

    /// Which agent it went to, if any.
    #[must_use]
    pub fn agent(&self) -> Option<AgentId> {
        self.record.as_ref().expect("there until dropped").agent
    }

    /// The record of an event that is accepted: written by the store before anybody is told, and not again.
    #[must_use]
    pub fn into_accepted(mut self, whole: Whole, answer: StoredAnswer) -> Box<EventRecord> {
        let elapsed_us = self.elapsed_us();
        let mut record = self.record.take().expect("there until dropped");
        let metrics = &self.recorder.metrics;
        metrics.in_flight.dec();
        metrics.request_bytes.inc_by(whole.body.total_bytes);
        record.fill(whole);
        if let StoredAnswer::Relay { status, why } = answer {
            record.outcome = Outcome::Accepted(why);
            record.answer = RecordedAnswer { status, ..RecordedAnswer::default() };
            (record.times.head_us, record.times.total_us) = (elapsed_us, elapsed_us);
        }
        self.recorder.pulse.see(&record, self.recorder.clock.now_ms());
        record
    }

    /// The record of an event whose answer goes on: written by the store before its head is passed on, and completed
    /// when it is over.
    #[must_use]
    pub fn accepted_so_far(&mut self, whole: Whole) -> Box<EventRecord> {
        let record = self.record();
        let mut so_far = Box::new(record.clone());
        so_far.fill(whole);
        record.is_accepted = true;
        so_far
    }

    /// The store did not take it after all.
    pub fn not_accepted(&mut self) {
        self.record().is_accepted = false;
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl EventRecord {
    fn fill(&mut self, whole: Whole) {
        self.body = whole.body;
        self.shape.trailers = whole.trailers;
        let body = self.body.clone();
        recognise(self, &body);
    }
}

/// Gives an event the name and the id that its provider gave it, where it can be told who that is.
fn recognise(record: &mut EventRecord, body: &Captured) {
    if record.known != Known::default() {
        return;
    }
    let body = if body.is_truncated() { &[][..] } else { &body.bytes };
    let url = std::str::from_utf8(&record.target).unwrap_or_default();
    let request = provider::Request { method: &record.method, url, headers: &record.headers, body };
    if let Some(provider) = provider::recognise_by_header(&request) {
        record.known.name = provider.event_name(&request);
        record.known.sender_id = provider.delivery_id(&request);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let Some(mut record) = self.record.take() else { return };
        record.times.total_us = self.elapsed_us();
        record.body = self.request.lock().expect("capture lock").take();
        record.answer.body = self.answer.take();
        let body = record.body.clone();
        recognise(&mut record, &body);
        let metrics = &self.recorder.metrics;
        metrics.in_flight.dec();
        metrics.request_bytes.inc_by(record.body.total_bytes);
        metrics.answer_bytes.inc_by(record.answer.body.total_bytes);
        self.recorder.pulse.see(&record, self.recorder.clock.now_ms());
        // Of an accepted one its watchers have heard.
        if !record.is_accepted {
            self.recorder.smee.tell(&record);
            self.recorder.activity.publish(&record);
        }
        match self.recorder.store.record(record) {
            Ok(()) => metrics.events_recorded.inc(),
            Err(_full) => metrics.events_unrecorded.inc(),
        };
    }
}
