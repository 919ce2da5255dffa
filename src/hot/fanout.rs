//! Fan-out: walk the ranks, fill the submission queue.

use super::due::Class;
use super::governor::Grant;
use super::shard::Shard;
use super::slot::Sending;
use crate::limits::SMALL_IMAGE_BYTES;
use crate::sys::ring::Ring;

/// What became of an attempt to give a connection something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    /// It has a send outstanding now, or nothing to send, or can't take anything.
    Yes,
    /// What is due to it is for a later walk.
    Later,
    /// Neither it nor any other can be given more in this kernel entry.
    EntryFull,
}

impl<R: Ring> Shard<R> {
    /// Gives every connection that can take something its next send, best rank first: compact
    /// blocks to all, then whole ones to those that had nothing, then those behind the compact ones.
    pub(super) fn fan_out(&mut self) {
        self.look_at_limits();
        if !std::mem::take(&mut self.work) {
            return;
        }
        self.governor.begin_entry();
        let walks = match self.watch.small {
            0 => &[Class::First, Class::Behind][..],
            _ => &[Class::Small, Class::First, Class::Behind],
        };
        for class in walks {
            match self.walk(*class) {
                Fed::Yes => return,
                Fed::Later => {}
                Fed::EntryFull => {
                    self.work = true;
                    return;
                }
            }
        }
    }

    /// One walk over the ranks, for what is so urgent.
    fn walk(&mut self, class: Class) -> Fed {
        self.routes.begin_walk();
        let mut all = Fed::Yes;
        for at in 0..self.order.len() {
            match self.feed(self.order[at], class) {
                Fed::EntryFull => return Fed::EntryFull,
                Fed::Later => all = Fed::Later,
                Fed::Yes => {}
            }
        }
        all
    }

    /// Queues the next send of a connection: small messages first, but never inside an image.
    fn feed(&mut self, at: u16, class: Class) -> Fed {
        let slot = &mut self.slots[usize::from(at)];
        self.routes.pass(slot.route);
        if !slot.idle() {
            return Fed::Yes;
        }
        if !slot.mid_image && !slot.control.waiting().is_empty() {
            let waiting = slot.control.waiting();
            if !self.ring.send_control(at, waiting) {
                return Fed::EntryFull;
            }
            slot.sending = Sending::Control { asked_bytes: waiting.len() as u32 };
            self.sync(at);
            return Fed::Yes;
        }
        let Some(item) = slot.due.first() else {
            return Fed::Yes;
        };
        if self.is_paced(at) {
            return Fed::Yes;
        }
        if item.class() > class {
            return Fed::Later;
        }
        let likely_bytes = self.slots[usize::from(at)].likely_bytes;
        let block = self.watch.get(item.place);
        if block.lease.is_none() {
            return Fed::Yes;
        }
        let rest_bytes = self.rest_bytes(at, item);
        let small = item.class() == Class::Small || block.total_bytes <= SMALL_IMAGE_BYTES;
        let likely_bytes = if small { 0 } else { likely_bytes };
        let Some(Grant { bytes, debited_bytes }) = self.governor.grant(rest_bytes, likely_bytes)
        else {
            return Fed::EntryFull;
        };
        match self.queue_item(at, item, bytes, Some(debited_bytes)) {
            true => Fed::Yes,
            false => Fed::EntryFull,
        }
    }
}
