//! Addresses that others tell of: what is believed, and how much of whom.
//!
//! Anybody can tell of anything, without end. So each address is looked at ([`judge`]), each
//! connection has an [`Allowance`], and [`Gossip`] bounds how much of the database hearsay of one
//! source, or about one network, can be. What has answered us is no hearsay: nothing here can push it
//! out, nor change what is known of it.
//!
//! Pure: the clock is the caller's.

mod allowance;
mod ledger;
mod place;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

pub use allowance::{Allowance, Bucket};
pub use ledger::{Gossip, SourceGroup};
pub use place::{is_port_of_peers, is_reachable};

use crate::cold::onion::OnionKey;
use crate::limits::{
    GOSSIP_AHEAD_S, GOSSIP_PENALTY_S, GOSSIP_UNDATED_S, PEER_STALE_S, SEED_ADDRESS_AGE_S,
};
use crate::wire::chain::Chain;
use crate::wire::message::{AddressRecord, NetworkAddress};

/// Before this, epoch s, no clock of a node can have stood (Core: `addr.nTime <= 100000000`).
const FIRST_TIME_S: u64 = 100_000_000;

/// An address that was found fit to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardAddress {
    /// Where; made up for an onion service.
    pub address: SocketAddr,
    /// Service bits that it is said to have; 0: nothing was said.
    pub services: u64,
    /// When it was last seen, epoch s: as was said, less what hearsay loses.
    pub last_seen_s: u64,
    /// Whose made-up address it is.
    pub onion: Option<OnionKey>,
}

macro_rules! fates {
    ($($variant:ident $word:literal $help:literal,)+) => {
        /// What became of an address that somebody told of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Fate { $(#[doc = $help] $variant,)+ }

        impl Fate {
            /// All of them, in index order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// One word for statistics and logs.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

fates! {
    Taken "taken" "New, and in the database now.",
    Known "known" "In the database already.",
    Network "network" "On a network that we can't reach: I2P, CJDNS.",
    Unroutable "unroutable" "Private, loopback, reserved, or otherwise nobody's on this network.",
    Port "port" "Port 0, one of another service, or another chain's.",
    Services "services" "Said not to serve blocks as this chain has them.",
    Stale "stale" "Not seen by anybody for too long.",
    Allowance "allowance" "More than the connection may tell of.",
    SourceFull "source-full" "The source has its share of the database.",
    GroupFull "group-full" "The network that it is in has its share of the database.",
    Banned "banned" "Banned by the operator.",
    BookFull "book-full" "No room in the database.",
    Dropped "dropped" "More was told than could be dealt with.",
}

impl Fate {
    /// Whether it was refused, and not merely known.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        !matches!(self, Self::Taken | Self::Known)
    }
}

/// How many addresses met which fate since the start.
#[derive(Debug)]
pub struct Fates([AtomicU64; Fate::ALL.len()]);

impl Default for Fates {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Fates {
    /// So many more have met `fate`.
    pub fn note(&self, fate: Fate, by: u64) {
        if let Some(cell) = self.0.get(fate as usize) {
            cell.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// How many have met `fate`.
    #[must_use]
    pub fn of(&self, fate: Fate) -> u64 {
        self.0.get(fate as usize).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// How many addresses were told of in all: each has met exactly one fate.
    #[must_use]
    pub fn heard(&self) -> u64 {
        Fate::ALL.iter().map(|fate| self.of(*fate)).sum()
    }
}

/// Judges what the peer at `from` says of another node. Nothing is looked up anywhere.
///
/// # Errors
/// Why it is not fit to be tried.
pub fn judge(
    record: &AddressRecord,
    from: SocketAddr,
    chain: &Chain,
    now_s: u64,
) -> Result<HeardAddress, Fate> {
    let (address, onion) = match record.address {
        NetworkAddress::Ip(address) => {
            let ip = address.ip().to_canonical();
            if !is_reachable(ip, chain.network) {
                return Err(Fate::Unroutable);
            }
            (SocketAddr::new(ip, address.port()), None)
        }
        NetworkAddress::Onion(key, port) => {
            let key = OnionKey(key);
            (key.address(port), Some(key))
        }
        NetworkAddress::I2p(..) | NetworkAddress::Cjdns(..) => return Err(Fate::Network),
    };
    if !is_port_of_peers(address.port(), chain) {
        return Err(Fate::Port);
    }
    if !chain.serves_blocks(record.services) {
        return Err(Fate::Services);
    }
    let is_itself = address.ip() == from.ip().to_canonical();
    let last_seen_s = seen_at(record.time_s.into(), is_itself, now_s);
    if now_s.saturating_sub(last_seen_s) > PEER_STALE_S {
        return Err(Fate::Stale);
    }
    Ok(HeardAddress { address, services: record.services, last_seen_s, onion })
}

/// Judges an address that a DNS seed answered with.
///
/// # Errors
/// Why it is not fit to be tried.
pub fn judge_seeds(ip: IpAddr, chain: &Chain, now_s: u64) -> Result<HeardAddress, Fate> {
    let ip = ip.to_canonical();
    if !is_reachable(ip, chain.network) {
        return Err(Fate::Unroutable);
    }
    let address = SocketAddr::new(ip, chain.p2p_port);
    let last_seen_s = now_s.saturating_sub(SEED_ADDRESS_AGE_S);
    Ok(HeardAddress { address, services: 0, last_seen_s, onion: None })
}

/// When an address counts as seen, epoch s. Nobody is believed about the future, and all but who
/// speaks of himself are believed a little less.
fn seen_at(said_s: u64, is_itself: bool, now_s: u64) -> u64 {
    let is_made_up = said_s <= FIRST_TIME_S || said_s > now_s.saturating_add(GOSSIP_AHEAD_S);
    let seen_s = if is_made_up { now_s.saturating_sub(GOSSIP_UNDATED_S) } else { said_s };
    let penalty_s = if is_itself { 0 } else { GOSSIP_PENALTY_S };
    seen_s.min(now_s).saturating_sub(penalty_s)
}
