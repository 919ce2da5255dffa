//! Peers that do nothing but read: the same for the engine and for every baseline, and as cheap as
//! can be, because the receiver must not be what is measured.

mod board;
mod connection;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Socket, Type};

use self::board::Board;
use self::connection::{Connection, Visit};
use crate::sim::dice::Dice;
use crate::sys::clock::now_ns;
use crate::sys::cpu;
use crate::sys::socket::abort_on_close;
use crate::wire::chain::Chain;

/// Bytes thrown away in one call.
const GULP_BYTES: usize = 1024 * 1024;
/// Bytes that a slow sink takes at once, and how often: 4 MB/s.
const SIP_BYTES: usize = 8 * 1024;
const SIP_INTERVAL: Duration = Duration::from_millis(2);
/// Receive buffer of a sink that stalls or is slow, in bytes: a block must not fit into it.
const SMALL_BUFFER_BYTES: usize = 16 * 1024;
/// Connections that wait to be taken by one sink.
const BACKLOG: i32 = 64;
const WAKER: Token = Token(usize::MAX);

/// How a sink behaves while [`Sinks::misbehave`] is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// It reads everything at once.
    #[default]
    Plain,
    /// It stops reading when a block begins.
    Stalls,
    /// It reads a block at 4 MB/s.
    Slow,
    /// It resets the connection in the middle of a block.
    Resets,
}

/// Which sinks to start.
#[derive(Clone, Debug)]
pub struct SinkSettings {
    /// Whose network.
    pub chain: &'static Chain,
    /// One sink for each.
    pub conducts: Vec<Conduct>,
    /// Where each listens; those that have no place here on a port of their own on 127.0.0.1.
    pub places: Vec<SocketAddr>,
    /// Which of them are waited for.
    pub counted: Vec<bool>,
    /// The core that they share.
    pub core: Option<usize>,
    /// Seed of nonces.
    pub seed: u64,
}

/// The running sinks, one thread for all. They end when this is dropped.
pub struct Sinks {
    addresses: Vec<SocketAddr>,
    board: Arc<Board>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Sinks {
    /// Starts them, in the calling thread's network.
    ///
    /// # Errors
    /// The system gives no socket or thread.
    pub fn start(settings: SinkSettings) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for (at, conduct) in settings.conducts.iter().enumerate() {
            let mut listener = listen(*conduct, settings.places.get(at).copied())?;
            addresses.push(listener.local_addr()?);
            poll.registry().register(&mut listener, Token(at), Interest::READABLE)?;
            listeners.push(listener);
        }
        let board = Arc::new(Board::new(settings.counted.clone()));
        let core = settings.core;
        let mut pool = Pool {
            poll,
            listeners,
            dice: Dice::new(settings.seed),
            settings,
            board: Arc::clone(&board),
            connections: Vec::new(),
            again: Vec::new(),
            held: Vec::new(),
            sipped_ns: 0,
            room: Vec::with_capacity(GULP_BYTES),
        };
        let (ready, started) = mpsc::channel();
        let thread = std::thread::Builder::new().name("sinks".into()).spawn(move || {
            let pinned = core.is_none_or(cpu::pin_to);
            let _ = ready.send(pinned);
            pool.run();
        })?;
        if started.recv() != Ok(true) {
            board.stop();
            waker.wake()?;
            return Err(io::Error::other("the sinks' thread could not be pinned to its core"));
        }
        Ok(Self { addresses, board, waker, thread: Some(thread) })
    }

    /// Where they listen.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Waits for the block with this header from now on, and for no other.
    pub fn expect(&self, header: [u8; 80]) {
        self.board.expect(header);
    }

    /// When the last byte of the expected block was read at each sink that counts, soonest first,
    /// CLOCK_MONOTONIC in ns: the k-th is T(k).
    ///
    /// # Errors
    /// How many have it when `patience` is over before all do.
    pub fn arrivals_ns(&self, patience: Duration) -> Result<Vec<u64>, usize> {
        self.board.arrivals_ns(patience)
    }

    /// Waits until `count` connections have finished their handshakes; how many have.
    #[must_use]
    pub fn wait_for_live(&self, count: usize, patience: Duration) -> usize {
        self.board.wait_for_live(count, patience)
    }

    /// Connections accepted from now on are marked, all others are not.
    pub fn mark(&self) {
        self.board.mark_anew();
    }

    /// As [`Self::wait_for_live`], of the marked ones.
    #[must_use]
    pub fn wait_for_marked(&self, count: usize, patience: Duration) -> usize {
        self.board.wait_for_marked(count, patience)
    }

    /// Resets every marked connection, read or not; how many are left when `patience` is over. For
    /// those whose program is gone: one that stalls does not notice, and a reset that comes while its
    /// window is closed is not heeded (RFC 9293, 3.10.7.4).
    #[must_use]
    pub fn cut(&self, patience: Duration) -> usize {
        self.board.cut();
        let _ = self.waker.wake();
        self.board.wait_for_none_marked(patience)
    }

    /// Whether those that can misbehave do, from now on. Off, they read whatever they left.
    pub fn misbehave(&self, misbehaving: bool) {
        self.board.misbehave(misbehaving);
        // It can only fail for want of memory; then the next event does.
        let _ = self.waker.wake();
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        self.board.stop();
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; there is nothing left to close.
            let _ = thread.join();
        }
    }
}

fn listen(conduct: Conduct, place: Option<SocketAddr>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    if matches!(conduct, Conduct::Stalls | Conduct::Slow) {
        // Accepted sockets inherit it.
        socket.set_recv_buffer_size(SMALL_BUFFER_BYTES)?;
    }
    let place = place.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    socket.bind(&place.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// The sinks' thread.
struct Pool {
    poll: Poll,
    listeners: Vec<TcpListener>,
    settings: SinkSettings,
    dice: Dice,
    board: Arc<Board>,
    connections: Vec<Option<Connection>>,
    /// Connections with more to read.
    again: Vec<usize>,
    /// Connections that leave it where it is.
    held: Vec<usize>,
    sipped_ns: u64,
    room: Vec<u8>,
}

impl Pool {
    fn run(&mut self) {
        let mut events = Events::with_capacity(1_024);
        while !self.board.stopping() {
            let patience = match (self.again.is_empty(), self.held.is_empty()) {
                (false, _) => Some(Duration::ZERO),
                (true, false) => Some(SIP_INTERVAL),
                (true, true) => None,
            };
            if self.poll.poll(&mut events, patience).is_err() {
                continue; // EINTR
            }
            for at in std::mem::take(&mut self.again) {
                self.visit(at, false);
            }
            for event in &events {
                let Token(at) = event.token();
                match at.checked_sub(self.listeners.len()) {
                    None => self.accept(at),
                    Some(_) if event.token() == WAKER => {}
                    Some(at) if self.is_waiting(at) => {}
                    Some(at) => self.visit(at, false),
                }
            }
            if let Some(mark) = self.board.take_cut() {
                self.cut(mark);
            }
            let now_ns = now_ns();
            let since = Duration::from_nanos(now_ns.saturating_sub(self.sipped_ns));
            if !self.held.is_empty() && (since >= SIP_INTERVAL || !self.board.misbehaving()) {
                self.sipped_ns = now_ns;
                for at in std::mem::take(&mut self.held) {
                    self.visit(at, true);
                }
            }
        }
    }

    fn is_waiting(&self, at: usize) -> bool {
        self.connections.get(at).is_some_and(|it| it.as_ref().is_some_and(|it| it.waiting))
    }

    /// Takes every connection that waits at sink `sink`.
    fn accept(&mut self, sink: usize) {
        while let Some(listener) = self.listeners.get(sink) {
            let Ok((mut stream, remote)) = listener.accept() else {
                return; // none left, or no descriptors: the bench counts who is live
            };
            let free = self.connections.iter().position(Option::is_none);
            let at = free.unwrap_or(self.connections.len());
            let token = Token(self.listeners.len() + at);
            if self.poll.registry().register(&mut stream, token, Interest::READABLE).is_err() {
                continue;
            }
            let _ = stream.set_nodelay(true);
            let conduct = self.settings.conducts.get(sink).copied().unwrap_or_default();
            let (chain, nonce) = (self.settings.chain, self.dice.throw());
            let place = (sink, self.board.mark());
            let connection = Connection::new(stream, remote, place, conduct, chain, nonce);
            match self.connections.get_mut(at) {
                Some(place) => *place = Some(connection),
                None => self.connections.push(Some(connection)),
            }
            self.visit(at, false);
        }
    }

    fn visit(&mut self, at: usize, sip: bool) {
        let Some(place) = self.connections.get_mut(at) else { return };
        let Some(connection) = place else { return };
        let visit = connection.visit(&self.board, self.room.spare_capacity_mut(), sip);
        connection.waiting = matches!(visit, Visit::More | Visit::Held);
        match visit {
            Visit::Drained => {}
            Visit::More => self.again.push(at),
            Visit::Held => self.held.push(at),
            Visit::Closed => self.close(at),
        }
    }

    fn close(&mut self, at: usize) {
        let Some(mut connection) = self.connections.get_mut(at).and_then(Option::take) else {
            return;
        };
        if connection.is_live() {
            self.board.live(-1, connection.mark);
        }
        let _ = self.poll.registry().deregister(&mut connection.stream);
    }

    /// Resets all connections of `mark`.
    fn cut(&mut self, mark: u32) {
        for at in 0..self.connections.len() {
            let Some(Some(connection)) = self.connections.get(at) else { continue };
            if connection.mark == mark {
                abort_on_close(&connection.stream);
                self.close(at);
            }
        }
        // Their places may be others' soon.
        let Self { again, held, connections, .. } = self;
        let is_there = |at: &usize| connections.get(*at).is_some_and(Option::is_some);
        again.retain(is_there);
        held.retain(is_there);
    }
}

#[cfg(test)]
mod tests;
