//! Runs on: a shard's pinned thread (publish: the intake's thread).
//! May import: limits, metrics, wire, sys.
//! Must never: allocate, lock, log, format or block between publish and reap.
//!
//! Pinned shards that own the peers' sockets.

mod acknowledge;
mod allowance;
mod answers;
mod deadlines;
mod due;
mod fanout;
mod govern;
pub mod governor;
mod inflight;
pub mod link;
mod locks;
mod orders;
pub mod publish;
mod reply;
mod requests;
pub mod route;
mod sending;
mod settle;
pub mod shard;
mod slot;
mod small;
pub mod spawn;
mod wake;
mod warm_up;
pub mod way;

pub use inflight::Tally;
