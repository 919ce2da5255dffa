//! Goal: each kind of simulated peer does what its name says. Method: a plain blocking dialler.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::wire::chain::{self, Network};
use crate::wire::frame::frame;
use crate::wire::handshake::{Handshake, HandshakeSettings, Progress};

const PATIENCE: Duration = Duration::from_secs(20);

fn regtest() -> &'static Chain {
    chain::all().find(|chain| chain.network == Network::Regtest).unwrap()
}

fn start(faults: &[Fault], peers: usize, keep: Keep) -> Loopback {
    let faults = faults.to_vec();
    Loopback::start(LoopbackSettings { chain: regtest(), peers, faults, keep, seed: 9 }).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn dial(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    let mut handshake = Handshake::new(HandshakeSettings {
        chain: regtest(),
        nonce: 77,
        now_s: 1_700_000_000,
        user_agent: "/test/".into(),
        start_height: 0,
        services: 0,
        relay: false,
        remote: address,
        want_sendcmpct: None,
        initiator: true,
    });
    stream.write_all(&handshake.start()).unwrap();
    let mut bytes = [0; 4096];
    loop {
        let count = stream.read(&mut bytes).unwrap();
        match handshake.receive(&bytes[..count]).unwrap() {
            Progress::NeedsMore { reply } => stream.write_all(&reply).unwrap(),
            Progress::Done { reply, .. } => {
                stream.write_all(&reply).unwrap();
                return stream;
            }
        }
    }
}

/// A `block` of `payload_bytes` with a ping behind it, and the block's identity.
fn block(payload_bytes: usize, salt: u8) -> (Vec<u8>, [u8; 32]) {
    let mut payload = vec![salt; payload_bytes];
    payload[0] = !salt;
    let hash = regtest().identity_hash(payload.first_chunk().unwrap()).0;
    let mut bytes = frame(regtest().magic, "block", &payload);
    bytes.extend(frame(regtest().magic, "ping", &[salt; 8]));
    (bytes, hash)
}

/// The next message: its name and payload.
fn read(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut header = [0; 24];
    stream.read_exact(&mut header).unwrap();
    let name = header[4..16].iter().take_while(|byte| **byte != 0).map(|byte| *byte as char);
    let length = u32::from_le_bytes(header[16..20].try_into().unwrap());
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).unwrap();
    (name.collect(), payload)
}

#[test]
fn a_block_is_timed_answered_and_echoed() {
    for keep in [Keep::Nothing, Keep::Bytes] {
        let loopback = start(&[], 3, keep);
        let (bytes, hash) = block(1_500_000, 5);
        let mut streams: Vec<_> = loopback.addresses().iter().map(|to| dial(*to)).collect();
        let before = crate::sys::clock::now_ns();
        for stream in &mut streams {
            stream.write_all(&bytes).unwrap();
        }
        let arrivals = loopback.wait_for(hash, 3, PATIENCE);
        assert_eq!(arrivals.times_ns().len(), 3);
        assert!(arrivals.times_ns().iter().all(|at| *at > before));
        for stream in &mut streams {
            assert_eq!(read(stream), ("pong".into(), vec![5; 8]));
            let (name, payload) = read(stream);
            assert_eq!((name.as_str(), &payload[5..]), ("inv", hash.as_slice()));
        }
        // The same block again: a receipt, but no second echo.
        streams[0].write_all(&bytes).unwrap();
        streams[0].write_all(&frame(regtest().magic, "ping", &[1; 8])).unwrap();
        assert_eq!(read(&mut streams[0]).0, "pong");
        assert_eq!(read(&mut streams[0]), ("pong".into(), vec![1; 8]));
        assert_eq!(loopback.states()[0].blocks, 2);
        if keep == Keep::Bytes {
            assert_eq!(loopback.kept(1), vec![bytes.clone()]);
            assert_eq!(loopback.kept(0)[0][..bytes.len()], bytes);
        }
        loopback.stop();
    }
}

#[test]
fn bytes_right_behind_the_handshake_are_a_message() {
    let loopback = start(&[], 1, Keep::Bytes);
    let mut stream = dial(loopback.addresses()[0]);
    for salt in 1..=20 {
        let (bytes, hash) = block(90, salt);
        stream.write_all(&bytes).unwrap();
        assert_eq!(loopback.wait_for(hash, 1, PATIENCE).times_ns().len(), 1, "{salt}");
    }
}

#[test]
fn a_stalled_peer_takes_no_block() {
    let loopback = start(&[Fault::Stall], 1, Keep::Nothing);
    let mut stream = dial(loopback.addresses()[0]);
    assert!(loopback.wait_until(PATIENCE, |states| states[0].handshakes == 1));
    stream.set_nonblocking(true).unwrap();
    let (bytes, _) = block(4_000_000, 1);
    let mut sent = 0;
    // Until the system takes no more: the block can't be on its way whole.
    while let Ok(count) = stream.write(&bytes[sent..]) {
        sent += count;
        assert!(sent < bytes.len(), "the whole block went out");
    }
    assert_eq!(loopback.states()[0].blocks, 0);
}

#[test]
fn a_peer_resets_in_the_middle_of_a_block() {
    let loopback = start(&[Fault::ResetMidBlock { after_bytes: 50_000 }], 1, Keep::Nothing);
    let mut stream = dial(loopback.addresses()[0]);
    let (bytes, _) = block(1_000_000, 1);
    let written = stream.write_all(&bytes);
    let mut answer = [0; 1];
    let read = stream.read(&mut answer);
    assert!(written.is_err() || read.is_err(), "{written:?} {read:?}");
    assert!(loopback.wait_until(PATIENCE, |states| states[0].open == 0));
    assert_eq!(loopback.states()[0].blocks, 0);
}

#[test]
fn garbage_is_no_message_and_silence_is_silent() {
    let loopback = start(&[Fault::Garbage, Fault::Silent], 2, Keep::Nothing);
    let mut stream = dial(loopback.addresses()[0]);
    let mut magic = [0; 4];
    stream.read_exact(&mut magic).unwrap();
    assert_ne!(magic, regtest().magic);

    let mut silent = connect(loopback.addresses()[1]);
    silent.write_all(&[1; 100]).unwrap();
    assert!(loopback.wait_until(PATIENCE, |states| states[1].connections == 1));
    silent.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(silent.read(&mut magic).unwrap(), 0);
    assert_eq!(loopback.states()[1].handshakes, 0);
}

#[test]
fn a_slow_peer_gets_there() {
    let loopback = start(&[Fault::Slow], 1, Keep::Nothing);
    let mut stream = dial(loopback.addresses()[0]);
    let (bytes, hash) = block(300_000, 1);
    stream.write_all(&bytes).unwrap();
    assert_eq!(loopback.wait_for(hash, 1, PATIENCE).times_ns().len(), 1);
    assert_eq!(loopback.wait_for([0; 32], 1, Duration::ZERO).at_ns, [None]);
}

#[test]
fn stopping_closes_every_connection() {
    let loopback = start(&[], 2, Keep::Nothing);
    let mut stream = dial(loopback.addresses()[0]);
    loopback.stop();
    assert!(matches!(stream.read(&mut [0; 8]), Ok(0) | Err(_)));
}
