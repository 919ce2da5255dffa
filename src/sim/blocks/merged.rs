//! Made-up merged mining: a block without work of its own, and the proof that another chain's block
//! gives it.

use super::{BlockMaker, Body, MadeBlock, PlanError, compact_size};
use crate::wire::auxpow::{VERSION_AUXPOW, expected_slot};
use crate::wire::block::Walker;
use crate::wire::chain::Chain;
use crate::wire::hash::{merkle_climb, sha256d_pair};

/// Stands before the commitment in the parent's coinbase.
const MARKER: [u8; 4] = [0xfa, 0xbe, b'm', b'm'];
/// A coinbase's witness, and the lock time behind it, in bytes.
const COINBASE_WITNESS_BYTES: usize = 34;
const LOCK_TIME_BYTES: usize = 4;

/// A block whose work another chain's block is to prove.
#[derive(Clone, Debug)]
pub struct Unproven {
    /// Its identity, in wire order.
    pub hash: [u8; 32],
    /// Its height.
    pub height: u32,
    header: [u8; 80],
    /// Everything behind header and proof.
    behind: Vec<u8>,
    number: u16,
    /// Where it stands among the merged blocks.
    branch: Vec<[u8; 32]>,
    index: u32,
    nonce: u32,
}

impl BlockMaker {
    /// Has the coinbases of all further blocks hold these bytes; at most 60, so that scripts stay
    /// within their bound.
    pub fn hold(&mut self, bytes: &[u8]) {
        self.held = bytes.to_vec();
    }

    /// Makes the next block, of nothing but its coinbase, for another chain's block to prove.
    ///
    /// # Errors
    /// The chain is not merged into others: there is no size that would do.
    pub fn next_unproven(&mut self) -> Result<Unproven, PlanError> {
        let wanted = self.least_bytes();
        let none = PlanError::Size { wanted, least: 0, most: 0 };
        let number = self.chain.auxpow_chain_id.ok_or(none)?;
        let body = Body { txids: vec![[0; 32]], wtxids: vec![[0; 32]], ..Body::default() };
        let (root, behind) = self.fill(wanted as usize, body);
        let header = self.header(self.version() | VERSION_AUXPOW, root);
        let hash = self.chain.identity_hash(&header).0;
        let height = self.step(hash);
        let (branch, index, nonce) = (Vec::new(), 0, 0);
        Ok(Unproven { hash, height, header, behind, number, branch, index, nonce })
    }
}

impl Unproven {
    /// As one of 2^`levels` merged blocks, in the slot that the rules give; the others are made up.
    #[must_use]
    pub fn among(mut self, levels: u32, nonce: u32) -> Self {
        self.branch = (0..levels).map(|level| [level as u8 + 1; 32]).collect();
        self.nonce = nonce;
        self.index = expected_slot(nonce, self.number, 1 << levels);
        self
    }

    /// What the parent's coinbase must hold.
    #[must_use]
    pub fn commitment(&self) -> Vec<u8> {
        let mut root = merkle_climb(self.hash, &self.branch, self.index);
        root.reverse();
        let size = 1_u32 << self.branch.len();
        [&MARKER[..], &root, &size.to_le_bytes(), &self.nonce.to_le_bytes()].concat()
    }

    /// The proof by the block `parent` of another chain; `None` where that can't be read.
    #[must_use]
    pub fn proof(&self, parent_chain: &'static Chain, parent: &[u8]) -> Option<Vec<u8>> {
        let layout = Walker::new(parent_chain).keeping_ids().finish(parent).ok()?;
        let coinbase = stripped(parent.get(layout.transactions.first()?.range())?)?;
        let ids = layout.transactions.ids().iter().map(|ids| ids.txid).collect();
        let branch = branch_of_first(ids);
        let hash = parent_chain.identity_hash(&layout.header).0;
        let mut proof = [&coinbase[..], &hash].concat();
        for (branch, index) in [(&branch, 0), (&self.branch, self.index)] {
            proof.extend(compact_size(branch.len() as u64));
            proof.extend(branch.concat());
            proof.extend(index.to_le_bytes());
        }
        proof.extend(layout.header);
        Some(proof)
    }

    /// The block without its proof: what a node has that made it.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        [&self.header[..], &self.behind].concat()
    }

    /// The whole block.
    #[must_use]
    pub fn proven(&self, proof: &[u8]) -> MadeBlock {
        let raw = [&self.header[..], proof, &self.behind].concat();
        MadeBlock { hash: self.hash, height: self.height, raw }
    }
}

/// A coinbase without its witness.
fn stripped(coinbase: &[u8]) -> Option<Vec<u8>> {
    if coinbase.get(4..6)? != [0, 1] {
        return Some(coinbase.to_vec());
    }
    let (front, lock_time) = coinbase.split_at_checked(coinbase.len() - LOCK_TIME_BYTES)?;
    let middle = front.get(6..front.len().checked_sub(COINBASE_WITNESS_BYTES)?)?;
    Some([coinbase.get(..4)?, middle, lock_time].concat())
}

/// What leads from the first of `ids` to their merkle root.
fn branch_of_first(mut ids: Vec<[u8; 32]>) -> Vec<[u8; 32]> {
    let mut branch = Vec::new();
    while let [_, second, ..] = ids[..] {
        branch.push(second);
        let pair = |pair: &[[u8; 32]]| match *pair {
            [left, right] => sha256d_pair(&left, &right),
            [alone] => sha256d_pair(&alone, &alone),
            _ => [0; 32],
        };
        ids = ids.chunks(2).map(pair).collect();
    }
    branch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::chain::{self, Network};
    use crate::wire::check::parse_and_check;

    /// Every merged chain by every other one: small and large parents, alone and among others.
    #[test]
    fn a_parents_block_proves_another_chains() {
        let regtest = || chain::all().filter(|chain| chain.network == Network::Regtest);
        let merged = |chain: &&Chain| chain.auxpow_chain_id.is_some();
        let aux = regtest().find(merged).expect("the table has one");
        for parent in regtest().filter(|chain| chain.proof_of_work == aux.proof_of_work) {
            if merged(&parent) {
                continue;
            }
            for (levels, bytes) in [(0, 400), (0, 20_000), (1, 20_000), (6, 3_000)] {
                let mut maker = BlockMaker::new(aux, 3, 1_700_000_000);
                let unproven = maker.next_unproven().unwrap().among(levels, 7_777_777);
                let mut parents = BlockMaker::new(parent, 4, 1_700_000_000);
                parents.hold(&unproven.commitment());
                let found = parents.next(bytes).unwrap();
                assert!(parse_and_check(parent, &found.raw).is_ok(), "{}", parent.name);
                let proof = unproven.proof(parent, &found.raw).unwrap();
                let block = unproven.proven(&proof);
                let (_, checked) = parse_and_check(aux, &block.raw).unwrap();
                assert_eq!((checked.hash.0, checked.height), (block.hash, Some(1)));
                assert!(parse_and_check(aux, &unproven.raw()).is_err(), "no proof, no work");
                let next = maker.next(2_000).unwrap();
                assert_eq!(next.raw[4..36], block.hash, "the next stands on it");
            }
        }
    }
}
