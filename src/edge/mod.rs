//! Runs on: the tokio runtime.
//! May import: limits, metrics, wire, sys, hot, cold.
//! Must never: wait for a peer on a block's way.
//!
//! What the outside touches.

pub mod engine;
pub mod http;
pub mod intake;
mod publisher;
mod pump;
mod serving;
pub mod trace;
pub mod tune;
