//! A measurement before a line made of numbers: segments leave, wait, and come back acknowledged.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;

/// A line of 100 Mbit/s with 20 peers at 20 to 210 ms, in turns of 250 us.
struct Line {
    now_us: u64,
    rate: Arc<Rate>,
    /// Segments sent and delivered to each peer, and those on their way: when they come back.
    peers: RefCell<Vec<Peer>>,
    /// When the line has sent all that was given to it.
    busy_until_us: f64,
    owed: f64,
    next: usize,
    /// What ends when: a block is published, the data are out.
    block_us: Option<u64>,
    signals: Arc<Signals>,
}

struct Peer {
    round_trip_us: u64,
    sent: u32,
    delivered: u32,
    on_the_way: VecDeque<u64>,
}

const LINE_BYTES_PER_US: f64 = 12.5;
const PEERS: usize = 20;

#[derive(Default)]
struct Rate(Mutex<Vec<Option<u64>>>);

impl UplinkControl for Rate {
    fn set_uplink(&self, _: Option<u64>) {}

    fn set_probe(&self, line_bytes_per_s: Option<u64>) {
        self.0.lock().unwrap().push(line_bytes_per_s);
    }
}

impl Line {
    fn new(block_us: Option<u64>) -> Self {
        let peer = |at: u64| Peer {
            round_trip_us: 20_000 + at * 10_000,
            sent: 0,
            delivered: 0,
            on_the_way: VecDeque::new(),
        };
        Self {
            now_us: 1_000_000,
            rate: Arc::default(),
            peers: RefCell::new((0..PEERS as u64).map(peer).collect()),
            busy_until_us: 1_000_000.0,
            owed: 0.0,
            next: 0,
            block_us,
            signals: Arc::default(),
        }
    }

    /// One segment to the next peer: every fourth one is a beacon to a near one.
    fn send(&mut self) {
        self.next += 1;
        let at = if self.next.is_multiple_of(4) { self.next / 4 % 5 } else { self.next % PEERS };
        self.busy_until_us =
            self.busy_until_us.max(self.now_us as f64) + 1_538.0 / LINE_BYTES_PER_US;
        let mut peers = self.peers.borrow_mut();
        if peers.is_empty() {
            return;
        }
        peers[at].sent += 1;
        let back_us = self.busy_until_us as u64 + peers[at].round_trip_us;
        peers[at].on_the_way.push_back(back_us);
    }
}

impl Lookout for Line {
    fn now_us(&self) -> u64 {
        self.now_us
    }

    fn look(&self, at: usize) -> Option<TcpInfo> {
        let mut peers = self.peers.borrow_mut();
        let peer = peers.get_mut(at)?;
        while peer.on_the_way.front().is_some_and(|back_us| *back_us <= self.now_us) {
            peer.on_the_way.pop_front();
            peer.delivered += 1;
        }
        Some(TcpInfo {
            segment_bytes: 1_448,
            sent_segments: peer.sent,
            delivered_segments: Some(peer.delivered),
            sent_bytes: Some(u64::from(peer.sent) * 1_448),
            ..TcpInfo::default()
        })
    }

    fn rest(&mut self) {
        self.now_us += 250;
        if self.block_us.is_some_and(|at_us| self.now_us >= at_us) {
            self.signals.blocks.fetch_add(1, Ordering::Relaxed);
            self.block_us = None;
        }
        let rate = self.rate.0.lock().unwrap().last().copied().flatten();
        self.owed += rate.map_or(LINE_BYTES_PER_US * 0.9, |rate| rate as f64 / 1e6) * 250.0;
        while self.owed >= 1_538.0 {
            self.owed -= 1_538.0;
            self.send();
        }
    }
}

/// What is told, and the rates that were set.
fn measured(line: Line) -> (Vec<Told>, Vec<Option<u64>>) {
    let (rate, signals) = (Arc::clone(&line.rate), Arc::clone(&line.signals));
    let near_us = (0..near_count(PEERS)).map(|at| 20_000 + 10_000 * at as u32).collect();
    let settings = LearnerSettings::first(near_us, None);
    let (mut told, taps) = (Vec::new(), Arc::clone(&rate));
    Measurement::new(line, PEERS, settings, &*rate, &signals).run(|it| {
        if matches!(it, Told::Found(_)) {
            taps.set_probe(None);
        }
        told.push(it);
    });
    let rates = rate.0.lock().unwrap().clone();
    (told, rates)
}

#[test]
fn a_line_is_measured_through_what_the_kernel_counts() {
    let (told, rates) = measured(Line::new(None));
    let [Told::Found(finding), .., Told::Ended { interrupted: false }] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(finding.found, Found::Learnt, "{finding:?}");
    assert!((90_000_000..=103_000_000).contains(&finding.bits_per_s), "{finding:?}");
    assert!(!told.contains(&Told::QueueStands), "{told:?}");
    assert!(rates.first().is_some_and(Option::is_some) && rates.last() == Some(&None));
}

#[test]
fn a_block_ends_it_at_once() {
    let (told, rates) = measured(Line::new(Some(1_300_000)));
    assert_eq!(told, [Told::Ended { interrupted: true }]);
    assert_eq!(rates.last(), Some(&None));
}

#[test]
fn peers_that_are_gone_end_it_without_a_finding_of_use() {
    let line = Line::new(None);
    line.peers.borrow_mut().clear();
    let (told, rates) = measured(line);
    let Some(Told::Found(finding)) = told.first() else { panic!("{told:?}") };
    assert_eq!((finding.found, rates.last()), (Found::Nothing, Some(&None)));
    assert_eq!([0, 3, 20, 40, 500].map(near_count), [0, 3, 5, 8, 10]);
}
