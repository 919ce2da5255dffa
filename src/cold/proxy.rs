//! Dialling through a SOCKS5 proxy, Tor's above all: so that peers don't see this host's address.
//!
//! Names of onion services are looked up by the proxy. Where no login is configured each connection
//! has a random one of its own: Tor then gives each a circuit of its own (IsolateSOCKSAuth), so that
//! no two peers can tell that they talk to the same host. Proxies that ask for no login ignore it.
//!
//! Source: RFC 1928, RFC 1929; Bitcoin Core, `src/netbase.cpp`, `Socks5`.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use data_encoding::HEXLOWER;
use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream};
use tokio_socks::tcp::Socks5Stream;
use tokio_socks::{Error as SocksError, TargetAddr};

use super::onion::OnionKey;
use crate::sys::socket::prepare;

/// Where a proxy listens, and how to log in there.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its address. Not a name: looking one up would tell what we are about to do.
    pub address: SocketAddr,
    login: Option<(String, String)>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Proxy({})", self.address)
    }
}

/// Why there is no way through the proxy.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// The proxy can't be used: nobody is to blame but it.
    #[error("{0}")]
    Proxy(String),
    /// The proxy found that nobody listens at the peer's address.
    #[error("connection refused")]
    Refused,
    /// The proxy found no way to the peer.
    #[error("{0}")]
    Unreachable(String),
    /// This host refused.
    #[error("{0}")]
    Local(io::Error),
}

impl From<SocksError> for ProxyError {
    fn from(error: SocksError) -> Self {
        match error {
            SocksError::ConnectionRefused => Self::Refused,
            SocksError::HostUnreachable
            | SocksError::NetworkUnreachable
            | SocksError::TtlExpired
            | SocksError::GeneralSocksServerFailure
            | SocksError::ConnectionNotAllowedByRuleset
            | SocksError::AddressTypeNotSupported => {
                Self::Unreachable(format!("the proxy: {error}"))
            }
            // So the library calls replies that it does not know. Tor has some, all about the onion
            // service (proposal 304).
            SocksError::UnknownAuthMethod => {
                Self::Unreachable("the proxy: no way there".to_owned())
            }
            other => Self::Proxy(other.to_string()),
        }
    }
}

impl Proxy {
    /// The proxy at `address`, with a user name and password where it wants certain ones.
    #[must_use]
    pub const fn new(address: SocketAddr, login: Option<(String, String)>) -> Self {
        Self { address, login }
    }

    /// Connects to `address`, or to `onion` at its port, by way of the proxy.
    ///
    /// # Errors
    /// See [`ProxyError`]; nothing is left open.
    pub async fn connect(
        &self,
        address: SocketAddr,
        onion: Option<OnionKey>,
    ) -> Result<TcpStream, ProxyError> {
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = socket.map_err(ProxyError::Local)?;
        prepare(&socket).map_err(ProxyError::Local)?;
        let stream = socket.connect(self.address).await;
        let stream = stream.map_err(|error| ProxyError::Proxy(error.to_string()))?;
        let target = match onion {
            Some(key) => TargetAddr::Domain(key.to_string().into(), address.port()),
            None => TargetAddr::Ip(address),
        };
        let (user, password) = self.login.clone().unwrap_or_else(own_login);
        let through =
            Socks5Stream::connect_with_password_and_socket(stream, target, &user, &password);
        Ok(through.await?.into_inner())
    }
}

/// A login that no other connection has.
fn own_login() -> (String, String) {
    let random = || HEXLOWER.encode(&super::roster::unforeseen().to_le_bytes());
    (random(), random())
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
