//! The order of service: who is given the uplink first.

use crate::limits::{COLD_FIRST_SHARE, RANK_UNIT_NS, RANKS_PER_TIER};

/// How connections are put in order. For comparison all but the default can be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderOfService {
    /// The near half first, far to near inside each half: soonest at half of the peers. A far
    /// peer's bytes travel while a near one's are still being put on the line.
    #[default]
    NearHalfFirst,
    /// Near to far: soonest at the first peer.
    NearFirst,
    /// By rank alone.
    Rank,
    /// Everything to everybody as soon as their sockets take it, whatever the uplink: what programs
    /// without a governor do.
    AllAtOnce,
}

impl OrderOfService {
    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NearHalfFirst => "rank",
            Self::NearFirst => "near-first",
            Self::Rank => "strict-rank",
            Self::AllAtOnce => "all-at-once",
        }
    }

    /// The order of this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [Self::NearHalfFirst, Self::NearFirst, Self::Rank, Self::AllAtOnce];
        all.into_iter().find(|order| order.word() == word)
    }
}

/// What is known of one connection. `slot` breaks ties, so the same knowledge gives the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The shard's place for it.
    pub slot: u16,
    /// Least round trip measured, in us; 0: not known, taken for the farthest.
    pub round_trip_us: u32,
    /// Its windows let a block through.
    pub warm: bool,
    /// Its rank; each [`RANKS_PER_TIER`] a tier of its own.
    pub rank: u32,
}

impl Sight {
    fn way_us(&self) -> u32 {
        if self.round_trip_us == 0 { u32::MAX } else { self.round_trip_us }
    }

    const fn tier(&self) -> u32 {
        self.rank / RANKS_PER_TIER
    }

    /// Half a round trip, and what the rank adds to it, in ns.
    fn distance_ns(&self) -> u64 {
        u64::from(self.way_us()) * 500 + u64::from(self.rank % RANKS_PER_TIER) * RANK_UNIT_NS
    }
}

/// Puts `peers` in the order in which they are to be served, first to last. Allocates nothing.
///
/// Tier by tier; in a tier the cold ones first, as what they can take is little and their windows
/// only open while they are sent something: it costs the half some 5 % and brings the last one in
/// a fifth sooner. The near half is made up of warm ones as far as there are any, because they
/// alone can have a block in one round trip.
///
/// Where many are cold they would take the whole line at once, half-open windows all the more, and
/// with 9 of 20 the half would wait for half as long again: then distance alone decides, and a first
/// flight ([`super::feed`]) is all that the cold ones have before the others.
pub fn arrange(peers: &mut [Sight], order: OrderOfService) {
    if matches!(order, OrderOfService::Rank | OrderOfService::AllAtOnce) {
        peers.sort_unstable_by_key(|peer| (peer.rank, peer.slot));
        return;
    }
    peers.sort_unstable_by_key(|peer| (peer.tier(), peer.warm, peer.distance_ns(), peer.slot));
    if order == OrderOfService::NearFirst {
        return;
    }
    for tier in peers.chunk_by_mut(|one, next| one.tier() == next.tier()) {
        let half = tier.len().div_ceil(2);
        let cold = tier.partition_point(|peer| !peer.warm);
        if cold * COLD_FIRST_SHARE > tier.len() {
            tier.sort_unstable_by_key(|peer| (peer.distance_ns(), peer.slot));
            far_to_near(tier, half);
            continue;
        }
        let (cold, warm) = tier.split_at_mut(cold);
        far_to_near(cold, half.saturating_sub(warm.len()));
        far_to_near(warm, half);
    }
}

/// Puts `peers` in the order in which the uplink is probed: far to near, so that wide windows are
/// open when the rate is high, whatever the rank.
pub fn arrange_far_first(peers: &mut [Sight]) {
    peers.sort_unstable_by_key(|peer| (!peer.way_us(), peer.slot));
}

/// Turns the first `near` of `peers`, and the others, around: far to near.
fn far_to_near(peers: &mut [Sight], near: usize) {
    let (near, far) = peers.split_at_mut(near.min(peers.len()));
    for half in [near, far] {
        half.sort_unstable_by_key(|peer| (!peer.way_us(), peer.rank, peer.slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sight(slot: u16, round_trip_us: u32, warm: bool, rank: u32) -> Sight {
        Sight { slot, round_trip_us, warm, rank }
    }

    fn slots(peers: &[Sight]) -> Vec<u16> {
        peers.iter().map(|peer| peer.slot).collect()
    }

    /// Round trips of 10, 20, … ms by slot, warm, of one rank.
    fn spread(count: u16) -> Vec<Sight> {
        (0..count).map(|slot| sight(slot, 10_000 * (u32::from(slot) + 1), true, 0)).collect()
    }

    #[test]
    fn the_near_half_goes_first_far_to_near() {
        let mut peers = spread(7);
        arrange(&mut peers, OrderOfService::NearHalfFirst);
        assert_eq!(slots(&peers), [3, 2, 1, 0, 6, 5, 4]);
        arrange(&mut peers, OrderOfService::NearFirst);
        assert_eq!(slots(&peers), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_few_cold_peers_go_first_and_tiers_stand_apart() {
        let mut peers = spread(9);
        (0..4).for_each(|slot| peers[slot].rank = RANKS_PER_TIER);
        peers[1].warm = false;
        let known = peers.clone();
        arrange(&mut peers, OrderOfService::NearHalfFirst);
        assert_eq!(slots(&peers), [6, 5, 4, 8, 7, 1, 2, 0, 3]);
        // Two of four are many.
        peers = known;
        peers[2].warm = false;
        arrange(&mut peers, OrderOfService::NearHalfFirst);
        assert_eq!(slots(&peers), [6, 5, 4, 8, 7, 1, 0, 3, 2]);
        peers.iter_mut().for_each(|peer| (peer.rank, peer.warm) = (0, false));
        arrange(&mut peers, OrderOfService::NearHalfFirst);
        assert_eq!(slots(&peers), [4, 3, 2, 1, 0, 8, 7, 6, 5], "all cold");
    }

    #[test]
    fn a_rank_moves_a_peer_over_the_middle_and_one_point_does_not() {
        let mut peers = spread(4);
        // 10, 20 | 30, 40 ms: the third gains 5 ms of way for 100 points that the second lacks.
        peers[1].rank = 110_000;
        arrange(&mut peers, OrderOfService::NearHalfFirst);
        assert_eq!(slots(&peers), [2, 0, 3, 1]);
        peers.iter_mut().find(|peer| peer.slot == 1).unwrap().rank = 1_000;
        arrange(&mut peers, OrderOfService::NearHalfFirst);
        assert_eq!(slots(&peers), [1, 0, 3, 2]);
    }

    #[test]
    fn an_unknown_way_is_the_farthest_and_rank_alone_heeds_nothing_else() {
        let mut peers = spread(4);
        peers[0].round_trip_us = 0;
        arrange(&mut peers, OrderOfService::NearHalfFirst);
        assert_eq!(slots(&peers), [2, 1, 0, 3]);
        for (slot, rank) in [4, 3, 2, 1].into_iter().enumerate() {
            let at = peers.iter().position(|peer| usize::from(peer.slot) == slot).unwrap();
            peers[at].rank = rank * RANKS_PER_TIER / 2;
            peers[at].warm = slot == 3;
        }
        arrange(&mut peers, OrderOfService::Rank);
        assert_eq!(slots(&peers), [3, 2, 1, 0]);
    }

    #[test]
    fn words_lead_back() {
        for word in ["rank", "near-first", "strict-rank", "all-at-once"] {
            assert_eq!(OrderOfService::of_word(word).map(OrderOfService::word), Some(word));
        }
        assert_eq!(OrderOfService::of_word("best"), None);
    }

    proptest! {
        /// Nobody is lost or served twice, cold ones are in front, and what came before is no matter.
        #[test]
        fn an_order_is_a_permutation_that_depends_on_knowledge_alone(
            known in proptest::collection::vec((0_u32..300_000, any::<bool>(), any::<u32>()), 0..80),
            kind in 0_usize..4,
        ) {
            let order = [
                OrderOfService::NearHalfFirst,
                OrderOfService::NearFirst,
                OrderOfService::Rank,
                OrderOfService::AllAtOnce,
            ][kind];
            let peers: Vec<_> = (0_u16..)
                .zip(&known)
                .map(|(slot, (way, warm, rank))| sight(slot, *way, *warm, *rank))
                .collect();
            let (mut one, mut other) = (peers.clone(), peers);
            other.reverse();
            arrange(&mut one, order);
            arrange(&mut other, order);
            prop_assert_eq!(&one, &other);
            let mut all = slots(&one);
            all.sort_unstable();
            prop_assert!(all.iter().copied().eq(0..known.len() as u16));
        }
    }
}
