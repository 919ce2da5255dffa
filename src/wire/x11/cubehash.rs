//! CubeHash16/32-512: 16 rounds for each 32-byte block.
//!
//! Source: Bernstein, "CubeHash specification (2.B.1)", 2009.

use super::words::{bytes_of_u32, u32_le};

/// Rounds behind each block.
const ROUNDS: u32 = 16;
/// Rounds before the first block, and after the last.
const ROUNDS_OUTER: u32 = 10 * ROUNDS;

/// The state before the first block: the parameters (64 bytes of hash, 32 of block, 16 rounds)
/// and the outer rounds.
static START: [u32; 32] = {
    let mut state = [0; 32];
    state[0] = 64;
    state[1] = 32;
    state[2] = ROUNDS;
    rounds(state, ROUNDS_OUTER)
};

/// Half a round: adds the low half of the state to the high one, rotates and swaps the words of
/// the low half, sums the high half into it, and swaps the words of the high half. Two words are
/// swapped when their numbers differ in the bit `swap_low` or `swap_high`.
const fn half(x: [u32; 32], rotation: u32, swap_low: usize, swap_high: usize) -> [u32; 32] {
    let mut next = [0; 32];
    let mut i = 0;
    while i < 16 {
        let high = x[16 + i].wrapping_add(x[i]);
        next[16 + (i ^ swap_high)] = high;
        next[i] = x[i ^ swap_low].rotate_left(rotation) ^ high;
        i += 1;
    }
    next
}

/// `count` rounds.
const fn rounds(mut state: [u32; 32], count: u32) -> [u32; 32] {
    let mut done = 0;
    while done < count {
        state = half(half(state, 7, 8, 2), 11, 4, 1);
        done += 1;
    }
    state
}

/// The hash of a 64-byte message: two blocks, a block of padding, and the outer rounds.
pub(super) fn hash64(input: &[u8; 64]) -> [u8; 64] {
    let mut state = START;
    let mut padding = [0; 32];
    padding[0] = 0x80;
    for block in [&input[..32], &input[32..], &padding] {
        for (word, message) in state.iter_mut().zip(u32_le::<8>(block)) {
            *word ^= message;
        }
        state = rounds(state, ROUNDS);
    }
    state[31] ^= 1;
    bytes_of_u32(&rounds(state, ROUNDS_OUTER))
}
