//! What others see of the uplink.

use super::advice::Advice;
use super::learner::{Finding, Found};

/// The uplink at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UplinkView {
    /// One word: `not-shared`, `learning`, or that of a [`super::Standing`].
    pub state: &'static str,
    /// Bits/s on the line that are reckoned with; `None`: nothing is held back.
    pub bits_per_s: Option<u64>,
    /// How long ago it was measured, in s.
    pub age_s: Option<u64>,
    /// The way out that it is true of.
    pub route: Option<String>,
    /// What the card says that it can do, in bits/s.
    pub card_bits_per_s: Option<u64>,
    /// Connections that share the uplink,
    pub shared_peers: usize,
    /// those of them that are served among the warm,
    pub warm_peers: usize,
    /// and those whose windows let a block through in one go.
    pub full_window_peers: usize,
    /// Size of the block that is expected of each chain, in bytes.
    pub block_bytes: Vec<u64>,
    /// The last measurement.
    pub last: Option<Finding>,
    /// Bytes sent for warming, since the start.
    pub warm_up_sent_bytes: u64,
    /// Offers made for warming, since the start.
    pub warm_up_offers: u64,
    /// Offers that are under way.
    pub warm_up_under_way: usize,
    /// What may still be sent for warming now, in bytes.
    pub warm_up_left_bytes: u64,
    /// What may be sent for warming in an hour, in bytes.
    pub warm_up_bytes_per_hour: u64,
    /// Why what is configured or learnt may be wrong, for the operator.
    pub doubt: Option<String>,
    /// What the host could do better, best first.
    pub advice: Vec<Advice>,
}

impl Found {
    /// The word for statistics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Learnt => "learnt",
            Self::CardIsLimit => "nic-is-the-limit",
            Self::Floor => "floor",
            Self::ForeignQueue => "foreign-queue",
            Self::Nothing => "nothing",
        }
    }
}

/// A rate as an operator reads it.
pub(super) fn shown(bits_per_s: u64) -> String {
    match bits_per_s {
        1_000_000_000.. => format!("{:.2} Gbit/s", bits_per_s as f64 / 1e9),
        _ => format!("{:.1} Mbit/s", bits_per_s as f64 / 1e6),
    }
}
