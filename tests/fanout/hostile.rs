//! Bad input to the governor: what is configured, what peers do, what the clock says. Each is held
//! against everything at once before the same line with the same trouble; the factors are the law:
//!
//! | trouble | T(half) and T(all), of everything at once |
//! | --- | --- |
//! | an uplink configured ten times too high | 1.1 and 2 |
//! | ten times too low | 5 and 6: its own serialisation, as configured |
//! | peers that keep their windows at zero | 1 and 1 for the others |
//! | peers that acknowledge what they do not have | 1 and 1 for the others |
//! | a clock that jumps, forwards and back | 1 and 1 |
//! | a route that changes to a tenth of the rate in mid-block | 1 and 1.3 |
//!
//! A card that reports nonsense, and a route or acknowledgements that lie while the rate is measured,
//! are in the learner's simulation (`cold/uplink/learner/simulated.rs`).

use broadside::hot::governor::bucket::payload_rate;
use broadside::hot::link::Cause;

use crate::far::{BLOCK_BYTES, GIGABIT, OPEN, SimWorld, all_at_once, broadcast, far_world, queue};
use crate::governed::policy;
use crate::{SECOND_NS, causes};

/// Holds the middle and the last of `ours` against those of `theirs`: factors in percent.
fn hold(what: &str, ours: &[u64], theirs: &[u64], percent: [u64; 2]) {
    let of = |times: &[u64]| [times[times.len() / 2 - 1], times[times.len() - 1]];
    eprintln!("{what}, half and all: {:?} ms, at once {:?} ms", of(ours), of(theirs));
    for ((our, their), percent) in of(ours).into_iter().zip(of(theirs)).zip(percent) {
        assert!(our * 100 <= their * percent, "{what}: {ours:?} {theirs:?}");
    }
}

fn at_once(disturb: impl FnMut(&mut SimWorld, u64)) -> Vec<u64> {
    broadcast(&mut far_world(all_at_once(), OPEN), 0, disturb)
}

fn governed(bits_per_s: u64, disturb: impl FnMut(&mut SimWorld, u64)) -> Vec<u64> {
    broadcast(&mut far_world(policy(Some(bits_per_s)), OPEN), 0, disturb)
}

/// Ten times too high: half of the peers have it as soon as all at once, the last within twice that
/// time (it is the order of the losses that differs). Ten times too low: ten times the serialisation,
/// which is what was configured.
#[test]
fn a_wrong_rate_is_bounded() {
    let free = at_once(|_, _| {});
    hold("ten times too high", &governed(10 * GIGABIT, |_, _| {}), &free, [110, 200]);
    let low = governed(GIGABIT / 10, |_, _| {});
    hold("ten times too low", &low, &free, [500, 600]);
    let serial_ms = 20 * BLOCK_BYTES as u64 * 1_000 / payload_rate(GIGABIT / 10);
    assert!(low[19] <= serial_ms + 200, "{low:?}");
    // On cold connections it is the windows that take the time.
    let cold_free = broadcast(&mut far_world(all_at_once(), 14_480), 0, |_, _| {});
    let cold = broadcast(&mut far_world(policy(Some(GIGABIT)), 14_480), 0, |_, _| {});
    hold("cold", &cold, &cold_free, [115, 115]);
}

/// Peers that take nothing cost what lies unsent in them, and go when their time is up.
#[test]
fn a_peer_without_a_window_costs_its_own_bound() {
    let stall = |world: &mut SimWorld| {
        (0..4).for_each(|at| world.shard.ring_mut().inner.stall(at * 5, true));
    };
    let clean = governed(GIGABIT, |_, _| {});
    let mut world = far_world(policy(Some(GIGABIT)), OPEN);
    stall(&mut world);
    let times = broadcast(&mut world, 4, |_, _| {});
    assert!(times[7] <= clean[9] + 8 && times[15] <= clean[19] + 8, "{times:?} {clean:?}");
    assert_eq!(causes(&world), [], "not before its time");
    world.shard.ring_mut().ahead_ns += 11 * SECOND_NS;
    world.until("the stalled are gone", |world| causes(world).len() == 4);
    assert!(causes(&world).iter().all(|(_, cause)| *cause == Cause::Stalled));
    world.until("all settled", |world| world.shard.in_flight() == 0);
    let mut free = far_world(all_at_once(), OPEN);
    stall(&mut free);
    hold("without a window", &times[..16], &broadcast(&mut free, 4, |_, _| {})[..16], [100; 2]);
}

/// Peers that acknowledge at once what they can't have yet: their windows open without end, and what
/// is lost on the way to them nobody sends again. The bucket does not heed windows.
#[test]
fn acknowledgements_that_lie_cost_the_liars_own_share() {
    let run = |policy| {
        let mut world = far_world(policy, OPEN);
        let line = world.shard.ring_mut().inner.line_mut().unwrap();
        (0..4).for_each(|at| line.lie(at * 5));
        let times = broadcast(&mut world, 4, |_, _| {});
        (times, queue(&mut world))
    };
    let (times, (queued, lost)) = run(policy(Some(GIGABIT)));
    assert!(queued < 400_000 && lost == 0, "{queued} queued, {lost} lost");
    let clean = governed(GIGABIT, |_, _| {});
    assert!(times[9] <= clean[9] + 8 && times[15] <= clean[19], "{times:?} {clean:?}");
    hold("liars", &times[..16], &run(all_at_once()).0[..16], [100; 2]);
}

/// A clock that jumps gives one bucketful, and stops nobody.
#[test]
fn a_clock_that_jumps_is_bounded() {
    let mut world = far_world(policy(Some(GIGABIT)), OPEN);
    let jump = |world: &mut SimWorld, turn| {
        let ring = world.shard.ring_mut();
        match turn % 200 {
            50 => ring.ahead_ns += 3 * SECOND_NS,
            150 => ring.ahead_ns -= 3 * SECOND_NS,
            _ => {}
        }
    };
    let times = broadcast(&mut world, 0, jump);
    let (queued, lost) = queue(&mut world);
    assert!(times[19] <= 300 && lost == 0, "{times:?}");
    assert!(queued < 1_000_000, "{queued} bytes queued");
    world.until("all handled", |world| world.shard.in_flight() == 0);
    assert_eq!(causes(&world), []);
    hold("a clock that jumps", &times, &at_once(|_, _| {}), [100; 2]);
}

/// In the middle of a block the way out becomes one of a tenth of the rate. Nobody knows until the
/// block has shown what was lost; until then it is an uplink that is configured too high.
#[test]
fn a_route_that_changes_is_bounded() {
    let change = |world: &mut SimWorld, turn| {
        if turn == 200 {
            let line = world.shard.ring_mut().inner.line_mut().unwrap();
            line.set_rate(payload_rate(GIGABIT / 10) * 100 / 95);
        }
    };
    hold("another route", &governed(GIGABIT, change), &at_once(change), [100, 130]);
}
