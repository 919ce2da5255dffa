//! Who told of what: shares of the database for each source, and for each network told of.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::{Fate, HeardAddress};
use crate::cold::onion::is_onion;
use crate::cold::store::{Netgroup, PeerBook, PeerEntry, Source};
use crate::limits::{
    HEARSAY_PER_NETGROUP_MAX, HEARSAY_PER_SOURCE_MAX, HEARSAY_PER_SOURCE_MIN, PEER_ENTRIES_MAX,
};

/// Where an address was heard of: addresses that are likely in one hand are one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceGroup {
    /// A /16 of IPv4, a /32 of IPv6.
    Netgroup(Netgroup),
    /// A host of this or a private network.
    Host(IpAddr),
    /// Onion services cost nothing to make: a sixteenth of all of them (Core groups them so too).
    Onion(u8),
    /// The chain's DNS seed of this number.
    Seed(u8),
}

impl SourceGroup {
    /// The group of a peer.
    #[must_use]
    pub fn of(peer: SocketAddr) -> Self {
        let ip = peer.ip().to_canonical();
        match (ip, Netgroup::of(ip)) {
            (IpAddr::V6(v6), _) if is_onion(ip) => {
                let [_, _, _, _, _, _, seventh, ..] = v6.octets();
                Self::Onion(seventh >> 4)
            }
            (_, Some(group)) => Self::Netgroup(group),
            (_, None) => Self::Host(ip),
        }
    }
}

/// Takes addresses that were heard of into the database, within everybody's share of it.
#[derive(Debug, Default)]
pub struct Gossip {
    /// Whom we have an address from that never answered. At most [`PEER_ENTRIES_MAX`] and one.
    origins: HashMap<SocketAddr, SourceGroup>,
    by_source: HashMap<SourceGroup, u32>,
    by_netgroup: HashMap<Netgroup, u32>,
}

impl Gossip {
    /// Takes in one address that `source` told of at `now_s` (epoch, s).
    pub fn take(
        &mut self,
        book: &mut PeerBook,
        source: SourceGroup,
        heard: &HeardAddress,
        now_s: f64,
    ) -> Fate {
        let address = heard.address;
        if book.is_banned(address) {
            return Fate::Banned;
        }
        #[expect(clippy::cast_precision_loss, reason = "a time on the calendar")]
        let seen_s = (heard.last_seen_s as f64).min(now_s);
        let services = (heard.services != 0).then_some(heard.services);
        if let Some(entry) = book.get_mut(address) {
            // What we know at first hand, or from those we trust, is not changed by hearsay.
            if is_hearsay(entry) {
                entry.last_seen_s = entry.last_seen_s.max(seen_s);
                entry.services = entry.services.or(services);
                entry.onion = entry.onion.or(heard.onion);
            }
            return Fate::Known;
        }
        if self.origins.len() >= PEER_ENTRIES_MAX as usize {
            self.settle(book);
        }
        if self.of_source(source) >= self.share(book) {
            return Fate::SourceFull;
        }
        let netgroup = Netgroup::of(address.ip()).filter(|_| heard.onion.is_none());
        if netgroup.is_some_and(|group| self.of_netgroup(group) >= HEARSAY_PER_NETGROUP_MAX) {
            return Fate::GroupFull;
        }
        let mut entry = PeerEntry::new(Source::Discovered, seen_s);
        entry.first_seen_s = now_s;
        entry.services = services;
        entry.onion = heard.onion;
        if !book.insert(address, entry) {
            return Fate::BookFull;
        }
        self.origins.insert(address, source);
        *self.by_source.entry(source).or_default() += 1;
        if let Some(group) = netgroup {
            *self.by_netgroup.entry(group).or_default() += 1;
        }
        Fate::Taken
    }

    /// Looks up what has become of the hearsay: who has answered, or has left the database, counts
    /// against nobody any more. To be called now and then: in between the counts only grow.
    pub fn settle(&mut self, book: &PeerBook) {
        self.origins.retain(|address, _| book.get(*address).is_some_and(is_hearsay));
        self.by_source.clear();
        for source in self.origins.values() {
            *self.by_source.entry(*source).or_default() += 1;
        }
        self.by_netgroup.clear();
        let hearsay = book.iter().filter(|(_, entry)| is_hearsay(entry) && entry.onion.is_none());
        for group in hearsay.filter_map(|(address, _)| Netgroup::of(address.ip())) {
            *self.by_netgroup.entry(group).or_default() += 1;
        }
    }

    /// How many addresses of `source` are in the database and never answered, at most.
    #[must_use]
    pub fn of_source(&self, source: SourceGroup) -> u32 {
        self.by_source.get(&source).copied().unwrap_or(0)
    }

    /// The same of addresses in `group`, whoever told of them.
    #[must_use]
    pub fn of_netgroup(&self, group: Netgroup) -> u32 {
        self.by_netgroup.get(&group).copied().unwrap_or(0)
    }

    /// How many addresses it keeps an origin for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.origins.len()
    }

    /// Whether it keeps none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// So many a source may have. In a full database newcomers push out others' hearsay: only who
    /// has less than the others on average may do that.
    fn share(&self, book: &PeerBook) -> u32 {
        if book.len() < PEER_ENTRIES_MAX as usize {
            return HEARSAY_PER_SOURCE_MAX;
        }
        let average = self.origins.len() / self.by_source.len().max(1);
        let share = u32::try_from(average).unwrap_or(HEARSAY_PER_SOURCE_MAX);
        share.clamp(HEARSAY_PER_SOURCE_MIN, HEARSAY_PER_SOURCE_MAX)
    }
}

/// Whether nobody but others' word stands for an entry.
fn is_hearsay(entry: &PeerEntry) -> bool {
    entry.source == Source::Discovered && !entry.has_answered() && !entry.fixed
}
