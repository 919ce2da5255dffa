//! A modelled uplink behind the simulated sockets: windows that open, one line with a queue that all
//! share, and a limit on what lies unsent in a socket. Time is the ring's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first flight of a connection, in bytes: what a window falls to.
const FLIGHT_BYTES: u64 = 14_480;
/// What a socket holds where nothing limits it, in bytes.
const SOCKET_BYTES: u64 = 4_200_000;
const NS_PER_S: u64 = 1_000_000_000;

/// Bytes on their way, and when their acknowledgement (or the knowledge of their loss) is here.
#[derive(Clone, Copy, Debug)]
struct Flight {
    back_ns: u64,
    bytes: u64,
    is_lost: bool,
}

#[derive(Clone, Debug)]
struct Path {
    round_trip_ns: u64,
    window_bytes: u64,
    unsent_bytes: u64,
    flying_bytes: u64,
    flights: VecDeque<Flight>,
    /// It acknowledges what it does not have yet.
    lies: bool,
    arrived_bytes: u64,
    /// When the last byte that arrived did so.
    arrived_ns: u64,
}

/// What all who send over the line share. One thread has all of them: the atomics only make it `Sync`.
#[derive(Debug, Default)]
struct Wire {
    bytes_per_s: AtomicU64,
    /// When the line has put out all that it was given.
    free_ns: AtomicU64,
    queued_bytes_max: AtomicU64,
    lost_bytes: AtomicU64,
}

fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

/// The line, and a path to the peer in each slot of a ring.
#[derive(Debug)]
pub struct Line {
    wire: Arc<Wire>,
    queue_bytes: u64,
    unsent_bytes_max: Option<u64>,
    paths: Vec<Path>,
}

impl Line {
    /// A line that carries `bytes_per_s` of payload and queues `queue_bytes`. A socket takes more
    /// only while less than `unsent_bytes_max` of it is unsent.
    #[must_use]
    pub fn new(bytes_per_s: u64, queue_bytes: u64, unsent_bytes_max: Option<u64>) -> Self {
        let wire = Arc::new(Wire { bytes_per_s: bytes_per_s.into(), ..Wire::default() });
        Self { wire, queue_bytes, unsent_bytes_max, paths: Vec::new() }
    }

    /// The same line for another ring, which has paths of its own.
    #[must_use]
    pub fn beside(&self) -> Self {
        let (wire, paths) = (Arc::clone(&self.wire), Vec::new());
        Self { wire, paths, ..*self }
    }

    /// Most that ever waited in its queue, in bytes.
    #[must_use]
    pub fn queued_bytes_max(&self) -> u64 {
        get(&self.wire.queued_bytes_max)
    }

    /// Bytes that found the queue full.
    #[must_use]
    pub fn lost_bytes(&self) -> u64 {
        get(&self.wire.lost_bytes)
    }

    /// From now on it carries `bytes_per_s` of payload: another route.
    pub fn set_rate(&mut self, bytes_per_s: u64) {
        self.wire.bytes_per_s.store(bytes_per_s, Ordering::Relaxed);
    }

    /// From now on the peer in `slot` acknowledges at once whatever it is sent, wherever that is.
    pub fn lie(&mut self, slot: u16) {
        if let Some(path) = self.paths.get_mut(usize::from(slot)) {
            path.lies = true;
        }
    }

    /// The path to the peer in the next slot.
    pub fn add(&mut self, round_trip_us: u32, window_bytes: u64) {
        self.paths.push(Path {
            round_trip_ns: u64::from(round_trip_us) * 1_000,
            window_bytes,
            unsent_bytes: 0,
            flying_bytes: 0,
            flights: VecDeque::new(),
            lies: false,
            arrived_bytes: 0,
            arrived_ns: 0,
        });
    }

    /// When the peer in `slot` had its last byte, once it has had at least `bytes`.
    #[must_use]
    pub fn arrived_ns(&self, slot: u16, bytes: u64) -> Option<u64> {
        let path = self.paths.get(usize::from(slot))?;
        (path.arrived_bytes >= bytes).then_some(path.arrived_ns)
    }

    /// Gives the socket in `slot` up to `bytes`; how many it takes. As the kernel does it: one buffer
    /// more once less than the limit lies unsent.
    pub(super) fn take(&mut self, slot: usize, bytes: usize) -> usize {
        let Some(path) = self.paths.get_mut(slot) else {
            return bytes;
        };
        let open_bytes = path.window_bytes.saturating_sub(path.flying_bytes);
        let room = match self.unsent_bytes_max {
            None => SOCKET_BYTES.saturating_sub(path.unsent_bytes + path.flying_bytes),
            Some(most) if open_bytes > 0 || path.unsent_bytes < most => {
                (open_bytes + 2 * most).saturating_sub(path.unsent_bytes)
            }
            Some(_) => 0,
        };
        let taken = room.min(bytes as u64);
        path.unsent_bytes += taken;
        taken as usize
    }

    /// Whether the socket in `slot` says that it can take more.
    pub(super) fn is_writable(&self, slot: usize) -> bool {
        let most = self.unsent_bytes_max.unwrap_or(SOCKET_BYTES);
        self.paths.get(slot).is_none_or(|path| path.unsent_bytes < most / 2)
    }

    /// Windows open, and data goes on the line; `holds` says who takes nothing.
    pub(super) fn pass(&mut self, now_ns: u64, holds: impl Fn(usize) -> bool) {
        for at in 0..self.paths.len() {
            let path = &mut self.paths[at];
            while path.flights.front().is_some_and(|flight| flight.back_ns <= now_ns) {
                let Some(flight) = path.flights.pop_front() else {
                    break;
                };
                path.flying_bytes -= flight.bytes;
                if flight.is_lost {
                    path.unsent_bytes += flight.bytes;
                    path.window_bytes = (path.window_bytes / 2).max(FLIGHT_BYTES);
                } else {
                    path.window_bytes += flight.bytes;
                }
            }
            let open_bytes = path.window_bytes.saturating_sub(path.flying_bytes);
            let goes = path.unsent_bytes.min(open_bytes);
            if goes > 0 && !holds(at) {
                self.put(at, goes, now_ns);
            }
        }
    }

    fn put(&mut self, at: usize, goes: u64, now_ns: u64) {
        let (wire, bytes_per_s) = (&*self.wire, get(&self.wire.bytes_per_s));
        let free_ns = get(&wire.free_ns).max(now_ns);
        let queued = (free_ns - now_ns) * bytes_per_s / NS_PER_S;
        let fits = goes.min(self.queue_bytes.saturating_sub(queued));
        let free_ns = free_ns + fits * NS_PER_S / bytes_per_s;
        wire.free_ns.store(free_ns, Ordering::Relaxed);
        wire.queued_bytes_max.fetch_max(queued + fits, Ordering::Relaxed);
        wire.lost_bytes.fetch_add(goes - fits, Ordering::Relaxed);
        let path = &mut self.paths[at];
        path.unsent_bytes -= goes;
        path.flying_bytes += goes;
        let back_ns = if path.lies { now_ns } else { free_ns + path.round_trip_ns };
        // Of what one that lies has acknowledged nothing is sent again.
        for (bytes, is_lost) in [(fits, false), (goes - fits, !path.lies)] {
            if bytes > 0 {
                path.flights.push_back(Flight { back_ns, bytes, is_lost });
            }
        }
        if fits > 0 {
            path.arrived_bytes += fits;
            path.arrived_ns = path.arrived_ns.max(free_ns + path.round_trip_ns / 2);
        }
    }
}
