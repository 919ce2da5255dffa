//! Goal: each kind delivers the very bytes to every peer, and answers its caller. Method: simulated
//! peers that keep what they get, a plain blocking client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::sim::blocks::BlockMaker;
use crate::sim::loopback::{Fault, Keep, Loopback, LoopbackSettings};
use crate::wire::chain::{Network, find};
use crate::wire::frame::frame;
use crate::wire::hash::hex;

const PATIENCE: Duration = Duration::from_secs(20);

fn regtest() -> &'static Chain {
    find("litecoin", Network::Regtest).unwrap()
}

fn peers(faults: &[Fault], peers: usize) -> Loopback {
    let faults = faults.to_vec();
    let settings = LoopbackSettings { chain: regtest(), peers, faults, keep: Keep::Bytes, seed: 3 };
    Loopback::start(settings).unwrap()
}

/// Every kind that this host can run, with its program.
fn programs(loopback: &Loopback) -> impl Iterator<Item = (Kind, Box<dyn Program>)> {
    Kind::ALL.into_iter().filter_map(|kind| match start(kind, regtest(), loopback.addresses(), 0) {
        Ok(program) => Some((kind, program)),
        Err(error) if error.to_string().contains("io_uring") => {
            eprintln!("NOT TESTED: {}: {error}", kind.name());
            None
        }
        Err(error) => panic!("{}: {error}", kind.name()),
    })
}

fn client(program: &dyn Program) -> TcpStream {
    let stream = TcpStream::connect(program.intake()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends one request with `body`; the answer's body.
fn ask(stream: &mut TcpStream, body: &str) -> serde_json::Value {
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).unwrap();
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn submission(raw: &[u8], id: u32) -> String {
    let digits = hex(raw);
    format!(r#"{{"jsonrpc":"1.0","id":{id},"method":"submitblock","params":["{digits}"]}}"#)
}

#[test]
fn every_kind_delivers_the_very_bytes_and_answers() {
    for kind in Kind::ALL {
        let loopback = peers(&[], 5);
        let mut maker = BlockMaker::new(regtest(), 1, 1_700_000_000);
        let program = match start(kind, regtest(), loopback.addresses(), 0) {
            Ok(program) => program,
            Err(error) if error.to_string().contains("io_uring") => {
                eprintln!("NOT TESTED: {}: {error}", kind.name());
                continue;
            }
            Err(error) => panic!("{}: {error}", kind.name()),
        };
        assert_eq!(program.connected(), 5);
        let mut stream = client(&*program);
        let mut expected = Vec::new();
        for (id, bytes) in [(1, 1_000_000), (2, 300), (3, 2_500_000)] {
            let block = maker.next(bytes).unwrap();
            let answer = ask(&mut stream, &submission(&block.raw, id));
            assert_eq!(answer, serde_json::json!({"result": null, "error": null, "id": id}));
            expected.extend(frame(regtest().magic, "block", &block.raw));
            let arrivals = loopback.wait_for(block.hash, 5, PATIENCE);
            assert_eq!(arrivals.times_ns().len(), 5, "{}", kind.name());
        }
        program.stop();
        let gone =
            |states: &[crate::sim::loopback::PeerState]| states.iter().all(|it| it.open == 0);
        assert!(loopback.wait_until(PATIENCE, gone), "{}", kind.name());
        for peer in 0..5 {
            let kept = loopback.kept(peer);
            let blocks: Vec<u8> = blocks_of(&kept[0]);
            assert!(blocks == expected, "{} peer {peer}", kind.name());
        }
    }
}

/// The `block` messages of a stream, headers included; asserts that it is cut between messages.
fn blocks_of(mut stream: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::new();
    while !stream.is_empty() {
        let length = u32::from_le_bytes(stream[16..20].try_into().unwrap()) as usize;
        let (message, rest) = stream.split_at(24 + length);
        if message[4..].starts_with(b"block\0") {
            blocks.extend_from_slice(message);
        }
        stream = rest;
    }
    blocks
}

#[test]
fn what_is_no_block_is_answered_and_the_connection_stays() {
    let loopback = peers(&[], 1);
    for (kind, program) in programs(&loopback) {
        let mut stream = client(&*program);
        for (body, code) in [
            ("no json", -32700),
            (r#"{"id":1,"method":"getblockcount","params":[]}"#, -32601),
            (r#"{"id":1,"method":"submitblock","params":["0g"]}"#, -22),
            (r#"{"id":1,"method":"submitblock","params":["00"]}"#, -22),
            (r#"{"id":1,"method":"submitblock","params":[]}"#, -22),
        ] {
            let answer = ask(&mut stream, body);
            assert_eq!(answer["error"]["code"], code, "{} {body}", kind.name());
        }
        assert_eq!(program.connected(), 1);
    }
}

/// A peer that breaks is lost; the others get everything, and the caller its answer.
#[test]
fn a_peer_that_resets_costs_the_others_nothing() {
    for kind in Kind::ALL {
        let loopback = peers(&[Fault::ResetMidBlock { after_bytes: 100_000 }], 3);
        let Some((_, program)) = programs(&loopback).find(|(found, _)| *found == kind) else {
            continue;
        };
        let mut maker = BlockMaker::new(regtest(), 1, 1_700_000_000);
        let mut stream = client(&*program);
        for id in 0..3 {
            let block = maker.next(3_000_000).unwrap();
            let answer = ask(&mut stream, &submission(&block.raw, id));
            assert_eq!(answer["error"], serde_json::Value::Null, "{}", kind.name());
            let arrivals = loopback.wait_for(block.hash, 2, PATIENCE);
            assert_eq!(arrivals.at_ns.iter().skip(1).flatten().count(), 2, "{}", kind.name());
        }
        assert_eq!(program.connected(), 2, "{}", kind.name());
    }
}

/// A stop does not wait for a peer that takes nothing.
#[test]
fn a_stalled_peer_does_not_keep_a_program_from_stopping() {
    let loopback = peers(&[Fault::Stall], 2);
    for (_, program) in programs(&loopback) {
        let mut maker = BlockMaker::new(regtest(), 1, 1_700_000_000);
        let mut stream = client(&*program);
        let block = maker.next(3_900_000).unwrap();
        let body = submission(&block.raw, 1);
        let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        program.stop();
    }
}

#[test]
fn names_are_read_back_and_an_unknown_one_gives_the_list() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert!(!kind.what().is_empty());
    }
    let error = "tokyo".parse::<Kind>().unwrap_err().to_string();
    assert!(Kind::ALL.iter().all(|kind| error.contains(kind.name())), "{error}");
}

#[test]
fn a_peer_that_nobody_is_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = start(Kind::Sequential, regtest(), &[closed], 0).err().unwrap().to_string();
    assert!(error.contains(&closed.to_string()), "{error}");
}
