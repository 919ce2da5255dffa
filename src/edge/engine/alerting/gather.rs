//! The situation, put together from what the engine's parts show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::report;
use crate::cold::alert::Moment;
use crate::cold::alert::situation::{
    BlockNow, ChainNow, EngineNow, Pace, PeersNow, PlaceNow, Situation, SpoolNow, UnsentNow,
};
use crate::cold::history::HistoryView;
use crate::cold::node::endpoint::Endpoint;
use crate::cold::node::tip::Presence;
use crate::cold::roster::RosterView;
use crate::cold::spool::Spool;
use crate::cold::stats::{BlockBrief, BlockLog, BlockRecord, Unsent};
use crate::hot::link::{ImageId, Link};
use crate::limits::{ALERT_CPU_LOOK_MS, BLOCK_REPORT_MS, BLOCK_REPORT_PAUSE_MS};
use crate::metrics::Counter;
use crate::sys::clock;
use crate::sys::schedule::Waiting;
use crate::wire::chain::Chain;

/// One chain, as far as alerts look at it.
pub(super) struct SeenChain {
    pub(super) chain: &'static Chain,
    /// The own node's RPC: its address and whether it answers. Not the watch itself, which would
    /// live on with us.
    pub(super) node: Option<(String, watch::Receiver<Presence>)>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) roster: watch::Receiver<Arc<RosterView>>,
    /// Whether its blocks go to peers.
    pub(super) has_peers: bool,
}

/// What is looked at.
pub(super) struct Seen {
    pub(super) chains: Vec<SeenChain>,
    pub(super) log: Arc<BlockLog>,
    pub(super) spool: Option<Arc<Spool>>,
    pub(super) history: watch::Receiver<HistoryView>,
    pub(super) links: Vec<Arc<Link>>,
    pub(super) shards: Arc<Vec<JoinHandle<()>>>,
}

/// Puts the situation together; reports each block once on the way.
pub(super) struct Gather {
    seen: Seen,
    /// Blocks that have been reported and are still remembered, with their pace.
    reported: BTreeMap<ImageId, Option<Pace>>,
    cores: Cores,
}

impl Gather {
    pub(super) fn new(seen: Seen) -> Self {
        let cores = Cores { waiting: Waiting::of("shard-"), last: None, percent: Vec::new() };
        Self { seen, reported: BTreeMap::new(), cores }
    }

    /// What is seen now.
    pub(super) fn look(&mut self, now: Moment) -> Situation {
        let briefs = self.seen.log.briefs();
        self.report_due(&briefs, now);
        let refused = self.seen.log.unsent();
        let chains = (0_u8..).zip(&self.seen.chains);
        let chains = chains.map(|(index, chain)| ChainNow {
            blocks: self.blocks(index, &briefs),
            unsent: unsent(index, &refused),
            ..self.chain(chain, now)
        });
        let chains = chains.collect();
        Situation { chains, engine: self.engine(now) }
    }

    fn chain(&self, seen: &SeenChain, now: Moment) -> ChainNow {
        let roster = Arc::clone(&seen.roster.borrow());
        let peers = PeersNow { connected: roster.connected, min: roster.min };
        let endpoints = seen.endpoints.iter();
        let pending = self.seen.spool.as_ref().map(|spool| spool.pending(seen.chain));
        let pending = pending.unwrap_or_default();
        let oldest_ms = pending.first().map_or(now.unix_ms, |entry| entry.received_unix_ms);
        ChainNow {
            chain: seen.chain.name,
            node: seen.node.as_ref().map(|(url, presence)| PlaceNow {
                url: url.clone(),
                trouble: match &*presence.borrow() {
                    Presence::Away(why) => Some(why.clone()),
                    Presence::Here | Presence::Unknown => None,
                },
            }),
            node_p2p: roster.node_connected.filter(|_| roster.is_loaded && seen.has_peers),
            peers: (roster.is_loaded && seen.has_peers).then_some(peers),
            blocks: Vec::new(),
            unsent: Vec::new(),
            spool: SpoolNow {
                waiting: pending.len(),
                oldest_ms: now.unix_ms.saturating_sub(oldest_ms),
            },
            endpoints: endpoints
                .map(|it| PlaceNow { url: it.url().to_owned(), trouble: it.trouble() })
                .collect(),
            proxy_trouble: roster.proxy_trouble.clone(),
            reports_dropped: roster.reports_dropped,
        }
    }

    fn blocks(&self, chain_index: u8, briefs: &[BlockBrief]) -> Vec<BlockNow> {
        let ours = briefs.iter().filter(|brief| brief.chain_index == chain_index);
        let told = ours.map(|brief| BlockNow {
            image: brief.image.0,
            hash: brief.hash,
            height: brief.height,
            published_ms: brief.published_ns / 1_000_000,
            fate: brief.fate,
            is_accepted: matches!(brief.verdict.as_deref(), Some("accepted" | "duplicate")),
            verdict: brief.verdict.clone(),
            offers: brief.offers,
            pace: self.reported.get(&brief.image).copied().flatten(),
        });
        told.collect()
    }

    fn engine(&mut self, now: Moment) -> EngineNow {
        let shards = &self.seen.shards;
        let dropped = self.seen.links.iter();
        EngineNow {
            shards: shards.len(),
            shards_ended: shards.iter().filter(|shard| shard.is_finished()).count(),
            is_clock_synchronised: clock::is_synchronised(),
            waited_percent: self.cores.look(now),
            reports_dropped: dropped.map(|it| it.counters.get(Counter::ReportsDropped)).sum(),
            history_trouble: self.seen.history.borrow().trouble.clone(),
        }
    }

    /// Reports the blocks of which nothing more is waited for.
    fn report_due(&mut self, briefs: &[BlockBrief], now: Moment) {
        let kept: BTreeSet<ImageId> = briefs.iter().map(|brief| brief.image).collect();
        self.reported.retain(|image, _| kept.contains(image));
        for brief in briefs {
            if self.reported.contains_key(&brief.image) {
                continue;
            }
            let age_ms = now.clock_ms.saturating_sub(brief.published_ns / 1_000_000);
            let chain = self.seen.chains.get(usize::from(brief.chain_index));
            let has_node = chain.is_some_and(|chain| chain.node.is_some());
            let is_whole = brief.is_settled && (brief.verdict.is_some() || !has_node);
            if age_ms >= BLOCK_REPORT_MS || (is_whole && age_ms >= BLOCK_REPORT_PAUSE_MS) {
                self.report(brief.image);
            }
        }
    }

    fn report(&mut self, image: ImageId) {
        let story = self.seen.log.record(image).as_ref().and_then(BlockRecord::story);
        let pace = story.as_ref().and_then(report::report);
        self.reported.insert(image, pace);
    }

    /// Reports what has not been, as the engine stops.
    pub(super) fn report_rest(&mut self) {
        for brief in self.seen.log.briefs() {
            if !self.reported.contains_key(&brief.image) {
                self.report(brief.image);
            }
        }
    }
}

fn unsent(chain_index: u8, refused: &[Unsent]) -> Vec<UnsentNow> {
    let ours = refused.iter().filter(|it| it.chain_index == chain_index);
    let told = |it: &Unsent| UnsentNow {
        hash: it.hash,
        word: it.word.clone(),
        at_ms: it.at_ns / 1_000_000,
    };
    ours.map(told).collect()
}

/// How long shards waited for their cores, looked at now and then.
struct Cores {
    waiting: Waiting,
    last: Option<(Moment, Vec<Option<u64>>)>,
    percent: Vec<u64>,
}

impl Cores {
    /// The share of the last while, in percent, by shard.
    fn look(&mut self, now: Moment) -> Vec<u64> {
        let is_due = |(at, _): &(Moment, Vec<Option<u64>>)| {
            now.clock_ms.saturating_sub(at.clock_ms) >= ALERT_CPU_LOOK_MS
        };
        if self.last.as_ref().is_none_or(is_due) {
            let waited = self.waiting.waited_ns();
            if let Some((at, before)) = &self.last {
                let passed_ns = now.clock_ms.saturating_sub(at.clock_ms).max(1) * 1_000_000;
                let share = |(now, before): (&Option<u64>, &Option<u64>)| {
                    let waited_ns = now.zip(*before).map_or(0, |(it, was)| it.saturating_sub(was));
                    waited_ns.saturating_mul(100) / passed_ns
                };
                self.percent = waited.iter().zip(before).map(share).collect();
            }
            self.last = Some((now, waited));
        }
        self.percent.clone()
    }
}
