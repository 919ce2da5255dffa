//! The remembered blocks in brief: cheap to take for all of them at once.

use super::{BlockLog, Fate, State};
use crate::hot::link::ImageId;
use crate::limits::UNSENT_REMEMBERED_MAX;
use crate::wire::hash::BlockHash;

/// One block, without its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockBrief {
    /// Its number in this process.
    pub image: ImageId,
    /// Index of its chain in the engine's configuration.
    pub chain_index: u8,
    /// Its hash.
    pub hash: BlockHash,
    /// Its height, where the coinbase tells.
    pub height: Option<u32>,
    /// Its size, in bytes.
    pub size_bytes: u32,
    /// When the shards were told, CLOCK_MONOTONIC in ns.
    pub published_ns: u64,
    /// Connections that it was offered to.
    pub offers: u32,
    /// Whether every offer has ended.
    pub is_settled: bool,
    /// What has become of it.
    pub fate: Fate,
    /// The own node's last word.
    pub verdict: Option<String>,
}

/// A block that its own node refused, and that had not gone to peers: there is no record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Index of its chain in the engine's configuration.
    pub chain_index: u8,
    /// Its hash.
    pub hash: BlockHash,
    /// The node's word.
    pub word: String,
    /// When the node first said so, CLOCK_MONOTONIC in ns.
    pub at_ns: u64,
}

impl State {
    /// Remembers a refusal, one for each block. Full: the oldest goes.
    pub(super) fn note_unsent(&mut self, refused: Unsent) {
        let is_same =
            |it: &Unsent| it.hash == refused.hash && it.chain_index == refused.chain_index;
        if self.unsent.iter().any(is_same) {
            return;
        }
        if self.unsent.len() >= UNSENT_REMEMBERED_MAX {
            self.unsent.pop_front();
        }
        self.unsent.push_back(refused);
    }
}

impl BlockLog {
    /// The last blocks that were refused without having gone to peers, oldest first.
    #[must_use]
    pub fn unsent(&self) -> Vec<Unsent> {
        self.state().unsent.iter().cloned().collect()
    }

    /// All blocks that are remembered, oldest first.
    #[must_use]
    pub fn briefs(&self) -> Vec<BlockBrief> {
        let state = self.state();
        let records = state.order.iter().filter_map(|image| state.records.get(image));
        let briefs = records.filter_map(|record| {
            let meta = record.meta.as_ref()?;
            let said = record.verdicts.iter().rev().find(|said| said.own);
            Some(BlockBrief {
                image: record.image,
                chain_index: meta.chain_index,
                hash: meta.hash,
                height: meta.height,
                size_bytes: meta.size_bytes,
                published_ns: meta.published_ns,
                offers: record.counts.offers,
                is_settled: record.counts.is_settled(self.shards),
                fate: record.fate,
                verdict: said.map(|said| said.word.clone()),
            })
        });
        briefs.collect()
    }
}
