//! Who is where, and who is linked with whom.

use super::flood::NEVER;
use crate::limits::NETWORK_NODES_MAX;
use crate::sim::dice::Dice;

/// Regions, and the share of nodes in each, in percent.
const REGION_NODES: [u64; 7] = [28, 12, 30, 12, 9, 6, 3];
/// The share of pools in each: North America east and west, Europe west and east, East Asia, South-East
/// Asia and Oceania, South America.
const REGION_POOLS: [u64; 7] = [22, 12, 18, 12, 26, 8, 2];
/// One way between regions, in ms, without what the two ends add.
const WAY_MS: [[u32; 7]; 7] = [
    [8, 35, 42, 58, 105, 115, 60],
    [35, 8, 70, 85, 70, 85, 85],
    [42, 70, 8, 20, 110, 90, 95],
    [58, 85, 20, 8, 95, 95, 110],
    [105, 70, 110, 95, 8, 35, 160],
    [115, 85, 90, 95, 35, 8, 155],
    [60, 85, 95, 110, 160, 155, 8],
];
/// Links that a node makes.
const LINKS: usize = 10;
/// Those that may send it compact blocks unasked.
const UNASKED: usize = 3;
/// Nodes that can be connected to, in percent.
const REACHABLE_PERCENT: u64 = 45;
/// Links that a pool's gateway makes.
const GATEWAY_LINKS: usize = 40;
/// Pools, and gateways of each.
const POOLS: usize = 12;
const GATEWAYS: usize = 2;
/// Links of our node.
const OWN_LINKS: usize = 50;

/// What the model takes for granted and a study can vary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumptions {
    /// Nodes of the network, pools' gateways included, ours not.
    pub nodes: usize,
    /// Pools' gateways take no connections: they are never a candidate.
    pub hides_gateways: bool,
    /// Between a node's having a block and its relaying it: the median, in µs.
    pub relay_us: u32,
    /// Compact blocks that need a further round trip, in percent.
    pub asks_percent: u64,
    /// What chance adds to an announcement's time at most, in µs.
    pub noise_us: u32,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            nodes: 6_000,
            hides_gateways: false,
            relay_us: 12_000,
            asks_percent: 12,
            noise_us: 10_000,
        }
    }
}

/// A pool.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) gateways: Vec<u32>,
    /// Its part of the network's hash rate.
    pub(super) share: f64,
}

/// A link, seen from one end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) to: u32,
    pub(super) way_us: u32,
    /// The other end takes compact blocks from this one unasked.
    pub(super) is_unasked: bool,
}

/// One made-up network, and our node in it.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) assumed: Assumptions,
    pub(super) seed: u64,
    region: Vec<u8>,
    /// What the node's own line adds to each way, in µs.
    access_us: Vec<u32>,
    is_reachable: Vec<bool>,
    is_gateway: Vec<bool>,
    pub(super) links: Vec<Vec<Link>>,
    pub(super) pools: Vec<Pool>,
    /// Our node: the last one.
    pub(super) own: u32,
}

impl World {
    /// The network of `seed`.
    #[must_use]
    pub fn new(assumed: Assumptions, seed: u64) -> Self {
        let nodes = assumed.nodes.clamp(1_000, NETWORK_NODES_MAX);
        let mut dice = Dice::new(seed);
        let mut world = Self {
            assumed,
            seed,
            region: Vec::new(),
            access_us: Vec::new(),
            is_reachable: Vec::new(),
            is_gateway: Vec::new(),
            links: vec![Vec::new(); nodes + 1],
            pools: Vec::new(),
            own: nodes as u32,
        };
        for _ in 0..=nodes {
            world.region.push(region(&REGION_NODES, &mut dice));
            world.access_us.push(1_000 + dice.below(5_000) as u32);
            world.is_reachable.push(dice.below(100) < REACHABLE_PERCENT);
            world.is_gateway.push(false);
        }
        world.place_pools(&mut dice);
        world.link_all(&mut dice);
        world
    }

    /// Nodes that take connections, our own left out.
    pub(super) fn reachable(&self) -> Vec<u32> {
        (0..self.own).filter(|node| self.is_reachable.get(*node as usize) == Some(&true)).collect()
    }

    /// Those that take part in relaying, our own included.
    pub(super) const fn nodes(&self) -> usize {
        self.links.len()
    }

    /// One way between two nodes, in µs: the same in both directions.
    pub(super) fn way_us(&self, one: u32, other: u32) -> u32 {
        let of = |list: &[u32], node: u32| list.get(node as usize).copied().unwrap_or(0);
        let region = |node: u32| usize::from(self.region.get(node as usize).copied().unwrap_or(0));
        let between = WAY_MS.get(region(one)).and_then(|row| row.get(region(other)));
        // Routes are up to a third longer than the shortest; the pair decides, not the direction.
        let pair = u64::from(one.min(other)) << 32 | u64::from(one.max(other));
        let detour = Dice::new(self.seed ^ pair).below(333) as u32;
        between.copied().unwrap_or(0) * (1_000 + detour)
            + of(&self.access_us, one)
            + of(&self.access_us, other)
    }

    /// The gateways of a pool that finds the next block.
    pub(super) fn finder(&self, dice: &mut Dice) -> &[u32] {
        let mut left = dice.below(1 << 32) as f64 / (1_u64 << 32) as f64;
        let found = self.pools.iter().find(|pool| {
            left -= pool.share;
            left < 0.0
        });
        found.or(self.pools.first()).map_or(&[], |pool| &pool.gateways)
    }

    /// When each pool has a block that each node has at `has_us`: its first gateway counts. With its
    /// share of the hash rate.
    pub(super) fn arrivals(&self, has_us: &[u32]) -> Vec<(u32, f64)> {
        let at = |node: &u32| has_us.get(*node as usize).copied().unwrap_or(NEVER);
        let first = |pool: &Pool| pool.gateways.iter().map(at).min().unwrap_or(NEVER);
        self.pools.iter().map(|pool| (first(pool), pool.share)).collect()
    }

    pub(super) fn is_gateway(&self, node: u32) -> bool {
        self.is_gateway.get(node as usize) == Some(&true)
    }

    /// Gateways of all pools together.
    pub(super) fn gateways(&self) -> usize {
        self.pools.iter().map(|pool| pool.gateways.len()).sum()
    }

    /// Peers of our node that take connections.
    pub(super) fn own_peers(&self) -> Vec<u32> {
        let links = self.links.get(self.own as usize).map_or(&[][..], Vec::as_slice);
        let reachable = |node: &u32| self.is_reachable.get(*node as usize) == Some(&true);
        links.iter().map(|link| link.to).filter(reachable).collect()
    }

    fn place_pools(&mut self, dice: &mut Dice) {
        let mut free: Vec<u32> = (0..self.own).collect();
        let mut pools = Vec::new();
        for number in 0..POOLS {
            let mut gateways = Vec::new();
            for _ in 0..GATEWAYS {
                let node = free.swap_remove(dice.below(free.len() as u64) as usize);
                let at = node as usize;
                self.is_gateway[at] = true;
                self.is_reachable[at] = !self.assumed.hides_gateways;
                self.region[at] = region(&REGION_POOLS, dice);
                self.access_us[at] = 1_000;
                gateways.push(node);
            }
            pools.push(Pool { gateways, share: 0.78_f64.powi(number as i32) });
        }
        let whole: f64 = pools.iter().map(|pool| pool.share).sum();
        for pool in &mut pools {
            pool.share /= whole;
        }
        self.pools = pools;
    }

    fn link_all(&mut self, dice: &mut Dice) {
        // What hides its address takes no connections, but makes its own.
        let reachable = self.reachable();
        for node in 0..=self.own {
            let wanted = match node {
                _ if node == self.own => OWN_LINKS,
                _ if self.is_gateway[node as usize] => GATEWAY_LINKS,
                _ => LINKS,
            };
            let mut tries = 0;
            let mut made = 0;
            while made < wanted && tries < 10 * wanted {
                tries += 1;
                let other = reachable[dice.below(reachable.len() as u64) as usize];
                let known = self.links[node as usize].iter().any(|link| link.to == other);
                if other == node || known {
                    continue;
                }
                made += 1;
                let way_us = self.way_us(node, other);
                let link = |to| Link { to, way_us, is_unasked: false };
                self.links[node as usize].push(link(other));
                self.links[other as usize].push(link(node));
            }
        }
        for node in 0..=self.own {
            self.choose_senders(node, dice);
        }
    }

    /// A node takes compact blocks unasked from [`UNASKED`] of its links.
    fn choose_senders(&mut self, node: u32, dice: &mut Dice) {
        let links: Vec<u32> = self.links[node as usize].iter().map(|link| link.to).collect();
        let mut senders = links;
        senders.retain(|it| *it != self.own);
        for _ in 0..UNASKED.min(senders.len()) {
            let sender = senders.swap_remove(dice.below(senders.len() as u64) as usize);
            for link in self.links[sender as usize].iter_mut().filter(|link| link.to == node) {
                link.is_unasked = true;
            }
        }
    }
}

fn region(shares: &[u64; 7], dice: &mut Dice) -> u8 {
    let mut left = dice.below(shares.iter().sum());
    for (number, share) in (0..).zip(shares) {
        if left < *share {
            return number;
        }
        left -= share;
    }
    0
}
