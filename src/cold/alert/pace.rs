//! Whether a block went out slower than others like it.

use std::collections::VecDeque;

use super::situation::Pace;
use crate::limits::{ALERT_PACES_MAX, ALERT_PACES_MIN, ALERT_SLOW_HALF_US, ALERT_SLOW_LAST_US};

/// The paces of a chain's last blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Paces(VecDeque<Pace>);

/// A block that was slow: what it took and what was usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slow {
    pub(super) is_half: bool,
    pub(super) took_us: i64,
    pub(super) usual_us: i64,
    pub(super) blocks: usize,
}

impl Paces {
    /// Judges `pace` by the earlier ones of similar size, then remembers it. A median hardly moves for
    /// single slow blocks; a network that has become slow for good is the usual after half of the
    /// memory.
    pub(super) fn judge(&mut self, pace: Pace, factor: f64) -> Option<Slow> {
        let low = pace.size_bytes / 2;
        let like = low..=pace.size_bytes.saturating_mul(2);
        let like: Vec<&Pace> = self.0.iter().filter(|it| like.contains(&it.size_bytes)).collect();
        let slow = |is_half: bool, least_us: i64| {
            let of = |pace: &Pace| if is_half { pace.half_us } else { pace.last_us };
            let (took_us, usual_us) = (of(&pace), median(like.iter().map(|it| of(it)).collect())?);
            let is_slow = took_us as f64 > factor * usual_us as f64;
            let blocks = like.len();
            (is_slow && took_us > usual_us.saturating_add(least_us)).then_some(Slow {
                is_half,
                took_us,
                usual_us,
                blocks,
            })
        };
        let found = (like.len() >= ALERT_PACES_MIN)
            .then(|| slow(true, ALERT_SLOW_HALF_US).or_else(|| slow(false, ALERT_SLOW_LAST_US)))
            .flatten();
        if self.0.len() >= ALERT_PACES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(pace);
        found
    }
}

fn median(mut times_us: Vec<i64>) -> Option<i64> {
    times_us.sort_unstable();
    times_us.get(times_us.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn pace(size_bytes: u32, half_us: i64, last_us: i64) -> Pace {
        Pace { size_bytes, half_us, last_us }
    }

    #[test]
    fn a_block_is_judged_by_enough_others_of_its_size() {
        let mut paces = Paces::default();
        for _ in 0..ALERT_PACES_MIN - 1 {
            assert_eq!(paces.judge(pace(1_000_000, 40_000, 400_000), 3.0), None);
        }
        assert_eq!(paces.judge(pace(1_000_000, 900_000, 900_000), 3.0), None, "too few are known");
        let slow = Slow { is_half: true, took_us: 121_000, usual_us: 40_000, blocks: 10 };
        assert_eq!(paces.judge(pace(1_000_000, 121_000, 130_000), 3.0), Some(slow));
        assert_eq!(paces.judge(pace(3_000_000, 121_000, 130_000), 3.0), None, "a larger one");
        assert_eq!(paces.judge(pace(1_000_000, 119_000, 1_000_000), 3.0), None, "not three times");
        let late = paces.judge(pace(1_000_000, 40_000, 1_300_000), 3.0).unwrap();
        assert!(!late.is_half && late.usual_us == 400_000, "{late:?}");
    }

    #[test]
    fn some_milliseconds_more_are_nothing() {
        let mut paces = Paces::default();
        for _ in 0..30 {
            paces.judge(pace(1_000, 100, 200), 3.0);
        }
        assert_eq!(paces.judge(pace(1_000, 20_000, 200_000), 3.0), None);
    }

    #[test]
    fn what_is_slow_for_good_becomes_usual() {
        let mut paces = Paces::default();
        let judge = |paces: &mut Paces, half_us| paces.judge(pace(1_000, half_us, half_us), 3.0);
        assert!((0..50).all(|_| judge(&mut paces, 10_000).is_none()));
        let slow = (0..50).filter(|_| judge(&mut paces, 200_000).is_some()).count();
        assert!((20..=30).contains(&slow), "{slow}");
        assert_eq!(paces.0.len(), ALERT_PACES_MAX);
    }
}
