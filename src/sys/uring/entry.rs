//! One entry into the kernel: how much is asked for, and what can be wrong with it.

use std::io;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};

use super::Uring;
use crate::limits::{RING_FAULT_PAUSE_MS, WORK_PIECES, WORK_PIECES_MANY};
use crate::sys::ring::Wait;

impl Uring {
    /// Keeps what went wrong with an entry; whether the kernel serves this ring no longer. That time
    /// is up, a signal came, or completions must be read first is nothing wrong.
    pub(super) fn note_fault(&mut self, error: &io::Error) -> bool {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        if matches!(errno, libc::ETIME | libc::EINTR | libc::EBUSY) {
            return false;
        }
        self.fault = Some(errno);
        // Out of memory for a moment, or completions lost by it: worth counting, no more.
        !matches!(errno, libc::EAGAIN | libc::ENOMEM | libc::EBADR)
    }

    /// Enters the kernel as told. Work that has piled up is asked for in one go, but only then: an
    /// entry that is to bring more than there is costs a timer.
    pub(super) fn enter_for(&mut self, wait: Wait, work: bool, ready: bool) -> io::Result<usize> {
        let (want, wait_ns) = match wait {
            _ if work && self.piled_up => (WORK_PIECES_MANY as usize, 0),
            Wait::UpTo(wait_ns) if !ready => (1, wait_ns),
            _ => return self.ring.submit(),
        };
        let timeout = Timespec::from(Duration::from_nanos(wait_ns));
        self.ring.submitter().submit_with_args(want, &SubmitArgs::new().timespec(&timeout))
    }

    /// As [`crate::sys::ring::Ring::enter`].
    pub(super) fn enter_kernel(&mut self, wait: Wait) {
        self.push_late();
        for at in 0..self.starving.len() {
            self.arm_receive(self.starving[at]);
        }
        self.starving.clear();
        self.cold_bell_queued = false;
        let (idle, work) = {
            let queue = self.ring.submission();
            (queue.is_empty(), queue.taskrun() || queue.cq_overflow())
        };
        if wait == Wait::No && idle && !work {
            return;
        }
        let before = self.ring.completion().len();
        let outcome = self.enter_for(wait, work, before > 0);
        self.entries += 1;
        self.ask_plainly();
        self.piled_up = self.ring.completion().len() >= before + WORK_PIECES as usize;
        if let Err(error) = outcome
            && self.note_fault(&error)
        {
            // Such an entry returns at once: without a pause the shard would burn its core.
            std::thread::sleep(Duration::from_millis(RING_FAULT_PAUSE_MS));
        }
    }
}
