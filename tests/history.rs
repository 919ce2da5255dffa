//! The history of a real daemon: what is in it after a stop, a kill, and while the file is in trouble.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

#[path = "history/bulk.rs"]
mod bulk;
#[path = "history/faults.rs"]
mod faults;
mod support;

use broadside::sim::blocks::BlockMaker;
use broadside::sim::loopback::{Keep, Loopback};
use serde_json::Value;
use support::daemon::{Daemon, PATIENCE, Told};
use support::engine::{maker, peers};

/// Hands in `count` blocks, each of which all `peers` get; their hashes.
fn broadcast(
    daemon: &Daemon,
    loopback: &Loopback,
    maker: &mut BlockMaker,
    count: usize,
) -> Vec<String> {
    let peers = loopback.addresses().len();
    daemon.wait_for_peers(peers as u64);
    let mut hashes = Vec::new();
    for _ in 0..count {
        let block = maker.next(20_000).expect("a block");
        let (code, out, errors) = daemon.submit(&block.raw, &[]);
        assert_eq!(code, 0, "{out}{errors}");
        assert_eq!(loopback.wait_for(block.hash, peers, PATIENCE).times_ns().len(), peers);
        hashes.push(broadside::wire::hash::BlockHash(block.hash).to_string());
    }
    hashes
}

/// Waits until so many blocks are in the history and all that is told of them is settled.
fn wait_for_history(daemon: &Daemon, blocks: u64) -> Value {
    daemon.wait_for_stats("the history", |stats| {
        stats["history"]["blocks"] == blocks && stats["history"]["trouble"].is_null()
    })
}

fn hashes(list: &Value) -> Vec<String> {
    let blocks = list["blocks"].as_array().expect("a list");
    blocks.iter().map(|block| block["hash"].as_str().expect("a hash").to_owned()).collect()
}

/// What every restart must leave as it was.
fn sums(stats: &Value) -> Value {
    let keys = ["success_rate", "broadcast_ms", "receipt_ms", "outcomes", "ways", "blocks_sent"];
    let mut kept: serde_json::Map<_, _> =
        keys.iter().map(|key| ((*key).to_owned(), stats[key].clone())).collect();
    kept.insert("last".into(), stats["blocks"]["last_hash"].clone());
    kept.insert("propagation".into(), stats["confirmation"]["propagation_ms"].clone());
    kept.into()
}

#[test]
fn blocks_and_sums_survive_a_stop_and_a_kill() {
    let loopback = peers(Vec::new(), 5, Keep::Nothing);
    let mut maker = maker();
    let mut daemon = Daemon::start(&Told { fixed: loopback.addresses(), ..Told::default() });
    let mut all = broadcast(&daemon, &loopback, &mut maker, 3);
    daemon.wait_for_stats("all echoes", |_| {
        let list = daemon.get("/blocks").1;
        let blocks = list["blocks"].as_array().expect("a list");
        blocks.iter().all(|block| block["echoes"] == 5)
    });
    let (status, whole) = daemon.get(&format!("/blocks/{}", all[2]));
    assert_eq!((status, whole["peers"].as_array().map(Vec::len)), (200, Some(5)));
    let (before, list) = (daemon.stats(), daemon.get("/blocks").1);
    assert!(daemon.terminate().success());

    // Stopped: the commands read the file.
    let (code, out, errors) = daemon.ask(&["blocks", "list"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    println!("{out}");
    assert!(all.iter().all(|hash| out.contains(hash)), "{out}");
    let (code, out, _) = daemon.ask(&["blocks", "show", &all[2]]);
    assert_eq!(code, 0, "{out}");
    println!("{out}");
    let (code, json, _) = daemon.ask(&["blocks", "show", &all[2][..16], "--json"]);
    assert_eq!((code, serde_json::from_str(&json).ok()), (0, Some(whole.clone())));
    let unknown = "00".repeat(32);
    assert_eq!(daemon.ask(&["blocks", "show", &unknown]).0, 1);
    assert_eq!(daemon.ask(&["blocks", "show", "xyz"]).0, 2);

    daemon.restart();
    let after = daemon.stats();
    assert_eq!(sums(&after), sums(&before));
    assert_eq!(daemon.get("/blocks").1, list);
    assert_eq!(daemon.get(&format!("/blocks/{}", all[2])), (200, whole));
    all.extend(broadcast(&daemon, &loopback, &mut maker, 2));
    wait_for_history(&daemon, 5);
    // A running engine is asked by the commands; memory and file are one list.
    let newest: Vec<_> = all.iter().rev().cloned().collect();
    let (code, out, errors) = daemon.ask(&["blocks", "list", "--json"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    assert_eq!(hashes(&serde_json::from_str(&out).unwrap()), newest);
    let sent = daemon.stats();
    daemon.kill();

    daemon.restart();
    let stats = daemon.stats();
    assert_eq!(stats["blocks_sent"], 5);
    assert_eq!(stats["outcomes"], sent["outcomes"]);
    assert_eq!(hashes(&daemon.get("/blocks").1), newest);
    let (_, page) = daemon.get("/blocks?limit=2");
    let next = page["next"].as_str().expect("more").to_owned();
    let (_, rest) = daemon.get(&format!("/blocks?limit=2&before={next}"));
    assert_eq!([hashes(&page), hashes(&rest)].concat(), newest[..4]);
    assert_eq!(daemon.get("/blocks?before=x").0, 400);
    assert_eq!(daemon.get(&format!("/blocks/{unknown}")).0, 404);
    assert!(daemon.terminate().success());
}
