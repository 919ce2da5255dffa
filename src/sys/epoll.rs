//! A shard's ring on epoll (`epoll(7)`), for hosts where io_uring is refused.
//!
//! Same laws and events; one system call per send and receive instead of one for all, and no
//! zero-copy.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::clock;
use super::doorbell::Doorbell;
use super::memory::Lease;
use super::ring::{Copying, Event, Ring, Wait};
use super::socket::unacknowledged_bytes;
use crate::limits::{
    CONTROL_BYTES_MAX, IMAGE_SLOT_BYTES, PEERS_PER_SHARD_MAX, RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS,
};

/// The doorbell's token; connections have their slot's number.
const BELL: Token = Token(PEERS_PER_SHARD_MAX as usize);

#[derive(Debug, Default)]
struct Connection {
    /// As a stream only for its safe reads and writes.
    socket: Option<TcpStream>,
    readable: bool,
    ended: bool,
    pending: Option<Pending>,
    asked: bool,
    control: Vec<u8>,
}

/// A send that waits for the next [`Ring::enter`].
#[derive(Debug)]
enum Pending {
    Image { lease: Lease, from: u32, to: u32 },
    Control,
}

/// One shard's epoll. Used on the shard's thread.
#[derive(Debug)]
pub struct Epoll {
    poll: Poll,
    ready: Events,
    connections: Box<[Connection]>,
    /// Connections with a pending send, in the order of queueing.
    to_send: Vec<u16>,
    /// Connections whose unacknowledged bytes are asked for.
    to_ask: Vec<u16>,
    /// Connections that may have bytes to read.
    to_receive: VecDeque<u16>,
    events: VecDeque<Event>,
    memory: Box<[u8]>,
    free: Vec<u16>,
    starved: u64,
    bell: Arc<Doorbell>,
    cold_bell: Arc<Doorbell>,
    cold_bell_queued: bool,
    entries: u64,
}

impl Epoll {
    /// Sets up the poll and the receive buffers.
    ///
    /// # Errors
    /// The kernel gives no more descriptors.
    pub fn new(bell: Arc<Doorbell>, cold_bell: Arc<Doorbell>) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&bell.as_raw_fd()), BELL, Interest::READABLE)?;
        let connection = || Connection {
            control: Vec::with_capacity(CONTROL_BYTES_MAX as usize),
            ..Connection::default()
        };
        Ok(Self {
            poll,
            ready: Events::with_capacity(PEERS_PER_SHARD_MAX as usize),
            connections: (0..PEERS_PER_SHARD_MAX).map(|_| connection()).collect(),
            to_send: Vec::with_capacity(PEERS_PER_SHARD_MAX as usize),
            to_ask: Vec::with_capacity(PEERS_PER_SHARD_MAX as usize),
            to_receive: VecDeque::with_capacity(PEERS_PER_SHARD_MAX as usize),
            // A turn's worth: a send's end, an answer, readiness and end of each connection, and
            // as many receives as there are buffers.
            events: VecDeque::with_capacity((5 * PEERS_PER_SHARD_MAX + RECEIVE_BUFFERS) as usize),
            memory: vec![0; (RECEIVE_BUFFERS * RECEIVE_BUFFER_BYTES) as usize].into(),
            free: (0..RECEIVE_BUFFERS as u16).collect(),
            starved: 0,
            bell,
            cold_bell,
            cold_bell_queued: false,
            entries: 0,
        })
    }

    fn can_send(&self, slot: u16) -> bool {
        self.connections
            .get(usize::from(slot))
            .is_some_and(|connection| connection.socket.is_some() && connection.pending.is_none())
    }

    fn queue(&mut self, slot: u16, pending: Pending) {
        self.connections[usize::from(slot)].pending = Some(pending);
        self.to_send.push(slot);
    }

    fn send_all(&mut self) {
        for at in 0..self.to_send.len() {
            let slot = self.to_send[at];
            let connection = &mut self.connections[usize::from(slot)];
            let Some(pending) = connection.pending.take() else {
                continue;
            };
            let Some(mut socket) = connection.socket.as_ref() else {
                continue;
            };
            self.entries += 1;
            let outcome = match &pending {
                Pending::Image { lease, from, to } => {
                    socket.write(&lease.octets()[*from as usize..*to as usize])
                }
                Pending::Control => socket.write(&connection.control),
            };
            let result = outcome.map(|sent| sent as u32).map_err(|error| errno(&error));
            self.events.push_back(Event::Sent { slot, result, held: false });
        }
        self.to_send.clear();
    }

    fn ask_all(&mut self) {
        for at in 0..self.to_ask.len() {
            let slot = self.to_ask[at];
            let connection = &mut self.connections[usize::from(slot)];
            connection.asked = false;
            if let Some(socket) = connection.socket.as_ref() {
                self.entries += 1;
                let result = unacknowledged_bytes(socket).map_err(|error| errno(&error));
                self.events.push_back(Event::Unacknowledged { slot, result });
            }
        }
        self.to_ask.clear();
    }

    fn wait(&mut self, wait: Wait) {
        let timeout = match wait {
            Wait::UpTo(wait_ns) if self.events.is_empty() && self.to_receive.is_empty() => {
                // epoll counts in ms: round up, or a short wait would spin.
                Duration::from_millis(wait_ns.div_ceil(1_000_000))
            }
            _ => Duration::ZERO,
        };
        self.entries += 1;
        if self.poll.poll(&mut self.ready, Some(timeout)).is_err() {
            return; // EINTR: the next turn looks again
        }
        for event in &self.ready {
            if event.token() == BELL {
                self.bell.answer();
                self.events.push_back(Event::Woken);
                continue;
            }
            let Token(at) = event.token();
            let (Some(connection), Ok(slot)) = (self.connections.get_mut(at), u16::try_from(at))
            else {
                continue;
            };
            if connection.socket.is_none() {
                continue;
            }
            if event.is_writable() {
                self.events.push_back(Event::Writable { slot });
            }
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            if readable && !connection.readable && !connection.ended {
                connection.readable = true;
                self.to_receive.push_back(slot);
            }
        }
    }

    /// One read of each readable connection in turn, for as long as there are buffers.
    fn receive_all(&mut self) {
        while let Some(slot) = self.to_receive.pop_front() {
            let connection = &mut self.connections[usize::from(slot)];
            let Some(mut socket) = connection.socket.as_ref() else {
                connection.readable = false;
                continue;
            };
            let Some(buffer) = self.free.pop() else {
                self.starved += 1;
                self.to_receive.push_front(slot);
                return;
            };
            let start = usize::from(buffer) * RECEIVE_BUFFER_BYTES as usize;
            let room = &mut self.memory[start..start + RECEIVE_BUFFER_BYTES as usize];
            self.entries += 1;
            let outcome = socket.read(room);
            if let Ok(length @ 1..) = outcome {
                let length = length as u32;
                self.events.push_back(Event::Received { slot, buffer, length });
                self.to_receive.push_back(slot);
                continue;
            }
            self.free.push(buffer);
            match outcome {
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    self.to_receive.push_back(slot);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    connection.ended = true;
                    self.events.push_back(Event::Ended { slot, errno: errno(&error) });
                }
                Ok(_) => {
                    connection.ended = true;
                    self.events.push_back(Event::Ended { slot, errno: 0 });
                }
            }
            connection.readable = false;
        }
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

impl Ring for Epoll {
    fn now_ns(&self) -> u64 {
        clock::now_ns()
    }

    fn adopt(&mut self, slot: u16, socket: OwnedFd) -> Result<(), OwnedFd> {
        match self.connections.get_mut(usize::from(slot)) {
            Some(connection) if connection.socket.is_none() => {
                let interest = Interest::READABLE | Interest::WRITABLE;
                let source = &mut SourceFd(&socket.as_raw_fd());
                if self.poll.registry().register(source, Token(slot.into()), interest).is_err() {
                    return Err(socket);
                }
                connection.socket = Some(TcpStream::from(socket));
                Ok(())
            }
            _ => Err(socket),
        }
    }

    fn send_image(&mut self, slot: u16, lease: &Lease, from: u32, to: u32, _: Copying) -> bool {
        if !self.can_send(slot) || from >= to || to > IMAGE_SLOT_BYTES {
            return false;
        }
        self.queue(slot, Pending::Image { lease: lease.clone(), from, to });
        true
    }

    fn send_control(&mut self, slot: u16, bytes: &[u8]) -> bool {
        let fits = !bytes.is_empty() && bytes.len() <= CONTROL_BYTES_MAX as usize;
        if !fits || !self.can_send(slot) {
            return false;
        }
        let control = &mut self.connections[usize::from(slot)].control;
        control.clear();
        control.extend_from_slice(bytes);
        self.queue(slot, Pending::Control);
        true
    }

    fn ask_unacknowledged(&mut self, slot: u16) -> bool {
        let Some(connection) = self.connections.get_mut(usize::from(slot)) else {
            return false;
        };
        if connection.socket.is_some() && !std::mem::replace(&mut connection.asked, true) {
            self.to_ask.push(slot);
        }
        connection.asked
    }

    fn close(&mut self, slot: u16) {
        let Some(connection) = self.connections.get_mut(usize::from(slot)) else {
            return;
        };
        let Some(socket) = connection.socket.take() else {
            return;
        };
        let _ = self.poll.registry().deregister(&mut SourceFd(&socket.as_raw_fd()));
        if connection.pending.take().is_some() {
            self.to_send.retain(|waiting| *waiting != slot);
            self.events.push_back(Event::Sent { slot, result: Err(libc::ECANCELED), held: false });
        }
        (connection.readable, connection.ended) = (false, false);
        connection.asked = false;
        self.to_ask.retain(|waiting| *waiting != slot);
        self.to_receive.retain(|waiting| *waiting != slot);
        // Bytes that were read but not looked at yet belong to nobody now.
        let free = &mut self.free;
        self.events.retain(|event| match event {
            Event::Received { slot: from, buffer, .. } if *from == slot => {
                free.push(*buffer);
                false
            }
            Event::Writable { slot: from }
            | Event::Unacknowledged { slot: from, .. }
            | Event::Ended { slot: from, .. } => *from != slot,
            _ => true,
        });
        self.events.push_back(Event::Gone { slot, socket: socket.into() });
    }

    fn ring_cold(&mut self) {
        self.cold_bell_queued = true;
    }

    fn enter(&mut self, wait: Wait) {
        if std::mem::take(&mut self.cold_bell_queued) {
            self.entries += 1;
            self.cold_bell.ring();
        }
        self.send_all();
        self.ask_all();
        self.wait(wait);
        self.receive_all();
    }

    fn next(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn octets(&self, buffer: u16, length: u32) -> &[u8] {
        let start = usize::from(buffer) * RECEIVE_BUFFER_BYTES as usize;
        self.memory.get(start..start + length as usize).unwrap_or(&[])
    }

    fn recycle(&mut self, buffer: u16) {
        self.free.push(buffer);
    }

    fn can_zero_copy(&self) -> bool {
        false
    }

    fn held(&self, arena_slot: u8) -> u32 {
        let holds = |connection: &&Connection| matches!(&connection.pending, Some(Pending::Image { lease, .. }) if lease.slot() == arena_slot);
        self.connections.iter().filter(holds).count() as u32
    }

    fn entries(&self) -> u64 {
        self.entries
    }

    fn starved(&self) -> u64 {
        self.starved
    }
}
