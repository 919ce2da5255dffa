//! The ways to the connected peers: what is needed to look at a connection without touching it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::hot::link::{Link, PeerId};
use crate::limits::COOKIES_LEFT_MAX;
use crate::sys::socket;
use crate::sys::tcp_info::{self, TcpInfo};

/// One connection, seen from the cold side. Its socket is never read or written here; it is gone
/// with the last [`Arc`], so whoever looks for longer keeps a [`Weak`] one.
#[derive(Debug)]
pub struct Path {
    /// Its name.
    pub peer: PeerId,
    /// Its far end.
    pub address: SocketAddr,
    /// The queues of its shard.
    pub link: Arc<Link>,
    /// The shard's place for it.
    pub slot: u16,
    /// Whether it goes over an uplink that is shared with others; loopback does not.
    pub shared: bool,
    socket: OwnedFd,
}

impl Path {
    /// What the kernel knows of it; `None` once it is closed.
    #[must_use]
    pub fn look(&self) -> Option<TcpInfo> {
        TcpInfo::read(self).ok()
    }

    /// The name of its congestion control.
    #[must_use]
    pub fn congestion_control(&self) -> Option<String> {
        tcp_info::congestion_control(self).ok()
    }
}

impl AsFd for Path {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// All of them, of all chains.
#[derive(Debug, Default)]
pub struct Paths {
    connected: Mutex<HashMap<PeerId, Arc<Path>>>,
    cookies: Mutex<Cookies>,
}

/// The kernel's numbers of connections (`SO_COOKIE`): of all that are there, and of the last that were.
#[derive(Clone, Debug, Default)]
pub struct Cookies {
    /// Changes with each connection that comes.
    pub revision: u64,
    /// By connection.
    pub by_peer: HashMap<PeerId, u64>,
    /// Those that have ended, the oldest first.
    left: VecDeque<PeerId>,
}

impl Cookies {
    fn leave(&mut self, peer: PeerId) {
        if !self.by_peer.contains_key(&peer) {
            return;
        }
        self.left.push_back(peer);
        if self.left.len() > COOKIES_LEFT_MAX
            && let Some(oldest) = self.left.pop_front()
        {
            self.by_peer.remove(&oldest);
        }
    }
}

impl Paths {
    /// Watches a connection on its way to a shard. Where the system gives no second descriptor it
    /// is served all the same, and not watched.
    pub fn add(
        &self,
        peer: PeerId,
        address: SocketAddr,
        (link, slot): (Arc<Link>, u16),
        shared: bool,
        socket: &OwnedFd,
    ) {
        // Before any block goes there, so that whoever hears of the number knows whose it is.
        if let Ok(cookie) = socket::cookie(socket) {
            let mut cookies = self.lock_cookies();
            cookies.by_peer.insert(peer, cookie);
            cookies.revision += 1;
        }
        let Ok(socket) = socket.try_clone() else {
            return;
        };
        self.lock().insert(peer, Arc::new(Path { peer, address, link, slot, shared, socket }));
    }

    /// Lets go of `peer`: its socket is closed when the shard's is.
    pub fn remove(&self, peer: PeerId) {
        self.lock().remove(&peer);
        self.lock_cookies().leave(peer);
    }

    /// Copies the cookies into `known` where there are new ones.
    pub fn read_cookies(&self, known: &mut Cookies) {
        let cookies = self.lock_cookies();
        if cookies.revision != known.revision {
            known.clone_from(&cookies);
        }
    }

    /// Those that are connected now, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Weak<Path>> {
        let mut all: Vec<_> =
            self.lock().iter().map(|(peer, path)| (*peer, Arc::downgrade(path))).collect();
        all.sort_unstable_by_key(|(peer, _)| *peer);
        all.into_iter().map(|(_, path)| path).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, Arc<Path>>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_cookies(&self) -> MutexGuard<'_, Cookies> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a path, for the order of service and for those who look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathFacts {
    /// Least round trip, in us; 0: not known.
    pub round_trip_us: u32,
    /// What may be in flight by our own count and the peer's, in bytes.
    pub window_bytes: u64,
    /// Whether a block fits that, as far as the uplink allows.
    pub warm: bool,
    /// Whether a compact block does.
    pub warm_for_small: bool,
    /// Segments that were sent again.
    pub resent_segments: u32,
    /// The rule that its window goes by.
    pub congestion_control: String,
}

impl PathFacts {
    /// Whether `other` would be served elsewhere: a way that is a tenth longer or shorter, or
    /// windows that opened or closed. Less would only make work for the shards.
    #[must_use]
    pub fn is_served_apart(&self, other: &Self) -> bool {
        let apart_us = self.round_trip_us.abs_diff(other.round_trip_us);
        (self.warm, self.warm_for_small) != (other.warm, other.warm_for_small)
            || (self.round_trip_us == 0) != (other.round_trip_us == 0)
            || apart_us > self.round_trip_us / 10
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::sys::doorbell::Doorbell;

    #[test]
    fn a_watched_connection_ends_with_its_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let near = OwnedFd::from(TcpStream::connect(address).unwrap());
        let (mut far, _) = listener.accept().unwrap();
        let link = Arc::new(Link::new(0, Arc::new(Doorbell::new().unwrap())).unwrap());
        let (paths, peer) = (Paths::default(), PeerId::new(1, 1));
        paths.add(peer, address, (link, 3), false, &near);
        let path = paths.all().remove(0);
        assert!(path.upgrade().unwrap().look().is_some());
        assert!(path.upgrade().unwrap().congestion_control().is_some());
        let mut cookies = Cookies::default();
        paths.read_cookies(&mut cookies);
        assert_eq!(cookies.by_peer.get(&peer).copied(), socket::cookie(&near).ok());
        paths.remove(peer);
        paths.read_cookies(&mut cookies);
        assert!(cookies.by_peer.contains_key(&peer), "what it did may still be told");
        assert!(path.upgrade().is_none() && paths.all().is_empty());
        drop(near);
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0, "the other end sees it at once");
    }

    #[test]
    fn cookies_of_the_gone_are_forgotten_in_the_end() {
        let mut cookies = Cookies::default();
        for serial in 0..=COOKIES_LEFT_MAX as u64 {
            cookies.by_peer.insert(PeerId(serial), serial);
            cookies.leave(PeerId(serial));
        }
        cookies.leave(PeerId(u64::MAX));
        assert_eq!(cookies.by_peer.len(), COOKIES_LEFT_MAX);
        assert!(!cookies.by_peer.contains_key(&PeerId(0)));
    }

    #[test]
    fn small_changes_move_nobody() {
        let at = |round_trip_us, warm| PathFacts { round_trip_us, warm, ..PathFacts::default() };
        assert!(!at(20_000, true).is_served_apart(&at(21_000, true)));
        assert!(at(20_000, true).is_served_apart(&at(25_000, true)));
        assert!(at(20_000, true).is_served_apart(&at(20_000, false)));
        assert!(at(0, true).is_served_apart(&at(1, true)));
    }
}
