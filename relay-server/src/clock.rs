//! The wall clock, read in one place. Everything that needs the time is handed a [`Clock`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time. Cheap to clone; clones of a fixed clock are set together.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    System,
    Fixed(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that stands at `unix_ms` until it is [set](Self::set), for tests.
    #[must_use]
    pub fn fixed(unix_ms: u64) -> Self {
        Self(Kind::Fixed(Arc::new(AtomicU64::new(unix_ms))))
    }

    /// Milliseconds since 1970-01-01 UTC, without leap seconds. Zero for a machine whose clock is set before that.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Kind::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Kind::Fixed(ms) => ms.load(Ordering::Relaxed),
        }
    }

    /// Sets a fixed clock. The machine's own is not ours to set: nothing happens.
    pub fn set(&self, unix_ms: u64) {
        if let Kind::Fixed(ms) = &self.0 {
            ms.store(unix_ms, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_fixed_clock_are_set_together() {
        let clock = Clock::fixed(5);
        let other = clock.clone();
        clock.set(9);
        assert_eq!(other.now_ms(), 9);
    }

    #[test]
    fn the_system_clock_cannot_be_set() {
        let clock = Clock::system();
        clock.set(1);
        assert!(clock.now_ms() > 1_600_000_000_000, "later than 2020");
    }
}
