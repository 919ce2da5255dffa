//! Lists of addresses: what is written reads back, cut or spoilt lists never say anything else, and
//! an independent decoder agrees.

use std::net::{Ipv6Addr, SocketAddr};

use bitcoin::consensus::encode::deserialize;
use bitcoin::p2p::address::{AddrV2, AddrV2Message};
use broadside::wire::message::{
    AddressRecord, NetworkAddress, addr_records, address_count, addrv2_records, encode_addr,
    encode_addrv2,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

fn place() -> impl Strategy<Value = NetworkAddress> {
    let v4 = (any::<[u8; 4]>(), any::<u16>());
    // A disguised IPv4 address would come back as what it is.
    let v6 = (any::<u128>().prop_map(|bits| Ipv6Addr::from(bits | 1 << 127)), any::<u16>());
    prop_oneof![
        4 => v4.prop_map(|(ip, port)| NetworkAddress::Ip(SocketAddr::from((ip, port)))),
        2 => v6.prop_map(|(ip, port)| NetworkAddress::Ip(SocketAddr::from((ip, port)))),
        1 => any::<([u8; 32], u16)>().prop_map(|(key, port)| NetworkAddress::Onion(key, port)),
        1 => any::<([u8; 32], u16)>().prop_map(|(hash, port)| NetworkAddress::I2p(hash, port)),
        1 => any::<([u8; 15], u16)>().prop_map(|(rest, port)| {
            let mut octets = [0xfc; 16];
            octets[1..].copy_from_slice(&rest);
            NetworkAddress::Cjdns(octets.into(), port)
        }),
    ]
}

fn record() -> impl Strategy<Value = AddressRecord> {
    (any::<u32>(), any::<u64>(), place()).prop_map(|(time_s, services, address)| AddressRecord {
        time_s,
        services,
        address,
    })
}

/// A record of a network that nobody knows yet, as `addrv2` writes it.
fn unknown(network: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![1, 2, 3, 4, 9, network];
    if bytes.len() < 0xfd {
        out.push(bytes.len() as u8);
    } else {
        out.push(0xfd);
        out.extend((bytes.len() as u16).to_le_bytes());
    }
    out.extend(bytes);
    out.extend([0x20, 0x8d]);
    out
}

proptest! {
    #[test]
    fn lists_read_back(records in vec(record(), 0..120), cut in any::<Index>()) {
        let payload = encode_addrv2(&records);
        prop_assert_eq!(addrv2_records(&payload).collect::<Vec<_>>(), records.clone());
        prop_assert_eq!(address_count(&payload), Some(records.len() as u64));
        let part = &payload[..cut.index(payload.len())];
        let read: Vec<_> = addrv2_records(part).collect();
        prop_assert!(records.starts_with(&read));

        let is_ip = |it: &&AddressRecord| matches!(it.address, NetworkAddress::Ip(_));
        let plain: Vec<_> = records.iter().filter(is_ip).copied().collect();
        let payload = encode_addr(&records);
        prop_assert_eq!(addr_records(&payload).collect::<Vec<_>>(), plain.clone());
        let part = &payload[..cut.index(payload.len())];
        prop_assert!(plain.starts_with(&addr_records(part).collect::<Vec<_>>()));
    }

    #[test]
    fn an_independent_decoder_reads_the_same(records in vec(record(), 0..40)) {
        let other: Vec<AddrV2Message> = deserialize(&encode_addrv2(&records)).expect("well formed");
        prop_assert_eq!(other.len(), records.len());
        for (ours, theirs) in records.iter().zip(&other) {
            prop_assert_eq!((ours.time_s, ours.services), (theirs.time, theirs.services.to_u64()));
            match (ours.address, &theirs.addr) {
                (NetworkAddress::Ip(at), _) => {
                    prop_assert_eq!(theirs.socket_addr().ok(), Some(at));
                }
                (NetworkAddress::Onion(key, port), AddrV2::TorV3(other)) => {
                    prop_assert_eq!((&key, port), (other, theirs.port));
                }
                (NetworkAddress::I2p(hash, port), AddrV2::I2p(other)) => {
                    prop_assert_eq!((&hash, port), (other, theirs.port));
                }
                (NetworkAddress::Cjdns(ip, port), AddrV2::Cjdns(other)) => {
                    prop_assert_eq!((&ip, port), (other, theirs.port));
                }
                (ours, theirs) => prop_assert!(false, "{:?} became {:?}", ours, theirs),
            }
        }
    }

    #[test]
    fn strange_networks_are_skipped_by_their_length(
        records in vec(record(), 1..20),
        (network, bytes) in (7_u8.., vec(any::<u8>(), 0..513)),
        at in any::<Index>(),
    ) {
        let at = at.index(records.len() + 1);
        let count = records.len() as u8 + 1;
        let [before, behind] = [&records[..at], &records[at..]].map(encode_addrv2);
        let strange = unknown(network, &bytes);
        let payload = [&[count][..], &before[1..], &strange, &behind[1..]].concat();
        let read: Vec<_> = addrv2_records(&payload).collect();
        if bytes.len() <= 512 {
            prop_assert_eq!(read, records);
        } else {
            prop_assert_eq!(read, records[..at].to_vec());
        }
    }

    #[test]
    fn counts_over_a_thousand_give_nothing(more in 1_001_u16.., bytes in vec(any::<u8>(), 0..3000)) {
        let payload = [&[0xfd][..], &more.to_le_bytes(), &bytes].concat();
        prop_assert_eq!(address_count(&payload), None);
        prop_assert_eq!(addr_records(&payload).count(), 0);
        prop_assert_eq!(addrv2_records(&payload).count(), 0);
    }
}

#[test]
fn a_full_list_is_read_whole() {
    let record = |number: u32| AddressRecord {
        time_s: number,
        services: 9,
        address: NetworkAddress::Ip(SocketAddr::from((number.to_be_bytes(), 9333))),
    };
    let records: Vec<_> = (0..1_000).map(|number| record(number | 8 << 24)).collect();
    let [old, new] = [encode_addr(&records), encode_addrv2(&records)];
    assert!(old.len() == 30_003 && new.len() < 30_003);
    assert_eq!(addr_records(&old).collect::<Vec<_>>(), records);
    assert_eq!(addrv2_records(&new).collect::<Vec<_>>(), records);
}
