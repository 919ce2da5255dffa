//! A block on its way in: what an intake pushes while the bytes arrive.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::OwnedSemaphorePermit;

use super::{Answer, Desk, HandOver};
use crate::sys::clock::now_ns;

/// Why bytes were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceptionError {
    /// More than the chain allows.
    #[error("the block is longer than its chain allows; check the pool")]
    TooLong,
    /// What should be hex is none, or ends with half a byte.
    #[error("the block's digits are not hex; check the pool")]
    NotHex,
}

/// One block being handed in. Dropped without [`Reception::finish`], nothing happened.
pub struct Reception {
    desk: Arc<Desk>,
    chain_index: u8,
    first_byte_ns: u64,
    raw: BytesMut,
    limit: usize,
    _place: OwnedSemaphorePermit,
}

impl Desk {
    /// A place for one block of a chain whose first byte came at `first_byte_ns`. `None`: too many
    /// are being handed in at once. `announced_bytes` is the raw block's length where it is known.
    #[must_use]
    pub fn receive(
        self: &Arc<Self>,
        chain_index: u8,
        first_byte_ns: u64,
        announced_bytes: Option<u32>,
    ) -> Option<Reception> {
        let limit = self.station(chain_index).map_or(0, |at| at.row.chain.block_bytes_max as usize);
        Some(Reception {
            _place: self.admit()?,
            desk: Arc::clone(self),
            chain_index,
            first_byte_ns,
            raw: BytesMut::with_capacity(limit.min(announced_bytes.unwrap_or(0) as usize)),
            limit,
        })
    }
}

impl Reception {
    /// Appends bytes of the block. Never waits.
    ///
    /// # Errors
    /// [`ReceptionError::TooLong`]: give it up.
    pub fn push(&mut self, raw: &[u8]) -> Result<(), ReceptionError> {
        if self.raw.len() + raw.len() > self.limit {
            return Err(ReceptionError::TooLong);
        }
        self.raw.extend_from_slice(raw);
        Ok(())
    }

    /// Appends bytes of the block that are given as hex digits, an even number of them. Never waits.
    ///
    /// # Errors
    /// [`ReceptionError`]: give it up.
    pub fn push_hex(&mut self, digits: &[u8]) -> Result<(), ReceptionError> {
        let mut raw = vec![0; digits.len() / 2];
        faster_hex::hex_decode(digits, &mut raw).map_err(|_| ReceptionError::NotHex)?;
        self.push(&raw)
    }

    /// All bytes are there, the last since `last_byte_ns`: every leg starts, as with
    /// [`Desk::submit`].
    pub async fn finish(self, last_byte_ns: u64, hex: Option<Bytes>) -> Answer {
        let Self { desk, chain_index, first_byte_ns, raw, .. } = self;
        let raw = raw.freeze();
        desk.submit(HandOver { chain_index, raw, hex, first_byte_ns, last_byte_ns }).await
    }

    /// As [`Reception::finish`], where the last byte was pushed just now.
    pub async fn finish_now(self) -> Answer {
        self.finish(now_ns(), None).await
    }
}
