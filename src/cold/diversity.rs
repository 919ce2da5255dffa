//! Not too many peers that may be in one hand: the same /16 of IPv4, /32 of IPv6, or AS.
//!
//! Only ordinary peers are counted: the local node and those that the operator named are wanted
//! wherever they are. Addresses of this host and of private networks are in nobody's hand.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use super::atlas::{Atlas, Region};
use super::store::Netgroup;
use crate::limits::{PEERS_PER_AS_MAX, PEERS_PER_NETGROUP_MAX};

/// In whose hand an address may be, and where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kin {
    /// Its network group.
    pub netgroup: Option<Netgroup>,
    /// Its AS, where a file tells.
    pub as_number: Option<u32>,
    /// The label of its region, where a file tells. No limit hangs on it.
    pub region: Option<Region>,
}

impl Kin {
    /// That of `address`; `named` are the regions that the operator named.
    #[must_use]
    pub fn of(address: SocketAddr, atlas: &Atlas, named: &[Region]) -> Self {
        let Some(netgroup) = Netgroup::of(address.ip()) else {
            return Self::default();
        };
        let origin = atlas.origin(address.ip());
        let (as_number, region) = (origin.as_number, origin.label(named));
        Self { netgroup: Some(netgroup), as_number, region }
    }
}

/// Why there is no room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// [`PEERS_PER_NETGROUP_MAX`] are of its network group.
    Netgroup(Netgroup),
    /// [`PEERS_PER_AS_MAX`] are of its AS.
    System(u32),
}

impl fmt::Display for Full {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Netgroup(group) => group.fmt(out),
            Self::System(number) => write!(out, "AS{number}"),
        }
    }
}

/// How many are of whom.
#[derive(Clone, Debug, Default)]
pub struct Crowd {
    netgroups: HashMap<Netgroup, u32>,
    systems: HashMap<u32, u32>,
}

impl Crowd {
    /// Those of all of `kin`.
    #[must_use]
    pub fn of(kin: impl IntoIterator<Item = Kin>) -> Self {
        let mut crowd = Self::default();
        kin.into_iter().for_each(|kin| crowd.add(kin));
        crowd
    }

    /// Why one more would be too many; `None`: there is room.
    #[must_use]
    pub fn is_full_for(&self, kin: Kin) -> Option<Full> {
        let of_group =
            kin.netgroup.filter(|it| count(&self.netgroups, it) >= PEERS_PER_NETGROUP_MAX);
        let of_system = kin.as_number.filter(|it| count(&self.systems, it) >= PEERS_PER_AS_MAX);
        of_group.map(Full::Netgroup).or(of_system.map(Full::System))
    }

    /// One more.
    pub fn add(&mut self, kin: Kin) {
        if let Some(group) = kin.netgroup {
            *self.netgroups.entry(group).or_default() += 1;
        }
        if let Some(system) = kin.as_number {
            *self.systems.entry(system).or_default() += 1;
        }
    }

    /// One less.
    pub fn remove(&mut self, kin: Kin) {
        let group = kin.netgroup.and_then(|it| self.netgroups.get_mut(&it));
        let system = kin.as_number.and_then(|it| self.systems.get_mut(&it));
        for known in [group, system].into_iter().flatten() {
            *known = known.saturating_sub(1);
        }
    }
}

fn count<K: std::hash::Hash + Eq>(counts: &HashMap<K, u32>, of: &K) -> u32 {
    counts.get(of).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::atlas::made::{Value, database};
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn two_of_a_group_or_a_system_are_enough() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let system = |number| Value::Map(vec![("asn".into(), Value::Number(number))]);
        let networks = [
            ("203.0.0.0/16", system(7)),
            ("198.51.0.0/16", system(8)),
            ("192.0.2.0/24", system(7)),
        ];
        std::fs::write(file.path(), database(&networks)).unwrap();
        let atlas = Atlas::read(file.path());
        let kin = |text: &str| Kin::of(at(text), &atlas, &[]);
        let mut crowd = Crowd::of([kin("203.0.113.1:1")]);
        assert_eq!(crowd.is_full_for(kin("203.0.7.1:1")), None);
        crowd.add(kin("203.0.7.1:1"));
        let group = Netgroup::V4([203, 0]);
        assert_eq!(crowd.is_full_for(kin("203.0.9.9:1")), Some(Full::Netgroup(group)));
        assert_eq!(crowd.is_full_for(kin("192.0.2.1:1")), Some(Full::System(7)));
        assert_eq!(crowd.is_full_for(kin("198.51.100.1:1")), None);
        crowd.remove(kin("203.0.113.1:1"));
        assert_eq!(crowd.is_full_for(kin("192.0.2.1:1")), None);
    }

    #[test]
    fn this_host_and_private_networks_are_nobodys() {
        let atlas = Atlas::default();
        let all = ["127.0.0.1:1", "10.9.0.1:1", "[::1]:1", "[fd00::1]:1"];
        let crowd = Crowd::of((0..9).flat_map(|_| all.map(|it| Kin::of(at(it), &atlas, &[]))));
        assert!(all.iter().all(|it| crowd.is_full_for(Kin::of(at(it), &atlas, &[])).is_none()));
        let crowd =
            Crowd::of(["203.0.1.1:1", "203.0.2.1:1"].map(|it| Kin::of(at(it), &atlas, &[])));
        assert!(crowd.is_full_for(Kin::of(at("[::ffff:203.0.3.1]:1"), &atlas, &[])).is_some());
    }
}
