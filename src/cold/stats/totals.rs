//! Sums over all blocks of one chain since the start.

mod keep;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use keep::{KeptTimes, KeptTotals};

use super::{FateCounts, KernelTimes, PeerRow, Stage, Times};
use crate::cold::node::verdict::Verdict;
use crate::hot::link::{Outcome, Way};
use crate::wire::hash::BlockHash;

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
    /// From a block's first byte until it had come so far, by [`Stage::index`].
    pub stages: [Times; Stage::ALL.len()],
    /// From the block's last byte in until the shards were told.
    pub publish: Times,
    /// From the block's last byte in until a peer's first send was queued.
    pub submitted: Times,
    /// From the block's last byte in until a peer's TCP had acknowledged the last byte.
    pub acked: Times,
    /// From the moment in which a peer's socket had taken a form's last byte until the device had it,
    pub to_wire: Times,
    /// and from then until the peer's TCP had acknowledged it.
    pub wire_to_acked: Times,
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
        let times = [
            (&mut self.submitted, row.submitted_ns),
            (&mut self.sent, row.sent_ns),
            (&mut self.acked, row.acked_ns),
            (&mut self.handled, row.handled_ns),
        ];
        for (times, at_ns) in times.into_iter().filter(|(_, at_ns)| *at_ns != 0) {
            times.add(at_ns.saturating_sub(last_byte_ns));
        }
    }

    /// More is known of what the kernel saw of an offer: each time is counted when both its ends are.
    pub(super) fn add_kernel_times(&mut self, before: KernelTimes, now: KernelTimes) {
        let add = |times: &mut Times, ends: fn(&KernelTimes) -> (u64, u64)| {
            let is_known = |it: &KernelTimes| ends(it).0 != 0 && ends(it).1 != 0;
            if is_known(&now) && !is_known(&before) {
                times.add(ends(&now).1.saturating_sub(ends(&now).0));
            }
        };
        add(&mut self.to_wire, |it| (it.given_ns, it.wire_ns));
        add(&mut self.wire_to_acked, |it| (it.wire_ns, it.acked_ns));
    }

    /// A block has been published: how long it took so far, from when each stage was reached.
    pub(super) fn add_stages(&mut self, reached: &[u64; Stage::ALL.len()]) {
        let at_ns = |stage: Stage| reached[stage.index()];
        let first_byte_ns = at_ns(Stage::FirstByte);
        // The node's verdict may come later, and is counted when it does.
        let now =
            Stage::ALL.iter().filter(|stage| **stage != Stage::Verdict && at_ns(**stage) != 0);
        for stage in now {
            self.stages[stage.index()].add(at_ns(*stage).saturating_sub(first_byte_ns));
        }
        self.publish.add(at_ns(Stage::Published).saturating_sub(at_ns(Stage::LastByte)));
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
