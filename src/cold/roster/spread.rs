//! Which shard a connection goes to, so that the best ranks are served at once, side by side.
//!
//! Each shard serves its own connections in rank order, all shards at the same time. The best k of
//! all are out first if each shard has its share of them, for every k: so a new connection goes
//! where the fewest stand before it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The ranks of a shard's connections, by chain: a block goes to one chain's only.
#[derive(Debug, Default)]
pub(super) struct Ranks(BTreeMap<u8, Vec<u32>>);

impl Ranks {
    /// Connections of `chain` that are served before a new one of `rank`.
    fn before(&self, chain: u8, rank: u32) -> usize {
        let ranks = self.0.get(&chain);
        ranks.map_or(0, |ranks| ranks.partition_point(|other| *other <= rank))
    }

    fn count(&self, chain: u8) -> usize {
        self.0.get(&chain).map_or(0, Vec::len)
    }

    pub(super) fn add(&mut self, chain: u8, rank: u32) {
        let at = self.before(chain, rank);
        self.0.entry(chain).or_default().insert(at, rank);
    }

    pub(super) fn remove(&mut self, chain: u8, rank: u32) {
        if let Some(ranks) = self.0.get_mut(&chain)
            && let Ok(at) = ranks.binary_search(&rank)
        {
            ranks.remove(at);
        }
    }
}

/// What makes a shard better for a connection of `chain` and `rank` than another, least first: few
/// before it, few of its chain, few at all.
pub(super) fn burden(
    ranks: &Ranks,
    free: u32,
    chain: u8,
    rank: u32,
) -> (usize, usize, Reverse<u32>) {
    (ranks.before(chain, rank), ranks.count(chain), Reverse(free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_counted_by_itself() {
        let mut ranks = Ranks::default();
        [5, 7, 7, 9].into_iter().for_each(|rank| ranks.add(1, rank));
        ranks.add(2, 1);
        assert_eq!(burden(&ranks, 3, 1, 7), (3, 4, Reverse(3)));
        assert_eq!(burden(&ranks, 3, 2, 0), (0, 1, Reverse(3)));
        assert_eq!(burden(&ranks, 3, 3, 0), (0, 0, Reverse(3)));
        ranks.remove(1, 7);
        ranks.remove(1, 6);
        assert_eq!(burden(&ranks, 3, 1, 7), (2, 3, Reverse(3)));
    }
}
