//! Runs on: the tokio runtime.
//! May import: limits, metrics, wire, cold.
//! Must never: delay a block.
//!
//! Statistics and health over HTTP.

mod confirmation;
mod endpoints;
pub mod serve;
pub mod stats;
