//! A simulated peer that holds everything against us that a node would, and says why.
//!
//! It keeps to the tables of each node's sources: what is ignored, what costs points, what closes
//! the connection and what bans. Whatever it marks down is a fault of ours.

pub mod rules;

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use broadside::wire::chain::Chain;
use broadside::wire::frame::{frame, read_header};
use broadside::wire::handshake::{Handshake, HandshakeSettings, Progress};
use broadside::wire::hash::sha256d;
use broadside::wire::message::{command_text, name};

use super::daemon::PATIENCE;

/// Points at which every connection of a peer's address is closed and no new one is taken.
pub const BAN_POINTS: u32 = 100;

/// How a block came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Whole, in a `block` message.
    Full,
    /// By `cmpctblock`, put together at once.
    Compact,
    /// By `cmpctblock` and what was asked for by `getblocktxn`.
    Asked,
}

/// What the peer has seen and thinks of us.
#[derive(Debug, Default)]
pub struct State {
    /// Handshakes finished.
    pub handshakes: usize,
    /// Points against our address.
    pub points: u32,
    /// What for, and what else no node would like.
    pub why: Vec<String>,
    /// All messages, by name, behind the handshake.
    pub heard: Vec<String>,
    /// Payload bytes of blocks in any form.
    pub block_bytes: u64,
    /// Good blocks in the order in which they were first whole.
    pub blocks: Vec<([u8; 32], Form)>,
    /// Blocks that it has.
    pub known: HashSet<[u8; 32]>,
    /// Transactions that it has, by the id of its compact blocks.
    pub pool: HashMap<[u8; 32], Vec<u8>>,
    /// Locks that it would believe, and their names in inv.
    pub good_locks: Vec<(u32, [u8; 32], Vec<u8>)>,
    /// Locks and transactions that it was sent, in order.
    pub taken: Vec<Vec<u8>>,
    /// Requests for whole blocks and their transactions that are not answered.
    pub owed: HashSet<[u8; 32]>,
}

struct Shared {
    chain: &'static Chain,
    state: Mutex<State>,
    more: Condvar,
    streams: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks something down; 0 points: no node minds, but we should not do it.
    fn mark(&self, points: u32, why: String) {
        let mut state = self.state();
        state.points += points;
        state.why.push(why);
        if state.points >= BAN_POINTS {
            drop(state);
            let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        }
        self.more.notify_all();
    }
}

/// The peer. Its threads end with the connections, its listener with the process.
pub struct StrictPeer {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl StrictPeer {
    /// Starts one that has these blocks.
    pub fn start(chain: &'static Chain, known: &[[u8; 32]]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("bound");
        let state = State { known: known.iter().copied().collect(), ..State::default() };
        let (state, more) = (Mutex::new(state), Condvar::new());
        let shared = Arc::new(Shared { chain, state, more, streams: Mutex::default() });
        let taken = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if taken.state().points >= BAN_POINTS {
                    continue;
                }
                let shared = Arc::clone(&taken);
                std::thread::spawn(move || Connection::serve(shared, stream));
            }
        });
        Self { address, shared }
    }

    /// What it has seen so far.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    /// Says this on every connection.
    pub fn say(&self, command: &str, payload: &[u8]) {
        let bytes = frame(self.shared.chain.magic, command, payload);
        let streams = self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.iter().for_each(|mut stream| drop(stream.write_all(&bytes)));
    }

    /// Waits until its state is as wished.
    pub fn wait(&self, what: &str, wished: impl Fn(&State) -> bool) {
        let state = self.shared.state();
        let waited = self.shared.more.wait_timeout_while(state, PATIENCE, |it| !wished(it));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(wished(&state), "never came to {what}: {state:?}");
    }

    /// Fails if there is anything against us.
    pub fn assert_content(&self) {
        let state = self.state();
        assert!(state.points == 0 && state.why.is_empty(), "{} {:?}", state.points, state.why);
    }
}

/// What one connection has come to.
struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    /// The first `sendcmpct` version that we named.
    compact: Option<u64>,
    /// It chose us for compact blocks.
    chosen: bool,
    services: u64,
    /// A block that is whole and was not announced back.
    fresh: Option<[u8; 32]>,
    /// A compact block that lacks transactions, and which.
    partial: Option<(Vec<u8>, Vec<u32>)>,
}

impl Connection {
    fn serve(shared: Arc<Shared>, stream: TcpStream) {
        let mut it = Self {
            shared,
            stream,
            compact: None,
            chosen: false,
            services: 0,
            fresh: None,
            partial: None,
        };
        if it.shake_hands().is_some() {
            while it.one().is_some() {}
        }
        let _ = it.stream.shutdown(Shutdown::Both);
    }

    /// One frame: its name, payload, and all its bytes. `None`: the connection is over.
    fn read(&mut self) -> Option<(String, Vec<u8>, Vec<u8>)> {
        let chain = self.shared.chain;
        let mut bytes = vec![0; 24];
        self.stream.read_exact(&mut bytes).ok()?;
        let header = match read_header(&bytes, chain.magic, chain.payload_bytes_max) {
            Ok(header) => header?,
            Err(error) => {
                self.shared.mark(BAN_POINTS, error.to_string());
                return None;
            }
        };
        let mut payload = vec![0; header.length as usize];
        self.stream.read_exact(&mut payload).ok()?;
        let command = command_text(&header.command).unwrap_or("?").to_owned();
        if !sha256d(&payload).starts_with(&header.checksum) {
            self.shared.mark(0, format!("wrong checksum of {command}"));
            return Some((String::new(), Vec::new(), Vec::new()));
        }
        bytes.extend_from_slice(&payload);
        Some((command, payload, bytes))
    }

    fn send(&mut self, command: &str, payload: &[u8]) {
        let _ = self.stream.write_all(&frame(self.shared.chain.magic, command, payload));
    }

    /// The listener's side, with an eye on the order of messages.
    fn shake_hands(&mut self) -> Option<()> {
        let chain = self.shared.chain;
        let mut handshake = Handshake::new(HandshakeSettings {
            chain,
            nonce: u64::from(self.stream.peer_addr().ok()?.port()) << 20,
            now_s: 1_700_000_000,
            user_agent: "/strict:0/".to_owned(),
            start_height: 0,
            services: chain.services_wanted | 1,
            relay: true,
            remote: self.stream.peer_addr().ok()?,
            want_sendcmpct: None,
            initiator: false,
        });
        let mut is_greeted = false;
        loop {
            let (command, payload, bytes) = self.read()?;
            self.judge_greeting(&command, &payload, is_greeted);
            is_greeted |= command == name::VERSION;
            match handshake.receive(&bytes).ok()? {
                Progress::NeedsMore { reply } => self.stream.write_all(&reply).ok()?,
                Progress::Done { reply, peer } => {
                    self.services = peer.services;
                    self.stream.write_all(&reply).ok()?;
                    break;
                }
            }
        }
        let offer = [&[0][..], &chain.compact_version.to_le_bytes()].concat();
        self.send(name::SENDCMPCT, &offer);
        let stream = self.stream.try_clone().ok()?;
        self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        self.shared.state().handshakes += 1;
        self.shared.more.notify_all();
        Some(())
    }
}
