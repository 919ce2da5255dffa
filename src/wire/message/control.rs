//! Small messages of fixed fields: ping, pong, sendcmpct, feefilter, reject.

use super::{MessageError, sanitised};
use crate::wire::cursor::Cursor;

/// Longest text in a `reject` that nodes write, in bytes (`net_processing.cpp`).
const REJECT_TEXT_BYTES_MAX: usize = 111;

/// The payload of a `ping`, and of the `pong` that answers it.
#[must_use]
pub const fn encode_nonce(nonce: u64) -> [u8; 8] {
    nonce.to_le_bytes()
}

/// The nonce of a `ping` or `pong`. BIP 31; bytes behind it are ignored, as nodes do.
#[must_use]
pub fn nonce(payload: &[u8]) -> Option<u64> {
    Cursor::new(payload).u64()
}

/// The payload of a `feefilter`, in the coin's smallest units per 1,000 bytes (BIP 133).
#[must_use]
pub const fn encode_fee_filter(rate: u64) -> [u8; 8] {
    rate.to_le_bytes()
}

/// The rate in a `feefilter`.
#[must_use]
pub fn fee_filter(payload: &[u8]) -> Option<u64> {
    Cursor::new(payload).u64()
}

/// `sendcmpct` (BIP 152).
///
/// # Shape
///
/// `announce [u8] · version [u64 LE]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendCompact {
    /// Whether the sender wants new blocks as unasked `cmpctblock`s.
    pub announce: bool,
    /// Which version of compact blocks.
    pub version: u64,
}

impl SendCompact {
    /// The payload.
    #[must_use]
    pub fn encode(self) -> [u8; 9] {
        let [v0, v1, v2, v3, v4, v5, v6, v7] = self.version.to_le_bytes();
        [u8::from(self.announce), v0, v1, v2, v3, v4, v5, v6, v7]
    }

    /// Reads the payload; any first byte but zero is a yes.
    ///
    /// # Errors
    /// It is too short.
    pub fn decode(payload: &[u8]) -> Result<Self, MessageError> {
        let mut cursor = Cursor::new(payload);
        let (announce, version) = (cursor.u8(), cursor.u64());
        announce
            .zip(version)
            .map(|(announce, version)| Self { announce: announce != 0, version })
            .ok_or(MessageError::Malformed("sendcmpct"))
    }
}

/// `reject` (BIP 61): why a peer did not like what we sent.
///
/// # Shape
///
/// `message [varstr] · code [u8] · reason [varstr] · hash [32, only for blocks and transactions]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Name of the message refused, made printable.
    pub message: String,
    /// 0x01 malformed, 0x10 invalid, 0x11 obsolete, 0x12 duplicate, 0x40 nonstandard.
    pub code: u8,
    /// The node's word for it, made printable.
    pub reason: String,
    /// What was refused, in wire order.
    pub hash: Option<[u8; 32]>,
}

impl Reject {
    /// Reads the payload.
    ///
    /// # Errors
    /// A field is missing, or a text is longer than nodes write.
    pub fn decode(payload: &[u8]) -> Result<Self, MessageError> {
        let malformed = MessageError::Malformed("reject");
        let mut cursor = Cursor::new(payload);
        let message = cursor.bytes(12).ok_or(malformed)?;
        let code = cursor.u8().ok_or(malformed)?;
        let reason = cursor.bytes(REJECT_TEXT_BYTES_MAX).ok_or(malformed)?;
        let hash = cursor.array().copied();
        Ok(Self { message: sanitised(message), code, reason: sanitised(reason), hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sendcmpct_reads_back() {
        let sent = SendCompact { announce: true, version: 3 };
        assert_eq!(SendCompact::decode(&sent.encode()), Ok(sent));
        assert_eq!(
            SendCompact::decode(&[9, 2, 0, 0, 0, 0, 0, 0, 0]).map(|it| it.announce),
            Ok(true)
        );
        assert!(SendCompact::decode(&sent.encode()[..8]).is_err());
        assert_eq!((nonce(&encode_nonce(7)), nonce(&[0; 7])), (Some(7), None));
        assert_eq!(fee_filter(&encode_fee_filter(1000)), Some(1000));
    }

    #[test]
    fn a_reject_is_read_and_cleaned() {
        let payload = [&b"\x05block\x10\x09high-h\x1bsh"[..], &[3; 32]].concat();
        let read = Reject::decode(&payload).expect("whole");
        assert_eq!((read.message.as_str(), read.code), ("block", 0x10));
        assert_eq!((read.reason.as_str(), read.hash), ("high-hsh", Some([3; 32])));
        assert_eq!(Reject::decode(&payload[..17]).map(|read| read.hash), Ok(None));
        assert!(Reject::decode(&payload[..12]).is_err());
        assert!(Reject::decode(b"\x0dthirteenbytes\x10\x00").is_err());
    }
}
