//! What only the host can set, and what it is worth here.

use std::fs;

use super::warmth::FIRST_FLIGHT_SEGMENTS;

/// First flight that is advised, in segments.
const ADVISED_FLIGHT_SEGMENTS: u32 = 64;
/// Window at which a new connection leaves slow start when the host remembers a loss of an old one,
/// in segments: what was seen towards peers with losses.
const REMEMBERED_SEGMENTS: u32 = 16;

/// TCP settings of this host. `None`: it does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostTcp {
    /// `net.ipv4.tcp_slow_start_after_idle`.
    pub closes_when_idle: Option<bool>,
    /// Not `net.ipv4.tcp_no_metrics_save`.
    pub remembers_losses: Option<bool>,
}

impl HostTcp {
    /// As they are now, in the calling thread's network.
    #[must_use]
    pub fn read() -> Self {
        let setting = |name: &str| {
            let text = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?;
            text.trim().parse::<u32>().ok().map(|value| value != 0)
        };
        Self {
            closes_when_idle: setting("tcp_slow_start_after_idle"),
            remembers_losses: setting("tcp_no_metrics_save").map(|off| !off),
        }
    }
}

/// What the gains are worked out from.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// Least round trips of the peers behind the uplink, in us; 0: not known.
    pub round_trips_us: Vec<u32>,
    /// Bytes of a block as they are to be expected.
    pub block_bytes: u64,
    /// Payload of a segment, in bytes.
    pub segment_bytes: u32,
    /// Smallest congestion window of a fresh connection, in segments; `None`: none was seen.
    pub first_flight_segments: Option<u32>,
}

/// One setting that would be better otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What to do, as a command.
    pub command: &'static str,
    /// What it is for, in words.
    pub why: &'static str,
    /// What it is worth at the peer in the middle, in ms.
    pub gain_ms: u64,
}

impl Advice {
    /// One line.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{} (about {} ms sooner at half of the peers: {})",
            self.command, self.gain_ms, self.why
        )
    }
}

/// What the host could do better, best first. Nothing where nobody is behind an uplink.
#[must_use]
pub fn advice(host: HostTcp, situation: &Situation) -> Vec<Advice> {
    let mut ways: Vec<_> = situation.round_trips_us.iter().filter(|us| **us > 0).collect();
    ways.sort_unstable();
    let Some(middle_us) = ways.get(ways.len() / 2).map(|us| u64::from(**us)) else {
        return Vec::new();
    };
    let segments = situation.block_bytes.div_ceil(u64::from(situation.segment_bytes.max(1)));
    let first = situation.first_flight_segments.unwrap_or(FIRST_FLIGHT_SEGMENTS);
    let cold = rounds(first, u32::MAX, segments);
    let gain_ms = |rounds_saved: u64| rounds_saved * middle_us / 1_000;
    let mut all = Vec::new();
    if host.closes_when_idle == Some(true) {
        all.push(Advice {
            command: "broadside tune apply --only tcp/slow_start_after_idle",
            why: "windows that are open stay open between blocks",
            gain_ms: gain_ms(cold.saturating_sub(1)),
        });
    }
    if first < ADVISED_FLIGHT_SEGMENTS / 2 {
        let wide = rounds(ADVISED_FLIGHT_SEGMENTS, u32::MAX, segments);
        all.push(Advice {
            command: "broadside tune apply --only tcp/initcwnd",
            why: "a fresh connection starts with a wider window",
            gain_ms: gain_ms(cold.saturating_sub(wide)),
        });
    }
    if host.remembers_losses == Some(true) {
        let slow = rounds(first, REMEMBERED_SEGMENTS, segments);
        all.push(Advice {
            command: "broadside tune apply --only tcp/no_metrics_save",
            why: "a fresh connection does not suffer for a loss on an earlier one; only then",
            gain_ms: gain_ms(slow.saturating_sub(cold)),
        });
    }
    all.retain(|it| it.gain_ms > 0);
    all.sort_by_key(|it| u64::MAX - it.gain_ms);
    all
}

/// Round trips that `segments` take from a first flight of `window`: doubled each time up to
/// `threshold`, then one more each time.
fn rounds(window: u32, threshold: u32, segments: u64) -> u64 {
    let (mut window, mut left, mut rounds) = (u64::from(window.max(1)), segments, 0);
    while left > 0 {
        left = left.saturating_sub(window);
        rounds += 1;
        window = if window < u64::from(threshold) { window * 2 } else { window + 1 };
    }
    rounds
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is advised can be done: `tuning/` has a unit of that name.
    #[test]
    fn advice_names_settings_that_there_are() {
        let host = HostTcp { closes_when_idle: Some(true), remembers_losses: Some(true) };
        let situation = Situation {
            round_trips_us: vec![100_000],
            block_bytes: 1_000_000,
            segment_bytes: 1_448,
            first_flight_segments: None,
        };
        let all = advice(host, &situation);
        assert_eq!(all.len(), 3);
        for it in all {
            let name = it.command.strip_prefix("broadside tune apply --only ").unwrap();
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning");
            assert!(folder.join(name).with_extension("toml").is_file(), "{name}");
        }
    }

    #[test]
    fn gains_are_round_trips_of_the_peer_in_the_middle() {
        assert_eq!([rounds(10, u32::MAX, 691), rounds(64, u32::MAX, 691)], [7, 4]);
        assert_eq!((rounds(10, u32::MAX, 0), rounds(0, 0, 3)), (0, 2));
        let host = HostTcp { closes_when_idle: Some(true), remembers_losses: Some(false) };
        let situation = Situation {
            round_trips_us: vec![20_000, 0, 110_000, 200_000],
            block_bytes: 1_000_000,
            segment_bytes: 1_448,
            first_flight_segments: None,
        };
        let all = advice(host, &situation);
        assert_eq!(all.iter().map(|it| it.gain_ms).collect::<Vec<_>>(), [660, 330]);
        assert!(all[0].line().contains("slow_start_after_idle (about 660 ms"), "{all:?}");
        let wide = Situation { first_flight_segments: Some(64), ..situation.clone() };
        assert_eq!(advice(HostTcp::default(), &wide), []);
        let nobody = Situation { round_trips_us: vec![0], ..situation.clone() };
        assert_eq!(advice(host, &nobody), []);
        // A block that goes in one flight gains nothing, however far the peers are.
        let small = Situation { block_bytes: 5_000, ..situation };
        assert_eq!(advice(host, &small), []);
    }

    #[test]
    fn the_host_is_asked() {
        // Whatever it says, asking does no harm.
        let _ = HostTcp::read();
    }
}
