//! What the view tells of peers that are waited for, and of what changed.

use std::time::Duration;

use super::*;
use crate::limits::{ABSENT_SHOWN_MAX, CHANGES_SHOWN_MAX};

/// The changes of one address, oldest first.
fn changes_of(view: &RosterView, address: SocketAddr) -> Vec<PlaceChange> {
    let of = view.changes.iter().rev().filter(|it| it.address == address);
    of.map(|it| it.change).collect()
}

fn absent(view: &RosterView, address: SocketAddr) -> Option<&AbsentPeer> {
    view.absent.iter().find(|it| it.address == address)
}

#[tokio::test]
async fn kept_peers_that_are_away_are_waited_for_the_node_first() {
    let (node, fixed) = (Reserved::new(), Reserved::new());
    let other = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|settings| {
        settings.node_p2p = Some(node.address());
        settings.fixed = vec![fixed.address(), other.address];
    });
    bench.start();
    bench.adopt(1).await;
    let view = bench
        .wait(|view| view.absent.len() == 2 && view.absent.iter().all(|it| it.failures >= 2))
        .await;
    let standings: Vec<_> = view.absent.iter().map(|it| (it.address, it.standing)).collect();
    assert_eq!(
        standings,
        [(node.address(), Standing::Protected), (fixed.address(), Standing::Fixed)]
    );
    for peer in &view.absent {
        assert_eq!(peer.last_failure, Some("refused"));
        assert!(peer.next_try_in <= peer.wait && peer.wait > Duration::ZERO, "{peer:?}");
    }
    assert_eq!((view.absent[0].score, view.absent[0].source), (999_999.0, Source::LocalNode));
    assert!(view.dials.refused >= 4 && view.dials.refused == view.dials.failed);
    assert_eq!((view.dials.timeouts, view.dials.other()), (0, 0));
    let _node = FakePeer::start_at(&node, Manner::Polite);
    bench.adopt(1).await;
    let view = bench.wait(|view| view.absent.len() == 1 && view.connected == 2).await;
    assert_eq!(changes_of(&view, node.address()), [PlaceChange::Joined]);
    assert_eq!(view.absent[0].address, fixed.address());
}

#[tokio::test]
async fn a_lost_peer_is_waited_for_with_the_reason() {
    let mut bench = Bench::new(|_| {});
    let (lost, dead) = (FakePeer::start(Manner::Polite).await, Reserved::new());
    bench.told(peer_info([lost.address, dead.address()]));
    bench.start();
    let adoption = bench.adopt(1).await.remove(0);
    bench.settled(adoption.peer, Outcome::Handled);
    bench.retire(adoption, Cause::Closed);
    let is_told = |view: &RosterView| view.absent.len() == 2 && view.connected == 0;
    let view = bench.wait(is_told).await;
    let peer = absent(&view, lost.address).unwrap();
    assert_eq!((peer.standing, peer.source), (Standing::Ordinary, Source::Node));
    assert_eq!((peer.last_failure, peer.failures), (Some(Cause::Closed.word()), 1));
    assert_eq!((peer.score, peer.successful_broadcasts, peer.failed_broadcasts), (110.0, 1, 0));
    assert!(peer.wait >= Duration::from_millis(2_500) && peer.next_try_in <= peer.wait);
    assert!(peer.next_try_in_at(view.as_of_s, view.as_of_s + 3_600.0).is_zero());
    assert!(peer.seen_s.0 > 0.0 && peer.seen_s.1 >= peer.seen_s.0 && !peer.is_dialled);
    assert_eq!(absent(&view, dead.address()).unwrap().last_failure, Some("refused"));
    assert_eq!(view.absent[0].address, lost.address, "the better score first");
    let left = PlaceChange::Left(Cause::Closed.word());
    assert_eq!(changes_of(&view, lost.address), [PlaceChange::Joined, left]);
    assert!(view.changes[0].at_s >= view.changes[1].at_s);
    assert_eq!((view.node_asked.0 > 0, view.node_asked.1.is_some()), (true, true));
    let view = bench.wait(|view| !view.sources.is_empty()).await;
    assert_eq!(view.sources, [("node", 2)].into());
}

#[tokio::test]
async fn a_peer_that_is_dialled_is_told_of_as_such() {
    let silent = FakePeer::start(Manner::Silent).await;
    let mut bench = Bench::new(|settings| settings.fixed = vec![silent.address]);
    bench.start();
    let view = bench.wait(|view| view.absent.iter().any(|it| it.is_dialled)).await;
    assert_eq!((view.absent[0].failures, view.absent[0].last_failure), (0, None));
}

#[tokio::test]
async fn whom_we_let_go_is_not_waited_for_and_leaves_for_our_reason() {
    let first = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|settings| settings.max = 1);
    bench.told(peer_info([first.address]));
    bench.start();
    let adoption = bench.adopt(1).await.remove(0);
    bench.handle().change(Changeable {
        fixed: Vec::new(),
        max: 0,
        min: 0,
        refresh: Duration::from_millis(50),
    });
    while !matches!(bench.order().await, Order::Retire { .. }) {}
    bench.retire(adoption, Cause::Asked);
    let view = bench.wait(|view| view.connected == 0).await;
    let left = PlaceChange::Left("surplus");
    assert_eq!(changes_of(&view, first.address), [PlaceChange::Joined, left]);
    assert!(view.absent.is_empty());
}

/// Goal: a long list of dead addresses makes neither a long list nor a full memory.
#[tokio::test]
async fn what_is_shown_is_bounded() {
    let dead: Vec<Reserved> = (0..2 * ABSENT_SHOWN_MAX).map(|_| Reserved::new()).collect();
    let mut bench = Bench::new(|settings| {
        settings.fixed = dead.iter().take(ABSENT_SHOWN_MAX / 2).map(Reserved::address).collect();
        settings.max = 1_000;
    });
    bench.told(peer_info(dead.iter().map(Reserved::address)));
    bench.start();
    let all = dead.len() as u64;
    let view = bench.wait(|view| view.dials.failed >= all).await;
    assert_eq!(view.absent.len(), ABSENT_SHOWN_MAX);
    let kept = view.absent.iter().filter(|it| it.standing == Standing::Fixed).count();
    assert_eq!(kept, ABSENT_SHOWN_MAX / 2);
    assert!(view.absent.is_sorted_by_key(|it| it.standing));
    assert!(view.changes.len() <= CHANGES_SHOWN_MAX);
}
