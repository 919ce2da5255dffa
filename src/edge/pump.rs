//! Carries the shards' reports to whom they concern: the block log and the chain's roster.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use crate::cold::locks::LockRelay;
use crate::cold::roster::RosterHandle;
use crate::cold::stats::BlockLog;
use crate::cold::uplink::UplinkHandle;
use crate::hot::link::{Link, PeerId, Report};
use crate::sys::doorbell::{Doorbell, Listener};

/// A task that reads all shards' reports as they ring.
pub(super) struct Pump {
    running: watch::Receiver<usize>,
}

impl Pump {
    /// Starts the task; it ends with the last shard.
    pub(super) fn start(
        links: &[Arc<Link>],
        bell: &Arc<Doorbell>,
        log: Arc<BlockLog>,
        rosters: Arc<Vec<RosterHandle>>,
        uplink: UplinkHandle,
        locks: Arc<LockRelay>,
    ) -> io::Result<Self> {
        let bell = Listener::new(Arc::clone(bell))?;
        let links = links.to_vec();
        let (alive, running) = watch::channel(links.len());
        tokio::spawn(async move {
            while *alive.borrow() > 0 {
                if bell.rung().await.is_err() {
                    return;
                }
                let stopped = drain(&links, &log, &rosters, &uplink, &locks);
                if stopped > 0 {
                    alive.send_modify(|alive| *alive = alive.saturating_sub(stopped));
                }
            }
        });
        Ok(Self { running })
    }

    /// Waits until every shard has said its last word.
    pub(super) async fn until_stopped(&mut self) {
        let _ = self.running.wait_for(|running| *running == 0).await;
    }
}

/// Hands on all that is there; how many shards have ended.
fn drain(
    links: &[Arc<Link>],
    log: &BlockLog,
    rosters: &[RosterHandle],
    uplink: &UplinkHandle,
    locks: &LockRelay,
) -> usize {
    let mut stopped = 0;
    for link in links {
        while let Some(report) = link.next_report() {
            uplink.on_report(&report);
            if let Report::Announced { peer, hash, .. } = report {
                locks.note_block(peer.chain(), hash);
            }
            log.on_report(&report);
            if matches!(report, Report::Stopped { .. }) {
                stopped += 1;
            }
            tell_all(&report, rosters);
            let roster = peer_of(&report).and_then(|peer| rosters.get(usize::from(peer.chain())));
            if let Some(roster) = roster {
                roster.report(report);
            }
        }
        // Behind the blocks that they are about.
        locks.drain(link);
    }
    stopped
}

/// Tells every roster of blocks under way: nobody is rotated out meanwhile.
fn tell_all(report: &Report, rosters: &[RosterHandle]) {
    match *report {
        Report::Offered { image, shard, offers, .. } if offers > 0 => {
            rosters.iter().for_each(|roster| roster.note_offered(image, shard));
        }
        Report::Finished { image, shard } => {
            rosters.iter().for_each(|roster| roster.note_finished(image, shard));
        }
        _ => {}
    }
}

fn peer_of(report: &Report) -> Option<PeerId> {
    match report {
        Report::Settled { peer, .. }
        | Report::Echo { peer, .. }
        | Report::Announced { peer, .. }
        | Report::RoundTrip { peer, .. }
        | Report::HighBandwidth { peer, .. }
        | Report::WarmedUp { peer, .. }
        | Report::Retired { peer, .. } => Some(*peer),
        Report::Offered { .. } | Report::Finished { .. } | Report::Stopped { .. } => None,
    }
}
