//! Conservation laws on the real shard, in a world that its seed makes as bad as it can.

use std::sync::Arc;

use broadside::hot::governor::bucket::Bucket;
use broadside::hot::link::{ImageId, Order, PeerId, Relay, Report, Terms};
use broadside::limits::IMAGE_SLOTS;
use broadside::metrics::Counter;
use broadside::sim::dice::Dice;
use broadside::sim::ring::Trouble;
use broadside::wire::compact::encode_getblocktxn;
use broadside::wire::frame::frame;
use broadside::wire::message::{GetHeaders, InvItem, SendCompact, encode_inv};

use crate::compact::{publish, takes};
use crate::governed::policy;
use crate::world::{World, governed_and_simulated, sight};

/// Goal: no offer is lost and none is counted twice, whatever the kernel does.
/// Method: the real shard on a ring that fills, fails, delays and reorders as its seed says; the
/// law is checked after every turn, then again when the world has gone quiet. A failure prints its
/// seed.
#[test]
fn every_offer_has_one_outcome() {
    let (mut warmed, mut sums) = (0, [0; 3]);
    for seed in 0..60 {
        let mut dice = Dice::new(!seed);
        let odds = |dice: &mut Dice, most| {
            if dice.one_in(3) { 0 } else { 2 + dice.below(most) }
        };
        let trouble = Trouble {
            short_send: odds(&mut dice, 10),
            full: odds(&mut dice, 10),
            broken: odds(&mut dice, 200),
            late_release: odds(&mut dice, 30),
            copied: odds(&mut dice, 3),
            refused: odds(&mut dice, 40),
        };
        // Every second world shares an uplink, with half of its peers.
        let uplink = [None, Some(100_000_000), None, Some(10_000_000_000)][seed as usize % 4];
        let policy = policy(uplink);
        let bucket = Arc::clone(&policy.bucket);
        let mut world = governed_and_simulated(seed, trouble, policy);
        for at in 0..12 {
            world.is_governed = uplink.is_some() && at % 2 == 0;
            let relays = [Relay::Full, Relay::CompactAndFull, Relay::Compact];
            let asks_back = dice.one_in(2);
            let takes_unasked = dice.one_in(2);
            world.terms =
                Terms { asks_back, takes_unasked, ..takes(relays[dice.below(3) as usize]) };
            world.connect();
        }
        let mut warming = None;
        for turn in 0..250_u64 {
            disturb(&mut world, &mut dice, turn);
            disturb_warm_up(&world, &mut dice, &bucket, uplink, &mut warming);
            world.turn();
        }
        let offered = world.shard.tally().offered;
        assert!(offered > 0, "seed {seed} tested nothing");
        world.shard.ring_mut().inner.calm();
        world.link.order(Order::Drain).unwrap();
        world.until(&format!("seed {seed}: quiet"), |world| world.shard.stopped());
        assert_eq!(world.shard.in_flight(), 0, "seed {seed}: an offer without an outcome");
        let held: u32 = (0..IMAGE_SLOTS as u8)
            .map(|slot| broadside::sys::ring::Ring::held(world.shard.ring_mut(), slot))
            .sum();
        assert_eq!(held, 0, "seed {seed}: a buffer the kernel never gave back");
        for at in 0..world.received.len() {
            let _ = world.blocks_of(at);
        }
        while let Some(report) = world.link.next_report() {
            world.reports.push(report);
        }
        let settled =
            world.reports.iter().filter(|r| matches!(r, Report::Settled { .. })).count() as u64;
        assert_eq!(settled, offered, "seed {seed}: each offer is reported once");
        let tally = world.shard.tally();
        assert_eq!(tally.warm_ups, tally.warm_ups_ended, "seed {seed}: a warm-up without an end");
        let whole = |report: &&Report| matches!(report, Report::WarmedUp { whole: true, .. });
        warmed += world.reports.iter().filter(whole).count();
        let counters = [Counter::CompactBlocksSent, Counter::AnswersSent, Counter::HeadersOffered];
        for (sum, counter) in sums.iter_mut().zip(counters) {
            *sum += world.link.counters.get(counter);
        }
    }
    assert!(warmed > 0, "no warm-up was tested");
    eprintln!("compact blocks, answers and headers: {sums:?}");
    assert!(sums.iter().all(|sum| *sum > 0), "not tested: {sums:?}");
}

/// Warm-ups come and go, and what is known of the uplink changes.
fn disturb_warm_up(
    world: &World<broadside::sim::ring::SimRing, crate::world::SimPeers>,
    dice: &mut Dice,
    bucket: &Bucket,
    uplink: Option<u64>,
    warming: &mut Option<ImageId>,
) {
    if uplink.is_some() && dice.one_in(60) {
        bucket.set_uplink(uplink.filter(|_| dice.one_in(2)));
        bucket.set_probe(dice.one_in(2).then_some(5_000_000));
    }
    if let Some(image) = warming.take_if(|_| dice.one_in(10)) {
        world.link.order(Order::EndWarmUp { image }).unwrap();
    }
    if dice.one_in(12)
        && let Some(mut writer) = world.publisher.begin_warm_up()
    {
        writer.push(&vec![3; 1 + dice.below(100_000) as usize]).unwrap();
        let image = writer.commit_warm_up(0, world.chain, [255; 32]).unwrap();
        for _ in 0..dice.below(20) {
            let at = dice.below(14);
            let (slot, peer) = (at as u16, PeerId::new(0, at + 1));
            world.link.order(Order::WarmUp { slot, peer, image }).unwrap();
        }
        *warming = Some(image);
    }
}

fn disturb(
    world: &mut World<broadside::sim::ring::SimRing, crate::world::SimPeers>,
    dice: &mut Dice,
    turn: u64,
) {
    let at = dice.below(12);
    if dice.one_in(15) && world.arena.free_slots() > 1 {
        let length = 1 + dice.below(200_000) as usize;
        if length > 25_000 && dice.one_in(2) {
            publish(world, &vec![turn as u8; length], turn as u8);
        } else {
            world.publish(&vec![turn as u8; length], [turn as u8; 32]);
        }
    }
    if dice.one_in(4) {
        ask(world, dice, turn);
    }
    match dice.below(120) {
        0 => world.shard.ring_mut().inner.hang_up(at as u16, 0),
        1 => world.shard.ring_mut().inner.say(at as u16, b"garbage, garbage, garbage, garbage"),
        2 => world.shard.ring_mut().inner.stall(at as u16, true),
        3 => {
            let peer = PeerId::new(0, at + 1);
            world.link.order(Order::Retire { slot: at as u16, peer }).unwrap();
        }
        4 => {
            let peer = PeerId::new(0, at + 1);
            world.link.order(sight(at as u16, peer, turn as u32)).unwrap();
        }
        5 => world.shard.ring_mut().ahead_ns += dice.below(12_000_000_000),
        6 if world.received.len() < 40 => world.connect_many(1),
        _ => {}
    }
}

/// A peer asks for something of a block of late, or of none.
fn ask(
    world: &mut World<broadside::sim::ring::SimRing, crate::world::SimPeers>,
    dice: &mut Dice,
    turn: u64,
) {
    let hash = [turn.saturating_sub(dice.below(20)) as u8; 32];
    let inv = |kind| encode_inv(&[InvItem { kind, hash }]);
    let (name, said) = match dice.below(6) {
        0 => ("getdata", inv(2)),
        1 => ("getdata", inv(4)),
        2 => ("inv", inv(2)),
        3 => ("getheaders", GetHeaders { version: 1, locator: vec![hash], stop: hash }.encode()),
        4 => ("sendcmpct", SendCompact { announce: dice.one_in(2), version: 3 }.encode().to_vec()),
        _ => {
            let from = dice.below(60) as u32;
            ("getblocktxn", encode_getblocktxn(&hash, &[from, from + 1, from + 7]))
        }
    };
    let message = frame(world.chain.magic, name, &said);
    world.shard.ring_mut().inner.say(dice.below(12) as u16, &message);
}
