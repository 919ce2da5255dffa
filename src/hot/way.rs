//! Which form of a block a peer gets: the one that is expected to be there first, of those that it
//! takes. Pure: what is answered depends on what is given alone.

use super::link::{Relay, Terms, Way};

/// A new connection's window, in bytes (RFC 6928: ten segments).
const FLIGHT_BYTES: u64 = 14_480;
/// Compact blocks of which the peer lacks a transaction, in percent (`blockencodings.cpp` logs;
/// the network study's figure).
const LACKING_PERCENT: u64 = 12;
/// What a line of unknown rate is taken for, in bytes/s: 10 Gbit/s.
const UNKNOWN_BYTES_PER_S: u64 = 1_250_000_000;

/// The way to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Least round trip measured, in us; 0: not known.
    pub round_trip_us: u32,
    /// Its windows let a whole block through.
    pub warm: bool,
    /// They let a compact block through.
    pub warm_for_small: bool,
}

/// What the block is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// The whole block, in bytes.
    pub block_bytes: u32,
    /// Its compact form, where there is one.
    pub compact_bytes: Option<u32>,
    /// Its header can be sent alone.
    pub has_headers: bool,
}

/// The line that peers share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its rate, where that is known.
    pub bytes_per_s: Option<u64>,
    /// How many are served at the same time.
    pub sharing: u32,
}

/// The form with the smallest expected time until the peer has the block, of those that `terms`
/// allow. Of equal ones the whole block, which says more when it is received.
#[must_use]
pub fn choose(terms: &Terms, path: Path, load: Load, line: Line) -> Way {
    let full_us = bytes_us(load.block_bytes, path.warm, path, line);
    let compact = load.compact_bytes.filter(|_| terms.relay != Relay::Full);
    if let Some(bytes) = compact.filter(|_| terms.takes_compact()) {
        let compact_us = bytes_us(bytes, path.warm || path.warm_for_small, path, line);
        let (way, lacking_us) = match terms.relay {
            // What is lacking comes with the whole block, a compact block's time later.
            Relay::CompactAndFull => {
                (Way::CompactThenFull, full_us.saturating_add(line_us(bytes, line)))
            }
            _ => (Way::Compact, compact_us.saturating_add(path.round_trip_us.into())),
        };
        let expected_us = mean(compact_us, lacking_us);
        return if expected_us < full_us { way } else { Way::Full };
    }
    if terms.relay == Relay::Full || !terms.asks_back || !load.has_headers {
        return Way::Full;
    }
    // The header goes there, the question comes back, and the block goes there.
    let asked = compact.filter(|_| terms.speaks_compact);
    let there_us = match asked {
        Some(bytes) => {
            let us = bytes_us(bytes, path.warm || path.warm_for_small, path, line);
            mean(us, us.saturating_add(path.round_trip_us.into()))
        }
        None => full_us,
    };
    let headers_us = there_us.saturating_add(path.round_trip_us.into());
    if headers_us < full_us { Way::Headers } else { Way::Full }
}

/// What is expected where `often` is the rule and `lacking` happens to some.
const fn mean(often: u64, lacking: u64) -> u64 {
    let sum = often.saturating_mul(100 - LACKING_PERCENT);
    sum.saturating_add(lacking.saturating_mul(LACKING_PERCENT)) / 100
}

/// Time until `bytes` are there: half a round trip, the line, and a round trip for each further
/// flight where the window is not open. In us.
fn bytes_us(bytes: u32, is_open: bool, path: Path, line: Line) -> u64 {
    let round_trip_us = u64::from(path.round_trip_us);
    let flights = if is_open { 0 } else { (u64::from(bytes) / FLIGHT_BYTES + 1).ilog2().into() };
    let way_us = round_trip_us / 2;
    way_us
        .saturating_add(round_trip_us.saturating_mul(flights))
        .saturating_add(line_us(bytes, line))
}

/// Time on the line for the middle one of those that share it, in us.
fn line_us(bytes: u32, line: Line) -> u64 {
    let rate = line.bytes_per_s.unwrap_or(UNKNOWN_BYTES_PER_S).max(1);
    let ahead = u64::from(bytes).saturating_mul(u64::from(line.sharing) + 1) / 2;
    ahead.saturating_mul(1_000_000) / rate
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAR: Path = Path { round_trip_us: 100_000, warm: true, warm_for_small: true };
    const LOAD: Load =
        Load { block_bytes: 1_500_000, compact_bytes: Some(20_000), has_headers: true };
    const GIGABIT: Line = Line { bytes_per_s: Some(118_000_000), sharing: 20 };

    fn terms(relay: Relay) -> Terms {
        Terms { relay, takes_unasked: true, speaks_compact: true, ..Terms::default() }
    }

    #[test]
    fn a_shared_uplink_makes_compact_worth_its_round_trips() {
        assert_eq!(choose(&terms(Relay::CompactAndFull), FAR, LOAD, GIGABIT), Way::CompactThenFull);
        assert_eq!(choose(&terms(Relay::Compact), FAR, LOAD, GIGABIT), Way::Compact);
        assert_eq!(choose(&terms(Relay::Full), FAR, LOAD, GIGABIT), Way::Full);
        // A line so fast that asking for what is lacking takes longer than the block.
        let fast = Line { bytes_per_s: None, sharing: 1 };
        assert_eq!(choose(&terms(Relay::Compact), FAR, LOAD, fast), Way::Full);
        assert_eq!(choose(&terms(Relay::CompactAndFull), FAR, LOAD, fast), Way::CompactThenFull);
        let cold = Path { warm: false, ..FAR };
        assert_eq!(choose(&terms(Relay::Compact), cold, LOAD, fast), Way::Compact);
    }

    #[test]
    fn a_small_block_goes_whole() {
        let load = Load { block_bytes: 500, compact_bytes: Some(500), has_headers: true };
        for relay in [Relay::CompactAndFull, Relay::Compact] {
            assert_eq!(choose(&terms(relay), FAR, load, GIGABIT), Way::Full);
        }
    }

    #[test]
    fn who_takes_no_compact_block_may_ask_for_it() {
        let asks = Terms { takes_unasked: false, asks_back: true, ..terms(Relay::Compact) };
        let few = Line { sharing: 5, ..GIGABIT };
        assert_eq!(choose(&asks, FAR, LOAD, few), Way::Full);
        let slow = Line { bytes_per_s: Some(5_000_000), sharing: 20 };
        assert_eq!(choose(&asks, FAR, LOAD, slow), Way::Headers);
        let chosen = Terms { chose_us: true, ..asks };
        assert_eq!(choose(&chosen, FAR, LOAD, slow), Way::Compact);
        let silent = Terms { asks_back: false, ..asks };
        assert_eq!(choose(&silent, FAR, LOAD, slow), Way::Full);
    }

    #[test]
    fn a_choice_counts_in_the_chains_version_only() {
        let mut terms = Terms { compact_version: 2, ..Terms::default() };
        terms.heard(true, 1);
        assert!(!terms.speaks_compact && !terms.chose_us);
        terms.heard(true, 2);
        assert!(terms.takes_compact());
        terms.heard(false, 2);
        assert!(terms.speaks_compact && !terms.takes_compact());
    }

    fn any_terms() -> impl Strategy<Value = Terms> {
        let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        (0_usize..3, flags).prop_map(|(relay, (takes, speaks, chose, asks))| Terms {
            relay: [Relay::Full, Relay::CompactAndFull, Relay::Compact][relay],
            takes_unasked: takes,
            speaks_compact: speaks,
            chose_us: chose,
            asks_back: asks,
            ..Terms::default()
        })
    }

    fn any_path() -> impl Strategy<Value = Path> {
        (0_u32..1_000_000, any::<bool>(), any::<bool>()).prop_map(|(round_trip_us, warm, small)| {
            Path { round_trip_us, warm, warm_for_small: small }
        })
    }

    fn any_load() -> impl Strategy<Value = Load> {
        (any::<u32>(), proptest::option::of(0_u32..50_000), any::<bool>()).prop_map(
            |(block_bytes, compact_bytes, has_headers)| Load {
                block_bytes,
                compact_bytes,
                has_headers,
            },
        )
    }

    proptest! {
        /// Never a form that the peer does not take, that there is not, or that was not allowed.
        #[test]
        fn only_what_is_taken_is_chosen(
            terms in any_terms(),
            path in any_path(),
            load in any_load(),
            rate in proptest::option::of(any::<u64>()),
            sharing in any::<u32>(),
        ) {
            let way = choose(&terms, path, load, Line { bytes_per_s: rate, sharing });
            let takes = terms.takes_compact() && load.compact_bytes.is_some();
            match way {
                Way::Full => {}
                Way::Compact => prop_assert!(takes && terms.relay == Relay::Compact),
                Way::CompactThenFull => {
                    prop_assert!(takes && terms.relay == Relay::CompactAndFull);
                }
                Way::Headers => {
                    prop_assert!(!takes && terms.asks_back && load.has_headers);
                    prop_assert!(terms.relay != Relay::Full);
                }
            }
        }

        /// The more share the line, the more a short form is worth.
        #[test]
        fn a_longer_queue_never_makes_the_whole_block_better(
            terms in any_terms(),
            path in any_path(),
            block_bytes in 100_000_u32..4_000_000,
            compact_bytes in 0_u32..48_000,
            rate in 100_000_u64..1_000_000_000,
            sharing in 1_u32..1_000,
        ) {
            let load = Load { block_bytes, compact_bytes: Some(compact_bytes), has_headers: true };
            let of = |sharing| choose(&terms, path, load, Line { bytes_per_s: Some(rate), sharing });
            if of(sharing) != Way::Full {
                prop_assert_eq!(of(sharing * 2), of(sharing));
            }
        }
    }
}
