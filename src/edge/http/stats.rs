//! `/broadcaster_stats`, `/healthz` and `/readyz`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::confirmation::confirmation;
use super::endpoints;
use super::serve::addresses;
use crate::cold::locks::LockRelay;
use crate::cold::node::endpoint::Endpoint;
use crate::cold::node::tip::{Presence, TipWatch};
use crate::cold::spool::Spool;
use crate::cold::stats::{BlockLog, ChainTotals, Percentiles, ProofCounts};
use crate::cold::template::Templates;
use crate::hot::link::Outcome;
use crate::hot::link::traffic::Bytes;
use crate::limits::TOP_PEERS_MAX;
use crate::wire::chain::Chain;

/// What is connected, at the moment of asking.
#[derive(Clone, Debug, Default)]
pub struct PeersNow {
    /// Connections at the shards.
    pub connected: u32,
    /// As many as are wanted.
    pub max: u32,
    /// Fewer than this is worth a warning.
    pub min: u32,
    /// As many as are wanted now: what the uplink serves in time.
    pub aimed: u32,
    /// How they are chosen, as it is to be shown.
    pub selection: Value,
    /// Who takes blocks in which form, as it is to be shown.
    pub relay: Value,
    /// What is wrong with the choice (a file that can't be used), for the operator.
    pub doubt: Option<String>,
    /// Entries of the peer database.
    pub known: u32,
    /// Whether the chain's own node is among the connections; `None` where none is configured.
    pub node_connected: Option<bool>,
    /// The connections, best first, as they are to be shown; the first [`TOP_PEERS_MAX`] are.
    pub peers: Vec<Value>,
    /// Connections that listen: those that are there, and those that are wanted.
    pub scouts: (u32, u32),
    /// What became of addresses that others told of, by word.
    pub addresses: BTreeMap<&'static str, u64>,
    /// How connections ended and dials failed, by word.
    pub drops: BTreeMap<&'static str, u64>,
    /// What went over all connections since the start.
    pub traffic: Bytes,
    /// Why the proxy can't be used, while it can't.
    pub proxy_trouble: Option<String>,
}

/// Asks for [`PeersNow`]; must not wait.
pub type AskPeers = Arc<dyn Fn() -> PeersNow + Send + Sync>;

/// Asks what is known of the uplink, as it is to be shown; must not wait.
pub type AskUplink = Arc<dyn Fn() -> Value + Send + Sync>;

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
    pub peers: AskPeers,
    /// Locks of blocks and transactions.
    pub locks: Option<Arc<LockRelay>>,
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
    pub uplink: AskUplink,
    /// What is wrong with the engine itself.
    pub fault: AskFault,
}

/// The pages.
pub fn router(state: HttpState) -> Router {
    Router::new()
        .route("/broadcaster_stats", get(broadcaster_stats))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(state))
}

async fn broadcaster_stats(State(state): State<Arc<HttpState>>) -> Json<Value> {
    Json(state.stats())
}

/// 200 while the engine runs as it should; 503 with the reason where a restart is needed.
async fn healthz(State(state): State<Arc<HttpState>>) -> (StatusCode, String) {
    say((state.fault)().into_iter().collect())
}

/// 200 when a block handed in now would reach a peer and the node, on every chain.
async fn readyz(State(state): State<Arc<HttpState>>) -> (StatusCode, String) {
    let mut reasons: Vec<String> = (state.fault)().into_iter().collect();
    for chain in &state.chains {
        let name = chain.chain.name;
        if (chain.peers)().connected == 0 {
            reasons.push(format!("{name}: no peer is connected"));
        }
        reasons.extend(chain.node_trouble().map(|why| format!("{name}: {why}")));
    }
    say(reasons)
}

fn say(reasons: Vec<String>) -> (StatusCode, String) {
    if reasons.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reasons.join("\n")))
}

impl HttpChain {
    /// What is wrong with the node's RPC.
    fn node_trouble(&self) -> Option<String> {
        match &*self.tip.as_ref()?.presence().borrow() {
            Presence::Here => None,
            Presence::Unknown => Some("the local node has not answered yet".to_owned()),
            Presence::Away(why) => Some(format!("the local node is away: {why}")),
        }
    }

    /// Everything that an operator should know is not as it should be.
    fn issues(&self, peers: &PeersNow) -> Vec<String> {
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
        issues.extend(peers.doubt.clone());
        issues
    }
}

impl HttpState {
    /// `{chain name: object}`.
    fn stats(&self) -> Value {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let uplink = (self.uplink)();
        let chains = (0_u8..).zip(&self.chains).map(|(at, chain)| {
            let totals = self.log.totals(at);
            let mut object = told(chain, &totals, now_s, &uplink);
            object.insert("uplink".to_owned(), uplink.clone());
            object.extend(flat(chain, &totals));
            let locks = chain.locks.as_ref().and_then(|locks| locks.counts(at));
            object.extend(locks.map(|locks| ("locks".to_owned(), locks.to_json())));
            let waiting = self.spool.as_ref().map(|spool| spool.pending(chain.chain).len());
            object.insert("spool".to_owned(), json!({"waiting": waiting}));
            let told = confirmation(&self.log, at, chain.tip.is_some());
            object.insert("confirmation".to_owned(), told);
            let templates = chain.templates.as_ref().map(Templates::to_json);
            object.insert("templates".to_owned(), json!(templates));
            (chain.chain.name.to_owned(), Value::Object(object))
        });
        Value::Object(chains.collect())
    }
}

/// The names of our own surface.
fn told(chain: &HttpChain, totals: &ChainTotals, now_s: f64, uplink: &Value) -> Map<String, Value> {
    let peers = (chain.peers)();
    let mut issues = chain.issues(&peers);
    issues.extend(uplink["doubt"].as_str().map(str::to_owned));
    let last = totals.last_block;
    let last_age_s =
        last.map(|(_, received_unix_ms)| (now_s - received_unix_ms as f64 / 1e3).max(0.0));
    let outcomes = Outcome::ALL.iter().map(|outcome| (outcome.word(), totals.of(*outcome)));
    let outcomes: BTreeMap<&str, u64> = outcomes.collect();
    let shown: Vec<&Value> = peers.peers.iter().take(TOP_PEERS_MAX).collect();
    let value = json!({
        "network": chain.chain.network.name(),
        "peers": {"connected": peers.connected, "max": peers.max, "min": peers.min,
                  "known": peers.known, "aimed": peers.aimed},
        "scouts": {"connected": peers.scouts.0, "wanted": peers.scouts.1},
        "addresses": addresses(&peers.addresses),
        "selection": peers.selection,
        "relay": peers.relay,
        "ways": totals.ways_json(),
        "blocks": {"broadcast": totals.blocks_broadcast,
                   "last_hash": last.map(|(hash, _)| hash.to_string()),
                   "last_age_s": last_age_s, "held_back": totals.held_back},
        "success_rate": totals.success_rate(),
        "broadcast_ms": totals.sent.percentiles().map(Percentiles::to_json),
        "receipt_ms": totals.handled.percentiles().map(Percentiles::to_json),
        "outcomes": outcomes,
        "node": {"connected": peers.node_connected, "protected": peers.node_connected.is_some(),
                 "rpc": chain.tip.as_ref().map(|_| chain.node_trouble().is_none()),
                 "tip": chain.tip.as_ref().and_then(|tip| tip.tip()).map(|(hash, known)| {
                     json!({"hash": hash.to_string(), "height": known.height})
                 }),
                 "verdicts": totals.verdicts.to_json()},
        "endpoints": endpoints::told(chain, totals),
        "merged_mining": endpoints::merged(chain),
        "drops": peers.drops,
        "traffic": {"received_bytes": peers.traffic.received_bytes,
                    "sent_bytes": peers.traffic.sent_bytes},
        "top_peers": shown,
        "health": {"healthy": issues.is_empty(),
                   "status": if issues.is_empty() { "ok" } else { "degraded" },
                   "issues": issues},
    });
    object(value)
}

/// The flat names that users of p2pool forks know.
fn flat(chain: &HttpChain, totals: &ChainTotals) -> Map<String, Value> {
    let peers = (chain.peers)();
    let settled = totals.settled();
    let successes = totals.successes();
    let own = totals.verdicts;
    let more = totals.endpoint_verdicts;
    object(json!({
        "chain": chain.chain.name,
        "bootstrapped": peers.known > 0,
        "total_peers": peers.known,
        "active_connections": peers.connected,
        "protected_connections": u32::from(peers.node_connected == Some(true)),
        "blocks_sent": totals.blocks_broadcast,
        "blocks_broadcast": totals.blocks_broadcast,
        "total_broadcasts": settled,
        "successful_broadcasts": successes,
        "failed_broadcasts": settled.saturating_sub(successes),
        "rpc_endpoints": chain.endpoints.len() + usize::from(chain.tip.is_some()),
        "blocks_submitted": own.successes() + own.inconclusive + own.failures(),
        "rpc_successes": own.successes() + more.successes(),
        "rpc_failures": own.failures() + more.failures() + endpoints::lost(chain),
        "last_block_time": totals.last_block.map(|(_, received_unix_ms)| received_unix_ms as f64 / 1e3),
        "last_block_hash": totals.last_block.map(|(hash, _)| hash.to_string()),
    }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
