//! What peers announce, on its way to the covering rule.
//!
//! A hash costs nothing to make up. So an announcement is held until somebody vouches for the work
//! behind it: the local node, by its tip or by announcing the block itself; without one, three peers
//! that are not of one hand. Our own blocks are left out: who has those early has them from us.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::keeper::Keeper;
use crate::cold::cover::{Cover, Proof};
use crate::cold::score::Standing;
use crate::cold::store::Netgroup;
use crate::hot::link::{Outcome, PeerId};
use crate::limits::{
    ANNOUNCED_PENDING_MAX, ANNOUNCED_PENDING_MS, ANNOUNCED_PENDING_PER_PEER_MAX,
    COVER_WITNESSES_MIN, HASHES_REMEMBERED_MAX, LOTS_KEPT_MS,
};
use crate::sys::clock;
use crate::wire::hash::BlockHash;

/// A block's hash, in wire order.
type Hash = [u8; 32];

/// The covering rule's clock, in µs.
pub(super) fn now_us() -> u64 {
    clock::now_ns() / 1_000
}

/// The table of lags, and what waits before it. All times come in.
#[derive(Debug)]
pub(super) struct Covering {
    pub(super) cover: Cover<SocketAddr>,
    /// There is a local node: its word alone counts.
    has_node: bool,
    pending: VecDeque<Pending>,
    vouched: Remembered,
    own: Remembered,
    lots_until_us: u64,
}

/// A block that nobody has vouched for yet.
#[derive(Debug)]
struct Pending {
    hash: Hash,
    since_us: u64,
    /// Who named it first.
    by: SocketAddr,
    heard: BTreeMap<SocketAddr, u64>,
}

/// The last few hashes.
#[derive(Debug, Default)]
struct Remembered(VecDeque<Hash>);

impl Remembered {
    fn has(&self, hash: &Hash) -> bool {
        self.0.contains(hash)
    }

    fn add(&mut self, hash: Hash) {
        if !self.has(&hash) {
            self.0.push_back(hash);
        }
        while self.0.len() > HASHES_REMEMBERED_MAX {
            self.0.pop_front();
        }
    }
}

impl Covering {
    /// Nothing watched yet. `has_node`: there is a local node, whose word is waited for.
    pub(super) fn new(seed: u64, has_node: bool) -> Self {
        Self {
            cover: Cover::new(seed),
            has_node,
            pending: VecDeque::new(),
            vouched: Remembered::default(),
            own: Remembered::default(),
            lots_until_us: 0,
        }
    }

    /// `address` announced the block `hash` at `at_us`. Nothing is kept of whom nobody watches.
    pub(super) fn announced(&mut self, address: SocketAddr, hash: Hash, at_us: u64) {
        if self.own.has(&hash) || self.cover.trust(address).is_none() {
            return;
        }
        if self.vouched.has(&hash) {
            self.cover.note(&BlockHash(hash), address, at_us);
            return;
        }
        let known = self.pending.iter().position(|it| it.hash == hash);
        let Some(pending) = (match known {
            Some(at) => self.pending.get_mut(at),
            None => self.open(hash, address, at_us),
        }) else {
            return;
        };
        let first_us = pending.heard.entry(address).or_insert(at_us);
        *first_us = at_us.min(*first_us);
        let hands: BTreeSet<Hand> =
            pending.heard.keys().map(|address| Hand::of(*address)).collect();
        if !self.has_node && hands.len() >= COVER_WITNESSES_MIN as usize {
            self.vouch(hash);
        }
    }

    /// Somebody whose word counts has the block `hash`.
    pub(super) fn vouch(&mut self, hash: Hash) {
        let waiting = self.pending.iter().position(|it| it.hash == hash);
        let waiting = waiting.and_then(|at| self.pending.remove(at));
        if self.own.has(&hash) {
            return;
        }
        self.vouched.add(hash);
        let mut heard: Vec<(u64, SocketAddr)> = waiting
            .into_iter()
            .flat_map(|it| it.heard)
            .map(|(from, at_us)| (at_us, from))
            .collect();
        heard.sort_unstable();
        for (at_us, from) in heard {
            self.cover.note(&BlockHash(hash), from, at_us);
        }
    }

    /// The block `hash` is ours: whoever announces it has it from us.
    pub(super) fn own(&mut self, hash: Hash) {
        self.own.add(hash);
        self.pending.retain(|it| it.hash != hash);
    }

    /// Casts the lots anew when that is due; `seed` is asked for only then.
    pub(super) fn cast_lots(&mut self, now_us: u64, seed: impl FnOnce() -> u64) {
        if now_us >= self.lots_until_us {
            if self.lots_until_us > 0 {
                self.cover.reseed(seed());
            }
            self.lots_until_us = now_us.saturating_add(LOTS_KEPT_MS * 1_000);
        }
    }

    /// A place for a block that is new; `None`: its peer has named too many that nobody knows.
    fn open(&mut self, hash: Hash, by: SocketAddr, since_us: u64) -> Option<&mut Pending> {
        let oldest_us = since_us.saturating_sub(ANNOUNCED_PENDING_MS * 1_000);
        self.pending.retain(|it| it.since_us >= oldest_us);
        let of_peer = self.pending.iter().filter(|it| it.by == by).count();
        if of_peer >= ANNOUNCED_PENDING_PER_PEER_MAX {
            return None;
        }
        if self.pending.len() >= ANNOUNCED_PENDING_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back(Pending { hash, since_us, by, heard: BTreeMap::new() });
        self.pending.back_mut()
    }
}

/// In whose hand an address is, for vouching: each address of a private network is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hand {
    Group(Netgroup),
    Alone(SocketAddr),
}

impl Hand {
    fn of(address: SocketAddr) -> Self {
        Netgroup::of(address.ip()).map_or(Self::Alone(address), Self::Group)
    }
}

impl Keeper {
    /// A peer or a scout's peer announced the block `hash` (wire order) at `at_ns`, CLOCK_MONOTONIC.
    pub(super) fn note_announced(&mut self, address: SocketAddr, hash: [u8; 32], at_ns: u64) {
        if self.kept.standing(address) == Standing::Protected {
            // It announces only what it has checked.
            return self.covering.vouch(hash);
        }
        self.covering.announced(address, hash, at_ns / 1_000);
    }

    /// Somebody listens to `address` from now on: blocks that it does not announce count against it.
    pub(super) fn listen_to(&mut self, address: SocketAddr) {
        if self.kept.standing(address) != Standing::Protected {
            self.covering.cover.watch(address, now_us());
        }
    }

    /// Nobody does any more. What was heard is kept.
    pub(super) fn stop_listening(&mut self, address: SocketAddr) {
        if !self.connections.has(address) {
            self.covering.cover.unwatch(address);
        }
    }

    /// What a block of ours has come to at `peer`.
    pub(super) fn judge(&mut self, peer: PeerId, outcome: Outcome) {
        let proof = match outcome {
            Outcome::Handled => Proof::Receipt,
            Outcome::Refused => Proof::Refusal,
            Outcome::Stalled | Outcome::Reset | Outcome::Unanswered => Proof::Silence,
            // It had the block from others, or it was we who ended it: that proves nothing.
            Outcome::AlreadyHad | Outcome::Abandoned => return,
        };
        self.prove(peer, proof);
    }

    /// `peer` announced a block of ours, or did something else that tells of its trust.
    pub(super) fn prove(&mut self, peer: PeerId, proof: Proof) {
        if let Some(connection) = self.connections.get_mut(peer) {
            self.covering.cover.judge(connection.address, proof);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: bool = true;

    fn at(group: u8) -> SocketAddr {
        SocketAddr::from(([20, group, 0, 1], 9_333))
    }

    fn watched(has_node: bool) -> Covering {
        let mut covering = Covering::new(1, has_node);
        (0..200).for_each(|group| assert!(covering.cover.watch(at(group), 0)));
        covering
    }

    #[test]
    fn nothing_counts_before_the_node_has_it() {
        let mut covering = watched(NODE);
        (0..50).for_each(|group| covering.announced(at(group), [7; 32], 1_000 + u64::from(group)));
        assert_eq!(covering.cover.blocks(), 0);
        covering.vouch([7; 32]);
        assert_eq!((covering.cover.blocks(), covering.pending.len()), (1, 0));
        covering.announced(at(60), [7; 32], 9_000);
        let again = covering.cover.note(&BlockHash([7; 32]), at(60), 9_000);
        assert_eq!(again, crate::cold::cover::Noted::Repeated, "later ones are noted at once");
    }

    #[test]
    fn without_a_node_three_of_different_hands_vouch() {
        let mut covering = watched(!NODE);
        let neighbour = SocketAddr::from(([20, 1, 9, 9], 1));
        assert!(covering.cover.watch(neighbour, 0));
        for from in [at(1), neighbour, at(2)] {
            covering.announced(from, [7; 32], 5);
            assert_eq!(covering.cover.blocks(), 0, "{from}");
        }
        covering.announced(SocketAddr::from(([20, 99, 0, 1], 1)), [7; 32], 5);
        assert_eq!(covering.cover.blocks(), 0, "nobody watches that one");
        covering.announced(at(3), [7; 32], 5);
        assert_eq!(covering.cover.blocks(), 1);
    }

    #[test]
    fn our_own_blocks_are_left_out_whenever_we_learn_that_they_are() {
        let mut covering = watched(NODE);
        covering.own([1; 32]);
        covering.announced(at(1), [1; 32], 5);
        covering.vouch([1; 32]);
        covering.announced(at(1), [2; 32], 5);
        covering.own([2; 32]);
        covering.vouch([2; 32]);
        covering.announced(at(2), [2; 32], 6);
        assert_eq!((covering.cover.blocks(), covering.pending.len()), (0, 0));
    }

    /// Goal: a peer that names made-up blocks without end neither fills the memory nor pushes out
    /// what others have heard.
    #[test]
    fn made_up_blocks_push_nobody_out() {
        let mut covering = watched(NODE);
        covering.announced(at(1), [255; 32], 1);
        for number in 0..100_000_u32 {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&number.to_be_bytes());
            covering.announced(at(2), hash, 2);
        }
        assert_eq!(covering.pending.len(), 1 + ANNOUNCED_PENDING_PER_PEER_MAX);
        covering.vouch([255; 32]);
        assert_eq!(covering.cover.blocks(), 1);
        for number in 0..2_000_u32 {
            let mut hash = [3; 32];
            hash[..4].copy_from_slice(&number.to_be_bytes());
            covering.announced(at((number % 200) as u8), hash, 3);
            covering.own([number as u8; 32]);
            covering.vouch(hash);
        }
        assert!(covering.pending.len() <= ANNOUNCED_PENDING_MAX);
        assert!(covering.own.0.len() <= HASHES_REMEMBERED_MAX);
        assert!(covering.vouched.0.len() <= HASHES_REMEMBERED_MAX);
        let late_us = ANNOUNCED_PENDING_MS * 1_000 + 10;
        let mut late = [9; 32];
        late[0] = 8;
        covering.announced(at(9), late, late_us);
        assert_eq!(covering.pending.len(), 1, "what is old goes");
    }

    #[test]
    fn lots_are_cast_once_a_day() {
        let mut covering = watched(NODE);
        let mut cast = 0;
        for hour in 0..72_u64 {
            covering.cast_lots(1 + hour * 3_600_000_000, || {
                cast += 1;
                cast
            });
        }
        assert_eq!(cast, 2);
    }
}
