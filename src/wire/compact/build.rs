//! Builds a compact block while the block it is of arrives.

use std::collections::HashSet;
use std::sync::Arc;

use super::seen::Seen;
use super::{SHORT_ID_BYTES, ShortIdKey, compact_id};
use crate::limits::{COMPACT_PAYLOAD_BYTES_MAX, COMPACT_UNKNOWN_MAX};
use crate::wire::block::{Layout, TransactionIds};
use crate::wire::chain::Chain;
use crate::wire::cursor::push_compact_size;
use crate::wire::hash::Checksum;

/// Room that is kept for what follows the short ids, in bytes: a coinbase, mostly.
const BEHIND_BYTES_USUAL: usize = 2_048;
/// So much of the payload is waited for until its checksum is taken on, in bytes.
const DIGEST_BYTES: usize = 1_024;

/// The payload of a `cmpctblock` message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compact {
    /// All of it.
    pub payload: Vec<u8>,
    /// The first bytes of its double SHA-256: the frame's checksum.
    pub checksum: [u8; 4],
    /// Transactions that are in it whole.
    pub prefilled: u32,
}

/// A compact block under way. Fed by [`Walker`](crate::wire::block::Walker), which has the ids.
///
/// One that grows over [`COMPACT_PAYLOAD_BYTES_MAX`] comes to nothing.
#[derive(Clone, Debug)]
pub struct CompactBuilder {
    chain: &'static Chain,
    nonce: u64,
    key: Option<ShortIdKey>,
    /// Header, nonce, count and short ids, as if nothing were sent whole but what always is.
    payload: Vec<u8>,
    /// Where the count of short ids starts, and where they do.
    count_start: usize,
    ids_start: usize,
    sum: Checksum,
    /// How much of the payload is in `sum`.
    summed: usize,
    seen: Seen,
    /// Transactions of the block, and those that came.
    count: usize,
    pushed: usize,
    /// The last one's id, where it may be one of those that are always sent whole.
    last: Option<[u8; 32]>,
    /// To be sent whole: their short ids came before.
    collided: Vec<u32>,
    /// To be sent whole where there is room.
    wished: Vec<u32>,
    /// Ids of all transactions that peers may well have.
    known: Option<Arc<HashSet<[u8; 32]>>>,
    /// To be sent whole like those that are wished, where there are few enough.
    unknown: Vec<u32>,
}

impl CompactBuilder {
    /// Of a block of `chain`. The `nonce` is drawn for each block: whoever can foresee it can make
    /// transactions with equal short ids.
    #[must_use]
    pub fn new(chain: &'static Chain, nonce: u64) -> Self {
        Self {
            chain,
            nonce,
            key: None,
            payload: Vec::new(),
            count_start: 0,
            ids_start: 0,
            sum: Checksum::new(),
            summed: 0,
            seen: Seen::default(),
            count: 0,
            pushed: 0,
            last: None,
            collided: Vec::new(),
            wished: Vec::new(),
            known: None,
            unknown: Vec::new(),
        }
    }

    /// Wishes all transactions to be sent whole whose ids (see [`compact_id`](super::compact_id)) are
    /// not among these: before the first one comes. Where those are more than
    /// [`COMPACT_UNKNOWN_MAX`], what is known is of no use, and is not gone by.
    pub fn knowing(&mut self, known: Arc<HashSet<[u8; 32]>>) {
        self.known = Some(known);
    }

    /// Wishes the transaction at `index` to be sent whole, since peers surely lack it: at any time
    /// before the end, whether it came already or not.
    pub fn prefill(&mut self, index: u32) {
        self.wished.push(index);
    }

    /// Header and proof are there, and `count` transactions follow.
    pub(in crate::wire) fn begin(&mut self, header: &[u8], count: usize) {
        let room = COMPACT_PAYLOAD_BYTES_MAX as usize;
        self.count = count;
        if count > room / SHORT_ID_BYTES || header.len() > room {
            return;
        }
        self.key = Some(ShortIdKey::new(header, self.nonce));
        self.seen = Seen::with_room_for(count);
        self.payload.reserve_exact(header.len() + SHORT_ID_BYTES * count + BEHIND_BYTES_USUAL);
        self.payload.extend_from_slice(header);
        self.payload.extend_from_slice(&self.nonce.to_le_bytes());
        self.count_start = self.payload.len();
        let short_ids = count - self.usually_whole();
        push_compact_size(&mut self.payload, short_ids as u64);
        self.ids_start = self.payload.len();
    }

    /// Transactions that are always sent whole: the coinbase and, where there are extension blocks,
    /// the last, which carries their state.
    fn usually_whole(&self) -> usize {
        self.count.min(if self.chain.has_mweb { 2 } else { 1 })
    }

    /// Takes in the next transaction.
    pub(in crate::wire) fn push(&mut self, ids: &TransactionIds) {
        let index = self.pushed;
        self.pushed += 1;
        if index == 0 || self.key.is_none() {
            return;
        }
        let id = compact_id(self.chain, ids);
        if self.chain.has_mweb && self.pushed == self.count {
            self.last = Some(id);
            return;
        }
        if self.known.as_ref().is_some_and(|known| !known.contains(&id))
            && self.unknown.len() <= COMPACT_UNKNOWN_MAX
        {
            self.unknown.push(index as u32);
        }
        self.push_short_id(index, &id);
        if self.payload.len() - self.summed >= DIGEST_BYTES {
            self.digest();
        }
    }

    fn push_short_id(&mut self, index: usize, id: &[u8; 32]) {
        let Some(key) = self.key else { return };
        let short_id = key.short_id(id);
        if !self.seen.insert(short_id) {
            // Nodes give up on a block with two equal ones.
            self.collided.push(index as u32);
        }
        let [b0, b1, b2, b3, b4, b5, ..] = short_id.to_le_bytes();
        self.payload.extend_from_slice(&[b0, b1, b2, b3, b4, b5]);
    }

    fn digest(&mut self) {
        self.sum.push(self.payload.get(self.summed..).unwrap_or_default());
        self.summed = self.payload.len();
    }

    /// Ends it: `block` is the whole block, `layout` what was walked of it. `None` where it would be
    /// too long.
    #[must_use]
    pub fn finish(mut self, layout: &Layout, block: &[u8]) -> Option<Compact> {
        self.key?;
        if layout.transactions.len() != self.count {
            return None;
        }
        if self.unknown.len() <= COMPACT_UNKNOWN_MAX {
            self.wished.append(&mut self.unknown);
        }
        let last = layout.mweb.is_some().then_some(self.count - 1);
        if let Some(id) = self.last.take().filter(|_| last.is_none()) {
            self.push_short_id(self.count - 1, &id);
        }
        let mut whole = self.whole(last);
        let mut room = self.room(layout, &whole);
        if room.is_none() && !self.wished.is_empty() {
            self.wished.clear();
            whole = self.whole(last);
            room = self.room(layout, &whole);
        }
        let total_bytes = room?;
        if whole.len() != self.usually_whole() || last.is_none() && self.chain.has_mweb {
            self.leave_out(&whole);
        }
        self.payload.reserve_exact(total_bytes - self.payload.len());
        push_compact_size(&mut self.payload, whole.len() as u64);
        let mut before = None;
        for index in &whole {
            let step = before.map_or(*index, |before| index - before - 1);
            before = Some(*index);
            push_compact_size(&mut self.payload, step as u64);
            self.payload.extend_from_slice(block.get(layout.transactions.get(*index)?.range())?);
        }
        if let Some(range) = &layout.mweb {
            let extension = block.get(range.start as usize..range.end as usize)?;
            self.payload.extend_from_slice(extension);
        } else if self.chain.has_mweb {
            self.payload.push(0);
        }
        self.digest();
        let [c0, c1, c2, c3, ..] = self.sum.finish();
        let prefilled = whole.len() as u32;
        Some(Compact { payload: self.payload, checksum: [c0, c1, c2, c3], prefilled })
    }

    /// The transactions to be sent whole, in order.
    fn whole(&self, last: Option<usize>) -> Vec<usize> {
        let more = self.collided.iter().chain(&self.wished).map(|index| *index as usize);
        let mut whole: Vec<_> = [0].into_iter().chain(more).chain(last).collect();
        whole.sort_unstable();
        whole.dedup();
        whole.retain(|index| *index < self.count);
        whole
    }

    /// The payload's length, in bytes; `None` where that is too much.
    fn room(&self, layout: &Layout, whole: &[usize]) -> Option<usize> {
        let spans = whole.iter().filter_map(|index| layout.transactions.get(*index));
        let whole_bytes = spans.fold(0_usize, |sum, span| sum + span.range().len() + 3);
        let ids = (self.count - whole.len()) * SHORT_ID_BYTES;
        let extension = layout.mweb.as_ref().map_or(1, ExactSizeIterator::len);
        let total_bytes = self.ids_start + ids + 3 + whole_bytes + extension;
        (total_bytes <= COMPACT_PAYLOAD_BYTES_MAX as usize).then_some(total_bytes)
    }

    /// Writes the short ids anew, without those of the transactions in `whole`.
    fn leave_out(&mut self, whole: &[usize]) {
        let ids = self.payload.split_off(self.ids_start);
        let (ids, _) = ids.as_chunks::<SHORT_ID_BYTES>();
        self.payload.truncate(self.count_start);
        push_compact_size(&mut self.payload, (self.count - whole.len()) as u64);
        let mut whole = whole.iter().peekable();
        whole.next_if_eq(&&0);
        for (index, short_id) in (1..).zip(ids) {
            if whole.next_if_eq(&&index).is_none() {
                self.payload.extend_from_slice(short_id);
            }
        }
        (self.sum, self.summed) = (Checksum::new(), 0);
    }
}
