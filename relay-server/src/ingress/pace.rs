//! How fast a body comes, and whether that is fast enough. Only time spent waiting for the sender counts.

use std::time::Duration;

use tokio::time::Instant;

use super::gated::GateLimits;

/// What to make of a body that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It came too slowly: idle for too long, below the least rate, or past the total.
    TooSlow,
    /// Look again then.
    WaitUntil(Instant),
}

/// How long a body was waited for, and what came of it.
#[derive(Debug, Default)]
pub struct Pace {
    waited: Duration,
    bytes: u64,
    since: Option<Instant>,
}

impl Pace {
    /// Nothing is here. Waits from now on, if it does not yet, and says whether to go on: a body that drips is judged
    /// each time it runs dry, however short the pauses are.
    pub fn wait(&mut self, now: Instant, limits: &GateLimits) -> Verdict {
        let is_new = self.since.is_none();
        let since = *self.since.get_or_insert(now);
        let idle = now - since;
        let waited = self.waited + idle;
        let rate_bytes = u128::from(limits.body_rate_min) * waited.as_millis() / 1000;
        let is_dripping = waited >= limits.first_byte && u128::from(self.bytes) < rate_bytes;
        if idle >= limits.body_idle || is_dripping || waited >= limits.body_total {
            return Verdict::TooSlow;
        }
        let look_again = if is_new { limits.first_byte } else { Duration::from_secs(1) };
        Verdict::WaitUntil(now + look_again.min(limits.body_idle - idle))
    }

    /// Bytes came. Says whether they were waited for.
    pub fn came(&mut self, now: Instant, bytes: usize) -> bool {
        self.bytes += bytes as u64;
        let since = self.since.take();
        self.waited += since.map_or(Duration::ZERO, |since| now - since);
        since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingress::gate::HeadLimits;

    const S: Duration = Duration::from_secs(1);

    fn limits() -> GateLimits {
        GateLimits {
            head: HeadLimits { header_bytes_max: 0, header_fields_max: 0, target_bytes_max: 0 },
            body_bytes_max: 0,
            first_byte: 5 * S,
            head_time: S,
            body_idle: 20 * S,
            body_rate_min: 100,
            body_total: 60 * S,
            keep_alive: S,
            write_idle: S,
        }
    }

    /// Gets `bytes` and waits `wait`, again and again; the second at which it is too slow.
    fn too_slow_after(wait: Duration, bytes: usize) -> Option<u64> {
        let (limits, start, mut pace) = (limits(), Instant::now(), Pace::default());
        let mut now = start;
        while now - start < 100 * S {
            pace.came(now, bytes);
            let arrival = now + wait;
            while now < arrival {
                match pace.wait(now, &limits) {
                    Verdict::TooSlow => return Some((now - start).as_secs()),
                    Verdict::WaitUntil(next) => now = next.min(arrival),
                }
            }
        }
        None
    }

    #[test]
    fn a_body_may_be_slow_but_not_dripped_idle_or_endless() {
        assert_eq!(
            too_slow_after(S, 1),
            Some(5),
            "dripped: judged once it was waited for longer than a first byte"
        );
        assert_eq!(too_slow_after(S, 1_000), Some(60), "the total");
        assert_eq!(too_slow_after(30 * S, 1_000_000), Some(20), "idle");
    }

    #[test]
    fn time_not_spent_waiting_does_not_count() {
        let (limits, start) = (limits(), Instant::now());
        let mut pace = Pace::default();
        assert_eq!(pace.wait(start, &limits), Verdict::WaitUntil(start + 5 * S));
        assert!(pace.came(start + S, 1));
        assert!(!pace.came(start + 500 * S, 1), "the app was slow, not the sender");
        assert!(matches!(pace.wait(start + 500 * S, &limits), Verdict::WaitUntil(_)));
        assert!(matches!(pace.wait(start + 501 * S, &limits), Verdict::WaitUntil(_)));
    }
}
