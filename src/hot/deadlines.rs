//! What happens to blocks, connections and memory as time goes by.

use super::due::Item;
use super::inflight::Stage;
use super::link::traffic::Bytes;
use super::link::{Cause, Outcome};
use super::orders::MS;
use super::shard::Shard;
use super::slot::{Slot, State};
use crate::limits::{
    BLOCK_KEPT_MS, BLOCKS_ASKED_MAX, BLOCKS_KEPT, COMPACT_RECEIPT_MS, DEADLINE_TICK_MS,
    PING_INTERVAL_MS, PRESSURE_AGE_MS, RECEIPT_DEADLINE_MS, SEND_DEADLINE_MS,
};
use crate::sys::ring::Ring;

impl<R: Ring> Shard<R> {
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
        if block.unsettled == 0 && block.unsent == 0 {
            return;
        }
        let age_ms = now_ns.saturating_sub(block.taken_ns) / MS;
        let pressed = self.pressed() && age_ms >= PRESSURE_AGE_MS;
        let late_send = block.unsent > 0 && (age_ms >= SEND_DEADLINE_MS || pressed);
        let late_receipt = age_ms >= RECEIPT_DEADLINE_MS;
        let late_small = block.is_served() && age_ms >= COMPACT_RECEIPT_MS;
        if !late_send && !late_receipt && !late_small {
            return;
        }
        for at in 0..self.slots.len() as u16 {
            let offer = self.watch.get(place).offers[usize::from(at)];
            let waited_ms = now_ns.saturating_sub(offer.out_ns) / MS;
            match offer.stage {
                // A connection that came later than the block has its own time.
                Stage::Due if late_send && self.had_time(at, now_ns) => {
                    self.late_send(place, at, age_ms, now_ns);
                }
                Stage::Sent if waited_ms >= RECEIPT_DEADLINE_MS => {
                    self.settle(place, at, Outcome::Unanswered, 0);
                }
                Stage::Sent if !offer.full_out && waited_ms >= COMPACT_RECEIPT_MS => {
                    self.whole_instead(place, at);
                }
                Stage::None | Stage::Settled if offer.owed > 0 && late_send => {
                    self.late_answer(place, at, now_ns);
                }
                _ => {}
            }
        }
    }

    /// An answer that is not out yet: nobody waits for it in vain who takes nothing.
    fn late_answer(&mut self, place: u8, at: u16, now_ns: u64) {
        if self.strike_untouched(place, at) && self.is_stuck(at, now_ns) {
            self.close(at, Cause::Stalled);
        }
    }

    /// A block's bytes should be out by now. A governed connection may wait for tokens, and
    /// takes no more than leaves: to blame is only a socket
    /// that took nothing for so long, or one that takes next to nothing for very long.
    fn late_send(&mut self, place: u8, at: u16, age_ms: u64, now_ns: u64) {
        let is_governed = self.slots[usize::from(at)].governed;
        let is_old = self.pressed() || age_ms >= RECEIPT_DEADLINE_MS;
        let is_untouched = self.begun(at).is_none_or(|item| item.place != place);
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
            // Of a compact form the peer may still ask for the rest.
            let is_waited_for = block.unsettled > 0 && block.parts.compact.is_some();
            let is_kept = kept <= BLOCKS_KEPT || (is_waited_for && kept <= BLOCKS_ASKED_MAX);
            let wanted = fresh && is_kept && !pressed && !block.withdrawn;
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
        let mid_warm_up = slot.mid_image && slot.due.first() == Some(Item::WARM_UP);
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
