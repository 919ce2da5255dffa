//! Hashes and what is made of them: identities, merkle roots, targets.
//!
//! A hash is kept in wire order. Read as a number it is little-endian; people write it reversed.

mod lanes;

pub use lanes::{Lanes, Message, Pair};

use std::fmt;

use hex_simd::{AsOut, AsciiCase};
use sha2::{Digest, Sha256};

/// A block's identity, in wire order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockHash(pub [u8; 32]);

impl BlockHash {
    /// Reads the 64 hex digits that people and RPC write.
    #[must_use]
    pub fn from_hex(display: &str) -> Option<Self> {
        let mut hash = [0; 32];
        unhex(display.as_bytes(), &mut hash)?;
        // The decoder reads as many digits as fit; a longer text is not a hash.
        (display.len() == 64).then(|| {
            hash.reverse();
            Self(hash)
        })
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

/// Decodes hex `digits`, two for each byte of `raw`, of either case. `None` where they are something
/// else; `raw` holds anything then.
#[must_use]
pub fn unhex(digits: &[u8], raw: &mut [u8]) -> Option<()> {
    let fits = digits.len() == 2 * raw.len();
    fits.then(|| hex_simd::decode(digits, raw.as_out()).ok()).flatten().map(drop)
}

/// The lower-case hex digits of `raw`.
#[must_use]
pub fn hex(raw: &[u8]) -> String {
    hex_simd::encode_to_string(raw, AsciiCase::Lower)
}

/// SHA-256 of the SHA-256 of `bytes`.
#[must_use]
pub fn sha256d(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(bytes)).into()
}

/// SHA-256 of the SHA-256 of two hashes side by side: one step up a merkle tree.
#[must_use]
pub fn sha256d_pair(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut inner = Sha256::new();
    inner.update(left);
    inner.update(right);
    Sha256::digest(inner.finalize()).into()
}

/// [`sha256d`] of bytes that arrive in pieces.
#[derive(Clone, Debug, Default)]
pub struct Checksum(Sha256);

impl Checksum {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all that was pushed. A frame's checksum is its first four bytes.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        Sha256::digest(self.0.finalize()).into()
    }
}

/// What a merkle tree over some ids comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merkle {
    /// Its root, in wire order; zeros for no ids.
    pub root: [u8; 32],
    /// Whether two equal hashes stood side by side where the tree pairs them: the same root then
    /// fits another list of transactions (CVE-2012-2459), and nodes refuse the block as mutated.
    pub duplicated: bool,
}

/// The merkle root over `ids`, worked out in place: `ids` is used up.
///
/// Source: `consensus/merkle.cpp`, `ComputeMerkleRoot`.
#[must_use]
pub fn merkle_root(ids: &mut Vec<[u8; 32]>) -> Merkle {
    let mut duplicated = false;
    while ids.len() > 1 {
        let above = ids.len().div_ceil(2);
        for at in 0..above {
            let (Some(left), right) = (ids.get(2 * at).copied(), ids.get(2 * at + 1).copied())
            else {
                continue;
            };
            duplicated |= right == Some(left);
            if let Some(slot) = ids.get_mut(at) {
                *slot = sha256d_pair(&left, &right.unwrap_or(left));
            }
        }
        ids.truncate(above);
    }
    Merkle { root: ids.pop().unwrap_or_default(), duplicated }
}

/// A merkle tree whose ids arrive one after the other: most of its hashing is done by the time
/// the last one is there. Two pairs of a level are hashed at a time.
#[derive(Clone, Debug, Default)]
pub struct MerkleBuilder {
    lanes: Lanes,
    levels: Vec<Level>,
    duplicated: bool,
}

/// A level of a tree under way.
#[derive(Clone, Debug, Default)]
struct Level {
    /// Hashes without one above yet: the last of those that came.
    waiting: [[u8; 32]; 4],
    /// Hashes that came. Four at a time go up, so that this modulo four wait.
    count: u32,
}

impl MerkleBuilder {
    /// A tree of nothing yet, hashed by `lanes`.
    #[must_use]
    pub const fn new(lanes: Lanes) -> Self {
        Self { lanes, levels: Vec::new(), duplicated: false }
    }

    /// Takes in the next id.
    pub fn push(&mut self, id: [u8; 32]) {
        self.push_at(0, id);
    }

    /// What the tree comes to, the same as [`merkle_root`] over all that was pushed.
    #[must_use]
    pub fn finish(mut self) -> Merkle {
        let mut at = 0;
        while let Some(Level { waiting, count }) = self.levels.get(at).cloned() {
            let waiting = waiting.get(..count as usize % 4).unwrap_or_default();
            if let (1, [root]) = (count, waiting) {
                return Merkle { root: *root, duplicated: self.duplicated };
            }
            for pair in waiting.chunks(2) {
                // With nothing beside it a hash is paired with itself.
                let &[left, right] = pair else {
                    pair.iter().for_each(|last| self.push_at(at + 1, sha256d_pair(last, last)));
                    continue;
                };
                self.duplicated |= left == right;
                self.push_at(at + 1, sha256d_pair(&left, &right));
            }
            at += 1;
        }
        Merkle { root: [0; 32], duplicated: false }
    }

    /// Takes in the next hash of the level `at`, and goes up from there as long as four wait.
    fn push_at(&mut self, at: usize, hash: [u8; 32]) {
        if self.levels.len() <= at {
            self.levels.push(Level::default());
        }
        let Some(level) = self.levels.get_mut(at) else {
            return;
        };
        if let Some(slot) = level.waiting.get_mut(level.count as usize % 4) {
            *slot = hash;
        }
        level.count += 1;
        if level.count.is_multiple_of(4) {
            let [a, b, c, d] = level.waiting;
            self.duplicated |= a == b || c == d;
            let above = self.lanes.hash_pairs(&[[a, b], [c, d]]);
            above.into_iter().for_each(|hash| self.push_at(at + 1, hash));
        }
    }
}

/// Climbs from `leaf` along `branch`; the bits of `index` say on which side each one stands.
#[must_use]
pub fn merkle_climb(leaf: [u8; 32], branch: &[[u8; 32]], index: u32) -> [u8; 32] {
    let step = |(hash, index): ([u8; 32], u32), beside: &[u8; 32]| match index & 1 {
        0 => (sha256d_pair(&hash, beside), index >> 1),
        _ => (sha256d_pair(beside, &hash), index >> 1),
    };
    branch.iter().fold((leaf, index), step).0
}

/// Spells out the target that a header's `bits` stand for, as a little-endian number.
///
/// `None` where nodes refuse it: negative, zero, or over 256 bits.
/// Source: `arith_uint256.cpp`, `SetCompact`; `pow.cpp`, `CheckProofOfWork`.
#[must_use]
pub fn target_from_bits(bits: u32) -> Option<[u8; 32]> {
    let [low, middle, high, size] = bits.to_le_bytes();
    let negative = high & 0x80 != 0;
    let mut target = [0; 32];
    // `size` counts bytes; the three digits are the most significant ones.
    for (digit, byte) in [(3, low), (2, middle), (1, high)] {
        match usize::from(size).checked_sub(digit) {
            Some(at) if byte != 0 => *target.get_mut(at)? = byte,
            _ => {}
        }
    }
    (!negative && target != [0; 32]).then_some(target)
}

/// Whether `hash` is at most `target`, both little-endian numbers.
#[must_use]
pub fn meets_target(hash: &[u8; 32], target: &[u8; 32]) -> bool {
    hash.iter().rev().le(target.iter().rev())
}

/// Scrypt with N = 1024, r = 1, p = 1, password and salt both the header; 32 bytes out.
#[must_use]
pub fn scrypt_hash(header: &[u8; 80]) -> [u8; 32] {
    // Neither call can fail with these numbers. If one did, all ones meet no target.
    let mut hash = [0xff; 32];
    let parameters = scrypt::Params::new(10, 1, 1, 32);
    let done =
        parameters.map(|numbers| scrypt::scrypt(header, header, &numbers, &mut hash).is_ok());
    if done != Ok(true) {
        hash = [0xff; 32];
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> [u8; 32] {
        [byte; 32]
    }

    #[test]
    fn pieces_hash_like_the_whole() {
        let bytes: Vec<u8> = (0..=255).collect();
        for cut in 0..bytes.len() {
            let mut sum = Checksum::new();
            sum.push(&bytes[..cut]);
            sum.push(&bytes[cut..]);
            assert_eq!(sum.finish(), sha256d(&bytes));
        }
        assert_eq!(sha256d(b"")[..4], [0x5d, 0xf6, 0xe0, 0xe2], "checksum of an empty payload");
    }

    #[test]
    fn a_hash_reads_back_as_it_is_written() {
        let text = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
        let hash = BlockHash::from_hex(text).expect("64 digits");
        assert_eq!((hash.to_string().as_str(), hash.0[31], hash.0[0]), (text, 0, 0x6f));
        for wrong in ["", "00", &text[1..], &format!("{text}00"), &text.replace('0', "g")] {
            assert_eq!(BlockHash::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn merkle_roots_of_small_lists() {
        assert_eq!(merkle_root(&mut vec![]), Merkle { root: [0; 32], duplicated: false });
        assert_eq!(merkle_root(&mut vec![id(1)]), Merkle { root: id(1), duplicated: false });
        let three = merkle_root(&mut vec![id(1), id(2), id(3)]);
        let (left, right) = (sha256d_pair(&id(1), &id(2)), sha256d_pair(&id(3), &id(3)));
        assert_eq!(three, Merkle { root: sha256d_pair(&left, &right), duplicated: false });
        // The list with its last id twice has the same root: that is the attack.
        let four = merkle_root(&mut vec![id(1), id(2), id(3), id(3)]);
        assert_eq!(four, Merkle { root: three.root, duplicated: true });
        assert_eq!(merkle_climb(id(3), &[id(3), left], 2), three.root);
    }

    #[test]
    fn a_tree_built_up_comes_to_the_same() {
        for count in 0..140_u8 {
            // All different, and with some equal ones that now stand in pairs and now apart.
            for fold in [255, 2, 3, 7, 64] {
                let mut ids: Vec<_> = (0..count).map(|at| id(at % fold)).collect();
                let mut builder = MerkleBuilder::default();
                ids.iter().for_each(|id| builder.push(*id));
                assert_eq!(builder.finish(), merkle_root(&mut ids), "{count} ids, fold {fold}");
            }
            let mut ids: Vec<_> = (0..count).map(|at| id(at.min(count / 2))).collect();
            let mut builder = MerkleBuilder::default();
            ids.iter().for_each(|id| builder.push(*id));
            assert_eq!(builder.finish(), merkle_root(&mut ids), "{count} ids, the last half equal");
        }
    }

    #[test]
    fn bits_spell_targets() {
        let target = target_from_bits(0x1d00_ffff).expect("the first difficulty");
        assert_eq!((target[26], target[27], target[28]), (0xff, 0xff, 0));
        assert_eq!(target_from_bits(0x0300_0001).expect("one")[0], 1);
        assert_eq!(target_from_bits(0x0200_8000).expect("small")[0], 0x80);
        assert_eq!(target_from_bits(0x2200_00ff).expect("largest")[31], 0xff);
        for refused in [0, 0x1d00_0000, 0x1d80_0001, 0x0100_00ff, 0x2200_0100, 0x2300_00ff, !0] {
            assert_eq!(target_from_bits(refused), None, "{refused:08x}");
        }
    }

    #[test]
    fn a_target_is_met_up_to_equality() {
        let target = target_from_bits(0x1d00_ffff).expect("valid");
        let (mut over, mut under) = (target, target);
        over[0] += 1;
        under[27] -= 1;
        assert!(meets_target(&target, &target) && meets_target(&under, &target));
        assert!(!meets_target(&over, &target));
    }
}
