//! `/broadcaster_stats`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::compat::{Counts, connections, discovered};
use super::confirmation::confirmation;
use super::endpoints;
use super::peers::{addresses, relay, row, selection};
use super::state::{HttpChain, HttpState};
use super::uplink::uplink_json;
use crate::cold::history::HistoryView;
use crate::cold::stats::{ChainTotals, Percentiles};
use crate::cold::template::Templates;
use crate::hot::link::Outcome;
use crate::limits::TOP_PEERS_MAX;

pub(super) async fn broadcaster_stats(State(state): State<Arc<HttpState>>) -> Json<Value> {
    Json(state.stats())
}

impl HttpState {
    /// `{chain name: object}`.
    pub(super) fn stats(&self) -> Value {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let (uplink, history) = (uplink_json(&self.uplink_now()), self.history_now());
        let trace = self.trace.borrow().to_json();
        let chains = (0_u8..).zip(&self.chains).map(|(at, chain)| {
            let totals = self.log.totals(at);
            let mut object = told(chain, &totals, now_s, (&uplink, &history));
            object.insert("uplink".to_owned(), uplink.clone());
            object.insert("shards".to_owned(), self.shards_json());
            object.insert("indicators".to_owned(), self.indicators(at).to_json());
            object.extend(flat(chain, &totals));
            let locks = chain.locks.as_ref().and_then(|locks| locks.counts(at));
            object.extend(locks.map(|locks| ("locks".to_owned(), locks.to_json())));
            let waiting = self.spool.as_ref().map(|spool| spool.pending(chain.chain).len());
            object.insert("spool".to_owned(), json!({"waiting": waiting}));
            let alerts = self.alerts.borrow().to_json(chain.chain.name);
            object.insert("alerts".to_owned(), alerts);
            let told = confirmation(&self.log, at, chain.tip.is_some());
            object.insert("confirmation".to_owned(), told);
            let templates = chain.templates.as_ref().map(Templates::to_json);
            object.insert("history".to_owned(), history.to_json());
            object.insert("trace".to_owned(), trace.clone());
            object.insert("templates".to_owned(), json!(templates));
            (chain.chain.name.to_owned(), Value::Object(object))
        });
        Value::Object(chains.collect())
    }
}

/// The names of our own surface.
fn told(
    chain: &HttpChain,
    totals: &ChainTotals,
    now_s: f64,
    (uplink, history): (&Value, &HistoryView),
) -> Map<String, Value> {
    let peers = chain.peers();
    let mut issues = chain.issues(&peers);
    issues.extend(uplink["doubt"].as_str().map(str::to_owned));
    issues.extend(history.trouble.as_ref().map(|why| format!("history: {why}")));
    let last = totals.last_block;
    let last_age_s =
        last.map(|(_, received_unix_ms)| (now_s - received_unix_ms as f64 / 1e3).max(0.0));
    let outcomes = Outcome::ALL.iter().map(|outcome| (outcome.word(), totals.of(*outcome)));
    let outcomes: BTreeMap<&str, u64> = outcomes.collect();
    let shown: Vec<Value> = peers.peers.iter().take(TOP_PEERS_MAX).map(row).collect();
    let value = json!({
        "network": chain.chain.network.name(),
        "peers": {"connected": peers.connected, "max": peers.max, "min": peers.min,
                  "known": peers.known, "aimed": peers.aimed},
        "scouts": {"connected": peers.scouts.connected, "wanted": peers.scouts.wanted},
        "addresses": addresses(&peers.addresses),
        "selection": selection(&peers),
        "relay": relay(&peers),
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
    let peers = chain.peers();
    let counts = Counts::new(totals);
    let mut dialled = connections(&peers);
    dialled["peers_discovered"] = json!(discovered(&peers));
    let own = totals.verdicts;
    let more = totals.endpoint_verdicts;
    object(json!({
        "chain": chain.chain.name,
        "bootstrapped": peers.known > 0,
        "total_peers": peers.known,
        "active_connections": peers.connected,
        "protected_connections": u32::from(peers.node_connected == Some(true)),
        "blocks_sent": counts.blocks,
        "blocks_broadcast": counts.blocks,
        "total_broadcasts": counts.ended,
        "successful_broadcasts": counts.successes,
        "failed_broadcasts": counts.failures,
        "p2p_broadcasts": counts.ended,
        "p2p_successes": counts.successes,
        "p2p_failures": counts.failures,
        "connection_stats": dialled,
        "peers_discovered": discovered(&peers),
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
pub(super) mod tests;
