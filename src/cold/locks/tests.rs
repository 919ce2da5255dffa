//! Which locks are passed on, to whom, and what is ignored for which reason.

use std::net::SocketAddr;
use std::sync::Arc;

use super::ledger::{Ledger, Step, Witness};
use super::*;
use crate::cold::directory::PeerLabel;
use crate::hot::link::locks::LockBytes;
use crate::limits::{LOCK_ASK_AGAIN_MS, LOCKS_SAVED, LOCKS_UNHEARD_PER_PEER_MAX};
use crate::sys::doorbell::Doorbell;
use crate::wire::chain::all;
use crate::wire::hash::sha256d;
use crate::wire::message::inv_items;

const KIND: LockKind = LockKind::Block;
const SECOND_NS: u64 = 1_000_000_000;

fn clsig(height: u8, block: u8) -> Vec<u8> {
    [&[height, 0, 0, 0][..], &[block; 32], &[9; 96]].concat()
}

fn isdlock(about: u8) -> Vec<u8> {
    [&[1, 1][..], &[3; 36], &[about; 32], &[8; 32], &[9; 96]].concat()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn witness(serial: u64, address: &str) -> Witness {
    let address = at(address);
    let group = Netgroup::of(address.ip());
    Witness { peer: PeerId::new(0, serial), group, address, is_own: false }
}

/// Peers in three hands, and the second one again.
fn witnesses() -> [Witness; 4] {
    [
        witness(1, "192.0.2.1:1"),
        witness(2, "198.51.100.1:1"),
        witness(3, "203.0.113.1:1"),
        witness(4, "198.51.7.7:1"),
    ]
}

#[test]
fn a_lock_goes_out_when_three_hands_have_it() {
    let mut ledger = Ledger::default();
    let [first, second, third, same] = witnesses();
    let lock = clsig(5, 7);
    let hash = sha256d(&lock);
    assert_eq!(ledger.announced(KIND, hash, first, 1), Step::Ask { kind: KIND, hash });
    assert_eq!(ledger.announced(KIND, hash, second, 2), Step::Nothing, "asked a moment ago");
    assert_eq!(ledger.received(KIND, &lock, first, 3), Step::Refuse("unknown-block"));
    ledger.note_block([7; 32]);
    assert_eq!(ledger.received(KIND, &lock, first, 4), Step::Nothing, "two hands");
    assert_eq!(ledger.announced(KIND, hash, same, 5), Step::Nothing, "still two");
    let have = vec![first.peer, second.peer, third.peer];
    let payload = lock.clone().into();
    assert_eq!(ledger.announced(KIND, hash, third, 6), Step::Push { kind: KIND, payload, have });
    assert_eq!(ledger.received(KIND, &lock, third, 7), Step::Refuse("known"));
    assert_eq!(ledger.announced(KIND, hash, same, 8), Step::Nothing);
}

#[test]
fn our_own_node_is_enough() {
    let mut ledger = Ledger::default();
    ledger.note_block([7; 32]);
    let own = Witness { is_own: true, ..witness(9, "127.0.0.1:1") };
    let lock = clsig(5, 7);
    assert!(matches!(ledger.received(KIND, &lock, own, 1), Step::Push { .. }));
    // Of an older block, or another of the same height: no longer of use, or made up.
    ledger.note_block([8; 32]);
    assert_eq!(ledger.received(KIND, &clsig(5, 8), own, 2), Step::Refuse("not-higher"));
    assert_eq!(ledger.received(KIND, &clsig(4, 8), own, 2), Step::Refuse("not-higher"));
    assert!(matches!(ledger.received(KIND, &clsig(6, 8), own, 2), Step::Push { .. }));
    // Of a transaction: no block, no height.
    let pushed = ledger.received(LockKind::Transaction, &isdlock(1), own, 2);
    assert!(matches!(pushed, Step::Push { kind: LockKind::Transaction, .. }));
    assert_eq!(ledger.received(KIND, &lock[1..], own, 2), Step::Refuse("malformed"));
}

#[test]
fn who_does_not_deliver_is_asked_no_more_and_may_not_announce_without_end() {
    let mut ledger = Ledger::default();
    let [first, second, third, _] = witnesses();
    let (pause_ns, hash) = (LOCK_ASK_AGAIN_MS * 1_000_000, [1; 32]);
    let mut asked = 0;
    for turn in 1..20 {
        asked += u32::from(ledger.announced(KIND, hash, first, turn * pause_ns) != Step::Nothing);
    }
    assert_eq!(asked, crate::limits::LOCK_ASKS_MAX);
    for serial in 1..LOCKS_UNHEARD_PER_PEER_MAX {
        let step = ledger.announced(KIND, sha256d(&serial.to_le_bytes()), first, 1);
        assert!(matches!(step, Step::Ask { .. }), "{serial}");
    }
    assert_eq!(ledger.announced(KIND, [2; 32], first, 1), Step::Refuse("too-many"));
    assert!(matches!(ledger.announced(KIND, [2; 32], second, 1), Step::Ask { .. }));
    // What has come counts no longer.
    ledger.note_block([7; 32]);
    let lock = clsig(1, 7);
    assert!(matches!(ledger.announced(KIND, sha256d(&lock), third, 1), Step::Ask { .. }));
    assert_eq!(ledger.received(KIND, &lock, third, 1), Step::Nothing);
}

#[test]
fn no_more_go_out_than_the_rate_allows() {
    let mut ledger = Ledger::default();
    let own = Witness { is_own: true, ..witness(9, "127.0.0.1:1") };
    let mut pushed = 0;
    let mut push = |ledger: &mut Ledger, serial: u32, now_ns| {
        let mut lock = isdlock(1);
        lock[2..6].copy_from_slice(&serial.to_le_bytes());
        let step = ledger.received(LockKind::Transaction, &lock, own, now_ns);
        pushed += u64::from(matches!(step, Step::Push { .. }));
        pushed
    };
    for serial in 0..1_000 {
        push(&mut ledger, serial, SECOND_NS);
    }
    assert_eq!(push(&mut ledger, 1_000, SECOND_NS), LOCKS_SAVED);
    for serial in 1_001..2_000 {
        push(&mut ledger, serial, 2 * SECOND_NS);
    }
    assert_eq!(push(&mut ledger, 2_000, 2 * SECOND_NS), LOCKS_SAVED + crate::limits::LOCKS_PER_S);
}

struct World {
    relay: LockRelay,
    link: Arc<Link>,
}

/// Two chains, of which the second has locks; peer 1 of it is our node, peers 2 to 4 are not.
fn world(wanted: bool) -> World {
    let bell = Arc::new(Doorbell::new().unwrap());
    let link = Arc::new(Link::new(0, bell).unwrap());
    let directory = Arc::new(Directory::default());
    for serial in 1..=4 {
        let address = at(&format!("127.0.0.1:{serial}"));
        let label = PeerLabel { address, user_agent: String::new(), protected: serial == 1 };
        directory.insert(PeerId::new(1, serial), label);
    }
    let plain = all().find(|chain| !chain.has_locks).unwrap();
    let locked = all().find(|chain| chain.has_locks).unwrap();
    let chains = [(plain, wanted), (locked, wanted)];
    World { relay: LockRelay::new(chains, vec![Arc::clone(&link)], directory), link }
}

impl World {
    fn tell(&self, serial: u64, told: Told) {
        let (peer, slot) = (PeerId::new(1, serial), serial as u16);
        let is_taken = self.link.locks.tell(LockNews { peer, slot, at_ns: 1, kind: KIND, told });
        assert!(is_taken);
        self.relay.drain(&self.link);
    }
}

#[test]
fn locks_come_and_go_through_the_shards_queues() {
    let world = world(true);
    assert!(world.link.locks.wants(1) && !world.link.locks.wants(0));
    let lock = clsig(5, 7);
    world.tell(2, Told::Announced(sha256d(&lock)));
    let Some(Order::Control { slot: 2, frame, .. }) = world.link.next_order() else {
        panic!("it is asked for");
    };
    let item = inv_items(&frame.as_bytes()[24..]).next().unwrap();
    assert_eq!((item.kind, item.hash), (29, sha256d(&lock)));
    world.relay.note_block(1, [7; 32]);
    world.tell(2, Told::Whole(LockBytes::new(&lock).unwrap()));
    assert!(world.link.next_order().is_none(), "nobody vouches for it yet");
    world.tell(1, Told::Announced(sha256d(&lock)));
    let Some(Order::Push { chain: 1, frame, spared }) = world.link.next_order() else {
        panic!("it is pushed");
    };
    assert_eq!(&frame.as_bytes()[24..], lock);
    assert_eq!(spared[..3], [Some(PeerId::new(1, 2)), Some(PeerId::new(1, 1)), None]);
    world.tell(3, Told::TooLong);
    let counts = world.relay.counts(1).unwrap();
    assert_eq!((counts.announced, counts.asked, counts.received, counts.blocks), (2, 1, 1, 1));
    assert_eq!(counts.refused, BTreeMap::from([("too-long", 1)]));
    assert_eq!(counts.to_json()["pushed"]["blocks"], 1);
    assert!(world.relay.counts(0).is_none());
}

/// A shard that takes nothing has no more than so many frames held for it.
#[test]
fn own_transactions_are_pushed_where_there_are_locks_and_memory_is_bounded() {
    let world = world(true);
    assert!(!world.relay.push_transaction(0, &[1; 200]), "that chain has none");
    assert!(!world.relay.push_transaction(1, &[1; 1_001]), "longer than shards carry");
    let pushed = (0..PUSHES_KEPT_MAX + 5).filter(|_| world.relay.push_transaction(1, &[1; 200]));
    assert_eq!(pushed.count(), PUSHES_KEPT_MAX);
    while world.link.next_order().is_some() {}
    assert!(world.relay.push_transaction(1, &[1; 200]));
    let counts = world.relay.counts(1).unwrap();
    assert_eq!((counts.sent, counts.crowded_out), (PUSHES_KEPT_MAX as u64 + 1, 5));
}

#[test]
fn switched_off_means_off() {
    let world = world(false);
    assert!(!world.link.locks.wants(1) && world.relay.counts(1).is_none());
    assert!(!world.relay.push_transaction(1, &[1; 200]));
}
