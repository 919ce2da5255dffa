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
}

/// A name that is no [`Kind`]'s.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no baseline {0:?}; there are: {names}", names = Kind::ALL.map(Kind::name).join(", "))]
pub struct UnknownKind(pub String);

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
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

/// Starts a program of this kind, with every handshake done that can be done.
///
/// # Errors
/// A peer can't be reached, the system gave no socket, thread or port, or the kernel lacks what
/// this kind is made of; the message says which, and how to get it.
pub fn start(
    kind: Kind,
    chain: &'static Chain,
    peers: &[SocketAddr],
) -> io::Result<Box<dyn Program>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let peers = greet::dial_all(chain, peers)?;
    match kind {
        Kind::Sequential => reactor::start(reactor::Manner::InTurn, chain, listener, peers),
        Kind::EpollRoundRobin => {
            reactor::start(reactor::Manner::RoundRobin, chain, listener, peers)
        }
        Kind::UringCopy => reactor::start(reactor::Manner::Ring, chain, listener, peers),
        Kind::TokioPerPeer => tasks::start(tasks::Making::PerPeer, chain, listener, peers),
        Kind::TokioShared => tasks::start(tasks::Making::Once, chain, listener, peers),
        Kind::TokioUring => uring_tasks::start(chain, listener, peers),
    }
}
