//! Addresses that are likely in one hand: the same /16 of IPv4, the same /32 of IPv6.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network group. The addresses of this host and of private networks have none: whoever lists
/// those means them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Netgroup {
    /// The first 16 bits.
    V4([u8; 2]),
    /// The first 32 bits.
    V6([u16; 2]),
}

impl Netgroup {
    /// The group of `ip`.
    #[must_use]
    pub fn of(ip: IpAddr) -> Option<Self> {
        match ip.to_canonical() {
            IpAddr::V4(v4) if v4.is_loopback() || v4.is_private() => None,
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                Some(Self::V4([a, b]))
            }
            IpAddr::V6(v6) if v6.is_loopback() || v6.is_unique_local() => None,
            IpAddr::V6(v6) => {
                let [a, b, ..] = v6.segments();
                Some(Self::V6([a, b]))
            }
        }
    }
}

impl fmt::Display for Netgroup {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4([a, b]) => write!(out, "{}/16", Ipv4Addr::new(a, b, 0, 0)),
            Self::V6([a, b]) => write!(out, "{}/32", Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_a_16_and_a_32() {
        let group = |ip: &str| Netgroup::of(ip.parse().unwrap()).map(|it| it.to_string());
        assert_eq!(group("203.0.113.7").as_deref(), Some("203.0.0.0/16"));
        assert_eq!(group("::ffff:203.0.200.1").as_deref(), Some("203.0.0.0/16"));
        assert_eq!(group("2001:db8:5::1").as_deref(), Some("2001:db8::/32"));
        for none in ["127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "fd00::1"] {
            assert_eq!(group(none), None, "{none}");
        }
    }
}
