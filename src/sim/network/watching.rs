//! What our node hears of the network's blocks before it has one of its own.

use super::flood::{Fate, Flood};
use super::world::World;
use crate::cold::cover::Cover;
use crate::limits::COVER_PEERS_MAX;
use crate::sim::dice::Dice;
use crate::wire::hash::BlockHash;

/// Mean time between blocks, in µs.
const SPACING_US: u64 = 600_000_000;

/// Watched peers, and when each announced which block.
#[derive(Debug)]
pub(super) struct Watching {
    /// The peers, in an order of chance.
    pub(super) peers: Vec<u32>,
    /// A row a block: when each of `peers` announced it to us, in µs from the pool's find.
    heard_us: Vec<Vec<u32>>,
}

impl Watching {
    /// Watches `peers` while `blocks` blocks are found by the network's pools.
    pub(super) fn new(world: &World, peers: Vec<u32>, blocks: usize, dice: &mut Dice) -> Self {
        let mut is_watched = vec![false; world.nodes()];
        for peer in &peers {
            is_watched[*peer as usize] = true;
        }
        let mut flood = Flood::default();
        let mut heard_us = Vec::new();
        for _ in 0..blocks {
            let fate = Fate::throw(world, dice);
            let finder = world.finder(dice);
            let sources: Vec<_> = finder.iter().map(|gateway| (*gateway, 0)).collect();
            let counts = |node: u32| is_watched[node as usize];
            flood.run(world, &fate, &sources, counts, peers.len());
            let hear = |peer: &u32| {
                let relayed_us = flood.has_us[*peer as usize] + fate.relay_us(*peer);
                let noise_us = dice.below(u64::from(world.assumed.noise_us) + 1) as u32;
                relayed_us + world.way_us(world.own, *peer) + noise_us
            };
            heard_us.push(peers.iter().map(hear).collect());
        }
        Self { peers, heard_us }
    }

    /// What the covering rule has learnt from all of it, and the time at which it has.
    pub(super) fn cover(&self, seed: u64) -> (Cover<u32>, u64) {
        let mut cover = Cover::new(seed);
        let peers = self.peers.iter().take(COVER_PEERS_MAX);
        for peer in peers {
            cover.watch(*peer, 0);
        }
        let mut now_us = 0;
        for (number, heard_us) in (0_u64..).zip(&self.heard_us) {
            now_us += SPACING_US;
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            for (peer, after_us) in self.peers.iter().zip(heard_us) {
                cover.note(&BlockHash(hash), *peer, now_us + u64::from(*after_us));
            }
        }
        (cover, now_us + SPACING_US)
    }

    /// The peers by their mean lag, the least first.
    pub(super) fn first_announcers(&self) -> Vec<u32> {
        let mut lags_us = vec![0_u64; self.peers.len()];
        for heard_us in &self.heard_us {
            let first_us = heard_us.iter().min().copied().unwrap_or(0);
            for (lag_us, at_us) in lags_us.iter_mut().zip(heard_us) {
                *lag_us += u64::from(at_us - first_us);
            }
        }
        let mut ranked: Vec<_> = lags_us.into_iter().zip(&self.peers).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, peer)| *peer).collect()
    }
}
