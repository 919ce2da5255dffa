//! What the pages are made of.

use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::endpoints;
use crate::cold::alert::AlertView;
use crate::cold::history::{HistoryView, Reader};
use crate::cold::locks::LockRelay;
use crate::cold::node::endpoint::Endpoint;
use crate::cold::node::tip::{Presence, TipWatch};
use crate::cold::roster::RosterView;
use crate::cold::spool::Spool;
use crate::cold::stats::{BlockLog, Indicators, ProofCounts};
use crate::cold::template::Templates;
use crate::cold::uplink::UplinkView;
use crate::edge::trace::TraceView;
use crate::hot::link::Link;
use crate::hot::spawn::ShardFacts;
use crate::wire::chain::Chain;

/// Tells what is wrong with the engine itself (a shard has ended, say); must not wait.
pub type AskFault = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// One chain, as far as it is shown.
#[derive(Clone)]
pub struct HttpChain {
    /// Its row.
    pub chain: &'static Chain,
    /// The watch over its own node's RPC.
    pub tip: Option<TipWatch>,
    /// Further endpoints that get every block.
    pub endpoints: Vec<Endpoint>,
    /// What became of proofs handed in, where it is merged into other chains.
    pub merged: Option<Arc<ProofCounts>>,
    /// Its block templates.
    pub templates: Option<Templates>,
    /// Who is connected.
    pub roster: watch::Receiver<Arc<RosterView>>,
    /// Locks of blocks and transactions.
    pub locks: Option<Arc<LockRelay>>,
}

/// Where a shard runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardPlace {
    /// Its core, where it is pinned to one.
    pub core: Option<usize>,
    /// Its thread, as `gettid(2)` gives it.
    pub thread: u32,
    /// It is on io_uring, not on epoll.
    pub uring: bool,
}

impl From<&ShardFacts> for ShardPlace {
    fn from(facts: &ShardFacts) -> Self {
        let core = facts.core.filter(|_| facts.pinned);
        Self { core, thread: facts.thread, uring: facts.uring }
    }
}

/// What the pages are made of.
#[derive(Clone)]
pub struct HttpState {
    /// In the order of the configuration.
    pub chains: Vec<HttpChain>,
    /// What became of each block.
    pub log: Arc<BlockLog>,
    /// Blocks on disk, where that works.
    pub spool: Option<Arc<Spool>>,
    /// What is known of the uplink, which all chains share.
    pub uplink: watch::Receiver<Arc<UplinkView>>,
    /// What is wrong now, and what was.
    pub alerts: watch::Receiver<Arc<AlertView>>,
    /// Blocks on disk, where they are kept.
    pub history: Option<Reader>,
    /// How that is doing.
    pub history_view: watch::Receiver<HistoryView>,
    /// What is seen of the kernel.
    pub trace: watch::Receiver<Arc<TraceView>>,
    /// Where the shards run.
    pub shards: Arc<[ShardPlace]>,
    /// Counters of the shards.
    pub links: Vec<Arc<Link>>,
    /// What is wrong with the engine itself.
    pub fault: AskFault,
}

/// Says when a shard has ended without being told to: it ends in order only when all do.
#[must_use]
pub fn ask_shards(shards: &Arc<Vec<JoinHandle<()>>>) -> AskFault {
    let shards = Arc::clone(shards);
    Arc::new(move || {
        let ended = shards.iter().filter(|shard| shard.is_finished()).count();
        (ended > 0).then(|| format!("{ended} of {} shards have ended: restart", shards.len()))
    })
}

impl HttpChain {
    /// Who is connected, now.
    pub(super) fn peers(&self) -> Arc<RosterView> {
        Arc::clone(&self.roster.borrow())
    }

    /// What is wrong with the node's RPC.
    pub(super) fn node_trouble(&self) -> Option<String> {
        match &*self.tip.as_ref()?.presence().borrow() {
            Presence::Here => None,
            Presence::Unknown => Some("the local node has not answered yet".to_owned()),
            Presence::Away(why) => Some(format!("the local node is away: {why}")),
        }
    }

    /// Everything that an operator should know is not as it should be.
    pub(super) fn issues(&self, peers: &RosterView) -> Vec<String> {
        let mut issues = Vec::new();
        if peers.connected == 0 {
            issues.push("no peer is connected: blocks go to the nodes alone".to_owned());
        } else if peers.connected < peers.min {
            issues.push(format!(
                "{} peers connected, at least {} wanted",
                peers.connected, peers.min
            ));
        }
        if let Some(why) = &peers.proxy_trouble {
            issues.push(format!("the proxy can't be used: {why}"));
        }
        if peers.node_connected == Some(false) {
            issues.push("the protected local node is not connected as a peer".to_owned());
        }
        if self.tip.is_none() {
            issues
                .push("no local node is configured: no verdicts, nothing is forwarded".to_owned());
        }
        issues.extend(self.node_trouble());
        issues.extend(endpoints::issues(self));
        issues.extend(peers.atlas_doubt.clone());
        issues
    }
}

impl HttpState {
    /// What is known of the uplink, now.
    pub(super) fn uplink_now(&self) -> Arc<UplinkView> {
        Arc::clone(&self.uplink.borrow())
    }

    /// How the history is doing, now.
    pub(super) fn history_now(&self) -> HistoryView {
        self.history_view.borrow().clone()
    }

    /// `[{core, thread, ring}]`, one for each shard; all chains share them.
    pub(super) fn shards_json(&self) -> Value {
        let told = self.shards.iter().map(|place| {
            let ring = if place.uring { "io_uring" } else { "epoll" };
            json!({"core": place.core, "thread": place.thread, "ring": ring})
        });
        told.collect()
    }

    /// The five indicators of the chain at `index`.
    pub(super) fn indicators(&self, index: u8) -> Indicators {
        let totals = self.log.totals(index);
        let peers = self.chains.get(usize::from(index)).map(HttpChain::peers).unwrap_or_default();
        Indicators::new(&totals, peers.connected, peers.aimed)
    }
}
