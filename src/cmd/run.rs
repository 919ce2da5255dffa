//! `broadside run`: the daemon.

mod alerts;
mod reload;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{ConfigArgs, Failure, Outcome};
use crate::cold::atlas::Region;
use crate::cold::cover;
use crate::cold::history::HistoryBounds;
use crate::cold::node::endpoint::EndpointSettings;
use crate::cold::node::{NodeAuth, NodeSettings};
use crate::cold::proxy::Proxy;
use crate::cold::template::TemplateMode;
use crate::cold::uplink::{self, UplinkSetting};
use crate::config::{
    self, Backend, ChainSection, Config, Cores, Endpoint, EndpointLogin, Idle, IntakeLogin, Order,
    Overrides, Relay, Selection, Submit, Template, Uplink, Warm, ZeroCopy,
};
use crate::edge::engine::{ChainSettings, Engine, EngineFacts, EngineSettings, RpcLogin};
use crate::edge::intake::desk::ANSWER_DEADLINE;
use crate::edge::trace::TraceSettings;
use crate::hot::governor::order::OrderOfService;
use crate::hot::link;
use crate::hot::route;
use crate::hot::shard;
use crate::hot::spawn;
use crate::limits::{CHAIN_PEERS_MAX, COLD_THREADS, REFRESH_S_MAX};
use crate::sys::cpu;
use crate::topology;
use alerts::alerts;
use reload::Reload;

/// Options of `run`.
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    forks: ForkArgs,
}

/// What users of p2pool forks know.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options that p2pool users know, each overriding the file")]
struct ForkArgs {
    /// Send nothing to peers: blocks go to the nodes alone
    #[arg(long)]
    disable_broadcaster: bool,
    /// Send blocks to peers (they are, unless disabled)
    #[arg(long, conflicts_with = "disable_broadcaster")]
    broadcast_enabled: bool,
    /// false: the same as --disable-broadcaster
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    broadcast_peers: Option<bool>,
    /// Connections held at most, of each chain
    #[arg(long, value_name = "N", alias = "broadcaster-max-peers", value_parser = clap::value_parser!(u32).range(1..=i64::from(CHAIN_PEERS_MAX)))]
    broadcast_max_peers: Option<u32>,
    /// Connections below which health says degraded
    #[arg(long, value_name = "N", alias = "broadcaster-min-peers", value_parser = clap::value_parser!(u32).range(0..=i64::from(CHAIN_PEERS_MAX)))]
    broadcast_min_peers: Option<u32>,
    /// Time between two looks at the roster, in seconds
    #[arg(long, value_name = "SEC", value_parser = clap::value_parser!(u32).range(1..=i64::from(REFRESH_S_MAX)))]
    broadcast_refresh_interval: Option<u32>,
    /// Do not ask the local node for its peers
    #[arg(long)]
    broadcast_skip_bootstrap: bool,
    /// The peer database, relative to data_dir
    #[arg(long, value_name = "FILE")]
    broadcast_peer_db: Option<PathBuf>,
    /// Taken for compatibility: the nodes get every block in any case
    #[arg(long)]
    broadcast_no_fallback: bool,
}

impl ForkArgs {
    fn overrides(&self) -> Overrides {
        Overrides {
            disable: self.disable_broadcaster || self.broadcast_peers == Some(false),
            enable: self.broadcast_enabled || self.broadcast_peers == Some(true),
            max_peers: self.broadcast_max_peers,
            min_peers: self.broadcast_min_peers,
            refresh_interval_s: self.broadcast_refresh_interval,
            skip_bootstrap: self.broadcast_skip_bootstrap,
            peer_db: self.broadcast_peer_db.clone(),
            no_fallback: self.broadcast_no_fallback,
        }
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// The configuration is wrong, or the engine can't start.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let mut config = options.config.load()?;
    options.forks.overrides().apply(&mut config)?;
    let log = start_log(config.engine.log.word());
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let plan = topology::plan(&cpu::available(), &wanted_cores(&config))?;
    let _lock = lock(&config.engine.data_dir)?;
    if let Some(folder) = config.intake.unix.as_ref().and_then(|socket| socket.parent()) {
        make_folder(folder, "intake.unix")?;
    }
    let settings = settings(&config, plan.shards);
    let reload = Reload::new(options, config, log);
    runtime(plan.rest)?.block_on(serve(settings, reload))
}

/// The cores that `config` wants shards on.
pub(super) fn wanted_cores(config: &Config) -> topology::Cores {
    match &config.engine.cores {
        Cores::Auto => topology::Cores::Auto,
        Cores::Named(cores) => {
            topology::Cores::Listed(cores.iter().map(|core| *core as usize).collect())
        }
    }
}

/// Makes `folder`, which `key` of the configuration asks for, where it is not there yet.
fn make_folder(folder: &Path, key: &str) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let folder = folder.display();
        Failure(format!("{folder}: can't be made: {error}; make it, or choose another {key}"))
    })
}

/// Makes the data directory ours for as long as the file is held: two engines on one spool would
/// hand in each other's blocks, and the second one's cookie would lock out the first one's users.
fn lock(data_dir: &Path) -> Result<File, Failure> {
    let path = data_dir.display();
    make_folder(data_dir, "engine.data_dir")?;
    let file = File::create(data_dir.join("lock")).map_err(|error| {
        Failure(format!("{path}: can't be written: {error}; let broadside's user write there"))
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure(format!(
            "{path}: another broadside is running on it; stop that one, or give this one another \
             engine.data_dir"
        ))),
        Err(TryLockError::Error(error)) => {
            Err(Failure(format!("{path}: can't be locked: {error}")))
        }
    }
}

/// The cold side's runtime, kept off the shards' cores.
pub(super) fn runtime(rest: Vec<usize>) -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(COLD_THREADS)
        .thread_name("cold")
        .enable_all()
        .on_thread_start(move || {
            // Where the kernel does not allow it the threads run anywhere, which is only slower.
            let _ = cpu::keep_on(&rest);
        })
        .build()?;
    Ok(runtime)
}

/// Sets another log level; whether that could be done.
pub(super) type SetLog = Box<dyn Fn(&str) -> bool + Send>;

/// Log lines on standard error; `level` where RUST_LOG says nothing. `None`: it says something.
pub(super) fn start_log(level: &str) -> Option<SetLog> {
    let told = EnvFilter::try_from_default_env().ok();
    let is_told = told.is_some();
    let filter = told.unwrap_or_else(|| EnvFilter::new(level));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_ansi(ansi).with_target(false).with_filter_reloading();
    let handle = log.reload_handle();
    // Set already: a test runs several commands in one process.
    let _ = log.try_init();
    let set: SetLog = Box::new(move |level| handle.reload(EnvFilter::new(level)).is_ok());
    (!is_told).then_some(set)
}

async fn serve(settings: EngineSettings, mut reload: Reload<'_>) -> Result<Outcome, Failure> {
    // Before anything starts: a signal during the start is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let engine = Engine::start(settings).await?;
    tell(engine.facts());
    tell_where(&engine);
    notify(&[sd_notify::NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload.run(&engine),
        }
    }
    tracing::info!("stopping: closing the intakes, finishing what is in flight, saving");
    notify(&[sd_notify::NotifyState::Stopping]);
    engine.stop().await;
    tracing::info!("stopped");
    Ok(Outcome::Done)
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(false, states);
}

fn tell(facts: &EngineFacts) {
    if !facts.arena.locked {
        tracing::warn!(
            "the images' memory could not be locked and may be swapped out: allow {} MiB of locked \
             memory (LimitMEMLOCK= of a systemd unit, ulimit -l)",
            crate::limits::ARENA_BYTES >> 20
        );
    }
    for (index, shard) in facts.shards.iter().enumerate() {
        if let Some(refused) = &shard.refused {
            tracing::warn!("shard {index} runs on epoll: {refused}");
        }
        let backend = if shard.uring { "io_uring" } else { "epoll" };
        let (zero_copy, pinned) = (shard.zero_copy, shard.pinned);
        tracing::info!(shard = index, backend, zero_copy, pinned, "shard is ready");
    }
}

fn tell_where(engine: &Engine) {
    if let Some(address) = engine.rpc_address() {
        tracing::info!("blocks are taken by JSON-RPC at http://{address}");
    }
    if let Some(address) = engine.http_address() {
        tracing::info!(
            "the dashboard is at http://{address}/, statistics are at \
             http://{address}/broadcaster_stats"
        );
    }
}

/// What the engine is told, from what the operator wrote.
#[must_use]
pub fn settings(config: &Config, cores: Vec<usize>) -> EngineSettings {
    let login = rpc_login(&config.intake.login);
    EngineSettings {
        cores,
        backend: match config.engine.backend {
            Backend::Auto => spawn::Backend::Auto,
            Backend::IoUring => spawn::Backend::Uring,
            Backend::Epoll => spawn::Backend::Epoll,
        },
        idle: match config.engine.idle {
            Idle::Wait => shard::Idle::Sleep,
            Idle::Spin => shard::Idle::Spin,
        },
        zero_copy: match config.engine.zero_copy {
            ZeroCopy::Auto => route::ZeroCopy::Auto,
            ZeroCopy::Off => route::ZeroCopy::Off,
            ZeroCopy::Always => route::ZeroCopy::Always,
        },
        order: match config.engine.order {
            Order::Rank => OrderOfService::NearHalfFirst,
            Order::StrictRank => OrderOfService::Rank,
            Order::NearFirst => OrderOfService::NearFirst,
            Order::AllAtOnce => OrderOfService::AllAtOnce,
        },
        uplink: match config.engine.uplink {
            Uplink::Auto => UplinkSetting::Auto,
            Uplink::Unlimited => UplinkSetting::Unlimited,
            Uplink::BitsPerSecond(bits_per_s) => UplinkSetting::BitsPerS(bits_per_s),
        },
        warm_up_bytes_per_hour: config.engine.warm_upload_bytes,
        asn_db: config.engine.asn_db.clone(),
        history: config.history.map(|kept| {
            let config::History { keep_days, keep_bytes } = kept;
            HistoryBounds { keep_days, keep_bytes }
        }),
        data_dir: config.engine.data_dir.clone(),
        rpc: config.intake.rpc.map(|address| (address.to_string(), login)),
        unix: config.intake.unix.clone(),
        http: config.http.map(|address| address.to_string()),
        http_login: config.http_login.clone().map(|it| (it.user, it.password)),
        chains: config.chains.iter().map(|section| chain(section, config.broadcast)).collect(),
        answer_deadline: ANSWER_DEADLINE,
        alerts: alerts(&config.alerts),
        trace: TraceSettings {
            deliveries: config.trace.deliveries,
            cores: config.trace.cores,
            initial_window_packets: config.trace.initial_window_packets,
        },
    }
}

fn rpc_login(login: &IntakeLogin) -> RpcLogin {
    match login {
        IntakeLogin::Cookie(_) => RpcLogin::Cookie,
        IntakeLogin::Password(it) => {
            RpcLogin::Password { user: it.user.clone(), password: it.password.clone() }
        }
    }
}

fn chain(section: &ChainSection, broadcast: bool) -> ChainSettings {
    let peers = &section.peers;
    ChainSettings {
        chain: section.chain,
        node: section.node.as_ref().map(node),
        node_p2p: section.node_p2p,
        submit: section.submit.iter().map(submit).collect(),
        template: match section.template {
            Template::Auto => TemplateMode::Auto,
            Template::Off => TemplateMode::Off,
            Template::Poll => TemplateMode::Poll,
            Template::LongPoll => TemplateMode::LongPoll,
        },
        broadcast,
        max: peers.max,
        min: peers.min,
        refresh: peers.refresh.max(Duration::from_secs(1)),
        bootstrap: peers.bootstrap,
        discover: peers.discover,
        scouts: peers.scouts,
        fixed: peers.fixed.clone(),
        database: peers.database.clone(),
        proxy: peers.proxy.as_ref().map(proxy),
        locks: peers.locks,
        relay: match peers.relay {
            // Everywhere: who takes a compact block has it sooner, and the whole block behind it is
            // in time for whoever lacks something (docs/relay.md).
            Relay::Auto | Relay::CompactAndFull => link::Relay::CompactAndFull,
            Relay::Compact => link::Relay::Compact,
            Relay::Full => link::Relay::Full,
        },
        selection: match peers.selection {
            Selection::Measured => cover::Selection::Measured,
            Selection::Seed => cover::Selection::Seed,
        },
        regions: peers.regions.iter().filter_map(|text| Region::parse(text)).collect(),
        warm: match peers.warm {
            Warm::Auto => uplink::Warm::Auto,
            Warm::Off => uplink::Warm::Off,
            Warm::Always => uplink::Warm::Always,
        },
    }
}

fn proxy(told: &config::Proxy) -> Proxy {
    let login = told.login.as_ref().map(|it| (it.user.clone(), it.password.clone()));
    Proxy::new(told.address, login)
}

fn submit(told: &Submit) -> EndpointSettings {
    let (timeout, patience) = (told.timeout, told.retry);
    EndpointSettings { node: node(&told.endpoint), timeout, patience }
}

fn node(endpoint: &Endpoint) -> NodeSettings {
    let auth = match &endpoint.login {
        EndpointLogin::Cookie(file) => NodeAuth::Cookie(file.clone()),
        EndpointLogin::Password(it) => {
            NodeAuth::Password { user: it.user.clone(), password: it.password.clone() }
        }
    };
    NodeSettings { url: endpoint.url.clone(), auth }
}

#[cfg(test)]
mod tests;
