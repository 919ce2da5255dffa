//! `blocktxn`: the transactions of a compact block that a peer asked for.
//!
//! # Shape
//!
//! `hash [32] · count [compact] · transactions`, each as it is in the block; no extension block

use crate::wire::block::{Form, TransactionWalker};
use crate::wire::chain::Chain;
use crate::wire::cursor::{Cursor, push_compact_size};
use crate::wire::message::MessageError;

/// Longest front: a hash and a count of at most five bytes.
const FRONT_BYTES_MAX: usize = 32 + 5;

/// What stands before the transactions in an answer, made without a place on the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerFront {
    bytes: [u8; FRONT_BYTES_MAX],
    length: usize,
}

impl AnswerFront {
    /// Of an answer with `count` transactions of the block `hash`, in wire order.
    #[must_use]
    pub fn new(hash: &[u8; 32], count: u32) -> Self {
        let [b0, b1, b2, b3] = count.to_le_bytes();
        let (count, length) = match count {
            0..=0xfc => ([b0, 0, 0, 0, 0], 1),
            0xfd..=0xffff => ([0xfd, b0, b1, 0, 0], 3),
            _ => ([0xfe, b0, b1, b2, b3], 5),
        };
        let mut bytes = [0; FRONT_BYTES_MAX];
        bytes.iter_mut().zip(hash.iter().chain(&count)).for_each(|(to, from)| *to = *from);
        Self { bytes, length: 32 + length }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The payload of a `blocktxn` with these `transactions` of the block `hash`.
#[must_use]
pub fn encode_blocktxn(hash: &[u8; 32], transactions: &[&[u8]]) -> Vec<u8> {
    let mut out = hash.to_vec();
    push_compact_size(&mut out, transactions.len() as u64);
    transactions.iter().for_each(|transaction| out.extend_from_slice(transaction));
    out
}

/// `blocktxn`, read. Borrows the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockTransactions<'a> {
    /// The block's hash, in wire order.
    pub hash: &'a [u8; 32],
    /// The transactions, in the order asked for.
    pub transactions: Vec<&'a [u8]>,
}

impl<'a> BlockTransactions<'a> {
    /// Reads a whole payload.
    ///
    /// # Errors
    /// It is cut, or holds what is no transaction of this chain.
    pub fn decode(chain: &'static Chain, payload: &'a [u8]) -> Result<Self, MessageError> {
        let malformed = MessageError::Malformed("blocktxn");
        let mut cursor = Cursor::new(payload);
        let hash = cursor.array().ok_or(malformed)?;
        let count = cursor.compact_size().ok_or(malformed)?;
        let mut transactions = Vec::new();
        for _ in 0..count {
            transactions.push(take_transaction(chain, &mut cursor).ok_or(malformed)?);
        }
        Ok(Self { hash, transactions })
    }
}

/// The whole transaction at the front of what is left.
pub(super) fn take_transaction<'a>(
    chain: &'static Chain,
    cursor: &mut Cursor<'a>,
) -> Option<&'a [u8]> {
    let mut walker = TransactionWalker::new(Form::of(chain), 0);
    match walker.walk(cursor.rest()) {
        Ok(None) => cursor.take(walker.end()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::chain::{Network, find};

    #[test]
    fn answers_read_back() {
        let chain = find("bitcoin", Network::Regtest).expect("there");
        let transaction = |inputs: u8| {
            let input = [&[inputs; 36][..], &[0], &[0xff; 4]].concat();
            let inputs = [&[inputs][..], &input.repeat(usize::from(inputs))].concat();
            [&[2, 0, 0, 0][..], &inputs, &[1], &[7; 8], &[1, 0x51], &[0; 4]].concat()
        };
        let (one, three) = (transaction(1), transaction(3));
        let payload = encode_blocktxn(&[8; 32], &[&one, &three]);
        let read = BlockTransactions::decode(chain, &payload).expect("whole");
        assert_eq!((read.hash, read.transactions), (&[8; 32], vec![&one[..], &three]));
        for cut in 0..payload.len() {
            assert!(BlockTransactions::decode(chain, &payload[..cut]).is_err(), "{cut}");
        }
        let hostile = [&[8; 32][..], &[0xfe, 0, 0, 0, 2], &one].concat();
        assert!(BlockTransactions::decode(chain, &hostile).is_err());
    }

    #[test]
    fn the_front_is_that_of_the_whole() {
        for count in [0, 1, 0xfc, 0xfd, 0xffff, 0x1_0000] {
            let mut expected = vec![3; 32];
            push_compact_size(&mut expected, u64::from(count));
            assert_eq!(AnswerFront::new(&[3; 32], count).as_bytes(), expected);
        }
    }
}
