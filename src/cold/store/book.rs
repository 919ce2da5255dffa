//! The database in memory: bounded, and cheap to copy for a save.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

use super::{Ban, PeerEntry, Source};
use crate::cold::cover::ChosenBy;
use crate::cold::score::{self, Standing};
use crate::limits::{PEER_BANS_MAX, PEER_ENTRIES_MAX, PEER_STALE_KEPT, PEERS_EVICTED_AT_ONCE};

/// All addresses of one chain that we know, at most [`PEER_ENTRIES_MAX`], and whom the operator has
/// banned, at most [`PEER_BANS_MAX`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerBook {
    /// Whether the local node has ever given us its peers.
    pub bootstrapped: bool,
    /// Who is connected; in a file, who was when it was saved.
    pub connected: BTreeSet<SocketAddr>,
    /// The best of those that held, best first, at most [`ANCHORS_MAX`]: dialled first after a start.
    pub anchors: Vec<SocketAddr>,
    /// The connected ones' places in the order of service, 0 is the first, and what gave them.
    pub chosen: BTreeMap<SocketAddr, (u32, ChosenBy)>,
    /// Connections aimed at when it was saved: within `min` and `max`, as the uplink allows.
    pub aimed: Option<u32>,
    entries: HashMap<SocketAddr, PeerEntry>,
    bans: BTreeMap<Ban, f64>,
}

/// What merging has changed, in entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Addresses that were not known before.
    pub fresh: usize,
    /// Known ones.
    pub known: usize,
    /// New ones for which there was no room.
    pub refused: usize,
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

    /// Makes sure that the book knows who is kept, and that nobody else claims to be.
    pub fn enter_kept(
        &mut self,
        kept: impl IntoIterator<Item = (SocketAddr, Standing)>,
        now_s: f64,
    ) {
        for (address, standing) in kept {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            let source = match standing {
                Standing::Protected => Source::LocalNode,
                Standing::Fixed | Standing::Ordinary => Source::Operator,
            };
            let known = self.get(address).cloned();
            let mut entry = known.unwrap_or_else(|| PeerEntry::new(source, now_s));
            if standing == Standing::Protected {
                entry.score = score::SCORE_PROTECTED;
            }
            entry.source = source;
            entry.protected = standing == Standing::Protected;
            entry.fixed = true;
            self.insert(address, entry);
        }
    }

    /// Takes in what another book knows, entry by entry ([`PeerEntry::merge`]), and its bans. Doing
    /// it twice changes nothing.
    pub fn merge(&mut self, other: Self) -> Merged {
        let (mut merged, mut fresh) = (Merged::default(), Vec::new());
        self.bootstrapped |= other.bootstrapped;
        for (ban, since_s) in other.bans {
            self.ban(ban, since_s);
        }
        for (address, entry) in other.entries {
            if let Some(ours) = self.entries.get_mut(&address) {
                ours.merge(&entry);
                merged.known += 1;
            } else {
                self.insert(address, entry);
                fresh.push(address);
            }
        }
        // In a full book a newcomer may have had to make room for the next.
        let stayed = |address: &&SocketAddr| self.entries.contains_key(*address);
        merged.fresh = fresh.iter().filter(stayed).count();
        merged.refused = fresh.len() - merged.fresh;
        merged
    }

    /// Bans from `now_s` on; a ban that is there keeps its time. `false`: there are too many.
    pub fn ban(&mut self, ban: Ban, now_s: f64) -> bool {
        let is_known = self.bans.contains_key(&ban);
        if !is_known && self.bans.len() >= PEER_BANS_MAX {
            return false;
        }
        self.bans.entry(ban).or_insert(now_s);
        true
    }

    /// Lifts `ban` and all narrower ones; how many those are.
    pub fn unban(&mut self, ban: Ban) -> usize {
        let before = self.bans.len();
        self.bans.retain(|other, _| !other.is_within(ban));
        before - self.bans.len()
    }

    /// Since when `address` is banned, epoch s.
    #[must_use]
    pub fn banned_since(&self, address: SocketAddr) -> Option<f64> {
        let place = Ban::place(address);
        self.bans.get(&place.of_host()).or_else(|| self.bans.get(&place)).copied()
    }

    /// Whether the operator wants nothing to do with `address`.
    #[must_use]
    pub fn is_banned(&self, address: SocketAddr) -> bool {
        self.banned_since(address).is_some()
    }

    /// All bans in order, each with the time of its beginning, epoch s.
    pub fn bans(&self) -> impl Iterator<Item = (Ban, f64)> {
        self.bans.iter().map(|(ban, since_s)| (*ban, *since_s))
    }

    /// Drops what nobody has seen for too long, the longest unseen first; keeps the last
    /// [`PEER_STALE_KEPT`] entries in any case, for a start after a long rest. How many went.
    pub fn prune_stale(&mut self, now_s: f64) -> usize {
        let most = self.len().saturating_sub(PEER_STALE_KEPT as usize);
        let stale = self.iter().filter(|(_, entry)| score::is_stale(entry, now_s));
        let mut stale: Vec<_> =
            stale.map(|(address, entry)| (entry.last_seen_s, address)).collect();
        stale.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        stale.truncate(most);
        for (_, address) in &stale {
            self.entries.remove(address);
        }
        stale.len()
    }

    /// Makes room. Never a protected one goes, nor one that the operator wants kept. Hearsay that
    /// never answered goes first, so that a flood of made-up addresses costs no proven one; then
    /// the lowest scored, among equals the longest unseen.
    fn evict(&mut self) -> bool {
        let mut losers: Vec<(bool, f64, f64, SocketAddr)> = self
            .iter()
            .filter(|(_, entry)| !entry.protected && !entry.fixed)
            .map(|(address, entry)| {
                let is_more = entry.has_answered() || entry.source != Source::Discovered;
                (is_more, entry.score, entry.last_seen_s, address)
            })
            .collect();
        let count = losers.len().min(PEERS_EVICTED_AT_ONCE as usize);
        if count < losers.len() {
            losers.select_nth_unstable_by(count, |a, b| {
                let by_worth = a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
                by_worth.then(a.2.total_cmp(&b.2)).then(a.3.cmp(&b.3))
            });
        }
        for (_, _, _, address) in losers.into_iter().take(count) {
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

    /// Goal: hearsay without end pushes out hearsay alone.
    #[test]
    fn a_flood_of_made_up_addresses_costs_no_proven_one() {
        let mut book = PeerBook::default();
        for number in 0..500 {
            let mut proven = PeerEntry::new(Source::Discovered, 1.0);
            proven.last_connected_s = 1.0;
            book.insert(address(number), proven);
            book.insert(address(1_000 + number), PeerEntry::new(Source::Node, 1.0));
        }
        for number in 0..100_000 {
            let flood = PeerEntry::new(Source::Discovered, 1e9);
            book.insert(address(1 << 24 | number), flood);
        }
        assert!(book.len() <= PEER_ENTRIES_MAX as usize);
        let left = (0..500).filter(|it| book.get(address(*it)).is_some()).count();
        let of_node = (1_000..1_500).filter(|it| book.get(address(*it)).is_some()).count();
        assert_eq!((left, of_node), (500, 500));
    }

    #[test]
    fn the_stale_go_but_not_the_last_ones() {
        let (now_s, month_s) = (1e9, 31.0 * 86_400.0);
        let mut book = PeerBook::default();
        for number in 0..2_000 {
            let age_s = if number < 1_500 { month_s + f64::from(number) } else { 0.0 };
            book.insert(address(number), PeerEntry::new(Source::Discovered, now_s - age_s));
        }
        assert_eq!(book.prune_stale(now_s), 1_000);
        assert!(book.get(address(1_499)).is_none() && book.get(address(499)).is_some());
        assert_eq!((book.prune_stale(now_s), book.len()), (0, 1_000));
        assert_eq!(book.prune_stale(now_s + 1e9), 0, "after a long rest nothing more goes");
    }

    #[test]
    fn bans_are_bounded_and_lifted_by_host() {
        let mut book = PeerBook::default();
        let ban = |text: &str| text.parse::<Ban>().unwrap();
        assert!(book.ban(ban("203.0.113.7:9333"), 5.0) && book.ban(ban("203.0.113.7"), 6.0));
        assert!(book.ban(ban("203.0.113.7"), 7.0), "again");
        let at = "203.0.113.7:9333".parse().unwrap();
        assert_eq!(book.banned_since(at), Some(6.0));
        assert_eq!(book.unban(ban("203.0.113.7:9333")), 1);
        assert!(book.is_banned(at), "the host still is");
        assert!(book.ban(ban("203.0.113.7:1"), 5.0));
        assert_eq!((book.unban(ban("203.0.113.7")), book.is_banned(at)), (2, false));
        assert_eq!(book.unban(ban("203.0.113.7")), 0);
        for number in 0..PEER_BANS_MAX {
            assert!(book.ban(Ban::host(address(u32::try_from(number).unwrap()).ip()), 0.0));
        }
        assert!(!book.ban(ban("203.0.113.7"), 0.0) && book.ban(ban("0.0.0.0"), 0.0));
    }

    #[test]
    fn what_had_no_room_is_counted_as_refused() {
        let mut ours = PeerBook::default();
        let mut theirs = PeerBook::default();
        for number in 0..PEER_ENTRIES_MAX {
            if number < 50 {
                ours.insert(address(1 << 24 | number), PeerEntry::new(Source::Node, 1.0));
            }
            theirs.insert(address(number), PeerEntry::new(Source::Discovered, 1.0));
        }
        let merged = ours.merge(theirs);
        assert!(merged.refused >= 50 && merged.known == 0, "{merged:?}");
        assert_eq!(merged.fresh + merged.refused, PEER_ENTRIES_MAX as usize);
        assert_eq!(ours.len(), 50 + merged.fresh, "none of the proven had to go");
    }

    #[test]
    fn merging_twice_is_merging_once() {
        let mut ours = PeerBook::default();
        let mut known = PeerEntry::new(Source::Discovered, 50.0);
        (known.successful_broadcasts, known.score) = (1, 60.0);
        ours.insert(address(1), known);
        let mut theirs = PeerBook::default();
        let mut better = PeerEntry::new(Source::Node, 40.0);
        (better.successful_broadcasts, better.score) = (9, 190.0);
        theirs.insert(address(1), better);
        theirs.insert(address(2), PeerEntry::new(Source::Node, 40.0));
        assert_eq!(ours.merge(theirs.clone()), Merged { fresh: 1, known: 1, refused: 0 });
        let entry = ours.get(address(1)).unwrap();
        assert_eq!((entry.first_seen_s, entry.last_seen_s), (40.0, 50.0));
        assert_eq!((entry.score, entry.successful_broadcasts), (190.0, 9));
        let once = ours.clone();
        assert_eq!(ours.merge(theirs), Merged { fresh: 0, known: 2, refused: 0 });
        assert_eq!(ours, once);
    }
}
