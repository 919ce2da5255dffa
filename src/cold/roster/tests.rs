//! The roster against simulated peers, with the test in the place of the shard.

mod apart;
mod bench;
mod breaker;
mod changing;
mod choosing;
mod churn;
mod faults;
mod logs;
mod protected;
mod scouting;
mod waiting;

use std::collections::HashMap;

use super::*;
use crate::cold::dial::{FakePeer, Manner, Reserved, row};
use crate::cold::score::Standing;
use crate::cold::store::{PeerEntry, Source, Store, StoreSettings};
use crate::hot::link::{Cause, Order, Outcome};
use bench::{Bench, peer_info};
use logs::Logs;

#[tokio::test]
async fn fills_up_to_max_from_the_nodes_peers_the_node_first() {
    let node = FakePeer::start(Manner::Polite).await;
    let mut peers = Vec::new();
    for _ in 0..6 {
        peers.push(FakePeer::start(Manner::Polite).await);
    }
    let mut bench = Bench::new(|settings| {
        settings.node_p2p = Some(node.address);
        settings.fixed = vec![peers[0].address];
        settings.max = 4;
    });
    bench.told(peer_info(peers.iter().map(|peer| peer.address)));
    bench.start();
    let adopted = bench.adopt(4).await;
    assert!(adopted.windows(2).all(|pair| pair[0].slot != pair[1].slot));
    let view = bench.wait(|view| view.connected == 4).await;
    assert_eq!((view.node_connected, view.known, view.bootstrapped), (Some(true), 7, true));
    let standings: Vec<_> = view.peers.iter().map(|row| row.standing).collect();
    let ordinary = Standing::Ordinary;
    assert_eq!(standings, [Standing::Protected, Standing::Fixed, ordinary, ordinary]);
    assert_eq!(view.peers[0].label.address, node.address);
    assert!(view.peers[0].label.protected && view.peers[0].score == 999_999.0);
    assert_eq!((view.peers[2].source, view.peers[2].score), (Source::Node, 100.0));
    assert_eq!(view.dials.attempts, 4, "nobody was dialled in vain");
    for adoption in &adopted {
        assert_eq!((adoption.magic, adoption.peer.chain()), (row().magic, bench::CHAIN));
        let label = bench.directory.get(adoption.peer).unwrap();
        let seen = view.peers.iter().find(|row| row.peer == adoption.peer).unwrap();
        assert_eq!(label, seen.label);
        assert_eq!(adoption.rank, seen.rank);
    }
}

#[tokio::test]
async fn refresh_finds_peers_that_come_later() {
    let mut bench = Bench::new(|settings| settings.max = 3);
    let first = FakePeer::start(Manner::Polite).await;
    bench.told(peer_info([first.address]));
    bench.start();
    bench.adopt(1).await;
    let (second, third) =
        (FakePeer::start(Manner::Polite).await, FakePeer::start(Manner::Polite).await);
    bench.told(peer_info([first.address, second.address, third.address]));
    bench.adopt(2).await;
    bench.wait(|view| view.connected == 3).await;
}

#[tokio::test]
async fn an_address_is_one_peer_however_often_it_is_named() {
    let node = FakePeer::start(Manner::Polite).await;
    let other = FakePeer::start(Manner::Polite).await;
    let mapped = format!("[::ffff:127.0.0.1]:{}", other.address.port()).parse().unwrap();
    let mut bench = Bench::new(|settings| {
        settings.node_p2p = Some(node.address);
        settings.fixed = vec![node.address, other.address, mapped];
    });
    bench.told(peer_info([node.address, other.address, mapped, other.address]));
    bench.start();
    bench.adopt(2).await;
    let view = bench.wait(|view| view.connected == 2 && view.bootstrapped).await;
    assert_eq!((view.known, view.dials.attempts), (2, 2));
}

#[tokio::test]
async fn outcomes_become_scores_ranks_and_a_saved_file() {
    let (good, bad) =
        (FakePeer::start(Manner::Polite).await, FakePeer::start(Manner::Polite).await);
    let mut bench = Bench::new(|_| {});
    bench.told(peer_info([good.address, bad.address]));
    bench.start();
    let adopted = bench.adopt(2).await;
    let peer_of = |address| {
        let by_address = |it: &&crate::hot::link::Adoption| {
            bench.directory.get(it.peer).unwrap().address == address
        };
        adopted.iter().find(by_address).unwrap().peer
    };
    let (good_peer, bad_peer) = (peer_of(good.address), peer_of(bad.address));
    for outcome in [Outcome::Handled, Outcome::AlreadyHad, Outcome::Abandoned] {
        bench.settled(good_peer, outcome);
    }
    bench.settled(bad_peer, Outcome::Unanswered);
    bench.handle().report(Report::RoundTrip { peer: good_peer, round_trip_us: 12_000 });
    let view = bench.wait(|view| view.peers.iter().any(|row| row.score == 80.0)).await;
    let row_of = |peer| view.peers.iter().find(|row| row.peer == peer).unwrap();
    assert_eq!((row_of(good_peer).score, row_of(good_peer).successful_broadcasts), (120.0, 2));
    assert_eq!((row_of(bad_peer).score, row_of(bad_peer).failed_broadcasts), (80.0, 1));
    let mut ranks = HashMap::new();
    while ranks.len() < 2 {
        if let Order::Sight { peer, rank, .. } = bench.order().await {
            ranks.insert(peer, rank);
        }
    }
    assert!(ranks[&good_peer] < ranks[&bad_peer]);
    bench.wait(|view| view.peers[0].round_trip_us == Some(12_000)).await;
    bench.stop().await;
    let saved = bench.saved();
    let entry = saved.get(good.address).unwrap();
    assert_eq!((entry.score, entry.ping_ms, entry.delivery_ms), (120.0, Some(12.0), Some(1.0)));
    assert_eq!(saved.get(bad.address).unwrap().failed_broadcasts, 1);
}

#[tokio::test]
async fn a_restart_finds_its_peers_without_a_node() {
    let peer = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|_| {});
    bench.told(peer_info([peer.address]));
    bench.start();
    bench.adopt(1).await;
    bench.stop().await;
    bench.told(Err("down".into()));
    bench.start();
    bench.adopt(1).await;
    let view = bench.wait(|view| view.connected == 1).await;
    assert_eq!((view.known, view.peers[0].source), (1, Source::Node));
}

#[tokio::test]
async fn a_broadcast_is_saved_without_being_asked() {
    let peer = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|_| {});
    bench.told(peer_info([peer.address]));
    bench.start();
    let adopted = bench.adopt(1).await;
    bench.settled(adopted[0].peer, Outcome::Handled);
    // The file is watched by what it says: it is replaced whole each time.
    let is_saved =
        || bench.saved().get(peer.address).is_some_and(|it| it.successful_broadcasts > 0);
    bench.until(is_saved).await;
}

#[tokio::test]
async fn a_spent_peer_gives_its_place_to_another_and_leaves_the_database() {
    let mut bench = Bench::new(|settings| (settings.max, settings.min) = (2, 1));
    let (spent, other) =
        (FakePeer::start(Manner::Polite).await, FakePeer::start(Manner::Polite).await);
    bench.told(peer_info([spent.address, other.address]));
    bench.start();
    let adopted = bench.adopt(2).await;
    let is_spent = |it: &crate::hot::link::Adoption| {
        bench.directory.get(it.peer).unwrap().address == spent.address
    };
    let adoption = adopted.into_iter().find(is_spent).unwrap();
    let third = FakePeer::start(Manner::Polite).await;
    bench.told(peer_info([other.address, third.address]));
    for _ in 0..5 {
        bench.settled(adoption.peer, Outcome::Refused);
    }
    let retired = loop {
        if let Order::Retire { peer, slot } = bench.order().await {
            break (peer, slot);
        }
    };
    assert_eq!(retired, (adoption.peer, adoption.slot));
    bench.retire(adoption, Cause::Asked);
    let next = bench.adopt(1).await;
    assert_eq!(bench.directory.get(next[0].peer).unwrap().address, third.address);
    bench.stop().await;
    assert!(bench.saved().get(spent.address).is_none());
}
