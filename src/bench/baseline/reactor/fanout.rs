//! A block's way from one thread to all peers, in the four manners.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::greet::Pongs;
use super::{AT_ONCE, Manner, Shared};
use crate::limits::SEND_DEADLINE_MS;
use crate::sys::pacing::unsent_bytes;
use crate::sys::sends::Sends;
use crate::wire::chain::Chain;

/// Bytes of pongs that may wait for a peer that asks and does not read.
const PONGS_BYTES_MAX: usize = 64 * 1024;

/// Whether a block is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Done,
    /// [`Fanout::next_done`] will name its caller.
    UnderWay,
}

struct Peer {
    pongs: Pongs,
    live: bool,
    /// Bytes of the block under way that the kernel has; all of them while there is none.
    sent: usize,
    /// Whether the socket may take bytes.
    writable: bool,
    /// Pongs that wait for the block's end or for room.
    waiting: Vec<u8>,
}

struct Job {
    caller: usize,
    message: Vec<u8>,
    /// Peers that do not have all of it.
    left: usize,
    end: Instant,
}

pub(super) struct Fanout {
    manner: Manner,
    ring: Option<Sends>,
    shared: Arc<Shared>,
    peers: Vec<Peer>,
    /// The first is under way.
    jobs: VecDeque<Job>,
    done: VecDeque<usize>,
    /// Peers before this one may be given bytes of the block under way.
    admitted: usize,
    /// Those of them that do not have all of it on the line.
    open: Vec<usize>,
}

impl Fanout {
    pub(super) fn new(manner: Manner, chain: &Chain, shared: &Arc<Shared>) -> io::Result<Self> {
        let refused = |error: io::Error| {
            let how = "allow it (sysctl kernel.io_uring_disabled=0, or the container's seccomp \
                       profile), or run Linux 6.1 or newer";
            io::Error::new(error.kind(), format!("the kernel refuses io_uring ({error}): {how}"))
        };
        let ring = match manner {
            Manner::Ring => Some(Sends::new(Arc::clone(&shared.peers)).map_err(refused)?),
            _ => None,
        };
        let peer = || Peer {
            pongs: Pongs::new(chain),
            live: true,
            sent: 0,
            writable: true,
            waiting: Vec::new(),
        };
        let peers = shared.peers.iter().map(|_| peer()).collect();
        let (jobs, done) = (VecDeque::new(), VecDeque::new());
        let shared = Arc::clone(shared);
        Ok(Self { manner, ring, shared, peers, jobs, done, admitted: 0, open: Vec::new() })
    }

    pub(super) fn is_live(&self, peer: usize) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.live)
    }

    /// How long the loop may sleep; `None` is for ever.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.jobs.front().map(|job| job.end.saturating_duration_since(Instant::now()))
    }

    /// The caller of a block that is out.
    pub(super) fn next_done(&mut self) -> Option<usize> {
        self.done.pop_front()
    }

    /// Sends `message`, handed in by `caller`, to all peers.
    pub(super) fn send(&mut self, caller: usize, message: Vec<u8>) -> Progress {
        let live: Vec<_> = (0..self.peers.len()).filter(|peer| self.is_live(*peer)).collect();
        match self.manner {
            Manner::InTurn => {
                for peer in live {
                    let stream = self.shared.peers.get(peer);
                    if stream.is_none_or(|mut stream| stream.write_all(&message).is_err()) {
                        self.lose(peer);
                    }
                }
                Progress::Done
            }
            Manner::Ring => {
                let deadline = Duration::from_millis(SEND_DEADLINE_MS);
                let message: Arc<[u8]> = message.into();
                let failed =
                    self.ring.as_mut().map(|ring| ring.send_all(&message, &live, deadline));
                failed.unwrap_or_default().into_iter().for_each(|peer| self.lose(peer));
                Progress::Done
            }
            Manner::RoundRobin | Manner::Window { .. } => {
                let end = Instant::now() + Duration::from_millis(SEND_DEADLINE_MS);
                self.jobs.push_back(Job { caller, message, left: 0, end });
                if self.jobs.len() == 1 {
                    self.begin();
                }
                Progress::UnderWay
            }
        }
    }

    /// Begins the first job, and the next ones behind it as long as each is done at once.
    fn begin(&mut self) {
        while let Some(job) = self.jobs.front_mut() {
            job.left = self.peers.iter().filter(|peer| peer.live).count();
            job.end = Instant::now() + Duration::from_millis(SEND_DEADLINE_MS);
            self.peers.iter_mut().for_each(|peer| peer.sent = 0);
            self.open.clear();
            self.admitted = match self.manner {
                Manner::Window { .. } => 0,
                _ => self.peers.len(),
            };
            for peer in 0..self.admitted {
                self.go_on(peer);
            }
            self.admit();
            if !self.finish() {
                return;
            }
        }
    }

    /// Has the next peers served in place of those that are through, where their number is limited;
    /// whether it has to be asked again soon.
    pub(super) fn look(&mut self) -> bool {
        let limited = self.admit();
        if limited {
            self.settle();
        }
        limited && !self.jobs.is_empty()
    }

    fn admit(&mut self) -> bool {
        let Some(length) = self.jobs.front().map(|job| job.message.len()) else { return false };
        if !matches!(self.manner, Manner::Window { .. }) {
            return false;
        }
        let (peers, streams) = (&self.peers, &self.shared.peers);
        self.open.retain(|at| {
            let unsent = |stream| unsent_bytes(stream).is_ok_and(|bytes| bytes > 0);
            let is_through = |peer: &Peer| peer.sent >= length;
            peers.get(*at).is_some_and(|peer| {
                peer.live && (!is_through(peer) || streams.get(*at).is_some_and(unsent))
            })
        });
        while self.open.len() < AT_ONCE && self.admitted < self.peers.len() {
            let at = self.admitted;
            self.admitted += 1;
            if self.is_live(at) {
                self.go_on(at);
                self.open.push(at);
            }
        }
        true
    }

    /// Takes the first job off if it is done.
    fn finish(&mut self) -> bool {
        let Some(job) = self.jobs.front().filter(|job| job.left == 0) else {
            return false;
        };
        self.done.push_back(job.caller);
        self.jobs.pop_front();
        true
    }

    /// Gives the peer as much as its socket takes.
    fn go_on(&mut self, at: usize) {
        let (Some(peer), Some(mut stream)) = (self.peers.get_mut(at), self.shared.peers.get(at))
        else {
            return;
        };
        if !peer.live {
            return;
        }
        let mut none = Job { caller: 0, message: Vec::new(), left: 0, end: Instant::now() };
        let job = self.jobs.front_mut().unwrap_or(&mut none);
        while peer.writable {
            let of_block = peer.sent < job.message.len();
            if of_block && at >= self.admitted {
                return;
            }
            let rest = match of_block {
                true => job.message.get(peer.sent..).unwrap_or_default(),
                false => peer.waiting.as_slice(),
            };
            if rest.is_empty() {
                return;
            }
            match stream.write(rest) {
                Ok(count) if of_block => {
                    peer.sent += count;
                    job.left -= usize::from(peer.sent == job.message.len());
                }
                Ok(count) => drop(peer.waiting.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => peer.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.lose(at),
            }
        }
    }

    /// The peer's socket may take bytes again.
    pub(super) fn writable(&mut self, at: usize) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.writable = true;
        }
        if matches!(self.manner, Manner::RoundRobin | Manner::Window { .. }) {
            self.go_on(at);
            self.settle();
        }
    }

    /// The peer sent something.
    pub(super) fn came(&mut self, at: usize, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(at) else {
            return;
        };
        let Ok(pongs) = peer.pongs.answer(bytes) else {
            return self.lose(at);
        };
        if pongs.is_empty() {
            return;
        }
        if matches!(self.manner, Manner::RoundRobin | Manner::Window { .. }) {
            peer.waiting.extend(pongs);
            match peer.waiting.len() {
                ..=PONGS_BYTES_MAX => self.go_on(at),
                _ => self.lose(at),
            }
        } else if self.shared.peers.get(at).is_none_or(|mut it| it.write_all(&pongs).is_err()) {
            self.lose(at);
        }
    }

    /// Gives the peer up.
    pub(super) fn lose(&mut self, at: usize) {
        let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.live) else {
            return;
        };
        peer.live = false;
        self.shared.connected.fetch_sub(1, Ordering::Relaxed);
        if let Some(stream) = self.shared.peers.get(at) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(job) = self.jobs.front_mut()
            && peer.sent < job.message.len()
        {
            job.left -= 1;
        }
        self.settle();
    }

    /// Goes on to the next job if the first is done.
    fn settle(&mut self) {
        if self.finish() {
            self.begin();
        }
    }

    /// Gives up the peers that did not take the block in time.
    pub(super) fn drop_late(&mut self) {
        let Some(job) = self.jobs.front().filter(|job| job.end <= Instant::now()) else {
            return;
        };
        let length = job.message.len();
        let is_late =
            |at: &usize| self.peers.get(*at).is_some_and(|peer| peer.live && peer.sent < length);
        let late: Vec<_> = (0..self.peers.len()).filter(is_late).collect();
        for peer in late {
            self.lose(peer);
        }
    }
}
