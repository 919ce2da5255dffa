//! Runs on: the tokio runtime.
//! May import: limits, metrics, wire, sys, hot, cold.
//! Must never: wait for a peer or hold one block for another.
//!
//! Ways in for a block: JSON-RPC, Unix socket, shared memory, library call; one desk behind them.

pub mod desk;
pub mod rpc;
pub mod shared;
pub mod unix;
