//! Is this host made ready? `tuning/` holds one unit per setting: what, why, source, what it is worth;
//! here is how each is read, set and put back.
//!
//! * [`unit`]: the units, read from `tuning/`.
//! * [`how`]: which knob a unit turns, with its keys; [`knob`]: the knobs.

pub mod how;
pub mod knob;
pub mod unit;
