//! Bad peers, a node that doesn't answer, disks that refuse.

use std::fs;

use super::*;
use crate::hot::link::{Adoption, Flood};
use crate::wire::frame::frame;

#[tokio::test]
async fn bad_peers_are_counted_and_keep_nobody_waiting() {
    let mut manners = vec![
        Manner::Silent,
        Manner::Closes,
        Manner::Mirror,
        Manner::Serves(0),
        Manner::Says(b"220 mail.example.org ESMTP\r\n".to_vec()),
    ];
    let other = crate::wire::chain::all().find(|other| other.magic != row().magic).unwrap();
    manners.push(Manner::Says(frame(other.magic, "version", &[0; 90])));
    manners.push(Manner::Slow);
    manners.push(Manner::Polite);
    let mut peers = Vec::new();
    for manner in manners {
        peers.push(FakePeer::start(manner).await);
    }
    let mut bench = Bench::new(|settings| settings.max = 8);
    bench.told(peer_info(peers.iter().map(|peer| peer.address)));
    bench.start();
    bench.adopt(2).await;
    let words = ["closed-early", "self", "no-blocks-served", "garbage", "wrong-network"];
    let view = bench.wait(|view| words.iter().all(|word| view.drops.contains_key(word))).await;
    assert_eq!((view.connected, view.dials.succeeded), (2, 2));
    // The silent one is still being waited for: stopping doesn't.
    bench.stop().await;
    let saved = bench.saved();
    assert_eq!(saved.get(peers[4].address).unwrap().last_failure, "garbage");
    assert!(saved.get(peers[4].address).unwrap().next_try_s > keeper::epoch_s() + 60.0);
}

#[tokio::test]
async fn a_peer_that_broke_off_in_a_block_is_dialled_again_at_once() {
    let peer = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|_| {});
    bench.told(peer_info([peer.address]));
    bench.start();
    let first = bench.adopt(1).await.remove(0);
    let (name, slot) = (first.peer, first.slot);
    bench.settled(first.peer, Outcome::Reset);
    bench.retire(first, Cause::Reset(104));
    let again = bench.adopt(1).await.remove(0);
    assert_ne!(again.peer, name);
    assert_eq!(again.slot, slot, "its place was given back");
    assert!(bench.directory.get(name).is_some(), "the block's rows still need its label");
    let view = bench.wait(|view| view.connected == 1).await;
    assert_eq!((view.peers[0].score, view.drops["reset"]), (80.0, 1));
}

#[tokio::test]
async fn an_ordinary_peer_that_closes_is_left_alone_for_a_while() {
    let peer = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|_| {});
    bench.told(peer_info([peer.address]));
    bench.start();
    let adoption = bench.adopt(1).await.remove(0);
    bench.retire(adoption, Cause::Closed);
    bench.wait(|view| view.drops.contains_key("closed")).await;
    bench.stop().await;
    let saved = bench.saved();
    let entry = saved.get(peer.address).unwrap();
    assert!(entry.next_try_s > entry.last_failure_s && entry.failures_in_row == 1);
}

#[tokio::test]
async fn a_peer_that_floods_us_is_left_alone_for_long() {
    let logs = Logs::capture();
    let peer = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|_| {});
    bench.told(peer_info([peer.address]));
    bench.start();
    let adoption = bench.adopt(1).await.remove(0);
    bench.retire(adoption, Cause::Flood(Flood::Messages));
    let view = bench.wait(|view| view.drops.contains_key("flood")).await;
    assert_eq!((view.connected, logs.count("too many messages")), (0, 1));
    bench.stop().await;
    let entry = bench.saved().get(peer.address).cloned().unwrap();
    assert!(entry.next_try_s > keeper::epoch_s() + 1_000.0 && entry.last_failure == "flood");
}

#[tokio::test]
async fn a_node_that_cannot_be_asked_is_said_once_and_asked_again() {
    let logs = Logs::capture();
    let peer = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|_| {});
    bench.told(Err("connection refused".into()));
    bench.start();
    bench.wait(|view| view.is_loaded && !view.bootstrapped).await;
    let said = "can't ask the local node for its peers (connection refused)";
    bench.until(|| logs.count(said) > 0).await;
    bench.told(peer_info([peer.address]));
    bench.adopt(1).await;
    bench.wait(|view| view.bootstrapped).await;
    assert_eq!(logs.count("can't ask the local node"), 1);
    assert_eq!(logs.count("the local node named 1 usable peers"), 1);
}

#[tokio::test]
async fn when_all_places_are_taken_nobody_is_dialled_for_nothing() {
    let mut bench = Bench::new(|settings| settings.max = 3);
    bench.slots = Arc::new(SlotTable::with_places(vec![Arc::clone(&bench.link)], 2));
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(FakePeer::start(Manner::Polite).await);
    }
    bench.told(peer_info(peers.iter().map(|peer| peer.address)));
    bench.start();
    let mut adopted = bench.adopt(2).await;
    let view = bench.wait(|view| view.connected == 2).await;
    assert_eq!(view.dials.attempts, 2);
    bench.retire(adopted.remove(0), Cause::Closed);
    bench.adopt(1).await;
    assert!(bench.wait(|view| view.connected == 2 && view.dials.attempts == 3).await.known == 3);
}

#[tokio::test]
async fn a_socket_comes_home_and_is_closed_even_when_reports_are_dropped() {
    let peer = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|_| {});
    bench.told(peer_info([peer.address]));
    bench.start();
    let adoption = bench.adopt(1).await.remove(0);
    // Nothing is awaited in between: the roster can't keep up.
    for _ in 0..2 * REPORTS_MAX {
        bench.settled(adoption.peer, Outcome::AlreadyHad);
    }
    bench.retire(adoption, Cause::Closed);
    let view = bench.wait(|view| view.drops.contains_key("closed")).await;
    assert_eq!((view.connected, view.reports_dropped), (0, u64::from(REPORTS_MAX)));
    assert_eq!(bench.slots.free(), 16);
}

#[tokio::test]
async fn a_disk_that_refuses_is_one_line_and_nothing_more() {
    let logs = Logs::capture();
    let peer = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|_| {});
    // The name that is written first is taken by a folder.
    let in_the_way = bench.folder().join("peers.json.new");
    fs::create_dir(&in_the_way).unwrap();
    bench.told(peer_info([peer.address]));
    bench.start();
    let adoption: Vec<Adoption> = bench.adopt(1).await;
    bench.settled(adoption[0].peer, Outcome::Handled);
    bench.until(|| logs.count("can't write the peer database") > 0).await;
    fs::remove_dir(&in_the_way).unwrap();
    bench.stop().await;
    assert_eq!(logs.count("can't write the peer database"), 1);
    assert_eq!(logs.count("the peer database is saved again"), 1);
    assert!(bench.saved().get(peer.address).is_some());
}

#[tokio::test]
async fn a_damaged_database_is_said_and_put_aside() {
    let logs = Logs::capture();
    let mut bench = Bench::new(|_| {});
    let mut good = crate::cold::store::PeerBook::default();
    let peer = FakePeer::start(Manner::Polite).await;
    let mut entry = PeerEntry::new(Source::Discovered, keeper::epoch_s());
    entry.outbound = true;
    good.insert(peer.address, entry);
    let store = Store::new(bench.store_settings());
    store.save(&good, 1.0).unwrap();
    store.save(&good, 2.0).unwrap();
    fs::write(bench.store_settings().path, b"{\"peers\": {\"127.0").unwrap();
    bench.start();
    bench.adopt(1).await;
    assert_eq!((logs.count("is damaged"), logs.count("last good database")), (1, 1));
    let names = fs::read_dir(bench.folder()).unwrap().map(|file| file.unwrap().file_name());
    assert!(names.into_iter().any(|name| name.to_string_lossy().contains(".damaged-")));
}
