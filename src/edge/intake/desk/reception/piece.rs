//! Bytes of a block as an intake has them.

use bytes::BytesMut;

use super::ReceptionError;
use crate::edge::intake::desk::Draft;

/// One piece.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    Raw(&'a [u8]),
    /// Digits, an even number of them.
    Hex(&'a [u8]),
}

impl Piece<'_> {
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
                if faster_hex::hex_decode(digits, place).is_err() {
                    bytes.truncate(start);
                    return Err(ReceptionError::NotHex);
                }
            }
        }
        Ok(())
    }

    pub(super) fn write_to(&self, draft: &mut dyn Draft) -> Result<(), String> {
        match self {
            Self::Raw(raw) => draft.push(raw),
            Self::Hex(digits) => draft.push_hex(digits),
        }
    }
}
