//! A pool's templates on a real node: what passes through the intake, what is asked for, and the blocks
//! that are made of them.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use serde_json::{Value, json};
use support::daemon::{Daemon, Told};
use support::litecoind::Node;
use support::miner::Miner;

/// The pool's node and another that makes its blocks, with the same transactions waiting.
struct Pool {
    miner: Miner,
    own: Node,
}

impl Pool {
    fn new(mut miner: Miner) -> Self {
        if miner.blocks.is_empty() {
            miner.mine(110);
        }
        let own = Node::start();
        own.feed(miner.chain());
        Self { miner, own }
    }

    /// A daemon whose node has this key of `[chain.node]` beside its own.
    fn daemon(&self, mode: &str) -> Daemon {
        let (p2p, rpc, cookie) = (self.own.p2p, self.own.url(), self.own.cookie_file());
        let chain = format!(
            "[chain.node]\np2p = \"{p2p}\"\nrpc = \"{rpc}\"\ncookie_file = {cookie:?}\n\
             template = \"{mode}\"\n"
        );
        let daemon = Daemon::start(&Told { chain: &chain, ..Told::default() });
        // A node without a connection gives no template.
        daemon.wait_for_peers(1);
        daemon
    }

    /// The pool's node hears of all payments that wait at the other.
    fn share_payments(&self) {
        let waiting = self.miner.call("getrawmempool", json!([true]));
        let mut waiting: Vec<_> = waiting.as_object().unwrap().iter().collect();
        waiting.sort_by_key(|(_, entry)| entry["ancestorcount"].as_u64());
        for (txid, _) in waiting {
            let raw = self.miner.call("getrawtransaction", json!([txid]));
            self.own.call("sendrawtransaction", json!([raw]));
        }
    }

    /// One more block, handed in; the node takes it.
    fn find(&mut self, daemon: &Daemon) {
        let block = self.miner.mine(1).last().expect("one").clone();
        let (status, answer) = daemon.pool().submit(&block.hex);
        assert_eq!((status, &answer["result"]), (200, &json!(null)), "{answer}");
        assert!(self.own.wait_for_tip(&block.hash));
    }
}

fn wait_for_templates(daemon: &Daemon, what: &str, wished: impl Fn(&Value) -> bool) -> Value {
    daemon.wait_for_stats(what, |stats| wished(&stats["templates"]))["templates"].clone()
}

/// The pool asks through our port, as it would ask the node.
fn ask(daemon: &Daemon, staged: u64) {
    let rules = json!([{"rules": ["mweb", "segwit"]}]);
    let (status, answer) = daemon.pool().ask("getblocktemplate", &rules);
    assert_eq!(status, 200, "{answer}");
    wait_for_templates(daemon, "the template", |told| told["staged"] == staged);
}

fn blocks_of_a_pools_own_templates(mut pool: Pool) {
    let daemon = pool.daemon("auto");
    pool.miner.pay(20);
    pool.share_payments();
    ask(&daemon, 1);
    pool.find(&daemon);
    let told = wait_for_templates(&daemon, "the block", |told| told["blocks"]["proven"] == 1);
    assert!(told["newest"]["transactions"].as_u64() >= Some(20), "{told}");
    eprintln!("made of a template: {told}");

    // A payment that the pool's node has not heard of: the block is none of its template's.
    pool.miner.pay(1);
    ask(&daemon, 2);
    pool.find(&daemon);
    wait_for_templates(&daemon, "the other", |told| told["blocks"]["other_transactions"] == 1);
    // And one that nobody has asked a template for.
    pool.find(&daemon);
    let told = wait_for_templates(&daemon, "the last", |told| told["blocks"]["no_template"] == 1);
    assert_eq!((&told["blocks"]["proven"], &told["unreadable"]), (&json!(1), &json!(0)), "{told}");
}

#[test]
fn a_block_of_the_pools_own_template_is_recognised() {
    blocks_of_a_pools_own_templates(Pool::new(Miner::start()));
}

#[test]
fn so_is_one_with_an_extension_block() {
    let mut miner = Miner::start();
    miner.activate_mweb();
    blocks_of_a_pools_own_templates(Pool::new(miner));
}

/// The operator has the node asked: each new tip brings a template without the pool's doing.
#[test]
fn polls_bring_templates_too() {
    let mut pool = Pool::new(Miner::start());
    for mode in ["poll", "longpoll"] {
        let daemon = pool.daemon(mode);
        for proven in 1..=2 {
            let parent = pool.own.tip();
            wait_for_templates(&daemon, "a template", |told| told["newest"]["parent"] == parent);
            pool.find(&daemon);
            wait_for_templates(&daemon, mode, |told| told["blocks"]["proven"] == proven);
        }
        assert_eq!(daemon.stats()["templates"]["mode"], mode);
    }
}
