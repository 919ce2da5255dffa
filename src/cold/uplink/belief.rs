//! What the engine takes for the uplink's rate, and why.

use serde::{Deserialize, Serialize};

use super::learner::{Finding, Found};
use crate::limits::{
    UPLINK_BITS_MAX, UPLINK_BITS_MIN, UPLINK_KEPT_S_MAX, UPLINK_PROBE_INTERVAL_S,
    UPLINK_PROBE_SOON_S, UPLINK_ROUTE_BYTES_MAX,
};

/// Lost packets of one peer in one block that are not chance any more.
const LOSSES_MIN: u32 = 2;
/// Losing peers that show that it is the line, at least, and
const LOSING_PEERS_MIN: usize = 3;
/// the share of all that they must be: one in so many.
const LOSING_SHARE: usize = 4;
/// What is left of the rate after a block with losses, in percent.
const LOWERED_PERCENT: u64 = 93;
/// What is left of a measured rate at least, in percent, whatever peers claim to have lost.
const LOWEST_PERCENT: u64 = 25;
/// What is left of it when a queue stands while the rest of a warm-up goes out, in percent.
const STANDING_QUEUE_PERCENT: u64 = 95;

/// Where the rate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The operator said so.
    Configured,
    /// The operator said that there is no limit.
    Unlimited,
    /// Measured.
    Learnt,
    /// The card is the limit.
    CardIsLimit,
    /// At least this.
    Floor,
    /// Somebody else fills the queue: the last good rate is used, if there is one.
    ForeignQueue,
    /// Nothing is known: nothing is limited.
    Unknown,
}

impl Standing {
    /// The word for status, metrics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Unlimited => "unlimited",
            Self::Learnt => "learnt",
            Self::CardIsLimit => "nic-is-the-limit",
            Self::Floor => "floor",
            Self::ForeignQueue => "foreign-queue",
            Self::Unknown => "unknown",
        }
    }
}

/// A rate as it is kept across restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptRate {
    /// Bits/s on the line.
    pub bits_per_s: u64,
    /// When it was measured, epoch, in s.
    pub measured_s: u64,
    /// The way out that it is true of: device, gateway, own address.
    pub route: String,
}

impl KeptRate {
    /// What `text` keeps; `None` where it is damaged, nonsense, from the future or too old.
    #[must_use]
    pub fn read(text: &str, now_s: u64) -> Option<Self> {
        let kept: Self = serde_json::from_str(text).ok()?;
        let age_s = now_s.checked_sub(kept.measured_s)?;
        let sound = (UPLINK_BITS_MIN..=UPLINK_BITS_MAX).contains(&kept.bits_per_s)
            && age_s <= UPLINK_KEPT_S_MAX
            && kept.route.len() <= UPLINK_ROUTE_BYTES_MAX;
        sound.then_some(kept)
    }

    /// The text to keep.
    #[must_use]
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What one block's sending showed of one peer.
pub type LostPackets = u32;

/// The rate that is gone by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belief {
    standing: Standing,
    bits_per_s: Option<u64>,
    /// What was measured, before it was lowered.
    measured_bits_per_s: u64,
    measured_s: u64,
    route: String,
    probe_at_s: u64,
}

impl Belief {
    /// The operator's rate. Nothing that is measured changes it.
    #[must_use]
    pub fn configured(bits_per_s: u64) -> Self {
        let bits_per_s = bits_per_s.clamp(UPLINK_BITS_MIN, UPLINK_BITS_MAX);
        Self {
            standing: Standing::Configured,
            bits_per_s: Some(bits_per_s),
            ..Self::unknown(String::new(), u64::MAX)
        }
    }

    /// The operator said that there is no limit.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { standing: Standing::Unlimited, ..Self::unknown(String::new(), u64::MAX) }
    }

    /// Nothing is known of `route` yet.
    #[must_use]
    pub const fn unknown(route: String, now_s: u64) -> Self {
        Self {
            standing: Standing::Unknown,
            bits_per_s: None,
            measured_bits_per_s: 0,
            measured_s: 0,
            route,
            probe_at_s: now_s,
        }
    }

    /// What was kept, if it is true of `route`. It is measured anew as soon as that is possible.
    #[must_use]
    pub fn kept(kept: Option<KeptRate>, route: String, now_s: u64) -> Self {
        let unknown = Self::unknown(route, now_s);
        match kept.filter(|kept| kept.route == unknown.route) {
            None => unknown,
            Some(kept) => Self {
                standing: Standing::Learnt,
                bits_per_s: Some(kept.bits_per_s),
                measured_bits_per_s: kept.bits_per_s,
                measured_s: kept.measured_s,
                ..unknown
            },
        }
    }

    /// Where the rate comes from.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// Bits/s on the line; `None`: nothing is limited.
    #[must_use]
    pub const fn bits_per_s(&self) -> Option<u64> {
        self.bits_per_s
    }

    /// How long ago it was measured, in s; `None`: it was not.
    #[must_use]
    pub fn age_s(&self, now_s: u64) -> Option<u64> {
        (self.measured_s > 0).then(|| now_s.saturating_sub(self.measured_s))
    }

    /// The way out that it is true of.
    #[must_use]
    pub fn way(&self) -> &str {
        &self.route
    }

    /// Whether the operator has decided.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        matches!(self.standing, Standing::Configured | Standing::Unlimited)
    }

    /// A measurement was broken off: by a block, say. It is made again soon.
    pub fn interrupted(&mut self, now_s: u64) {
        if !self.is_told() {
            self.probe_at_s = now_s.saturating_add(UPLINK_PROBE_SOON_S);
        }
    }

    /// A queue stands although no more is sent than the rate allows. Whether it was lowered.
    pub fn queue_stands(&mut self) -> bool {
        self.lower(STANDING_QUEUE_PERCENT)
    }

    /// A measurement has ended. This alone can raise the rate.
    pub fn found(&mut self, finding: &Finding, now_s: u64) {
        if self.is_told() {
            return;
        }
        self.probe_at_s = now_s.saturating_add(UPLINK_PROBE_INTERVAL_S);
        let known = self.bits_per_s;
        self.standing = match finding.found {
            Found::Learnt => Standing::Learnt,
            Found::CardIsLimit => Standing::CardIsLimit,
            // Less than is known already is no news: there was less to send.
            Found::Floor if known.is_some_and(|known| finding.bits_per_s <= known) => return,
            Found::Floor => Standing::Floor,
            Found::ForeignQueue => {
                self.standing = Standing::ForeignQueue;
                self.probe_at_s = now_s.saturating_add(UPLINK_PROBE_SOON_S);
                return;
            }
            Found::Nothing => {
                self.probe_at_s = now_s.saturating_add(UPLINK_PROBE_SOON_S);
                return;
            }
        };
        let bits_per_s = finding.bits_per_s.clamp(UPLINK_BITS_MIN, UPLINK_BITS_MAX);
        (self.bits_per_s, self.measured_bits_per_s) = (Some(bits_per_s), bits_per_s);
        self.measured_s = now_s;
    }

    /// A block went out; `lost` has what each peer lost of it. Lowers the rate where many lost,
    /// never raises it. Whether it did.
    pub fn block(&mut self, lost: &[LostPackets], now_s: u64) -> bool {
        let lowered = is_clear(lost) && self.lower(LOWERED_PERCENT);
        if lowered {
            self.probe_soon(now_s);
        }
        lowered
    }

    fn lower(&mut self, percent: u64) -> bool {
        let Some(before) = self.bits_per_s.filter(|_| !self.is_told()) else {
            return false;
        };
        let lowest = self.measured_bits_per_s / 100 * LOWEST_PERCENT;
        let after = (before / 100 * percent).max(lowest).max(UPLINK_BITS_MIN).min(before);
        self.bits_per_s = Some(after);
        after < before
    }

    /// The way out is `route` now. What was measured on another one is not true of it: the lower of
    /// the old rate and none at all would be a guess, so it is unknown until it is measured.
    pub fn route(&mut self, route: &str, now_s: u64) {
        if !self.is_told() && self.route != route {
            *self = Self::unknown(route.to_owned(), now_s);
        }
    }

    /// Whether it should be measured (anew) as soon as there is an occasion.
    #[must_use]
    pub const fn wants_probe(&self, now_s: u64) -> bool {
        now_s >= self.probe_at_s
    }

    /// What is worth keeping across a restart.
    #[must_use]
    pub fn to_keep(&self) -> Option<KeptRate> {
        let measured = matches!(self.standing, Standing::Learnt | Standing::ForeignQueue);
        let bits_per_s = self.bits_per_s.filter(|_| measured && self.measured_s > 0)?;
        Some(KeptRate { bits_per_s, measured_s: self.measured_s, route: self.route.clone() })
    }

    fn probe_soon(&mut self, now_s: u64) {
        self.probe_at_s = self.probe_at_s.min(now_s.saturating_add(UPLINK_PROBE_SOON_S));
    }
}

/// Whether what each peer lost of one block shows that more was sent than the line carries, and not
/// that some of the peers have bad lines.
#[must_use]
pub fn is_clear(lost: &[LostPackets]) -> bool {
    let losing = lost.iter().filter(|lost| is_losing(**lost)).count();
    losing >= LOSING_PEERS_MIN && losing * LOSING_SHARE >= lost.len()
}

/// Whether a peer lost more than chance takes.
#[must_use]
pub const fn is_losing(lost: LostPackets) -> bool {
    lost > LOSSES_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_800_000_000;
    const GIGABIT: u64 = 1_000_000_000;

    fn finding(found: Found, bits_per_s: u64) -> Finding {
        Finding { found, bits_per_s, took_us: 1_000_000, queue_us_max: 9_000 }
    }

    #[test]
    fn a_configured_rate_always_wins() {
        let mut belief = Belief::configured(GIGABIT);
        belief.found(&finding(Found::Learnt, 5_000_000), NOW_S);
        belief.route("elsewhere", NOW_S);
        assert!(!belief.block(&[9; 20], NOW_S) && !belief.wants_probe(NOW_S));
        assert_eq!((belief.bits_per_s(), belief.standing()), (Some(GIGABIT), Standing::Configured));
        assert_eq!(belief.to_keep(), None);
        assert_eq!(Belief::configured(0).bits_per_s(), Some(UPLINK_BITS_MIN));
        let mut free = Belief::unlimited();
        free.found(&finding(Found::Learnt, 5_000_000), NOW_S);
        free.interrupted(NOW_S);
        assert!(!free.block(&[9; 20], NOW_S) && !free.queue_stands() && !free.wants_probe(NOW_S));
        assert_eq!((free.bits_per_s(), free.standing()), (None, Standing::Unlimited));
    }

    #[test]
    fn blocks_lower_it_on_clear_evidence_and_never_without_end() {
        let mut belief = Belief::unknown("a".to_owned(), NOW_S);
        assert!(belief.wants_probe(NOW_S) && belief.bits_per_s().is_none());
        belief.found(&finding(Found::Learnt, GIGABIT), NOW_S);
        assert!(!belief.wants_probe(NOW_S + 100));
        let mut lost = [0; 20];
        lost[..4].fill(50);
        assert!(!belief.block(&lost, NOW_S), "four of twenty lose by themselves");
        assert!(!belief.block(&[9, 9], NOW_S), "two are too few to tell");
        lost[4] = 3;
        assert!(belief.block(&lost, NOW_S));
        assert_eq!(belief.bits_per_s(), Some(930_000_000));
        assert!(belief.wants_probe(NOW_S + UPLINK_PROBE_SOON_S));
        for _ in 0..200 {
            belief.block(&lost, NOW_S);
        }
        assert_eq!(belief.bits_per_s(), Some(GIGABIT / 4));
        belief.block(&[0; 20], NOW_S);
        assert_eq!(belief.bits_per_s(), Some(GIGABIT / 4), "never raised on a block");
        belief.found(&finding(Found::Learnt, GIGABIT), NOW_S);
        assert!(belief.queue_stands());
        assert_eq!(belief.bits_per_s(), Some(950_000_000));
        belief.interrupted(NOW_S);
        assert!(belief.wants_probe(NOW_S + UPLINK_PROBE_SOON_S) && !belief.wants_probe(NOW_S));
    }

    #[test]
    fn each_finding_has_its_standing() {
        let mut belief = Belief::unknown("a".to_owned(), NOW_S);
        belief.found(&finding(Found::Nothing, GIGABIT), NOW_S);
        assert_eq!((belief.standing(), belief.bits_per_s()), (Standing::Unknown, None));
        belief.found(&finding(Found::ForeignQueue, 10_000_000), NOW_S);
        assert_eq!((belief.standing(), belief.bits_per_s()), (Standing::ForeignQueue, None));
        belief.found(&finding(Found::Floor, 500_000_000), NOW_S);
        assert_eq!(belief.standing(), Standing::Floor);
        belief.found(&finding(Found::Floor, 400_000_000), NOW_S);
        assert_eq!(belief.bits_per_s(), Some(500_000_000), "a lower floor is no news");
        belief.found(&finding(Found::CardIsLimit, GIGABIT), NOW_S);
        assert_eq!(
            (belief.standing(), belief.bits_per_s()),
            (Standing::CardIsLimit, Some(GIGABIT))
        );
        belief.found(&finding(Found::ForeignQueue, 10_000_000), NOW_S);
        assert_eq!(belief.bits_per_s(), Some(GIGABIT), "the last good one is held");
        belief.route("b", NOW_S);
        assert_eq!((belief.standing(), belief.bits_per_s()), (Standing::Unknown, None));
    }

    #[test]
    fn what_is_kept_is_true_of_its_route_and_time_alone() {
        let mut belief = Belief::unknown("eth0 via 10.0.0.1".to_owned(), NOW_S);
        belief.found(&finding(Found::Learnt, GIGABIT), NOW_S);
        let text = belief.to_keep().unwrap().write();
        let read = |now_s| KeptRate::read(&text, now_s);
        let again = Belief::kept(read(NOW_S + 60), "eth0 via 10.0.0.1".to_owned(), NOW_S + 60);
        assert_eq!((again.bits_per_s(), again.age_s(NOW_S + 60)), (Some(GIGABIT), Some(60)));
        assert!(again.wants_probe(NOW_S + 60));
        let other = Belief::kept(read(NOW_S + 60), "eth1".to_owned(), NOW_S + 60);
        assert_eq!(other.standing(), Standing::Unknown);
        assert_eq!(read(NOW_S - 1), None, "from the future");
        assert_eq!(read(NOW_S + UPLINK_KEPT_S_MAX + 1), None);
        for damaged in ["", "{}", "[1]", r#"{"bits_per_s":1,"measured_s":1,"route":""}"#] {
            assert_eq!(KeptRate::read(damaged, NOW_S), None, "{damaged}");
        }
    }
}
