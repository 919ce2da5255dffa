//! Runs on: threads of its own.
//! May import: limits, metrics, wire, sys, hot, cold, edge.
//! Must never: be used by a running daemon.
//!
//! Simulated peers, blocks and rings, seeded; used by tests, benches and the demo.

pub mod blocks;
pub mod dice;
pub mod loopback;
pub mod network;
pub mod peer;
pub mod ring;
pub mod wan;
