//! What a real Bitcoin Core does with what a peer sends it: the facts that the relay is built on.
//! One plain connection each, no engine; nodes_bitcoin.rs has the engine on the same nodes.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use bitcoin::bip152::{BlockTransactions, BlockTransactionsRequest, HeaderAndShortIds};
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::{Amount, Block};
use broadside::wire::chain::{Chain, Network, find};
use broadside::wire::message::{
    GetHeaders, InvItem, SendCompact, encode_headers, encode_inv, inv_items, name,
};
use serde_json::json;
use support::bitcoind::{Forge, Payment, start};
use support::litecoind::Node;
use support::miner::Mined;
use support::spoil::{with_work, without_work};
use support::wire_peer::{After, WirePeer};

/// What our side says of itself where it says anything.
const SERVES: u64 = 1 | 8;

fn chain() -> &'static Chain {
    find("bitcoin", Network::Regtest).unwrap()
}

/// A node that makes blocks and one that is sent them.
struct Pair {
    forge: Forge,
    node: Node,
}

impl Pair {
    fn start() -> Self {
        let mut forge = Forge::start();
        forge.mine(3);
        let node = start();
        node.feed(forge.chain());
        Self { forge, node }
    }

    fn peer(&self, services: u64, compact: Option<(bool, u64)>) -> WirePeer {
        WirePeer::connect(chain(), self.node.p2p, services, compact)
    }

    fn mine(&mut self) -> Mined {
        self.forge.mine(1)[0].clone()
    }

    /// A good block that nobody has.
    fn aside(&self) -> Mined {
        self.forge.make_aside()
    }

    fn is_tip(&self, block: &Mined) -> bool {
        self.node.tip() == block.hash
    }
}

fn parsed(block: &Mined) -> Block {
    deserialize(&block.raw()).expect("a block")
}

/// A cmpctblock: its coinbase, and what stands at `more`, goes along.
fn compact(block: &Mined, more: &[usize]) -> Vec<u8> {
    serialize(&HeaderAndShortIds::from_block(&parsed(block), 5, 2, more).expect("it fits"))
}

/// Whether `sendcmpct(1, 2)` is among what came back.
fn chose_us(after: &After) -> bool {
    after.heard.iter().any(|(name, payload)| {
        let chosen = SendCompact { announce: true, version: 2 };
        name == name::SENDCMPCT && SendCompact::decode(payload) == Ok(chosen)
    })
}

/// A full block needs no invitation: it is the tip when the ping behind it is answered, and is then
/// announced back. Whoever delivers first is chosen, if it has asked for compact blocks.
#[test]
fn a_pushed_block_is_the_tip_at_its_receipt_and_is_echoed() {
    let mut pair = Pair::start();
    for compact in [None, Some((false, 2))] {
        let mut peer = pair.peer(0, compact);
        assert_eq!(peer.facts.version, 70_017);
        let mut chosen = 0;
        for turn in 0..60 {
            let block = pair.mine();
            let after = peer.say(&[(name::BLOCK, &block.raw())]);
            assert!(after.pong && pair.is_tip(&block), "{:?}", after.names());
            let early = after.heard.iter().any(|(name, _)| name == name::INV);
            if !early {
                assert_eq!(peer.wait_for_echo(), block.hash, "block {turn}");
            }
            chosen += u32::from(chose_us(&after));
        }
        assert_eq!(chosen, u32::from(compact.is_some()), "chosen once, if we asked for it");
        let said = pair.node.call("getpeerinfo", json!([]));
        let hb = said.as_array().unwrap().last().unwrap()["bip152_hb_to"].clone();
        assert_eq!(hb, compact.is_some());
    }
}

/// What never costs the connection, and what always does.
#[test]
fn bad_blocks_close_or_do_not_as_the_table_says() {
    let mut pair = Pair::start();
    let mut stays = pair.peer(0, None);
    let known = pair.mine();
    assert!(stays.say(&[(name::BLOCK, &known.raw())]).pong);
    let good = pair.aside();
    let mut costly = parsed(&good);
    costly.txdata[0].output[0].value += Amount::from_sat(1);
    costly.header.merkle_root = costly.compute_merkle_root().expect("transactions");
    let costly = with_work(chain(), &serialize(&costly));
    let hash_of = |raw: &[u8]| chain().identity_hash(raw.first_chunk().unwrap()).0;
    let on_top_of = |parent: [u8; 32]| {
        let mut child = good.raw();
        child[4..36].copy_from_slice(&parent);
        with_work(chain(), &child)
    };
    let mut witness = parsed(&good);
    witness.txdata[0].input[0].witness = bitcoin::Witness::from_slice(&[[1_u8; 32]]);
    let mut junk = good.raw();
    junk.extend([0xaa; 7]);
    // In this order: the second block is known as invalid only after the first.
    let cases: [(&str, Vec<u8>, bool); 8] = [
        ("duplicate", known.raw(), true),
        ("unknown parent", on_top_of([7; 32]), false),
        ("bad-cb-amount", costly.clone(), false),
        ("known as invalid", costly.clone(), true),
        ("child of an invalid block", on_top_of(hash_of(&costly)), false),
        ("high-hash", without_work(chain(), &good.raw()), false),
        ("witness changed", serialize(&witness), false),
        ("does not decode", good.raw()[..good.raw().len() - 3].to_vec(), true),
    ];
    for (what, raw, is_open) in cases {
        let mut peer = pair.peer(0, None);
        let after = peer.say(&[(name::BLOCK, &raw)]);
        assert_eq!(after.pong, is_open, "{what}: {:?}", after.names());
        assert!(pair.is_tip(&known), "{what} is no tip");
        assert_eq!(peer.say(&[]).pong, is_open, "{what}");
    }
    // None of it stands in the true block's way, and who has done nothing is not punished.
    let after = stays.say(&[(name::BLOCK, &junk)]);
    assert!(after.pong && pair.is_tip(&good), "junk behind the end is ignored");
}

/// `headers` alone is asked back where we said that we serve, and nothing comes where we did not.
#[test]
fn headers_are_asked_back_only_where_we_serve() {
    let pair = Pair::start();
    let block = pair.aside();
    let header: [u8; 80] = *block.raw().first_chunk().unwrap();
    let payload = encode_headers(&[&header[..]]);
    let mut peer = pair.peer(0, None);
    let after = peer.say(&[(name::HEADERS, &payload)]);
    assert!(!after.names().contains(&name::GETDATA), "{:?}", after.names());
    assert!(!peer.say(&[]).names().contains(&name::GETDATA));
    for services in [SERVES, 1024 | SERVES] {
        let mut peer = pair.peer(services, None);
        peer.send(name::HEADERS, &payload);
        let asked = peer.wait_for(name::GETDATA);
        let item = inv_items(&asked).next().expect("one item");
        assert_eq!(item.kind, InvItem::BLOCK | InvItem::WITNESS);
        assert_eq!(item.hash, chain().identity_hash(&header).0);
    }
    let mut peer = pair.peer(SERVES, None);
    peer.send(name::HEADERS, &payload);
    peer.wait_for(name::GETDATA);
    assert!(peer.say(&[(name::BLOCK, &block.raw())]).pong && pair.is_tip(&block));
    // `inv` alone asks for headers.
    peer.send(name::INV, &encode_inv(&[InvItem { kind: InvItem::BLOCK, hash: [9; 32] }]));
    let asked = GetHeaders::decode(&peer.wait_for(name::GETHEADERS)).expect("it reads");
    assert!(!asked.locator.is_empty());
}

/// A compact block counts only from whom the node has chosen. Of others it takes the header, and
/// asks them for the block if they say that they serve blocks.
#[test]
fn compact_blocks_count_only_from_whom_was_chosen() {
    let mut pair = Pair::start();
    let mut peer = pair.peer(0, Some((false, 2)));
    let block = pair.mine();
    let after = peer.say(&[(name::CMPCTBLOCK, &compact(&block, &[]))]);
    assert!(after.pong && !pair.is_tip(&block));
    let asks = [name::GETDATA, name::GETBLOCKTXN, name::GETHEADERS];
    assert!(!after.names().iter().any(|it| asks.contains(it)), "{:?}", after.names());
    let mut serving = pair.peer(SERVES, Some((false, 2)));
    serving.send(name::CMPCTBLOCK, &compact(&block, &[]));
    let asked = serving.wait_for(name::GETDATA);
    assert_eq!(inv_items(&asked).next().unwrap().kind, InvItem::BLOCK | InvItem::WITNESS);
    assert!(!pair.is_tip(&block));
    // Nor is it held against us, however wrong it is.
    let mut bad = compact(&block, &[]);
    bad[4..36].fill(7);
    assert!(peer.say(&[(name::CMPCTBLOCK, &bad)]).pong);
    assert!(peer.say(&[(name::CMPCTBLOCK, &without_work(chain(), &bad))]).pong);
    let after = peer.say(&[(name::BLOCK, &block.raw())]);
    assert!(after.pong && pair.is_tip(&block) && chose_us(&after), "{:?}", after.names());
    // Now it counts: nothing is asked back.
    let block = pair.mine();
    let after = peer.say(&[(name::CMPCTBLOCK, &compact(&block, &[]))]);
    assert!(after.pong && !after.names().contains(&name::GETBLOCKTXN));
    assert!(pair.node.wait_for_tip(&block.hash));
}

/// The node lacks a transaction: it asks, and any of three answers does.
#[test]
fn a_lacking_transaction_is_asked_for() {
    let mut pair = Pair::start();
    pair.forge.ripen(4);
    pair.node.feed(pair.forge.chain().skip(3));
    let mut peer = pair.peer(SERVES, Some((false, 2)));
    let block = pair.mine();
    assert!(chose_us(&peer.say(&[(name::BLOCK, &block.raw())])));
    let with = |pair: &mut Pair| -> (Mined, Payment) {
        let payment = pair.forge.pay();
        (pair.forge.mine_with(std::slice::from_ref(&payment)).clone(), payment)
    };
    // Answered by blocktxn.
    let (block, _) = with(&mut pair);
    peer.send(name::CMPCTBLOCK, &compact(&block, &[]));
    let asked: BlockTransactionsRequest =
        deserialize(&peer.wait_for(name::GETBLOCKTXN)).expect("it reads");
    assert_eq!(asked.indexes, [1]);
    let answer = BlockTransactions::from_request(&asked, &parsed(&block)).expect("in range");
    assert!(peer.say(&[(name::BLOCKTXN, &serialize(&answer))]).pong && pair.is_tip(&block));
    // The whole block right behind: what was asked may stay unanswered.
    let (block, _) = with(&mut pair);
    let after = peer.say(&[(name::CMPCTBLOCK, &compact(&block, &[])), (name::BLOCK, &block.raw())]);
    assert!(after.pong && pair.is_tip(&block), "{:?}", after.names());
    assert_eq!(after.names().iter().filter(|it| **it == name::GETBLOCKTXN).count(), 1);
    assert!(peer.say(&[(name::BLOCKTXN, &[0; 33])]).pong, "a late answer does no harm");
    // It goes along in the first place.
    let (block, _) = with(&mut pair);
    let after = peer.say(&[(name::CMPCTBLOCK, &compact(&block, &[1]))]);
    assert!(after.pong && !after.names().contains(&name::GETBLOCKTXN));
    assert!(pair.node.wait_for_tip(&block.hash));
    // The node has it already.
    let payment = pair.forge.pay();
    pair.node.call("sendrawtransaction", json!([payment.hex]));
    let block = pair.forge.mine_with(&[payment]).clone();
    let after = peer.say(&[(name::CMPCTBLOCK, &compact(&block, &[]))]);
    assert!(after.pong && !after.names().contains(&name::GETBLOCKTXN));
    assert!(pair.node.wait_for_tip(&block.hash));
}

/// Many connections with the same block at the same instant are all served, and none is closed.
#[test]
fn the_same_block_from_twenty_connections_harms_none() {
    let mut pair = Pair::start();
    let mut peers: Vec<_> = (0..20).map(|_| pair.peer(0, None)).collect();
    for _ in 0..3 {
        let block = pair.mine();
        let raw = block.raw();
        let at_once = std::sync::Barrier::new(peers.len());
        std::thread::scope(|scope| {
            for peer in &mut peers {
                scope.spawn(|| {
                    at_once.wait();
                    let after = peer.say(&[(name::BLOCK, &raw)]);
                    assert!(after.pong);
                    if !after.names().contains(&name::INV) {
                        assert_eq!(peer.wait_for_echo(), block.hash);
                    }
                });
            }
        });
        assert!(pair.is_tip(&block));
    }
    assert_eq!(pair.node.call("getconnectioncount", json!([])), 20);
    // A connection that has only just begun serves as well.
    let block = pair.mine();
    let after = WirePeer::at_once(chain(), pair.node.p2p, name::BLOCK, &block.raw());
    assert!(after.pong && pair.is_tip(&block), "{:?}", after.names());
}
