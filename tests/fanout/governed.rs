//! Connections that share an uplink: paced, in order, whole; warm-ups; and what a wrong rate, a peer
//! that takes nothing, or a clock that jumps can cost.

use std::sync::Arc;
use std::time::Instant;

use broadside::hot::governor::bucket::{Bucket, Pace, payload_rate};
use broadside::hot::governor::order::OrderOfService;
use broadside::hot::link::{Cause, ImageId, Order, PeerId, Report};
use broadside::hot::shard::Policy;
use broadside::limits::{IMAGE_SLOTS, UNSENT_BYTES};
use broadside::metrics::Counter;
use broadside::sim::ring::{Line, SimRing, Trouble};
use broadside::sys::ring::Ring;

use crate::world::{
    Peers, SimPeers, Skewed, World, governed_and_simulated, governed_on_epoll, governed_on_uring,
};
use crate::{SECOND_NS, bytes, causes};

const GIGABIT: u64 = 1_000_000_000;
const BLOCK_BYTES: usize = 1_000_000;

pub(crate) fn policy(bits_per_s: Option<u64>) -> Policy {
    let bucket = Arc::new(bits_per_s.map_or_else(Bucket::unlimited, Bucket::new));
    Policy { bucket, ..Policy::default() }
}

/// Half of the peers share the uplink, half do not: all get every byte, and what is governed takes
/// its time by the clock.
fn paced_and_whole<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>, bits_per_s: u64) {
    for at in 0..8 {
        world.is_governed = at % 2 == 0;
        world.connect();
    }
    world.until("all adopted", |world| world.shard.connections() == 8);
    let begun = Instant::now();
    let blocks = [bytes(1, 700_000), bytes(2, 20_000), bytes(3, 300_000)];
    for (number, block) in blocks.iter().enumerate() {
        world.publish(block, [number as u8 + 1; 32]);
    }
    world.until_long("all handled", |world| world.shard.tally().settled() == 24);
    let took_us = begun.elapsed().as_micros() as u64;
    for at in 0..8 {
        assert_eq!(world.blocks_of(at), blocks, "peer {at}");
    }
    let governed = world.link.counters.get(Counter::GovernedBytes);
    assert!((4 * 1_020_000..4 * 1_021_000).contains(&governed), "{governed} bytes");
    // A law, not a timing: time can only be longer.
    let allowed = payload_rate(bits_per_s) * took_us / 1_000_000;
    let held = Bucket::new(bits_per_s).holds_bytes(Pace::BLOCK);
    assert!(governed <= allowed + held, "{governed} bytes in {took_us} us");
    assert!(world.link.counters.get(Counter::TokenWaitUs) > 0);
}

#[test]
fn what_is_governed_is_paced_and_whole() {
    let bits_per_s = 200_000_000;
    if let Some(world) = governed_on_uring(policy(Some(bits_per_s))) {
        paced_and_whole(world, bits_per_s);
    }
    if let Some(world) = governed_on_epoll(policy(Some(bits_per_s))) {
        paced_and_whole(world, bits_per_s);
    }
}

fn warmed<R: Ring, P: Peers<Skewed<R>>>(world: &World<R, P>) -> Vec<(u64, u64, u32, bool)> {
    let warmed = |report: &Report| match report {
        Report::WarmedUp { image, peer, sent_bytes, whole } => {
            Some((image.0, peer.0, *sent_bytes, *whole))
        }
        _ => None,
    };
    world.reports.iter().filter_map(warmed).collect()
}

fn begin<R: Ring, P: Peers<Skewed<R>>>(world: &World<R, P>, block: &[u8]) -> ImageId {
    let mut writer = world.publisher.begin_warm_up().expect("no other warm-up");
    writer.push(block).unwrap();
    writer.commit_warm_up(0, world.chain, [9; 32]).unwrap()
}

/// A warm-up goes to whom cold says, behind blocks, and counts as nothing else; its memory is free
/// when it has ended everywhere.
fn warm_ups<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    world.is_governed = true;
    world.connect_many(4);
    world.until("all adopted", |world| world.shard.connections() == 4);
    let (old, new) = (bytes(7, 600_000), bytes(8, 30_000));
    let image = begin(&world, &old);
    assert!(world.publisher.begin_warm_up().is_none(), "one at a time");
    let order = |at: u64| Order::WarmUp { slot: at as u16, peer: PeerId::new(0, at + 1), image };
    for at in [0, 1, 1] {
        world.link.order(order(at)).unwrap();
    }
    let nobody = Order::WarmUp { slot: 3, peer: PeerId::new(0, 77), image };
    world.link.order(nobody).unwrap();
    // The order may come before the image was taken: both are there now.
    world.publish(&new, [1; 32]);
    world.until_long("all over", |world| {
        world.shard.tally().settled() == 4 && warmed(world).len() == 4
    });
    let whole = old.len() as u32 + 24;
    let mut all = warmed(&world);
    all.sort_unstable();
    let refused = |peer| (image.0, peer, 0, false);
    assert_eq!(
        all,
        [(image.0, 1, whole, true), refused(2), (image.0, 2, whole, true), refused(77)]
    );
    world.until("warm", |world| (0..2).all(|at| world.blocks_of(at).len() == 2));
    for at in 0..2 {
        let got = world.blocks_of(at);
        assert!(got == [new.clone(), old.clone()] || got == [old.clone(), new.clone()]);
    }
    assert_eq!(world.blocks_of(2), [new], "nobody said so");
    let tally = world.shard.tally();
    assert_eq!((tally.offered, tally.warm_ups, tally.warm_ups_ended), (4, 2, 2));
    // Again, to one that takes nothing; whoever has no byte of it yet is spared.
    world.peers.stall(world.shard.ring_mut(), 3);
    world.link.order(Order::EndWarmUp { image }).unwrap();
    world.link.order(order(0)).unwrap();
    world.until("refused", |world| warmed(world).len() == 5);
    assert_eq!(warmed(&world)[4], refused(1), "it is over");
    let free = IMAGE_SLOTS as usize - 1;
    world.until("its memory is free", |world| world.arena.free_slots() == free);
    let image = begin(&world, &old);
    world.link.order(Order::EndWarmUp { image }).unwrap();
    world.until("free at once", |world| world.arena.free_slots() == free);
}

#[test]
fn warm_ups_go_to_whom_cold_says() {
    for bits_per_s in [None, Some(100_000_000)] {
        governed_on_uring(policy(bits_per_s)).into_iter().for_each(warm_ups);
        governed_on_epoll(policy(bits_per_s)).into_iter().for_each(warm_ups);
        let trouble = Trouble { short_send: 3, full: 5, late_release: 9, ..Trouble::default() };
        for seed in 0..10 {
            warm_ups(governed_and_simulated(seed, trouble, policy(bits_per_s)));
        }
    }
}

type SimWorld = World<SimRing, SimPeers>;

/// Twenty warm peers, 20 to 200 ms away, behind a line of 1 Gbit/s with a queue of 50 ms.
fn far_world(policy: Policy, window_bytes: u64) -> SimWorld {
    let is_governed = policy.order != OrderOfService::AllAtOnce;
    let unsent = is_governed.then_some(u64::from(UNSENT_BYTES));
    // What the line carries of payload: the whole of it, not the governor's share.
    let mut line = Line::new(payload_rate(GIGABIT) * 100 / 95, 6_250_000, unsent);
    let mut world = governed_and_simulated(1, Trouble::default(), policy);
    world.is_governed = true;
    world.connect_many(20);
    world.until("all adopted", |world| world.shard.connections() == 20);
    (0..20).for_each(|_| world.turn());
    for at in 0..20_u16 {
        let round_trip_us = 20_000 + u32::from(at) * 180_000 / 19;
        line.add(round_trip_us, window_bytes);
        let (slot, peer) = (at, PeerId::new(0, u64::from(at) + 1));
        let sight =
            Order::Sight { slot, peer, rank: 0, round_trip_us, warm: true, warm_for_small: true };
        world.link.order(sight).unwrap();
    }
    world.turn();
    world.shard.ring_mut().inner.put_behind(line);
    world
}

/// Publishes 1 MB and waits until all but `missing` have it; when each had it, in ms, soonest first.
fn broadcast(
    world: &mut SimWorld,
    missing: usize,
    mut disturb: impl FnMut(&mut SimWorld, u64),
) -> Vec<u64> {
    let begun_ns = world.shard.ring_mut().inner.now_ns();
    world.publish(&bytes(1, BLOCK_BYTES), [1; 32]);
    for turn in 0..200_000 {
        disturb(world, turn);
        world.turn();
        let line = world.shard.ring_mut().inner.line().unwrap();
        let arrived = (0..20).filter_map(|at| line.arrived_ns(at, BLOCK_BYTES as u64 + 56));
        let mut times: Vec<_> = arrived.map(|at_ns| (at_ns - begun_ns) / 1_000_000).collect();
        if times.len() + missing >= 20 {
            times.sort_unstable();
            return times;
        }
    }
    panic!("it does not end");
}

fn queue(world: &mut SimWorld) -> (u64, u64) {
    let line = world.shard.ring_mut().inner.line().unwrap();
    (line.queued_bytes_max, line.lost_bytes)
}

const OPEN: u64 = 3_000_000;

fn all_at_once() -> Policy {
    Policy { order: OrderOfService::AllAtOnce, ..policy(Some(GIGABIT)) }
}

/// The bound of half of the peers is 95 ms, of all 180.
#[test]
fn a_block_is_paced_in_the_order_of_service() {
    let mut world = far_world(policy(Some(GIGABIT)), OPEN);
    let times = broadcast(&mut world, 0, |_, _| {});
    let (queued, lost) = queue(&mut world);
    eprintln!("near half first: {times:?} ms, {queued} bytes queued");
    assert!(times[9] <= 115 && times[19] <= 270, "{times:?}");
    assert!(queued < 400_000 && lost == 0, "{queued} queued, {lost} lost");
    let nearest = Policy { order: OrderOfService::NearFirst, ..policy(Some(GIGABIT)) };
    let near = broadcast(&mut far_world(nearest, OPEN), 0, |_, _| {});
    assert!(near[0] <= 22 && near[0] < times[0] && near[9] > times[9], "{near:?}");
    let mut world = far_world(all_at_once(), OPEN);
    let free = broadcast(&mut world, 0, |_, _| {});
    let (_, lost) = queue(&mut world);
    eprintln!("all at once: {free:?} ms, {lost} bytes lost");
    assert!(lost > 1_000_000 && times[9] < free[9], "{free:?}");
}

/// Ten times too high: half of the peers have it as soon as all at once, the last within twice that
/// time (it is the order of the losses that differs). Ten times too low: ten times the serialisation,
/// which is what was configured.
#[test]
fn a_wrong_rate_is_bounded() {
    let free = broadcast(&mut far_world(all_at_once(), OPEN), 0, |_, _| {});
    let high = broadcast(&mut far_world(policy(Some(10 * GIGABIT)), OPEN), 0, |_, _| {});
    let low = broadcast(&mut far_world(policy(Some(GIGABIT / 10)), OPEN), 0, |_, _| {});
    eprintln!(
        "half / all, ms: at once {} / {}, ten times too high {} / {}, too low {} / {}",
        free[9], free[19], high[9], high[19], low[9], low[19]
    );
    assert!(high[9] * 10 <= free[9] * 11 && high[19] <= free[19] * 2, "{high:?} {free:?}");
    let serial_ms = 20 * BLOCK_BYTES as u64 * 1_000 / payload_rate(GIGABIT / 10);
    assert!(low[19] <= serial_ms + 200, "{low:?}");
    // On cold connections it is the windows that take the time.
    let cold_free = broadcast(&mut far_world(all_at_once(), 14_480), 0, |_, _| {});
    let cold = broadcast(&mut far_world(policy(Some(GIGABIT)), 14_480), 0, |_, _| {});
    assert!(cold[9] * 100 <= cold_free[9] * 115, "{cold:?} {cold_free:?}");
    assert!(cold[19] * 100 <= cold_free[19] * 115, "{cold:?} {cold_free:?}");
}

/// Peers that take nothing cost what lies unsent in them, and go when their time is up.
#[test]
fn a_peer_without_a_window_costs_its_own_bound() {
    let clean = broadcast(&mut far_world(policy(Some(GIGABIT)), OPEN), 0, |_, _| {});
    let mut world = far_world(policy(Some(GIGABIT)), OPEN);
    (0..4).for_each(|at| world.shard.ring_mut().inner.stall(at * 5, true));
    let times = broadcast(&mut world, 4, |_, _| {});
    assert!(times[7] <= clean[9] + 8 && times[15] <= clean[19] + 8, "{times:?} {clean:?}");
    assert_eq!(causes(&world), [], "not before its time");
    world.shard.ring_mut().ahead_ns += 11 * SECOND_NS;
    world.until("the stalled are gone", |world| causes(world).len() == 4);
    assert!(causes(&world).iter().all(|(_, cause)| *cause == Cause::Stalled));
    world.until("all settled", |world| world.shard.in_flight() == 0);
}

/// A slow uplink is nobody's fault: who waits for tokens for longer than a peer may take is served.
#[test]
fn who_waits_for_tokens_is_not_stalled() {
    let mut world = far_world(policy(Some(10_000_000)), OPEN);
    let times = broadcast(&mut world, 0, |_, _| {});
    assert!(times[19] > 12_000, "{times:?}");
    assert_eq!(causes(&world), []);
}

/// A clock that jumps gives one bucketful, and stops nobody.
#[test]
fn a_clock_that_jumps_is_bounded() {
    let mut world = far_world(policy(Some(GIGABIT)), OPEN);
    let jump = |world: &mut SimWorld, turn| {
        let ring = world.shard.ring_mut();
        match turn % 200 {
            50 => ring.ahead_ns += 3 * SECOND_NS,
            150 => ring.ahead_ns -= 3 * SECOND_NS,
            _ => {}
        }
    };
    let times = broadcast(&mut world, 0, jump);
    let (queued, lost) = queue(&mut world);
    assert!(times[19] <= 300 && lost == 0, "{times:?}");
    assert!(queued < 1_000_000, "{queued} bytes queued");
    world.until("all handled", |world| world.shard.in_flight() == 0);
    assert_eq!(causes(&world), []);
}
