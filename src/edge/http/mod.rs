//! Runs on: the tokio runtime.
//! May import: limits, metrics, wire, cold.
//! Must never: delay a block.
//!
//! Statistics and health over HTTP.

mod blocks;
mod compat;
mod confirmation;
mod endpoints;
mod events;
mod health;
mod peers;
pub mod serve;
pub mod state;
mod stats;
mod uplink;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use state::HttpState;

/// The pages.
pub fn router(state: HttpState) -> Router {
    Router::new()
        .route("/broadcaster_stats", get(stats::broadcaster_stats))
        .route("/broadcaster_status", get(compat::status))
        .route("/merged_broadcaster_status", get(compat::merged_status))
        .route("/blocks", get(blocks::list))
        .route("/blocks/{hash}", get(blocks::show))
        .route("/events", get(events::events))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .with_state(Arc::new(state))
}
