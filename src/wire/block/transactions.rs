//! Where a block's transactions are, and, for who asks, their ids.

use std::ops::Range;

/// One transaction of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionSpan {
    /// Where it starts, in bytes from the start of the block.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
}

impl TransactionSpan {
    /// Its bytes in the block.
    #[must_use]
    pub const fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Hashes of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionIds {
    /// Of everything but witness and extension data, in wire order.
    pub txid: [u8; 32],
    /// Of everything but extension data, in wire order; equal to `txid` without a witness.
    pub wtxid: [u8; 32],
}

/// All transactions of a block in order. They stand one behind the other, so that four bytes hold one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transactions {
    start: u32,
    ends: Vec<u32>,
    ids: Vec<TransactionIds>,
}

impl Transactions {
    /// None yet; the first will start at `start`. Room for `count` is taken at once.
    pub(super) fn starting(start: u32, count: usize) -> Self {
        Self { start, ends: Vec::with_capacity(count), ids: Vec::new() }
    }

    pub(super) fn push(&mut self, end: u32) {
        self.ends.push(end);
    }

    pub(super) fn push_ids(&mut self, ids: TransactionIds) {
        self.ids.push(ids);
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The one at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<TransactionSpan> {
        let end = *self.ends.get(index)?;
        let before = index.checked_sub(1).and_then(|before| self.ends.get(before));
        Some(TransactionSpan { start: before.copied().unwrap_or(self.start), end })
    }

    /// The coinbase.
    #[must_use]
    pub fn first(&self) -> Option<TransactionSpan> {
        self.get(0)
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<TransactionSpan> {
        self.get(self.len().checked_sub(1)?)
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = TransactionSpan> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Where each of them ends, in order, in bytes from the start of the block.
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The ids of all, in order, where the walk kept them; else none.
    #[must_use]
    pub fn ids(&self) -> &[TransactionIds] {
        &self.ids
    }

    #[cfg(test)]
    pub(super) const fn reserved(&self) -> usize {
        self.ends.capacity()
    }
}
