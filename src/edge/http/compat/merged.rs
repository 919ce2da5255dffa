//! The status of all merged chains, by their numbers in merged mining.

use serde_json::{Map, Value, json};

use super::super::state::HttpState;
use super::counts::discovered;
use super::{Scene, plain};

pub(super) fn status(state: &HttpState) -> Value {
    let scenes = (0_u8..).zip(&state.chains).filter_map(|(at, chain)| {
        let id = chain.chain.auxpow_chain_id?;
        Some((id, Scene::new(state, at, chain)))
    });
    let open = scenes.filter(|(_, scene)| scene.is_enabled());
    let chains: Map<String, Value> = open.map(|(id, it)| (id.to_string(), one(&it))).collect();
    if chains.is_empty() {
        return json!({"chains": {}, "message": "no merged chain is configured, or broadcasting is off"});
    }
    json!({"chains": chains})
}

fn one(scene: &Scene<'_>) -> Value {
    if !scene.peers.is_loaded {
        return json!({"error": "its peer database is still being read"});
    }
    let mut told = plain::status(scene);
    let counts = scene.counts();
    told["chain_name"] = json!(scene.chain.chain.title);
    told["health"]["daemon_healthy"] =
        json!(scene.chain.tip.is_some() && scene.chain.node_trouble().is_none());
    told["connection_stats"]["peers_discovered"] = json!(discovered(&scene.peers));
    told["broadcast_stats"]["p2p_broadcasts"] = json!(counts.ended);
    told["broadcast_stats"]["p2p_successes"] = json!(counts.successes);
    told["broadcast_stats"]["p2p_failures"] = json!(counts.failures);
    told
}
