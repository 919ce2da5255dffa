//! SIMD-512, version 1.1 (the one with the tweaks of the second round of the contest).
//!
//! Source: Leurent, Bouillaguet, Fouque, "SIMD Is a Message Digest", 2009.

use super::words::{bytes_of_u32, u32_le};

/// Numbers are taken modulo this prime in the message expansion.
const PRIME: u32 = 257;
/// A number that is 1 when raised to the power of 256, modulo [`PRIME`], and not before.
const ROOT: u32 = 41;
/// Eight words: one register.
type Register = [u32; 8];
/// Registers A, B, C and D.
type State = [Register; 4];
/// What the 32 steps add to D, in the order of the steps.
type Expanded = [Register; 32];

/// The state before the first block.
const START: State = [
    [
        0x0ba16b95, 0x72f999ad, 0x9fecc2ae, 0xba3264fc, 0x5e894929, 0x8e9f30e5, 0x2f1daa37,
        0xf0f2c558,
    ],
    [
        0xac506643, 0xa90635a5, 0xe25b878b, 0xaab7878f, 0x88817f7a, 0x0a02892b, 0x559a7550,
        0x598f657e,
    ],
    [
        0x7eef60a1, 0x6b70e3e8, 0x9c1714d1, 0xb958e2a8, 0xab02675e, 0xed1c014f, 0xcd8d65bb,
        0xfdb7a257,
    ],
    [
        0x09254899, 0xd699c7bc, 0x9019b6dc, 0x2b9022e4, 0x8fa14956, 0x21bf9bd3, 0xb94d0943,
        0x6ffddc22,
    ],
];

/// The powers of [`ROOT`].
static POWERS: [u32; 256] = {
    let mut table = [1; 256];
    let mut i = 1;
    while i < 256 {
        table[i] = table[i - 1] * ROOT % PRIME;
        i += 1;
    }
    table
};

/// Rotations of the four rounds: step `i` uses those at `i` and `i + 1`, modulo 4.
const ROTATIONS: [[u32; 4]; 4] =
    [[3, 23, 17, 27], [28, 19, 22, 7], [29, 9, 15, 5], [4, 13, 10, 25]];

/// Which row of the expanded message each step takes.
const ROWS: [usize; 32] = [
    4, 6, 0, 2, 7, 5, 3, 1, 15, 11, 12, 8, 9, 13, 10, 14, 17, 18, 23, 20, 22, 21, 16, 19, 30, 24,
    25, 31, 27, 29, 28, 26,
];

/// With which word of A a lane is coupled in step `i` modulo 7: the lane's number, and this.
const COUPLINGS: [usize; 7] = [1, 6, 2, 3, 5, 7, 4];

/// The Fourier transform of 256 numbers, modulo [`PRIME`].
fn transform(input: &[u32; 256]) -> [u32; 256] {
    let mut y: [u32; 256] = std::array::from_fn(|i| input[usize::from((i as u8).reverse_bits())]);
    for half in [1, 2, 4, 8, 16, 32, 64, 128] {
        for group in y.chunks_exact_mut(2 * half) {
            let (low, high) = group.split_at_mut(half);
            for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                let turned = *b * POWERS[k * (128 / half)] % PRIME;
                (*a, *b) = ((*a + turned) % PRIME, (*a + PRIME - turned) % PRIME);
            }
        }
    }
    y
}

/// The message expansion: transform, then stretch each number by a factor that spreads its bits.
fn expand(block: &[u8; 128], is_last: bool) -> Expanded {
    let mut input: [u32; 256] =
        std::array::from_fn(|i| block.get(i).map_or(0, |&byte| u32::from(byte)));
    // Without these a block of zeros would expand to zeros; the second tells the last block.
    input[255] = 1;
    input[253] = u32::from(is_last);
    let y = transform(&input);
    let stretched = |i: usize, factor: i32| {
        let centred = if y[i] > PRIME / 2 { y[i] as i32 - PRIME as i32 } else { y[i] as i32 };
        u32::from((centred * factor) as i16 as u16)
    };
    std::array::from_fn(|step| {
        let row = ROWS[step];
        std::array::from_fn(|lane| {
            let i = 16 * row + 2 * lane;
            let (low, high, factor) = match row {
                0..16 => (i, i + 1, 185),
                16..24 => (i - 256, i - 128, 233),
                _ => (i - 383, i - 255, 233),
            };
            stretched(low, factor) | stretched(high, factor) << 16
        })
    })
}

/// Picks bits of `b` where those of `a` are set, of `c` elsewhere.
fn choose(a: u32, b: u32, c: u32) -> u32 {
    (a & b) | (!a & c)
}

/// The bits that two or three have set.
fn majority(a: u32, b: u32, c: u32) -> u32 {
    (a & b) | (a & c) | (b & c)
}

/// Step `number` of a block: eight Feistel networks side by side, each coupled with another one.
fn step(
    [a, b, c, d]: State,
    added: &Register,
    number: usize,
    mix: fn(u32, u32, u32) -> u32,
    [first, second]: [u32; 2],
) -> State {
    let turned = a.map(|word| word.rotate_left(first));
    let coupling = COUPLINGS[number % 7];
    let next = std::array::from_fn(|i| {
        d[i].wrapping_add(added[i])
            .wrapping_add(mix(a[i], b[i], c[i]))
            .rotate_left(second)
            .wrapping_add(turned[i ^ coupling])
    });
    [next, turned, b, c]
}

/// The compression function: the next chain value.
fn compress(chain: &State, block: &[u8; 128], is_last: bool) -> State {
    let expanded = expand(block, is_last);
    let message: [u32; 32] = u32_le(block);
    let mut state: State =
        std::array::from_fn(|r| std::array::from_fn(|i| chain[r][i] ^ message[8 * r + i]));
    for (number, added) in expanded.iter().enumerate() {
        let rotations = ROTATIONS[number / 8];
        let pair = [rotations[number % 4], rotations[(number + 1) % 4]];
        let mix = if number % 8 < 4 { choose } else { majority };
        state = step(state, added, number, mix, pair);
    }
    // Four steps more take in the chain once again.
    for (i, added) in chain.iter().enumerate() {
        let rotations = ROTATIONS[3];
        let pair = [rotations[i], rotations[(i + 1) % 4]];
        state = step(state, added, 32 + i, choose, pair);
    }
    state
}

/// The hash of a 64-byte message: a block of it and zeros, then a block with its length in bits.
pub(super) fn hash64(input: &[u8; 64]) -> [u8; 64] {
    let mut block = [0; 128];
    block[..64].copy_from_slice(input);
    let mut last = [0; 128];
    last[..8].copy_from_slice(&512u64.to_le_bytes());
    let state = compress(&compress(&START, &block, false), &last, true);
    bytes_of_u32(state.as_flattened())
}
