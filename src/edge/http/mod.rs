//! Runs on: a thread of its own, which the pages' tokio runtime has for itself.
//! May import: limits, metrics, wire, cold, and of edge the intakes' login.
//! Must never: delay a block.
//!
//! Statistics and health over HTTP.

mod blocks;
mod cache;
mod compat;
mod confirmation;
mod crowd;
mod dashboard;
mod endpoints;
mod events;
mod health;
mod metrics;
mod missing;
mod patient;
mod peers;
pub mod security;
pub mod serve;
pub mod state;
mod stats;
#[cfg(test)]
mod testing;
mod uplink;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use state::HttpState;

/// The pages.
pub fn router(state: HttpState) -> Router {
    let state = Arc::new(state);
    let pages = Router::new()
        .route("/broadcaster_stats", get(stats::broadcaster_stats))
        .route("/broadcaster_status", get(compat::status))
        .route("/merged_broadcaster_status", get(compat::merged_status))
        .route("/blocks", get(blocks::list))
        .route("/blocks/{hash}", get(blocks::show))
        .route("/metrics", get(metrics::metrics))
        .with_state(Arc::clone(&state))
        .merge(dashboard::router(Arc::clone(&state)));
    // These are answered whatever becomes of the others.
    let open = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .with_state(Arc::clone(&state));
    cache::pressed(pages)
        .merge(open)
        .merge(events::router(state))
        .fallback(missing::no_page)
        .method_not_allowed_fallback(missing::no_method)
}
