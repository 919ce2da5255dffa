//! Runs on: any thread.
//! May import: limits, metrics.
//! Must never: touch a socket, a clock or a file.
//!
//! What the bytes mean, for all chains.

mod cursor;

pub mod chain;
pub mod hash;
pub mod x11;

pub mod frame;
pub mod image;
pub mod locks;
pub mod message;

pub mod handshake;

pub mod auxpow;
pub mod block;
pub mod check;
pub mod compact;
pub mod staged;
