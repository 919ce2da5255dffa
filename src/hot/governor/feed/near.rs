//! The nearest sockets of a shard: they tell of the queue while the uplink is probed.

use crate::hot::governor::order::Sight;
use crate::limits::{BEACON_PEERS_MAX, BEACON_PEERS_MIN, BEACON_PEERS_SHARE};

/// The nearest sockets, nearest first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Near {
    slots: [u16; BEACON_PEERS_MAX],
    ways_us: [u32; BEACON_PEERS_MAX],
    length: usize,
}

impl Near {
    /// A share of all, of those whose round trip is known.
    pub(super) fn of(order: &[Sight]) -> Self {
        let most = (order.len() / BEACON_PEERS_SHARE).clamp(BEACON_PEERS_MIN, BEACON_PEERS_MAX);
        let mut near = Self::default();
        for sight in order.iter().filter(|sight| sight.round_trip_us > 0) {
            let nearer = near.ways_us[..near.length].iter();
            let at = nearer.filter(|way_us| **way_us <= sight.round_trip_us).count();
            if at >= most {
                continue;
            }
            near.length = (near.length + 1).min(most);
            near.slots[at..near.length].rotate_right(1);
            near.ways_us[at..near.length].rotate_right(1);
            (near.slots[at], near.ways_us[at]) = (sight.slot, sight.round_trip_us);
        }
        near
    }

    /// They.
    pub(super) fn slots(&self) -> &[u16] {
        &self.slots[..self.length]
    }
}
