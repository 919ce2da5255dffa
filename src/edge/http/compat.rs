//! `/broadcaster_status` and `/merged_broadcaster_status`: the names and shapes that dashboards and
//! scripts of p2pool forks read (`docs/http.md`).

mod counts;
mod merged;
mod plain;
mod split;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use counts::{Counts, connections, discovered};

use super::state::{HttpChain, HttpState};
use crate::cold::roster::{AbsentPeer, PeerRow, RosterView};
use crate::cold::stats::ChainTotals;

/// Which chain is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// Its name; the first one otherwise.
    chain: Option<String>,
}

/// One chain's status: the first one's, or that of `?chain=NAME`.
pub(super) async fn status(
    State(state): State<Arc<HttpState>>,
    Query(asked): Query<Asked>,
) -> (StatusCode, Json<Value>) {
    let is_asked =
        |chain: &HttpChain| asked.chain.as_deref().is_none_or(|it| it == chain.chain.name);
    let found = (0_u8..).zip(&state.chains).find(|(_, chain)| is_asked(chain));
    match found {
        Some((at, chain)) => (StatusCode::OK, Json(Scene::new(&state, at, chain).status())),
        None => {
            (StatusCode::NOT_FOUND, Json(json!({"error": "no chain of this name is configured"})))
        }
    }
}

/// `{"chains": {"<chain id>": status}}` of the merged chains.
pub(super) async fn merged_status(State(state): State<Arc<HttpState>>) -> Json<Value> {
    Json(merged::status(&state))
}

/// All that a status is made of, at one moment.
struct Scene<'a> {
    chain: &'a HttpChain,
    peers: Arc<RosterView>,
    totals: ChainTotals,
    now_s: f64,
}

impl<'a> Scene<'a> {
    fn new(state: &HttpState, at: u8, chain: &'a HttpChain) -> Self {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Self { chain, peers: chain.peers(), totals: state.log.totals(at), now_s }
    }

    /// Whether blocks go to peers at all.
    fn is_enabled(&self) -> bool {
        self.peers.max > 0
    }

    fn status(&self) -> Value {
        match self.chain.chain.status_daemon {
            _ if !self.is_enabled() => json!({
                "enabled": false,
                "health": {"healthy": false, "active_connections": 0},
                "message": "blocks go to no peers: broadcasting is switched off",
            }),
            Some(daemon) => split::status(self, daemon),
            None => plain::status(self),
        }
    }

    fn counts(&self) -> Counts {
        Counts::new(&self.totals)
    }

    /// Whether the protected local node is connected.
    fn protected(&self) -> u32 {
        u32::from(self.peers.node_connected == Some(true))
    }

    /// Everybody who is connected or waited for: protected, then connected, then by score.
    fn peers(&self) -> Vec<Peer<'_>> {
        let connected = self.peers.peers.iter().map(Peer::Connected);
        let mut peers: Vec<Peer<'_>> =
            connected.chain(self.peers.absent.iter().map(Peer::Absent)).collect();
        peers.sort_by(|a, b| {
            let by_place = a.place().cmp(&b.place());
            by_place.then_with(|| b.score().total_cmp(&a.score()))
        });
        peers
    }

    /// Time since `then_s`, in s; never negative, whatever the clock did.
    fn since(&self, then_s: f64) -> f64 {
        (self.now_s - then_s).max(0.0)
    }
}

/// One peer, here or away.
#[derive(Clone, Copy)]
enum Peer<'a> {
    Connected(&'a PeerRow),
    Absent(&'a AbsentPeer),
}

impl Peer<'_> {
    fn is_protected(self) -> bool {
        use crate::cold::score::Standing::Protected;
        match self {
            Self::Connected(row) => row.standing == Protected,
            Self::Absent(peer) => peer.standing == Protected,
        }
    }

    /// The lowest is shown first.
    fn place(self) -> (bool, bool) {
        (!self.is_protected(), matches!(self, Self::Absent(_)))
    }

    const fn score(self) -> f64 {
        match self {
            Self::Connected(row) => row.score,
            Self::Absent(peer) => peer.score,
        }
    }
}

#[cfg(test)]
mod tests;
