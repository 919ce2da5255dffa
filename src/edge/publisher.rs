//! The desk's view of the hot side's publisher, and the cold side's of publisher and bucket.

use std::sync::Arc;

use tokio::sync::watch;

use super::intake::desk::{Draft, Publish, PublishedAt, SentBlock};
use crate::cold::locks::LockRelay;
use crate::cold::roster::RosterHandle;
use crate::cold::scouts::OwnBlock;
use crate::cold::uplink::{UplinkControl, WarmUpSink};
use crate::hot::governor::bucket::Bucket;
use crate::hot::link::ImageId;
use crate::hot::publish::{Attachment, ImageWriter, Publisher};
use crate::wire::chain::Chain;
use crate::wire::hash::BlockHash;

/// A [`Publisher`] for the desk.
pub(super) struct Publishing {
    publisher: Arc<Publisher>,
    /// To be told of our own blocks, one for each chain.
    rosters: Arc<Vec<RosterHandle>>,
    /// The same.
    locks: Arc<LockRelay>,
    /// The same for scouts, on chains where peers take what they did not ask for.
    pub(super) own: Arc<Vec<OwnBlocks>>,
}

/// The newest block of ours on one chain.
pub(super) type OwnBlocks = watch::Sender<Option<Arc<OwnBlock>>>;

impl Publishing {
    pub(super) fn new(
        publisher: Arc<Publisher>,
        rosters: &Arc<Vec<RosterHandle>>,
        locks: &Arc<LockRelay>,
    ) -> Self {
        let own = Arc::new(rosters.iter().map(|_| OwnBlocks::new(None)).collect());
        Self { publisher, rosters: Arc::clone(rosters), locks: Arc::clone(locks), own }
    }
}

impl Publish for Publishing {
    fn begin(&self) -> Option<Box<dyn Draft>> {
        let (rosters, locks) = (Arc::clone(&self.rosters), Arc::clone(&self.locks));
        let writer = self.publisher.begin()?;
        Some(Box::new(Writing { writer, rosters, locks }) as Box<dyn Draft>)
    }

    fn withdraw(&self, image: ImageId) {
        self.publisher.withdraw(image);
    }

    fn push_transaction(&self, chain_index: u8, raw: &[u8]) {
        self.locks.push_transaction(chain_index, raw);
    }

    fn sent(&self, block: SentBlock<'_>) {
        let SentBlock { chain_index, chain, image, hash, raw, more } = block;
        let own = self.own.get(usize::from(chain_index)).filter(|_| chain.takes_compact_unasked);
        if let (Some(own), Some((compact, _))) = (own, more.compact)
            && own.receiver_count() > 0
        {
            let spans = (more.transactions_start, more.ends);
            let block = OwnBlock::new(chain, (image, hash), raw.clone(), spans, compact);
            own.send_replace(Some(Arc::new(block)));
        }
    }
}

struct Writing {
    writer: ImageWriter,
    rosters: Arc<Vec<RosterHandle>>,
    locks: Arc<LockRelay>,
}

impl Draft for Writing {
    fn push(&mut self, raw: &[u8]) -> Result<(), String> {
        self.writer.push(raw).map_err(|error| error.to_string())
    }

    fn digest(&mut self) {
        self.writer.digest();
    }

    fn commit(
        mut self: Box<Self>,
        chain_index: u8,
        chain: &'static Chain,
        hash: [u8; 32],
        more: Option<Attachment<'_>>,
    ) -> PublishedAt {
        if let Some(more) = more {
            self.writer.attach(chain, more);
        }
        let published = self.writer.commit(chain_index, chain, hash);
        if let Some(roster) = self.rosters.get(usize::from(chain_index)) {
            roster.note_own(BlockHash(hash));
        }
        self.locks.note_block(chain_index, hash);
        PublishedAt { image: published.image, published_ns: published.published_ns }
    }
}

/// A [`Publisher`] for warm-ups, with the chains of the configuration.
pub(super) struct Warming {
    pub(super) publisher: Arc<Publisher>,
    pub(super) chains: Vec<&'static Chain>,
}

impl WarmUpSink for Warming {
    fn publish(&self, chain_index: u8, raw: &[u8], hash: [u8; 32]) -> Option<ImageId> {
        let chain = self.chains.get(usize::from(chain_index))?;
        let mut writer = self.publisher.begin_warm_up()?;
        writer.push(raw).ok()?;
        writer.commit_warm_up(chain_index, chain, hash)
    }
}

/// The shards' [`Bucket`] for the cold side.
pub(super) struct Bucketing(pub(super) Arc<Bucket>);

impl UplinkControl for Bucketing {
    fn set_uplink(&self, bits_per_s: Option<u64>) {
        self.0.set_uplink(bits_per_s);
    }

    fn set_probe(&self, line_bytes_per_s: Option<u64>) {
        self.0.set_probe(line_bytes_per_s);
    }
}
