//! The status of a chain in the form that most forks serve.

use serde_json::{Value, json};

use super::counts::{self, PEERS_SHOWN};
use super::{Peer, Scene};

pub(super) fn status(scene: &Scene<'_>) -> Value {
    let peers = &scene.peers;
    let issues = scene.chain.issues(peers);
    let protected = scene.protected();
    let shown: Vec<Value> =
        scene.peers().into_iter().take(PEERS_SHOWN).map(|it| peer(scene, it)).collect();
    json!({
        "enabled": true,
        "chain": scene.chain.chain.name,
        "health": {
            "healthy": issues.is_empty(),
            "active_connections": peers.connected,
            "protected_connections": protected,
            "bootstrapped": peers.bootstrapped,
            "issues": issues,
        },
        "configuration": {
            "max_peers": peers.max,
            "min_peers": peers.min,
            "valid_ports": [scene.chain.chain.p2p_port],
        },
        "connections": {
            "total": peers.connected,
            "protected": protected,
            "regular": peers.connected.saturating_sub(protected),
        },
        "peer_database": {"total_peers": peers.known, "bootstrapped": peers.bootstrapped},
        "broadcast_stats": scene.counts().to_json(),
        "connection_stats": counts::connections(peers),
        "peers": shown,
    })
}

/// We ask for no transactions, and don't count pings: these two are 0.
fn peer(scene: &Scene<'_>, peer: Peer<'_>) -> Value {
    let address = match peer {
        Peer::Connected(row) => row.label.address,
        Peer::Absent(peer) => peer.address,
    };
    let (source, seen_s, successful, failed, relayed) = match peer {
        Peer::Connected(row) => (
            row.source,
            row.seen_s,
            row.successful_broadcasts,
            row.failed_broadcasts,
            row.announced,
        ),
        Peer::Absent(peer) => {
            (peer.source, peer.seen_s, peer.successful_broadcasts, peer.failed_broadcasts, 0)
        }
    };
    let mut told = json!({
        "address": address.to_string(),
        "connected": matches!(peer, Peer::Connected(_)),
        "protected": peer.is_protected(),
        "score": peer.score(),
        "source": source.word(),
        "first_seen": seen_s.0,
        "last_seen": seen_s.1,
        "age_seconds": scene.since(seen_s.0),
        "successful_broadcasts": successful,
        "failed_broadcasts": failed,
        "blocks_relayed": relayed,
        "txs_relayed": 0,
        "pings_received": 0,
    });
    if let (Peer::Connected(row), Some(told)) = (peer, told.as_object_mut()) {
        told.insert("connected_since".to_owned(), json!(row.connected_since_s));
        told.insert("connection_age".to_owned(), json!(scene.since(row.connected_since_s)));
    }
    told
}
