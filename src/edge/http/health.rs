//! `/healthz` and `/readyz`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::state::HttpState;

/// 200 while the engine runs as it should; 503 with the reason where a restart is needed.
pub(super) async fn healthz(State(state): State<Arc<HttpState>>) -> (StatusCode, String) {
    say((state.fault)().into_iter().collect())
}

/// 200 when a block handed in now would reach a peer and the node, on every chain.
pub(super) async fn readyz(State(state): State<Arc<HttpState>>) -> (StatusCode, String) {
    let mut reasons: Vec<String> = (state.fault)().into_iter().collect();
    for chain in &state.chains {
        let name = chain.chain.name;
        if chain.peers().connected == 0 {
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
