//! What peers tell of locks, on its way to cold, and small messages for all connections of a chain.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;

use super::PeerId;
use crate::limits::{CONTROL_BYTES_MAX, LOCK_BYTES_MAX, LOCK_NEWS_MAX};
use crate::wire::locks::LockKind;

/// A small message for many connections, complete with its header.
#[derive(Clone, Copy, Debug)]
pub struct PushFrame {
    bytes: [u8; CONTROL_BYTES_MAX as usize],
    length: u16,
}

impl PushFrame {
    /// Copies `frame`; `None` when it is longer than [`CONTROL_BYTES_MAX`].
    #[must_use]
    pub fn new(frame: &[u8]) -> Option<Self> {
        let mut bytes = [0; CONTROL_BYTES_MAX as usize];
        bytes.get_mut(..frame.len())?.copy_from_slice(frame);
        Some(Self { bytes, length: u16::try_from(frame.len()).ok()? })
    }

    /// The message as it goes on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

/// The payload of a lock as it came.
#[derive(Clone, Copy, Debug)]
pub struct LockBytes {
    bytes: [u8; LOCK_BYTES_MAX as usize],
    length: u16,
}

impl LockBytes {
    /// Copies `payload`; `None` when it is longer than [`LOCK_BYTES_MAX`].
    #[must_use]
    pub fn new(payload: &[u8]) -> Option<Self> {
        let mut bytes = [0; LOCK_BYTES_MAX as usize];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self { bytes, length: u16::try_from(payload.len()).ok()? })
    }

    /// The payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

/// What a peer told of one lock.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "lies in a queue that was made for the longest")]
pub enum Told {
    /// It has the lock of this inventory hash.
    Announced([u8; 32]),
    /// The lock itself. Nothing of it has been looked at.
    Whole(LockBytes),
    /// A lock longer than what is carried.
    TooLong,
}

/// News of one lock.
#[derive(Clone, Copy, Debug)]
pub struct LockNews {
    /// From whom.
    pub peer: PeerId,
    /// Its place at the shard.
    pub slot: u16,
    /// When (CLOCK_MONOTONIC, ns).
    pub at_ns: u64,
    /// Which of the two kinds.
    pub kind: LockKind,
    /// What.
    pub told: Told,
}

/// One shard's queue of news, and which chains they are wanted of.
#[derive(Debug)]
pub struct LockLink {
    chains: AtomicU64,
    news: ArrayQueue<LockNews>,
}

impl Default for LockLink {
    fn default() -> Self {
        Self { chains: AtomicU64::new(0), news: ArrayQueue::new(LOCK_NEWS_MAX as usize) }
    }
}

impl LockLink {
    /// Cold: says whether news of `chain` are wanted. Before: of none.
    pub fn want(&self, chain: u8, wanted: bool) {
        let bit = 1_u64.checked_shl(chain.into()).unwrap_or(0);
        match wanted {
            true => self.chains.fetch_or(bit, Ordering::Relaxed),
            false => self.chains.fetch_and(!bit, Ordering::Relaxed),
        };
    }

    /// Cold: the next news.
    pub fn next(&self) -> Option<LockNews> {
        self.news.pop()
    }

    /// Hot: whether anybody wants news of `chain`.
    pub(crate) fn wants(&self, chain: u8) -> bool {
        let bit = 1_u64.checked_shl(chain.into()).unwrap_or(0);
        self.chains.load(Ordering::Relaxed) & bit != 0
    }

    /// Hot: hands over news; `false`: too many wait.
    pub(crate) fn tell(&self, news: LockNews) -> bool {
        self.news.push(news).is_ok()
    }
}
