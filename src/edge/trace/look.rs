//! The thread: asks the kernel, tells the block log.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::tracer::Tracer;
use super::view::{Part, TraceView};
use super::{ShardCores, TraceSettings};
use crate::cold::stats::BlockLog;
use crate::cold::uplink::Paths;
use crate::limits::{TRACE_LOOK_MS, TRACE_WINDOW_MS};
use crate::sys::bpf::{BpfError, CoreWatch, DeliverySettings, DeliveryWatch};
use crate::sys::clock::now_ns;
use crate::sys::cpu;

const LOOK: Duration = Duration::from_millis(TRACE_LOOK_MS);
const WINDOW_NS: u64 = TRACE_WINDOW_MS * 1_000_000;

/// Why something is not seen.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("trace.bpf leaves it out")]
    NotAsked,
    #[error("the shards are not pinned to cores")]
    NotPinned,
    #[error("{0}")]
    Bpf(BpfError),
}

/// What the thread has.
pub(super) struct Looker {
    deliveries: Option<DeliveryWatch>,
    cores: Option<CoreWatch>,
    /// Sets the first window alone; held for its end.
    _window: Option<DeliveryWatch>,
    tracer: Tracer,
    log: Arc<BlockLog>,
    paths: Arc<Paths>,
    view: watch::Sender<Arc<TraceView>>,
    seen: TraceView,
    looked_ns: u64,
}

impl Looker {
    /// Loads the programs and says what is seen; `None`: nothing at all.
    pub(super) fn start(
        settings: TraceSettings,
        shards: &ShardCores,
        (log, paths): (Arc<BlockLog>, Arc<Paths>),
        view: watch::Sender<Arc<TraceView>>,
    ) -> Option<Self> {
        cpu::go_last();
        let wanted = DeliverySettings {
            initial_window_packets: settings.initial_window_packets,
            window_only: false,
        };
        let deliveries = match settings.deliveries {
            true => DeliveryWatch::start(wanted).map_err(Why::Bpf),
            false => Err(Why::NotAsked),
        };
        let window = match &deliveries {
            // An older kernel can do this part.
            Err(Why::NotAsked | Why::Bpf(BpfError::NotSupported { .. }))
                if wanted.initial_window_packets > 0 =>
            {
                DeliveryWatch::start(DeliverySettings { window_only: true, ..wanted }).ok()
            }
            _ => None,
        };
        let cores = match shards.cores.is_empty() {
            _ if !settings.cores => Err(Why::NotAsked),
            true => Err(Why::NotPinned),
            false => CoreWatch::start(&shards.cores, &shards.threads).map_err(Why::Bpf),
        };
        let sets_window = deliveries.is_ok() || window.is_some();
        let part = |why_not: Option<String>| Part { why_not, lost: 0 };
        let seen = TraceView {
            deliveries: part(deliveries.as_ref().err().map(ToString::to_string)),
            cores: part(cores.as_ref().err().map(ToString::to_string)),
            initial_window_packets: if sets_window { wanted.initial_window_packets } else { 0 },
            stolen: Vec::new(),
        };
        info!("{}", seen.told(&shards.cores));
        if wanted.initial_window_packets > 0 && !sets_window {
            warn!(
                "trace.initial_window_packets has no effect: connections begin as the kernel has it"
            );
        }
        let _ = view.send_replace(Arc::new(seen.clone()));
        let (deliveries, cores) = (deliveries.ok(), cores.ok());
        if deliveries.is_none() && cores.is_none() && window.is_none() {
            return None;
        }
        if deliveries.is_some() {
            log.keep_sent_offers();
        }
        let (tracer, looked_ns) = (Tracer::default(), now_ns());
        Some(Self { deliveries, cores, _window: window, tracer, log, paths, view, seen, looked_ns })
    }

    /// Looks until told to stop, then once more.
    pub(super) fn run(mut self, stop: &Receiver<()>) {
        while matches!(stop.recv_timeout(LOOK), Err(RecvTimeoutError::Timeout)) {
            self.look();
        }
        self.look();
    }

    fn look(&mut self) {
        // Before the kernel is asked: what is said of these has been told by now.
        let offers = self.log.take_sent_offers();
        let now_ns = now_ns();
        let windows = self.log.fan_out_windows(now_ns.saturating_sub(WINDOW_NS));
        let known = self.tracer.cookies().revision;
        self.paths.read_cookies(self.tracer.cookies());
        if self.tracer.cookies().revision != known {
            self.tracer.mind();
        }
        self.ask_deliveries(now_ns);
        self.ask_cores(now_ns);
        self.tracer.expect(offers, now_ns);
        let news = self.tracer.deliveries(now_ns);
        if !news.is_empty() {
            self.log.note_kernel_times(&news);
        }
        if self.cores.is_some() {
            for (image, stolen) in self.tracer.stolen(&windows, now_ns) {
                self.log.note_stolen(image, stolen);
            }
        }
        self.tracer.forget(now_ns);
        self.looked_ns = now_ns;
        self.show();
    }

    fn ask_deliveries(&mut self, now_ns: u64) {
        let Some(watch) = &mut self.deliveries else {
            return;
        };
        let sends = &mut self.tracer.sends;
        let asked = watch.read(&mut |told| sends.note(told));
        let lost = watch.lost();
        if lost > self.seen.deliveries.lost {
            self.tracer.sends.note_lost(now_ns);
            self.seen.deliveries.lost = lost;
        }
        if let Err(error) = asked {
            warn!("kernel trace: no more of deliveries: {error}");
            self.seen.deliveries.why_not = Some(error.to_string());
            self.deliveries = None;
        }
    }

    fn ask_cores(&mut self, now_ns: u64) {
        let Some(watch) = &mut self.cores else {
            return;
        };
        let thefts = &mut self.tracer.thefts;
        let asked = watch.read(&mut |stolen| thefts.note(stolen));
        let lost = watch.lost();
        if lost > self.seen.cores.lost {
            self.tracer.thefts.note_lost(self.looked_ns, now_ns);
            self.seen.cores.lost = lost;
        }
        if let Err(error) = asked {
            warn!("kernel trace: no more of the cores: {error}");
            self.seen.cores.why_not = Some(error.to_string());
            self.cores = None;
        }
    }

    fn show(&mut self) {
        self.seen.stolen = self.tracer.thefts.sums();
        self.view.send_if_modified(|shown| {
            let has_changed = **shown != self.seen;
            if has_changed {
                *shown = Arc::new(self.seen.clone());
            }
            has_changed
        });
    }
}
