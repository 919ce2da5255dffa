//! The HTTP port, and what it shows of the rosters.

use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::stats::{AskFault, AskPeers, PeersNow};
use crate::cold::roster::{PeerRow, RosterHandle};
use crate::limits::TOP_PEERS_MAX;

/// Serves `router` until `stop` becomes true.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
    if let Err(error) = served {
        tracing::error!("statistics are served no more: {error}; restart broadside to have them");
    }
}

/// Asks a roster who is connected.
#[must_use]
pub fn ask_roster(roster: &RosterHandle) -> AskPeers {
    let view = roster.view.clone();
    Arc::new(move || {
        let now = Arc::clone(&view.borrow());
        PeersNow {
            connected: now.connected,
            max: now.max,
            min: now.min,
            known: now.known,
            node_connected: now.node_connected,
            peers: now.peers.iter().take(TOP_PEERS_MAX).map(row).collect(),
            drops: now.drops.clone(),
        }
    })
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

fn row(peer: &PeerRow) -> Value {
    json!({
        "address": peer.label.address.to_string(),
        "user_agent": peer.label.user_agent,
        "protected": peer.label.protected,
        "connected": true,
        "source": peer.source.word(),
        "score": peer.score,
        "rank": peer.rank,
        "round_trip_ms": peer.round_trip_us.map(|us| f64::from(us) / 1e3),
        "delivery_ms": peer.delivery_ms,
        "successful_broadcasts": peer.successful_broadcasts,
        "failed_broadcasts": peer.failed_broadcasts,
        "echoes": peer.echoes,
        "connected_since": peer.connected_since_s,
    })
}
