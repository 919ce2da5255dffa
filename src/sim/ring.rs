//! A ring with seeded trouble: short sends, full sockets, failures, late and reordered completions.
//!
//! No socket is touched: tests read what a connection was given ([`SimRing::taken`]) and say what
//! its peer says ([`SimRing::say`]). Time is the simulator's own and moves with each entry.

mod line;
mod world;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

pub use line::Line;

use super::dice::Dice;
use crate::limits::{IMAGE_SLOTS, PEERS_PER_SHARD_MAX};
use crate::sys::memory::Lease;
use crate::sys::ring::{Copying, Event, Ring, Wait};

/// An entry before a modelled line takes no longer, in ns.
const LINE_STEP_NS: u64 = 250_000;

/// How much trouble there is: each is "one in so many" sends or entries; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// A send is cut short.
    pub short_send: u64,
    /// A send finds the socket full.
    pub full: u64,
    /// A send fails and the connection breaks.
    pub broken: u64,
    /// A zero-copy send's release comes later than its result.
    pub late_release: u64,
    /// A zero-copy send was copied after all.
    pub copied: u64,
    /// A zero-copy send is refused, as by a kernel that does not know it.
    pub refused: u64,
}

#[derive(Debug)]
enum Pending {
    Image { lease: Lease, from: usize, to: usize, copying: Copying },
    Control(Vec<u8>),
}

#[derive(Debug, Default)]
struct SimConnection {
    socket: Option<OwnedFd>,
    serial: u32,
    pending: Option<Pending>,
    taken: Vec<u8>,
    acknowledged: usize,
    asked: bool,
    saying: VecDeque<u8>,
    hung_up: Option<i32>,
    ended: bool,
    stalled: bool,
    full: bool,
    events: VecDeque<Event>,
    closing: bool,
}

/// A release that is still to come.
#[derive(Debug)]
struct Late {
    slot: u16,
    serial: u32,
    lease: Lease,
    copied: bool,
}

/// The seeded ring.
#[derive(Debug)]
pub struct SimRing {
    dice: Dice,
    trouble: Trouble,
    now_ns: u64,
    connections: Vec<SimConnection>,
    late: Vec<Late>,
    line: Option<Line>,
    ready: VecDeque<Event>,
    buffers: Vec<Vec<u8>>,
    free: Vec<u16>,
    entries: u64,
    /// Times that the cold side was rung.
    pub rings: u64,
}

impl SimRing {
    /// A ring whose world is decided by `seed` and `trouble`.
    #[must_use]
    pub fn new(seed: u64, trouble: Trouble) -> Self {
        Self {
            dice: Dice::new(seed),
            trouble,
            now_ns: 1_000_000_000,
            connections: (0..PEERS_PER_SHARD_MAX).map(|_| SimConnection::default()).collect(),
            late: Vec::new(),
            line: None,
            ready: VecDeque::new(),
            buffers: vec![Vec::new(); 64],
            free: (0..64).collect(),
            entries: 0,
            rings: 0,
        }
    }

    /// All bytes that the connection in `slot` was given since it was adopted.
    #[must_use]
    pub fn taken(&self, slot: u16) -> &[u8] {
        self.connections.get(usize::from(slot)).map_or(&[], |connection| &connection.taken)
    }

    /// The peer says something.
    pub fn say(&mut self, slot: u16, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(usize::from(slot)) {
            connection.saying.extend(bytes);
        }
    }

    /// The peer closes (errno 0) or breaks the connection.
    pub fn hang_up(&mut self, slot: u16, errno: i32) {
        if let Some(connection) = self.connections.get_mut(usize::from(slot)) {
            connection.hung_up = Some(errno);
        }
    }

    /// The peer stops (or begins again) to take bytes.
    pub fn stall(&mut self, slot: u16, stalled: bool) {
        if let Some(connection) = self.connections.get_mut(usize::from(slot)) {
            connection.stalled = stalled;
        }
    }

    /// From here on all sockets share `line`, and an entry takes no longer than 250 us.
    pub fn put_behind(&mut self, line: Line) {
        self.line = Some(line);
    }

    /// The line that all share.
    #[must_use]
    pub fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }

    /// The same, to change it.
    pub fn line_mut(&mut self) -> Option<&mut Line> {
        self.line.as_mut()
    }

    /// From here on there is no trouble any more.
    pub fn calm(&mut self) {
        self.trouble = Trouble::default();
    }

    fn luck(&mut self, odds: u64) -> bool {
        odds > 0 && self.dice.one_in(odds)
    }

    fn carry_out(&mut self, slot: u16) {
        let Some(pending) = self.connections[usize::from(slot)].pending.take() else {
            return;
        };
        let zero = matches!(pending, Pending::Image { copying: Copying::Zero, .. });
        let refused = zero && self.luck(self.trouble.refused);
        let (broken, full, short) = (
            self.luck(self.trouble.broken),
            self.luck(self.trouble.full),
            self.luck(self.trouble.short_send),
        );
        let connection = &mut self.connections[usize::from(slot)];
        let bytes = match &pending {
            Pending::Image { lease, from, to, .. } => &lease.octets()[*from..*to],
            Pending::Control(bytes) => bytes,
        };
        let result = if broken || connection.hung_up.is_some() {
            connection.hung_up.get_or_insert(libc::ECONNRESET);
            Err(libc::EPIPE)
        } else if refused {
            Err(libc::EINVAL)
        } else if full || connection.stalled {
            connection.full = true;
            Err(libc::EAGAIN)
        } else {
            let mut count = match &mut self.line {
                Some(line) => line.take(usize::from(slot), bytes.len()),
                None => bytes.len(),
            };
            connection.full |= count < bytes.len();
            if short && count > 1 {
                count = 1 + self.dice.below(count as u64 - 1) as usize;
                connection.full = true;
            }
            connection.taken.extend_from_slice(&bytes[..count]);
            if count > 0 { Ok(count as u32) } else { Err(libc::EAGAIN) }
        };
        // The kernel may post a release for a failed send too, and calls it copied.
        let failed = result.is_err();
        let held = zero && (!failed || self.dice.one_in(2));
        self.connections[usize::from(slot)].events.push_back(Event::Sent { slot, result, held });
        if let Pending::Image { lease, .. } = pending
            && held
        {
            let serial = self.connections[usize::from(slot)].serial;
            let copied = failed || self.luck(self.trouble.copied);
            self.late.push(Late { slot, serial, lease, copied });
        }
    }

    fn answer(&mut self, slot: u16) {
        let connection = &mut self.connections[usize::from(slot)];
        if std::mem::take(&mut connection.asked) && !connection.closing {
            let result = Ok((connection.taken.len() - connection.acknowledged) as u32);
            connection.events.push_back(Event::Unacknowledged { slot, result });
        }
    }
}

impl Ring for SimRing {
    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn adopt(&mut self, slot: u16, socket: OwnedFd) -> Result<(), OwnedFd> {
        match self.connections.get_mut(usize::from(slot)) {
            Some(connection) if connection.socket.is_none() => {
                connection.socket = Some(socket);
                connection.full = true; // until its first Writable
                Ok(())
            }
            _ => Err(socket),
        }
    }

    fn send_image(
        &mut self,
        slot: u16,
        lease: &Lease,
        from: u32,
        to: u32,
        copying: Copying,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(usize::from(slot)) else {
            return false;
        };
        if connection.socket.is_none() || connection.closing || connection.pending.is_some() {
            return false;
        }
        let (from, to) = (from as usize, to as usize);
        connection.pending = Some(Pending::Image { lease: lease.clone(), from, to, copying });
        true
    }

    fn send_control(&mut self, slot: u16, bytes: &[u8]) -> bool {
        let Some(connection) = self.connections.get_mut(usize::from(slot)) else {
            return false;
        };
        if connection.socket.is_none() || connection.closing || connection.pending.is_some() {
            return false;
        }
        connection.pending = Some(Pending::Control(bytes.to_vec()));
        true
    }

    fn ask_unacknowledged(&mut self, slot: u16) -> bool {
        let connection = self.connections.get_mut(usize::from(slot));
        let Some(connection) = connection.filter(|it| it.socket.is_some() && !it.closing) else {
            return false;
        };
        connection.asked = true;
        true
    }

    fn close(&mut self, slot: u16) {
        if let Some(connection) = self.connections.get_mut(usize::from(slot)) {
            connection.closing = connection.socket.is_some();
        }
    }

    fn ring_cold(&mut self) {
        self.rings += 1;
    }

    fn enter(&mut self, wait: Wait) {
        self.entries += 1;
        let step_ns = match wait {
            Wait::No => 1_000,
            Wait::UpTo(wait_ns) => wait_ns.min(5_000_000),
        };
        self.now_ns += match &self.line {
            Some(_) => step_ns.min(LINE_STEP_NS),
            None => 1 + self.dice.below(step_ns),
        };
        if let Some(line) = &mut self.line {
            let connections = &self.connections;
            line.pass(self.now_ns, |at| connections.get(at).is_some_and(|it| it.stalled));
        }
        // Within one entry a peer's bytes may come before or after our send goes out.
        let early = self.dice.below(4);
        let is_early = |at: usize| at as u64 % 4 == early;
        for at in 0..self.connections.len() {
            if is_early(at) {
                self.move_world(at);
            }
            self.carry_out(at as u16);
            self.answer(at as u16);
        }
        self.release();
        for at in 0..self.connections.len() {
            if !is_early(at) {
                self.move_world(at);
            }
            self.let_go(at);
        }
        self.shuffle();
    }

    fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    fn octets(&self, buffer: u16, length: u32) -> &[u8] {
        self.buffers
            .get(usize::from(buffer))
            .and_then(|bytes| bytes.get(..length as usize))
            .unwrap_or(&[])
    }

    fn recycle(&mut self, buffer: u16) {
        self.free.push(buffer);
    }

    fn can_zero_copy(&self) -> bool {
        true
    }

    fn held(&self, arena_slot: u8) -> u32 {
        debug_assert!(u32::from(arena_slot) < IMAGE_SLOTS);
        let pending = self.connections.iter().filter(|connection| {
            matches!(&connection.pending, Some(Pending::Image { lease, .. }) if lease.slot() == arena_slot)
        });
        let late = self.late.iter().filter(|late| late.lease.slot() == arena_slot);
        (pending.count() + late.count()) as u32
    }

    fn entries(&self) -> u64 {
        self.entries
    }

    fn starved(&self) -> u64 {
        0
    }
}
