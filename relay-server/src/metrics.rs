//! What is counted, in one registry of our own. Every series exists from the start, as a field: counting is one atomic
//! addition, and nothing a sender says ever becomes a label.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::delivery::verdict::AttemptOutcome;
use crate::store::{Health, Next, RecordCounts, Settlement};

/// Content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the latency histogram, in seconds: from a local app behind a local agent to the longest patience.
const LATENCY_BUCKETS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Codes of the relay's own answers, as in `Relay-Error`; any other is counted as `other`.
const REFUSALS: [&str; 20] = [
    "source_not_found",
    "method_refused",
    "network_refused",
    "signature_invalid",
    "agent_away",
    "source_paused",
    "app_refused",
    "app_broke",
    "app_slow",
    "body_too_large",
    "rate_limited",
    "overloaded",
    "disk_full",
    "draining",
    "bad_request",
    "request_too_slow",
    "target_too_long",
    "header_too_large",
    "sender_gone",
    "other",
];

/// Handshakes of agents, by how they ended.
#[derive(Debug, Default)]
pub struct Handshakes {
    /// Let in.
    pub welcomed: Counter,
    /// Told why not: token, scope, version, busy.
    pub refused: Counter,
    /// Never came to a greeting.
    pub failed: Counter,
}

/// Everything counted.
pub struct Metrics {
    registry: Registry,
    answered: Counter,
    refused: [(&'static str, Counter); REFUSALS.len()],
    answers: [Counter; 5],
    head_seconds: Histogram,
    events_lost: Counter,
    store_is_ok: Gauge,
    /// Requests whose answer is not complete.
    pub in_flight: Gauge,
    /// Bytes of request bodies that passed.
    pub request_bytes: Counter,
    /// Bytes of answers' bodies that passed.
    pub answer_bytes: Counter,
    /// Agents connected.
    pub sessions: Gauge,
    /// See [`Handshakes`].
    pub handshakes: Handshakes,
    /// Pings no agent answered in time.
    pub pings_missed: Counter,
    /// Events handed to the store.
    pub events_recorded: Counter,
    /// Events the store's queue had no room for.
    pub events_unrecorded: Counter,
    /// Events on disk before their sender was told.
    pub events_accepted: Counter,
    /// Events that were copies of one taken before.
    pub events_duplicate: Counter,
    attempts: [Counter; 3],
    ended: [Counter; 3],
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("relay");
        let requests = Family::<[(&str, &str); 1], Counter>::default();
        let counted = |result: &'static str| requests.get_or_create_owned(&[("result", result)]);
        let by_class = Family::<[(&str, &str); 1], Counter>::default();
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        let by_end = Family::<[(&str, &str); 1], Counter>::default();
        let ended = |result| by_end.get_or_create_owned(&[("result", result)]);
        let by_outcome = Family::<[(&str, &str); 1], Counter>::default();
        let by_state = Family::<[(&str, &str); 1], Counter>::default();
        let this = Self {
            answered: counted("answered"),
            refused: REFUSALS.map(|code| (code, counted(code))),
            answers: classes.map(|class| by_class.get_or_create_owned(&[("class", class)])),
            head_seconds: Histogram::new(LATENCY_BUCKETS),
            events_lost: Counter::default(),
            store_is_ok: Gauge::default(),
            in_flight: Gauge::default(),
            request_bytes: Counter::default(),
            answer_bytes: Counter::default(),
            sessions: Gauge::default(),
            handshakes: Handshakes {
                welcomed: ended("welcomed"),
                refused: ended("refused"),
                failed: ended("failed"),
            },
            pings_missed: Counter::default(),
            events_accepted: Counter::default(),
            events_duplicate: Counter::default(),
            attempts: ["answered", "not_sent", "sent_no_answer"]
                .map(|outcome| by_outcome.get_or_create_owned(&[("outcome", outcome)])),
            ended: ["delivered", "dead", "cancelled"]
                .map(|state| by_state.get_or_create_owned(&[("state", state)])),
            events_recorded: Counter::default(),
            events_unrecorded: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests by what became of them", requests);
        registry.register("answers", "Answers of apps by class of status", by_class);
        registry.register_with_unit(
            "head",
            "Time from a request head to the app's response head",
            Unit::Seconds,
            this.head_seconds.clone(),
        );
        registry.register("in_flight", "Requests whose answer is not complete", this.in_flight.clone());
        registry.register_with_unit(
            "request_body",
            "Size of request bodies that passed",
            Unit::Bytes,
            this.request_bytes.clone(),
        );
        registry.register_with_unit(
            "answer_body",
            "Size of answers' bodies that passed",
            Unit::Bytes,
            this.answer_bytes.clone(),
        );
        registry.register("sessions", "Agents connected", this.sessions.clone());
        registry.register("handshakes", "Handshakes of agents by how they ended", by_end);
        registry.register("pings_missed", "Pings no agent answered in time", this.pings_missed.clone());
        registry.register("events_recorded", "Events handed to the store", this.events_recorded.clone());
        registry.register(
            "events_unrecorded",
            "Events the store's queue had no room for",
            this.events_unrecorded.clone(),
        );
        let accepted = this.events_accepted.clone();
        registry.register("events_accepted", "Events on disk before their sender was told", accepted);
        let duplicate = this.events_duplicate.clone();
        registry.register("events_duplicate", "Events that were copies of one taken before", duplicate);
        registry.register("attempts", "Attempts of stored deliveries by outcome", by_outcome);
        registry.register("deliveries_ended", "Stored deliveries by how they ended", by_state);
        registry.register(
            "events_lost",
            "Events handed to the store and not written, because the disk was full or failed",
            this.events_lost.clone(),
        );
        registry.register("store_ok", "1 while the store can be relied on", this.store_is_ok.clone());
        Self { registry, ..this }
    }
}

impl Metrics {
    /// Counts an app's answer. `head_us` is the time from the request head to its response head, in microseconds.
    pub fn answered(&self, status: u16, head_us: u64) {
        self.answered.inc();
        if let Some(class) = self.answers.get(usize::from(status / 100).wrapping_sub(1)) {
            class.inc();
        }
        self.head_seconds.observe(head_us as f64 / 1e6);
    }

    /// Counts an answer of the relay's own, by its stable code.
    pub fn refused(&self, code: &str) {
        let [.., other] = &self.refused;
        let (_, counter) = self.refused.iter().find(|(known, _)| *known == code).unwrap_or(other);
        counter.inc();
    }

    /// Takes over what the store counts itself.
    pub fn note_store(&self, counts: RecordCounts, health: &Health) {
        let lost: &AtomicU64 = self.events_lost.inner();
        lost.store(counts.lost, Ordering::Relaxed);
        self.store_is_ok.set(i64::from(*health == Health::Ok));
    }

    /// An attempt of a stored delivery was settled.
    pub fn settled(&self, settlement: &Settlement) {
        let outcome = settlement.record.as_ref().map(|record| match record.outcome {
            AttemptOutcome::Answered(_) => 0,
            AttemptOutcome::NotSent(_) => 1,
            AttemptOutcome::SentNoAnswer(_) => 2,
        });
        if let Some(outcome) = outcome {
            self.attempts[outcome].inc();
        }
        match settlement.next {
            Next::Delivered => self.ended[0].inc(),
            Next::Dead(_) => self.ended[1].inc(),
            Next::Cancelled(_) => self.ended[2].inc(),
            Next::Ready | Next::RetryAt(_) => 0,
        };
    }

    /// Everything counted, as OpenMetrics text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(8 * 1024);
        // Writing to a string fails only when a metric refuses to be written, which none of these does.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("answered", &self.answered.get()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered() {
        let metrics = Metrics::default();
        metrics.answered(204, 700);
        metrics.answered(503, 2_000_000);
        metrics.answered(99, 1);
        metrics.refused("agent_away");
        metrics.refused("never heard of");
        metrics.in_flight.inc();
        metrics.request_bytes.inc_by(7);
        metrics.handshakes.welcomed.inc();
        metrics.note_store(RecordCounts { written: 5, lost: 3 }, &Health::Full);
        let text = metrics.render();
        for line in [
            "relay_requests_total{result=\"answered\"} 3",
            "relay_requests_total{result=\"agent_away\"} 1",
            "relay_requests_total{result=\"other\"} 1",
            "relay_requests_total{result=\"draining\"} 0",
            "relay_answers_total{class=\"2xx\"} 1",
            "relay_answers_total{class=\"5xx\"} 1",
            "relay_head_seconds_bucket{le=\"0.001\"} 2",
            "relay_head_seconds_count 3",
            "relay_in_flight 1",
            "relay_request_body_bytes_total 7",
            "relay_handshakes_total{result=\"welcomed\"} 1",
            "relay_events_lost_total 3",
            "relay_store_ok 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn every_refusal_has_its_own_counter() {
        let metrics = Metrics::default();
        for code in REFUSALS {
            metrics.refused(code);
        }
        assert!(metrics.refused.iter().all(|(_, counter)| counter.get() == 1));
    }
}
