//! Counts under the names that p2pool forks have for them.

use serde_json::{Value, json};

use crate::cold::roster::RosterView;
use crate::cold::stats::ChainTotals;
use crate::limits::TOP_PEERS_MAX;

/// Blocks, and what became of them at peers.
#[derive(Clone, Copy, Debug)]
pub(in crate::edge::http) struct Counts {
    /// Blocks that went to peers.
    pub(in crate::edge::http) blocks: u64,
    /// Their offers that have ended.
    pub(in crate::edge::http) ended: u64,
    /// Those after which the peer surely had the block.
    pub(in crate::edge::http) successes: u64,
    /// The others.
    pub(in crate::edge::http) failures: u64,
}

/// Peers that one list shows.
pub(super) const PEERS_SHOWN: usize = TOP_PEERS_MAX;

impl Counts {
    pub(in crate::edge::http) fn new(totals: &ChainTotals) -> Self {
        let (ended, successes) = (totals.settled(), totals.successes());
        let failures = ended.saturating_sub(successes);
        Self { blocks: totals.blocks_broadcast, ended, successes, failures }
    }

    /// 0 to 100; 0 before the first.
    pub(super) fn success_percent(self) -> f64 {
        if self.ended == 0 { 0.0 } else { 100.0 * self.successes as f64 / self.ended as f64 }
    }

    /// `broadcast_stats`.
    pub(super) fn to_json(self) -> Value {
        json!({
            "blocks_sent": self.blocks,
            "total_broadcasts": self.ended,
            "successful_broadcasts": self.successes,
            "failed_broadcasts": self.failures,
            "success_rate_percent": self.success_percent(),
        })
    }
}

/// `connection_stats`.
pub(in crate::edge::http) fn connections(peers: &RosterView) -> Value {
    let dials = peers.dials;
    json!({
        "total_attempts": dials.attempts,
        "successful_connections": dials.succeeded,
        "failed_connections": dials.failed,
        "timeouts": dials.timeouts,
        "refused": dials.refused,
        "coind_refreshes": peers.node_asked.0,
    })
}

/// New addresses that the network told of.
pub(in crate::edge::http) fn discovered(peers: &RosterView) -> u64 {
    peers.addresses.get(crate::cold::gossip::Fate::Taken.word()).copied().unwrap_or(0)
}
