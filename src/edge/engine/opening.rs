//! What an engine opens at its start.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::hot::Hot;
use super::settings::{EngineError, EngineSettings};
use crate::cold::spool::Spool;
use crate::cold::uplink::WarmUpSink;
use crate::edge::publisher::Warming;

pub(super) fn make_folder(path: &Path) -> Result<(), EngineError> {
    std::fs::create_dir_all(path)
        .map_err(|error| EngineError::Folder { path: path.to_path_buf(), error })
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

pub(super) async fn listen(key: &'static str, address: &str) -> Result<TcpListener, EngineError> {
    TcpListener::bind(address).await.map_err(|error| EngineError::Listen {
        key,
        address: address.to_owned(),
        error,
    })
}

/// Where blocks for warm-ups go.
pub(super) fn warm_up_sink(settings: &EngineSettings, hot: &Hot) -> Arc<dyn WarmUpSink> {
    let chains = settings.chains.iter().map(|told| told.chain).collect();
    Arc::new(Warming { publisher: Arc::clone(&hot.publisher), chains })
}
