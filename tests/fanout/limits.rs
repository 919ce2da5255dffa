//! What one peer may make a shard do, and how long it may be silent.

use broadside::hot::link::{Cause, Flood, Outcome};
use broadside::limits::{
    BLOCK_REPLIES_MAX, PING_INTERVAL_MS, RECEIVED_BYTES_SAVED, RECEIVED_MESSAGES_SAVED,
};
use broadside::metrics::Counter;
use broadside::sim::ring::{SimRing, Trouble};
use broadside::sys::ring::Ring;
use broadside::wire::frame::frame;
use broadside::wire::message::{InvItem, encode_inv};

use crate::world::{SimPeers, World, simulated};
use crate::{SECOND_NS, bytes, causes, outcomes};

const PEERS: usize = 4;
/// The one that floods.
const BAD: usize = 2;

/// Peers on a calm ring; a block is handled by all of them.
fn world() -> World<SimRing, SimPeers> {
    let mut world = simulated(1, Trouble::default());
    world.connect_many(PEERS);
    world.until("all adopted", |world| world.shard.connections() == PEERS);
    (0..20).for_each(|_| world.turn());
    world
}

/// Peer [`BAD`] says `what` until it is dropped; everybody else gets the block that comes meanwhile.
fn flood(what: &[u8], times: usize, expected: Flood, counter: Counter) {
    let mut world = world();
    world.publish(&bytes(1, 5_000), [1; 32]);
    for _ in 0..times {
        world.shard.ring_mut().inner.say(BAD as u16, what);
        (0..10).for_each(|_| world.turn());
    }
    // What it has said comes in piece by piece.
    world.until_long("the flood is dropped", |world| world.shard.connections() == PEERS - 1);
    world.until("its socket is home", |world| !causes(world).is_empty());
    assert_eq!(causes(&world), [(BAD as u64 + 1, Cause::Flood(expected))]);
    assert_eq!((world.link.counters.get(counter), Cause::Flood(expected).word()), (1, "flood"));
    world.publish(&bytes(2, 5_000), [2; 32]);
    world.until("all handled", |world| world.shard.tally().settled() == 2 * PEERS as u64 - 1);
    let ended = outcomes(&world);
    let well = ended
        .iter()
        .filter(|(_, peer, outcome)| *outcome == Outcome::Handled && *peer != BAD as u64 + 1);
    assert_eq!(well.count(), 2 * (PEERS - 1), "others were harmed: {ended:?}");
}

#[test]
fn a_flood_of_messages_is_dropped() {
    let magic = simulated(1, Trouble::default()).chain.magic;
    let many = frame(magic, "verack", b"").repeat(RECEIVED_MESSAGES_SAVED as usize / 4);
    flood(&many, 5, Flood::Messages, Counter::FloodsOfMessages);
}

#[test]
fn a_flood_of_bytes_is_dropped() {
    let magic = simulated(1, Trouble::default()).chain.magic;
    let large = frame(magic, "tx", &vec![7; 3_900_000]);
    // The clock goes on while they come in: more than the rate gives meanwhile.
    let times = 3 * RECEIVED_BYTES_SAVED as usize / large.len();
    flood(&large, times, Flood::Bytes, Counter::FloodsOfBytes);
}

#[test]
fn a_flood_of_requests_is_dropped() {
    let magic = simulated(1, Trouble::default()).chain.magic;
    let items: Vec<_> = (0..300).map(|_| InvItem { kind: 2, hash: [9; 32] }).collect();
    let request = frame(magic, "getdata", &encode_inv(&items));
    flood(&request, 4, Flood::Requests, Counter::FloodsOfRequests);
    // More than nodes take at once.
    let mut hostile = encode_inv(&items);
    hostile.splice(..3, [0xfe, 0xff, 0xff, 0xff, 0xff]);
    flood(&frame(magic, "getdata", &hostile), 1, Flood::Requests, Counter::FloodsOfRequests);
}

/// Blocks as fast as the peers take them, each with its receipt, its echo, and as many requests as an
/// honest peer can have: nobody is dropped for what blocks bring with them.
#[test]
fn blocks_never_make_a_peer_a_flood() {
    let mut world = world();
    let magic = world.chain.magic;
    for number in 1..=60_u8 {
        let hash = [number; 32];
        world.publish(&bytes(number, 2_000), hash);
        let expected = u64::from(number) * PEERS as u64;
        world.until("handled", |world| world.shard.tally().settled() == expected);
        let item = InvItem { kind: 2, hash };
        let [echo, request] =
            ["inv", "getdata"].map(|name| frame(magic, name, &encode_inv(&[item])));
        for at in 0..PEERS as u16 {
            world.shard.ring_mut().inner.say(at, &echo);
            world.shard.ring_mut().inner.say(at, &request.repeat(BLOCK_REPLIES_MAX as usize));
        }
        (0..5).for_each(|_| world.turn());
    }
    assert_eq!(causes(&world), []);
}

/// Receipts and echoes are given back: more of them than could ever be saved up.
#[test]
fn receipts_and_echoes_cost_a_peer_nothing() {
    let mut world = simulated(3, Trouble::default());
    world.connect();
    world.until("adopted", |world| world.shard.connections() == 1);
    let blocks = RECEIVED_MESSAGES_SAVED / 2 + 200;
    let magic = world.chain.magic;
    let before_ns = world.shard.ring_mut().now_ns();
    for number in 1..=blocks {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        world.publish(&bytes(1, 100), hash);
        world.until("handled", |world| world.shard.tally().settled() == number);
        world.received[0].clear();
        world.answered[0] = 0;
        let item = InvItem { kind: 2, hash };
        world.shard.ring_mut().inner.say(0, &frame(magic, "inv", &encode_inv(&[item])));
    }
    let took_ns = world.shard.ring_mut().now_ns() - before_ns;
    eprintln!("{blocks} blocks within {} ms of the simulated clock", took_ns / 1_000_000);
    assert_eq!(causes(&world), []);
}

/// The chain's own limit counts, and the local node is held to no other.
#[test]
fn a_silent_peer_is_dropped_after_its_chains_limit() {
    let mut world = world();
    world.mute.push(BAD);
    let limit_ns = u64::from(world.chain.ping_deadline_s) * SECOND_NS;
    // It answered the first ping; the next one goes out after the interval.
    world.shard.ring_mut().ahead_ns += PING_INTERVAL_MS * 1_000_000;
    (0..200).for_each(|_| world.turn());
    world.shard.ring_mut().ahead_ns += limit_ns - 2 * SECOND_NS;
    (0..200).for_each(|_| world.turn());
    assert_eq!(causes(&world), [], "it had two more seconds");
    world.shard.ring_mut().ahead_ns += 2 * SECOND_NS;
    world.until("dropped", |world| !causes(world).is_empty());
    (0..200).for_each(|_| world.turn());
    assert_eq!(causes(&world), [(BAD as u64 + 1, Cause::Silent)]);
}

/// What went over a connection can be read while it lives, and only under its own name.
#[test]
fn bytes_are_counted_while_connected() {
    use broadside::hot::link::PeerId;
    let mut world = world();
    world.publish(&bytes(1, 5_000), [1; 32]);
    world.until("handled", |world| world.shard.tally().settled() == PEERS as u64);
    world.shard.ring_mut().ahead_ns += SECOND_NS;
    (0..5).for_each(|_| world.turn());
    let counted = world.link.traffic.of(0, PeerId::new(0, 1)).expect("it is there");
    assert_eq!(counted.sent_bytes, world.received[0].len() as u64);
    assert_eq!(counted.received_bytes, 2 * 32, "two pongs");
    assert_eq!(world.link.traffic.of(0, PeerId::new(0, 2)), None);
    assert_eq!(world.link.traffic.of(u16::MAX, PeerId::new(0, 1)), None);
}
