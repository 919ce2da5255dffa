//! Bytes of a block as an intake has them.

use bytes::BytesMut;

use super::ReceptionError;
use crate::limits::RECEPTION_WALK_BYTES;
use crate::wire::hash::unhex;

/// One piece.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    Raw(&'a [u8]),
    /// Digits, an even number of them.
    Hex(&'a [u8]),
}

impl<'a> Piece<'a> {
    /// Cut into parts that one side can work on while the other has the next.
    pub(super) fn parts(self) -> impl Iterator<Item = Piece<'a>> {
        let (raw, digits): (&[u8], &[u8]) = match self {
            Self::Raw(raw) => (raw, &[]),
            Self::Hex(digits) => (&[], digits),
        };
        let raw = raw.chunks(RECEPTION_WALK_BYTES).map(Piece::Raw);
        raw.chain(digits.chunks(2 * RECEPTION_WALK_BYTES).map(Piece::Hex))
    }

    /// Length in bytes of the block.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Raw(raw) => raw.len(),
            Self::Hex(digits) => digits.len() / 2,
        }
    }

    pub(super) fn append_to(&self, bytes: &mut BytesMut) -> Result<(), ReceptionError> {
        match self {
            Self::Raw(raw) => bytes.extend_from_slice(raw),
            Self::Hex(digits) => {
                let start = bytes.len();
                bytes.resize(start + digits.len() / 2, 0);
                let place = bytes.get_mut(start..).unwrap_or_default();
                if unhex(digits, place).is_none() {
                    bytes.truncate(start);
                    return Err(ReceptionError::NotHex);
                }
            }
        }
        Ok(())
    }
}
