//! What the panels are drawn from: everything of one moment, in types.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::latency::{Latency, Remembered};
use super::text::now_ms;
use crate::cold::alert::AlertView;
use crate::cold::node::endpoint::{Endpoint, EndpointView};
use crate::cold::roster::RosterView;
use crate::cold::score::Standing;
use crate::cold::stats::{BlockStory, ChainTotals, Indicators};
use crate::cold::uplink::UplinkView;
use crate::edge::http::blocks::Wanted;
use crate::edge::http::state::{HttpChain, HttpState};
use crate::limits::{DASHBOARD_ENDPOINTS_MAX, DASHBOARD_LATENCY_BLOCKS};

/// Everything that the page shows.
pub(super) struct Shown {
    /// The wall clock, in ms since 1970.
    pub(super) now_ms: u64,
    /// What is wrong with the engine itself.
    pub(super) fault: Option<String>,
    /// In the order of the configuration.
    pub(super) chains: Vec<ChainShown>,
    /// The uplink, which all share.
    pub(super) uplink: Arc<UplinkView>,
    /// What is wrong, and was.
    pub(super) alerts: Arc<AlertView>,
}

/// One chain.
pub(super) struct ChainShown {
    /// Its name,
    pub(super) name: &'static str,
    /// and its network's.
    pub(super) network: &'static str,
    /// Who is connected.
    pub(super) roster: Arc<RosterView>,
    /// Sums over all blocks.
    pub(super) totals: ChainTotals,
    /// The five.
    pub(super) indicators: Indicators,
    /// Why a block handed in now would not get everywhere, as `/readyz` tells it.
    pub(super) blockers: Vec<String>,
    /// Everything else that is not as it should be.
    pub(super) issues: Vec<String>,
    /// Its own node; `None`: none is configured.
    pub(super) node: Option<NodeShown>,
    /// Further endpoints.
    pub(super) endpoints: Vec<EndpointView>,
    /// The spool; `None`: the disk can't be used.
    pub(super) spool: Option<SpoolShown>,
    /// The newest blocks, newest first, without their rows.
    pub(super) newest: Vec<BlockStory>,
    /// The newest of them, with its rows.
    pub(super) last: Option<BlockStory>,
    /// How long each of the newest took, newest first.
    pub(super) latencies: Vec<Latency>,
}

/// A chain's own node.
pub(super) struct NodeShown {
    /// What is wrong with its RPC.
    pub(super) trouble: Option<String>,
    /// Height and hash of its tip.
    pub(super) tip: Option<(u32, String)>,
}

/// Blocks on disk.
pub(super) struct SpoolShown {
    /// How many wait for their verdict.
    pub(super) waiting: usize,
    /// When the oldest of them came, in ms since 1970.
    pub(super) oldest_unix_ms: Option<u64>,
}

impl Shown {
    /// As it is now.
    pub(super) async fn collect(state: &HttpState, remembered: &mut Remembered) -> Self {
        let mut chains = Vec::with_capacity(state.chains.len());
        for (index, chain) in (0_u8..).zip(&state.chains) {
            chains.push(ChainShown::collect(state, index, chain, remembered).await);
        }
        remembered.forget_all_but(&chains);
        Self {
            now_ms: now_ms(),
            fault: (state.fault)(),
            chains,
            uplink: state.uplink_now(),
            alerts: Arc::clone(&state.alerts.borrow()),
        }
    }
}

impl ChainShown {
    async fn collect(
        state: &HttpState,
        index: u8,
        chain: &HttpChain,
        remembered: &mut Remembered,
    ) -> Self {
        let roster = chain.peers();
        let name = chain.chain.name;
        let limit = Some(DASHBOARD_LATENCY_BLOCKS);
        #[allow(clippy::needless_update, reason = "whatever else can be asked for is not")]
        let wanted = Wanted { chain: Some(name.to_owned()), limit, ..Wanted::default() };
        let newest = state.newest_blocks(&wanted).await;
        let last = match newest.first() {
            Some(first) => state.block(&first.hash).await,
            None => None,
        };
        let latencies = remembered.latencies(state, &newest).await;
        let trouble = chain.node_trouble();
        let mut blockers = Vec::new();
        if roster.connected == 0 {
            blockers.push("no peer is connected".to_owned());
        }
        blockers.extend(trouble.clone());
        Self {
            name,
            network: chain.chain.network.name(),
            totals: state.log.totals(index),
            indicators: state.indicators(index),
            issues: chain.issues(&roster),
            blockers,
            roster,
            node: chain.tip.as_ref().map(|tip| NodeShown {
                trouble,
                tip: tip.tip().map(|(hash, known)| (known.height, hash.to_string())),
            }),
            endpoints: chain
                .endpoints
                .iter()
                .take(DASHBOARD_ENDPOINTS_MAX)
                .map(Endpoint::view)
                .collect(),
            spool: state.spool.as_ref().map(|spool| {
                let waiting = spool.pending(chain.chain);
                SpoolShown {
                    waiting: waiting.len(),
                    oldest_unix_ms: waiting.first().map(|entry| entry.received_unix_ms),
                }
            }),
            newest,
            last,
            latencies,
        }
    }

    /// What this chain's things are called in the page.
    pub(super) fn id(&self, what: &str) -> String {
        format!("{}-{}-{what}", self.name, self.network)
    }

    /// Who is at an address, where that is more than an address.
    pub(super) fn standings(&self) -> Standings {
        standings(&self.roster)
    }
}

/// Peers that are not just anybody, by address.
pub(super) type Standings = HashMap<SocketAddr, Standing>;

/// Those of a roster.
pub(super) fn standings(roster: &RosterView) -> Standings {
    let special = roster.peers.iter().filter(|row| row.standing != Standing::Ordinary);
    special.map(|row| (row.label.address, row.standing)).collect()
}
