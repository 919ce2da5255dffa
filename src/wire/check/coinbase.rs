//! Reads what a coinbase says, and a HogEx.

use crate::wire::cursor::Cursor;

/// Stands before the 32 bytes of a witness commitment in an output's script (BIP 141).
const COMMITMENT_FRONT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// What a coinbase says. Borrows its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coinbase<'a> {
    /// Its input's script.
    pub(super) script: &'a [u8],
    /// The height at the front of the script (BIP 34).
    pub(super) height: Option<u32>,
    /// The last witness commitment among its outputs.
    pub(super) commitment: Option<&'a [u8; 32]>,
    /// Its witness, if that is one item of 32 bytes.
    pub(super) witness_nonce: Option<&'a [u8; 32]>,
    /// What follows its lock time.
    payload: &'a [u8],
}

impl<'a> Coinbase<'a> {
    /// Reads a whole transaction of one input that has been walked before.
    pub(super) fn parse(transaction: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(transaction);
        cursor.take(4)?;
        let flags = match cursor.rest() {
            [0, flags, ..] => cursor.take(2).map(|_| *flags)?,
            _ => 0,
        };
        cursor.compact_size()?;
        cursor.take(36)?;
        let script = cursor.bytes(transaction.len())?;
        cursor.take(4)?;
        let mut commitment = None;
        for _ in 0..cursor.compact_size()? {
            cursor.take(8)?;
            let output = cursor.bytes(transaction.len())?;
            let behind = output.strip_prefix(&COMMITMENT_FRONT[..]);
            commitment = behind.and_then(|hash| hash.first_chunk()).or(commitment);
        }
        let mut witness_nonce = None;
        if flags & 1 != 0 {
            let items = cursor.compact_size()?;
            for _ in 0..items {
                let item = cursor.bytes(transaction.len())?;
                witness_nonce = item.try_into().ok().filter(|_| items == 1);
            }
        }
        if flags & 8 != 0 {
            cursor.take(1)?;
        }
        cursor.take(4)?;
        let (payload, height) = (cursor.rest(), script_height(script));
        Some(Self { script, height, commitment, witness_nonce, payload })
    }

    /// The height in the payload of a typed coinbase.
    ///
    /// # Shape
    ///
    /// `length [compact] · version [u16 LE] · height [i32 LE] · …`
    pub(super) fn payload_height(&self) -> Option<u32> {
        let mut cursor = Cursor::new(self.payload);
        let payload = cursor.bytes(self.payload.len()).filter(|_| cursor.is_empty())?;
        let mut cursor = Cursor::new(payload);
        cursor.take(2)?;
        cursor.i32().and_then(|height| u32::try_from(height).ok())
    }
}

/// The script of the first output of a HogEx that has been walked before.
pub(super) fn hogex_script(transaction: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(transaction);
    // Version, marker and flags.
    cursor.take(6)?;
    for _ in 0..cursor.compact_size()? {
        cursor.take(36)?;
        cursor.bytes(transaction.len())?;
        cursor.take(4)?;
    }
    cursor.compact_size()?;
    cursor.take(8)?;
    cursor.bytes(transaction.len())
}

/// The height that a coinbase's script starts with: a small-number opcode, or a push of up to
/// four bytes, little-endian, not negative.
fn script_height(script: &[u8]) -> Option<u32> {
    let mut cursor = Cursor::new(script);
    match cursor.u8()? {
        0 => Some(0),
        small @ 0x51..=0x60 => Some(u32::from(small) - 0x50),
        length @ 1..=4 => {
            let digits = cursor.take(usize::from(length))?;
            let value = digits.iter().rev().fold(0, |sum, digit| sum << 8 | u32::from(*digit));
            digits.last().filter(|last| **last & 0x80 == 0).map(|_| value)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_are_read_as_nodes_write_them() {
        let cases: [(&[u8], Option<u32>); 8] = [
            (&[0x51, 0], Some(1)),
            (&[0x60, 0], Some(16)),
            (&[1, 17, 0], Some(17)),
            (&[2, 0x80, 0, 0], Some(128)),
            (&[3, 0x40, 0x74, 0x22, 9], Some(2_257_984)),
            (&[3, 0x40, 0x74, 0xa2], None),
            (&[3, 0x40, 0x74], None),
            (&[5, 1, 2, 3, 4, 5], None),
        ];
        for (script, height) in cases {
            assert_eq!(script_height(script), height, "{script:02x?}");
        }
    }
}
