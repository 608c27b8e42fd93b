//! One destination as the dispatcher sees it. Pure: when may how many attempts begin?

use std::time::{Duration, Instant};

use crate::model::{DestinationRules, Order};

/// How long a destination that could not be reached is left alone, first and at most. While it is, one attempt at a
/// time finds out whether it is back: the rest of its backlog keeps its place.
const COOL_FIRST: Duration = Duration::from_millis(500);
const COOL_MAX: Duration = Duration::from_secs(60);

/// The part of a second's pace that may begin at once.
const BURST_PARTS: u32 = 10;

/// What may be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// So many, now.
    Now(u32),
    /// Nothing before then.
    At(Instant),
    /// Nothing, until something ends or comes.
    Nothing,
}

/// A destination's state.
#[derive(Debug)]
pub(super) struct Lane {
    /// Attempts under way.
    pub(super) in_flight: u32,
    /// Bytes of their bodies in memory.
    pub(super) bytes: u64,
    /// There may be something ready in the store.
    pub(super) has_more: bool,
    /// Nothing may begin before something is heard of it: nobody is there, or it is paused.
    pub(super) is_asleep: bool,
    /// When the next one waiting for its time is due.
    pub(super) due: Option<Instant>,
    failures: u32,
    cool_until: Option<Instant>,
    // Attempts that may begin by the pace, and when that was last reckoned.
    allowance: f64,
    reckoned: Instant,
}

impl Lane {
    /// One nothing is known of yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            in_flight: 0,
            bytes: 0,
            has_more: true,
            is_asleep: false,
            due: None,
            failures: 0,
            cool_until: None,
            allowance: 0.0,
            reckoned: now,
        }
    }

    /// Whether nothing is open, as far as is known.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0 && !self.has_more && self.due.is_none()
    }

    /// Something was heard of it.
    pub(super) fn wake(&mut self) {
        (self.has_more, self.is_asleep) = (true, false);
    }

    /// How much may begin.
    pub(super) fn room(&mut self, rules: &DestinationRules, now: Instant) -> Room {
        let is_due = self.has_more || self.due.is_some_and(|due| due <= now);
        if !is_due {
            return self.due.map_or(Room::Nothing, Room::At);
        }
        if let Some(until) = self.cool_until
            && now < until
        {
            return Room::At(until);
        }
        let is_one_at_a_time = rules.order == Order::Strict || self.failures > 0;
        let most = if is_one_at_a_time { 1 } else { rules.concurrency.max(1) };
        let free = most.saturating_sub(self.in_flight);
        if free == 0 {
            return Room::Nothing;
        }
        let Some(pace) = rules.pace_per_s else {
            // What begins without a pace is not owed once there is one.
            (self.allowance, self.reckoned) = (f64::from(free), now);
            return Room::Now(free);
        };
        let pace = pace.max(1);
        let burst = f64::from((pace / BURST_PARTS).max(1));
        self.allowance += now.saturating_duration_since(self.reckoned).as_secs_f64() * f64::from(pace);
        self.allowance = self.allowance.min(burst);
        self.reckoned = now;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to a tenth of a u32"
        )]
        let allowed = self.allowance as u32;
        if allowed == 0 {
            // A millisecond more, so that rounding does not wake us too early.
            let missing = (1.0 - self.allowance) / f64::from(pace) + 0.001;
            return Room::At(now + Duration::from_secs_f64(missing));
        }
        Room::Now(free.min(allowed))
    }

    /// So many attempts begin, which hold so many bytes together.
    pub(super) fn begin(&mut self, count: u32, bytes: u64) {
        self.in_flight += count;
        self.bytes += bytes;
        self.allowance -= f64::from(count);
    }

    /// An attempt that held so many bytes is over. `was_reached` says whether the destination was there to be asked;
    /// `None`: that was not found out.
    pub(super) fn end(&mut self, bytes: u64, was_reached: Option<bool>, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        match was_reached {
            Some(true) => self.warm_up(),
            Some(false) => self.cool_down(now),
            None => {}
        }
    }

    /// Leaves the destination alone for a while, longer each time.
    pub(super) fn cool_down(&mut self, now: Instant) {
        // Those that began together fail together: that is one failure.
        if self.cool_until.is_none_or(|until| until <= now) {
            let cool = COOL_FIRST.saturating_mul(1 << self.failures.min(16)).min(COOL_MAX);
            self.failures += 1;
            self.cool_until = Some(now + cool);
        }
        self.has_more = true;
    }

    /// The destination is (or may be) back.
    pub(super) fn warm_up(&mut self) {
        (self.failures, self.cool_until) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(change: impl FnOnce(&mut DestinationRules)) -> DestinationRules {
        let mut rules = DestinationRules { concurrency: 4, ..DestinationRules::default() };
        change(&mut rules);
        rules
    }

    #[test]
    fn as_many_begin_as_the_concurrency_leaves_free() {
        let now = Instant::now();
        let (mut lane, rules) = (Lane::new(now), rules(|_| ()));
        assert_eq!(lane.room(&rules, now), Room::Now(4));
        lane.begin(3, 0);
        assert_eq!(lane.room(&rules, now), Room::Now(1));
        lane.begin(1, 0);
        assert_eq!(lane.room(&rules, now), Room::Nothing);
        lane.end(0, Some(true), now);
        assert_eq!(lane.room(&rules, now), Room::Now(1));
    }

    #[test]
    fn strict_order_means_one_at_a_time() {
        let now = Instant::now();
        let (mut lane, rules) = (Lane::new(now), rules(|rules| rules.order = Order::Strict));
        assert_eq!(lane.room(&rules, now), Room::Now(1));
        lane.begin(1, 0);
        assert_eq!(lane.room(&rules, now), Room::Nothing);
    }

    #[test]
    fn an_unreachable_destination_is_left_alone_longer_each_time_and_then_asked_once() {
        let mut now = Instant::now();
        let (mut lane, rules) = (Lane::new(now), rules(|_| ()));
        let mut waits = Vec::new();
        for _ in 0..9 {
            lane.begin(1, 0);
            lane.end(0, Some(false), now);
            let Room::At(until) = lane.room(&rules, now) else { panic!("left alone") };
            waits.push((until - now).as_millis());
            now = until;
            assert_eq!(lane.room(&rules, now), Room::Now(1), "one finds out");
        }
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        lane.begin(1, 0);
        lane.end(0, Some(true), now);
        assert_eq!(lane.room(&rules, now), Room::Now(4), "back at once");
    }

    #[test]
    fn those_that_fail_together_count_once() {
        let now = Instant::now();
        let (mut lane, rules) = (Lane::new(now), rules(|_| ()));
        lane.begin(4, 0);
        (0..4).for_each(|_| lane.end(0, Some(false), now));
        assert_eq!(lane.room(&rules, now), Room::At(now + COOL_FIRST));
    }

    #[test]
    fn a_pace_spreads_attempts_over_the_second() {
        let start = Instant::now();
        let (mut lane, rules) =
            (Lane::new(start), rules(|rules| (rules.pace_per_s, rules.concurrency) = (Some(20), 100)));
        let mut begun = 0;
        for ms in 0..2_000 {
            if let Room::Now(count) = lane.room(&rules, start + Duration::from_millis(ms)) {
                assert!(count <= 2, "a tenth of a second's at once");
                lane.begin(count, 0);
                begun += count;
            }
        }
        assert!((38..=41).contains(&begun), "{begun} in two seconds");
    }

    #[test]
    fn a_pace_that_is_set_later_counts_from_then() {
        let start = Instant::now();
        let (mut lane, mut rules) = (Lane::new(start), rules(|_| ()));
        for _ in 0..1_000 {
            let Room::Now(count) = lane.room(&rules, start) else { panic!("nothing holds it up") };
            lane.begin(count, 0);
            (0..count).for_each(|_| lane.end(0, Some(true), start));
        }
        rules.pace_per_s = Some(10);
        assert_eq!(lane.room(&rules, start + Duration::from_millis(200)), Room::Now(1));
    }

    #[test]
    fn nothing_begins_before_its_time() {
        let now = Instant::now();
        let (mut lane, rules) = (Lane::new(now), rules(|_| ()));
        lane.has_more = false;
        assert_eq!(lane.room(&rules, now), Room::Nothing);
        lane.due = Some(now + Duration::from_secs(5));
        assert_eq!(lane.room(&rules, now), Room::At(now + Duration::from_secs(5)));
        assert_eq!(lane.room(&rules, now + Duration::from_secs(5)), Room::Now(4));
    }
}
