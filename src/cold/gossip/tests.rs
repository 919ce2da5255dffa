//! What is believed of whom, and what no flood can do.

use std::net::SocketAddr;
use std::time::Instant;

use super::*;
use crate::cold::store::{Ban, Netgroup, PeerBook, PeerEntry, Source, Store, StoreSettings};
use crate::limits::{
    ADDRESSES_MAX, HEARSAY_PER_NETGROUP_MAX, HEARSAY_PER_SOURCE_MAX, PEER_ENTRIES_MAX,
    PEER_FILE_BYTES_MAX,
};
use crate::wire::chain::{self, Network, SERVICE_NETWORK};

const NOW_S: u64 = 1_800_000_000;

fn row(network: Network) -> &'static Chain {
    chain::all().find(|row| row.network == network && row.has_mweb).unwrap()
}

fn record(address: &str) -> AddressRecord {
    AddressRecord {
        time_s: u32::try_from(NOW_S - 60).unwrap(),
        services: row(Network::Main).services_wanted | SERVICE_NETWORK,
        address: NetworkAddress::Ip(address.parse().unwrap()),
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn judged(record: &AddressRecord) -> Result<HeardAddress, Fate> {
    judge(record, at("8.8.8.8:9333"), row(Network::Main), NOW_S)
}

#[test]
fn every_refusal_has_its_reason() {
    let good = record("9.9.9.9:9333");
    let heard = judged(&good).unwrap();
    assert_eq!((heard.address, heard.services), (at("9.9.9.9:9333"), good.services));
    for (bad, fate) in [
        (record("10.0.0.1:9333"), Fate::Unroutable),
        (record("127.0.0.1:9333"), Fate::Unroutable),
        (record("[fd87:d87e:eb43::1]:9333"), Fate::Unroutable),
        (record("9.9.9.9:0"), Fate::Port),
        (record("9.9.9.9:22"), Fate::Port),
        (AddressRecord { services: 0, ..good }, Fate::Services),
        (AddressRecord { time_s: NOW_S as u32 - 31 * 86_400, ..good }, Fate::Stale),
        (AddressRecord { address: NetworkAddress::I2p([1; 32], 0), ..good }, Fate::Network),
        (
            AddressRecord { address: NetworkAddress::Cjdns([0xfc; 16].into(), 9333), ..good },
            Fate::Network,
        ),
    ] {
        assert_eq!(judged(&bad), Err(fate), "{bad:?}");
    }
    let mapped = record("[::ffff:9.9.9.9]:9333");
    assert_eq!(judged(&mapped).unwrap().address, heard.address);
    let loopback = record("127.0.0.9:12345");
    let from = at("127.0.0.1:1");
    let own = judge(&loopback, from, row(Network::Regtest), NOW_S).unwrap();
    assert_eq!(own.address, at("127.0.0.9:12345"));
    let onion = AddressRecord { address: NetworkAddress::Onion([7; 32], 9333), ..good };
    let heard = judged(&onion).unwrap();
    assert_eq!(heard.onion, Some(OnionKey([7; 32])));
    assert_eq!(heard.address, OnionKey([7; 32]).address(9333));
}

#[test]
fn nobody_is_believed_about_the_future() {
    let day = 86_400;
    let seen = |time_s: u64| {
        let time_s = u32::try_from(time_s).unwrap();
        judged(&AddressRecord { time_s, ..record("9.9.9.9:9333") }).unwrap().last_seen_s
    };
    assert_eq!(seen(NOW_S - 3 * day), NOW_S - 3 * day - 7_200);
    assert_eq!(seen(NOW_S), NOW_S - 7_200);
    assert_eq!(seen(NOW_S + 599), NOW_S - 7_200, "clocks differ");
    assert_eq!(seen(NOW_S + 601), NOW_S - 5 * day - 7_200);
    assert_eq!(seen(u32::MAX.into()), NOW_S - 5 * day - 7_200);
    assert_eq!(seen(0), NOW_S - 5 * day - 7_200);
    let itself = judge(&record("8.8.8.8:9333"), at("8.8.8.8:5"), row(Network::Main), NOW_S);
    assert_eq!(itself.unwrap().last_seen_s, NOW_S - 60, "who speaks of himself");
}

fn heard(number: u32) -> HeardAddress {
    // Spread over many networks: those that come one after the other are far apart.
    let (host, group) = (number / 24_832, number % 24_832);
    let [_, _, high, low] = host.to_be_bytes();
    let octets = [11 + (group % 97) as u8, (group / 97) as u8, low, high + 1];
    HeardAddress {
        address: SocketAddr::from((octets, 9_333)),
        services: 9,
        last_seen_s: NOW_S - 7_200,
        onion: None,
    }
}

fn source(number: u8) -> SourceGroup {
    SourceGroup::of(SocketAddr::from(([9, number, 1, 1], 9_333)))
}

#[test]
fn sources_are_network_groups() {
    assert_eq!(SourceGroup::of(at("9.9.1.1:1")), SourceGroup::of(at("9.9.200.7:9")));
    assert_ne!(SourceGroup::of(at("9.9.1.1:1")), SourceGroup::of(at("9.8.1.1:1")));
    assert_ne!(SourceGroup::of(at("127.0.0.1:1")), SourceGroup::of(at("127.0.0.2:1")));
    let onions: std::collections::HashSet<_> =
        (0..=255).map(|byte| SourceGroup::of(OnionKey([byte; 32]).address(1))).collect();
    assert_eq!(onions.len(), 16);
}

#[test]
fn a_source_has_its_share_and_gets_it_back_when_its_word_proves_true() {
    let (mut gossip, mut book) = (Gossip::default(), PeerBook::default());
    let now_s = NOW_S as f64;
    let mut taken = Vec::new();
    let mut refused = 0;
    for number in 0..2 * HEARSAY_PER_SOURCE_MAX {
        match gossip.take(&mut book, source(1), &heard(number), now_s) {
            Fate::Taken => taken.push(heard(number).address),
            Fate::SourceFull => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    let most = HEARSAY_PER_SOURCE_MAX as usize;
    assert_eq!((taken.len(), refused, book.len()), (most, most, most));
    assert_eq!(gossip.take(&mut book, source(1), &heard(0), now_s), Fate::Known);
    assert_eq!(gossip.take(&mut book, source(2), &heard(1_999), now_s), Fate::Taken);
    for address in &taken[..10] {
        book.get_mut(*address).unwrap().last_connected_s = now_s;
    }
    book.remove(taken[10]);
    gossip.settle(&book);
    assert_eq!(gossip.of_source(source(1)), HEARSAY_PER_SOURCE_MAX - 11);
    assert_eq!(gossip.take(&mut book, source(1), &heard(1_500), now_s), Fate::Taken);
}

#[test]
fn a_network_has_its_share_whoever_tells_of_it() {
    let (mut gossip, mut book) = (Gossip::default(), PeerBook::default());
    let crowded = |number: u16| {
        let [high, low] = number.to_be_bytes();
        HeardAddress { address: SocketAddr::from(([77, 77, high, low], 9_333)), ..heard(0) }
    };
    let mut fates = [0; 2];
    for number in 0..1_000 {
        let from = source(u8::try_from(number % 50).unwrap());
        let fate = gossip.take(&mut book, from, &crowded(number), NOW_S as f64);
        fates[usize::from(fate == Fate::GroupFull)] += 1;
    }
    let most = HEARSAY_PER_NETGROUP_MAX;
    assert_eq!(fates, [most, 1_000 - most]);
    let group = Netgroup::of("77.77.0.0".parse().unwrap()).unwrap();
    assert_eq!(gossip.of_netgroup(group), most);
    gossip.settle(&book);
    assert_eq!(gossip.of_netgroup(group), most, "counted anew, also after a restart");
}

#[test]
fn hearsay_changes_nothing_that_is_known() {
    let (mut gossip, mut book) = (Gossip::default(), PeerBook::default());
    let now_s = NOW_S as f64;
    let mut proven = PeerEntry::new(Source::Discovered, now_s - 9e5);
    (proven.last_connected_s, proven.services) = (now_s - 9e5, Some(1));
    book.insert(heard(1).address, proven.clone());
    book.insert(heard(2).address, PeerEntry::new(Source::Discovered, now_s - 9e5));
    for number in [1, 2] {
        assert_eq!(gossip.take(&mut book, source(1), &heard(number), now_s), Fate::Known);
    }
    assert_eq!(book.get(heard(1).address), Some(&proven));
    let entry = book.get(heard(2).address).unwrap();
    assert_eq!((entry.last_seen_s, entry.services), (now_s - 7_200.0, Some(9)));
    book.ban(Ban::host(heard(3).address.ip()), now_s);
    assert_eq!(gossip.take(&mut book, source(1), &heard(3), now_s), Fate::Banned);
    assert!(book.get(heard(3).address).is_none() && gossip.is_empty());
}

/// A database with `proven` peers that have answered, some that the node named, and `honest` hearsay.
fn full_book(gossip: &mut Gossip, proven: u32, honest: u32) -> (PeerBook, Vec<SocketAddr>) {
    let (mut book, mut good) = (PeerBook::default(), Vec::new());
    for number in 0..proven {
        let source = if number % 5 == 0 { Source::Node } else { Source::Discovered };
        let mut entry = PeerEntry::new(source, NOW_S as f64 - 20.0 * 86_400.0);
        entry.last_connected_s = if number % 5 == 0 { 0.0 } else { 1.0 };
        // The poorest that there can be: one failure away from being dropped.
        entry.score = 10.0;
        let address = SocketAddr::from(([200, 1, number as u8, (number >> 8) as u8], 9_333));
        assert!(book.insert(address, entry));
        good.push(address);
    }
    for number in 0..honest {
        let from = source(100 + u8::try_from(number % 20).unwrap());
        gossip.take(&mut book, from, &heard(0x0010_0000 + number), NOW_S as f64);
    }
    (book, good)
}

/// Goal: one peer that tells of 10,000 addresses at once gets what its connection may tell of, and no
/// more.
#[test]
fn ten_thousand_addresses_at_once_from_one_peer() {
    let mut gossip = Gossip::default();
    let (mut book, good) = full_book(&mut gossip, 5_000, 3_000);
    let (from, fates) = (at("9.9.9.9:9333"), Fates::default());
    let mut allowance = Allowance::new(0);
    allowance.asked();
    let began = Instant::now();
    for _ in 0..10 {
        for number in 0..u32::try_from(ADDRESSES_MAX).unwrap() {
            let told = AddressRecord {
                time_s: u32::MAX,
                services: u64::MAX,
                address: NetworkAddress::Ip(heard(0x0100_0000 + number * 7).address),
            };
            let judged = judge(&told, from, row(Network::Main), NOW_S);
            let judged = if allowance.take(0) { judged } else { Err(Fate::Allowance) };
            let taken =
                judged.map(|it| gossip.take(&mut book, SourceGroup::of(from), &it, NOW_S as f64));
            fates.note(taken.unwrap_or_else(|fate| fate), 1);
        }
    }
    println!("10,000 addresses at once: dealt with in {:?}", began.elapsed());
    assert_eq!((fates.heard(), fates.of(Fate::Allowance)), (10_000, 8_999));
    assert!(fates.of(Fate::Taken) <= 1_000 && gossip.of_source(SourceGroup::of(from)) <= 1_000);
    assert!(good.iter().all(|address| book.get(*address).is_some()));
    assert!(book.len() <= PEER_ENTRIES_MAX as usize);
}

/// Goal: a million addresses in an hour, by peers that come again and again so that no connection's
/// allowance stops them: memory and file stay bounded, and whoever has proven himself stays.
#[test]
fn a_million_addresses_in_an_hour() {
    let mut gossip = Gossip::default();
    let (mut book, good) = full_book(&mut gossip, 6_000, 3_000);
    let fates = Fates::default();
    let began = Instant::now();
    let mut slowest = std::time::Duration::ZERO;
    for minute in 0..60_u32 {
        let now_s = f64::from(minute) * 60.0 + NOW_S as f64;
        for number in 0..1_000_000 / 60 + 1 {
            // Five networks' worth of attackers.
            let from = source(u8::try_from(number % 5).unwrap());
            let flood = heard(0x0200_0000 + minute * 20_000 + number);
            fates.note(gossip.take(&mut book, from, &flood, now_s), 1);
            assert!(gossip.len() <= PEER_ENTRIES_MAX as usize + 1);
        }
        let refresh = Instant::now();
        gossip.settle(&book);
        book.prune_stale(now_s);
        slowest = slowest.max(refresh.elapsed());
        for attacker in 0..5 {
            assert!(gossip.of_source(source(attacker)) <= HEARSAY_PER_SOURCE_MAX);
        }
        assert!(book.len() <= PEER_ENTRIES_MAX as usize);
    }
    let took = began.elapsed();
    assert!(good.iter().all(|address| book.get(*address).is_some()), "a good one was pushed out");
    let honest = (0..3_000).filter(|it| book.get(heard(0x0010_0000 + it).address).is_some());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peers.json");
    let settings = StoreSettings {
        path: path.clone(),
        chain: row(Network::Main).name.into(),
        network: "main".into(),
        port: 9_333,
    };
    Store::new(settings).save(&book, NOW_S as f64).unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes < PEER_FILE_BYTES_MAX / 8, "{bytes}");
    println!(
        "1,000,000 addresses: {took:?} in all; a refresh over {} entries at most {slowest:?}; taken \
         {}, refused {}; honest hearsay left {} of 3,000; file {bytes} bytes",
        book.len(),
        fates.of(Fate::Taken),
        fates.of(Fate::SourceFull) + fates.of(Fate::GroupFull) + fates.of(Fate::BookFull),
        honest.count(),
    );
}
