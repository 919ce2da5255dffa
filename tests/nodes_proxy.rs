//! A real node behind a real SOCKS5 server (microsocks), and broadside before it.
//!
//! Addresses on loopback are never dialled through a proxy. So the test runs itself again inside a
//! network namespace of its own, in which this host has one more address (192.0.2.1, TEST-NET-1):
//! nothing outside of it can be reached.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use support::daemon::{Daemon, Told};
use support::litecoind::Node;
use support::miner::Miner;

const INSIDE: &str = "BROADSIDE_TEST_INSIDE";
const OWN_IP: &str = "192.0.2.1";

/// Whether this is the run inside of the namespace. Outside: starts that run and passes its failure
/// on, or says why it can't be.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let missing = |program: &str, option: &str| {
        let run = Command::new(program).arg(option).output();
        run.is_err().then(|| eprintln!("NOT TESTED: {program} is missing"))
    };
    if missing("microsocks", "-h").is_some() || missing("unshare", "-V").is_some() {
        return false;
    }
    let setup = format!("ip link set lo up && ip addr add {OWN_IP}/32 dev lo");
    let namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sh", "-c", script]);
        command
    };
    let allowed = namespace(&setup).output().expect("unshare is there");
    if !allowed.status.success() {
        let why = String::from_utf8_lossy(&allowed.stderr);
        eprintln!("NOT TESTED: no network namespace of its own: {}", why.trim());
        return false;
    }
    let again = std::env::current_exe().expect("this program");
    let status = namespace(&format!("{setup} && exec \"$0\" --exact {test} --nocapture"))
        .arg(again)
        .env(INSIDE, "1")
        .status();
    assert!(status.expect("unshare is there").success(), "it failed inside of the namespace");
    false
}

/// A running microsocks. Gone when dropped.
struct Microsocks {
    child: Child,
    address: SocketAddr,
}

impl Drop for Microsocks {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Microsocks {
    fn start(login: Option<(&str, &str)>) -> Self {
        let address = free("127.0.0.1");
        Self::start_at(address, login)
    }

    fn start_at(address: SocketAddr, login: Option<(&str, &str)>) -> Self {
        let mut command = Command::new("microsocks");
        command.args(["-i", "127.0.0.1", "-p", &address.port().to_string()]);
        if let Some((user, password)) = login {
            command.args(["-u", user, "-P", password]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = child.spawn().expect("microsocks starts");
        Self { child, address }
    }
}

/// A port that is free at this address, in this namespace of ours alone.
fn free(ip: &str) -> SocketAddr {
    let ip: IpAddr = ip.parse().unwrap();
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}

/// A node that only listens at the namespace's own address, and its address.
fn node() -> (Node, SocketAddr) {
    let p2p = free(OWN_IP);
    (Node::start_with(&[&format!("-bind={p2p}")]), p2p)
}

fn daemon(proxy: &str, peer: SocketAddr, own: &Node) -> Daemon {
    let daemon = Daemon::prepare(&Told { node: Some(own), fixed: &[peer], ..Told::default() });
    let text = std::fs::read_to_string(daemon.config()).unwrap();
    let with = format!("[chain.peers]\nproxy = \"{proxy}\"\n");
    std::fs::write(daemon.config(), text.replace("[chain.peers]\n", &with)).unwrap();
    let mut daemon = daemon;
    daemon.restart();
    daemon
}

/// A miner, the pool's own node and a far one, both on its chain.
fn world() -> (Miner, Node, (Node, SocketAddr)) {
    let mut miner = Miner::start();
    miner.mine(1);
    let (own, (far, address)) = (Node::start(), node());
    own.feed(miner.chain());
    far.feed(miner.chain());
    (miner, own, (far, address))
}

/// From which address the node sees broadside.
fn seen_by(node: &Node) -> Vec<String> {
    let peers = node.call("getpeerinfo", serde_json::json!([]));
    let all = peers.as_array().expect("a list").iter();
    all.map(|peer| format!("{} {}", peer["addr"], peer["subver"])).collect()
}

#[test]
fn a_block_reaches_a_node_behind_a_proxy() {
    if !is_inside("a_block_reaches_a_node_behind_a_proxy") {
        return;
    }
    let (mut miner, own, (far, address)) = world();
    for login in [None, Some(("pool", "secret"))] {
        let proxy = Microsocks::start(login);
        let login = login.map(|(user, password)| format!("{user}:{password}@")).unwrap_or_default();
        let mut daemon = daemon(&format!("socks5://{login}{}", proxy.address), address, &own);
        daemon.wait_for_peers(2);
        // The proxy's connection leaves from the host's other address: it is not ours.
        let seen = seen_by(&far);
        assert!(seen.iter().any(|peer| peer.contains("broadside")), "{seen:?}");
        let block = miner.mine(1)[0].clone();
        let (code, out, errors) = daemon.submit(&block.raw(), &[]);
        assert_eq!(code, 0, "{out}{errors}");
        assert!(own.wait_for_tip(&block.hash) && far.wait_for_tip(&block.hash));
        assert!(daemon.terminate().success());
    }
}

#[test]
fn without_its_proxy_the_node_gets_the_block_and_health_says_why() {
    if !is_inside("without_its_proxy_the_node_gets_the_block_and_health_says_why") {
        return;
    }
    let (mut miner, own, (far, address)) = world();
    let nobody = free("127.0.0.1");
    let daemon = daemon(&format!("socks5://{nobody}"), address, &own);
    daemon.wait_for_peers(1);
    let line = daemon.wait_for_line("the proxy at ");
    assert!(line.contains("WARN") && line.contains("chain.peers] proxy"), "{line}");
    daemon.wait_for_stats("degraded health", |stats| {
        let issues = stats["health"]["issues"].to_string();
        stats["health"]["status"] == "degraded" && issues.contains("the proxy can't be used")
    });
    let block = miner.mine(1)[0].clone();
    let (code, out, errors) = daemon.submit(&block.raw(), &[]);
    assert_eq!(code, 0, "the node's leg goes on: {out}{errors}");
    assert!(own.wait_for_tip(&block.hash));
    assert!(seen_by(&far).is_empty(), "dialled past the proxy");
    // It comes up: everybody is there, and the newest block with them.
    let _proxy = Microsocks::start_at(nobody, None);
    daemon.wait_for_peers(2);
    assert!(far.wait_for_tip(&block.hash));
    daemon.wait_for_line("the proxy can be used again");
    let said = daemon.lines().iter().filter(|line| line.contains("the proxy at ")).count();
    assert_eq!(said, 1, "said once");
}
