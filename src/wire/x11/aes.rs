//! One round of AES with a key of zero, which two of the hashes are made of.
//!
//! By table, so its time depends on the data: what is hashed here is public.

/// Four columns of an AES state; row 0 is the lowest byte.
pub(super) type Columns = [u32; 4];

/// Twice `x` in the field of AES.
const fn double(x: u8) -> u8 {
    (x << 1) ^ (0x1b * (x >> 7))
}

/// The substitution box. Every element but zero is a power of 3; walking up the powers of 3 and
/// down those of its inverse in step gives each one together with its own inverse.
const SUBSTITUTION: [u8; 256] = {
    let mut table = [0x63; 256];
    let (mut element, mut inverse) = (1u8, 1u8);
    loop {
        element ^= double(element);
        inverse ^= inverse << 1;
        inverse ^= inverse << 2;
        inverse ^= inverse << 4;
        inverse ^= 0x09 * (inverse >> 7);
        table[element as usize] = 0x63
            ^ inverse
            ^ inverse.rotate_left(1)
            ^ inverse.rotate_left(2)
            ^ inverse.rotate_left(3)
            ^ inverse.rotate_left(4);
        if element == 1 {
            break table;
        }
    }
};

/// What a byte in row 0 adds to its column once it is substituted and mixed. A byte in row `r`
/// adds the same, rotated by `r` bytes.
static MIXED: [u32; 256] = {
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        let once = SUBSTITUTION[x];
        let twice = double(once);
        table[x] = u32::from_le_bytes([twice, once, once, twice ^ once]);
        x += 1;
    }
    table
};

/// SubBytes, ShiftRows and MixColumns.
///
/// Source: FIPS 197, section 5.1.
pub(super) fn round(state: Columns) -> Columns {
    let byte = |column: usize, row: usize| (state[(column + row) % 4] >> (8 * row)) as u8;
    std::array::from_fn(|column| {
        MIXED[usize::from(byte(column, 0))]
            ^ MIXED[usize::from(byte(column, 1))].rotate_left(8)
            ^ MIXED[usize::from(byte(column, 2))].rotate_left(16)
            ^ MIXED[usize::from(byte(column, 3))].rotate_left(24)
    })
}

/// The bitwise sum of two states, or of a state and a key.
pub(super) fn xor(a: Columns, b: Columns) -> Columns {
    std::array::from_fn(|i| a[i] ^ b[i])
}
