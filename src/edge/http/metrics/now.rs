//! Everything that one scrape reads, taken together at one moment.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::state::{HttpChain, HttpState};
use super::process::Process;
use crate::cold::alert::AlertView;
use crate::cold::history::HistoryView;
use crate::cold::locks::LockCounts;
use crate::cold::node::endpoint::{Endpoint, Totals};
use crate::cold::roster::RosterView;
use crate::cold::stats::{ChainTotals, Indicators, ProofFate};
use crate::cold::template::{TemplateCounts, Templates};
use crate::cold::uplink::UplinkView;
use crate::edge::trace::TraceView;
use crate::hot::link::Link;

/// One chain.
#[derive(Debug)]
pub(super) struct ChainNow {
    pub(super) name: &'static str,
    pub(super) network: &'static str,
    pub(super) totals: ChainTotals,
    pub(super) indicators: Indicators,
    pub(super) peers: Arc<RosterView>,
    /// Things that an operator should know are not as they should be.
    pub(super) issues: usize,
    /// Whether the own node answers; `None`: none is configured.
    pub(super) node_answers: Option<bool>,
    pub(super) tip_height: Option<u32>,
    /// Blocks that are not decided yet; `None`: there is no node to tell.
    pub(super) pending: Option<usize>,
    /// Blocks in the spool that wait for a verdict.
    pub(super) waiting: Option<usize>,
    pub(super) endpoints: Vec<EndpointNow>,
    pub(super) proofs: Vec<(&'static str, u64)>,
    pub(super) templates: Option<TemplateCounts>,
    pub(super) locks: Option<LockCounts>,
}

/// One further endpoint.
#[derive(Debug)]
pub(super) struct EndpointNow {
    /// Its number, as it is configured.
    pub(super) leg: String,
    /// Its host and port.
    pub(super) host: String,
    /// Whether blocks are handed to it as they come.
    pub(super) is_closed: bool,
    pub(super) totals: Totals,
}

/// The whole engine.
#[derive(Debug)]
pub(super) struct Now {
    pub(super) chains: Vec<ChainNow>,
    pub(super) uplink: Arc<UplinkView>,
    pub(super) alerts: Arc<AlertView>,
    pub(super) history: HistoryView,
    pub(super) trace: Arc<TraceView>,
    pub(super) shards: Vec<Arc<Link>>,
    pub(super) is_sound: bool,
    /// This host's clock, in s since 1970.
    pub(super) time_s: f64,
    pub(super) process: Process,
}

impl Now {
    pub(super) fn of(state: &HttpState) -> Self {
        let chains = (0_u8..).zip(&state.chains);
        Self {
            chains: chains.map(|(index, chain)| ChainNow::of(state, index, chain)).collect(),
            uplink: state.uplink_now(),
            alerts: Arc::clone(&state.alerts.borrow()),
            history: state.history_view.borrow().clone(),
            trace: Arc::clone(&state.trace.borrow()),
            shards: state.links.clone(),
            time_s: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            is_sound: (state.fault)().is_none(),
            process: Process::now(),
        }
    }
}

impl ChainNow {
    fn of(state: &HttpState, index: u8, chain: &HttpChain) -> Self {
        let (totals, peers) = (state.log.totals(index), chain.peers());
        let spool = state.spool.as_ref();
        Self {
            name: chain.chain.name,
            network: chain.chain.network.name(),
            indicators: Indicators::new(&totals, peers.connected, peers.aimed),
            issues: chain.issues(&peers).len(),
            node_answers: chain.tip.as_ref().map(|_| chain.node_trouble().is_none()),
            tip_height: chain.tip.as_ref().and_then(|tip| Some(tip.tip()?.1.height)),
            pending: chain.tip.as_ref().map(|_| state.log.undecided(index).len()),
            waiting: spool.map(|spool| spool.pending(chain.chain).len()),
            endpoints: chain.endpoints.iter().enumerate().map(EndpointNow::of).collect(),
            proofs: chain.merged.as_ref().map_or_else(Vec::new, |counts| {
                ProofFate::ALL.iter().map(|fate| (fate.word(), counts.of(*fate))).collect()
            }),
            templates: chain.templates.as_ref().map(Templates::counts),
            locks: chain.locks.as_ref().and_then(|locks| locks.counts(index)),
            totals,
            peers,
        }
    }
}

impl EndpointNow {
    fn of((index, endpoint): (usize, &Endpoint)) -> Self {
        Self {
            leg: index.to_string(),
            host: host_of(endpoint.url()),
            is_closed: endpoint.is_closed(),
            totals: endpoint.totals(),
        }
    }
}

/// Host and port of a URL: no name, no password, no path, nothing that needs an escape.
pub(super) fn host_of(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.chars().filter(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(*c)).collect()
}
