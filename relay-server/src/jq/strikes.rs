//! Expressions that lately cost a worker: who struck once runs in a lane of its own, who struck out waits.
//!
//! Pure: the caller says what time it is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Runs in a row that cost a worker before an expression is refused. One may be an unlucky moment, three are not.
const STRIKES_MAX: u32 = 3;

/// How long it is then refused.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// After so long without another strike it is as good as new.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Expressions remembered. Each is at most 4 KiB; the one that struck longest ago makes room.
const REMEMBERED_MAX: usize = 256;

/// How a run cost a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// It had to be killed.
    Time,
    /// It aborted: memory or stack were used up.
    Memory,
}

/// What an expression may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Run.
    Good,
    /// Run, but beside no other that struck.
    Suspect,
    /// Not run now.
    Refused(Cost),
}

struct Strikes {
    count: u32,
    last: Instant,
    cost: Cost,
}

/// Strikes of all expressions.
#[derive(Default)]
pub(super) struct Scoreboard {
    strikes: HashMap<Box<str>, Strikes>,
}

impl Scoreboard {
    pub(super) fn standing(&self, expression: &str, now: Instant) -> Standing {
        if self.strikes.is_empty() {
            return Standing::Good;
        }
        match self.strikes.get(expression) {
            Some(strikes) if strikes.count >= STRIKES_MAX && now < strikes.last + REFUSED_FOR => {
                Standing::Refused(strikes.cost)
            }
            Some(strikes) if now < strikes.last + FORGOTTEN_AFTER => Standing::Suspect,
            _ => Standing::Good,
        }
    }

    /// A run cost a worker.
    pub(super) fn strike(&mut self, expression: &str, cost: Cost, now: Instant) {
        if let Some(strikes) = self.strikes.get_mut(expression) {
            let is_forgotten = now >= strikes.last + FORGOTTEN_AFTER;
            let count = if is_forgotten { 1 } else { strikes.count.saturating_add(1) };
            *strikes = Strikes { count, last: now, cost };
            return;
        }
        if self.strikes.len() == REMEMBERED_MAX {
            let oldest = self.strikes.iter().min_by_key(|(_, strikes)| strikes.last);
            if let Some(oldest) = oldest.map(|(expression, _)| expression.clone()) {
                self.strikes.remove(&oldest);
            }
        }
        self.strikes.insert(expression.into(), Strikes { count: 1, last: now, cost });
    }

    /// A run went well: what came before was not in a row.
    pub(super) fn forgive(&mut self, expression: &str) {
        if !self.strikes.is_empty() {
            self.strikes.remove(expression);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_row_are_refused_for_a_while() {
        let start = Instant::now();
        let mut board = Scoreboard::default();
        assert_eq!(board.standing("f", start), Standing::Good);
        for _ in 0..STRIKES_MAX {
            assert_ne!(board.standing("f", start), Standing::Refused(Cost::Time));
            board.strike("f", Cost::Time, start);
        }
        assert_eq!(board.standing("f", start), Standing::Refused(Cost::Time));
        assert_eq!(board.standing("g", start), Standing::Good, "others are not concerned");
        let later = start + REFUSED_FOR;
        assert_eq!(board.standing("f", later), Standing::Suspect, "it may try again");
        board.strike("f", Cost::Memory, later);
        assert_eq!(board.standing("f", later), Standing::Refused(Cost::Memory), "one more is enough then");
        assert_eq!(board.standing("f", later + FORGOTTEN_AFTER), Standing::Good);
        board.strike("f", Cost::Time, later + FORGOTTEN_AFTER);
        assert_eq!(board.standing("f", later + FORGOTTEN_AFTER), Standing::Suspect, "counted anew");
    }

    #[test]
    fn one_good_run_ends_the_row() {
        let now = Instant::now();
        let mut board = Scoreboard::default();
        for _ in 0..10 {
            board.strike("f", Cost::Time, now);
            board.strike("f", Cost::Time, now);
            assert_eq!(board.standing("f", now), Standing::Suspect);
            board.forgive("f");
            assert_eq!(board.standing("f", now), Standing::Good);
        }
    }

    #[test]
    fn the_oldest_strike_makes_room() {
        let start = Instant::now();
        let mut board = Scoreboard::default();
        for n in 0..2 * REMEMBERED_MAX {
            let now = start + Duration::from_millis(u64::try_from(n).expect("small"));
            board.strike(&n.to_string(), Cost::Time, now);
            assert!(board.strikes.len() <= REMEMBERED_MAX);
        }
        let now = start + Duration::from_secs(1);
        assert_eq!(board.standing("0", now), Standing::Good);
        assert_eq!(board.standing(&(2 * REMEMBERED_MAX - 1).to_string(), now), Standing::Suspect);
    }
}
