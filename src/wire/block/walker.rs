//! Walks a whole block while its bytes arrive.

mod following;

use std::ops::Range;
use std::sync::Arc;

use super::batch::Batch;
use super::transaction::array;
use super::{BlockError, Facts, Form, Layout, TransactionWalker, Transactions, mweb};
use crate::wire::auxpow::{self, BranchesEnd};
use crate::wire::chain::Chain;
use crate::wire::compact::CompactBuilder;
use crate::wire::cursor::{CompactSize, compact_size};
use crate::wire::hash::{Lanes, MerkleBuilder};
use crate::wire::staged::Staged;

/// A block's header without its proof, in bytes.
const HEADER_BYTES: usize = 80;
/// No transaction is shorter, in bytes: version, no inputs, no outputs, lock time.
const TRANSACTION_BYTES_MIN: u64 = 10;
/// Hardly any transaction is shorter, in bytes: what is reserved for is that many.
const TRANSACTION_BYTES_USUAL: usize = 60;

/// The part of a block that is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Header,
    /// The coinbase of the parent, in a proof.
    Parent,
    /// What follows the parent's coinbase, from this byte on.
    Branches(usize),
    Count(usize),
    Transactions,
    /// The extension block, whose marker is at this byte.
    Extension(usize),
    /// Nothing: the block ends at this byte.
    End(usize),
}

/// A block under way. Give it ever longer prefixes of the same bytes.
#[derive(Clone, Debug)]
pub struct Walker {
    chain: &'static Chain,
    part: Part,
    /// Shortest prefix that gets on.
    needs: usize,
    failed: Option<BlockError>,
    header: Option<[u8; HEADER_BYTES]>,
    auxpow: Option<Range<u32>>,
    /// The one being walked.
    transaction: TransactionWalker,
    /// Whole, to be hashed before the call returns.
    batch: Batch,
    transactions: Transactions,
    keeps_ids: bool,
    transactions_left: u64,
    merkle: MerkleBuilder,
    witness_merkle: MerkleBuilder,
    /// The template that all transactions so far are of.
    following: Option<Arc<Staged>>,
    /// The last transactions, as many as this, are not in the merkle trees: they are the template's.
    followed: usize,
    coinbase_txid: [u8; 32],
    facts: Facts,
    compact: Option<CompactBuilder>,
}

impl Walker {
    /// At the start of a block of `chain`.
    #[must_use]
    pub fn new(chain: &'static Chain) -> Self {
        Self::with_lanes(chain, Lanes::PORTABLE)
    }

    /// The same, with ids and merkle trees hashed by `lanes`.
    #[must_use]
    pub fn with_lanes(chain: &'static Chain, lanes: Lanes) -> Self {
        Self {
            chain,
            part: Part::Header,
            needs: HEADER_BYTES,
            failed: None,
            header: None,
            auxpow: None,
            transaction: TransactionWalker::new(Form::PARENT, HEADER_BYTES),
            batch: Batch::new(lanes),
            transactions: Transactions::default(),
            keeps_ids: false,
            transactions_left: 0,
            merkle: MerkleBuilder::new(lanes),
            witness_merkle: MerkleBuilder::new(lanes),
            following: None,
            followed: 0,
            coinbase_txid: [0; 32],
            facts: Facts::default(),
            compact: None,
        }
    }

    /// Has the block's compact form built on the way: see [`Walker::finish_compact`].
    #[must_use]
    pub fn compacting(mut self, compact: CompactBuilder) -> Self {
        self.compact = Some(compact);
        self
    }

    /// The compact form under way.
    pub const fn compact(&mut self) -> Option<&mut CompactBuilder> {
        self.compact.as_mut()
    }

    /// Keeps the ids of all transactions: 64 bytes each that a broadcast has no use for.
    #[must_use]
    pub const fn keeping_ids(mut self) -> Self {
        self.keeps_ids = true;
        self
    }

    /// Goes on as far as `so_far` reaches: all bytes since the block's start, not only new ones.
    /// Too little is not an error.
    ///
    /// # Errors
    ///
    /// [`BlockError`] when no bytes to come can make it a block of this chain. It stays so.
    pub fn advance(&mut self, so_far: &[u8]) -> Result<(), BlockError> {
        let done = self.failed.map_or_else(|| self.go_on(so_far), Err);
        self.hash_batch(so_far);
        self.failed = done.err();
        done
    }

    /// The header, as soon as it is there.
    #[must_use]
    pub const fn header(&self) -> Option<&[u8; HEADER_BYTES]> {
        self.header.as_ref()
    }

    /// Where the auxiliary proof is, as soon as it is there. `None` also where there is none:
    /// see [`Walker::is_past_header`].
    #[must_use]
    pub const fn auxpow(&self) -> Option<&Range<u32>> {
        self.auxpow.as_ref()
    }

    /// Whether header and proof are there, so that the block's work can be checked.
    #[must_use]
    pub const fn is_past_header(&self) -> bool {
        !matches!(self.part, Part::Header | Part::Parent | Part::Branches(_))
    }

    /// The transactions that are there.
    #[must_use]
    pub const fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    /// Ends the walk: `all` is the whole block.
    ///
    /// # Errors
    ///
    /// [`BlockError`]: it is cut, something stands behind it, or it is no block of this chain.
    pub fn finish(self, all: &[u8]) -> Result<Layout, BlockError> {
        self.finish_compact(all).map(|(layout, _)| layout)
    }

    /// The same with what was built on the way, to be ended by
    /// [`CompactBuilder::finish`].
    ///
    /// # Errors
    ///
    /// As [`Walker::finish`].
    pub fn finish_compact(
        mut self,
        all: &[u8],
    ) -> Result<(Layout, Option<CompactBuilder>), BlockError> {
        self.advance(all)?;
        let length = all.len() as u32;
        let truncated = BlockError::Truncated { at: length };
        let (mweb, end) = match self.part {
            Part::End(end) => (None, end),
            Part::Extension(at) if at >= all.len() => return Err(BlockError::ExtensionCutOff),
            Part::Extension(at) => (Some(mweb::walk(all, at)?), all.len()),
            _ => return Err(truncated),
        };
        if let Some(extension) = &mweb {
            self.facts.extension_bytes += length - extension.range.start;
        }
        // A shorter prefix than before is no block, whatever was walked of the longer one.
        let header = self.header.filter(|_| end <= all.len()).ok_or(truncated)?;
        let (merkle, witness_merkle) = self.roots();
        let layout = Layout {
            header,
            auxpow: self.auxpow,
            transactions: self.transactions,
            merkle,
            witness_merkle,
            mweb_height: mweb.as_ref().map(|extension| extension.height),
            mweb_hash: mweb.as_ref().map(|extension| extension.hash),
            mweb: mweb.map(|extension| extension.range),
            length,
            facts: self.facts,
        };
        Ok((layout, self.compact))
    }

    fn go_on(&mut self, all: &[u8]) -> Result<(), BlockError> {
        let limit = self.chain.block_bytes_max;
        if all.len() > limit as usize {
            return Err(BlockError::TooLong { limit });
        }
        while all.len() >= self.needs {
            let needs = match self.part {
                Part::Header => self.take_header(all),
                Part::Parent | Part::Transactions => self.take_transaction(all)?,
                Part::Branches(at) => self.take_branches(all, at)?,
                Part::Count(at) => self.take_count(all, at)?,
                // Its end is where the bytes end: looked at when all are there.
                Part::Extension(at) => match all.get(at) {
                    Some(1) => Some(usize::MAX),
                    // Seen on a node: any other byte counts as none.
                    Some(_) => return Err(BlockError::ExtensionMissing),
                    None => Some(at + 1),
                },
                Part::End(end) if all.len() > end => {
                    return Err(BlockError::Trailing { bytes: (all.len() - end) as u32 });
                }
                Part::End(end) => Some(end + 1),
            };
            // What was asked for may be there already, where a count is longer than one byte:
            // then one byte more is needed.
            self.needs = needs.map_or(0, |needs| needs.max(all.len() + 1));
        }
        Ok(())
    }

    fn take_header(&mut self, all: &[u8]) -> Option<usize> {
        let Some(header) = array::<HEADER_BYTES>(all, 0) else {
            return Some(HEADER_BYTES);
        };
        self.header = Some(header);
        self.part = match auxpow::is_announced(self.chain, &header) {
            true => Part::Parent,
            false => Part::Count(HEADER_BYTES),
        };
        None
    }

    fn take_branches(&mut self, all: &[u8], at: usize) -> Result<Option<usize>, BlockError> {
        Ok(match auxpow::branches_end(all, at)? {
            BranchesEnd::Needs(length) => Some(length),
            BranchesEnd::At(end) => {
                self.auxpow = Some(HEADER_BYTES as u32..end as u32);
                self.part = Part::Count(end);
                None
            }
        })
    }

    fn take_count(&mut self, all: &[u8], at: usize) -> Result<Option<usize>, BlockError> {
        let malformed = BlockError::Malformed { what: "count of transactions", at: at as u32 };
        let (count, behind) = match compact_size(all.get(at..).unwrap_or_default()) {
            CompactSize::NeedsMore => return Ok(Some(at + 1)),
            CompactSize::Malformed => return Err(malformed),
            CompactSize::Value { value: 0, .. } => return Err(BlockError::NoTransactions),
            CompactSize::Value { value, bytes } => (value, at + bytes),
        };
        if count > u64::from(self.chain.block_bytes_max) / TRANSACTION_BYTES_MIN {
            return Err(malformed);
        }
        if let Some(compact) = &mut self.compact {
            compact.begin(all.get(..at).unwrap_or_default(), count as usize);
        }
        let there = (all.len() - behind) / TRANSACTION_BYTES_USUAL;
        self.transactions = Transactions::starting(behind as u32, there.min(count as usize));
        self.transactions_left = count;
        self.transaction = TransactionWalker::new(Form::of(self.chain), behind);
        self.part = Part::Transactions;
        Ok(None)
    }

    /// Walks on in the transaction under way, the parent's coinbase or one of the block.
    fn take_transaction(&mut self, all: &[u8]) -> Result<Option<usize>, BlockError> {
        let needs = self.transaction.walk(all)?;
        if needs.is_none() {
            let end = self.transaction.end();
            let next = TransactionWalker::new(Form::of(self.chain), end);
            let whole = std::mem::replace(&mut self.transaction, next);
            match self.part {
                Part::Parent => self.part = Part::Branches(end),
                _ => self.note(whole),
            }
            if self.batch.is_full() {
                self.hash_batch(all);
            }
        }
        Ok(needs)
    }

    /// Notes one of the block's transactions.
    fn note(&mut self, whole: TransactionWalker) {
        let before = self.transactions.len() + self.batch.count();
        let facts = &mut self.facts;
        if before == 0 {
            facts.first_is_coinbase = whole.is_coinbase;
            facts.coinbase_type = whole.kind;
        }
        facts.coinbases += u32::from(whole.is_coinbase);
        facts.witnesses += u32::from(whole.has_witness());
        facts.witness_bytes += whole.witness_bytes as u32;
        facts.extension_bytes += whole.extension_bytes as u32;
        facts.hogexes += u32::from(whole.is_hogex());
        facts.last_is_hogex = whole.is_hogex();
        let end = whole.end();
        self.batch.push(whole);
        self.transactions_left -= 1;
        if self.transactions_left == 0 {
            // Nodes look for an extension block only behind two transactions or more.
            let extended = self.facts.last_is_hogex && before > 0;
            self.part = if extended { Part::Extension(end) } else { Part::End(end) };
        }
    }

    /// Works out the ids of the transactions that became whole.
    fn hash_batch(&mut self, all: &[u8]) {
        if self.batch.count() == 0 || self.follow_on(all) {
            return;
        }
        let transactions = &mut self.transactions;
        self.batch.hash(all, |end, ids| {
            if transactions.is_empty() {
                self.coinbase_txid = ids.txid;
            }
            self.merkle.push(ids.txid);
            if self.chain.has_witness {
                // The coinbase can't commit to itself.
                let first = transactions.is_empty();
                self.witness_merkle.push(if first { [0; 32] } else { ids.wtxid });
            }
            transactions.push(end);
            if let Some(compact) = &mut self.compact {
                compact.push(&ids);
            }
            if self.keeps_ids {
                transactions.push_ids(ids);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::chain::{Network, find};

    /// A count of 399,999 transactions is possible, but nothing is reserved for it before their
    /// bytes are there.
    #[test]
    fn a_count_alone_reserves_nothing() {
        let chain = find("bitcoin", Network::Main).expect("there");
        let mut walker = Walker::new(chain);
        let mut bytes = vec![1; HEADER_BYTES];
        bytes.extend([0xfe, 0x7f, 0x1a, 0x06, 0x00]);
        walker.advance(&bytes).expect("too little, not wrong");
        assert_eq!((walker.transactions_left, walker.transactions.reserved()), (399_999, 0));
    }
}
