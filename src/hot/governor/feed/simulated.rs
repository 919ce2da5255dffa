//! The feed before simulated sockets: windows that open, one shared line, peers that stall.

use super::super::bucket::payload_rate;
use super::super::order::{OrderOfService, arrange};
use super::*;
use crate::limits::{SEGMENT_LINE_BYTES, SEGMENT_PAYLOAD_BYTES, UNSENT_BYTES};

const GIGABIT: u64 = 1_000_000_000;
const STEP_NS: u64 = 50_000;

/// A socket: what lies unsent in it, and its window.
#[derive(Clone, Debug)]
struct Socket {
    round_trip_ns: u64,
    window_bytes: u64,
    stalls: bool,
    unsent_bytes: u64,
    flying_bytes: u64,
    /// When what was sent is acknowledged, and how much of it.
    coming: std::collections::VecDeque<(u64, u64)>,
    taken_bytes: u64,
    done_ns: Option<u64>,
}

/// The sockets of one sender and the line that they share.
struct World {
    sockets: Vec<Socket>,
    line_bytes_per_s: u64,
    /// When the line has put out all that it was given.
    free_ns: u64,
    queue_bytes_max: u64,
}

impl World {
    /// Round trips of 20 to 200 ms, evenly spread.
    fn new(count: u64, window_bytes: u64) -> Self {
        let line_bytes = GIGABIT / 8 * u64::from(SEGMENT_PAYLOAD_BYTES);
        let socket = |at: u64| Socket {
            round_trip_ns: 20_000_000 + 180_000_000 * at / (count - 1),
            window_bytes,
            stalls: false,
            unsent_bytes: 0,
            flying_bytes: 0,
            coming: std::collections::VecDeque::new(),
            taken_bytes: 0,
            done_ns: None,
        };
        Self {
            sockets: (0..count).map(socket).collect(),
            line_bytes_per_s: line_bytes / u64::from(SEGMENT_LINE_BYTES),
            free_ns: 0,
            queue_bytes_max: 0,
        }
    }

    /// As the kernel does it: one buffer more once less than the limit lies unsent.
    fn send(&mut self, at: usize, bytes: u32) -> u32 {
        let socket = &mut self.sockets[at];
        let limit = u64::from(UNSENT_BYTES);
        let room = if socket.window_bytes > socket.flying_bytes && !socket.stalls {
            socket.window_bytes - socket.flying_bytes + 2 * limit - socket.unsent_bytes
        } else if socket.unsent_bytes < limit {
            2 * limit - socket.unsent_bytes
        } else {
            0
        };
        let taken = room.min(bytes.into());
        socket.unsent_bytes += taken;
        socket.taken_bytes += taken;
        taken as u32
    }

    /// Windows open and data goes on the line; the sockets that can take more now.
    fn pass(&mut self, now_ns: u64, block_bytes: u64) -> Vec<u16> {
        let mut writable = Vec::new();
        for (at, socket) in self.sockets.iter_mut().enumerate().filter(|(_, it)| !it.stalls) {
            while socket.coming.front().is_some_and(|(at_ns, _)| *at_ns <= now_ns) {
                let (_, bytes) = socket.coming.pop_front().unwrap();
                socket.flying_bytes -= bytes;
                socket.window_bytes += bytes;
            }
            let before = socket.unsent_bytes;
            let goes = before.min(socket.window_bytes.saturating_sub(socket.flying_bytes));
            if goes > 0 {
                self.free_ns =
                    self.free_ns.max(now_ns) + goes * 1_000_000_000 / self.line_bytes_per_s;
                let queue = (self.free_ns - now_ns) * self.line_bytes_per_s / 1_000_000_000;
                self.queue_bytes_max = self.queue_bytes_max.max(queue);
                socket.unsent_bytes -= goes;
                socket.flying_bytes += goes;
                socket.coming.push_back((self.free_ns + socket.round_trip_ns, goes));
                if socket.taken_bytes == block_bytes && socket.unsent_bytes == 0 {
                    socket.done_ns = Some(self.free_ns + socket.round_trip_ns / 2);
                }
            }
            let half = u64::from(UNSENT_BYTES) / 2;
            if socket.unsent_bytes < half && (before >= half || goes > 0) {
                writable.push(at as u16);
            }
        }
        writable
    }

    /// Sends a block to everybody; when each healthy peer had it, in ms, soonest first.
    fn broadcast(&mut self, block_bytes: u32, bucket: Bucket, order: OrderOfService) -> Vec<u64> {
        let mut feed = Feed::new(Arc::new(bucket), 0);
        let warm = |socket: &Socket| socket.window_bytes >= u64::from(block_bytes);
        let sight = |(slot, socket): (usize, &Socket)| Sight {
            slot: slot as u16,
            round_trip_us: (socket.round_trip_ns / 1_000) as u32,
            warm: warm(socket),
            rank: 0,
        };
        let mut sights: Vec<_> = self.sockets.iter().enumerate().map(sight).collect();
        arrange(&mut sights, order);
        feed.set_order(&sights);
        feed.set_all_at_once(order == OrderOfService::AllAtOnce);
        for slot in 0..self.sockets.len() as u16 {
            feed.want(slot, block_bytes);
            feed.writable(slot);
        }
        let (start_ns, mut due_ns) = (1_000_000_000, 0);
        let mut now_ns = start_ns;
        self.free_ns = now_ns;
        while self.sockets.iter().any(|socket| !socket.stalls && socket.done_ns.is_none()) {
            assert!(now_ns < start_ns + 60_000_000_000, "it does not end");
            let writable = self.pass(now_ns, block_bytes.into());
            writable.iter().for_each(|slot| feed.writable(*slot));
            if now_ns >= due_ns || !writable.is_empty() {
                loop {
                    feed.begin_entry(now_ns);
                    while let Some((slot, bytes)) = feed.next_grant(now_ns) {
                        let taken = self.send(usize::from(slot), bytes);
                        feed.sent(slot, taken);
                    }
                    match feed.pause(now_ns) {
                        Pause::None => {}
                        Pause::UpTo(ns) => break due_ns = now_ns + ns,
                        Pause::UntilEvent => break due_ns = u64::MAX,
                    }
                }
                self.pass(now_ns, block_bytes.into()).iter().for_each(|slot| feed.writable(*slot));
            }
            now_ns += STEP_NS;
        }
        let mut times: Vec<_> = self
            .sockets
            .iter()
            .filter_map(|socket| socket.done_ns.map(|at_ns| (at_ns - start_ns) / 1_000_000))
            .collect();
        times.sort_unstable();
        times
    }
}

const OPEN: u64 = 3_000_000;
const FIRST_FLIGHT: u64 = 14_480;

/// The bound of half of 20 peers with 1 MB at 1 Gbit/s is 95 ms, of all 180.
#[test]
fn warm_peers_have_it_near_the_bound_and_the_line_has_no_queue() {
    let mut world = World::new(20, OPEN);
    let times = world.broadcast(1_000_000, Bucket::new(GIGABIT), OrderOfService::NearHalfFirst);
    assert!(times[9] <= 110, "half: {times:?}");
    assert!(times[19] <= 260, "all: {times:?}");
    assert!(world.queue_bytes_max < 400_000, "{} bytes queued", world.queue_bytes_max);
    let mut world = World::new(20, OPEN);
    let near = world.broadcast(1_000_000, Bucket::new(GIGABIT), OrderOfService::NearFirst);
    assert!(near[0] <= 21 && near[9] > times[9] && times[0] > near[0], "{near:?}");
    let mut world = World::new(20, OPEN);
    world.broadcast(1_000_000, Bucket::new(GIGABIT), OrderOfService::AllAtOnce);
    assert!(world.queue_bytes_max > 10_000_000, "a real queue would have lost that");
}

/// A stalled peer costs what lies unsent in it, so ten of a hundred cost 5 ms.
#[test]
fn stalled_peers_cost_their_own_bound() {
    let run = |stalled: usize| {
        let mut world = World::new(100, OPEN);
        (0..stalled).for_each(|at| world.sockets[at * 10].stalls = true);
        let times = world.broadcast(1_000_000, Bucket::new(GIGABIT), OrderOfService::default());
        for socket in world.sockets.iter().filter(|socket| socket.stalls) {
            assert!(socket.taken_bytes <= 2 * u64::from(UNSENT_BYTES), "{socket:?}");
        }
        times
    };
    let (clean, stalled) = (run(0), run(10));
    let lost_ms = 10 * 2 * u64::from(UNSENT_BYTES) * 1_000 / payload_rate(GIGABIT) + 2;
    assert!(stalled[44] <= clean[49] + lost_ms, "{} after {}", stalled[44], clean[49]);
    assert!(stalled[89] <= clean[99] + lost_ms, "{} after {}", stalled[89], clean[99]);
}

/// Cold peers start together: no later than all at once by more than what lies unsent in them.
#[test]
fn cold_peers_lose_nothing_by_being_governed() {
    for (bits_per_s, slower_percent) in [(GIGABIT, 115), (GIGABIT / 10, 115)] {
        let run = |order| {
            let mut world = World::new(20, FIRST_FLIGHT);
            world.line_bytes_per_s = world.line_bytes_per_s * bits_per_s / GIGABIT;
            world.broadcast(1_000_000, Bucket::new(bits_per_s), order)
        };
        let (governed, free) = (run(OrderOfService::NearHalfFirst), run(OrderOfService::AllAtOnce));
        assert!(governed[9] * 100 <= free[9] * slower_percent, "{governed:?} against {free:?}");
        assert!(governed[19] * 100 <= free[19] * slower_percent, "{governed:?} against {free:?}");
    }
}

/// An uplink configured ten times too low costs time in proportion; ten times too high is all at
/// once again. Neither loses anything or never ends.
#[test]
fn a_wrong_uplink_is_bounded() {
    let mut world = World::new(20, OPEN);
    let low = world.broadcast(1_000_000, Bucket::new(GIGABIT / 10), OrderOfService::default());
    assert!(low[19] <= 20 * 95 + 200, "{low:?}");
    let mut world = World::new(20, OPEN);
    let high = world.broadcast(1_000_000, Bucket::new(GIGABIT * 10), OrderOfService::default());
    let mut world = World::new(20, OPEN);
    let free = world.broadcast(1_000_000, Bucket::unlimited(), OrderOfService::AllAtOnce);
    assert!(
        high[9] <= free[9] * 105 / 100 && high[19] <= free[19] * 105 / 100,
        "{high:?} {free:?}"
    );
}

/// Some cold peers among warm ones do not hold these up: half of all have it nearly as soon.
#[test]
fn a_few_cold_peers_hardly_delay_the_half() {
    let run = |cold: usize| {
        let mut world = World::new(20, OPEN);
        (0..cold).for_each(|at| world.sockets[at * 5].window_bytes = FIRST_FLIGHT);
        world.broadcast(1_000_000, Bucket::new(GIGABIT), OrderOfService::default())
    };
    let (none, four) = (run(0), run(4));
    assert!(four[9] * 100 <= none[9] * 115, "{four:?} against {none:?}");
}

/// A line that is slow for the block: far windows are half open after a warm-up. They do not hold up
/// the half, nor are they the last by much.
#[test]
fn many_half_open_windows_do_not_delay_the_half() {
    let run = |windows: [u64; 2]| {
        let mut world = World::new(20, OPEN);
        world.line_bytes_per_s /= 10;
        (11..20).for_each(|at| world.sockets[at].window_bytes = windows[at % 2]);
        world.broadcast(1_000_000, Bucket::new(GIGABIT / 10), OrderOfService::default())
    };
    let open = run([OPEN; 2]);
    for windows in [[FIRST_FLIGHT; 2], [60_000, 120_000], [150_000, 300_000]] {
        let times = run(windows);
        assert!(times[9] * 100 <= open[9] * 105, "{times:?} against {open:?}");
        assert!(times[19] * 100 <= open[19] * 120, "{times:?} against {open:?}");
    }
}
