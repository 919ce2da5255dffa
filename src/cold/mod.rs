//! Runs on: the tokio runtime, kept off the shards' cores.
//! May import: limits, metrics, wire, sys, and of hot only `hot::link`.
//! Must never: touch a socket that a shard owns, or make a shard wait.
//!
//! Everything that can wait: peers, nodes, spool, statistics.

pub mod alert;
pub mod atlas;
pub mod confirm;
pub mod cover;
pub mod dial;
pub mod directory;
pub mod diversity;
pub mod gossip;
pub mod history;
pub mod locks;
pub mod node;
pub mod onion;
pub mod proxy;
pub mod roster;
pub mod score;
pub mod scouts;
pub mod seeds;
pub mod spool;
pub mod stats;
pub mod store;
pub mod template;
pub mod uplink;
