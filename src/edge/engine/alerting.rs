//! What is seen of the engine, gathered for the alerts; and the task that tells of them.

mod gather;
mod report;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::{Engine, EngineSettings};
use crate::cold::alert::delivery::{AlertSettings, Delivery};
use crate::cold::alert::judge::Judge;
use crate::cold::alert::machine::Machine;
use crate::cold::alert::{AlertView, Moment};
use crate::cold::roster::RosterHandle;
use crate::cold::spool::Spool;
use crate::edge::intake::desk::Desk;
use crate::limits::{ALERT_LOOK_MS, ALERT_LOOK_PAUSE_MS};
use crate::sys::clock::now_ns;
use gather::{Gather, Seen, SeenChain};

const LOOK: Duration = Duration::from_millis(ALERT_LOOK_MS);
const PAUSE: Duration = Duration::from_millis(ALERT_LOOK_PAUSE_MS);
/// Two clocks that are read within this are read at one moment,
const CLOCK_MOMENT_NS: u64 = 50_000_000;
/// and so often it is tried.
const CLOCK_TRIES: u32 = 3;

/// Looks about once a second, and soon after a block has changed, until `stop`; then lets what is
/// still to be told leave.
async fn run(
    settings: AlertSettings,
    seen: Seen,
    view: watch::Sender<Arc<AlertView>>,
    mut stop: watch::Receiver<bool>,
) {
    let delivery = Delivery::start(&settings);
    let mut judge = Judge::new(settings.slow_factor);
    let mut machine = Machine::new(settings.rules());
    let mut blocks = seen.log.revision();
    let mut gather = Gather::new(seen);
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            _ = tick.tick() => {}
            changed = blocks.changed() => {
                if changed.is_err() {
                    break;
                }
                // What changes meanwhile is one change.
                tokio::time::sleep(PAUSE).await;
                blocks.mark_unchanged();
            }
        }
        let now = now();
        let notices = machine.look(judge.look(&gather.look(now), now), now);
        notices.iter().for_each(|notice| delivery.send(notice));
        let next = machine.view();
        view.send_if_modified(|shown| {
            let has_changed = **shown != next;
            if has_changed {
                *shown = Arc::new(next);
            }
            has_changed
        });
    }
    gather.report_rest();
    delivery.stop().await;
}

/// Both clocks at one moment: had we been kept from running between the two, it would look as if one
/// of them had been set.
fn now() -> Moment {
    let mut tries = 0..CLOCK_TRIES;
    loop {
        let before_ns = now_ns();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
        if now_ns().saturating_sub(before_ns) < CLOCK_MOMENT_NS || tries.next().is_none() {
            return Moment { clock_ms: before_ns / 1_000_000, unix_ms };
        }
    }
}

impl Engine {
    /// Starts the task.
    pub(super) fn start_alerts(
        &mut self,
        settings: &EngineSettings,
        spool: Option<Arc<Spool>>,
        stop: watch::Receiver<bool>,
    ) {
        let seen = Seen {
            chains: seen_chains(settings, &self.desk, &self.rosters),
            log: Arc::clone(self.desk.log()),
            spool,
            history: self.history_view(),
            links: self.links.clone(),
            shards: Arc::clone(&self.shards),
        };
        let mut told = settings.alerts.clone();
        if told.instance.is_empty() {
            told.instance = settings.data_dir.display().to_string();
        }
        self.tasks.spawn(run(told, seen, self.alerts.clone(), stop));
    }
}

/// What is looked at of each chain.
fn seen_chains(settings: &EngineSettings, desk: &Desk, rosters: &[RosterHandle]) -> Vec<SeenChain> {
    let chains = (0_u8..).zip(&settings.chains).zip(rosters);
    let seen = chains.map(|((index, told), roster)| SeenChain {
        chain: told.chain,
        node: desk
            .node(index)
            .zip(desk.tip(index))
            .map(|(node, tip)| (node.url().to_owned(), tip.presence())),
        endpoints: desk.endpoints(index),
        roster: roster.view.clone(),
        has_peers: told.broadcast && told.max > 0,
    });
    seen.collect()
}
