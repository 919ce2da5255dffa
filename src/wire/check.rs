//! Everything that must hold before a byte of a block goes to a peer, as far as it can be judged
//! without a node. A node closes the connection, or bans us, for a block that fails here.
//!
//! Judged: size and weight, work against the header's own bits, bits against the chain's limit, the
//! auxiliary proof, merkle root, coinbase, witness commitment, presence, place, header hash and
//! height of the extension block. Not judged, for want of a tip and of coins: whether the bits are the ones
//! due, the parent, signatures, amounts, the inside of the extension block.
//!
//! Sources: `validation.cpp` (`CheckBlock`, `ContextualCheckBlock`, `CheckWitnessMalleation`),
//! `mweb/mweb_node.cpp`, `evo/cbtx.cpp`, `dogecoin.cpp`.

mod coinbase;
mod error;

pub use error::CheckError;

use crate::limits::BLOCK_WEIGHT_MAX;
use crate::wire::auxpow::{self, ProofError};
use crate::wire::block::{Layout, Walker};
use crate::wire::chain::Chain;
use crate::wire::hash::{BlockHash, Lanes, meets_target, sha256d_pair, target_from_bits};
use coinbase::Coinbase;

/// What a coinbase says of the witnesses in its block.
pub(crate) enum Commitment {
    /// It can't be read, or lacks the nonce.
    Unreadable,
    /// Nothing: there may be none.
    None,
    /// What the witness root, hashed with `nonce`, must come to.
    Of {
        /// The commitment.
        hash: [u8; 32],
        /// The coinbase's own witness.
        nonce: [u8; 32],
    },
}

/// What the whole transaction `coinbase`, which has been walked before, says of witnesses.
pub(crate) fn witness_commitment(coinbase: &[u8]) -> Commitment {
    let parsed = Coinbase::parse(coinbase);
    match parsed.map(|parsed| (parsed.commitment, parsed.witness_nonce)) {
        Some((None, _)) => Commitment::None,
        Some((Some(hash), Some(nonce))) => Commitment::Of { hash: *hash, nonce: *nonce },
        Some((Some(_), None)) | None => Commitment::Unreadable,
    }
}

/// Shortest and longest script of a coinbase, in bytes.
const COINBASE_SCRIPT_BYTES: std::ops::RangeInclusive<usize> = 2..=100;
/// Stands before the hash of the extension block in the last transaction's first output: a
/// witness program of version 8.
const HOGEX_FRONT: [u8; 2] = [0x58, 0x20];
/// Type of a coinbase on chains where transactions have one.
const COINBASE_TYPE: u16 = 5;

/// What is known of a block that may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its identity.
    pub hash: BlockHash,
    /// The block before it.
    pub parent: BlockHash,
    /// Its target, as the header spells it.
    pub bits: u32,
    /// Its time, in seconds since 1970.
    pub time: u32,
    /// Its version.
    pub version: i32,
    /// Its height as the coinbase says (BIP 34); `None` where it says nothing of the kind.
    pub height: Option<u32>,
    /// How many transactions it has.
    pub transactions: u32,
    /// Whether it has an extension block.
    pub has_mweb: bool,
}

/// Cuts `raw` into its parts and checks them.
///
/// # Errors
/// [`CheckError`]: nothing of it may go to a peer.
pub fn parse_and_check(chain: &'static Chain, raw: &[u8]) -> Result<(Layout, Checked), CheckError> {
    parse_and_check_with(chain, raw, Lanes::PORTABLE)
}

/// The same, with the ids hashed by `lanes`.
///
/// # Errors
/// [`CheckError`]: nothing of it may go to a peer.
pub fn parse_and_check_with(
    chain: &'static Chain,
    raw: &[u8],
    lanes: Lanes,
) -> Result<(Layout, Checked), CheckError> {
    let layout = Walker::with_lanes(chain, lanes).finish(raw)?;
    let checked = check(chain, raw, &layout)?;
    Ok((layout, checked))
}

/// Checks the block `raw` that `layout` was walked of.
///
/// # Errors
/// [`CheckError`]: nothing of it may go to a peer.
pub fn check(chain: &'static Chain, raw: &[u8], layout: &Layout) -> Result<Checked, CheckError> {
    let proof = layout
        .auxpow
        .as_ref()
        .map(|range| raw.get(range.start as usize..range.end as usize).unwrap_or_default());
    let hash = check_work(chain, &layout.header, proof)?;
    check_after_work(chain, raw, layout, hash)
}

/// Checks all but the work, which [`check_work`] has found good while the block was arriving:
/// `hash` is what it gave back. What is left then takes some microseconds, whatever the size.
///
/// # Errors
/// [`CheckError`]: nothing of it may go to a peer.
pub fn check_after_work(
    chain: &'static Chain,
    raw: &[u8],
    layout: &Layout,
    hash: BlockHash,
) -> Result<Checked, CheckError> {
    let header = &layout.header;
    let first = layout.transactions.first().and_then(|first| raw.get(first.range()));
    let (true, true, Some(first)) =
        (raw.len() == layout.length as usize, raw.starts_with(header), first)
    else {
        return Err(CheckError::OtherBytes);
    };
    check_merkle_root(layout)?;
    check_size(chain, layout)?;
    let coinbase = check_coinbase(layout, first)?;
    let fields = Fields::of(header);
    let height = coinbase.height.filter(|_| fields.version >= 2);
    check_witness(chain, layout, &coinbase)?;
    check_extension(chain, raw, layout, height)?;
    check_payload(chain, layout, &coinbase, height)?;
    Ok(Checked {
        hash,
        parent: BlockHash(fields.parent),
        bits: fields.bits,
        time: fields.time_s,
        version: fields.version,
        height,
        transactions: layout.transactions.len() as u32,
        has_mweb: layout.mweb.is_some(),
    })
}

/// Checks the work of a block as soon as `header` and `proof` (the bytes behind the header, where
/// its version announces them) are there. Returns the block's identity.
///
/// # Errors
/// [`CheckError`]: nothing of the block may go to a peer.
pub fn check_work(
    chain: &Chain,
    header: &[u8; 80],
    proof: Option<&[u8]>,
) -> Result<BlockHash, CheckError> {
    let fields = Fields::of(header);
    let bits = fields.bits;
    let limit = target_from_bits(chain.pow_limit_bits);
    let target = target_from_bits(bits);
    let Some(target) = target.filter(|at| limit.is_some_and(|limit| meets_target(at, &limit)))
    else {
        return Err(CheckError::BitsOverLimit { bits });
    };
    let hash = chain.identity_hash(header);
    if let Some(expected) = chain.auxpow_chain_id {
        let found = auxpow::chain_id(header);
        // Versions 1 and 2 are from before merged mining.
        let legacy = matches!(fields.version, 1 | 2);
        if legacy && chain.legacy_versions_end_s.is_some_and(|end_s| fields.time_s >= end_s) {
            return Err(CheckError::LegacyVersion { version: fields.version });
        }
        if !legacy && chain.auxpow_strict && found != expected {
            return Err(ProofError::OtherChain { found, expected }.into());
        }
    }
    let work = match (auxpow::is_announced(chain, header), proof) {
        (false, _) if chain.identity == chain.proof_of_work => hash.0,
        (false, _) => chain.work_hash(header),
        (true, bytes) => {
            let proof = auxpow::parse(bytes.unwrap_or_default()).ok_or(ProofError::Unreadable)?;
            proof.check(chain, header, &hash.0)?;
            chain.work_hash(proof.parent)
        }
    };
    if meets_target(&work, &target) { Ok(hash) } else { Err(CheckError::TooLittleWork { hash }) }
}

/// The fields of a header.
///
/// # Shape
///
/// `version [i32 LE] · parent [32] · merkle root [32] · time [u32 LE, s] · bits [u32 LE] ·
/// nonce [u32 LE]`
struct Fields {
    version: i32,
    parent: [u8; 32],
    root: [u8; 32],
    time_s: u32,
    bits: u32,
}

impl Fields {
    fn of(header: &[u8; 80]) -> Self {
        let (parts, _) = header.as_chunks::<4>();
        let word = |at: usize| parts.get(at).copied().map_or(0, u32::from_le_bytes);
        let hash = |at: usize| {
            header.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
        };
        Self {
            version: word(0) as i32,
            parent: hash(4),
            root: hash(36),
            time_s: word(17),
            bits: word(18),
        }
    }
}

fn check_merkle_root(layout: &Layout) -> Result<(), CheckError> {
    let merkle = layout.merkle;
    if merkle.root != Fields::of(&layout.header).root {
        return Err(CheckError::MerkleRootMismatch);
    }
    if merkle.duplicated { Err(CheckError::DuplicateTransactions) } else { Ok(()) }
}

fn check_size(chain: &Chain, layout: &Layout) -> Result<(), CheckError> {
    let (bytes, limit) = (layout.length, chain.block_bytes_max);
    if bytes > limit {
        return Err(CheckError::TooLong { bytes, limit });
    }
    if !chain.has_witness {
        return Ok(());
    }
    let (bytes, limit) = (layout.stripped_bytes(), BLOCK_WEIGHT_MAX / 4);
    if bytes > limit {
        return Err(CheckError::TooLong { bytes, limit });
    }
    let (weight, limit) = (layout.weight(), BLOCK_WEIGHT_MAX);
    if weight > limit {
        return Err(CheckError::TooHeavy { weight, limit });
    }
    Ok(())
}

fn check_coinbase<'a>(layout: &Layout, first: &'a [u8]) -> Result<Coinbase<'a>, CheckError> {
    if !layout.facts.first_is_coinbase {
        return Err(CheckError::CoinbaseMissing);
    }
    if layout.facts.coinbases != 1 {
        return Err(CheckError::SeveralCoinbases);
    }
    let coinbase = Coinbase::parse(first).ok_or(CheckError::OtherBytes)?;
    let bytes = coinbase.script.len();
    if !COINBASE_SCRIPT_BYTES.contains(&bytes) {
        return Err(CheckError::CoinbaseScript { bytes });
    }
    Ok(coinbase)
}

fn check_witness(
    chain: &Chain,
    layout: &Layout,
    coinbase: &Coinbase<'_>,
) -> Result<(), CheckError> {
    let commitment = coinbase.commitment.filter(|_| chain.has_witness);
    let Some(commitment) = commitment else {
        return match layout.facts.witnesses {
            0 => Ok(()),
            count => Err(CheckError::UnexpectedWitness { count }),
        };
    };
    let nonce = coinbase.witness_nonce.ok_or(CheckError::WitnessNonce)?;
    if sha256d_pair(&layout.witness_merkle.root, nonce) == *commitment {
        Ok(())
    } else {
        Err(CheckError::WitnessCommitmentMismatch)
    }
}

fn check_extension(
    chain: &Chain,
    raw: &[u8],
    layout: &Layout,
    height: Option<u32>,
) -> Result<(), CheckError> {
    if !chain.has_mweb {
        return Ok(());
    }
    let due = chain.mweb_height.zip(height).is_some_and(|(from, height)| height >= from);
    match (layout.facts.hogexes, &layout.mweb) {
        (0, None) if due => Err(CheckError::ExtensionMissing),
        (0, None) => Ok(()),
        (1, Some(_)) => check_named(raw, layout, height),
        _ => Err(CheckError::ExtensionPlace),
    }
}

/// The last transaction must name the extension block that follows it, and that be of `height`.
fn check_named(raw: &[u8], layout: &Layout, height: Option<u32>) -> Result<(), CheckError> {
    let last = layout.transactions.last().and_then(|last| raw.get(last.range()));
    let script = last.and_then(coinbase::hogex_script).unwrap_or_default();
    match script.strip_prefix(&HOGEX_FRONT).and_then(|hash| <&[u8; 32]>::try_from(hash).ok()) {
        None => return Err(CheckError::ExtensionUnnamed),
        hash if hash != layout.mweb_hash.as_ref() => return Err(CheckError::ExtensionHash),
        Some(_) => {}
    }
    match (layout.mweb_height, height) {
        (Some(found), Some(expected)) if found != u64::from(expected) => {
            Err(CheckError::ExtensionHeight { found, expected })
        }
        _ => Ok(()),
    }
}

fn check_payload(
    chain: &Chain,
    layout: &Layout,
    coinbase: &Coinbase<'_>,
    height: Option<u32>,
) -> Result<(), CheckError> {
    if !chain.has_special_transactions {
        return Ok(());
    }
    let due = chain.typed_coinbase_height.zip(height);
    match layout.facts.coinbase_type {
        COINBASE_TYPE => match (coinbase.payload_height(), height) {
            (None, _) => Err(CheckError::PayloadUnreadable),
            (Some(found), Some(expected)) if found != expected => {
                Err(CheckError::PayloadHeight { found, expected })
            }
            _ => Ok(()),
        },
        found if due.is_some_and(|(from, height)| height >= from) => {
            Err(CheckError::PayloadType { found })
        }
        _ => Ok(()),
    }
}
