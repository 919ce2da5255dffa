//! Anonymous memory at a fixed address, for what the kernel reads or writes on its own time.

use std::io;
use std::ptr::NonNull;

/// Zeroed, page-aligned, private memory (`mmap(2)`).
#[derive(Debug)]
pub(super) struct Region {
    base: NonNull<u8>,
    length: usize,
}

impl Region {
    /// Maps `length` bytes.
    pub(super) fn new(length: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        // JUSTIFICATION: the kernel is told raw addresses, so the memory must be page-aligned and stay
        // where it is, outside of the borrow checker's sight.
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Self { base, length })
    }

    /// Address of byte `offset`.
    pub(super) fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.length, "inside the region");
        // SAFETY: the offset was checked to lie inside the mapping.
        unsafe { self.base.as_ptr().add(offset) }
    }

    /// Copies `bytes` to `offset`. The caller makes sure that the kernel reads there no more.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.length, "inside the region");
        // SAFETY: both ranges are valid for their length (asserted above) and can't overlap, since
        // nobody else is given a slice of the region while it is borrowed mutably.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at(offset), bytes.len()) };
    }

    /// The bytes from `offset` on. The caller makes sure that the kernel writes there no more.
    pub(super) fn read(&self, offset: usize, length: usize) -> &[u8] {
        assert!(offset + length <= self.length, "inside the region");
        // SAFETY: the offset was asserted to lie inside the mapping.
        let start = unsafe { self.base.as_ptr().add(offset) };
        // SAFETY: in bounds (asserted above), initialised (zeroed by the kernel), and borrowed from
        // `self`, so no write through the region can happen meanwhile.
        unsafe { std::slice::from_raw_parts(start, length) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: our own mapping, unmapped once.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}
