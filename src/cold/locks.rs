//! Locks of blocks and transactions: taken from our node and from peers, passed on to all others.
//!
//! Nodes check a lock's signature before they announce it; we can't. So a lock is passed on only
//! once our own node has it, or peers in several hands have: a made-up one would cost us points at
//! every peer. What is pushed goes to the shards as one order each, before any block that has not
//! begun.

mod ledger;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ledger::{Ledger, Step, Witness};
use serde_json::{Value, json};

use super::directory::Directory;
use super::store::Netgroup;
use crate::hot::link::locks::{LockNews, PushFrame, Told};
use crate::hot::link::{ControlFrame, Link, Order, PeerId};
use crate::limits::{CHAINS_MAX, PUSHES_KEPT_MAX};
use crate::sys::clock::now_ns;
use crate::wire::chain::Chain;
use crate::wire::frame::frame;
use crate::wire::locks::LockKind;
use crate::wire::message::{InvItem, encode_inv, name};

/// Locks of one chain since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockCounts {
    /// Announcements by peers.
    pub announced: u64,
    /// Asked for.
    pub asked: u64,
    /// Received whole, the same ones again included.
    pub received: u64,
    /// Pushed to all peers: locks of blocks,
    pub blocks: u64,
    /// and of transactions.
    pub transactions: u64,
    /// Transactions of the pool's own that were pushed.
    pub sent: u64,
    /// Orders that a shard had no room for.
    pub crowded_out: u64,
    /// Not passed on, by the word for the reason.
    pub refused: BTreeMap<&'static str, u64>,
}

impl LockCounts {
    /// As it is shown.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "announced": self.announced, "asked": self.asked, "received": self.received,
            "pushed": {"blocks": self.blocks, "transactions": self.transactions},
            "own_transactions": self.sent, "crowded_out": self.crowded_out,
            "refused": self.refused,
        })
    }
}

#[derive(Debug)]
struct ChainLocks {
    chain: &'static Chain,
    ledger: Ledger,
    counts: LockCounts,
}

/// Passes locks on. Made once; called by whoever reads the shards' queues.
#[derive(Debug)]
pub struct LockRelay {
    chains: Vec<Option<Mutex<ChainLocks>>>,
    links: Vec<Arc<Link>>,
    directory: Arc<Directory>,
    /// Frames that shards may still hold: only here is their memory given back.
    kept: Mutex<Vec<Arc<PushFrame>>>,
}

impl LockRelay {
    /// A relay for those chains (in the order of the configuration) that have locks and shall pass
    /// them on. Tells the shards of which chains news are wanted.
    #[must_use]
    pub fn new(
        chains: impl IntoIterator<Item = (&'static Chain, bool)>,
        links: Vec<Arc<Link>>,
        directory: Arc<Directory>,
    ) -> Self {
        let made = |(chain, wanted): (&'static Chain, bool)| {
            let (ledger, counts) = (Ledger::default(), LockCounts::default());
            (wanted && chain.has_locks).then(|| Mutex::new(ChainLocks { chain, ledger, counts }))
        };
        let chains: Vec<_> = chains.into_iter().take(CHAINS_MAX as usize).map(made).collect();
        for (at, locks) in (0_u8..).zip(&chains) {
            links.iter().for_each(|link| link.locks.want(at, locks.is_some()));
        }
        Self { chains, links, directory, kept: Mutex::default() }
    }

    /// Takes up all that this shard has heard.
    pub fn drain(&self, link: &Link) {
        while let Some(news) = link.locks.next() {
            self.on_news(link, &news);
        }
    }

    fn on_news(&self, link: &Link, news: &LockNews) {
        let Some(mut locks) = self.of(news.peer.chain()) else { return };
        let Some(witness) = self.witness(news.peer) else { return };
        let ChainLocks { ledger, counts, .. } = &mut *locks;
        let (kind, now_ns) = (news.kind, news.at_ns);
        let step = match &news.told {
            Told::Announced(hash) => {
                counts.announced += 1;
                ledger.announced(kind, *hash, witness, now_ns)
            }
            Told::Whole(payload) => {
                counts.received += 1;
                ledger.received(kind, payload.as_bytes(), witness, now_ns)
            }
            Told::TooLong => Step::Refuse("too-long"),
        };
        self.take(news.peer.chain(), &mut locks, step, Some((link, news.slot, news.peer)));
    }

    /// The block `hash` (wire order) is known: announced by a peer, our node's, or our own.
    pub fn note_block(&self, chain_index: u8, hash: [u8; 32]) {
        if let Some(mut locks) = self.of(chain_index) {
            locks.ledger.note_block(hash);
        }
    }

    /// Pushes a transaction that our own node has just accepted to all peers, where the chain locks
    /// transactions: the sooner they have it, the sooner it is locked. Whether it was pushed: not if it
    /// is longer than shards carry beside blocks, or too many come.
    pub fn push_transaction(&self, chain_index: u8, raw: &[u8]) -> bool {
        let Some(mut locks) = self.of(chain_index) else { return false };
        let step = locks.ledger.own_transaction(now_ns());
        let is_allowed = matches!(step, Step::Nothing);
        self.take(chain_index, &mut locks, step, None);
        let is_pushed = is_allowed && self.push(&mut locks, chain_index, name::TX, raw, &[]);
        locks.counts.sent += u64::from(is_pushed);
        is_pushed
    }

    /// Counts of a chain; `None`: it has no locks, or they are switched off.
    #[must_use]
    pub fn counts(&self, chain_index: u8) -> Option<LockCounts> {
        self.of(chain_index).map(|locks| locks.counts.clone())
    }

    fn of(&self, chain_index: u8) -> Option<std::sync::MutexGuard<'_, ChainLocks>> {
        let locks = self.chains.get(usize::from(chain_index))?.as_ref()?;
        Some(locks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn witness(&self, peer: PeerId) -> Option<Witness> {
        let label = self.directory.get(peer)?;
        let group = Netgroup::of(label.address.ip());
        Some(Witness { peer, group, address: label.address, is_own: label.protected })
    }

    fn take(
        &self,
        chain_index: u8,
        locks: &mut ChainLocks,
        step: Step,
        from: Option<(&Link, u16, PeerId)>,
    ) {
        match (step, from) {
            (Step::Nothing, _) | (Step::Ask { .. }, None) => {}
            (Step::Refuse(word), _) => *locks.counts.refused.entry(word).or_default() += 1,
            (Step::Ask { kind, hash }, Some((link, slot, peer))) => {
                let item = InvItem { kind: kind.inventory(), hash };
                let asked = frame(locks.chain.magic, name::GETDATA, &encode_inv(&[item]));
                let Some(frame) = ControlFrame::new(&asked) else { return };
                match link.order(Order::Control { slot, peer, frame }) {
                    Ok(()) => locks.counts.asked += 1,
                    Err(_) => locks.counts.crowded_out += 1,
                }
            }
            (Step::Push { kind, payload, have }, _) => {
                if self.push(locks, chain_index, kind.command(), &payload, &have) {
                    match kind {
                        LockKind::Block => locks.counts.blocks += 1,
                        LockKind::Transaction => locks.counts.transactions += 1,
                    }
                }
            }
        }
    }

    /// One order to each shard; whether every one took it.
    fn push(
        &self,
        locks: &mut ChainLocks,
        chain: u8,
        command: &str,
        payload: &[u8],
        have: &[PeerId],
    ) -> bool {
        let Some(frame) = PushFrame::new(&frame(locks.chain.magic, command, payload)) else {
            *locks.counts.refused.entry("too-long").or_default() += 1;
            return false;
        };
        let frame = Arc::new(frame);
        let mut spared = have.iter().copied().map(Some);
        let spared = std::array::from_fn(|_| spared.next().flatten());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|frame| Arc::strong_count(frame) > 1);
        // A shard that takes no orders holds what it was given: no more until it does.
        let mut is_taken = kept.len() < PUSHES_KEPT_MAX;
        if is_taken {
            kept.push(Arc::clone(&frame));
            for link in &self.links {
                let order = Order::Push { chain, frame: Arc::clone(&frame), spared };
                is_taken &= link.order(order).is_ok();
            }
        }
        locks.counts.crowded_out += u64::from(!is_taken);
        is_taken
    }
}

#[cfg(test)]
mod tests;
