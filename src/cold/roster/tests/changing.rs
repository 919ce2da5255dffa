//! What the operator changes while the roster runs.

use super::*;

fn to(fixed: &[&FakePeer], max: u32) -> Changeable {
    let refresh = Duration::from_millis(50);
    Changeable { fixed: fixed.iter().map(|peer| peer.address).collect(), max, min: 1, refresh }
}

#[tokio::test]
async fn who_is_fixed_can_be_changed_without_losing_anybody() {
    let (one, two) = (FakePeer::start(Manner::Polite).await, FakePeer::start(Manner::Polite).await);
    let mut bench = Bench::new(|settings| settings.fixed = vec![one.address]);
    bench.start();
    let first = bench.adopt(1).await.remove(0);
    bench.handle().change(to(&[&two], 5));
    bench.adopt(1).await;
    let standing = |view: &RosterView, peer: &FakePeer| {
        view.peers.iter().find(|row| row.label.address == peer.address).map(|row| row.standing)
    };
    let view = bench
        .wait(|view| {
            standing(view, &one) == Some(Standing::Ordinary)
                && standing(view, &two) == Some(Standing::Fixed)
        })
        .await;
    assert_eq!((view.max, view.min, view.peers.len()), (5, 1, 2));
    assert!(view.peers.iter().any(|row| row.peer == first.peer), "the connection stayed");
    // And back: the connection that there is becomes a fixed one.
    bench.handle().change(to(&[&one, &two], 5));
    bench.wait(|view| standing(view, &one) == Some(Standing::Fixed)).await;
    bench.stop().await;
    assert_eq!(bench.saved().len(), 2);
}

#[tokio::test]
async fn a_lower_maximum_lets_the_surplus_go() {
    let mut peers = Vec::new();
    for _ in 0..4 {
        peers.push(FakePeer::start(Manner::Polite).await);
    }
    let mut bench = Bench::new(|settings| settings.max = 4);
    bench.told(peer_info(peers.iter().map(|peer| peer.address)));
    bench.start();
    let mut adopted = bench.adopt(4).await;
    bench.handle().change(to(&[], 1));
    for _ in 0..3 {
        let peer = loop {
            match bench.order().await {
                Order::Retire { peer, .. } => break peer,
                Order::Sight { .. } => {}
                other => panic!("not now: {other:?}"),
            }
        };
        let at = adopted.iter().position(|it| it.peer == peer).expect("one of them");
        bench.retire(adopted.remove(at), Cause::Asked);
    }
    let view = bench.wait(|view| view.connected == 1).await;
    assert_eq!((view.max, view.peers[0].peer), (1, adopted[0].peer));
    assert_eq!((view.traffic.received_bytes, view.traffic.sent_bytes), (9, 15), "of those gone");
}
