//! Fan-out: walk the ranks, fill the submission queue, and settle what the kernel answers.

use super::governor::Grant;
use super::governor::bucket::Pace;
use super::inflight::{Stage, WARM_UP_PLACE};
use super::link::{Cause, Outcome, Report};
use super::publish::Publication;
use super::shard::Shard;
use super::slot::{Sending, State};
use crate::limits::{LIKELY_BYTES_MIN, SMALL_IMAGE_BYTES};
use crate::metrics::Counter;
use crate::sys::ring::{Copying, Ring};

/// What became of an attempt to give a connection something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    /// It has a send outstanding now, or nothing to send, or can't take anything.
    Yes,
    /// Neither it nor any other can be given more in this kernel entry.
    EntryFull,
}

impl<R: Ring> Shard<R> {
    /// Takes up a published block: every connection of its chain is offered it.
    pub(super) fn take_block(&mut self, publication: Publication, now_ns: u64) {
        let place = self.watch.next_place();
        self.end_waiting(place);
        let (image, chain) = (publication.image, publication.chain);
        self.watch.take(publication, now_ns);
        let mut offers = 0;
        for at in 0..self.order.len() {
            let slot = self.order[at];
            if self.slots[usize::from(slot)].peer.chain() == chain {
                self.offer(place, slot);
                offers += 1;
            }
        }
        self.count(Counter::BlocksTaken, 1);
        let shard = self.link.shard;
        self.report(Report::Offered { image, shard, offers, at_ns: now_ns });
        self.work = true;
        if offers == 0 {
            self.finish_if_settled(place);
        }
    }

    /// Offers a block to one connection.
    pub(super) fn offer(&mut self, place: u8, slot: u16) {
        self.watch.offer(place, slot);
        self.slots[usize::from(slot)].owe(place);
        self.count(Counter::Offered, 1);
        self.work = true;
        self.sync(slot);
    }

    /// Gives every connection that can take something its next send, best rank first.
    pub(super) fn fan_out(&mut self) {
        self.look_at_limits();
        if !std::mem::take(&mut self.work) {
            return;
        }
        self.governor.begin_entry();
        self.routes.begin_walk();
        for at in 0..self.order.len() {
            if self.feed(self.order[at]) == Fed::EntryFull {
                self.work = true;
                return;
            }
        }
    }

    /// Queues the next send of a connection: small messages first, but never inside an image.
    fn feed(&mut self, at: u16) -> Fed {
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
        let Some(watched) = slot.due.first() else {
            return Fed::Yes;
        };
        let likely_bytes = slot.likely_bytes;
        if self.is_paced(at) {
            return Fed::Yes;
        }
        let block = self.watch.get(watched);
        let (true, Some(offer)) = (block.lease.is_some(), block.offers.get(usize::from(at))) else {
            return Fed::Yes;
        };
        let small = block.total_bytes <= SMALL_IMAGE_BYTES;
        let likely_bytes = if small { 0 } else { likely_bytes };
        let grant = self.governor.grant(block.total_bytes - offer.sent_bytes, likely_bytes);
        let Some(Grant { bytes, debited_bytes }) = grant else {
            return Fed::EntryFull;
        };
        if self.queue_image(at, watched, bytes, Some(debited_bytes)) {
            Fed::Yes
        } else {
            Fed::EntryFull
        }
    }

    /// Queues the next `granted` bytes of an image; `debited_bytes`: what of the entry they use up,
    /// `None`: tokens were paid for them. `false`: the ring did not take them.
    pub(super) fn queue_image(
        &mut self,
        at: u16,
        watched: u8,
        granted: u32,
        debited_bytes: Option<u32>,
    ) -> bool {
        let slot = &mut self.slots[usize::from(at)];
        let block = self.watch.get_mut(watched);
        let (Some(lease), Some(offer)) = (&block.lease, block.offers.get_mut(usize::from(at)))
        else {
            return false;
        };
        let from = offer.sent_bytes;
        let granted = granted.min(block.total_bytes.saturating_sub(from));
        let copying = self.routes.choose(slot.route, granted);
        let is_idle = slot.sending == Sending::Nothing;
        if !is_idle || !self.ring.send_image(at, lease, from, from + granted, copying) {
            return false;
        }
        let zero_copy = copying == Copying::Zero;
        if zero_copy {
            self.routes.queued(slot.route, at);
        }
        let (fed, debited_bytes) = (debited_bytes.is_none(), debited_bytes.unwrap_or(0));
        slot.sending =
            Sending::Image { watched, asked_bytes: granted, debited_bytes, zero_copy, fed };
        if offer.submitted_ns == 0 {
            offer.submitted_ns = self.ring.now_ns();
        }
        let counter = if zero_copy { Counter::ZeroCopySends } else { Counter::CopyingSends };
        self.count(counter, 1);
        true
    }

    /// A send is over: debit what was really taken.
    pub(super) fn sent(&mut self, at: u16, result: Result<u32, i32>, held: bool, now_ns: u64) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else {
            return;
        };
        let sending = std::mem::replace(&mut slot.sending, Sending::Nothing);
        if let Sending::Image { fed: true, asked_bytes, .. } = sending {
            let bytes = result.unwrap_or(0);
            self.feed.sent(at, bytes);
            if bytes < asked_bytes {
                self.layout.deal_again();
            }
            self.link.counters.add(Counter::GovernedBytes, bytes.into());
        } else if let Sending::Image { debited_bytes, asked_bytes, .. } = sending {
            let bytes = result.unwrap_or(0);
            self.governor.taken(debited_bytes, bytes);
            match result {
                Ok(0) | Err(_) => {}
                Ok(bytes) if bytes < asked_bytes => {
                    slot.likely_bytes = bytes.max(LIKELY_BYTES_MIN);
                }
                // It took all: so much at least is likely again.
                Ok(bytes) => slot.likely_bytes = slot.likely_bytes.max(bytes),
            }
        }
        if slot.state != State::Live {
            return;
        }
        if let (Sending::Image { zero_copy: true, .. }, Err(_) | Ok(0)) = (sending, result) {
            slot.void_releases += u16::from(held);
            self.routes.unanswered(slot.route, at);
        }
        if let (Sending::Control { .. }, Ok(bytes), true) = (sending, result, slot.governed) {
            self.bucket.charge(now_ns, Pace::BLOCK, bytes);
        }
        if let Ok(bytes) = result {
            slot.sent_bytes += u64::from(bytes);
            self.link.counters.add(Counter::SentBytes, u64::from(bytes));
        }
        match (sending, result) {
            (Sending::Nothing, _) => {}
            (Sending::Control { asked_bytes }, Ok(bytes)) => {
                slot.control.consume(bytes as usize);
                // More may wait by now than was asked: that alone does not make the socket full.
                if bytes < asked_bytes {
                    slot.fill(now_ns);
                }
                self.work = true;
            }
            (Sending::Image { watched, asked_bytes, .. }, Ok(bytes)) => {
                self.image_sent(at, watched, asked_bytes, bytes, now_ns);
            }
            (_, Err(libc::EAGAIN)) => {
                slot.fill(now_ns);
                self.count(Counter::BlockedSends, 1);
            }
            (
                Sending::Image { zero_copy: true, .. },
                Err(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOMEM | libc::ENOBUFS | libc::EFAULT),
            ) => {
                // The kernel has no such request, or not for this route: copy instead.
                self.routes.refused(slot.route);
                self.work = true;
            }
            (_, Err(errno)) => self.close(at, Cause::Reset(errno)),
        }
        self.sync(at);
    }

    fn image_sent(&mut self, at: u16, watched: u8, asked_bytes: u32, bytes: u32, now_ns: u64) {
        let block = self.watch.get_mut(watched);
        let total_bytes = block.total_bytes;
        let Some(offer) = block.offers.get_mut(usize::from(at)) else {
            return;
        };
        if offer.stage != Stage::Due {
            return;
        }
        offer.sent_bytes += bytes;
        let whole = offer.sent_bytes >= total_bytes;
        let slot = &mut self.slots[usize::from(at)];
        slot.mid_image = !whole;
        if whole && watched == WARM_UP_PLACE {
            self.warm_up_over(at, true);
        } else if whole {
            slot.due.strike(watched);
            let end_bytes = slot.sent_bytes;
            self.watch.sent(watched, at, end_bytes, now_ns);
            self.next_image(at);
        } else if bytes < asked_bytes {
            // The socket is full: the ring tells when it can take more.
            slot.fill(now_ns);
            self.count(Counter::PartialSends, 1);
        }
        let has_control = !self.slots[usize::from(at)].control.waiting().is_empty();
        self.work |= has_control || !self.is_paced(at);
    }

    /// The kernel has let go of a zero-copy send and says how it went.
    pub(super) fn released(&mut self, at: Option<u16>, copied: Option<bool>) {
        if let Some(at) = at
            && let Some(slot) = self.slots.get_mut(usize::from(at))
        {
            // Which of two such reports is the void one does not matter: they say the same.
            if copied != Some(false) && slot.void_releases > 0 {
                slot.void_releases -= 1;
                return;
            }
            self.routes.reported(slot.route, at, copied);
        }
        self.count(Counter::CopiedSends, u64::from(copied == Some(true)));
    }

    /// Ends an offer and reports it. Every outcome is counted here and nowhere else.
    pub(super) fn settle(&mut self, place: u8, at: u16, outcome: Outcome, handled_ns: u64) {
        let Some(offer) = self.watch.settle(place, at, outcome) else {
            return;
        };
        let slot = &mut self.slots[usize::from(at)];
        slot.due.strike(place);
        let peer = slot.peer;
        self.next_image(at);
        self.count(Counter::Settled, 1);
        self.report(Report::Settled {
            image: self.watch.get(place).image,
            peer,
            outcome,
            submitted_ns: offer.submitted_ns,
            sent_ns: offer.sent_ns,
            // Who has dealt with it has acknowledged it.
            acked_ns: if offer.acknowledged_ns > 0 { offer.acknowledged_ns } else { handled_ns },
            handled_ns,
        });
        self.finish_if_settled(place);
    }

    /// Reports the end of a block's last offer, once.
    pub(super) fn finish_if_settled(&mut self, place: u8) {
        let shard = self.link.shard;
        let block = self.watch.get_mut(place);
        if block.is_used() && block.unsettled == 0 && !block.finished {
            block.finished = true;
            let image = block.image;
            self.report(Report::Finished { image, shard });
        }
    }

    /// The place is needed for a newer block: whoever has not answered by now is not waited for,
    /// and whoever has not even taken it is dropped.
    fn end_waiting(&mut self, place: u8) {
        if self.watch.get(place).unsettled > 0 {
            for at in 0..self.slots.len() as u16 {
                match self.watch.get(place).offers[usize::from(at)].stage {
                    Stage::Due => self.close(at, Cause::Stalled),
                    Stage::Sent => self.settle(place, at, Outcome::Unanswered, 0),
                    Stage::None | Stage::Settled => {}
                }
            }
        }
        self.watch.get_mut(place).lease = None;
    }
}
