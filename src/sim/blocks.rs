//! Made-up blocks of any wanted size: right in everything that can be judged without a node.
//!
//! Header solved by the chain's own proof of work at its lowest difficulty (regtest: two tries on
//! average), merkle root, BIP 34 height, witness commitment where the chain has witnesses, and
//! transactions of ordinary shape that spend outputs which do not exist: a node would refuse them,
//! a simulated peer does not look.

mod merged;

pub use merged::Unproven;

use crate::limits::{BLOCK_WEIGHT_MAX, SIM_TRIES_MAX};
use crate::sim::dice::Dice;
use crate::wire::chain::Chain;
use crate::wire::hash::{Checksum, meets_target, merkle_root, sha256d, target_from_bits};

/// Longest transaction that fills a block, in bytes.
const FILLER_BYTES_MAX: usize = 700;
/// What a block of witnesses alone still needs outside of them, in bytes.
const OUTSIDE_BYTES: u32 = 64 * 1024;
/// Extra witness bytes of an input: the larger the block, the longer, so that its weight stays
/// allowed. The last steps down fill what is left.
const LONG_BYTES: [usize; 7] = [300_000, 64_000, 16_000, 4_000, 1_000, 240, 0];
/// Bytes of an average payment within and outside of its witnesses.
const FILLER_BYTES: (usize, usize) = (164, 134);

/// Why a block can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Not even the header and the first transaction fit.
    #[error("a block of {wanted} bytes can't be made; ask for {least} to {most}")]
    Size {
        /// What was asked for, in bytes.
        wanted: u32,
        /// Least that can be made, in bytes.
        least: u32,
        /// Most that the chain allows, in bytes.
        most: u32,
    },
    /// The chain's lowest difficulty is more than a simulation can solve.
    #[error("no header was found in {SIM_TRIES_MAX} tries; simulate a regtest chain")]
    Difficulty,
}

/// One block.
#[derive(Clone, Debug)]
pub struct MadeBlock {
    /// Its identity, in wire order.
    pub hash: [u8; 32],
    /// Its height.
    pub height: u32,
    /// Its bytes, as a `block` message carries them.
    pub raw: Vec<u8>,
}

/// Makes one block after the other, each on top of the last, the first on the genesis block.
#[derive(Clone, Debug)]
pub struct BlockMaker {
    chain: &'static Chain,
    parent: [u8; 32],
    height: u32,
    time_s: u32,
    dice: Dice,
    /// What the coinbases' scripts hold beside height and time.
    held: Vec<u8>,
}

/// Serialised transactions and what they hash to.
#[derive(Default)]
struct Body {
    bytes: Vec<u8>,
    /// Identities, the coinbase's place in front left open.
    txids: Vec<[u8; 32]>,
    wtxids: Vec<[u8; 32]>,
}

impl BlockMaker {
    /// Starts on the genesis block. The same `seed` and `time_s` (of the first block, in s since
    /// 1970) make the same blocks.
    #[must_use]
    pub fn new(chain: &'static Chain, seed: u64, time_s: u32) -> Self {
        let (parent, height, held) = (chain.genesis_hash, 0, Vec::new());
        Self { chain, parent, height, time_s, dice: Dice::new(seed), held }
    }

    /// Starts on a block that exists: its identity in wire order, and its height.
    #[must_use]
    pub const fn on_top_of(mut self, parent: [u8; 32], height: u32) -> Self {
        (self.parent, self.height) = (parent, height);
        self
    }

    /// Has the next block say that it was made at `time_s` (s since 1970): nodes relay slower when
    /// their tip is old. Must be later than most of the last eleven.
    #[must_use]
    pub const fn at(mut self, time_s: u32) -> Self {
        self.time_s = time_s;
        self
    }

    /// Makes the next block, exactly `bytes` long.
    ///
    /// # Errors
    /// The size is out of reach, or the difficulty is.
    pub fn next(&mut self, bytes: u32) -> Result<MadeBlock, PlanError> {
        let wanted = bytes as usize;
        let least = self.least_bytes() as usize;
        let most = match self.chain.has_witness {
            true => self.chain.block_bytes_max.min(BLOCK_WEIGHT_MAX - OUTSIDE_BYTES),
            false => self.chain.block_bytes_max,
        };
        if wanted < least || bytes > most {
            return Err(PlanError::Size { wanted: bytes, least: least as u32, most });
        }
        let body = self.body(wanted, least);
        self.make(wanted, body)
    }

    /// Makes the next block, exactly `bytes` long, of nothing but its coinbase: a node takes it.
    ///
    /// # Errors
    /// The size is out of reach, or the difficulty is.
    pub fn next_coinbase_only(&mut self, bytes: u32) -> Result<MadeBlock, PlanError> {
        let least = self.least_bytes();
        // Nothing of the padding is witness, so each byte weighs four.
        let most = self.chain.block_bytes_max.min(BLOCK_WEIGHT_MAX / 4);
        if !(least..=most).contains(&bytes) {
            return Err(PlanError::Size { wanted: bytes, least, most });
        }
        let body = Body { txids: vec![[0; 32]], wtxids: vec![[0; 32]], ..Body::default() };
        self.make(bytes as usize, body)
    }

    /// Length of a block that holds next to nothing, in bytes.
    fn least_bytes(&self) -> u32 {
        (80 + 1 + self.coinbase(self.height + 1, 0, None, 0).len()) as u32
    }

    /// The block of `wanted` bytes that holds `body` and a coinbase that fills what is left.
    fn make(&mut self, wanted: usize, body: Body) -> Result<MadeBlock, PlanError> {
        let (root, behind) = self.fill(wanted, body);
        let (header, hash) = self.solve(root)?;
        Ok(MadeBlock { hash, height: self.step(hash), raw: [&header[..], &behind].concat() })
    }

    /// Goes on to the block `hash`; returns its height.
    const fn step(&mut self, hash: [u8; 32]) -> u32 {
        (self.parent, self.height) = (hash, self.height + 1);
        self.time_s = self.time_s.wrapping_add(self.chain.interval_s);
        self.height
    }

    /// Merkle root and all bytes behind the header of such a block.
    fn fill(&self, wanted: usize, body: Body) -> ([u8; 32], Vec<u8>) {
        let height = self.height + 1;
        let count = body.txids.len();
        let room = wanted - 80 - compact_size(count as u64).len() - body.bytes.len();
        let (slack, padding) = self.padding(height, room);
        let commitment = self.chain.has_witness.then(|| {
            let mut ids = body.wtxids;
            let root = merkle_root(&mut ids).root;
            let mut seal = [0; 64];
            seal[..32].copy_from_slice(&root);
            sha256d(&seal)
        });
        let coinbase = self.coinbase(height, slack, commitment, padding);
        let mut txids = body.txids;
        if let Some(first) = txids.first_mut() {
            *first = self.coinbase_id(&coinbase);
        }
        let root = merkle_root(&mut txids).root;
        (root, [compact_size(count as u64), coinbase, body.bytes].concat())
    }

    /// Fills up with transactions until only the coinbase's padding is left to choose.
    fn body(&mut self, wanted: usize, least: usize) -> Body {
        let mut body = Body { txids: vec![[0; 32]], wtxids: vec![[0; 32]], ..Body::default() };
        for long in LONG_BYTES {
            if long > 0 && (!self.chain.has_witness || is_light_enough(wanted, long / 4)) {
                continue;
            }
            // 8 bytes: the longest count of transactions that any block could need, less one.
            while least + 8 + body.bytes.len() + FILLER_BYTES_MAX + 2 * long <= wanted {
                let (txid, wtxid) = self.filler(&mut body.bytes, long);
                body.txids.push(txid);
                body.wtxids.push(wtxid);
            }
        }
        body
    }

    /// Appends one ordinary payment: one or two inputs, two outputs.
    fn filler(&mut self, out: &mut Vec<u8>, long: usize) -> ([u8; 32], [u8; 32]) {
        let witness = self.chain.has_witness;
        let inputs = 1 + self.dice.below(2) as usize;
        let start = out.len();
        out.extend(2_u32.to_le_bytes());
        if witness {
            out.extend([0, 1]);
        }
        let inner = out.len();
        out.push(inputs as u8);
        for _ in 0..inputs {
            self.random(out, 32);
            out.extend((self.dice.below(3) as u32).to_le_bytes());
            if witness {
                out.push(0);
            } else {
                out.extend([107, 72]);
                self.random(out, 72);
                out.push(33);
                self.random(out, 33);
            }
            out.extend(0xffff_fffd_u32.to_le_bytes());
        }
        out.push(2);
        for _ in 0..2 {
            out.extend(self.dice.below(1 << 40).to_le_bytes());
            // Pay to a (witness) public key hash.
            if witness {
                out.extend([22, 0, 20]);
                self.random(out, 20);
            } else {
                out.extend([25, 0x76, 0xa9, 20]);
                self.random(out, 20);
                out.extend([0x88, 0xac]);
            }
        }
        let end = out.len();
        if witness {
            for _ in 0..inputs {
                let items = if long > 0 { 3 } else { 2 };
                out.extend([items, 72]);
                self.random(out, 72);
                out.push(33);
                self.random(out, 33);
                if long > 0 {
                    out.extend(compact_size(long as u64));
                    self.random(out, long);
                }
            }
        }
        let lock_time = self.height.to_le_bytes();
        out.extend(lock_time);
        ids(out.get(start..).unwrap_or_default(), inner - start, end - start, witness)
    }

    /// The first transaction. `slack` (0 to 2) lengthens its script, `padding` its last output.
    fn coinbase(
        &self,
        height: u32,
        slack: usize,
        commitment: Option<[u8; 32]>,
        padding: usize,
    ) -> Vec<u8> {
        let mut script = push_number(height);
        script.push(8 + slack as u8);
        script.extend(u64::from(self.time_s).to_be_bytes());
        script.extend(vec![0x5a; slack]);
        script.extend(&self.held);
        let witness = self.chain.has_witness;
        let mut out = Vec::with_capacity(256 + padding);
        out.extend(1_u32.to_le_bytes());
        if witness {
            out.extend([0, 1]);
        }
        out.push(1);
        out.extend([0; 32]);
        out.extend(u32::MAX.to_le_bytes());
        out.push(script.len() as u8);
        out.extend(script);
        out.extend(u32::MAX.to_le_bytes());
        out.push(2 + u8::from(witness));
        // Spendable by anyone; worth nothing.
        out.extend(0_u64.to_le_bytes());
        out.extend([1, 0x51]);
        if witness {
            out.extend(0_u64.to_le_bytes());
            out.extend([38, 0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed]);
            out.extend(commitment.unwrap_or_default());
        }
        out.extend(0_u64.to_le_bytes());
        out.extend(compact_size(padding as u64));
        out.extend(vec![0x6a; padding]);
        if witness {
            out.extend([1, 32]);
            out.extend([0; 32]);
        }
        out.extend(0_u32.to_le_bytes());
        out
    }

    /// Slack and padding with which the coinbase fills `room` bytes exactly. The longer count of a
    /// longer padding leaves gaps of two bytes, which the slack fills.
    fn padding(&self, height: u32, room: usize) -> (usize, usize) {
        let bare = self.coinbase(height, 0, None, 0).len() - 1;
        let spare = room.saturating_sub(bare);
        let fits = |slack: usize| {
            let left = spare.checked_sub(slack)?;
            [1, 3, 5].into_iter().find_map(|size| {
                let padding = left.checked_sub(size)?;
                (compact_size(padding as u64).len() == size).then_some((slack, padding))
            })
        };
        (0..=2).find_map(fits).unwrap_or((0, 0))
    }

    fn coinbase_id(&self, coinbase: &[u8]) -> [u8; 32] {
        match self.chain.has_witness {
            true => ids(coinbase, 6, coinbase.len() - 4 - 34, true).0,
            false => sha256d(coinbase),
        }
    }

    /// In merged mining the version's upper half is the chain's number.
    fn version(&self) -> u32 {
        self.chain.auxpow_chain_id.map_or(0x2000_0000, |id| (u32::from(id) << 16) | 4)
    }

    /// A header without work.
    fn header(&self, version: u32, root: [u8; 32]) -> [u8; 80] {
        let mut header = [0; 80];
        header[..4].copy_from_slice(&version.to_le_bytes());
        header[4..36].copy_from_slice(&self.parent);
        header[36..68].copy_from_slice(&root);
        header[68..72].copy_from_slice(&self.time_s.to_le_bytes());
        header[72..76].copy_from_slice(&self.chain.pow_limit_bits.to_le_bytes());
        header
    }

    fn solve(&self, root: [u8; 32]) -> Result<([u8; 80], [u8; 32]), PlanError> {
        let target = target_from_bits(self.chain.pow_limit_bits).ok_or(PlanError::Difficulty)?;
        let mut header = self.header(self.version(), root);
        for nonce in 0..SIM_TRIES_MAX {
            header[76..].copy_from_slice(&nonce.to_le_bytes());
            if meets_target(&self.chain.work_hash(&header), &target) {
                return Ok((header, self.chain.identity_hash(&header).0));
            }
        }
        Err(PlanError::Difficulty)
    }

    fn random(&mut self, out: &mut Vec<u8>, count: usize) {
        let start = out.len();
        out.resize(start + count, 0);
        self.dice.fill(out.get_mut(start..).unwrap_or_default());
    }
}

/// Whether a block of `wanted` bytes may be filled with payments of `long` extra witness bytes.
const fn is_light_enough(wanted: usize, long: usize) -> bool {
    let (within, outside) = FILLER_BYTES;
    // One and a half inputs on average.
    let payments = wanted / (within + outside + long + long / 2);
    wanted + 3 * (payments * outside + OUTSIDE_BYTES as usize / 4) <= BLOCK_WEIGHT_MAX as usize
}

/// txid and wtxid of `transaction`, whose inputs and outputs stand at `inner..end`.
fn ids(transaction: &[u8], inner: usize, end: usize, witness: bool) -> ([u8; 32], [u8; 32]) {
    let whole = sha256d(transaction);
    if !witness {
        return (whole, whole);
    }
    let mut stripped = Checksum::new();
    for part in [0..4, inner..end, transaction.len() - 4..transaction.len()] {
        stripped.push(transaction.get(part).unwrap_or_default());
    }
    (stripped.finish(), whole)
}

/// `number` as script pushes it (BIP 34).
fn push_number(number: u32) -> Vec<u8> {
    if (1..=16).contains(&number) {
        return vec![0x50 + number as u8];
    }
    let mut bytes: Vec<u8> = number.to_le_bytes().to_vec();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    if bytes.last().is_some_and(|last| last & 0x80 != 0) {
        bytes.push(0);
    }
    bytes.insert(0, bytes.len() as u8);
    bytes
}

fn compact_size(number: u64) -> Vec<u8> {
    match number {
        0..=0xfc => vec![number as u8],
        0xfd..=0xffff => [&[0xfd][..], &(number as u16).to_le_bytes()].concat(),
        _ => [&[0xfe][..], &(number as u32).to_le_bytes()].concat(),
    }
}

#[cfg(test)]
mod tests;
