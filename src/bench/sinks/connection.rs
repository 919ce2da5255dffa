//! One connection to a sink: the listening side's handshake, then blocks that are thrown away
//! inside the kernel.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use mio::net::TcpStream;
use socket2::SockRef;

use super::board::Board;
use super::{Conduct, GULP_BYTES, SIP_BYTES};
use crate::limits::{FRAME_HEADER_BYTES, HANDSHAKE_BYTES_MAX};
use crate::sys::clock::now_ns;
use crate::sys::socket::abort_on_close;
use crate::wire::chain::{Chain, SERVICE_NETWORK};
use crate::wire::frame::{Header, command_is, frame, read_header};
use crate::wire::handshake::{Handshake, HandshakeSettings, Progress};
use crate::wire::message::name;

const HEADER_BYTES: usize = FRAME_HEADER_BYTES as usize;
/// Payload bytes of a message that are looked at: a block's header.
const HEAD_BYTES: usize = 80;

/// How a visit to a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// Nothing more to read; the poll will tell.
    Drained,
    /// There is more, but others want to be read too.
    More,
    /// There may be more, which is left where it is for now.
    Held,
    /// It is over.
    Closed,
}

/// One connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) sink: usize,
    /// What it was accepted under: see [`super::Sinks::mark`].
    pub(super) mark: u32,
    conduct: Conduct,
    chain: &'static Chain,
    /// `None` once it is done.
    handshake: Option<Handshake>,
    /// The front of the message being read, and how long it is to become.
    front: Vec<u8>,
    wanted: usize,
    header: Option<Header>,
    /// Payload bytes behind the front that are still to be thrown away.
    skip: usize,
    /// It will be visited again without an event.
    pub(super) waiting: bool,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        remote: SocketAddr,
        (sink, mark): (usize, u32),
        conduct: Conduct,
        chain: &'static Chain,
        nonce: u64,
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let handshake = Handshake::new(HandshakeSettings {
            chain,
            nonce,
            now_s: now.map_or(0, |now| now.as_secs().cast_signed()),
            user_agent: format!("/broadside-sink:{}/", env!("CARGO_PKG_VERSION")),
            start_height: 0,
            services: chain.services_wanted | SERVICE_NETWORK,
            relay: true,
            remote,
            want_sendcmpct: None,
            initiator: false,
        });
        Self {
            stream,
            sink,
            mark,
            conduct,
            chain,
            handshake: Some(handshake),
            front: Vec::with_capacity(HEADER_BYTES + HEAD_BYTES),
            wanted: HEADER_BYTES,
            header: None,
            skip: 0,
            waiting: false,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.handshake.is_none()
    }

    /// Reads what there is. `room` is where the kernel may put what it throws away; `sip` says that
    /// a slow one may take a little now.
    pub(super) fn visit(
        &mut self,
        board: &Board,
        room: &mut [MaybeUninit<u8>],
        sip: bool,
    ) -> Visit {
        match self.read(board, room, sip) {
            Ok(visit) => visit,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Visit::Drained,
            // Whatever ends a connection is the other side's to notice.
            Err(_) => Visit::Closed,
        }
    }

    fn read(
        &mut self,
        board: &Board,
        room: &mut [MaybeUninit<u8>],
        sip: bool,
    ) -> io::Result<Visit> {
        loop {
            while self.skip == 0 {
                self.take_front()?;
                if self.skip == 0 && self.front.len() == self.wanted {
                    self.finish(board)?;
                }
            }
            let misbehaves = self.conduct != Conduct::Plain && self.is_block();
            let misbehaves = misbehaves && board.misbehaving();
            let gulp = match self.conduct {
                Conduct::Stalls if misbehaves => return Ok(Visit::Held),
                Conduct::Slow if misbehaves && !sip => return Ok(Visit::Held),
                Conduct::Slow if misbehaves => SIP_BYTES,
                _ => GULP_BYTES,
            };
            let asked = self.skip.min(gulp);
            // MSG_TRUNC: thrown away without a copy (tcp(7)).
            let room = room.get_mut(..asked).unwrap_or_default();
            let taken = SockRef::from(&self.stream).recv_with_flags(room, libc::MSG_TRUNC)?;
            if taken == 0 {
                return Ok(Visit::Closed);
            }
            self.skip -= taken;
            if self.conduct == Conduct::Resets && misbehaves && self.is_half_way() {
                abort_on_close(&self.stream);
                return Ok(Visit::Closed);
            }
            if self.skip == 0 {
                self.finish(board)?;
            } else if self.conduct == Conduct::Slow && misbehaves {
                return Ok(Visit::Held);
            } else {
                // Less than asked for is all that there was (epoll(7)); the next byte is an event.
                return Ok(if taken < asked { Visit::Drained } else { Visit::More });
            }
        }
    }

    /// Reads the front of a message with exact lengths, so that nothing of the next one is taken.
    fn take_front(&mut self) -> io::Result<()> {
        let have = self.front.len();
        self.front.resize(self.wanted, 0);
        let taken = self.stream.read(self.front.get_mut(have..).unwrap_or_default());
        self.front.truncate(have + taken.as_ref().map_or(0, |taken| *taken));
        if taken? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if self.header.is_none() && self.front.len() == HEADER_BYTES {
            let limit = self.chain.payload_bytes_max;
            let header = read_header(&self.front, self.chain.magic, limit);
            let header = header.map_err(io::Error::other)?.ok_or(ErrorKind::InvalidData)?;
            let length = header.length as usize;
            let head = if self.is_live() { length.min(HEAD_BYTES) } else { length };
            if !self.is_live() && length > HANDSHAKE_BYTES_MAX as usize {
                return Err(ErrorKind::InvalidData.into());
            }
            self.header = Some(header);
            self.wanted = HEADER_BYTES + head;
        }
        if self.front.len() == self.wanted {
            let whole = self.header.map_or(0, |header| HEADER_BYTES + header.length as usize);
            self.skip = whole.saturating_sub(self.wanted);
        }
        Ok(())
    }

    fn is(&self, name: &str) -> bool {
        self.header.is_some_and(|header| command_is(&header.command, name))
    }

    fn is_block(&self) -> bool {
        self.is_live() && self.is(name::BLOCK)
    }

    fn is_half_way(&self) -> bool {
        self.skip <= self.header.map_or(0, |header| header.length as usize / 2)
    }

    /// A message is whole.
    fn finish(&mut self, board: &Board) -> io::Result<()> {
        let at_ns = now_ns();
        let payload = self.front.get(HEADER_BYTES..).unwrap_or_default();
        if let Some(handshake) = &mut self.handshake {
            match handshake.receive(&self.front).map_err(io::Error::other)? {
                Progress::NeedsMore { reply } => self.stream.write_all(&reply)?,
                Progress::Done { reply, .. } => {
                    self.stream.write_all(&reply)?;
                    self.handshake = None;
                    board.live(1, self.mark);
                }
            }
        } else if self.is(name::BLOCK) {
            if let Some(header) = payload.first_chunk() {
                board.arrived(self.sink, header, at_ns);
            }
        } else if self.is(name::PING) {
            let pong = frame(self.chain.magic, name::PONG, payload);
            self.stream.write_all(&pong)?;
        }
        self.front.clear();
        (self.wanted, self.header) = (HEADER_BYTES, None);
        Ok(())
    }
}
