//! Is this host made ready? `tuning/` holds one unit per setting: what, why, source, what it is worth;
//! here is how each is read, set and put back.

pub mod knob;
