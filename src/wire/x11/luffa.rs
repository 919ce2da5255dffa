//! Luffa-512, version 2.
//!
//! Source: De Canniere, Sato, Watanabe, "Hash Function Luffa: Specification", version 2.

use super::words::{bytes_of_u32, u32_be};

/// One of the five lanes.
type Lane = [u32; 8];

/// The lanes before the first block.
const START: [Lane; 5] = [
    [
        0x6d251e69, 0x44b051e0, 0x4eaa6fb4, 0xdbf78465, 0x6e292011, 0x90152df4, 0xee058139,
        0xdef610bb,
    ],
    [
        0xc3b44b95, 0xd9d2f256, 0x70eee9a0, 0xde099fa3, 0x5d9b0557, 0x8fc944b3, 0xcf1ccf0e,
        0x746cd581,
    ],
    [
        0xf7efc89d, 0x5dba5781, 0x04016ce5, 0xad659c05, 0x0306194f, 0x666d1836, 0x24aa230a,
        0x8b264ae7,
    ],
    [
        0x858075d5, 0x36d79cce, 0xe571f7d7, 0x204b1f67, 0x35870c6a, 0x57e9e923, 0x14bcb808,
        0x7cde72ce,
    ],
    [
        0x6c68e9be, 0x5ec41e22, 0xc825b7c7, 0xaffb4363, 0xf5df3999, 0x0fc688f1, 0xb07224cc,
        0x03e86cea,
    ],
];

/// Where the generator of the step constants of each lane starts.
const SEEDS: [u64; 5] = [
    0x181cca53_380cde06,
    0x5b6f0876_f16f8594,
    0x7e106ce9_38979cb0,
    0xbb62f364_92e93c29,
    0x9a025047_cff2a940,
];

/// The feedback of that generator, a shift register of 64 bits.
const FEEDBACK: u64 = 0xc4d6496c_55c61c8d;

/// What words 0 and 4 of each lane are summed with in each of the 8 steps.
static CONSTANTS: [[[u32; 2]; 8]; 5] = {
    let mut table = [[[0; 2]; 8]; 5];
    let mut i = 0;
    let mut register = 0;
    while i < 5 * 8 * 2 {
        if i % 16 == 0 {
            register = SEEDS[i / 16];
        }
        register = (register << 1) ^ (FEEDBACK * (register >> 63));
        table[i / 16][i % 16 / 2][i % 2] = (register >> 32) as u32;
        register = register.rotate_left(32);
        i += 1;
    }
    table
};

/// The bitwise sum of two lanes.
fn xor(a: Lane, b: Lane) -> Lane {
    std::array::from_fn(|i| a[i] ^ b[i])
}

/// Twice `x`, read as 32 elements of a field of 256, word `i` holding their bits `i`; the field
/// polynomial is x^8 + x^4 + x^3 + x + 1.
fn double(x: Lane) -> Lane {
    let top = x[7];
    [top, x[0] ^ top, x[1], x[2] ^ top, x[3] ^ top, x[4], x[5], x[6]]
}

/// Mixes the lanes with each other and the block of message into them.
fn inject(lanes: [Lane; 5], message: Lane) -> [Lane; 5] {
    let twice_sum = double(lanes.into_iter().fold([0; 8], xor));
    let a = lanes.map(|lane| xor(lane, twice_sum));
    let b: [Lane; 5] = std::array::from_fn(|i| xor(double(a[i]), a[(i + 1) % 5]));
    let mut factor = message;
    std::array::from_fn(|i| {
        let lane = xor(xor(double(b[i]), b[(i + 4) % 5]), factor);
        factor = double(factor);
        lane
    })
}

/// The substitution box on 32 nibbles at once, word `i` holding their bits `i`. The test below
/// compares it with the table of the specification.
fn substitute([a, b, c, d]: [u32; 4]) -> [u32; 4] {
    let low = (b & (c ^ d)) ^ (a & d & !(b ^ c));
    let high = !b ^ (c & (a | b)) ^ (d & ((b & !a) ^ c));
    [!(a ^ b ^ low), (a & !b) ^ d ^ low, high ^ d, high ^ c ^ (a & d)]
}

/// Mixes word `k` of a lane with word `k + 4`.
fn mix_word(mut left: u32, mut right: u32) -> (u32, u32) {
    right ^= left;
    left = left.rotate_left(2) ^ right;
    right = right.rotate_left(14) ^ left;
    left = left.rotate_left(10) ^ right;
    (left, right.rotate_left(1))
}

/// The permutation of lane `index`.
fn permute(mut lane: Lane, index: usize) -> Lane {
    for word in &mut lane[4..] {
        *word = word.rotate_left(index as u32);
    }
    for [low, high] in CONSTANTS[index] {
        let [a0, a1, a2, a3, a4, a5, a6, a7] = lane;
        let [a0, a1, a2, a3] = substitute([a0, a1, a2, a3]);
        let [a5, a6, a7, a4] = substitute([a5, a6, a7, a4]);
        let ((a0, a4), (a1, a5)) = (mix_word(a0, a4), mix_word(a1, a5));
        let ((a2, a6), (a3, a7)) = (mix_word(a2, a6), mix_word(a3, a7));
        lane = [a0 ^ low, a1, a2, a3, a4 ^ high, a5, a6, a7];
    }
    lane
}

/// The hash of a 64-byte message: two blocks, a block of padding, and two blank rounds, each of
/// which gives half of the result.
pub(super) fn hash64(input: &[u8; 64]) -> [u8; 64] {
    let padding = [0x8000_0000, 0, 0, 0, 0, 0, 0, 0];
    let blank = [0; 8];
    let mut lanes = START;
    let mut halves = [[0; 8]; 2];
    for (i, block) in
        [u32_be(&input[..32]), u32_be(&input[32..]), padding, blank, blank].into_iter().enumerate()
    {
        let injected = inject(lanes, block);
        lanes = std::array::from_fn(|index| permute(injected[index], index));
        // Only the last two stay: those behind the blank rounds.
        halves[(i + 1) % 2] = lanes.into_iter().fold([0; 8], xor);
    }
    let words = halves.as_flattened();
    bytes_of_u32(&std::array::from_fn::<u32, 16, _>(|i| words[i].swap_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_substitution_is_that_of_the_table() {
        let table = [13, 14, 0, 1, 5, 10, 7, 6, 11, 3, 9, 12, 15, 8, 2, 4];
        for (nibble, expected) in (0u32..16).zip(table) {
            let bits = substitute(std::array::from_fn(|i| nibble >> i & 1));
            let found = (0..4).map(|i| (bits[i] & 1) << i).sum::<u32>();
            assert_eq!(found, expected, "of {nibble}");
        }
    }
}
