use proptest::prelude::*;

use super::super::order::{OrderOfService, arrange, arrange_far_first};
use super::*;
use crate::limits::{
    BLOCK_SAVED_NS, BLOCK_TICK_NS, WARM_UP_PIECE_BYTES, WARM_UP_REST_NS, WARM_UP_TICK_NS,
};

const GIGABIT: u64 = 1_000_000_000;
const START_NS: u64 = 1_000_000_000_000;

fn sights(count: u16, warm: bool) -> Vec<Sight> {
    (0..count).map(|slot| Sight { slot, round_trip_us: 1_000, warm, rank: slot.into() }).collect()
}

fn feed(bucket: Bucket, count: u16, warm: bool) -> Feed {
    let mut feed = Feed::new(Arc::new(bucket), 0);
    let mut sights = sights(count, warm);
    arrange(&mut sights, OrderOfService::NearFirst);
    feed.set_order(&sights);
    (0..count).for_each(|slot| feed.writable(slot));
    feed
}

fn entry(feed: &mut Feed, now_ns: u64) -> Vec<(u16, u32)> {
    feed.begin_entry(now_ns);
    std::iter::from_fn(|| feed.next_grant(now_ns)).collect()
}

#[test]
fn unlimited_sends_whole_images_in_entries_of_four_megabytes() {
    let mut feed = feed(Bucket::unlimited(), 10, true);
    (0..10).for_each(|slot| feed.want(slot, 1_000_000));
    let whole =
        |slots: std::ops::Range<u16>| slots.map(|slot| (slot, 1_000_000)).collect::<Vec<_>>();
    assert_eq!(entry(&mut feed, 0), whole(0..5));
    assert_eq!(feed.pause(0), Pause::None);
    assert_eq!(entry(&mut feed, 0), whole(5..10));
    assert_eq!(feed.pause(0), Pause::UntilEvent);
    assert_eq!(entry(&mut feed, 0), [], "one send at a time");
}

#[test]
fn all_at_once_heeds_no_uplink() {
    let mut feed = feed(Bucket::new(GIGABIT), 3, true);
    feed.set_all_at_once(true);
    (0..3).for_each(|slot| feed.want(slot, 1_000_000));
    assert_eq!(entry(&mut feed, START_NS).len(), 3);
}

#[test]
fn a_full_socket_passes_its_tokens_on_until_it_can_take_more() {
    let mut feed = feed(Bucket::new(GIGABIT), 2, true);
    (0..2).for_each(|slot| feed.want(slot, 1_000_000));
    assert_eq!(entry(&mut feed, START_NS), [(0, 223_602)]);
    feed.sent(0, 64_000);
    let next = entry(&mut feed, START_NS);
    assert!(matches!(next[..], [(1, 159_600..159_603)]), "{next:?}");
    feed.sent(1, next[0].1);
    assert_eq!(feed.pause(START_NS), Pause::UpTo(BLOCK_TICK_NS));
    let later_ns = START_NS + BLOCK_TICK_NS;
    assert!(matches!(entry(&mut feed, later_ns)[..], [(1, 50_000..60_000)]));
    feed.sent(1, 0);
    assert_eq!(feed.pause(later_ns), Pause::UntilEvent);
    feed.writable(0);
    assert_eq!(feed.pause(later_ns), Pause::None);
    assert!(matches!(entry(&mut feed, later_ns)[..], [(0, _)]));
}

#[test]
fn cold_sockets_are_opened_before_anything_else() {
    let mut feed = Feed::new(Arc::new(Bucket::new(GIGABIT)), 0);
    let mut sights = sights(6, true);
    (3..6).for_each(|slot| sights[slot].warm = false);
    feed.set_order(&sights);
    (0..6).for_each(|slot| {
        feed.writable(slot);
        feed.want(slot, 1_000_000);
    });
    let first = entry(&mut feed, START_NS);
    assert_eq!(first[..3], [(3, 16_384), (4, 16_384), (5, 16_384)]);
    assert!(matches!(first[3..], [(0, 170_000..180_000)]), "{first:?}");
    first.iter().for_each(|(slot, bytes)| feed.sent(*slot, *bytes));
    assert!(matches!(entry(&mut feed, START_NS + BLOCK_TICK_NS)[..], [(0, _)]), "then in order");
    feed.want(4, 0);
    feed.want(4, 500_000);
    let next = entry(&mut feed, START_NS + 2 * BLOCK_TICK_NS);
    assert_eq!(next.first(), Some(&(4, 16_384)), "a new image opens it anew");
}

#[test]
fn who_is_gone_is_given_nothing_and_a_new_order_keeps_what_is_due() {
    let mut feed = feed(Bucket::unlimited(), 4, true);
    (0..4).for_each(|slot| feed.want(slot, 10));
    feed.forget(1);
    let sights: Vec<_> = sights(4, true).into_iter().rev().filter(|it| it.slot != 2).collect();
    feed.set_order(&sights);
    assert_eq!(entry(&mut feed, 0), [(3, 10), (0, 10)]);
    feed.want(9_999, 1);
    feed.sent(9_999, 1);
    feed.writable(9_999);
    feed.want(3, 5);
    feed.sent(3, 10);
    assert_eq!(entry(&mut feed, 0), [(3, 5)]);
}

/// Two shards share evenly, also when their ticks fall one right behind the other; one that hangs while it
/// is hungry does not slow the other.
#[test]
fn shards_share_and_do_not_wait_for_each_other() {
    let run = |hangs: bool| {
        let bucket = Arc::new(Bucket::new(GIGABIT));
        let mut feeds: Vec<_> = (0..2).map(|shard| Feed::new(Arc::clone(&bucket), shard)).collect();
        let mut granted = [0_u64; 2];
        for feed in &mut feeds {
            feed.set_order(&sights(1, true));
            feed.writable(0);
        }
        bucket.set_hungry(1, true);
        for tick in 0..2_000 {
            for (at, feed) in feeds.iter_mut().enumerate().take(if hangs { 1 } else { 2 }) {
                let now_ns = START_NS + tick * BLOCK_TICK_NS + at as u64 * 20_000;
                feed.want(0, 100_000_000);
                for (slot, bytes) in entry(feed, now_ns) {
                    feed.sent(slot, bytes);
                    granted[at] += u64::from(bytes);
                }
            }
        }
        granted
    };
    let rate = Bucket::new(GIGABIT).rate().unwrap();
    let [one, other] = run(false);
    assert!(one + other > rate * 99 / 100 && one.abs_diff(other) * 20 <= rate, "{one} {other}");
    let [one, _] = run(true);
    assert!(one > rate * 99 / 100, "{one} of {rate}");
}

/// What can happen to a feed between two entries.
#[derive(Clone, Debug)]
enum Happening {
    Want { slot: u16, bytes: u32 },
    Writable { slot: u16 },
    Answer { slot: u16, percent: u32 },
    Forget { slot: u16 },
    Pass { ns: u64 },
    Back { ns: u64 },
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let slot = || 0_u16..12;
    let one = prop_oneof![
        (slot(), 0_u32..2_000_000).prop_map(|(slot, bytes)| Happening::Want { slot, bytes }),
        slot().prop_map(|slot| Happening::Writable { slot }),
        (slot(), 0_u32..=100).prop_map(|(slot, percent)| Happening::Answer { slot, percent }),
        (slot(), 100_u32..=100).prop_map(|(slot, percent)| Happening::Answer { slot, percent }),
        slot().prop_map(|slot| Happening::Forget { slot }),
        (0_u64..2_000_000).prop_map(|ns| Happening::Pass { ns }),
        (0_u64..2_000_000_000).prop_map(|ns| Happening::Back { ns }),
    ];
    proptest::collection::vec(one, 1..300)
}

proptest! {
    /// Whatever happens: never two sends on a socket, never to a full one or for more than it wants,
    /// never more than rate × time and a bucketful, and nobody eligible waits while a piece's
    /// tokens are there.
    #[test]
    fn the_laws_of_the_feed(happenings in happenings(), unlimited: bool, cold in 0_usize..12) {
        let bucket = if unlimited { Bucket::unlimited() } else { Bucket::new(GIGABIT) };
        let full = u128::from(bucket.holds_bytes(Pace::BLOCK)) + 1;
        let mut feed = Feed::new(Arc::new(bucket), 0);
        let mut sights = sights(12, true);
        sights.iter_mut().take(cold).for_each(|sight| sight.warm = false);
        feed.set_order(&sights);
        let (mut wanted, mut writable, mut out) = ([0_u32; 12], [false; 12], [0_u32; 12]);
        let (mut now_ns, mut granted, mut allowed) = (START_NS, 0_u128, full);
        for happening in happenings {
            match happening {
                Happening::Want { slot, bytes } => {
                    feed.want(slot, bytes);
                    wanted[usize::from(slot)] = bytes;
                }
                Happening::Writable { slot } => {
                    feed.writable(slot);
                    writable[usize::from(slot)] = true;
                }
                Happening::Answer { slot, percent } => {
                    let at = usize::from(slot);
                    let sent = (u64::from(out[at]) * u64::from(percent) / 100) as u32;
                    feed.sent(slot, sent);
                    wanted[at] += out[at] - sent;
                    writable[at] &= out[at] == sent;
                    granted -= u128::from(out[at] - sent);
                    out[at] = 0;
                }
                Happening::Forget { slot } => {
                    let at = usize::from(slot);
                    feed.forget(slot);
                    (wanted[at], writable[at], out[at]) = (0, false, 0);
                }
                Happening::Pass { ns } => {
                    now_ns += ns;
                    allowed += full.min(u128::from(ns));
                }
                Happening::Back { ns } => now_ns -= ns,
            }
            feed.begin_entry(now_ns);
            let mut entry_bytes = 0;
            while let Some((slot, bytes)) = feed.next_grant(now_ns) {
                let at = usize::from(slot);
                prop_assert!(writable[at] && out[at] == 0 && bytes > 0 && bytes <= wanted[at]);
                prop_assert!(entry_bytes < ENTRY_BYTES_MAX);
                (out[at], wanted[at]) = (bytes, wanted[at] - bytes);
                granted += u128::from(bytes);
                entry_bytes += bytes;
            }
            // 111,801,040 bytes/s: less than a byte per ns.
            prop_assert!(unlimited || granted <= allowed, "granted {granted} of {allowed}");
            let waits = (0..12).any(|at| writable[at] && out[at] == 0 && wanted[at] > 0);
            match feed.pause(now_ns) {
                Pause::UntilEvent => prop_assert!(!waits),
                Pause::UpTo(ns) => prop_assert!(waits && !unlimited && ns <= BLOCK_SAVED_NS),
                Pause::None => prop_assert!(waits && entry_bytes >= ENTRY_BYTES_MAX),
            }
        }
    }
}

/// While the uplink is probed the farthest goes first, in small pieces, and each near one is heard of
/// every few milliseconds all the same. On a block the probe has no say.
#[test]
fn a_probe_serves_far_peers_and_hears_of_near_ones() {
    let bucket = Arc::new(Bucket::new(GIGABIT));
    bucket.set_probe(Some(12_500_000));
    let mut feed = Feed::new(Arc::clone(&bucket), 0);
    let mut sights = sights(20, false);
    for sight in &mut sights {
        sight.round_trip_us = 10_000 * (u32::from(sight.slot) + 1);
    }
    arrange_far_first(&mut sights);
    feed.set_order(&sights);
    feed.set_pace(Pace::PROBE);
    for slot in 0..20 {
        feed.want(slot, 1_000_000);
        feed.writable(slot);
    }
    let (mut near, mut far, mut granted) = ([0_u64; 5], 0, 0);
    let ticks = 1_000;
    for tick in 0..ticks {
        let now_ns = START_NS + tick * Pace::PROBE.tick_ns;
        for (slot, bytes) in entry(&mut feed, now_ns) {
            assert!(bytes <= Pace::PROBE.piece_bytes_max);
            match near.get_mut(usize::from(slot)) {
                Some(served) => *served += 1,
                None => far += u64::from(slot == 19),
            }
            granted += u64::from(bytes);
            feed.sent(slot, bytes);
        }
    }
    // 100 ms at 12.5 MB/s on the line, all of it, and a bucketful.
    let rate = bucket.rate_of(Pace::PROBE).unwrap();
    let allowed = rate / 10 + bucket.holds_bytes(Pace::PROBE);
    assert!(granted <= allowed && granted > allowed * 95 / 100, "{granted} of {allowed}");
    assert!(near.iter().all(|served| (20..=34).contains(served)), "{near:?}");
    assert!(far > 50, "{far} pieces to the farthest");
    feed.set_pace(Pace::BLOCK);
    let first = entry(&mut feed, START_NS + 200_000_000);
    assert!(first.iter().map(|(_, bytes)| u64::from(*bytes)).sum::<u64>() > rate / 500 * 4);
    assert_eq!(first[0].1, 16_384, "cold ones are opened on a block");
}

/// Goal: on a slow line the acknowledgements of a warm-up come in trains that are cut, on a fast one
/// nothing is held back.
#[test]
fn a_warm_up_rests_between_whole_pieces_where_the_line_is_slow_for_it() {
    let pieces = |uplink: u64, shards: u32| {
        let bucket = Arc::new(Bucket::new(uplink));
        (1..shards).for_each(|shard| bucket.set_hungry(shard, true));
        let mut feed = Feed::new(Arc::clone(&bucket), 0);
        let far = |sight| Sight { round_trip_us: 50_000, ..sight };
        feed.set_order(&sights(2, false).into_iter().map(far).collect::<Vec<_>>());
        feed.set_pace(Pace::WARM_UP);
        (0..2).for_each(|slot| {
            feed.writable(slot);
            feed.want(slot, 1_000_000);
        });
        let mut given = Vec::new();
        for now_ns in (START_NS..).step_by(WARM_UP_TICK_NS as usize).take(400) {
            for (slot, bytes) in entry(&mut feed, now_ns) {
                given.push((slot, bytes, now_ns));
                feed.sent(slot, bytes);
            }
        }
        given
    };
    let slow = pieces(GIGABIT / 10, 1);
    assert!(slow.iter().all(|(_, bytes, _)| *bytes == WARM_UP_PIECE_BYTES), "{slow:?}");
    for slot in 0..2 {
        let times: Vec<_> = slow.iter().filter(|it| it.0 == slot).map(|it| it.2).collect();
        assert!(times.len() > 3, "{slow:?}");
        let piece_ns = u64::from(WARM_UP_PIECE_BYTES) * 8 * 10;
        let apart_ns = WARM_UP_REST_NS + piece_ns;
        assert!(times.windows(2).all(|two| two[1] - two[0] >= apart_ns), "{times:?}");
    }
    let total: u64 = slow.iter().map(|it| u64::from(it.1)).sum();
    assert!((400_000..550_000).contains(&total), "{total} of 40 ms at 11 MB/s");
    let shared = pieces(GIGABIT / 10, 8);
    assert!(shared.len() > 3, "shards that don't fetch their share starve nobody: {shared:?}");
    let fast = pieces(GIGABIT, 1);
    assert!(fast[4..50].iter().all(|it| it.0 == 0), "the first in order takes all: {fast:?}");
}
