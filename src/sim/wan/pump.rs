//! The emulator's thread: reads packets at either end, and writes them at the other one in time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::line::Line;
use super::packet::Packet;
use super::{PeerPath, WanSettings, peer_of};
use crate::limits::{
    WAN_LATE_NS, WAN_PACKET_BYTES_MAX, WAN_SLEEP_NS, WAN_SLICE_NS, WAN_WAITING_MAX,
};
use crate::sim::dice::Dice;
use crate::sys::clock::now_ns;
use crate::sys::namespace::sleep_exactly;
use crate::sys::tun::{OFFLOAD_HEADER_BYTES, Tun, wait_for_either};

/// Line bytes of a full packet.
const FULL_PACKET_BYTES: u64 = 1_538;
/// Packets that are read or written in one go.
const BATCH: usize = 32;

/// What the emulator counts.
#[derive(Debug, Default)]
pub struct Counts {
    /// Segments offered to the uplink.
    pub segments: AtomicU64,
    /// Those that found its queue full.
    pub queue_drops: AtomicU64,
    /// Those lost by chance.
    pub chance_drops: AtomicU64,
    /// Packets of others that found the queue full.
    pub foreign_drops: AtomicU64,
    /// Longest queue, in bytes.
    pub queue_bytes_max: AtomicU64,
    /// How late the latest packet was handed on, in ns.
    pub late_ns_max: AtomicU64,
    /// Packets handed on later than [`WAN_LATE_NS`].
    pub late: AtomicU64,
    /// Packets handed on.
    pub handed_on: AtomicU64,
    /// Packets that a device or the emulator's own room refused.
    pub refused: AtomicU64,
}

impl Counts {
    /// Segments that found the queue full, and such that were lost by chance.
    #[must_use]
    pub fn drops(&self) -> [u64; 2] {
        [&self.queue_drops, &self.chance_drops].map(|counter| counter.load(Ordering::Relaxed))
    }

    fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// A packet under way: due time, serial number, whether it goes to the peers, bytes.
type Waiting = Reverse<(u64, u64, bool, Box<[u8]>)>;

/// Everything that the thread needs.
pub(super) struct Pump {
    pub(super) sender: Tun,
    pub(super) receiver: Tun,
    pub(super) settings: WanSettings,
    pub(super) counts: Arc<Counts>,
    pub(super) stop: Arc<AtomicBool>,
}

struct World {
    pump: Pump,
    line: Line,
    dice: Dice,
    waiting: BinaryHeap<Waiting>,
    serial: u64,
    slice: usize,
}

impl Pump {
    /// Runs until it is told to stop.
    pub(super) fn run(self) {
        if let Some(core) = self.settings.core {
            crate::sys::cpu::pin_to(core);
        }
        sleep_exactly();
        // It stands for a line and its delays, which wait for nobody's processor time. Where it is
        // not allowed, lateness tells.
        crate::sys::cpu::go_at_once();
        let settings = &self.settings;
        let (bits, foreign) = (settings.uplink_bits_per_s, settings.foreign_bits_per_s);
        let per_slice = bits / 8 * WAN_SLICE_NS / 1_000_000_000 / FULL_PACKET_BYTES;
        let mut world = World {
            line: Line::new(bits, settings.queue_bytes, foreign, now_ns()),
            dice: Dice::new(settings.seed),
            waiting: BinaryHeap::new(),
            serial: 0,
            slice: if bits == 0 { 8 } else { per_slice.clamp(1, 44) as usize },
            pump: self,
        };
        let mut room = vec![0; OFFLOAD_HEADER_BYTES + WAN_PACKET_BYTES_MAX];
        while !world.pump.stop.load(Ordering::Relaxed) {
            world.turn(&mut room);
        }
    }
}

impl World {
    fn turn(&mut self, room: &mut [u8]) {
        let mut busy = false;
        for _ in 0..BATCH {
            let Some(length) = self.pump.sender.receive(room) else { break };
            busy = true;
            self.forth(&room[..length]);
        }
        for _ in 0..2 * BATCH {
            let Some(length) = self.pump.receiver.receive(room) else { break };
            busy = true;
            self.back(&room[..length]);
        }
        busy |= self.hand_on();
        if !busy {
            let due_ns = self.waiting.peek().map_or(u64::MAX, |Reverse((due_ns, ..))| *due_ns);
            let wait_ns = due_ns.saturating_sub(now_ns()).min(WAN_SLEEP_NS);
            if wait_ns > 2_000 {
                wait_for_either(&self.pump.sender, &self.pump.receiver, wait_ns);
            }
        }
    }

    /// From the sender: the shared line, chance, half the round trip. Segment by segment; what
    /// survives in a row travels together, for a slice of line time at most.
    fn forth(&mut self, whole: &[u8]) {
        let now_ns = now_ns();
        let Some(packet) = Packet::read(whole) else { return };
        let Some(path) = self.path(packet.destination()) else { return };
        let segments = packet.segments();
        Counts::add(&self.pump.counts.segments, segments as u64);
        let mut run: Option<(usize, u64)> = None;
        for at in 0..segments {
            let mut left_ns = self.line.offer(now_ns, packet.line_bytes(at));
            if left_ns.is_none() {
                Counts::add(&self.pump.counts.queue_drops, 1);
            } else if path.loss_ppm > 0 && self.dice.below(1_000_000) < path.loss_ppm.into() {
                Counts::add(&self.pump.counts.chance_drops, 1);
                left_ns = None;
            }
            if let Some((from, run_ns)) = run
                && (left_ns.is_none() || at - from >= self.slice)
            {
                self.wait(run_ns + path.half_ns(), true, packet.slice(from..at));
                run = None;
            }
            if let Some(left_ns) = left_ns {
                run = Some((run.map_or(at, |(from, _)| from), left_ns));
            }
        }
        if let Some((from, run_ns)) = run {
            self.wait(run_ns + path.half_ns(), true, packet.slice(from..segments));
        }
        let counts = &self.pump.counts;
        counts.queue_bytes_max.fetch_max(self.line.queue_bytes(now_ns), Ordering::Relaxed);
        counts.foreign_drops.store(self.line.foreign_dropped(), Ordering::Relaxed);
    }

    /// From a peer: half the round trip.
    fn back(&mut self, whole: &[u8]) {
        let Some(packet) = Packet::read(whole) else { return };
        if let Some(path) = self.path(packet.source()) {
            self.wait(now_ns() + path.half_ns(), false, whole.into());
        }
    }

    fn path(&self, address: [u8; 4]) -> Option<PeerPath> {
        self.pump.settings.paths.get(peer_of(address)?).copied()
    }

    fn wait(&mut self, due_ns: u64, to_peers: bool, packet: Box<[u8]>) {
        if self.waiting.len() >= WAN_WAITING_MAX {
            Counts::add(&self.pump.counts.refused, 1);
            return;
        }
        self.serial += 1;
        self.waiting.push(Reverse((due_ns, self.serial, to_peers, packet)));
    }

    /// Hands on what is due; whether there was anything.
    fn hand_on(&mut self) -> bool {
        for done in 0..BATCH {
            let now_ns = now_ns();
            let due = |Reverse((due_ns, ..)): &Waiting| *due_ns <= now_ns;
            if !self.waiting.peek().is_some_and(due) {
                return done > 0;
            }
            let Some(Reverse((due_ns, _, to_peers, packet))) = self.waiting.pop() else {
                return done > 0;
            };
            let late_ns = now_ns - due_ns;
            let counts = &self.pump.counts;
            counts.late_ns_max.fetch_max(late_ns, Ordering::Relaxed);
            Counts::add(&counts.late, u64::from(late_ns > WAN_LATE_NS));
            Counts::add(&counts.handed_on, 1);
            let device = if to_peers { &self.pump.receiver } else { &self.pump.sender };
            Counts::add(&counts.refused, u64::from(!device.send(&packet)));
        }
        true
    }
}
