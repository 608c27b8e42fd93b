//! The last hour of each source, in memory: how many events came, how many went wrong, how long the answers took. For
//! people who look whether all is well; it begins anew with the server.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use crate::model::{EventRecord, Outcome, SignatureSeen, SourceId};

/// Minutes looked back.
pub const MINUTES: usize = 60;

/// Latencies are kept for parts of an hour of so many minutes.
const SLOT_MINUTES: u64 = 5;
const SLOTS: usize = MINUTES / 5;

/// Classes of latency: four to a doubling from 1 µs to 67 s, so a class is a fifth wide.
const PER_DOUBLING: u64 = 4;
const CLASSES: usize = 26 * 4;

/// Sources watched; 6 KiB each. Of the others nothing is told.
const SOURCES_MAX: usize = 2_048;

/// A minute of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minute {
    /// Events that came.
    pub events: u32,
    /// Of those, what was not delivered and not kept either, or answered 5xx.
    pub failed: u32,
    /// Of those, what had no good signature.
    pub unsigned: u32,
}

/// An hour of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hour {
    /// Oldest first; the last is the one that runs.
    pub minutes: [Minute; MINUTES],
    /// Half of the app's answers began sooner, in microseconds; `None`: there was none.
    pub p50_us: Option<u64>,
    /// All but a hundredth did.
    pub p99_us: Option<u64>,
}

/// All sources, and the minute in which there was no room for another. Cheap to clone.
#[derive(Clone, Default)]
pub struct Pulse(Arc<RwLock<HashMap<SourceId, Mutex<Beat>>>>, Arc<AtomicU64>);

/// What is kept of a source: rings, in which a place is valid for the minute (or slot) that stands beside it.
struct Beat {
    minutes: [(u64, Minute); MINUTES],
    slots: [(u64, Option<Box<[u32; CLASSES]>>); SLOTS],
}

impl Default for Beat {
    fn default() -> Self {
        Self { minutes: [(0, Minute::default()); MINUTES], slots: std::array::from_fn(|_| (0, None)) }
    }
}

impl Pulse {
    /// Sees an event pass.
    ///
    /// # Panics
    /// When another thread panicked here.
    pub fn see(&self, record: &EventRecord, now_ms: u64) {
        let one = Minute {
            events: 1,
            failed: u32::from(has_failed(record)),
            unsigned: u32::from(matches!(record.known.signature, SignatureSeen::Refused(..))),
        };
        let head_us = (record.outcome == Outcome::Answered).then_some(record.times.head_us);
        {
            let all = self.0.read().expect("pulse lock");
            if let Some(beat) = all.get(&record.source) {
                return beat.lock().expect("beat lock").see(one, head_us, now_ms);
            }
        }
        let minute = now_ms / 60_000;
        if self.1.load(Ordering::Relaxed) == minute {
            return;
        }
        let mut all = self.0.write().expect("pulse lock");
        if all.len() >= SOURCES_MAX {
            all.retain(|_, beat| !beat.get_mut().expect("beat lock").is_quiet(now_ms));
            // Once a minute: this looks at all of them.
            let is_still_full = all.len() >= SOURCES_MAX;
            self.1.store(if is_still_full { minute } else { 0 }, Ordering::Relaxed);
        }
        if all.len() < SOURCES_MAX {
            let beat = all.entry(record.source).or_default();
            beat.get_mut().expect("beat lock").see(one, head_us, now_ms);
        }
    }

    /// The last hour of a source.
    ///
    /// # Panics
    /// When another thread panicked here.
    #[must_use]
    pub fn hour(&self, source: SourceId, now_ms: u64) -> Hour {
        let all = self.0.read().expect("pulse lock");
        let nothing = Hour { minutes: [Minute::default(); MINUTES], p50_us: None, p99_us: None };
        all.get(&source).map_or(nothing, |beat| beat.lock().expect("beat lock").hour(now_ms))
    }
}

/// Whether its sender did not get what it came for: refusals for what is the sender's own fault are none.
fn has_failed(record: &EventRecord) -> bool {
    match record.outcome {
        Outcome::NotSent(_) | Outcome::SentNoAnswer(_) => true,
        Outcome::Answered => record.answer.status >= 500,
        Outcome::Refused(_) => record.answer.status >= 500,
        Outcome::Accepted(_) | Outcome::Duplicate | Outcome::Greeted(_) => false,
    }
}

impl Beat {
    fn see(&mut self, one: Minute, head_us: Option<u64>, now_ms: u64) {
        let minute = now_ms / 60_000;
        let (of, kept) = &mut self.minutes[place(minute, MINUTES)];
        if *of != minute {
            (*of, *kept) = (minute, Minute::default());
        }
        kept.events = kept.events.saturating_add(one.events);
        kept.failed = kept.failed.saturating_add(one.failed);
        kept.unsigned = kept.unsigned.saturating_add(one.unsigned);
        let Some(head_us) = head_us else { return };
        let slot = minute / SLOT_MINUTES;
        let (of, classes) = &mut self.slots[place(slot, SLOTS)];
        if *of != slot {
            (*of, *classes) = (slot, None);
        }
        let count = &mut classes.get_or_insert_with(|| Box::new([0; CLASSES]))[class_of(head_us)];
        *count = count.saturating_add(1);
    }

    fn is_quiet(&self, now_ms: u64) -> bool {
        let oldest = (now_ms / 60_000).saturating_sub(MINUTES as u64);
        self.minutes.iter().all(|(of, _)| *of <= oldest)
    }

    fn hour(&self, now_ms: u64) -> Hour {
        let last = now_ms / 60_000;
        let minutes = std::array::from_fn(|at| {
            let minute = (last + 1 + at as u64).saturating_sub(MINUTES as u64);
            let (of, kept) = self.minutes[place(minute, MINUTES)];
            if of == minute { kept } else { Minute::default() }
        });
        let oldest = (last / SLOT_MINUTES + 1).saturating_sub(SLOTS as u64);
        let mut counts = [0_u64; CLASSES];
        for (of, classes) in &self.slots {
            let Some(classes) = classes.as_ref().filter(|_| *of >= oldest) else { continue };
            counts.iter_mut().zip(classes.iter()).for_each(|(sum, count)| *sum += u64::from(*count));
        }
        Hour { minutes, p50_us: quantile(&counts, 50), p99_us: quantile(&counts, 99) }
    }
}

/// The place of a minute or a slot in its ring.
fn place(of: u64, places: usize) -> usize {
    usize::try_from(of % places as u64).expect("less than the places")
}

fn class_of(us: u64) -> usize {
    let us = us.clamp(1, end_of(CLASSES - 1));
    let doubling = us.ilog2();
    // What is left of the doubling, in quarters.
    let rest = ((us - (1 << doubling)) * PER_DOUBLING) >> doubling;
    usize::try_from(u64::from(doubling) * PER_DOUBLING + rest)
        .map_or(CLASSES - 1, |class| class.min(CLASSES - 1))
}

/// The upper end of a class.
fn end_of(class: usize) -> u64 {
    let (doubling, rest) = (class as u64 / PER_DOUBLING, class as u64 % PER_DOUBLING);
    (1 << doubling) + ((rest + 1) << doubling) / PER_DOUBLING
}

fn quantile(counts: &[u64; CLASSES], percent: u64) -> Option<u64> {
    let all: u64 = counts.iter().sum();
    let wanted = (all * percent).div_ceil(100).max(1);
    let mut seen = 0;
    counts
        .iter()
        .position(|count| {
            seen += count;
            seen >= wanted
        })
        .filter(|_| all > 0)
        .map(end_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_what_is_a_fifth_less_than_its_end() {
        for us in (1..200_000).step_by(7).chain([67_000_000]) {
            let end = end_of(class_of(us));
            assert!(us <= end && (end - us) * 4 <= us + 4, "{us} in a class that ends at {end}");
        }
        assert_eq!(class_of(u64::MAX), CLASSES - 1);
        assert_eq!(class_of(0), 0);
    }

    #[test]
    fn an_hour_passes_on() {
        let mut beat = Beat::default();
        let begin = 1_700_000_000_000 / 60_000 * 60_000;
        for at in 0..90_u64 {
            let one = Minute { events: 1, failed: u32::from(at == 89), unsigned: 0 };
            beat.see(one, Some(if at < 45 { 1_000_000 } else { 1_000 }), begin + at * 60_000);
        }
        let hour = beat.hour(begin + 89 * 60_000 + 59_000);
        assert_eq!(hour.minutes.map(|minute| minute.events), [1; MINUTES]);
        assert_eq!(hour.minutes.iter().map(|minute| minute.failed).sum::<u32>(), 1);
        assert!(hour.p50_us.is_some_and(|us| (1_000..1_300).contains(&us)), "{:?}", hour.p50_us);
        assert!(hour.p99_us.is_some_and(|us| us >= 1_000_000), "{:?}", hour.p99_us);
        let later = beat.hour(begin + 200 * 60_000);
        assert_eq!(later, Hour { minutes: [Minute::default(); MINUTES], p50_us: None, p99_us: None });
        assert!(beat.is_quiet(begin + 200 * 60_000) && !beat.is_quiet(begin + 100 * 60_000));
    }
}
