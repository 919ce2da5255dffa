//! Runs on: threads of its own.
//! May import: everything but cmd.
//! Must never: print a figure that it did not measure.
//!
//! Runs, histograms and tables.

pub mod table;
