//! The governor's hand on a shard: what the bucket limits, in which order, and when.
//!
//! A connection is paced while it shares the uplink and the bucket has a rate for what is due to it;
//! all others are served by the walk over the ranks, at once. The feed is told of every change to a
//! paced connection ([`Shard::sync`]), and of all of them when the bucket's limits come or go.

use super::due::{Class, Item};
use super::governor::bucket::Pace;
use super::governor::feed::Pause;
use super::governor::order::{OrderOfService, Sight, arrange, arrange_far_first};
use super::shard::Shard;
use super::slot::State;
use crate::metrics::Counter;
use crate::sys::ring::Ring;

/// What the bucket limits at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    blocks: bool,
    warm_ups: bool,
}

/// The order that the feed goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InForce {
    None,
    Service,
    /// For images of which every open window holds one.
    Small,
    /// For warm-ups.
    FarFirst,
}

/// What a shard knows of its governed connections, laid out ahead of the next block.
#[derive(Debug)]
pub(super) struct Layout {
    order: OrderOfService,
    limits: Limits,
    sights: Vec<Sight>,
    /// The same for small images, for which other connections are cold.
    small: Vec<Sight>,
    /// Room for the order of a warm-up.
    far_first: Vec<Sight>,
    /// Something is known that is not in `sights`.
    is_old: bool,
    in_force: InForce,
    /// When tokens were dealt out last, and when they will be next.
    dealt_ns: u64,
    due_ns: u64,
    /// The last time there were too few for all.
    waits: bool,
    /// Tokens came back since.
    again: bool,
}

impl Layout {
    pub(super) fn new(order: OrderOfService, places: usize) -> Self {
        Self {
            order,
            limits: Limits::default(),
            sights: Vec::with_capacity(places),
            small: Vec::with_capacity(places),
            far_first: Vec::with_capacity(places),
            is_old: false,
            in_force: InForce::None,
            dealt_ns: 0,
            due_ns: 0,
            waits: false,
            again: false,
        }
    }

    /// Whether the uplink is heeded at all.
    pub(super) fn governs(&self) -> bool {
        self.order != OrderOfService::AllAtOnce
    }

    /// How many share the uplink.
    pub(super) fn sharing(&self) -> u32 {
        self.sights.len() as u32
    }

    /// Tokens came back: whoever is next may have them now.
    pub(super) fn deal_again(&mut self) {
        self.again = true;
    }
}

impl<R: Ring> Shard<R> {
    /// Whether what is due to the connection waits for tokens.
    pub(super) fn is_paced(&self, at: u16) -> bool {
        let (slot, limits) = (&self.slots[usize::from(at)], self.layout.limits);
        slot.governed
            && match slot.due.first() {
                Some(Item::WARM_UP) => limits.warm_ups,
                Some(_) => limits.blocks,
                None => false,
            }
    }

    /// Tells the feed what may be done for `at` now.
    pub(super) fn sync(&mut self, at: u16) {
        if !self.layout.limits.warm_ups || !self.slots[usize::from(at)].governed {
            return;
        }
        let slot = &self.slots[usize::from(at)];
        let (rest_bytes, class) = match slot.due.first() {
            Some(item) if slot.state == State::Live && self.is_paced(at) => {
                (self.rest_bytes(at, item), item.class())
            }
            _ => (0, Class::First),
        };
        self.feed.set_writable(at, slot.idle());
        self.feed.want_of(at, rest_bytes, class);
    }

    /// An image is over for `at`: the next one begins anew.
    pub(super) fn next_image(&mut self, at: u16) {
        if self.layout.limits.warm_ups {
            self.feed.want(at, 0);
            self.sync(at);
        }
    }

    /// What is known of a connection has changed.
    pub(super) fn note_sight(&mut self, at: u16, round_trip_us: u32, warm: [bool; 2]) {
        let slot = &mut self.slots[usize::from(at)];
        slot.round_trip_us = round_trip_us;
        [slot.warm, slot.warm_for_small] = warm;
        self.layout.is_old |= slot.governed;
    }

    /// A governed connection is new: the last in the order, until that is laid out anew.
    pub(super) fn join_feed(&mut self, at: u16) {
        let slot = &self.slots[usize::from(at)];
        if !slot.governed {
            return;
        }
        let sight = sight(at, slot.round_trip_us, slot.warm, slot.rank);
        if !self.layout.sights.iter().any(|other| other.slot == at) {
            self.layout.sights.push(sight);
            self.layout.small.push(sight);
        }
        self.layout.is_old = true;
        self.feed.append(sight);
    }

    /// The bucket's limits may have come or gone, by another thread's hand.
    pub(super) fn look_at_limits(&mut self) {
        let limits = if self.layout.governs() {
            let blocks = self.bucket.rate().is_some();
            Limits { blocks, warm_ups: blocks || self.bucket.is_probed() }
        } else {
            Limits::default()
        };
        if self.layout.limits == limits {
            return;
        }
        self.layout.limits = limits;
        for at in 0..self.slots.len() as u16 {
            self.feed.want(at, 0);
            self.sync(at);
        }
        // What was paced may go out by the walk now.
        self.work = true;
    }

    /// Lays the order out anew if more is known, but not while a block is fed by the old one.
    pub(super) fn lay_out(&mut self) {
        if !self.layout.is_old || self.watch.has_unsent_blocks() {
            return;
        }
        self.layout.is_old = false;
        self.layout.sights.clear();
        self.layout.small.clear();
        for at in &self.order {
            let slot = &self.slots[usize::from(*at)];
            if slot.governed {
                let sight = |warm| sight(*at, slot.round_trip_us, warm, slot.rank);
                self.layout.sights.push(sight(slot.warm));
                self.layout.small.push(sight(slot.warm || slot.warm_for_small));
            }
        }
        arrange(&mut self.layout.sights, self.layout.order);
        arrange(&mut self.layout.small, self.layout.order);
        self.layout.in_force = InForce::None;
        self.put_in_force();
    }

    /// Has the feed go by the order for what is being sent.
    fn put_in_force(&mut self) {
        let pace = match (self.watch.has_unsent_blocks(), self.watch.warming()) {
            (false, 1..) if self.bucket.is_probed() => Pace::PROBE,
            (false, 1..) => Pace::WARM_UP,
            _ => Pace::BLOCK,
        };
        self.feed.set_pace(pace);
        let wanted = match pace.is_warm_up {
            true => InForce::FarFirst,
            false if self.feed.has_small() || self.watch.has_only_small_blocks() => InForce::Small,
            false => InForce::Service,
        };
        if self.layout.in_force == wanted {
            return;
        }
        self.layout.in_force = wanted;
        match wanted {
            InForce::Service => return self.feed.set_order(&self.layout.sights),
            InForce::Small => return self.feed.set_order(&self.layout.small),
            InForce::None | InForce::FarFirst => {}
        }
        self.layout.far_first.clear();
        self.layout.far_first.extend_from_slice(&self.layout.sights);
        arrange_far_first(&mut self.layout.far_first);
        self.feed.set_order(&self.layout.far_first);
    }

    /// Deals out tokens: each paced connection's next send, in the order of service.
    pub(super) fn feed_out(&mut self) {
        if !self.layout.limits.warm_ups {
            return;
        }
        let now_ns = self.ring.now_ns();
        let clock_went_back = now_ns < self.layout.dealt_ns;
        let is_due = now_ns >= self.layout.due_ns || clock_went_back;
        if !is_due && !self.layout.again {
            return;
        }
        if self.layout.waits {
            // Whoever waited may be gone since.
            let meant_ns = self.layout.due_ns.saturating_sub(self.layout.dealt_ns);
            let waited_ns = now_ns.saturating_sub(self.layout.dealt_ns).min(meant_ns);
            self.count(Counter::TokenWaitUs, waited_ns / 1_000);
        }
        (self.layout.again, self.layout.dealt_ns) = (false, now_ns);
        self.put_in_force();
        self.feed.begin_entry(now_ns);
        while let Some((at, bytes)) = self.feed.next_grant(now_ns) {
            let queued = match self.slots[usize::from(at)].due.first() {
                Some(item) => self.queue_item(at, item, bytes, None),
                None => false,
            };
            if !queued {
                // The ring is full, or the feed was wrong: the tokens go back.
                self.feed.sent(at, 0);
                self.sync(at);
                break;
            }
        }
        let pause = self.feed.pause(now_ns);
        self.layout.waits = matches!(pause, Pause::UpTo(_));
        self.layout.due_ns = match pause {
            Pause::None | Pause::UntilEvent => now_ns,
            Pause::UpTo(wait_ns) => now_ns.saturating_add(wait_ns),
        };
    }

    /// How long until tokens are dealt out again, in ns; `None`: nobody waits for them.
    pub(super) fn until_tokens(&self) -> Option<u64> {
        if !self.layout.limits.warm_ups || !self.feed.has_ready() {
            return None;
        }
        let wait_ns = self.layout.due_ns.saturating_sub(self.ring.now_ns());
        Some(if self.layout.again { 0 } else { wait_ns })
    }
}

fn sight(slot: u16, round_trip_us: u32, warm: bool, rank: u32) -> Sight {
    Sight { slot, round_trip_us, warm, rank }
}
