//! Runs on: the tokio runtime.
//! May import: limits, metrics, wire, sys, hot, cold.
//! Must never: wait for a peer or hold one block for another.
//!
//! Ways in for a block: JSON-RPC, Unix socket, library call; one desk behind them.

pub mod desk;
pub mod rpc;
pub mod unix;
