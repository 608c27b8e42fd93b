//! Decides what becomes of a datagram. Pure: conditions, time and dice come in, a fate comes out.

use tokio::time::Instant;

use super::{Conditions, REORDER_HOLD};
use crate::dice::Dice;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    Now,
    At(Instant),
}

/// One direction of one client.
#[derive(Debug)]
pub(super) struct Lane {
    dice: Dice,
    last_due: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    Up,
    Down,
}

impl Lane {
    /// `client` numbers the clients from 0, in the order they appeared.
    pub(super) fn new(seed: u64, client: u64, direction: Direction) -> Self {
        let side = match direction {
            Direction::Up => 0,
            Direction::Down => 1,
        };
        Self { dice: Dice::new(seed, client * 2 + side), last_due: None }
    }

    pub(super) fn fate(&mut self, conditions: &Conditions, now: Instant) -> Fate {
        // Every datagram casts all three, so that switching jitter on does not change which ones are lost.
        let [loss, jitter, reorder] = [self.dice.roll(), self.dice.roll(), self.dice.roll()];
        if loss < conditions.drop {
            return Fate::Lost;
        }
        if conditions.is_instant() {
            return Fate::Now;
        }
        let due = now + conditions.delay + conditions.jitter.mul_f64(jitter);
        if reorder < conditions.reorder {
            return Fate::At(due + REORDER_HOLD);
        }
        let due = self.last_due.map_or(due, |last| due.max(last));
        self.last_due = Some(due);
        Fate::At(due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fates(seed: u64, client: u64, conditions: &Conditions, count: usize) -> Vec<Fate> {
        let mut lane = Lane::new(seed, client, Direction::Up);
        let now = Instant::now();
        (0..count).map(|_| lane.fate(conditions, now)).collect()
    }

    #[tokio::test]
    async fn the_same_seed_loses_the_same_datagrams_and_another_seed_or_client_others() {
        let conditions = Conditions { drop: 0.3, ..Conditions::default() };
        let first = fates(7, 0, &conditions, 200);
        assert_eq!(first, fates(7, 0, &conditions, 200));
        assert_ne!(first, fates(8, 0, &conditions, 200));
        assert_ne!(first, fates(7, 1, &conditions, 200));
    }

    #[tokio::test]
    async fn about_as_many_are_lost_as_was_asked() {
        for asked in [0.01, 0.03, 0.5] {
            let lost = fates(1, 0, &Conditions { drop: asked, ..Conditions::default() }, 100_000)
                .into_iter()
                .filter(|fate| *fate == Fate::Lost)
                .count();
            let rate = lost as f64 / 100_000.0;
            assert!((rate - asked).abs() < 0.005, "asked for {asked}, lost {rate}");
        }
    }

    #[tokio::test]
    async fn nothing_and_everything_are_exact() {
        assert!(fates(1, 0, &Conditions::default(), 1_000).iter().all(|fate| *fate == Fate::Now));
        let all = Conditions { drop: 1.0, ..Conditions::default() };
        assert!(fates(1, 0, &all, 1_000).iter().all(|fate| *fate == Fate::Lost));
    }

    #[tokio::test]
    async fn jitter_changes_when_but_neither_the_order_nor_which_are_lost() {
        let plain = Conditions { drop: 0.2, delay: Duration::from_millis(20), ..Conditions::default() };
        let shaky = Conditions { jitter: Duration::from_millis(10), ..plain };
        let (plain, shaky) = (fates(3, 0, &plain, 500), fates(3, 0, &shaky, 500));
        let mut last = None;
        for (plain, shaky) in plain.iter().zip(&shaky) {
            assert_eq!(*plain == Fate::Lost, *shaky == Fate::Lost);
            if let Fate::At(due) = shaky {
                assert!(last.is_none_or(|last| last <= *due));
                last = Some(*due);
            }
        }
    }

    #[tokio::test]
    async fn a_reordered_datagram_is_held_longer_than_the_one_behind_it() {
        let conditions = Conditions { reorder: 0.5, ..Conditions::default() };
        let now = Instant::now();
        let mut lane = Lane::new(1, 0, Direction::Up);
        let held = (0..1_000).filter(|_| lane.fate(&conditions, now) == Fate::At(now + REORDER_HOLD)).count();
        assert!((400..600).contains(&held), "{held} of 1,000 were held back");
    }
}
