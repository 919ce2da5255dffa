//! How one block travels: a shortest-path walk over the links, with each node's own delays.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::world::World;
use crate::sim::dice::Dice;

/// A time that never comes.
pub(super) const NEVER: u32 = u32::MAX;
/// What our own node takes over a submission before it relays the block, in µs.
const OWN_RELAY_US: u32 = 25_000;
/// Spread of the relay delay: the standard deviation of its logarithm.
const RELAY_SIGMA: f64 = 0.6;

/// What chance does to one block, the same whoever sends it to whom.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    /// Between having the block and relaying it, a node each, in µs.
    relay_us: Vec<u32>,
    /// Nodes that lack transactions of the compact block.
    asks: Vec<bool>,
}

impl Fate {
    pub(super) fn throw(world: &World, dice: &mut Dice) -> Self {
        let median = f64::from(world.assumed.relay_us);
        let relay = |dice: &mut Dice| (median * (RELAY_SIGMA * normal(dice)).exp()) as u32;
        let mut relay_us: Vec<_> = (0..world.nodes()).map(|_| relay(dice)).collect();
        if let Some(own_us) = relay_us.get_mut(world.own as usize) {
            *own_us = OWN_RELAY_US;
        }
        let asks = (0..world.nodes()).map(|_| dice.below(100) < world.assumed.asks_percent);
        Self { relay_us, asks: asks.collect() }
    }

    /// Whether a compact block costs `node` a further round trip.
    pub(super) fn asks(&self, node: u32) -> bool {
        self.asks.get(node as usize) == Some(&true)
    }

    /// What `node` takes before it relays, in µs.
    pub(super) fn relay_us(&self, node: u32) -> u32 {
        self.relay_us.get(node as usize).copied().unwrap_or(0)
    }
}

/// The walk; kept between blocks for its memory.
#[derive(Debug, Default)]
pub(super) struct Flood {
    /// When each node has the block, in µs; [`NEVER`] where it was not followed that far.
    pub(super) has_us: Vec<u32>,
    queue: BinaryHeap<Reverse<(u32, u32)>>,
}

impl Flood {
    /// Sends a block from `sources` (node and when it has it, in µs) until `enough` nodes that `counts`
    /// have it.
    pub(super) fn run(
        &mut self,
        world: &World,
        fate: &Fate,
        sources: &[(u32, u32)],
        counts: impl Fn(u32) -> bool,
        mut enough: usize,
    ) {
        self.has_us.clear();
        self.has_us.resize(world.nodes(), NEVER);
        self.queue.clear();
        for (node, at_us) in sources {
            self.offer(*node, *at_us);
        }
        while let Some(Reverse((at_us, node))) = self.queue.pop() {
            if self.has_us.get(node as usize) != Some(&at_us) {
                continue;
            }
            if counts(node) {
                enough = enough.saturating_sub(1);
                if enough == 0 {
                    break;
                }
            }
            let ready_us = at_us + fate.relay_us(node);
            for link in world.links.get(node as usize).map_or(&[][..], Vec::as_slice) {
                // Unasked the block takes one way; after a header, which is asked for, three.
                let ways = if link.is_unasked { 1 } else { 3 };
                let asking = if fate.asks(link.to) { 2 } else { 0 };
                self.offer(link.to, ready_us + (ways + asking) * link.way_us);
            }
        }
    }

    fn offer(&mut self, node: u32, at_us: u32) {
        if let Some(has_us) = self.has_us.get_mut(node as usize)
            && at_us < *has_us
        {
            *has_us = at_us;
            self.queue.push(Reverse((at_us, node)));
        }
    }
}

/// A throw of the standard normal distribution (Box and Muller 1958).
pub(super) fn normal(dice: &mut Dice) -> f64 {
    let unit = |dice: &mut Dice| ((dice.throw() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let (radius, turn) = ((-2.0 * unit(dice).ln()).sqrt(), unit(dice));
    radius * (std::f64::consts::TAU * turn).cos()
}
