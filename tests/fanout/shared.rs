//! Two whole shards on one bucket, before one simulated line: what they are granted together, and
//! that neither waits for the other.

use std::fs::File;
use std::sync::Arc;

use broadside::hot::governor::bucket::{Bucket, Pace, payload_rate};
use broadside::hot::link::{Adoption, Link, Order, PeerId};
use broadside::hot::publish::Publisher;
use broadside::hot::shard::{Policy, Shard};
use broadside::limits::{BLOCK_TICK_NS, UNSENT_BYTES};
use broadside::metrics::Counter;
use broadside::sim::ring::{Line, SimRing, Trouble};
use broadside::sys::doorbell::Doorbell;
use broadside::sys::memory::Arena;
use broadside::sys::ring::{Ring, Wait};
use broadside::wire::chain::{Network, find};

use crate::bytes;
use crate::far::{GIGABIT, OPEN};
use crate::world::adoption;

const BLOCK_BYTES: usize = 1_000_000;
/// A block's frame and the pings around it.
const WHOLE_BYTES: u64 = BLOCK_BYTES as u64 + 24;

/// Two shards on one thread. Whose clock is behind is next, so they are never further apart than a
/// step of the simulated ring.
struct Pair {
    shards: Vec<Shard<SimRing>>,
    links: Vec<Arc<Link>>,
    publisher: Arc<Publisher>,
    bucket: Arc<Bucket>,
    begun_ns: u64,
    peers: [u16; 2],
}

impl Pair {
    /// So many peers each, 20 to 200 ms away, warm.
    fn new(seed: u64, trouble: Trouble, peers: [u16; 2]) -> Self {
        let bell = Arc::new(Doorbell::new().unwrap());
        let link = |at: u8| Arc::new(Link::new(at, Arc::clone(&bell)).unwrap());
        let links: Vec<_> = (0..2).map(link).collect();
        let arena = Arena::new().unwrap();
        let (publisher, inboxes) = Publisher::new(arena, &links);
        let bucket = Arc::new(Bucket::new(GIGABIT));
        let make = |(link, inbox): (&Arc<Link>, _)| {
            let ring = SimRing::new(seed * 2 + u64::from(link.shard), trouble);
            let policy = Policy { bucket: Arc::clone(&bucket), ..Policy::default() };
            Shard::with_policy(ring, Arc::clone(link), inbox, policy)
        };
        let shards = links.iter().zip(inboxes).map(make).collect();
        let mut pair = Self { shards, links, publisher, bucket, begun_ns: 0, peers };
        let unsent = Some(u64::from(UNSENT_BYTES));
        let first = Line::new(payload_rate(GIGABIT) * 100 / 95, 6_250_000, unsent);
        let lines = [first.beside(), first];
        for (at, mut line) in lines.into_iter().enumerate() {
            for slot in 0..peers[at] {
                let round_trip_us = 20_000 + u32::from(slot) * 180_000 / u32::from(peers[at]);
                line.add(round_trip_us, OPEN);
                pair.adopt(at, slot, round_trip_us);
            }
            pair.until(at, |shard| shard.connections() == usize::from(peers[at]));
            (0..20).for_each(|_| pair.shards[at].turn(Wait::UpTo(1_000_000)));
            pair.shards[at].ring_mut().put_behind(line);
        }
        let now_ns = pair.now_ns();
        pair.begun_ns = now_ns[0].max(now_ns[1]);
        pair.catch_up();
        pair
    }

    fn adopt(&self, at: usize, slot: u16, round_trip_us: u32) {
        let (peer, rank) = (PeerId::new(0, 1 + at as u64 * 1_000 + u64::from(slot)), 0);
        let adopted = adoption(slot, peer, rank, File::open("/dev/null").unwrap().into());
        let adopted = Adoption { governed: true, round_trip_us, ..adopted };
        self.links[at].order(Order::Adopt(adopted)).unwrap();
        let (warm, warm_for_small) = (true, true);
        let sight = Order::Sight { slot, peer, rank, round_trip_us, warm, warm_for_small };
        self.links[at].order(sight).unwrap();
    }

    fn until(&mut self, at: usize, done: impl Fn(&Shard<SimRing>) -> bool) {
        for _ in 0..10_000 {
            if done(&self.shards[at]) {
                return;
            }
            self.shards[at].turn(Wait::UpTo(1_000_000));
        }
        panic!("it never came to this");
    }

    /// Both clocks are at the same time, but for a step.
    fn catch_up(&mut self) {
        while self.now_ns().iter().any(|now_ns| *now_ns < self.begun_ns) {
            self.turn();
        }
        let now_ns = self.now_ns();
        self.begun_ns = now_ns[0].max(now_ns[1]);
    }

    fn now_ns(&mut self) -> [u64; 2] {
        [0, 1].map(|at: usize| self.shards[at].ring_mut().now_ns())
    }

    fn turn(&mut self) {
        let now_ns = self.now_ns();
        let behind = usize::from(now_ns[1] < now_ns[0]);
        self.shards[behind].turn(Wait::UpTo(1_000_000));
        for link in &self.links {
            while link.next_report().is_some() {}
        }
    }

    /// What each has sent for tokens.
    fn sent(&self) -> [u64; 2] {
        [0, 1].map(|at: usize| self.links[at].counters.get(Counter::GovernedBytes))
    }

    fn passed_ns(&mut self) -> u64 {
        let now_ns = self.now_ns();
        now_ns[0].max(now_ns[1]) - self.begun_ns
    }

    /// What may have been sent by now: rate × time and one bucketful.
    fn allowed(&mut self) -> u64 {
        let rate = self.bucket.rate().unwrap();
        let passed = u128::from(self.passed_ns()) * u128::from(rate) / 1_000_000_000;
        passed as u64 + self.bucket.holds_bytes(Pace::BLOCK)
    }

    fn publish(&self) {
        let mut writer = self.publisher.begin().unwrap();
        writer.push(&bytes(1, BLOCK_BYTES)).unwrap();
        let chain = find("litecoin", Network::Regtest).unwrap();
        let _ = writer.commit(0, chain, [1; 32]);
    }

    /// When each of the two shards' peers had the block, in ms, soonest first; `None`: not all yet.
    fn times_ms(&mut self, at: usize) -> Option<Vec<u64>> {
        let (count, begun_ns) = (self.peers[at], self.begun_ns);
        let line = self.shards[at].ring_mut().line().unwrap();
        let arrived = |slot| Some((line.arrived_ns(slot, WHOLE_BYTES)? - begun_ns) / 1_000_000);
        let mut times: Vec<_> = (0..count).map(arrived).collect::<Option<_>>()?;
        times.sort_unstable();
        Some(times)
    }

    /// Runs until all have the block, with the law held at every turn; `look` sees each turn.
    fn broadcast(&mut self, mut look: impl FnMut(&mut Self)) -> Vec<u64> {
        let before: u64 = self.sent().iter().sum();
        self.publish();
        for _ in 0..200_000 {
            self.turn();
            let (sent, allowed) = (self.sent().iter().sum::<u64>() - before, self.allowed());
            assert!(sent <= allowed, "{sent} bytes sent of {allowed}");
            look(self);
            if let (Some(mut times), Some(others)) = (self.times_ms(0), self.times_ms(1)) {
                times.extend(others);
                times.sort_unstable();
                return times;
            }
        }
        panic!("it does not end: {:?} sent", self.sent());
    }
}

/// What is granted to both is the uplink's, all of it and no more; each has its share while both have
/// something to send; the line has no queue, and everybody the block as soon as from one shard.
#[test]
fn two_shards_share_one_uplink() {
    for seed in 0..4 {
        let mut pair = Pair::new(seed, Trouble::default(), [10, 10]);
        let all = 20 * WHOLE_BYTES;
        let times = pair.broadcast(|pair| {
            let ([one, other], allowed) = (pair.sent(), pair.allowed());
            // Tokens that are there are used: but for a tick of each and a bucketful.
            let unused = pair.bucket.holds_bytes(Pace::BLOCK)
                + 2 * BLOCK_TICK_NS * pair.bucket.rate().unwrap() / 1_000_000_000;
            let expected = allowed.saturating_sub(2 * unused).min(all) * 98 / 100;
            assert!(one + other >= expected, "{one} and {other} of {allowed} sent");
            assert!(one.abs_diff(other) * 20 <= one + other + 20 * unused, "{one} and {other}");
        });
        let line = pair.shards[0].ring_mut().line().unwrap();
        assert!(line.queued_bytes_max() < 400_000 && line.lost_bytes() == 0, "{line:?}");
        eprintln!("half {} ms, all {} ms", times[9], times[19]);
        assert!(times[9] <= 120 && times[19] <= 280, "{times:?}");
    }
}

/// Whoever has nothing to send, or nobody who takes it, leaves the whole uplink to the other.
#[test]
fn what_one_shard_does_not_use_the_other_has() {
    let times = Pair::new(1, Trouble::default(), [2, 18]).broadcast(|_| {});
    assert!(times[19] <= 280, "{times:?}");
    let mut pair = Pair::new(1, Trouble::default(), [10, 10]);
    (0..10).for_each(|slot| pair.shards[0].ring_mut().stall(slot, true));
    let mut done = None;
    pair.publish();
    for _ in 0..20_000 {
        pair.turn();
        done = done.or_else(|| pair.times_ms(1));
        let (sent, allowed) = (pair.sent().iter().sum::<u64>(), pair.allowed());
        assert!(sent <= allowed, "{sent} of {allowed}");
    }
    // Ten blocks take 90 ms, the farthest way 91.
    assert!(done.as_ref().is_some_and(|times| times[9] <= 200), "{done:?}");
}

/// The same laws where sends come back short and sockets are full for no reason.
#[test]
fn trouble_breaks_no_law() {
    let trouble = Trouble { short_send: 3, full: 5, late_release: 9, ..Trouble::default() };
    for seed in 0..6 {
        let mut pair = Pair::new(seed, trouble, [5, 7]);
        let times = pair.broadcast(|_| {});
        assert!(times[11] <= 400, "{times:?}");
    }
}
