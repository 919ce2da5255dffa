//! Offers: what is due of them, what their receipts say, and how they end.

use super::due::{Item, Part};
use super::inflight::{Offer, Stage, WARM_UP_PLACE};
use super::link::{Cause, ImageId, Outcome, Report};
use super::publish::Publication;
use super::shard::Shard;
use super::way::{self, Line, Load, Path};
use crate::metrics::Counter;
use crate::sys::ring::Ring;

const PARTS: [Part; 4] = [Part::Full, Part::Compact, Part::Transactions, Part::Headers];

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

    /// Offers a block to one connection, in the form that suits it.
    pub(super) fn offer(&mut self, place: u8, at: u16) {
        use super::link::Way;
        let way = self.way_of(place, at);
        self.watch.offer(place, at, way);
        self.count(Counter::Offered, 1);
        match way {
            Way::Full => self.owe(at, Item::new(place, Part::Full)),
            Way::Compact => self.owe(at, Item::new(place, Part::Compact)),
            Way::CompactThenFull => {
                self.owe(at, Item::new(place, Part::Compact));
                self.owe(at, Item::behind(place));
            }
            Way::Headers => self.offer_headers(place, at),
        }
    }

    fn way_of(&self, place: u8, at: u16) -> super::link::Way {
        let (slot, block) = (&self.slots[usize::from(at)], self.watch.get(place));
        let path = Path {
            round_trip_us: slot.round_trip_us,
            warm: slot.warm,
            warm_for_small: slot.warm_for_small,
        };
        let load = Load {
            block_bytes: block.total_bytes,
            compact_bytes: block.parts.compact.map(|compact| compact.total_bytes),
            has_headers: block.header().len() == 80,
        };
        let line = match slot.governed {
            true => Line { bytes_per_s: self.bucket.rate(), sharing: self.layout.sharing() },
            false => Line::default(),
        };
        way::choose(&slot.terms, path, load, line)
    }

    /// Adds to what is due on a connection, unless it is due already.
    pub(super) fn owe(&mut self, at: u16, item: Item) {
        let slot = &mut self.slots[usize::from(at)];
        if slot.due.push(item, slot.is_begun()) {
            self.watch.owe(item.place, at, item.part);
            self.work = true;
            self.sync(at);
        }
    }

    /// Takes a part off what is due on a connection.
    pub(super) fn strike(&mut self, at: u16, place: u8, part: Part) {
        if self.slots[usize::from(at)].due.strike(place, part) {
            self.watch.pay(place, at, part);
            self.answers.free(at, Item::new(place, part));
        }
    }

    /// The same for all parts of a block of which nothing is out. `true`: one is begun.
    pub(super) fn strike_untouched(&mut self, place: u8, at: u16) -> bool {
        let begun = self.begun(at).filter(|item| item.place == place);
        for part in PARTS.into_iter().filter(|part| begun.is_none_or(|it| it.part != *part)) {
            self.strike(at, place, part);
        }
        begun.is_some()
    }

    /// The same for everything on a connection that ends.
    pub(super) fn strike_all(&mut self, at: u16) {
        while let Some(item) = self.slots[usize::from(at)].due.first() {
            if item.place == WARM_UP_PLACE {
                self.warm_up_over(at, false);
                // Struck by that, unless nobody knows of it.
                self.slots[usize::from(at)].due.strike(item.place, item.part);
            } else {
                self.strike(at, item.place, item.part);
            }
        }
    }

    /// What is being sent on a connection: something of it is out or with the kernel.
    pub(super) fn begun(&self, at: u16) -> Option<Item> {
        let slot = &self.slots[usize::from(at)];
        slot.due.first().filter(|_| slot.is_begun())
    }

    /// Whether nothing of this offer has gone out or is with the kernel.
    pub(super) fn is_untouched(&self, place: u8, at: u16) -> bool {
        let offer = &self.watch.get(place).offers[usize::from(at)];
        let is_open = matches!(offer.stage, Stage::Due | Stage::Sent);
        is_open && offer.total_bytes == 0 && self.begun(at).is_none_or(|it| it.place != place)
    }

    /// Where nothing of an offer is due any more: it is over if the receipt is here, else that is
    /// waited for.
    pub(super) fn settle_if_out(&mut self, place: u8, at: u16, now_ns: u64) {
        let Offer { stage, owed, handled_ns, .. } = self.watch.get(place).offers[usize::from(at)];
        if stage != Stage::Due || owed > 0 {
            return;
        }
        let end_bytes = self.slots[usize::from(at)].sent_bytes;
        self.watch.sent(place, at, end_bytes, now_ns);
        if handled_ns > 0 {
            self.settle(place, at, Outcome::Handled, handled_ns);
        }
    }

    /// The peer has dealt with the block. The offer ends unless more of it is due.
    pub(super) fn receipt(&mut self, place: u8, at: u16, now_ns: u64) {
        let offer = &mut self.watch.get_mut(place).offers[usize::from(at)];
        if offer.handled_ns == 0 {
            offer.handled_ns = now_ns;
        }
        let (stage, handled_ns) = (offer.stage, offer.handled_ns);
        if stage == Stage::Sent {
            self.settle(place, at, Outcome::Handled, handled_ns);
        }
    }

    /// The pong to the ping behind a form of a block.
    pub(super) fn receipt_of(&mut self, place: u8, at: u16, part: Part, now_ns: u64) {
        let offer = &mut self.watch.get_mut(place).offers[usize::from(at)];
        if !matches!(offer.stage, Stage::Due | Stage::Sent) {
            return;
        }
        // A receipt for what is not all out yet can only be made up.
        let counts = match part {
            Part::Full => offer.full_out,
            _ => {
                let last = offer.pings == 1;
                offer.pings = offer.pings.saturating_sub(1);
                last && !offer.lacks
            }
        };
        if part == Part::Full && counts {
            // What it lacked came with the block.
            offer.lacks = false;
            let is_begun = self.begun(at).is_some_and(|it| it.is(place, Part::Transactions));
            if !is_begun {
                self.strike(at, place, Part::Transactions);
            }
            self.settle_if_out(place, at, now_ns);
        }
        if counts {
            self.give_message_back(at);
            self.receipt(place, at, now_ns);
        }
    }

    /// Ends an offer and reports it. Every outcome is counted here and nowhere else.
    pub(super) fn settle(&mut self, place: u8, at: u16, outcome: Outcome, handled_ns: u64) {
        let known_ns = self.watch.get(place).offers[usize::from(at)].handled_ns;
        // A receipt for one form is one, whatever became of the other that was still to come.
        let (outcome, handled_ns) = match outcome {
            Outcome::Abandoned | Outcome::Unanswered if known_ns > 0 => {
                (Outcome::Handled, known_ns)
            }
            outcome => (outcome, handled_ns),
        };
        let Some(offer) = self.watch.settle(place, at, outcome) else {
            return;
        };
        self.strike_untouched(place, at);
        let peer = self.slots[usize::from(at)].peer;
        self.next_image(at);
        self.count(Counter::Settled, 1);
        self.report(Report::Settled {
            image: self.watch.get(place).image,
            peer,
            outcome,
            way: offer.way,
            sent_bytes: offer.total_bytes,
            submitted_ns: offer.submitted_ns,
            sent_ns: offer.sent_ns,
            // Who has dealt with it has acknowledged it.
            acked_ns: offer.arrived_ns(handled_ns),
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

    /// The node refused this block: whoever has no byte of it does not get it, nor anybody a form
    /// of it that is not begun.
    pub(super) fn withdraw(&mut self, image: ImageId, now_ns: u64) {
        let Some(place) = self.watch.by_image(image) else {
            return;
        };
        self.watch.get_mut(place).withdrawn = true;
        for at in 0..self.slots.len() as u16 {
            if self.is_untouched(place, at) {
                self.settle(place, at, Outcome::Abandoned, 0);
            } else {
                self.strike_untouched(place, at);
                self.next_image(at);
                self.settle_if_out(place, at, now_ns);
            }
        }
        let block = self.watch.get_mut(place);
        if block.unsent == 0 {
            block.lease = None;
        }
    }

    /// The place is needed for a newer block: whoever has not answered by now is not waited for,
    /// and whoever has not even taken it is dropped.
    fn end_waiting(&mut self, place: u8) {
        let block = self.watch.get(place);
        if block.unsettled > 0 || block.unsent > 0 {
            for at in 0..self.slots.len() as u16 {
                match self.watch.get(place).offers[usize::from(at)].stage {
                    Stage::Due => self.close(at, Cause::Stalled),
                    Stage::Sent => self.settle(place, at, Outcome::Unanswered, 0),
                    Stage::None | Stage::Settled => {}
                }
                if self.strike_untouched(place, at) {
                    self.close(at, Cause::Stalled);
                }
            }
        }
        self.watch.get_mut(place).lease = None;
    }
}
