//! Congestion control that tells a full queue from a bad radio.
//!
//! Cubic (RFC 9438) takes every loss for a full queue and slows down: at 1 % random loss and 40 ms it keeps a third of
//! its rate. BBR as quinn has it ignores losses, but measures the path wrongly at times and then crawls for seconds:
//! at 3 % loss, runs of the same minute kept between 0.1 and 1.0 of the rate. So this is Cubic, and it hears of a loss
//! only when the path looks congested: packets take longer than the path alone does, or many are lost (TCP Veno's
//! idea, with a ceiling). Marks of the network (ECN) and persistent congestion always count.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory, CubicConfig};
use quinn_proto::RttEstimator;

/// How long the shortest round trip is remembered, at least; at most twice that. Paths change, but a memory shorter than
/// the seconds in which Cubic fills a queue and backs off would take the queue for the path.
const BASE_FOR: Duration = Duration::from_secs(30);

/// A round trip longer than the shortest by this much, or by a third of it if that is more, says that a queue builds.
/// Above what a busy host and delayed acknowledgements (10 ms) add.
const QUEUE_MIN: Duration = Duration::from_millis(15);

/// Share of lost bytes from which on losses count whatever the delay: one in sixteen, twice what the worst of usable
/// links loses. Policers and short queues drop without delay.
const LOSS_SHARE: u64 = 16;

/// Bytes over which the share is taken. The sums are halved when they reach it, so that the past fades. At 3 % loss the
/// share strays above a sixteenth once in some thousand times.
const SHARE_OVER_BYTES: u64 = 512 * 1024;

/// Makes [`Tolerant`] controllers.
#[derive(Debug)]
pub(super) struct TolerantConfig(Arc<CubicConfig>);

impl TolerantConfig {
    pub(super) fn new(initial_window: u64) -> Self {
        let mut cubic = CubicConfig::default();
        cubic.initial_window(initial_window);
        Self(Arc::new(cubic))
    }
}

impl ControllerFactory for TolerantConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let cubic = Arc::clone(&self.0).build(now, current_mtu);
        Box::new(Tolerant { cubic, path: Path::new(now) })
    }
}

/// Cubic that hears of a loss only when the path looks congested.
struct Tolerant {
    cubic: Box<dyn Controller>,
    path: Path,
}

/// What is known of the path.
#[derive(Debug, Clone, Copy)]
struct Path {
    // Shortest round trip of this period and of the one before.
    shortest: [Duration; 2],
    period_ends: Instant,
    // Smoothed, less what the other side says it waited.
    round_trip: Duration,
    acked: u64,
    lost: u64,
}

impl Path {
    fn new(now: Instant) -> Self {
        Self {
            shortest: [Duration::MAX; 2],
            period_ends: now + BASE_FOR,
            round_trip: Duration::ZERO,
            acked: 0,
            lost: 0,
        }
    }

    fn acked(&mut self, now: Instant, took: Duration, round_trip: Duration, bytes: u64) {
        if now >= self.period_ends {
            self.shortest = [Duration::MAX, self.shortest[0]];
            self.period_ends = now + BASE_FOR;
        }
        self.shortest[0] = self.shortest[0].min(took);
        self.round_trip = round_trip;
        self.acked += bytes;
        self.fade();
    }

    fn lost(&mut self, bytes: u64) {
        self.lost += bytes;
        self.fade();
    }

    fn fade(&mut self) {
        if self.acked + self.lost >= SHARE_OVER_BYTES {
            self.acked /= 2;
            self.lost /= 2;
        }
    }

    fn has_queue(&self) -> bool {
        let base = self.shortest[0].min(self.shortest[1]);
        self.round_trip.saturating_sub(base) > QUEUE_MIN.max(base / 3)
    }

    fn loses_much(&self) -> bool {
        self.lost * LOSS_SHARE > self.acked + self.lost && self.acked + self.lost >= SHARE_OVER_BYTES / 2
    }
}

impl Controller for Tolerant {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.path.acked(now, now.saturating_duration_since(sent), rtt.get(), bytes);
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        self.cubic.on_end_acks(now, in_flight, app_limited, largest_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.path.lost(lost_bytes);
        // quinn reports marks of the network as an event without loss.
        let is_marked = lost_bytes == 0;
        if is_persistent || is_marked || self.path.has_queue() || self.path.loses_much() {
            self.cubic.on_congestion_event(now, sent, is_persistent, lost_bytes);
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.cubic.window()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { cubic: self.cubic.clone_box(), path: self.path })
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A path on which `acked` packets of 1,000 bytes took `took`, and `lost` more, evenly spread, did not arrive.
    fn path(took: Duration, acked: u64, lost: u64) -> (Path, Instant) {
        let start = Instant::now();
        let mut path = Path::new(start);
        for at in 0..acked {
            path.acked(start + took, took, took, 1_000);
            if lost > 0 && at % (acked / lost) == 0 {
                path.lost(1_000);
            }
        }
        (path, start + took)
    }

    #[test]
    fn random_loss_on_an_empty_path_is_no_congestion() {
        let (path, _) = path(42 * MS, 1_000, 30);
        assert!(!path.has_queue() && !path.loses_much());
    }

    #[test]
    fn one_packet_in_eleven_is_too_many() {
        assert!(path(42 * MS, 1_000, 100).0.loses_much());
    }

    #[test]
    fn a_first_loss_says_nothing_of_the_share() {
        assert!(!path(42 * MS, 3, 2).0.loses_much());
    }

    #[test]
    fn a_growing_round_trip_is_a_queue() {
        let (mut path, now) = path(42 * MS, 100, 0);
        path.acked(now, 56 * MS, 56 * MS, 1_000);
        assert!(!path.has_queue(), "14 ms may be a busy host");
        path.acked(now, 60 * MS, 60 * MS, 1_000);
        assert!(path.has_queue());
    }

    #[test]
    fn a_path_that_became_longer_is_believed_after_a_while() {
        let (mut path, now) = path(MS, 100, 0);
        let mut at = now;
        let mut for_a_while = |time: Duration| {
            let until = at + time;
            while at < until {
                at += 50 * MS;
                path.acked(at, 42 * MS, 42 * MS, 1_000);
            }
            path.has_queue()
        };
        assert!(for_a_while(BASE_FOR / 2), "a queue may last for long");
        assert!(!for_a_while(2 * BASE_FOR));
    }

    #[test]
    fn cubic_hears_of_losses_that_count_and_only_of_those() {
        let start = Instant::now();
        let build = || Arc::new(TolerantConfig::new(100_000)).build(start, 1_200);
        let mut random = build();
        random.on_congestion_event(start + MS, start, false, 1_200);
        assert_eq!(random.window(), 100_000);
        let mut marked = build();
        marked.on_congestion_event(start + MS, start, false, 0);
        assert_eq!(marked.window(), 70_000);
        let mut stalled = build();
        stalled.on_congestion_event(start + MS, start, true, 1_200);
        assert_eq!(stalled.window(), 2_400);
    }
}
