//! What cold asks of a shard, the end of connections, and what happens as time goes by.

use std::os::fd::OwnedFd;

use super::allowance::Allowance;
use super::inflight::{Stage, WARM_UP_PLACE};
use super::link::traffic::Bytes;
use super::link::{Adoption, Cause, Order, Outcome, PeerId, Report};
use super::reply::nonce_frame;
use super::shard::Shard;
use super::slot::{Ping, Slot, State};
use crate::limits::{
    BLOCK_KEPT_MS, BLOCKS_KEPT, DEADLINE_TICK_MS, DRAIN_MS, PING_INTERVAL_MS, PRESSURE_AGE_MS,
    RECEIPT_DEADLINE_MS, SEND_DEADLINE_MS, UNSENT_BYTES,
};
use crate::sys::ring::Ring;
use crate::sys::socket::limit_unsent;
use crate::wire::frame::FrameReader;

const MS: u64 = 1_000_000;

impl<R: Ring> Shard<R> {
    pub(super) fn take_orders(&mut self) {
        while let Some(order) = self.link.next_order() {
            let now_ns = self.ring.now_ns();
            match order {
                Order::Adopt(adoption) => self.adopt(adoption, now_ns),
                Order::Retire { slot, peer } if self.serves(slot, peer) => {
                    self.close(slot, Cause::Asked);
                }
                Order::Sight { slot, peer, rank, round_trip_us, warm, warm_for_small }
                    if self.serves(slot, peer) =>
                {
                    self.order.retain(|other| *other != slot);
                    self.enrol(slot, rank);
                    self.note_sight(slot, round_trip_us, [warm, warm_for_small]);
                }
                Order::WarmUp { slot, peer, image } => self.warm_up(slot, peer, image),
                Order::EndWarmUp { image } => self.end_warm_up(image),
                Order::Control { slot, peer, frame } if self.serves(slot, peer) => {
                    self.queue_control(slot, frame.as_bytes());
                }
                Order::Retire { .. } | Order::Sight { .. } | Order::Control { .. } => {}
                Order::Withdraw { image } => {
                    // Orders and blocks come in two queues: the block may still be in the other.
                    self.take_blocks();
                    self.withdraw(image);
                }
                Order::Drain => self.draining_until_ns = Some(now_ns + DRAIN_MS * MS),
            }
        }
        self.lay_out();
    }

    pub(super) fn serves(&self, slot: u16, peer: PeerId) -> bool {
        self.slots.get(usize::from(slot)).is_some_and(|place| place.serves(peer))
    }

    fn adopt(&mut self, adoption: Adoption, now_ns: u64) {
        let Adoption { slot: at, peer, rank, route, magic, payload_bytes_max, .. } = adoption;
        let Adoption { socket, round_trip_us, governed, ping_deadline_s, is_limited, .. } =
            adoption;
        let governed = governed && self.layout.governs();
        if governed {
            // A socket that keeps more would be sent out of turn; it does no other harm.
            let _ = limit_unsent(&socket, UNSENT_BYTES);
        }
        let free = self.slots.get(usize::from(at)).is_some_and(|slot| slot.state == State::Free);
        let taken = match free && self.draining_until_ns.is_none() {
            true => self.ring.adopt(at, socket),
            false => Err(socket),
        };
        if let Err(socket) = taken {
            self.send_home(at, peer, Cause::NotTaken, (0, 0), socket);
            return;
        }
        self.slots[usize::from(at)] = Slot {
            state: State::Live,
            peer,
            route,
            governed,
            round_trip_us,
            full_ns: now_ns,
            magic,
            reader: FrameReader::new(magic, payload_bytes_max),
            ping_deadline_ms: u64::from(ping_deadline_s) * 1_000,
            allowance: is_limited.then(Allowance::default),
            adopted_ns: now_ns,
            ..Slot::free()
        };
        self.routes.join(route);
        self.enrol(at, rank);
        self.join_feed(at);
        self.offer_newest(at, now_ns);
        self.ping(at, now_ns);
    }

    /// Puts a connection into the order of service, behind all of the same or a better rank.
    fn enrol(&mut self, at: u16, rank: u32) {
        self.slots[usize::from(at)].rank = rank;
        let slots = &self.slots;
        let place = self.order.partition_point(|other| slots[usize::from(*other)].rank <= rank);
        self.order.insert(place, at);
    }

    /// A connection that comes (back) while a block is new gets it at once, parents first.
    fn offer_newest(&mut self, at: u16, now_ns: u64) {
        let chain = self.slots[usize::from(at)].peer.chain();
        for step in 0..crate::limits::BLOCKS_WATCHED_MAX as u8 {
            let place = self.watch.place_from_oldest(step);
            let block = self.watch.get(place);
            let fresh = block.taken_ns + BLOCK_KEPT_MS * MS > now_ns;
            let offered = block.lease.is_some() && !block.withdrawn;
            if block.is_used() && offered && block.chain == chain && fresh {
                let (image, shard) = (block.image, self.link.shard);
                self.watch.get_mut(place).finished = false;
                self.offer(place, at);
                self.report(Report::Offered { image, shard, offers: 1, at_ns: now_ns });
            }
        }
    }

    /// The node refused this block: whoever has no byte of it does not get it.
    fn withdraw(&mut self, image: super::link::ImageId) {
        let Some(place) = self.watch.by_image(image) else {
            return;
        };
        for at in 0..self.slots.len() as u16 {
            let untouched = {
                let offer = &self.watch.get(place).offers[usize::from(at)];
                offer.stage == Stage::Due && offer.sent_bytes == 0 && !self.is_sending(at, place)
            };
            if untouched {
                self.settle(place, at, Outcome::Abandoned, 0);
            }
        }
        let block = self.watch.get_mut(place);
        block.withdrawn = true;
        if block.unsent == 0 {
            block.lease = None;
        }
    }

    fn ping(&mut self, at: u16, now_ns: u64) {
        self.ping_serial = self.ping_serial.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let nonce = self.ping_serial;
        let message = nonce_frame(self.slots[usize::from(at)].magic, "ping", nonce);
        // One that found no room is not waited for: the next tick tries again.
        if self.queue_control(at, &message) {
            self.slots[usize::from(at)].ping = Ping { nonce, sent_ns: now_ns, awaited: true };
        }
    }

    /// Begins to let go of a connection: its offers end here and now.
    pub(super) fn close(&mut self, at: u16, cause: Cause) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else {
            return;
        };
        if slot.state != State::Live {
            return;
        }
        slot.state = State::Closing(cause);
        self.routes.leave(slot.route, at);
        self.order.retain(|other| *other != at);
        for step in 0..crate::limits::BLOCKS_WATCHED_MAX as u8 {
            let place = self.watch.place_from_oldest(step);
            let stage = self.watch.get(place).offers[usize::from(at)].stage;
            self.settle(place, at, outcome_of(cause, stage), 0);
        }
        self.warm_up_over(at, false);
        self.feed.forget(at);
        self.ring.close(at);
    }

    pub(super) fn ended(&mut self, at: u16, errno: i32) {
        let cause = if errno == 0 { Cause::Closed } else { Cause::Reset(errno) };
        self.close(at, cause);
    }

    /// The ring is done with a connection: its socket goes home, its slot is free.
    pub(super) fn gone(&mut self, at: u16, socket: OwnedFd) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else {
            return;
        };
        let State::Closing(cause) = slot.state else {
            return;
        };
        let (peer, bytes) = (slot.peer, (slot.received_bytes, slot.sent_bytes));
        slot.state = State::Free;
        self.watch.forget_slot(at);
        self.send_home(at, peer, cause, bytes, socket);
    }

    /// Gives a socket to whoever may take the time to close it. `bytes`: received and sent.
    fn send_home(
        &mut self,
        slot: u16,
        peer: PeerId,
        cause: Cause,
        bytes: (u64, u64),
        socket: OwnedFd,
    ) {
        let (shard, (received_bytes, sent_bytes)) = (self.link.shard, bytes);
        self.report(Report::Retired {
            peer,
            shard,
            slot,
            cause,
            received_bytes,
            sent_bytes,
            socket,
        });
    }

    /// Deadlines, keepalives, and memory that is needed no longer.
    pub(super) fn tick(&mut self) {
        let now_ns = self.ring.now_ns();
        if now_ns < self.ticked_ns + DEADLINE_TICK_MS * MS {
            return;
        }
        self.ticked_ns = now_ns;
        for step in 0..crate::limits::BLOCKS_WATCHED_MAX as u8 {
            let place = self.watch.place_from_oldest(step);
            self.block_deadlines(place, now_ns);
        }
        self.let_go_of_old(now_ns);
        self.hurried();
        for at in 0..self.slots.len() as u16 {
            self.keep_alive(at, now_ns);
        }
        if let Some(until_ns) = self.draining_until_ns {
            self.drain(now_ns >= until_ns);
        }
    }

    fn block_deadlines(&mut self, place: u8, now_ns: u64) {
        let block = self.watch.get(place);
        if block.unsettled == 0 {
            return;
        }
        let age_ms = now_ns.saturating_sub(block.taken_ns) / MS;
        let pressed = self.pressed() && age_ms >= PRESSURE_AGE_MS;
        let late_send = block.unsent > 0 && (age_ms >= SEND_DEADLINE_MS || pressed);
        let late_receipt = age_ms >= RECEIPT_DEADLINE_MS;
        if !late_send && !late_receipt {
            return;
        }
        for at in 0..self.slots.len() as u16 {
            let offer = self.watch.get(place).offers[usize::from(at)];
            match offer.stage {
                // A connection that came later than the block has its own time.
                Stage::Due if late_send && self.had_time(at, now_ns) => {
                    self.late_send(place, at, age_ms, now_ns);
                }
                Stage::Sent if now_ns.saturating_sub(offer.sent_ns) / MS >= RECEIPT_DEADLINE_MS => {
                    self.settle(place, at, Outcome::Unanswered, 0);
                }
                _ => {}
            }
        }
    }

    /// A block's bytes should be out by now. A governed connection may wait for tokens, and
    /// takes no more than leaves: to blame is only a socket
    /// that took nothing for so long, or one that takes next to nothing for very long.
    fn late_send(&mut self, place: u8, at: u16, age_ms: u64, now_ns: u64) {
        let is_governed = self.slots[usize::from(at)].governed;
        let is_old = self.pressed() || age_ms >= RECEIPT_DEADLINE_MS;
        let offer = self.watch.get(place).offers[usize::from(at)];
        let is_untouched = offer.sent_bytes == 0 && !self.is_sending(at, place);
        if !is_governed || self.is_stuck(at, now_ns) || (is_old && !is_untouched) {
            self.close(at, Cause::Stalled);
        } else if is_old {
            self.settle(place, at, Outcome::Abandoned, 0);
        }
    }

    /// Whether the socket took nothing for as long as it may.
    fn is_stuck(&self, at: u16, now_ns: u64) -> bool {
        let limit_ms = if self.pressed() { PRESSURE_AGE_MS } else { SEND_DEADLINE_MS };
        let slot = &self.slots[usize::from(at)];
        !slot.writable && now_ns.saturating_sub(slot.full_ns) >= limit_ms * MS
    }

    /// Whether the connection is old enough to be judged by a block's age.
    fn had_time(&self, at: u16, now_ns: u64) -> bool {
        let limit_ms = if self.pressed() { PRESSURE_AGE_MS } else { SEND_DEADLINE_MS };
        let adopted_ns = self.slots[usize::from(at)].adopted_ns;
        now_ns.saturating_sub(adopted_ns) >= limit_ms * MS
    }

    /// Gives image slots back: all but the newest at once when sent, those after a while.
    pub(super) fn let_go_of_old(&mut self, now_ns: u64) {
        let pressed = self.pressed();
        let mut kept = 0;
        for step in (0..crate::limits::BLOCKS_WATCHED_MAX as u8).rev() {
            let place = self.watch.place_from_oldest(step);
            let block = self.watch.get_mut(place);
            if block.lease.is_none() {
                continue;
            }
            kept += 1;
            let fresh = now_ns < block.taken_ns + BLOCK_KEPT_MS * MS;
            let wanted = fresh && kept <= BLOCKS_KEPT && !pressed && !block.withdrawn;
            if block.unsent == 0 && !wanted {
                block.lease = None;
            }
        }
    }

    fn keep_alive(&mut self, at: u16, now_ns: u64) {
        let slot = &self.slots[usize::from(at)];
        if slot.state != State::Live {
            return;
        }
        let Slot { peer, received_bytes, sent_bytes, .. } = *slot;
        self.link.traffic.note(at, peer, Bytes { received_bytes, sent_bytes });
        // In the middle of a warm-up it could get no block either.
        let mid_warm_up = slot.mid_image && slot.due.first() == Some(WARM_UP_PLACE);
        if mid_warm_up && self.is_stuck(at, now_ns) {
            return self.close(at, Cause::Stalled);
        }
        let slot = &self.slots[usize::from(at)];
        let quiet_ms = now_ns.saturating_sub(slot.ping.sent_ns) / MS;
        if slot.ping.awaited && quiet_ms >= slot.ping_deadline_ms {
            self.close(at, Cause::Silent);
        } else if !slot.ping.awaited && quiet_ms >= PING_INTERVAL_MS {
            self.ping(at, now_ns);
        }
    }

    /// Lets go of everything once nothing is in flight, or the time for it is up.
    fn drain(&mut self, late: bool) {
        if late || self.in_flight() == 0 {
            for at in 0..self.slots.len() as u16 {
                self.close(at, Cause::Stopping);
            }
        }
        self.stop_when_empty();
    }
}

/// What the end of a connection means for a block on it.
fn outcome_of(cause: Cause, stage: Stage) -> Outcome {
    match (cause, stage) {
        (Cause::Stalled, Stage::Sent) => Outcome::Unanswered,
        (Cause::Stalled, _) => Outcome::Stalled,
        // Nodes read all that has come before they judge, so a refusal closes in order; a reset
        // means that bytes were under way or unread.
        (Cause::Closed, Stage::Sent) => Outcome::Refused,
        (Cause::Closed | Cause::Reset(_), _) => Outcome::Reset,
        _ => Outcome::Abandoned,
    }
}
