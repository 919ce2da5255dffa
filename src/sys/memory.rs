//! The arena: fixed, locked, pre-faulted memory that holds a few images (`memfd_create(2)`).
//!
//! A slot is free, or has one [`SlotWriter`], or has any number of [`Lease`]s. The types make sure
//! that nobody writes where anybody reads; the kernel's own reads are covered by the leases that a
//! ring keeps for as long as a send is outstanding.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::limits::{ARENA_BYTES, IMAGE_SLOT_BYTES, IMAGE_SLOTS};

/// Mark of a slot that is being written.
const WRITING: u32 = u32::MAX;

/// What the kernel gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaFacts {
    /// Pages of 2 MiB were there for it.
    pub huge_pages: bool,
    /// It is locked in memory; else it may be swapped out (raise the memlock limit).
    pub locked: bool,
}

/// Shared, fixed memory for [`IMAGE_SLOTS`] images of at most [`IMAGE_SLOT_BYTES`].
#[derive(Debug)]
pub struct Arena {
    base: NonNull<u8>,
    facts: ArenaFacts,
    /// Per slot: 0 free, [`WRITING`], else the number of leases.
    users: [AtomicU32; IMAGE_SLOTS as usize],
}

// JUSTIFICATION: the pointer makes the type !Send and !Sync by default.
// SAFETY: `base` is a mapping that lives as long as the arena and belongs to no thread. All access
// to the memory behind it goes through SlotWriter (exclusive) and Lease (read only), whose hand-over
// is ordered by the atomics in `users`.
unsafe impl Send for Arena {}
// SAFETY: as for Send: `&Arena` gives no access to the memory, only to the atomics.
unsafe impl Sync for Arena {}

impl Arena {
    /// Maps, locks and touches the memory. Huge pages are taken where the host has reserved them,
    /// else asked for by advice.
    ///
    /// # Errors
    /// The kernel has no memory or no descriptor for us.
    pub fn new() -> io::Result<Arc<Self>> {
        let (base, huge_pages) = match map(libc::MFD_HUGETLB | libc::MFD_HUGE_2MB) {
            Ok(base) => (base, true),
            Err(_) => (map(0)?, false),
        };
        let (start, length) = (base.as_ptr().cast(), ARENA_BYTES as usize);
        if !huge_pages {
            // SAFETY: the range is exactly our own mapping; advice changes no contents.
            unsafe { libc::madvise(start, length, libc::MADV_HUGEPAGE) };
        }
        // SAFETY: the range is exactly our own mapping.
        let locked = unsafe { libc::mlock(start, length) } == 0;
        // Touched page by page: a fault in the moment of a block would cost more than the block.
        // SAFETY: the mapping is writable, ARENA_BYTES long, and nobody else has its address.
        unsafe { std::ptr::write_bytes(base.as_ptr(), 0, length) };
        let users = std::array::from_fn(|_| AtomicU32::new(0));
        Ok(Arc::new(Self { base, facts: ArenaFacts { huge_pages, locked }, users }))
    }

    /// What the kernel gave.
    #[must_use]
    pub fn facts(&self) -> ArenaFacts {
        self.facts
    }

    /// Takes a free slot for writing; `None` when all are in use.
    #[must_use]
    pub fn claim(self: &Arc<Self>) -> Option<SlotWriter> {
        let free = |users: &AtomicU32| {
            users.compare_exchange(0, WRITING, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        let slot = self.users.iter().position(free)?;
        Some(SlotWriter { arena: Arc::clone(self), slot: u8::try_from(slot).ok()? })
    }

    /// Slots that nobody writes or reads.
    #[must_use]
    pub fn free_slots(&self) -> usize {
        self.users.iter().filter(|users| users.load(Ordering::Relaxed) == 0).count()
    }

    /// Address and length of the whole mapping, for registration with a ring.
    pub(crate) fn whole(&self) -> (*mut u8, usize) {
        (self.base.as_ptr(), ARENA_BYTES as usize)
    }

    fn slot_start(&self, slot: u8) -> *mut u8 {
        debug_assert!(u32::from(slot) < IMAGE_SLOTS);
        let offset = usize::from(slot) * IMAGE_SLOT_BYTES as usize;
        // SAFETY: slots are made by `claim` only, so `slot` < IMAGE_SLOTS and the result lies
        // inside the mapping of IMAGE_SLOTS * IMAGE_SLOT_BYTES.
        unsafe { self.base.as_ptr().add(offset) }
    }

    fn users(&self, slot: u8) -> &AtomicU32 {
        &self.users[usize::from(slot)]
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let (start, length) = self.whole();
        // SAFETY: our own mapping, unmapped once; leases and writers hold an Arc, so none is left.
        unsafe { libc::munmap(start.cast(), length) };
    }
}

/// Makes and maps the memory file; the mapping keeps it alive.
fn map(flags: libc::c_uint) -> io::Result<NonNull<u8>> {
    let name = c"broadside-arena";
    // SAFETY: the name is a valid C string for the call; flags are documented ones.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us.
    let memory = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: a plain call on our own descriptor.
    if unsafe { libc::ftruncate(memory.as_raw_fd(), i64::from(ARENA_BYTES)) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            ARENA_BYTES as usize,
            protection,
            flags,
            memory.as_raw_fd(),
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at zero"))
}

/// The only way to write into a slot. Dropped without [`SlotWriter::publish`], the slot is free.
#[derive(Debug)]
pub struct SlotWriter {
    arena: Arc<Arena>,
    slot: u8,
}

impl SlotWriter {
    /// The slot's number.
    #[must_use]
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// All of the slot, [`IMAGE_SLOT_BYTES`] long. What an earlier image left in it is still there.
    pub fn octets_mut(&mut self) -> &mut [u8] {
        let start = self.arena.slot_start(self.slot);
        // SAFETY: in bounds as `slot_start` argues; `claim` gave this slot to this writer alone, no
        // lease exists while it is WRITING, and `&mut self` excludes a second slice.
        unsafe { std::slice::from_raw_parts_mut(start, IMAGE_SLOT_BYTES as usize) }
    }

    /// All of the slot, to read.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        let start = self.arena.slot_start(self.slot);
        // SAFETY: as for `octets_mut`; `&self` excludes a writing slice.
        unsafe { std::slice::from_raw_parts(start, IMAGE_SLOT_BYTES as usize) }
    }

    /// Ends writing for good: from here on the slot is read only.
    #[must_use]
    pub fn publish(self) -> Lease {
        // Release: a shard that gets a lease sees all that was written.
        self.arena.users(self.slot).store(1, Ordering::Release);
        Lease { arena: Arc::clone(&self.arena), slot: self.slot }
    }
}

impl Drop for SlotWriter {
    fn drop(&mut self) {
        // Where it was published, leases hold it now.
        let users = self.arena.users(self.slot);
        let _ = users.compare_exchange(WRITING, 0, Ordering::Release, Ordering::Relaxed);
    }
}

/// The right to read a published slot, and the promise that it does not change meanwhile.
#[derive(Debug)]
pub struct Lease {
    arena: Arc<Arena>,
    slot: u8,
}

impl Lease {
    /// The slot's number.
    #[must_use]
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// All of the slot.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        let start = self.arena.slot_start(self.slot);
        // SAFETY: in bounds as `slot_start` argues; while a lease exists `users` is neither 0 nor
        // WRITING, so `claim` can't hand the slot to a writer.
        unsafe { std::slice::from_raw_parts(start, IMAGE_SLOT_BYTES as usize) }
    }
}

impl Clone for Lease {
    fn clone(&self) -> Self {
        // Relaxed: a lease is only ever made from a lease, which already sees the contents.
        self.arena.users(self.slot).fetch_add(1, Ordering::Relaxed);
        Self { arena: Arc::clone(&self.arena), slot: self.slot }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Release: our reads come before the next writer's writes (`claim` acquires).
        self.arena.users(self.slot).fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::Arena;
    use crate::limits::IMAGE_SLOTS;

    #[test]
    fn a_slot_is_free_again_after_its_last_lease() {
        let arena = Arena::new().unwrap();
        let mut writer = arena.claim().unwrap();
        writer.octets_mut()[..5].copy_from_slice(b"block");
        let slot = writer.slot();
        let lease = writer.publish();
        let second = lease.clone();
        drop(lease);
        assert_eq!(&second.octets()[..5], b"block");
        assert_eq!(arena.free_slots(), IMAGE_SLOTS as usize - 1);
        drop(second);
        assert_eq!(arena.free_slots(), IMAGE_SLOTS as usize);
        assert_eq!(arena.claim().unwrap().slot(), slot);
        assert_eq!(std::sync::Arc::strong_count(&arena), 1, "nothing keeps the memory mapped");
    }

    #[test]
    fn a_dropped_writer_frees_its_slot_and_all_slots_are_distinct() {
        let arena = Arena::new().unwrap();
        let writers: Vec<_> = std::iter::from_fn(|| arena.claim()).collect();
        let mut slots: Vec<_> = writers.iter().map(super::SlotWriter::slot).collect();
        slots.dedup();
        assert_eq!(slots.len(), IMAGE_SLOTS as usize);
        assert!(arena.claim().is_none());
        drop(writers);
        assert_eq!(arena.free_slots(), IMAGE_SLOTS as usize);
    }

    #[test]
    fn no_reader_ever_sees_a_writer() {
        let arena = Arena::new().unwrap();
        std::thread::scope(|scope| {
            for seed in 1..=4u8 {
                let arena = &arena;
                scope.spawn(move || {
                    for round in 0..2_000u32 {
                        let Some(mut writer) = arena.claim() else {
                            continue;
                        };
                        let fill = seed.wrapping_mul(round as u8);
                        writer.octets_mut()[..256].fill(fill);
                        let lease = writer.publish();
                        let copy = lease.clone();
                        drop(lease);
                        assert!(copy.octets()[..256].iter().all(|octet| *octet == fill));
                    }
                });
            }
        });
        assert_eq!(arena.free_slots(), IMAGE_SLOTS as usize);
    }
}
