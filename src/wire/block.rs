//! Cuts a raw block into header, proof, transactions and extension block while its bytes arrive.
//!
//! Nothing is copied: the walk leaves ranges, and txid and wtxid are hashed where the bytes lie, a
//! few transactions at a time, a long one while it arrives, and go straight into the merkle trees.
//! Nothing is reserved for a count that the bytes at hand could not hold, but for the compact form, where
//! one is asked for: up to 180 KB.
//!
//! Sources: `primitives/block.h`, `primitives/transaction.h` and `serialize.h` of each node.

mod batch;
mod error;
mod form;
mod mweb;
mod transaction;
mod transactions;
mod walker;

pub use error::BlockError;
pub(crate) use form::Form;
pub(crate) use transaction::TransactionWalker;
pub use transactions::{TransactionIds, TransactionSpan, Transactions};
pub use walker::Walker;

use std::ops::Range;

use crate::wire::hash::Merkle;

/// Where the parts of a block are.
///
/// # Shape
///
/// `header [80] · proof [only where the version says so] · count [compact] · transactions ·
/// extension block [only behind a transaction that says so: 01, block]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The first 80 bytes.
    pub header: [u8; 80],
    /// The auxiliary proof of work.
    pub auxpow: Option<Range<u32>>,
    /// All transactions in order.
    pub transactions: Transactions,
    /// Merkle root over the txids.
    pub merkle: Merkle,
    /// Merkle root over the wtxids, zeros for the coinbase's; of nothing where the chain has no
    /// witnesses.
    pub witness_merkle: Merkle,
    /// The extension block with its leading 01.
    pub mweb: Option<Range<u32>>,
    /// The height that the extension block says it has.
    pub mweb_height: Option<u64>,
    /// The hash of the extension block's header, to be found in the last transaction.
    pub mweb_hash: Option<[u8; 32]>,
    /// Length of the block, in bytes.
    pub length: u32,
    /// What else the walk came by.
    pub facts: Facts,
}

impl Layout {
    /// Bytes of header (and proof), count and transactions without witness and extension data.
    #[must_use]
    pub const fn stripped_bytes(&self) -> u32 {
        self.length - self.facts.witness_bytes - self.facts.extension_bytes
    }

    /// Weight (BIP 141): four times the stripped bytes and once the witnesses. Extension data has
    /// a limit of its own and does not count here.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        4 * self.stripped_bytes() + self.facts.witness_bytes
    }
}

/// What the walk came by, over all transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the first transaction has the shape of a coinbase.
    pub first_is_coinbase: bool,
    /// Transactions of that shape.
    pub coinbases: u32,
    /// Transactions with a witness.
    pub witnesses: u32,
    /// Bytes of witnesses with their markers.
    pub witness_bytes: u32,
    /// Bytes of extension data: the block's and, of its transaction, the markers.
    pub extension_bytes: u32,
    /// Transactions that carry the extension block's state (HogEx).
    pub hogexes: u32,
    /// Whether the last transaction is one of those.
    pub last_is_hogex: bool,
    /// Type of the first transaction, on chains where transactions have one.
    pub coinbase_type: u16,
}
