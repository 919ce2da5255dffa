//! Auxiliary proof of work: a block proves its work by the header of another chain's block.
//!
//! # Shape
//!
//! `parent's coinbase · its block's hash [32, nobody looks] · count · branch [count × 32] ·
//! index [i32 LE, 0] · count · chain branch [count × 32] · chain index [i32 LE] ·
//! parent's header [80]`
//!
//! Source: `auxpow.h`, `auxpow.cpp` (`CAuxPow::check`), `primitives/pureheader.h`.

use thiserror::Error;

use crate::limits::{PROOF_BRANCH_MAX, PROOF_CHAIN_BRANCH_MAX};
use crate::wire::block::{BlockError, Form, TransactionWalker};
use crate::wire::chain::Chain;
use crate::wire::cursor::{CompactSize, Cursor, compact_size};
use crate::wire::hash::merkle_climb;

/// Version bit: a proof follows the header.
pub(crate) const VERSION_AUXPOW: u32 = 0x100;
/// Stands before the commitment in the parent's coinbase.
const MARKER: [u8; 4] = [0xfa, 0xbe, b'm', b'm'];
/// Without a marker, the commitment must start at this byte of the script or before.
const UNMARKED_START_MAX: usize = 20;

/// Why a proof proves nothing. A node says "high-hash" to all of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The bytes are not a proof.
    #[error("the auxiliary proof of work can't be read: its builder spoilt it")]
    Unreadable,
    /// The version's upper half is not this chain's number.
    #[error("the block's version names chain {found}, this is {expected}: see createauxblock")]
    OtherChain {
        /// What the version says.
        found: u16,
        /// This chain's number.
        expected: u16,
    },
    /// The parent is a block of the same chain.
    #[error("the parent block is of the same chain: merge with another one")]
    SameChain,
    /// The parent's coinbase is not said to be its first transaction.
    #[error("the parent's coinbase has index {0} where 0 is needed: its builder spoilt the proof")]
    NotCoinbase(i32),
    /// The branch does not lead from the parent's coinbase to its merkle root.
    #[error("the parent's coinbase is not in the parent block: its merkle branch is wrong")]
    BranchMismatch,
    /// The parent's coinbase does not hold the chain merkle root.
    #[error(
        "the parent's coinbase does not commit to this block: the share was found for another \
         one, or the hash stands there in the wrong byte order"
    )]
    NoCommitment,
    /// The marker is there more than once.
    #[error("the parent's coinbase has the merged mining marker more than once")]
    SeveralMarkers,
    /// Something stands between marker and commitment.
    #[error("the merged mining marker does not stand right before the commitment")]
    MarkerApart,
    /// Without a marker the commitment starts too late.
    #[error("the commitment has no marker and starts behind the first 20 bytes of the script")]
    UnmarkedTooLate,
    /// Size and nonce behind the commitment are cut off.
    #[error("size and nonce are missing behind the commitment in the parent's coinbase")]
    NoSize,
    /// The size is not that of the tree.
    #[error("the commitment says a tree of {found} where the branch makes it {expected}")]
    WrongSize {
        /// What stands behind the commitment.
        found: u32,
        /// Two to the length of the chain branch.
        expected: u32,
    },
    /// The block is not in the slot that nonce and chain number give.
    #[error("the block sits in slot {found} of the tree, nonce and chain number say {expected}")]
    WrongSlot {
        /// The proof's chain index.
        found: i32,
        /// What it must be.
        expected: u32,
    },
}

/// A proof, read but not checked. Borrows the block's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// Hash of the parent's coinbase without witness, in wire order.
    pub coinbase_txid: [u8; 32],
    /// Script of the parent's coinbase's first input.
    pub script: &'a [u8],
    /// From the parent's coinbase to the parent's merkle root.
    pub branch: &'a [[u8; 32]],
    /// Position of the coinbase among the parent's transactions.
    pub index: i32,
    /// From this block's hash to the chain merkle root.
    pub chain_branch: &'a [[u8; 32]],
    /// Position of this block among the merged ones.
    pub chain_index: i32,
    /// The parent's header: its work counts.
    pub parent: &'a [u8; 80],
}

/// Whether a proof follows `header` on this chain.
#[must_use]
pub fn is_announced(chain: &Chain, header: &[u8; 80]) -> bool {
    chain.auxpow_chain_id.is_some() && version(header) & VERSION_AUXPOW != 0
}

/// The chain number in a header's version.
#[must_use]
pub const fn chain_id(header: &[u8; 80]) -> u16 {
    version_chain_id(version(header))
}

/// The chain number in a version.
#[must_use]
pub const fn version_chain_id(version: u32) -> u16 {
    (version >> 16) as u16
}

const fn version(header: &[u8; 80]) -> u32 {
    let [v0, v1, v2, v3, ..] = *header;
    u32::from_le_bytes([v0, v1, v2, v3])
}

/// Length of the header at the front of `bytes` with its proof, where it has one; `None` where
/// `bytes` end before it does, or it can't be read.
#[must_use]
pub fn header_bytes(chain: &Chain, bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<80>()?;
    if !is_announced(chain, header) {
        return Some(80);
    }
    let mut coinbase = TransactionWalker::new(Form::PARENT, 80);
    let None = coinbase.walk(bytes).ok()? else {
        return None;
    };
    match branches_end(bytes, coinbase.end()) {
        Ok(BranchesEnd::At(end)) => Some(end),
        _ => None,
    }
}

/// Where the part of a proof behind the parent's coinbase ends.
pub(crate) enum BranchesEnd {
    /// Here.
    At(usize),
    /// To be told from a prefix of this length, or a longer one.
    Needs(usize),
}

/// Finds the end of a proof whose parent's coinbase ends at `at`. Never reads further than some
/// 2 KiB, so that starting again with every new piece costs nothing.
pub(crate) fn branches_end(all: &[u8], at: usize) -> Result<BranchesEnd, BlockError> {
    let mut place = at + 32;
    for (limit, what) in
        [(PROOF_BRANCH_MAX, "merkle branch"), (PROOF_CHAIN_BRANCH_MAX, "chain branch")]
    {
        let malformed = BlockError::Malformed { what, at: place as u32 };
        match compact_size(all.get(place..).unwrap_or_default()) {
            CompactSize::NeedsMore => return Ok(BranchesEnd::Needs(place + 1)),
            CompactSize::Value { value, bytes } if value <= limit => {
                place += bytes + 32 * value as usize + 4;
            }
            _ => return Err(malformed),
        }
    }
    let end = place + 80;
    Ok(if all.len() < end { BranchesEnd::Needs(end) } else { BranchesEnd::At(end) })
}

/// Reads a proof: the bytes between header and transactions, all of them.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Proof<'_>> {
    let mut walker = TransactionWalker::new(Form::PARENT, 0);
    let None = walker.walk(bytes).ok()? else {
        return None;
    };
    let (coinbase, rest) = bytes.split_at_checked(walker.end())?;
    let script = first_script(coinbase, walker.has_witness())?;
    let mut cursor = Cursor::new(rest);
    cursor.take(32)?;
    let branch = branch(&mut cursor, PROOF_BRANCH_MAX)?;
    let index = cursor.i32()?;
    let chain_branch = self::branch(&mut cursor, PROOF_CHAIN_BRANCH_MAX)?;
    let chain_index = cursor.i32()?;
    let parent = cursor.array()?;
    let coinbase_txid = walker.txid(bytes);
    let proof = Proof { coinbase_txid, script, branch, index, chain_branch, chain_index, parent };
    cursor.is_empty().then_some(proof)
}

/// The script of a whole transaction's first input.
pub(crate) fn first_script(transaction: &[u8], flagged: bool) -> Option<&[u8]> {
    let mut cursor = Cursor::new(transaction);
    cursor.take(if flagged { 6 } else { 4 })?;
    cursor.compact_size()?;
    cursor.take(36)?;
    cursor.bytes(transaction.len())
}

fn branch<'a>(cursor: &mut Cursor<'a>, limit: u64) -> Option<&'a [[u8; 32]]> {
    let count = cursor.compact_size().filter(|count| *count <= limit)?;
    let (hashes, _) = cursor.take(32 * count as usize)?.as_chunks();
    Some(hashes)
}

impl Proof<'_> {
    /// Whether the proof ties the parent's work to the block with `header` and identity `hash`.
    /// The work itself is the caller's to check: that of [`Proof::parent`] against the block's
    /// own target.
    ///
    /// # Errors
    /// [`ProofError`] names the first thing that does not hold.
    pub fn check(
        &self,
        chain: &Chain,
        header: &[u8; 80],
        hash: &[u8; 32],
    ) -> Result<(), ProofError> {
        if self.index != 0 {
            return Err(ProofError::NotCoinbase(self.index));
        }
        let id = chain_id(header);
        if chain.auxpow_strict && chain_id(self.parent) == id {
            return Err(ProofError::SameChain);
        }
        let root = self.parent.get(36..68);
        if root != Some(&merkle_climb(self.coinbase_txid, self.branch, 0)[..]) {
            return Err(ProofError::BranchMismatch);
        }
        let behind = self.behind_commitment(hash)?;
        let mut cursor = Cursor::new(behind);
        let (Some(size), Some(nonce)) = (cursor.u32(), cursor.u32()) else {
            return Err(ProofError::NoSize);
        };
        // At most 30, as read.
        let expected = 1_u32 << self.chain_branch.len().min(30);
        if size != expected {
            return Err(ProofError::WrongSize { found: size, expected });
        }
        let slot = expected_slot(nonce, id, expected);
        match u32::try_from(self.chain_index) {
            Ok(index) if index == slot => Ok(()),
            _ => Err(ProofError::WrongSlot { found: self.chain_index, expected: slot }),
        }
    }

    /// What stands in the script behind the commitment to the block with identity `hash`.
    fn behind_commitment(&self, hash: &[u8; 32]) -> Result<&[u8], ProofError> {
        let mut root = merkle_climb(*hash, self.chain_branch, self.chain_index as u32);
        root.reverse();
        let start = find(self.script, &root).ok_or(ProofError::NoCommitment)?;
        match find(self.script, &MARKER) {
            None if start > UNMARKED_START_MAX => return Err(ProofError::UnmarkedTooLate),
            None => {}
            Some(marker) => {
                let behind = self.script.get(marker + 1..).unwrap_or_default();
                if find(behind, &MARKER).is_some() {
                    return Err(ProofError::SeveralMarkers);
                }
                if marker + MARKER.len() != start {
                    return Err(ProofError::MarkerApart);
                }
            }
        }
        Ok(self.script.get(start + root.len()..).unwrap_or_default())
    }
}

/// Where the first `needle` starts.
fn find(script: &[u8], needle: &[u8]) -> Option<usize> {
    script.windows(needle.len()).position(|window| window == needle)
}

/// The slot of a chain in a tree of `size` (a power of two), so that no work counts twice.
#[must_use]
pub const fn expected_slot(nonce: u32, chain_id: u16, size: u32) -> u32 {
    let mixed = nonce.wrapping_mul(1_103_515_245).wrapping_add(12_345);
    let mixed = mixed.wrapping_add(chain_id as u32);
    let mixed = mixed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
    mixed % size
}
