//! Blue Midnight Wish, 512 bits, as tweaked for the second round of the contest.
//!
//! Source: Gligoroski, Klima, Knapskog, El-Hadedy, Amundsen, Mjolsnes, "Cryptographic Hash
//! Function Blue Midnight Wish", 2009.

use super::words::{bytes_of_u64, u64_le};

/// How the mixing functions s0 to s3 shift (right, left) and rotate (left, twice).
const SHIFTS: [(u32, u32, u32, u32); 4] =
    [(1, 3, 4, 37), (1, 2, 13, 43), (2, 1, 19, 53), (2, 2, 28, 59)];

/// How far words 1, 3 .. 13 of the window are rotated in the cheap kind of expansion.
const ROTATIONS: [u32; 7] = [5, 11, 27, 32, 37, 43, 53];

/// The five words that each word of the first step adds (true) or takes away (false).
const TERMS: [[(usize, bool); 5]; 16] = [
    [(5, true), (7, false), (10, true), (13, true), (14, true)],
    [(6, true), (8, false), (11, true), (14, true), (15, false)],
    [(0, true), (7, true), (9, true), (12, false), (15, true)],
    [(0, true), (1, false), (8, true), (10, false), (13, true)],
    [(1, true), (2, true), (9, true), (11, false), (14, false)],
    [(3, true), (2, false), (10, true), (12, false), (15, true)],
    [(4, true), (0, false), (3, false), (11, false), (13, true)],
    [(1, true), (4, false), (5, false), (12, false), (14, false)],
    [(2, true), (5, false), (6, false), (13, true), (15, false)],
    [(0, true), (3, false), (6, true), (7, false), (14, true)],
    [(8, true), (1, false), (4, false), (7, false), (15, true)],
    [(8, true), (0, false), (2, false), (5, false), (9, true)],
    [(1, true), (3, true), (6, false), (9, false), (10, true)],
    [(2, true), (4, true), (7, true), (10, true), (11, true)],
    [(3, true), (5, false), (8, true), (11, false), (12, false)],
    [(12, true), (4, false), (6, false), (9, false), (13, true)],
];

/// Shifts of the high sum and of word `16 + i` as they enter word `i` of the result; to the left
/// where positive.
const FOLDS: [(i32, i32); 8] =
    [(5, -5), (-7, 8), (-5, 5), (-1, 5), (-3, 0), (6, -6), (-4, 6), (-11, 2)];

/// Shift of the low sum as it enters word `8 + i` of the result; to the left where positive.
const LATE_FOLDS: [i32; 8] = [8, -6, 6, 4, -3, -4, -7, -2];

/// `x` shifted to the left where `by` is positive, to the right where it is negative.
fn shift(x: u64, by: i32) -> u64 {
    if by < 0 { x >> by.unsigned_abs() } else { x << by.unsigned_abs() }
}

/// The mixing functions s0 to s5 of the specification.
fn mix(kind: usize, x: u64) -> u64 {
    match kind {
        4 => (x >> 1) ^ x,
        5 => (x >> 2) ^ x,
        _ => {
            let (right, left, first, second) = SHIFTS[kind];
            (x >> right) ^ (x << left) ^ x.rotate_left(first) ^ x.rotate_left(second)
        }
    }
}

/// What the message and the chain add to word `16 + i` of the quadruple pipe.
fn add_element(message: &[u64; 16], chain: &[u64; 16], i: usize) -> u64 {
    let turned = |k: usize| message[k % 16].rotate_left((k % 16) as u32 + 1);
    let step = (i as u64 + 16).wrapping_mul(0x0555_5555_5555_5555);
    let sum = turned(i).wrapping_add(turned(i + 3)).wrapping_sub(turned(i + 10)).wrapping_add(step);
    sum ^ chain[(i + 7) % 16]
}

/// Word `16 + i` of the quadruple pipe, from the 16 words before it: the first two words are
/// made with all the mixing functions, the rest mostly with rotations.
fn expand(window: &[u64], i: usize) -> u64 {
    let mixed = |(k, &word): (usize, &u64)| match (i, k) {
        (0 | 1, _) => mix((k + 1) % 4, word),
        (_, 14) => mix(4, word),
        (_, 15) => mix(5, word),
        (_, k) if k % 2 == 1 => word.rotate_left(ROTATIONS[k / 2]),
        _ => word,
    };
    window.iter().enumerate().map(mixed).fold(0, u64::wrapping_add)
}

/// The compression function: the next chain value.
fn compress(message: &[u64; 16], chain: &[u64; 16]) -> [u64; 16] {
    let mut q = [0u64; 32];
    for (i, terms) in TERMS.iter().enumerate() {
        let sum = terms.iter().fold(0u64, |sum, &(k, plus)| {
            let term = message[k] ^ chain[k];
            if plus { sum.wrapping_add(term) } else { sum.wrapping_sub(term) }
        });
        q[i] = mix(i % 5, sum).wrapping_add(chain[(i + 1) % 16]);
    }
    for i in 0..16 {
        q[16 + i] = expand(&q[i..16 + i], i).wrapping_add(add_element(message, chain, i));
    }
    let low = q[16..24].iter().fold(0, |sum, word| sum ^ word);
    let high = q[24..].iter().fold(low, |sum, word| sum ^ word);
    let mut next = [0u64; 16];
    for i in 0..8 {
        let (of_high, of_word) = FOLDS[i];
        next[i] = (shift(high, of_high) ^ shift(q[16 + i], of_word) ^ message[i])
            .wrapping_add(low ^ q[24 + i] ^ q[i]);
    }
    for i in 0..8 {
        next[8 + i] = next[(i + 4) % 8]
            .rotate_left(i as u32 + 9)
            .wrapping_add(high ^ q[24 + i] ^ message[8 + i])
            .wrapping_add(shift(low, LATE_FOLDS[i]) ^ q[16 + (i + 7) % 8] ^ q[8 + i]);
    }
    next
}

/// The hash of a 64-byte message: one padded block, then the chain itself as a last one.
pub(super) fn hash64(input: &[u8; 64]) -> [u8; 64] {
    let start: [u64; 16] =
        std::array::from_fn(|i| 0x8081_8283_8485_8687 + 0x0808_0808_0808_0808 * i as u64);
    let mut block = [0; 16];
    block[..8].copy_from_slice(&u64_le::<8>(input));
    block[8] = 0x80;
    block[15] = 512;
    let last = std::array::from_fn(|i| 0xaaaa_aaaa_aaaa_aaa0 + i as u64);
    bytes_of_u64(&compress(&compress(&block, &start), &last)[8..])
}
