//! The shard: one pinned thread, one ring, and the sockets that it owns. Read [`Shard::turn`] from
//! top to bottom: it is the whole hot path.

use std::sync::Arc;

use super::answers::Answers;
use super::govern::Layout;
use super::governor::Governor;
use super::governor::bucket::Bucket;
use super::governor::feed::Feed;
use super::governor::order::OrderOfService;
use super::inflight::{Tally, Watch};
use super::link::{Link, PeerId, Report};
use super::publish::Inbox;
use super::route::{Routes, ZeroCopy};
use super::slot::{Slot, State};
use crate::limits::{
    DEADLINE_TICK_MS, IMAGE_SLOTS, MESSAGE_HEAD_BYTES, PEERS_PER_SHARD_MAX, REPORTS_MAX,
    REPORTS_PAUSE_US, REPORTS_RESERVED,
};
use crate::metrics::Counter;
use crate::sys::ring::{Event, Ring, Wait};
use crate::wire::message::InvItem;

/// What a shard does when there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// It sleeps in the kernel.
    Sleep,
    /// It burns its core, and wakes in under a microsecond.
    Spin,
}

/// Block hashes of one message that are looked at: what its kept head can hold.
pub(super) const ANNOUNCED_MAX: usize = MESSAGE_HEAD_BYTES as usize / 36 + 1;
/// A tick when nothing is in flight, in ns: keepalives only.
const QUIET_TICK_NS: u64 = 1_000_000_000;
/// Outcomes that the live blocks can come to.
const OUTCOMES_LIVE_MAX: u32 = PEERS_PER_SHARD_MAX * IMAGE_SLOTS;
const TICK_NS: u64 = DEADLINE_TICK_MS * 1_000_000;
const REPORTS_PAUSE_NS: u64 = REPORTS_PAUSE_US * 1_000;

/// What a shard heeds when it sends.
#[derive(Clone, Debug)]
pub struct Policy {
    /// When blocks are sent without copying.
    pub zero_copy: ZeroCopy,
    /// Who is served first, where the uplink is shared.
    pub order: OrderOfService,
    /// The uplink's tokens, shared by all shards.
    pub bucket: Arc<Bucket>,
}

impl Default for Policy {
    /// Nothing is shared.
    fn default() -> Self {
        let bucket = Arc::new(Bucket::unlimited());
        Self { zero_copy: ZeroCopy::Auto, order: OrderOfService::default(), bucket }
    }
}

/// One shard. Generic over its ring: io_uring, epoll, or the simulator.
#[derive(Debug)]
pub struct Shard<R: Ring> {
    pub(super) ring: R,
    pub(super) link: Arc<Link>,
    inbox: Arc<Inbox>,
    pub(super) slots: Box<[Slot]>,
    /// Live connections, best rank first.
    pub(super) order: Vec<u16>,
    pub(super) watch: Watch,
    pub(super) governor: Governor,
    pub(super) bucket: Arc<Bucket>,
    pub(super) feed: Feed,
    pub(super) layout: Layout,
    pub(super) routes: Routes,
    /// Something may be sent: cleared by a walk over the ranks.
    pub(super) work: bool,
    /// Block hashes of the message being read.
    pub(super) announced: Vec<(PeerId, [u8; 32])>,
    /// What is asked for by the message being read: kinds and hashes.
    pub(super) asked: Vec<InvItem>,
    /// The kept front of a message that is acted on after it was read.
    pub(super) heard: Vec<u8>,
    pub(super) answers: Answers,
    pub(super) draining_until_ns: Option<u64>,
    pub(super) ticked_ns: u64,
    pub(super) ping_serial: u64,
    /// Since when a report waits for cold to be rung; 0: none does.
    pub(super) reported_ns: u64,
    stopped: bool,
    entries: u64,
    starved: u64,
}

impl<R: Ring> Shard<R> {
    /// A shard without connections. Allocates all that it will ever need.
    #[must_use]
    pub fn new(ring: R, link: Arc<Link>, inbox: Arc<Inbox>) -> Self {
        Self::with_policy(ring, link, inbox, Policy::default())
    }

    /// A shard that sends as `policy` says.
    #[must_use]
    pub fn with_policy(ring: R, link: Arc<Link>, inbox: Arc<Inbox>, policy: Policy) -> Self {
        let routes = Routes::new(policy.zero_copy, ring.can_zero_copy());
        let bucket = policy.bucket;
        let feed = Feed::new(Arc::clone(&bucket), link.shard.into());
        let ping_serial = getrandom::u64().unwrap_or_else(|_| ring.now_ns());
        Self {
            ring,
            link,
            inbox,
            slots: (0..PEERS_PER_SHARD_MAX).map(|_| Slot::free()).collect(),
            order: Vec::with_capacity(PEERS_PER_SHARD_MAX as usize),
            watch: Watch::new(),
            governor: Governor::default(),
            bucket,
            feed,
            layout: Layout::new(policy.order, PEERS_PER_SHARD_MAX as usize),
            routes,
            work: false,
            announced: Vec::with_capacity(ANNOUNCED_MAX),
            asked: Vec::with_capacity(ANNOUNCED_MAX),
            heard: Vec::with_capacity(MESSAGE_HEAD_BYTES as usize),
            answers: Answers::new(),
            draining_until_ns: None,
            ticked_ns: 0,
            ping_serial,
            reported_ns: 0,
            stopped: false,
            entries: 0,
            starved: 0,
        }
    }

    /// Runs until told to drain and done with it.
    pub fn run(mut self, idle: Idle) {
        while !self.stopped {
            let wait = match idle {
                Idle::Spin => Wait::No,
                Idle::Sleep if self.is_quiet() => Wait::UpTo(QUIET_TICK_NS),
                Idle::Sleep => Wait::UpTo(TICK_NS),
            };
            self.turn(wait);
        }
    }

    /// One turn: at most one system call, no allocation, no lock, no wait for the cold side.
    pub fn turn(&mut self, wait: Wait) {
        self.take_orders(); //  cold: adopt a socket, let one go, re-rank
        self.take_blocks(); //  publishers: a block for every connection of its chain
        self.fan_out(); //      best rank first, until the list or the entry is full
        self.feed_out(); //     who shares the uplink, as far as tokens go
        self.ask_acknowledgements(); // when nothing is left to send
        self.enter(wait); //    the one system call
        self.reap(); //         results settle sends, receipts settle offers
        self.tick(); //         deadlines, keepalives, memory no longer needed
        self.ring_cold(); //    outcomes are waiting
    }

    /// Sums over the shard's life: `offered == settled + in flight`, always.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.watch.tally
    }

    /// Offers that have not ended.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.watch.in_flight()
    }

    /// Live connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.order.len()
    }

    /// Whether it has drained: every socket is home.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The ring, for tests and benches.
    pub fn ring_mut(&mut self) -> &mut R {
        &mut self.ring
    }

    fn is_quiet(&self) -> bool {
        !self.work
            && self.draining_until_ns.is_none()
            && !self.inbox.wanting()
            && self.in_flight() == 0
    }

    pub(super) fn take_blocks(&mut self) {
        if self.pressed() {
            self.end_warm_up_for_memory();
            self.let_go_of_old(self.ring.now_ns());
        }
        while let Some(publication) = self.inbox.take() {
            let now_ns = self.ring.now_ns();
            if publication.warm_up.is_some() {
                self.watch.take_warm_up(publication, now_ns);
                continue;
            }
            self.take_block(publication, now_ns);
            // Not left to the next tick: blocks in quick succession would find no free slot.
            self.let_go_of_old(now_ns);
        }
    }

    fn enter(&mut self, wait: Wait) {
        let due_ns = self
            .until_question()
            .into_iter()
            .chain(self.until_ring_ns())
            .chain(self.until_tokens())
            .min();
        let wait = match (wait, due_ns) {
            (Wait::UpTo(wait_ns), Some(due_ns)) => Wait::UpTo(wait_ns.min(due_ns)),
            (wait, _) => wait,
        };
        let nothing_new = || !self.link.has_orders() && !self.inbox.has_blocks();
        self.ring.enter(match wait {
            Wait::No | Wait::UpTo(0) => Wait::No,
            _ if self.work || !self.link.asleep.announce(nothing_new) => Wait::No,
            // What this turn has taken up may have a deadline that the last one knew nothing of.
            Wait::UpTo(wait_ns) if !self.is_quiet() => Wait::UpTo(wait_ns.min(TICK_NS)),
            wait => wait,
        });
        self.link.asleep.end();
        let (entries, starved) = (self.ring.entries(), self.ring.starved());
        self.count(Counter::KernelEntries, entries - self.entries);
        self.count(Counter::ReceiveStarved, starved - self.starved);
        (self.entries, self.starved) = (entries, starved);
    }

    fn reap(&mut self) {
        let mut now_ns = self.ring.now_ns();
        while let Some(event) = self.ring.next() {
            match event {
                Event::Received { slot, buffer, length } => {
                    self.received(slot, buffer, length, now_ns);
                    now_ns = self.ring.now_ns();
                }
                Event::Sent { slot, result, held } => self.sent(slot, result, held, now_ns),
                Event::Released { slot, copied } => self.released(slot, copied),
                Event::Unacknowledged { slot, result } => {
                    self.unacknowledged(slot, result, now_ns);
                }
                Event::Writable { slot } => self.writable(slot),
                Event::Ended { slot, errno } => self.ended(slot, errno),
                Event::Gone { slot, socket } => self.gone(slot, socket),
                Event::Fault(_) => self.count(Counter::RingErrors, 1),
                Event::Woken => {}
            }
        }
    }

    /// Whether an intake waits for a free image slot.
    pub(super) fn pressed(&self) -> bool {
        self.inbox.wanting()
    }

    /// Ends the hurry, unless the intake asks again.
    pub(super) fn hurried(&self) {
        self.inbox.hurried();
    }

    fn writable(&mut self, at: u16) {
        if let Some(slot) = self.slots.get_mut(usize::from(at)) {
            slot.writable = true;
            // Only what the walk over the ranks serves is worth one.
            self.work |= !slot.control.waiting().is_empty() || !self.is_paced(at);
            self.sync(at);
        }
    }

    /// Queues a report. The reserve is kept for sockets on their way home, and room for the outcomes
    /// of all live blocks: what peers say, as often as they like, only gets the rest.
    pub(super) fn report(&mut self, report: Report) {
        let kept = match report {
            Report::Retired { .. } | Report::Stopped { .. } => 0,
            Report::Settled { .. }
            | Report::Offered { .. }
            | Report::Finished { .. }
            | Report::WarmedUp { .. } => REPORTS_RESERVED,
            Report::Echo { .. }
            | Report::Announced { .. }
            | Report::RoundTrip { .. }
            | Report::HighBandwidth { .. } => REPORTS_RESERVED + OUTCOMES_LIVE_MAX,
        };
        let room = (REPORTS_MAX - kept) as usize;
        if self.link.reports_waiting() >= room || self.link.report(report).is_err() {
            self.count(Counter::ReportsDropped, 1);
        }
        if self.reported_ns == 0 {
            self.reported_ns = self.ring.now_ns().max(1);
        }
    }

    /// Rings for the reports of a while together: one by one, what reads them would take a core from
    /// the block that they tell of.
    fn ring_cold(&mut self) {
        if self.until_ring_ns() == Some(0) {
            self.reported_ns = 0;
            self.ring.ring_cold();
        }
    }

    /// How long reports still wait for each other; `None`: there are none.
    fn until_ring_ns(&self) -> Option<u64> {
        if self.reported_ns == 0 {
            return None;
        }
        let waited_ns = self.ring.now_ns().saturating_sub(self.reported_ns);
        let is_full = self.link.reports_waiting() >= REPORTS_MAX as usize / 2;
        Some(if is_full { 0 } else { REPORTS_PAUSE_NS.saturating_sub(waited_ns) })
    }

    pub(super) fn count(&self, counter: Counter, by: u64) {
        if by > 0 {
            self.link.counters.add(counter, by);
        }
    }

    /// Tells the cold side that nothing more will come, once every socket is home.
    pub(super) fn stop_when_empty(&mut self) {
        // The cold side waits for the last word: it must find room, so it may have to wait for it.
        let room = self.link.reports_waiting() < REPORTS_MAX as usize;
        if self.stopped || !room || self.slots.iter().any(|slot| slot.state != State::Free) {
            return;
        }
        self.stopped = true;
        let shard = self.link.shard;
        self.report(Report::Stopped { shard });
        self.ring.ring_cold();
        self.ring.enter(Wait::No);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hot::link::Order;
    use crate::hot::publish::Publisher;
    use crate::sys::doorbell::Doorbell;
    use crate::sys::epoll::Epoll;
    use crate::sys::memory::Arena;

    #[test]
    fn the_last_word_waits_for_room() {
        let bell = Arc::new(Doorbell::new().unwrap());
        let link = Arc::new(Link::new(0, Arc::clone(&bell)).unwrap());
        let (_publisher, mut inboxes) = Publisher::new(Arena::new().unwrap(), &[Arc::clone(&link)]);
        let ring = Epoll::new(Arc::clone(&link.to_hot), bell).unwrap();
        let mut shard = Shard::new(ring, Arc::clone(&link), inboxes.remove(0));
        while link.report(Report::RoundTrip { peer: PeerId(1), round_trip_us: 1 }).is_ok() {}
        link.order(Order::Drain).unwrap();
        let turns = |shard: &mut Shard<Epoll>| (0..4).for_each(|_| shard.turn(Wait::UpTo(TICK_NS)));
        turns(&mut shard);
        assert!(!shard.stopped(), "its last word was lost");
        let _ = link.next_report();
        turns(&mut shard);
        assert!(shard.stopped());
        let last = std::iter::from_fn(|| link.next_report()).last();
        assert!(matches!(last, Some(Report::Stopped { shard: 0 })));
    }
}
