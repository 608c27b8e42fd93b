//! Randomness, drawn in one place: keys, tokens, and names nobody may guess.

use std::cell::RefCell;

/// Bytes drawn ahead per thread by [`pooled_u128`]: one system call for 64 numbers.
const POOL_BYTES: usize = 1024;

/// `N` bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give: nothing here could go on safely with less.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that draws randomness")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's random generator works");
    bytes
}

/// A random number.
#[must_use]
pub fn random_u128() -> u128 {
    u128::from_le_bytes(random())
}

/// A random number as good as [`random_u128`]'s, for places that need one per request: the system call is shared
/// by 64 of them. Not for keys, which should not lie in memory before they are needed.
#[must_use]
pub fn pooled_u128() -> u128 {
    thread_local! {
        static POOL: RefCell<(usize, [u8; POOL_BYTES])> = const { RefCell::new((POOL_BYTES, [0; POOL_BYTES])) };
    }
    POOL.with_borrow_mut(|(used, pool)| {
        if *used == POOL_BYTES {
            *pool = random();
            *used = 0;
        }
        let (number, _) = pool[*used..].split_first_chunk().expect("the pool holds whole numbers");
        *used += size_of::<u128>();
        u128::from_le_bytes(*number)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn pooled_numbers_do_not_repeat_past_the_end_of_the_pool() {
        let seen: HashSet<u128> = (0..1_000).map(|_| pooled_u128()).collect();
        assert_eq!(seen.len(), 1_000);
    }
}
