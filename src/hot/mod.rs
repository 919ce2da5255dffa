//! Runs on: a shard's pinned thread (publish: the intake's thread).
//! May import: limits, metrics, wire, sys.
//! Must never: allocate, lock, log, format or block between publish and reap.
//!
//! Pinned shards that own the peers' sockets.

mod acknowledge;
mod allowance;
mod fanout;
mod govern;
pub mod governor;
mod inflight;
pub mod link;
mod orders;
pub mod publish;
mod reply;
pub mod route;
pub mod shard;
mod slot;
pub mod spawn;
mod wake;
mod warm_up;

pub use inflight::Tally;
