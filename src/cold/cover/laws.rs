//! Laws that hold whatever peers announce.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::table::{SILENT, UNSEEN};
use super::tests::hash;
use super::*;
use crate::limits::{COVER_BLOCKS_MAX, COVER_LAG_US_MAX, COVER_LOT_ONE_IN, COVER_PEERS_MAX};

/// Something that happens to a table.
#[derive(Clone, Debug)]
enum Event {
    Watch(u16),
    Unwatch(u16),
    Forget(u16),
    Note(u64, u16, u64),
    Judge(u16, Proof),
}

fn event() -> impl Strategy<Value = Event> {
    let peer = 0..40_u16;
    let proof = prop_oneof![
        Just(Proof::Echo),
        Just(Proof::Receipt),
        Just(Proof::Silence),
        Just(Proof::Refusal)
    ];
    // Blocks 100 s apart, announced from 50 s too early to 50 s late.
    let note = (0..200_u64, peer.clone(), 0..100_000_000_u64)
        .prop_map(|(block, peer, after)| Event::Note(block, peer, block * 100_000_000 + after));
    prop_oneof![
        2 => peer.clone().prop_map(Event::Watch),
        1 => peer.clone().prop_map(Event::Unwatch),
        1 => peer.clone().prop_map(Event::Forget),
        30 => note,
        1 => (peer, proof).prop_map(|(peer, proof)| Event::Judge(peer, proof)),
    ]
}

fn table(events: &[Event], seed: u64) -> Cover<u16> {
    let mut cover = Cover::new(seed);
    (0..30).for_each(|peer| assert!(cover.watch(peer, 0)));
    for event in events {
        match *event {
            Event::Watch(peer) => assert!(cover.watch(peer, 0)),
            Event::Unwatch(peer) => cover.unwatch(peer),
            Event::Forget(peer) => cover.forget(peer),
            Event::Note(block, peer, at_us) => {
                cover.note(&hash(block), peer, at_us);
            }
            Event::Judge(peer, proof) => cover.judge(peer, proof),
        }
    }
    cover
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Bounds hold, and a block's witnesses are the peers with a time in its column.
    #[test]
    fn the_table_is_bounded_and_counts_right(
        events in prop::collection::vec(event(), 0..2_000),
    ) {
        let cover = table(&events, 1);
        prop_assert!(cover.blocks() <= COVER_BLOCKS_MAX && cover.peers() <= COVER_PEERS_MAX);
        prop_assert!(cover.records.len() <= 40);
        for (column, block) in cover.blocks.iter().enumerate() {
            let cells = cover.records.iter().map(|record| record.cells[column]);
            let told = cells.clone().filter(|cell| ![SILENT, UNSEEN].contains(cell)).count();
            prop_assert_eq!(told, block.witnesses as usize);
            let times = cells.filter(|cell| ![SILENT, UNSEEN].contains(cell));
            prop_assert!(times.max().unwrap_or(0) <= 2 * COVER_LAG_US_MAX);
        }
    }

    /// Nobody twice, nobody who is not eligible, all seats filled; fewer seats get the front of what
    /// more seats get; the same again gives the same.
    #[test]
    fn a_choice_is_a_front_of_one_order(
        events in prop::collection::vec(event(), 0..2_000),
        eligible in prop::collection::btree_set(0..60_u16, 0..50),
        seats in 0..60_usize,
        seed: u64,
    ) {
        let cover = table(&events, seed);
        let eligible: Vec<u16> = eligible.into_iter().rev().collect();
        let now_us = 200 * 100_000_000;
        let chosen = cover.choose(seats, &eligible, now_us);
        prop_assert_eq!(chosen.len(), seats.min(eligible.len()));
        let distinct: BTreeSet<u16> = chosen.iter().copied().collect();
        prop_assert_eq!(distinct.len(), chosen.len());
        prop_assert!(chosen.iter().all(|peer| eligible.contains(peer)));
        let whole = cover.choose(usize::MAX, &eligible, now_us);
        prop_assert_eq!(&whole[..chosen.len()], &chosen[..]);
    }

    /// Being lazy changes nothing.
    #[test]
    fn the_lazy_choice_is_the_greedy_one(
        events in prop::collection::vec(event(), 500..2_000),
        // Those before the first one that is given by lot.
        seats in 1..COVER_LOT_ONE_IN,
    ) {
        let cover = table(&events, 1);
        let eligible: Vec<u16> = (0..40).collect();
        let now_us = 200 * 100_000_000;
        let chosen = cover.choose(seats, &eligible, now_us);
        prop_assert_eq!(chosen, cover.choose_by_trying(seats, &eligible, now_us));
    }
}
