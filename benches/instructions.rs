//! `hot/shard.rs`: blocks fanned out over a ring that does next to nothing, for callgrind to count.
//!
//! `benches/instructions` runs it and compares two of them. Everything is the same in each run: the
//! ring takes every byte at once, the peers answer at once, the clock goes on by the same step.

#![allow(clippy::unwrap_used, reason = "a bench that can't be set up has nothing to say")]

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use broadside::hot::link::{Adoption, Link, Order, PeerId, Terms};
use broadside::hot::publish::Publisher;
use broadside::hot::shard::Shard;
use broadside::sys::doorbell::Doorbell;
use broadside::sys::memory::{Arena, Lease};
use broadside::sys::ring::{Copying, Event, Ring, Wait};
use broadside::wire::chain::{Chain, Network, find};
use broadside::wire::frame::frame;

/// Bytes of a pong, and where its nonce is.
const PONG_BYTES: usize = 32;
const NONCE_AT: usize = 24;
/// Of the simulated clock, between two turns.
const STEP_NS: u64 = 10_000;

/// Takes everything, answers everything.
struct Willing {
    now_ns: u64,
    entries: u64,
    sockets: Vec<Option<OwnedFd>>,
    /// What the shard hears in the next turn, and what it hears now.
    coming: VecDeque<Event>,
    ready: VecDeque<Event>,
    /// The one answer that all peers give: it is the same to the same block.
    pong: Vec<u8>,
    chain: &'static Chain,
}

impl Willing {
    fn new(peers: usize, chain: &'static Chain) -> Self {
        Self {
            now_ns: 1_000_000_000,
            entries: 0,
            sockets: (0..peers).map(|_| None).collect(),
            coming: VecDeque::with_capacity(4 * peers),
            ready: VecDeque::with_capacity(4 * peers),
            pong: vec![0; PONG_BYTES],
            chain,
        }
    }
}

impl Ring for Willing {
    fn now_ns(&self) -> u64 {
        self.now_ns
    }
    fn adopt(&mut self, slot: u16, socket: OwnedFd) -> Result<(), OwnedFd> {
        self.sockets[usize::from(slot)] = Some(socket);
        self.coming.push_back(Event::Writable { slot });
        Ok(())
    }
    fn send_image(&mut self, slot: u16, lease: &Lease, from: u32, to: u32, _: Copying) -> bool {
        self.coming.push_back(Event::Sent { slot, result: Ok(to - from), held: false });
        let nonce = lease.octets().get(to as usize - 8..to as usize).unwrap();
        if self.pong.get(NONCE_AT..) != Some(nonce) {
            self.pong = frame(self.chain.magic, "pong", nonce);
        }
        let length = PONG_BYTES as u32;
        self.coming.push_back(Event::Received { slot, buffer: 0, length });
        true
    }
    fn send_control(&mut self, slot: u16, bytes: &[u8]) -> bool {
        let result = Ok(bytes.len() as u32);
        self.coming.push_back(Event::Sent { slot, result, held: false });
        true
    }
    fn ask_unacknowledged(&mut self, _: u16) -> bool {
        true
    }
    fn close(&mut self, slot: u16) {
        if let Some(socket) = self.sockets[usize::from(slot)].take() {
            self.coming.push_back(Event::Gone { slot, socket });
        }
    }
    fn ring_cold(&mut self) {}
    fn enter(&mut self, _: Wait) {
        self.entries += 1;
        self.now_ns += STEP_NS;
        std::mem::swap(&mut self.coming, &mut self.ready);
    }
    fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }
    fn octets(&self, _: u16, length: u32) -> &[u8] {
        &self.pong[..length as usize]
    }
    fn recycle(&mut self, _: u16) {}
    fn can_zero_copy(&self) -> bool {
        false
    }
    fn held(&self, _: u8) -> u32 {
        0
    }
    fn entries(&self) -> u64 {
        self.entries
    }
    fn starved(&self) -> u64 {
        0
    }
}

/// From a published block to the last receipt: what is counted.
#[inline(never)]
fn fan_out_measured(shard: &mut Shard<Willing>, settled: u64) {
    while shard.tally().settled() < settled {
        shard.turn(Wait::No);
    }
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|it| it.parse::<usize>().ok());
    let peers = numbers.next().unwrap_or(20);
    let blocks = numbers.next().unwrap_or(100);
    let chain = find("litecoin", Network::Regtest).unwrap();
    let link = Arc::new(Link::new(0, Arc::new(Doorbell::new().unwrap())).unwrap());
    let (publisher, mut inboxes) = Publisher::new(Arena::new().unwrap(), &[Arc::clone(&link)]);
    let mut shard = Shard::new(Willing::new(peers, chain), Arc::clone(&link), inboxes.remove(0));
    for at in 0..peers {
        let adoption = Adoption {
            slot: at as u16,
            peer: PeerId::new(0, at as u64 + 1),
            rank: at as u32,
            round_trip_us: 0,
            governed: false,
            route: 0,
            magic: chain.magic,
            payload_bytes_max: chain.payload_bytes_max,
            ping_deadline_s: chain.ping_deadline_s,
            is_limited: true,
            terms: Terms::default(),
            socket: std::fs::File::open("/dev/null").unwrap().into(),
        };
        assert!(link.order(Order::Adopt(adoption)).is_ok());
    }
    (0..20).for_each(|_| shard.turn(Wait::No));
    for number in 0..blocks {
        let mut writer = publisher.begin().unwrap();
        writer.push(&vec![number as u8; 20_000]).unwrap();
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        let _ = writer.commit(0, chain, hash);
        fan_out_measured(&mut shard, ((number + 1) * peers) as u64);
        while link.next_report().is_some() {}
        // The memory of this block comes back before the next one is written.
        (0..3).for_each(|_| shard.turn(Wait::No));
    }
    println!("{} receipts of {blocks} blocks by {peers} peers", shard.tally().settled());
}
