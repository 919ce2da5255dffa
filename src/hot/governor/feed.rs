//! Who is given how much, now: the governor's state machine. Events in, grants out; no clock, no
//! socket, no allocation after [`Feed::new`].
//!
//! Every socket has at most one send outstanding. A send that came back short, or not at all, marks
//! its socket full: it is passed over until it says that it can take more, so whoever comes next in
//! the order has the tokens, and nobody has to choose how many are served at once. A socket that
//! stalls costs what lies unsent in it (`TCP_NOTSENT_LOWAT`: [`crate::limits::UNSENT_BYTES`], twice
//! that at most), once.

mod bits;
mod near;

use std::sync::Arc;

use bits::{first_in, put};
use near::Near;

use super::bucket::{Bucket, Grant, Pace};
use super::order::Sight;
pub use crate::hot::due::Class;
use crate::limits::{
    BEACON_BYTES, BEACON_PAUSE_NS, BEACON_SHARE_PERCENT, BUCKET_SHARES_MAX, COLD_IMAGE_BYTES_MIN,
    COLD_PIECE_BYTES, ENTRY_BYTES_MAX, PEERS_PER_SHARD_MAX, PIECE_BYTES_MIN,
};

const PLACES: usize = PEERS_PER_SHARD_MAX as usize;
const WORDS: usize = PLACES.div_ceil(64);
const CLASSES: usize = Class::ALL.len();

/// When the shard has to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// At once: there are tokens, and sockets that would take them.
    None,
    /// After so many ns, when tokens are there again.
    UpTo(u64),
    /// When something happens: no socket can be given anything.
    UntilEvent,
}

/// A socket, by slot.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Bytes of its image that are still to be given.
    rest_bytes: u32,
    /// Where it stands in the order.
    position: u16,
    in_order: bool,
    writable: bool,
    cold: bool,
    /// Something of its image is out.
    begun: bool,
    /// When it was given something last.
    served_ns: u64,
    round_trip_us: u32,
    /// All of its image.
    image_bytes: u32,
    class: Class,
    /// The send that is outstanding; none has 0 bytes.
    outstanding: Grant,
}

impl Place {
    const fn is_ready(&self) -> bool {
        self.in_order && self.writable && self.outstanding.bytes == 0 && self.rest_bytes > 0
    }

    /// Whether it is given a first flight before all others, so that its window begins to open. A
    /// warm-up opens windows in its own order, and what is little more than a flight opens none.
    const fn opens(&self, pace: Pace) -> bool {
        let is_large = self.image_bytes > COLD_IMAGE_BYTES_MIN;
        self.cold && !self.begun && !pace.is_warm_up && is_large && self.class.is_first()
    }
}

/// Feeds the sockets of one shard.
#[derive(Debug)]
pub struct Feed {
    bucket: Arc<Bucket>,
    shard: u32,
    pace: Pace,
    /// By slot.
    places: Box<[Place]>,
    /// Slots by position.
    order: Vec<u16>,
    /// Positions that would take something now, by class.
    ready: [[u64; WORDS]; CLASSES],
    /// Positions of cold sockets that have had nothing of their image yet.
    unopened: [u64; WORDS],
    /// Slots of the nearest sockets, nearest first: they tell of the queue while it is probed.
    near: Near,
    /// Everybody gets everything at once, for comparison.
    all_at_once: bool,
    entry_bytes: u32,
    /// What this shard may still take in this tick, when it began, and when the next one does.
    share_bytes: u64,
    shared_ns: u64,
    share_until_ns: u64,
}

impl Feed {
    /// A feed of `shard` without sockets.
    #[must_use]
    pub fn new(bucket: Arc<Bucket>, shard: u32) -> Self {
        Self {
            bucket,
            shard,
            pace: Pace::BLOCK,
            places: vec![Place::default(); PLACES].into(),
            order: Vec::with_capacity(PLACES),
            ready: [[0; WORDS]; CLASSES],
            unopened: [0; WORDS],
            near: Near::default(),
            all_at_once: false,
            entry_bytes: 0,
            share_bytes: 0,
            shared_ns: 0,
            share_until_ns: 0,
        }
    }

    /// From now on tokens are dealt out at this pace.
    pub fn set_pace(&mut self, pace: Pace) {
        if self.pace == pace {
            return;
        }
        self.pace = pace;
        self.share_until_ns = 0;
        for at in 0..self.order.len() {
            self.look_at(self.order[at]);
        }
    }

    /// Whether any socket would take something now.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.first_ready().is_some()
    }

    /// Whether the bucket is heeded at all.
    pub fn set_all_at_once(&mut self, all_at_once: bool) {
        self.all_at_once = all_at_once;
    }

    /// A new order of service: each before the next, but first of all a small piece to every cold
    /// one. A socket that is not in it is given nothing; what it has outstanding stays.
    pub fn set_order(&mut self, order: &[Sight]) {
        for slot in self.order.drain(..) {
            self.places[usize::from(slot)].in_order = false;
        }
        (self.ready, self.unopened) = ([[0; WORDS]; CLASSES], [0; WORDS]);
        self.near = Near::of(order);
        for sight in order.iter().take(PLACES) {
            if let Some(place) = self.places.get_mut(usize::from(sight.slot)) {
                (place.position, place.in_order) = (self.order.len() as u16, true);
                (place.cold, place.round_trip_us) = (!sight.warm, sight.round_trip_us);
                self.order.push(sight.slot);
                self.look_at(sight.slot);
            }
        }
    }

    /// A socket that came after the order was laid out: the last, until there is a new one.
    pub fn append(&mut self, sight: Sight) {
        if let Some(place) = self.places.get_mut(usize::from(sight.slot)) {
            (place.cold, place.round_trip_us) = (!sight.warm, sight.round_trip_us);
            // Behind a former tenant of its slot it has that one's position.
            if !std::mem::replace(&mut place.in_order, true) {
                place.position = self.order.len() as u16;
                self.order.push(sight.slot);
            }
            self.look_at(sight.slot);
        }
    }

    /// So many bytes of its image are still to be given to `slot`; 0: nothing any more. What is
    /// outstanding does not count among them.
    pub fn want(&mut self, slot: u16, rest_bytes: u32) {
        self.want_of(slot, rest_bytes, Class::First);
    }

    /// The same of something of this class: whoever wants something more urgent is served before.
    pub fn want_of(&mut self, slot: u16, rest_bytes: u32, class: Class) {
        if let Some(place) = self.places.get_mut(usize::from(slot)) {
            (place.rest_bytes, place.class) = (rest_bytes, class);
            place.begun &= rest_bytes > 0;
            if !place.begun {
                place.image_bytes = rest_bytes;
            }
            self.look_at(slot);
        }
    }

    /// The socket can take bytes.
    pub fn writable(&mut self, slot: u16) {
        self.set_writable(slot, true);
    }

    /// Whether the socket can take bytes: nothing is outstanding on it and it is not full.
    pub fn set_writable(&mut self, slot: u16, is_writable: bool) {
        if let Some(place) = self.places.get_mut(usize::from(slot)) {
            place.writable = is_writable;
            self.look_at(slot);
        }
    }

    /// The outstanding send of `slot` is over and took `sent_bytes` (0: it found the socket full).
    /// What is left of the grant is wanted again, and its tokens are handed back.
    pub fn sent(&mut self, slot: u16, sent_bytes: u32) {
        let Some(place) = self.places.get_mut(usize::from(slot)) else {
            return;
        };
        let grant = std::mem::take(&mut place.outstanding);
        let left_bytes = grant.bytes.saturating_sub(sent_bytes);
        place.rest_bytes = place.rest_bytes.saturating_add(left_bytes);
        place.writable &= left_bytes == 0;
        self.bucket.settle(grant, sent_bytes);
        self.look_at(slot);
    }

    /// The connection is gone: nothing is known of `slot` any more. What it had outstanding may have
    /// been sent, so its tokens are spent.
    pub fn forget(&mut self, slot: u16) {
        if let Some(place) = self.places.get_mut(usize::from(slot)) {
            (place.rest_bytes, place.writable) = (0, false);
            (place.outstanding, place.begun) = (Grant::default(), false);
            self.look_at(slot);
        }
    }

    /// A new kernel entry is being filled at `now_ns`.
    pub fn begin_entry(&mut self, now_ns: u64) {
        self.entry_bytes = 0;
        self.bucket.set_hungry(self.shard, self.first_ready().is_some());
        let clock_went_back = self.share_until_ns > now_ns.saturating_add(self.pace.tick_ns);
        if now_ns >= self.share_until_ns || clock_went_back || !self.bucket.is_shared(self.shard) {
            let since_ns = now_ns.saturating_sub(self.shared_ns);
            self.share_bytes = self.bucket.share(now_ns, self.pace, self.shard, since_ns);
            self.shared_ns = now_ns;
            self.share_until_ns = now_ns.saturating_add(self.pace.tick_ns);
        }
    }

    /// The next send of this entry: its slot and how many bytes. `None`: no socket can take more,
    /// no tokens are left, or the entry is full; [`Feed::pause`] tells which.
    pub fn next_grant(&mut self, now_ns: u64) -> Option<(u16, u32)> {
        if self.entry_bytes >= ENTRY_BYTES_MAX {
            return None;
        }
        let beacon = self.beacon(now_ns);
        let slot = match beacon {
            Some(slot) => slot,
            None => self.first_awake(now_ns)?,
        };
        let rests = self.rests(slot);
        let place = self.places.get_mut(usize::from(slot))?;
        let grant = if self.all_at_once || self.bucket.rate_of(self.pace).is_none() {
            // Never cut in the middle: an entry may carry one image more than its share.
            Grant::free(place.rest_bytes)
        } else {
            let opens = place.opens(self.pace);
            let piece_bytes = match (beacon, opens) {
                (Some(_), _) => BEACON_BYTES,
                (None, true) => COLD_PIECE_BYTES.min(self.pace.piece_bytes_max),
                (None, false) => self.pace.piece_bytes_max,
            };
            let share_bytes = u32::try_from(self.share_bytes).unwrap_or(u32::MAX);
            let wanted_bytes = place.rest_bytes.min(piece_bytes);
            let asked_bytes = wanted_bytes.min(share_bytes);
            let least_bytes = match (rests, self.bucket.is_shared(self.shard)) {
                (false, _) => PIECE_BYTES_MIN,
                (true, false) => u32::MAX,
                // With the other shards' shares gone, a whole piece may never be there.
                (true, true) => self.pace.saved_bytes_min / BUCKET_SHARES_MAX,
            };
            if asked_bytes < wanted_bytes.min(least_bytes) {
                return None;
            }
            let grant = self.bucket.take(now_ns, self.pace, asked_bytes)?;
            self.share_bytes -= u64::from(grant.bytes);
            grant
        };
        place.rest_bytes -= grant.bytes;
        (place.outstanding, place.begun, place.served_ns) = (grant, true, now_ns);
        self.entry_bytes = self.entry_bytes.saturating_add(grant.bytes);
        self.look_at(slot);
        Some((slot, grant.bytes))
    }

    /// How long the shard may wait after an entry.
    #[must_use]
    pub fn pause(&self, now_ns: u64) -> Pause {
        if self.first_ready().is_none() {
            self.bucket.set_hungry(self.shard, false);
            return Pause::UntilEvent;
        }
        // Who rests, or waits for a whole piece, is looked at again at the next tick.
        let Some(slot) = self.first_awake(now_ns).filter(|slot| !self.rests(*slot)) else {
            return Pause::UpTo(self.pace.tick_ns);
        };
        if self.all_at_once || self.bucket.rate_of(self.pace).is_none() {
            return Pause::None;
        }
        let rest_bytes = self.places.get(usize::from(slot)).map_or(0, |it| it.rest_bytes);
        let tokens_ns = self.bucket.ready_in_ns(now_ns, self.pace, rest_bytes);
        let share_is_used = self.share_bytes < u64::from(rest_bytes.min(PIECE_BYTES_MIN));
        if tokens_ns == 0 && !(share_is_used && self.bucket.is_shared(self.shard)) {
            return Pause::None;
        }
        // Not for every segment, but once a tick.
        let tick_ns = self.share_until_ns.saturating_sub(now_ns).clamp(1, self.pace.tick_ns);
        Pause::UpTo(tokens_ns.max(tick_ns))
    }

    /// While the uplink is probed: a near socket that was given nothing for a while.
    fn beacon(&self, now_ns: u64) -> Option<u16> {
        if !self.pace.is_warm_up || !self.bucket.is_probed() {
            return None;
        }
        let rate = self.bucket.rate_of(self.pace)?.max(1);
        let all_bytes = u64::from(BEACON_BYTES) * self.near.slots().len() as u64;
        // So that all of them take no more than their share of the rate.
        let share_ns = all_bytes * 100 * 1_000_000_000 / (rate * BEACON_SHARE_PERCENT);
        let pause_ns = share_ns.max(BEACON_PAUSE_NS);
        let is_due = |slot: &&u16| {
            self.places.get(usize::from(**slot)).is_some_and(|place| {
                place.is_ready() && now_ns.saturating_sub(place.served_ns) >= pause_ns
            })
        };
        self.near.slots().iter().find(is_due).copied()
    }

    /// Whether the socket rests between pieces: its image keeps the line busy for more than half of
    /// its round trip.
    fn rests(&self, slot: u16) -> bool {
        let Some(place) = self.places.get(usize::from(slot)).filter(|_| self.pace.rest_ns > 0)
        else {
            return false;
        };
        let rate = self.bucket.rate_of(self.pace).unwrap_or(u64::MAX);
        let half_way = u128::from(rate) * u128::from(place.round_trip_us) / 2_000_000;
        half_way < u128::from(place.image_bytes)
    }

    /// The first socket that would take something and does not rest.
    fn first_awake(&self, now_ns: u64) -> Option<u16> {
        // The line carries the piece before the rest begins.
        let rate = self.bucket.rate_of(self.pace).unwrap_or(u64::MAX).max(1);
        let piece_ns = u64::from(self.pace.piece_bytes_max) * 1_000_000_000 / rate;
        let rest_ns = self.pace.rest_ns.saturating_add(piece_ns);
        let is_awake = |slot: &u16| {
            !self.rests(*slot)
                || self.places.get(usize::from(*slot)).is_none_or(|place| {
                    now_ns.saturating_sub(place.served_ns) >= rest_ns || now_ns < place.served_ns
                })
        };
        if self.pace.rest_ns == 0 {
            return self.order.get(self.first_ready()?).copied();
        }
        let ready = self
            .order
            .iter()
            .filter(|slot| self.places.get(usize::from(**slot)).is_some_and(Place::is_ready));
        ready.copied().find(is_awake)
    }

    /// Whether any socket would take something small now.
    #[must_use]
    pub fn has_small(&self) -> bool {
        first_in(&self.ready[0]).is_some()
    }

    /// The first position that would take something: small things before all, then cold sockets
    /// that must be opened.
    fn first_ready(&self) -> Option<usize> {
        let [small, first, behind] = &self.ready;
        let whole = || first_in(&self.unopened).or_else(|| first_in(first));
        first_in(small).or_else(whole).or_else(|| first_in(behind))
    }

    fn look_at(&mut self, slot: u16) {
        let Some(place) = self.places.get(usize::from(slot)).filter(|place| place.in_order) else {
            return;
        };
        let ready = place.is_ready();
        for (class, words) in Class::ALL.into_iter().zip(&mut self.ready) {
            put(words, place.position, ready && place.class == class);
        }
        // A warm-up opens them in its own order.
        let opens = place.opens(self.pace);
        put(&mut self.unopened, place.position, ready && opens);
    }
}

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
