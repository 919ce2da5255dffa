//! Addresses of other nodes: addr, and addrv2 (BIP 155).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::version;
use crate::limits::ADDRESSES_MAX;
use crate::wire::cursor::{Cursor, push_compact_size};

/// Longest address of a kind yet to come, in bytes (`netaddress.h`, MAX_ADDRV2_SIZE).
const ADDRESS_BYTES_MAX: usize = 512;

/// Where a node can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NetworkAddress {
    /// Over IPv4 or IPv6.
    Ip(SocketAddr),
    /// Over Tor (v3): public key and port.
    Onion([u8; 32], u16),
    /// Over I2P: hash of the destination, and port.
    I2p([u8; 32], u16),
    /// Over CJDNS.
    Cjdns(Ipv6Addr, u16),
}

/// What a peer says of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRecord {
    /// When it was last seen, in seconds since 1970, as the peer says.
    pub time_s: u32,
    /// Service bits that it is said to have.
    pub services: u64,
    /// Where.
    pub address: NetworkAddress,
}

/// The whole records at the front of an `addr` payload. None where its count is over 1,000.
///
/// # Shape
///
/// `count [compact] · count × (time [u32 LE] · services [u64 LE] · IP [16] · port [u16 BE])`
pub fn addr_records(payload: &[u8]) -> impl Iterator<Item = AddressRecord> {
    let mut cursor = Cursor::new(payload);
    (0..count(&mut cursor)).map_while(move |_| {
        let (time_s, services) = (cursor.u32()?, cursor.u64()?);
        let address = NetworkAddress::Ip(version::address(&mut cursor)?);
        Some(AddressRecord { time_s, services, address })
    })
}

/// The whole records at the front of an `addrv2` payload whose kind of network is known; others
/// are skipped. None where its count is over 1,000.
///
/// # Shape
///
/// `count [compact] · count × (time [u32 LE] · services [compact] · network [u8] ·
/// address [varstr] · port [u16 BE])`
pub fn addrv2_records(payload: &[u8]) -> impl Iterator<Item = AddressRecord> {
    let mut cursor = Cursor::new(payload);
    let records = (0..count(&mut cursor)).map_while(move |_| {
        let (time_s, services) = (cursor.u32()?, services(&mut cursor)?);
        let (network, bytes) = (cursor.u8()?, cursor.bytes(ADDRESS_BYTES_MAX)?);
        let address = known(network, bytes, cursor.u16_be()?);
        Some(address.map(|address| AddressRecord { time_s, services, address }))
    });
    records.flatten()
}

/// How many records the payload of an `addr` or `addrv2` says it has; `None` where nodes would
/// refuse it.
#[must_use]
pub fn address_count(payload: &[u8]) -> Option<u64> {
    Cursor::new(payload).compact_size().filter(|count| *count <= ADDRESSES_MAX)
}

fn count(cursor: &mut Cursor<'_>) -> u64 {
    cursor.compact_size().filter(|count| *count <= ADDRESSES_MAX).unwrap_or(0)
}

/// Service bits come in the form of a count, but may be any number.
fn services(cursor: &mut Cursor<'_>) -> Option<u64> {
    match cursor.u8()? {
        0xfd => cursor.array().map(|bytes| u64::from(u16::from_le_bytes(*bytes))),
        0xfe => cursor.u32().map(u64::from),
        0xff => cursor.u64(),
        small => Some(u64::from(small)),
    }
}

fn known(network: u8, bytes: &[u8], port: u16) -> Option<NetworkAddress> {
    let ip = |ip| NetworkAddress::Ip(SocketAddr::new(ip, port));
    match network {
        1 => <[u8; 4]>::try_from(bytes).ok().map(|four| ip(IpAddr::V4(Ipv4Addr::from(four)))),
        2 => {
            let address = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
            // A disguised IPv4 address is not allowed here.
            address.to_ipv4_mapped().is_none().then(|| ip(IpAddr::V6(address)))
        }
        4 => bytes.try_into().ok().map(|key| NetworkAddress::Onion(key, port)),
        5 => bytes.try_into().ok().map(|hash| NetworkAddress::I2p(hash, port)),
        6 => {
            let address = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
            (address.octets().first() == Some(&0xfc))
                .then_some(NetworkAddress::Cjdns(address, port))
        }
        _ => None,
    }
}

/// The payload of an `addr`; records that are not IP addresses are left out.
#[must_use]
pub fn encode_addr(records: &[AddressRecord]) -> Vec<u8> {
    let (mut out, mut body, mut count) = (Vec::new(), Vec::new(), 0);
    for record in records {
        let NetworkAddress::Ip(address) = record.address else {
            continue;
        };
        body.extend_from_slice(&record.time_s.to_le_bytes());
        body.extend_from_slice(&record.services.to_le_bytes());
        version::push_address(&mut body, address);
        count += 1;
    }
    push_compact_size(&mut out, count);
    out.append(&mut body);
    out
}

/// The payload of an `addrv2`.
#[must_use]
pub fn encode_addrv2(records: &[AddressRecord]) -> Vec<u8> {
    let mut out = Vec::new();
    push_compact_size(&mut out, records.len() as u64);
    for record in records {
        out.extend_from_slice(&record.time_s.to_le_bytes());
        push_compact_size(&mut out, record.services);
        let mut push = |network: u8, bytes: &[u8], port: u16| {
            out.push(network);
            push_compact_size(&mut out, bytes.len() as u64);
            out.extend_from_slice(bytes);
            out.extend_from_slice(&port.to_be_bytes());
        };
        match record.address {
            NetworkAddress::Ip(SocketAddr::V4(at)) => push(1, &at.ip().octets(), at.port()),
            NetworkAddress::Ip(SocketAddr::V6(at)) => push(2, &at.ip().octets(), at.port()),
            NetworkAddress::Onion(key, port) => push(4, &key, port),
            NetworkAddress::I2p(hash, port) => push(5, &hash, port),
            NetworkAddress::Cjdns(ip, port) => push(6, &ip.octets(), port),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<AddressRecord> {
        let ip = |text: &str| NetworkAddress::Ip(text.parse().expect("an address"));
        let fc = Ipv6Addr::from([0xfc; 16]);
        let places = [
            ip("203.0.113.7:9333"),
            ip("[2001:db8::1]:8333"),
            NetworkAddress::Onion([4; 32], 9999),
            NetworkAddress::I2p([5; 32], 0),
            NetworkAddress::Cjdns(fc, 22556),
        ];
        let record = |address| AddressRecord { time_s: 1_700_000_000, services: u64::MAX, address };
        places.into_iter().map(record).collect()
    }

    #[test]
    fn records_read_back() {
        let all = samples();
        assert_eq!(addr_records(&encode_addr(&all)).collect::<Vec<_>>(), all[..2]);
        let payload = encode_addrv2(&all);
        assert_eq!(addrv2_records(&payload).collect::<Vec<_>>(), all);
        for cut in 0..payload.len() {
            let read: Vec<_> = addrv2_records(&payload[..cut]).collect();
            assert!(all.starts_with(&read) && read.len() < all.len());
        }
    }

    #[test]
    fn an_independent_decoder_agrees() {
        use bitcoin::consensus::encode::deserialize;
        use bitcoin::p2p::address::{AddrV2, AddrV2Message};
        let payload = encode_addrv2(&samples());
        let other: Vec<AddrV2Message> = deserialize(&payload).expect("well formed");
        assert_eq!(other.len(), 5);
        assert_eq!(other[0].socket_addr().expect("an address").port(), 9333);
        assert_eq!(other[2].addr, AddrV2::TorV3([4; 32]));
        assert_eq!(other[4].services.to_u64(), u64::MAX);
    }

    #[test]
    fn unknown_networks_are_skipped_and_hostile_counts_refused() {
        let mut payload = vec![3];
        for (network, length) in [(99, 7), (1, 5), (1, 4)] {
            payload.extend_from_slice(&[0, 0, 0, 0, 1, network, length]);
            payload.extend(std::iter::repeat_n(9, usize::from(length)));
            payload.extend_from_slice(&[0x20, 0x8d]);
        }
        let read: Vec<_> = addrv2_records(&payload).collect();
        let expected = NetworkAddress::Ip("9.9.9.9:8333".parse().expect("an address"));
        assert_eq!((read.len(), read[0].address), (1, expected));
        let mut many = vec![0xfd, 0xe9, 0x03];
        many.resize(30_000, 1);
        assert_eq!((addr_records(&many).count(), addrv2_records(&many).count()), (0, 0));
        assert_eq!((address_count(&many), address_count(&payload)), (None, Some(3)));
        assert_eq!(address_count(&[]), None);
    }
}
