//! Compact blocks on real Litecoin nodes: taken without a question, with one, and with the whole block
//! behind; before and after extension blocks; and what each costs in bytes and time.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::time::Instant;

use broadside::wire::block::{Layout, Walker};
use broadside::wire::chain::{Chain, Network, find};
use broadside::wire::compact::{CompactBuilder, TransactionsRequest, encode_blocktxn};
use broadside::wire::message::name;
use support::litecoind::Node;
use support::miner::{Mined, Miner};
use support::wire_peer::{After, WirePeer};

/// Payments in each block that is measured.
const PAYMENTS: usize = 25;
/// Blocks measured each way.
const BLOCKS: usize = 3;

fn chain() -> &'static Chain {
    find("litecoin", Network::Regtest).unwrap()
}

/// The compact form of a block, as the intake makes it, and where its parts are.
fn compact(block: &Mined, prefilled: &[u32]) -> (Vec<u8>, Layout) {
    let mut builder = CompactBuilder::new(chain(), 0x5eed);
    prefilled.iter().for_each(|index| builder.prefill(*index));
    let walker = Walker::new(chain()).keeping_ids().compacting(builder);
    let (layout, builder) = walker.finish_compact(&block.raw()).expect("a good block");
    let made = builder.expect("asked for").finish(&layout, &block.raw()).expect("it fits");
    (made.payload, layout)
}

/// A node that makes blocks, and one at its tip that nothing else connects.
struct Pair {
    miner: Miner,
    node: Node,
}

impl Pair {
    fn start(mut miner: Miner) -> Self {
        miner.mine(101_u64.saturating_sub(miner.blocks.len() as u64));
        let node = Node::start();
        node.feed(miner.chain());
        Self { miner, node }
    }

    /// A connection whose first word on compact blocks is `version`.
    fn peer(&self, version: u64) -> WirePeer {
        WirePeer::connect(chain(), self.node.p2p, 1 | 8 | 1 << 24, Some((false, version)))
    }

    /// A block with payments that the node has (`known`) or lacks.
    fn block(&mut self, payments: usize, known: bool) -> Mined {
        self.miner.pay(payments);
        if known {
            self.miner.tell(&[&self.node]);
        }
        self.miner.mine(1)[0].clone()
    }
}

fn asks(after: &After) -> bool {
    after.names().contains(&name::GETBLOCKTXN)
}

/// Answers a `getblocktxn` with what it asks for.
fn answer(block: &Mined, layout: &Layout, asked: &[u8]) -> Vec<u8> {
    let request = TransactionsRequest::decode(asked).expect("it reads");
    let raw = block.raw();
    let indexes = request.indexes(layout.transactions.len() as u32).expect("in range");
    let wanted: Vec<_> = indexes
        .map(|index| &raw[layout.transactions.get(index as usize).expect("there").range()])
        .collect();
    encode_blocktxn(request.hash(), &wanted)
}

fn every_way(pair: &mut Pair, version: u64) {
    let mut peer = pair.peer(version);
    // All is in its pool: nothing is asked.
    let block = pair.block(5, true);
    let (payload, layout) = compact(&block, &[]);
    assert!(layout.transactions.len() > 5);
    let after = peer.say(&[(name::CMPCTBLOCK, &payload)]);
    assert!(after.pong && !asks(&after), "{:?}", after.names());
    assert!(pair.node.wait_for_tip(&block.hash));
    // It lacks some: it asks, and takes the answer.
    let block = pair.block(3, false);
    let (payload, layout) = compact(&block, &[]);
    peer.send(name::CMPCTBLOCK, &payload);
    let asked = peer.wait_for(name::GETBLOCKTXN);
    let answer = answer(&block, &layout, &asked);
    assert!(peer.say(&[(name::BLOCKTXN, &answer)]).pong);
    assert_eq!(pair.node.tip(), block.hash);
    // The whole block right behind does no harm, and the question may stay unanswered.
    let block = pair.block(3, false);
    let (payload, _) = compact(&block, &[]);
    let after = peer.say(&[(name::CMPCTBLOCK, &payload), (name::BLOCK, &block.raw())]);
    assert!(after.pong && asks(&after), "{:?}", after.names());
    assert_eq!(pair.node.tip(), block.hash);
    // What it lacks goes along: nothing is asked.
    let block = pair.block(1, false);
    let (payload, layout) = compact(&block, &[1]);
    assert!(layout.transactions.len() > 1);
    let after = peer.say(&[(name::CMPCTBLOCK, &payload)]);
    assert!(after.pong && !asks(&after), "{:?}", after.names());
    assert!(pair.node.wait_for_tip(&block.hash));
    assert!(peer.say(&[]).pong, "nothing of it was held against us");
}

#[test]
fn plain_blocks_are_taken_compact() {
    every_way(&mut Pair::start(Miner::start()), 2);
}

#[test]
fn blocks_with_extension_blocks_are_taken_compact() {
    let mut miner = Miner::start();
    miner.activate_mweb();
    every_way(&mut Pair::start(miner), 3);
}

/// The same blocks' kind, whole and compact in turn, to a node that knows all payments: bytes sent and
/// time to the receipt.
#[test]
fn compact_blocks_cost_a_fraction() {
    let mut miner = Miner::start();
    miner.activate_mweb();
    let mut pair = Pair::start(miner);
    let mut peer = pair.peer(3);
    let mut ways = [("whole", 0_usize, Vec::new()), ("compact", 0, Vec::new())];
    for turn in 0..2 * BLOCKS {
        let block = pair.block(PAYMENTS, true);
        let (payload, _) = compact(&block, &[]);
        let (command, payload) =
            if turn % 2 == 0 { (name::BLOCK, block.raw()) } else { (name::CMPCTBLOCK, payload) };
        let (_, bytes, times) = &mut ways[turn % 2];
        *bytes += payload.len();
        let begin = Instant::now();
        let after = peer.say(&[(command, &payload)]);
        times.push(begin.elapsed());
        assert!(after.pong && !asks(&after), "{:?}", after.names());
        assert!(pair.node.wait_for_tip(&block.hash));
    }
    for (way, bytes, times) in &mut ways {
        times.sort_unstable();
        let (median, most) = (times[BLOCKS / 2], times.last().unwrap());
        let each = *bytes / BLOCKS;
        eprintln!("{way}: {each} bytes a block, to its receipt {median:.1?} (most {most:.1?})");
    }
    assert!(ways[1].1 * 5 < ways[0].1, "at most a fifth of the bytes");
}
