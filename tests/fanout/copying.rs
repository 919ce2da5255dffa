//! Zero-copy, decided per route by what the kernel reports.

use broadside::hot::link::{Adoption, Order, PeerId};
use broadside::limits::ZERO_COPY_BYTES_MIN;
use broadside::metrics::Counter;
use broadside::sim::ring::Trouble;
use broadside::sys::ring::Ring;

use crate::bytes;
use crate::world::{Peers, Skewed, World, adoption, on_uring, simulated};

const PEERS: usize = 20;

/// Sends `blocks` blocks of `length` bytes to all; zero-copy sends and those that were copied.
fn blocks<R: Ring, P: Peers<Skewed<R>>>(
    world: &mut World<R, P>,
    blocks: u8,
    length: usize,
) -> (u64, u64) {
    let before = world.shard.tally().settled();
    for number in 1..=blocks {
        world.publish(&bytes(number, length), [number; 32]);
        let all = before + u64::from(number) * world.shard.connections() as u64;
        world.until("all handled", |world| world.shard.tally().settled() == all);
    }
    (0..100).for_each(|_| world.turn());
    let count = |counter| world.link.counters.get(counter);
    (count(Counter::ZeroCopySends), count(Counter::CopiedSends))
}

fn filled<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) -> World<R, P> {
    world.connect_many(PEERS);
    world.until("all adopted", |world| world.shard.connections() == PEERS);
    world
}

/// Loopback copies: one send of one connection finds out, and that is all that it ever costs.
#[test]
fn a_copying_route_costs_one_try() {
    if let Some(world) = on_uring() {
        assert_eq!(blocks(&mut filled(world), 5, 300_000), (1, 1));
    }
    let trouble = Trouble { copied: 1, late_release: 5, ..Trouble::default() };
    for seed in 0..6 {
        assert_eq!(blocks(&mut filled(simulated(seed, trouble)), 5, 300_000), (1, 1));
    }
}

/// A kernel that does not know the request (or its flag) refuses it once.
#[test]
fn a_refusal_costs_one_try() {
    let trouble = Trouble { refused: 1, ..Trouble::default() };
    assert_eq!(blocks(&mut filled(simulated(1, trouble)), 5, 300_000), (1, 0));
}

/// A full socket's send is reported as copied although nothing was.
#[test]
fn a_send_that_took_nothing_teaches_nothing() {
    for seed in 0..20 {
        let trouble = Trouble { full: 2, late_release: 4, ..Trouble::default() };
        let (zero, copied) = blocks(&mut filled(simulated(seed, trouble)), 8, 300_000);
        assert!(zero > PEERS as u64, "seed {seed}: given up after {zero}");
        assert_eq!(copied, 0, "seed {seed}");
    }
}

#[test]
fn small_blocks_are_copied() {
    let mut world = filled(simulated(1, Trouble::default()));
    assert_eq!(blocks(&mut world, 3, ZERO_COPY_BYTES_MIN as usize / 2), (0, 0));
}

/// What is learnt on one route is not believed of another; the one that asked may go.
#[test]
fn each_route_has_its_own_answer() {
    let mut world = filled(simulated(1, Trouble { copied: 1, ..Trouble::default() }));
    for slot in [20, 21] {
        let (peer, socket) = (PeerId::new(0, 21 + u64::from(slot)), world.peers.connect());
        world.received.push(Vec::new());
        world.answered.push(0);
        let adoption = Adoption { route: 1, ..adoption(slot, peer, 90, socket) };
        world.link.order(Order::Adopt(adoption)).unwrap();
    }
    world.until("all adopted", |world| world.shard.connections() == PEERS + 2);
    assert_eq!(blocks(&mut world, 3, 300_000), (2, 2), "one try each");
    let mut world = filled(simulated(1, Trouble { late_release: 400, ..Trouble::default() }));
    assert_eq!(blocks(&mut world, 1, 300_000).0, 1, "it is still being asked");
    // The one that asks stands in the middle.
    let asker = PEERS as u16 / 2 - 1;
    let peer = PeerId::new(0, u64::from(asker) + 1);
    world.link.order(Order::Retire { slot: asker, peer }).unwrap();
    world.until("retired", |world| world.shard.connections() == PEERS - 1);
    assert!(blocks(&mut world, 1, 300_000).0 > 1, "nobody asked again");
}
