//! What went wrong once, or would have: each test holds one defect down, on every ring it can be
//! shown on.

use broadside::hot::link::{Cause, ImageId, Order, Outcome, PeerId, Report};
use broadside::limits::{IMAGE_SLOTS, RECEIPT_DEADLINE_MS};
use broadside::metrics::Counter;
use broadside::sim::ring::Trouble;
use broadside::sys::ring::{Ring, Wait};
use broadside::wire::frame::frame;
use broadside::wire::message::{InvItem, encode_inv};

use crate::world::{Peers, Skewed, World, adoption, on_epoll, on_uring, sight, simulated};
use crate::{SECOND_NS, bytes, causes, outcomes};

/// The node's refusal may overtake the block on its way to a busy shard.
fn refused_before_it_was_taken<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    world.connect_many(3);
    world.until("all adopted", |world| world.shard.connections() == 3);
    let published = world.publish(&bytes(1, 5_000), [1; 32]);
    world.link.order(Order::Withdraw { image: published.image }).unwrap();
    (0..50).for_each(|_| world.turn());
    assert!((0..3).all(|at| world.blocks_of(at).is_empty()), "a refused block went out");
    assert!(outcomes(&world).iter().all(|(_, _, outcome)| *outcome == Outcome::Abandoned));
    assert_eq!(world.shard.tally().settled(), 3);
}

#[test]
fn a_refusal_is_not_lost_before_its_block_was_taken() {
    on_uring().into_iter().for_each(refused_before_it_was_taken);
    on_epoll().into_iter().for_each(refused_before_it_was_taken);
    refused_before_it_was_taken(simulated(1, Trouble::default()));
}

/// A connection on its way in stands first in rank while a block comes: the others get it in the
/// same entry all the same.
fn newcomer_ahead<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    world.connect_many(3);
    world.until("all adopted", |world| world.shard.connections() == 3);
    (0..50).for_each(|_| world.turn());
    let (peer, socket) = (PeerId::new(0, 9), world.peers.connect());
    let adoption = adoption(3, peer, 0, socket);
    let first = sight(0, PeerId::new(0, 1), 5);
    world.link.order(first).unwrap();
    world.link.order(Order::Adopt(adoption)).unwrap();
    world.publish(&bytes(1, 5_000), [1; 32]);
    world.shard.turn(Wait::UpTo(1_000_000));
    let sends = |counter| world.link.counters.get(counter);
    assert_eq!(sends(Counter::ZeroCopySends) + sends(Counter::CopyingSends), 3);
}

#[test]
fn a_newcomer_holds_up_nobody() {
    on_uring().into_iter().for_each(newcomer_ahead);
    on_epoll().into_iter().for_each(newcomer_ahead);
    newcomer_ahead(simulated(1, Trouble::default()));
}

/// Peers that talk without end, to a cold side that does not listen: outcomes still come home.
#[test]
fn talk_of_peers_does_not_crowd_out_outcomes() {
    let mut world = simulated(1, Trouble::default());
    world.connect_many(4);
    world.until("all adopted", |world| world.shard.connections() == 4);
    let news: Vec<_> = (0..50).map(|at| InvItem { kind: 2, hash: [at; 32] }).collect();
    let news = frame(world.chain.magic, "inv", &encode_inv(&news));
    for _ in 0..400 {
        world.shard.ring_mut().inner.say(3, &news);
    }
    world.publish(&bytes(1, 5_000), [1; 32]);
    // The law's turns, but nobody takes the reports home until the peer has said it all.
    while world.link.counters.get(Counter::ReceivedBytes) < 400 * news.len() as u64 {
        world.shard.turn(Wait::UpTo(1_000_000));
    }
    assert!(world.link.counters.get(Counter::ReportsDropped) > 0, "the queue was filled");
    world.shard.ring_mut().ahead_ns += (RECEIPT_DEADLINE_MS + 1_000) * 1_000_000;
    (0..20).for_each(|_| world.shard.turn(Wait::UpTo(1_000_000)));
    world.serve_peers();
    assert_eq!(outcomes(&world).len(), 4, "outcomes were dropped for a peer's talk");
    let finished = |report: &Report| matches!(report, Report::Finished { image: ImageId(1), .. });
    assert!(world.reports.iter().any(finished));
}

/// A peer that pings us while a block waits for it: the answers that come in while others are on
/// their way must not be taken for a full socket.
#[test]
fn a_ping_in_between_does_not_stop_a_block() {
    for seed in 0..50 {
        let mut world = simulated(seed, Trouble::default());
        world.connect_many(4);
        world.until("all adopted", |world| world.shard.connections() == 4);
        let ping = frame(world.chain.magic, "ping", &[7; 8]);
        for number in 1..=5 {
            for at in 0..4 {
                world.shard.ring_mut().inner.say(at, &ping.repeat(20));
            }
            world.turn();
            world.publish(&bytes(number, 5_000), [number; 32]);
            (0..200).for_each(|_| world.turn());
        }
        assert_eq!(world.shard.tally().settled(), 20, "seed {seed}: a connection is stuck");
    }
}

/// A ping of ours that found no room was not asked, so nobody is silent.
#[test]
fn a_ping_that_was_never_sent_is_not_waited_for() {
    let mut world = simulated(1, Trouble::default());
    world.connect();
    world.until("adopted", |world| world.shard.connections() == 1);
    (0..50).for_each(|_| world.turn());
    world.shard.ring_mut().inner.stall(0, true);
    let ping = frame(world.chain.magic, "ping", &[7; 8]);
    world.shard.ring_mut().inner.say(0, &ping.repeat(20));
    (0..50).for_each(|_| world.turn());
    world.shard.ring_mut().ahead_ns += 121 * SECOND_NS;
    (0..50).for_each(|_| world.turn());
    world.shard.ring_mut().inner.stall(0, false);
    for _ in 0..5 {
        (0..200).for_each(|_| world.turn());
        world.shard.ring_mut().ahead_ns += 100 * SECOND_NS;
    }
    assert_eq!(causes(&world), [], "a healthy peer was dropped");
}

/// A receipt has its full time from when its block was sent, not from when others got it.
#[test]
fn a_newcomer_has_the_full_time_for_its_receipt() {
    let mut world = simulated(1, Trouble::default());
    world.connect();
    world.until("adopted", |world| world.shard.connections() == 1);
    world.publish(&bytes(1, 5_000), [1; 32]);
    world.until("handled", |world| world.shard.tally().settled() == 1);
    world.shard.ring_mut().ahead_ns += 59 * SECOND_NS;
    let late = world.connect();
    world.mute.push(late);
    world.until("sent", |world| world.blocks_of(late).len() == 1);
    world.shard.ring_mut().ahead_ns += 30 * SECOND_NS;
    (0..200).for_each(|_| world.turn());
    assert_eq!(world.shard.in_flight(), 1, "given up after half of its time");
    world.shard.ring_mut().ahead_ns += 31 * SECOND_NS;
    world.until("unanswered", |world| world.shard.in_flight() == 0);
    assert_eq!(outcomes(&world)[1].2, Outcome::Unanswered);
}

/// A peer of another chain can't bear witness for a block of this one.
#[test]
fn only_peers_of_its_chain_echo_a_block() {
    let mut world = simulated(1, Trouble::default());
    world.connect();
    let (peer, socket) = (PeerId::new(1, 9), world.peers.connect());
    let adoption = adoption(1, peer, 0, socket);
    world.link.order(Order::Adopt(adoption)).unwrap();
    world.until("both adopted", |world| world.shard.connections() == 2);
    world.publish(&bytes(1, 5_000), [1; 32]);
    world.until("handled", |world| world.shard.tally().settled() == 1);
    let news = encode_inv(&[InvItem { kind: 2, hash: [1; 32] }]);
    let news = frame(world.chain.magic, "inv", &news);
    world.shard.ring_mut().inner.say(1, &news);
    (0..50).for_each(|_| world.turn());
    let echo = |report: &Report| matches!(report, Report::Echo { .. });
    assert!(!world.reports.iter().any(echo), "an echo from another chain");
}

/// An intake that waited for an image slot and gave up hurries nobody any more.
#[test]
fn a_want_that_was_given_up_drops_nobody() {
    let mut world = simulated(1, Trouble::default());
    world.connect();
    world.until("adopted", |world| world.shard.connections() == 1);
    world.shard.ring_mut().inner.stall(0, true);
    world.publish(&bytes(1, 5_000), [1; 32]);
    let writers: Vec<_> = std::iter::from_fn(|| world.publisher.begin()).collect();
    assert_eq!(writers.len(), IMAGE_SLOTS as usize - 1);
    // The next one found none; the shard sees it while the block is young, and it is gone again.
    (0..300).for_each(|_| world.turn());
    drop(writers);
    world.shard.ring_mut().ahead_ns += 2 * SECOND_NS;
    (0..300).for_each(|_| world.turn());
    assert_eq!(causes(&world), [], "dropped for nobody's sake");
    // Whoever still waits is heard.
    let _writers: Vec<_> = std::iter::from_fn(|| world.publisher.begin()).collect();
    (0..300).for_each(|_| world.turn());
    assert_eq!(causes(&world), [(1, Cause::Stalled)]);
}

/// A thousand peers, a tenth of them stalled: the others are served as if there were none, and the
/// stalled are dropped when their time is up, or at once where an intake waits for memory.
#[test]
fn a_tenth_that_stalls_costs_the_others_nothing() {
    const PEERS: usize = 1_000;
    let turns = |stalled: usize, hurried: bool| {
        let mut world = simulated(3, Trouble::default());
        world.connect_many(PEERS);
        world.until("all adopted", |world| world.shard.connections() == PEERS);
        (0..20).for_each(|_| world.turn());
        // The best ranks: whoever came behind them would feel it.
        (0..stalled).for_each(|at| world.shard.ring_mut().inner.stall(at as u16, true));
        let healthy = (PEERS - stalled) as u64;
        world.publish(&bytes(1, 5_000), [1; 32]);
        let mut turns = 0;
        world.until("the healthy are done", |world| {
            turns += 1;
            world.shard.tally().settled() >= healthy
        });
        assert!(outcomes(&world).iter().all(|(_, _, outcome)| *outcome == Outcome::Handled));
        let wait_s = if hurried { 2 } else { 11 };
        world.shard.ring_mut().ahead_ns += wait_s * SECOND_NS;
        let writers: Vec<_> =
            std::iter::from_fn(|| world.publisher.begin().filter(|_| hurried)).collect();
        world.until("the stalled are gone", |world| causes(world).len() == stalled);
        drop(writers);
        assert!(causes(&world).iter().all(|(_, cause)| *cause == Cause::Stalled));
        assert_eq!(world.shard.in_flight(), 0);
        turns
    };
    let (alone, beside, hurried) = (turns(0, false), turns(100, false), turns(100, true));
    eprintln!(
        "turns until all healthy ones are done: {alone} of 1,000, {beside} of 900 beside 100"
    );
    assert!(beside <= alone + 10 && hurried <= alone + 10);
}
