//! So many times a second and no more: for work that is done for people, whatever the traffic.

use std::sync::Mutex;

/// Counts what is done within one second. Shared by reference.
#[derive(Debug)]
pub struct Allowance {
    per_second: u32,
    /// The second, and what was taken in it.
    taken: Mutex<(u64, u32)>,
}

impl Allowance {
    /// Allows so much each second of the wall clock.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self { per_second, taken: Mutex::default() }
    }

    /// Takes one, if there is one left in this second.
    pub fn take(&self, now_ms: u64) -> bool {
        let second = now_ms / 1_000;
        let mut taken = self.taken.lock().expect("allowance lock");
        if taken.0 != second {
            *taken = (second, 0);
        }
        let is_left = taken.1 < self.per_second;
        taken.1 += u32::from(is_left);
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_and_the_next_as_many_again() {
        let allowance = Allowance::new(2);
        let taken: Vec<bool> = [5_000, 5_001, 5_999, 6_000].map(|now_ms| allowance.take(now_ms)).into();
        assert_eq!(taken, [true, true, false, true]);
    }
}
