//! Three worlds for the same tests: io_uring, epoll, and the seeded simulator.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use broadside::hot::link::{Adoption, Link, Order, PeerId, Report, Terms};
use broadside::hot::publish::{Published, Publisher};
use broadside::hot::shard::{Policy, Shard};
use broadside::sim::ring::{SimRing, Trouble};
use broadside::sys::doorbell::Doorbell;
use broadside::sys::epoll::Epoll;
use broadside::sys::memory::{Arena, Lease};
use broadside::sys::ring::{Copying, Event, Ring, Wait};
use broadside::sys::uring::Uring;
use broadside::wire::chain::{Chain, Network, find};

/// A ring whose clock can be put forward.
pub struct Skewed<R: Ring> {
    pub inner: R,
    pub ahead_ns: u64,
}

impl<R: Ring> Ring for Skewed<R> {
    fn now_ns(&self) -> u64 {
        self.inner.now_ns() + self.ahead_ns
    }
    fn adopt(&mut self, slot: u16, socket: OwnedFd) -> Result<(), OwnedFd> {
        self.inner.adopt(slot, socket)
    }
    fn send_image(&mut self, slot: u16, lease: &Lease, from: u32, to: u32, how: Copying) -> bool {
        self.inner.send_image(slot, lease, from, to, how)
    }
    fn send_control(&mut self, slot: u16, bytes: &[u8]) -> bool {
        self.inner.send_control(slot, bytes)
    }
    fn ask_unacknowledged(&mut self, slot: u16) -> bool {
        self.inner.ask_unacknowledged(slot)
    }
    fn close(&mut self, slot: u16) {
        self.inner.close(slot);
    }
    fn ring_cold(&mut self) {
        self.inner.ring_cold();
    }
    fn enter(&mut self, wait: Wait) {
        self.inner.enter(wait);
    }
    fn next(&mut self) -> Option<Event> {
        self.inner.next()
    }
    fn octets(&self, buffer: u16, length: u32) -> &[u8] {
        self.inner.octets(buffer, length)
    }
    fn recycle(&mut self, buffer: u16) {
        self.inner.recycle(buffer);
    }
    fn can_zero_copy(&self) -> bool {
        self.inner.can_zero_copy()
    }
    fn held(&self, arena_slot: u8) -> u32 {
        self.inner.held(arena_slot)
    }
    fn entries(&self) -> u64 {
        self.inner.entries()
    }
    fn starved(&self) -> u64 {
        self.inner.starved()
    }
}

/// The peers' end of the connections.
pub trait Peers<R: Ring> {
    /// A connection's near end; its far end gets the next number.
    fn connect(&mut self) -> OwnedFd;
    /// Appends what peer `at` was sent since the last call to `into`.
    fn read(&mut self, ring: &mut R, at: usize, into: &mut Vec<u8>);
    /// Peer `at` says something.
    fn say(&mut self, ring: &mut R, at: usize, bytes: &[u8]);
    /// Peer `at` closes in order.
    fn hang_up(&mut self, ring: &mut R, at: usize);
    /// Peer `at` takes no more bytes.
    fn stall(&mut self, ring: &mut R, at: usize);
}

/// Peers on real TCP over loopback.
#[derive(Default)]
pub struct TcpPeers {
    far: Vec<Option<TcpStream>>,
    stalled: Vec<usize>,
    buffer: Vec<u8>,
}

impl<R: Ring> Peers<R> for TcpPeers {
    fn connect(&mut self) -> OwnedFd {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        far.set_nonblocking(true).unwrap();
        near.set_nonblocking(true).unwrap();
        broadside::sys::socket::prepare(&near).unwrap();
        self.far.push(Some(far));
        near.into()
    }
    fn read(&mut self, _: &mut R, at: usize, into: &mut Vec<u8>) {
        let Some(Some(far)) = self.far.get_mut(at) else {
            return;
        };
        if self.stalled.contains(&at) {
            return;
        }
        self.buffer.resize(256 * 1024, 0);
        let buffer = &mut self.buffer;
        loop {
            match far.read(buffer) {
                Ok(0) => return,
                Ok(count) => into.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return,
            }
        }
    }
    fn say(&mut self, _: &mut R, at: usize, bytes: &[u8]) {
        if let Some(Some(far)) = self.far.get_mut(at) {
            far.set_nonblocking(false).unwrap();
            let _ = far.write_all(bytes);
            far.set_nonblocking(true).unwrap();
        }
    }
    fn hang_up(&mut self, _: &mut R, at: usize) {
        self.far[at] = None;
    }
    fn stall(&mut self, _: &mut R, at: usize) {
        self.stalled.push(at);
    }
}

/// Peers of the simulator; peer `at` is in slot `at`.
#[derive(Default)]
pub struct SimPeers {
    read: Vec<usize>,
}

impl Peers<Skewed<SimRing>> for SimPeers {
    fn connect(&mut self) -> OwnedFd {
        self.read.push(0);
        std::fs::File::open("/dev/null").unwrap().into()
    }
    fn read(&mut self, ring: &mut Skewed<SimRing>, at: usize, into: &mut Vec<u8>) {
        let taken = ring.inner.taken(at as u16);
        if taken.len() > self.read[at] {
            into.extend_from_slice(&taken[self.read[at]..]);
            self.read[at] = taken.len();
        }
    }
    fn say(&mut self, ring: &mut Skewed<SimRing>, at: usize, bytes: &[u8]) {
        ring.inner.say(at as u16, bytes);
    }
    fn hang_up(&mut self, ring: &mut Skewed<SimRing>, at: usize) {
        ring.inner.hang_up(at as u16, 0);
    }
    fn stall(&mut self, ring: &mut Skewed<SimRing>, at: usize) {
        ring.inner.stall(at as u16, true);
    }
}

/// One shard, driven turn by turn by the test's own thread, and its peers.
pub struct World<R: Ring, P: Peers<Skewed<R>>> {
    pub shard: Shard<Skewed<R>>,
    pub peers: P,
    pub arena: Arc<Arena>,
    pub link: Arc<Link>,
    pub publisher: Arc<Publisher>,
    pub chain: &'static Chain,
    /// Bytes that each peer was sent.
    pub received: Vec<Vec<u8>>,
    /// All reports but the sockets.
    pub reports: Vec<Report>,
    pub answered: Vec<usize>,
    /// Peers that do not answer pings.
    pub mute: Vec<usize>,
    /// Whether connections made from here on share the uplink.
    pub is_governed: bool,
    /// What holds with peers that connect from here on.
    pub terms: Terms,
}

/// The adoption of a connection that is not governed, on route 0.
pub fn adoption(slot: u16, peer: PeerId, rank: u32, socket: OwnedFd) -> Adoption {
    let chain = find("litecoin", Network::Regtest).unwrap();
    Adoption {
        slot,
        peer,
        rank,
        round_trip_us: 0,
        governed: false,
        route: 0,
        magic: chain.magic,
        payload_bytes_max: chain.payload_bytes_max,
        ping_deadline_s: chain.ping_deadline_s,
        is_limited: true,
        terms: Terms::default(),
        socket,
    }
}

/// What the shard is to know of `peer`, which is warm and at an unknown distance.
pub fn sight(slot: u16, peer: PeerId, rank: u32) -> Order {
    Order::Sight { slot, peer, rank, round_trip_us: 0, warm: true, warm_for_small: true }
}

fn parts() -> (Arc<Arena>, Arc<Link>, Arc<Publisher>, Arc<broadside::hot::publish::Inbox>) {
    let arena = Arena::new().unwrap();
    let link = Arc::new(Link::new(0, Arc::new(Doorbell::new().unwrap())).unwrap());
    let (publisher, mut inboxes) = Publisher::new(Arc::clone(&arena), &[Arc::clone(&link)]);
    (arena, link, publisher, inboxes.remove(0))
}

fn assemble<R: Ring, P: Peers<Skewed<R>> + Default>(
    make: impl FnOnce(&Arc<Arena>, &Arc<Link>) -> Option<R>,
    policy: Policy,
) -> Option<World<R, P>> {
    let (arena, link, publisher, inbox) = parts();
    let ring = Skewed { inner: make(&arena, &link)?, ahead_ns: 0 };
    let shard = Shard::with_policy(ring, Arc::clone(&link), inbox, policy);
    Some(World {
        shard,
        peers: P::default(),
        arena,
        link,
        publisher,
        chain: find("litecoin", Network::Regtest).unwrap(),
        received: Vec::new(),
        reports: Vec::new(),
        answered: Vec::new(),
        mute: Vec::new(),
        is_governed: false,
        terms: Terms::default(),
    })
}

/// A bell that rings the shard of `link`.
fn bell_of(link: &Arc<Link>) -> Arc<Doorbell> {
    Arc::clone(&link.to_hot)
}

pub fn on_uring() -> Option<World<Uring, TcpPeers>> {
    governed_on_uring(Policy::default())
}

pub fn governed_on_uring(policy: Policy) -> Option<World<Uring, TcpPeers>> {
    let make = |arena: &Arc<Arena>, link: &Arc<Link>| match Uring::new(
        Arc::clone(arena),
        bell_of(link),
        Arc::clone(&link.to_cold),
    ) {
        Ok(ring) => Some(ring),
        Err(error) => {
            eprintln!("NOT TESTED on io_uring: {error}");
            None
        }
    };
    assemble(make, policy)
}

pub fn on_epoll() -> Option<World<Epoll, TcpPeers>> {
    governed_on_epoll(Policy::default())
}

pub fn governed_on_epoll(policy: Policy) -> Option<World<Epoll, TcpPeers>> {
    let make = |_: &Arc<Arena>, link: &Arc<Link>| {
        Some(Epoll::new(bell_of(link), Arc::clone(&link.to_cold)).unwrap())
    };
    assemble(make, policy)
}

pub fn simulated(seed: u64, trouble: Trouble) -> World<SimRing, SimPeers> {
    governed_and_simulated(seed, trouble, Policy::default())
}

pub fn governed_and_simulated(
    seed: u64,
    trouble: Trouble,
    policy: Policy,
) -> World<SimRing, SimPeers> {
    assemble(|_, _| Some(SimRing::new(seed, trouble)), policy).unwrap()
}

impl<R: Ring, P: Peers<Skewed<R>>> World<R, P> {
    /// Connects one more peer, in the slot of its number.
    pub fn connect(&mut self) -> usize {
        let at = self.received.len();
        let socket = self.peers.connect();
        self.received.push(Vec::new());
        self.answered.push(0);
        let peer = PeerId::new(0, at as u64 + 1);
        let adoption = adoption(at as u16, peer, at as u32, socket);
        let (governed, round_trip_us) = (self.is_governed, 1_000 * (at as u32 + 1));
        let adoption = Adoption { governed, round_trip_us, terms: self.terms, ..adoption };
        self.link.order(Order::Adopt(adoption)).unwrap();
        at
    }

    /// Connects so many more peers.
    pub fn connect_many(&mut self, count: usize) {
        for _ in 0..count {
            self.connect();
        }
    }

    /// Publishes `block` (any bytes: the shard does not look into them).
    pub fn publish(&self, block: &[u8], hash: [u8; 32]) -> Published {
        let mut writer = self.publisher.begin().expect("a free image slot");
        writer.push(block).unwrap();
        writer.commit(0, self.chain, hash)
    }

    /// One turn, then the law, then the peers read and answer pings.
    pub fn turn(&mut self) {
        self.shard.turn(Wait::UpTo(1_000_000));
        let tally = self.shard.tally();
        assert_eq!(tally.offered, tally.settled() + self.shard.in_flight(), "an offer was lost");
        assert!(tally.warm_ups >= tally.warm_ups_ended, "a warm-up ended twice");
        self.serve_peers();
    }

    /// Takes reports home; peers read what came and answer pings.
    pub fn serve_peers(&mut self) {
        while let Some(report) = self.link.next_report() {
            self.reports.push(report);
        }
        for at in 0..self.received.len() {
            self.peers.read(self.shard.ring_mut(), at, &mut self.received[at]);
            if !self.mute.contains(&at) {
                self.answer(at);
            }
        }
    }

    /// Answers every new whole ping, like a node: in order with the messages around it.
    fn answer(&mut self, at: usize) {
        for (command, payload, end) in frames(&self.received[at], self.answered[at]) {
            self.answered[at] = end;
            if command == "ping" {
                let pong = broadside::wire::frame::frame(self.chain.magic, "pong", &payload);
                self.peers.say(self.shard.ring_mut(), at, &pong);
            }
        }
    }

    /// Turns until `done`, or fails with `what`.
    pub fn until(&mut self, what: &str, done: impl FnMut(&mut Self) -> bool) {
        self.until_within(20_000, what, done);
    }

    /// The same where tokens are waited for.
    pub fn until_long(&mut self, what: &str, done: impl FnMut(&mut Self) -> bool) {
        self.until_within(2_000_000, what, done);
    }

    fn until_within(&mut self, turns: u32, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..turns {
            if done(self) {
                return;
            }
            self.turn();
        }
        panic!("it never came to this: {what}; tally {:?}", self.shard.tally());
    }

    /// Commands that peer `at` was sent, and the bytes of its `block` messages.
    pub fn blocks_of(&self, at: usize) -> Vec<Vec<u8>> {
        frames(&self.received[at], 0)
            .into_iter()
            .filter(|(command, ..)| command == "block")
            .map(|(_, payload, _)| payload)
            .collect()
    }
}

/// Whole messages from `from` on: command, payload, where each ends. Panics on a broken stream.
pub fn frames(stream: &[u8], mut from: usize) -> Vec<(String, Vec<u8>, usize)> {
    let mut all = Vec::new();
    while let Some(header) = stream.get(from..from + 24) {
        assert_eq!(header[..4], [0xfa, 0xbf, 0xb5, 0xda], "a frame was cut by another");
        let length = u32::from_le_bytes(header[16..20].try_into().unwrap()) as usize;
        let Some(payload) = stream.get(from + 24..from + 24 + length) else {
            break;
        };
        let sum = broadside::wire::hash::sha256d(payload);
        assert_eq!(sum[..4], header[20..24], "checksum");
        let command = String::from_utf8(header[4..16].to_vec()).unwrap();
        from += 24 + length;
        all.push((command.trim_end_matches('\0').to_owned(), payload.to_vec(), from));
    }
    all
}
