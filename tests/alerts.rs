//! What is wrong reaches the log, webhooks and a command, and nobody who sends blocks waits for them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "fails by panicking")]

mod support;

use std::fs;
use std::time::Instant;

use broadside::sim::blocks::BlockMaker;
use broadside::sim::loopback::{Keep, Loopback};
use broadside::wire::hash::hex;
use serde_json::{Value, json};
use support::daemon::{Daemon, PATIENCE, Told};
use support::engine::{chain, maker, peers};
use support::rpc_node::{Manner, RpcNode};
use support::webhook::{Reply, Webhook};

const LOGIN: &str = "user = \"u\"\npassword = \"p\"\n";

/// A daemon with a made-up node, peers and these lines of `[alerts]`.
fn daemon(node: &RpcNode, peers: &Loopback, alerts: &str) -> Daemon {
    let node = format!("[chain.node]\nrpc = \"{}\"\n{LOGIN}", node.url());
    let engine = format!("[alerts]\n{alerts}\n");
    let told = Told { fixed: peers.addresses(), engine: &engine, chain: &node, ..Told::default() };
    let daemon = Daemon::start(&told);
    daemon.wait_for_stats("node and peers", |stats| {
        stats["node"]["rpc"] == true && stats["peers"]["connected"] == peers.addresses().len()
    });
    daemon
}

/// Hands in the maker's next block, and waits until all peers have it.
fn broadcast(daemon: &Daemon, maker: &mut BlockMaker, peers: &Loopback) -> Value {
    let block = maker.next(20_000).expect("a block");
    let (status, answer) = daemon.pool().submit(&hex(&block.raw));
    assert_eq!(status, 200, "{answer}");
    let count = peers.addresses().len();
    let arrivals = peers.wait_for(block.hash, count, PATIENCE);
    assert_eq!(arrivals.times_ns().len(), count);
    answer["result"].clone()
}

fn active(daemon: &Daemon, kind: &str) -> bool {
    let stats = daemon.stats();
    let all = stats["alerts"]["active"].as_array().expect("a list");
    all.iter().any(|alert| alert["kind"] == kind)
}

/// Goal: a node that goes and comes back is told once each, with one id, also where the webhook fails
/// at first.
#[test]
fn a_lost_node_is_told_and_so_is_its_return() {
    let (node, peers) =
        (RpcNode::start(chain(), Manner::Right), peers(Vec::new(), 2, Keep::Nothing));
    let hook = Webhook::start(&[Reply::Fails], Reply::Fine);
    let daemon = daemon(&node, &peers, &format!("webhook = \"{}\"", hook.url()));
    let address = node.address;
    drop(node);
    let raised = hook.wait_for("node-lost", "raised");
    assert_eq!((&raised["version"], &raised["severity"]), (&json!(1), &json!("critical")));
    assert_eq!((&raised["chain"], &raised["subject"]), (&json!("litecoin"), &json!("rpc")));
    assert_eq!(raised["instance"], daemon.data_dir().display().to_string());
    assert!(raised["text"].as_str().unwrap().contains("chain.node.rpc"), "{raised}");
    assert!(raised["at"].as_f64() >= raised["since"].as_f64() && raised["host"].is_string());
    // The first answer was a 500: the same comes again.
    hook.wait("it once more", |seen| {
        let same = seen.posts.iter().filter(|(_, body)| *body == raised).count();
        (same == 2).then_some(())
    });
    daemon.wait_for_line("CRITICAL: your node's RPC");
    assert!(active(&daemon, "node-lost"));
    let (code, shown, _) = daemon.ask(&["status"]);
    assert!(code == 0 && shown.contains("node-lost"), "{shown}");

    let _node = RpcNode::start_at(address, chain(), Manner::Right);
    let cleared = hook.wait_for("node-lost", "cleared");
    assert_eq!(cleared["id"], raised["id"]);
    assert!(cleared["text"].as_str().unwrap().contains("answers again"), "{cleared}");
    daemon.wait_for_line("all clear: your node's RPC");
    daemon.wait_for_stats("no alert", |stats| {
        stats["alerts"]["active"] == json!([]) && stats["alerts"]["past"][0]["kind"] == "node-lost"
    });
    let said = daemon.lines();
    let failing = said.iter().filter(|line| line.contains("does not take an alert")).count();
    assert_eq!(failing, 1, "one line for a failure, however often it is tried");
    assert!(!said.iter().any(|line| line.contains("topsecret")), "a secret is in the log");
    assert_eq!(hook.count("node-lost", "cleared"), 1);
}

/// Goal: a refused block is one alert, and over with the next that is accepted; the command hears of it
/// by its input and its environment.
#[test]
fn a_refused_block_is_told_to_the_command() {
    let (node, peers) = (
        RpcNode::start(chain(), Manner::Refuses("bad-cb-amount")),
        peers(Vec::new(), 2, Keep::Nothing),
    );
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("told");
    let script = format!(
        "cat >> {0}; echo \"$BROADSIDE_ALERT_KIND $BROADSIDE_ALERT_STATE $BROADSIDE_ALERT_SUBJECT\" >> {0}",
        out.display()
    );
    let command = format!("command = [\"/bin/sh\", \"-c\", {script:?}]");
    let hook = Webhook::start(&[], Reply::Fine);
    let alerts = format!("{command}\nwebhook = [\"{}\"]", hook.url());
    let daemon = daemon(&node, &peers, &alerts);
    let mut maker = maker();
    let block = maker.next(20_000).expect("a block");
    let (_, answer) = daemon.pool().submit(&hex(&block.raw));
    assert_eq!(answer["result"], "bad-cb-amount");
    let raised = hook.wait_for("block-refused", "raised");
    assert!(raised["text"].as_str().unwrap().contains("bad-cb-amount"), "{raised}");
    let address = node.address;
    drop(node);
    let _node = RpcNode::start_at(address, chain(), Manner::Right);
    assert_eq!(broadcast(&daemon, &mut maker, &peers), Value::Null);
    let cleared = hook.wait_for("block-refused", "cleared");
    assert_eq!((&cleared["id"], &cleared["subject"]), (&raised["id"], &raised["subject"]));
    let end = Instant::now() + PATIENCE;
    let told = loop {
        let told = fs::read_to_string(&out).unwrap_or_default();
        if told.lines().count() >= 4 {
            break told;
        }
        assert!(Instant::now() < end, "the command was told too little: {told}");
        std::thread::yield_now();
    };
    let lines: Vec<&str> = told.lines().collect();
    let body: Value = serde_json::from_str(lines[0]).expect("JSON");
    assert_eq!(body, raised, "both are told the same");
    let subject = raised["subject"].as_str().unwrap();
    assert_eq!(lines[1], format!("block-refused raised {subject}"));
    assert_eq!(hook.count("block-refused", "raised"), 1);
    // One that never went to peers is an alert as well: somebody's work was for nothing.
    let spoilt = support::spoil::without_work(chain(), &maker.next(20_000).expect("a block").raw);
    daemon.pool().submit(&hex(&spoilt));
    let is_second = |body: &Value| body["text"].as_str().unwrap().contains("had not gone to peers");
    hook.wait("the second", |seen| seen.posts.iter().any(|(_, it)| is_second(it)).then_some(()));
}

/// Goal: webhooks that hang, fail, redirect or never stop talking, and a command that never ends, cost
/// a block nothing, and the stop is not held up by them.
#[test]
fn nobody_waits_for_bad_receivers() {
    let (node, peers) = (
        RpcNode::start(chain(), Manner::Refuses("bad-cb-amount")),
        peers(Vec::new(), 4, Keep::Nothing),
    );
    let replies = [Reply::Hangs, Reply::Fails, Reply::Redirects, Reply::Endless];
    let hooks = replies.map(|reply| Webhook::start(&[], reply));
    let urls: Vec<_> = hooks.iter().map(|hook| format!("{:?}", hook.url())).collect();
    let nobody = format!("\"http://{}/\"", support::ports::free_address());
    let alerts = format!(
        "webhook = [{}, {nobody}]\ncommand = [\"/bin/sh\", \"-c\", \"sleep 1000 & sleep 1000\"]",
        urls.join(", ")
    );
    let mut daemon = daemon(&node, &peers, &alerts);
    // More than any queue holds: each is refused, and an alert of its own.
    for seed in 0..80 {
        let block = BlockMaker::new(chain(), seed, 1_700_000_000).next(20_000).expect("a block");
        assert_eq!(daemon.pool().submit(&hex(&block.raw)).1["result"], "bad-cb-amount");
    }
    hooks.iter().for_each(|hook| drop(hook.wait_for("block-refused", "raised")));
    daemon.wait_for_line("which is not followed");
    daemon.wait_for_line("it answers HTTP 500");
    let address = node.address;
    drop(node);
    let _node = RpcNode::start_at(address, chain(), Manner::Right);
    // All peers get it, while nobody takes an alert.
    let mut other = BlockMaker::new(chain(), 1_000, 1_700_000_000);
    assert_eq!(broadcast(&daemon, &mut other, &peers), Value::Null);
    let begun = Instant::now();
    assert!(daemon.terminate().success());
    assert!(begun.elapsed() < PATIENCE, "the stop was held up");
    hooks[2].wait("no redirect followed", |seen| {
        seen.posts.iter().all(|(path, _)| path.starts_with("/hook")).then_some(())
    });
    let said = daemon.lines();
    let about = |part: &str| said.iter().filter(|line| line.contains(part)).count();
    assert_eq!(about("which is not followed"), 1, "said once");
    assert!(about("did not leave by") >= 3, "{}", said.join("\n"));
    assert_eq!(about("block report"), 81, "one report for each block");
}
