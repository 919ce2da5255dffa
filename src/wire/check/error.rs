//! Why a block may not go to a peer.

use thiserror::Error;

use crate::wire::auxpow::ProofError;
use crate::wire::block::BlockError;
use crate::wire::hash::BlockHash;

/// Why a block may not go to a peer. The local node still gets it: its verdict decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CheckError {
    /// It can't be cut into its parts.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The layout was walked of other bytes. A fault of this program.
    #[error("the layout belongs to another block: report this as a bug in broadside")]
    OtherBytes,
    /// The header's bits stand for no target, or for one easier than the chain allows.
    #[error("bits {bits:08x} are no target or too easy for this chain: wrong chain or network?")]
    BitsOverLimit {
        /// As in the header.
        bits: u32,
    },
    /// The auxiliary proof does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The version is from before merged mining.
    #[error("version {version} is refused since merged mining began: take the template's version")]
    LegacyVersion {
        /// As in the header.
        version: i32,
    },
    /// The work does not meet the header's own bits.
    #[error("block {hash} does not meet its own target: it is a share, not a block")]
    TooLittleWork {
        /// The block's identity.
        hash: BlockHash,
    },
    /// The header's merkle root is not that of the transactions.
    #[error("the transactions do not fit the header: the pool put them together differently")]
    MerkleRootMismatch,
    /// Two equal transactions stand side by side where the merkle tree can't tell (CVE-2012-2459).
    #[error("transactions stand in the block twice: take the template's list as it is")]
    DuplicateTransactions,
    /// More bytes than the chain allows, in all or without witnesses.
    #[error("the block has {bytes} bytes, {limit} are allowed: look at the template's limits")]
    TooLong {
        /// Its length.
        bytes: u32,
        /// Largest length.
        limit: u32,
    },
    /// More weight than the chain allows.
    #[error("the block weighs {weight}, {limit} is allowed: look at the template's limits")]
    TooHeavy {
        /// Its weight (BIP 141).
        weight: u32,
        /// Largest weight.
        limit: u32,
    },
    /// The first transaction is no coinbase.
    #[error("the first transaction is not a coinbase: the pool put the block together wrongly")]
    CoinbaseMissing,
    /// Another transaction has the shape of a coinbase, too.
    #[error("the block has more than one coinbase: the pool put the block together wrongly")]
    SeveralCoinbases,
    /// The coinbase's script is too short or too long.
    #[error("the coinbase's script has {bytes} bytes, 2 to 100 are allowed: shorten the tag")]
    CoinbaseScript {
        /// Its length.
        bytes: usize,
    },
    /// A commitment is there, but not the coinbase's witness of one 32-byte item.
    #[error(
        "the coinbase commits to witnesses but has none of its own: put 32 zero bytes there; \
         the node does so by itself, peers do not"
    )]
    WitnessNonce,
    /// The witness commitment is that of other witnesses.
    #[error("the coinbase commits to other witnesses: take default_witness_commitment as it is")]
    WitnessCommitmentMismatch,
    /// Witnesses without a commitment, or on a chain that has none.
    #[error("{count} transactions have a witness, and nothing commits to it: strip it or commit")]
    UnexpectedWitness {
        /// How many.
        count: u32,
    },
    /// The chain is at a height where every block has an extension block, and this one has not.
    #[error("the block has no extension block: take all of the template, HogEx and `mweb`")]
    ExtensionMissing,
    /// The transaction that carries the extension block's state is not the last, or not alone.
    #[error("the HogEx is not the last transaction: take the template's order")]
    ExtensionPlace,
    /// The last transaction's first output does not name an extension block.
    #[error("the HogEx does not start with the extension block's hash: take it as it is")]
    ExtensionUnnamed,
    /// The last transaction names another extension block.
    #[error("the HogEx names another extension block: HogEx and `mweb` are of two templates")]
    ExtensionHash,
    /// The extension block is another height's.
    #[error("the extension block is of height {found}, the block of {expected}: template mixed up")]
    ExtensionHeight {
        /// What it says.
        found: u64,
        /// What the coinbase says.
        expected: u32,
    },
    /// The coinbase has not the type that the chain wants.
    #[error("the coinbase is of type {found} instead of 5: use the template's coinbase_payload")]
    PayloadType {
        /// Its type.
        found: u16,
    },
    /// The coinbase's payload can't be read.
    #[error("the coinbase's payload can't be read: use the template's coinbase_payload as it is")]
    PayloadUnreadable,
    /// The coinbase's payload is another height's.
    #[error("the coinbase's payload is of height {found}, its script of {expected}: mixed up")]
    PayloadHeight {
        /// What the payload says.
        found: u32,
        /// What the script says.
        expected: u32,
    },
}

impl CheckError {
    /// What a node answers to `submitblock`; `None` where it says "Block decode failed" (-22), or
    /// where the fault is not the block's.
    #[must_use]
    pub const fn bip22(&self) -> Option<&'static str> {
        Some(match self {
            Self::Block(error) => return error.bip22(),
            Self::OtherBytes => return None,
            Self::BitsOverLimit { .. } | Self::Proof(_) | Self::TooLittleWork { .. } => "high-hash",
            Self::LegacyVersion { .. } => "late-legacy-block",
            Self::MerkleRootMismatch => "bad-txnmrklroot",
            Self::DuplicateTransactions => "bad-txns-duplicate",
            Self::TooLong { .. } => "bad-blk-length",
            Self::TooHeavy { .. } => "bad-blk-weight",
            Self::CoinbaseMissing => "bad-cb-missing",
            Self::SeveralCoinbases => "bad-cb-multiple",
            Self::CoinbaseScript { .. } => "bad-cb-length",
            Self::WitnessNonce => "bad-witness-nonce-size",
            Self::WitnessCommitmentMismatch => "bad-witness-merkle-match",
            Self::UnexpectedWitness { .. } => "unexpected-witness",
            Self::ExtensionMissing => "mweb-missing",
            Self::ExtensionPlace => "bad-hogex-position",
            Self::ExtensionUnnamed => "bad-hogex",
            Self::ExtensionHash => "mweb-hash-mismatch",
            Self::ExtensionHeight { .. } => "mweb-height-mismatch",
            Self::PayloadType { .. } => "bad-cbtx-type",
            Self::PayloadUnreadable => "bad-cbtx-payload",
            Self::PayloadHeight { .. } => "bad-cbtx-height",
        })
    }
}
