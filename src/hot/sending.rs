//! One send: what of an item goes next, what the kernel took of it, and what follows from that.

use std::ops::Range;

use super::due::{Item, Part};
use super::governor::bucket::Pace;
use super::inflight::WARM_UP_PLACE;
use super::link::Cause;
use super::shard::Shard;
use super::slot::{Sending, State};
use crate::limits::LIKELY_BYTES_MIN;
use crate::metrics::Counter;
use crate::sys::ring::{Copying, Ring};

/// What stands together of an item and goes out in one send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes of the image slot.
    Span(Range<u32>),
    /// Bytes in front of an answer, those from here on.
    Front(usize),
}

impl<R: Ring> Shard<R> {
    /// Bytes of `item` that are still to be sent to `at`.
    pub(super) fn rest_bytes(&self, at: u16, item: Item) -> u32 {
        let block = self.watch.get(item.place);
        let offer = &block.offers[usize::from(at)];
        let sent_bytes = match item.part {
            Part::Full => offer.full_bytes,
            Part::Compact => offer.compact_bytes,
            Part::Transactions | Part::Headers => {
                return self.answers.rest_bytes(at, item);
            }
        };
        (block.span(item.part).len() as u32).saturating_sub(sent_bytes)
    }

    /// What of `item` goes next.
    fn piece(&self, at: u16, item: Item) -> Option<Piece> {
        let block = self.watch.get(item.place);
        let mut offer = block.offers[usize::from(at)];
        let Some(sent_bytes) = offer.bytes_of(item.part) else {
            return self.answers.piece(at, item);
        };
        let span = block.span(item.part);
        let from = span.start + *sent_bytes;
        (from < span.end).then_some(Piece::Span(from..span.end))
    }

    /// Queues the next `granted` bytes of `item`; `debited_bytes`: what of the entry they use up,
    /// `None`: tokens were paid for them. `false`: the ring did not take them.
    pub(super) fn queue_item(
        &mut self,
        at: u16,
        item: Item,
        granted: u32,
        debited_bytes: Option<u32>,
    ) -> bool {
        if self.slots[usize::from(at)].sending != Sending::Nothing {
            return false;
        }
        let (asked_bytes, copying) = match self.piece(at, item) {
            None => return false,
            Some(Piece::Front(from)) => {
                let front = self.answers.front(at, item).get(from..).unwrap_or(&[]);
                let front = front.get(..granted as usize).unwrap_or(front);
                if !self.ring.send_control(at, front) {
                    return false;
                }
                (front.len() as u32, Copying::Plain)
            }
            Some(Piece::Span(span)) => {
                let to = span.end.min(span.start.saturating_add(granted));
                let route = self.slots[usize::from(at)].route;
                let copying = self.routes.choose(route, to - span.start);
                let Some(lease) = &self.watch.get(item.place).lease else {
                    return false;
                };
                if !self.ring.send_image(at, lease, span.start, to, copying) {
                    return false;
                }
                if copying == Copying::Zero {
                    self.routes.queued(route, at);
                }
                (to - span.start, copying)
            }
        };
        let zero_copy = copying == Copying::Zero;
        let (fed, debited_bytes) = (debited_bytes.is_none(), debited_bytes.unwrap_or(0));
        self.slots[usize::from(at)].sending =
            Sending::Image { item, asked_bytes, debited_bytes, zero_copy, fed };
        let now_ns = self.ring.now_ns();
        let offer = &mut self.watch.get_mut(item.place).offers[usize::from(at)];
        if offer.submitted_ns == 0 {
            offer.submitted_ns = now_ns;
        }
        let counter = if zero_copy { Counter::ZeroCopySends } else { Counter::CopyingSends };
        self.count(counter, 1);
        true
    }

    /// What was granted and debited for a send becomes what was taken.
    fn settle_grant(&mut self, at: u16, sending: Sending, result: Result<u32, i32>) {
        let Sending::Image { asked_bytes, debited_bytes, fed, .. } = sending else {
            return;
        };
        let bytes = result.unwrap_or(0);
        if fed {
            self.feed.sent(at, bytes);
            if bytes < asked_bytes {
                self.layout.deal_again();
            }
            self.link.counters.add(Counter::GovernedBytes, bytes.into());
            return;
        }
        self.governor.taken(debited_bytes, bytes);
        let slot = &mut self.slots[usize::from(at)];
        match result {
            Ok(0) | Err(_) => {}
            Ok(bytes) if bytes < asked_bytes => {
                slot.likely_bytes = bytes.max(LIKELY_BYTES_MIN);
            }
            // It took all: so much at least is likely again.
            Ok(bytes) => slot.likely_bytes = slot.likely_bytes.max(bytes),
        }
    }

    /// A send is over: debit what was really taken.
    pub(super) fn sent(&mut self, at: u16, result: Result<u32, i32>, held: bool, now_ns: u64) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else {
            return;
        };
        let sending = std::mem::replace(&mut slot.sending, Sending::Nothing);
        self.settle_grant(at, sending, result);
        let slot = &mut self.slots[usize::from(at)];
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
            (Sending::Image { item, asked_bytes, .. }, Ok(bytes)) => {
                self.item_sent(at, item, asked_bytes, bytes, now_ns);
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

    /// So many bytes of `item` are out.
    fn item_sent(&mut self, at: u16, item: Item, asked_bytes: u32, bytes: u32, now_ns: u64) {
        if self.slots[usize::from(at)].due.first() != Some(item) {
            return;
        }
        let offer = &mut self.watch.get_mut(item.place).offers[usize::from(at)];
        offer.total_bytes = offer.total_bytes.saturating_add(bytes);
        match offer.bytes_of(item.part) {
            Some(sent_bytes) => *sent_bytes += bytes,
            None => self.answers.advance(at, item, bytes),
        }
        if item.place != WARM_UP_PLACE {
            let counter = match item.part {
                Part::Full => Counter::WholeBytes,
                Part::Compact => Counter::CompactBytes,
                Part::Transactions | Part::Headers => Counter::AnswerBytes,
            };
            self.count(counter, bytes.into());
        }
        let whole = self.rest_bytes(at, item) == 0;
        let slot = &mut self.slots[usize::from(at)];
        slot.mid_image = !whole;
        if bytes < asked_bytes {
            // The socket is full: the ring tells when it can take more.
            slot.fill(now_ns);
            self.count(Counter::PartialSends, 1);
        }
        if whole && item.place == WARM_UP_PLACE {
            self.warm_up_over(at, true);
        } else if whole {
            self.item_out(at, item, now_ns);
            self.next_image(at);
        }
        let has_control = !self.slots[usize::from(at)].control.waiting().is_empty();
        self.work |= has_control || !self.is_paced(at);
    }

    /// All of `item` is out.
    fn item_out(&mut self, at: u16, item: Item, now_ns: u64) {
        let has_ping = self.watch.get(item.place).parts.compact.is_some();
        let offer = &mut self.watch.get_mut(item.place).offers[usize::from(at)];
        match item.part {
            Part::Full => offer.full_out = true,
            Part::Compact => {
                offer.compact_out = true;
                offer.pings = offer.pings.saturating_add(1);
            }
            Part::Transactions => {
                offer.lacks = false;
                offer.pings = offer.pings.saturating_add(u8::from(has_ping));
            }
            Part::Headers => {}
        }
        if offer.sent_ns == 0 {
            offer.sent_ns = now_ns;
        }
        let counter = match item.part {
            Part::Full => Counter::WholeBlocksSent,
            Part::Compact => Counter::CompactBlocksSent,
            Part::Transactions | Part::Headers => Counter::AnswersSent,
        };
        self.count(counter, 1);
        self.strike(at, item.place, item.part);
        self.settle_if_out(item.place, at, now_ns);
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
}
