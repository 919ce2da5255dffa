//! Connections that share an uplink: paced, in order, whole; and warm-ups.

use std::sync::Arc;
use std::time::Instant;

use broadside::hot::governor::bucket::{Bucket, Pace, payload_rate};
use broadside::hot::governor::order::OrderOfService;
use broadside::hot::link::{ImageId, Order, PeerId, Report};
use broadside::hot::shard::Policy;
use broadside::limits::IMAGE_SLOTS;
use broadside::metrics::Counter;
use broadside::sim::ring::Trouble;
use broadside::sys::ring::Ring;

use crate::far::{GIGABIT, OPEN, all_at_once, broadcast, far_world, queue};
use crate::world::{
    Peers, Skewed, World, governed_and_simulated, governed_on_epoll, governed_on_uring,
};
use crate::{bytes, causes};

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

/// A slow uplink is nobody's fault: who waits for tokens for longer than a peer may take is served.
#[test]
fn who_waits_for_tokens_is_not_stalled() {
    let mut world = far_world(policy(Some(10_000_000)), OPEN);
    let times = broadcast(&mut world, 0, |_, _| {});
    assert!(times[19] > 12_000, "{times:?}");
    assert_eq!(causes(&world), []);
}
