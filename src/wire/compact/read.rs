//! Reads a `cmpctblock` and puts the block together again, as a peer does.

use super::answer::take_transaction;
use super::{INDEX_MAX, SHORT_ID_BYTES, ShortIdKey, short_id_from};
use crate::wire::auxpow;
use crate::wire::chain::Chain;
use crate::wire::cursor::{Cursor, push_compact_size};
use crate::wire::message::MessageError;

/// A compact block, read. Borrows the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactBlock<'a> {
    /// The header with its proof.
    pub header: &'a [u8],
    /// Goes into the short ids.
    pub nonce: u64,
    /// Of the transactions that are not in it, in order.
    pub short_ids: &'a [[u8; SHORT_ID_BYTES]],
    /// Place and bytes of those that are, in order.
    pub prefilled: Vec<(u32, &'a [u8])>,
    /// The extension block with its leading 01.
    pub extension: Option<&'a [u8]>,
}

impl<'a> CompactBlock<'a> {
    /// Reads a whole payload.
    ///
    /// # Errors
    /// It is cut, holds what is no transaction of this chain, or names places that it does not have:
    /// what nodes punish.
    pub fn decode(chain: &'static Chain, payload: &'a [u8]) -> Result<Self, MessageError> {
        let malformed = MessageError::Malformed("cmpctblock");
        let mut cursor = Cursor::new(payload);
        let header_bytes = auxpow::header_bytes(chain, payload).ok_or(malformed)?;
        let header = cursor.take(header_bytes).ok_or(malformed)?;
        let nonce = cursor.u64().ok_or(malformed)?;
        let count = cursor.compact_size().filter(|count| *count <= INDEX_MAX + 1);
        let count = count.ok_or(malformed)? as usize;
        let (short_ids, _) =
            cursor.take(SHORT_ID_BYTES * count).ok_or(malformed)?.as_chunks::<SHORT_ID_BYTES>();
        let prefilled = Self::prefilled(chain, &mut cursor, count).ok_or(malformed)?;
        let extension = match (chain.has_mweb, cursor.rest()) {
            (false, _) | (true, [0, ..]) => None,
            (true, rest @ [1, ..]) => Some(rest),
            (true, _) => return Err(malformed),
        };
        Ok(Self { header, nonce, short_ids, prefilled, extension })
    }

    fn prefilled(
        chain: &'static Chain,
        cursor: &mut Cursor<'a>,
        short_ids: usize,
    ) -> Option<Vec<(u32, &'a [u8])>> {
        let count = cursor.compact_size()?;
        let (mut prefilled, mut next) = (Vec::new(), 0);
        for _ in 0..count {
            let index = next + cursor.compact_size()?;
            next = index + 1;
            // Those before it are short ids, or in this list.
            if index > INDEX_MAX || index > (short_ids + prefilled.len()) as u64 {
                return None;
            }
            prefilled.push((index as u32, take_transaction(chain, cursor)?));
        }
        Some(prefilled)
    }

    /// How many transactions the block has.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.short_ids.len() + self.prefilled.len()
    }

    /// What its short ids are made with.
    #[must_use]
    pub fn key(&self) -> ShortIdKey {
        ShortIdKey::new(self.header, self.nonce)
    }

    /// The whole block, where `find` has each transaction that is not in it, by its place and its short
    /// id.
    ///
    /// # Errors
    /// The places of those that were not found.
    pub fn rebuild<'b>(
        &self,
        mut find: impl FnMut(u32, u64) -> Option<&'b [u8]>,
    ) -> Result<Vec<u8>, Vec<u32>> {
        let mut block = self.header.to_vec();
        push_compact_size(&mut block, self.count() as u64);
        let mut prefilled = self.prefilled.iter().peekable();
        let mut short_ids = self.short_ids.iter();
        let mut missing = Vec::new();
        for index in 0..self.count() as u32 {
            if let Some((_, transaction)) = prefilled.next_if(|(at, _)| *at == index) {
                block.extend_from_slice(transaction);
            } else if let Some(short_id) = short_ids.next() {
                match find(index, short_id_from(short_id)) {
                    Some(transaction) => block.extend_from_slice(transaction),
                    None => missing.push(index),
                }
            }
        }
        block.extend_from_slice(self.extension.unwrap_or_default());
        if missing.is_empty() { Ok(block) } else { Err(missing) }
    }
}
