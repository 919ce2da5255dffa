//! From an address to a connected, greeted, bare socket that a shard can take over.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::onion::{OnionKey, is_onion};
use super::proxy::{Proxy, ProxyError};
use crate::limits::{HANDSHAKE_DEADLINE_MS, HANDSHAKE_READ_BYTES, PROXY_DEADLINE_MS};
use crate::sys::socket::prepare;
use crate::wire::chain::{self, Chain};
use crate::wire::frame::FrameError;
use crate::wire::handshake::{Handshake, HandshakeError, HandshakeSettings, PeerFacts, Progress};

#[cfg(test)]
pub(crate) use fake::{FakePeer, Manner, Reserved, row};

/// What every dial of a chain has in common.
#[derive(Clone, Debug)]
pub struct DialSettings {
    /// Whose network.
    pub chain: &'static Chain,
    /// What we call ourselves.
    pub user_agent: String,
    /// Service bits that we say we have.
    pub services: u64,
    /// Whether a peer that does not serve this chain's blocks is turned away. Not for peers that
    /// the operator named.
    pub must_serve_blocks: bool,
    /// How long connecting and the handshake may take together.
    pub deadline: Duration,
    /// What addresses that are not on this host's loopback are dialled through.
    pub proxy: Option<Proxy>,
    /// Whose made-up address is dialled.
    pub onion: Option<OnionKey>,
}

impl DialSettings {
    /// The ordinary settings of `chain`.
    #[must_use]
    pub fn new(chain: &'static Chain, user_agent: String) -> Self {
        Self {
            chain,
            user_agent,
            services: 0,
            must_serve_blocks: true,
            deadline: Duration::from_millis(HANDSHAKE_DEADLINE_MS),
            proxy: None,
            onion: None,
        }
    }

    /// The same by way of `proxy`, to an onion service where `onion` is one.
    #[must_use]
    pub fn through(self, proxy: Option<Proxy>, onion: Option<OnionKey>) -> Self {
        let deadline_ms = if proxy.is_some() { PROXY_DEADLINE_MS } else { HANDSHAKE_DEADLINE_MS };
        Self { deadline: Duration::from_millis(deadline_ms), proxy, onion, ..self }
    }
}

/// A greeted peer.
#[derive(Debug)]
pub struct Dialled {
    /// Connected, non-blocking, at a message boundary in both directions.
    pub socket: OwnedFd,
    /// What the peer said of itself.
    pub facts: PeerFacts,
}

/// Why an address did not become a connection.
#[derive(Debug, Error)]
pub enum DialError {
    /// Nobody listens there.
    #[error("connection refused: nobody listens at this address")]
    Refused,
    /// There is no way there.
    #[error("no route ({0}): check this host's network if it happens to all peers")]
    Unreachable(io::Error),
    /// It took longer than the deadline.
    #[error("no answer in time: the address is dead, or something in between drops packets")]
    Timeout,
    /// The peer closed the connection before the handshake was done.
    #[error(
        "closed by the peer during the handshake: it may be full, or may have banned this host"
    )]
    Closed,
    /// The connection broke before the handshake was done.
    #[error("broken during the handshake ({0}): check this host's network")]
    Broken(io::Error),
    /// It is a node of another network.
    #[error(
        "a node of another network (its messages start with {0:02x?}): check chain and network"
    )]
    WrongNetwork([u8; 4]),
    /// What it sends is not this protocol.
    #[error("not a node of this chain: {0}")]
    Garbage(HandshakeError),
    /// It is ourselves.
    #[error("connected to ourselves: take this address out of the configuration")]
    SelfConnection,
    /// Its protocol version is too low.
    #[error("protocol version {version} is below the {least} needed: its software is too old")]
    TooOld {
        /// Its version.
        version: i32,
        /// Lowest that is of use.
        least: i32,
    },
    /// It does not have the blocks, or not in the form that the chain has now.
    #[error("it does not serve this chain's blocks (services {0:#x})")]
    NoBlocksServed(u64),
    /// The proxy can't be used.
    #[error("the proxy can't be used ({0}): is it running, and is [chain.peers] proxy right?")]
    Proxy(String),
    /// An onion service, and no way there.
    #[error("an onion service: set [chain.peers] proxy to reach it")]
    Onion,
    /// This host refused.
    #[error("this host can't connect ({0}): check open files limit, ports and firewall")]
    Local(io::Error),
}

impl DialError {
    /// One word for tables, metrics and logs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::Closed => "closed-early",
            Self::Broken(_) => "broken-early",
            Self::WrongNetwork(_) => "wrong-network",
            Self::Garbage(_) => "garbage",
            Self::SelfConnection => "self",
            Self::TooOld { .. } => "too-old",
            Self::NoBlocksServed(_) => "no-blocks-served",
            Self::Proxy(_) => "proxy",
            Self::Onion => "onion",
            Self::Local(_) => "local",
        }
    }

    /// Whether trying again soon would end the same way.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::WrongNetwork(_)
                | Self::Garbage(_)
                | Self::SelfConnection
                | Self::TooOld { .. }
                | Self::NoBlocksServed(_)
        )
    }

    /// Whether it says something of the peer, and not of this host or its network.
    #[must_use]
    pub const fn is_the_peers(&self) -> bool {
        !matches!(self, Self::Local(_) | Self::Unreachable(_) | Self::Proxy(_) | Self::Onion)
    }

    fn from_proxy(error: ProxyError) -> Self {
        match error {
            ProxyError::Proxy(why) => Self::Proxy(why),
            ProxyError::Refused => Self::Refused,
            ProxyError::Unreachable(why) => Self::Unreachable(io::Error::other(why)),
            ProxyError::Local(error) => Self::Local(error),
        }
    }

    fn from_connect(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::TimedOut => Self::Timeout,
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
                Self::Unreachable(error)
            }
            Kind::ConnectionReset | Kind::ConnectionAborted => Self::Closed,
            _ => Self::Local(error),
        }
    }

    fn from_stream(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            // A close with our bytes unread arrives as a reset: banned or full, not broken.
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Self::Closed,
            Kind::TimedOut => Self::Timeout,
            _ => Self::Broken(error),
        }
    }

    fn from_handshake(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Frame(FrameError::Magic { found })
                if chain::all().any(|row| row.magic == found) =>
            {
                Self::WrongNetwork(found)
            }
            HandshakeError::SelfConnection => Self::SelfConnection,
            HandshakeError::TooOld { version, least } => Self::TooOld { version, least },
            other => Self::Garbage(other),
        }
    }
}

/// Connects to `address` and completes the handshake. `nonce` is random, another one each time.
///
/// We want no transactions, and as a rule announce no services: then nothing is asked of us but what
/// belongs to blocks that we push.
///
/// # Errors
/// See [`DialError`]; nothing is left open.
pub async fn dial(
    address: SocketAddr,
    settings: &DialSettings,
    nonce: u64,
) -> Result<Dialled, DialError> {
    let greeted = async {
        let mut stream = way(address, settings).await?;
        let facts = greet(&mut stream, address, settings, nonce).await?;
        Ok((stream, facts))
    };
    let (stream, facts) =
        timeout(settings.deadline, greeted).await.map_err(|_| DialError::Timeout)??;
    if settings.must_serve_blocks && !settings.chain.serves_blocks(facts.services) {
        return Err(DialError::NoBlocksServed(facts.services));
    }
    // Tokio's sockets are non-blocking, and stay so.
    let socket = stream.into_std().map_err(DialError::Local)?;
    Ok(Dialled { socket: socket.into(), facts })
}

/// Connects directly, or through the proxy: never an onion service directly, and never this host's
/// own loopback through the proxy.
async fn way(address: SocketAddr, settings: &DialSettings) -> Result<TcpStream, DialError> {
    let onion = settings.onion.filter(|key| key.ip() == address.ip());
    if is_onion(address.ip()) && (onion.is_none() || settings.proxy.is_none()) {
        return Err(DialError::Onion);
    }
    match &settings.proxy {
        Some(proxy) if !address.ip().to_canonical().is_loopback() => {
            proxy.connect(address, onion).await.map_err(DialError::from_proxy)
        }
        _ => connect(address).await,
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, DialError> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(DialError::Local)?;
    prepare(&socket).map_err(DialError::Local)?;
    let stream = socket.connect(address).await.map_err(DialError::from_connect)?;
    // A port of our own that is just free can be drawn for this very connection (loopback): the
    // kernel then joins the socket to itself.
    if stream.local_addr().map_err(DialError::Local)? == address {
        return Err(DialError::SelfConnection);
    }
    Ok(stream)
}

/// Drives the handshake over `stream` until it stands at a message boundary.
async fn greet(
    stream: &mut TcpStream,
    address: SocketAddr,
    settings: &DialSettings,
    nonce: u64,
) -> Result<PeerFacts, DialError> {
    let chain = settings.chain;
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut handshake = Handshake::new(HandshakeSettings {
        chain,
        nonce,
        now_s: i64::try_from(since_1970.as_secs()).unwrap_or(0),
        user_agent: settings.user_agent.clone(),
        start_height: 0,
        services: settings.services,
        relay: false,
        remote: address,
        want_sendcmpct: Some((false, chain.compact_version)),
        initiator: true,
    });
    stream.write_all(&handshake.start()).await.map_err(DialError::from_stream)?;
    let mut input = [0; HANDSHAKE_READ_BYTES];
    loop {
        let length = stream.read(&mut input).await.map_err(DialError::from_stream)?;
        let Some(input) = input.get(..length).filter(|input| !input.is_empty()) else {
            return Err(DialError::Closed);
        };
        match handshake.receive(input).map_err(DialError::from_handshake)? {
            Progress::NeedsMore { reply } => {
                stream.write_all(&reply).await.map_err(DialError::from_stream)?;
            }
            Progress::Done { reply, peer } => {
                stream.write_all(&reply).await.map_err(DialError::from_stream)?;
                return Ok(peer);
            }
        }
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
