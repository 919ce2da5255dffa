//! Why each address is in or out, as far as the database tells.

use std::net::SocketAddr;

use super::{PeerBook, PeerEntry};
use crate::cold::diversity::{Crowd, Full, Kin};
use crate::cold::score;
use crate::limits::BREAKER_FAILURES;

/// Where an address stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// The protected local node: never given up.
    Protected,
    /// Named in the configuration: never given up.
    Fixed,
    /// Connected when the database was saved.
    Connected,
    /// Banned by the operator since then, epoch s.
    Banned(f64),
    /// Below the score at which an entry is dropped: the next look at the roster takes it out.
    Spent,
    /// Left alone after failures; its breaker is open.
    Broken {
        /// Until then, epoch s.
        until_s: f64,
    },
    /// Left alone after one or two failures.
    Waiting {
        /// Until then, epoch s.
        until_s: f64,
    },
    /// As many better ones as are wanted are of the same network group or AS.
    Crowded(Full),
    /// Would be dialled for a free place, after so many others.
    Next(usize),
    /// So many better ones stand before it, more than there are places.
    Outranked(usize),
}

impl Place {
    /// One word for scripts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::Fixed => "fixed",
            Self::Connected => "connected",
            Self::Banned(_) => "banned",
            Self::Spent => "spent",
            Self::Broken { .. } => "broken",
            Self::Waiting { .. } => "waiting",
            Self::Crowded(_) => "crowded",
            Self::Next(_) => "next",
            Self::Outranked(_) => "outranked",
        }
    }

    /// Whether it has a connection, or is to have one whatever the others are worth.
    #[must_use]
    pub const fn is_in(self) -> bool {
        matches!(self, Self::Protected | Self::Fixed | Self::Connected)
    }
}

/// Every entry of `book` with its rank value and its place among `seats` connections at `now_s`
/// (epoch, s), the best first. `kin` tells in whose hand an address may be.
#[must_use]
pub fn places(
    book: &PeerBook,
    seats: usize,
    now_s: f64,
    kin: impl Fn(SocketAddr) -> Kin,
) -> Vec<(SocketAddr, f64, Place)> {
    let mut rows: Vec<_> = book
        .iter()
        .map(|(address, entry)| (address, score::rank_value(entry, now_s), entry))
        .collect();
    rows.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut before = 0;
    // Whoever is connected has its place, however many better ones of its kind there are.
    let mut crowd = Crowd::of(book.connected.iter().filter_map(|address| {
        let is_kept = book.get(*address).is_none_or(|entry| entry.protected || entry.fixed);
        (!is_kept).then(|| kin(*address))
    }));
    let place = |(address, value, entry): (SocketAddr, f64, &PeerEntry)| {
        let place = of_itself(book, address, entry, now_s).unwrap_or_else(|| {
            match crowd.is_full_for(kin(address)) {
                Some(full) => Place::Crowded(full),
                None if before < seats => Place::Next(before),
                None => Place::Outranked(before),
            }
        });
        let takes_a_seat = matches!(place, Place::Next(_) | Place::Outranked(_));
        before += usize::from(takes_a_seat || place == Place::Connected);
        if takes_a_seat {
            crowd.add(kin(address));
        }
        (address, value, place)
    };
    rows.into_iter().map(place).collect()
}

/// The place that follows from the entry alone, whatever the others are.
fn of_itself(book: &PeerBook, address: SocketAddr, entry: &PeerEntry, now_s: f64) -> Option<Place> {
    if entry.protected {
        return Some(Place::Protected);
    }
    if entry.fixed {
        return Some(Place::Fixed);
    }
    if let Some(since_s) = book.banned_since(address) {
        return Some(Place::Banned(since_s));
    }
    if book.connected.contains(&address) {
        return Some(Place::Connected);
    }
    if score::is_spent(entry) {
        return Some(Place::Spent);
    }
    let until_s = entry.waits_until(now_s)?;
    Some(if entry.failures_in_row >= BREAKER_FAILURES {
        Place::Broken { until_s }
    } else {
        Place::Waiting { until_s }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::{Ban, Netgroup, Source};
    use super::*;
    use crate::cold::atlas::Atlas;

    const NOW_S: f64 = 1_800_000_000.0;

    fn address(group: u8, last: u8) -> SocketAddr {
        SocketAddr::from(([203, group, 113, last], 9_333))
    }

    #[test]
    fn every_reason_is_told() {
        let mut book = PeerBook::default();
        let mut add = |at, score: f64, change: &dyn Fn(&mut PeerEntry)| {
            let mut entry = PeerEntry::new(Source::Discovered, NOW_S);
            entry.score = score;
            change(&mut entry);
            book.insert(at, entry);
        };
        add(address(0, 1), 999_999.0, &|it| it.protected = true);
        add(address(1, 1), 900.0, &|it| it.fixed = true);
        add(address(2, 1), 800.0, &|_| {});
        add(address(3, 1), 700.0, &|_| {});
        add(address(4, 1), 5.0, &|_| {});
        let waits = |failures: u32| {
            move |it: &mut PeerEntry| {
                (it.failures_in_row, it.next_try_s) = (failures, NOW_S + 60.0);
            }
        };
        add(address(5, 1), 500.0, &waits(3));
        add(address(6, 1), 500.0, &waits(2));
        for last in 1..=3 {
            add(address(7, last), 500.0 - f64::from(last), &|_| {});
        }
        add(address(8, 1), 60.0, &|_| {});
        book.connected.insert(address(2, 1));
        book.ban(Ban::place(address(3, 1)), 7.0);
        let kin = |address| Kin::of(address, &Atlas::default(), &[]);
        let places: HashMap<_, _> =
            places(&book, 3, NOW_S, kin).into_iter().map(|(at, _, place)| (at, place)).collect();
        let until_s = NOW_S + 60.0;
        for (at, expected) in [
            (address(0, 1), Place::Protected),
            (address(1, 1), Place::Fixed),
            (address(2, 1), Place::Connected),
            (address(3, 1), Place::Banned(7.0)),
            (address(4, 1), Place::Spent),
            (address(5, 1), Place::Broken { until_s }),
            (address(6, 1), Place::Waiting { until_s }),
            (address(7, 1), Place::Next(1)),
            (address(7, 2), Place::Next(2)),
            (address(7, 3), Place::Crowded(Full::Netgroup(Netgroup::V4([203, 7])))),
            (address(8, 1), Place::Outranked(3)),
        ] {
            assert_eq!(places[&at], expected, "{at}");
        }
    }
}
