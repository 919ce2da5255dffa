//! Blocks through broadside to real Bitcoin Core nodes that nothing else connects.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::net::Ipv4Addr;

use broadside::edge::engine::Engine;
use broadside::hot::spawn::Backend;
use broadside::wire::chain::{Network, find};
use serde_json::json;
use support::bitcoind::{BITCOIND, Forge, start};
use support::daemon::{Daemon, Told};
use support::engine::{PATIENCE, settings_at};
use support::litecoind::Node;
use tempfile::TempDir;

/// Blocks in rapid succession.
const BLOCKS: u64 = 110;

/// A node that makes blocks, and `count` alone at its tip.
fn net(count: usize) -> (Forge, Vec<Node>) {
    let mut forge = Forge::start();
    forge.mine(3);
    let nodes: Vec<_> = (0..count).map(|_| start()).collect();
    nodes.iter().for_each(|node| node.feed(forge.chain()));
    (forge, nodes)
}

/// The pool's own node and two peers get every block, each with its receipt and its echo.
#[test]
fn a_hundred_blocks_reach_bitcoin_nodes() {
    let (mut forge, nodes) = net(3);
    let fixed = [nodes[1].p2p, nodes[2].p2p];
    let told = Told { coin: "bitcoin", node: Some(&nodes[0]), fixed: &fixed, ..Told::default() };
    let daemon = Daemon::start(&told);
    daemon.wait_for_peers(3);
    let mut pool = daemon.pool();
    for block in forge.mine(BLOCKS) {
        let (status, answer) = pool.submit(&block.hex);
        assert_eq!((status, &answer["result"]), (200, &json!(null)), "{answer}");
    }
    for node in &nodes {
        assert!(node.wait_for_tip(&forge.last().hash), "at {}", node.tip());
    }
    let stats = daemon.wait_for_stats("all deliveries", |stats| {
        stats["successful_broadcasts"].as_u64() >= Some(3 * BLOCKS)
    });
    assert_eq!((&stats["failed_broadcasts"], &stats["drops"]["closed"]), (&json!(0), &json!(null)));
    let times = &stats["receipt_ms"];
    let (p50, p99, max) = (&times["p50"], &times["p99"], &times["max"]);
    eprintln!("Bitcoin Core, last byte in to receipt, ms: p50 {p50} p99 {p99} max {max}");
}

/// Whoever is first with a block is chosen for compact blocks, and we hear of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_block_makes_us_a_high_bandwidth_sender() {
    let (mut forge, nodes) = tokio::task::spawn_blocking(|| net(2)).await.expect("started");
    let folder = TempDir::new().expect("a folder");
    let fixed: Vec<_> = nodes.iter().map(|node| node.p2p).collect();
    let mut settings = settings_at(&folder, Backend::Auto, fixed);
    settings.chains[0].chain = find("bitcoin", Network::Regtest).expect("a row");
    let engine = Engine::start(settings).await.expect("it starts");
    support::engine::connected(&engine, 2).await;
    let block = tokio::task::block_in_place(|| forge.mine(1)[0].clone());
    let answer = engine.submit(0, block.raw().into()).await;
    assert!(answer.published.is_some(), "{answer:?}");
    let mut view = engine.rosters()[0].view.clone();
    let all = |row: &broadside::cold::roster::PeerRow| {
        row.high_bandwidth == Some(2) && row.echoes == 1 && row.successful_broadcasts == 1
    };
    let reached = view.wait_for(|view| view.peers.len() == 2 && view.peers.iter().all(all));
    // What is waited for holds the view: it must be gone before the engine's end.
    let is_reached = tokio::time::timeout(PATIENCE, reached).await.is_ok();
    assert!(is_reached, "{:#?}", engine.rosters()[0].view.borrow().peers);
    engine.stop().await;
}

/// What the build left out is not needed: a node with its blocks comes back after a stop.
#[test]
fn a_stopped_node_comes_back_with_what_it_had() {
    let (forge, _) = net(0);
    let mut node = Node::start_program(&BITCOIND, Ipv4Addr::LOCALHOST, &[]);
    node.feed(forge.chain());
    node.stop();
    node.restart();
    assert_eq!(node.tip(), forge.last().hash);
}
