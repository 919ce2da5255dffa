//! Who is chosen, served first and replaced, with simulated peers.

use super::*;
use crate::cold::cover::ChosenBy;
use crate::cold::store::PeerBook;
use crate::hot::link::{Adoption, ImageId};
use crate::sys::clock::now_ns;

async fn fakes(count: usize) -> Vec<FakePeer> {
    let mut peers = Vec::new();
    for _ in 0..count {
        peers.push(FakePeer::start(Manner::Polite).await);
    }
    peers
}

/// The last of `adopted` announces all blocks first. `is_vouched`: the node has them too.
fn announce(bench: &Bench, adopted: &[Adoption], is_vouched: bool) {
    for block in 0..20_u8 {
        for (place, adoption) in adopted.iter().enumerate() {
            let hash = [block + 1; 32];
            let lag_ms = (adopted.len() - 1 - place) as u64 * 50;
            let at_ns = now_ns() + u64::from(block) * 1_000_000_000 + lag_ms * 1_000_000;
            bench.handle().report(Report::Announced { peer: adoption.peer, hash, at_ns });
        }
        if is_vouched {
            bench.handle().vouch(BlockHash([block + 1; 32]));
        }
    }
}

#[tokio::test]
async fn who_hears_blocks_early_is_served_first() {
    for (selection, is_by_rule) in [(Selection::Measured, true), (Selection::Seed, false)] {
        let peers = fakes(6).await;
        let mut bench = Bench::new(|settings| settings.selection = selection);
        bench.told(peer_info(peers.iter().map(|peer| peer.address)));
        bench.start();
        let adopted = bench.adopt(6).await;
        announce(&bench, &adopted, true);
        let last = adopted[5].peer;
        let view = bench
            .wait(|view| {
                let mut seats: Vec<_> = view.peers.iter().map(|row| row.seat.0).collect();
                // Equal scores are equal ranks: a tie has no order to be seen.
                seats.sort_unstable();
                view.is_by_rule == is_by_rule
                    && view.blocks_watched == 20
                    && seats == [0, 1, 2, 3, 4, 5]
            })
            .await;
        let by: Vec<_> = view.peers.iter().map(|row| row.seat.1).collect();
        if is_by_rule {
            // Nobody counts as much earlier than the third: the last two are as early as can be.
            let early = [adopted[4].peer, last];
            assert!(early.contains(&view.peers[0].peer), "{:?}", view.peers[0]);
            assert_eq!((by[0], by[4]), (ChosenBy::Cover, ChosenBy::Lot));
            let is_told = async {
                while !matches!(bench.order().await, Order::Sight { peer, .. } if peer == last) {}
            };
            is_told.await;
        } else {
            assert!(by.iter().all(|by| *by == ChosenBy::Score));
        }
        assert_eq!(view.peers_watched, 6);
    }
}

/// The bench has a node: what that does not have counts for nothing; nor do blocks of our own.
#[tokio::test]
async fn blocks_that_nobody_vouches_for_change_nothing() {
    let peers = fakes(4).await;
    let mut bench = Bench::new(|_| {});
    bench.told(peer_info(peers.iter().map(|peer| peer.address)));
    bench.start();
    let adopted = bench.adopt(4).await;
    (0..20_u8).for_each(|block| bench.handle().note_own(BlockHash([block + 1; 32])));
    announce(&bench, &adopted, true);
    for adoption in &adopted {
        let (peer, hash, at_ns) = (adoption.peer, [99; 32], now_ns());
        bench.handle().report(Report::Announced { peer, hash, at_ns });
    }
    let view = bench.wait(|view| view.peers.iter().all(|row| row.announced == 21)).await;
    assert_eq!((view.blocks_watched, view.is_by_rule), (0, false));
    bench.handle().vouch(BlockHash([99; 32]));
    bench.wait(|view| view.blocks_watched == 1).await;
}

#[tokio::test]
async fn the_worst_is_replaced_once_no_block_is_under_way() {
    let mut peers = fakes(2).await;
    let mut bench = Bench::new(|settings| (settings.max, settings.min) = (2, 2));
    bench.told(peer_info(peers.iter().map(|peer| peer.address)));
    bench.start();
    let mut adopted = bench.adopt(2).await;
    let worst = adopted.remove(0);
    (0..2).for_each(|_| bench.settled(worst.peer, Outcome::Refused));
    bench.handle().note_offered(ImageId(1), 0);
    peers.extend(fakes(1).await);
    let mut book = PeerBook::default();
    let mut better = PeerEntry::new(Source::Operator, keeper::epoch_s());
    better.score = 500.0;
    book.insert(peers[2].address, better);
    let edit = crate::cold::store::Edit { book, unbanned: Vec::new() };
    Store::leave(&bench.store_settings(), &edit, keeper::epoch_s()).unwrap();
    let view = bench.wait(|view| view.known == 3).await;
    assert!(view.connected == 2 && !view.drops.contains_key("rotated-out"));
    bench.handle().note_finished(ImageId(1), 0);
    let (mut has_come, mut has_gone) = (false, false);
    while !(has_come && has_gone) {
        match bench.order().await {
            Order::Adopt(adoption) => {
                let label = bench.directory.get(adoption.peer).unwrap();
                assert_eq!(label.address, peers[2].address);
                has_come = true;
            }
            Order::Retire { peer, .. } => {
                assert_eq!(peer, worst.peer, "the better one stays");
                has_gone = true;
            }
            _ => {}
        }
    }
    let out = bench.directory.get(worst.peer).unwrap().address;
    bench.retire(worst, Cause::Asked);
    let view = bench.wait(|view| view.connected == 2 && view.drops.contains_key("asked")).await;
    assert_eq!((view.drops["rotated-out"], view.dials.attempts), (1, 3));
    bench.stop().await;
    let saved = bench.saved();
    let entry = saved.get(out).unwrap();
    assert_eq!((entry.failures_in_row, entry.next_try_s), (0, 0.0), "no fault of its own");
}

#[tokio::test]
async fn anchors_are_dialled_first_after_a_start() {
    let peers = fakes(3).await;
    let mut bench = Bench::new(|settings| settings.max = 1);
    let mut book = PeerBook::default();
    for (peer, score) in peers.iter().zip([900.0, 800.0, 20.0]) {
        let mut entry = PeerEntry::new(Source::Operator, keeper::epoch_s());
        entry.score = score;
        book.insert(peer.address, entry);
    }
    book.anchors = vec![peers[2].address];
    Store::new(bench.store_settings()).save(&book, 1.0).unwrap();
    bench.start();
    let adopted = bench.adopt(1).await;
    assert_eq!(bench.directory.get(adopted[0].peer).unwrap().address, peers[2].address);
}
