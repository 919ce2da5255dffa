//! Who announces blocks early, and which scout gives its place to another address.

use std::collections::VecDeque;
use std::time::Duration;

use crate::cold::roster::Chance;
use crate::limits::{SCOUT_EARLY_MS, SCOUT_FIRSTS_MAX};

const EARLY_NS: u64 = SCOUT_EARLY_MS * 1_000_000;

/// When each of the last blocks was announced first.
#[derive(Debug, Default)]
pub(super) struct Firsts(VecDeque<([u8; 32], u64)>);

impl Firsts {
    /// Notes an announcement; whether it was an early one.
    pub(super) fn note(&mut self, hash: [u8; 32], at_ns: u64) -> bool {
        if let Some((_, first_ns)) = self.0.iter_mut().find(|(known, _)| *known == hash) {
            *first_ns = at_ns.min(*first_ns);
            return at_ns - *first_ns <= EARLY_NS;
        }
        if self.0.len() >= SCOUT_FIRSTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((hash, at_ns));
        true
    }
}

/// What one scout has been good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// For how long it has listened.
    pub(super) stayed: Duration,
    /// Blocks that its peer announced,
    pub(super) announced: u32,
    /// and those among them that it announced early.
    pub(super) early: u32,
}

/// The scout that is missed least, of those that have stayed for `stay`: the smallest share of early
/// announcements; by lot among equals. `None`: nobody has stayed so long.
pub(super) fn leaver<P: Copy>(
    scouts: impl Iterator<Item = (P, Record)>,
    stay: Duration,
    chance: &mut Chance,
) -> Option<P> {
    let tired = scouts.filter(|(_, record)| record.stayed >= stay);
    // Somewhat more than it announced: early once out of once is less than nine times out of ten.
    let share = |it: &Record| f64::from(it.early) / (f64::from(it.announced) + 1.5);
    let worth = tired.map(|(scout, record)| (share(&record), chance.next(), scout));
    let least = worth.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    least.map(|(_, _, scout)| scout)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const STAY: Duration = Duration::from_secs(100);

    #[test]
    fn who_announces_soon_after_the_first_is_early() {
        let mut firsts = Firsts::default();
        assert!(firsts.note([1; 32], 5_000) && firsts.note([1; 32], 5_000 + EARLY_NS));
        assert!(!firsts.note([1; 32], 5_001 + EARLY_NS));
        assert!(firsts.note([1; 32], 10), "noted late, announced first");
        assert!(!firsts.note([1; 32], 5_000 + EARLY_NS));
        for number in 0..=u8::try_from(SCOUT_FIRSTS_MAX).unwrap() {
            firsts.note([2 + number; 32], 1);
        }
        assert_eq!(firsts.0.len(), SCOUT_FIRSTS_MAX);
    }

    #[test]
    fn the_late_go_first_and_nobody_goes_at_once() {
        let record = |stayed_s, announced, early| Record {
            stayed: Duration::from_secs(stayed_s),
            announced,
            early,
        };
        let pick = |scouts: &[Record], seed| {
            leaver(scouts.iter().copied().enumerate(), STAY, &mut Chance::seeded(seed))
        };
        assert_eq!(pick(&[], 3), None);
        assert_eq!(pick(&[record(99, 0, 0)], 3), None);
        assert_eq!(pick(&[record(99, 9, 0), record(100, 9, 9)], 3), Some(1));
        assert_eq!(pick(&[record(900, 9, 8), record(100, 9, 2), record(500, 9, 3)], 3), Some(1));
        assert_eq!(pick(&[record(200, 1, 1), record(200, 10, 9)], 3), Some(0));
        let equals = [record(200, 4, 2); 8];
        let drawn: HashSet<_> = (0..200).filter_map(|seed| pick(&equals, seed)).collect();
        assert_eq!(drawn.len(), 8, "by lot");
    }
}
