//! The harness for real nodes does what the tests on top of it rely on.

#![allow(clippy::expect_used, reason = "what a test calls fails by panicking")]

mod support;

use broadside::wire::chain::{self, Chain, Network};
use broadside::wire::check::parse_and_check;
use serde_json::json;
use support::litecoind::Node;
use support::miner::{MWEB_HEIGHT, Miner};

fn regtest() -> &'static Chain {
    chain::find("litecoin", Network::Regtest).expect("it is in the table")
}

/// Three nodes that know nobody come to the same tip by what they are handed alone.
#[test]
fn nodes_are_alone_and_take_what_they_are_handed() {
    let mut miner = Miner::start();
    let nodes = [Node::start(), Node::start(), Node::start()];
    miner.mine(120);
    for node in &nodes {
        assert_eq!(node.call("getconnectioncount", json!([])), 0);
        assert_eq!(node.height(), 0);
        node.feed(miner.chain());
        assert!(node.wait_for_tip(&miner.last().hash));
        assert_eq!(node.tip(), miner.tip());
    }
    let twice = nodes[0].call("submitblock", json!([miner.last().hex]));
    assert_eq!(twice, "duplicate");
    assert_eq!(nodes[0].ask("submitblock", json!(["00"])).expect_err("no block").code, -22);
}

#[test]
fn a_killed_node_comes_back_with_what_it_had() {
    let mut miner = Miner::start();
    let mut node = Node::start();
    miner.mine(5);
    node.feed(miner.chain());
    let tip = node.tip();
    node.stop();
    node.restart();
    assert_eq!(node.tip(), tip);
    node.kill();
    node.restart();
    assert_eq!(node.height(), 5);
}

/// Blocks with an extension block are made, pass our checks, and are taken whole only.
#[test]
fn blocks_with_extension_blocks_are_made() {
    let mut miner = Miner::start();
    miner.activate_mweb();
    miner.mine(3);
    assert_eq!(miner.blocks.len() as u64, MWEB_HEIGHT + 3);
    let node = Node::start();
    let before = MWEB_HEIGHT as usize - 1;
    node.feed(miner.chain().take(before));
    let first = &miner.blocks[before];
    // The last byte belongs to the extension block: without it the block can't be read.
    let cut = &first.hex[..first.hex.len() - 2];
    assert_eq!(node.ask("submitblock", json!([cut])).expect_err("no block").code, -22);
    for (block, has_mweb) in [(&miner.blocks[before - 1], false), (first, true)] {
        let (layout, checked) = parse_and_check(regtest(), &block.raw()).expect("a good block");
        assert_eq!(checked.hash.to_string(), block.hash);
        assert_eq!(checked.height.map(u64::from), Some(block.height));
        assert_eq!((layout.mweb.is_some(), checked.has_mweb), (has_mweb, has_mweb));
    }
    node.feed(miner.chain().skip(before));
    assert_eq!(node.tip(), miner.tip());
}
