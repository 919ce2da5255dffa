//! The shard, on every ring: what it sends, what it learns from peers, and that nothing is lost.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

#[allow(unreachable_pub)]
mod compact;
mod copying;
mod far;
mod governed;
mod hostile;
mod laws;
mod limits;
mod shards;
mod shared;
mod trouble;
#[allow(unreachable_pub)]
mod world;

use broadside::hot::link::{Cause, ImageId, Outcome, Report};
use broadside::sim::ring::{SimRing, Trouble};
use broadside::sys::ring::Ring;
use broadside::wire::frame::frame;
use broadside::wire::message::{InvItem, encode_inv};

use compact::{
    asked_for, bad_requests, chosen, compact_alone, compact_then_full, in_a_row, lacking,
};
use world::{Peers, Skewed, World, adoption};

const SECOND_NS: u64 = 1_000_000_000;

/// Runs one test on all three rings.
macro_rules! on_all_rings {
    ($($name:ident: $body:ident;)+) => { $(
        mod $name {
            #[test]
            fn on_uring() {
                if let Some(world) = crate::world::on_uring() { crate::$body(world) }
            }
            #[test]
            fn on_epoll() {
                if let Some(world) = crate::world::on_epoll() { crate::$body(world) }
            }
            #[test]
            fn simulated() {
                let trouble = crate::Trouble { short_send: 3, full: 5, late_release: 9, ..Default::default() };
                for seed in 0..6 { crate::$body(crate::world::simulated(seed, trouble)) }
            }
            #[test]
            fn governed() {
                let trouble = crate::Trouble { short_send: 3, full: 5, late_release: 9, ..Default::default() };
                for seed in 0..3 {
                    let policy = crate::governed::policy(Some(10_000_000_000));
                    let mut world = crate::world::governed_and_simulated(seed, trouble, policy);
                    world.is_governed = true;
                    crate::$body(world);
                }
            }
        }
    )+ };
}

on_all_rings! {
    every_byte_is_the_reference: identical_bytes;
    receipts_and_echoes: receipts;
    a_peer_that_has_it_is_struck: already_had;
    bad_peers_are_dropped_with_the_reason: bad_peers;
    a_refusal_is_told_from_a_reset: refusals;
    a_stalled_peer_holds_up_nobody: stalled;
    a_newcomer_gets_the_newest_block: newcomer;
    a_refused_block_goes_no_further: withdrawn;
    slots_are_used_again: reuse;
    an_acknowledgement_needs_no_receipt: acknowledged;
    draining_sends_everything_home: drain;
    compact_blocks_come_before_whole_ones: compact_then_full;
    a_receipt_of_the_compact_block_is_enough: compact_alone;
    a_parent_comes_before_its_child: in_a_row;
    what_is_lacking_is_sent: lacking;
    bad_requests_get_the_whole_block: bad_requests;
    what_is_asked_for_is_sent: asked_for;
    who_chose_us_gets_compact_blocks: chosen;
}

fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

fn outcomes<R: Ring, P: Peers<Skewed<R>>>(world: &World<R, P>) -> Vec<(u64, u64, Outcome)> {
    let settled = world.reports.iter().filter_map(|report| match report {
        Report::Settled { image: ImageId(image), peer, outcome, .. } => {
            Some((*image, peer.0, *outcome))
        }
        _ => None,
    });
    let mut all: Vec<_> = settled.collect();
    all.sort_by_key(|(image, peer, _)| (*image, *peer));
    all
}

fn causes<R: Ring, P: Peers<Skewed<R>>>(world: &World<R, P>) -> Vec<(u64, Cause)> {
    let retired = world.reports.iter().filter_map(|report| match report {
        Report::Retired { peer, cause, .. } => Some((peer.0, *cause)),
        _ => None,
    });
    let mut all: Vec<_> = retired.collect();
    all.sort_by_key(|(peer, _)| *peer);
    all
}

/// 20 peers, two blocks in flight: each stream is ping, block, ping, block, ping and nothing else.
fn identical_bytes<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    let peers = 20;
    world.connect_many(peers);
    world.until("all adopted", |world| world.shard.connections() == peers);
    let blocks = [bytes(1, 700_000), bytes(2, 80_001)];
    for (number, block) in blocks.iter().enumerate() {
        world.publish(block, [number as u8 + 1; 32]);
    }
    world.until("all handled", |world| world.shard.tally().settled() == 2 * peers as u64);
    for at in 0..peers {
        assert_eq!(world.blocks_of(at), blocks, "peer {at}");
        let commands: Vec<_> = world::frames(&world.received[at], 0)
            .into_iter()
            .map(|(command, ..)| command)
            .collect();
        assert_eq!(commands.iter().filter(|command| *command == "ping").count(), 3);
        let order: Vec<_> = commands.iter().skip_while(|command| *command != "block").collect();
        assert_eq!(order[1], "ping", "the receipt ping stands right behind its block");
    }
    assert!(outcomes(&world).iter().all(|(_, _, outcome)| *outcome == Outcome::Handled));
}

fn receipts<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    world.connect_many(3);
    world.until("all adopted", |world| world.shard.connections() == 3);
    world.publish(&bytes(3, 10_000), [9; 32]);
    world.until("all handled", |world| world.shard.tally().settled() == 3);
    let echo =
        encode_inv(&[InvItem { kind: 1, hash: [9; 32] }, InvItem { kind: 2, hash: [9; 32] }]);
    let echo = frame(world.chain.magic, "inv", &echo);
    let news = encode_inv(&[InvItem { kind: 2, hash: [7; 32] }]);
    let news = frame(world.chain.magic, "inv", &news);
    world.peers.say(world.shard.ring_mut(), 1, &[echo.clone(), echo].concat());
    world.peers.say(world.shard.ring_mut(), 2, &news);
    let is_news = |report: &Report| matches!(report, Report::Announced { peer, hash, .. } if peer.0 == 3 && *hash == [7; 32]);
    world.until("the news", |world| world.reports.iter().any(is_news));
    let is_echo = |report: &&Report| matches!(report, Report::Echo { peer, sent_before: true, .. } if peer.0 == 2);
    world.until("the echo", |world| world.reports.iter().any(|report| is_echo(&report)));
    assert_eq!(world.reports.iter().filter(is_echo).count(), 1, "an echo is told once");
    for report in &world.reports {
        if let Report::Settled { submitted_ns, sent_ns, acked_ns, handled_ns, .. } = report {
            assert!(0 < *submitted_ns && submitted_ns <= sent_ns);
            assert!(sent_ns <= acked_ns && acked_ns <= handled_ns);
        }
    }
    let round_trips = world.reports.iter().filter(|r| matches!(r, Report::RoundTrip { .. }));
    assert_eq!(round_trips.count(), 3, "each adoption ping was answered");
}

/// A peer that announces the block while another one blocks its way is sent nothing.
fn already_had<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    let at = world.connect();
    world.until("adopted", |world| world.shard.connections() == 1);
    world.peers.stall(world.shard.ring_mut(), at);
    // More than any socket buffer holds, so that the second block surely waits.
    world.publish(&bytes(1, 4_000_000), [1; 32]);
    world.publish(&bytes(1, 4_000_000), [1; 32]);
    world.publish(&bytes(1, 4_000_000), [1; 32]);
    world.publish(&bytes(2, 4_000_000), [2; 32]);
    world.until("offered", |world| world.shard.tally().offered == 4);
    let inv = encode_inv(&[InvItem { kind: 2, hash: [2; 32] }]);
    let inv = frame(world.chain.magic, "inv", &inv);
    world.peers.say(world.shard.ring_mut(), at, &inv);
    world.until("struck", |world| world.shard.tally().settled() == 1);
    assert_eq!(outcomes(&world), [(4, 1, Outcome::AlreadyHad)]);
    let witness = |report: &Report| matches!(report, Report::Echo { sent_before: false, .. });
    assert!(world.reports.iter().any(witness));
}

fn bad_peers<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    world.connect_many(4);
    world.until("all adopted", |world| world.shard.connections() == 4);
    let mut oversized = frame(world.chain.magic, "block", b"");
    oversized[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut spoilt = frame(world.chain.magic, "ping", &[1; 8]);
    spoilt[30] ^= 1;
    let long = frame(world.chain.magic, "addr", &vec![0; 100_000]);
    world.peers.say(world.shard.ring_mut(), 0, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    world.peers.say(world.shard.ring_mut(), 1, &oversized);
    world.peers.say(world.shard.ring_mut(), 2, &[spoilt, long].concat());
    world.until("two dropped", |world| causes(world).len() == 2);
    assert_eq!(causes(&world), [(1, Cause::BadMagic), (2, Cause::Oversized(u32::MAX))]);
    use broadside::metrics::Counter::{BadChecksums, SkippedMessages};
    world.until("the rest was read", |world| world.link.counters.get(SkippedMessages) == 1);
    assert_eq!(world.link.counters.get(BadChecksums), 1);
    // Whoever answers no ping for long enough is dropped too, the others stay.
    world.mute.push(3);
    for _ in 0..5 {
        world.shard.ring_mut().ahead_ns += 100 * SECOND_NS;
        (0..50).for_each(|_| world.turn());
    }
    world.until("the silent one is dropped", |world| causes(world).len() == 3);
    assert_eq!(causes(&world)[2], (4, Cause::Silent));
}

fn refusals<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    world.connect_many(3);
    world.until("all adopted", |world| world.shard.connections() == 3);
    world.mute = vec![0, 1];
    world.peers.stall(world.shard.ring_mut(), 1);
    let block = bytes(4, 4_000_000);
    for number in 1..=3 {
        world.publish(&block, [number; 32]);
    }
    world.until("peer 0 has it all", |world| world.blocks_of(0).len() == 3);
    (0..200).for_each(|_| world.turn());
    world.peers.hang_up(world.shard.ring_mut(), 0);
    world.peers.hang_up(world.shard.ring_mut(), 1);
    world.until("all settled", |world| world.shard.tally().settled() == 9);
    let all = outcomes(&world);
    let of = |peer: u64| all.iter().filter(move |(_, p, _)| *p == peer).map(|(_, _, o)| *o);
    assert!(of(1).all(|outcome| outcome == Outcome::Refused), "{all:?}");
    assert!(of(2).any(|outcome| outcome == Outcome::Reset), "{all:?}");
    assert!(of(3).all(|outcome| outcome == Outcome::Handled), "{all:?}");
}

fn stalled<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    world.connect_many(6);
    world.until("all adopted", |world| world.shard.connections() == 6);
    world.mute.push(2);
    world.peers.stall(world.shard.ring_mut(), 2);
    let block = bytes(5, 4_000_000);
    for number in 1..=3 {
        world.publish(&block, [number; 32]);
    }
    world.until("the others are done", |world| world.shard.tally().settled() >= 15);
    let all = outcomes(&world);
    assert_eq!(all.len(), 15);
    assert!(all.iter().all(|(_, peer, o)| *peer != 3 && *o == Outcome::Handled), "{all:?}");
    world.shard.ring_mut().ahead_ns += 11 * SECOND_NS;
    world.until("the stalled one is dropped", |world| !causes(world).is_empty());
    assert_eq!(causes(&world), [(3, Cause::Stalled)]);
    assert!(outcomes(&world).iter().any(|(_, peer, o)| *peer == 3 && *o == Outcome::Stalled));
    assert_eq!(world.shard.in_flight(), 0);
}

fn newcomer<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    world.connect();
    world.until("adopted", |world| world.shard.connections() == 1);
    let blocks = [bytes(6, 5_000), bytes(7, 6_000), bytes(8, 7_000)];
    for (number, block) in blocks.iter().enumerate() {
        world.publish(block, [number as u8 + 1; 32]);
        world.until("handled", |world| world.shard.tally().settled() == number as u64 + 1);
        world.shard.ring_mut().ahead_ns += SECOND_NS;
    }
    world.turn();
    let late = world.connect();
    world.until("caught up", |world| world.blocks_of(late).len() == 2);
    assert_eq!(world.blocks_of(late), blocks[1..], "the newest two, parents first");
    world.until("handled", |world| world.shard.in_flight() == 0);
    world.shard.ring_mut().ahead_ns += 61 * SECOND_NS;
    (0..20).for_each(|_| world.turn());
    let later = world.connect();
    world.until("adopted", |world| world.shard.connections() == 3);
    (0..50).for_each(|_| world.turn());
    assert!(world.blocks_of(later).is_empty(), "old blocks are nobody's business");
    let free = broadside::limits::IMAGE_SLOTS as usize;
    world.until("all memory is free again", |world| world.arena.free_slots() == free);
}

fn withdrawn<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    world.connect();
    world.until("adopted", |world| world.shard.connections() == 1);
    let published = world.publish(&bytes(6, 5_000), [1; 32]);
    world.until("handled", |world| world.shard.tally().settled() == 1);
    let order = broadside::hot::link::Order::Withdraw { image: published.image };
    world.link.order(order).unwrap();
    world.turn();
    let late = world.connect();
    world.until("adopted", |world| world.shard.connections() == 2);
    (0..50).for_each(|_| world.turn());
    assert!(world.blocks_of(late).is_empty());
}

fn reuse<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    use broadside::hot::link::{Order, PeerId};
    let at = world.connect();
    world.until("adopted", |world| world.shard.connections() == 1);
    world.link.order(Order::Retire { slot: 0, peer: PeerId::new(0, 77) }).unwrap();
    (0..5).for_each(|_| world.turn());
    assert_eq!(world.shard.connections(), 1, "an order for somebody else is ignored");
    let socket = world.peers.connect();
    let peer = PeerId::new(0, 50);
    let adoption = adoption(0, peer, 0, socket);
    world.link.order(Order::Adopt(adoption)).unwrap();
    world.until("not taken", |world| causes(world).contains(&(50, Cause::NotTaken)));
    world.link.order(Order::Retire { slot: 0, peer: PeerId::new(0, 1) }).unwrap();
    world.until("retired", |world| causes(world).contains(&(1, Cause::Asked)));
    assert_eq!(world.shard.connections(), 0);
    world.publish(&bytes(1, 100), [1; 32]);
    (0..5).for_each(|_| world.turn());
    assert!(world.blocks_of(at).is_empty());
    let finished = |report: &Report| matches!(report, Report::Finished { image: ImageId(1), .. });
    assert!(world.reports.iter().any(finished), "nobody there: finished at once");
}

/// Peers that answer nothing: TCP tells that they have the block, and of the one that takes nothing
/// that it has not.
fn acknowledged<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    world.connect_many(4);
    world.until("all adopted", |world| world.shard.connections() == 4);
    world.mute = vec![0, 1, 2, 3];
    world.publish(&bytes(1, 400_000), [1; 32]);
    world.until("all have it", |world| (0..4).all(|at| world.blocks_of(at).len() == 1));
    // The pause before the next question is at most 50 ms, by the skewed clock.
    let ask = |world: &mut World<R, P>| {
        for _ in 0..20 {
            world.shard.ring_mut().ahead_ns += 50_000_000;
            world.turn();
        }
    };
    ask(&mut world);
    world.peers.stall(world.shard.ring_mut(), 3);
    world.publish(&bytes(2, 4_000_000), [2; 32]);
    world.until("three have both", |world| (0..3).all(|at| world.blocks_of(at).len() == 2));
    ask(&mut world);
    world.shard.ring_mut().ahead_ns += 61 * SECOND_NS;
    world.until("all given up", |world| world.shard.in_flight() == 0);
    let mut known = [0; 5];
    for report in &world.reports {
        if let Report::Settled { image, peer, outcome, acked_ns, sent_ns, handled_ns, .. } = report
        {
            assert_eq!(*handled_ns, 0);
            assert!(*acked_ns == 0 || *acked_ns >= *sent_ns && *sent_ns > 0);
            known[peer.0 as usize] += u64::from(*acked_ns > 0) * image.0;
            assert!(*acked_ns == 0 || *outcome != Outcome::Stalled);
        }
    }
    assert_eq!(known, [0, 3, 3, 3, 1], "both blocks of three, the first of the fourth");
}

fn drain<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    world.connect_many(5);
    world.until("all adopted", |world| world.shard.connections() == 5);
    world.publish(&bytes(1, 300_000), [1; 32]);
    world.turn();
    world.link.order(broadside::hot::link::Order::Drain).unwrap();
    world.until("stopped", |world| world.shard.stopped());
    while let Some(report) = world.link.next_report() {
        world.reports.push(report);
    }
    assert_eq!(causes(&world).len(), 5);
    assert!(causes(&world).iter().all(|(_, cause)| *cause == Cause::Stopping));
    assert!(
        outcomes(&world).iter().all(|(_, _, o)| *o == Outcome::Handled),
        "drained, not dropped"
    );
    assert!(matches!(world.reports.last(), Some(Report::Stopped { shard: 0 })));
}

#[test]
fn the_simulator_is_a_ring_like_the_others() {
    fn is_ring<R: Ring>() {}
    is_ring::<SimRing>();
}
