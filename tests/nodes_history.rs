//! The history with a real node: what it said, and what becomes of a block after the process that sent
//! it has ended.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use support::daemon::{Daemon, Told};
use support::litecoind::Node;
use support::miner::Miner;

#[test]
fn a_block_of_an_earlier_process_is_followed_to_its_end() {
    let mut miner = Miner::start();
    let node = Node::start();
    miner.mine(3);
    node.feed(miner.chain());
    let mut daemon = Daemon::start(&Told { node: Some(&node), ..Told::default() });
    daemon.wait_for_peers(1);
    let blocks = miner.mine(2).to_vec();
    let mut pool = daemon.pool();
    for block in &blocks {
        let (status, answer) = pool.submit(&block.hex);
        assert!(status == 200 && answer["result"].is_null(), "{answer}");
    }
    let last = &blocks[1].hash;
    let path = format!("/blocks/{last}");
    daemon.wait_for_stats("the node's word", |stats| {
        stats["confirmation"]["blocks"][0]["state"] == "in-chain" && stats["history"]["blocks"] == 2
    });
    daemon.kill();

    // It is buried while nobody of ours looks.
    let rest = miner.mine(6).to_vec();
    node.feed(rest.iter().map(|block| block.hex.as_str()));
    daemon.restart();
    let stats =
        daemon.wait_for_stats("both confirmed", |stats| stats["confirmation"]["confirmed"] == 2);
    // Accepted, or a duplicate where the block was faster over its P2P port.
    assert_eq!((&stats["blocks_sent"], &stats["rpc_successes"]), (&2.into(), &2.into()));
    daemon.wait_for_stats("the file", |_| {
        daemon.get(&path).1["confirmation"]["state"] == "confirmed"
    });
    let (_, told) = daemon.get(&path);
    assert!(told["verdicts"][0]["verdict"].is_string(), "{told}");
    assert_eq!((&told["verdicts"][0]["own"], &told["height"]), (&true.into(), &5.into()));
    assert_eq!(told["peers"].as_array().map(Vec::len), Some(1), "the protected node");

    daemon.kill();
    daemon.restart();
    daemon.wait_for_stats("the node", |stats| stats["node"]["rpc"] == true);
    assert_eq!(daemon.stats()["confirmation"]["confirmed"], 2, "counted once");
    assert_eq!(daemon.stats()["indicators"]["orphan_rate"], 0.0);
    let (code, out, _) = daemon.ask(&["blocks", "show", last]);
    println!("{out}");
    assert!(code == 0 && out.contains("confirmed: ") && out.contains("(own)"), "{out}");
    assert!(daemon.terminate().success());
}
