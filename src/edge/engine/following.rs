//! What the rosters are told of the nodes' tips, of the uplink, and of who runs which network; and
//! who follows each block to its end.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cold::atlas::Atlas;
use crate::cold::confirm::Confirm;
use crate::cold::locks::LockRelay;
use crate::cold::node::tip::TipWatch;
use crate::cold::roster::RosterHandle;
use crate::cold::spool::Spool;
use crate::cold::template::Templates;
use crate::cold::uplink::UplinkHandle;
use crate::edge::intake::desk::Desk;

/// Starts the tasks that tell them. They end with what they follow.
pub(super) fn start(
    rosters: &[RosterHandle],
    desk: &Desk,
    uplink: &UplinkHandle,
    locks: &Arc<LockRelay>,
    spool: Option<&Arc<Spool>>,
) {
    for (index, roster) in (0_u8..).zip(rosters) {
        if let Some(tip) = desk.tip(index) {
            tokio::spawn(follow_tip(tip, roster.clone(), (index, Arc::clone(locks))));
        }
        confirm(index, desk, spool);
        tokio::spawn(follow_uplink(index, uplink.clone(), roster.clone()));
    }
}

/// Starts the watch over what becomes of a chain's blocks, where there is a node to tell.
fn confirm(chain_index: u8, desk: &Desk, spool: Option<&Arc<Spool>>) {
    if let (Some(node), Some(tip)) = (desk.node(chain_index), desk.tip(chain_index))
        && let Some(chain) = desk.templates(chain_index).map(Templates::chain)
    {
        let (node, log) = (node.clone(), Arc::clone(desk.log()));
        Confirm { chain_index, chain, node, log, spool: spool.cloned() }.spawn(tip);
    }
}

/// A block that the node has as its tip has real work behind it.
fn follow_tip(
    tip: &TipWatch,
    roster: RosterHandle,
    (chain_index, locks): (u8, Arc<LockRelay>),
) -> impl Future<Output = ()> + use<> {
    // The watch itself must not be kept alive by who follows it.
    let mut tips = tip.changes();
    async move {
        while tips.changed().await.is_ok() {
            if let Some(hash) = *tips.borrow_and_update() {
                roster.vouch(hash);
                locks.note_block(chain_index, hash.0);
            }
        }
    }
}

async fn follow_uplink(chain_index: u8, uplink: UplinkHandle, roster: RosterHandle) {
    let mut view = uplink.view.clone();
    drop(uplink);
    let mut told = None;
    loop {
        let now = {
            let seen = view.borrow_and_update();
            (seen.bits_per_s, seen.block_bytes.get(usize::from(chain_index)).copied().unwrap_or(0))
        };
        if told != Some(now) {
            told = Some(now);
            roster.note_uplink(now.0, now.1);
        }
        if view.changed().await.is_err() {
            return;
        }
    }
}

/// The file of networks, where there is one. One that can't be used is said once, no more.
pub(super) async fn read_atlas(file: Option<PathBuf>) -> Arc<Atlas> {
    let Some(file) = file else {
        return Arc::default();
    };
    let read = tokio::task::spawn_blocking(move || Atlas::read(&file)).await;
    let atlas = read.unwrap_or_default();
    if let Some(doubt) = atlas.doubt() {
        tracing::warn!("{doubt}");
    }
    Arc::new(atlas)
}
