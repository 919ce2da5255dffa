//! The table of blocks on their way: what was offered to whom, and what became of it.
//!
//! Law, asserted after every turn in tests: offered = sum of outcomes + in flight.

mod offer;

use std::ops::Range;

pub(super) use offer::{Offer, Stage};

use super::due::Part;
use super::link::{ImageId, Outcome, Way};
use super::publish::{CompactPart, Parts, Publication, WarmUpHold};
use crate::limits::{
    ACKNOWLEDGED_PAUSE_MIN_MS, BLOCKS_WATCHED_MAX, PEERS_PER_SHARD_MAX, SMALL_IMAGE_BYTES,
};
use crate::sys::memory::Lease;
use crate::wire::image::ImageLayout;

/// Length of a header without a proof.
const HEADER_BYTES: u32 = 80;
/// Where in a header the parent's hash is.
const PARENT: Range<usize> = 4..36;
/// Place of the warm-up image, behind those of the blocks.
pub(super) const WARM_UP_PLACE: u8 = BLOCKS_WATCHED_MAX as u8;

/// One block and all its offers in this shard.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) image: ImageId,
    pub(super) lease: Option<Lease>,
    /// Of a warm-up: no other is begun meanwhile.
    pub(super) hold: Option<WarmUpHold>,
    pub(super) chain: u8,
    pub(super) total_bytes: u32,
    pub(super) nonce: u64,
    pub(super) parts: Parts,
    pub(super) hash: [u8; 32],
    /// Hash of its parent.
    pub(super) parent: [u8; 32],
    /// When this shard took it up: its deadlines count from here.
    pub(super) taken_ns: u64,
    pub(super) offers: Box<[Offer]>,
    /// Offers that have not ended.
    pub(super) unsettled: u32,
    /// Parts that are due, over all connections.
    pub(super) unsent: u32,
    /// Offers that are out and neither acknowledged nor ended.
    pub(super) unacknowledged: u32,
    /// When the last of them went out.
    pub(super) sent_ns: u64,
    /// When the kernel is asked about them next.
    pub(super) ask_ns: u64,
    /// The end of all offers was reported.
    pub(super) finished: bool,
    /// The node refused it: nobody else gets it.
    pub(super) withdrawn: bool,
}

impl Watched {
    fn empty() -> Self {
        Self {
            image: ImageId(0),
            lease: None,
            hold: None,
            chain: 0,
            total_bytes: 0,
            nonce: 0,
            parts: Parts::default(),
            hash: [0; 32],
            parent: [0; 32],
            taken_ns: 0,
            offers: vec![Offer::default(); PEERS_PER_SHARD_MAX as usize].into(),
            unsettled: 0,
            unsent: 0,
            unacknowledged: 0,
            sent_ns: 0,
            ask_ns: 0,
            finished: true,
            withdrawn: false,
        }
    }

    /// Whether a block was ever here.
    pub(super) fn is_used(&self) -> bool {
        self.image != ImageId(0)
    }

    /// Whether peers that ask can be given anything of it.
    pub(super) fn is_served(&self) -> bool {
        self.is_used() && self.lease.is_some() && !self.withdrawn
    }

    /// Where in its slot a form of it is. Nowhere, where it has none.
    pub(super) fn span(&self, part: Part) -> Range<u32> {
        match (part, self.parts.compact) {
            (Part::Full, _) => 0..self.total_bytes,
            (Part::Compact, Some(CompactPart { start, total_bytes, .. })) => {
                start..start + total_bytes
            }
            _ => 0..0,
        }
    }

    /// Nonce of the ping behind its compact form.
    pub(super) fn compact_nonce(&self) -> Option<u64> {
        self.parts.compact.map(|compact| compact.nonce)
    }

    /// The bytes of the block that are there.
    pub(super) fn header(&self) -> &[u8] {
        let octets = self.lease.as_ref().map_or(&[][..], Lease::octets);
        let end = ImageLayout::BLOCK_START + self.parts.header_bytes.max(HEADER_BYTES) as usize;
        octets.get(ImageLayout::BLOCK_START..end).unwrap_or(&[])
    }
}

/// Sums over the life of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Offers made.
    pub offered: u64,
    /// Offers ended, by [`Outcome::index`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Warm-ups begun: one for each order that could be followed.
    pub warm_ups: u64,
    /// Warm-ups ended, whole or not.
    pub warm_ups_ended: u64,
}

impl Tally {
    /// Offers ended, whatever the outcome.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.outcomes.iter().sum()
    }
}

/// The newest blocks of this shard, in a circle, and behind them the warm-up.
#[derive(Debug)]
pub(super) struct Watch {
    blocks: Box<[Watched]>,
    newest: u8,
    pub(super) tally: Tally,
    /// Offers of all blocks that are out and neither acknowledged nor ended.
    pub(super) unacknowledged: u32,
    /// Small parts that are due, of all blocks.
    pub(super) small: u32,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            blocks: (0..=BLOCKS_WATCHED_MAX).map(|_| Watched::empty()).collect(),
            newest: 0,
            tally: Tally::default(),
            unacknowledged: 0,
            small: 0,
        }
    }

    /// The place that the next block will take: that of the oldest.
    pub(super) fn next_place(&self) -> u8 {
        (self.newest + 1) % BLOCKS_WATCHED_MAX as u8
    }

    /// Puts a block into [`Watch::next_place`], whose former offers must all have ended.
    pub(super) fn take(&mut self, publication: Publication, now_ns: u64) -> u8 {
        let place = self.next_place();
        self.put(place, publication, now_ns);
        self.newest = place;
        place
    }

    /// Takes up a warm-up image. The former one's offers have ended: it was held until then.
    pub(super) fn take_warm_up(&mut self, publication: Publication, now_ns: u64) {
        self.put(WARM_UP_PLACE, publication, now_ns);
    }

    fn put(&mut self, place: u8, publication: Publication, now_ns: u64) {
        let block = &mut self.blocks[usize::from(place)];
        debug_assert_eq!((block.unsettled, block.unsent), (0, 0), "the old offers have ended");
        block.image = publication.image;
        block.lease = Some(publication.lease);
        block.hold = publication.warm_up;
        block.chain = publication.chain;
        block.total_bytes = publication.total_bytes;
        block.nonce = publication.nonce;
        block.parts = publication.parts;
        block.hash = publication.hash;
        block.parent =
            block.header().get(PARENT).and_then(|it| it.try_into().ok()).unwrap_or([0; 32]);
        block.taken_ns = now_ns;
        block.offers.fill(Offer::default());
        (block.unsettled, block.unsent) = (0, 0);
        (block.finished, block.withdrawn) = (false, false);
    }

    /// Whether any block is not out everywhere.
    pub(super) fn has_unsent_blocks(&self) -> bool {
        self.blocks[..usize::from(WARM_UP_PLACE)].iter().any(|block| block.unsent > 0)
    }

    /// Whether all blocks that some connection has not got whole are small.
    pub(super) fn has_only_small_blocks(&self) -> bool {
        let mut unsent =
            self.blocks[..usize::from(WARM_UP_PLACE)].iter().filter(|block| block.unsent > 0);
        self.has_unsent_blocks() && unsent.all(|block| block.total_bytes <= SMALL_IMAGE_BYTES)
    }

    /// Warm-ups that have not ended.
    pub(super) fn warming(&self) -> u32 {
        self.get(WARM_UP_PLACE).unsent
    }

    /// Notes that a connection is to get the warm-up.
    pub(super) fn offer_warm_up(&mut self, slot: u16) {
        let block = &mut self.blocks[usize::from(WARM_UP_PLACE)];
        block.offers[usize::from(slot)] = Offer { stage: Stage::Due, ..Offer::default() };
        block.unsent += 1;
        self.tally.warm_ups += 1;
    }

    /// Ends a connection's warm-up; so many bytes of it are out. `None`: there is none.
    pub(super) fn end_warm_up(&mut self, slot: u16) -> Option<u32> {
        let block = &mut self.blocks[usize::from(WARM_UP_PLACE)];
        let offer = std::mem::take(&mut block.offers[usize::from(slot)]);
        if offer.stage != Stage::Due {
            return None;
        }
        block.unsent -= 1;
        self.tally.warm_ups_ended += 1;
        Some(offer.full_bytes)
    }

    /// Lets go of a warm-up's memory once it is withdrawn and through.
    pub(super) fn let_go_of_warm_up(&mut self) {
        let block = &mut self.blocks[usize::from(WARM_UP_PLACE)];
        if block.withdrawn && block.unsent == 0 {
            (block.lease, block.hold) = (None, None);
        }
    }

    pub(super) fn get(&self, place: u8) -> &Watched {
        &self.blocks[usize::from(place)]
    }

    pub(super) fn get_mut(&mut self, place: u8) -> &mut Watched {
        &mut self.blocks[usize::from(place)]
    }

    /// The `step`-th place, counted from the oldest block's (or one not used yet).
    pub(super) fn place_from_oldest(&self, step: u8) -> u8 {
        (self.newest + 1 + step) % BLOCKS_WATCHED_MAX as u8
    }

    /// Places from the oldest block to the newest, unused ones left out.
    fn places(&self) -> impl Iterator<Item = u8> + use<'_> {
        let places = (0..BLOCKS_WATCHED_MAX as u8).map(|step| self.place_from_oldest(step));
        places.filter(|place| self.get(*place).is_used())
    }

    /// Place of the block with this number.
    pub(super) fn by_image(&self, image: ImageId) -> Option<u8> {
        self.places().find(|place| self.get(*place).image == image)
    }

    /// Makes a slot new for its next tenant. Its offers must all have ended.
    pub(super) fn forget_slot(&mut self, slot: u16) {
        for block in &mut self.blocks {
            let offer = &block.offers[usize::from(slot)];
            debug_assert!(matches!(offer.stage, Stage::None | Stage::Settled) && offer.owed == 0);
            block.offers[usize::from(slot)] = Offer::default();
        }
    }

    /// Place of the block with this receipt nonce, and which form's it is.
    pub(super) fn by_nonce(&self, nonce: u64) -> Option<(u8, Part)> {
        self.places().find_map(|place| {
            let block = self.get(place);
            match block.compact_nonce() {
                _ if block.nonce == nonce => Some((place, Part::Full)),
                Some(of) if of == nonce => Some((place, Part::Compact)),
                _ => None,
            }
        })
    }

    /// Place of the chain's block with this hash (wire order).
    pub(super) fn by_hash(&self, chain: u8, hash: &[u8]) -> Option<u8> {
        let is_it = |block: &Watched| block.chain == chain && block.hash == hash;
        self.places().find(|place| is_it(self.get(*place)))
    }

    /// Offers that have not ended.
    pub(super) fn in_flight(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.unsettled)).sum()
    }

    /// Notes a new offer, of which nothing is due yet.
    pub(super) fn offer(&mut self, place: u8, slot: u16, way: Way) {
        let block = &mut self.blocks[usize::from(place)];
        let offer = &mut block.offers[usize::from(slot)];
        *offer = Offer { stage: Stage::Due, way, ..Offer::default() };
        block.unsettled += 1;
        self.tally.offered += 1;
    }

    /// Notes that a part is due.
    pub(super) fn owe(&mut self, place: u8, slot: u16, part: Part) {
        let block = &mut self.blocks[usize::from(place)];
        let offer = &mut block.offers[usize::from(slot)];
        if let Some(bytes) = offer.bytes_of(part) {
            *bytes = 0;
        }
        if offer.stage == Stage::Sent {
            let asked_for = u32::from(offer.awaits_acknowledgement());
            offer.stage = Stage::Due;
            block.unacknowledged -= asked_for;
            self.unacknowledged -= asked_for;
        }
        offer.owed += 1;
        block.unsent += 1;
        self.small += u32::from(part != Part::Full);
    }

    /// Notes that a part is due no more: it is out, or was struck.
    pub(super) fn pay(&mut self, place: u8, slot: u16, part: Part) {
        let block = &mut self.blocks[usize::from(place)];
        let offer = &mut block.offers[usize::from(slot)];
        debug_assert!(offer.owed > 0 && block.unsent > 0);
        offer.owed -= 1;
        block.unsent -= 1;
        self.small -= u32::from(part != Part::Full);
    }

    /// Notes that nothing is due of an offer now; `end_bytes` were sent on the connection with it.
    pub(super) fn sent(&mut self, place: u8, slot: u16, end_bytes: u64, now_ns: u64) {
        let block = &mut self.blocks[usize::from(place)];
        let offer = &mut block.offers[usize::from(slot)];
        debug_assert_eq!((offer.stage, offer.owed), (Stage::Due, 0));
        offer.stage = Stage::Sent;
        (offer.out_ns, offer.end_bytes) = (now_ns, end_bytes as u32);
        offer.acknowledged_ns = 0;
        block.unacknowledged += 1;
        block.sent_ns = now_ns;
        block.ask_ns = now_ns + ACKNOWLEDGED_PAUSE_MIN_MS * 1_000_000;
        self.unacknowledged += 1;
    }

    /// Notes that its last byte is acknowledged, unless that is known.
    pub(super) fn acknowledged(&mut self, place: u8, slot: u16, now_ns: u64) {
        let block = &mut self.blocks[usize::from(place)];
        let offer = &mut block.offers[usize::from(slot)];
        if offer.awaits_acknowledgement() {
            offer.acknowledged_ns = now_ns;
            block.unacknowledged -= 1;
            self.unacknowledged -= 1;
        }
    }

    /// Ends an offer and gives it back as it was; `None` when there is none to end.
    pub(super) fn settle(&mut self, place: u8, slot: u16, outcome: Outcome) -> Option<Offer> {
        let block = &mut self.blocks[usize::from(place)];
        let offer = &mut block.offers[usize::from(slot)];
        let before = *offer;
        let asked_for = u32::from(offer.awaits_acknowledgement());
        match offer.stage {
            Stage::None | Stage::Settled => return None,
            Stage::Due | Stage::Sent => {}
        }
        offer.stage = Stage::Settled;
        block.unsettled -= 1;
        block.unacknowledged -= asked_for;
        self.unacknowledged -= asked_for;
        self.tally.outcomes[outcome.index()] += 1;
        Some(before)
    }
}
