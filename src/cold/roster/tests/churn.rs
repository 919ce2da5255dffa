//! Thirty simulated days of peers that come and go, through the pure parts: database, choice,
//! rotation, breaker. No socket and no clock: the time is the simulation's own.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;

use super::super::backoff::{Chance, ORDINARY};
use super::super::choose::{self, Field, Wanted};
use super::super::covering::Covering;
use super::super::rotation::{Member, Move, Scene, plan};
use crate::cold::atlas::Atlas;
use crate::cold::cover::{ChosenBy, Proof, Selection};
use crate::cold::diversity::{Crowd, Kin};
use crate::cold::score;
use crate::cold::store::{PeerBook, PeerEntry, Source};
use crate::limits::{
    DIALS_MAX, PEER_RETRY_MAX_MS, PEERS_PER_NETGROUP_MAX, ROTATED_AT_ONCE_MAX, ROTATION_ROUNDS_MIN,
};

const DAYS: u64 = 30;
const START_S: u64 = 1_800_000_000;
/// Time between two refreshes; the rounds in between fill seats that are below `min`.
const REFRESH_S: u64 = 60;
const FEW_ROUNDS: usize = 20;
const ADDRESSES: usize = 240;
/// Addresses in the first of them where nobody has ever listened.
const DEAD: usize = 60;
const POOLS: u64 = 4;
const MIN: usize = 5;
const MAX: usize = 20;
const FIXED: usize = 2;

/// The network, as nobody of us knows it.
struct World {
    is_up: Vec<bool>,
    next_change_s: Vec<u64>,
    up_since_s: Vec<u64>,
    dice: Chance,
}

fn address(number: usize) -> SocketAddr {
    // Four addresses to a /16: that many must never be connected together.
    SocketAddr::from(([20, (number / 4) as u8, (number % 4) as u8, 1], 9_333))
}

fn number(address: SocketAddr) -> usize {
    let SocketAddr::V4(v4) = address else { panic!("{address}") };
    let [_, group, place, _] = v4.ip().octets();
    usize::from(group) * 4 + usize::from(place)
}

fn kin(address: SocketAddr) -> Kin {
    Kin::of(address, &Atlas::default(), &[])
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Chance::seeded(seed);
        let is_up: Vec<_> = (0..ADDRESSES).map(|it| it >= DEAD && dice.unit() < 0.6).collect();
        let mut world = Self {
            is_up,
            next_change_s: vec![u64::MAX; ADDRESSES],
            up_since_s: vec![START_S; ADDRESSES],
            dice,
        };
        (DEAD..ADDRESSES).for_each(|it| world.next_change_s[it] = START_S + world.span_s());
        world
    }

    /// Hours, some short and some long.
    fn span_s(&mut self) -> u64 {
        (-self.dice.unit().max(1e-9).ln() * 8.0 * 3_600.0) as u64 + 60
    }

    fn turn(&mut self, now_s: u64) {
        for it in 0..ADDRESSES {
            if self.next_change_s[it] <= now_s {
                self.is_up[it] = !self.is_up[it];
                self.up_since_s[it] = now_s;
                self.next_change_s[it] = now_s + self.span_s();
            }
        }
    }

    /// How late a peer hears of a block of this pool's, in µs.
    fn lag_us(&mut self, peer: usize, pool: u64) -> u64 {
        let far_us = if peer as u64 % POOLS == pool { 0 } else { 150_000 };
        1_000 * (peer as u64 / 12) + far_us + self.dice.next() % 3_000
    }
}

/// The roster, as far as it decides.
struct Sim {
    world: World,
    book: PeerBook,
    covering: Covering,
    chance: Chance,
    connected: BTreeMap<SocketAddr, u64>,
    is_node_up: bool,
    wanted: Vec<Wanted>,
    selection: Selection,
    rotated: usize,
    blocks: u64,
    /// Steps with fewer than `min`, all of them excused.
    few: usize,
}

impl Sim {
    fn new(selection: Selection, seed: u64) -> Self {
        let mut sim = Self {
            world: World::new(seed),
            book: PeerBook::default(),
            covering: Covering::new(seed, true),
            chance: Chance::seeded(!seed),
            connected: BTreeMap::new(),
            is_node_up: true,
            wanted: Vec::new(),
            selection,
            rotated: 0,
            blocks: 0,
            few: 0,
        };
        (0..ADDRESSES).for_each(|it| sim.hear_of(it, START_S));
        sim
    }

    fn hear_of(&mut self, peer: usize, now_s: u64) {
        if self.book.get(address(peer)).is_none() {
            let source = if peer.is_multiple_of(5) { Source::Node } else { Source::Discovered };
            self.book.insert(address(peer), PeerEntry::new(source, now_s as f64));
        }
    }

    fn seats() -> usize {
        MAX - FIXED - 1
    }

    /// What is connected in all: the node and the fixed ones are up but for a few hours.
    fn kept(&self) -> usize {
        FIXED + usize::from(self.is_node_up)
    }

    fn fail(&mut self, peer: SocketAddr, now_s: u64) {
        let Some(entry) = self.book.get_mut(peer) else { return };
        entry.score = score::after_failure(entry.score);
        choose::put_off(entry, "refused", now_s as f64, ORDINARY, false, &mut self.chance);
        if score::is_spent(entry) {
            self.book.remove(peer);
            self.covering.cover.forget(peer);
        }
    }

    /// Dials; the law of the breaker is checked here.
    fn dial(&mut self, peer: SocketAddr, now_s: u64) -> bool {
        let entry = self.book.get(peer).expect("only the known are dialled");
        assert!(entry.waits_until(now_s as f64).is_none(), "{peer} was put off");
        assert!(!self.book.is_banned(peer) && !self.connected.contains_key(&peer));
        if !self.world.is_up[number(peer)] {
            self.fail(peer, now_s);
            return false;
        }
        let entry = self.book.get_mut(peer).expect("still there");
        (entry.last_connected_s, entry.last_seen_s) = (now_s as f64, now_s as f64);
        (entry.failures_in_row, entry.next_try_s) = (0, 0.0);
        self.connected.insert(peer, now_s);
        assert!(self.covering.cover.watch(peer, (now_s - START_S) * 1_000_000));
        true
    }

    fn lose(&mut self, now_s: u64) {
        let lost: Vec<_> =
            self.connected.keys().copied().filter(|it| !self.world.is_up[number(*it)]).collect();
        for peer in lost {
            self.connected.remove(&peer);
            self.covering.cover.unwatch(peer);
            if let Some(entry) = self.book.get_mut(peer) {
                choose::put_off(entry, "closed", now_s as f64, ORDINARY, false, &mut self.chance);
            }
        }
    }

    fn draw(&mut self, now_s: u64) {
        let atlas = Atlas::default();
        let field = Field {
            book: &self.book,
            cover: &self.covering.cover,
            selection: self.selection,
            atlas: &atlas,
            regions: &[],
            now_s: now_s as f64,
            now_us: (now_s - START_S) * 1_000_000,
        };
        self.wanted = field.wanted(Self::seats(), |_| false, |it| self.connected.contains_key(&it));
    }

    fn fill(&mut self, now_s: u64) {
        let empty = Self::seats() - self.connected.len();
        let is_taken = |it| self.connected.contains_key(&it);
        let tries = choose::candidates(&self.wanted, empty, is_taken, |_| 0, &mut self.chance);
        for peer in tries.into_iter().take(DIALS_MAX as usize) {
            let crowd = Crowd::of(self.connected.keys().map(|it| kin(*it)));
            let has_room = crowd.is_full_for(kin(peer)).is_none();
            if self.connected.len() < Self::seats() && has_room {
                self.dial(peer, now_s);
            }
        }
    }

    fn rotate(&mut self, now_s: u64, is_block_under_way: bool) {
        let members = self.connected.iter().map(|(peer, since_s)| Member {
            address: *peer,
            kin: kin(*peer),
            value: self.book.get(*peer).map_or(0.0, |it| score::rank_value(it, now_s as f64)),
            is_settled: now_s - since_s >= REFRESH_S * u64::from(ROTATION_ROUNDS_MIN),
        });
        let members: Vec<_> = members.collect();
        let (before, kept) = (members.len(), self.kept());
        let scene = Scene {
            members: &members,
            wanted: &self.wanted,
            taken: &HashSet::new(),
            seats: Self::seats(),
            kept,
            min: MIN,
            free_places: 100,
            is_block_under_way,
        };
        let moves = plan(&scene, &mut self.chance);
        assert!(moves.len() <= ROTATED_AT_ONCE_MAX && (moves.is_empty() || !is_block_under_way));
        for step in moves {
            let Move::Swap { out, into } = step else { panic!("there is room for one more") };
            if self.dial(into, now_s) {
                assert!(self.connected.remove(&out).is_some(), "only ordinary peers go");
                self.covering.cover.unwatch(out);
                self.rotated += 1;
            }
        }
        assert_eq!(self.connected.len(), before, "rotation empties no seat");
    }

    /// A block of the network: everybody who is connected announces it, as early as it can.
    fn network_block(&mut self, now_s: u64) {
        self.blocks += 1;
        let (pool, mut hash) = (self.world.dice.next() % POOLS, [1; 32]);
        hash[..8].copy_from_slice(&self.blocks.to_le_bytes());
        self.covering.vouch(hash);
        for peer in self.connected.keys().copied().collect::<Vec<_>>() {
            let at_us = (now_s - START_S) * 1_000_000 + self.world.lag_us(number(peer), pool);
            self.covering.announced(peer, hash, at_us);
        }
    }

    /// A block of ours: one peer in nine takes it badly.
    fn own_block(&mut self) {
        for peer in self.connected.keys().copied().collect::<Vec<_>>() {
            let is_good = !number(peer).is_multiple_of(9);
            let proof = if is_good { Proof::Echo } else { Proof::Silence };
            self.covering.cover.judge(peer, proof);
            let entry = self.book.get_mut(peer).expect("connected ones are known");
            if is_good {
                entry.score = score::after_delivery(entry.score);
                entry.successful_broadcasts += 1;
            } else {
                entry.score = score::after_failure(entry.score);
                entry.failed_broadcasts += 1;
            }
        }
    }

    /// Peers that could be connected beyond doubt: known, up for longer than any wait.
    fn available(&self, now_s: u64) -> usize {
        let surely_s = PEER_RETRY_MAX_MS / 1_000 + REFRESH_S;
        let mut crowd = Crowd::default();
        let could = |it: &usize| {
            let is_up = self.world.is_up[*it] && self.world.up_since_s[*it] + surely_s <= now_s;
            is_up && self.book.get(address(*it)).is_some_and(|entry| !score::is_spent(entry))
        };
        let all = (DEAD..ADDRESSES).filter(could).filter(|it| {
            let has_room = crowd.is_full_for(kin(address(*it))).is_none();
            crowd.add(kin(address(*it)));
            has_room
        });
        all.count()
    }

    fn check(&mut self, now_s: u64) {
        let total = self.connected.len() + self.kept();
        assert!(total <= MAX, "{total} connections");
        if total < MIN {
            self.few += 1;
            let could = self.available(now_s) + self.kept();
            assert!(could < MIN, "{total} connections at {now_s}, {could} could be");
        }
        let mut groups: BTreeMap<String, u32> = BTreeMap::new();
        for peer in self.connected.keys() {
            let of = groups.entry(kin(*peer).netgroup.unwrap().to_string()).or_default();
            *of += 1;
            assert!(*of <= PEERS_PER_NETGROUP_MAX, "{peer}");
        }
        assert!(self.book.len() <= ADDRESSES);
    }

    fn step(&mut self, step: u64) {
        let now_s = START_S + step * REFRESH_S;
        self.world.turn(now_s);
        // Half of all are cut off for an hour on the tenth day, all on the twentieth.
        let day = step * REFRESH_S / 86_400;
        if step * REFRESH_S % 86_400 < 3_600 && (day == 10 || day == 20) {
            (0..ADDRESSES).filter(|it| day == 20 || it % 2 == 0).for_each(|it| {
                (self.world.is_up[it], self.world.up_since_s[it]) = (false, now_s);
            });
        }
        self.is_node_up = !step.is_multiple_of(5_000);
        self.lose(now_s);
        let is_block_under_way = step.is_multiple_of(360);
        if is_block_under_way {
            self.own_block();
        }
        if step.is_multiple_of(20) {
            self.network_block(now_s);
        }
        if step.is_multiple_of(5) {
            let heard = self.world.dice.next() as usize % ADDRESSES;
            self.hear_of(heard, now_s);
        }
        self.covering.cast_lots((now_s - START_S) * 1_000_000, || step);
        self.draw(now_s);
        self.rotate(now_s, is_block_under_way);
        self.fill(now_s);
        for round in 1..=FEW_ROUNDS {
            if self.connected.len() + self.kept() >= MIN {
                break;
            }
            let soon_s = now_s + round as u64 * 5;
            self.draw(soon_s);
            self.fill(soon_s);
        }
        self.check(now_s + FEW_ROUNDS as u64 * 5);
    }
}

/// Goal: whatever comes and goes, no law is broken for thirty days, and the better ones are found.
/// Method: each step is a refresh; the laws are asserted in each.
#[test]
fn thirty_days_of_churn_break_no_law() {
    for (selection, seed) in [(Selection::Measured, 1), (Selection::Seed, 2)] {
        let mut sim = Sim::new(selection, seed);
        let (mut near, mut judged) = (0, 0);
        for step in 0..DAYS * 86_400 / REFRESH_S {
            sim.step(step);
            if step > 10_000 && sim.connected.len() == Sim::seats() {
                judged += 1;
                let served: BTreeSet<u64> =
                    sim.wanted.iter().take(6).map(|it| number(it.address) as u64 % POOLS).collect();
                let is_by_rule = sim.wanted[0].by == ChosenBy::Cover;
                assert_eq!(is_by_rule, selection == Selection::Measured, "step {step}");
                near += usize::from(served.len() as u64 == POOLS);
            }
        }
        println!(
            "{}: {} rotated, {} blocks, {} steps below min, all pools among the first six in {near} \
             of {judged} steps",
            selection.word(),
            sim.rotated,
            sim.blocks,
            sim.few
        );
        assert!(judged > 25_000 && sim.rotated > 20, "{} rotated, {judged} steps", sim.rotated);
        if selection == Selection::Measured {
            assert!(3 * near > 2 * judged, "{near} of {judged}");
        }
    }
}
