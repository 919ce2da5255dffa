//! Sums over all blocks of one chain since the start.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::{FateCounts, PeerRow};
use crate::cold::node::verdict::Verdict;
use crate::hot::link::{Outcome, Way};
use crate::limits::HISTOGRAM_US_MAX;
use crate::wire::hash::BlockHash;

/// Times of one kind.
#[derive(Clone, Debug, Default)]
pub struct Times(Option<Box<Histogram<u64>>>);

/// What a histogram of times says, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Percentiles {
    /// Half were at most this.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// Ninety-nine of a hundred.
    pub p99_ms: f64,
    /// All.
    pub max_ms: f64,
    /// How many there were.
    pub count: u64,
}

impl Times {
    pub(in crate::cold) fn add(&mut self, time_ns: u64) {
        if self.0.is_none() {
            // Fails only for bounds that make no sense; these are constants.
            self.0 = Histogram::new_with_bounds(1, HISTOGRAM_US_MAX, 3).ok().map(Box::new);
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record((time_ns / 1_000).clamp(1, HISTOGRAM_US_MAX));
        }
    }

    /// What the times say; `None` where there are none.
    #[must_use]
    pub fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.0.as_ref()?;
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        Some(Percentiles {
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            max_ms: histogram.max() as f64 / 1_000.0,
            count: histogram.len(),
        })
    }
}

impl Percentiles {
    /// `{p50, p90, p99, max, count}`.
    #[must_use]
    pub fn to_json(self) -> Value {
        json!({"p50": self.p50_ms, "p90": self.p90_ms, "p99": self.p99_ms, "max": self.max_ms,
               "count": self.count})
    }
}

/// What went out in one form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WayTotals {
    /// Blocks offered to a peer.
    pub offers: u64,
    /// Bytes that were sent of them, on request too.
    pub bytes: u64,
}

/// How often nodes said what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    /// null.
    pub accepted: u64,
    /// Had it already: success.
    pub duplicate: u64,
    /// Stored, not validated.
    pub inconclusive: u64,
    /// Refused, with a word.
    pub refused: u64,
    /// Refused, with an error.
    pub error: u64,
}

impl VerdictCounts {
    pub(in crate::cold) fn add(&mut self, verdict: &Verdict) {
        let count = match verdict {
            Verdict::Accepted => &mut self.accepted,
            Verdict::Duplicate => &mut self.duplicate,
            Verdict::Inconclusive | Verdict::DuplicateInconclusive => &mut self.inconclusive,
            Verdict::DuplicateInvalid | Verdict::Refused(_) => &mut self.refused,
            Verdict::Error { .. } => &mut self.error,
        };
        *count += 1;
    }

    /// `{accepted, duplicate, inconclusive, refused, error}`.
    #[must_use]
    pub fn to_json(self) -> Value {
        json!({"accepted": self.accepted, "duplicate": self.duplicate,
               "inconclusive": self.inconclusive, "refused": self.refused, "error": self.error})
    }

    /// Verdicts that are successes.
    #[must_use]
    pub const fn successes(self) -> u64 {
        self.accepted + self.duplicate
    }

    /// Verdicts that are refusals.
    #[must_use]
    pub const fn failures(self) -> u64 {
        self.refused + self.error
    }
}

/// Sums of one chain.
#[derive(Clone, Debug, Default)]
pub struct ChainTotals {
    /// Offers and bytes by [`Way::index`].
    pub ways: [WayTotals; Way::ALL.len()],
    /// Blocks published to peers.
    pub blocks_broadcast: u64,
    /// The newest of them, and when it came, in ms since 1970.
    pub last_block: Option<(BlockHash, u64)>,
    /// Ended offers by [`Outcome::index`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// From the block's last byte in until the kernel had taken the last byte for a peer.
    pub sent: Times,
    /// From the block's last byte in until a peer's receipt.
    pub handled: Times,
    /// From publishing until somebody announced the block to us, of all who did.
    pub back: Times,
    /// The same of the first for each block.
    pub first_back: Times,
    /// What has become of the blocks.
    pub fates: FateCounts,
    /// What the chain's own node said.
    pub verdicts: VerdictCounts,
    /// What the further endpoints said.
    pub endpoint_verdicts: VerdictCounts,
    /// Blocks that did not go to peers on our own judgement, by the word that a node has for it.
    pub held_back: BTreeMap<&'static str, u64>,
}

impl ChainTotals {
    /// An offer has ended of which so much was sent.
    pub(super) fn add_way(&mut self, way: Way, sent_bytes: u32) {
        if let Some(sums) = self.ways.get_mut(way.index()) {
            sums.offers += 1;
            sums.bytes += u64::from(sent_bytes);
        }
    }

    /// `{full: {offers, bytes}, ...}`, the forms that were used.
    #[must_use]
    pub fn ways_json(&self) -> Value {
        let used = Way::ALL.iter().zip(&self.ways).filter(|(_, sums)| sums.offers > 0);
        used.map(|(way, sums)| {
            (way.word().to_owned(), json!({"offers": sums.offers, "bytes": sums.bytes}))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
    }

    pub(super) fn add_outcome(&mut self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get_mut(outcome.index()) {
            *count += 1;
        }
    }

    pub(super) fn add_times(&mut self, row: &PeerRow, last_byte_ns: u64) {
        if row.sent_ns != 0 {
            self.sent.add(row.sent_ns.saturating_sub(last_byte_ns));
        }
        if row.handled_ns != 0 {
            self.handled.add(row.handled_ns.saturating_sub(last_byte_ns));
        }
    }

    /// Somebody announced a block at `at_ns`; 0 for either time: not known.
    pub(super) fn add_back(&mut self, is_first: bool, at_ns: u64, published_ns: u64) {
        if at_ns == 0 || published_ns == 0 {
            return;
        }
        let time_ns = at_ns.saturating_sub(published_ns);
        self.back.add(time_ns);
        if is_first {
            self.first_back.add(time_ns);
        }
    }

    pub(super) fn add_verdict(&mut self, verdict: &Verdict, own: bool) {
        if own { self.verdicts.add(verdict) } else { self.endpoint_verdicts.add(verdict) }
    }

    /// Ended offers of this kind.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome.index()).copied().unwrap_or(0)
    }

    /// Offers that have ended.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Offers after which the peer surely had the block: receipts, and peers that were faster.
    #[must_use]
    pub fn successes(&self) -> u64 {
        self.of(Outcome::Handled) + self.of(Outcome::AlreadyHad)
    }

    /// Share of ended offers that were successes, 0 to 1; `None` before the first.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let settled = self.settled();
        (settled > 0).then(|| self.successes() as f64 / settled as f64)
    }
}
