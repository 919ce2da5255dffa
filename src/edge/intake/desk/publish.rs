//! What the desk needs of the hot side: a place to write a block to, and the moment of truth.

use std::time::Duration;

use bytes::Bytes;

use crate::hot::link::ImageId;
use crate::hot::publish::Attachment;
use crate::limits::{PLACE_DEADLINE_MS, PLACE_PAUSE_MS};
use crate::wire::chain::Chain;

pub(super) const PLACE_PATIENCE: Duration = Duration::from_millis(PLACE_DEADLINE_MS);
pub(super) const PLACE_PAUSE: Duration = Duration::from_millis(PLACE_PAUSE_MS);

/// A published block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedAt {
    /// Its number in this process.
    pub image: ImageId,
    /// When the shards were told (CLOCK_MONOTONIC, ns).
    pub published_ns: u64,
}

/// Where blocks are published. Never blocks.
pub trait Publish: Send + Sync {
    /// A free place in the arena; `None` when all are taken: try again shortly.
    fn begin(&self) -> Option<Box<dyn Draft>>;

    /// The node refused a published block: whoever has no byte of it need not get it.
    fn withdraw(&self, image: ImageId);

    /// The chain's own node has just accepted this transaction: peers may have it, where that helps.
    fn push_transaction(&self, _chain_index: u8, _raw: &[u8]) {}

    /// A block was published: others than the shards may want it, too.
    fn sent(&self, _: SentBlock<'_>) {}
}

/// A block that the shards have.
#[derive(Clone, Copy, Debug)]
pub struct SentBlock<'a> {
    /// Index of its chain in the configuration.
    pub chain_index: u8,
    /// Its chain.
    pub chain: &'static Chain,
    /// Its number in this process.
    pub image: ImageId,
    /// Its hash, in wire order.
    pub hash: [u8; 32],
    /// Its bytes.
    pub raw: &'a Bytes,
    /// What went behind it.
    pub more: Attachment<'a>,
}

/// A block being written. Dropped without [`Draft::commit`], its place is free again.
pub trait Draft: Send {
    /// Appends bytes of the block.
    ///
    /// # Errors
    /// The block is longer than a place holds; in words.
    fn push(&mut self, raw: &[u8]) -> Result<(), String>;

    /// Takes the checksum of what was pushed, as far as that was not done; else it is done at the
    /// end.
    fn digest(&mut self);

    /// Gives the block to the shards, with `more` behind it. `hash` is in wire order.
    fn commit(
        self: Box<Self>,
        chain_index: u8,
        chain: &'static Chain,
        hash: [u8; 32],
        more: Option<Attachment<'_>>,
    ) -> PublishedAt;
}
