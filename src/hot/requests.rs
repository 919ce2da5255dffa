//! What peers ask for: blocks of ours, parts of them, their headers. Answered from the image.
//!
//! Each connection is granted so many requests for one block ([`ANSWERS_PER_BLOCK_MAX`]); beside
//! that, all that is asked for counts against its allowance.

use super::answers::NoAnswer;
use super::due::{Item, Part};
use super::inflight::Stage;
use super::shard::Shard;
use super::small::SmallFrame;
use crate::limits::{
    ANSWERS_PER_BLOCK_MAX, BLOCKS_WATCHED_MAX, HEADERS_ANSWERED_MAX, NOT_FOUND_MAX,
};
use crate::metrics::Counter;
use crate::sys::ring::Ring;
use crate::wire::compact::TransactionsRequest;
use crate::wire::message::{InvItem, locator, name};

/// What kind of request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// `getdata`.
    Data,
    /// `getblocktxn`; `complete`: all of it was kept.
    Transactions { complete: bool },
    /// `getheaders`.
    Headers,
    /// `getblocks`.
    Blocks,
}

/// Places of blocks that follow each other, a parent before its child.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    places: [u8; HEADERS_ANSWERED_MAX],
    length: usize,
}

impl Line {
    fn places(&self) -> &[u8] {
        self.places.get(..self.length).unwrap_or(&[])
    }

    fn push(&mut self, place: u8) {
        if let Some(free) = self.places.get_mut(self.length) {
            *free = place;
            self.length += 1;
        }
    }
}

impl<R: Ring> Shard<R> {
    /// The request in `heard` (and what it names in `asked`) is answered.
    pub(super) fn requested(&mut self, at: u16, request: Request) {
        let (heard, asked) = (std::mem::take(&mut self.heard), std::mem::take(&mut self.asked));
        match request {
            Request::Data => self.give(at, &asked),
            Request::Transactions { complete } => self.give_transactions(at, &heard, complete),
            Request::Headers => self.give_headers(at, &heard),
            Request::Blocks => self.give_names(at, &heard),
        }
        (self.heard, self.asked) = (heard, asked);
    }

    /// The place of a block that can be had from us.
    fn served(&self, at: u16, hash: &[u8; 32]) -> Option<u8> {
        let chain = self.slots[usize::from(at)].peer.chain();
        self.watch.by_hash(chain, hash).filter(|place| self.watch.get(*place).is_served())
    }

    /// Whether one more request for this block is granted.
    fn grant(&mut self, place: u8, at: u16) -> bool {
        let offer = &mut self.watch.get_mut(place).offers[usize::from(at)];
        let granted = offer.answers < ANSWERS_PER_BLOCK_MAX;
        offer.answers += u8::from(granted);
        let counter = if granted { Counter::RequestsGranted } else { Counter::RequestsRefused };
        self.count(counter, 1);
        granted
    }

    /// `getdata`: blocks, whole or compact; whatever else is asked for is not found.
    fn give(&mut self, at: u16, asked: &[InvItem]) {
        let mut lost = SmallFrame::new();
        let mut found = asked.iter().map(|item| self.part_of(at, item));
        let missing = found.by_ref().filter(Option::is_none).count();
        let named = missing.min(NOT_FOUND_MAX);
        lost.push(&[named as u8]);
        let mut left = named;
        for item in asked {
            match self.part_of(at, item) {
                Some((place, part)) => self.give_block(at, place, part),
                None if left > 0 => {
                    left -= 1;
                    lost.push(&item.kind.to_le_bytes());
                    lost.push(&item.hash);
                }
                None => {}
            }
        }
        let magic = self.slots[usize::from(at)].magic;
        if let Some(message) = lost.finish(magic, name::NOTFOUND).filter(|_| named > 0) {
            self.queue_control(at, message);
            self.count(Counter::NotFound, missing as u64);
        }
    }

    /// What an entry of a `getdata` asks for; `None`: we have no such thing.
    fn part_of(&self, at: u16, item: &InvItem) -> Option<(u8, Part)> {
        let bare = item.kind & !(InvItem::WITNESS | InvItem::MWEB);
        let compact_kind = self.slots[usize::from(at)].terms.compact_inventory;
        let part = match bare {
            // Always with all that belongs to it: nodes take that, and not less.
            InvItem::BLOCK => Part::Full,
            kind if kind == compact_kind && kind != 0 => Part::Compact,
            _ => return None,
        };
        self.served(at, &item.hash).map(|place| (place, part))
    }

    /// A block, behind its parent where the peer lacks that one too.
    fn give_block(&mut self, at: u16, place: u8, part: Part) {
        if !self.grant(place, at) {
            return;
        }
        let parent = self.watch.get(place).parent;
        if let Some(parent) = self.served(at, &parent) {
            let offer = self.watch.get(parent).offers[usize::from(at)];
            let is_known = offer.has_it() || offer.compact_out || offer.owed > 0;
            if !is_known && self.grant(parent, at) {
                self.owe_now(at, parent, Part::Full);
            }
        }
        let has_compact = self.watch.get(place).parts.compact.is_some();
        let part = if has_compact { part } else { Part::Full };
        self.owe_now(at, place, part);
    }

    /// Queues a part that is waited for; the whole block then is no longer behind another form.
    fn owe_now(&mut self, at: u16, place: u8, part: Part) {
        let is_behind = part == Part::Full
            && self.slots[usize::from(at)].due.items().contains(&Item::behind(place));
        if is_behind && self.begun(at) != Some(Item::behind(place)) {
            self.strike(at, place, part);
        }
        self.owe(at, Item::new(place, part));
    }

    /// The whole block to a peer for which a shorter form did not do.
    pub(super) fn whole_instead(&mut self, place: u8, at: u16) {
        let block = self.watch.get(place);
        let is_sent = block.offers[usize::from(at)].full_out;
        let is_due = self.slots[usize::from(at)].due.has(place, Part::Full);
        if block.is_served() && !is_sent && !is_due {
            self.count(Counter::WholeInstead, 1);
            self.owe(at, Item::new(place, Part::Full));
        }
    }

    /// `getblocktxn`: the transactions that the peer lacks, or the whole block where that is
    /// shorter or the request is not understood. The whole block under way is an answer too.
    fn give_transactions(&mut self, at: u16, heard: &[u8], complete: bool) {
        let hash = heard.first_chunk::<32>();
        let Some(place) = hash.and_then(|hash| self.served(at, hash)) else {
            return self.count(Counter::RequestsRefused, 1);
        };
        let is_begun = self.begun(at).is_some_and(|item| item.is(place, Part::Full));
        let offer = &mut self.watch.get_mut(place).offers[usize::from(at)];
        if !offer.compact_out {
            return self.count(Counter::RequestsRefused, 1);
        }
        offer.lacks |= matches!(offer.stage, Stage::Due | Stage::Sent);
        if offer.full_out || is_begun || !self.grant(place, at) {
            return;
        }
        if !complete || self.slots[usize::from(at)].due.has(place, Part::Transactions) {
            return self.whole_instead(place, at);
        }
        let (magic, block) = (self.slots[usize::from(at)].magic, self.watch.get(place));
        let slot = block.lease.as_ref().map_or(&[][..], |lease| lease.octets());
        let what = (&block.hash, slot, &block.parts);
        let made = match TransactionsRequest::decode(heard) {
            Ok(request) => self.answers.transactions((at, place), magic, what, &request),
            Err(_) => Err(NoAnswer::Bad),
        };
        match made {
            Ok(()) => self.owe(at, Item::new(place, Part::Transactions)),
            Err(NoAnswer::TooMuch) => self.whole_instead(place, at),
            Err(NoAnswer::Bad) => {
                self.count(Counter::RequestsRefused, 1);
                self.whole_instead(place, at);
            }
        }
    }

    /// Our blocks behind the newest one in the peer's locator.
    fn line_behind(&self, at: u16, heard: &[u8]) -> Option<Line> {
        let known = locator(heard)?;
        let chain = self.slots[usize::from(at)].peer.chain();
        let mut line = Line::default();
        for mut tip in known.iter().copied() {
            let begins = self.watch.by_hash(chain, &tip).is_some();
            for step in 0..BLOCKS_WATCHED_MAX as u8 {
                let place = self.watch.place_from_oldest(step);
                let block = self.watch.get(place);
                if block.is_served() && block.chain == chain && block.parent == tip {
                    tip = block.hash;
                    line.push(place);
                }
            }
            if begins || line.length > 0 {
                break;
            }
        }
        Some(line)
    }

    /// `getheaders`: the headers of our blocks that follow on what the peer has.
    fn give_headers(&mut self, at: u16, heard: &[u8]) {
        let Some(line) = self.line_behind(at, heard) else {
            return self.count(Counter::RequestsRefused, 1);
        };
        let magic = self.slots[usize::from(at)].magic;
        let mut small = SmallFrame::new();
        small.push(&[line.length as u8]);
        for place in line.places() {
            small.push(self.watch.get(*place).header());
            small.push(&[0]);
        }
        if let Some(message) = small.finish(magic, name::HEADERS) {
            self.count(Counter::RequestsGranted, line.length as u64);
            self.queue_control(at, message);
            return;
        }
        // With their proofs they are too long for that: one after the other.
        for place in line.places() {
            let is_due = self.slots[usize::from(at)].due.has(*place, Part::Headers);
            if is_due || !self.grant(*place, at) {
                continue;
            }
            let block = self.watch.get(*place);
            let slot = block.lease.as_ref().map_or(&[][..], |lease| lease.octets());
            let what = (slot, &block.parts);
            if self.answers.headers((at, *place), magic, what).is_ok() {
                self.owe(at, Item::new(*place, Part::Headers));
            }
        }
    }

    /// `getblocks`: the names of our blocks that follow on what the peer has.
    fn give_names(&mut self, at: u16, heard: &[u8]) {
        let Some(line) = self.line_behind(at, heard) else {
            return self.count(Counter::RequestsRefused, 1);
        };
        let mut small = SmallFrame::new();
        small.push(&[line.length as u8]);
        for place in line.places() {
            small.push(&InvItem::BLOCK.to_le_bytes());
            small.push(&self.watch.get(*place).hash);
        }
        let magic = self.slots[usize::from(at)].magic;
        if let Some(message) = small.finish(magic, name::INV).filter(|_| line.length > 0) {
            self.count(Counter::RequestsGranted, line.length as u64);
            self.queue_control(at, message);
        }
    }

    /// Offers a block by its header alone.
    pub(super) fn offer_headers(&mut self, place: u8, at: u16) {
        let mut small = SmallFrame::new();
        small.push(&[1]);
        small.push(self.watch.get(place).header());
        small.push(&[0]);
        let magic = self.slots[usize::from(at)].magic;
        let message = small.finish(magic, name::HEADERS);
        if message.is_none_or(|message| !self.queue_control(at, message)) {
            self.watch.get_mut(place).offers[usize::from(at)].way = super::link::Way::Full;
            return self.owe(at, Item::new(place, Part::Full));
        }
        self.count(Counter::HeadersOffered, 1);
        let now_ns = self.ring.now_ns();
        self.settle_if_out(place, at, now_ns);
    }
}
