//! The handshake as a state machine without I/O: the dialler and the simulated peers drive the
//! same code, and clock and randomness come in as arguments.
//!
//! Order, as nodes want it: `version` both ways; then what is only allowed before `verack`
//! (`sendaddrv2`); `verack` both ways; then `sendcmpct`. Nothing else is sent in between: one kind
//! of node holds it against a peer.

use std::net::SocketAddr;

use thiserror::Error;

use crate::limits::{COMPACT_VERSIONS_MAX, HANDSHAKE_BYTES_MAX};
use crate::wire::chain::Chain;
use crate::wire::frame::{FrameError, command_is, frame, read_header};
use crate::wire::hash::sha256d;
use crate::wire::message::{MessageError, SendCompact, Version, fee_filter, name, sanitised};

#[cfg(test)]
mod tests;

/// A frame's header, in bytes.
const HEADER_BYTES: usize = 24;

/// Everything that a handshake needs to know beforehand.
#[derive(Clone, Debug)]
pub struct HandshakeSettings {
    /// Whose network.
    pub chain: &'static Chain,
    /// Random, another one for every connection: finds connections to oneself.
    pub nonce: u64,
    /// The clock, in seconds since 1970.
    pub now_s: i64,
    /// Who we say we are; at most 256 bytes are sent.
    pub user_agent: String,
    /// Height of the tip that we say we have.
    pub start_height: i32,
    /// Service bits that we say we have.
    pub services: u64,
    /// Whether we want transactions announced.
    pub relay: bool,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Whether to send `sendcmpct` at the end: its announce flag and its version.
    pub want_sendcmpct: Option<(bool, u64)>,
    /// Whether we opened the connection, and so speak first.
    pub initiator: bool,
}

/// What a peer said of itself during the handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerFacts {
    /// Its protocol version.
    pub version: i32,
    /// Its service bits.
    pub services: u64,
    /// Its clock, in seconds since 1970.
    pub time_s: i64,
    /// Who it says it is: printable ASCII, at most 256 characters.
    pub user_agent: String,
    /// Height of its tip.
    pub start_height: i32,
    /// Whether it wants transactions announced.
    pub relay: bool,
    /// Our address as it sees it.
    pub our_address: Option<SocketAddr>,
    /// Its `sendcmpct`s in order: announce flag and version.
    pub compact: Vec<(bool, u64)>,
    /// Whether it wants `addrv2` instead of `addr`.
    pub wants_addrv2: bool,
    /// Whether it wants transactions announced by wtxid.
    pub wants_wtxid: bool,
    /// Whether it wants blocks announced by `headers`.
    pub wants_headers: bool,
    /// Lowest fee rate that it wants to hear of, in smallest units per 1,000 bytes.
    pub fee_filter: Option<u64>,
}

/// How far a handshake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Send `reply` (may be empty) and come back with more.
    NeedsMore {
        /// Bytes to send.
        reply: Vec<u8>,
    },
    /// Send `reply`; then the connection is ready, at a message boundary in both directions.
    Done {
        /// Bytes to send.
        reply: Vec<u8>,
        /// Who is there.
        peer: PeerFacts,
    },
}

/// Why a handshake came to nothing. Close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The stream can't be cut into messages.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer's `version` can't be read.
    #[error("the peer's version message can't be used: {0}")]
    Version(MessageError),
    /// The peer is ours.
    #[error("connected to ourselves: take this address out of the configuration")]
    SelfConnection,
    /// The peer's protocol version is too low to be of use.
    #[error("the peer speaks protocol version {version}, at least {least} is needed: drop it")]
    TooOld {
        /// Its version.
        version: i32,
        /// Lowest that the chain's row allows.
        least: i32,
    },
    /// The peer sent, or announced, more than a handshake takes.
    #[error("the peer sent more than {HANDSHAKE_BYTES_MAX} bytes during the handshake: drop it")]
    TooMuch,
}

/// One handshake under way.
#[derive(Clone, Debug)]
pub struct Handshake {
    settings: HandshakeSettings,
    /// What came and is not yet a whole message.
    buffer: Vec<u8>,
    received_bytes: u64,
    peer: Option<PeerFacts>,
    /// Their `verack` came.
    settled: bool,
}

impl Handshake {
    /// Nothing sent, nothing received.
    #[must_use]
    pub const fn new(settings: HandshakeSettings) -> Self {
        Self { settings, buffer: Vec::new(), received_bytes: 0, peer: None, settled: false }
    }

    /// The bytes to send first: our `version` if we opened the connection, else none.
    pub fn start(&mut self) -> Vec<u8> {
        if self.settings.initiator { self.our_version() } else { Vec::new() }
    }

    /// Takes in what came from the peer, in pieces of any size.
    ///
    /// # Errors
    /// See [`HandshakeError`]; close the connection.
    pub fn receive(&mut self, input: &[u8]) -> Result<Progress, HandshakeError> {
        self.received_bytes = self.received_bytes.saturating_add(input.len() as u64);
        if self.received_bytes > u64::from(HANDSHAKE_BYTES_MAX) {
            return Err(HandshakeError::TooMuch);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.extend_from_slice(input);
        let (mut rest, mut reply) = (buffer.as_slice(), Vec::new());
        let chain = self.settings.chain;
        while let Some(header) = read_header(rest, chain.magic, chain.payload_bytes_max)? {
            let end = HEADER_BYTES + header.length as usize;
            if end > HANDSHAKE_BYTES_MAX as usize {
                return Err(HandshakeError::TooMuch);
            }
            let Some((message, behind)) = rest.split_at_checked(end) else {
                break;
            };
            rest = behind;
            let payload = message.get(HEADER_BYTES..).unwrap_or_default();
            // Nodes ignore a message with a wrong checksum and go on.
            if sha256d(payload).starts_with(&header.checksum) {
                self.take(&header.command, payload, &mut reply)?;
            }
        }
        // Moved down, not copied anew: a peer that sends byte by byte costs no more than it sends.
        let taken = buffer.len() - rest.len();
        buffer.drain(..taken);
        self.buffer = buffer;
        match &self.peer {
            Some(peer) if self.settled && self.buffer.is_empty() => {
                Ok(Progress::Done { reply, peer: peer.clone() })
            }
            _ => Ok(Progress::NeedsMore { reply }),
        }
    }

    /// Takes in one whole message.
    fn take(
        &mut self,
        command: &[u8; 12],
        payload: &[u8],
        reply: &mut Vec<u8>,
    ) -> Result<(), HandshakeError> {
        let magic = self.settings.chain.magic;
        let Some(peer) = &mut self.peer else {
            // Nothing means anything before the version.
            return if command_is(command, name::VERSION) {
                self.take_version(payload, reply)
            } else {
                Ok(())
            };
        };
        if command_is(command, name::PING) {
            reply.extend(frame(magic, name::PONG, payload.get(..8).unwrap_or_default()));
        } else if command_is(command, name::SENDCMPCT) {
            let said = SendCompact::decode(payload);
            let room = peer.compact.len() < COMPACT_VERSIONS_MAX;
            peer.compact.extend(said.ok().filter(|_| room).map(|it| (it.announce, it.version)));
        } else if command_is(command, name::FEEFILTER) {
            peer.fee_filter = fee_filter(payload).or(peer.fee_filter);
        } else if command_is(command, name::SENDHEADERS) {
            peer.wants_headers = true;
        } else if self.settled {
            // The rest is for after the handshake, or may not come any more.
        } else if command_is(command, name::SENDADDRV2) {
            peer.wants_addrv2 = true;
        } else if command_is(command, name::WTXIDRELAY) {
            peer.wants_wtxid = true;
        } else if command_is(command, name::VERACK) {
            self.settled = true;
            if let Some((announce, version)) = self.settings.want_sendcmpct {
                let payload = SendCompact { announce, version }.encode();
                reply.extend(frame(magic, name::SENDCMPCT, &payload));
            }
        }
        Ok(())
    }

    /// Takes in their `version` and answers it.
    fn take_version(&mut self, payload: &[u8], reply: &mut Vec<u8>) -> Result<(), HandshakeError> {
        let theirs = Version::decode(payload).map_err(HandshakeError::Version)?;
        let HandshakeSettings { chain, nonce, initiator, .. } = self.settings;
        if theirs.nonce == nonce && nonce != 0 {
            return Err(HandshakeError::SelfConnection);
        }
        let (version, least) = (theirs.version, chain.peer_version_min);
        if version < least {
            return Err(HandshakeError::TooOld { version, least });
        }
        if !initiator {
            reply.extend(self.our_version());
        }
        let both = version.min(chain.protocol_version);
        if chain.addrv2_version.is_some_and(|first| both >= first) {
            reply.extend(frame(chain.magic, name::SENDADDRV2, &[]));
        }
        reply.extend(frame(chain.magic, name::VERACK, &[]));
        self.peer = Some(PeerFacts {
            version,
            services: theirs.services,
            time_s: theirs.time_s,
            user_agent: sanitised(&theirs.user_agent),
            start_height: theirs.start_height,
            relay: theirs.relay,
            our_address: Some(theirs.receiver),
            ..PeerFacts::default()
        });
        Ok(())
    }

    fn our_version(&self) -> Vec<u8> {
        let ours = Version {
            version: self.settings.chain.protocol_version,
            services: self.settings.services,
            time_s: self.settings.now_s,
            receiver: self.settings.remote,
            nonce: self.settings.nonce,
            user_agent: self.settings.user_agent.clone().into_bytes(),
            start_height: self.settings.start_height,
            relay: self.settings.relay,
        };
        frame(self.settings.chain.magic, name::VERSION, &ours.encode())
    }
}
