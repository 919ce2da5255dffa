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
use crate::cold::gossip::Fate;
use crate::cold::locks::LockRelay;
use crate::cold::node::tip::{Presence, TipWatch};
use crate::cold::spool::Spool;
use crate::cold::stats::{BlockLog, ChainTotals, Percentiles};
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
    pub endpoints: u32,
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
                   "last_age_s": last_age_s},
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
        "endpoints": {"configured": chain.endpoints,
                      "verdicts": totals.endpoint_verdicts.to_json()},
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

/// Addresses that others told of: how many, how many were new, and why the others were refused.
fn addresses(fates: &BTreeMap<&'static str, u64>) -> Value {
    let of = |word: &str| fates.get(word).copied().unwrap_or(0);
    let refusals = Fate::ALL.iter().filter(|fate| fate.is_refusal()).map(|fate| fate.word());
    let refused: BTreeMap<_, _> =
        refusals.map(|word| (word, of(word))).filter(|(_, count)| *count > 0).collect();
    let heard: u64 = fates.values().sum();
    json!({"heard": heard, "taken": of(Fate::Taken.word()), "known": of(Fate::Known.word()),
           "refused": refused})
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
        "rpc_endpoints": chain.endpoints + u32::from(chain.tip.is_some()),
        "blocks_submitted": own.successes() + own.inconclusive + own.failures(),
        "rpc_successes": own.successes() + more.successes(),
        "rpc_failures": own.failures() + more.failures(),
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
mod tests {
    use super::*;
    use crate::cold::node::NodeAuth;
    use crate::cold::node::fake::FakeNode;
    use crate::edge::intake::desk::testing::{Bench, GENESIS, block, hash_of, plain_chain};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    async fn get_page(router: Router, path: &str) -> (u16, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("reads");
        server.abort();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        (head[9..12].parse().expect("a status"), body.to_owned())
    }

    fn state(bench: &Bench, connected: u32, fault: Option<&'static str>) -> HttpState {
        let peers = Arc::new(move || PeersNow {
            connected,
            max: 20,
            min: 2,
            aimed: 18,
            selection: json!({"rule": "measured"}),
            relay: json!({"chose_us": 2}),
            doubt: None,
            known: 40,
            node_connected: Some(true),
            peers: vec![json!({"address": "127.0.0.1:1"}); 30],
            scouts: (7, 100),
            addresses: BTreeMap::from([("taken", 5), ("known", 2), ("port", 1)]),
            drops: BTreeMap::from([("reset", 3)]),
            traffic: Bytes { received_bytes: 11, sent_bytes: 13 },
            proxy_trouble: None,
        });
        let chain = HttpChain {
            chain: plain_chain(),
            tip: bench.desk.tip(0).cloned(),
            endpoints: 0,
            templates: bench.desk.templates(0).cloned(),
            peers,
            locks: None,
        };
        HttpState {
            chains: vec![chain],
            log: Arc::clone(bench.desk.log()),
            spool: None,
            uplink: Arc::new(|| json!({"state": "not-shared", "bits_per_s": null})),
            fault: Arc::new(move || fault.map(str::to_owned)),
        }
    }

    #[tokio::test]
    async fn what_was_sent_and_who_is_connected_can_be_read_by_scripts() {
        let node = FakeNode::start().await;
        let bench = Bench::new(Some(node.client(NodeAuth::None)), None);
        let tip = bench.desk.tip(0).expect("there is a node").clone();
        tip.presence().wait_for(|now| *now == Presence::Here).await.expect("it lives");
        let raw = block(GENESIS, 1, 1);
        bench.submit(&raw).await;

        let (status, body) = get_page(router(state(&bench, 3, None)), "/broadcaster_stats").await;
        assert_eq!(status, 200);
        let all: Value = serde_json::from_str(&body).expect("JSON");
        let one = &all[plain_chain().name];
        let peers = json!({"connected": 3, "max": 20, "min": 2, "known": 40, "aimed": 18});
        assert_eq!(
            (&one["selection"]["rule"], &one["relay"]["chose_us"]),
            (&json!("measured"), &json!(2))
        );
        assert_eq!(one["peers"], peers);
        assert_eq!(one["blocks"]["broadcast"], 1);
        assert_eq!(one["blocks"]["last_hash"], hash_of(&raw).to_string());
        assert_eq!(
            (&one["node"]["rpc"], &one["node"]["verdicts"]["accepted"]),
            (&json!(true), &json!(1))
        );
        assert_eq!(one["top_peers"].as_array().map(Vec::len), Some(TOP_PEERS_MAX));
        assert_eq!(one["health"]["healthy"], true);
        assert_eq!(one["scouts"], json!({"connected": 7, "wanted": 100}));
        let expected = json!({"heard": 8, "taken": 5, "known": 2, "refused": {"port": 1}});
        assert_eq!(one["addresses"], expected);
        assert_eq!(one["uplink"]["state"], "not-shared");
        assert_eq!(one["confirmation"]["blocks"][0]["state"], "pending");
        assert_eq!(one["traffic"], json!({"received_bytes": 11, "sent_bytes": 13}));
        assert_eq!(
            (&one["active_connections"], &one["blocks_sent"], &one["rpc_successes"]),
            (&json!(3), &json!(1), &json!(1))
        );
    }

    #[tokio::test]
    async fn health_and_readiness_say_what_is_missing() {
        let bench = Bench::new(None, None);
        assert_eq!(
            get_page(router(state(&bench, 3, None)), "/healthz").await,
            (200, "ok\n".into())
        );
        assert_eq!(get_page(router(state(&bench, 3, None)), "/readyz").await.0, 200);
        let (status, why) = get_page(router(state(&bench, 0, None)), "/readyz").await;
        assert!(status == 503 && why.contains("no peer"), "{why}");
        let broken = router(state(&bench, 3, Some("shard 0 has ended")));
        assert_eq!(get_page(broken, "/healthz").await, (503, "shard 0 has ended\n".into()));

        let node = FakeNode::start().await;
        let client = node.client(NodeAuth::None);
        node.kill().await;
        let bench = Bench::new(Some(client), None);
        let tip = bench.desk.tip(0).expect("there is a node").clone();
        let away = |now: &Presence| matches!(now, Presence::Away(_));
        tip.presence().wait_for(away).await.expect("it lives");
        let (status, why) = get_page(router(state(&bench, 3, None)), "/readyz").await;
        assert!(status == 503 && why.contains("node is away"), "{why}");
        let stats = state(&bench, 1, None).stats();
        let health = &stats[plain_chain().name]["health"];
        assert_eq!(health["issues"].as_array().map(Vec::len), Some(2), "{health}");
    }
}
