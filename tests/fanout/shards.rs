//! Several shards: rank order holds over all of them, on real sockets and in simulation.

use std::sync::Arc;

use broadside::cold::roster::{Place, SlotTable};
use broadside::hot::link::{Link, Order, PeerId, Report};
use broadside::hot::publish::Publisher;
use broadside::hot::shard::Shard;
use broadside::limits::{PEERS_PER_SHARD_MAX, SHARDS_MAX};
use broadside::sim::dice::Dice;
use broadside::sys::doorbell::Doorbell;
use broadside::sys::epoll::Epoll;
use broadside::sys::memory::Arena;
use broadside::sys::ring::{Ring, Wait};
use broadside::sys::uring::Uring;
use broadside::wire::chain::{Network, find};
use broadside::wire::frame::frame;

use crate::bytes;
use crate::world::{Peers, Skewed, TcpPeers, adoption, frames};

fn links(count: u32) -> Vec<Arc<Link>> {
    let bell = Arc::new(Doorbell::new().unwrap());
    (0..count).map(|at| Arc::new(Link::new(at as u8, Arc::clone(&bell)).unwrap())).collect()
}

fn shuffled(count: u32, dice: &mut Dice) -> Vec<u32> {
    let mut all: Vec<u32> = (0..count).collect();
    for at in (1..all.len()).rev() {
        all.swap(at, dice.below(at as u64 + 1) as usize);
    }
    all
}

/// 40 peers that come in any order, two shards: each serves its own in rank order, and of the best
/// 2 k each has k.
fn two_shards<R: Ring>(make: impl Fn(&Arc<Arena>, &Arc<Link>) -> Option<R>) {
    const PEERS: u32 = 40;
    let (links, arena) = (links(2), Arena::new().unwrap());
    let (publisher, inboxes) = Publisher::new(Arc::clone(&arena), &links);
    let mut shards = Vec::new();
    for (link, inbox) in links.iter().zip(inboxes) {
        let Some(inner) = make(&arena, link) else {
            return;
        };
        shards.push(Shard::new(Skewed { inner, ahead_ns: 0 }, Arc::clone(link), inbox));
    }
    let chain = find("litecoin", Network::Regtest).unwrap();
    let (table, mut peers) = (SlotTable::new(links.clone()), TcpPeers::default());
    let mut known: Vec<(PeerId, u32, u8)> = Vec::new();
    for rank in shuffled(PEERS, &mut Dice::new(7)) {
        let (peer, Place { link, slot }) = table.take(0, rank).unwrap();
        let socket = Peers::<Skewed<R>>::connect(&mut peers);
        let adoption = adoption(slot, peer, rank, socket);
        link.order(Order::Adopt(adoption)).unwrap();
        known.push((peer, rank, link.shard));
    }
    let (mut streams, mut answered) = (vec![Vec::new(); PEERS as usize], vec![0; PEERS as usize]);
    let mut reports: Vec<Report> = Vec::new();
    let mut turn = |shards: &mut Vec<Shard<Skewed<R>>>| {
        shards.iter_mut().for_each(|shard| shard.turn(Wait::UpTo(1_000_000)));
        for at in 0..PEERS as usize {
            let ring = shards[0].ring_mut();
            peers.read(ring, at, &mut streams[at]);
            for (command, payload, end) in frames(&streams[at], answered[at]) {
                answered[at] = end;
                if command == "ping" {
                    peers.say(ring, at, &frame(chain.magic, "pong", &payload));
                }
            }
        }
        links.iter().for_each(|link| reports.extend(std::iter::from_fn(|| link.next_report())));
    };
    (0..200).for_each(|_| turn(&mut shards));
    let mut writer = publisher.begin().unwrap();
    writer.push(&bytes(1, 20_000)).unwrap();
    let _ = writer.commit(0, chain, [1; 32]);
    for _ in 0..5_000 {
        if shards.iter().map(|shard| shard.tally().settled()).sum::<u64>() == u64::from(PEERS) {
            break;
        }
        turn(&mut shards);
    }
    let submitted = |wanted: PeerId| {
        reports.iter().find_map(|report| match report {
            Report::Settled { peer, submitted_ns, .. } if *peer == wanted => Some(*submitted_ns),
            _ => None,
        })
    };
    for shard in 0..2 {
        let mut own: Vec<_> = known.iter().filter(|(.., of)| *of == shard).collect();
        own.sort_by_key(|(_, rank, _)| *rank);
        let times: Vec<u64> = own.iter().map(|(peer, ..)| submitted(*peer).unwrap()).collect();
        assert!(times.is_sorted(), "shard {shard} served out of order");
    }
    for best in 1..=PEERS {
        let mine = known.iter().filter(|(_, rank, shard)| *rank < best && *shard == 0).count();
        let share = best as usize / 2;
        assert!(mine.abs_diff(share) <= 2, "of the best {best} one shard has {mine}");
    }
}

#[test]
fn two_shards_serve_the_best_side_by_side() {
    two_shards(|_, link| {
        Some(Epoll::new(Arc::clone(&link.to_hot), Arc::clone(&link.to_cold)).unwrap())
    });
    two_shards(|arena, link| {
        let bells = (Arc::clone(&link.to_hot), Arc::clone(&link.to_cold));
        Uring::new(Arc::clone(arena), bells.0, bells.1)
            .inspect_err(|error| eprintln!("NOT TESTED on io_uring: {error}"))
            .ok()
    });
}

/// How far the worst shard is behind an even share: positions that one of the best k stands too
/// late at most, over the best tenth and over all.
fn deviation(placed: &[(PeerId, Place, u32)]) -> (u32, u32) {
    let shards = SHARDS_MAX as usize;
    let mut by_rank: Vec<(u32, u8)> = placed.iter().map(|it| (it.2, it.1.link.shard)).collect();
    by_rank.sort_unstable();
    let mut counts = vec![0_u32; shards];
    let (mut tenth, mut worst) = (0, 0);
    for (at, (_, shard)) in by_rank.iter().enumerate() {
        let count = &mut counts[usize::from(*shard)];
        *count += 1;
        worst = worst.max(count.saturating_sub((at / shards) as u32 + 1));
        if at < by_rank.len() / 10 {
            tenth = worst;
        }
    }
    (tenth, worst)
}

/// 64 shards with 1,000 peers each: as they come, as they are replaced, as ranks drift, and as those
/// that come afterwards make up for it. Seeded.
#[test]
fn rank_order_holds_over_64_shards() {
    const EACH: u32 = 1_000;
    const { assert!(EACH < PEERS_PER_SHARD_MAX) };
    let mut dice = Dice::new(64);
    let table = SlotTable::new(links(SHARDS_MAX));
    let place = |rank| {
        let (peer, place) = table.take(0, rank).unwrap();
        (peer, place, rank)
    };
    let mut placed: Vec<_> =
        shuffled(SHARDS_MAX * EACH, &mut dice).into_iter().map(|rank| place(rank * 64)).collect();
    let filled = deviation(&placed);
    let any_rank = |dice: &mut Dice| dice.below(u64::from(SHARDS_MAX * EACH * 64)) as u32;
    let replace = |placed: &mut Vec<_>, dice: &mut Dice, count: u32| {
        for _ in 0..count {
            let at = dice.below(placed.len() as u64) as usize;
            let (peer, old, _): (PeerId, Place, u32) = placed.swap_remove(at);
            assert!(table.give_back(old.link.shard, old.slot, peer));
            placed.push(place(any_rank(dice)));
        }
    };
    replace(&mut placed, &mut dice, SHARDS_MAX * EACH);
    let replaced = deviation(&placed);
    for (peer, place, rank) in &mut placed {
        // A tenth of the whole range, up or down.
        let drift = dice.below(u64::from(SHARDS_MAX * EACH * 64 / 5)) as u32;
        *rank = (*rank + drift).saturating_sub(SHARDS_MAX * EACH * 64 / 10);
        table.note_rank(place.link.shard, place.slot, *peer, *rank);
    }
    let drifted = deviation(&placed);
    replace(&mut placed, &mut dice, SHARDS_MAX * EACH);
    let recovered = deviation(&placed);
    eprintln!(
        "64 shards x 1,000 peers: of the best k, no one stands more than so many places behind \
         k / 64 in its shard (best tenth, all): filled {filled:?}, all replaced once {replaced:?}, \
         ranks drifted by a tenth {drifted:?}, all replaced again {recovered:?}"
    );
    for (tenth, all) in [filled, replaced, drifted, recovered] {
        assert!(tenth <= 32 && all <= 64, "{tenth} in the best tenth, {all} in all");
    }
}
