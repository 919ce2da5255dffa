//! A block on its way in: what an intake pushes while the bytes arrive.
//!
//! A long block is dealt with on two threads while it arrives: the intake's own decodes it, lays it
//! into the arena and takes the frame's checksum; another walks it (ids, merkle roots) and checks
//! its work as soon as header and proof are there. Only then a slot of the arena is taken: bytes
//! without work hold nothing. At the end just the last piece is left to do, and the walking thread
//! commits. A short block is dealt with on the spot.

mod arriving;
mod early;
mod holding;
mod piece;
mod relay;
mod walk;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::legs::Forward;
use super::{Answer, Desk, Fault, HandOver};
use crate::cold::node::Streamed;
use crate::cold::node::verdict::Verdict;
use crate::limits::RECEPTION_INLINE_BYTES;
use crate::sys::clock::now_ns;
use crate::wire::hash::unhex;
use arriving::{Arriving, Ending, Entered};
use holding::Holding;
use piece::Piece;
use relay::Relay;
use walk::Gathered;

/// Why bytes were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceptionError {
    /// More than the chain allows.
    #[error("it is over the chain's size limit; check the pool")]
    TooLong,
    /// What should be hex is none, or ends with half a byte.
    #[error("the block's digits are not hex; check the pool")]
    NotHex,
}

/// One block being handed in. Dropped without [`Reception::finish`], nothing happened.
pub struct Reception {
    desk: Arc<Desk>,
    received_bytes: usize,
    limit_bytes: usize,
    expected_bytes: Option<usize>,
    /// A digit whose other half is still to come.
    half: Option<u8>,
    broken: Option<ReceptionError>,
    course: Course,
    holding: Arc<Holding>,
}

/// Where a block is dealt with.
enum Course {
    /// Here: it is short, or little of it has come.
    Inline(Box<Arriving>),
    /// Here and on a thread of its own.
    Relay(Relay),
    /// Nowhere: it can't become a block.
    Ended,
}

impl Desk {
    /// A place for one block of a chain whose first byte came at `first_byte_ns`. `None`: too many
    /// are being handed in at once, or there is no such chain. `announced_bytes` is the raw block's
    /// length where it is known or guessed; it is not relied on.
    ///
    /// A block that stalls loses its place to others, but may still be finished.
    #[must_use]
    pub fn receive(
        self: &Arc<Self>,
        chain_index: u8,
        first_byte_ns: u64,
        announced_bytes: Option<u32>,
    ) -> Option<Reception> {
        let announced = announced_bytes.map(|bytes| bytes as usize);
        let admission = self.admit()?;
        let holding = Holding::new(self, Some(admission));
        self.reception(chain_index, first_byte_ns, announced, holding)
    }

    fn reception(
        self: &Arc<Self>,
        chain_index: u8,
        first_byte_ns: u64,
        expected_bytes: Option<usize>,
        holding: Arc<Holding>,
    ) -> Option<Reception> {
        let chain = self.station(chain_index)?.row.chain;
        let limit_bytes = chain.block_bytes_max as usize;
        let gathered = Gathered::Growing(BytesMut::new());
        let arriving = Arriving::new(self, (chain_index, chain), first_byte_ns, gathered);
        Some(Reception {
            desk: Arc::clone(self),
            received_bytes: 0,
            limit_bytes,
            expected_bytes,
            half: None,
            broken: None,
            course: Course::Inline(Box::new(arriving)),
            holding,
        })
    }

    /// Takes a whole block: every leg starts now. Returns with the node's verdict, or after the
    /// answer deadline, or (without a node) when the block is with the shards. The legs go on
    /// whatever the caller does. The same block again gets the same answer and no second fan-out.
    pub async fn submit(self: &Arc<Self>, block: HandOver) -> Answer {
        let forward = Forward { hex: block.hex.clone(), ..Forward::default() };
        self.submit_with(block, forward).await
    }

    /// As [`Desk::submit`], for a block that the chain's own node has already, with this verdict.
    pub(super) async fn submit_judged(
        self: &Arc<Self>,
        block: HandOver,
        verdict: Verdict,
    ) -> Answer {
        self.submit_with(block, Forward { judged: Some(verdict), ..Forward::default() }).await
    }

    async fn submit_with(self: &Arc<Self>, block: HandOver, forward: Forward) -> Answer {
        let HandOver { chain_index, raw, first_byte_ns, last_byte_ns, .. } = block;
        let holding = Holding::new(self, None);
        let reception = self.reception(chain_index, first_byte_ns, Some(raw.len()), holding);
        let Some(mut reception) = reception else {
            return Answer::unreadable("no such chain");
        };
        reception.push_whole(raw);
        reception.finish_with(last_byte_ns, forward).await
    }
}

impl Reception {
    /// Appends bytes of the block. Never waits.
    ///
    /// # Errors
    /// [`ReceptionError`]: give it up.
    pub fn push(&mut self, raw: &[u8]) -> Result<(), ReceptionError> {
        match self.half {
            Some(_) => self.fail(ReceptionError::NotHex),
            None => self.take(Piece::Raw(raw)),
        }
    }

    /// Appends bytes of the block that are given as hex digits; where the cut falls between a
    /// byte's two, the first one waits for its other half. Never waits.
    ///
    /// # Errors
    /// [`ReceptionError`]: give it up.
    pub fn push_hex(&mut self, digits: &[u8]) -> Result<(), ReceptionError> {
        let mut digits = digits;
        if let Some((second, rest)) = digits.split_first()
            && let Some(first) = self.half.take()
        {
            self.take(Piece::Hex(&[first, *second])).inspect_err(|_| self.half = Some(first))?;
            digits = rest;
        }
        if let Some((last, even)) = digits.split_last()
            && even.len().is_multiple_of(2)
        {
            self.half = Some(*last);
            digits = even;
        }
        self.take(Piece::Hex(digits))
    }

    fn take(&mut self, piece: Piece<'_>) -> Result<(), ReceptionError> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        if piece.len() == 0 {
            return Ok(());
        }
        if piece.len() > self.limit_bytes - self.received_bytes {
            return self.fail(ReceptionError::TooLong);
        }
        self.received_bytes += piece.len();
        let expected = self.expected_bytes.unwrap_or(self.limit_bytes).min(self.limit_bytes);
        let is_long = self.received_bytes > RECEPTION_INLINE_BYTES
            || self.expected_bytes.is_some_and(|bytes| bytes > RECEPTION_INLINE_BYTES);
        if is_long {
            self.start_relay(expected);
        }
        let taken = match &mut self.course {
            Course::Inline(arriving) => {
                // What came before; of what comes in one piece, the legs don't wait for the checks.
                while arriving.walk.is_behind() {
                    arriving.step();
                }
                self.holding.write(piece.len(), |_| Ok(()));
                arriving.walk.append(piece)
            }
            Course::Relay(relay) => {
                piece.parts().try_for_each(|part| relay.take(part, &self.holding))
            }
            Course::Ended => Ok(()),
        };
        taken.or_else(|error| self.fail(error))
    }

    fn start_relay(&mut self, expected_bytes: usize) {
        self.course = match std::mem::replace(&mut self.course, Course::Ended) {
            Course::Inline(arriving) => Course::Relay(Relay::start(*arriving, expected_bytes)),
            other => other,
        };
    }

    fn fail(&mut self, error: ReceptionError) -> Result<(), ReceptionError> {
        self.broken = Some(error);
        self.holding.give_up_slot();
        Err(error)
    }

    /// All of the block at once, without copying it.
    fn push_whole(&mut self, raw: Bytes) {
        if raw.len() > self.limit_bytes {
            let _told_at_the_end = self.fail(ReceptionError::TooLong);
            return;
        }
        self.received_bytes = raw.len();
        if let Course::Inline(arriving) = &mut self.course {
            arriving.walk.gathered = Gathered::Whole(raw);
        }
        if self.received_bytes > RECEPTION_INLINE_BYTES {
            self.start_relay(self.received_bytes);
        }
    }

    /// All bytes are there, the last since `last_byte_ns`; `hex` is what the node may get as it is.
    /// Every leg starts, as with [`Desk::submit`]. `streamed`: the request that brought the block
    /// went to the chain's own node while it came in, and is complete there as well.
    pub async fn finish(
        self,
        last_byte_ns: u64,
        hex: Option<Bytes>,
        streamed: Option<Streamed>,
    ) -> Answer {
        self.finish_with(last_byte_ns, Forward { hex, streamed, judged: None }).await
    }

    async fn finish_with(self, last_byte_ns: u64, forward: Forward) -> Answer {
        let Self { desk, half, broken, course, holding, .. } = self;
        let _admission = holding.complete(&desk);
        if let Some(error) = broken.or(half.map(|_| ReceptionError::NotHex)) {
            return Answer::unreadable(&error.to_string());
        }
        let ending = Ending { last_byte_ns, forward };
        let entered = match course {
            Course::Inline(arriving) => arriving.finish(ending),
            Course::Relay(relay) => relay.finish(ending, &holding).await,
            Course::Ended => None,
        };
        match entered {
            Some(Entered::Known(entry)) => desk.answer(&entry).await,
            Some(Entered::Apart { entry, raw, forward, fault }) => {
                desk.answer_apart(&entry, &raw, forward, fault).await
            }
            Some(Entered::Unreadable(why)) => Answer::unreadable(why),
            None => Answer::unreadable(&Fault::internal().why),
        }
    }

    /// The block's bytes that were taken, in place of an end: nothing happened. Half a byte at the
    /// end counts as one that ends with a zero. Fewer than were pushed where a thread has failed.
    pub async fn give_back(self) -> Bytes {
        let mut raw = match self.course {
            Course::Inline(mut arriving) => arriving.walk.all(),
            Course::Relay(relay) => relay.give_back().await,
            Course::Ended => Bytes::new(),
        };
        let mut last = [0];
        if let Some(digit) = self.half
            && unhex(&[digit, b'0'], &mut last).is_some()
        {
            raw = Bytes::from([&raw[..], &last].concat());
        }
        raw
    }

    /// As [`Reception::finish`], where the last byte was pushed just now.
    pub async fn finish_now(self) -> Answer {
        self.finish(now_ns(), None, None).await
    }
}

#[cfg(test)]
mod tests;
