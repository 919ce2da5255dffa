//! Copying sends of the same bytes to many sockets by one io_uring: what a bench compares a
//! shard's ring with.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::types::{Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};

use crate::limits::SUBMISSIONS_MAX;

/// How long the sends of sockets that were shut down are waited for.
const GRACE: Duration = Duration::from_secs(1);

/// A ring with its sockets registered. Made and used on one thread alone.
pub struct Sends {
    ring: IoUring,
    sockets: Arc<[TcpStream]>,
}

impl Sends {
    /// Sets up the ring of the calling thread and registers `sockets` with it.
    ///
    /// # Errors
    /// The kernel refuses io_uring, or more sockets than files may be open.
    pub fn new(sockets: Arc<[TcpStream]>) -> io::Result<Self> {
        let entries = u32::try_from(sockets.len()).unwrap_or(u32::MAX).clamp(8, SUBMISSIONS_MAX);
        let entries = entries.next_power_of_two();
        let ring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(4 * SUBMISSIONS_MAX)
            .build(entries)?;
        let files: Vec<RawFd> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
        if !files.is_empty() {
            ring.submitter().register_files(&files)?;
        }
        Ok(Self { ring, sockets })
    }

    /// Sends all of `bytes` to each of the sockets in `to` (by index, at most once each), in that
    /// order, and waits until the kernel has taken them. A socket that does not take them within
    /// `deadline` is shut down. The indexes of those that did not get everything.
    pub fn send_all(&mut self, bytes: &Arc<[u8]>, to: &[usize], deadline: Duration) -> Vec<usize> {
        // In case that completions can't be had: then nobody ever frees what the kernel reads.
        let held = Held(Some(Arc::clone(bytes)));
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let (mut open, mut failed) = (vec![false; self.sockets.len()], Vec::new());
        let mut left = 0_usize;
        for index in to.iter().copied().filter(|index| *index < self.sockets.len()) {
            let send = opcode::Send::new(Fixed(index as u32), bytes.as_ptr(), length)
                .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
                .build()
                .user_data(index as u64);
            // JUSTIFICATION: the kernel reads the bytes after this call, which no borrow can say.
            // SAFETY: pointer and length are those of `bytes`, which nobody can write to (it is
            // shared) and which `held` keeps alive until every completion has been read below, or
            // for ever where that can't be.
            if unsafe { self.ring.submission().push(&send) }.is_err() {
                let _ = self.ring.submit();
                // SAFETY: as above; the same entry.
                if unsafe { self.ring.submission().push(&send) }.is_err() {
                    failed.push(index);
                    continue;
                }
            }
            open[index] = true;
            left += 1;
        }
        let (mut end, mut late) = (Instant::now() + deadline, false);
        while left > 0 {
            let wait = Timespec::from(end.saturating_duration_since(Instant::now()));
            // For one: asked to wait for more, the kernel leaves sockets that can take bytes again
            // alone until there are so many of them. Interrupted, out of time, or short of memory:
            // in each case what is there is taken.
            let _ = self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&wait));
            for completion in self.ring.completion() {
                let index = completion.user_data() as usize;
                // One of an earlier call, whose socket was given up then, is of no interest.
                if !open.get_mut(index).is_some_and(std::mem::take) {
                    continue;
                }
                left -= 1;
                if completion.result() != i32::try_from(length).unwrap_or(i32::MAX) {
                    failed.push(index);
                }
            }
            if left > 0 && Instant::now() >= end {
                let open = (0..open.len()).filter(|index| open[*index]);
                if late {
                    failed.extend(open);
                    return failed;
                }
                open.for_each(|index| drop(self.sockets[index].shutdown(Shutdown::Both)));
                (end, late) = (Instant::now() + GRACE, true);
            }
        }
        held.give_back();
        failed
    }
}

/// Bytes that the kernel may still read: leaked unless it is said that it does not.
struct Held(Option<Arc<[u8]>>);

impl Held {
    fn give_back(mut self) {
        self.0 = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        std::mem::forget(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn each_socket_gets_everything_or_is_named() {
        let pairs = [pair(), pair(), pair()];
        let (near, far): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let Ok(mut sends) = Sends::new(near.into()) else {
            eprintln!("NOT TESTED: the kernel refuses io_uring");
            return;
        };
        let mut far = far.into_iter();
        // The last one never reads: more than the buffers of both ends take is not taken.
        let stalled = far.by_ref().next_back();
        let readers: Vec<_> = far
            .map(|mut far| {
                thread::spawn(move || {
                    let mut got = Vec::new();
                    far.read_to_end(&mut got).unwrap();
                    got
                })
            })
            .collect();
        let bytes: Arc<[u8]> = (0..20_000_000_u32).map(|at| (at / 7) as u8).collect();
        let failed = sends.send_all(&bytes, &[1, 0, 2, 9], Duration::from_millis(2_000));
        assert_eq!(failed, [2]);
        assert_eq!(Arc::strong_count(&bytes), 1);
        drop(sends);
        drop(stalled);
        for reader in readers {
            assert!(reader.join().unwrap() == *bytes);
        }
    }
}
