//! What became of each block: stages, offers, every peer's times, every node's verdict.
//!
//! Fed by the report pump, one call per report; read by HTTP, the Unix socket and the log lines.

mod briefs;
mod changes;
mod confirming;
mod fate;
mod indicators;
mod kernel;
mod listing;
mod proofs;
mod record;
mod story;
mod times;
mod totals;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

pub use briefs::{BlockBrief, Unsent};
pub use changes::{Changes, FateNews};
pub use confirming::FateCounts;
pub use fate::{Fate, FirstBack, Voice};
pub use indicators::Indicators;
pub(in crate::cold) use kernel::runner;
pub use kernel::{
    FanOutWindow, KernelTimes, SentOffer, StolenTime, Thief, runner_word, thief_name,
};
pub use proofs::{ProofCounts, ProofFate};
pub use record::{BlockMeta, BlockRecord, Counts, NodeVerdict, PeerRow, Stages};
pub use story::{BlockStory, FirstBackStory, PeerStory, Stage, VerdictStory};
pub use times::{Percentiles, Times};
pub use totals::{ChainTotals, KeptTimes, KeptTotals, VerdictCounts, WayTotals};

use changes::Unkept;

use crate::cold::directory::Directory;
use crate::cold::node::verdict::Verdict;
use crate::hot::link::{ImageId, Report};
use crate::limits::{
    BLOCKS_REMEMBERED_MAX, BLOCKS_WITH_ROWS_MAX, CHAINS_MAX, VERDICTS_PER_BLOCK_MAX,
};
use crate::wire::hash::BlockHash;

/// The memory of recent blocks. Bounded; shared by everyone who tells it something or asks it.
#[derive(Debug)]
pub struct BlockLog {
    directory: Arc<Directory>,
    shards: u8,
    state: Mutex<State>,
    /// Woken whenever a block may have become settled.
    changed: Notify,
    /// Raised with every change that others may want to show or keep.
    revision: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    records: HashMap<ImageId, BlockRecord>,
    order: VecDeque<ImageId>,
    totals: [ChainTotals; CHAINS_MAX as usize],
    /// What has changed since it was last taken, to be kept.
    unkept: Unkept,
    /// Blocks that were refused and had not gone to peers.
    unsent: VecDeque<Unsent>,
    /// Offers that were sent and ended, where somebody takes them.
    sent_offers: Option<VecDeque<SentOffer>>,
    /// Fates of blocks of earlier processes, as far as they are counted in the sums. At most
    /// [`BLOCKS_REMEMBERED_MAX`] of each chain.
    earlier: HashMap<(u8, BlockHash), Fate>,
}

impl State {
    /// The record of `image`, made where a report is faster than [`BlockLog::begin`]. `None` for a
    /// block so old that it is forgotten.
    fn record(&mut self, image: ImageId) -> Option<&mut BlockRecord> {
        self.unkept.note(image);
        if !self.records.contains_key(&image) {
            if self.order.front().is_some_and(|oldest| image < *oldest) {
                return None;
            }
            self.records.insert(image, BlockRecord::new(image));
            self.order.push_back(image);
            if self.order.len() > BLOCKS_REMEMBERED_MAX as usize
                && let Some(oldest) = self.order.pop_front()
            {
                self.records.remove(&oldest);
            }
            let faded = self.order.len().checked_sub(BLOCKS_WITH_ROWS_MAX as usize + 1);
            if let Some(faded) = faded.and_then(|at| self.order.get(at))
                && let Some(record) = self.records.get_mut(faded)
            {
                record.rows = HashMap::new();
                record.scouts = Vec::new();
            }
        }
        self.records.get_mut(&image)
    }

    fn newest(&self, chain_index: u8, hash: &BlockHash) -> Option<ImageId> {
        self.order.iter().rev().copied().find(|image| {
            let meta = self.records.get(image).and_then(|record| record.meta.as_ref());
            meta.is_some_and(|meta| meta.chain_index == chain_index && meta.hash == *hash)
        })
    }
}

impl BlockLog {
    /// An empty log for an engine of `shards` shards.
    #[must_use]
    pub fn new(directory: Arc<Directory>, shards: u8) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        Self { directory, shards, state, changed, revision: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block was published as `image`.
    pub fn begin(&self, image: ImageId, meta: BlockMeta) {
        let mut state = self.state();
        if let Some(totals) = state.totals.get_mut(usize::from(meta.chain_index)) {
            totals.blocks_broadcast += 1;
            totals.last_block = Some((meta.hash, meta.received_unix_ms));
        }
        let Some(record) = state.record(image) else {
            return;
        };
        record.meta = Some(meta);
        // Times that came before the publishing time was known.
        let early: Vec<PeerRow> = record.rows.values().copied().collect();
        let (last_byte_ns, published_ns) = (record.last_byte_ns(), record.published_ns());
        let first_ns = record.first_back.map_or(0, |first| first.at_ns);
        let chain = usize::from(record.chain_index());
        let reached = record.reached();
        if let Some(totals) = state.totals.get_mut(chain) {
            totals.add_stages(&reached);
            for row in &early {
                totals.add_times(row, last_byte_ns);
                totals.add_back(row.echo_ns == first_ns, row.echo_ns, published_ns);
            }
        }
        drop(state);
        self.note_change();
    }

    /// Takes in one report. Cheap: a lookup, some sums; never waits for anything but a reader.
    pub fn on_report(&self, report: &Report) {
        match *report {
            Report::Offered { image, shard, offers, .. } => {
                let mut state = self.state();
                let Some(record) = state.record(image) else {
                    return;
                };
                record.counts.offers = record.counts.offers.saturating_add(offers);
                // A shard speaks again when somebody connects while the block is new.
                record.heard_shards |= 1_u64.checked_shl(shard.into()).unwrap_or(0);
                record.counts.shards = record.heard_shards.count_ones() as u8;
            }
            Report::Settled { .. } => self.on_settled(report),
            Report::Echo { .. } => self.on_echo(report),
            Report::Finished { .. } => {}
            _ => return,
        }
        self.note_change();
    }

    /// A peer announced the block back.
    fn on_echo(&self, report: &Report) {
        let Report::Echo { image, peer, at_ns, sent_before } = *report else {
            return;
        };
        let address = self.directory.get(peer).map(|label| label.address);
        let mut state = self.state();
        let Some(record) = state.record(image) else {
            return;
        };
        record.counts.echoes = record.counts.echoes.saturating_add(1);
        if !sent_before {
            record.counts.witnesses = record.counts.witnesses.saturating_add(1);
        }
        record.change_row(peer, |row| {
            row.address = row.address.or(address);
            row.echo_ns = at_ns;
        });
        let voice = if sent_before { Voice::Echo } else { Voice::Witness };
        let is_first = record.note_back(FirstBack { address, voice, at_ns });
        let published_ns = record.published_ns();
        if let Some(totals) = state.totals.get_mut(usize::from(peer.chain())) {
            totals.add_back(is_first, at_ns, published_ns);
        }
    }

    /// One offer has ended.
    fn on_settled(&self, report: &Report) {
        let Report::Settled {
            image,
            peer,
            outcome,
            submitted_ns,
            sent_ns,
            acked_ns,
            handled_ns,
            way,
            sent_bytes,
        } = *report
        else {
            return;
        };
        let address = self.directory.get(peer).map(|label| label.address);
        let mut state = self.state();
        let Some(record) = state.record(image) else {
            return;
        };
        record.counts.settled = record.counts.settled.saturating_add(1);
        if let Some(count) = record.counts.outcomes.get_mut(outcome.index()) {
            *count = count.saturating_add(1);
        }
        let told = record.meta.is_some();
        let last_byte_ns = record.last_byte_ns();
        let changed = record.change_row(peer, |kept| {
            *kept = PeerRow {
                address: address.or(kept.address),
                outcome: Some(outcome),
                submitted_ns,
                sent_ns,
                acked_ns,
                handled_ns,
                way: Some(way),
                sent_bytes,
                ..*kept
            };
        });
        let row = changed.unwrap_or(PeerRow::new(peer));
        state.keep_sent_offer(SentOffer { image, peer, submitted_ns, sent_ns });
        if let Some(totals) = state.totals.get_mut(usize::from(peer.chain())) {
            totals.add_outcome(outcome);
            totals.add_way(way, sent_bytes);
            if told {
                totals.add_times(&row, last_byte_ns);
            }
        }
    }

    /// A block is held back: `word` says why. Words are ours alone, so there are few of them.
    pub fn note_held_back(&self, chain_index: u8, word: &'static str) {
        if let Some(totals) = self.state().totals.get_mut(usize::from(chain_index)) {
            *totals.held_back.entry(word).or_default() += 1;
        }
    }

    /// A node has spoken about a block; `own` where it is the chain's own node and not one of the
    /// further endpoints.
    pub fn note_verdict(
        &self,
        chain_index: u8,
        hash: &BlockHash,
        node: &str,
        own: bool,
        verdict: &Verdict,
        at_ns: u64,
    ) {
        let mut state = self.state();
        if let Some(totals) = state.totals.get_mut(usize::from(chain_index)) {
            totals.add_verdict(verdict, own);
        }
        let Some(image) = state.newest(chain_index, hash) else {
            if own && verdict.is_refusal() {
                state.note_unsent(Unsent {
                    chain_index,
                    hash: *hash,
                    word: verdict.word().to_owned(),
                    at_ns,
                });
            }
            return;
        };
        let Some(record) = state.record(image) else {
            return;
        };
        if own {
            record.fate = match record.fate {
                _ if verdict.is_refusal() => Fate::Refused,
                Fate::Refused => Fate::Pending,
                other => other,
            };
        }
        if record.verdicts.len() < VERDICTS_PER_BLOCK_MAX {
            let word = verdict.word().to_owned();
            record.verdicts.push(NodeVerdict { node: node.to_owned(), own, word, at_ns });
        }
        let is_first = own && record.verdicts.iter().filter(|said| said.own).count() == 1;
        let first_byte_ns = record.meta.as_ref().map_or(0, |meta| meta.first_byte_ns);
        if let Some(totals) = state.totals.get_mut(usize::from(chain_index))
            && is_first
        {
            totals.stages[Stage::Verdict.index()].add(at_ns.saturating_sub(first_byte_ns));
        }
        drop(state);
        self.note_change();
    }

    /// A block's counts so far.
    #[must_use]
    pub fn counts(&self, image: ImageId) -> Option<Counts> {
        self.state().records.get(&image).map(|record| record.counts)
    }

    /// Everything about one block.
    #[must_use]
    pub fn record(&self, image: ImageId) -> Option<BlockRecord> {
        self.state().records.get(&image).cloned()
    }

    /// Everything about the newest image of the block `hash`.
    #[must_use]
    pub fn find(&self, chain_index: u8, hash: &BlockHash) -> Option<BlockRecord> {
        let state = self.state();
        let image = state.newest(chain_index, hash)?;
        state.records.get(&image).cloned()
    }

    /// The last `count` published blocks, newest first.
    #[must_use]
    pub fn recent(&self, count: usize) -> Vec<BlockRecord> {
        let state = self.state();
        let newest = state.order.iter().rev().filter_map(|image| state.records.get(image));
        newest.filter(|record| record.meta.is_some()).take(count).cloned().collect()
    }

    /// The same of one chain.
    #[must_use]
    pub fn recent_of(&self, chain_index: u8, count: usize) -> Vec<BlockRecord> {
        let state = self.state();
        let newest = state.order.iter().rev().filter_map(|image| state.records.get(image));
        newest.filter(|it| it.chain_index() == chain_index).take(count).cloned().collect()
    }

    /// Sums over all blocks of one chain since the start.
    #[must_use]
    pub fn totals(&self, chain_index: u8) -> ChainTotals {
        self.state().totals.get(usize::from(chain_index)).cloned().unwrap_or_default()
    }

    /// Waits until every offer of `image` has ended, at most `patience`. True where it has.
    pub async fn settled(&self, image: ImageId, patience: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            // Registered before looking, so that nothing can happen in between unseen.
            let changed = self.changed.notified();
            if self.counts(image).is_some_and(|counts| counts.is_settled(self.shards)) {
                return true;
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests;
