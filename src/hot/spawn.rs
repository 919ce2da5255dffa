//! Starting a shard on a thread and a core of its own.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::link::Link;
use super::publish::Inbox;
use super::shard::{Idle, Policy, Shard};
use crate::sys::cpu;
use crate::sys::epoll::Epoll;
use crate::sys::memory::Arena;
use crate::sys::ring::Ring;
use crate::sys::uring::{Uring, UringError};

/// Which ring a shard is to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// io_uring, or epoll where it is refused.
    Auto,
    /// io_uring or nothing.
    Uring,
    /// epoll.
    Epoll,
}

/// How a shard came up.
#[derive(Debug)]
pub struct ShardFacts {
    /// It is on io_uring.
    pub uring: bool,
    /// Why not, where io_uring was tried and refused.
    pub refused: Option<UringError>,
    /// It can send from the arena without copying, if the route allows it.
    pub zero_copy: bool,
    /// It is pinned to its core.
    pub pinned: bool,
    /// The core that it was to have; `None`: any.
    pub core: Option<usize>,
    /// Its thread: `gettid(2)`.
    pub thread: u32,
}

/// Why a shard could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The configuration demands io_uring.
    #[error("{0}; or set engine.backend to \"auto\" or \"epoll\"")]
    Uring(#[from] UringError),
    /// No thread, no descriptors.
    #[error(
        "the kernel gives no thread or descriptor for a shard: {0}; raise the process's limits"
    )]
    Resources(#[from] std::io::Error),
    /// The thread ended before it said anything.
    #[error(
        "a shard's thread ended while starting: this is a fault of broadside, please report it"
    )]
    Died,
}

/// Starts a shard pinned to `core` and waits until it is ready.
///
/// # Errors
/// See [`SpawnError`].
pub fn spawn(
    core: Option<usize>,
    backend: Backend,
    idle: Idle,
    policy: Policy,
    arena: Arc<Arena>,
    link: Arc<Link>,
    inbox: Arc<Inbox>,
) -> Result<(JoinHandle<()>, ShardFacts), SpawnError> {
    let (ready, answer) = sync_channel(1);
    let name = format!("shard-{}", link.shard);
    let thread = thread::Builder::new().name(name).spawn(move || {
        let pinned = core.is_some_and(cpu::pin_to);
        if idle == Idle::Sleep {
            // What else runs on its core must not hold up a block. One that spins would take it all.
            cpu::go_first();
        }
        let start = Start { idle, policy, link, inbox, ready, pinned, core };
        // The ring is made here: a kernel ring belongs to the one thread that enters it.
        let (bell, cold_bell) = (Arc::clone(&start.link.to_hot), Arc::clone(&start.link.to_cold));
        let refused = match backend {
            Backend::Epoll => None,
            Backend::Auto | Backend::Uring => {
                match Uring::new(arena, Arc::clone(&bell), Arc::clone(&cold_bell)) {
                    Ok(ring) => return start.run(ring, true, None),
                    Err(error) => Some(error),
                }
            }
        };
        match (backend, refused) {
            (Backend::Uring, Some(error)) => drop(start.ready.send(Err(error.into()))),
            (_, refused) => match Epoll::new(bell, cold_bell) {
                Ok(ring) => start.run(ring, false, refused),
                Err(error) => drop(start.ready.send(Err(error.into()))),
            },
        }
    })?;
    let facts = answer.recv().map_err(|_| SpawnError::Died)??;
    Ok((thread, facts))
}

struct Start {
    idle: Idle,
    policy: Policy,
    link: Arc<Link>,
    inbox: Arc<Inbox>,
    ready: SyncSender<Result<ShardFacts, SpawnError>>,
    pinned: bool,
    core: Option<usize>,
}

impl Start {
    fn run<R: Ring>(self, ring: R, uring: bool, refused: Option<UringError>) {
        let (zero_copy, pinned, core) = (ring.can_zero_copy(), self.pinned, self.core);
        let thread = cpu::thread_id();
        let shard = Shard::with_policy(ring, self.link, self.inbox, self.policy);
        let facts = ShardFacts { uring, refused, zero_copy, pinned, core, thread };
        if self.ready.send(Ok(facts)).is_ok() {
            shard.run(self.idle);
        }
    }
}
