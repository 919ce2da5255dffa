//! Bytes that arrive in pieces and are kept as they came.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::limits::KEPT_PIECE_BYTES_MIN;

/// Pieces in their order. Large ones are shared with whoever else has them; small ones are copied
/// together, as each may hold on to a whole read buffer. So what is held is never much more than
/// the bytes themselves, however a body trickles.
#[derive(Debug, Default)]
pub struct Pieces {
    whole: VecDeque<Bytes>,
    /// What came after those, in pieces that were too small.
    small: BytesMut,
    bytes: usize,
}

impl Pieces {
    /// Appends a piece.
    pub fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        if piece.len() < KEPT_PIECE_BYTES_MIN {
            self.small.extend_from_slice(&piece);
            if self.small.len() < KEPT_PIECE_BYTES_MIN {
                return;
            }
        }
        if !self.small.is_empty() {
            self.whole.push_back(self.small.split().freeze());
        }
        if piece.len() >= KEPT_PIECE_BYTES_MIN {
            self.whole.push_back(piece);
        }
    }

    /// Takes the front one off.
    pub fn pop(&mut self) -> Option<Bytes> {
        let small = || (!self.small.is_empty()).then(|| self.small.split().freeze());
        let piece = self.whole.pop_front().or_else(small)?;
        self.bytes -= piece.len();
        Some(piece)
    }

    /// All of them, in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Everything in one piece. Copies where there is more than one.
    #[must_use]
    pub fn join(mut self) -> Bytes {
        let bytes = self.bytes;
        let Some(first) = self.pop() else {
            return Bytes::new();
        };
        if first.len() == bytes {
            return first;
        }
        let mut joined = BytesMut::with_capacity(bytes);
        joined.extend_from_slice(&first);
        while let Some(piece) = self.pop() {
            joined.extend_from_slice(&piece);
        }
        joined.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_in_comes_out_and_small_pieces_are_put_together() {
        let large = Bytes::from(vec![7; KEPT_PIECE_BYTES_MIN]);
        let mut pieces = Pieces::default();
        let mut expected = Vec::new();
        for at in 0..3 * KEPT_PIECE_BYTES_MIN {
            let small = Bytes::copy_from_slice(&[at as u8]);
            expected.extend_from_slice(&small);
            pieces.push(small);
        }
        assert!(pieces.whole.len() <= 4, "{}", pieces.whole.len());
        pieces.push(Bytes::from_static(b"x"));
        pieces.push(large.clone());
        expected.push(b'x');
        expected.extend_from_slice(&large);
        assert_eq!(pieces.len(), expected.len());
        assert_eq!(pieces.whole.back().map(|last| last.as_ptr()), Some(large.as_ptr()));
        assert!(pieces.join() == expected);

        let mut one = Pieces::default();
        assert!(one.is_empty() && one.pop().is_none());
        one.push(large.clone());
        assert_eq!(one.join().as_ptr(), large.as_ptr(), "a single piece is not copied");
    }
}
