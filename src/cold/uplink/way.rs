//! Which way out of this host leads to the peers, and what its card says that it can do.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use crate::limits::{
    UPLINK_BITS_MAX, UPLINK_CARD_BITS_MIN, UPLINK_ROUTE_BYTES_MAX, UPLINK_ROUTES_READ_MAX,
};

/// A way out of this host. A learnt rate is true of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The device, where the table of routes tells it.
    pub device: Option<String>,
    /// The next router; `None`: the peers are on this very network.
    pub gateway: Option<IpAddr>,
    /// Our own address on it.
    pub source: IpAddr,
}

impl Way {
    /// The way to `to`, as the kernel would go now. Nothing is sent.
    #[must_use]
    pub fn to(to: SocketAddr) -> Option<Self> {
        let unbound: IpAddr = match to.ip().to_canonical() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((unbound, 0)).ok()?;
        let to = to.ip().to_canonical();
        socket.connect((to, 9)).ok()?;
        let source = socket.local_addr().ok()?.ip();
        let found = match to {
            IpAddr::V4(to) => best(&table("route"), |line| route_4(line, to)),
            IpAddr::V6(to) => best(&table("ipv6_route"), |line| route_6(line, to)),
        };
        let (device, gateway) = match found {
            Some(Route { device, gateway, .. }) => (Some(device), gateway),
            None => (None, None),
        };
        Some(Self { device, gateway, source })
    }

    /// In one line, as it is kept and shown; of bounded length.
    #[must_use]
    pub fn name(&self) -> String {
        let device = self.device.as_deref().unwrap_or("?");
        let mut name = match self.gateway {
            Some(gateway) => format!("{device} via {gateway} from {}", self.source),
            None => format!("{device} from {}", self.source),
        };
        name.retain(|character| character.is_ascii_graphic() || character == ' ');
        name.truncate(UPLINK_ROUTE_BYTES_MAX);
        name
    }

    /// What its card says of itself, in bits/s; `None` where it says nothing that can be believed:
    /// a tunnel or a bridge has no speed of its own, and many virtual cards say -1.
    #[must_use]
    pub fn card_bits_per_s(&self) -> Option<u64> {
        let device = self.device.as_deref().filter(|name| !name.contains(['/', '.']))?;
        let folder = Path::new("/sys/class/net").join(device);
        if !folder.join("device").exists() {
            return None;
        }
        believed(&fs::read_to_string(folder.join("speed")).ok()?)
    }
}

/// A card's speed in Mbit/s as the kernel writes it, in bits/s.
fn believed(text: &str) -> Option<u64> {
    let megabits: u64 = text.trim().parse().ok()?;
    let bits_per_s = megabits.checked_mul(1_000_000)?;
    (UPLINK_CARD_BITS_MIN..=UPLINK_BITS_MAX).contains(&bits_per_s).then_some(bits_per_s)
}

/// The kernel's table of routes, as far as it is read. The calling thread's own: another network may
/// be the process's first one.
fn table(name: &str) -> String {
    let own = fs::read_to_string(Path::new("/proc/thread-self/net").join(name));
    own.or_else(|_| fs::read_to_string(Path::new("/proc/net").join(name))).unwrap_or_default()
}

/// A route that leads there: the longest prefix wins, then the least metric.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    prefix: u32,
    metric: u32,
    device: String,
    gateway: Option<IpAddr>,
}

fn best(table: &str, read: impl Fn(&str) -> Option<Route>) -> Option<Route> {
    let routes = table.lines().take(UPLINK_ROUTES_READ_MAX).filter_map(read);
    routes.max_by_key(|route| (route.prefix, u32::MAX - route.metric))
}

/// Usable (RTF_UP) and not a rejection (RTF_REJECT).
const fn is_usable(flags: u32) -> bool {
    flags & 1 != 0 && flags & 0x200 == 0
}

/// A line of `/proc/net/route`: device, destination, gateway, flags, …, metric, mask in hex, in the
/// machine's own order of bytes.
fn route_4(line: &str, to: Ipv4Addr) -> Option<Route> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let hex = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
    let (destination, gateway, mask) = (hex(1)?, hex(2)?, hex(7)?);
    let to = u32::from_ne_bytes(to.octets());
    if !is_usable(hex(3)?) || to & mask != destination & mask {
        return None;
    }
    let gateway = Some(gateway).filter(|gateway| *gateway != 0);
    Some(Route {
        prefix: mask.count_ones(),
        metric: fields.get(6)?.parse().ok()?,
        device: (*fields.first()?).to_owned(),
        gateway: gateway.map(|gateway| Ipv4Addr::from(gateway.to_ne_bytes()).into()),
    })
}

/// A line of `/proc/net/ipv6_route`: destination, its prefix, source, its prefix, gateway, metric,
/// …, flags, device.
fn route_6(line: &str, to: Ipv6Addr) -> Option<Route> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let wide = |at: usize| u128::from_str_radix(fields.get(at)?, 16).ok();
    let hex = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
    let (destination, prefix, gateway) = (wide(0)?, hex(1)?, wide(4)?);
    let beyond = 128_u32.checked_sub(prefix)?;
    let same = u128::from(to) ^ destination;
    if !is_usable(hex(8)?) || same.checked_shr(beyond).unwrap_or(0) != 0 {
        return None;
    }
    let gateway = Some(gateway).filter(|gateway| *gateway != 0);
    Some(Route {
        prefix,
        metric: hex(5)?,
        device: (*fields.get(9)?).to_owned(),
        gateway: gateway.map(|gateway| Ipv6Addr::from(gateway).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_says_nonsense_is_not_believed() {
        assert_eq!(believed("1000\n"), Some(1_000_000_000));
        for nonsense in ["-1", "0", "10", "", "fast", "4294967295", "18446744073709551615"] {
            assert_eq!(believed(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_longest_prefix_leads_there() {
        let little = cfg!(target_endian = "little");
        let table = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                     eth0 00000000 0101A8C0 0003 0 0 100 00000000 0 0 0\n\
                     eth1 00000000 0201A8C0 0003 0 0 50 00000000 0 0 0\n\
                     eth2 0000000A 00000000 0001 0 0 0 000000FF 0 0 0\n\
                     eth3 0000000A 00000000 0201 0 0 0 0000FFFF 0 0 0\n";
        if little {
            let device = |to: [u8; 4]| best(table, |line| route_4(line, to.into())).unwrap();
            assert_eq!(device([198, 51, 100, 7]).device, "eth1", "the least metric");
            let gateway = device([198, 51, 100, 7]).gateway;
            assert_eq!(gateway, Some(Ipv4Addr::new(192, 168, 1, 2).into()));
            assert_eq!(device([10, 0, 0, 9]).device, "eth2", "what is rejected leads nowhere");
        }
        let table = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                     fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n\
                     20010db8000000000000000000000000 20 00000000000000000000000000000000 00 \
                     00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth1\n";
        let device = |to: &str| best(table, |line| route_6(line, to.parse().unwrap())).unwrap();
        assert_eq!(device("2001:db8::1").device, "eth1");
        let far = device("2600::1");
        assert_eq!((far.device.as_str(), far.gateway), ("eth0", "fe80::1".parse().ok()));
        for damaged in ["", "eth0", "eth0 zz zz zz 0 0 x zz", &"x ".repeat(20)] {
            assert!(route_4(damaged, Ipv4Addr::LOCALHOST).is_none());
            assert!(route_6(damaged, Ipv6Addr::LOCALHOST).is_none());
        }
    }

    #[test]
    fn a_way_has_a_short_name() {
        let way = Way::to("127.0.0.1:8333".parse().unwrap()).unwrap();
        assert_eq!(way.source, IpAddr::from(Ipv4Addr::LOCALHOST));
        assert_eq!(way.card_bits_per_s(), None);
        let long = Way { device: Some("é\n".repeat(999) + &"x".repeat(999)), ..way.clone() };
        assert!(long.name().len() <= UPLINK_ROUTE_BYTES_MAX && long.name().is_ascii());
        let odd = Way { device: Some("../..".to_owned()), ..way };
        assert_eq!(odd.card_bits_per_s(), None);
    }
}
