//! The programs of one thread: one loop around epoll, four manners to send a block.

mod fanout;

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use self::fanout::{Fanout, Progress};
use super::Program;
use super::call::{self, Call};
use super::http::{BAD_REQUEST, CONTINUE, Request, Step};
use crate::limits::SEND_DEADLINE_MS;
use crate::sys::pacing::limit_rate;
use crate::wire::chain::Chain;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
/// Token of the first peer; callers come behind the last.
const FIRST_PEER: usize = 2;
/// Events taken from the kernel at once.
const EVENTS: usize = 1_024;
/// Peers that are served at a time by those that limit it.
pub(super) const AT_ONCE: usize = 4;
/// How often such a program looks whether one has all of it: nothing tells.
const LOOK_INTERVAL: Duration = Duration::from_micros(100);
/// Bytes read from a peer at once.
const PEER_READ_BYTES: usize = 4_096;

/// How a block is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Blocking, one peer after the other.
    InTurn,
    /// Non-blocking, whoever can take bytes.
    RoundRobin,
    /// All at once by an io_uring.
    Ring,
    /// Non-blocking, [`AT_ONCE`] at a time, each paced at this many bytes/s; 0: not paced.
    Window { bytes_per_s: u64 },
}

struct Running {
    intake: SocketAddr,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its owner both see.
struct Shared {
    peers: Arc<[TcpStream]>,
    connected: AtomicUsize,
    stop: AtomicBool,
}

impl Program for Running {
    fn intake(&self) -> SocketAddr {
        self.intake
    }

    fn connected(&self) -> usize {
        self.shared.connected.load(Ordering::Relaxed)
    }

    fn stop(self: Box<Self>) {}
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Ends a write that blocks.
        for peer in self.shared.peers.iter() {
            let _ = peer.shutdown(Shutdown::Both);
        }
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts the thread.
pub(super) fn start(
    manner: Manner,
    chain: &'static Chain,
    listener: TcpListener,
    peers: Vec<TcpStream>,
) -> io::Result<Box<dyn Program>> {
    listener.set_nonblocking(true)?;
    let intake = listener.local_addr()?;
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
    for (at, peer) in peers.iter().enumerate() {
        match manner {
            Manner::RoundRobin => peer.set_nonblocking(true)?,
            Manner::Window { bytes_per_s } => {
                peer.set_nonblocking(true)?;
                if bytes_per_s > 0 {
                    limit_rate(peer, bytes_per_s)?;
                }
            }
            _ => peer.set_write_timeout(Some(Duration::from_millis(SEND_DEADLINE_MS)))?,
        }
        let interest = Interest::READABLE.add(Interest::WRITABLE);
        poll.registry().register(
            &mut SourceFd(&peer.as_raw_fd()),
            Token(FIRST_PEER + at),
            interest,
        )?;
    }
    let connected = AtomicUsize::new(peers.len());
    let shared = Arc::new(Shared { peers: peers.into(), connected, stop: AtomicBool::new(false) });
    let (report, reported) = mpsc::channel();
    let theirs = Arc::clone(&shared);
    let thread = thread::Builder::new().name("baseline".to_owned()).spawn(move || {
        // The ring belongs to the thread that makes it.
        match Fanout::new(manner, chain, &theirs) {
            Ok(fanout) => {
                let _ = report.send(Ok(()));
                let callers = HashMap::new();
                let next = FIRST_PEER + theirs.peers.len();
                Reactor { chain, poll, listener, callers, next, fanout, shared: theirs }.run();
            }
            Err(error) => drop(report.send(Err(error))),
        }
    })?;
    let running = Running { intake, shared, waker, thread: Some(thread) };
    reported.recv().map_err(io::Error::other)??;
    Ok(Box::new(running))
}

/// A connection that hands blocks in.
struct Caller {
    stream: TcpStream,
    request: Request,
    /// The call whose block is on its way.
    waiting: Option<Call>,
}

struct Reactor {
    chain: &'static Chain,
    poll: Poll,
    listener: TcpListener,
    callers: HashMap<usize, Caller>,
    /// Token of the next caller.
    next: usize,
    fanout: Fanout,
    shared: Arc<Shared>,
}

impl Reactor {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        while !self.shared.stop.load(Ordering::Relaxed) {
            let patience = match self.fanout.look() {
                // Epoll waits in whole ms.
                true => {
                    thread::sleep(LOOK_INTERVAL);
                    Some(Duration::ZERO)
                }
                false => self.fanout.time_left(),
            };
            self.answer_done();
            let waited = self.poll.poll(&mut events, patience);
            if waited.is_err_and(|error| error.kind() != ErrorKind::Interrupted) {
                return;
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKER => {}
                    Token(token) => match token.checked_sub(FIRST_PEER) {
                        Some(peer) if peer < self.shared.peers.len() => self.peer(peer, event),
                        _ => self.serve(token),
                    },
                }
            }
            self.fanout.drop_late();
            self.answer_done();
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let token = self.next;
            let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
            let registered = ready.and_then(|()| {
                let descriptor = stream.as_raw_fd();
                let mut source = SourceFd(&descriptor);
                self.poll.registry().register(&mut source, Token(token), Interest::READABLE)
            });
            if registered.is_ok() {
                self.next += 1;
                let caller = Caller { stream, request: Request::new(), waiting: None };
                self.callers.insert(token, caller);
            }
        }
    }

    /// Something happened at a peer's socket.
    fn peer(&mut self, peer: usize, event: &Event) {
        if event.is_readable() {
            let mut came = [0; PEER_READ_BYTES];
            let Some(mut stream) = self.shared.peers.get(peer) else {
                return;
            };
            // Where it is blocking: the event says that there is something to read.
            match stream.read(&mut came) {
                Ok(count) if count > 0 => {
                    self.fanout.came(peer, came.get(..count).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => self.fanout.lose(peer),
            }
            // Asks for another event if there is more.
            if self.fanout.is_live(peer) {
                let interest = Interest::READABLE.add(Interest::WRITABLE);
                let token = Token(FIRST_PEER + peer);
                let mut source = SourceFd(&stream.as_raw_fd());
                let _ = self.poll.registry().reregister(&mut source, token, interest);
            }
        }
        if event.is_writable() {
            self.fanout.writable(peer);
        }
    }

    /// Reads on at a caller's, and does what it asks.
    fn serve(&mut self, token: usize) {
        let Some(mut caller) = self.callers.remove(&token) else {
            return;
        };
        while caller.waiting.is_none() {
            let going_on = match caller.request.step() {
                Step::NeedsMore => match caller.stream.read(caller.request.room()) {
                    Ok(count) => {
                        caller.request.filled(count);
                        count > 0
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => false,
                },
                Step::Continue => caller.stream.write_all(CONTINUE).is_ok(),
                Step::Whole => self.call(token, &mut caller),
                Step::Bad => {
                    let _ = caller.stream.write_all(BAD_REQUEST);
                    false
                }
            };
            if !going_on {
                // Its descriptor leaves the epoll when it is closed.
                return;
            }
        }
        self.callers.insert(token, caller);
    }

    /// Carries out a call; whether the caller is still there.
    fn call(&mut self, token: usize, caller: &mut Caller) -> bool {
        let mut call = call::read(caller.request.body(), self.chain);
        caller.request.next();
        let answer = match call.take() {
            Ok(block) => match self.fanout.send(token, block.into_message(self.chain)) {
                Progress::Done => call.accepted(),
                Progress::UnderWay => {
                    caller.waiting = Some(call);
                    return true;
                }
            },
            Err(refused) => refused,
        };
        caller.stream.write_all(&answer).is_ok()
    }

    /// Answers the callers whose blocks are out.
    fn answer_done(&mut self) {
        while let Some(token) = self.fanout.next_done() {
            let Some(caller) = self.callers.get_mut(&token) else {
                continue;
            };
            let answer = caller.waiting.take().map(|call| call.accepted());
            let answered = answer.is_none_or(|it| caller.stream.write_all(&it).is_ok());
            if answered {
                self.serve(token);
            } else {
                self.callers.remove(&token);
            }
        }
    }
}
