//! Chance that can be had again: the same seed rolls the same numbers on every machine.

/// SplitMix64 (Steele, Lea and Flood 2014): small, seedable, even enough for loss and for arrivals.
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// Dice of one seed in different lanes have nothing to do with each other.
    pub fn new(seed: u64, lane: u64) -> Self {
        Self { state: mixed(seed.wrapping_add(mixed(lane.wrapping_add(GOLDEN_GAMMA)))) }
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mixed(self.state)
    }

    /// Evenly spread over 0.0..1.0.
    pub fn roll(&mut self) -> f64 {
        // The upper 53 bits are what an f64 holds exactly.
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Which of these shares the dice fall on, each as likely as it is large. The last one where all are nothing.
    pub fn share(&mut self, shares: &[f64]) -> usize {
        let mut left = self.roll() * shares.iter().sum::<f64>();
        let falls = |share: &f64| {
            left -= share;
            left < 0.0
        };
        shares.iter().position(falls).unwrap_or(shares.len() - 1)
    }
}

fn mixed(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_up_as_often_as_they_are_large() {
        let mut dice = Dice::new(7, 0);
        let mut seen = [0; 3];
        for _ in 0..10_000 {
            seen[dice.share(&[1.0, 0.0, 3.0])] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((2_300..2_700).contains(&seen[0]), "{seen:?}");
        assert_eq!(seen[0] + seen[2], 10_000);
    }
}
