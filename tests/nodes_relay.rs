//! A pool's blocks on real nodes that are not connected to each other: only broadside carries them.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::time::Instant;

use serde_json::json;
use support::daemon::{Daemon, Told};
use support::litecoind::Node;
use support::miner::{Mined, Miner};

/// Blocks in rapid succession.
const BLOCKS: u64 = 110;

/// Three nodes, alone but for broadside: the first is the pool's own.
struct Net {
    miner: Miner,
    nodes: Vec<Node>,
}

impl Net {
    /// All nodes at the miner's tip.
    fn new(mut miner: Miner) -> Self {
        if miner.blocks.is_empty() {
            miner.mine(1);
        }
        let mut nodes: Vec<_> = (0..3).map(|_| Node::start()).collect();
        for node in &nodes {
            node.feed(miner.chain());
        }
        // Written to disk: what came without broadside is not broadside's to bring back.
        nodes[0].stop();
        nodes[0].restart();
        Self { miner, nodes }
    }

    fn daemon(&self) -> Daemon {
        self.daemon_with("")
    }

    /// The same with further lines of `[engine]`.
    fn daemon_with(&self, engine: &str) -> Daemon {
        let fixed = [self.nodes[1].p2p, self.nodes[2].p2p];
        let daemon = Daemon::start(&Told {
            node: Some(&self.nodes[0]),
            fixed: &fixed,
            engine,
            ..Told::default()
        });
        daemon.wait_for_peers(3);
        daemon
    }

    /// Further blocks on top.
    fn mine(&mut self, count: u64) -> Vec<Mined> {
        let before = self.miner.blocks.len();
        self.miner.mine(count);
        self.miner.blocks[before..].to_vec()
    }

    fn all_at(&self, hash: &str) {
        for (at, node) in self.nodes.iter().enumerate() {
            assert!(node.wait_for_tip(hash), "node {at} is at {}", node.tip());
        }
    }
}

/// Submits one after the other, as fast as verdicts come; all are accepted.
fn submit_all(daemon: &Daemon, blocks: &[Mined]) {
    let mut pool = daemon.pool();
    let start = Instant::now();
    for block in blocks {
        let (status, answer) = pool.submit(&block.hex);
        assert_eq!(
            (status, &answer["result"], &answer["error"]),
            (200, &json!(null), &json!(null))
        );
        assert_eq!(answer["id"], 7);
    }
    eprintln!("{} blocks submitted and judged in {:?}", blocks.len(), start.elapsed());
}

fn print_times(daemon: &Daemon, name: &str, blocks: u64) {
    let all = 3 * blocks;
    let stats = daemon.wait_for_stats("all deliveries", |stats| {
        stats["successful_broadcasts"].as_u64() >= Some(all)
    });
    let times = &stats["receipt_ms"];
    let (p50, p99, max) = (&times["p50"], &times["p99"], &times["max"]);
    eprintln!("{name}: last byte in to receipt, ms: p50 {p50} p99 {p99} max {max}");
    assert_eq!(stats["blocks"]["broadcast"], blocks);
    assert_eq!(stats["failed_broadcasts"], 0);
}

#[test]
fn a_hundred_blocks_reach_nodes_that_only_broadside_connects() {
    let mut net = Net::new(Miner::start());
    let daemon = net.daemon();
    let blocks = net.mine(BLOCKS);
    submit_all(&daemon, &blocks);
    net.all_at(&net.miner.last().hash);
    print_times(&daemon, "plain blocks", BLOCKS);
    // The same block again is one block: the same answer, nothing sent.
    let sent = daemon.stats()["blocks"]["broadcast"].clone();
    let (status, answer) = daemon.pool().submit(&blocks[0].hex);
    assert_eq!(status, 200);
    assert!(answer["result"].is_null() || answer["result"] == "duplicate", "{answer}");
    assert_eq!(daemon.stats()["blocks"]["broadcast"], sent);
}

#[test]
fn blocks_with_extension_blocks_reach_them_too() {
    let mut miner = Miner::start();
    miner.activate_mweb();
    let mut net = Net::new(miner);
    let daemon = net.daemon();
    net.miner.pay(3);
    let blocks = net.mine(BLOCKS);
    submit_all(&daemon, &blocks);
    net.all_at(&net.miner.last().hash);
    print_times(&daemon, "blocks with extension blocks", BLOCKS);
}

/// The other ring, and a shard that never sleeps, carry blocks just as well.
#[test]
fn epoll_and_a_spinning_shard_carry_blocks_too() {
    let mut net = Net::new(Miner::start());
    for engine in ["backend = \"epoll\"", "idle = \"spin\""] {
        let daemon = net.daemon_with(engine);
        let blocks = net.mine(30);
        submit_all(&daemon, &blocks);
        net.all_at(&net.miner.last().hash);
        print_times(&daemon, engine, 30);
    }
}

/// The pool's own node dies in the middle: the peers get every block at once, and the node gets
/// all of them when it is back.
#[test]
fn a_node_that_dies_loses_no_block() {
    let mut net = Net::new(Miner::start());
    let daemon = net.daemon();
    let blocks = net.mine(60);
    let (before, rest) = blocks.split_at(20);
    let (during, after) = rest.split_at(20);
    submit_all(&daemon, before);
    net.nodes[0].kill();
    std::thread::scope(|scope| {
        // Callers wait for a verdict that can't come yet: each has a connection of its own.
        for block in during {
            let pool = daemon.pool();
            scope.spawn(move || {
                let mut pool = pool;
                let (_, answer) = pool.submit(&block.hex);
                assert!(answer["result"].is_null(), "{answer}");
            });
            for node in &net.nodes[1..] {
                assert!(node.wait_for_tip(&block.hash), "peers get it without the node");
            }
        }
        daemon.wait_for_line("CRITICAL");
        net.nodes[0].restart();
    });
    daemon.wait_for_peers(3);
    submit_all(&daemon, after);
    net.all_at(&net.miner.last().hash);
    let stats = daemon.wait_for_stats("an empty spool", |stats| stats["spool"]["waiting"] == 0);
    assert_eq!(stats["blocks"]["broadcast"], 60);
}

/// Killed between intake and verdict, broadside hands the block in after its restart.
#[test]
fn a_killed_broadside_hands_its_blocks_in_again() {
    let mut net = Net::new(Miner::start());
    let mut daemon = net.daemon();
    let block = net.mine(1).remove(0);
    net.nodes[0].kill();
    let mut pool = daemon.pool();
    let waiting = std::thread::spawn({
        let hex = block.hex.clone();
        move || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.submit(&hex))).is_ok()
    });
    daemon.wait_for_stats("the block in the spool", |stats| stats["spool"]["waiting"] == 1);
    daemon.kill();
    assert!(!waiting.join().expect("the caller"), "its connection broke");
    net.nodes[0].restart();
    assert_ne!(net.nodes[0].tip(), block.hash);
    daemon.restart();
    assert!(net.nodes[0].wait_for_tip(&block.hash));
    daemon.wait_for_stats("an empty spool", |stats| stats["spool"]["waiting"] == 0);
    assert!(daemon.terminate().success(), "SIGTERM: saves, closes, exit 0");
}

/// What a pool may send by mistake never reaches a peer, and is answered as the node answers it.
#[test]
fn bad_blocks_get_the_nodes_answer_and_reach_no_peer() {
    let mut net = Net::new(Miner::start());
    let daemon = net.daemon();
    let block = net.mine(1).remove(0);
    let mut pool = daemon.pool();
    let tips: Vec<_> = net.nodes.iter().map(Node::tip).collect();
    let mut odd = block.hex.clone();
    odd.pop();
    let cut = &block.hex[..block.hex.len() - 20];
    let mut bad_root = block.raw();
    bad_root[40] ^= 1;
    for hex in ["", "zz", &odd, cut, &hex_of(&bad_root)] {
        let (status, ours) = pool.submit(hex);
        let theirs = net.nodes[0].ask("submitblock", json!([hex]));
        match theirs {
            Ok(result) => assert_eq!((status, &ours["result"]), (200, &result), "{hex:.20}"),
            Err(error) => {
                assert_eq!(
                    (status, &ours["error"]["code"]),
                    (500, &json!(error.code)),
                    "{hex:.20}"
                );
            }
        }
    }
    assert_eq!(net.nodes.iter().map(Node::tip).collect::<Vec<_>>(), tips);
    assert_eq!(daemon.stats()["blocks"]["broadcast"], 0);
    let (status, answer) = pool.ask("getblockcount", &json!([]));
    assert_eq!((status, &answer["result"]), (200, &json!(net.nodes[0].height())));
    let (status, answer) = pool.ask("nosuchmethod", &json!([]));
    assert_eq!((status, &answer["error"]["code"]), (404, &json!(-32601)));
    let (status, _) = pool.raw(b"{ this is no JSON");
    assert_eq!(status, 500);
    submit_all(&daemon, &[block]);
    net.all_at(&net.miner.last().hash);
}

fn hex_of(raw: &[u8]) -> String {
    raw.iter().map(|byte| format!("{byte:02x}")).collect()
}
