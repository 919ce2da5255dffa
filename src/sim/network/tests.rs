//! That the model is what it says, and that the policies stand in the order that is built upon.

use super::flood::{Fate, Flood, NEVER, normal};
use super::*;
use crate::sim::dice::Dice;

const SMALL: Assumptions = Assumptions {
    nodes: 1_500,
    hides_gateways: false,
    relay_us: 12_000,
    asks_percent: 12,
    noise_us: 10_000,
};

#[test]
fn the_same_seed_gives_the_same_findings() {
    let extent = Extent { watched: 100, learnt: 6, sent: 2 };
    let find = |seed| study(SMALL, extent, &Policy::ALL, seed);
    assert_eq!(find(3), find(3));
    assert_ne!(find(3), find(4));
}

/// What others are asked for changes nobody's figures: all get the same blocks and the same chance.
#[test]
fn a_policy_stands_alone() {
    let extent = Extent { watched: 100, learnt: 6, sent: 2 };
    let all = study(SMALL, extent, &Policy::ALL, 5);
    for (policy, row) in Policy::ALL.iter().zip(all) {
        assert_eq!(study(SMALL, extent, &[*policy], 5), [row], "{}", policy.name());
    }
}

#[test]
fn worlds_are_made_as_they_are_said_to_be() {
    for hides_gateways in [false, true] {
        let world = World::new(Assumptions { hides_gateways, ..SMALL }, 9);
        assert_eq!((world.nodes(), world.gateways()), (1_501, 24));
        let whole: f64 = world.pools.iter().map(|pool| pool.share).sum();
        assert!((whole - 1.0).abs() < 1e-9);
        let reachable = world.reachable();
        let percent = 100 * reachable.len() / 1_500;
        assert!((40..50).contains(&percent), "{percent} %");
        assert_eq!(reachable.iter().any(|node| world.is_gateway(*node)), !hides_gateways);
        assert!(!reachable.contains(&world.own) && world.own_peers().len() >= 50);
        for (node, links) in (0..).zip(&world.links) {
            for link in links {
                assert_eq!(link.way_us, world.way_us(link.to, node), "as long there as back");
                assert!((8_000..240_000).contains(&link.way_us), "{}", link.way_us);
                let back = &world.links[link.to as usize];
                assert_eq!(back.iter().filter(|it| it.to == node).count(), 1);
            }
            let senders = world.links.iter().flatten().filter(|it| it.to == node && it.is_unasked);
            assert!(senders.count() == 3, "node {node}");
        }
    }
}

/// Each node has the block at the least of what its links bring it: nothing is skipped.
#[test]
fn a_flood_is_the_shortest_way_to_all() {
    let world = World::new(SMALL, 11);
    let fate = Fate::throw(&world, &mut Dice::new(11));
    let mut flood = Flood::default();
    flood.run(&world, &fate, &[(0, 0), (1, 5_000)], |_| false, 1);
    assert!(flood.has_us.iter().all(|at_us| *at_us != NEVER));
    assert_eq!(flood.has_us[0], 0);
    let mut least = vec![NEVER; world.nodes()];
    (least[0], least[1]) = (0, 5_000);
    for (node, links) in (0..).zip(&world.links) {
        for link in links {
            let ways = if link.is_unasked { 1 } else { 3 } + if fate.asks(link.to) { 2 } else { 0 };
            let at_us = flood.has_us[node as usize] + fate.relay_us(node) + ways * link.way_us;
            least[link.to as usize] = least[link.to as usize].min(at_us);
        }
    }
    assert_eq!(flood.has_us, least);
    // Following it less far changes no time of whom it is followed to.
    let whole = flood.has_us.clone();
    flood.run(&world, &fate, &[(0, 0), (1, 5_000)], |node| world.is_gateway(node), 24);
    assert_eq!(world.arrivals(&flood.has_us), world.arrivals(&whole));
}

#[test]
fn the_normal_distribution_is_one() {
    let mut dice = Dice::new(2);
    let throws: Vec<f64> = (0..20_000).map(|_| normal(&mut dice)).collect();
    let mean = throws.iter().sum::<f64>() / 20_000.0;
    let square = throws.iter().map(|it| it * it).sum::<f64>() / 20_000.0;
    assert!(mean.abs() < 0.03 && (square - 1.0).abs() < 0.05, "{mean} {square}");
}

/// The order that the selection of peers is built upon: means over seeds, whole networks. Where
/// gateways are hidden it holds as well, by less.
#[test]
fn whom_beats_how_many() {
    let names = [
        "20 covering, compact",
        "20 first announcers, compact",
        "20 nearest, compact",
        "20 random, compact",
        "20 random, full",
        "own node only",
        "100 random, compact",
    ];
    let policies = names.map(|name| Policy::find(name).unwrap());
    for hides_gateways in [false, true] {
        let assumed = Assumptions { hides_gateways, ..Assumptions::default() };
        let extent = Extent { sent: 6, ..Extent::default() };
        let mut stale = [0.0; 7];
        for seed in 1..=12 {
            for (sum, row) in stale.iter_mut().zip(study(assumed, extent, &policies, seed)) {
                *sum += row.stale / 12.0;
            }
        }
        assert!(stale[..6].is_sorted_by(|better, worse| better < worse), "{stale:?}");
        assert!(stale[0] < 0.6 * stale[5], "about half of the own node's: {stale:?}");
        assert!(stale[0] < stale[6], "20 well chosen do more than 100 others: {stale:?}");
    }
}

/// Counting the whole of a cold, ungoverned push, the own node was faster everywhere.
#[test]
fn all_at_once_on_cold_connections_gains_nothing() {
    let policies = ["own node only", "20 random, full, all at once, cold"];
    let policies = policies.map(|name| Policy::find(name).unwrap());
    let extent = Extent { watched: 20, learnt: 1, sent: 6 };
    let rows = study(Assumptions::default(), extent, &policies, 1);
    assert!((rows[0].stale - rows[1].stale).abs() < 0.02 * rows[0].stale, "{rows:?}");
}
