//! Whom to dial next: a pure function of the database, the time and the dice.
//!
//! Other rules of choosing (measured lags, network groups) stand in here, beside [`candidates`].

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::backoff::{Backoff, Chance};
use crate::cold::score;
use crate::cold::store::{PeerBook, PeerEntry};

/// Candidates drawn for every seat that is to be filled, and at least.
const CANDIDATES_PER_SEAT: usize = 4;
const CANDIDATES_MIN: usize = 16;

/// Addresses to try for `seats` empty places, best first; those worth about the same in any
/// order, so that not everybody with the same database dials the same peer first.
pub(super) fn candidates(
    book: &PeerBook,
    seats: usize,
    now_s: f64,
    is_taken: impl Fn(SocketAddr) -> bool,
    chance: &mut Chance,
) -> VecDeque<SocketAddr> {
    if seats == 0 {
        return VecDeque::new();
    }
    let mut due: Vec<(f64, SocketAddr)> = book
        .iter()
        .filter(|(address, entry)| is_due(entry, now_s) && !is_taken(*address))
        .filter(|(address, _)| !book.is_banned(*address))
        .map(|(address, entry)| (score::rank_value(entry, now_s), address))
        .collect();
    let better = |a: &(f64, SocketAddr), b: &(f64, SocketAddr)| {
        b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1))
    };
    let wanted = seats.saturating_mul(CANDIDATES_PER_SEAT).max(CANDIDATES_MIN);
    if wanted < due.len() {
        due.select_nth_unstable_by(wanted, better);
        due.truncate(wanted);
    }
    due.sort_unstable_by(better);
    for equals in due.chunks_mut(seats) {
        chance.shuffle(equals);
    }
    due.into_iter().map(|(_, address)| address).collect()
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

    const NOW_S: f64 = 1_800_000_000.0;

    fn address(number: u16) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, 1], number))
    }

    fn book(count: u16) -> PeerBook {
        let mut book = PeerBook::default();
        for number in 1..=count {
            let mut entry = PeerEntry::new(Source::Discovered, NOW_S);
            entry.score = f64::from(number);
            book.insert(address(number), entry);
        }
        book
    }

    #[test]
    fn the_best_come_first_in_groups() {
        let book = book(1_000);
        let found = candidates(&book, 10, NOW_S, |_| false, &mut Chance::seeded(3));
        assert_eq!(found.len(), 40);
        for (index, group) in Vec::from(found).chunks(10).enumerate() {
            let low = 1_000 - 10 * (u16::try_from(index).unwrap() + 1);
            assert!(group.iter().all(|found| found.port() > low && found.port() <= low + 10));
        }
        assert!(candidates(&book, 0, NOW_S, |_| false, &mut Chance::seeded(3)).is_empty());
    }

    #[test]
    fn the_taken_and_the_put_off_are_left_out() {
        let mut book = book(20);
        let mut chance = Chance::seeded(4);
        let entry = book.get_mut(address(20)).unwrap();
        put_off(entry, "refused", NOW_S, ORDINARY, false, &mut chance);
        let next_try_s = entry.next_try_s;
        assert!(next_try_s > NOW_S && next_try_s <= NOW_S + 5.0);
        let ports = |now_s| {
            let found = candidates(&book, 1, now_s, |at| at == address(19), &mut Chance::seeded(4));
            found.iter().map(|found| found.port()).collect::<Vec<_>>()
        };
        assert_eq!(ports(NOW_S)[..2], [18, 17]);
        assert_eq!(ports(next_try_s)[..2], [20, 18]);
        assert_eq!(ports(NOW_S - 1e6)[..2], [20, 18], "the clock was put back");
    }

    #[test]
    fn what_lasts_is_put_off_longest() {
        let mut chance = Chance::seeded(5);
        let mut entry = PeerEntry::new(Source::Discovered, NOW_S);
        put_off(&mut entry, "wrong-network", NOW_S, ORDINARY, true, &mut chance);
        assert!(entry.next_try_s >= NOW_S + 1_800.0 && entry.next_try_s <= NOW_S + 3_600.0);
        assert_eq!((entry.last_failure.as_str(), entry.failures_in_row), ("wrong-network", 1));
    }
}
