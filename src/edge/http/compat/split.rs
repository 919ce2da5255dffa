//! The status of a chain in the form of the fork that tells protected, active and waiting peers
//! apart, and names the node's program in its fields.

use serde_json::{Map, Value, json};

use super::counts::PEERS_SHOWN;
use super::{Peer, Scene};
use crate::cold::roster::{AbsentPeer, PeerRow};
use crate::limits::{BREAKER_FAILURES, HANDSHAKE_DEADLINE_MS};

/// `daemon`: the program's name, as that fork writes it.
pub(super) fn status(scene: &Scene<'_>, daemon: &str) -> Value {
    json!({
        "enabled": true,
        "chain": scene.chain.chain.name,
        "health": health(scene, daemon),
        "statistics": statistics(scene, daemon),
        "database": database(scene, daemon),
        "peers": peers(scene),
        "configuration": named([
            ("max_peers".to_owned(), json!(scene.peers.max)),
            ("min_peers".to_owned(), json!(scene.peers.min)),
            // Nobody is given up for good: after so many failures an address counts as broken.
            ("max_connection_attempts".to_owned(), json!(BREAKER_FAILURES)),
            ("connection_timeout_seconds".to_owned(), json!(HANDSHAKE_DEADLINE_MS / 1_000)),
            (
                format!("{daemon}_refresh_interval_seconds"),
                json!(scene.peers.refresh.as_secs()),
            ),
        ]),
    })
}

fn named<const N: usize>(fields: [(String, Value); N]) -> Value {
    Value::Object(Map::from_iter(fields))
}

fn health(scene: &Scene<'_>, daemon: &str) -> Value {
    let peers = &scene.peers;
    let protected = scene.protected();
    named([
        ("healthy".to_owned(), json!(scene.chain.issues(peers).is_empty())),
        ("active_connections".to_owned(), json!(peers.connected.saturating_sub(protected))),
        ("protected_connections".to_owned(), json!(protected)),
        ("total_connections".to_owned(), json!(peers.connected)),
        ("target_max_peers".to_owned(), json!(peers.max)),
        ("target_min_peers".to_owned(), json!(peers.min)),
        (format!("local_{daemon}_connected"), json!(peers.node_connected == Some(true))),
    ])
}

fn statistics(scene: &Scene<'_>, daemon: &str) -> Value {
    let (counts, dials) = (scene.counts(), scene.peers.dials);
    named([
        ("blocks_broadcast".to_owned(), json!(counts.blocks)),
        ("total_peer_broadcasts".to_owned(), json!(counts.ended)),
        ("successful_broadcasts".to_owned(), json!(counts.successes)),
        ("failed_broadcasts".to_owned(), json!(counts.failures)),
        ("success_rate_percent".to_owned(), json!(counts.success_percent())),
        ("connection_attempts".to_owned(), json!(dials.attempts)),
        ("successful_connections".to_owned(), json!(dials.succeeded)),
        ("failed_connections".to_owned(), json!(dials.failed)),
        ("timeouts".to_owned(), json!(dials.timeouts)),
        ("refused".to_owned(), json!(dials.refused)),
        (format!("{daemon}_refreshes"), json!(scene.peers.node_asked.0)),
    ])
}

/// A node that has never told counts as last asked in 1970, as there.
fn database(scene: &Scene<'_>, daemon: &str) -> Value {
    let told_s = scene.peers.node_asked.1.unwrap_or(0.0);
    named([
        ("total_peers".to_owned(), json!(scene.peers.known)),
        ("sources".to_owned(), json!(scene.peers.sources)),
        (format!("last_{daemon}_refresh"), json!(told_s)),
        ("seconds_since_refresh".to_owned(), json!(scene.since(told_s))),
    ])
}

fn peers(scene: &Scene<'_>) -> Value {
    let all = scene.peers();
    let connected = |is_protected: bool| -> Vec<Value> {
        let those = all.iter().filter(|it| it.is_protected() == is_protected);
        let rows = those.filter_map(|it| match it {
            Peer::Connected(row) => Some(row),
            Peer::Absent(_) => None,
        });
        rows.take(PEERS_SHOWN).map(|row| peer(scene, row)).collect()
    };
    let absent = scene.peers.absent.iter().take(PEERS_SHOWN);
    let in_backoff: Vec<Value> = absent.map(|it| waiting(scene, it)).collect();
    json!({"protected": connected(true), "active": connected(false), "in_backoff": in_backoff})
}

fn peer(scene: &Scene<'_>, row: &PeerRow) -> Value {
    json!({
        "host": row.label.address.ip().to_string(),
        "port": row.label.address.port(),
        "protected": row.label.protected,
        "connected_since": row.connected_since_s,
        "uptime_seconds": scene.since(row.connected_since_s),
        "score": row.score,
        "source": row.source.word(),
        "successful_broadcasts": row.successful_broadcasts,
        "failed_broadcasts": row.failed_broadcasts,
        "blocks_relayed": row.announced,
        "txs_relayed": 0,
    })
}

fn waiting(scene: &Scene<'_>, peer: &AbsentPeer) -> Value {
    let left = peer.next_try_in_at(scene.peers.as_of_s, scene.now_s);
    json!({
        "host": peer.address.ip().to_string(),
        "port": peer.address.port(),
        "backoff_remaining_seconds": left.as_secs_f64(),
        "backoff_total_seconds": peer.wait.as_secs_f64(),
        "attempts": peer.failures,
    })
}
