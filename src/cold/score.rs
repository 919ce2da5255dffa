//! What a peer is worth: pure functions of its database entry and the time.
//!
//! The figures are those of the programs that this one replaces, so that a database handed over
//! from one of them keeps its meaning.

use super::store::{PeerEntry, Source};
use crate::limits::PEER_STALE_S;

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

const HOUR_S: f64 = 3_600.0;
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

/// The seeds' selection phase, run every 60 s: record, recency and trust, without the base score.
#[must_use]
pub fn selection_score(entry: &PeerEntry, now_s: f64) -> f64 {
    WEIGHT_SUCCESS_RATE * success_rate(entry) + recency(now_s - entry.last_seen_s) + trust(entry)
}

/// What the peer is worth at `now_s` (epoch, s): the higher, the sooner it is dialled and served.
#[must_use]
pub fn rank_value(entry: &PeerEntry, now_s: f64) -> f64 {
    entry.score + selection_score(entry, now_s)
}

/// The seeds' quality score of a peer at `now_s` (epoch, s), as the programs before us show it:
/// base score, record and trust, less a penalty for long silence, never below 0. We rank by
/// [`rank_value`]; this one is for comparing.
#[must_use]
pub fn quality_score(entry: &PeerEntry, now_s: f64) -> f64 {
    if entry.protected {
        return SCORE_PROTECTED;
    }
    let silence = silence_penalty(now_s - entry.last_seen_s);
    let score = entry.score + WEIGHT_SUCCESS_RATE * success_rate(entry) + silence + trust(entry);
    score.max(0.0)
}

/// What having been silent for so long, in s, takes from the quality score.
fn silence_penalty(age_s: f64) -> f64 {
    if age_s > 24.0 * HOUR_S {
        -50.0
    } else if age_s > 6.0 * HOUR_S {
        -20.0
    } else {
        0.0
    }
}

/// What being one of the local node's own peers adds.
fn trust(entry: &PeerEntry) -> f64 {
    if entry.source == Source::Node { BONUS_NODE_PEER } else { 0.0 }
}

/// Whether nobody has seen an entry at `now_s` (epoch, s) for so long that it may go. Never one
/// that is to be kept.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a month in s is far below 2^52")]
pub fn is_stale(entry: &PeerEntry, now_s: f64) -> bool {
    !entry.protected && !entry.fixed && now_s - entry.last_seen_s > PEER_STALE_S as f64
}

/// The number by which a shard orders its connections: the lowest is served first. It depends on
/// nobody else, so a peer that comes or goes changes no other's number.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub fn rank(standing: Standing, value: f64) -> u32 {
    let points = (value * 1_000.0).clamp(0.0, f64::from(RANK_SPAN - 1)) as u32;
    first_rank(standing) + (RANK_SPAN - 1 - points)
}

/// Ranks within one standing; a thousandth of a point still tells two peers apart.
const RANK_SPAN: u32 = 1 << 24;

const fn first_rank(standing: Standing) -> u32 {
    match standing {
        Standing::Protected => 0,
        Standing::Fixed => RANK_SPAN,
        Standing::Ordinary => 2 * RANK_SPAN,
    }
}

/// The number of the peer at `place` (0 is the first) where the order is not that of the scores: served
/// before all of its standing that are ranked by score.
#[must_use]
pub const fn rank_in_order(standing: Standing, place: u32) -> u32 {
    first_rank(standing) + if place < RANK_SPAN - 1 { place } else { RANK_SPAN - 1 }
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

    /// The larger seed's `_calculate_peer_score`, line by line.
    #[test]
    fn quality_score_row_by_row() {
        let hour = 3_600.0;
        let scored = |source, age_s, base: f64, (sent, failed)| {
            let mut peer = entry(source, age_s);
            peer.score = base;
            (peer.successful_broadcasts, peer.failed_broadcasts) = (sent, failed);
            quality_score(&peer, NOW_S)
        };
        let (node, other) = (Source::Node, Source::Discovered);
        for (row, found, expected) in [
            ("score = info.get('score', 50)", scored(other, 0.0, 50.0, (0, 0)), 50.0),
            ("total == 0: no bonus", scored(other, 0.0, 70.0, (0, 0)), 70.0),
            ("success_rate * 100", scored(other, 0.0, 50.0, (3, 1)), 125.0),
            ("success_rate of failures alone", scored(other, 0.0, 50.0, (0, 9)), 50.0),
            ("age 6 h is not yet stale", scored(other, 6.0 * hour, 50.0, (0, 0)), 50.0),
            ("age > 6 h: -20", scored(other, 6.0 * hour + 1.0, 50.0, (0, 0)), 30.0),
            ("age 24 h: still -20", scored(other, 24.0 * hour, 50.0, (0, 0)), 30.0),
            ("age > 24 h: -50", scored(other, 24.0 * hour + 1.0, 60.0, (0, 0)), 10.0),
            ("source dashd: +30", scored(node, 0.0, 100.0, (0, 0)), 130.0),
            ("all together", scored(node, 7.0 * hour, 100.0, (1, 1)), 160.0),
            ("max(0, score)", scored(other, 25.0 * hour, 10.0, (0, 0)), 0.0),
        ] {
            assert_eq!(found, expected, "{row}");
        }
        let mut local = entry(Source::LocalNode, 1e9);
        local.score = 0.0;
        assert_eq!(quality_score(&local, NOW_S), 999_999.0, "protected: infinite priority");
    }

    /// The same document's "selection phase" and "quality management", line by line.
    #[test]
    fn selection_score_row_by_row() {
        let hour = 3_600.0;
        let scored = |source, age_s, (sent, failed)| {
            let mut peer = entry(source, age_s);
            (peer.successful_broadcasts, peer.failed_broadcasts) = (sent, failed);
            selection_score(&peer, NOW_S)
        };
        let (node, other) = (Source::Node, Source::Discovered);
        for (row, found, expected) in [
            ("hours < 1: +50", scored(other, hour - 1.0, (0, 0)), 50.0),
            ("hours < 6: +30", scored(other, hour, (0, 0)), 30.0),
            ("hours < 6, upper end", scored(other, 6.0 * hour - 1.0, (0, 0)), 30.0),
            ("hours < 24: +10", scored(other, 6.0 * hour, (0, 0)), 10.0),
            ("hours < 24, upper end", scored(other, 24.0 * hour - 1.0, (0, 0)), 10.0),
            ("else: -20, stale", scored(other, 24.0 * hour, (0, 0)), -20.0),
            ("successful_broadcasts > 0: rate * 100", scored(other, 0.0, (1, 3)), 75.0),
            ("successful_broadcasts == 0: none", scored(other, 0.0, (0, 3)), 50.0),
            ("source dashd: +30", scored(node, 0.0, (0, 0)), 80.0),
            ("the best there is", scored(node, 0.0, (47, 0)), 180.0),
            ("the worst there is", scored(other, 25.0 * hour, (0, 2)), -20.0),
        ] {
            assert_eq!(found, expected, "{row}");
        }
    }

    /// The smaller seed's "Peer Scoring", line by line.
    #[test]
    fn base_score_row_by_row() {
        let dropped = |score| {
            let mut peer = entry(Source::Discovered, 0.0);
            peer.score = score;
            is_spent(&peer)
        };
        for (row, holds) in [
            ("scale 0-1000", after_delivery(1_000.0) == 1_000.0 && after_failure(0.0) == 0.0),
            ("initial 100 (bootstrapped)", starting_score(Source::Node) == 100.0),
            ("initial 50 (discovered)", starting_score(Source::Discovered) == 50.0),
            ("success: +10", after_delivery(100.0) == 110.0),
            ("capped at 1000", after_delivery(999.0) == 1_000.0),
            ("failure: -20", after_failure(100.0) == 80.0),
            ("below 10 points: removed", dropped(9.9) && !dropped(10.0)),
        ] {
            assert!(holds, "{row}");
        }
        let mut better = entry(Source::Discovered, 0.0);
        better.score += 10.0;
        let value = |peer: &PeerEntry| rank_value(peer, NOW_S);
        assert!(value(&better) > value(&entry(Source::Discovered, 0.0)), "higher: preferred");
    }

    #[test]
    fn stale_is_what_nobody_has_seen_for_a_month_and_nobody_wants_kept() {
        let month = 30.0 * 86_400.0;
        assert!(!is_stale(&entry(Source::Node, month), NOW_S));
        let mut old = entry(Source::Node, month + 1.0);
        assert!(is_stale(&old, NOW_S));
        old.fixed = true;
        assert!(!is_stale(&old, NOW_S));
        assert!(!is_stale(&entry(Source::LocalNode, 1e9), NOW_S));
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
    fn places_in_an_order_stay_within_their_standing() {
        for standing in [Standing::Fixed, Standing::Ordinary] {
            assert!(rank_in_order(standing, 0) < rank_in_order(standing, 1));
            assert!(
                rank_in_order(standing, 1_000) < rank(standing, 1_180.0),
                "newcomers come last"
            );
            assert!(rank_in_order(standing, u32::MAX) < rank_in_order(standing, 0) + RANK_SPAN);
        }
        assert!(rank_in_order(Standing::Fixed, u32::MAX) < rank_in_order(Standing::Ordinary, 0));
        assert!(rank(Standing::Protected, -20.0) < rank_in_order(Standing::Fixed, 0));
    }

    #[test]
    fn smoothing_follows_slowly() {
        assert_eq!(smooth(None, 80.0), 80.0);
        assert_eq!(smooth(Some(80.0), 160.0), 90.0);
    }
}
