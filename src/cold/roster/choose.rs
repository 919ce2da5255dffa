//! Who should have a seat, and whom to dial for the empty ones: pure functions of the database, of
//! what was measured, the time and the dice.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;

use super::backoff::{Backoff, Chance};
use crate::cold::atlas::{Atlas, Region};
use crate::cold::cover::{ChosenBy, Cover, Selection};
use crate::cold::diversity::{Crowd, Kin};
use crate::cold::score;
use crate::cold::store::{PeerBook, PeerEntry};
use crate::limits::{CANDIDATES_MORE, CANDIDATES_PER_SEAT};

/// All that the choice goes by.
pub(super) struct Field<'a> {
    pub(super) book: &'a PeerBook,
    pub(super) cover: &'a Cover<SocketAddr>,
    pub(super) selection: Selection,
    pub(super) atlas: &'a Atlas,
    pub(super) regions: &'a [Region],
    /// Epoch, s.
    pub(super) now_s: f64,
    /// The covering rule's own clock.
    pub(super) now_us: u64,
}

/// Somebody who should have a seat, sooner or later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) address: SocketAddr,
    /// Its rank value.
    pub(super) value: f64,
    /// What gave it its place.
    pub(super) by: ChosenBy,
    pub(super) kin: Kin,
}

impl Field<'_> {
    /// Ordinary addresses in the order in which they should have seats, some more than there are:
    /// whoever is connected or may be dialled now and is not `is_out`, never too many of one hand.
    pub(super) fn wanted(
        &self,
        seats: usize,
        is_out: impl Fn(SocketAddr) -> bool,
        is_connected: impl Fn(SocketAddr) -> bool,
    ) -> Vec<Wanted> {
        if seats == 0 {
            return Vec::new();
        }
        let Self { book, now_s, .. } = *self;
        let could = |address: SocketAddr, entry: &PeerEntry| {
            let is_there = is_connected(address) || is_due(entry, now_s);
            is_there && !is_out(address) && !score::is_spent(entry) && !book.is_banned(address)
        };
        let eligible = book.iter().filter(|(address, entry)| could(*address, entry));
        let mut eligible: Vec<(f64, SocketAddr)> =
            eligible.map(|(address, entry)| (score::rank_value(entry, now_s), address)).collect();
        eligible.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let by_score: Vec<SocketAddr> = eligible.iter().map(|(_, address)| *address).collect();
        let most = seats.saturating_mul(CANDIDATES_PER_SEAT).saturating_add(CANDIDATES_MORE);
        let picked = self.selection.pick(self.cover, &by_score, most, self.now_us);
        let seen: HashSet<SocketAddr> = picked.iter().map(|(address, _)| *address).collect();
        // Where one hand has the front, the others are further behind.
        let rest = by_score.into_iter().filter(|address| !seen.contains(address));
        let all = picked.into_iter().chain(rest.map(|address| (address, ChosenBy::Score)));
        let mut crowd = Crowd::default();
        let roomy = all.filter_map(|(address, by)| {
            let kin = Kin::of(address, self.atlas, self.regions);
            if crowd.is_full_for(kin).is_some() {
                return None;
            }
            crowd.add(kin);
            let value = score::rank_value(book.get(address)?, now_s);
            Some(Wanted { address, value, by, kin })
        });
        roomy.take(most).collect()
    }
}

/// Addresses of `wanted` to try for `empty` seats, best first; those worth about the same in any
/// order, so that not everybody with the same database dials the same peer first, the regions with
/// the fewest connections before others. `in_region` counts those.
pub(super) fn candidates(
    wanted: &[Wanted],
    empty: usize,
    is_taken: impl Fn(SocketAddr) -> bool,
    in_region: impl Fn(Region) -> usize,
    chance: &mut Chance,
) -> VecDeque<SocketAddr> {
    if empty == 0 {
        return VecDeque::new();
    }
    let most = empty.saturating_mul(CANDIDATES_PER_SEAT).max(CANDIDATES_MORE);
    let due = wanted.iter().filter(|it| !is_taken(it.address)).take(most);
    let mut due: Vec<Wanted> = due.copied().collect();
    for equals in due.chunks_mut(empty) {
        chance.shuffle(equals);
        equals.sort_by_key(|it| it.kin.region.map_or(0, &in_region));
    }
    due.into_iter().map(|it| it.address).collect()
}

/// Whether an entry may be dialled.
pub(super) fn is_due(entry: &PeerEntry, now_s: f64) -> bool {
    entry.waits_until(now_s).is_none()
}

/// Notes that `entry` failed at `now_s`, and when it may be tried again.
pub(super) fn put_off(
    entry: &mut PeerEntry,
    word: &str,
    now_s: f64,
    backoff: Backoff,
    is_lasting: bool,
    chance: &mut Chance,
) {
    entry.failures_in_row = entry.failures_in_row.saturating_add(1);
    word.clone_into(&mut entry.last_failure);
    entry.last_failure_s = now_s;
    let wait = if is_lasting {
        backoff.longest(chance)
    } else {
        backoff.wait(entry.failures_in_row, chance)
    };
    entry.next_try_s = now_s + wait.as_secs_f64();
}

#[cfg(test)]
mod tests {
    use super::super::backoff::ORDINARY;
    use super::*;
    use crate::cold::store::Source;
    use crate::limits::PEERS_PER_NETGROUP_MAX;

    const NOW_S: f64 = 1_800_000_000.0;

    fn address(number: u16) -> SocketAddr {
        let [a, b] = number.to_be_bytes();
        SocketAddr::from(([20 + a, b, 113, 1], 9_333))
    }

    fn number(address: SocketAddr) -> u16 {
        let SocketAddr::V4(v4) = address else { panic!("{address}") };
        let [a, b, ..] = v4.ip().octets();
        u16::from_be_bytes([a - 20, b])
    }

    fn book(count: u16) -> PeerBook {
        let mut book = PeerBook::default();
        for number in 1..=count {
            let mut entry = PeerEntry::new(Source::Discovered, NOW_S);
            entry.score = f64::from(number) + 10.0;
            book.insert(address(number), entry);
        }
        book
    }

    fn wanted_at(
        book: &PeerBook,
        cover: &Cover<SocketAddr>,
        seats: usize,
        now_s: f64,
    ) -> Vec<Wanted> {
        let atlas = Atlas::default();
        let field = Field {
            book,
            cover,
            selection: Selection::Measured,
            atlas: &atlas,
            regions: &[],
            now_s,
            now_us: 100 * 600_000_000,
        };
        field.wanted(seats, |_| false, |_| false)
    }

    fn dialled(book: &PeerBook, empty: usize, now_s: f64, taken: u16) -> Vec<u16> {
        let wanted = wanted_at(book, &Cover::new(1), empty, now_s);
        let is_taken = |at| at == address(taken);
        let found = candidates(&wanted, empty, is_taken, |_| 0, &mut Chance::seeded(3));
        found.into_iter().map(number).collect()
    }

    #[test]
    fn the_best_come_first_in_groups() {
        let book = book(1_000);
        let found = dialled(&book, 10, NOW_S, 0);
        assert_eq!(found.len(), 40);
        for (index, group) in found.chunks(10).enumerate() {
            let low = 1_000 - 10 * (u16::try_from(index).unwrap() + 1);
            assert!(group.iter().all(|found| *found > low && *found <= low + 10), "{found:?}");
        }
        assert!(dialled(&book, 0, NOW_S, 0).is_empty());
    }

    #[test]
    fn the_taken_and_the_put_off_are_left_out() {
        let mut book = book(20);
        let mut chance = Chance::seeded(4);
        let entry = book.get_mut(address(20)).unwrap();
        put_off(entry, "refused", NOW_S, ORDINARY, false, &mut chance);
        let next_try_s = entry.next_try_s;
        assert!(next_try_s > NOW_S && next_try_s <= NOW_S + 5.0);
        assert_eq!(dialled(&book, 1, NOW_S, 19)[..2], [18, 17]);
        assert_eq!(dialled(&book, 1, next_try_s, 19)[..2], [20, 18]);
        assert_eq!(dialled(&book, 1, NOW_S - 1e6, 19)[..2], [20, 18], "the clock was put back");
    }

    #[test]
    fn what_lasts_is_put_off_longest() {
        let mut chance = Chance::seeded(5);
        let mut entry = PeerEntry::new(Source::Discovered, NOW_S);
        put_off(&mut entry, "wrong-network", NOW_S, ORDINARY, true, &mut chance);
        assert!(entry.next_try_s >= NOW_S + 1_800.0 && entry.next_try_s <= NOW_S + 3_600.0);
        assert_eq!((entry.last_failure.as_str(), entry.failures_in_row), ("wrong-network", 1));
    }

    /// Goal: a crowd of the best scored addresses in one /16 gets two places and hides nobody.
    #[test]
    fn one_hand_gets_two_places_however_many_it_has() {
        let mut book = book(30);
        for last in 0..5_000_u16 {
            let [a, b] = last.to_be_bytes();
            let mut entry = PeerEntry::new(Source::Node, NOW_S);
            entry.score = 900.0;
            book.insert(SocketAddr::from(([203, 7, a, b], 9_333)), entry);
        }
        let wanted = wanted_at(&book, &Cover::new(1), 20, NOW_S);
        let of_crowd = |it: &&Wanted| it.kin.netgroup.unwrap().to_string() == "203.7.0.0/16";
        let found = wanted.iter().filter(of_crowd).count();
        assert_eq!((found, wanted.len()), (PEERS_PER_NETGROUP_MAX as usize, 32));
    }

    /// Goal: where enough was watched the rule says who is wanted, and a share comes by lot.
    #[test]
    fn what_was_measured_goes_before_scores() {
        let book = book(400);
        let mut cover = Cover::new(9);
        (1..=400).for_each(|it| assert!(cover.watch(address(it), 0)));
        for block in 0..60_u64 {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&block.to_le_bytes());
            for peer in 1..=400_u16 {
                let lag_ms = if peer <= 6 && u64::from(peer) % 6 == block % 6 { 0 } else { 200 };
                let at_us = (block + 1) * 600_000_000 + 1_000 * (lag_ms + u64::from(peer % 7));
                cover.note(&crate::wire::hash::BlockHash(hash), address(peer), at_us);
            }
        }
        let wanted = wanted_at(&book, &cover, 20, NOW_S);
        let front: Vec<_> = wanted[..20].iter().map(|it| number(it.address)).collect();
        assert!((1..=6).all(|it| front.contains(&it)), "{front:?}");
        let lots = wanted[..20].iter().filter(|it| it.by == ChosenBy::Lot).count();
        assert_eq!((lots, wanted[0].by), (4, ChosenBy::Cover));
    }

    #[test]
    fn regions_with_few_connections_are_tried_first() {
        let region = |text: &str| Region::parse(text);
        let wanted = |number, label| Wanted {
            address: address(number),
            value: 1.0,
            by: ChosenBy::Score,
            kin: Kin { netgroup: None, as_number: None, region: region(label) },
        };
        let all = [wanted(1, "EU"), wanted(2, "NA"), wanted(3, "AS"), wanted(4, "??")];
        let count = |label| {
            if Some(label) == region("EU") { 5 } else { usize::from(Some(label) == region("NA")) }
        };
        let found = candidates(&all, 4, |_| false, count, &mut Chance::seeded(1));
        let found: Vec<_> = found.into_iter().map(number).collect();
        assert_eq!(found[2..], [2, 1], "{found:?}");
    }
}
