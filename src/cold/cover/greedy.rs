//! The choice: greedy, and lazy about it.
//!
//! What a peer would add only ever shrinks while others are chosen, so a figure worked out earlier is
//! an upper bound: whoever still leads after being worked out anew is the best, and nearly all of the
//! others need not be looked at again (Minoux 1978). The outcome is that of looking at all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::ChosenBy;
use super::table::{Cover, Record, SILENT, UNSEEN};
use super::trust::Trust;
use crate::limits::{
    COVER_AGE_US_MAX, COVER_BLOCKS_MIN, COVER_COST_US_MAX, COVER_HALF_LIFE_US, COVER_HEAD_START_US,
    COVER_LOT_ONE_IN, COVER_WITNESSES_MIN,
};

/// Weight of a block that was found just now.
const WEIGHT_NEW: u64 = 1 << 16;
/// A peer that saw few blocks counts as if it had seen this many more and added nothing there.
const DOUBTED_BLOCKS: u64 = 10;
/// Fractions of a gain that are told apart when it is scaled for blocks not seen.
const SCALE: u64 = 1 << 10;

/// A past block that the choice looks at.
#[derive(Clone, Copy, Debug)]
struct Past {
    column: usize,
    weight: u64,
    /// The cell of whoever counts as first.
    front: u32,
}

/// Someone who can be chosen by the rule.
#[derive(Debug)]
struct Candidate {
    /// Where it stands among the eligible.
    at: usize,
    trust: Trust,
    /// Makes up for blocks that it could not announce, in [`SCALE`]ths.
    scale: u64,
    /// The lag for each past block, in µs, up to [`COVER_COST_US_MAX`].
    costs: Vec<u32>,
}

impl Candidate {
    /// What it would add to a set that has each block at a cost of `reached`.
    fn gain(&self, past: &[Past], reached: &[u32]) -> u64 {
        let saved = past.iter().zip(&self.costs).zip(reached).map(|((block, cost), reached)| {
            block.weight * u64::from(self.trust.of(reached.saturating_sub(*cost)))
        });
        saved.sum::<u64>() / SCALE * self.scale
    }

    fn join(&self, reached: &mut [u32]) {
        for (reached, cost) in reached.iter_mut().zip(&self.costs) {
            *reached -= self.trust.of(reached.saturating_sub(*cost));
        }
    }
}

impl<P: Copy + Ord + Hash> Cover<P> {
    /// The best `seats` of `eligible`, in the order in which they are to be served. `eligible` comes
    /// in the order of service that holds without the rule, which stays where too little was watched.
    ///
    /// Nobody comes twice, and fewer seats get the front of what more seats get.
    #[must_use]
    pub fn choose(&self, seats: usize, eligible: &[P], now_us: u64) -> Vec<P> {
        self.pick(seats, eligible, now_us).into_iter().map(|(peer, _)| peer).collect()
    }

    /// Whether enough has been watched for the rule to rule.
    #[must_use]
    pub fn rules(&self, now_us: u64) -> bool {
        self.past(now_us).len() >= COVER_BLOCKS_MIN
    }

    /// The same as [`Cover::choose`], with what gave each its place.
    #[must_use]
    pub fn pick(&self, seats: usize, eligible: &[P], now_us: u64) -> Vec<(P, ChosenBy)> {
        let past = self.past(now_us);
        if past.len() < COVER_BLOCKS_MIN {
            let front = eligible.iter().take(seats);
            return front.map(|peer| (*peer, ChosenBy::Score)).collect();
        }
        let candidates = self.candidates(&past, eligible);
        let mut choice = Choice::start(&past, candidates, eligible.len());
        let mut lots = self.lots(eligible);
        let mut chosen = Vec::with_capacity(seats.min(eligible.len()));
        while chosen.len() < seats.min(eligible.len()) {
            let by_lot = (chosen.len() + 1).is_multiple_of(COVER_LOT_ONE_IN);
            let found = match by_lot {
                true => choice.take_first(&mut lots).map(|at| (at, ChosenBy::Lot)),
                false => choice.take_best(),
            };
            let found = found.and_then(|(at, by)| Some((*eligible.get(at)?, by)));
            let Some(found) = found else { break };
            chosen.push(found);
        }
        chosen
    }

    /// Blocks that enough peers vouch for and that are not too old.
    fn past(&self, now_us: u64) -> Vec<Past> {
        let columns = (0..).zip(&self.blocks);
        let useful = columns.filter_map(|(column, block)| {
            let age_us = now_us.saturating_sub(block.first_us);
            let is_useful = block.witnesses >= COVER_WITNESSES_MIN && age_us <= COVER_AGE_US_MAX;
            let times = self.records.iter().filter_map(|record| record.cells.get(column));
            let [_, _, third] = is_useful.then(|| least_three(times))?;
            let front = third.saturating_sub(COVER_HEAD_START_US);
            Some(Past { column, weight: weight(age_us), front })
        });
        useful.collect()
    }

    fn candidates(&self, past: &[Past], eligible: &[P]) -> Vec<Candidate> {
        let whole: u64 = past.iter().map(|block| block.weight).sum();
        let records = (0..).zip(eligible).filter_map(|(at, peer)| Some((at, self.record(*peer)?)));
        let trusted = records.filter(|(_, record)| record.trust.is_enough());
        let candidates = trusted.map(|(at, record)| {
            let seen = |block: &&Past| record.cells.get(block.column) != Some(&UNSEEN);
            let seen: u64 = past.iter().filter(seen).map(|block| block.weight).sum();
            let scale = whole * SCALE / (seen + DOUBTED_BLOCKS * WEIGHT_NEW);
            let costs = past.iter().map(|block| cost_us(record, block)).collect();
            Candidate { at, trust: record.trust, scale, costs }
        });
        candidates.collect()
    }

    /// Everybody in the order of their lots, the last one first.
    fn lots(&self, eligible: &[P]) -> Vec<usize> {
        let mut lots: Vec<usize> = (0..eligible.len()).collect();
        lots.sort_by_cached_key(|at| {
            let mut hasher = DefaultHasher::new();
            (self.seed, eligible.get(*at)).hash(&mut hasher);
            hasher.finish()
        });
        lots
    }
}

/// Who is taken, and what they reach.
struct Choice<'a> {
    past: &'a [Past],
    candidates: Vec<Candidate>,
    /// What the set costs at each block.
    reached: Vec<u32>,
    /// Gains as they were once, the larger first; of equals the first of the eligible.
    queue: BinaryHeap<(u64, Reverse<usize>)>,
    is_taken: Vec<bool>,
    /// Nobody is left who would add anything, were all done anew.
    is_exhausted: bool,
    /// Nobody before this one of the eligible is left.
    next: usize,
}

impl<'a> Choice<'a> {
    fn start(past: &'a [Past], candidates: Vec<Candidate>, eligible: usize) -> Self {
        let (reached, queue) = (Vec::new(), BinaryHeap::new());
        let is_taken = vec![false; eligible];
        let mut choice =
            Self { past, candidates, reached, queue, is_taken, is_exhausted: false, next: 0 };
        choice.begin_layer();
        choice
    }

    /// Forgets what is reached: whoever comes now is chosen as if those before did not exist.
    fn begin_layer(&mut self) {
        self.reached = vec![COVER_COST_US_MAX; self.past.len()];
        let left = (0..).zip(&self.candidates).filter(|(_, it)| !self.is_taken(it.at));
        let gains = left.map(|(at, it)| (it.gain(self.past, &self.reached), Reverse(at)));
        self.queue = gains.filter(|(gain, _)| *gain > 0).collect();
    }

    /// Whoever adds most; when nobody adds anything, whoever would if all were done anew; then the
    /// next of the eligible.
    fn take_best(&mut self) -> Option<(usize, ChosenBy)> {
        if let Some(at) = self.take_leader() {
            return Some((at, ChosenBy::Cover));
        }
        if !self.is_exhausted {
            self.begin_layer();
            self.is_exhausted = self.queue.is_empty();
        }
        let leader = self.take_leader().map(|at| (at, ChosenBy::Cover));
        leader.or_else(|| self.take_next().map(|at| (at, ChosenBy::Score)))
    }

    fn take_leader(&mut self) -> Option<usize> {
        while let Some((_, Reverse(number))) = self.queue.pop() {
            let Some(candidate) = self.candidates.get(number) else { continue };
            if self.is_taken(candidate.at) {
                continue;
            }
            let gain = candidate.gain(self.past, &self.reached);
            if self.queue.peek().is_none_or(|next| (gain, Reverse(number)) > *next) && gain > 0 {
                candidate.join(&mut self.reached);
                return self.take(candidate.at);
            } else if gain > 0 {
                self.queue.push((gain, Reverse(number)));
            }
        }
        None
    }

    fn take_next(&mut self) -> Option<usize> {
        while self.is_taken.get(self.next) == Some(&true) {
            self.next += 1;
        }
        (self.next < self.is_taken.len()).then_some(self.next).and_then(|at| self.take(at))
    }

    /// The last of `lots` that is left. What it reaches counts as well.
    fn take_first(&mut self, lots: &mut Vec<usize>) -> Option<usize> {
        while let Some(at) = lots.pop() {
            if !self.is_taken(at) {
                // Candidates are in the order of the eligible.
                let number = self.candidates.binary_search_by_key(&at, |it| it.at).ok();
                if let Some(candidate) = number.and_then(|it| self.candidates.get(it)) {
                    candidate.join(&mut self.reached);
                }
                return self.take(at);
            }
        }
        None
    }

    fn take(&mut self, at: usize) -> Option<usize> {
        *self.is_taken.get_mut(at)? = true;
        Some(at)
    }

    fn is_taken(&self, at: usize) -> bool {
        self.is_taken.get(at) != Some(&false)
    }
}

/// The three least of `cells`.
fn least_three<'a>(cells: impl Iterator<Item = &'a u32>) -> [u32; 3] {
    cells.fold([SILENT; 3], |[one, two, three], &cell| match cell {
        _ if cell < one => [cell, one, two],
        _ if cell < two => [one, cell, two],
        _ if cell < three => [one, two, cell],
        _ => [one, two, three],
    })
}

/// Halved every [`COVER_HALF_LIFE_US`], along straight lines in between.
const fn weight(age_us: u64) -> u64 {
    let halvings = age_us / COVER_HALF_LIFE_US;
    if halvings > 16 {
        return 0;
    }
    let whole = WEIGHT_NEW >> halvings;
    whole - whole / 2 * ((age_us % COVER_HALF_LIFE_US) >> 10) / (COVER_HALF_LIFE_US >> 10)
}

/// The lag, up to [`COVER_COST_US_MAX`]; that much as well where the peer was silent or not there.
fn cost_us(record: &Record, block: &Past) -> u32 {
    match record.cells.get(block.column) {
        Some(cell) if *cell < SILENT => {
            let lag_us = (*cell).max(block.front) - block.front;
            lag_us.min(COVER_COST_US_MAX)
        }
        _ => COVER_COST_US_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::COVER_LAG_US_MAX;

    impl Cover<u16> {
        /// The same without lots, the long way: everybody's gain is worked out at every seat.
        pub(in crate::cold::cover) fn choose_by_trying(
            &self,
            seats: usize,
            eligible: &[u16],
            now_us: u64,
        ) -> Vec<u16> {
            let past = self.past(now_us);
            if past.len() < COVER_BLOCKS_MIN {
                return eligible.iter().copied().take(seats).collect();
            }
            let candidates = self.candidates(&past, eligible);
            let nothing = vec![COVER_COST_US_MAX; past.len()];
            let (mut reached, mut taken) = (nothing.clone(), Vec::new());
            while taken.len() < seats.min(eligible.len()) {
                let left = || candidates.iter().filter(|it| !taken.contains(&it.at));
                let best = |reached: &[u32]| {
                    let gains = left().map(|it| (it.gain(&past, reached), Reverse(it.at)));
                    gains.max().filter(|(gain, _)| *gain > 0)
                };
                if best(&reached).is_none() {
                    reached.clone_from(&nothing);
                }
                let at = match best(&reached) {
                    Some((_, Reverse(at))) => at,
                    None => (0..eligible.len()).find(|at| !taken.contains(at)).unwrap(),
                };
                left().filter(|it| it.at == at).for_each(|it| it.join(&mut reached));
                taken.push(at);
            }
            taken.into_iter().map(|at| eligible[at]).collect()
        }
    }

    #[test]
    fn weight_halves_and_never_rises() {
        assert_eq!(weight(0), WEIGHT_NEW);
        assert_eq!(weight(COVER_HALF_LIFE_US), WEIGHT_NEW / 2);
        assert_eq!(weight(3 * COVER_HALF_LIFE_US), WEIGHT_NEW / 8);
        assert_eq!(weight(u64::MAX), 0);
        let weights: Vec<_> = (0..2_000).map(|at| weight(at * COVER_HALF_LIFE_US / 100)).collect();
        assert!(weights.is_sorted_by(|one, two| one >= two));
    }

    #[test]
    fn the_least_three_are_found() {
        let found = |cells: &[u32]| least_three(cells.iter());
        assert_eq!(found(&[5, 1, UNSEEN, 4, 2, 3]), [1, 2, 3]);
        assert_eq!(found(&[7, 7, SILENT, 7, 7]), [7, 7, 7]);
        assert_eq!(found(&[2 * COVER_LAG_US_MAX]), [2 * COVER_LAG_US_MAX, SILENT, SILENT]);
    }
}
