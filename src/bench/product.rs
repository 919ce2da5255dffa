//! The whole engine in a process under test: started as the daemon starts it, asked for what only
//! its inside can tell.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Runtime;

use super::BenchError;
use super::child::{Answer, Ask, Doors, Line, Setup, Times, UplinkTold};
use super::subject::Variant;
use super::{past, watchers};
use crate::cold::alert::delivery::AlertSettings;
use crate::cold::cover::Selection;
use crate::cold::node::{NodeAuth, NodeSettings};
use crate::cold::template::TemplateMode;
use crate::cold::uplink::{UplinkSetting, Warm};
use crate::edge::engine::{ChainSettings, Engine, EngineSettings, RpcLogin};
use crate::edge::intake::desk::ANSWER_DEADLINE;
use crate::edge::trace::TraceSettings;
use crate::hot::governor::order::OrderOfService;
use crate::hot::link::Link;
use crate::hot::route::ZeroCopy;
use crate::hot::shard::Idle;
use crate::hot::spawn::Backend;
use crate::limits::{BENCH_DEADLINE_MS, COLD_THREADS, FRAME_HEADER_BYTES, WARM_UP_BYTES_PER_HOUR};
use crate::metrics::Counter;
use crate::sim::blocks::BlockMaker;
use crate::sys::clock::now_ns;
use crate::sys::cpu;
use crate::wire::chain::Chain;
use crate::wire::hash::BlockHash;

const PATIENCE: Duration = Duration::from_millis(BENCH_DEADLINE_MS);
/// Seed of the blocks that it hands itself: other ones than those that it is handed.
const OWN_SEED: u64 = 0x6f77_6e20_7365_6564;

/// A running engine.
pub(super) struct Product {
    engine: Engine,
    runtime: Runtime,
    doors: Doors,
    maker: BlockMaker,
    watch: Option<JoinHandle<Option<u64>>>,
}

impl Product {
    /// Starts it.
    ///
    /// # Errors
    /// The engine's own.
    pub(super) fn start(
        variant: Variant,
        chain: &'static Chain,
        setup: &Setup,
    ) -> Result<Self, BenchError> {
        let rest = setup.rest_cores.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(COLD_THREADS)
            .enable_all()
            .on_thread_start(move || {
                // Where the kernel does not allow it they run anywhere, as the daemon's do.
                let _ = cpu::keep_on(&rest);
            })
            .build()?;
        let settings = settings(variant, chain, setup);
        if variant == Variant::Watched {
            past::make(&settings.data_dir, chain)?;
        }
        let unix = settings.unix.clone();
        let failed = |why: String| BenchError::Program { program: "the engine".to_owned(), why };
        let engine =
            runtime.block_on(Engine::start(settings)).map_err(|it| failed(it.to_string()))?;
        let mut facts = facts(&engine);
        let trace = traced(variant);
        if trace != TraceSettings::default() {
            facts += &match untraced(&engine, trace).map_err(failed)? {
                all if all.is_empty() => ", all traced".to_owned(),
                missing => format!(", but {missing}"),
            };
        }
        let http = engine.rpc_address().ok_or_else(|| failed("no intake".to_owned()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let pages = engine.http_address();
        pages.into_iter().for_each(watchers::start);
        let doors = Doors { http, unix, pages, facts };
        let maker = BlockMaker::new(chain, OWN_SEED, now.as_secs() as u32);
        Ok(Self { engine, runtime, doors, maker, watch: None })
    }

    pub(super) fn doors(&self) -> &Doors {
        &self.doors
    }

    pub(super) fn connected(&self) -> usize {
        let roster = self.engine.rosters().first();
        roster.map_or(0, |roster| roster.view.borrow().connected as usize)
    }

    pub(super) fn answer(&mut self, ask: &Ask) -> Answer {
        let answer = match *ask {
            Ask::Connected(_) => Ok(Answer::Connected(self.connected())),
            Ask::Times(hash) => self.times(hash),
            Ask::Library(bytes) => self.library(bytes),
            Ask::Watch(bytes, peers) => self.watch(bytes, peers),
            Ask::Uplink => Ok(Answer::Uplink(self.uplink())),
            Ask::Entries => {
                let found = self.watch.take().and_then(|watch| watch.join().ok());
                Ok(Answer::Entries(found.flatten()))
            }
        };
        answer.unwrap_or_else(Answer::Failed)
    }

    fn uplink(&self) -> UplinkTold {
        let view = Arc::clone(&self.engine.uplink_view().borrow());
        UplinkTold {
            state: view.state.to_owned(),
            bits_per_s: view.bits_per_s,
            measured: view.last.is_some() && view.state != "learning",
            warm_peers: view.warm_peers,
            full_window_peers: view.full_window_peers,
            warming: view.warm_up_under_way,
        }
    }

    fn times(&self, hash: [u8; 32]) -> Result<Answer, String> {
        let log = self.engine.log();
        let missing = || "the block is not in its log".to_owned();
        let record = log.find(0, &BlockHash(hash)).ok_or_else(missing)?;
        let settled = self.runtime.block_on(log.settled(record.image, PATIENCE));
        let record = log.record(record.image).filter(|_| settled);
        let record = record.ok_or("not every offer of the block has ended")?;
        let meta = record.meta.ok_or_else(missing)?;
        let submitted = record.rows.values().map(|row| row.submitted_ns).filter(|it| *it > 0);
        Ok(Answer::Times(Times {
            last_byte_ns: meta.last_byte_ns,
            published_ns: meta.published_ns,
            submitted_ns: submitted.min().ok_or("the block was sent to nobody")?,
        }))
    }

    fn library(&mut self, bytes: u32) -> Result<Answer, String> {
        let block = self.maker.next(bytes).map_err(|error| error.to_string())?;
        let raw = block.raw.into();
        // On a thread of the runtime, as a program that has the engine inside would call it.
        let engine = &self.engine;
        self.runtime.block_on(async { engine.submit(0, raw).await });
        self.times(block.hash)
    }

    /// Looks at the first shard's counters without a pause: for rounds that are not timed.
    fn watch(&mut self, bytes: u32, peers: usize) -> Result<Answer, String> {
        let link = Arc::clone(self.engine.links().first().ok_or("no shard")?);
        let queued_bytes = peers as u64 * u64::from(bytes + FRAME_HEADER_BYTES);
        let start = Counts::of(&link);
        self.watch = Some(std::thread::spawn(move || entries(&link, &start, queued_bytes)));
        Ok(Answer::Watching)
    }

    pub(super) fn stop(self) {
        self.runtime.block_on(self.engine.stop());
    }
}

struct Counts {
    blocks: u64,
    sent_bytes: u64,
}

impl Counts {
    fn of(link: &Link) -> Self {
        let counters = &link.counters;
        Self {
            blocks: counters.get(Counter::BlocksTaken),
            sent_bytes: counters.get(Counter::SentBytes),
        }
    }
}

/// Kernel entries from the moment a shard takes a block up until the kernel has `queued_bytes` of
/// it. A look that comes late counts too many, never too few: the least of some is the truth.
fn entries(link: &Link, start: &Counts, queued_bytes: u64) -> Option<u64> {
    let end_ns = now_ns() + BENCH_DEADLINE_MS * 1_000_000;
    let (mut before, mut taken) = (link.counters.get(Counter::KernelEntries), false);
    while now_ns() < end_ns {
        // In this order: a look that is held up in between counts too many.
        let (entries, now) = (link.counters.get(Counter::KernelEntries), Counts::of(link));
        if !taken && now.blocks == start.blocks {
            before = entries;
            continue;
        }
        taken = true;
        if now.sent_bytes - start.sent_bytes >= queued_bytes {
            return Some(link.counters.get(Counter::KernelEntries) - before);
        }
    }
    None
}

/// What of the kernel's programs is not at work. An error where that is all of them.
fn untraced(engine: &Engine, wanted: TraceSettings) -> Result<String, String> {
    let view = Arc::clone(&engine.trace_view().borrow());
    let parts =
        [(wanted.deliveries, "deliveries", &view.deliveries), (wanted.cores, "cores", &view.cores)];
    let wanted = parts.iter().filter(|(is_wanted, ..)| *is_wanted);
    let missing = wanted.clone().filter_map(|(_, name, part)| {
        part.why_not.as_ref().map(|why| format!("{name} are not traced: {why}"))
    });
    let missing: Vec<_> = missing.collect();
    let told = missing.join("; ");
    if missing.len() == wanted.count() { Err(told) } else { Ok(told) }
}

/// What the engine asks of the kernel.
fn traced(variant: Variant) -> TraceSettings {
    let deliveries = matches!(variant, Variant::Traced | Variant::TracedDeliveries);
    let cores = matches!(variant, Variant::Traced | Variant::TracedCores);
    TraceSettings { deliveries, cores, initial_window_packets: 0 }
}

fn facts(engine: &Engine) -> String {
    let facts = engine.facts();
    let shard = facts.shards.first();
    let ring = if shard.is_some_and(|shard| shard.uring) { "io_uring" } else { "epoll" };
    let pinned = shard.is_some_and(|shard| shard.pinned);
    let locked = facts.arena.locked;
    let refused = shard.and_then(|shard| shard.refused.as_ref());
    let refused = refused.map_or(String::new(), |refused| format!(" ({refused})"));
    format!("{ring}{refused}, shard pinned: {pinned}, memory locked: {locked}")
}

fn settings(variant: Variant, chain: &'static Chain, setup: &Setup) -> EngineSettings {
    let (user, password) = setup.login.split_once(':').unwrap_or_default();
    EngineSettings {
        cores: setup.shard_cores.clone(),
        backend: if variant == Variant::Epoll { Backend::Epoll } else { Backend::Auto },
        idle: if variant == Variant::Spin { Idle::Spin } else { Idle::Sleep },
        zero_copy: match variant {
            Variant::Plain => ZeroCopy::Off,
            Variant::ZeroCopy => ZeroCopy::Always,
            _ => ZeroCopy::Auto,
        },
        order: OrderOfService::default(),
        uplink: match setup.line {
            Line::None => UplinkSetting::Unlimited,
            Line::Unknown => UplinkSetting::Auto,
            Line::BitsPerS(bits_per_s) => UplinkSetting::BitsPerS(bits_per_s),
        },
        warm_up_bytes_per_hour: WARM_UP_BYTES_PER_HOUR,
        asn_db: None,
        history: (variant == Variant::Watched).then_some(past::BOUNDS),
        data_dir: setup.folder.clone(),
        rpc: Some((
            "127.0.0.1:0".to_owned(),
            RpcLogin::Password { user: user.to_owned(), password: password.to_owned() },
        )),
        unix: Some(setup.folder.join("intake.sock")),
        http: (variant == Variant::Watched).then(|| "127.0.0.1:0".to_owned()),
        http_login: None,
        chains: vec![ChainSettings {
            chain,
            node: setup.node.clone().map(|url| NodeSettings { url, auth: NodeAuth::None }),
            node_p2p: None,
            submit: Vec::new(),
            template: TemplateMode::Auto,
            broadcast: true,
            max: setup.peers.len() as u32,
            min: 1,
            refresh: Duration::from_secs(1),
            bootstrap: false,
            discover: false,
            scouts: 0,
            fixed: setup.peers.clone(),
            relay: crate::hot::link::Relay::Full,
            selection: Selection::Measured,
            regions: Vec::new(),
            database: setup.folder.join("peers.json"),
            warm: Warm::Auto,
            locks: true,
            proxy: None,
        }],
        answer_deadline: ANSWER_DEADLINE,
        alerts: AlertSettings::default(),
        trace: traced(variant),
    }
}
