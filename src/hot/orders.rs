//! What cold asks of a shard, and the end of connections.

use std::os::fd::OwnedFd;

use super::allowance::Allowance;
use super::inflight::{Offer, Stage};
use super::link::{Adoption, Cause, Order, Outcome, PeerId, Report};
use super::reply::nonce_frame;
use super::shard::Shard;
use super::slot::{Ping, Slot, State};
use crate::limits::{BLOCK_KEPT_MS, DRAIN_MS, UNSENT_BYTES};
use crate::sys::ring::Ring;
use crate::sys::socket::limit_unsent;
use crate::wire::frame::FrameReader;

pub(super) const MS: u64 = 1_000_000;

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
                Order::Push { chain, frame, spared } => self.push(chain, &frame, &spared),
                Order::Retire { .. } | Order::Sight { .. } | Order::Control { .. } => {}
                Order::Withdraw { image } => {
                    // Orders and blocks come in two queues: the block may still be in the other.
                    self.take_blocks();
                    self.withdraw(image, now_ns);
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
        let Adoption {
            socket, round_trip_us, governed, ping_deadline_s, is_limited, terms, ..
        } = adoption;
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
            terms,
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

    pub(super) fn ping(&mut self, at: u16, now_ns: u64) {
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
        self.strike_all(at);
        for step in 0..crate::limits::BLOCKS_WATCHED_MAX as u8 {
            let place = self.watch.place_from_oldest(step);
            let offer = self.watch.get(place).offers[usize::from(at)];
            self.settle(place, at, outcome_of(cause, &offer), 0);
        }
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
}

/// What the end of a connection means for a block on it.
fn outcome_of(cause: Cause, offer: &Offer) -> Outcome {
    let is_out = offer.stage == Stage::Sent && offer.total_bytes > 0;
    match cause {
        Cause::Stalled if is_out => Outcome::Unanswered,
        Cause::Stalled => Outcome::Stalled,
        // Nodes read all that has come before they judge, so a refusal closes in order; a reset
        // means that bytes were under way or unread.
        Cause::Closed if is_out => Outcome::Refused,
        Cause::Closed | Cause::Reset(_) => Outcome::Reset,
        _ => Outcome::Abandoned,
    }
}
