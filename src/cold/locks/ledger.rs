//! What is known of each lock, and what to do about the next news. No clock, no socket.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;

use crate::cold::store::Netgroup;
use crate::hot::link::PeerId;
use crate::limits::{
    LOCK_ASK_AGAIN_MS, LOCK_ASKS_MAX, LOCK_BLOCKS_MAX, LOCK_WITNESSES_MIN, LOCKS_PER_S,
    LOCKS_REMEMBERED_MAX, LOCKS_SAVED, LOCKS_UNHEARD_PER_PEER_MAX, PUSH_SPARED_MAX,
};
use crate::wire::locks::{LockKind, read_lock};

const MS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000 * MS;

/// Who tells of a lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Witness {
    pub(super) peer: PeerId,
    /// In whose hand it may be; without a group it stands for itself.
    pub(super) group: Option<Netgroup>,
    pub(super) address: SocketAddr,
    /// It is our own node.
    pub(super) is_own: bool,
}

impl Witness {
    fn is_in_one_hand_with(&self, other: &Self) -> bool {
        match (self.group, other.group) {
            (Some(group), Some(others)) => group == others,
            _ => self.address == other.address,
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Ask whoever told of it.
    Ask {
        kind: LockKind,
        hash: [u8; 32],
    },
    /// Push it to all but these.
    Push {
        kind: LockKind,
        payload: Box<[u8]>,
        have: Vec<PeerId>,
    },
    /// It is ignored, for this reason.
    Refuse(&'static str),
}

#[derive(Debug)]
struct Entry {
    kind: LockKind,
    witnesses: Vec<Witness>,
    asked: u32,
    asked_ns: u64,
    /// Who told of it first, as long as it has not come.
    unheard_of: Option<PeerId>,
    payload: Option<(Box<[u8]>, Option<u32>)>,
    is_done: bool,
}

/// Bounded: locks, blocks, witnesses, what one peer may have us wait for.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    locks: HashMap<[u8; 32], Entry>,
    order: VecDeque<[u8; 32]>,
    blocks: HashSet<[u8; 32]>,
    blocks_order: VecDeque<[u8; 32]>,
    /// Locks that each peer told of and that have not come.
    unheard: HashMap<PeerId, u32>,
    /// Of the highest block whose lock was pushed.
    height: Option<u32>,
    /// When all that was pushed will have been earned.
    earned_ns: u64,
}

impl Ledger {
    /// A block that somebody has shown.
    pub(super) fn note_block(&mut self, hash: [u8; 32]) {
        if !self.blocks.insert(hash) {
            return;
        }
        self.blocks_order.push_back(hash);
        if self.blocks_order.len() > LOCK_BLOCKS_MAX
            && let Some(oldest) = self.blocks_order.pop_front()
        {
            self.blocks.remove(&oldest);
        }
    }

    /// A peer has a lock: it is asked for, or it counts as one more who vouches.
    pub(super) fn announced(
        &mut self,
        kind: LockKind,
        hash: [u8; 32],
        witness: Witness,
        now_ns: u64,
    ) -> Step {
        if !self.locks.contains_key(&hash) {
            let unheard = self.unheard.entry(witness.peer).or_default();
            if *unheard >= LOCKS_UNHEARD_PER_PEER_MAX {
                return Step::Refuse("too-many");
            }
            *unheard += 1;
            self.remember(hash, kind, Some(witness.peer));
        }
        let Some(entry) = self.locks.get_mut(&hash) else { return Step::Nothing };
        entry.vouch(witness);
        if entry.payload.is_some() {
            return self.settle(hash, now_ns);
        }
        let rested = now_ns.saturating_sub(entry.asked_ns) >= LOCK_ASK_AGAIN_MS * MS;
        if entry.is_done || entry.asked >= LOCK_ASKS_MAX || (entry.asked > 0 && !rested) {
            return Step::Nothing;
        }
        (entry.asked, entry.asked_ns) = (entry.asked + 1, now_ns);
        Step::Ask { kind, hash }
    }

    /// A lock came.
    pub(super) fn received(
        &mut self,
        kind: LockKind,
        payload: &[u8],
        witness: Witness,
        now_ns: u64,
    ) -> Step {
        let lock = match read_lock(kind, payload) {
            Ok(lock) => lock,
            Err(error) => return Step::Refuse(error.word()),
        };
        let hash = lock.inventory_hash;
        if self.locks.get(&hash).is_some_and(|entry| entry.is_done) {
            return Step::Refuse("known");
        }
        if kind == LockKind::Block && !self.blocks.contains(&lock.about) {
            return Step::Refuse("unknown-block");
        }
        if lock.height.is_some_and(|height| self.height.is_some_and(|had| height <= had)) {
            return Step::Refuse("not-higher");
        }
        if !self.locks.contains_key(&hash) {
            self.remember(hash, kind, None);
        }
        let Some(entry) = self.locks.get_mut(&hash) else { return Step::Nothing };
        entry.vouch(witness);
        if entry.payload.is_none() {
            entry.payload = Some((payload.into(), lock.height));
            let first = entry.unheard_of.take();
            self.heard_of(first);
        }
        self.settle(hash, now_ns)
    }

    /// A transaction of our own is about to be pushed.
    pub(super) fn own_transaction(&mut self, now_ns: u64) -> Step {
        if self.pay(now_ns) { Step::Nothing } else { Step::Refuse("too-many") }
    }

    /// Pushes a lock that is here and vouched for.
    fn settle(&mut self, hash: [u8; 32], now_ns: u64) -> Step {
        let Some(entry) = self.locks.get_mut(&hash) else { return Step::Nothing };
        if entry.is_done || !entry.is_vouched_for() {
            return Step::Nothing;
        }
        let kind = entry.kind;
        let have = entry.witnesses.iter().map(|witness| witness.peer).take(PUSH_SPARED_MAX);
        let have: Vec<_> = have.collect();
        let Some((payload, height)) = entry.payload.take() else { return Step::Nothing };
        entry.is_done = true;
        if height.is_some_and(|height| self.height.is_some_and(|had| height <= had)) {
            return Step::Refuse("not-higher");
        }
        if !self.pay(now_ns) {
            return Step::Refuse("too-many");
        }
        self.height = height.or(self.height);
        Step::Push { kind, payload, have }
    }

    /// Takes one push from what is allowed.
    fn pay(&mut self, now_ns: u64) -> bool {
        let after_ns = self.earned_ns.max(now_ns) + SECOND_NS / LOCKS_PER_S;
        let is_allowed = after_ns - now_ns <= LOCKS_SAVED * (SECOND_NS / LOCKS_PER_S);
        if is_allowed {
            self.earned_ns = after_ns;
        }
        is_allowed
    }

    fn remember(&mut self, hash: [u8; 32], kind: LockKind, unheard_of: Option<PeerId>) {
        let entry = Entry {
            kind,
            witnesses: Vec::new(),
            asked: 0,
            asked_ns: 0,
            unheard_of,
            payload: None,
            is_done: false,
        };
        self.locks.insert(hash, entry);
        self.order.push_back(hash);
        if self.order.len() > LOCKS_REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.locks.remove(&oldest);
            self.heard_of(gone.and_then(|entry| entry.unheard_of));
        }
    }

    /// One fewer that `peer` told of and that has not come.
    fn heard_of(&mut self, peer: Option<PeerId>) {
        let Some(peer) = peer else { return };
        if let Some(count) = self.unheard.get_mut(&peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.unheard.remove(&peer);
            }
        }
    }
}

impl Entry {
    fn vouch(&mut self, witness: Witness) {
        let is_new = !self.witnesses.iter().any(|it| it.is_in_one_hand_with(&witness));
        let has_own = self.witnesses.iter().any(|it| it.is_own);
        let is_more = is_new && self.witnesses.len() < LOCK_WITNESSES_MIN;
        if is_more || (witness.is_own && !has_own) {
            self.witnesses.push(witness);
        }
    }

    /// Our node has it, or peers in enough hands.
    fn is_vouched_for(&self) -> bool {
        self.witnesses.len() >= LOCK_WITNESSES_MIN || self.witnesses.iter().any(|it| it.is_own)
    }
}
