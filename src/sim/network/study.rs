//! One network, every policy: the same blocks, the same chance.

use super::flood::{Fate, Flood, NEVER};
use super::policy::{Knowledge, Policy};
use super::watching::Watching;
use super::world::{Assumptions, World};
use crate::sim::dice::Dice;

/// Mean time between the network's blocks, in ms: what makes a delay a stale block.
const SPACING_MS: f64 = 600_000.0;

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Peers that are watched, of those that take connections.
    pub watched: usize,
    /// Blocks of the network that are learnt from.
    pub learnt: usize,
    /// Blocks of our own that are then sent by each policy.
    pub sent: usize,
}

impl Default for Extent {
    fn default() -> Self {
        Self { watched: 1_000, learnt: 40, sent: 12 }
    }
}

/// What one policy has come to on one network: means over the blocks sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Row {
    /// Until half of the hash rate has the block, in ms.
    pub half_ms: f64,
    /// Until 90 % of it does, in ms.
    pub ninety_ms: f64,
    /// Of 10,000 blocks so many are expected to be lost to another that was found meanwhile.
    pub stale: f64,
}

/// What each of the policies asked for has come to, in their order.
pub type Findings = Vec<Row>;

/// Looks at one network.
#[must_use]
pub fn study(assumed: Assumptions, extent: Extent, policies: &[Policy], seed: u64) -> Findings {
    let world = World::new(assumed, seed);
    // Chance of its own for each part: more of one does not change the others.
    let dice = |part: u64| Dice::new(seed.wrapping_mul(16).wrapping_add(part));
    let shuffled = |mut nodes: Vec<u32>, part| {
        let mut dice = dice(part);
        for last in (1..nodes.len()).rev() {
            nodes.swap(last, dice.below(last as u64 + 1) as usize);
        }
        nodes
    };
    let mut peers = shuffled(world.reachable(), 1);
    peers.truncate(extent.watched);
    let watching = Watching::new(&world, peers, extent.learnt, &mut dice(2));
    let (cover, now_us) = watching.cover(seed);
    let knowledge = Knowledge {
        world: &world,
        watching: &watching,
        cover: &cover,
        now_us,
        reachable: &shuffled(world.reachable(), 3),
        own_peers: &shuffled(world.own_peers(), 4),
    };
    let chosen: Vec<_> = policies.iter().map(|it| (*it, knowledge.choose(*it))).collect();
    let mut rows = vec![Row::default(); policies.len()];
    let mut dice = dice(5);
    let mut flood = Flood::default();
    for _ in 0..extent.sent {
        let fate = Fate::throw(&world, &mut dice);
        for ((policy, chosen), row) in chosen.iter().zip(&mut rows) {
            let mut sources = policy.arrivals(&world, &fate, chosen);
            sources.push((world.own, 0));
            let counts = |node| world.is_gateway(node);
            flood.run(&world, &fate, &sources, counts, world.gateways());
            row.add(world.arrivals(&flood.has_us), extent.sent);
        }
    }
    rows
}

impl Row {
    /// Adds one block of `blocks`: when each pool had it, in µs, and its share of the hash rate.
    fn add(&mut self, mut arrivals: Vec<(u32, f64)>, blocks: usize) {
        arrivals.sort_unstable_by_key(|(at_us, _)| *at_us);
        let part = 1.0 / blocks as f64;
        let mut reached = 0.0;
        for (at_us, share) in arrivals {
            let at_ms = if at_us == NEVER { SPACING_MS } else { f64::from(at_us) / 1_000.0 };
            for (goal, figure) in [(0.5, &mut self.half_ms), (0.9, &mut self.ninety_ms)] {
                if reached < goal && reached + share >= goal {
                    *figure += part * at_ms;
                }
            }
            reached += share;
            self.stale += part * share * at_ms / SPACING_MS * 10_000.0;
        }
    }
}
