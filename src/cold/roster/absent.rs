//! Who should be connected and is not: what a view tells of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::keeper::Keeper;
use super::kept::Kept;
use super::view::AbsentPeer;
use crate::cold::score::Standing;
use crate::cold::store::{PeerBook, Source};
use crate::limits::{ABSENT_SHOWN_MAX, MISSED_REMEMBERED_MAX};

/// Ordinary addresses that were lost or could not be reached lately, and the word for it. Bounded by
/// [`MISSED_REMEMBERED_MAX`]: beyond, the oldest goes.
#[derive(Debug, Default)]
pub(super) struct Missed(HashMap<SocketAddr, (Instant, &'static str)>);

impl Missed {
    /// `address` was lost, or could not be reached.
    pub(super) fn note(&mut self, address: SocketAddr, word: &'static str, now: Instant) {
        if self.0.len() >= MISSED_REMEMBERED_MAX && !self.0.contains_key(&address) {
            let oldest = self.0.iter().min_by_key(|(address, (at, _))| (*at, **address));
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(address, (now, word));
    }

    /// `address` is connected, or of no interest any more.
    pub(super) fn forget(&mut self, address: SocketAddr) {
        self.0.remove(&address);
    }

    /// Keeps those that are still put off, or being dialled.
    pub(super) fn prune(
        &mut self,
        book: &PeerBook,
        now_s: f64,
        is_dialled: impl Fn(SocketAddr) -> bool,
    ) {
        self.0.retain(|address, _| {
            let is_put_off = book.get(*address).is_some_and(|entry| entry.next_try_s > now_s);
            is_put_off || is_dialled(*address)
        });
    }
}

impl Keeper {
    /// Peers that are waited for, those with the best standing and score first.
    pub(super) fn absent(&self, now: Instant, now_s: f64) -> Vec<AbsentPeer> {
        let away = |address: SocketAddr| !self.connections.has(address);
        let kept = self.kept.iter().filter(|it| away(it.address) && !self.is_own(it));
        let kept = kept.map(|it| self.absent_kept(it, now));
        let missed = self.missed.0.iter().filter(|(address, _)| away(**address));
        let missed = missed.filter_map(|(address, (_, word))| self.missed(*address, word, now_s));
        let mut absent: Vec<AbsentPeer> = kept.chain(missed).collect();
        absent.sort_unstable_by(|a, b| {
            let by_score = || b.score.total_cmp(&a.score).then(a.address.cmp(&b.address));
            a.standing.cmp(&b.standing).then_with(by_score)
        });
        absent.truncate(ABSENT_SHOWN_MAX);
        absent
    }

    fn absent_kept(&self, kept: &Kept, now: Instant) -> AbsentPeer {
        AbsentPeer {
            standing: kept.standing,
            failures: kept.failures,
            next_try_in: kept.next_try.saturating_duration_since(now),
            wait: kept.wait,
            last_failure: kept.last_failure,
            ..self.absent_as_known(kept.address)
        }
    }

    /// `None`: nobody waits for it now.
    fn missed(&self, address: SocketAddr, word: &'static str, now_s: f64) -> Option<AbsentPeer> {
        let entry = self.book.get(address)?;
        let left_s = (entry.next_try_s - now_s).max(0.0);
        let is_ordinary = self.kept.standing(address) == Standing::Ordinary;
        let known = self.absent_as_known(address);
        let is_waited_for = is_ordinary && !self.book.is_banned(address);
        (is_waited_for && (left_s > 0.0 || known.is_dialled)).then(|| AbsentPeer {
            failures: entry.failures_in_row,
            next_try_in: seconds(left_s),
            wait: seconds(entry.next_try_s - entry.last_failure_s),
            last_failure: Some(word),
            ..known
        })
    }

    /// What the database knows of it.
    fn absent_as_known(&self, address: SocketAddr) -> AbsentPeer {
        let entry = self.book.get(address);
        AbsentPeer {
            address,
            standing: Standing::Ordinary,
            source: entry.map_or(Source::Discovered, |entry| entry.source),
            score: entry.map_or(0.0, |entry| entry.score),
            is_dialled: self.dialling.contains_key(&address),
            failures: 0,
            next_try_in: Duration::ZERO,
            wait: Duration::ZERO,
            last_failure: None,
            successful_broadcasts: entry.map_or(0, |entry| entry.successful_broadcasts),
            failed_broadcasts: entry.map_or(0, |entry| entry.failed_broadcasts),
            seen_s: entry.map_or((0.0, 0.0), |entry| (entry.first_seen_s, entry.last_seen_s)),
        }
    }
}

/// Epoch times come from files: whatever they say, this is a time.
fn seconds(of: f64) -> Duration {
    Duration::try_from_secs_f64(of.max(0.0)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cold::store::PeerEntry;

    fn at(number: usize) -> SocketAddr {
        SocketAddr::from(([20, (number / 256) as u8, number as u8, 1], 9_333))
    }

    #[test]
    fn only_so_many_are_remembered_and_the_oldest_goes() {
        let (mut missed, start) = (Missed::default(), Instant::now());
        for number in 0..3 * MISSED_REMEMBERED_MAX {
            let now = start + Duration::from_millis(number as u64);
            missed.note(at(number), "refused", now);
            missed.note(at(number), "timeout", now);
            assert!(missed.0.len() <= MISSED_REMEMBERED_MAX);
        }
        assert!(missed.0.contains_key(&at(3 * MISSED_REMEMBERED_MAX - 1)));
        assert!(!missed.0.contains_key(&at(2 * MISSED_REMEMBERED_MAX - 1)));
        let mut book = PeerBook::default();
        let mut entry = PeerEntry::new(Source::Node, 1.0);
        entry.next_try_s = 10.0;
        let last = at(3 * MISSED_REMEMBERED_MAX - 1);
        assert!(book.insert(last, entry));
        missed.prune(&book, 9.0, |_| false);
        assert_eq!(missed.0.keys().collect::<Vec<_>>(), [&last]);
        missed.prune(&book, 10.0, |_| false);
        assert!(missed.0.is_empty());
    }

    #[test]
    fn times_from_a_damaged_file_are_times() {
        for (said_s, expected) in [(f64::NAN, 0), (-1.0, 0), (1e300, 0), (3.0, 3)] {
            assert_eq!(seconds(said_s), Duration::from_secs(expected), "{said_s}");
        }
    }
}
