//! What becomes of a pool's blocks, on real nodes: two networks that don't know of each other find a
//! block at the same height, and meet again.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use serde_json::{Value, json};
use support::daemon::{Daemon, Told};
use support::litecoind::Node;
use support::miner::{Mined, Miner};

/// Blocks from one to the tip that make it count for good.
const DEPTH: u64 = 6;

/// One half of a network: a pool's node and its broadside, and one that only broadside connects.
struct Half {
    miner: Miner,
    own: Node,
    other: Node,
    daemon: Daemon,
}

impl Half {
    /// All nodes at the end of `chain`.
    fn new(chain: &[String]) -> Self {
        let miner = Miner::start();
        let (own, other) = (Node::start(), Node::start());
        for node in [&*miner, &own, &other] {
            node.feed(chain.iter().map(String::as_str));
        }
        let fixed = [other.p2p];
        let told = Told { node: Some(&own), fixed: &fixed, ..Told::default() };
        let daemon = Daemon::start(&told);
        daemon.wait_for_peers(2);
        Self { miner, own, other, daemon }
    }

    /// The pool finds `count` blocks and hands them to broadside.
    fn find(&mut self, count: u64) -> Vec<Mined> {
        let mut pool = self.daemon.pool();
        let found = self.miner.mine(count).to_vec();
        for block in &found {
            let (status, answer) = pool.submit(&block.hex);
            // Where another branch is as long, a node keeps the block without judging it.
            let is_kept = answer["result"].is_null() || answer["result"] == "inconclusive";
            assert!(status == 200 && is_kept, "{answer}");
        }
        let last = found.last().expect("some were found");
        assert!(self.own.wait_for_tip(&last.hash) && self.other.wait_for_tip(&last.hash));
        found
    }

    /// Others' blocks reach the pool's own node, and the miner behind it.
    fn hear(&self, blocks: &[Mined]) {
        for node in [&*self.miner, &self.own] {
            for block in blocks {
                // A rival of equal work is kept without being judged.
                let answer = node.call("submitblock", json!([block.hex]));
                let word = answer.as_str().unwrap_or("accepted");
                assert!(["accepted", "duplicate", "inconclusive"].contains(&word), "{word}");
            }
        }
    }

    fn told(&self) -> Value {
        self.daemon.stats()["confirmation"].clone()
    }

    /// Waits until the statistics say `state` of the block `hash`.
    fn wait_for(&self, hash: &str, state: &str) -> Value {
        self.wait_until(hash, state, |block| block["state"] == state)
    }

    /// Waits until the statistics tell of the block `hash` as wished.
    fn wait_until(&self, hash: &str, what: &str, wished: impl Fn(&Value) -> bool) -> Value {
        let find = |stats: &Value| {
            let blocks = stats["confirmation"]["blocks"].as_array().cloned().unwrap_or_default();
            blocks.into_iter().find(|block| block["hash"] == hash && wished(block))
        };
        let stats = self.daemon.wait_for_stats(what, |stats| find(stats).is_some());
        find(&stats).expect("it was there")
    }
}

/// Blocks that everybody has.
fn common(count: u64) -> Vec<String> {
    let mut miner = Miner::start();
    miner.mine(count);
    miner.chain().map(str::to_owned).collect()
}

#[test]
fn of_two_blocks_at_one_height_one_is_confirmed_and_one_is_stale() {
    let chain = common(3);
    let (mut left, mut right) = (Half::new(&chain), Half::new(&chain));
    let ours = left.find(1).remove(0);
    let mut theirs = right.find(1);
    let rival = theirs[0].clone();
    assert_ne!(ours.hash, rival.hash);
    for (half, block) in [(&left, &ours), (&right, &rival)] {
        let told = half.wait_until(&block.hash, "both nodes' word", |told| {
            told["state"] == "in-chain" && told["have"] == 2 && !told["first_back"].is_null()
        });
        assert_eq!(told["depth"], 1, "{told}");
        assert!(told["first_back"]["after_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{told}");
    }
    // They meet: of two blocks with equal work each half keeps its own.
    left.hear(&theirs);
    right.hear(std::slice::from_ref(&ours));
    theirs.extend(right.find(1));
    left.hear(&theirs[1..]);
    let told = left.wait_for(&ours.hash, "behind");
    assert_eq!(told["rival"], rival.hash);
    assert_eq!((&left.told()["stale"], &left.told()["orphan_rate"]), (&json!(0), &json!(null)));
    left.daemon.wait_for_line("another block is in this one's place");

    // The right half builds on; it is certain when the rival is deep enough.
    theirs.extend(right.find(DEPTH - 2));
    left.hear(&theirs[2..]);
    let lost = left.wait_for(&ours.hash, "stale");
    assert_eq!(lost["rival"], rival.hash);
    let won = right.wait_for(&rival.hash, "confirmed");
    assert_eq!(won["rival"], json!(null));
    let (left_told, right_told) = (left.told(), right.told());
    assert_eq!((&left_told["confirmed"], &left_told["stale"]), (&json!(0), &json!(1)));
    assert_eq!(left_told["orphan_rate"], 1.0);
    assert_eq!((&right_told["confirmed"], &right_told["stale"]), (&json!(1), &json!(0)));
    assert_eq!(right_told["orphan_rate"], 0.0);
    let line = left.daemon.wait_for_line("stale: another block is 6 deep");
    assert!(line.contains(&rival.hash) && line.contains(&ours.hash), "{line}");
    right.daemon.wait_for_line("confirmed: the block is 6 deep");
    eprintln!(
        "left: {} by {}; right: {}; echo of the first block after {} ms here, {} ms there",
        lost["state"],
        lost["rival"],
        won["state"],
        lost["first_back"]["after_ms"],
        won["first_back"]["after_ms"]
    );
}

/// A block that is behind comes back when its own chain grows faster; a node that is away in
/// between decides nothing.
#[test]
fn a_block_that_was_behind_can_still_win() {
    let chain = common(3);
    let (mut left, mut right) = (Half::new(&chain), Half::new(&chain));
    let ours = left.find(1);
    let theirs = right.find(2);
    left.hear(&theirs);
    left.wait_for(&ours[0].hash, "behind");
    right.wait_for(&theirs[0].hash, "in-chain");

    // Written to disk, both branches of it.
    left.own.stop();
    left.daemon.wait_for_line("CRITICAL: the local node is away");
    left.own.restart();
    left.daemon.wait_for_peers(2);
    assert_eq!(left.told()["stale"], 0);
    // The pool goes on with its own block all the same.
    left.miner.call("invalidateblock", json!([theirs[0].hash]));
    let grown = left.find(DEPTH - 1);
    left.wait_for(&ours[0].hash, "confirmed");
    right.hear(&ours);
    right.hear(&grown);
    let lost = right.wait_for(&theirs[0].hash, "stale");
    assert_eq!(lost["rival"], ours[0].hash);
    let (left, right) = (left.told(), right.told());
    assert_eq!((&left["confirmed"], &left["stale"]), (&json!(1), &json!(0)), "{left}");
    // Its second block has lost too, but to one that is a block less deep.
    assert_eq!((&right["confirmed"], &right["stale"]), (&json!(0), &json!(1)), "{right}");
    assert_eq!(right["blocks"][0]["state"], "behind", "{right}");
}
