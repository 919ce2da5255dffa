//! Simulated peers on 127.0.0.1: real TCP, one thread for all of them, arrival times of every block.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::dice::Dice;
use super::peer::SimPeer;
pub use super::peer::{Fault, Keep};
use crate::limits::{SIM_BLOCKS_MAX, SIM_KEPT_BYTES_MAX};
use crate::wire::chain::Chain;

/// Receive buffer of a peer that stalls or is slow, in bytes: a block must not fit into it.
const SMALL_BUFFER_BYTES: u32 = 16 * 1024;
/// Connections that wait to be taken by one peer.
const BACKLOG: u32 = 16;

/// Which peers to simulate.
#[derive(Clone, Debug)]
pub struct LoopbackSettings {
    /// Whose network.
    pub chain: &'static Chain,
    /// How many.
    pub peers: usize,
    /// How each misbehaves, by index; those beyond the end do not.
    pub faults: Vec<Fault>,
    /// What is kept of what they get.
    pub keep: Keep,
    /// Seed of nonces and garbage.
    pub seed: u64,
}

/// Why no peers can be simulated.
#[derive(Debug, thiserror::Error)]
pub enum LoopbackError {
    /// The system gave no socket, thread or port.
    #[error(
        "simulated peers can't listen on 127.0.0.1: {0}; are the open files limited (ulimit -n)?"
    )]
    System(#[from] io::Error),
}

/// How one simulated peer is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerState {
    /// Connections taken so far.
    pub connections: usize,
    /// Connections open now.
    pub open: usize,
    /// Handshakes finished so far.
    pub handshakes: usize,
    /// Whole blocks received, the same ones again included.
    pub blocks: usize,
}

/// When one block was whole at each peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrivals {
    /// By peer: CLOCK_MONOTONIC in ns after the block's last byte was read. `None`: not there.
    pub at_ns: Vec<Option<u64>>,
}

impl Arrivals {
    /// The times of the peers that have the block.
    #[must_use]
    pub fn times_ns(&self) -> Vec<u64> {
        self.at_ns.iter().flatten().copied().collect()
    }
}

#[derive(Debug, Default)]
struct Notes {
    peers: Vec<PeerState>,
    order: VecDeque<[u8; 32]>,
    blocks: HashMap<[u8; 32], Vec<Option<u64>>>,
    kept: Vec<Vec<Vec<u8>>>,
    kept_bytes: usize,
}

/// What the peers' thread writes down and everybody may read.
#[derive(Debug, Default)]
pub(super) struct Board {
    notes: Mutex<Notes>,
    changed: Condvar,
}

impl Board {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, peer: usize, change: impl FnOnce(&mut PeerState)) {
        if let Some(state) = self.notes().peers.get_mut(peer) {
            change(state);
        }
        self.changed.notify_all();
    }

    /// Notes a new connection; its number among the peer's connections.
    pub(super) fn connected(&self, peer: usize) -> usize {
        let mut serial = 0;
        self.update(peer, |state| {
            serial = state.connections;
            state.connections += 1;
            state.open += 1;
        });
        serial
    }

    pub(super) fn disconnected(&self, peer: usize) {
        self.update(peer, |state| state.open -= 1);
    }

    pub(super) fn shaken(&self, peer: usize) {
        self.update(peer, |state| state.handshakes += 1);
    }

    pub(super) fn arrived(&self, peer: usize, hash: [u8; 32], at_ns: u64) {
        let mut notes = self.notes();
        let count = notes.peers.len();
        if !notes.blocks.contains_key(&hash) {
            notes.order.push_back(hash);
            if notes.order.len() > SIM_BLOCKS_MAX
                && let Some(oldest) = notes.order.pop_front()
            {
                notes.blocks.remove(&oldest);
            }
        }
        let times = notes.blocks.entry(hash).or_insert_with(|| vec![None; count]);
        if let Some(time) = times.get_mut(peer) {
            // The first copy counts.
            *time = time.or(Some(at_ns));
        }
        drop(notes);
        self.update(peer, |state| state.blocks += 1);
    }

    pub(super) fn keep(&self, peer: usize, serial: usize, bytes: &[u8]) {
        let mut notes = self.notes();
        if notes.kept_bytes + bytes.len() > SIM_KEPT_BYTES_MAX {
            return;
        }
        notes.kept_bytes += bytes.len();
        if notes.kept.len() <= peer {
            notes.kept.resize_with(peer + 1, Vec::new);
        }
        if let Some(kept) = notes.kept.get_mut(peer) {
            if kept.len() <= serial {
                kept.resize_with(serial + 1, Vec::new);
            }
            if let Some(kept) = kept.get_mut(serial) {
                kept.extend_from_slice(bytes);
            }
        }
    }

    fn wait<T>(&self, timeout: Duration, ready: impl Fn(&Notes) -> Option<T>) -> Option<T> {
        let end = Instant::now() + timeout;
        let mut notes = self.notes();
        loop {
            if let Some(value) = ready(&notes) {
                return Some(value);
            }
            let left = end.checked_duration_since(Instant::now())?;
            notes = match self.changed.wait_timeout(notes, left) {
                Ok((notes, _)) => notes,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

/// The running peers. They end when this is dropped.
#[derive(Debug)]
pub struct Loopback {
    addresses: Vec<SocketAddr>,
    board: Arc<Board>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Starts the peers, each listening on a port of its own.
    ///
    /// # Errors
    /// The system gave no socket, thread or port.
    pub fn start(settings: LoopbackSettings) -> Result<Self, LoopbackError> {
        Self::start_on(settings, &[])
    }

    /// The same on other addresses of the calling thread's network, by index: peers of an emulated
    /// one. Those beyond the end are on 127.0.0.1.
    ///
    /// # Errors
    /// The system gave no socket, thread or port, or the address is not this network's.
    pub fn start_on(settings: LoopbackSettings, own: &[Ipv4Addr]) -> Result<Self, LoopbackError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let board = Arc::new(Board::default());
        board.notes().peers = vec![PeerState::default(); settings.peers];
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for index in 0..settings.peers {
            let fault = settings.faults.get(index).copied().unwrap_or_default();
            let address = own.get(index).copied().unwrap_or(Ipv4Addr::LOCALHOST);
            let listener = runtime.block_on(async { listen(fault, address) })?;
            addresses.push(listener.local_addr()?);
            let peer = SimPeer {
                chain: settings.chain,
                index,
                fault,
                keep: settings.keep,
                board: Arc::clone(&board),
            };
            listeners.push((listener, peer));
        }
        let (stop, mut stopped) = watch::channel(false);
        let mut dice = Dice::new(settings.seed);
        let thread = std::thread::Builder::new().name("sim-peers".into()).spawn(move || {
            runtime.block_on(async {
                for (listener, peer) in listeners {
                    tokio::spawn(accept(listener, peer, Dice::new(dice.throw())));
                }
                // An error means that the owner is gone, which also is the end.
                let _ = stopped.wait_for(|stop| *stop).await;
            });
            // Dropping the runtime closes every socket.
        })?;
        Ok(Self { addresses, board, stop, thread: Some(thread) })
    }

    /// Where the peers listen, by index.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Waits until `count` peers have the block with this identity (wire order) or `timeout` is
    /// over, and says who has it then.
    #[must_use]
    pub fn wait_for(&self, hash: [u8; 32], count: usize, timeout: Duration) -> Arrivals {
        let times = |notes: &Notes| notes.blocks.get(&hash).cloned();
        let enough =
            |notes: &Notes| times(notes).filter(|times| times.iter().flatten().count() >= count);
        let at_ns = self.board.wait(timeout, enough).or_else(|| times(&self.board.notes()));
        Arrivals { at_ns: at_ns.unwrap_or_else(|| vec![None; self.addresses.len()]) }
    }

    /// Waits until `ready` says yes to the peers' states, at most `timeout`; whether it did.
    #[must_use]
    pub fn wait_until(&self, timeout: Duration, ready: impl Fn(&[PeerState]) -> bool) -> bool {
        self.board.wait(timeout, |notes| ready(&notes.peers).then_some(())).is_some()
    }

    /// How each peer is doing, by index.
    #[must_use]
    pub fn states(&self) -> Vec<PeerState> {
        self.board.notes().peers.clone()
    }

    /// What peer `index` got after each of its handshakes, connection by connection. Empty unless
    /// [`Keep::Bytes`] was asked for.
    #[must_use]
    pub fn kept(&self, index: usize) -> Vec<Vec<u8>> {
        self.board.notes().kept.get(index).cloned().unwrap_or_default()
    }

    /// Closes everything and waits for the thread to end.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; there is nothing left to close.
            let _ = thread.join();
        }
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.end();
    }
}

fn listen(fault: Fault, address: Ipv4Addr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    if matches!(fault, Fault::Stall | Fault::Slow) {
        // Accepted sockets inherit it.
        socket.set_recv_buffer_size(SMALL_BUFFER_BYTES)?;
    }
    socket.bind((address, 0).into())?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, peer: SimPeer, mut dice: Dice) {
    // An accept fails when files run out; the next one may find some again.
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                tokio::spawn(peer.clone().serve(stream, remote, Dice::new(dice.throw())));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

#[cfg(test)]
mod tests;
