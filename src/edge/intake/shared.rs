//! Shared memory: a pool writes its block where the engine reads it along, and rings.
//!
//! # Shapes
//!
//! On the Unix socket of [`super::unix`]. Request: `"BSM1" [4] · chain name length [u8] · chain
//! name`; an empty name is the first chain. Reply: `"BSM1" [4] · version [u32 LE] · status [u32 LE] ·
//! length [u32 LE]`. Status 0: granted; with the first byte come three descriptors, the memory (of
//! `length` bytes, see [`layout`]) and two eventfds: the ring (the pool rings) and the bell (the
//! engine rings). Any other status: refused, `length` bytes of text follow, and the connection ends.
//! From then on the pool sends nothing on the socket: it lives as long as the session does, and what
//! the engine sends on it is such a refusal, before it ends the session.
//!
//! # Whose bytes go out
//!
//! The pool does not get a slot of the arena itself. Peers are sent a slot's bytes long after they
//! were hashed, and whoever can still write to them could have us send anything: a peer would ban
//! us, not the pool. So each piece is copied out once, behind the writer, into memory that only we
//! have (some 40 us per MB, hidden in the time that the pool takes to write), and hashes, checks
//! and the image are made of that copy alone. Bytes that change afterwards change nothing.
//!
//! # Threads
//!
//! One per session, asleep on the ring while no block is being written.

mod answer;
mod client;
mod follow;
pub mod layout;
mod session;

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::Semaphore;

pub use client::{SharedAnswer, SharedClient};
pub(super) use session::serve;

use crate::hot::shard::Idle;
use crate::limits::{
    SHARED_LONG_SPIN_US, SHARED_PROGRESS_DEADLINE_MS, SHARED_SESSIONS_MAX, SHARED_SPIN_US,
};

/// First bytes of a request, and of each reply.
pub const MAGIC: [u8; 4] = *b"BSM1";
/// Status of a reply: the session is there.
pub const GRANTED: u32 = 0;
/// Status of a reply: there is no session, or no longer; text follows.
pub const REFUSED: u32 = 1;
/// Length of a reply in bytes, without its text.
pub const REPLY_BYTES: usize = 16;

/// Places for sessions, and how they are to be watched.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    places: Arc<Semaphore>,
    patience: Patience,
}

/// How long a block being written is watched.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Without a pause after each piece, in ns.
    spin_ns: u64,
    /// Until it counts as stalled, in ns.
    progress_ns: u64,
}

impl Sessions {
    pub(super) fn new(idle: Idle) -> Self {
        let spin_us = match idle {
            Idle::Sleep => SHARED_SPIN_US,
            Idle::Spin => SHARED_LONG_SPIN_US,
        };
        let places = Arc::new(Semaphore::new(SHARED_SESSIONS_MAX as usize));
        let progress_ns = SHARED_PROGRESS_DEADLINE_MS * 1_000_000;
        Self { places, patience: Patience { spin_ns: spin_us * 1_000, progress_ns } }
    }
}

/// What can go wrong on the pool's side.
#[derive(Debug, Error)]
pub enum SharedError {
    /// The engine can't be reached or is gone.
    #[error("the engine at {} did not answer: {source}; check that it runs and that this is its user", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something else answered.
    #[error("the engine at {} answered something else; check that both are of one version", path.display())]
    BadAnswer {
        /// The socket.
        path: PathBuf,
    },
    /// The engine does not want to, or ended the session.
    #[error("the engine refused: {0}")]
    Refused(String),
    /// The chain's name can't be put into the request.
    #[error("the chain name {0:?} is too long; use a name of the configuration")]
    ChainName(String),
    /// More than the block area holds.
    #[error("the block is longer than any chain allows")]
    TooLong,
    /// No answer in time.
    #[error(
        "no answer within {0} s; the engine goes on with the block, look at `broadside status`"
    )]
    Silent(u64),
}

#[cfg(test)]
mod tests;
