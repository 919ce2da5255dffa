//! **broadside** puts a pool's block on every connected node of a coin's network at once.
//!
//! The rooms, in reading order; each imports itself and the rooms above it only:
//!
//! * [`limits`]: what no operator can change, with sums that the compiler checks.
//! * [`metrics`]: the table of counters.
//! * [`wire`]: what the bytes mean. Pure: no socket, no clock.
//! * [`sys`]: all `unsafe`: rings, locked memory, sockets, clock.
//! * [`hot`]: pinned shards that own the peers' sockets. No lock, no allocation, no wait.
//! * [`cold`]: dialling, roster, nodes' RPC, spool, statistics. Takes of `hot` only `hot::link`.
//! * [`edge`]: what the outside touches: intake, HTTP, the assembled engine.
//! * [`sim`]: simulated peers, blocks and rings, seeded; for tests, benches and the demo.
//! * [`mod@bench`]: runs, histograms, tables.
//! * [`cmd`]: one file per command.
//!
//! [`config`] is what an operator can change; only `cmd` reads it, rooms are handed values.

pub mod limits;
pub mod metrics;

pub mod wire;

pub mod sys;

pub mod hot;

pub mod cold;

pub mod edge;

pub mod sim;

pub mod bench;

pub mod config;

pub mod topology;

pub mod cmd;
