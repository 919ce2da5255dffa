//! A shard's ring on io_uring (`io_uring(7)`): registered sockets and arena, multishot receive.

mod completions;
mod entry;
mod questions;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use io_uring::types::{CancelBuilder, Fixed};
use io_uring::{IoUring, opcode, squeue, types};

use super::buffers::{Buffers, GROUP};
use super::clock;
use super::doorbell::Doorbell;
use super::memory::{Arena, Lease};
use super::region::Region;
use super::ring::{Copying, Event, Ring, Token, TokenKind, Wait};
use crate::limits::{
    COMPLETIONS_MAX, CONTROL_BYTES_MAX, IMAGE_SLOT_BYTES, IMAGE_SLOTS, PEERS_PER_SHARD_MAX,
    SUBMISSIONS_MAX,
};

/// Asks a zero-copy send to say in its release whether it was copied (`io_uring_enter(2)`).
const REPORT_USAGE: u16 = 1 << 3;
/// The release's answer: it was.
const USAGE_COPIED: i32 = i32::MIN;
/// Marks a send of control bytes in its token.
const NO_IMAGE: u8 = u8::MAX;
/// Per connection in the region: its control bytes, then its descriptor for installing, then -1
/// for removing.
const CELL_BYTES: usize = CONTROL_BYTES_MAX as usize + 2 * size_of::<RawFd>();
/// A connection's receive, readiness and end, and the bell.
const LATE_MAX: usize = 3 * PEERS_PER_SHARD_MAX as usize + 1;
const SEND_FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Why io_uring can't be used here. The epoll ring then takes its place.
#[derive(Debug, thiserror::Error)]
pub enum UringError {
    /// The kernel refuses the ring itself.
    #[error(
        "the kernel refuses io_uring ({0}): allow it (sysctl kernel.io_uring_disabled=0, or the \
         container's seccomp profile), or run Linux 6.1 or newer"
    )]
    Refused(io::Error),
    /// The ring exists, but lacks something that broadside needs.
    #[error("the kernel's io_uring lacks {what} ({error}): run Linux 6.1 or newer")]
    Lacks {
        /// What.
        what: &'static str,
        /// The kernel's answer.
        error: io::Error,
    },
}

#[derive(Debug, Default)]
struct Connection {
    socket: Option<OwnedFd>,
    serial: u32,
    /// Requests of which a completion is still to come, releases not counted.
    outstanding: u32,
    sending: bool,
    installed: bool,
    asked: bool,
    closing: bool,
    removing: bool,
}

/// One shard's io_uring. Made and used on the shard's thread alone.
pub struct Uring {
    // Field order is drop order: the ring goes before the memory that it was told of.
    ring: IoUring,
    buffers: Buffers,
    cells: Region,
    leases: [Option<Lease>; IMAGE_SLOTS as usize],
    held: [u32; IMAGE_SLOTS as usize],
    /// Only kept alive, for the registration.
    _arena: Arc<Arena>,
    connections: Box<[Connection]>,
    /// Connections whose receive ended for want of a buffer.
    starving: Vec<u16>,
    /// Requests that the kernel had no room for, to be queued before any other.
    late: Vec<squeue::Entry>,
    starved: u64,
    bell: Arc<Doorbell>,
    cold_bell: Arc<Doorbell>,
    cold_bell_queued: bool,
    zero_copy: bool,
    /// The ring itself can tell how much is unacknowledged (Linux 6.7).
    can_ask: bool,
    /// Where it can't: connections to be asked after the next entry, and their answers.
    to_ask: Vec<u16>,
    answers: VecDeque<Event>,
    entries: u64,
    /// The last entry brought all the work that it could, and there is more.
    piled_up: bool,
    /// The errno of an entry that failed, to be told as an event.
    fault: Option<i32>,
}

impl Uring {
    /// Sets up the ring of the calling thread: its sockets' table, its receive buffers, the arena
    /// for sending from, and a poll on `bell`.
    ///
    /// # Errors
    /// io_uring is refused here, or too old. An arena that can't be registered (memlock limit) is
    /// no error: [`Ring::can_zero_copy`] is then false.
    pub fn new(
        arena: Arc<Arena>,
        bell: Arc<Doorbell>,
        cold_bell: Arc<Doorbell>,
    ) -> Result<Self, UringError> {
        let ring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS_MAX)
            .build(SUBMISSIONS_MAX)
            .map_err(UringError::Refused)?;
        let lacks = |what| move |error| UringError::Lacks { what, error };
        let files = ring.submitter().register_files_sparse(PEERS_PER_SHARD_MAX);
        files.map_err(lacks("registered sockets"))?;
        let buffers = Buffers::register(&ring.submitter());
        let buffers = buffers.map_err(lacks("provided receive buffers"))?;
        let cells = Region::new(PEERS_PER_SHARD_MAX as usize * CELL_BYTES + 8);
        let mut cells = cells.map_err(lacks("memory for its requests"))?;
        cells.write(cold_cell(), &1u64.to_ne_bytes());
        for slot in 0..PEERS_PER_SHARD_MAX as u16 {
            cells.write(cell(slot) + CELL_BYTES - size_of::<RawFd>(), &(-1i32).to_ne_bytes());
        }
        let (start, length) = arena.whole();
        let whole = libc::iovec { iov_base: start.cast(), iov_len: length };
        // SAFETY: the arena's mapping outlives the ring: `_arena` is dropped after `ring`.
        let zero_copy = unsafe { ring.submitter().register_buffers(&[whole]) }.is_ok();
        let mut new = Self {
            ring,
            buffers,
            cells,
            leases: std::array::from_fn(|_| None),
            held: [0; IMAGE_SLOTS as usize],
            _arena: arena,
            connections: (0..PEERS_PER_SHARD_MAX).map(|_| Connection::default()).collect(),
            starving: Vec::with_capacity(PEERS_PER_SHARD_MAX as usize),
            late: Vec::with_capacity(LATE_MAX),
            starved: 0,
            bell,
            cold_bell,
            cold_bell_queued: false,
            zero_copy,
            can_ask: false,
            to_ask: Vec::with_capacity(PEERS_PER_SHARD_MAX as usize),
            answers: VecDeque::with_capacity(PEERS_PER_SHARD_MAX as usize),
            entries: 0,
            piled_up: false,
            fault: None,
        };
        new.can_ask = new.probe_question();
        new.arm_bell();
        Ok(new)
    }

    /// Queues `entry`, submitting first when the queue is full.
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: each caller argues for the memory that its entry names.
        if unsafe { self.ring.submission().push(entry) }.is_ok() {
            return true;
        }
        self.entries += 1;
        if let Err(error) = self.ring.submit() {
            self.note_fault(&error);
        }
        // SAFETY: as above; the same entry.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    fn token(&self, kind: TokenKind, image: u8, slot: u16) -> u64 {
        Token { kind, image, slot, serial: self.connections[usize::from(slot)].serial }.pack()
    }

    /// Queues a request of `slot` that gives one more completion.
    fn push_for(&mut self, slot: u16, entry: &squeue::Entry) -> bool {
        let pushed = self.push(entry);
        if pushed {
            self.connections[usize::from(slot)].outstanding += 1;
        }
        pushed
    }

    fn can_send(&self, slot: u16) -> bool {
        self.connections.get(usize::from(slot)).is_some_and(|connection| {
            connection.installed && !connection.closing && !connection.sending
        })
    }
}

impl Ring for Uring {
    fn now_ns(&self) -> u64 {
        clock::now_ns()
    }

    fn adopt(&mut self, slot: u16, socket: OwnedFd) -> Result<(), OwnedFd> {
        match self.connections.get_mut(usize::from(slot)) {
            Some(connection) if connection.socket.is_none() => {
                self.cells.write(
                    cell(slot) + CELL_BYTES - 2 * size_of::<RawFd>(),
                    &socket.as_raw_fd().to_ne_bytes(),
                );
                connection.socket = Some(socket);
            }
            _ => return Err(socket),
        }
        self.update_file(TokenKind::Install, slot, CELL_BYTES - 2 * size_of::<RawFd>());
        Ok(())
    }

    fn send_image(
        &mut self,
        slot: u16,
        lease: &Lease,
        from: u32,
        to: u32,
        copying: Copying,
    ) -> bool {
        if !self.can_send(slot) || from >= to || to > IMAGE_SLOT_BYTES {
            return false;
        }
        let image = lease.slot();
        let Some(bytes) = lease.octets().get(from as usize..to as usize) else {
            return false;
        };
        let (start, length, fixed) = (bytes.as_ptr(), to - from, Fixed(slot.into()));
        let entry = match copying {
            Copying::Plain => opcode::Send::new(fixed, start, length)
                .flags(SEND_FLAGS)
                .build()
                .user_data(self.token(TokenKind::SendPlain, image, slot)),
            Copying::Zero => opcode::SendZc::new(fixed, start, length)
                .buf_index(Some(0))
                .flags(SEND_FLAGS)
                .zc_flags(REPORT_USAGE)
                .build()
                .user_data(self.token(TokenKind::SendZero, image, slot)),
        };
        // JUSTIFICATION: (for `push`) the kernel reads the octets after this call returns, which no
        // borrow can say.
        // - Alive: a clone of the lease is kept in `leases` until `held` is zero, and `held` falls
        //   only on the completion with NOTIF, or on a first one without MORE. An error result alone
        //   releases nothing. The arena itself outlives the ring by field order.
        // - Unchanged: a leased slot has no writer (`memory::Arena::claim`).
        // - In bounds: start and length are those of one slice of the lease.
        if !self.push_for(slot, &entry) {
            return false;
        }
        let at = usize::from(image);
        self.leases[at].get_or_insert_with(|| lease.clone());
        self.held[at] += 1;
        self.connections[usize::from(slot)].sending = true;
        true
    }

    fn send_control(&mut self, slot: u16, bytes: &[u8]) -> bool {
        let fits = !bytes.is_empty() && bytes.len() <= CONTROL_BYTES_MAX as usize;
        if !fits || !self.can_send(slot) {
            return false;
        }
        // No send of this connection is outstanding, so the kernel reads its cell no more.
        self.cells.write(cell(slot), bytes);
        let start = self.cells.at(cell(slot)).cast_const();
        let token = self.token(TokenKind::SendPlain, NO_IMAGE, slot);
        let send = opcode::Send::new(Fixed(slot.into()), start, bytes.len() as u32);
        // The cell lives in `cells`, dropped after the ring, and stays as it is while `sending`.
        let pushed = self.push_for(slot, &send.flags(SEND_FLAGS).build().user_data(token));
        self.connections[usize::from(slot)].sending |= pushed;
        pushed
    }

    fn ask_unacknowledged(&mut self, slot: u16) -> bool {
        self.ask(slot)
    }

    fn close(&mut self, slot: u16) {
        let Some(connection) = self.connections.get_mut(usize::from(slot)) else {
            return;
        };
        if connection.socket.is_none() || connection.closing {
            return;
        }
        connection.closing = true;
        let installed = connection.installed;
        // A receive that is armed behind the cancellation would never end.
        self.to_ask.retain(|asked| *asked != slot);
        self.starving.retain(|starving| *starving != slot);
        if installed {
            let all = CancelBuilder::fd(Fixed(slot.into())).all();
            let token = self.token(TokenKind::Cancel, NO_IMAGE, slot);
            self.require_for(slot, opcode::AsyncCancel2::new(all).build().user_data(token));
        }
        self.maybe_remove(slot);
    }

    fn ring_cold(&mut self) {
        if self.cold_bell_queued {
            return;
        }
        let bell = types::Fd(self.cold_bell.as_raw_fd());
        let token = Token { kind: TokenKind::ColdBell, image: NO_IMAGE, slot: 0, serial: 0 };
        // The 8 bytes are constant and live in `cells`, dropped after the ring.
        let write = opcode::Write::new(bell, self.cells.at(cold_cell()).cast_const(), 8).build();
        self.cold_bell_queued = self.push(&write.user_data(token.pack()));
    }

    fn enter(&mut self, wait: Wait) {
        self.enter_kernel(wait);
    }

    fn next(&mut self) -> Option<Event> {
        if let Some(errno) = self.fault.take() {
            return Some(Event::Fault(errno));
        }
        loop {
            let entry = self.ring.completion().next();
            let Some(entry) = entry else {
                // Behind the ends of all sends that were counted in them.
                return self.answers.pop_front();
            };
            if let Some(event) = self.digest(&entry) {
                return Some(event);
            }
        }
    }

    fn octets(&self, buffer: u16, length: u32) -> &[u8] {
        self.buffers.octets(buffer, length)
    }

    fn recycle(&mut self, buffer: u16) {
        self.buffers.give_back(buffer);
    }

    fn can_zero_copy(&self) -> bool {
        self.zero_copy
    }

    fn held(&self, arena_slot: u8) -> u32 {
        self.held.get(usize::from(arena_slot)).copied().unwrap_or(0)
    }

    fn entries(&self) -> u64 {
        self.entries
    }

    fn starved(&self) -> u64 {
        self.starved
    }
}

impl std::fmt::Debug for Uring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uring").field("held", &self.held).finish_non_exhaustive()
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // The kernel must not write into receive buffers, or read the arena, once they are unmapped.
        let _ = self.ring.submit();
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
    }
}

/// Offset of a connection's cell in the region.
fn cell(slot: u16) -> usize {
    usize::from(slot) * CELL_BYTES
}

/// Offset of the 8 bytes that ring the cold side.
fn cold_cell() -> usize {
    PEERS_PER_SHARD_MAX as usize * CELL_BYTES
}
