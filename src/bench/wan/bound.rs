//! What no program can beat: the block's way over the line and the peers' distance. Pure.

use crate::limits::{FRAME_HEADER_BYTES, SEGMENT_LINE_BYTES, SEGMENT_PAYLOAD_BYTES};

/// A line and what is sent over it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) bits_per_s: u64,
    /// Size of the block, in bytes.
    pub(super) bytes: u32,
}

impl Load {
    /// Time that one copy of the block takes on the line, in ns.
    pub(super) fn copy_ns(self) -> u64 {
        let payload = u64::from(self.bytes + FRAME_HEADER_BYTES);
        let packets = payload.div_ceil(SEGMENT_PAYLOAD_BYTES.into());
        let overhead = u64::from(SEGMENT_LINE_BYTES) - u64::from(SEGMENT_PAYLOAD_BYTES);
        (payload + packets * overhead) * 8 * 1_000_000_000 / self.bits_per_s.max(1)
    }
}

/// Least time until `share` per cent of the peers with these round trips (in us) have the block, in
/// ns: the nearest so many of them, served far to near at the full rate with open windows.
pub(super) fn bound_ns(round_trips_us: &[u32], load: Load, share: usize) -> u64 {
    let mut nearest = round_trips_us.to_vec();
    nearest.sort_unstable();
    nearest.truncate((round_trips_us.len() * share).div_ceil(100).max(1));
    let served = nearest.iter().rev().zip(1..);
    served.map(|(trip_us, nth)| nth * load.copy_ns() + u64::from(*trip_us) * 500).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The study's own figures: 20 peers, 1 MB, 1 Gbit/s: 18 / 95 / 163 / 180 ms.
    #[test]
    fn it_is_the_studys() {
        let trips: Vec<u32> = (0..20).map(|at| 20_000 + 180_000 * at / 19).collect();
        let load = Load { bits_per_s: 1_000_000_000, bytes: 1_000_000 };
        let bounds = [0, 50, 90, 100].map(|it| (bound_ns(&trips, load, it) + 500_000) / 1_000_000);
        assert_eq!(bounds, [18, 95, 163, 180]);
        let slow = Load { bits_per_s: 100_000_000, bytes: 20_000 };
        let trips: Vec<u32> = (0..100).map(|at| 20_000 + 180_000 * at / 99).collect();
        let bounds = [0, 50, 90, 100].map(|it| (bound_ns(&trips, slow, it) + 500_000) / 1_000_000);
        assert_eq!(bounds, [12, 95, 163, 180]);
    }
}
