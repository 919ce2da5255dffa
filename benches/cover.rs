//! `cold/cover/greedy.rs`: the choice of 20, 100 and all of 1,000 watched peers by 160 blocks.

#![allow(clippy::unwrap_used, reason = "a bench that can't be set up has nothing to say")]

use std::hint::black_box;

use broadside::cold::cover::Cover;
use broadside::limits::COVER_BLOCKS_MAX;
use broadside::sim::dice::Dice;
use broadside::wire::hash::BlockHash;
use criterion::Criterion;

const PEERS: u32 = 1_000;
/// Between blocks, in us.
const SPACING_US: u64 = 150_000_000;
/// Places in the network: a peer is near one of them, and a block comes from one.
const PLACES: u64 = 12;

/// Peers in places, blocks from places, noise.
fn watched() -> (Cover<u32>, u64) {
    let mut dice = Dice::new(1);
    let mut cover = Cover::new(1);
    for peer in 0..PEERS {
        cover.watch(peer, 0);
    }
    for block in 0..COVER_BLOCKS_MAX as u64 {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&block.to_le_bytes());
        let place = dice.below(PLACES);
        for peer in 0..PEERS {
            let apart = place.abs_diff(u64::from(peer) % PLACES);
            let at_us = (block + 1) * SPACING_US + apart * 15_000 + dice.below(50_000);
            cover.note(&BlockHash(hash), peer, at_us);
        }
    }
    (cover, (COVER_BLOCKS_MAX as u64 + 1) * SPACING_US)
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (cover, now_us) = watched();
    let eligible: Vec<u32> = (0..PEERS).collect();
    let mut group = criterion.benchmark_group("cover");
    for seats in [20, 100, PEERS as usize] {
        group.bench_function(format!("choose/{seats}-of-1000"), |bencher| {
            bencher.iter(|| black_box(&cover).choose(seats, &eligible, now_us));
        });
    }
    let mut noted = cover.clone();
    let mut number = 0_u64;
    group.bench_function("note/new-block", |bencher| {
        bencher.iter(|| {
            number += 1;
            let mut hash = [0xff; 32];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            noted.note(&BlockHash(hash), 0, now_us + number)
        });
    });
    group.finish();
    criterion.final_summary();
}
