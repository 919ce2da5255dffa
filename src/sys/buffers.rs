//! Provided receive buffers: memory that the kernel fills as bytes arrive, for all connections of
//! a ring together (`io_uring_register(2)`, IORING_REGISTER_PBUF_RING).

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::region::Region;
use crate::limits::{RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS};

/// The only buffer group of a ring.
pub(super) const GROUP: u16 = 0;

/// A ring of buffers that we fill with addresses and the kernel empties.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Must outlive its registration: the ring that it is registered with is dropped before it.
    ring: Region,
    memory: Region,
    tail: u16,
    /// Buffers that the kernel has handed to us and that we have not given back.
    ours: Box<[bool]>,
}

impl Buffers {
    /// Maps the memory and offers all of it to the kernel.
    pub(super) fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        let ring = Region::new(RECEIVE_BUFFERS as usize * size_of::<BufRingEntry>())?;
        let memory = Region::new((RECEIVE_BUFFERS * RECEIVE_BUFFER_BYTES) as usize)?;
        let ours = vec![false; RECEIVE_BUFFERS as usize].into();
        let mut buffers = Self { ring, memory, tail: 0, ours };
        for buffer in 0..RECEIVE_BUFFERS as u16 {
            buffers.offer(buffer);
        }
        let address = buffers.ring.at(0) as u64;
        // SAFETY: the address is page-aligned memory of RECEIVE_BUFFERS entries, kept in `ring` until
        // after the io_uring is gone (field order in `Uring`).
        unsafe {
            submitter.register_buf_ring_with_flags(address, RECEIVE_BUFFERS as u16, GROUP, 0)?;
        }
        Ok(buffers)
    }

    /// Notes that the kernel has handed us `buffer`, as a completion says.
    pub(super) fn take(&mut self, buffer: u16) {
        self.ours[usize::from(buffer)] = true;
    }

    /// Gives `buffer` back to the kernel, unless it has it already.
    pub(super) fn give_back(&mut self, buffer: u16) {
        if self.ours.get(usize::from(buffer)) == Some(&true) {
            self.ours[usize::from(buffer)] = false;
            self.offer(buffer);
        }
    }

    /// Gives `buffer`, which the kernel does not have, to it.
    fn offer(&mut self, buffer: u16) {
        assert!(u32::from(buffer) < RECEIVE_BUFFERS);
        let index = usize::from(self.tail) & (RECEIVE_BUFFERS as usize - 1);
        let entry = self.ring.at(index * size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        let address = self.memory.at(usize::from(buffer) * RECEIVE_BUFFER_BYTES as usize) as u64;
        // SAFETY: `entry` is aligned and inside the region; the kernel reads entries before the tail
        // only, and this one is at the tail, so it is ours. The setters leave the tail's own bytes
        // (the reserved field of entry 0) alone.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(RECEIVE_BUFFER_BYTES);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        let base = self.ring.at(0).cast::<BufRingEntry>().cast_const();
        // SAFETY: the base is the ring's first entry, in live, zero-initialised memory.
        let tail = unsafe { BufRingEntry::tail(base) };
        // JUSTIFICATION: the kernel reads the tail concurrently, so the store must be atomic.
        // SAFETY: the pointer is aligned for u16, lives as long as the region, and every access of
        // ours to these two bytes is this one.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: the kernel must see the entry before it sees the tail behind it.
        tail.store(self.tail, Ordering::Release);
    }

    /// What the kernel wrote into `buffer`; nothing while the kernel has it and may be writing.
    pub(super) fn octets(&self, buffer: u16, length: u32) -> &[u8] {
        if self.ours.get(usize::from(buffer)) != Some(&true) {
            return &[];
        }
        assert!(length <= RECEIVE_BUFFER_BYTES);
        self.memory.read(usize::from(buffer) * RECEIVE_BUFFER_BYTES as usize, length as usize)
    }
}
