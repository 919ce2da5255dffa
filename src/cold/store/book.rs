//! The database in memory: bounded, and cheap to copy for a save.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::PeerEntry;
use crate::limits::{PEER_ENTRIES_MAX, PEERS_EVICTED_AT_ONCE};

/// All addresses of one chain that we know, at most [`PEER_ENTRIES_MAX`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerBook {
    /// Whether the local node has ever given us its peers.
    pub bootstrapped: bool,
    entries: HashMap<SocketAddr, PeerEntry>,
}

impl PeerBook {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of `address`.
    #[must_use]
    pub fn get(&self, address: SocketAddr) -> Option<&PeerEntry> {
        self.entries.get(&address)
    }

    /// The entry of `address`, to be changed.
    pub fn get_mut(&mut self, address: SocketAddr) -> Option<&mut PeerEntry> {
        self.entries.get_mut(&address)
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &PeerEntry)> {
        self.entries.iter().map(|(address, entry)| (*address, entry))
    }

    /// Puts `entry` in the place of what there is; makes room when the book is full. `false`:
    /// there is no room to be made.
    pub fn insert(&mut self, address: SocketAddr, entry: PeerEntry) -> bool {
        let is_full = self.entries.len() >= PEER_ENTRIES_MAX as usize;
        if is_full && !self.entries.contains_key(&address) && !self.evict() {
            return false;
        }
        self.entries.insert(address, entry);
        true
    }

    /// Forgets `address`.
    pub fn remove(&mut self, address: SocketAddr) -> Option<PeerEntry> {
        self.entries.remove(&address)
    }

    /// The lowest scored go first, among equals the longest unseen. Never a protected one, nor
    /// one that the operator wants kept.
    fn evict(&mut self) -> bool {
        let mut losers: Vec<(f64, f64, SocketAddr)> = self
            .iter()
            .filter(|(_, entry)| !entry.protected && !entry.fixed)
            .map(|(address, entry)| (entry.score, entry.last_seen_s, address))
            .collect();
        let count = losers.len().min(PEERS_EVICTED_AT_ONCE as usize);
        if count < losers.len() {
            losers.select_nth_unstable_by(count, |a, b| {
                a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))
            });
        }
        for (_, _, address) in losers.into_iter().take(count) {
            self.entries.remove(&address);
        }
        count > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cold::store::Source;

    fn address(number: u32) -> SocketAddr {
        SocketAddr::from((number.to_be_bytes(), 9_333))
    }

    #[test]
    fn a_full_book_gives_up_its_worst() {
        let mut book = PeerBook::default();
        book.insert(address(0), PeerEntry::new(Source::LocalNode, 0.0));
        let mut fixed = PeerEntry::new(Source::Operator, 0.0);
        fixed.fixed = true;
        book.insert(address(1), fixed);
        let mut poor = PeerEntry::new(Source::Discovered, 100.0);
        poor.score = 10.0;
        book.insert(address(2), poor);
        for number in 3..2 * PEER_ENTRIES_MAX {
            book.insert(address(number), PeerEntry::new(Source::Discovered, f64::from(number)));
            assert!(book.len() <= PEER_ENTRIES_MAX as usize);
        }
        assert!(book.get(address(0)).is_some() && book.get(address(1)).is_some());
        assert!(book.get(address(2)).is_none(), "lowest score");
        assert!(book.get(address(3)).is_none(), "longest unseen");
        assert!(book.get(address(2 * PEER_ENTRIES_MAX - 1)).is_some());
    }

    #[test]
    fn a_book_of_kept_peers_takes_no_more() {
        let mut book = PeerBook::default();
        let mut fixed = PeerEntry::new(Source::Operator, 0.0);
        fixed.fixed = true;
        for number in 0..PEER_ENTRIES_MAX {
            assert!(book.insert(address(number), fixed.clone()));
        }
        assert!(!book.insert(address(PEER_ENTRIES_MAX), fixed.clone()));
        assert!(book.insert(address(7), fixed), "one that is in it");
        assert_eq!(book.len(), PEER_ENTRIES_MAX as usize);
    }
}
