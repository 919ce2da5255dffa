//! Locks that peers tell of go to cold; what cold wants pushed goes out to all.

use super::link::locks::{LockBytes, LockNews, PushFrame, Told};
use super::link::{Link, PeerId};
use super::shard::Shard;
use crate::limits::LOCK_ITEMS_MAX;
use crate::metrics::Counter;
use crate::sys::ring::Ring;
use crate::wire::frame::Message;
use crate::wire::locks::LockKind;
use crate::wire::message::{inv_items, name};

/// Hands a message on that tells of locks; whether there was news.
pub(super) fn hear(
    link: &Link,
    (slot, peer): (u16, PeerId),
    message: &Message<'_>,
    now_ns: u64,
) -> bool {
    if !link.locks.wants(peer.chain()) || message.checksum_ok == Some(false) {
        return false;
    }
    let mut is_told = false;
    let mut tell = |kind, told| {
        let taken = link.locks.tell(LockNews { peer, slot, at_ns: now_ns, kind, told });
        if !taken {
            link.counters.add(Counter::LockNewsDropped, 1);
        }
        is_told |= taken;
    };
    if message.is(name::INV) {
        let locks = inv_items(message.payload)
            .filter_map(|item| LockKind::of_inventory(item.kind).map(|kind| (kind, item.hash)));
        locks.take(LOCK_ITEMS_MAX).for_each(|(kind, hash)| tell(kind, Told::Announced(hash)));
    }
    for kind in [LockKind::Block, LockKind::Transaction] {
        if message.is(kind.command()) {
            let whole = LockBytes::new(message.payload).filter(|_| message.complete);
            tell(kind, whole.map_or(Told::TooLong, Told::Whole));
        }
    }
    is_told
}

impl<R: Ring> Shard<R> {
    /// Queues a small message on every connection of `chain` but those that have it.
    pub(super) fn push(&mut self, chain: u8, frame: &PushFrame, spared: &[Option<PeerId>]) {
        let mut pushed = 0;
        for index in 0..self.order.len() {
            let at = self.order[index];
            let peer = self.slots[usize::from(at)].peer;
            if peer.chain() == chain && !spared.contains(&Some(peer)) {
                pushed += u64::from(self.queue_control(at, frame.as_bytes()));
            }
        }
        self.count(Counter::PushedMessages, pushed);
    }
}
