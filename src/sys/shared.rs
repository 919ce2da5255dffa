//! Memory that another process writes while we read it (`memfd_create(2)`, sealed).
//!
//! Nothing here ever makes a reference to plain bytes of it: every access is an atomic one, and what
//! is to be looked at is copied out first. The other process may be hostile.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The size can never change again, on either side: no access can miss its page.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);
/// Bytes that are copied at once.
const WORD: usize = size_of::<u64>();

/// A mapping of sealed memory that is shared with another process. Numbers in it are little-endian.
#[derive(Debug)]
pub struct SharedMemory {
    base: NonNull<u8>,
    length: usize,
}

// JUSTIFICATION: the pointer makes the type !Send and !Sync by default.
// SAFETY: the mapping lives as long as the value and belongs to no thread; every access to the
// memory behind it is atomic.
unsafe impl Send for SharedMemory {}
// SAFETY: as for Send: `&SharedMemory` gives atomic access only.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// Makes `bytes` of zeroed memory whose size is sealed; the descriptor is for the other process.
    /// No page is taken before somebody touches it.
    ///
    /// # Errors
    /// The kernel has no memory or no descriptor for us.
    pub fn create(bytes: usize) -> io::Result<(Self, OwnedFd)> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = memfd_create(c"broadside-shared", flags)?;
        ftruncate(&memory, bytes as u64)?;
        fcntl_add_seals(&memory, SEALS)?;
        Ok((Self::map(&memory, bytes)?, memory))
    }

    /// Maps the `bytes` of memory that another process made.
    ///
    /// # Errors
    /// `InvalidData`: it is no sealed memory of that size. Else the kernel has no room.
    pub fn map(memory: &impl AsFd, bytes: usize) -> io::Result<Self> {
        let sealed = fcntl_get_seals(memory).is_ok_and(|seals| seals.contains(SEALS));
        let found = fstat(memory)?.st_size;
        if !sealed || usize::try_from(found) != Ok(bytes) || bytes == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // JUSTIFICATION: no safe interface can promise that nobody else changes the memory.
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours; that
        // others write to it is what every access below reckons with.
        let mapped =
            unsafe { mmap(ptr::null_mut(), bytes, protection, MapFlags::SHARED, memory, 0) };
        let base = NonNull::new(mapped?.cast());
        let base = base.ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Self { base, length: bytes })
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// The number at the offset `at`.
    ///
    /// # Panics
    /// It is not aligned or beyond the end: offsets are constants of ours.
    #[must_use]
    pub fn load_u32(&self, at: usize, order: Ordering) -> u32 {
        u32::from_le(self.u32(at).load(order))
    }

    /// As [`Self::load_u32`].
    ///
    /// # Panics
    /// As [`Self::load_u32`].
    #[must_use]
    pub fn load_u64(&self, at: usize, order: Ordering) -> u64 {
        u64::from_le(self.u64(at).load(order))
    }

    /// Sets the number at the offset `at`.
    ///
    /// # Panics
    /// As [`Self::load_u32`].
    pub fn store_u32(&self, at: usize, value: u32, order: Ordering) {
        self.u32(at).store(value.to_le(), order);
    }

    /// As [`Self::store_u32`].
    ///
    /// # Panics
    /// As [`Self::load_u32`].
    pub fn store_u64(&self, at: usize, value: u64, order: Ordering) {
        self.u64(at).store(value.to_le(), order);
    }

    /// Copies what stands from the offset `at` on to `into`. Bytes that the other process changes
    /// meanwhile come as they were or as they are.
    ///
    /// # Panics
    /// It goes beyond the end.
    pub fn copy_out(&self, at: usize, into: &mut [u8]) {
        let front = into.len().min(at.next_multiple_of(WORD) - at);
        let (head, rest) = into.split_at_mut(front);
        let mut from = at;
        for byte in head {
            *byte = self.u8(from).load(Ordering::Relaxed);
            from += 1;
        }
        let (words, tail) = rest.as_chunks_mut::<WORD>();
        let shared = self.words(from, words.len());
        for (word, shared) in words.iter_mut().zip(shared) {
            *word = shared.load(Ordering::Relaxed).to_ne_bytes();
        }
        from += words.len() * WORD;
        for byte in tail {
            *byte = self.u8(from).load(Ordering::Relaxed);
            from += 1;
        }
    }

    /// Copies `from` to the offset `at`.
    ///
    /// # Panics
    /// It goes beyond the end.
    pub fn copy_in(&self, at: usize, from: &[u8]) {
        let (head, rest) = from.split_at(from.len().min(at.next_multiple_of(WORD) - at));
        let mut to = at;
        for byte in head {
            self.u8(to).store(*byte, Ordering::Relaxed);
            to += 1;
        }
        let (words, tail) = rest.as_chunks::<WORD>();
        for (word, shared) in words.iter().zip(self.words(to, words.len())) {
            shared.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
        to += words.len() * WORD;
        for byte in tail {
            self.u8(to).store(*byte, Ordering::Relaxed);
            to += 1;
        }
    }

    /// The address of `bytes` from `at` on, for an atomic of that alignment.
    fn place(&self, at: usize, bytes: usize, alignment: usize) -> *mut u8 {
        assert!(at.is_multiple_of(alignment), "offset {at} is not aligned to {alignment}");
        let end = at.checked_add(bytes);
        assert!(end.is_some_and(|end| end <= self.length), "offset {at} is beyond the end");
        // SAFETY: `at` lies within the mapping, as was asserted just now.
        unsafe { self.base.as_ptr().add(at) }
    }

    fn u8(&self, at: usize) -> &AtomicU8 {
        let place = self.place(at, 1, 1);
        // SAFETY: in bounds by `place`; the mapping outlives `&self`, its size is sealed, so the
        // page is there; our process has atomic accesses to it only, and the other process is
        // outside the language: what it writes at the same time makes an atomic load return the
        // old or the new value, never something undefined.
        unsafe { AtomicU8::from_ptr(place) }
    }

    fn u32(&self, at: usize) -> &AtomicU32 {
        let place = self.place(at, size_of::<u32>(), align_of::<AtomicU32>()).cast();
        // SAFETY: as for `u8`; aligned, as the mapping begins on a page and `place` checks the rest.
        unsafe { AtomicU32::from_ptr(place) }
    }

    fn u64(&self, at: usize) -> &AtomicU64 {
        let place = self.place(at, size_of::<u64>(), align_of::<AtomicU64>()).cast();
        // SAFETY: as for `u32`.
        unsafe { AtomicU64::from_ptr(place) }
    }

    /// `count` words from `at` on.
    fn words(&self, at: usize, count: usize) -> &[AtomicU64] {
        if count == 0 {
            return &[];
        }
        let first = self.place(at, count * WORD, align_of::<AtomicU64>());
        // SAFETY: in bounds and aligned by `place`; a slice of atomics promises nothing about their
        // values, and all else is as for `u8`. A word is only read here after the writer has said
        // that all its bytes are there, so an honest writer's smaller stores never race with it; a
        // hostile writer's do, in hardware, which then gives some mixture of bytes.
        unsafe { std::slice::from_raw_parts(first.cast(), count) }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: our own mapping, unmapped once; no reference outlives `self`.
        let _gone = unsafe { munmap(self.base.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_mappings_show_the_same_at_every_alignment() {
        let (ours, memory) = SharedMemory::create(8_192).unwrap();
        let theirs = SharedMemory::map(&memory, 8_192).unwrap();
        let bytes: Vec<u8> = (0..100).collect();
        for at in 0..16 {
            for length in [0, 1, 7, 8, 9, 31, 100] {
                theirs.copy_in(at, &bytes[..length]);
                let mut copied = vec![0xff; length];
                ours.copy_out(at, &mut copied);
                assert_eq!(copied, bytes[..length], "{length} bytes at {at}");
            }
        }
        theirs.store_u32(4_100, 0x0102_0304, Ordering::Release);
        assert_eq!(ours.load_u32(4_100, Ordering::Acquire), 0x0102_0304);
        let mut number = [0; 4];
        ours.copy_out(4_100, &mut number);
        assert_eq!(number, [4, 3, 2, 1]);
        theirs.store_u64(4_104, u64::MAX - 1, Ordering::Release);
        assert_eq!(ours.load_u64(4_104, Ordering::Acquire), u64::MAX - 1);
    }

    #[test]
    fn the_size_is_sealed_and_checked() {
        let (_ours, memory) = SharedMemory::create(4_096).unwrap();
        assert!(ftruncate(&memory, 0).is_err() && ftruncate(&memory, 8_192).is_err());
        assert!(fcntl_add_seals(&memory, SealFlags::WRITE).is_err());
        assert!(SharedMemory::map(&memory, 8_192).is_err(), "another size");
        let open = memfd_create(c"open", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&open, 4_096).unwrap();
        assert!(SharedMemory::map(&open, 4_096).is_err(), "not sealed");
    }

    #[test]
    #[should_panic(expected = "beyond the end")]
    fn nothing_is_beyond_the_end() {
        let (ours, _memory) = SharedMemory::create(4_096).unwrap();
        ours.copy_out(4_090, &mut [0; 8]);
    }
}
