//! The datagrams under way, earliest first; of equally early ones, the first in is the first out.
//! Bounded: when it is full the newest is refused, as a router's queue does.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tokio::time::Instant;

/// At 20 ms one way this is 800,000 datagrams a second, far past what the proxy moves; at 1,500 bytes each, 24 MiB.
const HELD_MAX: usize = 16_384;

#[derive(Debug)]
pub(super) struct Held<T> {
    heap: BinaryHeap<Entry<T>>,
    next_order: u64,
}

#[derive(Debug)]
struct Entry<T> {
    due: Instant,
    order: u64,
    to: T,
    bytes: Box<[u8]>,
}

impl<T> Held<T> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), next_order: 0 }
    }

    /// False when the queue is full and the datagram was not taken.
    #[must_use]
    pub(super) fn push(&mut self, due: Instant, to: T, bytes: &[u8]) -> bool {
        if self.heap.len() >= HELD_MAX {
            return false;
        }
        self.heap.push(Entry { due, order: self.next_order, to, bytes: bytes.into() });
        self.next_order += 1;
        true
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.due)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(T, Box<[u8]>)> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|entry| (entry.to, entry.bytes))
    }
}

// Turned round, because BinaryHeap hands out the greatest first.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.order).cmp(&(self.due, self.order))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn datagrams_come_out_when_due_earliest_first_and_in_order_of_arrival() {
        let now = Instant::now();
        let later = now + Duration::from_millis(5);
        let mut held = Held::new();
        for (due, name) in [(later, "c"), (now, "a"), (now, "b")] {
            assert!(held.push(due, name, b"x"));
        }
        let mut out = Vec::new();
        while let Some((name, _)) = held.pop_due(now) {
            out.push(name);
        }
        assert_eq!(out, ["a", "b"]);
        assert_eq!(held.next_due(), Some(later));
        assert_eq!(held.pop_due(later).map(|(name, _)| name), Some("c"));
        assert_eq!(held.next_due(), None);
    }

    #[test]
    fn a_full_queue_refuses_the_newest() {
        let now = Instant::now();
        let mut held = Held::new();
        for _ in 0..HELD_MAX {
            assert!(held.push(now, (), b""));
        }
        assert!(!held.push(now, (), b""));
        assert!(held.pop_due(now).is_some());
        assert!(held.push(now, (), b""));
    }
}
