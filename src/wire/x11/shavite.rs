//! SHAvite-3-512, as tweaked for the second round of the contest, with a salt of zero.
//!
//! Source: Biham, Dunkelman, "The SHAvite-3 Hash Function", 2009.

use super::aes::{Columns, round, xor};
use super::words::{bytes_of_u32, u32_le};

/// Words of all round keys: 14 rounds, two functions in each, four keys of four words in each.
const KEY_WORDS: usize = 14 * 2 * 4 * 4;

/// The chain before the first block, for 512 bits of hash.
const START: [Columns; 4] = [
    [0x72fccdd8, 0x79ca4727, 0x128a077b, 0x40d55aec],
    [0xd1901a06, 0x430ae307, 0xb29f5cd1, 0xdf07fbfc],
    [0x8e45d73d, 0x681ab538, 0xbde86578, 0xdd577e47],
    [0xe275eade, 0x502d9fcd, 0xb9357178, 0x022a4b9a],
];

/// Where the counter enters the key schedule: the first of four words, and what they are summed
/// with, for a count of `bits` below 2^32 (the counter's other three words are zero).
const fn counters(bits: u32) -> [(usize, Columns); 4] {
    [
        (32, [bits, 0, 0, !0]),
        (164, [0, 0, 0, !bits]),
        (316, [0, 0, bits, !0]),
        (440, [0, bits, 0, !0]),
    ]
}

/// The round keys: by turns 32 words through AES and 32 words by a linear rule, from the block.
fn expand(block: &[u32; 32], bits: u32) -> [u32; KEY_WORDS] {
    let mut keys = [0; KEY_WORDS];
    keys[..32].copy_from_slice(block);
    let counters = counters(bits);
    for i in (32..KEY_WORDS).step_by(4) {
        let linear = i / 32 % 2 == 0;
        if linear {
            for k in i..i + 4 {
                keys[k] = keys[k - 32] ^ keys[k - 7];
            }
            continue;
        }
        let old = i - 32;
        let turned = [keys[old + 1], keys[old + 2], keys[old + 3], keys[old]];
        let before = [keys[i - 4], keys[i - 3], keys[i - 2], keys[i - 1]];
        let mut new = xor(round(turned), before);
        if let Some((_, counter)) = counters.iter().find(|(at, _)| *at == i) {
            new = xor(new, *counter);
        }
        keys[i..i + 4].copy_from_slice(&new);
    }
    keys
}

/// The function of the Feistel network: four rounds of AES, each key summed before its round.
fn scramble(state: Columns, keys: &[u32]) -> Columns {
    keys.chunks_exact(4)
        .fold(state, |state, key| round(xor(state, [key[0], key[1], key[2], key[3]])))
}

/// The hash of a 64-byte message, which makes one padded block.
pub(super) fn hash64(input: &[u8; 64]) -> [u8; 64] {
    const BITS: u32 = 512;
    let mut block = [0; 128];
    block[..64].copy_from_slice(input);
    block[64] = 0x80;
    block[110..126].copy_from_slice(&u128::from(BITS).to_le_bytes());
    block[126..].copy_from_slice(&512u16.to_le_bytes());
    let keys = expand(&u32_le(&block), BITS);

    let [mut a, mut b, mut c, mut d] = START;
    for keys in keys.chunks_exact(32) {
        let (first, second) = keys.split_at(16);
        a = xor(a, scramble(b, first));
        c = xor(c, scramble(d, second));
        [a, b, c, d] = [d, a, b, c];
    }
    let [s0, s1, s2, s3] = START;
    bytes_of_u32([xor(a, s0), xor(b, s1), xor(c, s2), xor(d, s3)].as_flattened())
}
