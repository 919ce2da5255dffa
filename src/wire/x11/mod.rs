//! X11: eleven 512-bit hashes in a row, of which the first 32 bytes are kept.
//!
//! Each is in the version with which it left the SHA-3 contest, none is a later standard.
//! Groestl, Skein, JH and Keccak (with the padding that it had before it became SHA-3) are
//! RustCrypto's. The others have no well-kept crate and are written here from their
//! specifications. Only the first ever sees a message that is not 64 bytes long, so each of the
//! others is written for exactly that length: its padding is known, and so is its block count.
//! No C compiler is needed, and nothing here is unsafe.
//!
//! Source: Dash Core, `src/hash_x11.h` (the order).

mod aes;
mod blake;
mod bmw;
mod cubehash;
mod echo;
mod luffa;
mod shavite;
mod simd;
#[cfg(test)]
mod tests;
mod words;

use sha3::Digest;

/// One of the ten hashes behind the first.
type Stage = fn(&[u8; 64]) -> [u8; 64];

/// What the first hash's result goes through, in this order.
const STAGES: [Stage; 10] = [
    bmw::hash64,
    |input| groestl::Groestl512::digest(input).into(),
    |input| skein::Skein512::<skein::consts::U64>::digest(input).into(),
    |input| jh::Jh512::digest(input).into(),
    |input| sha3::Keccak512::digest(input).into(),
    luffa::hash64,
    cubehash::hash64,
    shavite::hash64,
    simd::hash64,
    echo::hash64,
];

/// The X11 hash of `input`, which may have any length; a block header has 80 bytes.
///
/// The result is in wire order: reversed, it is what explorers show.
#[must_use]
pub fn x11(input: &[u8]) -> [u8; 32] {
    let last = STAGES.iter().fold(blake::blake512(input), |state, stage| stage(&state));
    std::array::from_fn(|i| last[i])
}
