//! When a delivery is tried again. Pure: attempts, elapsed time and chance in, a delay out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Exponential, with a cap, an end and jitter. The default tries after 5 s, 15 s, 45 s, 2 min, 7 min, 20 min, 1 h, 3 h,
/// then every 6 h, for 3 days: what Standard Webhooks recommends, in about as many steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// Delay before the second attempt, in seconds.
    pub first_s: u32,
    /// What each delay is multiplied with to give the next.
    pub factor: u32,
    /// Longest delay, in seconds.
    pub delay_s_max: u32,
    /// How long after the first attempt another may still be made, in seconds. 0: there is one attempt only.
    pub for_s: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { first_s: 5, factor: 3, delay_s_max: 6 * 60 * 60, for_s: 3 * 24 * 60 * 60 }
    }
}

/// How far a delay is moved by chance, as a part of it, to either side: deliveries that failed together should not all
/// come back together.
const JITTER: f64 = 0.2;

/// Longest a destination may make the relay wait by `Retry-After`: a day. Past that it is taken for a mistake.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl Schedule {
    /// How long to wait after attempt number `attempt` (from 1), `elapsed` after the first one began. `chance` is from
    /// 0 to 1. `None` when the schedule is used up.
    #[must_use]
    pub fn delay(&self, attempt: u32, elapsed: Duration, chance: f64) -> Option<Duration> {
        let steps = attempt.saturating_sub(1);
        let grown =
            u64::from(self.factor.max(1)).saturating_pow(steps).saturating_mul(u64::from(self.first_s));
        let delay = Duration::from_secs(grown.min(u64::from(self.delay_s_max)));
        let moved = delay.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance.clamp(0.0, 1.0));
        (elapsed + moved <= self.span()).then_some(moved)
    }

    /// How long after the first attempt another may still be made.
    #[must_use]
    pub fn span(&self) -> Duration {
        Duration::from_secs(u64::from(self.for_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_JITTER: f64 = 0.5;

    #[test]
    fn the_default_ends_after_three_days_in_about_twenty_attempts() {
        let schedule = Schedule::default();
        let (mut elapsed, mut delays) = (Duration::ZERO, Vec::new());
        for attempt in 1.. {
            let Some(delay) = schedule.delay(attempt, elapsed, NO_JITTER) else { break };
            elapsed += delay;
            delays.push(delay.as_secs());
        }
        assert_eq!(delays[..9], [5, 15, 45, 135, 405, 1_215, 3_645, 10_935, 21_600]);
        assert_eq!(delays.len(), 19);
        assert!(elapsed <= schedule.span() && elapsed > schedule.span() - Duration::from_secs(21_600));
    }

    #[test]
    fn jitter_moves_a_delay_by_a_fifth_at_most() {
        let schedule = Schedule { first_s: 100, ..Schedule::default() };
        let delay = |chance| schedule.delay(1, Duration::ZERO, chance).map(|delay| delay.as_secs());
        assert_eq!((delay(0.0), delay(0.5), delay(1.0)), (Some(80), Some(100), Some(120)));
    }

    #[test]
    fn numbers_at_their_ends_neither_overflow_nor_stop_the_clock() {
        let wild = Schedule { first_s: u32::MAX, factor: u32::MAX, delay_s_max: u32::MAX, for_s: u32::MAX };
        assert!(wild.delay(u32::MAX, Duration::ZERO, 0.0).is_some());
        let once = Schedule { for_s: 0, ..Schedule::default() };
        assert_eq!(once.delay(1, Duration::ZERO, NO_JITTER), None);
        let flat = Schedule { factor: 0, ..Schedule::default() };
        assert_eq!(flat.delay(9, Duration::ZERO, NO_JITTER), Some(Duration::from_secs(5)));
    }
}
