use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::wire::chain::{Network, find, names};
use crate::wire::frame::frame;
use crate::wire::handshake::{Handshake, HandshakeSettings, Progress};

const PATIENCE: Duration = Duration::from_secs(60);

fn chain() -> &'static Chain {
    find(names()[0], Network::Regtest).unwrap()
}

fn start(conducts: &[Conduct], counted: &[bool]) -> Sinks {
    let (conducts, counted) = (conducts.to_vec(), counted.to_vec());
    let places = Vec::new();
    let settings = SinkSettings { chain: chain(), conducts, places, counted, core: None, seed: 1 };
    Sinks::start(settings).unwrap()
}

/// A peer that has shaken hands with a sink.
fn dial(remote: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(remote).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut handshake = Handshake::new(HandshakeSettings {
        chain: chain(),
        nonce: 1,
        now_s: 0,
        user_agent: "/test/".to_owned(),
        start_height: 0,
        services: 0,
        relay: false,
        remote,
        want_sendcmpct: None,
        initiator: true,
    });
    stream.write_all(&handshake.start()).unwrap();
    let mut bytes = [0; 1024];
    loop {
        let length = stream.read(&mut bytes).unwrap();
        assert!(length > 0, "the sink hung up");
        match handshake.receive(&bytes[..length]).unwrap() {
            Progress::NeedsMore { reply } => stream.write_all(&reply).unwrap(),
            Progress::Done { reply, .. } => {
                stream.write_all(&reply).unwrap();
                return stream;
            }
        }
    }
}

fn until(reached: impl Fn() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !reached() {
        assert!(std::time::Instant::now() < end);
        std::thread::yield_now();
    }
}

fn block(bytes: usize) -> Vec<u8> {
    frame(chain().magic, "block", &vec![7; bytes])
}

#[test]
fn blocks_are_timed_and_pings_answered() {
    let sinks = start(&[Conduct::Plain; 2], &[true; 2]);
    let mut peers: Vec<_> = sinks.addresses().iter().map(|it| dial(*it)).collect();
    assert_eq!(sinks.wait_for_live(2, PATIENCE), 2);
    sinks.expect([7; 80]);
    let before_ns = now_ns();
    for peer in &mut peers {
        let mut message = block(3_000_000);
        message.extend(frame(chain().magic, "ping", &[9; 8]));
        peer.write_all(&message).unwrap();
        let mut pong = [0; 32];
        peer.read_exact(&mut pong).unwrap();
        assert_eq!(pong.to_vec(), frame(chain().magic, "pong", &[9; 8]));
    }
    let times = sinks.arrivals_ns(PATIENCE).unwrap();
    assert!(times.len() == 2 && before_ns < times[0] && times[0] <= times[1]);
    // Another block is not taken for it.
    sinks.expect([8; 80]);
    peers[0].write_all(&block(100)).unwrap();
    peers[0].write_all(&frame(chain().magic, "ping", &[1; 8])).unwrap();
    peers[0].read_exact(&mut [0; 32]).unwrap();
    assert_eq!(sinks.arrivals_ns(Duration::ZERO), Err(0));
    drop(peers);
}

#[test]
fn those_that_misbehave_do_so_only_when_told() {
    use Conduct::{Plain, Resets, Slow, Stalls};
    let sinks = start(&[Plain, Stalls, Slow, Resets], &[true; 4]);
    let mut peers: Vec<_> = sinks.addresses().iter().map(|it| dial(*it)).collect();
    assert_eq!(sinks.wait_for_live(4, PATIENCE), 4);
    sinks.misbehave(true);
    sinks.expect([7; 80]);
    let write = |mut peer: TcpStream| {
        std::thread::spawn(move || (peer.write_all(&block(3_900_000)).is_ok(), peer))
    };
    let _writers: Vec<_> = peers.drain(..).map(write).collect();
    // The one that resets is gone, the plain one is the only one that has it.
    until(|| sinks.board.wait_for_live(0, Duration::ZERO) == 3);
    until(|| sinks.arrivals_ns(Duration::ZERO) == Err(1));
    sinks.misbehave(false);
    until(|| sinks.arrivals_ns(Duration::ZERO) == Err(3));
}

#[test]
fn bytes_that_are_no_message_end_the_connection() {
    let sinks = start(&[Conduct::Plain], &[true]);
    let mut peer = dial(sinks.addresses()[0]);
    assert_eq!(sinks.wait_for_live(1, PATIENCE), 1);
    peer.write_all(&[0x5a; 100]).unwrap();
    let mut rest = Vec::new();
    let _ = peer.read_to_end(&mut rest);
    until(|| sinks.board.wait_for_live(0, Duration::ZERO) == 0);
}

#[test]
fn what_is_marked_can_be_cut_however_it_stalls() {
    let sinks = start(&[Conduct::Stalls, Conduct::Plain], &[false, true]);
    let _before: Vec<_> = sinks.addresses().iter().map(|it| dial(*it)).collect();
    sinks.mark();
    let mut peers: Vec<_> = sinks.addresses().iter().map(|it| dial(*it)).collect();
    assert_eq!((sinks.wait_for_live(4, PATIENCE), sinks.wait_for_marked(2, PATIENCE)), (4, 2));
    sinks.misbehave(true);
    sinks.expect([7; 80]);
    // It begins a block and reads no more of it.
    peers[0].write_all(&block(3_900_000)[..50_000]).unwrap();
    peers[1].write_all(&block(3_900_000)).unwrap();
    until(|| sinks.arrivals_ns(Duration::ZERO).is_ok());
    assert_eq!(sinks.cut(PATIENCE), 0);
    for peer in &mut peers {
        let read = peer.read(&mut [0; 1024]);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    assert_eq!(sinks.board.wait_for_live(2, Duration::ZERO), 2, "the others stay");
    assert_eq!(sinks.cut(PATIENCE), 0, "once more is once too often, and no harm");
    sinks.mark();
    let _again = dial(sinks.addresses()[0]);
    assert_eq!(sinks.wait_for_marked(1, PATIENCE), 1);
}
