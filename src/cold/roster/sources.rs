//! Where addresses come from. Each source is a pure function from what was said to [`Candidate`]s;
//! a further source is one more function here.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use crate::cold::onion::{OnionKey, is_onion};
use crate::cold::store::{PeerBook, PeerEntry, Source, parse_address};
use crate::limits::{OWN_ADDRESSES_MAX, PEER_ENTRIES_MAX};
use crate::wire::chain::{Chain, Network};

/// An address that somebody told us of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Where it listens, by what was said.
    pub(super) address: SocketAddr,
    /// Who said it.
    pub(super) source: Source,
    /// What it offers, where that was said.
    pub(super) services: Option<u64>,
    /// Whether the local node dialled it.
    pub(super) outbound: bool,
    /// Whose made-up address it is.
    pub(super) onion: Option<OnionKey>,
}

/// Reads a node's `getpeerinfo`. Peers that dialled the node have ports where nobody listens, so
/// of these only those with the chain's own port are taken; of all, only what serves blocks.
///
/// `beside_node`: the node runs on this host, so its loopback addresses are ours too.
///
/// Source: Bitcoin Core, `src/rpc/net.cpp`, `getpeerinfo`.
pub(super) fn from_peer_info(answer: &Value, chain: &Chain, beside_node: bool) -> Vec<Candidate> {
    let peers = answer.as_array().map_or(&[][..], Vec::as_slice);
    peers
        .iter()
        .filter_map(|peer| from_peer(peer, chain, beside_node))
        .take(PEER_ENTRIES_MAX as usize)
        .collect()
}

fn from_peer(peer: &Value, chain: &Chain, beside_node: bool) -> Option<Candidate> {
    let (address, onion) = read_address(peer.get("addr")?.as_str()?)?;
    let outbound = peer.get("inbound").and_then(Value::as_bool) == Some(false);
    if !outbound && address.port() != chain.p2p_port {
        return None;
    }
    // Short-lived by design: the node only wants to know whether somebody is there.
    let kind = peer.get("connection_type").and_then(Value::as_str);
    if matches!(kind, Some("feeler" | "addr-fetch")) {
        return None;
    }
    let services = peer
        .get("services")
        .and_then(Value::as_str)
        .and_then(|hex| u64::from_str_radix(hex, 16).ok());
    if services.is_some_and(|bits| !chain.serves_blocks(bits)) {
        return None;
    }
    let loopback_counts = beside_node || chain.network == Network::Regtest;
    // A made-up address is only ours to give.
    let is_ours = onion.is_some() || !is_onion(address.ip());
    (is_ours && is_dialable(address.ip(), loopback_counts)).then_some(Candidate {
        address,
        source: Source::Node,
        services,
        outbound,
        onion,
    })
}

/// `IP:PORT`, or `NAME.onion:PORT`, which gets its made-up address.
fn read_address(text: &str) -> Option<(SocketAddr, Option<OnionKey>)> {
    if let Some(address) = parse_address(text) {
        return Some((address, None));
    }
    let (name, port) = text.rsplit_once(':')?;
    let key: OnionKey = name.parse().ok()?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some((key.address(port), Some(key)))
}

/// Addresses of its own that a node tells of in `getnetworkinfo`.
///
/// Source: Bitcoin Core, `src/rpc/net.cpp`, `getnetworkinfo`.
pub(super) fn own_addresses(answer: &Value) -> Vec<SocketAddr> {
    let own = answer.get("localaddresses").and_then(Value::as_array);
    let read = |own: &Value| {
        let port = own.get("port")?.as_u64()?;
        let host = own.get("address")?.as_str()?;
        Some(read_address(&format!("{host}:{port}"))?.0)
    };
    own.into_iter().flatten().filter_map(read).take(OWN_ADDRESSES_MAX).collect()
}

/// Whether a connection to `ip` can mean anything.
fn is_dialable(ip: IpAddr, loopback_counts: bool) -> bool {
    let never = match ip {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            first == 0 || first >= 224 || v4.is_link_local()
        }
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local(),
    };
    !never && (loopback_counts || !ip.is_loopback())
}

/// Puts what is new into the book, and notes of what is known that it was seen; how many are new.
pub(super) fn offer(book: &mut PeerBook, candidates: Vec<Candidate>, now_s: f64) -> usize {
    let mut fresh = 0;
    for candidate in candidates {
        if let Some(entry) = book.get_mut(candidate.address) {
            entry.last_seen_s = now_s;
            entry.services = candidate.services.or(entry.services);
            entry.outbound |= candidate.outbound;
            entry.onion = candidate.onion.or(entry.onion);
            if candidate.source == Source::Node && entry.source == Source::Discovered {
                entry.source = Source::Node;
            }
            continue;
        }
        let mut entry = PeerEntry::new(candidate.source, now_s);
        entry.services = candidate.services;
        entry.outbound = candidate.outbound;
        entry.onion = candidate.onion;
        fresh += usize::from(book.insert(candidate.address, entry));
    }
    fresh
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::chain;

    fn chain(network: Network) -> &'static Chain {
        chain::all()
            .find(|chain| chain.network == network && chain.p2p_port == 9_333)
            .or_else(|| chain::all().find(|chain| chain.network == network))
            .unwrap()
    }

    fn addresses(answer: &Value, chain: &Chain, beside: bool) -> Vec<String> {
        let found = from_peer_info(answer, chain, beside);
        found.iter().map(|candidate| candidate.address.to_string()).collect()
    }

    #[test]
    fn takes_what_listens_and_serves() {
        let chain = chain(Network::Main);
        let good = format!("{:016x}", chain.services_wanted | 1);
        let own = chain.p2p_port;
        let answer = json!([
            {"addr": "203.0.113.1:1234", "inbound": false, "services": good},
            {"addr": "203.0.113.2:1234", "inbound": true, "services": good},
            {"addr": format!("203.0.113.3:{own}"), "inbound": true, "services": good},
            {"addr": format!("203.0.113.4:{own}"), "inbound": false},
            {"addr": format!("203.0.113.5:{own}"), "inbound": false, "services": "0000000000000000"},
            {"addr": format!("[2001:db8::6]:{own}"), "inbound": false, "services": good},
            {"addr": format!("203.0.113.7:{own}"), "inbound": false, "connection_type": "feeler"},
            {"addr": format!("0.0.0.0:{own}"), "inbound": false},
            {"addr": format!("239.1.2.3:{own}"), "inbound": false},
            {"addr": format!("255.255.255.255:{own}"), "inbound": false},
            {"addr": format!("[fe80::1]:{own}"), "inbound": false},
            {"addr": "abcdefghijklmnop.onion:9333", "inbound": false},
            {"addr": 17}, {}, null, "203.0.113.8:9333",
        ]);
        assert_eq!(
            addresses(&answer, chain, true),
            [
                "203.0.113.1:1234".to_string(),
                format!("203.0.113.3:{own}"),
                format!("203.0.113.4:{own}"),
                format!("[2001:db8::6]:{own}"),
            ]
        );
        assert!(addresses(&json!({"addr": 1}), chain, true).is_empty());
    }

    #[test]
    fn onion_services_have_made_up_addresses_and_nobody_else_has() {
        let chain = chain(Network::Main);
        let key = OnionKey([9; 32]);
        let answer = json!([
            {"addr": format!("{key}:9333"), "inbound": false},
            {"addr": format!("{}", key.address(9333)), "inbound": false},
            {"addr": "abcdefghijklmnop.onion:9333", "inbound": false},
        ]);
        let found = from_peer_info(&answer, chain, true);
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((one.address, one.onion), (key.address(9333), Some(key)));
        let about = json!({"localaddresses": [
            {"address": "203.0.113.5", "port": 9333, "score": 1},
            {"address": "2001:db8::5", "port": 9333}, {"address": key.to_string(), "port": 1},
            {"address": "host.example.org", "port": 1}, {"port": 1}, 3,
        ]});
        let own = own_addresses(&about);
        assert_eq!(
            (own.len(), own[0], own[2]),
            (3, "203.0.113.5:9333".parse().unwrap(), key.address(1))
        );
        assert_eq!(own_addresses(&Value::Null), []);
    }

    #[test]
    fn loopback_counts_beside_the_node_and_on_private_networks() {
        let answer = json!([{"addr": "127.0.0.9:12345", "inbound": false}]);
        assert!(addresses(&answer, chain(Network::Main), false).is_empty());
        assert_eq!(addresses(&answer, chain(Network::Main), true).len(), 1);
        assert_eq!(addresses(&answer, chain(Network::Regtest), false).len(), 1);
    }

    #[test]
    fn offering_twice_keeps_what_was_earned() {
        let mut book = PeerBook::default();
        let address = "203.0.113.1:9333".parse().unwrap();
        let mut known = PeerEntry::new(Source::Discovered, 10.0);
        known.score = 400.0;
        assert!(book.insert(address, known));
        let said = |address| Candidate {
            address,
            source: Source::Node,
            services: Some(9),
            outbound: true,
            onion: None,
        };
        let fresh =
            offer(&mut book, vec![said(address), said("203.0.113.2:9333".parse().unwrap())], 99.0);
        assert_eq!((fresh, book.len()), (1, 2));
        let entry = book.get(address).unwrap();
        assert_eq!((entry.score, entry.source, entry.first_seen_s), (400.0, Source::Node, 10.0));
        assert_eq!((entry.last_seen_s, entry.services, entry.outbound), (99.0, Some(9), true));
    }
}
