//! Warm-ups: blocks that open windows. Sent to whom cold says, counted apart from broadcasts.

use super::due::{Item, Part};
use super::inflight::{Stage, WARM_UP_PLACE};
use super::link::{ImageId, PeerId, Report};
use super::shard::Shard;
use crate::metrics::Counter;
use crate::sys::ring::Ring;

impl<R: Ring> Shard<R> {
    /// Cold asks for it: the warm-up image goes to one connection.
    pub(super) fn warm_up(&mut self, at: u16, peer: PeerId, image: ImageId) {
        self.take_blocks_for(image);
        let block = self.watch.get(WARM_UP_PLACE);
        let has_it = block.image == image && block.lease.is_some() && !block.withdrawn;
        let is_free =
            block.offers.get(usize::from(at)).is_some_and(|offer| offer.stage != Stage::Due);
        if !has_it || !is_free || block.chain != peer.chain() || !self.serves(at, peer) {
            return self.report(Report::WarmedUp { image, peer, sent_bytes: 0, whole: false });
        }
        self.watch.offer_warm_up(at);
        let slot = &mut self.slots[usize::from(at)];
        slot.due.push(Item::WARM_UP, slot.is_begun());
        self.work = true;
        self.sync(at);
    }

    /// Whoever has no byte of it yet does not get it any more.
    pub(super) fn end_warm_up(&mut self, image: ImageId) {
        self.take_blocks_for(image);
        if self.watch.get(WARM_UP_PLACE).image != image {
            return;
        }
        self.watch.get_mut(WARM_UP_PLACE).withdrawn = true;
        for at in 0..self.slots.len() as u16 {
            let offer = self.watch.get(WARM_UP_PLACE).offers[usize::from(at)];
            let is_untouched = self.begun(at) != Some(Item::WARM_UP);
            if offer.stage == Stage::Due && is_untouched {
                self.warm_up_over(at, false);
            }
        }
        self.watch.let_go_of_warm_up();
    }

    /// Memory is wanted for a block: the warm-up makes way.
    pub(super) fn end_warm_up_for_memory(&mut self) {
        let block = self.watch.get(WARM_UP_PLACE);
        if block.lease.is_some() && !block.withdrawn {
            self.end_warm_up(block.image);
        }
    }

    /// A connection's warm-up has ended, whole or not.
    pub(super) fn warm_up_over(&mut self, at: u16, whole: bool) {
        let Some(sent_bytes) = self.watch.end_warm_up(at) else {
            return;
        };
        let slot = &mut self.slots[usize::from(at)];
        slot.due.strike(WARM_UP_PLACE, Part::Full);
        let (image, peer) = (self.watch.get(WARM_UP_PLACE).image, slot.peer);
        self.count(Counter::WarmUpBytes, sent_bytes.into());
        self.report(Report::WarmedUp { image, peer, sent_bytes, whole });
        self.watch.let_go_of_warm_up();
        self.next_image(at);
    }

    /// Orders and images come in two queues: this one may still be in the other.
    fn take_blocks_for(&mut self, image: ImageId) {
        if self.watch.get(WARM_UP_PLACE).image != image {
            self.take_blocks();
        }
    }
}
