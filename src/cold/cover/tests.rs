//! The rule on tables small enough to see what it should do.

use super::*;
use crate::limits::{
    COVER_AGE_US_MAX, COVER_BLOCKS_MAX, COVER_BLOCKS_MIN, COVER_LAG_US_MAX, COVER_LOT_ONE_IN,
    COVER_PEERS_MAX,
};
use crate::wire::hash::BlockHash;

const SPACING_US: u64 = 150_000_000;
const MS: u64 = 1_000;

pub(super) fn hash(number: u64) -> BlockHash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    BlockHash(hash)
}

/// A table of peers 0.. that are watched from the start, and `blocks` blocks; `lag_ms` says how long
/// after its find each peer announces each block, `None` for never.
fn table(peers: u32, blocks: u64, lag_ms: impl Fn(u32, u64) -> Option<u64>) -> (Cover<u32>, u64) {
    let mut cover = Cover::new(1);
    for peer in 0..peers {
        assert!(cover.watch(peer, 0));
    }
    for block in 0..blocks {
        for peer in 0..peers {
            if let Some(lag_ms) = lag_ms(peer, block) {
                let at_us = (block + 1) * SPACING_US + lag_ms * MS;
                assert_eq!(cover.note(&hash(block), peer, at_us), Noted::Kept);
            }
        }
    }
    (cover, (blocks + 1) * SPACING_US)
}

fn all(peers: u32) -> Vec<u32> {
    (0..peers).collect()
}

/// Pools 0, 1, 2 find the blocks in turn; peer p is near pool p mod 3, the lower the nearer.
fn three_pools(peer: u32, block: u64) -> Option<u64> {
    let near = u64::from(peer % 3) == block % 3;
    Some(u64::from(peer) / 3 + if near { 0 } else { 150 })
}

#[test]
fn every_pool_is_covered_before_any_is_twice() {
    let (cover, now_us) = table(60, 60, three_pools);
    let mut first = cover.choose(3, &all(60), now_us);
    first.sort_unstable();
    assert_eq!(first, [0, 1, 2]);
}

/// Twenty peers near the pool that finds most have the least mean lag; the rule takes one of them.
#[test]
fn the_rule_is_not_that_of_the_first_announcers() {
    let lag_ms = |peer: u32, block: u64| Some(if (peer < 20) == (block % 4 < 3) { 0 } else { 200 });
    let (cover, now_us) = table(25, 80, lag_ms);
    let first = cover.choose(2, &all(25), now_us);
    assert!(first[0] < 20 && first[1] >= 20, "{first:?}");
}

#[test]
fn without_enough_blocks_the_given_order_stays() {
    let (cover, now_us) = table(20, COVER_BLOCKS_MIN as u64 - 1, three_pools);
    let eligible: Vec<u32> = all(20).into_iter().rev().collect();
    assert_eq!(cover.choose(5, &eligible, now_us), [19, 18, 17, 16, 15]);
    let (cover, now_us) = table(20, COVER_BLOCKS_MIN as u64, three_pools);
    assert_eq!(cover.choose(1, &eligible, now_us), [1], "near who found the last of five");
    assert_eq!(Selection::Seed.order(&cover, &eligible, 2, now_us), [19, 18]);
    assert_eq!(Selection::Measured.order(&cover, &eligible, 1, now_us), [1]);
    let much_later_us = now_us + COVER_AGE_US_MAX + SPACING_US;
    assert_eq!(cover.choose(1, &eligible, much_later_us), [19], "what is too old is not used");
}

/// Whoever is not in the table, or was never heard of, comes in the given order behind the others.
#[test]
fn the_unknown_come_last_in_their_order() {
    let (mut cover, now_us) =
        table(6, 30, |peer, block| three_pools(peer, block).filter(|_| peer < 4));
    cover.reseed(5);
    let eligible = [9, 8, 0, 7, 1, 2, 3, 5];
    let chosen = cover.choose(8, &eligible, now_us);
    let by_lot = chosen[COVER_LOT_ONE_IN - 1];
    let rest: Vec<u32> = chosen.into_iter().filter(|peer| *peer != by_lot && *peer > 3).collect();
    let given: Vec<u32> = eligible.into_iter().filter(|it| *it != by_lot && *it > 3).collect();
    assert_eq!(rest, given);
}

#[test]
fn one_place_in_five_is_given_by_lot() {
    let (mut cover, now_us) = table(60, 60, three_pools);
    let eligible = all(60);
    let at = COVER_LOT_ONE_IN - 1;
    let mut lots = std::collections::BTreeSet::new();
    let ruled = cover.choose(at, &eligible, now_us);
    for seed in 0..200 {
        cover.reseed(seed);
        let chosen = cover.choose(20, &eligible, now_us);
        assert_eq!(chosen[..at], ruled, "the lot has no part in the first places");
        assert_eq!(chosen, cover.choose(20, &eligible, now_us), "the same seed, the same lots");
        lots.insert(chosen[at]);
    }
    assert!(lots.len() > 40, "only {} of 56 peers were drawn", lots.len());
}

/// Peers that were connected for a third of the blocks, and near a pool that nobody else is near, are
/// found; one that was there all the time and kept silent about late blocks gains nothing by it.
#[test]
fn absence_is_no_fault_and_silence_is() {
    let mut cover = Cover::new(1);
    (0..8).for_each(|peer| assert!(cover.watch(peer, 0)));
    for block in 0..60_u64 {
        let at_us = (block + 1) * SPACING_US;
        if block == 40 {
            (8..11).for_each(|peer| assert!(cover.watch(peer, at_us)));
        }
        for peer in 0..11_u32 {
            let lag_ms = match peer {
                8.. if block < 40 => continue,
                8.. => [150, 0][(block % 2) as usize],
                // Tells of every tenth block only, and then early.
                7 if block % 10 != 0 => continue,
                7 => 0,
                _ => [20, 150][(block % 2) as usize],
            };
            cover.note(&hash(block), peer, at_us + lag_ms * MS);
        }
    }
    let chosen = cover.choose(2, &all(11), 61 * SPACING_US);
    assert!(chosen[0] < 7 && chosen[1] > 7, "{chosen:?}");
}

/// A liar announces every block half a second before anyone else and passes nothing on.
#[test]
fn a_liar_takes_one_place_and_loses_it() {
    let liar = 60;
    let lag_ms =
        |peer, block| if peer == liar { Some(0) } else { Some(500 + three_pools(peer, block)?) };
    let (mut cover, now_us) = table(61, 60, lag_ms);
    let chosen = cover.choose(4, &all(61), now_us);
    assert_eq!(chosen[0], liar);
    let mut pools: Vec<_> = chosen[1..].iter().map(|peer| peer % 3).collect();
    pools.sort_unstable();
    assert_eq!(pools, [0, 1, 2], "behind it all are covered as if it were not there");
    for _ in 0..3 {
        cover.judge(liar, Proof::Silence);
    }
    let chosen = cover.choose(4, &all(61), now_us);
    assert!(!chosen.contains(&liar), "{chosen:?}");
    (0..9).for_each(|_| cover.judge(liar, Proof::Echo));
    assert!(cover.trust(liar).unwrap() > Trust::NEW);
    assert!(cover.choose(4, &all(61), now_us).contains(&liar));
}

/// Two liars that hold together, as many as a network group may have, take two places.
#[test]
fn liars_that_hold_together_hide_nobody() {
    let lag_ms = |peer, block| {
        if peer >= 60 { Some(0) } else { Some(500 + three_pools(peer, block)?) }
    };
    let (cover, now_us) = table(62, 60, lag_ms);
    let chosen = cover.choose(7, &all(62), now_us);
    assert!(chosen[..2].iter().all(|peer| *peer >= 60), "{chosen:?}");
    let pools: std::collections::BTreeSet<_> = chosen[2..].iter().map(|peer| peer % 3).collect();
    assert_eq!(pools.len(), 3, "{chosen:?}");
}

/// Blocks that one or two peers alone tell of are not looked at, and don't push out real ones.
#[test]
fn made_up_blocks_change_nothing() {
    let (mut cover, now_us) = table(60, COVER_BLOCKS_MAX as u64, three_pools);
    let before = cover.choose(20, &all(60), now_us);
    for fake in 0..10_000 {
        cover.note(&hash(1_000_000 + fake), 59, now_us + fake);
        cover.note(&hash(1_000_000 + fake), 58, now_us + fake);
    }
    assert_eq!(cover.blocks(), COVER_BLOCKS_MAX);
    assert_eq!(cover.choose(20, &all(60), now_us)[..4], before[..4]);
}

#[test]
fn a_note_is_taken_once_and_in_time() {
    let (mut cover, _) = table(2, 0, |_, _| None);
    let first_us = 100 * SPACING_US;
    let late_us = first_us + u64::from(COVER_LAG_US_MAX) + 1;
    assert_eq!(cover.note(&hash(0), 7, first_us), Noted::Unknown);
    assert_eq!(cover.blocks(), 0, "strangers open no column");
    assert_eq!(cover.note(&hash(0), 0, first_us), Noted::Kept);
    assert_eq!(cover.note(&hash(0), 0, first_us + 5), Noted::Repeated);
    assert_eq!(cover.note(&hash(0), 1, late_us), Noted::Late);
    assert_eq!(cover.note(&hash(0), 1, 0), Noted::Kept, "far too early is no trouble");
}

#[test]
fn a_full_table_keeps_the_watched() {
    let mut cover = Cover::new(1);
    let most = COVER_PEERS_MAX as u32;
    assert!((0..most).all(|peer| cover.watch(peer, u64::from(peer))));
    assert!(!cover.watch(most, 0), "everybody is watched");
    cover.unwatch(17);
    cover.unwatch(9);
    assert!(cover.watch(most, 0) && cover.trust(9).is_none() && cover.trust(17).is_some());
    cover.forget(3);
    assert_eq!(cover.peers(), COVER_PEERS_MAX - 1);
    assert!(cover.watch(3, 0));
    assert_eq!(cover.peers(), COVER_PEERS_MAX);
}
