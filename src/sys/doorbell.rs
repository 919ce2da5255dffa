//! An eventfd that wakes the other side of a queue (`eventfd(2)`).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Rung by one side, waited for by the other. Any number of rings before the other side looks are
/// one.
#[derive(Debug)]
pub struct Doorbell(File);

impl Doorbell {
    /// A new, silent doorbell, non-blocking.
    ///
    /// # Errors
    /// The limit of open files is reached.
    pub fn new() -> io::Result<Self> {
        // JUSTIFICATION: std has no eventfd.
        // SAFETY: the call takes no pointers; its result is checked before it is used.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just returned this descriptor to us, so nobody else owns it.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self(File::from(owned)))
    }

    /// Wakes the other side. Never blocks: a counter that is full is as good as rung.
    pub fn ring(&self) {
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Takes all rings so far; whether there were any.
    pub fn answer(&self) -> bool {
        let mut count = [0; 8];
        matches!((&self.0).read(&mut count), Ok(8))
    }
}

impl From<OwnedFd> for Doorbell {
    /// A doorbell that another process made, non-blocking, and handed to us.
    fn from(descriptor: OwnedFd) -> Self {
        Self(File::from(descriptor))
    }
}

impl AsRawFd for Doorbell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A doorbell as a tokio task waits for it.
#[derive(Debug)]
pub struct Listener(AsyncFd<Shared>);

#[derive(Debug)]
struct Shared(Arc<Doorbell>);

impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Listener {
    /// Registers `bell` with the runtime that this is called in.
    ///
    /// # Errors
    /// The kernel takes no more descriptors into the runtime's epoll.
    pub fn new(bell: Arc<Doorbell>) -> io::Result<Self> {
        // JUSTIFICATION: tokio asks for a promise about the descriptor that no type can make.
        // SAFETY: the shared doorbell keeps one eventfd open for as long as the registration lives,
        // and always answers with that descriptor.
        let registered =
            unsafe { AsyncFd::register_with_interest(Shared(bell), Interest::READABLE) };
        registered.map(Self).map_err(io::Error::from)
    }

    /// Waits until it was rung since the last time, and takes the rings: look at the queues
    /// afterwards, and nothing is missed.
    ///
    /// # Errors
    /// The runtime is shutting down.
    pub async fn rung(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let answered = ready.get_inner().0.answer();
            if answered {
                return Ok(());
            }
            ready.clear_ready();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Doorbell, Listener};

    #[tokio::test]
    async fn a_task_is_woken_once_per_answer() {
        let bell = std::sync::Arc::new(Doorbell::new().unwrap());
        let listener = Listener::new(std::sync::Arc::clone(&bell)).unwrap();
        for _ in 0..3 {
            let ringer = std::sync::Arc::clone(&bell);
            std::thread::spawn(move || ringer.ring());
            listener.rung().await.unwrap();
            assert!(!bell.answer());
        }
    }

    #[test]
    fn many_rings_are_one_answer() {
        let bell = Doorbell::new().unwrap();
        assert!(!bell.answer());
        bell.ring();
        bell.ring();
        assert!(bell.answer());
        assert!(!bell.answer());
    }
}
