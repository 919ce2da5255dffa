//! Merged mining end to end: a real node's chain as the parent, whose coinbase commits to a block of
//! the merged one, and three RPC endpoints for that: one hangs, one fails, one answers.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use broadside::sim::blocks::{BlockMaker, MadeBlock, Unproven};
use broadside::sim::loopback::{Keep, Loopback, LoopbackSettings};
use broadside::wire::chain::{Chain, Network, find};
use broadside::wire::check::parse_and_check;
use broadside::wire::hash::{BlockHash, hex};
use serde_json::{Value, json};
use support::daemon::{Daemon, PATIENCE, Told};
use support::litecoind::Node;
use support::rpc_node::{Manner, RpcNode};

const PEERS: usize = 3;

fn regtest(name: &str) -> &'static Chain {
    find(name, Network::Regtest).unwrap()
}

/// Blocks of both chains, each share on top of the last one.
struct Pool {
    parents: BlockMaker,
    merged: BlockMaker,
}

/// What a share is that solves both chains.
struct Share {
    parent: MadeBlock,
    unproven: Unproven,
    proof: Vec<u8>,
    merged: MadeBlock,
}

impl Pool {
    fn start() -> Self {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32;
        let maker = |name| BlockMaker::new(regtest(name), 5, now_s - 3_600);
        Self { parents: maker("litecoin"), merged: maker("dogecoin") }
    }

    /// `levels`: among 2^levels merged blocks.
    fn share(&mut self, levels: u32) -> Share {
        let unproven = self.merged.next_unproven().unwrap().among(levels, 12_345);
        self.parents.hold(&unproven.commitment());
        let parent = self.parents.next_coinbase_only(500).unwrap();
        let proof = unproven.proof(regtest("litecoin"), &parent.raw).unwrap();
        let merged = unproven.proven(&proof);
        let (_, checked) = parse_and_check(regtest("dogecoin"), &merged.raw).expect("by the rules");
        assert_eq!(checked.hash.0, merged.hash);
        Share { parent, unproven, proof, merged }
    }
}

impl Share {
    fn parent_hash(&self) -> String {
        BlockHash(self.parent.hash).to_string()
    }

    fn merged_hash(&self) -> String {
        BlockHash(self.merged.hash).to_string()
    }
}

fn peers() -> Loopback {
    let (chain, peers) = (regtest("dogecoin"), PEERS);
    let (faults, keep, seed) = (Vec::new(), Keep::Bytes, 1);
    Loopback::start(LoopbackSettings { chain, peers, faults, keep, seed }).unwrap()
}

/// Whether every peer got the merged block byte for byte.
fn got_whole(peers: &Loopback, share: &Share) -> bool {
    let raw = &share.merged.raw[..];
    let has = |bytes: &Vec<u8>| bytes.windows(raw.len()).any(|window| window == raw);
    (0..PEERS).all(|peer| peers.kept(peer).iter().any(has))
}

/// A daemon for both chains: the real node for the parent's, these lines for the merged one.
fn daemon(parent: &Node, merged: &str, peers: &Loopback) -> Daemon {
    let mut daemon = Daemon::prepare(&Told { node: Some(parent), ..Told::default() });
    let fixed: Vec<_> = peers.addresses().iter().map(|it| format!("\"{it}\"")).collect();
    let text = std::fs::read_to_string(daemon.config()).unwrap();
    let text = format!(
        "{text}\n[[chain]]\nname = \"dogecoin\"\nnetwork = \"regtest\"\n{merged}\
         [chain.peers]\nmax = {PEERS}\nmin = 1\nrefresh_s = 1\ndiscover = false\nscouts = 0\n\
         fixed = [{}]\n",
        fixed.join(", ")
    );
    std::fs::write(daemon.config(), text).unwrap();
    daemon.restart();
    wait(&daemon, "peers", |stats| stats["peers"]["connected"] == PEERS);
    daemon.wait_for_peers(1);
    daemon
}

fn merged_stats(daemon: &Daemon) -> Value {
    daemon.get("/broadcaster_stats").1["dogecoin"].clone()
}

/// Waits until the merged chain's statistics are as wished.
fn wait(daemon: &Daemon, what: &str, wished: impl Fn(&Value) -> bool) -> Value {
    daemon.wait_for_stats(what, |_| wished(&merged_stats(daemon)));
    merged_stats(daemon)
}

fn section(node: &RpcNode, more: &str) -> String {
    let url = node.url();
    format!("[[chain.submit]]\nurl = \"{url}\"\nuser = \"a\"\npassword = \"b\"\n{more}")
}

fn block_call(raw: &[u8], id: u32) -> Value {
    json!({"jsonrpc": "1.0", "id": id, "method": "submitblock", "params": [hex(raw)]})
}

/// Goal: one request carries both blocks of a share; the real node takes the parent's, peers and
/// endpoints get the merged one, and neither the endpoint that hangs nor the one that fails holds
/// anybody up. Shown by order: all others are through while the first still has its first request.
#[test]
fn of_three_endpoints_one_hangs_one_fails_and_the_third_is_not_held_up() {
    let merged = regtest("dogecoin");
    let hanging = RpcNode::start(merged, Manner::Hangs);
    let failing = RpcNode::start(merged, Manner::Fails);
    let willing = RpcNode::start(merged, Manner::Right);
    let (parent, peers) = (Node::start(), peers());
    let lines = [&hanging, &failing, &willing].map(|node| section(node, "timeout_s = 60\n"));
    let daemon = daemon(&parent, &lines.concat(), &peers);
    let mut pool = Pool::start();
    let share = pool.share(0);

    let batch = json!([block_call(&share.parent.raw, 1), block_call(&share.merged.raw, 2)]);
    let (status, answer) = daemon.pool().raw(batch.to_string().as_bytes());
    let accepted = |id| json!({"result": null, "error": null, "id": id});
    assert_eq!((status, &answer), (200, &json!([accepted(1), accepted(2)])));
    assert_eq!(parent.tip(), share.parent_hash(), "the real node has the parent");
    let arrivals = peers.wait_for(share.merged.hash, PEERS, PATIENCE);
    assert_eq!(arrivals.times_ns().len(), PEERS);
    assert!(got_whole(&peers, &share), "with the proof inside");
    let digits = hex(&share.merged.raw);
    willing.wait("the block", |it| (it.submitted == [digits.clone()]).then_some(()));
    hanging.wait("the block", |it| (it.submitted == [digits.clone()]).then_some(()));
    let stats = wait(&daemon, "verdicts", |stats| {
        let each = &stats["endpoints"]["each"];
        each[2]["verdicts"]["accepted"] == 1 && each[1]["breaker"] != "closed"
    });
    let each = &stats["endpoints"]["each"];
    println!("{each:#}");
    // It has had the request all this time and no second one.
    assert_eq!((&each[0]["waiting"], &each[0]["tries"]), (&json!(1), &json!(1)));
    assert_eq!((&each[0]["verdicts"]["accepted"], &each[0]["gave_up"]), (&json!(0), &json!(0)));
    assert_eq!((&each[1]["waiting"], &each[1]["opened"]), (&json!(1), &json!(1)));
    assert!(each[1]["troubles"]["error"].as_u64() >= Some(3), "{each}");
    assert_eq!((&each[2]["waiting"], &each[2]["tries"]), (&json!(0), &json!(1)));
    assert_eq!(each[2]["troubles"], json!({}));
    assert_eq!(stats["health"]["status"], "degraded");

    // The same block once more tells how it fares.
    let (code, out, errors) = daemon.submit(&share.merged.raw, &["--chain", "dogecoin"]);
    println!("{out}");
    assert_eq!(code, 0, "{errors}");
    let row = |node: &RpcNode| {
        let found = out.lines().find(|line| line.starts_with(&node.url()));
        found.unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row(&hanging)[1..4], ["asked", "-", "1"], "{out}");
    assert!(["trying-again", "held-off", "asked"].contains(&row(&failing)[1].as_str()), "{out}");
    assert!(out.contains("disk full (code -25)"), "{out}");
    assert_eq!(row(&willing)[1..4], ["answered", "accepted", "1"], "{out}");
    let (code, out, _) = daemon.ask(&["status"]);
    println!("{out}");
    assert!(code == 0 && out.lines().any(|line| line.starts_with(&willing.url())), "{out}");

    // A second share, each block by a request of its own, while the first endpoint still hangs.
    let second = pool.share(3);
    std::thread::scope(|scope| {
        let merged = scope.spawn(|| daemon.pool().submit(&hex(&second.merged.raw)));
        let parent = scope.spawn(|| daemon.pool().submit(&hex(&second.parent.raw)));
        for submitting in [merged, parent] {
            let (status, answer) = submitting.join().unwrap();
            assert_eq!((status, &answer["result"]), (200, &Value::Null), "{answer}");
        }
    });
    assert_eq!(parent.tip(), second.parent_hash());
    willing.wait("the second", |it| (it.submitted.len() == 2).then_some(()));
    assert_eq!(peers.wait_for(second.merged.hash, PEERS, PATIENCE).times_ns().len(), PEERS);
}

/// Goal: a pool that knows no more of the merged block than its hash: the node that made it takes the
/// proof, and from then on the block goes everywhere.
#[test]
fn a_proof_by_a_real_parent_brings_the_merged_block_to_everybody() {
    let merged = regtest("dogecoin");
    let (own, further) =
        (RpcNode::start(merged, Manner::Right), RpcNode::start(merged, Manner::Right));
    let (parent, peers) = (Node::start(), peers());
    let lines = format!(
        "[chain.node]\nrpc = \"{}\"\nuser = \"a\"\npassword = \"b\"\n{}",
        own.url(),
        section(&further, "")
    );
    let daemon = daemon(&parent, &lines, &peers);
    let mut pool = Pool::start();
    let share = pool.share(4);
    own.make(&share.unproven);
    let (_, work) = daemon.pool().ask("createauxblock", &json!(["address"]));
    assert_eq!(work["result"]["hash"], share.merged_hash(), "from the merged chain's node");

    let proof = json!({"jsonrpc": "1.0", "id": "proof", "method": "submitauxblock",
                       "params": [share.merged_hash(), hex(&share.proof)]});
    let batch = json!([proof, block_call(&share.parent.raw, 2)]);
    let (status, answer) = daemon.pool().raw(batch.to_string().as_bytes());
    let taken = json!({"result": true, "error": null, "id": "proof"});
    assert_eq!((status, &answer[0], &answer[1]["result"]), (200, &taken, &Value::Null));
    assert_eq!(parent.tip(), share.parent_hash());
    assert_eq!(peers.wait_for(share.merged.hash, PEERS, PATIENCE).times_ns().len(), PEERS);
    assert!(got_whole(&peers, &share), "with the proof inside");
    let digits = hex(&share.merged.raw);
    further.wait("the block", |it| (it.submitted == [digits.clone()]).then_some(()));
    own.wait("the question", |it| (it.asked.get("getblock") == Some(&1)).then_some(()));
    let stats = wait(&daemon, "the verdict", |stats| stats["node"]["verdicts"]["accepted"] == 1);
    println!("{:#}", stats["merged_mining"]);
    assert_eq!(
        (&stats["merged_mining"]["fetched"], &stats["merged_mining"]["lost"]),
        (&json!(1), &json!(0))
    );
    own.wait("no block by submitblock", |it| it.submitted.is_empty().then_some(()));

    // A proof for something else has no effect.
    let (_, refused) = daemon.pool().ask("submitauxblock", &json!([share.parent_hash(), "00"]));
    assert_eq!(refused["error"]["code"], -8);
    assert_eq!(
        wait(&daemon, "a refusal", |it| it["merged_mining"]["refused"] == 1)["blocks"]["broadcast"],
        1
    );
}
