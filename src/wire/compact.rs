//! Compact blocks (BIP 152): a block as its header, six bytes for each transaction, and those
//! transactions whole that no peer can have.
//!
//! A peer works out the same six bytes for what waits in its own pool, puts the block together, and
//! asks for what it lacks by place (`getblocktxn`, answered by `blocktxn`).
//!
//! # Shape
//!
//! `header [80, with its proof] · nonce [u64 LE] · count [compact] · short ids [6 × count] ·
//! count [compact] · count × (step [compact] · transaction) · extension block [where the chain has
//! them: 01, block; or 00]`
//!
//! Sources: BIP 152; `blockencodings.h`, `blockencodings.cpp` of each node.

mod answer;
mod build;
mod read;
mod request;
mod seen;

pub use answer::{AnswerFront, BlockTransactions, encode_blocktxn};
pub use build::{Compact, CompactBuilder};
pub use read::CompactBlock;
pub use request::{RequestError, TransactionsRequest, encode_getblocktxn};

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;

use crate::wire::block::TransactionIds;
use crate::wire::chain::Chain;

/// Bytes of a short id.
pub const SHORT_ID_BYTES: usize = 6;
/// Places of transactions are numbers of 16 bits (`blockencodings.h`). One beyond: refused.
const INDEX_MAX: u64 = u16::MAX as u64;

/// What the short ids of one compact block are made with.
#[derive(Clone, Copy, Debug)]
pub struct ShortIdKey(SipHasher24);

impl ShortIdKey {
    /// The key of the block with this `header`, its proof included, and this `nonce`.
    #[must_use]
    pub fn new(header: &[u8], nonce: u64) -> Self {
        let hash = Sha256::new().chain_update(header).chain_update(nonce.to_le_bytes()).finalize();
        let mut words = hash.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        let (low, high) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Self(SipHasher24::new_with_keys(low, high))
    }

    /// The short id of the transaction whose id on this chain, [`compact_id`], is `id`: a number of 48
    /// bits.
    #[must_use]
    pub fn short_id(&self, id: &[u8; 32]) -> u64 {
        self.0.hash(id) & 0xffff_ffff_ffff
    }
}

/// Which of a transaction's ids its short id is made of: that with witness, where the chain has any.
///
/// Version 1 says txid, but the nodes that speak it look for it among witness hashes
/// (`PartiallyDownloadedBlock::InitData`, `vTxHashes`). They are the same on their public networks.
#[must_use]
pub const fn compact_id(chain: &Chain, ids: &TransactionIds) -> [u8; 32] {
    if chain.has_witness { ids.wtxid } else { ids.txid }
}

/// The number that a short id is on the wire.
fn short_id_from(bytes: &[u8; SHORT_ID_BYTES]) -> u64 {
    let [b0, b1, b2, b3, b4, b5] = *bytes;
    u64::from_le_bytes([b0, b1, b2, b3, b4, b5, 0, 0])
}
