//! Which addresses and ports a node can have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::chain::{self, Chain, Network};

/// Ports of other services. Connections to them on somebody's say-so look like an attack of ours.
///
/// Source: Bitcoin Core, `src/netbase.cpp`, `IsBadPort`; web servers and databases added.
const OTHER_SERVICES: [u16; 90] = [
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 80, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    443, 445, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
    989, 990, 993, 995, 1433, 1719, 1720, 1723, 2049, 3306, 3389, 3659, 4045, 5060, 5061, 5432,
    6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6697, 8080, 10_080, 27_017,
];

/// Whether nodes of `network` can be at `ip`. On a private network that is anywhere but where
/// nobody is; on a public one only where the Internet has hosts.
#[must_use]
pub fn is_reachable(ip: IpAddr, network: Network) -> bool {
    let is_private = network == Network::Regtest;
    match ip.to_canonical() {
        IpAddr::V4(v4) if is_private => is_host_v4(v4),
        IpAddr::V6(v6) if is_private => is_host_v6(v6),
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_host_v4(ip: Ipv4Addr) -> bool {
    let [first, ..] = ip.octets();
    first != 0 && first < 224 && !ip.is_link_local()
}

fn is_host_v6(ip: Ipv6Addr) -> bool {
    // The range of the addresses that we make up for onion services: nobody else's word for one.
    let is_made_up = ip.segments().starts_with(&[0xfd87, 0xd87e, 0xeb43]);
    !(ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() || is_made_up)
}

/// Source: IANA IPv4 Special-Purpose Address Registry.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let is_special = match ip.octets() {
        [100, second, ..] => (64..128).contains(&second), // RFC 6598: shared by a carrier's customers
        [192, 0, 0, _] | [192, 88, 99, _] => true,        // RFC 6890, RFC 7526
        [198, second, ..] => second & 0xfe == 18,         // RFC 2544: benchmarks
        _ => false,
    };
    is_host_v4(ip) && !(is_special || ip.is_loopback() || ip.is_private() || ip.is_documentation())
}

/// Source: IANA IPv6 Special-Purpose Address Registry. Of what is assigned, 2000::/3, the parts that
/// are not hosts of their own go out: documentation, ORCHID, Teredo, 6to4.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let is_special = match first {
        0x2001 => second == 0x0db8 || second < 0x0200,
        0x2002 => true,
        0x3fff => second < 0x1000,
        _ => false,
    };
    first & 0xe000 == 0x2000 && !is_special
}

/// Whether a node of `chain` may listen at `port`. Nodes may have any, but not another service's, nor
/// one that is another chain's: lists of several chains' nodes are often mixed up.
#[must_use]
pub fn is_port_of_peers(port: u16, chain: &Chain) -> bool {
    if port == 0 || OTHER_SERVICES.contains(&port) {
        return false;
    }
    let is_anothers = |other: &Chain| other.p2p_port == port || other.rpc_port == port;
    port == chain.p2p_port || chain.network == Network::Regtest || !chain::all().any(is_anothers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_the_internet_count_on_a_public_network() {
        for good in [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.254",
            "2a01:4f8::1",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_reachable(good.parse().unwrap(), Network::Main), "{good}");
        }
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.2.3",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::8.8.8.8",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:808:808::1",
            "3fff::1",
            "fc00::1",
            "fd87:d87e:eb43::1",
            "fd6b:88c0:8724::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            for network in [Network::Main, Network::Test] {
                assert!(!is_reachable(bad.parse().unwrap(), network), "{bad}");
            }
        }
    }

    #[test]
    fn a_private_network_is_wherever_its_nodes_are() {
        for good in ["127.0.0.9", "10.1.2.3", "203.0.113.1", "::1", "fd00::1", "8.8.8.8"] {
            assert!(is_reachable(good.parse().unwrap(), Network::Regtest), "{good}");
        }
        for bad in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "169.254.1.1", "::", "fe80::1"] {
            assert!(!is_reachable(bad.parse().unwrap(), Network::Regtest), "{bad}");
        }
        assert!(!is_reachable("fd87:d87e:eb43::1".parse().unwrap(), Network::Regtest));
    }

    #[test]
    fn ports_of_other_services_and_chains_are_left_alone() {
        for chain in chain::all() {
            for bad in [0, 22, 25, 80, 443, 6667, 10_080] {
                assert!(!is_port_of_peers(bad, chain), "{bad}");
            }
            assert!(is_port_of_peers(chain.p2p_port, chain), "{} {:?}", chain.name, chain.network);
            assert!(is_port_of_peers(40_404, chain));
            let others = chain::all().filter(|other| other.p2p_port != chain.p2p_port);
            let is_private = chain.network == Network::Regtest;
            for other in others {
                assert_eq!(is_port_of_peers(other.p2p_port, chain), is_private);
            }
        }
    }
}
