//! Hashes of several messages at a time.

use sha2::{Digest, Sha256};

use super::sha256d_pair;

/// A message in pieces that stand behind each other. Those not needed are empty.
pub type Message<'a> = [&'a [u8]; 4];

/// Two hashes side by side: what a node of a merkle tree is made of.
pub type Pair = [[u8; 32]; 2];

/// How several messages are hashed: one after the other, or side by side where the processor
/// can. All ways give the same hashes.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    messages: fn(&[Message<'_>], &mut [[u8; 32]]),
    pairs: fn(&[Pair; 2]) -> [[u8; 32]; 2],
}

impl Lanes {
    /// One after the other, on any processor.
    pub const PORTABLE: Self = Self {
        messages: |messages, hashes| {
            for (message, hash) in messages.iter().zip(hashes) {
                let mut inner = Sha256::new();
                message.iter().for_each(|piece| inner.update(piece));
                *hash = Sha256::digest(inner.finalize()).into();
            }
        },
        pairs: |pairs| pairs.map(|[left, right]| sha256d_pair(&left, &right)),
    };

    /// Other ways to do what [`Lanes::hash`] and [`Lanes::hash_pairs`] say.
    #[must_use]
    pub const fn new(
        messages: fn(&[Message<'_>], &mut [[u8; 32]]),
        pairs: fn(&[Pair; 2]) -> [[u8; 32]; 2],
    ) -> Self {
        Self { messages, pairs }
    }

    /// Puts [`sha256d`](super::sha256d) of each message into the place in `hashes` that
    /// corresponds to it. What has nothing to correspond to is left alone.
    pub fn hash(self, messages: &[Message<'_>], hashes: &mut [[u8; 32]]) {
        (self.messages)(messages, hashes);
    }

    /// One step up a merkle tree at two places: [`sha256d_pair`] of both.
    #[must_use]
    pub fn hash_pairs(self, pairs: &[Pair; 2]) -> [[u8; 32]; 2] {
        (self.pairs)(pairs)
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self::PORTABLE
    }
}
