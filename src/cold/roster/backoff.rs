//! How long to leave an address alone, and the dice for it.

use std::time::Duration;

use crate::limits::{
    ASKING_RETRY_MAX_MS, ASKING_RETRY_MIN_MS, KEPT_RETRY_MAX_MS, KEPT_RETRY_MIN_MS,
    PEER_RETRY_MAX_MS, PEER_RETRY_MIN_MS,
};
use crate::sys::clock;

/// Doubling waits between `first` and `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cold) struct Backoff {
    first: Duration,
    max: Duration,
}

/// Between tries at the local node and at peers that the operator named.
pub(super) const KEPT: Backoff = Backoff::between(KEPT_RETRY_MIN_MS, KEPT_RETRY_MAX_MS);
/// Between tries at an ordinary address.
pub(super) const ORDINARY: Backoff = Backoff::between(PEER_RETRY_MIN_MS, PEER_RETRY_MAX_MS);
/// Between questions to a node that does not answer.
pub(super) const ASKING: Backoff = Backoff::between(ASKING_RETRY_MIN_MS, ASKING_RETRY_MAX_MS);

impl Backoff {
    pub(in crate::cold) const fn between(first_ms: u64, max_ms: u64) -> Self {
        Self { first: Duration::from_millis(first_ms), max: Duration::from_millis(max_ms) }
    }

    /// The wait after that many failures in a row: nothing after none, else between half of the
    /// doubled wait and all of it, so that many addresses lost together don't come back together.
    pub(in crate::cold) fn wait(self, failures: u32, chance: &mut Chance) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let whole = self.first.checked_mul(factor).unwrap_or(self.max).min(self.max);
        whole.mul_f64(0.5 + 0.5 * chance.unit())
    }

    /// The longest wait, jittered, for what will not change soon.
    pub(super) fn longest(self, chance: &mut Chance) -> Duration {
        self.max.mul_f64(0.5 + 0.5 * chance.unit())
    }
}

/// Dice for spreading things out. Not for secrets.
#[derive(Debug)]
pub(in crate::cold) struct Chance(u64);

impl Chance {
    /// Dice that fall the same way for the same seed.
    pub(in crate::cold) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice that nobody can foresee.
    pub(in crate::cold) fn new() -> Self {
        Self(unforeseen())
    }

    /// The next 64 bits (SplitMix64; Steele, Lea, Flood 2014).
    pub(in crate::cold) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 up to, not including, 1.
    pub(in crate::cold) fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
    }

    /// Brings `items` into any order, each as likely as the other.
    pub(in crate::cold) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.next() % (last as u64 + 1)).unwrap_or(0);
            items.swap(last, other);
        }
    }
}

/// 64 bits from the kernel; where it refuses, from the clock, which is enough to tell connections
/// apart.
pub(in crate::cold) fn unforeseen() -> u64 {
    getrandom::u64().unwrap_or_else(|_| Chance::seeded(clock::now_ns()).next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_bounds() {
        let mut chance = Chance::seeded(1);
        assert_eq!(KEPT.wait(0, &mut chance), Duration::ZERO);
        for backoff in [KEPT, ORDINARY, ASKING] {
            for failures in 1..200 {
                let whole = backoff.first.as_secs_f64() * 2f64.powi(failures - 1);
                let whole = whole.min(backoff.max.as_secs_f64());
                for _ in 0..50 {
                    let wait = backoff.wait(failures.unsigned_abs(), &mut chance).as_secs_f64();
                    assert!(
                        wait >= whole / 2.0 - 1e-6 && wait <= whole + 1e-6,
                        "{failures} {wait}"
                    );
                }
            }
            assert!(backoff.longest(&mut chance) >= backoff.max / 2);
            assert!(backoff.wait(u32::MAX, &mut chance) <= backoff.max);
        }
    }

    #[test]
    fn shuffling_loses_nothing_and_moves_everything() {
        let mut chance = Chance::seeded(2);
        let mut firsts = [0u32; 8];
        for _ in 0..4_000 {
            let mut items: Vec<usize> = (0..8).collect();
            chance.shuffle(&mut items);
            firsts[items[0]] += 1;
            items.sort_unstable();
            assert_eq!(items, (0..8).collect::<Vec<_>>());
        }
        assert!(firsts.iter().all(|count| (350..650).contains(count)), "{firsts:?}");
    }
}
