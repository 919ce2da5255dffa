//! The hot side, brought up: arena, links, publisher, bucket, shards.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::settings::{EngineError, EngineSettings};
use crate::cold::uplink::UplinkSetting;
use crate::hot::governor::bucket::Bucket;
use crate::hot::governor::order::OrderOfService;
use crate::hot::link::{Link, Order};
use crate::hot::publish::Publisher;
use crate::hot::shard::Policy;
use crate::hot::spawn::{ShardFacts, spawn};
use crate::sys::doorbell::Doorbell;
use crate::sys::memory::{Arena, ArenaFacts};

/// The hot side, started.
pub(super) struct Hot {
    pub(super) links: Vec<Arc<Link>>,
    pub(super) bell: Arc<Doorbell>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) bucket: Arc<Bucket>,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) shards: Vec<ShardFacts>,
    pub(super) arena: ArenaFacts,
}

impl Hot {
    pub(super) fn start(settings: &EngineSettings) -> Result<Self, EngineError> {
        let arena = Arena::new().map_err(EngineError::Memory)?;
        let bell = Arc::new(Doorbell::new().map_err(EngineError::Memory)?);
        let cores: Vec<Option<usize>> = match settings.cores.as_slice() {
            [] => vec![None],
            cores => cores.iter().copied().map(Some).collect(),
        };
        let links = (0..cores.len()).map(|at| Link::new(at as u8, Arc::clone(&bell)).map(Arc::new));
        let links = links.collect::<Result<Vec<_>, _>>().map_err(EngineError::Memory)?;
        let (publisher, inboxes) = Publisher::new(Arc::clone(&arena), &links);
        let bucket = Arc::new(Bucket::unlimited());
        let order = match settings.uplink {
            // Nothing is shared, whatever is learnt.
            UplinkSetting::Unlimited => OrderOfService::AllAtOnce,
            UplinkSetting::BitsPerS(bits_per_s) => {
                bucket.set_uplink(Some(bits_per_s));
                settings.order
            }
            UplinkSetting::Auto => settings.order,
        };
        let (mut threads, mut shards) = (Vec::new(), Vec::new());
        for ((core, link), inbox) in cores.into_iter().zip(&links).zip(inboxes) {
            let (arena, link) = (Arc::clone(&arena), Arc::clone(link));
            let EngineSettings { backend, idle, zero_copy, .. } = *settings;
            let policy = Policy { zero_copy, order, bucket: Arc::clone(&bucket) };
            let started = spawn(core, backend, idle, policy, arena, link, inbox);
            let (thread, facts) = started.inspect_err(|_| send_home(&links))?;
            threads.push(thread);
            shards.push(facts);
        }
        Ok(Self { links, bell, publisher, bucket, threads, shards, arena: arena.facts() })
    }
}

/// Tells the shards to end, without waiting for it.
pub(super) fn send_home(links: &[Arc<Link>]) {
    links.iter().for_each(|link| drop(link.order(Order::Drain)));
}
