//! What is heard of a block after it has gone out: who announces it, and what becomes of it.

use std::net::SocketAddr;

use super::{BlockLog, BlockRecord, Fate, FateNews, FirstBack, PeerRow, Voice};
use crate::hot::link::PeerId;
use crate::limits::{BLOCKS_REMEMBERED_MAX, CHAINS_MAX, SCOUT_ROWS_MAX};
use crate::wire::hash::BlockHash;

/// Blocks of one chain, by what has become of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FateCounts {
    /// Deep enough for good.
    pub confirmed: u64,
    /// Another block is in their place for good.
    pub stale: u64,
}

impl FateCounts {
    fn add(&mut self, fate: Fate) {
        match fate {
            Fate::Confirmed => self.confirmed += 1,
            Fate::Stale(_) => self.stale += 1,
            _ => {}
        }
    }

    pub(super) fn take_back(&mut self, fate: Fate) {
        match fate {
            Fate::Confirmed => self.confirmed = self.confirmed.saturating_sub(1),
            Fate::Stale(_) => self.stale = self.stale.saturating_sub(1),
            _ => {}
        }
    }

    /// Share of decided blocks that were lost to others, 0 to 1; `None` before the first.
    #[must_use]
    pub fn orphan_rate(self) -> Option<f64> {
        let decided = self.confirmed + self.stale;
        (decided > 0).then(|| self.stale as f64 / decided as f64)
    }
}

impl BlockRecord {
    /// Somebody announced the block at `at_ns`. Whether nobody had before.
    pub(super) fn note_back(&mut self, told: FirstBack) -> bool {
        self.counts.announced = self.counts.announced.saturating_add(1);
        let is_first = self.first_back.is_none();
        // Shards report each on its own: what comes later may have happened earlier.
        if self.first_back.is_none_or(|first| told.at_ns < first.at_ns) {
            self.first_back = Some(told);
        }
        is_first
    }

    /// Changes the row of `peer`; counts it when it turns out to have the block.
    pub(super) fn change_row(
        &mut self,
        peer: PeerId,
        change: impl FnOnce(&mut PeerRow),
    ) -> Option<PeerRow> {
        let row = self.row(peer)?;
        let had = row.has_block();
        change(row);
        let row = *row;
        if !had && row.has_block() {
            self.counts.have = self.counts.have.saturating_add(1);
        }
        Some(row)
    }

    /// When half of all that have announced the block had done so, CLOCK_MONOTONIC in ns; 0: nobody.
    #[must_use]
    pub fn half_back_ns(&self) -> u64 {
        let peers = self.rows.values().map(|row| row.echo_ns).filter(|at_ns| *at_ns != 0);
        let mut all: Vec<u64> = peers.chain(self.scouts.iter().map(|(_, at_ns)| *at_ns)).collect();
        all.sort_unstable();
        all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or(0)
    }
}

impl BlockLog {
    /// A peer that a scout listens to announced the block `hash` at `at_ns`: it travels. Whether it
    /// is one of our own.
    pub fn note_witness(
        &self,
        chain_index: u8,
        hash: &BlockHash,
        from: SocketAddr,
        at_ns: u64,
    ) -> bool {
        let mut state = self.state();
        let Some(image) = state.newest(chain_index, hash) else {
            return false;
        };
        let Some(record) = state.record(image) else {
            return true;
        };
        if record.scouts.iter().any(|(known, _)| *known == from) {
            return true;
        }
        record.counts.witnesses = record.counts.witnesses.saturating_add(1);
        record.counts.have = record.counts.have.saturating_add(1);
        let told = FirstBack { address: Some(from), voice: Voice::Scout, at_ns };
        let is_first = record.note_back(told);
        if record.scouts.len() < SCOUT_ROWS_MAX {
            record.scouts.push((from, at_ns));
        }
        let published_ns = record.published_ns();
        if let Some(totals) = state.totals.get_mut(usize::from(chain_index)) {
            totals.add_back(is_first, at_ns, published_ns);
        }
        drop(state);
        self.note_change();
        true
    }

    /// Blocks of a chain of which it is not known for good what becomes of them, oldest first.
    #[must_use]
    pub fn undecided(&self, chain_index: u8) -> Vec<BlockHash> {
        self.with_fate(chain_index, |fate| !fate.is_final())
    }

    /// Blocks of a chain that counted as confirmed, oldest first.
    #[must_use]
    pub fn confirmed(&self, chain_index: u8) -> Vec<BlockHash> {
        self.with_fate(chain_index, |fate| fate == Fate::Confirmed)
    }

    fn with_fate(&self, chain_index: u8, wanted: impl Fn(Fate) -> bool) -> Vec<BlockHash> {
        let state = self.state();
        let records = state.order.iter().filter_map(|image| state.records.get(image));
        let fit = records.filter(|record| wanted(record.fate));
        let metas = fit.filter_map(|record| record.meta.as_ref());
        metas.filter(|meta| meta.chain_index == chain_index).map(|meta| meta.hash).collect()
    }

    /// What is known of the fate of the newest image of `hash`.
    #[must_use]
    pub fn fate(&self, chain_index: u8, hash: &BlockHash) -> Option<Fate> {
        let state = self.state();
        let image = state.newest(chain_index, hash)?;
        state.records.get(&image).map(|record| record.fate)
    }

    /// What has become of a block: `now`, where it was `before`. Counts blocks of an earlier process
    /// too, of which there is no record; the record, where there is one, is given back.
    pub fn note_fate(
        &self,
        chain_index: u8,
        hash: &BlockHash,
        before: Fate,
        now: Fate,
    ) -> Option<BlockRecord> {
        let mut state = self.state();
        let image = state.newest(chain_index, hash);
        let known = image.and_then(|image| state.records.get(&image));
        if known.is_some_and(|record| record.fate == Fate::Refused) {
            // The node's own word, while it was being asked.
            return None;
        }
        // What an earlier process has counted goes before what this one has heard.
        let before = state.earlier.remove(&(chain_index, *hash)).unwrap_or(before);
        if image.is_none() {
            let known = state.earlier.len();
            if known < BLOCKS_REMEMBERED_MAX as usize * CHAINS_MAX as usize {
                state.earlier.insert((chain_index, *hash), now);
            }
        }
        if let Some(totals) = state.totals.get_mut(usize::from(chain_index)) {
            totals.fates.take_back(before);
            totals.fates.add(now);
        }
        let Some(image) = image else {
            state.unkept.note_fate(FateNews { chain_index, hash: *hash, fate: now });
            drop(state);
            self.note_change();
            return None;
        };
        let record = state.record(image)?;
        record.fate = now;
        let record = record.clone();
        drop(state);
        self.note_change();
        Some(record)
    }
}
