//! A daemon without a node, handed everything that is wrong: never to a peer, always an answer, and
//! the daemon and the connection stay up.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use broadside::limits::RPC_BODY_BYTES_MAX;
use broadside::sim::loopback::{Fault, Keep, Loopback};
use broadside::wire::chain::{Network, SERVICE_NETWORK, find};
use broadside::wire::frame::frame;
use broadside::wire::handshake::{Handshake, HandshakeSettings, Progress};
use serde_json::{Value, json};
use support::daemon::{Daemon, PATIENCE, Told};
use support::engine::{chain, maker, peers};
use support::spoil::{self, hex_of};

fn blocks_at(loopback: &Loopback) -> usize {
    loopback.states().iter().map(|peer| peer.blocks).sum()
}

fn daemon(loopback: &Loopback) -> Daemon {
    let daemon = Daemon::start(&Told { fixed: loopback.addresses(), ..Told::default() });
    daemon.wait_for_peers(loopback.addresses().len() as u64);
    daemon
}

/// What our own checks answer, as a node would.
fn expected(how: &str) -> (u16, Value, Value) {
    let word = match how {
        "no proof of work" => "high-hash",
        "wrong merkle root" => "bad-txnmrklroot",
        _ => {
            let error = json!({"code": -22, "message": "Block decode failed"});
            return (500, Value::Null, error);
        }
    };
    (200, json!(word), Value::Null)
}

#[test]
fn nothing_wrong_reaches_a_peer_and_the_connection_goes_on() {
    let loopback = peers(Vec::new(), 2, Keep::Nothing);
    let daemon = daemon(&loopback);
    let mut pool = daemon.pool();
    let mut maker = maker();
    let good = maker.next(50_000).unwrap();
    let mut trailing = good.raw.clone();
    trailing.push(0);
    // Before the header is known, and after: the good block goes out between the two rounds.
    for round in 0..2 {
        for bad in spoil::all(chain(), &good.raw) {
            let (status, answer) = pool.submit(&bad.hex);
            let answer = (status, answer["result"].clone(), answer["error"].clone());
            assert_eq!(answer, expected(bad.how), "{}, round {round}", bad.how);
        }
        let (status, answer) = pool.submit(&hex_of(&trailing));
        assert_eq!((status, &answer["error"]["code"]), (500, &json!(-22)), "round {round}");
        assert_eq!(blocks_at(&loopback), 2 * round, "round {round}");
        let (status, answer) = pool.submit(&hex_of(&good.raw));
        assert_eq!(
            (status, &answer["result"], &answer["error"]),
            (200, &json!(null), &json!(null))
        );
        assert_eq!(loopback.wait_for(good.hash, 2, PATIENCE).times_ns().len(), 2);
    }
    // A body over the limit is read to its end, so that the answer is heard.
    let (status, answer) = pool.raw(&vec![b'0'; RPC_BODY_BYTES_MAX as usize + 1]);
    assert_eq!((status, &answer["error"]["code"]), (500, &json!(-22)));
    // A block of all that is allowed: some megabytes of hex in one body, on the same connection.
    let large = maker.next(chain().block_bytes_max.min(3_900_000)).unwrap();
    assert!(pool.submit(&hex_of(&large.raw)).1["error"].is_null());
    assert_eq!(loopback.wait_for(large.hash, 2, PATIENCE).times_ns().len(), 2);
    let stats = daemon.stats();
    assert_eq!(
        (&stats["blocks"]["broadcast"], &stats["peers"]["connected"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(stats["drops"], json!({}), "no peer had a reason to leave");
}

#[test]
fn by_the_unix_socket_what_is_wrong_is_refused_too() {
    let loopback = peers(Vec::new(), 1, Keep::Nothing);
    let daemon = daemon(&loopback);
    let good = maker().next(30_000).unwrap();
    let mut cases = vec![good.raw[..good.raw.len() - 9].to_vec(), good.raw[..80].to_vec()];
    cases.push(spoil::without_work(chain(), &good.raw));
    cases.push(vec![0; chain().block_bytes_max as usize + 1]);
    for bad in cases {
        let (code, out, errors) = daemon.submit(&bad, &[]);
        assert!(code == 1 && out.contains("refused: "), "{code} {out}{errors}");
    }
    // What can't be a block at all is not handed over.
    let (code, _, errors) = daemon.submit(b"abc", &[]);
    assert!(code == 2 && errors.contains("odd number of digits"), "{errors}");
    assert_eq!(blocks_at(&loopback), 0);
    let (code, out, _) = daemon.submit(&good.raw, &[]);
    assert!(code == 0 && out.contains("accepted\n"), "{out}");
    assert_eq!(blocks_at(&loopback), 1);
}

#[test]
fn without_the_login_nobody_is_served_and_the_connection_stays() {
    let loopback = peers(Vec::new(), 1, Keep::Nothing);
    let daemon = daemon(&loopback);
    let block = maker().next(30_000).unwrap();
    let mut pool = daemon.pool();
    let right = std::mem::take(&mut pool.login);
    for wrong in ["", "__cookie__:", "__cookie__:00", "pool:secret", &right[..right.len() - 1]] {
        pool.login = wrong.to_owned();
        assert_eq!(pool.submit(&hex_of(&block.raw)).0, 401, "{wrong}");
    }
    assert_eq!(blocks_at(&loopback), 0);
    assert_eq!(bare_status(daemon.rpc), "HTTP/1.1 401 Unauthorized");
    pool.login = right;
    assert_eq!(pool.submit(&hex_of(&block.raw)).0, 200, "the same connection");
    let (code, _, errors) =
        daemon.submit(&block.raw, &["--to", &format!("http://me:wrong@{}", daemon.rpc)]);
    assert!(code == 2 && errors.contains("401"), "{errors}");
}

/// The first line that a request without any login gets.
fn bare_status(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

/// How a peer of [`Hostile`] behaves.
#[derive(Clone, Copy)]
enum Manner {
    /// Speaks something else from its first byte on.
    Foreign,
    /// A node of another network.
    OtherNetwork,
    /// Announces a message of four gigabytes in place of its handshake.
    HugeGreeting,
    /// The same, behind a proper handshake.
    HugeMessage,
}

/// Peers that the simulation does not have: one for each manner.
struct Hostile {
    addresses: Vec<SocketAddr>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Hostile {
    fn start(manners: &[Manner]) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (mut addresses, mut threads) = (Vec::new(), Vec::new());
        for manner in manners.iter().copied() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            addresses.push(listener.local_addr().unwrap());
            let ended = Arc::clone(&ended);
            threads.push(std::thread::spawn(move || {
                while let Ok((stream, remote)) = listener.accept()
                    && !ended.load(Ordering::Relaxed)
                {
                    // Whatever ends it is what the other side counts.
                    let _ = misbehave(stream, remote, manner);
                }
            }));
        }
        Self { addresses, ended, threads }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for (address, thread) in self.addresses.iter().zip(self.threads.drain(..)) {
            // Wakes it from its accept.
            let _ = TcpStream::connect(address);
            let _ = thread.join();
        }
    }
}

fn misbehave(mut stream: TcpStream, remote: SocketAddr, manner: Manner) -> std::io::Result<()> {
    // The other side hangs up; should it not, the test must still end.
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut huge = [0; 24];
    huge[..4].copy_from_slice(&chain().magic);
    huge[4..9].copy_from_slice(b"block");
    huge[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    match manner {
        Manner::Foreign => stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")?,
        Manner::OtherNetwork => {
            let other = find("litecoin", Network::Main).unwrap();
            stream.write_all(&frame(other.magic, "verack", b""))?;
        }
        Manner::HugeGreeting => stream.write_all(&huge)?,
        Manner::HugeMessage => {
            shake_hands(&mut stream, remote)?;
            stream.write_all(&huge)?;
        }
    }
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes)? > 0 {}
    Ok(())
}

fn shake_hands(stream: &mut TcpStream, remote: SocketAddr) -> std::io::Result<()> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut handshake = Handshake::new(HandshakeSettings {
        chain: chain(),
        nonce: 77,
        now_s: now_s.cast_signed(),
        user_agent: "/hostile:1/".to_owned(),
        start_height: 0,
        services: chain().services_wanted | SERVICE_NETWORK,
        relay: true,
        remote,
        want_sendcmpct: None,
        initiator: false,
    });
    let mut bytes = [0; 4096];
    loop {
        let count = stream.read(&mut bytes)?;
        match handshake.receive(&bytes[..count]).map_err(std::io::Error::other)? {
            Progress::NeedsMore { reply } if count > 0 => stream.write_all(&reply)?,
            Progress::NeedsMore { .. } => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Progress::Done { reply, .. } => return stream.write_all(&reply),
        }
    }
}

#[test]
fn peers_that_send_garbage_too_much_or_nothing_are_dropped_by_name() {
    let good = peers(Vec::new(), 2, Keep::Nothing);
    let odd = peers(vec![Fault::Garbage, Fault::Silent], 2, Keep::Nothing);
    let manners =
        [Manner::Foreign, Manner::OtherNetwork, Manner::HugeGreeting, Manner::HugeMessage];
    let hostile = Hostile::start(&manners);
    let fixed = [good.addresses(), odd.addresses(), &hostile.addresses[..]].concat();
    let daemon = Daemon::start(&Told { fixed: &fixed, ..Told::default() });
    let ready =
        |count: u64| move |stats: &Value| stats["peers"]["connected"].as_u64() >= Some(count);
    daemon.wait_for_stats("the good peers", ready(2));
    let mut maker = maker();
    let mut pool = daemon.pool();
    let block = maker.next(200_000).unwrap();
    assert!(pool.submit(&hex_of(&block.raw)).1["error"].is_null());
    assert_eq!(good.wait_for(block.hash, 2, PATIENCE).times_ns().len(), 2);
    let words = ["wrong-network", "garbage", "bad-magic", "oversized", "timeout"];
    let counted = |stats: &Value| words.iter().all(|word| stats["drops"][word].as_u64() >= Some(1));
    let stats = daemon.wait_for_stats("every reason counted", counted);
    eprintln!("drops: {}", stats["drops"]);
    let block = maker.next(200_000).unwrap();
    assert!(pool.submit(&hex_of(&block.raw)).1["error"].is_null());
    assert_eq!(good.wait_for(block.hash, 2, PATIENCE).times_ns().len(), 2);
    assert!(good.states().iter().all(|peer| peer.connections == 1), "the good ones were kept");
}
