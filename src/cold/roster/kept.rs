//! The peers that are never given up: the protected local node, and those that the operator named.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::{Chance, KEPT};
use crate::cold::score::Standing;
use crate::limits::STABLE_MS;

pub(super) const STABLE: Duration = Duration::from_millis(STABLE_MS);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was tried yet.
    New,
    Up,
    Down,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Kept {
    /// Where it is.
    pub(super) address: SocketAddr,
    /// Protected or fixed.
    pub(super) standing: Standing,
    /// Not to be dialled before this.
    pub(super) next_try: Instant,
    /// From when to then.
    pub(super) wait: Duration,
    /// Failures in a row.
    pub(super) failures: u32,
    /// The word for the last one.
    pub(super) last_failure: Option<&'static str>,
    state: State,
    since: Instant,
}

impl Kept {
    /// Due at once.
    const fn new(address: SocketAddr, standing: Standing, now: Instant) -> Self {
        Self {
            address,
            standing,
            next_try: now,
            wait: Duration::ZERO,
            failures: 0,
            last_failure: None,
            state: State::New,
            since: now,
        }
    }

    fn put_off(&mut self, why: &'static str, now: Instant, wait: Duration) {
        (self.next_try, self.wait, self.last_failure) = (now + wait, wait, Some(why));
    }
}

/// All of them: the node first, none twice.
#[derive(Debug)]
pub(super) struct KeptPeers(Vec<Kept>);

impl KeptPeers {
    /// The node and the operator's list, all due at once. What is named twice is one.
    pub(super) fn new(node: Option<SocketAddr>, fixed: &[SocketAddr], now: Instant) -> Self {
        let node = node.map(|address| (address, Standing::Protected));
        let all = node.into_iter().chain(fixed.iter().map(|address| (*address, Standing::Fixed)));
        let mut seen = HashSet::new();
        let kept = all.map(|(address, standing)| (canonical(address), standing));
        let kept = kept
            .filter(|(address, _)| seen.insert(*address))
            .map(|(address, standing)| Kept::new(address, standing, now));
        Self(kept.collect())
    }

    /// Keeps `fixed` beside the node from now on; who is kept no more.
    pub(super) fn change(&mut self, fixed: &[SocketAddr], now: Instant) -> Vec<SocketAddr> {
        let node = self.0.iter().find(|kept| kept.standing == Standing::Protected);
        let wanted = Self::new(node.map(|kept| kept.address), fixed, now);
        let before = std::mem::replace(self, wanted);
        let mut released = Vec::new();
        for old in before.0 {
            match self.find_mut(old.address) {
                Some(kept) => *kept = old,
                None => released.push(old.address),
            }
        }
        released
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How `address` stands.
    pub(super) fn standing(&self, address: SocketAddr) -> Standing {
        self.find(address).map_or(Standing::Ordinary, |kept| kept.standing)
    }

    /// Whether the protected node is connected; `None` without one.
    pub(super) fn is_node_up(&self) -> Option<bool> {
        let node = self.0.iter().find(|kept| kept.standing == Standing::Protected)?;
        Some(node.state == State::Up)
    }

    /// A connection to `address` was made.
    pub(super) fn on_connected(&mut self, address: SocketAddr, now: Instant) {
        let Some(kept) = self.find_mut(address) else {
            return;
        };
        let before = kept.state;
        let away = now.duration_since(kept.since);
        (kept.state, kept.since) = (State::Up, now);
        match (kept.standing, before) {
            (_, State::Up) => {}
            (Standing::Protected, State::Down) => {
                tracing::info!(node = %address, "the local node is connected again after {:.1} s", away.as_secs_f64());
            }
            (Standing::Protected, State::New) => {
                tracing::info!(node = %address, "connected to the local node");
            }
            (_, State::Down) => {
                tracing::info!(peer = %address, "fixed peer is connected again after {:.1} s", away.as_secs_f64());
            }
            (_, State::New) => tracing::info!(peer = %address, "connected to fixed peer"),
        }
    }

    /// The connection to `address` was lost after `lived`. Dialled again at once, unless it is one
    /// that never holds.
    pub(super) fn on_lost(
        &mut self,
        address: SocketAddr,
        why: &'static str,
        lived: Duration,
        now: Instant,
        chance: &mut Chance,
    ) {
        let Some(kept) = self.find_mut(address) else {
            return;
        };
        kept.failures = if lived >= STABLE { 0 } else { kept.failures.saturating_add(1) };
        // The first loss is always answered at once.
        kept.put_off(why, now, KEPT.wait(kept.failures.saturating_sub(1), chance));
        if kept.state == State::Up {
            (kept.state, kept.since) = (State::Down, now);
            match kept.standing {
                Standing::Protected => tracing::error!(
                    "CRITICAL: the connection to the local node {address} is lost ({why}); \
                     reconnecting at once. Is it running?"
                ),
                _ => tracing::warn!(peer = %address, "fixed peer is lost ({why}); reconnecting"),
            }
        }
    }

    /// The shard that had `address` is stopping: nobody's loss.
    pub(super) fn on_let_go(&mut self, address: SocketAddr, now: Instant) {
        if let Some(kept) = self.find_mut(address) {
            (kept.state, kept.since, kept.next_try) = (State::New, now, now);
        }
    }

    /// `address` could not be tried: nobody's failure, and not for `wait` again.
    pub(super) fn put_off(
        &mut self,
        address: SocketAddr,
        why: &'static str,
        now: Instant,
        wait: Duration,
    ) {
        if let Some(kept) = self.find_mut(address) {
            kept.put_off(why, now, wait);
        }
    }

    /// An attempt to connect to `address` failed.
    pub(super) fn on_failed(
        &mut self,
        address: SocketAddr,
        why: &'static str,
        now: Instant,
        chance: &mut Chance,
    ) {
        let Some(kept) = self.find_mut(address) else {
            return;
        };
        kept.failures = kept.failures.saturating_add(1);
        kept.put_off(why, now, KEPT.wait(kept.failures, chance));
        if kept.state == State::New {
            (kept.state, kept.since) = (State::Down, now);
            match kept.standing {
                Standing::Protected => tracing::error!(
                    "CRITICAL: can't connect to the local node {address} ({why}); trying on until \
                     it is there. Is it running, and is [chain.node] p2p right?"
                ),
                _ => {
                    tracing::warn!(peer = %address, "can't connect to fixed peer ({why}); trying on")
                }
            }
        }
    }

    /// The connection to `address` has held: failures before it no longer count.
    pub(super) fn on_stable(&mut self, address: SocketAddr) {
        if let Some(kept) = self.find_mut(address) {
            kept.failures = 0;
        }
    }

    fn find(&self, address: SocketAddr) -> Option<&Kept> {
        self.0.iter().find(|kept| kept.address == address)
    }

    fn find_mut(&mut self, address: SocketAddr) -> Option<&mut Kept> {
        self.0.iter_mut().find(|kept| kept.address == address)
    }
}

/// One spelling for each address: IPv4 written as IPv6 is IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nobody_is_kept_twice_and_the_node_stands_first() {
        let now = Instant::now();
        let fixed = [at("127.0.0.2:1"), at("127.0.0.1:1"), at("[::ffff:127.0.0.2]:1")];
        let kept = KeptPeers::new(Some(at("127.0.0.1:1")), &fixed, now);
        let found: Vec<_> = kept.iter().map(|kept| (kept.address, kept.standing)).collect();
        assert_eq!(
            found,
            [(at("127.0.0.1:1"), Standing::Protected), (at("127.0.0.2:1"), Standing::Fixed)]
        );
        assert_eq!(kept.standing(at("127.0.0.3:1")), Standing::Ordinary);
        assert_eq!(KeptPeers::new(None, &[], now).is_node_up(), None);
    }

    #[test]
    fn the_first_loss_is_answered_at_once_and_flapping_is_slowed() {
        let (now, mut chance) = (Instant::now(), Chance::seeded(1));
        let node = at("127.0.0.1:1");
        let mut kept = KeptPeers::new(Some(node), &[], now);
        let wait = |kept: &KeptPeers| kept.iter().next().unwrap().next_try.duration_since(now);
        kept.on_connected(node, now);
        assert_eq!(kept.is_node_up(), Some(true));
        kept.on_lost(node, "reset", Duration::ZERO, now, &mut chance);
        assert_eq!((kept.is_node_up(), wait(&kept)), (Some(false), Duration::ZERO));
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            kept.on_connected(node, now);
            kept.on_lost(node, "reset", Duration::ZERO, now, &mut chance);
            last = wait(&kept);
            assert!(last > Duration::ZERO && last <= Duration::from_secs(10));
        }
        assert!(last >= Duration::from_secs(5));
        kept.on_connected(node, now);
        kept.on_lost(node, "reset", STABLE, now, &mut chance);
        assert_eq!(wait(&kept), Duration::ZERO);
    }
}
