//! The five indicators: what an operator judges a broadcaster by, worked out here and nowhere else.
//!
//! The command line, the JSON, the dashboard and Prometheus show these numbers.

use serde_json::{Value, json};

use super::{ChainTotals, Percentiles};

/// Of one chain. `None`: nothing is known yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Indicators {
    /// Broadcast success rate: of all offers of a block to a peer that have ended, those after which the
    /// peer surely had the block, 0 to 1.
    pub success_rate: Option<f64>,
    /// Broadcast time: from a block's last byte in until the last byte of it had gone out to a peer, of
    /// all peers and blocks.
    pub broadcast: Option<Percentiles>,
    /// Peer availability: of the connections that are wanted now, those that are there, 0 to 1.
    pub peer_availability: Option<f64>,
    /// Orphan rate: of all decided blocks, those that lost to another, 0 to 1.
    pub orphan_rate: Option<f64>,
    /// Network propagation time: from publishing until a peer announced the block back to us, of all
    /// that did.
    pub propagation: Option<Percentiles>,
}

impl Indicators {
    /// From a chain's sums, and how many connections there are and are wanted.
    #[must_use]
    pub fn new(totals: &ChainTotals, connected: u32, wanted: u32) -> Self {
        let availability = || (f64::from(connected) / f64::from(wanted)).min(1.0);
        Self {
            success_rate: totals.success_rate(),
            broadcast: totals.sent.percentiles(),
            peer_availability: (wanted > 0).then(availability),
            orphan_rate: totals.fates.orphan_rate(),
            propagation: totals.back.percentiles(),
        }
    }

    /// `{success_rate, broadcast_ms {...}, peer_availability, orphan_rate, propagation_ms {...}}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "success_rate": self.success_rate,
            "broadcast_ms": self.broadcast.map(Percentiles::to_json),
            "peer_availability": self.peer_availability,
            "orphan_rate": self.orphan_rate,
            "propagation_ms": self.propagation.map(Percentiles::to_json),
        })
    }
}
