//! Which way out of this host a connection takes, as a small number for the shards.

use std::net::IpAddr;
use std::os::fd::AsFd;

use socket2::{SockAddr, SockRef};

use crate::limits::ROUTES_MAX;

/// Connections that never leave this host.
pub(super) const LOOPBACK: u8 = 0;
/// All ways out that have no number of their own.
const OTHER: u8 = (ROUTES_MAX - 1) as u8;

/// Local addresses in the order in which they were first seen. An address stands for its interface:
/// what is learnt of one connection holds for all that leave from it.
#[derive(Debug, Default)]
pub(super) struct RouteTable {
    locals: Vec<IpAddr>,
}

impl RouteTable {
    /// The route of a connection between these two addresses.
    pub(super) fn route(&mut self, local: IpAddr, peer: IpAddr) -> u8 {
        let (local, peer) = (local.to_canonical(), peer.to_canonical());
        // An address of this host is reached over loopback, whichever interface has it.
        if local.is_loopback() || peer.is_loopback() || local == peer {
            return LOOPBACK;
        }
        let known = self.locals.iter().position(|seen| *seen == local);
        let at = known.unwrap_or_else(|| {
            if self.locals.len() < usize::from(OTHER - LOOPBACK - 1) {
                self.locals.push(local);
                self.locals.len() - 1
            } else {
                usize::from(OTHER)
            }
        });
        u8::try_from(at).map_or(OTHER, |at| (at + LOOPBACK + 1).min(OTHER))
    }

    /// The route of a connected socket.
    pub(super) fn route_of_socket(&mut self, socket: &impl AsFd) -> u8 {
        let socket = SockRef::from(socket);
        let ip = |address: std::io::Result<SockAddr>| Some(address.ok()?.as_socket()?.ip());
        match (ip(socket.local_addr()), ip(socket.peer_addr())) {
            (Some(local), Some(peer)) => self.route(local, peer),
            _ => OTHER,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_route_is_a_local_address() {
        let mut table = RouteTable::default();
        let peer = ip("198.51.100.7");
        assert_eq!(table.route(ip("127.0.0.1"), ip("127.0.0.9")), LOOPBACK);
        assert_eq!(table.route(ip("192.0.2.1"), ip("192.0.2.1")), LOOPBACK);
        assert_eq!(table.route(ip("192.0.2.1"), peer), 1);
        assert_eq!(table.route(ip("::ffff:192.0.2.1"), ip("::ffff:198.51.100.8")), 1);
        assert_eq!(table.route(ip("2001:db8::1"), ip("2001:db8:1::7")), 2);
        for last in 0..100 {
            let route = table.route(ip(&format!("203.0.113.{last}")), peer);
            assert_eq!(route, (last + 3).min(OTHER));
        }
        assert_eq!(table.route(ip("192.0.2.1"), peer), 1, "the first keep their numbers");
    }

    #[test]
    fn a_socket_tells_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut table = RouteTable::default();
        assert_eq!(table.route_of_socket(&near), LOOPBACK);
        assert_eq!(table.route_of_socket(&listener), OTHER, "not connected");
    }
}
