//! One circuit breaker per address, and how many are dialled at a time.

use super::backoff::{Chance, ORDINARY};
use super::*;
use crate::cold::diversity::Kin;
use crate::cold::score::SCORE_MAX;
use crate::cold::store::PeerBook;
use crate::cold::store::places::{Place, places};
use crate::limits::{BREAKER_FAILURES, DIALS_MAX, PEER_RETRY_MAX_MS, PEER_RETRY_MIN_MS};

const NOW_S: f64 = 1_800_000_000.0;

/// Where an address with this entry stands at `now_s`, alone in a book.
fn place(entry: &PeerEntry, now_s: f64) -> Place {
    let mut book = PeerBook::default();
    book.insert("203.0.113.7:9333".parse().unwrap(), entry.clone());
    places(&book, 5, now_s, |_| Kin::default())[0].2
}

#[test]
fn it_opens_after_three_failures_doubles_and_lets_one_try_through() {
    let mut chance = Chance::seeded(11);
    let mut entry = PeerEntry::new(Source::Node, NOW_S);
    entry.score = SCORE_MAX;
    let (first_s, most_s) = (PEER_RETRY_MIN_MS as f64 / 1e3, PEER_RETRY_MAX_MS as f64 / 1e3);
    let mut now_s = NOW_S;
    for failure in 1..=40 {
        assert!(choose::is_due(&entry, now_s), "half-open: one try is let through");
        choose::put_off(&mut entry, "refused", now_s, ORDINARY, false, &mut chance);
        let wait_s = entry.next_try_s - now_s;
        let whole_s = (first_s * 2f64.powi(failure - 1)).min(most_s);
        assert!(wait_s >= whole_s / 2.0 && wait_s <= whole_s, "failure {failure}: {wait_s}");
        let is_open = failure.unsigned_abs() >= BREAKER_FAILURES;
        match place(&entry, now_s) {
            Place::Broken { .. } if is_open => {}
            Place::Waiting { .. } if !is_open => {}
            other => panic!("failure {failure}: {other:?}"),
        }
        assert!(!choose::is_due(&entry, now_s + wait_s - 0.001), "it is left alone meanwhile");
        now_s = entry.next_try_s;
        assert!(matches!(place(&entry, now_s), Place::Next(0)), "half-open");
    }
    assert_eq!(entry.failures_in_row, 40);
}

/// Waits of many addresses that fail together are spread over half of the time.
#[test]
fn those_lost_together_do_not_come_back_together() {
    let mut chance = Chance::seeded(12);
    let mut tries: Vec<f64> = (0..100)
        .map(|_| {
            let mut entry = PeerEntry::new(Source::Node, NOW_S);
            choose::put_off(&mut entry, "refused", NOW_S, ORDINARY, true, &mut chance);
            entry.next_try_s - NOW_S
        })
        .collect();
    tries.sort_by(f64::total_cmp);
    assert!(tries[99] - tries[0] > 0.4 * PEER_RETRY_MAX_MS as f64 / 1e3, "{tries:?}");
}

#[tokio::test]
async fn so_many_are_dialled_at_a_time_and_no_more() {
    let silent = FakePeer::start(Manner::Silent).await;
    let many = 3 * DIALS_MAX as u16;
    let mut peers = vec![silent];
    for _ in 1..many {
        peers.push(FakePeer::start(Manner::Silent).await);
    }
    let mut bench = Bench::new(|settings| settings.max = 100);
    bench.slots = Arc::new(SlotTable::with_places(vec![Arc::clone(&bench.link)], 200));
    bench.told(peer_info(peers.iter().map(|peer| peer.address)));
    bench.start();
    let full = u64::from(DIALS_MAX);
    bench.wait(|view| view.dials.attempts >= full && view.bootstrapped).await;
    // Some rounds of looking for empty places later it is still as many.
    for _ in 0..5 {
        let mut view = bench.handle().view.clone();
        view.mark_unchanged();
        view.changed().await.unwrap();
    }
    assert_eq!(
        bench.handle().view.borrow().dials,
        DialCounts { attempts: full, ..DialCounts::default() }
    );
}

/// While somebody is connected, so that it can't be our own network that is away.
#[tokio::test]
async fn a_dial_that_fails_costs_score() {
    let (polite, rude) =
        (FakePeer::start(Manner::Polite).await, FakePeer::start(Manner::Closes).await);
    let mut bench = Bench::new(|_| {});
    bench.told(peer_info([polite.address]));
    bench.start();
    bench.adopt(1).await;
    bench.wait(|view| view.connected == 1).await;
    bench.told(peer_info([polite.address, rude.address]));
    bench.wait(|view| view.drops.contains_key("closed-early")).await;
    bench.stop().await;
    assert_eq!(bench.saved().get(rude.address).unwrap().score, 80.0);
}
