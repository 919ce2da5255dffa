//! What no operator can change: every bound of the program, its unit, and what it costs.
//!
//! One file per room; `sums` has the compiler check that no two of them drift apart unseen.

mod alerts;
mod bpf;
mod cold;
mod dashboard;
mod edge;
mod hot;
mod peers;
mod sim;
mod sums;
mod wire;

pub use alerts::*;
pub use bpf::*;
pub use cold::*;
pub use dashboard::*;
pub use edge::*;
pub use hot::*;
pub use peers::*;
pub use sim::*;
pub use wire::*;
