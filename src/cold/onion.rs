//! Onion addresses: names of Tor's onion services (version 3), and the made-up IPv6 addresses under
//! which their nodes are known here.
//!
//! Everything else knows peers by [`SocketAddr`]. An onion has none, so it gets one in the range that
//! OnionCat used, fd87:d87e:eb43::/48, which is routed nowhere: 80 bits of a hash of its key. The way
//! back from there to the name is the book entry's [`OnionKey`].
//!
//! Source: rend-spec-v3, `[ONIONADDRESS]`; Bitcoin Core, `src/netaddress.cpp`, `OnionToString`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use sha3::{Digest, Sha3_256};

const PREFIX: [u8; 6] = [0xfd, 0x87, 0xd8, 0x7e, 0xeb, 0x43];
const VERSION: u8 = 3;
const SUFFIX: &str = ".onion";
/// Key, checksum, version.
const NAME_BYTES: usize = 32 + 2 + 1;

/// The public key of an onion service. Shown as its name, `….onion` without a port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OnionKey(pub [u8; 32]);

impl OnionKey {
    /// The made-up address under which the service is known here.
    #[must_use]
    pub fn ip(&self) -> Ipv6Addr {
        let mut octets = [0; 16];
        let hash = Sha3_256::digest(self.0);
        octets.iter_mut().zip(PREFIX.iter().chain(hash.iter())).for_each(|(to, from)| *to = *from);
        Ipv6Addr::from(octets)
    }

    /// The same with a port.
    #[must_use]
    pub fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.ip(), port))
    }

    fn checksum(&self) -> [u8; 2] {
        let mut hash = Sha3_256::new_with_prefix(b".onion checksum");
        hash.update(self.0);
        hash.update([VERSION]);
        let [first, second, ..] = <[u8; 32]>::from(hash.finalize());
        [first, second]
    }
}

impl fmt::Display for OnionKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.0[..], &self.checksum(), &[VERSION]].concat();
        write!(out, "{}{SUFFIX}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl fmt::Debug for OnionKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// It is not the name of an onion service of version 3: 56 letters and digits and `.onion`, the last
/// of them a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an onion service's name of version 3 (56 letters and digits, then .onion)")]
pub struct NotAnOnion;

impl FromStr for OnionKey {
    type Err = NotAnOnion;

    fn from_str(name: &str) -> Result<Self, NotAnOnion> {
        let base = name.strip_suffix(SUFFIX).ok_or(NotAnOnion)?.to_ascii_uppercase();
        let bytes = BASE32_NOPAD.decode(base.as_bytes()).map_err(|_| NotAnOnion)?;
        let [key @ .., c0, c1, version] =
            <[u8; NAME_BYTES]>::try_from(bytes).map_err(|_| NotAnOnion)?;
        let key = Self(key);
        (version == VERSION && [c0, c1] == key.checksum()).then_some(key).ok_or(NotAnOnion)
    }
}

/// Whether `ip` is a made-up one of an onion service. From anybody else than us it means nothing:
/// addresses of this range that peers tell of (as `addr`, version 2 of Tor) are to be left out.
#[must_use]
pub fn is_onion(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.octets().starts_with(&PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Names from the wild: the Tor project's site, and a search engine's.
    const NAMES: [&str; 2] = [
        "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion",
        "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion",
    ];

    #[test]
    fn names_are_read_and_written() {
        for name in NAMES {
            let key: OnionKey = name.parse().unwrap();
            assert_eq!(key.to_string(), name);
            assert_eq!(name.to_ascii_uppercase().replace(".ONION", ".onion").parse(), Ok(key));
        }
    }

    #[test]
    fn wrong_names_are_refused() {
        let good = NAMES[0];
        for at in 0..good.len() {
            let mut bad = good.as_bytes().to_vec();
            bad[at] = if bad[at] == b'b' { b'c' } else { b'b' };
            let bad = String::from_utf8(bad).unwrap();
            assert_eq!(bad.parse::<OnionKey>(), Err(NotAnOnion), "{bad}");
        }
        for bad in ["", ".onion", "expyuzz4wqqyqhjn.onion", "é.onion", &good[1..], &good[..56]] {
            assert_eq!(bad.parse::<OnionKey>(), Err(NotAnOnion), "{bad}");
        }
        assert!(format!("{good}.onion").parse::<OnionKey>().is_err());
    }

    #[test]
    fn each_key_has_an_address_of_its_own() {
        let [one, other]: [OnionKey; 2] = NAMES.map(|name| name.parse().unwrap());
        assert_ne!(one.ip(), other.ip());
        assert!(is_onion(one.ip().into()) && one.ip().to_string().starts_with("fd87:d87e:eb43:"));
        assert_eq!(one.address(9333), SocketAddr::from((one.ip(), 9333)));
        for not in ["fd87:d87e:eb44::1", "127.0.0.1", "::1"] {
            assert!(!is_onion(not.parse().unwrap()), "{not}");
        }
    }
}
