//! Whom the operator wants nothing to do with.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// One port of a host, or all of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ban {
    ip: IpAddr,
    port: Option<u16>,
}

/// The text is no address that could be banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give IP (the whole host) or IP:PORT, IPv6 with a port as [IP]:PORT")]
pub struct BanFault;

impl Ban {
    /// All ports of `ip`.
    #[must_use]
    pub const fn host(ip: IpAddr) -> Self {
        Self { ip: ip.to_canonical(), port: None }
    }

    /// The one place `address`.
    #[must_use]
    pub const fn place(address: SocketAddr) -> Self {
        Self { ip: address.ip().to_canonical(), port: Some(address.port()) }
    }

    /// Whether `address` falls under it.
    #[must_use]
    pub fn covers(self, address: SocketAddr) -> bool {
        Self::place(address).is_within(self)
    }

    /// Whether all that falls under this falls under `other`.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.ip == other.ip && (other.port.is_none() || self.port == other.port)
    }

    /// The ban of the whole host.
    #[must_use]
    pub const fn of_host(self) -> Self {
        Self { ip: self.ip, port: None }
    }
}

impl FromStr for Ban {
    type Err = BanFault;

    /// A bare IPv6 address is a host, however it ends: its port stands behind brackets.
    fn from_str(text: &str) -> Result<Self, BanFault> {
        let text = text.trim();
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Ok(Self::host(ip));
        }
        let place: SocketAddr = text.parse().map_err(|_| BanFault)?;
        if place.port() == 0 { Err(BanFault) } else { Ok(Self::place(place)) }
    }
}

impl fmt::Display for Ban {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => self.ip.fmt(out),
            Some(port) => SocketAddr::new(self.ip, port).fmt(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(text: &str) -> Ban {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_or_one_of_its_ports() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(ban("203.0.113.7").covers(at("203.0.113.7:1")));
        assert!(ban("203.0.113.7:9333").covers(at("[::ffff:203.0.113.7]:9333")));
        assert!(!ban("203.0.113.7:9333").covers(at("203.0.113.7:9334")));
        assert!(!ban("203.0.113.7").covers(at("203.0.113.8:9333")));
        assert!(ban("203.0.113.7:1").is_within(ban("203.0.113.7")));
        assert!(!ban("203.0.113.7").is_within(ban("203.0.113.7:1")));
        for same in ["203.0.113.7", "203.0.113.7:9333", "2001:db8::1", "[2001:db8::1]:9333"] {
            assert_eq!(ban(same).to_string(), same);
        }
        assert_eq!(ban("[2001:db8::1]"), ban(" 2001:db8::1 "));
        for bad in ["", "host", "203.0.113.7:0", "203.0.113.7:70000", "203.0.113.0/24", ":1"] {
            assert_eq!(bad.parse::<Ban>(), Err(BanFault), "{bad}");
        }
    }
}
