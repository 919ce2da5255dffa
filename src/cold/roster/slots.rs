//! Which shard serves which connection: places handed out and taken back.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::routes::RouteTable;
use super::spread::{Ranks, burden};
use crate::cold::uplink::Paths;
use crate::hot::link::{Link, PeerId};
use crate::limits::PEERS_PER_SHARD_MAX;

/// A connection's place at a shard.
#[derive(Clone, Debug)]
pub struct Place {
    /// The shard's queues.
    pub link: Arc<Link>,
    /// The shard's place for the socket.
    pub slot: u16,
}

/// All places of all shards, shared by the rosters of all chains.
#[derive(Debug)]
pub struct SlotTable {
    inner: Mutex<Inner>,
    paths: Arc<Paths>,
}

#[derive(Debug)]
struct Inner {
    shards: Vec<Shard>,
    last_serial: u64,
    routes: RouteTable,
}

#[derive(Debug)]
struct Shard {
    link: Arc<Link>,
    owners: Vec<Option<(PeerId, u32)>>,
    ranks: Ranks,
    free: u32,
    closed: bool,
}

impl SlotTable {
    /// A table of [`PEERS_PER_SHARD_MAX`] places at each of these shards.
    #[must_use]
    pub fn new(links: Vec<Arc<Link>>) -> Self {
        Self::with_places(links, PEERS_PER_SHARD_MAX)
    }

    /// A table with fewer places at each shard.
    #[must_use]
    pub fn with_places(links: Vec<Arc<Link>>, places: u32) -> Self {
        let places = places.min(PEERS_PER_SHARD_MAX);
        let shards = links
            .into_iter()
            .map(|link| Shard {
                link,
                owners: vec![None; places as usize],
                ranks: Ranks::default(),
                free: places,
                closed: false,
            })
            .collect();
        let inner = Mutex::new(Inner { shards, last_serial: 0, routes: RouteTable::default() });
        Self { inner, paths: Arc::default() }
    }

    /// A place for a new connection of `rank`, at the shard where the fewest of its chain are served
    /// before it, and its name; `None` when all are taken.
    #[must_use]
    pub fn take(&self, chain: u8, rank: u32) -> Option<(PeerId, Place)> {
        let mut inner = self.lock();
        let serial = inner.last_serial + 1;
        let open = inner.shards.iter_mut().filter(|shard| !shard.closed && shard.free > 0);
        // Among equals the first, so that one peer never depends on how the shards were made.
        let shard = open.min_by_key(|shard| burden(&shard.ranks, shard.free, chain, rank))?;
        let slot = shard.owners.iter().position(Option::is_none)?;
        let peer = PeerId::new(chain, serial);
        *shard.owners.get_mut(slot)? = Some((peer, rank));
        shard.ranks.add(chain, rank);
        shard.free -= 1;
        let place = Place { link: Arc::clone(&shard.link), slot: u16::try_from(slot).ok()? };
        inner.last_serial = serial;
        Some((peer, place))
    }

    /// The ways to those who have a place, as far as they are looked at.
    #[must_use]
    pub fn paths(&self) -> &Arc<Paths> {
        &self.paths
    }

    /// Takes the place of `peer` back, and looks at its connection no more; `false` when it was not
    /// there.
    pub fn give_back(&self, shard: u8, slot: u16, peer: PeerId) -> bool {
        self.paths.remove(peer);
        let mut inner = self.lock();
        let Some(shard) = inner.shards.iter_mut().find(|known| known.link.shard == shard) else {
            return false;
        };
        let Some(owner) = shard.owners.get_mut(usize::from(slot)) else {
            return false;
        };
        let Some((_, rank)) = owner.take_if(|(owner, _)| *owner == peer) else {
            return false;
        };
        shard.ranks.remove(peer.chain(), rank);
        shard.free += 1;
        true
    }

    /// Notes that `peer` is served in another order from now on. It stays where it is: those that
    /// come next make up for it.
    pub fn note_rank(&self, shard: u8, slot: u16, peer: PeerId, rank: u32) {
        let mut inner = self.lock();
        let Some(shard) = inner.shards.iter_mut().find(|known| known.link.shard == shard) else {
            return;
        };
        if let Some(Some((owner, noted))) = shard.owners.get_mut(usize::from(slot))
            && *owner == peer
        {
            shard.ranks.remove(peer.chain(), *noted);
            shard.ranks.add(peer.chain(), rank);
            *noted = rank;
        }
    }

    /// The number of the way out that this connected socket takes.
    #[must_use]
    pub fn route_of(&self, socket: &impl AsFd) -> u8 {
        self.lock().routes.route_of_socket(socket)
    }

    /// No further places at this shard: it is stopping.
    pub fn close(&self, shard: u8) {
        for known in &mut self.lock().shards {
            known.closed |= known.link.shard == shard;
        }
    }

    /// Places that can still be taken.
    #[must_use]
    pub fn free(&self) -> u32 {
        let inner = self.lock();
        inner.shards.iter().filter(|shard| !shard.closed).map(|shard| shard.free).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change above is whole before anything in it could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::sys::doorbell::Doorbell;

    fn table(shards: u8, places: u32) -> SlotTable {
        let bell = Arc::new(Doorbell::new().unwrap());
        let links = (0..shards).map(|shard| Link::new(shard, Arc::clone(&bell)).unwrap());
        SlotTable::with_places(links.map(Arc::new).collect(), places)
    }

    #[test]
    fn shards_fill_evenly_and_no_place_is_given_twice() {
        let table = table(3, 4);
        let mut given = HashSet::new();
        for round in 0..4 {
            let mut shards = HashSet::new();
            for _ in 0..3 {
                let (peer, place) = table.take(7, 0).unwrap();
                assert_eq!(peer.chain(), 7);
                assert!(given.insert((place.link.shard, place.slot)));
                shards.insert(place.link.shard);
            }
            assert_eq!(shards.len(), 3, "round {round}");
        }
        assert!(table.take(7, 0).is_none());
        assert_eq!(table.free(), 0);
    }

    #[test]
    fn only_its_owner_gives_a_place_back_and_names_are_never_used_again() {
        let table = table(1, 1);
        let (first, place) = table.take(0, 0).unwrap();
        assert!(!table.give_back(0, place.slot, PeerId::new(0, 99)));
        assert!(!table.give_back(9, place.slot, first) && !table.give_back(0, 9, first));
        assert!(table.give_back(0, place.slot, first));
        assert!(!table.give_back(0, place.slot, first), "twice");
        let (second, _) = table.take(0, 0).unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn a_closed_shard_gets_nobody() {
        let table = table(2, 2);
        table.close(0);
        assert_eq!(table.free(), 2);
        for _ in 0..2 {
            assert_eq!(table.take(0, 0).unwrap().1.link.shard, 1);
        }
        assert!(table.take(0, 0).is_none());
    }
}
