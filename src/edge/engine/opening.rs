//! What an engine opens at its start.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::hot::Hot;
use super::settings::{ChainSettings, EngineError, EngineSettings};
use crate::cold::history::{self, ChainName, History, HistorySettings};
use crate::cold::spool::Spool;
use crate::cold::stats::BlockLog;
use crate::cold::uplink::{Paths, WarmUpSink};
use crate::edge::http::serve::serve_here;
use crate::edge::intake::rpc::RpcAuth;
use crate::edge::publisher::Warming;
use crate::edge::trace::{ShardCores, Trace};
use crate::limits::CHAINS_MAX;

/// What must hold before anything is started: chains that fit, a folder to write to.
pub(super) fn prepare(settings: &EngineSettings) -> Result<(), EngineError> {
    if settings.chains.len() > CHAINS_MAX as usize {
        return Err(EngineError::Chains);
    }
    let path = &settings.data_dir;
    std::fs::create_dir_all(path).map_err(|error| EngineError::Folder { path: path.clone(), error })
}

/// A spool that can't be opened is an alert, not an end: broadcasting goes on.
pub(super) fn open_spool(data_dir: &Path) -> Option<Arc<Spool>> {
    match Spool::open(&data_dir.join("spool")) {
        Ok(spool) => Some(Arc::new(spool)),
        Err(error) => {
            tracing::error!("CRITICAL: blocks are not kept on disk: {error}");
            None
        }
    }
}

/// The history, where one is wanted; the sums of earlier processes are in `log` then.
pub(super) async fn open_history(
    settings: &EngineSettings,
    log: &Arc<BlockLog>,
) -> Option<History> {
    let bounds = settings.history?;
    let name = |told: &ChainSettings| ChainName {
        chain: told.chain.name.to_owned(),
        network: told.chain.network.name().to_owned(),
    };
    let settings = HistorySettings {
        file: history::file(&settings.data_dir),
        bounds,
        chains: settings.chains.iter().map(name).collect(),
    };
    History::start(settings, Arc::clone(log)).await
}

/// What looks at the kernel; before there are connections.
pub(super) async fn start_trace(
    settings: &EngineSettings,
    hot: &Hot,
    log: &Arc<BlockLog>,
    paths: &Arc<Paths>,
) -> Trace {
    let pinned = hot.shards.iter().filter(|shard| shard.pinned);
    let shards = ShardCores {
        cores: pinned.filter_map(|shard| shard.core).collect(),
        threads: hot.shards.iter().map(|shard| shard.thread).collect(),
    };
    Trace::start(settings.trace, shards, Arc::clone(log), Arc::clone(paths)).await
}

pub(super) async fn listen(key: &'static str, address: &str) -> Result<TcpListener, EngineError> {
    TcpListener::bind(address).await.map_err(|error| EngineError::Listen {
        key,
        address: address.to_owned(),
        error,
    })
}

/// Who may see the pages, where not everybody may.
pub(super) fn http_login(settings: &EngineSettings) -> Option<RpcAuth> {
    let (user, password) = settings.http_login.as_ref()?;
    Some(RpcAuth::password(user, password))
}

/// Opens the HTTP port, with a thread for itself; says where it is.
pub(super) async fn open_http(
    address: &str,
    pages: Router,
    stop: watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) -> Result<Option<SocketAddr>, EngineError> {
    const KEY: &str = "http.listen";
    let listener = listen(KEY, address).await?;
    let bound = listener.local_addr().ok();
    let refused = |error| EngineError::Listen { key: KEY, address: address.to_owned(), error };
    let listener = listener.into_std().map_err(refused)?;
    tasks.spawn_blocking(move || serve_here(listener, pages, stop));
    Ok(bound)
}

/// Where blocks for warm-ups go.
pub(super) fn warm_up_sink(settings: &EngineSettings, hot: &Hot) -> Arc<dyn WarmUpSink> {
    let chains = settings.chains.iter().map(|told| told.chain).collect();
    Arc::new(Warming { publisher: Arc::clone(&hot.publisher), chains })
}
