//! Runs on: threads of its own.
//! May import: limits, metrics, wire, sys, hot, cold, edge.
//! Must never: be used by a running daemon.
//!
//! Simulated peers, blocks and rings, seeded; used by tests, benches and the demo.

pub mod dice;
pub mod ring;
