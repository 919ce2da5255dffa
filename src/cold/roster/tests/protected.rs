//! The peers that must never be lost.

use super::*;

#[tokio::test]
async fn the_node_lost_is_critical_and_found_again() {
    let logs = Logs::capture();
    let reserved = Reserved::new();
    let node = FakePeer::start_at(&reserved, Manner::Polite);
    let mut bench = Bench::new(|settings| settings.node_p2p = Some(reserved.address()));
    bench.start();
    let adoption = bench.adopt(1).await.remove(0);
    bench.wait(|view| view.node_connected == Some(true)).await;
    assert_eq!(logs.count("CRITICAL"), 0);
    drop(node);
    bench.retire(adoption, Cause::Closed);
    bench.wait(|view| view.node_connected == Some(false)).await;
    assert_eq!(logs.count("CRITICAL: the connection to the local node"), 1);
    // It is away for a few tries, which say nothing more.
    bench.wait(|view| view.dials.failed >= 2).await;
    assert_eq!(logs.count("CRITICAL"), 1);
    let _node = FakePeer::start_at(&reserved, Manner::Polite);
    let adoption = bench.adopt(1).await.remove(0);
    let view = bench.wait(|view| view.node_connected == Some(true)).await;
    assert_eq!(logs.count("the local node is connected again"), 1);
    assert_eq!((view.peers[0].score, view.known), (999_999.0, 1), "never scored, never dropped");
    // Lost once more, while it is up: one more line, and back at once.
    bench.retire(adoption, Cause::Reset(104));
    bench.adopt(1).await;
    assert_eq!(logs.count("CRITICAL"), 2);
}

#[tokio::test]
async fn a_node_that_is_away_at_the_start_is_said_once() {
    let logs = Logs::capture();
    let reserved = Reserved::new();
    let mut bench = Bench::new(|settings| settings.node_p2p = Some(reserved.address()));
    bench.start();
    let view = bench.wait(|view| view.dials.failed >= 2).await;
    assert_eq!(view.node_connected, Some(false));
    assert_eq!(logs.count("CRITICAL: can't connect to the local node"), 1);
    let _node = FakePeer::start_at(&reserved, Manner::Polite);
    bench.adopt(1).await;
    bench.wait(|view| view.node_connected == Some(true)).await;
}

#[tokio::test]
async fn nothing_that_happens_to_the_node_costs_it_its_place() {
    let node = FakePeer::start(Manner::Serves(0)).await;
    let mut bench = Bench::new(|settings| settings.node_p2p = Some(node.address));
    bench.start();
    let mut adoption = bench.adopt(1).await.remove(0);
    let causes = [Cause::Stalled, Cause::BadMagic, Cause::Oversized(9), Cause::NotTaken];
    for cause in causes {
        for _ in 0..20 {
            bench.settled(adoption.peer, Outcome::Refused);
        }
        bench.retire(adoption, cause);
        adoption = bench.adopt(1).await.remove(0);
    }
    let view = bench.wait(|view| view.drops.len() == causes.len() && view.connected == 1).await;
    assert_eq!((view.peers[0].standing, view.peers[0].score), (Standing::Protected, 999_999.0));
    assert_eq!(view.peers[0].failed_broadcasts, 80);
}

#[tokio::test]
async fn a_fixed_peer_is_dialled_until_it_is_there_and_again() {
    let logs = Logs::capture();
    let reserved = Reserved::new();
    // No place is left for others: it counts in max and is kept all the same.
    let mut bench = Bench::new(|settings| {
        (settings.fixed, settings.max) = (vec![reserved.address()], 0);
    });
    bench.start();
    bench.wait(|view| view.dials.failed >= 2).await;
    let _peer = FakePeer::start_at(&reserved, Manner::Polite);
    let adoption = bench.adopt(1).await.remove(0);
    for _ in 0..10 {
        bench.settled(adoption.peer, Outcome::Stalled);
    }
    bench.retire(adoption, Cause::Stalled);
    bench.adopt(1).await;
    let view = bench.wait(|view| view.connected == 1 && view.drops.contains_key("stalled")).await;
    assert_eq!((view.peers[0].standing, view.known), (Standing::Fixed, 1));
    assert_eq!(logs.count("can't connect to fixed peer"), 1);
    assert_eq!(logs.count("CRITICAL"), 0);
}

#[tokio::test]
async fn a_stopping_shard_is_nobodys_loss() {
    let logs = Logs::capture();
    let node = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|settings| settings.node_p2p = Some(node.address));
    bench.start();
    let adoption = bench.adopt(1).await.remove(0);
    bench.retire(adoption, Cause::Stopping);
    bench.wait(|view| view.connected == 0 && view.drops.get("stopping") == Some(&1)).await;
    assert_eq!((logs.count("CRITICAL"), bench.slots.free()), (0, 0));
    bench.stop().await;
    assert!(bench.saved().get(node.address).is_some());
}
