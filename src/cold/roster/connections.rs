//! The connections that shards have, or are about to get, and the orders that are due to them.
//!
//! An order is kept as the difference between what is wanted and what was said, not as a queue: a
//! shard that is slow to take orders finds the latest wish, and nothing grows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::SockRef;
use tokio::time::Instant;

use super::keeper::epoch_s;
use super::slots::Place;
use crate::cold::cover::ChosenBy;
use crate::cold::diversity::Kin;
use crate::cold::score::Standing;
use crate::cold::uplink::PathFacts;
use crate::hot::link::{Adoption, Cause, Order, PeerId, Terms};
use crate::limits::{ADOPTION_DEADLINE_MS, ORDER_RETRY_MS};
use crate::wire::handshake::PeerFacts;

pub(super) const ORDER_RETRY: Duration = Duration::from_millis(ORDER_RETRY_MS);
const ADOPTION_WAIT: Duration = Duration::from_millis(ADOPTION_DEADLINE_MS);

/// Whether a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It stays.
    No,
    /// The shard is to be told.
    Wanted,
    /// The shard was told.
    Ordered,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: SocketAddr,
    pub(super) standing: Standing,
    pub(super) place: Place,
    /// The socket, until the shard's queue takes it.
    pub(super) pending: Option<Adoption>,
    pub(super) since: Instant,
    pub(super) since_s: f64,
    /// The place in the order of service that is wanted, and the one that the shard was told.
    pub(super) rank: u32,
    pub(super) rank_ordered: u32,
    /// Its place in the order of service, the first is 0, and what gave it that.
    pub(super) seat: (u32, ChosenBy),
    pub(super) kin: Kin,
    /// It shares the uplink with others.
    pub(super) is_shared: bool,
    /// What is known of its way, and what the shard was told of it.
    pub(super) path: PathFacts,
    pub(super) path_ordered: PathFacts,
    pub(super) ending: Ending,
    /// Why it is to end, in a word.
    pub(super) ended_for: &'static str,
    pub(super) facts: PeerFacts,
    /// It broke with a block of ours on its way.
    pub(super) broke_in_block: bool,
    pub(super) round_trip_us: Option<u32>,
    /// In which form it takes blocks, as far as it has said.
    pub(super) terms: Terms,
    pub(super) echoes: u64,
    pub(super) announced: u64,
}

/// All connections of a chain, by name and by address: one per address.
#[derive(Debug, Default)]
pub(super) struct Connections {
    by_peer: HashMap<PeerId, Connection>,
    by_address: HashMap<SocketAddr, PeerId>,
}

impl Connections {
    /// Takes a connection in. Its address must not have one.
    pub(super) fn add(&mut self, peer: PeerId, connection: Connection) {
        self.by_address.insert(connection.address, peer);
        self.by_peer.insert(peer, connection);
    }

    /// Lets go of `peer`.
    pub(super) fn remove(&mut self, peer: PeerId) -> Option<Connection> {
        let connection = self.by_peer.remove(&peer)?;
        self.by_address.remove(&connection.address);
        Some(connection)
    }

    pub(super) fn get_mut(&mut self, peer: PeerId) -> Option<&mut Connection> {
        self.by_peer.get_mut(&peer)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerId, &Connection)> {
        self.by_peer.iter().map(|(peer, connection)| (*peer, connection))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.by_peer.values_mut()
    }

    pub(super) fn iter_named(&mut self) -> impl Iterator<Item = (PeerId, &mut Connection)> {
        self.by_peer.iter_mut().map(|(peer, connection)| (*peer, connection))
    }

    /// The connection to `address`.
    pub(super) fn peer_at(&self, address: SocketAddr) -> Option<PeerId> {
        self.by_address.get(&address).copied()
    }

    /// Whether there is a connection to `address`.
    pub(super) fn has(&self, address: SocketAddr) -> bool {
        self.by_address.contains_key(&address)
    }

    /// Connections that are to stay.
    pub(super) fn staying(&self) -> impl Iterator<Item = &Connection> {
        self.by_peer.values().filter(|connection| connection.ending == Ending::No)
    }

    /// Those of them that are neither the local node nor the operator's choice.
    pub(super) fn ordinary(&self) -> impl Iterator<Item = &Connection> {
        self.staying().filter(|connection| connection.standing == Standing::Ordinary)
    }

    /// Offers the shards what is due to them. Gives the names of new connections that waited too
    /// long, and whether anything is still due.
    pub(super) fn give_orders(&mut self, now: Instant) -> (Vec<PeerId>, bool) {
        let (mut late, mut is_due) = (Vec::new(), false);
        for (peer, connection) in &mut self.by_peer {
            if connection.give_orders(*peer) {
                continue;
            }
            is_due = true;
            let waited = now.duration_since(connection.since);
            if connection.pending.is_some() && waited >= ADOPTION_WAIT {
                late.push(*peer);
            }
        }
        (late, is_due)
    }
}

impl Connection {
    /// A new one, whose socket waits for its shard.
    pub(super) fn new(
        (address, standing, kin): (SocketAddr, Standing, Kin),
        place: Place,
        adoption: Adoption,
        path: PathFacts,
        facts: PeerFacts,
        now: Instant,
    ) -> Self {
        Self {
            address,
            standing,
            place,
            since: now,
            since_s: epoch_s(),
            rank: adoption.rank,
            rank_ordered: adoption.rank,
            seat: (u32::MAX, ChosenBy::Score),
            kin,
            is_shared: adoption.governed,
            terms: adoption.terms,
            pending: Some(adoption),
            path_ordered: path.clone(),
            path,
            ending: Ending::No,
            ended_for: Cause::Asked.word(),
            facts,
            broke_in_block: false,
            round_trip_us: None,
            echoes: 0,
            announced: 0,
        }
    }

    /// It is to end, for this reason. A second one changes nothing.
    pub(super) fn end(&mut self, why: &'static str) {
        if self.ending == Ending::No {
            (self.ending, self.ended_for) = (Ending::Wanted, why);
        }
    }

    /// Whether all that was due could be said.
    fn give_orders(&mut self, peer: PeerId) -> bool {
        let (link, slot) = (&self.place.link, self.place.slot);
        if let Some(adoption) = self.pending.take() {
            let adoption = Adoption { rank: self.rank, ..adoption };
            if let Err(Order::Adopt(adoption)) = link.order(Order::Adopt(adoption)) {
                self.pending = Some(adoption);
                return false;
            }
            self.rank_ordered = self.rank;
        }
        if self.ending == Ending::Wanted {
            if link.order(Order::Retire { slot, peer }).is_err() {
                return false;
            }
            self.ending = Ending::Ordered;
        }
        let is_seen =
            self.rank == self.rank_ordered && !self.path_ordered.is_served_apart(&self.path);
        if self.ending == Ending::No && !is_seen {
            let (rank, PathFacts { round_trip_us, warm, warm_for_small, .. }) =
                (self.rank, &self.path);
            let (round_trip_us, warm, warm_for_small) = (*round_trip_us, *warm, *warm_for_small);
            let sight = Order::Sight { slot, peer, rank, round_trip_us, warm, warm_for_small };
            if link.order(sight).is_err() {
                return false;
            }
            self.rank_ordered = rank;
            self.path_ordered.clone_from(&self.path);
        }
        true
    }
}

/// Closes a socket that came home. Where the peer takes nothing or sends rubbish the kernel drops
/// what is unsent, instead of trying for minutes to deliver a block to nobody.
pub(super) fn close(socket: OwnedFd, cause: Cause) {
    let drops_unsent = matches!(
        cause,
        Cause::Stalled | Cause::Reset(_) | Cause::BadMagic | Cause::Oversized(_) | Cause::Flood(_)
    );
    if drops_unsent {
        // An error here leaves an ordinary close, which is only slower.
        let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;

    use super::*;
    use crate::hot::link::Link;
    use crate::limits::ORDERS_MAX;
    use crate::sys::doorbell::Doorbell;

    fn connection(link: &Arc<Link>) -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, address) = listener.accept().unwrap();
        let adoption = Adoption {
            slot: 3,
            peer: PeerId::new(0, 1),
            rank: 0,
            round_trip_us: 0,
            governed: false,
            route: 0,
            magic: [0; 4],
            payload_bytes_max: 1,
            ping_deadline_s: 300,
            is_limited: true,
            terms: Terms::default(),
            socket: near.into(),
        };
        let place = Place { link: Arc::clone(link), slot: 3 };
        let who = (address, Standing::Ordinary, Kin::default());
        let (path, facts) = (PathFacts::default(), PeerFacts::default());
        let connection = Connection::new(who, place, adoption, path, facts, Instant::now());
        let connection = Connection { rank: 7, rank_ordered: 0, ..connection };
        (connection, far)
    }

    #[test]
    fn orders_wait_for_a_full_queue_and_only_the_latest_wish_is_said() {
        let link = Arc::new(Link::new(0, Arc::new(Doorbell::new().unwrap())).unwrap());
        let (wanted, _far) = connection(&link);
        let peer = PeerId::new(0, 1);
        for _ in 0..ORDERS_MAX {
            link.order(Order::Drain).unwrap();
        }
        let mut connections = Connections::default();
        let now = wanted.since;
        connections.add(peer, wanted);
        assert_eq!(connections.give_orders(now), (vec![], true));
        assert_eq!(connections.give_orders(now + ADOPTION_WAIT), (vec![peer], true));
        connections.get_mut(peer).unwrap().rank = 9;
        while link.next_order().is_some() {}
        assert_eq!(connections.give_orders(now), (vec![], false));
        let Some(Order::Adopt(adoption)) = link.next_order() else { panic!("not adopted") };
        assert_eq!((adoption.rank, adoption.slot), (9, 3));
        assert!(link.next_order().is_none(), "its rank is known");
        for rank in [10, 11] {
            connections.get_mut(peer).unwrap().rank = rank;
        }
        connections.give_orders(now);
        assert!(matches!(link.next_order(), Some(Order::Sight { rank: 11, .. })));
        let known = PathFacts { round_trip_us: 20_000, warm: true, ..PathFacts::default() };
        connections.get_mut(peer).unwrap().path = known.clone();
        connections.give_orders(now);
        let told = link.next_order();
        assert!(matches!(told, Some(Order::Sight { round_trip_us: 20_000, warm: true, .. })));
        let nearly = PathFacts { round_trip_us: 21_000, window_bytes: 5, ..known };
        connections.get_mut(peer).unwrap().path = nearly;
        connections.give_orders(now);
        assert!(link.next_order().is_none(), "served where it was");
        connections.get_mut(peer).unwrap().ending = Ending::Wanted;
        connections.give_orders(now);
        connections.give_orders(now);
        assert!(matches!(link.next_order(), Some(Order::Retire { slot: 3, .. })));
        assert!(link.next_order().is_none(), "said once");
    }

    #[test]
    fn what_a_stalled_peer_has_not_taken_is_dropped() {
        let link = Arc::new(Link::new(0, Arc::new(Doorbell::new().unwrap())).unwrap());
        for (cause, is_reset) in [(Cause::Stalled, true), (Cause::Asked, false)] {
            let (mut connection, mut far) = connection(&link);
            close(connection.pending.take().unwrap().socket, cause);
            let end = far.read(&mut [0; 8]);
            assert_eq!(end.is_err(), is_reset, "{cause:?} {end:?}");
        }
    }
}
