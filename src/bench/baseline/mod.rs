//! The programs that the engine is held against, each written as well as its kind can be.
//!
//! All of them take a block by `submitblock` over HTTP, read the whole body, decode it, make one
//! `block` message of it (once per peer where that is the point) and give it to every peer. They
//! differ in how the bytes get into the kernel. Sockets have the engine's own options, the send
//! buffer with room for a whole block included.

mod call;
mod greet;
mod http;
mod reactor;
mod tasks;
mod uring_tasks;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::str::FromStr;

use crate::limits::{SEGMENT_LINE_BYTES, SEGMENT_PAYLOAD_BYTES};
use crate::wire::chain::Chain;

/// A program that gets a block by JSON-RPC over HTTP and sends it to peers: what the engine is held
/// against. It ends when this is dropped.
pub trait Program {
    /// Where blocks are taken: plain HTTP, no password.
    fn intake(&self) -> SocketAddr;

    /// Peers whose handshake is done and that have not been lost since.
    fn connected(&self) -> usize;

    /// Closes every connection and waits for the program's threads to end.
    fn stop(self: Box<Self>);
}

/// How a program gets a block's bytes into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One thread, blocking writes, one peer after the other.
    Sequential,
    /// One thread, non-blocking writes to whoever can take bytes.
    EpollRoundRobin,
    /// A tokio task per peer, each of which makes the message itself again.
    TokioPerPeer,
    /// A tokio task per peer, one message for all.
    TokioShared,
    /// As [`Kind::TokioShared`], with tokio-uring in tokio's place.
    TokioUring,
    /// One thread, one io_uring, one copying send of the whole message per peer.
    UringCopy,
    /// A few peers at a time, the next when TCP has sent all that one was given.
    Window,
    /// The same, each socket paced at its share of the uplink.
    PacedWindow,
}

/// A name that is no [`Kind`]'s.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no baseline {0:?}; there are: {names}", names = Kind::ALL.map(Kind::name).join(", "))]
pub struct UnknownKind(pub String);

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Sequential,
        Self::EpollRoundRobin,
        Self::TokioPerPeer,
        Self::TokioShared,
        Self::TokioUring,
        Self::UringCopy,
        Self::Window,
        Self::PacedWindow,
    ];
    /// Those that are about processor time and system calls; the others are about a shared uplink.
    pub const LOOPBACK: [Self; 6] = [
        Self::Sequential,
        Self::EpollRoundRobin,
        Self::TokioPerPeer,
        Self::TokioShared,
        Self::TokioUring,
        Self::UringCopy,
    ];

    /// One word for tables and the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::EpollRoundRobin => "epoll",
            Self::TokioPerPeer => "tokio-per-peer",
            Self::TokioShared => "tokio-shared",
            Self::TokioUring => "tokio-uring",
            Self::UringCopy => "uring-copy",
            Self::Window => "k-window",
            Self::PacedWindow => "paced-window",
        }
    }

    /// What it does, in a line.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Sequential => "one thread, blocking write_all to one peer after the other",
            Self::EpollRoundRobin => {
                "one thread, epoll, non-blocking writes to whoever can take bytes, in turns"
            }
            Self::TokioPerPeer => {
                "tokio, a task per peer that serialises the block itself (p2pool's way)"
            }
            Self::TokioShared => "tokio, a task per peer, one shared message",
            Self::TokioUring => "tokio-uring, a task per peer, one shared message",
            Self::UringCopy => {
                "one thread, one io_uring, a copying send per peer, all in one kernel entry"
            }
            Self::Window => "four peers at a time, the next when TCP has sent all of one's block",
            Self::PacedWindow => {
                "the same, each socket paced at a quarter of the uplink (SO_MAX_PACING_RATE)"
            }
        }
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == word);
        found.ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

/// Starts a program of this kind, with every handshake done that can be done. `uplink_bits_per_s` is
/// the rate of the line that all peers are behind; 0: not known, or no line.
///
/// # Errors
/// A peer can't be reached, the system gave no socket, thread or port, or the kernel lacks what
/// this kind is made of; the message says which, and how to get it.
pub fn start(
    kind: Kind,
    chain: &'static Chain,
    peers: &[SocketAddr],
    uplink_bits_per_s: u64,
) -> io::Result<Box<dyn Program>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let peers = greet::dial_all(chain, peers)?;
    match kind {
        Kind::Sequential => reactor::start(reactor::Manner::InTurn, chain, listener, peers),
        Kind::EpollRoundRobin => {
            reactor::start(reactor::Manner::RoundRobin, chain, listener, peers)
        }
        Kind::UringCopy => reactor::start(reactor::Manner::Ring, chain, listener, peers),
        Kind::Window => {
            let manner = reactor::Manner::Window { bytes_per_s: 0 };
            reactor::start(manner, chain, listener, peers)
        }
        Kind::PacedWindow => {
            let payload = u64::from(SEGMENT_PAYLOAD_BYTES) * uplink_bits_per_s / 8;
            let share = payload / u64::from(SEGMENT_LINE_BYTES) / reactor::AT_ONCE as u64;
            let manner = reactor::Manner::Window { bytes_per_s: share };
            reactor::start(manner, chain, listener, peers)
        }
        Kind::TokioPerPeer => tasks::start(tasks::Making::PerPeer, chain, listener, peers),
        Kind::TokioShared => tasks::start(tasks::Making::Once, chain, listener, peers),
        Kind::TokioUring => uring_tasks::start(chain, listener, peers),
    }
}
