//! What went over each connection so far: written by the shard now and then, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

use super::PeerId;
use crate::limits::PEERS_PER_SHARD_MAX;

/// Bytes of one connection, or of several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Received from the peer.
    pub received_bytes: u64,
    /// Taken by the kernel for sending.
    pub sent_bytes: u64,
}

impl Bytes {
    /// Adds those of another connection.
    pub fn add(&mut self, other: Self) {
        self.received_bytes = self.received_bytes.saturating_add(other.received_bytes);
        self.sent_bytes = self.sent_bytes.saturating_add(other.sent_bytes);
    }
}

/// One shard's connections, by slot. Not older than a second while the shard runs.
#[derive(Debug)]
pub struct Traffic(Box<[Cell]>);

/// `peer` is 0 while the others are not its own.
#[derive(Debug, Default)]
struct Cell {
    peer: AtomicU64,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self((0..PEERS_PER_SHARD_MAX).map(|_| Cell::default()).collect())
    }
}

impl Traffic {
    /// Hot: what `peer` in `slot` has come to. Never fewer than before.
    pub(crate) fn note(&self, slot: u16, peer: PeerId, bytes: Bytes) {
        let Some(cell) = self.0.get(usize::from(slot)) else { return };
        if cell.peer.load(Ordering::Relaxed) != peer.0 {
            cell.peer.store(0, Ordering::Release);
        }
        cell.received_bytes.store(bytes.received_bytes, Ordering::Release);
        cell.sent_bytes.store(bytes.sent_bytes, Ordering::Release);
        cell.peer.store(peer.0, Ordering::Release);
    }

    /// What `peer` in `slot` has come to; `None`: it is not there, or nothing was noted yet.
    #[must_use]
    pub fn of(&self, slot: u16, peer: PeerId) -> Option<Bytes> {
        let cell = self.0.get(usize::from(slot))?;
        let is_its_own = || cell.peer.load(Ordering::Acquire) == peer.0;
        let was_its_own = is_its_own();
        let bytes = Bytes {
            received_bytes: cell.received_bytes.load(Ordering::Acquire),
            sent_bytes: cell.sent_bytes.load(Ordering::Acquire),
        };
        (was_its_own && is_its_own()).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_tenant_does_not_inherit() {
        let traffic = Traffic::default();
        let (first, second) = (PeerId::new(0, 1), PeerId::new(0, 2));
        assert_eq!(traffic.of(3, first), None);
        let much = Bytes { received_bytes: 5, sent_bytes: 7 };
        traffic.note(3, first, much);
        assert_eq!((traffic.of(3, first), traffic.of(3, second)), (Some(much), None));
        traffic.note(3, second, Bytes::default());
        assert_eq!((traffic.of(3, first), traffic.of(3, second)), (None, Some(Bytes::default())));
        traffic.note(u16::MAX, first, much);
        let mut sum = much;
        sum.add(Bytes { received_bytes: u64::MAX, sent_bytes: 1 });
        assert_eq!(sum, Bytes { received_bytes: u64::MAX, sent_bytes: 8 });
    }
}
