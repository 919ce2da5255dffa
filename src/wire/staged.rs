//! A template's transactions, ready for the block that will be made of them.
//!
//! They are walked and hashed when they come, not when the block comes. Header and coinbase of a block
//! then suffice to tell whether all its other transactions are these, byte for byte: the merkle root
//! commits to the txids, the coinbase to the wtxids.
//!
//! Sources: `rpc/mining.cpp` (`getblocktemplate`); BIP 22, BIP 23, BIP 141.

use thiserror::Error;

use super::block::{BlockError, Form, TransactionIds, TransactionWalker, Walker};
use super::chain::Chain;
use super::check::{Commitment, witness_commitment};
use super::cursor::push_compact_size;
use super::hash::{Lanes, Merkle, sha256d_pair};

/// Stands for the coinbase that the pool will make: one input that spends nothing, one output.
const PLACEHOLDER: [u8; 62] = {
    let mut bytes = [0; 62];
    bytes[0] = 1; // version
    bytes[4] = 1; // inputs
    let mut at = 37;
    while at < 41 {
        bytes[at] = 0xff; // index of no output
        at += 1;
    }
    bytes[41] = 2; // script, two bytes
    bytes[48] = 1; // outputs
    bytes
};
/// A header without its proof, in bytes.
const HEADER_BYTES: usize = 80;

/// Why a template is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StagedError {
    /// Its transactions are none of this chain.
    #[error("its transactions can't be read: {0}")]
    Block(#[from] BlockError),
    /// A transaction ends elsewhere than it should.
    #[error("transaction {index} of it is cut or too long")]
    Cut {
        /// Which, the coinbase being 0.
        index: usize,
    },
}

/// Whether a block's transactions behind the coinbase are those of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// They are, all of them, in this order.
    Holds,
    /// Others, or in another order.
    OtherTransactions,
    /// The same but for their witnesses.
    OtherWitnesses,
    /// The coinbase can't be read.
    Unreadable,
}

/// The transactions of one template.
#[derive(Clone, Debug)]
pub struct Staged {
    chain: &'static Chain,
    /// As in a block, with a header of zeros and a placeholder for the coinbase.
    bytes: Vec<u8>,
    /// Where each transaction ends, the placeholder first.
    ends: Vec<u32>,
    /// Of each transaction, the placeholder's first.
    ids: Vec<TransactionIds>,
    /// What the coinbase's txid is hashed with, from the leaves up to the root.
    branch: Vec<[u8; 32]>,
    witness_merkle: Merkle,
    /// Whether the transactions are such that others come to the same root.
    duplicated: bool,
    has_witnesses: bool,
}

impl Staged {
    /// Walks and hashes a template's transactions: `raw` without the coinbase, in the block's order;
    /// `extension` is what follows them in the block, with its leading 01, where there is something.
    ///
    /// # Errors
    /// [`StagedError`]: no block can be made of them.
    pub fn new<'a>(
        chain: &'static Chain,
        raw: impl ExactSizeIterator<Item = &'a [u8]>,
        extension: &[u8],
        lanes: Lanes,
    ) -> Result<Self, StagedError> {
        let mut bytes = vec![0; HEADER_BYTES];
        push_compact_size(&mut bytes, raw.len() as u64 + 1);
        bytes.extend_from_slice(&PLACEHOLDER);
        let mut ends = vec![bytes.len() as u32];
        for one in raw {
            if bytes.len() + one.len() > chain.block_bytes_max as usize {
                return Err(BlockError::TooLong { limit: chain.block_bytes_max }.into());
            }
            bytes.extend_from_slice(one);
            ends.push(bytes.len() as u32);
        }
        bytes.extend_from_slice(extension);
        let layout = Walker::with_lanes(chain, lanes).keeping_ids().finish(&bytes)?;
        let cut = |(index, span): (usize, _)| (Some(&span) != ends.get(index)).then_some(index);
        let spans = layout.transactions.iter().map(|span| span.end).enumerate();
        if let Some(index) = spans.filter_map(cut).next() {
            return Err(StagedError::Cut { index });
        }
        let ids = layout.transactions.ids().to_vec();
        Ok(Self {
            chain,
            ends,
            branch: branch(&ids),
            ids,
            bytes,
            witness_merkle: layout.witness_merkle,
            duplicated: layout.merkle.duplicated,
            has_witnesses: layout.facts.witnesses > 0,
        })
    }

    /// Transactions, the coinbase not counted.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len() - 1
    }

    /// Whether a block of it has nothing but its coinbase.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.len() == 1
    }

    /// Memory that it takes, in bytes.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * (4 + size_of::<TransactionIds>())
    }

    /// The transaction at `index` of the block, from 1 on: its bytes and its ids.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(&[u8], &TransactionIds)> {
        let start = *self.ends.get(index.checked_sub(1)?)? as usize;
        let end = *self.ends.get(index)? as usize;
        Some((self.bytes.get(start..end)?, self.ids.get(index)?))
    }

    /// All transactions but the coinbase: their bytes and their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &TransactionIds)> {
        (1..self.ends.len()).filter_map(|index| self.get(index))
    }

    /// The whole block that starts with `front`: header, proof, count and coinbase of a block that this
    /// template [proves](Self::proves).
    #[must_use]
    pub fn complete(&self, front: &[u8]) -> Vec<u8> {
        let behind = self.ends.first().and_then(|first| self.bytes.get(*first as usize..));
        [front, behind.unwrap_or_default()].concat()
    }

    /// What the txids come to with that of the coinbase before them.
    pub(crate) fn merkle(&self, coinbase_txid: [u8; 32]) -> Merkle {
        let above = |below: [u8; 32], beside: &[u8; 32]| sha256d_pair(&below, beside);
        Merkle { root: self.branch.iter().fold(coinbase_txid, above), duplicated: self.duplicated }
    }

    /// What the wtxids come to.
    pub(crate) const fn witness_merkle(&self) -> Merkle {
        self.witness_merkle
    }

    /// Whether the block with this header and coinbase has these transactions behind it. Some
    /// microseconds, whatever the size.
    #[must_use]
    pub fn proves(&self, header: &[u8; HEADER_BYTES], coinbase: &[u8]) -> Proof {
        let mut walker = TransactionWalker::new(Form::of(self.chain), 0);
        if walker.walk(coinbase) != Ok(None) || walker.end() != coinbase.len() {
            return Proof::Unreadable;
        }
        let txid = walker.txid(coinbase);
        if header.get(36..68) != Some(&self.merkle(txid).root[..]) {
            return Proof::OtherTransactions;
        }
        if !self.chain.has_witness {
            return Proof::Holds;
        }
        match witness_commitment(coinbase) {
            Commitment::Unreadable => Proof::Unreadable,
            Commitment::None if self.has_witnesses => Proof::OtherWitnesses,
            Commitment::None => Proof::Holds,
            Commitment::Of { hash, nonce } => {
                let holds = sha256d_pair(&self.witness_merkle.root, &nonce) == hash;
                if holds { Proof::Holds } else { Proof::OtherWitnesses }
            }
        }
    }
}

/// What the first of `ids` is hashed with on its way up to the merkle root.
fn branch(ids: &[TransactionIds]) -> Vec<[u8; 32]> {
    let mut level: Vec<[u8; 32]> = ids.iter().map(|ids| ids.txid).collect();
    let mut branch = Vec::new();
    while let Some(beside) = level.get(1) {
        branch.push(*beside);
        let pairs = level.chunks(2).map(|pair| match pair {
            [left, right] => sha256d_pair(left, right),
            // With nothing beside it a hash is paired with itself.
            [last, ..] => sha256d_pair(last, last),
            [] => [0; 32],
        });
        level = pairs.collect();
    }
    branch
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash as _;

    use super::*;
    use crate::wire::chain::{self, Network};
    use crate::wire::check::parse_and_check;
    use crate::wire::hash::BlockHash;

    fn raw_of(block: &bitcoin::Block) -> Vec<Vec<u8>> {
        block.txdata.iter().map(bitcoin::consensus::serialize).collect()
    }

    /// A block of `count` transactions behind the coinbase, every third with a witness.
    fn block(count: usize) -> bitcoin::Block {
        use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TxIn, TxOut, Witness};
        let output =
            |value| TxOut { value: Amount::from_sat(value), script_pubkey: ScriptBuf::new() };
        let transaction = |number: usize| bitcoin::Transaction {
            version: bitcoin::transaction::Version(2),
            lock_time: bitcoin::absolute::LockTime::ZERO,
            input: vec![TxIn {
                previous_output: OutPoint::new(
                    bitcoin::Txid::from_byte_array([number as u8 + 1; 32]),
                    number as u32,
                ),
                script_sig: ScriptBuf::from_bytes(vec![0x51; number % 80]),
                sequence: Sequence::MAX,
                witness: if number.is_multiple_of(3) {
                    Witness::from_slice(&[[number as u8; 40]])
                } else {
                    Witness::new()
                },
            }],
            output: vec![output(number as u64)],
        };
        let mut coinbase = transaction(0);
        coinbase.input[0].previous_output = OutPoint::null();
        coinbase.input[0].script_sig = ScriptBuf::from_bytes(vec![3, 1, 0, 0, 9, 9]);
        coinbase.input[0].witness = Witness::from_slice(&[[0; 32]]);
        let header = bitcoin::block::Header {
            version: bitcoin::block::Version::from_consensus(0x2000_0000),
            prev_blockhash: bitcoin::BlockHash::all_zeros(),
            merkle_root: bitcoin::TxMerkleNode::all_zeros(),
            time: 1_700_000_000,
            bits: bitcoin::CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        let mut txdata = vec![coinbase];
        txdata.extend((1..=count).map(transaction));
        let mut block = bitcoin::Block { header, txdata };
        let root = block.witness_root().expect("a coinbase");
        let commitment = bitcoin::Block::compute_witness_commitment(&root, &[0; 32]);
        let script = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed][..], &commitment.to_byte_array()];
        block.txdata[0].output.push(TxOut {
            value: Amount::ZERO,
            script_pubkey: ScriptBuf::from_bytes(script.concat()),
        });
        block.header.merkle_root = block.compute_merkle_root().expect("a coinbase");
        while block.header.validate_pow(block.header.target()).is_err() {
            block.header.nonce += 1;
        }
        block
    }

    fn row() -> &'static Chain {
        let rows = chain::all().filter(|row| row.network == Network::Regtest);
        let mut plain = rows.filter(|row| row.has_witness && !row.has_mweb);
        plain.next().expect("the table has one")
    }

    fn stage(block: &bitcoin::Block) -> Staged {
        let raw = raw_of(block);
        let behind = raw[1..].iter().map(Vec::as_slice);
        Staged::new(row(), behind, &[], Lanes::PORTABLE).expect("a template")
    }

    fn proves(staged: &Staged, block: &bitcoin::Block) -> Proof {
        let raw = bitcoin::consensus::serialize(block);
        staged.proves(raw.first_chunk().expect("a header"), &raw_of(block)[0])
    }

    /// Goal: a template of any length proves its own block and no other.
    #[test]
    fn a_template_proves_its_own_block() {
        for count in [0, 1, 2, 3, 4, 7, 8, 31, 100] {
            let made = block(count);
            let checked = parse_and_check(row(), &bitcoin::consensus::serialize(&made));
            assert_eq!(
                checked.expect("a good block").1.hash,
                BlockHash(made.block_hash().to_byte_array())
            );
            let staged = stage(&made);
            assert_eq!((staged.len(), proves(&staged, &made)), (count, Proof::Holds), "{count}");
            let raw = bitcoin::consensus::serialize(&made);
            let walked = Walker::new(row()).finish(&raw).expect("a block");
            let front = walked.transactions.first().expect("a coinbase").end as usize;
            assert_eq!(staged.complete(&raw[..front]), raw);
            let ids: Vec<_> = staged.iter().map(|(_, ids)| ids.txid).collect();
            let expected: Vec<_> =
                made.txdata[1..].iter().map(|it| it.compute_txid().to_byte_array()).collect();
            assert_eq!(ids, expected);
            assert_eq!(proves(&staged, &block(count + 1)), Proof::OtherTransactions, "{count}");
        }
    }

    /// Goal: order, witnesses and a broken coinbase are told apart.
    #[test]
    fn what_differs_is_told() {
        let made = block(9);
        let mut swapped = made.clone();
        swapped.txdata.swap(4, 5);
        assert_eq!(proves(&stage(&swapped), &made), Proof::OtherTransactions);
        let mut resigned = made.clone();
        resigned.txdata[3].input[0].witness = bitcoin::Witness::from_slice(&[[7; 40]]);
        assert_eq!(proves(&stage(&resigned), &made), Proof::OtherWitnesses);
        let (staged, raw) = (stage(&made), bitcoin::consensus::serialize(&made));
        let (header, coinbase) = (raw.first_chunk().expect("a header"), &raw_of(&made)[0]);
        for cut in 0..coinbase.len() {
            assert_eq!(staged.proves(header, &coinbase[..cut]), Proof::Unreadable, "{cut}");
        }
        let longer = [&coinbase[..], &[0]].concat();
        assert_eq!(staged.proves(header, &longer), Proof::Unreadable);
    }

    /// Goal: a walk that follows a template, in pieces of any size, comes to what one without does,
    /// wherever the block departs from the template.
    #[test]
    fn following_changes_nothing_but_the_work() {
        let made = block(40);
        let mut others = vec![made.clone(), block(39), block(41)];
        for index in [1, 17, 40] {
            let mut other = made.clone();
            other.txdata[index].lock_time = bitcoin::absolute::LockTime::from_consensus(9);
            others.push(other);
        }
        for (number, other) in others.iter().enumerate() {
            let raw = bitcoin::consensus::serialize(other);
            let expected = Walker::new(row()).keeping_ids().finish(&raw).expect("a block");
            for piece in [1, 37, 1_000, raw.len()] {
                for begin in [0, 400, 2_000, raw.len()] {
                    let staged = std::sync::Arc::new(stage(&made));
                    let mut walker = Walker::new(row()).keeping_ids();
                    let mut follows = false;
                    for end in (0..raw.len()).step_by(piece).chain([raw.len()]) {
                        walker.advance(&raw[..end]).expect("a block");
                        follows = follows || (end >= begin && walker.follow(&raw[..end], &staged));
                    }
                    if number == 0 && piece == 1 && begin == 0 {
                        assert_eq!(walker.followed(), 40);
                    }
                    assert_eq!(
                        walker.finish(&raw),
                        Ok(expected.clone()),
                        "{number} {piece} {begin}"
                    );
                }
            }
        }
    }

    /// Goal: what is no list of whole transactions is refused.
    #[test]
    fn templates_of_nonsense_are_refused() {
        let raw = raw_of(&block(3));
        let staged = |parts: &[&[u8]]| {
            Staged::new(row(), parts.iter().copied(), &[], Lanes::PORTABLE).map(|it| it.len())
        };
        assert_eq!(staged(&[&raw[1], &raw[2]]), Ok(2));
        let end = raw[1].len() - 1;
        assert!(staged(&[&raw[1][..end], &raw[2]]).is_err());
        assert!(matches!(
            staged(&[&raw[1][..end], &[&raw[1][end..], &raw[2]].concat()]),
            Err(StagedError::Cut { index: 1 })
        ));
        assert!(staged(&[&[]]).is_err());
        let huge = vec![0; row().block_bytes_max as usize];
        assert!(matches!(staged(&[&huge]), Err(StagedError::Block(BlockError::TooLong { .. }))));
    }
}
