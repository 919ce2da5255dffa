//! Runs on: threads of its own.
//! May import: everything but cmd.
//! Must never: print a figure that it did not measure.
//!
//! Runs, histograms and tables, and the programs that the engine is held against.

pub mod baseline;
pub mod table;
