//! What the kernel saw of our blocks: when each peer's bytes were on the wire and acknowledged, and who
//! ran on the shards' cores meanwhile. Reads the programs in `bpf/` through [`crate::sys::bpf`].
//!
//! One thread, behind all others, asks about ten times a second, and tells the block log. Where the
//! kernel does not let us, one line says why, and all else works: of each peer it is known as ever when
//! its TCP was found to have acknowledged the block (`hot/acknowledge.rs`).

mod look;
mod sends;
mod thefts;
mod tracer;
mod view;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

pub use thefts::StolenSum;
pub use view::{Part, TraceView};

use look::Looker;

use crate::cold::stats::BlockLog;
use crate::cold::uplink::Paths;
use crate::limits::{TRACE_LOOK_MS, TRACE_START_MS};

const START: Duration = Duration::from_millis(TRACE_START_MS);
const STOP: Duration = Duration::from_millis(10 * TRACE_LOOK_MS);

/// What is to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceSettings {
    /// How far blocks come on each connection.
    pub deliveries: bool,
    /// Who runs on the shards' cores.
    pub cores: bool,
    /// First congestion window of the connections that this process makes, in packets; 0: the
    /// kernel's own.
    pub initial_window_packets: u32,
}

/// Whose cores are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardCores {
    /// The cores that shards are pinned to.
    pub cores: Vec<usize>,
    /// The shards' threads (`gettid(2)`).
    pub threads: Vec<u32>,
}

/// The running thread. Dropped, it ends, and nobody waits for that.
#[derive(Debug)]
pub struct Trace {
    /// What is seen; changes wake the receiver.
    pub view: watch::Receiver<Arc<TraceView>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Trace {
    /// Loads the programs and starts the thread, inside a tokio runtime. Waits until they are loaded, as
    /// connections made before are not seen.
    pub async fn start(
        settings: TraceSettings,
        shards: ShardCores,
        log: Arc<BlockLog>,
        paths: Arc<Paths>,
    ) -> Self {
        let off = "trace.bpf is off".to_owned();
        let (view, shown) = watch::channel(Arc::new(TraceView::off(off)));
        let (stop, stopped) = channel();
        if !settings.deliveries && !settings.cores {
            return Self { view: shown, stop: None, thread: None };
        }
        let (ready, is_ready) = oneshot::channel();
        // A thread has the cores of the one that makes it: this one makes it off the shards'.
        let spawned = tokio::task::spawn_blocking(move || {
            std::thread::Builder::new().name("trace".to_owned()).spawn(move || {
                if let Some(looker) = Looker::start(settings, &shards, (log, paths), view) {
                    // Whoever waited for it may have given up.
                    let _ = ready.send(());
                    looker.run(&stopped);
                }
            })
        });
        let Ok(Ok(thread)) = spawned.await else {
            tracing::warn!("no kernel trace: the system gives no thread for it");
            return Self { view: shown, stop: None, thread: None };
        };
        let _ = tokio::time::timeout(START, is_ready).await;
        Self { view: shown, stop: Some(stop), thread: Some(thread) }
    }

    /// Looks once more and ends.
    pub async fn stop(mut self) {
        self.stop.take();
        let Some(thread) = self.thread.take() else {
            return;
        };
        let ended = tokio::task::spawn_blocking(move || thread.join());
        if tokio::time::timeout(STOP, ended).await.is_err() {
            tracing::warn!("the kernel trace is still at work; the stop does not wait for it");
        }
    }
}
