//! The commands and the intake on a real node, as an operator and a pool meet them.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use broadside::cmd::client::Client;
use broadside::wire::chain::{Chain, Network, find};
use serde_json::{Value, json};
use support::daemon::{Daemon, PATIENCE, Told};
use support::litecoind::Node;
use support::miner::Miner;
use support::spoil;
use support::tap::Tap;

fn regtest() -> &'static Chain {
    find("litecoin", Network::Regtest).unwrap()
}

/// A pool's node and a peer that only broadside connects, both at the tip of the miner's first
/// block.
fn nodes() -> (Miner, Node, Node) {
    let mut miner = Miner::start();
    miner.mine(1);
    let (own, peer) = (Node::start(), Node::start());
    own.feed(miner.chain());
    peer.feed(miner.chain());
    (miner, own, peer)
}

fn daemon(own: &Node, peer: &Node) -> Daemon {
    let daemon = Daemon::start(&Told { node: Some(own), fixed: &[peer.p2p], ..Told::default() });
    daemon.wait_for_peers(2);
    daemon.wait_for_stats("the node's RPC", |stats| stats["node"]["rpc"] == true);
    daemon
}

#[test]
fn submit_and_status_say_how_it_went() {
    let (mut miner, own, peer) = nodes();
    let mut daemon = daemon(&own, &peer);
    let block = miner.mine(1)[0].clone();
    let socket = std::fs::metadata(daemon.unix()).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);

    let bad = spoil::without_work(regtest(), &block.raw());
    let (code, out, errors) = daemon.submit(&bad, &[]);
    assert!(code == 1 && out.contains("refused: high-hash"), "{code} {out}{errors}");
    assert!(out.contains("not sent to peers"), "{out}");
    let (code, out, errors) = daemon.submit(&block.raw(), &[]);
    assert!(code == 0 && out.contains("accepted\n"), "{code} {out}{errors}");
    assert!(out.contains(&format!("block {}", block.hash)), "{out}");
    for address in [own.p2p, peer.p2p] {
        let row = out.lines().find(|line| line.starts_with(&address.to_string()));
        assert!(
            row.is_some_and(|row| row.contains("handled") || row.contains("already-had")),
            "{out}"
        );
    }
    assert!(own.wait_for_tip(&block.hash) && peer.wait_for_tip(&block.hash));
    let place = format!("http://{}", daemon.rpc);
    let next = miner.mine(1)[0].clone();
    let (code, out, errors) = daemon.submit(next.hex.as_bytes(), &["--to", &place]);
    assert_eq!((code, out.as_str()), (0, "accepted\n"), "{errors}");

    look_at_it(&daemon, 2);
    assert!(daemon.terminate().success());
    for more in [&[][..], &["--to", &place]] {
        let (code, _, errors) = daemon.submit(&block.raw(), more);
        assert!(code == 2 && errors.starts_with("broadside: "), "{errors}");
    }
    assert_eq!(daemon.ask(&["status"]).0, 2);
}

fn look_at_it(daemon: &Daemon, blocks: u64) {
    let (code, out, errors) = daemon.ask(&["status"]);
    assert_eq!(code, 0, "{errors}");
    let row: Vec<_> = out.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert_eq!(row[..7].join(" "), format!("litecoin 2/50 1 2 up up {blocks}"), "{out}");
    assert!(out.contains("\nlitecoin: ok\n"), "{out}");
    assert!(out.contains("\nuplink: not shared"), "{out}");
    let (code, out, _) = daemon.ask(&["status", "--json"]);
    let stats: Value = serde_json::from_str(&out).expect("JSON");
    let stats = &stats["litecoin"];
    assert_eq!((code, &stats["blocks"]["broadcast"]), (0, &json!(blocks)));
    // The node is a peer as well: where that way was faster, the call finds a duplicate.
    let verdicts = &stats["node"]["verdicts"];
    let taken = ["accepted", "duplicate"].map(|word| verdicts[word].as_u64().unwrap_or_default());
    assert_eq!(taken.iter().sum::<u64>(), blocks, "{stats:#}");
    assert_eq!(daemon.page("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(daemon.page("/readyz"), (200, "ok\n".to_owned()));
}

/// One kept-alive connection to the intake, one to the node itself: the same answers.
#[test]
fn the_intake_answers_as_the_node_does() {
    let (mut miner, own, peer) = nodes();
    let daemon = daemon(&own, &peer);
    let block = miner.mine(1)[0].clone();
    let mut pool = daemon.pool();
    let mut direct = Client::connect(&own.rpc.to_string(), PATIENCE).unwrap();
    let login = std::fs::read_to_string(own.cookie_file()).unwrap();
    let mut ask_node = |body: &[u8]| {
        let answer = direct.exchange("POST", "/", Some(&login), body).unwrap();
        (answer.status, serde_json::from_slice::<Value>(&answer.body).unwrap_or_default())
    };
    let tips = (own.tip(), peer.tip());
    for bad in spoil::all(regtest(), &block.raw()) {
        if bad.how == "over the size limit" {
            // Zeros: the node takes them for an empty block and finds another fault first.
            assert_eq!(pool.submit(&bad.hex).1["error"]["code"], -22);
            continue;
        }
        let body = json!({"id": 7, "method": "submitblock", "params": [bad.hex]}).to_string();
        assert_eq!(pool.raw(body.as_bytes()), ask_node(body.as_bytes()), "{}", bad.how);
    }
    let eight_megabytes = "5a".repeat(3_900_000);
    let large = json!({"id": 7, "method": "submitblock", "params": [eight_megabytes]}).to_string();
    for body in [
        "{ this is no JSON",
        "",
        "7",
        "[]",
        "[7]",
        r#"{"id":1}"#,
        r#"{"id":1,"method":7}"#,
        r#"{"id":1,"method":"submitblock"}"#,
        r#"{"id":1,"method":"submitblock","params":[7]}"#,
        r#"{"id":"a","method":"submitblock","params":{"hexdata":"00"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"submitblock","params":["00"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"getblockcount"}"#,
        r#"[{"id":1,"method":"getblockcount"},{"id":2,"method":"nosuchmethod"}]"#,
        r#"[{"id":1,"method":"submitblock","params":["zz"]},8,{"id":2,"method":"getblockcount"}]"#,
        &large,
    ] {
        assert_eq!(pool.raw(body.as_bytes()), ask_node(body.as_bytes()), "{body:.80}");
    }
    assert_eq!((own.tip(), peer.tip()), tips);
    assert_eq!(daemon.stats()["blocks"]["broadcast"], 0);

    // A batch with a good block in it, by the chain's own path.
    pool.path = "/chain/litecoin".to_owned();
    let batch = json!([
        {"id": 1, "method": "getblockcount"},
        {"jsonrpc": "2.0", "id": "b", "method": "submitblock", "params": [block.hex]},
        {"id": 3, "method": "getblockhash", "params": [0]},
    ]);
    let (status, answers) = pool.raw(batch.to_string().as_bytes());
    assert_eq!((status, answers.as_array().map(Vec::len)), (200, Some(3)), "{answers}");
    assert_eq!((&answers[1]["result"], &answers[1]["id"]), (&json!(null), &json!("b")));
    assert_eq!(answers[2]["result"], own.call("getblockhash", json!([0])));
    assert!(peer.wait_for_tip(&block.hash) && own.wait_for_tip(&block.hash));
    pool.path = "/chain/nothing".to_owned();
    assert_eq!(pool.submit(&block.hex).0, 404);
    // What is cut short behind the header of that block is still what the node says it is.
    pool.path = "/".to_owned();
    let cut = &block.hex[..block.hex.len() - 2];
    assert_eq!(pool.submit(cut).1["error"]["code"], -22);
    // The node takes a block with bytes behind its end; peers get it without them.
    let block = miner.mine(1)[0].clone();
    assert_eq!(pool.submit(&format!("{}00", block.hex)).1["result"], json!(null));
    assert!(own.wait_for_tip(&block.hash) && peer.wait_for_tip(&block.hash));
    daemon.wait_for_stats("both went out once", |stats| stats["blocks"]["broadcast"] == 2);
}

/// A pool that takes its time: the node has the first half before the second is sent.
#[test]
fn a_block_reaches_the_node_while_it_comes_in() {
    let mut miner = Miner::start();
    miner.mine(101);
    miner.pay(30);
    let block = miner.mine(1)[0].clone();
    let own = Node::start();
    own.feed(miner.chain().take(101));
    let tap = Tap::start(own.rpc);
    let chain = format!(
        "[chain.node]\np2p = \"{}\"\nrpc = \"http://{}\"\ncookie_file = {:?}\n",
        own.p2p,
        tap.address,
        own.cookie_file()
    );
    let daemon = Daemon::start(&Told { chain: &chain, ..Told::default() });
    daemon.wait_for_stats("the node's RPC", |stats| stats["node"]["rpc"] == true);
    let body = format!(r#"{{"id":7,"method":"submitblock","params":["{}"]}}"#, block.hex);
    assert!(body.len() > 8_000, "{} bytes are too few to be streamed", body.len());
    let (first, second) = body.split_at(body.len() / 2);
    let login = base64::engine::general_purpose::STANDARD.encode(daemon.login());
    let begin = || {
        tap.forget();
        let mut pool = TcpStream::connect(daemon.rpc).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        pool.write_all(head.as_bytes()).unwrap();
        pool.write_all(first.as_bytes()).unwrap();
        tap.wait_for(&first[first.len() - 100..]);
        pool
    };
    let (ends, tip) = (tap.ends(), own.tip());
    drop(begin());
    tap.wait_for_ends(ends + 1);
    assert_eq!((own.tip(), daemon.stats()["blocks"]["broadcast"].clone()), (tip, json!(0)));

    let mut pool = begin();
    pool.write_all(second.as_bytes()).unwrap();
    let mut answer = String::new();
    pool.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("{\"result\":null,\"error\":null,\"id\":7}\n"), "{answer}");
    assert_eq!(own.tip(), block.hash);
    assert_eq!(tap.count("submitblock"), 1, "the pool's own request was all it took");
    assert_eq!(daemon.stats()["blocks"]["broadcast"], 1);
}

/// How many lines have `part`.
fn count(daemon: &Daemon, part: &str) -> usize {
    daemon.lines().iter().filter(|line| line.contains(part)).count()
}

#[test]
fn a_node_that_is_down_at_the_start_is_waited_for_and_peers_are_served() {
    let (mut miner, mut own, peer) = nodes();
    own.stop();
    let daemon = Daemon::start(&Told { node: Some(&own), fixed: &[peer.p2p], ..Told::default() });
    daemon.wait_for_line("the local node is away");
    daemon.wait_for_peers(1);
    assert_eq!(daemon.page("/healthz").0, 200);
    let (status, why) = daemon.page("/readyz");
    assert!(status == 503 && why.contains("the local node is away"), "{why}");
    let (_, out, _) = daemon.ask(&["status"]);
    assert!(out.contains("AWAY") && out.contains("degraded"), "{out}");
    let block = miner.mine(1)[0].clone();
    std::thread::scope(|scope| {
        let mut pool = daemon.pool();
        let hex = &block.hex;
        let caller = scope.spawn(move || pool.submit(hex));
        assert!(peer.wait_for_tip(&block.hash), "the peer has it without the node");
        own.restart();
        let (status, answer) = caller.join().unwrap();
        assert_eq!(
            (status, &answer["result"], &answer["error"]),
            (200, &json!(null), &json!(null))
        );
    });
    assert!(own.wait_for_tip(&block.hash));
    daemon.wait_for_line("the local node is back");
    daemon.wait_for_peers(2);
    assert_eq!(daemon.page("/readyz").0, 200);
    assert_eq!(count(&daemon, "the local node is away"), 1, "one line, not one per try");
    assert_eq!(count(&daemon, "can't connect to the local node"), 1);
}

/// Tests may run as root, who can read every file: what can't be read is missing or a folder.
#[test]
fn an_unreadable_cookie_is_one_line_and_is_read_when_it_can_be() {
    let (mut miner, own, peer) = nodes();
    let folder = tempfile::tempdir().unwrap();
    let cookie = folder.path().join("cookie");
    let chain = format!(
        "[chain.node]\np2p = \"{}\"\nrpc = \"{}\"\ncookie_file = {cookie:?}\n",
        own.p2p,
        own.url()
    );
    let daemon = Daemon::start(&Told { chain: &chain, fixed: &[peer.p2p], ..Told::default() });
    let line = daemon.wait_for_line("CRITICAL: the local node is away");
    let named = format!("cannot read the node's cookie file {}", cookie.display());
    assert!(line.contains(&named) && line.contains("check cookie_file"), "{line}");
    daemon.wait_for_peers(2);
    std::fs::create_dir(&cookie).unwrap();
    let block = miner.mine(1)[0].clone();
    std::thread::scope(|scope| {
        let mut pool = daemon.pool();
        let hex = &block.hex;
        let caller = scope.spawn(move || pool.submit(hex));
        assert!(peer.wait_for_tip(&block.hash), "the peer has it all the same");
        std::fs::remove_dir(&cookie).unwrap();
        std::fs::copy(own.cookie_file(), &cookie).unwrap();
        assert_eq!(caller.join().unwrap().1["error"], json!(null));
    });
    daemon.wait_for_line("the local node is back");
    assert_eq!(count(&daemon, "CRITICAL: the local node is away"), 1);
    assert_eq!(daemon.page("/readyz").0, 200);
}
