//! What a peer is worth: pure functions of its database entry and the time.
//!
//! The figures are those of the programs that this one replaces, so that a database handed over
//! from one of them keeps its meaning.

use super::store::{PeerEntry, Source};

/// Score of a peer that the local node vouched for.
pub const SCORE_FROM_NODE: f64 = 100.0;
/// Score of a peer that was heard of elsewhere.
pub const SCORE_DISCOVERED: f64 = 50.0;
/// Score of the protected local node: above whatever a peer can earn.
pub const SCORE_PROTECTED: f64 = 999_999.0;
/// Most that a peer can earn.
pub const SCORE_MAX: f64 = 1_000.0;
/// An ordinary entry with less than this is dropped from the database.
pub const SCORE_DROP_BELOW: f64 = 10.0;
/// What a delivered block adds.
pub const SCORE_DELIVERED: f64 = 10.0;
/// What a failed delivery or a failed connection attempt takes.
pub const SCORE_FAILED: f64 = -20.0;

/// What a flawless record adds to the rank value.
const WEIGHT_SUCCESS_RATE: f64 = 100.0;
/// What being one of the local node's own peers adds to the rank value.
const BONUS_NODE_PEER: f64 = 30.0;
/// Share of a new measurement in a smoothed time, as in TCP's own round-trip estimate (RFC 6298).
const SMOOTHING: f64 = 0.125;

/// How a connection came to be; decides who is served first. The order is the order of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// The protected local node.
    Protected,
    /// Named by the operator: always kept, never rotated out.
    Fixed,
    /// Chosen by rank.
    Ordinary,
}

impl Standing {
    /// One word for tables and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::Fixed => "fixed",
            Self::Ordinary => "ordinary",
        }
    }
}

/// The score that an entry from `source` starts with.
#[must_use]
pub fn starting_score(source: Source) -> f64 {
    match source {
        Source::LocalNode => SCORE_PROTECTED,
        Source::Node | Source::Operator => SCORE_FROM_NODE,
        Source::Discovered => SCORE_DISCOVERED,
    }
}

/// The score after a delivered block.
#[must_use]
pub fn after_delivery(score: f64) -> f64 {
    if score >= SCORE_PROTECTED { score } else { (score + SCORE_DELIVERED).min(SCORE_MAX) }
}

/// The score after a block that did not arrive, or an attempt to connect that failed.
#[must_use]
pub fn after_failure(score: f64) -> f64 {
    if score >= SCORE_PROTECTED { score } else { (score + SCORE_FAILED).max(0.0) }
}

/// Whether an entry that nobody wants kept has lost its place in the database.
#[must_use]
pub fn is_spent(entry: &PeerEntry) -> bool {
    !entry.protected && !entry.fixed && entry.score < SCORE_DROP_BELOW
}

/// Delivered blocks out of all that were tried, 0 to 1; 0 while none was tried.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a count of blocks is far below 2^52")]
pub fn success_rate(entry: &PeerEntry) -> f64 {
    let tried = entry.successful_broadcasts.saturating_add(entry.failed_broadcasts);
    if tried == 0 { 0.0 } else { entry.successful_broadcasts as f64 / tried as f64 }
}

/// What having been seen so long ago, in s, adds to the rank value.
#[must_use]
pub fn recency(age_s: f64) -> f64 {
    const HOUR_S: f64 = 3_600.0;
    if age_s < HOUR_S {
        50.0
    } else if age_s < 6.0 * HOUR_S {
        30.0
    } else if age_s < 24.0 * HOUR_S {
        10.0
    } else {
        -20.0
    }
}

/// What the peer is worth at `now_s` (epoch, s): the higher, the sooner it is dialled and served.
#[must_use]
pub fn rank_value(entry: &PeerEntry, now_s: f64) -> f64 {
    let own_peer = if entry.source == Source::Node { BONUS_NODE_PEER } else { 0.0 };
    entry.score
        + WEIGHT_SUCCESS_RATE * success_rate(entry)
        + recency(now_s - entry.last_seen_s)
        + own_peer
}

/// The number by which a shard orders its connections: the lowest is served first. It depends on
/// nobody else, so a peer that comes or goes changes no other's number.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub fn rank(standing: Standing, value: f64) -> u32 {
    /// Ranks within one standing; a thousandth of a point still tells two peers apart.
    const SPAN: u32 = 1 << 24;
    let points = (value * 1_000.0).clamp(0.0, f64::from(SPAN - 1)) as u32;
    let first = match standing {
        Standing::Protected => 0,
        Standing::Fixed => SPAN,
        Standing::Ordinary => 2 * SPAN,
    };
    first + (SPAN - 1 - points)
}

/// A smoothed time after one more measurement, both in the same unit.
#[must_use]
pub fn smooth(before: Option<f64>, measured: f64) -> f64 {
    before.map_or(measured, |old| old + SMOOTHING * (measured - old))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: f64 = 1_800_000_000.0;

    fn entry(source: Source, age_s: f64) -> PeerEntry {
        PeerEntry::new(source, NOW_S - age_s)
    }

    #[test]
    fn starts_as_both_seeds_say() {
        assert_eq!(entry(Source::Node, 0.0).score, 100.0);
        assert_eq!(entry(Source::Discovered, 0.0).score, 50.0);
        assert_eq!(entry(Source::LocalNode, 0.0).score, 999_999.0);
    }

    #[test]
    fn delivered_blocks_add_ten_up_to_a_thousand() {
        assert_eq!(after_delivery(50.0), 60.0);
        assert_eq!(after_delivery(995.0), 1_000.0);
        assert_eq!(after_delivery(1_000.0), 1_000.0);
    }

    #[test]
    fn failures_take_twenty_and_spend_an_entry_below_ten() {
        let mut peer = entry(Source::Discovered, 0.0);
        peer.score = after_failure(after_failure(peer.score));
        assert_eq!(peer.score, 10.0);
        assert!(!is_spent(&peer));
        peer.score = after_failure(peer.score);
        assert_eq!(peer.score, 0.0);
        assert!(is_spent(&peer));
    }

    #[test]
    fn the_protected_score_never_moves() {
        assert_eq!(after_delivery(SCORE_PROTECTED), SCORE_PROTECTED);
        assert_eq!(after_failure(SCORE_PROTECTED), SCORE_PROTECTED);
        let mut node = entry(Source::LocalNode, 0.0);
        node.protected = true;
        node.score = 0.0;
        assert!(!is_spent(&node));
    }

    #[test]
    fn rank_value_row_by_row() {
        let hour = 3_600.0;
        for (age_s, added) in [
            (0.0, 50.0),
            (hour - 1.0, 50.0),
            (hour, 30.0),
            (6.0 * hour, 10.0),
            (24.0 * hour, -20.0),
            (-5.0, 50.0),
        ] {
            assert_eq!(rank_value(&entry(Source::Discovered, age_s), NOW_S), 50.0 + added);
            assert_eq!(rank_value(&entry(Source::Node, age_s), NOW_S), 130.0 + added);
        }
        let mut tried = entry(Source::Discovered, 0.0);
        (tried.successful_broadcasts, tried.failed_broadcasts) = (3, 1);
        assert_eq!(rank_value(&tried, NOW_S), 50.0 + 75.0 + 50.0);
    }

    #[test]
    fn service_order_is_protected_fixed_then_value() {
        let values = [1e9, 1_180.0, 180.002, 180.001, 0.0, -20.0];
        let mut last = None;
        for standing in [Standing::Protected, Standing::Fixed, Standing::Ordinary] {
            for value in values {
                let this = rank(standing, value);
                assert!(last.is_none_or(|before| before <= this), "{standing:?} {value}");
                last = Some(this);
            }
        }
        assert!(rank(Standing::Protected, -20.0) < rank(Standing::Fixed, 1e9));
        assert!(rank(Standing::Fixed, -20.0) < rank(Standing::Ordinary, 1e9));
        assert!(rank(Standing::Ordinary, 181.0) < rank(Standing::Ordinary, 180.0));
    }

    #[test]
    fn smoothing_follows_slowly() {
        assert_eq!(smooth(None, 80.0), 80.0);
        assert_eq!(smooth(Some(80.0), 160.0), 90.0);
    }
}
