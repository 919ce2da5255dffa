//! Finds the end of a MWEB extension block.
//!
//! What is checked: that the fields of header, inputs, outputs and kernels stand one behind the
//! other and end where the block ends. `check` goes on to compare the header's height, and its hash
//! with the one in the HogEx. What is not: whether the header's roots are those of inputs, outputs
//! and kernels, and any signature, proof, sum or order; these are the node's business, and the
//! bytes come from its template.
//!
//! Source: `libmw/include/mw/models/block/Header.h`, `models/tx/{TxBody,Input,Output,Kernel}.h`.

use std::ops::Range;

use super::BlockError;
use crate::wire::cursor::Cursor;

/// Five hashes: roots of outputs, kernels and leaf set; kernel and stealth offset.
const HEADER_HASHES_BYTES: usize = 5 * 32;
/// Output id, commitment, output key.
const INPUT_FRONT_BYTES: usize = 32 + 33 + 33;
/// A compressed public key or a commitment.
const KEY_BYTES: usize = 33;
/// A Schnorr signature.
const SIGNATURE_BYTES: usize = 64;
/// Commitment, sender's and receiver's key.
const OUTPUT_FRONT_BYTES: usize = 3 * 33;
/// Key exchange key, view tag, masked value and nonce.
const STANDARD_BYTES: usize = 33 + 1 + 8 + 16;
/// A range proof.
const PROOF_BYTES: usize = 675;
/// Longest field of extra data or script that is read, in bytes.
const DATA_BYTES_MAX: usize = 4_000_000;

/// An extension block, found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    /// From the marker to the end of the block.
    pub(super) range: Range<u32>,
    /// The height in its header.
    pub(super) height: u64,
    /// BLAKE3 of its header.
    pub(super) hash: [u8; 32],
}

/// Reads the extension block whose marker is at `at` and which must end where `all` does.
pub(super) fn walk(all: &[u8], at: usize) -> Result<Extension, BlockError> {
    let tail = all.get(at..).unwrap_or_default();
    let mut cursor = Cursor::new(tail);
    if cursor.u8() != Some(1) {
        return Err(BlockError::Malformed { what: "extension marker", at: at as u32 });
    }
    let start = cursor.rest();
    let height = number(&mut cursor);
    let whole = height.and_then(|height| {
        header(&mut cursor)?;
        let header = start.get(..start.len() - cursor.rest().len())?;
        list(&mut cursor, input)?;
        list(&mut cursor, output)?;
        list(&mut cursor, kernel)?;
        Some((height, blake3::hash(header).into()))
    });
    let Some((height, hash)) = whole else {
        return Err(BlockError::Malformed { what: "extension block", at: at as u32 });
    };
    match cursor.rest().len() {
        0 => Ok(Extension { range: at as u32..all.len() as u32, height, hash }),
        more => Err(BlockError::Trailing { bytes: more as u32 }),
    }
}

/// What follows the height: hashes, sizes of the output and the kernel MMR.
fn header(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.take(HEADER_HASHES_BYTES)?;
    number(cursor)?;
    number(cursor).map(drop)
}

/// A counted list, each entry read by `entry`.
fn list(cursor: &mut Cursor<'_>, entry: fn(&mut Cursor<'_>) -> Option<()>) -> Option<()> {
    let count = cursor.compact_size()?;
    (0..count).try_for_each(|_| entry(cursor))
}

fn input(cursor: &mut Cursor<'_>) -> Option<()> {
    let features = cursor.u8()?;
    cursor.take(INPUT_FRONT_BYTES)?;
    if features & 1 != 0 {
        cursor.take(KEY_BYTES)?;
    }
    if features & 2 != 0 {
        cursor.bytes(DATA_BYTES_MAX)?;
    }
    cursor.take(SIGNATURE_BYTES).map(drop)
}

fn output(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.take(OUTPUT_FRONT_BYTES)?;
    let features = cursor.u8()?;
    if features & 1 != 0 {
        cursor.take(STANDARD_BYTES)?;
    }
    if features & 2 != 0 {
        cursor.bytes(DATA_BYTES_MAX)?;
    }
    cursor.take(PROOF_BYTES)?;
    cursor.take(SIGNATURE_BYTES).map(drop)
}

fn kernel(cursor: &mut Cursor<'_>) -> Option<()> {
    let features = cursor.u8()?;
    if features & 1 != 0 {
        number(cursor)?; // fee
    }
    if features & 2 != 0 {
        number(cursor)?; // amount pegged in
    }
    if features & 4 != 0 {
        list(cursor, peg_out)?;
    }
    if features & 8 != 0 {
        number(cursor)?; // lock height
    }
    if features & 16 != 0 {
        cursor.take(KEY_BYTES)?; // stealth excess
    }
    if features & 32 != 0 {
        cursor.bytes(DATA_BYTES_MAX)?;
    }
    cursor.take(KEY_BYTES)?;
    cursor.take(SIGNATURE_BYTES).map(drop)
}

fn peg_out(cursor: &mut Cursor<'_>) -> Option<()> {
    number(cursor)?;
    cursor.bytes(DATA_BYTES_MAX).map(drop)
}

/// A number in groups of seven bits, highest first, each further group counted from one
/// (`serialize.h`, `VARINT`).
fn number(cursor: &mut Cursor<'_>) -> Option<u64> {
    let mut value: u64 = 0;
    loop {
        let byte = cursor.u8()?;
        value = value.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        value = value.checked_add(1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number as `VARINT` writes it.
    fn push_number(out: &mut Vec<u8>, mut value: u64) {
        let mut groups = vec![value as u8 & 0x7f];
        while value > 0x7f {
            value = (value >> 7) - 1;
            groups.push(value as u8 & 0x7f | 0x80);
        }
        out.extend(groups.iter().rev());
    }

    #[test]
    fn numbers_read_back() {
        for value in [0, 127, 128, 255, 256, 16383, 16384, 65535, 1 << 32, u64::MAX] {
            let mut bytes = Vec::new();
            push_number(&mut bytes, value);
            assert_eq!(number(&mut Cursor::new(&bytes)), Some(value));
            assert_eq!(number(&mut Cursor::new(&bytes[1..])).is_none(), bytes.len() == 1);
        }
        assert_eq!(number(&mut Cursor::new(&[0xff; 11])), None);
    }

    /// `built_by_rules`: an extension block with one entry of every kind and feature.
    fn built_by_rules() -> Vec<u8> {
        let mut out = vec![9, 9, 1];
        push_number(&mut out, 2_300_000);
        out.extend([7; HEADER_HASHES_BYTES]);
        push_number(&mut out, 1_000_000);
        push_number(&mut out, 3);
        out.push(2); // inputs
        out.extend([[0].as_slice(), &[7; INPUT_FRONT_BYTES], &[7; SIGNATURE_BYTES]].concat());
        let data = [3, 1, 2, 3];
        let key = [7; KEY_BYTES];
        let front = [7; INPUT_FRONT_BYTES];
        out.extend([[3].as_slice(), &front, &key, &data, &[7; SIGNATURE_BYTES]].concat());
        out.push(2); // outputs
        let proof = [7; PROOF_BYTES + SIGNATURE_BYTES];
        out.extend([[7; OUTPUT_FRONT_BYTES].as_slice(), &[0], &proof].concat());
        let standard = [7; STANDARD_BYTES];
        out.extend([[7; OUTPUT_FRONT_BYTES].as_slice(), &[3], &standard, &data, &proof].concat());
        out.push(2); // kernels
        let end = [7; KEY_BYTES + SIGNATURE_BYTES];
        out.extend([[0].as_slice(), &end].concat());
        // All features: fee, peg-in, one peg-out, height, stealth excess, data.
        out.extend([[63, 5, 6, 1, 7].as_slice(), &data, &[8], &key, &data, &end].concat());
        out
    }

    #[test]
    fn its_end_is_found_and_no_other() {
        let bytes = built_by_rules();
        let found = walk(&bytes, 2).expect("by the rules");
        assert_eq!((found.range, found.height), (2..bytes.len() as u32, 2_300_000));
        for cut in 2..bytes.len() {
            assert!(matches!(walk(&bytes[..cut], 2), Err(BlockError::Malformed { .. })), "{cut}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(walk(&longer, 2), Err(BlockError::Trailing { bytes: 1 }));
        let hostile = [&[1][..], &[0; 163], &[0xfe, 0xff, 0xff, 0xff, 0x01]].concat();
        assert!(walk(&hostile, 0).is_err(), "a count without entries");
    }
}
