//! Latencies in buckets that grow with the value: 64 to each doubling, so a quantile is right to within 1.6 %.

use std::time::Duration;

const STEPS_LOG2: u32 = 6;
const STEPS: u64 = 1 << STEPS_LOG2;

/// The bucket of u64::MAX nanoseconds, and one.
const BUCKETS: usize = 59 << STEPS_LOG2;

#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, max: 0 }
    }

    pub fn record(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn max_ms(&self) -> f64 {
        self.max as f64 / 1e6
    }

    /// The least latency that this part of all requests did not exceed. 0 where nothing was recorded.
    pub fn quantile_ms(&self, part: f64) -> f64 {
        let wanted = part * self.count as f64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > 0 && seen as f64 >= wanted {
                return middle(index) / 1e6;
            }
        }
        0.0
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// The first 64 buckets hold one value each; from there on the top seven bits of the value name the bucket.
fn bucket(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(STEPS_LOG2 + 1);
    let index = u64::from(shift) * STEPS + (value >> shift);
    usize::try_from(index).unwrap_or(BUCKETS - 1)
}

fn middle(index: usize) -> f64 {
    let index = index as f64;
    let steps = STEPS as f64;
    if index < 2.0 * steps {
        return index;
    }
    let shift = (index / steps).floor() - 1.0;
    (index - shift * steps + 0.5) * shift.exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_bucket_and_lies_near_its_middle() {
        for exponent in 0..64_u32 {
            for value in [1_u64 << exponent, (1_u64 << exponent) + (1_u64 << exponent) / 3] {
                let found = middle(bucket(value));
                assert!((found - value as f64).abs() <= value as f64 * 0.016, "{value} became {found}");
            }
        }
        assert!(bucket(u64::MAX) < BUCKETS);
        assert_eq!(bucket(0), 0);
    }

    #[test]
    fn quantiles_are_those_of_the_values_recorded() {
        let mut histogram = Histogram::new();
        assert!(histogram.quantile_ms(0.5).abs() < f64::EPSILON);
        for ms in 1..=100 {
            histogram.record(Duration::from_millis(ms));
        }
        assert_eq!(histogram.count(), 100);
        assert!((histogram.quantile_ms(0.50) - 50.0).abs() < 1.0);
        assert!((histogram.quantile_ms(0.99) - 99.0).abs() < 2.0);
        assert!((histogram.max_ms() - 100.0).abs() < 0.001);
    }
}
