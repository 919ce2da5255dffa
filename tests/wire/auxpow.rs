//! Merged blocks built by the rules, and every way in which a proof can be wrong.

use broadside::wire::auxpow::{ProofError, expected_slot, header_bytes, parse};
use broadside::wire::chain::Chain;
use broadside::wire::check::{CheckError, parse_and_check};
use broadside::wire::hash::{merkle_climb, sha256d};
use broadside::wire::message::{encode_headers, header_items};

use super::build::{Block, Tx, count, header, merkle, mine, regtest};

const MARKER: [u8; 4] = [0xfa, 0xbe, b'm', b'm'];

/// A proof to be, with every field open to spoiling.
#[derive(Clone, Debug)]
pub(crate) struct Merged {
    pub(crate) chain: &'static Chain,
    pub(crate) header: [u8; 80],
    /// Stands before the commitment.
    pub(crate) before: Vec<u8>,
    pub(crate) chain_branch: Vec<[u8; 32]>,
    pub(crate) chain_index: i32,
    pub(crate) size: u32,
    pub(crate) nonce: u32,
    pub(crate) index: i32,
    pub(crate) parent_version: u32,
    /// Other transactions of the parent.
    pub(crate) others: Vec<[u8; 32]>,
    /// Whether the parent's coinbase comes with its witness.
    pub(crate) witness: bool,
}

impl Merged {
    /// Merged alone, by the rules.
    pub(crate) fn new(block: &Block) -> Self {
        let mut block = block.clone();
        block.version |= 0x100;
        Self {
            chain: block.chain,
            header: block.header(0),
            before: MARKER.to_vec(),
            chain_branch: Vec::new(),
            chain_index: 0,
            size: 1,
            nonce: 0,
            index: 0,
            parent_version: 0x2000_0000,
            others: vec![[8; 32], [9; 32]],
            witness: false,
        }
    }

    /// Merged with others: a tree of 2^`levels` and the slot that the rules give.
    fn among(mut self, levels: u32, nonce: u32) -> Self {
        self.chain_branch = (0..levels).map(|level| [level as u8; 32]).collect();
        (self.size, self.nonce) = (1 << levels, nonce);
        self.chain_index = expected_slot(nonce, 98, self.size) as i32;
        self
    }

    fn commitment(&self) -> Vec<u8> {
        let hash = sha256d(&self.header);
        let mut root = merkle_climb(hash, &self.chain_branch, self.chain_index as u32);
        root.reverse();
        [&root[..], &self.size.to_le_bytes(), &self.nonce.to_le_bytes()].concat()
    }

    /// The proof with this script behind the parent's height.
    fn proof_with(&self, script: &[u8]) -> Vec<u8> {
        let mut coinbase = Tx::coinbase(700);
        coinbase.inputs[0].1 = script.to_vec();
        if self.witness {
            coinbase = coinbase.with_witness(1);
        }
        let ids = [&[coinbase.txid()], &self.others[..]].concat();
        // The branch of three transactions: the second, then the pair of the third.
        let branch = [ids[1], merkle(&[ids[2], ids[2]])];
        let mut parent = header(self.parent_version, merkle(&ids), 1_700_000_000, 0, 0);
        mine(self.chain, &mut parent, self.chain.pow_limit_bits);
        let mut out = [coinbase.bytes(), vec![0; 32], count(2), branch.concat()].concat();
        out.extend(self.index.to_le_bytes());
        out.extend(count(self.chain_branch.len()));
        out.extend(self.chain_branch.concat());
        out.extend(self.chain_index.to_le_bytes());
        out.extend(parent);
        out
    }

    pub(crate) fn proof(&self) -> Vec<u8> {
        self.proof_with(&[&[3, 1, 2, 3], &self.before[..], &self.commitment(), b"/p/"].concat())
    }

    /// The whole block.
    pub(crate) fn block(&self, block: &Block) -> Vec<u8> {
        [&self.header[..], &self.proof(), &block.body()].concat()
    }
}

fn sample() -> (Block, Merged) {
    let block = Block::new(regtest("dogecoin"), 77, [Tx::plain(1)]);
    let merged = Merged::new(&block);
    (block, merged)
}

fn verdict(block: &Block, proof: &[u8], header: &[u8; 80]) -> Result<(), CheckError> {
    let raw = [&header[..], proof, &block.body()].concat();
    parse_and_check(block.chain, &raw).map(drop)
}

#[test]
fn blocks_built_by_rules_prove_their_work_by_a_parent() {
    let (block, alone) = sample();
    let unmarked = Merged { before: vec![7; 16], ..alone.clone() };
    let witness = Merged { witness: true, ..alone.clone() };
    let mut all = vec![alone.clone(), unmarked, witness];
    all.extend((0..6).map(|nonce| alone.clone().among(nonce + 1, nonce * 7_777_777)));
    all.push(alone.among(30, 1));
    for merged in all {
        let (layout, checked) = parse_and_check(block.chain, &merged.block(&block)).expect("good");
        assert_eq!(checked.hash.0, sha256d(&merged.header), "the identity is of 80 bytes");
        assert_eq!((checked.height, checked.transactions), (Some(77), 2));
        assert_eq!(layout.auxpow.map(|range| range.len()), Some(merged.proof().len()));
    }
}

/// A good proof, how it is spoilt, and what that is called.
type Case<'a> = (&'a Merged, fn(&mut Merged), ProofError);

#[test]
fn every_broken_rule_is_named() {
    let (block, good) = sample();
    let tree = good.clone().among(3, 5);
    let slot = tree.chain_index;
    let other = ProofError::WrongSlot { found: slot ^ 1, expected: slot.unsigned_abs() };
    use ProofError as P;
    let cases: [Case<'_>; 8] = [
        (&good, |it| it.index = 1, P::NotCoinbase(1)),
        (&good, |it| it.parent_version = 98 << 16 | 4, P::SameChain),
        (&good, |it| it.before.extend(MARKER), P::SeveralMarkers),
        (&good, |it| it.before.push(0), P::MarkerApart),
        (&good, |it| it.before = vec![7; 17], P::UnmarkedTooLate),
        (&good, |it| it.size = 2, P::WrongSize { found: 2, expected: 1 }),
        (&tree, |it| it.size = 9, P::WrongSize { found: 9, expected: 8 }),
        (&tree, |it| it.chain_index ^= 1, other),
    ];
    for (from, spoil, error) in cases {
        let mut merged = from.clone();
        spoil(&mut merged);
        let got = verdict(&block, &merged.proof(), &merged.header);
        assert_eq!(got, Err(CheckError::Proof(error)));
        assert_eq!(got.expect_err("wrong").bip22(), Some("high-hash"));
    }
}

#[test]
fn a_commitment_must_be_there_whole_and_in_the_right_order() {
    use ProofError as P;
    let (block, good) = sample();
    let script = |script: &[u8]| verdict(&block, &good.proof_with(script), &good.header);
    let commitment = good.commitment();
    assert_eq!(script(&commitment), Ok(()));
    assert_eq!(script(&commitment[..39]), Err(P::NoSize.into()));
    let mut straight = commitment.clone();
    straight[..32].reverse();
    assert_eq!(script(&straight), Err(P::NoCommitment.into()), "wrong byte order");
    assert_eq!(script(&[1, 2]), Err(P::NoCommitment.into()));
    let mut proof = good.proof();
    let end = proof.len();
    proof[end - 20] ^= 1;
    assert_eq!(verdict(&block, &proof, &good.header), Err(P::BranchMismatch.into()));
}

#[test]
fn the_number_and_the_flag_in_the_version_must_be_right() {
    let (block, good) = sample();
    let other = Block { version: 97 << 16 | 4, ..block.clone() };
    let merged = Merged::new(&other);
    let wrong = ProofError::OtherChain { found: 97, expected: 98 };
    assert_eq!(verdict(&other, &merged.proof(), &merged.header), Err(wrong.into()));
    assert_eq!(verdict(&other, &[], &other.header(0)), Err(wrong.into()));
    // A proof that the version does not announce is read as transactions, and one that it
    // announces must be there.
    assert!(verdict(&block, &good.proof(), &block.header(0)).is_err());
    assert!(verdict(&block, &[], &good.header).is_err());
    // Versions of before merged mining: allowed where nothing is known against it.
    let old = Block { version: 2, ..block };
    assert!(parse_and_check(old.chain, &old.mine()).is_ok());
}

/// The proof of work is the parent's, and it is held against this block's own bits.
#[test]
fn the_parents_work_counts() {
    let block = Block { bits: 0x1f00_ffff, ..sample().0 };
    let merged = Merged::new(&block);
    let got = verdict(&block, &merged.proof(), &merged.header);
    assert!(matches!(got, Err(CheckError::TooLittleWork { .. })), "{got:?}");
}

#[test]
fn headers_with_proofs_are_cut_out_of_a_list() {
    let (block, merged) = sample();
    let long = [&merged.header[..], &merged.proof()].concat();
    let short = block.header(0);
    assert_eq!(header_bytes(block.chain, &long), Some(long.len()));
    assert_eq!(header_bytes(block.chain, &long[..long.len() - 1]), None);
    assert!(parse(&long[80..]).is_some() && parse(&long[80..long.len() - 1]).is_none());
    assert!(parse(&[&long[80..], &[0]].concat()).is_none(), "a proof and more");
    let payload = encode_headers(&[&long, &short, &long]);
    let read: Vec<_> = header_items(block.chain, &payload).collect();
    assert_eq!(read, [&long[..], &short, &long]);
    for cut in 0..payload.len() {
        assert!(header_items(block.chain, &payload[..cut]).count() < 3);
    }
}
