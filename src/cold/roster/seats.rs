//! How many peers are wanted: as many as the uplink serves in time, within `min` and `max`.
//!
//! Peers are served one after the other at the uplink's rate. Whoever's turn comes when the block is
//! everywhere already gains nothing by us, and costs those behind it (`docs/uplink.md`).

use crate::limits::{SEATS_STEP_MAX, SERVED_WITHIN_MS, SERVED_WITHIN_ROUND_TRIPS};

/// What is known of the way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Carries {
    /// Bits/s on the line; `None`: not known, or nothing is held back.
    pub(super) bits_per_s: Option<u64>,
    /// Size of the block that is expected, in bytes.
    pub(super) block_bytes: u64,
}

/// How many peers behind the uplink are served in time; `None`: as many as there are.
///
/// `round_trips_us` are theirs, as far as they are known, in any order.
pub(super) fn in_time(carries: Carries, round_trips_us: &mut [u32]) -> Option<u32> {
    let bits_per_s = carries.bits_per_s.filter(|_| carries.block_bytes > 0)?;
    round_trips_us.sort_unstable();
    let median_us = round_trips_us.get(round_trips_us.len() / 2).copied().unwrap_or(0);
    let within_us =
        (SERVED_WITHIN_MS * 1_000).max(SERVED_WITHIN_ROUND_TRIPS * u64::from(median_us));
    let bits = u128::from(carries.block_bytes) * 8 * 1_000_000;
    let peers = u128::from(within_us) * u128::from(bits_per_s) / bits;
    Some(u32::try_from(peers).unwrap_or(u32::MAX))
}

/// The next number of wanted peers after `now`: a step towards what is served in time, `besides`
/// those that need nothing of the uplink. Always within `min` and `max`.
pub(super) fn next(now: u32, in_time: Option<u32>, besides: u32, min: u32, max: u32) -> u32 {
    let min = min.min(max);
    let aim = in_time.map_or(max, |peers| peers.saturating_add(besides)).clamp(min, max);
    let now = now.clamp(min, max);
    // One peer more or less is not worth a connection.
    if now.abs_diff(aim) <= 1 && aim != min && aim != max {
        return now;
    }
    aim.clamp(now.saturating_sub(SEATS_STEP_MAX), now.saturating_add(SEATS_STEP_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn carries(mbit: u64, block_bytes: u64) -> Carries {
        Carries { bits_per_s: Some(mbit * 1_000_000), block_bytes }
    }

    #[test]
    fn a_slow_uplink_wants_fewer() {
        let mut near = [30_000; 20];
        let mut far = [100_000; 20];
        assert_eq!(in_time(carries(1_000, 1_500_000), &mut near), Some(20));
        assert_eq!(in_time(carries(100, 1_500_000), &mut near), Some(2));
        assert_eq!(in_time(carries(100, 1_500_000), &mut far), Some(3), "far peers can wait");
        assert_eq!(in_time(carries(10, 1_500_000), &mut []), Some(0));
        assert_eq!(in_time(Carries { bits_per_s: None, block_bytes: 1 }, &mut near), None);
        assert_eq!(in_time(carries(100, 0), &mut near), None);
    }

    #[test]
    fn it_moves_in_steps_and_not_for_one() {
        assert_eq!(next(20, Some(3), 0, 5, 20), 18);
        assert_eq!(next(6, Some(3), 0, 5, 20), 5);
        assert_eq!(next(5, None, 0, 5, 20), 7);
        assert_eq!(next(10, Some(11), 0, 5, 20), 10);
        assert_eq!(next(19, Some(900), 0, 5, 20), 20);
        assert_eq!(next(10, Some(0), 10, 5, 20), 10, "those on loopback cost nothing");
    }

    proptest! {
        #[test]
        fn laws(now in 0..2_000_u32, peers in any::<Option<u32>>(), besides in 0..100_u32, a in 0..1_000_u32, b in 0..1_000_u32) {
            let (min, max) = (a.min(b), a.max(b));
            let next = next(now, peers, besides, min, max);
            prop_assert!((min..=max).contains(&next));
            prop_assert!(next.abs_diff(now.clamp(min, max)) <= SEATS_STEP_MAX);
        }

        #[test]
        fn more_carries_more(mbit in 1..10_000_u64, more in 1..10_000_u64, bytes in 1_u64..4_000_000, trip in 0..1_000_000_u32) {
            let few = in_time(carries(mbit, bytes), &mut [trip]);
            prop_assert!(few <= in_time(carries(mbit + more, bytes), &mut [trip]));
            prop_assert!(few >= in_time(carries(mbit, bytes + 1), &mut [trip]));
        }
    }
}
