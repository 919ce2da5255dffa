//! Whether a connection's windows let a block through in one go.

use crate::limits::OPEN_WINDOW_SHARE;
use crate::sys::tcp_info::TcpInfo;

/// What the windows are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Bytes of a block as they are to be expected.
    pub block_bytes: u64,
    /// The uplink, in bits/s; `None`: not known.
    pub uplink_bits_per_s: Option<u64>,
    /// Whether this host's kernel closes windows again when nothing was sent for a while
    /// (`net.ipv4.tcp_slow_start_after_idle`).
    pub closes_when_idle: bool,
}

impl Need {
    /// The window that a peer at this distance needs, in bytes: a block, or all that the uplink
    /// carries until the first acknowledgement is back.
    #[must_use]
    pub fn window_bytes(&self, round_trip_us: u32) -> u64 {
        let Some(bits_per_s) = self.uplink_bits_per_s.filter(|_| round_trip_us > 0) else {
            return self.block_bytes;
        };
        let on_the_way = u128::from(bits_per_s / 8) * u128::from(round_trip_us) / 1_000_000;
        self.block_bytes.min(u64::try_from(on_the_way).unwrap_or(u64::MAX))
    }
}

/// What may be in flight to a peer when a block comes, in bytes: the smaller of our own window and
/// the peer's. A peer that keeps its window at zero has one of zero.
#[must_use]
pub fn window_bytes(info: &TcpInfo, closes_when_idle: bool) -> u64 {
    let peers = info.peer_window_bytes.map_or(u64::MAX, u64::from);
    let own = if closes_when_idle { after_idle(info) } else { info.window_bytes() };
    own.min(peers)
}

/// Halved for each retransmission timeout without sending, down to the first flight
/// (`tcp_cwnd_restart`). The kernel does so when it sends again, and shows the old window until then.
fn after_idle(info: &TcpInfo) -> u64 {
    let timeout_ms = (info.timeout_us / 1_000).max(1);
    let halved = (info.idle_ms / timeout_ms).min(31);
    let first_flight = info.window_segments.min(FIRST_FLIGHT_SEGMENTS);
    let segments = (info.window_segments >> halved).max(first_flight);
    u64::from(segments) * u64::from(info.segment_bytes)
}

/// Segments that go out at once on a new connection (RFC 6928).
pub const FIRST_FLIGHT_SEGMENTS: u32 = 10;

/// Whether a block can go to this peer as fast as the uplink carries it.
#[must_use]
pub fn is_warm(info: &TcpInfo, need: &Need) -> bool {
    let wanted = need.window_bytes(info.least_round_trip_us);
    window_bytes(info, need.closes_when_idle) >= wanted
}

/// Whether it is to be served among the warm ones: its windows are near enough to what it needs, so
/// it costs the line no idle time and itself a round trip more at most. A window that was opened at
/// the uplink's own rate often stands at half of what is on the way: CUBIC leaves slow start when its
/// acknowledgements come in one train for half a round trip (HyStart).
#[must_use]
pub fn is_open(info: &TcpInfo, need: &Need) -> bool {
    let wanted = need.window_bytes(info.least_round_trip_us);
    window_bytes(info, need.closes_when_idle) >= wanted / OPEN_WINDOW_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(window_segments: u32, peer_window_bytes: u32, round_trip_us: u32) -> TcpInfo {
        TcpInfo {
            segment_bytes: 1_448,
            window_segments,
            peer_window_bytes: Some(peer_window_bytes),
            least_round_trip_us: round_trip_us,
            timeout_us: 200_000,
            ..TcpInfo::default()
        }
    }

    #[test]
    fn both_windows_must_hold_a_block_or_what_is_on_the_way() {
        let need = Need {
            block_bytes: 1_000_000,
            uplink_bits_per_s: Some(100_000_000),
            closes_when_idle: false,
        };
        // 100 Mbit/s and 20 ms: 250 KB.
        assert!(is_warm(&info(173, 250_000, 20_000), &need));
        assert!(!is_warm(&info(172, 250_000, 20_000), &need));
        assert!(is_open(&info(58, 250_000, 20_000), &need));
        assert!(!is_open(&info(57, 250_000, 20_000), &need));
        assert!(!is_warm(&info(1_000, 249_999, 20_000), &need));
        assert!(!is_warm(&info(173, 250_000, 0), &need), "far, as long as it is not known");
        // Far away a block is the limit.
        assert!(is_warm(&info(700, 1_000_000, 200_000), &need));
        let unknown = Need { uplink_bits_per_s: None, ..need };
        assert!(!is_warm(&info(173, 250_000, 20_000), &unknown));
        assert!(!is_warm(&info(9_999, 0, 20_000), &need), "a window of zero");
        let old = TcpInfo { peer_window_bytes: None, ..info(173, 0, 20_000) };
        assert!(is_warm(&old, &need), "an old kernel does not tell the peer's");
        let nonsense = Need { uplink_bits_per_s: Some(u64::MAX), ..need };
        assert_eq!(nonsense.window_bytes(u32::MAX), 1_000_000);
    }

    #[test]
    fn windows_close_while_idle_where_the_host_says_so() {
        let idle = |idle_ms| TcpInfo { idle_ms, ..info(1_000, 9_999_999, 20_000) };
        let segments = |idle_ms| window_bytes(&idle(idle_ms), true) / 1_448;
        assert_eq!([0, 199, 200, 600, 10_000_000].map(segments), [1_000, 1_000, 500, 125, 10]);
        assert_eq!(window_bytes(&idle(10_000), false) / 1_448, 1_000);
        let small = TcpInfo { window_segments: 4, ..idle(1_000) };
        assert_eq!(window_bytes(&small, true), 4 * 1_448);
    }
}
