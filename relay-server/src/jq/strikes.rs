//! Expressions that lately cost a worker: who struck once runs in a lane of its own, who struck out waits.
//!
//! Each owner's expression stands by itself: what one project's senders do to an expression is nothing to another's.
//!
//! Pure: the caller says what time it is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::model::ProjectId;

/// Runs in a row that cost a worker before an expression rests. One may be an unlucky moment, three are not.
const STRIKES_MAX: u32 = 3;

/// How long it then rests.
const RESTS_FOR: Duration = Duration::from_secs(10);

/// After so long without another strike it is as good as new.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Expressions remembered of all owners. Each is at most 4 KiB; the one that struck longest ago makes room.
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
    Resting,
}

struct Strikes {
    count: u32,
    last: Instant,
}

/// Strikes of all expressions.
#[derive(Default)]
pub(super) struct Scoreboard {
    strikes: HashMap<ProjectId, HashMap<Box<str>, Strikes>>,
}

impl Scoreboard {
    pub(super) fn standing(&self, owner: ProjectId, expression: &str, now: Instant) -> Standing {
        match self.strikes.get(&owner).and_then(|strikes| strikes.get(expression)) {
            Some(strikes) if strikes.count >= STRIKES_MAX && now < strikes.last + RESTS_FOR => {
                Standing::Resting
            }
            Some(strikes) if now < strikes.last + FORGOTTEN_AFTER => Standing::Suspect,
            _ => Standing::Good,
        }
    }

    /// A run cost a worker.
    pub(super) fn strike(&mut self, owner: ProjectId, expression: &str, now: Instant) {
        if let Some(strikes) = self.strikes.get_mut(&owner).and_then(|strikes| strikes.get_mut(expression)) {
            let is_forgotten = now >= strikes.last + FORGOTTEN_AFTER;
            let count = if is_forgotten { 1 } else { strikes.count.saturating_add(1) };
            *strikes = Strikes { count, last: now };
            return;
        }
        if self.strikes.values().map(HashMap::len).sum::<usize>() >= REMEMBERED_MAX {
            self.forget_oldest();
        }
        self.strikes.entry(owner).or_default().insert(expression.into(), Strikes { count: 1, last: now });
    }

    fn forget_oldest(&mut self) {
        let all =
            self.strikes.iter().flat_map(|(owner, strikes)| strikes.iter().map(move |one| (*owner, one)));
        let oldest = all.min_by_key(|(_, (_, strikes))| strikes.last);
        if let Some((owner, expression)) = oldest.map(|(owner, (expression, _))| (owner, expression.clone()))
        {
            self.forgive(owner, &expression);
        }
    }

    /// A run went well: what came before was not in a row.
    pub(super) fn forgive(&mut self, owner: ProjectId, expression: &str) {
        let Some(strikes) = self.strikes.get_mut(&owner) else { return };
        strikes.remove(expression);
        if strikes.is_empty() {
            self.strikes.remove(&owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: ProjectId = ProjectId(1);
    const THEIRS: ProjectId = ProjectId(2);

    #[test]
    fn after_three_in_a_row_an_expression_rests_for_a_while() {
        let start = Instant::now();
        let mut board = Scoreboard::default();
        assert_eq!(board.standing(OURS, "f", start), Standing::Good);
        for _ in 0..STRIKES_MAX {
            assert_ne!(board.standing(OURS, "f", start), Standing::Resting);
            board.strike(OURS, "f", start);
        }
        assert_eq!(board.standing(OURS, "f", start), Standing::Resting);
        assert_eq!(board.standing(OURS, "g", start), Standing::Good, "others are not concerned");
        let later = start + RESTS_FOR;
        assert_eq!(board.standing(OURS, "f", later), Standing::Suspect, "it may try again");
        board.strike(OURS, "f", later);
        assert_eq!(board.standing(OURS, "f", later), Standing::Resting, "one more is enough then");
        assert_eq!(board.standing(OURS, "f", later + FORGOTTEN_AFTER), Standing::Good);
        board.strike(OURS, "f", later + FORGOTTEN_AFTER);
        assert_eq!(board.standing(OURS, "f", later + FORGOTTEN_AFTER), Standing::Suspect, "counted anew");
    }

    #[test]
    fn the_same_expression_of_another_project_runs_on() {
        let now = Instant::now();
        let mut board = Scoreboard::default();
        for _ in 0..STRIKES_MAX {
            board.strike(OURS, "f", now);
        }
        assert_eq!(board.standing(OURS, "f", now), Standing::Resting);
        assert_eq!(board.standing(THEIRS, "f", now), Standing::Good);
        board.forgive(THEIRS, "f");
        assert_eq!(board.standing(OURS, "f", now), Standing::Resting, "their good run is not ours");
    }

    #[test]
    fn one_good_run_ends_the_row() {
        let now = Instant::now();
        let mut board = Scoreboard::default();
        for _ in 0..10 {
            board.strike(OURS, "f", now);
            board.strike(OURS, "f", now);
            assert_eq!(board.standing(OURS, "f", now), Standing::Suspect);
            board.forgive(OURS, "f");
            assert_eq!(board.standing(OURS, "f", now), Standing::Good);
        }
    }

    #[test]
    fn the_oldest_strike_makes_room() {
        let start = Instant::now();
        let mut board = Scoreboard::default();
        for n in 0..2 * REMEMBERED_MAX {
            let now = start + Duration::from_millis(u64::try_from(n).expect("small"));
            board.strike(OURS, &n.to_string(), now);
            assert!(board.strikes[&OURS].len() <= REMEMBERED_MAX);
        }
        let now = start + Duration::from_secs(1);
        assert_eq!(board.standing(OURS, "0", now), Standing::Good);
        assert_eq!(board.standing(OURS, &(2 * REMEMBERED_MAX - 1).to_string(), now), Standing::Suspect);
    }
}
