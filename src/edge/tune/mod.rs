//! Is this host made ready? `tuning/` holds one unit per setting: what, why, source, what it is worth;
//! here is how each is read, set and put back.
//!
//! * [`unit`]: the units, read from `tuning/`.
//! * [`how`]: which knob a unit turns, with its keys; [`knob`]: the knobs.
//! * [`mod@check`] looks, [`mod@apply`] sets, [`mod@undo`] puts back.
//! * [`record`]: what was set, on the disk before it is; [`here`]: the boot and the network that it
//!   belongs to.
//!
//! What holds at every moment, however a command ends:
//!
//! 1. A value that we have changed is in the record with what it was before.
//! 2. What the record does not have, [`undo::undo`] does not touch.
//! 3. A value that somebody else has changed since is left to them, unless we are told otherwise.

pub mod apply;
pub mod check;
pub mod here;
pub mod how;
pub mod knob;
pub mod record;
pub mod undo;
pub mod unit;

#[cfg(test)]
mod tests;
