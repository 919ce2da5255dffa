//! Who gets our block, in which order, as which bytes.

use super::flood::Fate;
use super::watching::Watching;
use super::world::World;
use crate::cold::cover::Cover;

/// A compact block on an uplink of 1 Gbit/s, in µs: 20 KB.
const COMPACT_US: u32 = 160;
/// A full one at 0.95 of that rate: 1.5 MB.
const FULL_US: u32 = 12_600;
/// One ways that a cold connection needs for it beyond the last one: seven round trips.
const COLD_WAYS: u32 = 13;

/// Whom a policy chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// No one.
    Nobody,
    /// The own node's peers, best known to the seeds' scores; their order is that of chance.
    SeedRule,
    /// Anybody who takes connections.
    Random,
    /// The watched peers with the shortest ways.
    Nearest,
    /// The watched peers with the least mean lag.
    FirstAnnouncers,
    /// The covering rule, as it is built in.
    Covering,
    /// The same, then everybody who is watched.
    CoveringThenAll,
}

/// What they get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    /// The compact block, one peer after the other.
    Compact,
    /// The whole block, on warm connections, one peer after the other.
    Full,
    /// The whole block, to all at once, on connections that were idle.
    FullCold,
}

/// A way to push a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(super) whom: Whom,
    count: usize,
    bytes: Bytes,
    name: &'static str,
}

impl Policy {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 14] = [
        Self::new("own node only", Whom::Nobody, 0, Bytes::Compact),
        Self::new("20 random, full, all at once, cold", Whom::Random, 20, Bytes::FullCold),
        Self::new("20 random, full", Whom::Random, 20, Bytes::Full),
        Self::new("20 by the seeds' rule, compact", Whom::SeedRule, 20, Bytes::Compact),
        Self::new("20 random, compact", Whom::Random, 20, Bytes::Compact),
        Self::new("100 random, compact", Whom::Random, 100, Bytes::Compact),
        Self::new("1000 random, compact", Whom::Random, 1_000, Bytes::Compact),
        Self::new("20 nearest, compact", Whom::Nearest, 20, Bytes::Compact),
        Self::new("20 first announcers, compact", Whom::FirstAnnouncers, 20, Bytes::Compact),
        Self::new("20 covering, full", Whom::Covering, 20, Bytes::Full),
        Self::new("20 covering, compact", Whom::Covering, 20, Bytes::Compact),
        Self::new("100 covering, compact", Whom::Covering, 100, Bytes::Compact),
        Self::new(
            "20 covering, then all watched, compact",
            Whom::CoveringThenAll,
            20,
            Bytes::Compact,
        ),
        Self::new("everybody that is watched, compact", Whom::CoveringThenAll, 0, Bytes::Compact),
    ];

    const fn new(name: &'static str, whom: Whom, count: usize, bytes: Bytes) -> Self {
        Self { whom, count, bytes, name }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The one of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name == name)
    }

    /// When each chosen peer has the block, in µs from the submission.
    pub(super) fn arrivals(self, world: &World, fate: &Fate, chosen: &[u32]) -> Vec<(u32, u32)> {
        let all_us = FULL_US * chosen.len() as u32;
        let arrival = |(rank, peer): (u32, &u32)| {
            let way_us = world.way_us(world.own, *peer);
            let at_us = match self.bytes {
                Bytes::Compact => {
                    let asking_us = if fate.asks(*peer) { 2 * way_us } else { 0 };
                    rank * COMPACT_US + way_us + asking_us
                }
                Bytes::Full => rank * FULL_US + way_us,
                Bytes::FullCold => all_us.max(COLD_WAYS * way_us) + way_us,
            };
            (*peer, at_us)
        };
        (1..).zip(chosen).map(arrival).collect()
    }
}

/// What choosing can go by.
#[derive(Debug)]
pub(super) struct Knowledge<'a> {
    pub(super) world: &'a World,
    pub(super) watching: &'a Watching,
    pub(super) cover: &'a Cover<u32>,
    pub(super) now_us: u64,
    /// Everybody who takes connections, in an order of chance.
    pub(super) reachable: &'a [u32],
    /// Our own node's peers, in an order of chance.
    pub(super) own_peers: &'a [u32],
}

impl Knowledge<'_> {
    /// Whom `policy` chooses, in the order of service.
    pub(super) fn choose(&self, policy: Policy) -> Vec<u32> {
        let count = policy.count;
        let covering = |count| self.cover.choose(count, &self.watching.peers, self.now_us);
        let mut chosen = match policy.whom {
            Whom::Nobody => Vec::new(),
            Whom::SeedRule => [self.own_peers, self.reachable].concat(),
            Whom::Random => self.reachable.to_vec(),
            Whom::Nearest => {
                let mut peers = self.watching.peers.clone();
                peers.sort_by_key(|peer| self.world.way_us(self.world.own, *peer));
                peers
            }
            Whom::FirstAnnouncers => self.watching.first_announcers(),
            Whom::Covering => covering(count),
            Whom::CoveringThenAll => {
                let first = covering(count);
                let rest = self.watching.peers.iter().filter(|peer| !first.contains(peer));
                return first.iter().chain(rest).copied().collect();
            }
        };
        let mut seen = std::collections::BTreeSet::new();
        chosen.retain(|peer| seen.insert(*peer));
        chosen.truncate(count);
        chosen
    }
}
