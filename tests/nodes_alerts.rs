//! A real node that is killed and comes back, as alerts tell of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "fails by panicking")]

mod support;

use serde_json::{Value, json};
use support::daemon::{Daemon, Told};
use support::litecoind::Node;
use support::webhook::{Reply, Webhook};

/// Goal: killing the node raises both ways to it, each once; its return clears both, with the same ids.
#[test]
fn a_killed_node_is_told_by_both_ways() {
    let mut node = Node::start();
    let hook = Webhook::start(&[], Reply::Fine);
    let engine = format!("[alerts]\nwebhook = \"{}\"\n", hook.url());
    let daemon = Daemon::start(&Told { node: Some(&node), engine: &engine, ..Told::default() });
    daemon.wait_for_stats("the node", |stats| {
        stats["node"]["rpc"] == true && stats["node"]["connected"] == true
    });
    node.kill();
    let both = |state: &'static str| {
        ["rpc", "p2p"].map(|way| {
            hook.wait(&format!("{way} {state}"), |seen| {
                let is_it = |body: &Value| {
                    body["kind"] == "node-lost" && body["state"] == state && body["subject"] == way
                };
                seen.posts.iter().map(|(_, body)| body).find(|body| is_it(body)).cloned()
            })
        })
    };
    let raised = both("raised");
    node.restart();
    let cleared = both("cleared");
    for (raised, cleared) in raised.iter().zip(&cleared) {
        assert_eq!(raised["id"], cleared["id"]);
        assert_eq!((&raised["count"], &raised["severity"]), (&json!(1), &json!("critical")));
    }
    println!("{:#}\n{:#}", raised[0], cleared[0]);
    assert_eq!(hook.count("node-lost", "raised"), 2);
}
