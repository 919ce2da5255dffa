//! The peers of one chain: who they are, which are connected, and who must never be lost.
//!
//! One task per chain owns all of it. It dials, gives finished connections to the shards, hears
//! the shards' reports, and keeps the database. What others see of it is a [`RosterView`].

mod absent;
mod apart;
mod asking;
mod backoff;
mod changing;
mod choose;
mod connections;
mod covering;
mod diary;
mod editing;
mod filling;
mod keeper;
mod kept;
mod refreshing;
mod reports;
mod rotation;
mod routes;
mod saving;
mod schedule;
mod scouting;
mod seats;
mod slots;
mod sources;
mod spread;
mod swapping;
mod view;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument;

pub(in crate::cold) use backoff::{Backoff, Chance, unforeseen};
pub use changing::Changeable;
pub use scouting::{Drawn, ScoutCounts, ScoutNews};
pub use slots::{Place, SlotTable};
pub use view::{AbsentPeer, DialCounts, PeerRow, PlaceChange, RosterChange, RosterView};

use super::atlas::{Atlas, Region};
use super::cover::Selection;
use super::dial::{DialError, Dialled};
use super::directory::Directory;
use super::gossip::Fates;
use super::node::NodeClient;
use super::onion::is_onion;
use super::proxy::Proxy;
use super::score::Standing;
use super::store::{Edits, StoreError};
use super::uplink::PathFacts;
use crate::hot::link::{ImageId, PeerId, Relay, Report};
use crate::limits::{REFRESH_MIN_MS, REPORTS_MAX};
use crate::wire::chain::Chain;
use crate::wire::hash::BlockHash;
use asking::Told;
use keeper::{Surroundings, Unloaded};
use seats::Carries;

const REFRESH_MIN: Duration = Duration::from_millis(REFRESH_MIN_MS);

/// What a roster is told once.
#[derive(Clone, Debug)]
pub struct RosterSettings {
    /// Index of the chain in the engine's configuration.
    pub chain_index: u8,
    /// Its row.
    pub chain: &'static Chain,
    /// The protected local node, where there is one.
    pub node_p2p: Option<SocketAddr>,
    /// Peers that are always kept.
    pub fixed: Vec<SocketAddr>,
    /// Connections aimed at, the node and the fixed ones among them.
    pub max: u32,
    /// Fewer than this is worth a warning.
    pub min: u32,
    /// How often empty places are filled anew.
    pub refresh: Duration,
    /// Whether the local node is asked for its peers.
    pub bootstrap: bool,
    /// Whether sources on the network (gossip, DNS) may be used. The scouts see to it.
    pub discover: bool,
    /// Scouts aimed at.
    pub scouts: u32,
    /// In which form blocks are sent.
    pub relay: Relay,
    /// How peers are chosen and ranked.
    pub selection: Selection,
    /// Who runs which network, where a file tells.
    pub atlas: Arc<Atlas>,
    /// Regions over which peers are spread, by the operator's wish.
    pub regions: Vec<Region>,
    /// Where the database is.
    pub database: PathBuf,
    /// What we call ourselves, as in `/broadside:0.1.0/`.
    pub user_agent: String,
    /// What all peers but the local node and those on loopback are dialled through.
    pub proxy: Option<Proxy>,
}

impl RosterSettings {
    /// Service bits that peers are told: none, unless whole blocks are to be the exception and a
    /// header may do instead.
    #[must_use]
    pub const fn services(&self) -> u64 {
        match self.relay {
            Relay::Compact => self.chain.services_to_be_asked,
            Relay::Full | Relay::CompactAndFull => 0,
        }
    }

    /// Whether there is a way to `address` at all: to an onion service only through a proxy.
    #[must_use]
    pub fn can_dial(&self, address: SocketAddr) -> bool {
        self.proxy.is_some() || !is_onion(address.ip())
    }
}

/// What a source will say: a value, or one line on why there is none.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Value, String>> + Send + 'a>>;

/// Who can tell of peers: the local node, by RPC.
pub trait PeerInfoSource: Send + Sync {
    /// The result of `getpeerinfo`.
    fn peer_info(&self) -> Answer<'_>;

    /// The result of `getnetworkinfo`.
    fn network_info(&self) -> Answer<'_>;
}

impl PeerInfoSource for NodeClient {
    fn peer_info(&self) -> Answer<'_> {
        Box::pin(ask(self, "getpeerinfo"))
    }

    fn network_info(&self) -> Answer<'_> {
        Box::pin(ask(self, "getnetworkinfo"))
    }
}

async fn ask(node: &NodeClient, method: &str) -> Result<Value, String> {
    node.call(method, Value::Array(Vec::new())).await.map_err(|error| error.to_string())
}

/// What the roster's task hears of. Bounded: reports by [`REPORTS_MAX`] and the shards' places,
/// the others by what the task itself has started.
#[derive(Debug)]
enum Event {
    Report(Report),
    Paths(Vec<(PeerId, PathFacts)>),
    Uplink(Carries),
    /// The local node has this block.
    Vouched(BlockHash),
    /// This block is ours.
    Own(BlockHash),
    /// A shard has offered a block, or all its offers have ended.
    Block {
        image: ImageId,
        shard: u8,
        is_over: bool,
    },
    Dialled {
        address: SocketAddr,
        standing: Standing,
        result: Result<Dialled, DialError>,
    },
    Told(Result<Told, String>),
    Saved(Result<(), StoreError>),
    Edited(Edits),
    Changed(Changeable),
    Scout(ScoutNews),
    SaveNow,
    Stop(oneshot::Sender<()>),
}

/// Counts shared by the handles and the task.
#[derive(Debug, Default)]
struct Traffic {
    /// Reports in the inbox that may be dropped.
    waiting: AtomicUsize,
    /// Reports dropped because too many waited.
    dropped: AtomicU64,
    /// Whether a save is asked for and not yet begun.
    save_asked: AtomicBool,
    /// What scouts told and nobody has taken up.
    news_waiting: AtomicUsize,
    /// Those among them that are lists of addresses.
    lists_waiting: AtomicUsize,
    /// What became of addresses that others told of.
    fates: Fates,
}

/// Starts rosters.
#[derive(Debug)]
pub struct Roster;

impl Roster {
    /// Starts the roster of one chain; call it inside a tokio runtime. It lives until
    /// [`RosterHandle::stop`], or until all its handles are gone.
    pub fn spawn(
        settings: RosterSettings,
        slots: Arc<SlotTable>,
        directory: Arc<Directory>,
        node: Option<NodeClient>,
    ) -> RosterHandle {
        let source = node.map(|client| Arc::new(client) as Arc<dyn PeerInfoSource>);
        Self::spawn_with(settings, slots, directory, source)
    }

    /// As [`Roster::spawn`], with anything that can tell of peers.
    pub fn spawn_with(
        mut settings: RosterSettings,
        slots: Arc<SlotTable>,
        directory: Arc<Directory>,
        source: Option<Arc<dyn PeerInfoSource>>,
    ) -> RosterHandle {
        settings.refresh = settings.refresh.max(REFRESH_MIN);
        let (inbox, events) = mpsc::unbounded_channel();
        let traffic = Arc::new(Traffic::default());
        let (shown, view) = watch::channel(Arc::new(RosterView::empty(&settings)));
        let around = Surroundings {
            slots,
            directory,
            source,
            inbox: inbox.downgrade(),
            traffic: Arc::clone(&traffic),
            shown,
        };
        let span = tracing::info_span!("peers", chain = settings.chain.name);
        tokio::spawn(Unloaded::new(settings, around).run(events).instrument(span));
        RosterHandle { view, inbox, traffic }
    }
}

/// The outside's way to a roster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RosterHandle {
    /// What there is to see, always the latest.
    pub view: watch::Receiver<Arc<RosterView>>,
    inbox: mpsc::UnboundedSender<Event>,
    traffic: Arc<Traffic>,
}

impl RosterHandle {
    /// Hands over a report of this chain. Never blocks: when the roster does not keep up, reports
    /// are counted and dropped, but never a socket that comes home.
    pub fn report(&self, report: Report) {
        if !matches!(report, Report::Retired { .. }) {
            let waiting = self.traffic.waiting.fetch_add(1, Ordering::Relaxed);
            if waiting >= REPORTS_MAX as usize {
                self.traffic.waiting.fetch_sub(1, Ordering::Relaxed);
                self.traffic.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        // A roster that has stopped needs no reports; a socket in one is closed right here.
        let _ = self.inbox.send(Event::Report(report));
    }

    /// What is known of the ways of this chain's peers: the order of service follows from it. At most
    /// one round a second.
    pub fn note_paths(&self, known: Vec<(PeerId, PathFacts)>) {
        let _ = self.inbox.send(Event::Paths(known));
    }

    /// Changes what can be changed while the roster runs.
    pub fn change(&self, to: Changeable) {
        let _ = self.inbox.send(Event::Changed(to));
    }

    /// What the way out carries, and how large the next block will be. Says it when it has changed.
    pub fn note_uplink(&self, bits_per_s: Option<u64>, block_bytes: u64) {
        let _ = self.inbox.send(Event::Uplink(Carries { bits_per_s, block_bytes }));
    }

    /// The local node has the block `hash`: announcements of it count.
    pub fn vouch(&self, hash: BlockHash) {
        let _ = self.inbox.send(Event::Vouched(hash));
    }

    /// The block `hash` is our own: who announces it has it from us.
    pub fn note_own(&self, hash: BlockHash) {
        let _ = self.inbox.send(Event::Own(hash));
    }

    /// A shard has offered a block of any chain: nobody is rotated out while it is under way.
    pub fn note_offered(&self, image: ImageId, shard: u8) {
        let _ = self.inbox.send(Event::Block { image, shard, is_over: false });
    }

    /// All its offers at that shard have ended.
    pub fn note_finished(&self, image: ImageId, shard: u8) {
        let _ = self.inbox.send(Event::Block { image, shard, is_over: true });
    }

    /// Saves the database soon, at most once in two seconds.
    pub fn save_now(&self) {
        if !self.traffic.save_asked.swap(true, Ordering::Relaxed) {
            let _ = self.inbox.send(Event::SaveNow);
        }
    }

    /// Ends the roster and saves the database. The shards must have given back or will close what
    /// they hold by themselves: connections are not closed from here.
    pub async fn stop(self) {
        let (done, wait) = oneshot::channel();
        if self.inbox.send(Event::Stop(done)).is_ok() {
            let _ = wait.await;
        }
    }
}

#[cfg(test)]
mod tests;
