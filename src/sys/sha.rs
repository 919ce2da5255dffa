//! SHA-256 of several messages side by side.
//!
//! The processor's SHA instructions wait for each other within a message: a round needs the one
//! before. Two messages in turn fill the gaps. Where there are no such instructions the messages
//! are hashed one after the other by the library that the rest of the program uses.

#[cfg(target_arch = "x86_64")]
mod compress;
#[cfg(target_arch = "x86_64")]
mod stream;
#[cfg(test)]
mod tests;

use crate::wire::hash::Lanes;

/// The fastest way to hash that this processor has.
#[must_use]
pub fn lanes() -> Lanes {
    #[cfg(target_arch = "x86_64")]
    if compress::is_there() {
        return Lanes::new(stream::hash, stream::hash_pairs);
    }
    Lanes::PORTABLE
}
