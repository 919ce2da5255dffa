//! The remembered blocks in brief: cheap to take for all of them at once.

use super::{BlockLog, Fate};
use crate::hot::link::ImageId;
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

impl BlockLog {
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
