//! The uplink's task: one inbox, one owner of what is known of the uplink and of warmth.

mod learning;
mod looking;
mod warming;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::advice::HostTcp;
use super::belief::Belief;
use super::losses::Losses;
use super::measure::Told;
use super::on_the_line::OnTheLine;
use super::paths::{PathFacts, Paths};
use super::tips::{Source, follow};
use super::view::UplinkView;
use super::warm_up::WarmUps;
use super::way::Way;
use super::{Finding, UplinkControl, UplinkSetting, Warm, WarmUpSink};
use crate::cold::node::NodeClient;
use crate::cold::node::tip::TipWatch;
use crate::cold::roster::RosterHandle;
use crate::hot::link::{ImageId, Link, PeerId, Report};
use crate::limits::{UPLINK_LOOK_INTERVAL_MS, UPLINK_REPORTS_MAX};
use crate::wire::chain::Chain;
use crate::wire::hash::BlockHash;
use learning::Session;
use looking::Look;
use warming::{ChainState, Live};

const LOOK_INTERVAL: Duration = Duration::from_millis(UPLINK_LOOK_INTERVAL_MS);

/// One chain, as far as warmth is concerned.
#[derive(Clone, Debug)]
pub struct ChainWarmth {
    /// Its row.
    pub chain: &'static Chain,
    /// When its connections are warmed.
    pub warm: Warm,
    /// Its own node and the watch over it: without one there is nothing to warm with.
    pub node: Option<(NodeClient, TipWatch)>,
    /// Its peers take compact blocks only from whom they have chosen, and are to choose us.
    pub earns_slots: bool,
}

/// What the task is told once.
#[derive(Clone, Debug)]
pub struct UplinkSettings {
    /// What the operator says.
    pub uplink: UplinkSetting,
    /// The chains, in the order of the configuration.
    pub chains: Vec<ChainWarmth>,
    /// Where a learnt rate is kept.
    pub file: PathBuf,
    /// Bytes that may be sent in an hour to keep connections warm. Blocks of our own don't count.
    pub warm_up_bytes_per_hour: u64,
}

/// What the task works with and does not own alone.
#[derive(Clone)]
pub struct Around {
    /// The ways to all peers.
    pub paths: Arc<Paths>,
    /// The rosters, one per chain.
    pub rosters: Arc<Vec<RosterHandle>>,
    /// The shards' queues.
    pub links: Vec<Arc<Link>>,
    /// The governor's rate.
    pub control: Arc<dyn UplinkControl>,
    /// Where warm-ups are published.
    pub sink: Arc<dyn WarmUpSink>,
}

/// What the task hears of. What peers say is bounded by [`UPLINK_REPORTS_MAX`]; of the others there
/// are no more than blocks, offers, and what the task has started itself.
#[derive(Debug)]
pub(super) enum Event {
    /// Something of a block went out, or all of it.
    Block { image: ImageId, shard: u8, is_over: bool },
    /// A warm-up offer has ended.
    WarmedUp { image: ImageId, peer: PeerId, sent_bytes: u32 },
    /// A peer announced a block.
    Announced { peer: PeerId, hash: [u8; 32] },
    /// A peer chose us as a source of compact blocks, or no longer.
    Chose { peer: PeerId, is_chosen: bool },
    /// The node has a new tip.
    Tip { chain_index: u8, hash: BlockHash, raw: Bytes },
    /// A warm-up was published, or found no place.
    Published(Option<Live>),
    /// The measurement says something.
    Told(Told),
    /// End.
    Stop(oneshot::Sender<()>),
}

impl Event {
    /// Whether a peer makes as many of them as it likes.
    const fn is_peers(&self) -> bool {
        matches!(self, Self::Announced { .. } | Self::Chose { .. })
    }
}

/// Starts the task.
#[derive(Debug)]
pub struct Uplink;

impl Uplink {
    /// Starts it inside a tokio runtime. It lives until [`UplinkHandle::stop`], or until all its
    /// handles are gone. The governor's rate is set before this returns.
    #[must_use]
    pub fn spawn(settings: UplinkSettings, around: Around) -> UplinkHandle {
        let (inbox, events) = mpsc::unbounded_channel();
        let (shown, view) = watch::channel(Arc::default());
        let blocks = Arc::new(AtomicU64::new(0));
        let waiting = Arc::new(AtomicUsize::new(0));
        let task = Task::new(settings, around, inbox.downgrade(), shown, Arc::clone(&blocks));
        tokio::spawn(task.live(events, Arc::clone(&waiting)));
        UplinkHandle { view, inbox, blocks, waiting }
    }
}

/// The outside's way to the task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UplinkHandle {
    /// What there is to see, always the latest.
    pub view: watch::Receiver<Arc<UplinkView>>,
    inbox: mpsc::UnboundedSender<Event>,
    blocks: Arc<AtomicU64>,
    waiting: Arc<AtomicUsize>,
}

impl UplinkHandle {
    /// Hears a shard's report, of any kind. Never blocks.
    pub fn on_report(&self, report: &Report) {
        let event = match *report {
            Report::Offered { image, shard, offers, .. } if offers > 0 => {
                // A measurement looks at this itself: it must not wait for the task.
                self.blocks.fetch_add(1, Ordering::Relaxed);
                Event::Block { image, shard, is_over: false }
            }
            Report::Finished { image, shard } => Event::Block { image, shard, is_over: true },
            Report::WarmedUp { image, peer, sent_bytes, .. } => {
                Event::WarmedUp { image, peer, sent_bytes }
            }
            Report::Announced { peer, hash, .. } => Event::Announced { peer, hash },
            Report::HighBandwidth { peer, chosen, .. } => Event::Chose { peer, is_chosen: chosen },
            _ => return,
        };
        if event.is_peers() && self.waiting.fetch_add(1, Ordering::Relaxed) >= UPLINK_REPORTS_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let _ = self.inbox.send(event);
    }

    /// Ends a measurement under way, and the task.
    pub async fn stop(self) {
        let (done, wait) = oneshot::channel();
        if self.inbox.send(Event::Stop(done)).is_ok() {
            let _ = wait.await;
        }
    }
}

/// All that the task knows.
pub(super) struct Task {
    settings: UplinkSettings,
    around: Around,
    inbox: mpsc::WeakUnboundedSender<Event>,
    shown: watch::Sender<Arc<UplinkView>>,
    blocks: Arc<AtomicU64>,
    /// Monotonic time begins here; the clock on the wall may jump.
    started: Instant,
    started_s: u64,
    belief: Belief,
    way: Option<Way>,
    way_due_ms: u64,
    card_bits_per_s: Option<u64>,
    host: HostTcp,
    looks: Vec<Look>,
    facts: HashMap<PeerId, PathFacts>,
    /// When each connection was first looked at, in ms.
    since_ms: HashMap<PeerId, u64>,
    /// Smallest window of a fresh connection, in segments.
    first_flight: Option<u32>,
    losses: Losses,
    on_the_line: OnTheLine,
    chains: Vec<ChainState>,
    warm_ups: WarmUps,
    /// Peers that chose us as a source of compact blocks.
    choosers: HashSet<PeerId>,
    live: Option<Live>,
    /// A warm-up is being published.
    is_publishing: bool,
    hinted_ms: u64,
    session: Option<Session>,
    last: Option<Finding>,
    doubt: Option<String>,
    /// Whether it was said that BBR can't be had.
    told_no_bbr: bool,
}

impl Task {
    fn new(
        settings: UplinkSettings,
        around: Around,
        inbox: mpsc::WeakUnboundedSender<Event>,
        shown: watch::Sender<Arc<UplinkView>>,
        blocks: Arc<AtomicU64>,
    ) -> Self {
        let belief = match settings.uplink {
            UplinkSetting::Auto => Belief::unknown(String::new(), 0),
            UplinkSetting::Unlimited => Belief::unlimited(),
            UplinkSetting::BitsPerS(bits_per_s) => Belief::configured(bits_per_s),
        };
        around.control.set_uplink(belief.bits_per_s());
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let mut task = Self {
            chains: Vec::new(),
            around,
            inbox,
            shown,
            blocks,
            started: Instant::now(),
            started_s: since_1970.unwrap_or_default().as_secs(),
            belief,
            way: None,
            way_due_ms: 0,
            card_bits_per_s: None,
            host: HostTcp::default(),
            looks: Vec::new(),
            facts: HashMap::new(),
            since_ms: HashMap::new(),
            first_flight: None,
            losses: Losses::default(),
            on_the_line: OnTheLine::default(),
            warm_ups: WarmUps::new(settings.warm_up_bytes_per_hour, 0),
            choosers: HashSet::new(),
            live: None,
            is_publishing: false,
            hinted_ms: 0,
            session: None,
            last: None,
            doubt: None,
            told_no_bbr: false,
            settings,
        };
        task.follow_tips();
        task.show();
        task
    }

    fn follow_tips(&mut self) {
        for (index, told) in (0_u8..).zip(&self.settings.chains) {
            let (state, wanted) = ChainState::new();
            self.chains.push(state);
            if let Some((node, tip)) = told.node.clone().filter(|_| told.warm != Warm::Off) {
                let source = Source { chain_index: index, chain: told.chain, node, tip };
                tokio::spawn(follow(source, wanted, self.inbox.clone()));
            }
        }
    }

    /// Since the task's start, in ms.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Seconds since 1970 as they were at the start, and counted evenly since: a clock that is put
    /// right in between makes no rate older or younger.
    fn now_s(&self) -> u64 {
        self.started_s.saturating_add(self.started.elapsed().as_secs())
    }

    async fn live(mut self, mut events: mpsc::UnboundedReceiver<Event>, waiting: Arc<AtomicUsize>) {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let done = loop {
            tokio::select! {
                event = events.recv() => match event {
                    None => break None,
                    Some(Event::Stop(done)) => break Some(done),
                    Some(event) => {
                        if event.is_peers() {
                            waiting.fetch_sub(1, Ordering::Relaxed);
                        }
                        self.on_event(event);
                    }
                },
                _ = looks.tick() => self.turn(),
            }
        };
        self.end_session();
        self.end_warm_up();
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    fn on_event(&mut self, event: Event) {
        let now_ms = self.now_ms();
        match event {
            Event::Block { image, shard, is_over } => {
                self.losses.block(image, now_ms);
                self.on_block(image, shard, is_over);
            }
            Event::WarmedUp { image, peer, sent_bytes } => {
                self.warm_ups.ended(peer, sent_bytes.into(), now_ms);
                if self.live.as_ref().is_some_and(|live| live.image == image) {
                    self.offer();
                }
            }
            Event::Announced { peer, hash } => self.on_announced(peer, hash, now_ms),
            Event::Chose { peer, is_chosen: false } => _ = self.choosers.remove(&peer),
            Event::Chose { peer, .. } => {
                if self.facts.contains_key(&peer) {
                    self.choosers.insert(peer);
                }
            }
            Event::Tip { chain_index, hash, raw } => self.on_tip(chain_index, hash, raw, now_ms),
            Event::Published(live) => self.on_published(live),
            Event::Told(told) => self.on_told(told),
            // Taken out by the loop.
            Event::Stop(_) => {}
        }
    }

    /// Looks at everything, and does what follows from it.
    fn turn(&mut self) {
        self.look();
        self.look_up_way();
        self.judge_block();
        self.want_tips();
        self.learn();
        self.warm();
        self.show();
    }
}

#[cfg(test)]
mod tests;
