//! Compact blocks, and what peers ask for because of them.

use broadside::hot::link::{Order, Outcome, Relay, Report, Terms, Way};
use broadside::hot::publish::{Attachment, Published};
use broadside::limits::COMPACT_RECEIPT_MS;
use broadside::metrics::Counter;
use broadside::sim::ring::Trouble;
use broadside::sys::ring::Ring;
use broadside::wire::compact::encode_getblocktxn;
use broadside::wire::frame::frame;
use broadside::wire::hash::sha256d;
use broadside::wire::message::{GetHeaders, InvItem, SendCompact, encode_inv};

use crate::world::{Peers, Skewed, World, frames, simulated};
use crate::{bytes, outcomes};

/// Where the made-up transactions end: one byte behind the header, then steps of 500.
const ENDS: [u32; 40] = {
    let mut ends = [0; 40];
    let mut at = 0;
    while at < 40 {
        ends[at] = 81 + 500 * (at as u32 + 1);
        at += 1;
    }
    ends
};

/// Takes compact blocks unasked.
pub fn takes(relay: Relay) -> Terms {
    Terms {
        relay,
        compact_version: 3,
        compact_inventory: 4,
        takes_unasked: true,
        speaks_compact: true,
        ..Terms::default()
    }
}

/// A made-up block on `parent`, much longer than its compact form.
fn block_on(parent: [u8; 32], seed: u8, length: usize) -> Vec<u8> {
    let mut block = bytes(seed, length);
    block[4..36].copy_from_slice(&parent);
    block
}

fn compact_form(seed: u8) -> Vec<u8> {
    bytes(seed ^ 0x55, 3_000)
}

/// Publishes `block` with a made-up compact form.
pub fn publish<R: Ring, P: Peers<Skewed<R>>>(
    world: &World<R, P>,
    block: &[u8],
    seed: u8,
) -> Published {
    let mut writer = world.publisher.begin().expect("a free image slot");
    writer.push(block).unwrap();
    let compact = compact_form(seed);
    let [c0, c1, c2, c3, ..] = sha256d(&compact);
    let more = Attachment {
        header_bytes: 80,
        transactions_start: 81,
        ends: &ENDS,
        compact: Some((&compact, [c0, c1, c2, c3])),
    };
    writer.attach(world.chain, more);
    writer.commit(0, world.chain, [seed; 32])
}

/// What peer `at` was sent, its own pings left out: names, and what came with them.
fn sent<R: Ring, P: Peers<Skewed<R>>>(world: &World<R, P>, at: usize) -> Vec<(String, Vec<u8>)> {
    let all = frames(&world.received[at], 0).into_iter();
    all.map(|(command, payload, _)| (command, payload)).filter(|(it, _)| it != "ping").collect()
}

fn names<R: Ring, P: Peers<Skewed<R>>>(world: &World<R, P>, at: usize) -> Vec<String> {
    sent(world, at).into_iter().map(|(command, _)| command).collect()
}

fn say<R: Ring, P: Peers<Skewed<R>>>(world: &mut World<R, P>, at: usize, name: &str, said: &[u8]) {
    let message = frame(world.chain.magic, name, said);
    world.peers.say(world.shard.ring_mut(), at, &message);
}

fn ways<R: Ring, P: Peers<Skewed<R>>>(world: &World<R, P>) -> Vec<(u64, Way, u32)> {
    let settled = world.reports.iter().filter_map(|report| match report {
        Report::Settled { peer, way, sent_bytes, .. } => Some((peer.0, *way, *sent_bytes)),
        _ => None,
    });
    let mut all: Vec<_> = settled.collect();
    all.sort_by_key(|(peer, ..)| *peer);
    all
}

fn adopted<R: Ring, P: Peers<Skewed<R>>>(world: &mut World<R, P>, terms: Terms, peers: usize) {
    world.terms = terms;
    world.connect_many(peers);
    let all = world.received.len();
    world.until("all adopted", |world| world.shard.connections() == all);
    (0..30).for_each(|_| world.turn());
}

/// Who takes it gets the compact block and the whole one behind it, the others the whole one alone.
pub fn compact_then_full<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    adopted(&mut world, takes(Relay::CompactAndFull), 4);
    adopted(&mut world, Terms::default(), 2);
    let block = block_on([0; 32], 1, 300_000);
    publish(&world, &block, 1);
    world.until("all settled", |world| world.shard.tally().settled() == 6);
    for at in 0..4 {
        let both = [("cmpctblock".into(), compact_form(1)), ("block".into(), block.clone())];
        assert_eq!(sent(&world, at), both);
    }
    assert!((4..6).all(|at| sent(&world, at) == [("block".into(), block.clone())]));
    assert!(outcomes(&world).iter().all(|(.., outcome)| *outcome == Outcome::Handled));
    let (whole, compact) = (300_056, 3_056);
    let both = (1..=4).map(|peer| (peer, Way::CompactThenFull, whole + compact));
    let all: Vec<_> = both.chain((5..=6).map(|peer| (peer, Way::Full, whole))).collect();
    assert_eq!(ways(&world), all);
    let count = |counter| world.link.counters.get(counter);
    assert_eq!((count(Counter::CompactBlocksSent), count(Counter::WholeBlocksSent)), (4, 6));
}

/// Only who does not answer in time is sent the whole block.
pub fn compact_alone<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    adopted(&mut world, takes(Relay::Compact), 3);
    world.mute = vec![2];
    publish(&world, &block_on([0; 32], 1, 300_000), 1);
    world.until("two settled", |world| world.shard.tally().settled() == 2);
    assert!(ways(&world).iter().all(|(_, way, bytes)| (*way, *bytes) == (Way::Compact, 3_056)));
    (0..100).for_each(|_| world.turn());
    assert_eq!(names(&world, 2), ["cmpctblock"]);
    world.shard.ring_mut().ahead_ns += (COMPACT_RECEIPT_MS + 100) * 1_000_000;
    world.until("it gets the block", |world| names(world, 2) == ["cmpctblock", "block"]);
    world.mute.clear();
    world.until("all settled", |world| world.shard.tally().settled() == 3);
    assert_eq!(world.link.counters.get(Counter::WholeInstead), 1);
    assert!((0..2).all(|at| names(&world, at) == ["cmpctblock"]));
}

/// Two blocks, one on the other, before anybody could say a word.
pub fn in_a_row<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    adopted(&mut world, takes(Relay::CompactAndFull), 3);
    adopted(&mut world, Terms::default(), 2);
    publish(&world, &block_on([0; 32], 1, 300_000), 1);
    publish(&world, &block_on([1; 32], 2, 200_000), 2);
    world.until("all settled", |world| world.shard.tally().settled() == 10);
    for at in 0..5 {
        let order = |name: &str| {
            let of = |(_, said): (String, Vec<u8>)| said[4..36] == [1; 32];
            sent(&world, at).into_iter().filter(|(it, _)| it == name).map(of).collect::<Vec<_>>()
        };
        assert_eq!(order("block"), [false, true], "peer {at}: the parent first");
        let compact: Vec<_> =
            sent(&world, at).into_iter().filter(|(it, _)| it == "cmpctblock").collect();
        let both = [compact_form(1), compact_form(2)].map(|it| ("cmpctblock".to_owned(), it));
        assert!(compact == if at < 3 { both.to_vec() } else { Vec::new() });
    }
}

/// A peer that lacks transactions gets them, and its first pong is no receipt.
pub fn lacking<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    adopted(&mut world, takes(Relay::Compact), 1);
    world.mute = vec![0];
    let block = block_on([0; 32], 1, 300_000);
    publish(&world, &block, 1);
    world.until("it is there", |world| names(world, 0) == ["cmpctblock"]);
    say(&mut world, 0, "getblocktxn", &encode_getblocktxn(&[1; 32], &[3, 4, 39]));
    // The pong to the compact block's ping comes behind the question.
    world.mute.clear();
    world.until("settled", |world| world.shard.tally().settled() == 1);
    assert_eq!(names(&world, 0), ["cmpctblock", "blocktxn"]);
    let span = |index: usize| &block[ENDS[index - 1] as usize..ENDS[index] as usize];
    let lacked = [&[1; 32], &[3][..], span(3), span(4), span(39)].concat();
    assert_eq!(sent(&world, 0)[1].1, lacked);
    let pings = frames(&world.received[0], 0).into_iter().filter(|(it, ..)| it == "ping");
    assert_eq!(pings.count(), 3, "its own, the compact block's, and that again behind the answer");
    assert_eq!(outcomes(&world), [(1, 1, Outcome::Handled)]);
}

/// What nobody asks in earnest is refused; who would wait for it gets the whole block.
pub fn bad_requests<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    adopted(&mut world, takes(Relay::Compact), 3);
    world.mute = vec![0, 1, 2];
    publish(&world, &block_on([0; 32], 1, 300_000), 1);
    world.until("all have it", |world| (0..3).all(|at| names(world, at) == ["cmpctblock"]));
    let far: Vec<_> = (0..10_000).collect();
    say(&mut world, 0, "getblocktxn", &encode_getblocktxn(&[1; 32], &[40]));
    say(&mut world, 1, "getblocktxn", &encode_getblocktxn(&[1; 32], &far));
    say(&mut world, 2, "getblocktxn", &[[1; 32].to_vec(), vec![2, 0xff]].concat());
    world.until("all get the block", |world| {
        (0..3).all(|at| names(world, at) == ["cmpctblock", "block"])
    });
    world.mute.clear();
    world.until("settled", |world| world.shard.tally().settled() == 3);
    let count = |world: &World<R, P>, counter| world.link.counters.get(counter);
    assert_eq!(
        (count(&world, Counter::WholeInstead), count(&world, Counter::RequestsRefused)),
        (3, 2)
    );
    // For a block that is not ours, and again and again for one that is.
    say(&mut world, 0, "getblocktxn", &encode_getblocktxn(&[9; 32], &[1]));
    let again = encode_inv(&[InvItem { kind: 2, hash: [1; 32] }; 20]);
    say(&mut world, 1, "getdata", &again);
    world.until("refused", |world| count(world, Counter::RequestsRefused) > 10);
    (0..200).for_each(|_| world.turn());
    assert_eq!(names(&world, 0).len(), 2);
    assert!(names(&world, 1).len() <= 3, "twenty times is once");
}

/// Blocks in either form, what is not there, and headers.
pub fn asked_for<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    adopted(&mut world, takes(Relay::Full), 2);
    let blocks = [block_on([7; 32], 1, 90_000), block_on([1; 32], 2, 80_000)];
    publish(&world, &blocks[0], 1);
    publish(&world, &blocks[1], 2);
    world.until("all settled", |world| world.shard.tally().settled() == 4);
    let item = |kind, hash| InvItem { kind, hash };
    let asked = [item(4, [2; 32]), item(0x4000_0002, [1; 32]), item(3, [1; 32]), item(2, [9; 32])];
    say(&mut world, 0, "getdata", &encode_inv(&asked));
    world.until("all answered", |world| names(world, 0).len() == 5);
    let mut answers = sent(&world, 0)[2..].to_vec();
    answers.sort();
    assert_eq!(answers[0], ("block".into(), blocks[0].clone()));
    assert_eq!(answers[1], ("cmpctblock".into(), compact_form(2)));
    assert_eq!(answers[2], ("notfound".into(), encode_inv(&asked[2..])));
    let ask = |known: &[[u8; 32]]| {
        GetHeaders { version: 70_016, locator: known.to_vec(), stop: [0; 32] }.encode()
    };
    let header = |at: usize| [&blocks[at][..80], &[0]].concat();
    let headers: [(&[[u8; 32]], Vec<u8>); 4] = [
        (&[[7; 32]], [vec![2], header(0), header(1)].concat()),
        (&[[6; 32], [1; 32]], [vec![1], header(1)].concat()),
        (&[[2; 32], [7; 32]], vec![0]),
        (&[[5; 32]], vec![0]),
    ];
    for (round, (known, reply)) in headers.into_iter().enumerate() {
        say(&mut world, 1, "getheaders", &ask(known));
        world.until("headers", |world| names(world, 1).len() == 3 + round);
        assert_eq!(sent(&world, 1)[2 + round], ("headers".into(), reply), "{known:?}");
    }
    say(&mut world, 1, "getblocks", &ask(&[[7; 32]]));
    world.until("names", |world| names(world, 1).len() == 7);
    let both = encode_inv(&[item(2, [1; 32]), item(2, [2; 32])]);
    assert_eq!(sent(&world, 1)[6], ("inv".into(), both));
}

/// Where compact blocks are taken from chosen senders only, it is the peer's last word that counts.
pub fn chosen<R: Ring, P: Peers<Skewed<R>>>(mut world: World<R, P>) {
    adopted(
        &mut world,
        Terms { takes_unasked: false, speaks_compact: false, ..takes(Relay::CompactAndFull) },
        1,
    );
    let said = |world: &World<R, P>, chosen: bool| {
        let is_it = |report: &&Report| matches!(report, Report::HighBandwidth { chosen: it, .. } if *it == chosen);
        world.reports.iter().filter(is_it).count()
    };
    for (round, (announce, version)) in
        [(false, 3), (true, 1), (true, 3), (false, 3)].into_iter().enumerate()
    {
        let before = said(&world, announce);
        say(&mut world, 0, "sendcmpct", &SendCompact { announce, version }.encode());
        world.until("it was heard", |world| said(world, announce) > before);
        let seed = round as u8 + 1;
        publish(&world, &block_on([seed - 1; 32], seed, 100_000), seed);
        world.until("settled", |world| world.shard.tally().settled() == u64::from(seed));
    }
    let all = ["block", "block", "cmpctblock", "block", "block"];
    assert_eq!(names(&world, 0), all, "only the third block");
}

/// No byte of a whole block before the compact ones are out on all connections.
#[test]
fn compact_blocks_are_out_everywhere_first() {
    for is_governed in [false, true] {
        let mut world = match is_governed {
            true => {
                let policy = crate::governed::policy(Some(1_000_000_000));
                crate::world::governed_and_simulated(1, Trouble::default(), policy)
            }
            false => simulated(1, Trouble::default()),
        };
        world.is_governed = is_governed;
        adopted(&mut world, takes(Relay::CompactAndFull), 200);
        publish(&world, &block_on([0; 32], 1, 300_000), 1);
        world.until_long("the first whole block", |world| {
            world.link.counters.get(Counter::WholeBytes) > 0
        });
        assert_eq!(world.link.counters.get(Counter::CompactBlocksSent), 200);
        world.until_long("all settled", |world| world.shard.tally().settled() == 200);
    }
}

/// The node refuses a block of which some have the compact form: nobody is sent more of it.
#[test]
fn a_refused_block_is_not_sent_behind_its_compact_form() {
    let policy = crate::governed::policy(Some(1_000_000));
    let mut world = crate::world::governed_and_simulated(1, Trouble::default(), policy);
    world.is_governed = true;
    adopted(&mut world, takes(Relay::CompactAndFull), 3);
    let published = publish(&world, &block_on([0; 32], 1, 300_000), 1);
    world
        .until_long("one has it", |world| world.link.counters.get(Counter::CompactBlocksSent) == 3);
    world.link.order(Order::Withdraw { image: published.image }).unwrap();
    world.until_long("all settled", |world| world.shard.tally().settled() == 3);
    assert!((0..3).filter(|at| names(&world, *at).len() > 1).count() <= 1, "but what was begun");
}
