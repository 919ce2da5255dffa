//! Our own blocks, for those that only listen: after all peers have them, in their compact form.
//!
//! A peer that lacks transactions asks for them and waits for us, asking nobody else meanwhile: whoever
//! is offered a block is also answered.

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::hot::link::ImageId;
use crate::limits::{SCOUT_ANSWER_PIECE_BYTES, SCOUT_ANSWERS_AT_ONCE_MAX};
use crate::wire::chain::Chain;
use crate::wire::compact::AnswerFront;
use crate::wire::frame::{frame, write_header};
use crate::wire::hash::Checksum;
use crate::wire::message::name;

/// One of our blocks, as scouts offer it.
#[derive(Debug)]
pub struct OwnBlock {
    /// Its number.
    pub image: ImageId,
    /// Its hash, in wire order.
    pub hash: [u8; 32],
    magic: [u8; 4],
    raw: Bytes,
    transactions_start: u32,
    ends: Box<[u32]>,
    offer: Vec<u8>,
    /// Peers that are answered at the same time.
    pub(super) answers: Semaphore,
}

/// What a peer wants of a block that it was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Block,
    /// These transactions.
    Transactions(Vec<u32>),
}

impl OwnBlock {
    /// The block `raw`, whose first transaction starts at `transactions_start` and whose transactions
    /// end at `ends`, with the payload `compact` of its `cmpctblock` message.
    #[must_use]
    pub fn new(
        chain: &Chain,
        (image, hash): (ImageId, [u8; 32]),
        raw: Bytes,
        (transactions_start, ends): (u32, &[u32]),
        compact: &[u8],
    ) -> Self {
        Self {
            image,
            hash,
            magic: chain.magic,
            raw,
            transactions_start,
            ends: ends.into(),
            offer: frame(chain.magic, name::CMPCTBLOCK, compact),
            answers: Semaphore::new(SCOUT_ANSWERS_AT_ONCE_MAX),
        }
    }

    /// What is sent to a peer that was not heard to have the block.
    pub(super) fn offer(&self) -> &[u8] {
        &self.offer
    }

    /// How many transactions it has.
    pub(super) fn count(&self) -> u32 {
        self.ends.len() as u32
    }

    fn transaction(&self, index: u32) -> &[u8] {
        let end = |index: usize| self.ends.get(index).copied();
        let before = (index as usize).checked_sub(1);
        let start = before.map_or(Some(self.transactions_start), end);
        let range = start.zip(end(index as usize));
        range
            .and_then(|(start, end)| self.raw.get(start as usize..end as usize))
            .unwrap_or_default()
    }

    /// The message that answers `wanted`: short pieces in the order in which they are to be written.
    pub(super) fn answer<'a>(&'a self, wanted: &'a Wanted) -> impl Iterator<Item = Vec<u8>> + 'a {
        let (name, front, indexes): (_, _, &[u32]) = match wanted {
            Wanted::Block => (name::BLOCK, None, &[]),
            Wanted::Transactions(indexes) => {
                let front = AnswerFront::new(&self.hash, indexes.len() as u32);
                (name::BLOCKTXN, Some(front), indexes)
            }
        };
        let spans = move || {
            let whole: &[u8] = if front.is_none() { &self.raw } else { &[] };
            [whole].into_iter().chain(indexes.iter().map(|index| self.transaction(*index)))
        };
        let front_bytes = front.as_ref().map_or(Vec::new(), |front| front.as_bytes().to_vec());
        let (mut sum, mut length) = (Checksum::new(), front_bytes.len());
        sum.push(&front_bytes);
        spans().for_each(|span| {
            sum.push(span);
            length += span.len();
        });
        let [c0, c1, c2, c3, ..] = sum.finish();
        let mut header = [0; 24];
        write_header(&mut header, self.magic, name, length as u32, [c0, c1, c2, c3]);
        let mut pieces = spans().flat_map(|span| span.chunks(SCOUT_ANSWER_PIECE_BYTES)).peekable();
        let mut next = Some([&header[..], &front_bytes].concat());
        std::iter::from_fn(move || {
            let mut piece = next.take().or_else(|| pieces.next().map(<[u8]>::to_vec))?;
            while let Some(more) =
                pieces.next_if(|more| piece.len() + more.len() <= SCOUT_ANSWER_PIECE_BYTES)
            {
                piece.extend_from_slice(more);
            }
            Some(piece)
        })
    }
}
