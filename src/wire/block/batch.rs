//! Hashes whole transactions, a few at a time.

use std::ops::Range;

use super::{TransactionIds, TransactionWalker};
use crate::limits::HASH_BATCH_MAX;
use crate::wire::hash::{Lanes, Message};

/// Whole transactions whose ids are yet to be worked out.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    lanes: Lanes,
    whole: Vec<TransactionWalker>,
}

impl Batch {
    /// An empty one, to be hashed by `lanes`.
    pub(super) const fn new(lanes: Lanes) -> Self {
        Self { lanes, whole: Vec::new() }
    }

    /// Adds a transaction whose walk is over.
    pub(super) fn push(&mut self, whole: TransactionWalker) {
        if self.whole.capacity() == 0 {
            self.whole.reserve_exact(HASH_BATCH_MAX);
        }
        self.whole.push(whole);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.whole.len()
    }

    /// Whether it is time to hash them.
    pub(super) fn is_full(&self) -> bool {
        self.whole.len() >= HASH_BATCH_MAX
    }

    /// Where they are in the block, in order.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.whole.iter().map(|whole| whole.start()..whole.end())
    }

    /// Hands over each one's end in order, unhashed, and is empty again.
    pub(super) fn take(&mut self, mut each: impl FnMut(u32)) {
        self.whole.drain(..).for_each(|whole| each(whole.end() as u32));
    }

    /// Hashes them, hands each one's end and ids over in order, and is empty again. `all` is the block as far as it
    /// reached when they became whole, or further.
    pub(super) fn hash(&mut self, all: &[u8], mut each: impl FnMut(u32, TransactionIds)) {
        let mut messages = [Message::default(); 2 * HASH_BATCH_MAX];
        let mut hashes = [[0; 32]; 2 * HASH_BATCH_MAX];
        let mut count = 0;
        let unhashed = self.whole.iter().filter_map(|whole| whole.messages(all));
        let both = unhashed.flat_map(|(txid, wtxid)| [Some(txid), wtxid]).flatten();
        for (message, slot) in both.zip(&mut messages) {
            *slot = message;
            count += 1;
        }
        self.lanes.hash(messages.get(..count).unwrap_or_default(), &mut hashes);
        let mut hashes = hashes.into_iter();
        for whole in self.whole.drain(..) {
            let end = whole.end() as u32;
            let has_witness = whole.has_witness();
            let (txid, wtxid) = whole.hashed().unwrap_or_else(|| {
                let txid = hashes.next().unwrap_or_default();
                (txid, if has_witness { hashes.next().unwrap_or_default() } else { txid })
            });
            each(end, TransactionIds { txid, wtxid });
        }
    }
}
