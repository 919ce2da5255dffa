//! One connection of a simulated peer: handshake, receipts, echoes, and the ways to misbehave.
//!
//! Messages are read with exact lengths, so nothing is ever read of one message with another, and
//! the rest of a block is thrown away inside the kernel: the receiver must not be what is measured.

use std::collections::HashSet;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use super::dice::Dice;
use super::loopback::Board;
use crate::sys::clock::now_ns;
use crate::wire::chain::{Chain, SERVICE_NETWORK};
use crate::wire::frame::{Header, command_is, frame, read_header};
use crate::wire::handshake::{Handshake, HandshakeSettings, Progress};
use crate::wire::message::{InvItem, encode_inv, name};

/// Payload bytes of a message that are looked at; a block's header and more.
const HEAD_BYTES: usize = 256;
/// Bytes thrown away or copied in one call.
const GULP_BYTES: usize = 1024 * 1024;
/// Bytes that a slow reader takes at once.
const SIP_BYTES: usize = 16 * 1024;
/// Time between two sips.
const SIP_INTERVAL: Duration = Duration::from_millis(2);

/// How a peer misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Not at all.
    #[default]
    None,
    /// Stops reading after its handshake, with a small receive buffer.
    Stall,
    /// Resets the connection after this many bytes of the payload of each block.
    ResetMidBlock {
        /// Bytes of the block that it takes.
        after_bytes: u32,
    },
    /// Sends bytes that are no message after its handshake.
    Garbage,
    /// Takes connections and never says a word.
    Silent,
    /// Reads everything, slowly, with a small receive buffer.
    Slow,
}

/// What is kept of the bytes that a peer gets after its handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: blocks are thrown away in the kernel.
    #[default]
    Nothing,
    /// All of it, connection by connection.
    Bytes,
}

/// What all connections of one simulated peer have in common.
#[derive(Clone, Debug)]
pub(super) struct SimPeer {
    pub(super) chain: &'static Chain,
    pub(super) index: usize,
    pub(super) fault: Fault,
    pub(super) keep: Keep,
    pub(super) board: Arc<Board>,
}

struct Connection {
    peer: SimPeer,
    stream: TcpStream,
    /// Which of the peer's connections this is, on the board.
    serial: usize,
    room: Vec<u8>,
    known: HashSet<[u8; 32]>,
    fresh: Option<[u8; 32]>,
}

impl SimPeer {
    /// Serves one connection until it ends. `dice` make its nonces and its garbage.
    pub(super) async fn serve(self, stream: TcpStream, remote: SocketAddr, dice: Dice) {
        let (index, board) = (self.index, Arc::clone(&self.board));
        let serial = board.connected(index);
        let connection = Connection {
            peer: self,
            stream,
            serial,
            room: Vec::with_capacity(GULP_BYTES),
            known: HashSet::new(),
            fresh: None,
        };
        // Whatever ends a connection is the other side's to notice: here it just ends.
        let _ = connection.run(remote, dice).await;
        board.disconnected(index);
    }
}

impl Connection {
    async fn run(mut self, remote: SocketAddr, mut dice: Dice) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        if self.peer.fault == Fault::Silent {
            return self.swallow().await;
        }
        self.shake_hands(remote, dice.throw()).await?;
        self.peer.board.shaken(self.peer.index);
        match self.peer.fault {
            Fault::Stall => std::future::pending().await,
            Fault::Garbage => {
                let mut garbage = [0; 4096];
                dice.fill(&mut garbage);
                // Never by chance the beginning of a message.
                garbage[0] = !self.peer.chain.magic[0];
                self.stream.write_all(&garbage).await?;
                self.swallow().await
            }
            _ => loop {
                self.message().await?;
            },
        }
    }

    async fn swallow(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        while self.stream.read(&mut bytes).await? > 0 {}
        Ok(())
    }

    /// The listener's side of the handshake, one message at a time, so that it can't take bytes of
    /// what follows.
    async fn shake_hands(&mut self, remote: SocketAddr, nonce: u64) -> io::Result<()> {
        let chain = self.peer.chain;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let mut handshake = Handshake::new(HandshakeSettings {
            chain,
            nonce,
            now_s: now.map_or(0, |now| now.as_secs().cast_signed()),
            user_agent: format!("/broadside-sim:{}/", env!("CARGO_PKG_VERSION")),
            start_height: 0,
            services: chain.services_wanted | SERVICE_NETWORK,
            relay: true,
            remote,
            want_sendcmpct: None,
            initiator: false,
        });
        self.stream.write_all(&handshake.start()).await?;
        loop {
            let mut message = vec![0; 24];
            self.stream.read_exact(&mut message).await?;
            let header = self.parse(&message)?;
            message.resize(24 + header.length as usize, 0);
            self.stream.read_exact(message.get_mut(24..).unwrap_or_default()).await?;
            match handshake.receive(&message).map_err(io::Error::other)? {
                Progress::NeedsMore { reply } => self.stream.write_all(&reply).await?,
                Progress::Done { reply, .. } => return self.stream.write_all(&reply).await,
            }
        }
    }

    fn parse(&self, bytes: &[u8]) -> io::Result<Header> {
        let chain = self.peer.chain;
        let header = read_header(bytes, chain.magic, chain.payload_bytes_max);
        header.map_err(io::Error::other)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Reads one message and does what a node would do.
    async fn message(&mut self) -> io::Result<()> {
        let mut bytes = [0; 24];
        self.exact(&mut bytes).await?;
        let header = self.parse(&bytes)?;
        let mut head = [0; HEAD_BYTES];
        let head = head.get_mut(..HEAD_BYTES.min(header.length as usize)).unwrap_or_default();
        self.exact(head).await?;
        let is_block = command_is(&header.command, name::BLOCK);
        let mut rest = header.length as usize - head.len();
        if let (Fault::ResetMidBlock { after_bytes }, true) = (self.peer.fault, is_block) {
            rest = rest.min((after_bytes as usize).saturating_sub(head.len()));
            self.skip(rest).await?;
            SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.skip(rest).await?;
        let at_ns = now_ns();
        match head.first_chunk::<80>() {
            Some(front) if is_block => {
                let hash = self.peer.chain.identity_hash(front).0;
                self.peer.board.arrived(self.peer.index, hash, at_ns);
                self.fresh = self.known.insert(hash).then_some(hash).or(self.fresh);
            }
            _ if command_is(&header.command, name::PING) => self.receipt(head).await?,
            _ => {}
        }
        Ok(())
    }

    /// Answers a ping, and then announces a block that came before it, as a node does that has made
    /// it its tip.
    async fn receipt(&mut self, nonce: &[u8]) -> io::Result<()> {
        let magic = self.peer.chain.magic;
        let mut reply = frame(magic, name::PONG, nonce);
        if let Some(hash) = self.fresh.take() {
            let item = InvItem { kind: InvItem::BLOCK, hash };
            reply.extend(frame(magic, name::INV, &encode_inv(&[item])));
        }
        self.stream.write_all(&reply).await
    }

    async fn exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(out).await?;
        if self.peer.keep == Keep::Bytes {
            self.peer.board.keep(self.peer.index, self.serial, out);
        }
        Ok(())
    }

    /// Takes `count` bytes off the stream without looking at them.
    async fn skip(&mut self, mut count: usize) -> io::Result<()> {
        let slow = self.peer.fault == Fault::Slow;
        while count > 0 {
            let gulp = count.min(if slow { SIP_BYTES } else { GULP_BYTES });
            let taken = match self.peer.keep {
                Keep::Nothing => self.discard(gulp).await?,
                Keep::Bytes => {
                    self.room.clear();
                    let taken =
                        (&mut self.stream).take(gulp as u64).read_buf(&mut self.room).await?;
                    self.peer.board.keep(self.peer.index, self.serial, &self.room);
                    taken
                }
            };
            if taken == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            count -= taken;
            if slow {
                tokio::time::sleep(SIP_INTERVAL).await;
            }
        }
        Ok(())
    }

    /// Throws up to `count` bytes away without copying them (`MSG_TRUNC`, tcp(7)).
    async fn discard(&mut self, count: usize) -> io::Result<usize> {
        self.room.clear();
        let room: &mut [MaybeUninit<u8>] = self.room.spare_capacity_mut();
        let room = room.get_mut(..count).unwrap_or_default();
        loop {
            self.stream.readable().await?;
            let taken = self.stream.try_io(Interest::READABLE, || {
                SockRef::from(&self.stream).recv_with_flags(room, libc::MSG_TRUNC)
            });
            match taken {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }
}
