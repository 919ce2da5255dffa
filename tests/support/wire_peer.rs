//! A connection to a node that says exactly what a test wants said, and hears everything.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use broadside::wire::chain::Chain;
use broadside::wire::frame::{frame, read_header};
use broadside::wire::handshake::{Handshake, HandshakeSettings, PeerFacts, Progress};
use broadside::wire::message::{InvItem, command_text, inv_items, name};

use super::litecoind::PATIENCE;

/// One message: its name and its payload.
pub type Heard = (String, Vec<u8>);

/// What came back for something said, up to the pong of the ping behind it.
#[derive(Clone, Debug)]
pub struct After {
    /// The pong came. If not, the node has closed the connection.
    pub pong: bool,
    /// All that came before it, in order.
    pub heard: Vec<Heard>,
}

impl After {
    /// Names of what came before the pong.
    pub fn names(&self) -> Vec<&str> {
        self.heard.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// The connection.
pub struct WirePeer {
    stream: TcpStream,
    chain: &'static Chain,
    /// What the node said of itself.
    pub facts: PeerFacts,
    nonce: u64,
}

impl WirePeer {
    /// Connects, says that it has `services`, and `sendcmpct` at the end where `compact` says so.
    pub fn connect(
        chain: &'static Chain,
        node: SocketAddr,
        services: u64,
        compact: Option<(bool, u64)>,
    ) -> Self {
        let mut stream = open(node);
        let mut handshake = handshake(chain, &stream, services, compact);
        stream.write_all(&handshake.start()).expect("sent");
        let mut piece = [0; 4096];
        loop {
            let length = stream.read(&mut piece).expect("read");
            assert!(length > 0, "the node hung up during the handshake");
            match handshake.receive(&piece[..length]).expect("a handshake") {
                Progress::NeedsMore { reply } => stream.write_all(&reply).expect("sent"),
                Progress::Done { reply, peer } => {
                    stream.write_all(&reply).expect("sent");
                    let mut it = Self { stream, chain, facts: peer, nonce: 1 };
                    // What a node says of itself after the handshake comes before this pong.
                    assert!(it.say(&[]).pong, "it is served");
                    return it;
                }
            }
        }
    }

    /// Connects and sends `version`, `verack`, one message and a ping in one write; what came back up
    /// to the pong.
    pub fn at_once(
        chain: &'static Chain,
        node: SocketAddr,
        command: &str,
        payload: &[u8],
    ) -> After {
        let mut stream = open(node);
        let mut first = handshake(chain, &stream, 0, None).start();
        first.extend(frame(chain.magic, name::VERACK, &[]));
        first.extend(frame(chain.magic, command, payload));
        stream.write_all(&first).expect("sent");
        Self { stream, chain, facts: PeerFacts::default(), nonce: 1 }.say(&[])
    }

    /// Sends one message, and does not care how it ends.
    pub fn send(&mut self, command: &str, payload: &[u8]) {
        let _ = self.stream.write_all(&frame(self.chain.magic, command, payload));
    }

    /// Sends these messages and a ping in one write; what comes back up to its pong.
    pub fn say(&mut self, messages: &[(&str, &[u8])]) -> After {
        self.nonce += 1;
        let nonce = self.nonce.to_le_bytes();
        let ping = [(name::PING, &nonce[..])];
        let all = messages.iter().chain(&ping);
        let frames: Vec<u8> =
            all.flat_map(|(command, payload)| frame(self.chain.magic, command, payload)).collect();
        // A node that closes at once is what some tests are about.
        let _ = self.stream.write_all(&frames);
        let mut heard = Vec::new();
        while let Some(message) = self.hear() {
            if message.0 == name::PONG && message.1 == nonce {
                return After { pong: true, heard };
            }
            heard.push(message);
        }
        After { pong: false, heard }
    }

    /// The next message; `None`: the node has closed the connection. Pings are answered.
    pub fn hear(&mut self) -> Option<Heard> {
        let mut bytes = [0; 24];
        read_whole(&mut self.stream, &mut bytes)?;
        let header = read_header(&bytes, self.chain.magic, 32_000_000).expect("a message").unwrap();
        let mut payload = vec![0; header.length as usize];
        read_whole(&mut self.stream, &mut payload)?;
        let command = command_text(&header.command).expect("a name").to_owned();
        if command == name::PING {
            self.send(name::PONG, &payload);
        }
        Some((command, payload))
    }

    /// Hears on until a message of this name; its payload.
    pub fn wait_for(&mut self, command: &str) -> Vec<u8> {
        loop {
            let (name, payload) = self.hear().unwrap_or_else(|| panic!("closed before {command}"));
            if name == command {
                return payload;
            }
        }
    }

    /// Hears on until a block is announced; its hash as people write it.
    pub fn wait_for_echo(&mut self) -> String {
        loop {
            let payload = self.wait_for(name::INV);
            if let Some(item) = inv_items(&payload).find(|item| item.kind == InvItem::BLOCK) {
                let mut hash = item.hash;
                hash.reverse();
                return broadside::wire::hash::hex(&hash);
            }
        }
    }
}

fn open(node: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(node).expect("the node listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_nodelay(true).expect("a socket");
    stream
}

fn handshake(
    chain: &'static Chain,
    stream: &TcpStream,
    services: u64,
    compact: Option<(bool, u64)>,
) -> Handshake {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Handshake::new(HandshakeSettings {
        chain,
        nonce: u64::from(stream.local_addr().expect("bound").port()),
        now_s: now.as_secs() as i64,
        user_agent: "/broadside-test:0/".to_owned(),
        start_height: 0,
        services,
        relay: false,
        remote: stream.peer_addr().expect("connected"),
        want_sendcmpct: compact,
        initiator: true,
    })
}

/// Fills `out`; `None` when the connection ends before. Fails when nothing comes for too long.
fn read_whole(stream: &mut TcpStream, out: &mut [u8]) -> Option<()> {
    match stream.read_exact(out) {
        Ok(()) => Some(()),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
        {
            panic!("the node says nothing")
        }
        Err(_) => None,
    }
}
