//! The lags, bounded: one record a peer, one column a block.

use std::collections::BTreeMap;
use std::hash::Hash;

use super::trust::{Proof, Trust};
use crate::limits::{COVER_BLOCKS_MAX, COVER_LAG_US_MAX, COVER_PEERS_MAX, COVER_WITNESSES_MIN};
use crate::wire::hash::BlockHash;

/// The peer was not watched when the block came.
pub(super) const UNSEEN: u32 = u32::MAX;
/// It was, and has not announced it.
pub(super) const SILENT: u32 = u32::MAX - 1;

/// What a note has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is kept.
    Kept,
    /// The peer had announced this block before: the first time counts.
    Repeated,
    /// It came too long after the block's first one.
    Late,
    /// The peer is not in the table: watch it first.
    Unknown,
}

/// When which peer announced which block, and how far each is trusted. `P` names a peer.
#[derive(Clone, Debug)]
pub struct Cover<P> {
    pub(super) seed: u64,
    /// Where a peer's record is.
    pub(super) places: BTreeMap<P, usize>,
    pub(super) records: Vec<Record>,
    /// Records that nobody has.
    free: Vec<usize>,
    /// Column by column; a column that was never used has none.
    pub(super) blocks: Vec<Block>,
}

/// One peer.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) trust: Trust,
    is_watched: bool,
    heard_us: u64,
    /// A cell a block: µs after [`Block::base_us`], [`SILENT`] or [`UNSEEN`].
    pub(super) cells: Box<[u32]>,
}

/// One block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    hash: BlockHash,
    /// The first announcement that was noted.
    pub(super) first_us: u64,
    /// Peers with a time in its column.
    pub(super) witnesses: u32,
}

impl Block {
    /// What its cells count from. Announcements can be noted out of order, so it lies before the
    /// first one.
    const fn base_us(&self) -> u64 {
        self.first_us.saturating_sub(COVER_LAG_US_MAX as u64)
    }
}

impl<P: Copy + Ord + Hash> Cover<P> {
    /// An empty table. `seed` decides about the places given by lot; peers must not know it.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            places: BTreeMap::new(),
            records: Vec::new(),
            free: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// Casts the lots anew.
    pub const fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// From now on `peer` is listened to.
    ///
    /// Returns whether the peer is in the table: it is not where the table is full of watched ones.
    pub fn watch(&mut self, peer: P, now_us: u64) -> bool {
        let Some(at) = self.places.get(&peer).copied().or_else(|| self.admit(peer)) else {
            return false;
        };
        let Some(record) = self.records.get_mut(at) else { return false };
        record.is_watched = true;
        record.heard_us = record.heard_us.max(now_us);
        true
    }

    /// `peer` is not listened to any more. What is known of it is kept, and grows old.
    pub fn unwatch(&mut self, peer: P) {
        if let Some(record) = self.record_mut(peer) {
            record.is_watched = false;
        }
    }

    /// Nothing is kept of `peer`.
    pub fn forget(&mut self, peer: P) {
        if let Some(at) = self.places.remove(&peer) {
            self.free.push(at);
            let Some(record) = self.records.get_mut(at) else { return };
            for (block, cell) in self.blocks.iter_mut().zip(&record.cells) {
                block.witnesses = block.witnesses.saturating_sub(u32::from(*cell < SILENT));
            }
            *record = Record::new();
        }
    }

    /// The announcement of `block` by `peer` was here at `at_us`.
    pub fn note(&mut self, block: &BlockHash, peer: P, at_us: u64) -> Noted {
        let Some(&at) = self.places.get(&peer) else { return Noted::Unknown };
        let known = self.blocks.iter().position(|it| it.hash == *block);
        let column = known.unwrap_or_else(|| self.open(*block, at_us));
        let (Some(block), Some(record)) = (self.blocks.get_mut(column), self.records.get_mut(at))
        else {
            return Noted::Unknown;
        };
        let Some(cell) = record.cells.get_mut(column) else { return Noted::Unknown };
        if at_us > block.first_us.saturating_add(u64::from(COVER_LAG_US_MAX)) {
            return Noted::Late;
        }
        // At most twice the longest lag, which fits.
        let after_us = at_us.saturating_sub(block.base_us()) as u32;
        if *cell < SILENT {
            // Two shards' reports may come in any order.
            *cell = after_us.min(*cell);
            return Noted::Repeated;
        }
        *cell = after_us;
        block.witnesses = block.witnesses.saturating_add(1);
        record.heard_us = record.heard_us.max(at_us);
        Noted::Kept
    }

    /// What `peer` made of a block of ours.
    pub fn judge(&mut self, peer: P, proof: Proof) {
        if let Some(record) = self.record_mut(peer) {
            record.trust = record.trust.after(proof);
        }
    }

    /// How far `peer` is trusted.
    #[must_use]
    pub fn trust(&self, peer: P) -> Option<Trust> {
        self.record(peer).map(|record| record.trust)
    }

    /// Peers in the table.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.places.len()
    }

    /// Blocks in the table.
    #[must_use]
    pub const fn blocks(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn record(&self, peer: P) -> Option<&Record> {
        self.records.get(*self.places.get(&peer)?)
    }

    fn record_mut(&mut self, peer: P) -> Option<&mut Record> {
        self.records.get_mut(*self.places.get(&peer)?)
    }

    /// A record for a newcomer, at the cost of the longest silent one that is not watched.
    fn admit(&mut self, peer: P) -> Option<usize> {
        if self.places.len() >= COVER_PEERS_MAX {
            let idle = |(_, at): &(&P, &usize)| {
                self.records.get(**at).filter(|it| !it.is_watched).map(|it| it.heard_us)
            };
            let gone = self.places.iter().filter(|it| idle(it).is_some()).min_by_key(idle)?;
            self.forget(*gone.0);
        }
        let at = self.free.pop().unwrap_or_else(|| {
            self.records.push(Record::new());
            self.records.len() - 1
        });
        self.places.insert(peer, at);
        Some(at)
    }

    /// A column for a block that is new.
    fn open(&mut self, hash: BlockHash, first_us: u64) -> usize {
        let block = Block { hash, first_us, witnesses: 0 };
        let column = if self.blocks.len() < COVER_BLOCKS_MAX {
            self.blocks.push(block);
            self.blocks.len() - 1
        } else {
            let column = self.oldest();
            if let Some(old) = self.blocks.get_mut(column) {
                *old = block;
            }
            column
        };
        for record in &mut self.records {
            if let Some(cell) = record.cells.get_mut(column) {
                *cell = if record.is_watched { SILENT } else { UNSEEN };
            }
        }
        column
    }

    /// The column that goes: so that made-up blocks push each other out and not the real ones, an
    /// old one that too few have announced before any other.
    fn oldest(&self) -> usize {
        let mut newest_first: Vec<usize> = (0..self.blocks.len()).collect();
        newest_first.sort_unstable_by_key(|at| std::cmp::Reverse(self.first_us(*at)));
        let old = newest_first.get(newest_first.len() / 2..).unwrap_or_default();
        let is_doubtful = |at: &&usize| {
            self.blocks.get(**at).is_some_and(|it| it.witnesses < COVER_WITNESSES_MIN)
        };
        old.iter().rev().find(is_doubtful).or(old.last()).copied().unwrap_or(0)
    }

    fn first_us(&self, column: usize) -> u64 {
        self.blocks.get(column).map_or(0, |block| block.first_us)
    }
}

impl Record {
    fn new() -> Self {
        let cells = vec![UNSEEN; COVER_BLOCKS_MAX].into_boxed_slice();
        Self { trust: Trust::NEW, is_watched: false, heard_us: 0, cells }
    }
}
