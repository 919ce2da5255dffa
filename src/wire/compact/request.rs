//! Reads `getblocktxn`: which transactions of a compact block a peer lacks.

use thiserror::Error;

use super::INDEX_MAX;
use crate::wire::cursor::{Cursor, push_compact_size};

/// Why a request can't be met. Nodes call such a request misbehaving; what we make of it is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// It ends too early, or names places over 16 bits.
    #[error("a peer's request for transactions is malformed: ignore it")]
    Malformed,
    /// It names a place that the block does not have.
    #[error("a peer asks for transaction {index} of a block of {transactions}: ignore it")]
    OutOfRange {
        /// The place asked for, from zero.
        index: u32,
        /// How many the block has.
        transactions: u32,
    },
}

/// `getblocktxn`, read and found well formed. Borrows the payload.
///
/// # Shape
///
/// `hash [32] · count [compact] · count × step [compact]`, a step being the distance from the place
/// behind the one before
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionsRequest<'a> {
    hash: &'a [u8; 32],
    count: u32,
    steps: &'a [u8],
    /// The last place asked for; `None` where nothing is.
    last: Option<u32>,
}

impl<'a> TransactionsRequest<'a> {
    /// Reads a whole payload. Bytes behind its end are ignored, as nodes do.
    ///
    /// # Errors
    /// [`RequestError::Malformed`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, RequestError> {
        let mut cursor = Cursor::new(payload);
        let hash = cursor.array().ok_or(RequestError::Malformed)?;
        let count = cursor.compact_size().filter(|count| *count <= INDEX_MAX + 1);
        let count = count.ok_or(RequestError::Malformed)?;
        let steps = cursor.rest();
        let mut indexes = Indexes { cursor, left: count as u32, next: 0 };
        let mut last = None;
        for _ in 0..count {
            last = Some(indexes.next().ok_or(RequestError::Malformed)?);
        }
        Ok(Self { hash, count: count as u32, steps, last })
    }

    /// The block's hash, in wire order.
    #[must_use]
    pub const fn hash(&self) -> &'a [u8; 32] {
        self.hash
    }

    /// How many transactions are asked for.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The places asked for, ascending and each of them once, of a block of `transactions`.
    ///
    /// # Errors
    /// [`RequestError::OutOfRange`]: nothing of it is to be answered.
    pub fn indexes(&self, transactions: u32) -> Result<Indexes<'a>, RequestError> {
        match self.last {
            Some(index) if index >= transactions => {
                Err(RequestError::OutOfRange { index, transactions })
            }
            _ => Ok(Indexes { cursor: Cursor::new(self.steps), left: self.count, next: 0 }),
        }
    }
}

/// The places that a request names.
#[derive(Clone, Debug)]
pub struct Indexes<'a> {
    cursor: Cursor<'a>,
    left: u32,
    next: u64,
}

impl Iterator for Indexes<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        // Both are far below 64 bits.
        let index = self.next + self.cursor.compact_size()?;
        self.next = index + 1;
        (index <= INDEX_MAX).then_some(index as u32)
    }
}

/// The payload of a `getblocktxn` for the ascending places in `indexes`.
#[must_use]
pub fn encode_getblocktxn(hash: &[u8; 32], indexes: &[u32]) -> Vec<u8> {
    let mut out = hash.to_vec();
    push_compact_size(&mut out, indexes.len() as u64);
    let mut next = 0;
    for index in indexes {
        push_compact_size(&mut out, u64::from(index.saturating_sub(next)));
        next = index + 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &[u8], transactions: u32) -> Result<Vec<u32>, RequestError> {
        let request = TransactionsRequest::decode(payload)?;
        request.indexes(transactions).map(Iterator::collect)
    }

    #[test]
    fn requests_read_back() {
        for indexes in [&[][..], &[0], &[7], &[0, 1, 2], &[1, 300, 301, 65_535]] {
            let payload = encode_getblocktxn(&[9; 32], indexes);
            assert_eq!(read(&payload, 65_536).as_deref(), Ok(indexes));
            let request = TransactionsRequest::decode(&payload).unwrap();
            assert_eq!((request.hash(), request.count() as usize), (&[9; 32], indexes.len()));
            assert_eq!(read(&[&payload[..], &[1, 2, 3]].concat(), 65_536).as_deref(), Ok(indexes));
            for cut in 0..payload.len() {
                assert_eq!(read(&payload[..cut], 65_536), Err(RequestError::Malformed));
            }
        }
    }

    #[test]
    fn what_nodes_punish_is_refused() {
        let out_of_range = |index, transactions| RequestError::OutOfRange { index, transactions };
        let payload = encode_getblocktxn(&[0; 32], &[0, 3]);
        assert_eq!(read(&payload, 4).as_deref(), Ok(&[0, 3][..]));
        assert_eq!(read(&payload, 3), Err(out_of_range(3, 3)));
        assert_eq!(read(&payload, 0), Err(out_of_range(3, 0)));
        // As many as a block has and more: each step leads on, so one of them is beyond it.
        let many: Vec<u32> = (0..10_000).collect();
        assert_eq!(read(&encode_getblocktxn(&[0; 32], &many), 100), Err(out_of_range(9_999, 100)));
        let with = |rest: &[u8]| [&[0; 32], rest].concat();
        for malformed in [
            with(&[1, 0xfe, 0, 0, 1, 0]),                             // place 65,536
            with(&[2, 0xfd, 0xff, 0xff, 0]), // 65,535 and the one behind it
            with(&[1, 0xfd, 1, 0]),          // not the shortest form
            with(&[0xfe, 1, 0, 1, 0]),       // 65,537 of them
            with(&[1, 0xff, 255, 255, 255, 255, 255, 255, 255, 255]), // runs over
            with(&[0xfe, 0, 0, 1, 0, 0, 0]), // 65,536, of which two are there
        ] {
            assert_eq!(read(&malformed, u32::MAX), Err(RequestError::Malformed));
        }
    }
}
