//! ECHO-512, with a salt of zero.
//!
//! Source: Benadjila, Billet, Gilbert, Macario-Rat, Peyrin, Robshaw, Seurin, "SHA-3 Proposal:
//! ECHO", 2009.

use super::aes::{Columns, round, xor};
use super::words::{bytes_of_u32, u32_le};

/// Rounds over the whole state.
const ROUNDS: usize = 10;
/// Length of the message, in bits; of the hash as well.
const BITS: u32 = 512;

/// The state: a 4 by 4 matrix of AES states, column by column.
type State = [Columns; 16];

/// Twice each byte of `x` in the field of AES.
fn double(x: u32) -> u32 {
    let carries = (x >> 7) & 0x0101_0101;
    ((x & 0x7f7f_7f7f) << 1) ^ (carries * 0x1b)
}

/// The MixColumns of AES over four big words, byte by byte.
fn mix(column: &mut [Columns]) {
    for i in 0..4 {
        let old: Columns = std::array::from_fn(|row| column[row][i]);
        let all = old[0] ^ old[1] ^ old[2] ^ old[3];
        for (row, big) in column.iter_mut().enumerate() {
            big[i] = old[row] ^ all ^ double(old[row] ^ old[(row + 1) % 4]);
        }
    }
}

/// The hash of a 64-byte message, which makes one padded block.
pub(super) fn hash64(input: &[u8; 64]) -> [u8; 64] {
    let mut block = [0; 128];
    block[..64].copy_from_slice(input);
    block[64] = 0x80;
    block[110..112].copy_from_slice(&(BITS as u16).to_le_bytes());
    block[112..].copy_from_slice(&u128::from(BITS).to_le_bytes());

    // Eight words of chain, which start as the size of the hash, and eight of message.
    let start: State =
        std::array::from_fn(
            |i| {
                if i < 8 { [BITS, 0, 0, 0] } else { u32_le(&block[16 * (i - 8)..]) }
            },
        );
    let mut state = start;
    let mut counter = BITS;
    for _ in 0..ROUNDS {
        for word in &mut state {
            // The second round's key would be the salt.
            *word = round(xor(round(*word), [counter, 0, 0, 0]));
            counter += 1;
        }
        // Row r moves r columns to the left.
        state = std::array::from_fn(|i| state[(i + 4 * (i % 4)) % 16]);
        state.chunks_exact_mut(4).for_each(mix);
    }
    let sum = |i: usize| xor(xor(start[i], start[i + 8]), xor(state[i], state[i + 8]));
    bytes_of_u32([sum(0), sum(1), sum(2), sum(3)].as_flattened())
}
