//! Runs on: threads and processes of its own.
//! May import: everything but cmd.
//! Must never: print a figure that it did not measure.
//!
//! `broadside bench`: the engine and the baselines, each in a process of its own, get the same blocks
//! in turn from one client and send them to the same sinks.

pub mod baseline;
pub mod child;
pub mod client;
pub mod compare;
mod ensemble;
pub mod fanout;
pub mod figure;
pub mod folder;
pub mod goals;
pub mod host;
pub mod idle;
pub mod intake;
pub mod jitter;
pub mod network;
pub mod node;
pub mod page;
mod past;
pub mod plan;
pub mod plot;
pub mod print;
mod product;
pub mod program;
pub mod progress;
pub mod report;
pub mod sinks;
pub mod stall;
pub mod subject;
pub mod table;
pub mod tune;
pub mod wan;
mod watchers;

use std::path::PathBuf;

/// Why a bench could not be done. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The system refused something.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// This host lacks something.
    #[error("{0}")]
    Lacking(String),
    /// A program under test did not do what it should.
    #[error("{program}: {why}")]
    Program {
        /// Its name.
        program: String,
        /// What happened.
        why: String,
    },
    /// The block can't be made.
    #[error(transparent)]
    Block(#[from] crate::sim::blocks::PlanError),
    /// A result file.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}
