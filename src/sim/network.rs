//! A coin's network as a model: what pushing a block to which peers is worth at the hash rate.
//!
//! Some thousand nodes in seven regions, linked as nodes link themselves; each relays compact blocks
//! to those that chose it and announces headers to the others. Pools with gateways find the network's
//! blocks, and are whom ours has to reach. From the network's blocks the covering rule learns, with
//! the very code of [`crate::cold::cover`]; then each [`Policy`] sends the same blocks of ours over
//! the same network with the same chance, and what comes out is when the hash rate has them.
//!
//! Latencies, pools and delays are assumptions ([`Assumptions`]): orders and ratios mean something, a
//! single millisecond does not. Everything follows from the seed.

mod flood;
mod policy;
mod study;
mod watching;
mod world;

#[cfg(test)]
mod tests;

pub use policy::Policy;
pub use study::{Extent, Findings, Row, study};
pub use world::{Assumptions, World};
