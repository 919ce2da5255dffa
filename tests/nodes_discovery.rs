//! From one real node to all of a network, by gossip alone: nobody is named but the pool's own node,
//! and no operator does anything.
//!
//! Nodes gossip about addresses of the Internet only, so this takes place in a network of its own in
//! which all of 8.0.0.0/8 is this host.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Instant, SystemTime};

use broadside::sys::namespace::{Device, Network};
use broadside::wire::chain::{self, Chain};
use broadside::wire::frame::frame;
use broadside::wire::handshake::{Handshake, HandshakeSettings, Progress};
use broadside::wire::message::{AddressRecord, NetworkAddress, encode_addr, name};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use support::daemon::{Daemon, PATIENCE, Told};
use support::litecoind::Node;

/// Nodes beside the pool's own.
const OTHERS: u8 = 6;
/// Addresses that no node passes on, for they are too old. A node tells of 23 in 100 that it knows:
/// with these it tells of all that are not too old.
const FILLERS: u32 = 200;

fn regtest() -> &'static Chain {
    chain::find("litecoin", chain::Network::Regtest).expect("it is in the table")
}

/// Where the node of this number listens: each in a network of its own.
fn place(number: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(8, 10 * (number + 1), 0, 1), regtest().p2p_port))
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn record(address: SocketAddr, age_s: u64) -> AddressRecord {
    let time_s = u32::try_from(now_s() - age_s).unwrap();
    let services = regtest().services_wanted | chain::SERVICE_NETWORK;
    AddressRecord { time_s, services, address: NetworkAddress::Ip(address) }
}

/// A greeted connection to `node`, from 8.200.`from`.1.
fn connect(node: &Node, from: u8) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let local = SocketAddr::from((Ipv4Addr::new(8, 200, from, 1), 0));
    socket.bind(&local.into()).unwrap();
    socket.connect(&node.p2p.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut handshake = Handshake::new(HandshakeSettings {
        chain: regtest(),
        nonce: 1 + u64::from(from),
        now_s: i64::try_from(now_s()).unwrap(),
        user_agent: "/teacher/".to_owned(),
        start_height: 0,
        services: 0,
        relay: false,
        remote: node.p2p,
        want_sendcmpct: None,
        initiator: true,
    });
    stream.write_all(&handshake.start()).unwrap();
    let mut input = [0; 4096];
    loop {
        let length = stream.read(&mut input).unwrap();
        assert!(length > 0, "the node closed the connection");
        match handshake.receive(&input[..length]).unwrap() {
            Progress::NeedsMore { reply } => stream.write_all(&reply).unwrap(),
            Progress::Done { reply, .. } => {
                stream.write_all(&reply).unwrap();
                return stream;
            }
        }
    }
}

/// Tells `node` of the nodes of these numbers, and of many that are long gone.
fn teach(node: &Node, numbers: &[u8]) {
    let fellows: Vec<_> = numbers.iter().map(|number| record(place(*number), 60)).collect();
    let long_ago_s = 40 * 86_400;
    let filler = |number: u32| {
        let [_, _, a, b] = (number * 131).to_be_bytes();
        record(SocketAddr::from(([45 + a % 100, b, 7, 7], 9333)), long_ago_s)
    };
    let fillers: Vec<_> = (0..FILLERS).map(filler).collect();
    // A node keeps an address in a place that depends on who told of it, and two that fall on one
    // place can't both stay: then somebody else tells of them.
    for from in 0..10 {
        let mut stream = connect(node, from);
        for list in [&fillers, &fellows] {
            let bytes = frame(regtest().magic, name::ADDR, &encode_addr(list));
            stream.write_all(&bytes).unwrap();
        }
        stream.write_all(&frame(regtest().magic, name::PING, &[7; 8])).unwrap();
        let mut said = Vec::new();
        let mut input = [0; 4096];
        while !said.windows(4).any(|part| part == b"pong") {
            let length = stream.read(&mut input).unwrap();
            assert!(length > 0, "the node closed the connection");
            said.extend_from_slice(&input[..length]);
        }
        let known = node.call("getnodeaddresses", json!([2_500]));
        let knows = |number: &u8| {
            let host = place(*number).ip().to_string();
            known.as_array().unwrap().iter().any(|it| it["address"] == json!(host))
        };
        if numbers.iter().all(knows) {
            return;
        }
    }
    panic!("the node does not keep {numbers:?}");
}

/// The pool's node knows two, one of those two more, and one of these the last two: three steps from
/// the first to the last. The roster has places for four; the others are listened to.
fn discovery() {
    Device("lo").up(None, None).unwrap();
    let (address, mask) = (Ipv4Addr::new(8, 255, 255, 254), Ipv4Addr::new(255, 0, 0, 0));
    Device("lo:0").set_address(address, mask).unwrap();
    let start = |number: u8| Node::start_with(&[&format!("-bind={}", place(number))]);
    let nodes: Vec<Node> = (0..=OTHERS).map(start).collect();
    for (teacher, numbers) in [(0, [1, 2]), (2, [3, 4]), (4, [5, 6])] {
        teach(&nodes[teacher], &numbers);
    }
    let began = Instant::now();
    let daemon = Daemon::start(&Told {
        node: Some(&nodes[0]),
        peers: Some("max = 4\nmin = 1\nrefresh_s = 1\nscouts = 10\n"),
        ..Told::default()
    });
    // Nodes answer at their next tick, after half a minute on average: their clocks are put on.
    let ahead_s = Cell::new(0_u64);
    let stats = daemon.wait_for_stats("all nodes, connected or listened to", |stats| {
        ahead_s.set(ahead_s.get() + 2);
        for node in &nodes {
            node.call("setmocktime", json!([now_s() + ahead_s.get()]));
        }
        let count = |what: &str| stats[what]["connected"].as_u64();
        (count("peers"), count("scouts")) == (Some(4), Some(u64::from(OTHERS) - 3))
    });
    println!(
        "{} nodes found from one in {:?}: {}",
        nodes.len(),
        began.elapsed(),
        stats["addresses"]
    );
    assert_eq!(stats["peers"]["known"], 1 + u64::from(OTHERS));
    assert_eq!(stats["addresses"]["taken"], u64::from(OTHERS));
    let (code, text, _) = daemon.ask(&["status"]);
    assert!(code == 0 && text.contains("litecoin: 3/10 scouts; "), "{text}");
    for node in &nodes {
        assert!(node.call("getconnectioncount", json!([])).as_u64() >= Some(1));
    }
}

#[test]
fn one_node_leads_to_all() {
    match Network::new() {
        Ok(network) => network.run(discovery).expect("discovery"),
        Err(error) => eprintln!("SKIPPED: no network namespaces here ({error})"),
    }
}
