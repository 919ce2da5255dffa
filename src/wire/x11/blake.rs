//! BLAKE-512: the SHA-3 finalist with its 16 rounds, not BLAKE2.
//!
//! Source: Aumasson, Henzen, Meier, Phan, "SHA-3 proposal BLAKE", version 1.3.

use super::words::u64_le;

/// Bytes of one block of the message.
const BLOCK_BYTES: usize = 128;

/// The same start as SHA-512.
const START: [u64; 8] = [
    0x6a09e667f3bcc908,
    0xbb67ae8584caa73b,
    0x3c6ef372fe94f82b,
    0xa54ff53a5f1d36f1,
    0x510e527fade682d1,
    0x9b05688c2b3e6c1f,
    0x1f83d9abfb41bd6b,
    0x5be0cd19137e2179,
];

/// The first digits of pi behind the point.
const PI: [u64; 16] = [
    0x243f6a8885a308d3,
    0x13198a2e03707344,
    0xa4093822299f31d0,
    0x082efa98ec4e6c89,
    0x452821e638d01377,
    0xbe5466cf34e90c6c,
    0xc0ac29b7c97c50dd,
    0x3f84d5b5b5470917,
    0x9216d5d98979fb1b,
    0xd1310ba698dfb5ac,
    0x2ffd72dbd01adfb7,
    0xb8e1afed6a267e96,
    0xba7c9045f12c7f99,
    0x24a19947b3916cf7,
    0x0801f2e2858efc16,
    0x636920d871574e69,
];

/// In which order a round takes the words of the message; round 10 starts again at the top.
const ORDER: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

/// Which four words of the state each step of a round mixes: the columns, then the diagonals.
const QUARTERS: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

/// Takes in one block; `bits` counts the message up to its end, or is 0 where all is padding.
fn compress(chain: &mut [u64; 8], block: &[u8], bits: u128) {
    let message: [u64; 16] = u64_le(block).map(u64::swap_bytes);
    let (low, high) = (bits as u64, (bits >> 64) as u64);
    let counter = [0, 0, 0, 0, low, low, high, high];
    let mut v: [u64; 16] =
        std::array::from_fn(|i| if i < 8 { chain[i] } else { PI[i - 8] ^ counter[i - 8] });
    for round in 0..16 {
        let order = &ORDER[round % 10];
        for (step, &[a, b, c, d]) in QUARTERS.iter().enumerate() {
            let (x, y) = (order[2 * step], order[2 * step + 1]);
            v[a] = v[a].wrapping_add(v[b]).wrapping_add(message[x] ^ PI[y]);
            v[d] = (v[d] ^ v[a]).rotate_right(32);
            v[c] = v[c].wrapping_add(v[d]);
            v[b] = (v[b] ^ v[c]).rotate_right(25);
            v[a] = v[a].wrapping_add(v[b]).wrapping_add(message[y] ^ PI[x]);
            v[d] = (v[d] ^ v[a]).rotate_right(16);
            v[c] = v[c].wrapping_add(v[d]);
            v[b] = (v[b] ^ v[c]).rotate_right(11);
        }
    }
    for i in 0..8 {
        chain[i] ^= v[i] ^ v[i + 8];
    }
}

/// The hash of a message of any length.
pub(super) fn blake512(input: &[u8]) -> [u8; 64] {
    let mut chain = START;
    let mut bits = 0u128;
    let mut blocks = input.chunks_exact(BLOCK_BYTES);
    for block in &mut blocks {
        bits += 8 * BLOCK_BYTES as u128;
        compress(&mut chain, block, bits);
    }
    // Behind the rest: a 1, zeros, a 1, and the length in bits; one block if that fits, else two.
    let rest = blocks.remainder();
    bits += 8 * rest.len() as u128;
    let end = if rest.len() < BLOCK_BYTES - 16 { BLOCK_BYTES } else { 2 * BLOCK_BYTES };
    let mut tail = [0; 2 * BLOCK_BYTES];
    tail[..rest.len()].copy_from_slice(rest);
    tail[rest.len()] = 0x80;
    tail[end - 17] |= 0x01;
    tail[end - 16..end].copy_from_slice(&bits.to_be_bytes());
    for (i, block) in tail[..end].chunks_exact(BLOCK_BYTES).enumerate() {
        let holds_message = i * BLOCK_BYTES < rest.len();
        compress(&mut chain, block, if holds_message { bits } else { 0 });
    }
    std::array::from_fn(|i| chain[i / 8].to_be_bytes()[i % 8])
}
