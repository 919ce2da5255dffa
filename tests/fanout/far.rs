//! Twenty far peers behind one simulated line, and a block for them.

use broadside::hot::governor::bucket::payload_rate;
use broadside::hot::governor::order::OrderOfService;
use broadside::hot::link::{Order, PeerId};
use broadside::hot::shard::Policy;
use broadside::limits::UNSENT_BYTES;
use broadside::sim::ring::{Line, SimRing, Trouble};
use broadside::sys::ring::Ring;

use crate::bytes;
use crate::governed::policy;
use crate::world::{SimPeers, World, governed_and_simulated};

pub(crate) const GIGABIT: u64 = 1_000_000_000;
pub(crate) const BLOCK_BYTES: usize = 1_000_000;

pub(crate) type SimWorld = World<SimRing, SimPeers>;

/// Twenty warm peers, 20 to 200 ms away, behind a line of 1 Gbit/s with a queue of 50 ms.
pub(crate) fn far_world(policy: Policy, window_bytes: u64) -> SimWorld {
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
pub(crate) fn broadcast(
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

pub(crate) fn queue(world: &mut SimWorld) -> (u64, u64) {
    let line = world.shard.ring_mut().inner.line().unwrap();
    (line.queued_bytes_max(), line.lost_bytes())
}

pub(crate) const OPEN: u64 = 3_000_000;

pub(crate) fn all_at_once() -> Policy {
    Policy { order: OrderOfService::AllAtOnce, ..policy(Some(GIGABIT)) }
}
