//! The octets' own path from any intake to the shards: begin, push, commit.
//!
//! An image is made once, in the arena, and never copied: [`Publisher::begin`] claims a slot,
//! [`ImageWriter::push`] appends the block's bytes while their checksum is taken, and
//! [`ImageWriter::commit`] seals the frame and hands a lease to every shard.

mod parts;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;

pub use parts::{Attachment, CompactPart, Parts};

use super::link::{ImageId, Link, Order};
use crate::limits::{
    BLOCK_BYTES_MAX, FRAME_HEADER_BYTES, IMAGE_SLOTS, PING_FRAME_BYTES, WARM_UP_FREE_SLOTS_MIN,
};
use crate::sys::clock::now_ns;
use crate::sys::memory::{Arena, Lease, SlotWriter};
use crate::wire::chain::Chain;
use crate::wire::hash::Checksum;
use crate::wire::image::{self, ImageLayout};

/// Why bytes were not taken into an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// More than any chain allows.
    #[error("the block is longer than {BLOCK_BYTES_MAX} bytes: no chain takes it, check the pool")]
    TooLong,
}

/// A block as the shards get it.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Its number.
    pub image: ImageId,
    /// The right to read it.
    pub lease: Lease,
    /// Index of its chain.
    pub chain: u8,
    /// Length of the frame with its ping.
    pub total_bytes: u32,
    /// Nonce of the ping: a pong with it is the receipt.
    pub nonce: u64,
    /// What else is in its slot.
    pub parts: Parts,
    /// Its hash, in wire order.
    pub hash: [u8; 32],
    /// When it was published.
    pub published_ns: u64,
    /// It is sent only to whom cold says, and nothing is counted. Kept as long as it is sent.
    pub warm_up: Option<WarmUpHold>,
}

/// Keeps a warm-up image the only one: no other is begun while one of these is left.
#[derive(Debug)]
pub struct WarmUpHold(Arc<AtomicU32>);

impl WarmUpHold {
    /// The first of an image; `None` while there is one of another image.
    fn new(holds: &Arc<AtomicU32>) -> Option<Self> {
        let order = Ordering::Relaxed;
        holds.compare_exchange(0, 1, order, order).ok().map(|_| Self(Arc::clone(holds)))
    }
}

impl Clone for WarmUpHold {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for WarmUpHold {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A shard's end of the publishers: the blocks that it has not taken up yet.
#[derive(Debug)]
pub struct Inbox {
    queue: ArrayQueue<Publication>,
    link: Arc<Link>,
    wanting: Arc<AtomicBool>,
}

impl Inbox {
    /// The next block, oldest first.
    pub(crate) fn take(&self) -> Option<Publication> {
        self.queue.pop()
    }

    /// Whether there is a block.
    pub(crate) fn has_blocks(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether an intake finds no free slot at present.
    pub(crate) fn wanting(&self) -> bool {
        self.wanting.load(Ordering::Relaxed)
    }

    /// The shard has hurried. An intake that still waits says so again.
    pub(crate) fn hurried(&self) {
        if self.wanting() {
            self.wanting.store(false, Ordering::Relaxed);
        }
    }
}

/// Whether there is a shard behind `inbox`: it holds one end, the publisher the other.
fn is_served(inbox: &Arc<Inbox>) -> bool {
    Arc::strong_count(inbox) > 1
}

/// Hands blocks to all shards. Shared by all intakes.
#[derive(Debug)]
pub struct Publisher {
    arena: Arc<Arena>,
    inboxes: Box<[Arc<Inbox>]>,
    published: AtomicU64,
    wanting: Arc<AtomicBool>,
    /// Holds of the warm-up image. Lives as long as the publisher: no shard frees it.
    warm_ups: Arc<AtomicU32>,
}

impl Publisher {
    /// A publisher to the shards behind `links`, and their inboxes in the same order.
    #[must_use]
    pub fn new(arena: Arc<Arena>, links: &[Arc<Link>]) -> (Arc<Self>, Vec<Arc<Inbox>>) {
        let wanting = Arc::new(AtomicBool::new(false));
        let inbox = |link: &Arc<Link>| {
            Arc::new(Inbox {
                // A publication in a queue leases a slot, so there can't be more than slots.
                queue: ArrayQueue::new(IMAGE_SLOTS as usize),
                link: Arc::clone(link),
                wanting: Arc::clone(&wanting),
            })
        };
        let inboxes: Vec<_> = links.iter().map(inbox).collect();
        let publisher = Self {
            arena,
            inboxes: inboxes.clone().into_boxed_slice(),
            published: AtomicU64::new(0),
            wanting,
            warm_ups: Arc::new(AtomicU32::new(0)),
        };
        (Arc::new(publisher), inboxes)
    }

    /// Tells the shards that the node refused a block: whoever has no byte of it does not get it.
    pub fn withdraw(&self, image: ImageId) {
        for inbox in &self.inboxes {
            // A full queue of orders means a cold side in trouble; the block is nearly out anyway.
            let _ = inbox.link.order(Order::Withdraw { image });
        }
    }

    /// Drops what shards that have ended did not take: it would lease its image slots for ever,
    /// until the other shards could be given no block either.
    fn forget_dead(&self) {
        for inbox in self.inboxes.iter().filter(|inbox| !is_served(inbox)) {
            while inbox.queue.pop().is_some() {}
        }
    }

    /// Claims a slot for a new image. `None`: all slots are in use; the shards are told to hurry,
    /// ask again after a moment.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Option<ImageWriter> {
        self.forget_dead();
        let claimed = self.arena.claim();
        let wanting = claimed.is_none();
        if self.wanting.swap(wanting, Ordering::Relaxed) != wanting && wanting {
            self.inboxes.iter().for_each(|inbox| inbox.link.wake());
        }
        self.writer(claimed?, None)
    }

    /// Claims a slot for a warm-up image. `None` while another one is being written or sent, or
    /// where it would leave less than two free slots for blocks.
    #[must_use]
    pub fn begin_warm_up(self: &Arc<Self>) -> Option<ImageWriter> {
        self.forget_dead();
        if self.arena.free_slots() < WARM_UP_FREE_SLOTS_MIN as usize {
            return None;
        }
        let hold = WarmUpHold::new(&self.warm_ups)?;
        self.writer(self.arena.claim()?, Some(hold))
    }

    fn writer(
        self: &Arc<Self>,
        slot: SlotWriter,
        warm_up: Option<WarmUpHold>,
    ) -> Option<ImageWriter> {
        // Drawn now, not in the moment of publishing. Without randomness the clock must do: the
        // nonce need only differ from those of other blocks.
        let nonce = getrandom::u64().unwrap_or_else(|_| now_ns());
        Some(ImageWriter {
            publisher: Arc::clone(self),
            slot,
            length: 0,
            sum: Checksum::new(),
            summed: 0,
            nonce,
            parts: Parts::default(),
            warm_up,
        })
    }
}

/// A block on its way into an image. Dropped without [`ImageWriter::commit`], nothing happens.
#[derive(Debug)]
pub struct ImageWriter {
    publisher: Arc<Publisher>,
    slot: SlotWriter,
    length: u32,
    sum: Checksum,
    /// How much of the block is in `sum`.
    summed: u32,
    nonce: u64,
    parts: Parts,
    warm_up: Option<WarmUpHold>,
}

/// What a commit gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The block's number.
    pub image: ImageId,
    /// When the shards could first see it.
    pub published_ns: u64,
}

impl ImageWriter {
    /// Appends bytes of the block. Their checksum is taken by [`ImageWriter::digest`], at the latest
    /// by [`ImageWriter::commit`].
    ///
    /// # Errors
    /// The block is longer than any chain allows: nothing of `raw` was taken, give it up.
    pub fn push(&mut self, raw: &[u8]) -> Result<(), PublishError> {
        let end = u32::try_from(raw.len()).ok().and_then(|more| self.length.checked_add(more));
        let end = end.filter(|end| *end <= BLOCK_BYTES_MAX).ok_or(PublishError::TooLong)?;
        let place =
            (FRAME_HEADER_BYTES + self.length) as usize..(FRAME_HEADER_BYTES + end) as usize;
        let place = self.slot.octets_mut().get_mut(place).ok_or(PublishError::TooLong)?;
        place.copy_from_slice(raw);
        self.length = end;
        Ok(())
    }

    /// Takes the checksum of what was pushed since the last time.
    pub fn digest(&mut self) {
        let place = (FRAME_HEADER_BYTES + self.summed) as usize
            ..(FRAME_HEADER_BYTES + self.length) as usize;
        self.sum.push(self.slot.octets().get(place).unwrap_or_default());
        self.summed = self.length;
    }

    /// The block's bytes so far.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        let place = FRAME_HEADER_BYTES as usize..(FRAME_HEADER_BYTES + self.length) as usize;
        self.slot.octets().get(place).unwrap_or(&[])
    }

    /// Seals the image and hands it to all shards. `index` is the place of `chain` in the
    /// configuration, `hash` the block's identity in wire order.
    #[must_use]
    pub fn commit(mut self, index: u8, chain: &Chain, hash: [u8; 32]) -> Published {
        self.warm_up = None;
        self.hand_over(index, chain, hash)
    }

    /// Seals the image without its receipt ping and hands it to all shards, where it waits for
    /// [`Order::WarmUp`] until [`Order::EndWarmUp`]. For writers of [`Publisher::begin_warm_up`].
    #[must_use]
    pub fn commit_warm_up(self, index: u8, chain: &Chain, hash: [u8; 32]) -> Option<ImageId> {
        self.warm_up.is_some().then(|| self.hand_over(index, chain, hash).image)
    }

    fn hand_over(mut self, index: u8, chain: &Chain, hash: [u8; 32]) -> Published {
        self.digest();
        let layout = ImageLayout { block_bytes: self.length };
        let [s0, s1, s2, s3, ..] = self.sum.finish();
        let total_bytes = layout.total_bytes();
        if let Some(frame) = self.slot.octets_mut().get_mut(..total_bytes as usize) {
            image::seal(frame, chain.magic, [s0, s1, s2, s3], self.nonce);
        }
        // What is behind the block stays in the slot.
        let total_bytes = match &self.warm_up {
            Some(_) => total_bytes - PING_FRAME_BYTES,
            None => total_bytes,
        };
        let (publisher, warm_up) = (self.publisher, self.warm_up);
        let image = ImageId(publisher.published.fetch_add(1, Ordering::Relaxed) + 1);
        let (lease, nonce, published_ns) = (self.slot.publish(), self.nonce, now_ns());
        let (chain, parts) = (index, self.parts);
        let publication = Publication {
            image,
            lease,
            chain,
            total_bytes,
            nonce,
            parts,
            hash,
            published_ns,
            warm_up,
        };
        for inbox in publisher.inboxes.iter().filter(|inbox| is_served(inbox)) {
            // Can't be full: see `Publisher::new`.
            let _ = inbox.queue.push(publication.clone());
        }
        // Only now: no shard that is awake waits for a system call that wakes another.
        publisher.inboxes.iter().for_each(|inbox| inbox.link.wake());
        Published { image, published_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::doorbell::Doorbell;
    use crate::wire::chain::{Network, find};

    #[test]
    fn the_checksum_is_the_same_however_it_is_taken() {
        let (publisher, _) = Publisher::new(Arena::new().unwrap(), &[]);
        let mut whole = publisher.begin().expect("a free image slot");
        let mut pieces = publisher.begin().expect("another");
        let block: Vec<u8> = (0..=255).cycle().take(5_000).collect();
        whole.push(&block).unwrap();
        for piece in block.chunks(998) {
            pieces.push(piece).unwrap();
            pieces.digest();
        }
        let long = vec![0; BLOCK_BYTES_MAX as usize - block.len() + 1];
        assert_eq!(pieces.push(&long), Err(PublishError::TooLong));
        assert_eq!(pieces.block(), whole.block());
        whole.digest();
        assert_eq!(pieces.sum.finish(), whole.sum.finish());
    }

    #[test]
    fn a_dead_shard_keeps_no_block_from_the_others() {
        let bell = Arc::new(Doorbell::new().unwrap());
        let links = [0, 1].map(|shard| Arc::new(Link::new(shard, Arc::clone(&bell)).unwrap()));
        let (publisher, mut inboxes) = Publisher::new(Arena::new().unwrap(), &links);
        let chain = find("litecoin", Network::Regtest).unwrap();
        let living = inboxes.pop().unwrap();
        let mut dying = inboxes.pop();
        for number in 0..3 * IMAGE_SLOTS as u8 {
            let writer = publisher.begin().expect("a free image slot");
            let _ = writer.commit(0, chain, [number; 32]);
            assert!(living.take().is_some());
            // It dies with all of the arena but one slot in its queue.
            if u32::from(number) + 2 == IMAGE_SLOTS {
                dying = None;
            }
        }
        assert!(dying.is_none());
    }
}
