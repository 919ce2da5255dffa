//! The whole of broadside, assembled: shards, rosters, desk, intakes, HTTP.

mod alerting;
mod following;
mod hot;
mod opening;
mod peers;
mod settings;
mod views;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use hot::{Hot, send_home};
use opening::{
    http_login, listen, open_history, open_http, open_spool, prepare, start_trace, warm_up_sink,
};
use peers::{relay_locks, start_rosters, start_scouts};
pub use settings::{ChainSettings, EngineError, EngineSettings, RpcLogin};
use settings::{roster_settings, uplink_settings};

use super::http::router;
use super::http::security::guarded;
use super::http::state::{HttpChain, HttpState, ask_shards};
use super::intake::desk::{Answer, Desk, HandOver, Reception};
use super::intake::rpc::{self, RpcAuth};
use super::intake::unix;
use super::publisher::{Bucketing, Publishing};
use super::pump::Pump;
use super::trace::Trace;
use crate::cold::alert::AlertView;
use crate::cold::directory::Directory;
use crate::cold::history::History;
use crate::cold::locks::LockRelay;
use crate::cold::roster::{RosterHandle, SlotTable};
use crate::cold::scouts::ScoutsHandle;
use crate::cold::spool::Spool;
use crate::cold::stats::BlockLog;
use crate::cold::uplink::{Around, Uplink, UplinkControl, UplinkHandle, WarmUpSink};
use crate::hot::link::{Link, Order};
use crate::hot::spawn::ShardFacts;
use crate::limits::ENGINE_STOP_MS;
use crate::sys::clock::now_ns;
use crate::sys::cpu;
use crate::sys::memory::ArenaFacts;

const ANSWERS_PATIENCE: Duration = Duration::from_millis(ENGINE_STOP_MS);

/// How often a stopping engine looks at its shards.
const MOMENT: Duration = Duration::from_millis(10);
/// How long it waits for reports on their way once all shards have ended.
const LAST_WORDS_PATIENCE: Duration = Duration::from_secs(1);

/// How the engine came up, for the log and for `status`.
#[derive(Debug)]
pub struct EngineFacts {
    /// One per shard.
    pub shards: Vec<ShardFacts>,
    /// The arena's memory.
    pub arena: ArenaFacts,
    /// Open files allowed.
    pub open_files: u64,
}

/// A running engine. Made inside a tokio runtime.
pub struct Engine {
    desk: Arc<Desk>,
    rosters: Arc<Vec<RosterHandle>>,
    links: Vec<Arc<Link>>,
    slots: Arc<SlotTable>,
    scouts: Vec<ScoutsHandle>,
    uplink: UplinkHandle,
    locks: Arc<LockRelay>,
    control: Arc<dyn UplinkControl>,
    sink: Arc<dyn WarmUpSink>,
    shards: Arc<Vec<JoinHandle<()>>>,
    pump: Pump,
    alerts: watch::Sender<Arc<AlertView>>,
    history: Option<History>,
    trace: Option<Trace>,
    tasks: JoinSet<()>,
    stopping: watch::Sender<bool>,
    facts: EngineFacts,
    rpc: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

impl Engine {
    /// Starts everything. What can come later (nodes, peers) is waited for in the background.
    ///
    /// # Errors
    /// See [`EngineError`]: what no waiting would mend.
    pub async fn start(settings: EngineSettings) -> Result<Self, EngineError> {
        prepare(&settings)?;
        let (stopping, stop) = watch::channel(false);
        let open_files = cpu::raise_open_files();
        let hot = Hot::start(&settings)?;
        let directory = Arc::new(Directory::default());
        let log = Arc::new(BlockLog::new(Arc::clone(&directory), hot.links.len() as u8));
        let history = open_history(&settings, &log).await;
        let slots = Arc::new(SlotTable::new(hot.links.clone()));
        let trace = start_trace(&settings, &hot, &log, slots.paths()).await;
        let atlas = following::read_atlas(settings.asn_db.clone()).await;
        let (rosters, desk_chains) = start_rosters(&settings, &slots, &directory, &atlas)?;
        let rosters = Arc::new(rosters);
        let locks = relay_locks(&settings, &hot.links, &directory);
        let sink = warm_up_sink(&settings, &hot);
        let control: Arc<dyn UplinkControl> = Arc::new(Bucketing(hot.bucket));
        let publishing = Arc::new(Publishing::new(hot.publisher, &rosters, &locks));
        let own = Arc::clone(&publishing.own);
        let spool = open_spool(&settings.data_dir);
        let (kept, noted, patience) = (spool.clone(), Arc::clone(&log), settings.answer_deadline);
        let desk = Desk::with_deadline(publishing, desk_chains, kept, noted, patience);
        let around = Around {
            paths: Arc::clone(slots.paths()),
            rosters: Arc::clone(&rosters),
            links: hot.links.clone(),
            control: Arc::clone(&control),
            sink: Arc::clone(&sink),
        };
        let uplink = Uplink::spawn(uplink_settings(&settings, &desk)?, around);
        following::start(&rosters, &desk, &uplink, &locks, spool.as_ref());
        let pump = Pump::start(
            &hot.links,
            &hot.bell,
            Arc::clone(&log),
            Arc::clone(&rosters),
            uplink.clone(),
            Arc::clone(&locks),
        );
        let scouts = start_scouts(&settings, &rosters, &log, &own, open_files);
        let mut engine = Self {
            desk,
            rosters,
            links: hot.links,
            slots,
            scouts,
            uplink,
            locks,
            control,
            sink,
            shards: Arc::new(hot.threads),
            pump: pump.map_err(EngineError::Memory)?,
            alerts: watch::Sender::default(),
            history,
            trace: Some(trace),
            tasks: JoinSet::new(),
            stopping,
            facts: EngineFacts { shards: hot.shards, arena: hot.arena, open_files },
            rpc: None,
            http: None,
        };
        let opened = engine.open(&settings, spool, stop).await;
        // Without an engine to stop them, the shards' threads would live on.
        opened.inspect_err(|_| send_home(&engine.links))?;
        Ok(engine)
    }

    /// Opens the intakes and the HTTP port, then takes up what the spool still holds.
    async fn open(
        &mut self,
        settings: &EngineSettings,
        spool: Option<Arc<Spool>>,
        stop: watch::Receiver<bool>,
    ) -> Result<(), EngineError> {
        if let Some((address, login)) = &settings.rpc {
            let listener = listen("intake.rpc", address).await?;
            let auth = match login {
                RpcLogin::Cookie => RpcAuth::cookie(&settings.data_dir)
                    .map_err(|error| EngineError::Intake(error.to_string()))?,
                RpcLogin::Password { user, password } => RpcAuth::password(user, password),
            };
            self.rpc = listener.local_addr().ok();
            let (desk, stop) = (Arc::clone(&self.desk), stop.clone());
            self.tasks.spawn(rpc::serve(listener, desk, auth, stop));
        }
        if let Some(path) = &settings.unix {
            let intake = unix::UnixIntake::bind(path).await;
            let intake = intake.map_err(|error| EngineError::Intake(error.to_string()))?;
            let intake = intake.watching(settings.idle);
            self.tasks.spawn(unix::serve_on(intake, Arc::clone(&self.desk), stop.clone()));
        }
        if let Some(address) = &settings.http {
            let pages = self.http_state(settings, spool.clone());
            let pages = guarded(router(pages), http_login(settings));
            self.http = open_http(address, pages, stop.clone(), &mut self.tasks).await?;
        }
        self.start_alerts(settings, spool, stop.clone());
        self.desk.start_recovery(stop);
        Ok(())
    }

    fn http_state(&self, settings: &EngineSettings, spool: Option<Arc<Spool>>) -> HttpState {
        let chain = |(index, told): (usize, &ChainSettings)| HttpChain {
            chain: told.chain,
            tip: self.desk.tip(index as u8).cloned(),
            endpoints: self.desk.endpoints(index as u8),
            merged: self.desk.aux_counts(index as u8),
            templates: self.desk.templates(index as u8).cloned(),
            roster: self.rosters[index].view.clone(),
            locks: Some(Arc::clone(&self.locks)),
        };
        HttpState {
            chains: settings.chains.iter().enumerate().map(chain).collect(),
            log: Arc::clone(self.desk.log()),
            spool,
            uplink: self.uplink.view.clone(),
            alerts: self.alerts.subscribe(),
            history: self.history.as_ref().map(|history| history.reader.clone()),
            history_view: self.history_view(),
            trace: self.trace_view(),
            shards: self.facts.shards.iter().map(Into::into).collect(),
            links: self.links.clone(),
            fault: ask_shards(&self.shards),
        }
    }

    /// The library's intake: hands over one raw block of chain `chain_index` and waits for the
    /// node's verdict, as the other intakes do.
    pub async fn submit(&self, chain_index: u8, raw: Bytes) -> Answer {
        let now_ns = now_ns();
        let (first_byte_ns, last_byte_ns, hex) = (now_ns, now_ns, None);
        self.desk.submit(HandOver { chain_index, raw, hex, first_byte_ns, last_byte_ns }).await
    }

    /// The library's intake for a block that is still coming in: give it the bytes as they come.
    /// `announced_bytes` is the raw block's length where it is known. `None`: too many blocks are
    /// being handed in at once, or there is no such chain.
    ///
    /// ```no_run
    /// # use broadside::edge::engine::Engine;
    /// # async fn relay(engine: &Engine, mut pool: tokio::net::TcpStream, length: u32) -> Option<()> {
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut block = engine.receive(0, Some(length))?;
    /// let mut rest = (&mut pool).take(length.into());
    /// let mut piece = vec![0; 64 * 1024];
    /// loop {
    ///     match rest.read(&mut piece).await.ok()? {
    ///         0 => break,
    ///         count => block.push(&piece[..count]).ok()?,
    ///     }
    /// }
    /// let answer = block.finish_now().await;
    /// println!("{:?}", answer.reply);
    /// # Some(())
    /// # }
    /// ```
    #[must_use]
    pub fn receive(&self, chain_index: u8, announced_bytes: Option<u32>) -> Option<Reception> {
        self.desk.receive(chain_index, now_ns(), announced_bytes)
    }

    /// The desk behind all intakes.
    #[must_use]
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// The rosters, one per chain.
    #[must_use]
    pub fn rosters(&self) -> &[RosterHandle] {
        &self.rosters
    }

    /// What became of each block.
    #[must_use]
    pub fn log(&self) -> &Arc<BlockLog> {
        self.desk.log()
    }

    /// Queues and counters of the shards.
    #[must_use]
    pub fn links(&self) -> &[Arc<Link>] {
        &self.links
    }

    /// What became of locks of blocks and transactions.
    #[must_use]
    pub fn locks(&self) -> &Arc<LockRelay> {
        &self.locks
    }

    /// Tells the shards what the uplink carries.
    #[must_use]
    pub fn uplink(&self) -> &Arc<dyn UplinkControl> {
        &self.control
    }

    /// Where blocks for warm-ups go.
    #[must_use]
    pub fn warming(&self) -> &Arc<dyn WarmUpSink> {
        &self.sink
    }

    /// How it came up.
    #[must_use]
    pub fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    /// Where the JSON-RPC intake listens.
    #[must_use]
    pub fn rpc_address(&self) -> Option<SocketAddr> {
        self.rpc
    }

    /// Where statistics and health are.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Changes what can be changed while it runs: of each chain, who is fixed, how many peers, how
    /// often they are looked over. All else of `settings` is as at the start.
    pub fn change(&self, settings: &EngineSettings) {
        for (index, (told, roster)) in settings.chains.iter().zip(self.rosters.iter()).enumerate() {
            roster.change(roster_settings(index as u8, told, &Arc::default()).into());
        }
    }

    /// Stops in order: intakes first, then what is in flight is waited for, then every connection is
    /// closed and the databases are saved.
    pub async fn stop(mut self) {
        let _ = self.stopping.send(true);
        let answered = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(ANSWERS_PATIENCE, answered).await.is_err() {
            tracing::warn!("some callers were not answered before the stop; their blocks are kept");
        }
        self.uplink.clone().stop().await;
        for scouts in self.scouts.drain(..) {
            scouts.stop().await;
        }
        self.drain().await;
        for roster in self.rosters.iter() {
            roster.clone().stop().await;
        }
        if let Some(trace) = self.trace.take() {
            trace.stop().await;
        }
        // Everything has been told by now.
        if let Some(history) = self.history.take() {
            history.stop().await;
        }
        // Their last words are in, so this waits for no more than the threads' own ends.
        let shards = Arc::clone(&self.shards);
        let ended = tokio::task::spawn_blocking(move || {
            while shards.iter().any(|shard| !shard.is_finished()) {
                std::thread::yield_now();
            }
        });
        let _ = ended.await;
    }

    /// Has every shard finish what is in flight, and waits for its last word; a shard that died has
    /// none.
    async fn drain(&mut self) {
        for (link, shard) in self.links.iter().zip(self.shards.iter()) {
            // Closed first: nobody is dialled for a shard that is stopping.
            self.slots.close(link.shard);
            // A queue of orders that is full now is read in a moment.
            while link.order(Order::Drain).is_err() && !shard.is_finished() {
                tokio::time::sleep(MOMENT).await;
            }
        }
        let shards = Arc::clone(&self.shards);
        let dead = async {
            while !shards.iter().all(JoinHandle::is_finished) {
                tokio::time::sleep(MOMENT).await;
            }
            // What they said last is still on its way through the pump.
            tokio::time::sleep(LAST_WORDS_PATIENCE).await;
        };
        tokio::select! {
            () = self.pump.until_stopped() => {}
            () = dead => tracing::error!("CRITICAL: a shard had died before the stop: report this"),
        }
    }
}
