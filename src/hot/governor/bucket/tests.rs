use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::*;

const GIGABIT: u64 = 1_000_000_000;
const START_NS: u64 = 1_000_000_000_000;

#[test]
fn the_rate_is_what_is_left_for_payload() {
    // 125 MB/s on the line, 95 % used, 1,448 of 1,538 bytes payload.
    assert_eq!(payload_rate(GIGABIT), 111_801_040);
    assert_eq!(payload_rate(0), payload_rate(UPLINK_BITS_MIN));
    assert_eq!(payload_rate(u64::MAX), payload_rate(UPLINK_BITS_MAX));
}

#[test]
fn unlimited_grants_everything() {
    let bucket = Bucket::unlimited();
    let grant = bucket.take(0, Pace::BLOCK, u32::MAX).unwrap();
    assert_eq!(grant.bytes, u32::MAX);
    bucket.settle(grant, 0);
    bucket.charge(0, Pace::BLOCK, u32::MAX);
    assert_eq!((bucket.ready_in_ns(0, Pace::BLOCK, 1), bucket.rate()), (0, None));
}

#[test]
fn it_starts_full_and_gives_the_rest_from_the_clock() {
    let bucket = Bucket::new(GIGABIT);
    let full = bucket.holds_bytes(Pace::BLOCK);
    assert_eq!(full, 223_602);
    let first = bucket.take(START_NS, Pace::BLOCK, 1_000_000).unwrap();
    assert_eq!(u64::from(first.bytes), full);
    assert_eq!(bucket.take(START_NS, Pace::BLOCK, 1_000_000), None);
    let wait_ns = bucket.ready_in_ns(START_NS, Pace::BLOCK, 1_000_000);
    assert!((12_900..13_000).contains(&wait_ns), "a segment takes 12.95 us, not {wait_ns} ns");
    assert_eq!(bucket.take(START_NS + wait_ns - 10, Pace::BLOCK, 1_000_000), None);
    assert!(bucket.take(START_NS + wait_ns, Pace::BLOCK, 1_000_000).is_some());
}

#[test]
fn what_was_not_sent_comes_back_once() {
    let bucket = Bucket::new(GIGABIT);
    let grant = bucket.take(START_NS, Pace::BLOCK, 200_000).unwrap();
    bucket.settle(grant, 50_000);
    let again = bucket.take(START_NS, Pace::BLOCK, 1_000_000).unwrap();
    let full = bucket.holds_bytes(Pace::BLOCK);
    assert!((full - 50_002..=full - 50_000).contains(&again.bytes.into()), "{again:?}");
    bucket.settle(again, again.bytes);
    assert_eq!(bucket.take(START_NS, Pace::BLOCK, 1_000_000), None);
}

#[test]
fn a_debt_and_a_clock_that_goes_back_are_bounded() {
    let bucket = Bucket::new(GIGABIT);
    bucket.charge(START_NS, Pace::BLOCK, u32::MAX);
    let wait_ns = bucket.ready_in_ns(START_NS, Pace::BLOCK, 1_448);
    assert!(wait_ns < BLOCK_SAVED_NS + 20_000, "{wait_ns}");
    let back_ns = START_NS - 600 * NS_PER_S;
    assert_eq!(bucket.take(back_ns, Pace::BLOCK, 1_448), None, "no gift for it");
    assert!(bucket.ready_in_ns(back_ns, Pace::BLOCK, 1_448) < 20_000);
    assert!(bucket.take(back_ns + 20_000, Pace::BLOCK, 1_448).is_some());
}

#[test]
fn shares_are_even_and_what_is_not_fetched_is_not_lost() {
    let bucket = Bucket::new(GIGABIT);
    let full = bucket.holds_bytes(Pace::BLOCK);
    let tick = full * BLOCK_TICK_NS / BLOCK_SAVED_NS;
    let share = |shard, since_ns| bucket.share(START_NS, Pace::BLOCK, shard, since_ns);
    assert_eq!(share(0, BLOCK_TICK_NS), full, "alone");
    bucket.set_hungry(0, true);
    bucket.set_hungry(1, true);
    assert!(bucket.is_shared(0));
    assert_eq!(share(0, u64::MAX), full / 2, "after a pause");
    // Of a full bucket nobody has fetched anything for a while: but for what the other may have.
    assert!(share(0, BLOCK_TICK_NS).abs_diff(full - tick / 2) <= 1);
    let _ = bucket.take(START_NS, Pace::BLOCK, (full - tick) as u32).unwrap();
    assert!(share(0, BLOCK_TICK_NS).abs_diff(tick / 2) <= 2, "a tick's tokens are halved");
    assert!(share(7, BLOCK_TICK_NS).abs_diff(tick / 3) <= 2, "and there may be three");
    (0..20).for_each(|shard| bucket.set_hungry(shard, true));
    assert!(share(0, BLOCK_TICK_NS).abs_diff(tick / 20) <= 20);
    (1..20).for_each(|shard| bucket.set_hungry(shard, false));
    assert!(!bucket.is_shared(0));
}

#[test]
fn threads_that_race_get_no_more_than_there_is() {
    let bucket = Arc::new(Bucket::new(GIGABIT));
    let racers = (0..4).map(|_| {
        let bucket = Arc::clone(&bucket);
        thread::spawn(move || {
            let mut granted = 0;
            for step in 0..20_000 {
                if let Some(grant) = bucket.take(START_NS + step * 1_000, Pace::BLOCK, 9_000) {
                    let sent = grant.bytes / (1 + step as u32 % 2);
                    bucket.settle(grant, sent);
                    granted += u64::from(sent);
                }
            }
            granted
        })
    });
    let racers: Vec<_> = racers.collect();
    let granted: u64 = racers.into_iter().map(|racer| racer.join().unwrap()).sum();
    let allowed = payload_rate(GIGABIT) / 50 + bucket.holds_bytes(Pace::BLOCK);
    // Each racer has its own clock, late by as much as the others outran it: that many jumps back.
    assert!(granted <= allowed + 4 * bucket.holds_bytes(Pace::BLOCK), "{granted} of {allowed}");
}

/// One step of a made-up life of a bucket.
#[derive(Clone, Debug)]
enum Step {
    Pass { ns: u64 },
    Back { ns: u64 },
    Take { bytes: u32, sent_percent: u32 },
    Charge { bytes: u32 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..3_000_000).prop_map(|ns| Step::Pass { ns }),
        1 => any::<u32>().prop_map(|ns| Step::Pass { ns: u64::from(ns) * 100 }),
        1 => any::<u32>().prop_map(|ns| Step::Back { ns: u64::from(ns) * 100 }),
        6 => (1_u32..5_000_000, 0_u32..=100)
            .prop_map(|(bytes, sent_percent)| Step::Take { bytes, sent_percent }),
        1 => (0_u32..100_000).prop_map(|bytes| Step::Charge { bytes }),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    /// Granted ≤ rate × time + one bucketful. A jump of the clock, either way, gives at most one
    /// bucketful more.
    #[test]
    fn no_more_than_the_rate_is_granted(
        steps in steps(),
        bits_per_s in 1_000_000_u64..100_000_000_000,
    ) {
        let bucket = Bucket::new(bits_per_s);
        let rate = u128::from(bucket.rate().unwrap());
        let full = u128::from(bucket.holds_bytes(Pace::BLOCK)) + 1;
        let (mut now_ns, mut granted, mut allowed) = (u64::MAX / 4, 0_u128, full);
        for step in steps {
            match step {
                Step::Pass { ns } => {
                    now_ns += ns;
                    allowed += (u128::from(ns) * rate / u128::from(NS_PER_S) + 1).min(full);
                }
                Step::Back { ns } => now_ns -= ns,
                Step::Take { bytes, sent_percent } => {
                    if let Some(grant) = bucket.take(now_ns, Pace::BLOCK, bytes) {
                        prop_assert!(grant.bytes <= bytes);
                        let sent = (u64::from(grant.bytes) * u64::from(sent_percent) / 100) as u32;
                        bucket.settle(grant, sent);
                        granted += u128::from(sent);
                    } else {
                        let wait_ns = bucket.ready_in_ns(now_ns, Pace::BLOCK, bytes);
                        prop_assert!(wait_ns > 0, "refused with tokens there");
                    }
                }
                Step::Charge { bytes } => bucket.charge(now_ns, Pace::BLOCK, bytes),
            }
            prop_assert!(granted <= allowed, "granted {granted}, allowed {allowed}");
        }
    }
}
