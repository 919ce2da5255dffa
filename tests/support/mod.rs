//! What several tests need: real nodes to hand blocks to, and one that makes blocks.

#![allow(dead_code, unreachable_pub, reason = "no test needs all of it")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

pub mod bitcoind;
pub mod browser;
pub mod daemon;
pub mod engine;
pub mod exposition;
pub mod grafana;
pub mod indicators;
pub mod litecoind;
pub mod miner;
pub mod named_peer;
pub mod ports;
pub mod prometheus;
pub mod rpc_node;
pub mod spoil;
pub mod strict;
pub mod tap;
pub mod webhook;
pub mod wire_peer;
