//! The roster of each chain, and the scouts beside it.

use std::sync::Arc;

use tokio::sync::watch;

use super::settings::{EngineError, EngineSettings, roster_settings};
use crate::cold::atlas::Atlas;
use crate::cold::dial::DialSettings;
use crate::cold::directory::Directory;
use crate::cold::locks::LockRelay;
use crate::cold::node::NodeClient;
use crate::cold::node::endpoint::Endpoint;
use crate::cold::roster::{Roster, RosterHandle, RosterSettings, SlotTable};
use crate::cold::scouts::{ScoutSettings, Scouts, ScoutsHandle};
use crate::cold::stats::BlockLog;
use crate::edge::intake::desk::DeskChain;
use crate::edge::publisher::OwnBlocks;
use crate::hot::link::{Link, Relay};
use crate::limits::SCOUT_FILES_LEFT;

/// A roster for each chain, and what the desk is to know of it.
pub(super) fn start_rosters(
    settings: &EngineSettings,
    slots: &Arc<SlotTable>,
    directory: &Arc<Directory>,
    atlas: &Arc<Atlas>,
) -> Result<(Vec<RosterHandle>, Vec<DeskChain>), EngineError> {
    let mut rosters = Vec::new();
    let mut desk_chains = Vec::new();
    for (index, chain) in settings.chains.iter().enumerate() {
        let node = chain.node.clone().map(NodeClient::new).transpose()?;
        let more = chain.submit.iter().cloned().map(Endpoint::new);
        let more = more.collect::<Result<Vec<_>, _>>()?;
        let told = roster_settings(index as u8, chain, atlas);
        let (slots, directory) = (Arc::clone(slots), Arc::clone(directory));
        rosters.push(Roster::spawn(told, slots, directory, node.clone()));
        desk_chains.push(DeskChain { chain: chain.chain, node, more, template: chain.template });
    }
    Ok((rosters, desk_chains))
}

/// What passes locks on, of the chains that have them.
pub(super) fn relay_locks(
    settings: &EngineSettings,
    links: &[Arc<Link>],
    directory: &Arc<Directory>,
) -> Arc<LockRelay> {
    let chains = settings.chains.iter().map(|told| (told.chain, told.locks && told.broadcast));
    Arc::new(LockRelay::new(chains, links.to_vec(), Arc::clone(directory)))
}

/// The scouts of each chain, where there are to be any, or where they are to look for addresses.
pub(super) fn start_scouts(
    settings: &EngineSettings,
    rosters: &[RosterHandle],
    log: &Arc<BlockLog>,
    own: &[OwnBlocks],
    open_files: u64,
) -> Vec<ScoutsHandle> {
    let mut started = Vec::new();
    let chains = settings.chains.iter().zip(rosters).zip(own);
    for (index, ((chain, roster), own)) in chains.enumerate() {
        let told = roster_settings(index as u8, chain, &Arc::default());
        if told.scouts > 0 || told.discover {
            let told = scout_settings(&told, own, open_files, settings.chains.len() as u64);
            started.push(Scouts::spawn(told, roster.clone(), Some(Arc::clone(log))));
        }
    }
    started
}

/// What the scouts beside a roster are told. Open files are shared by `chains` chains: what scouts
/// would take away from peers and pools they don't get.
fn scout_settings(
    roster: &RosterSettings,
    own: &OwnBlocks,
    open_files: u64,
    chains: u64,
) -> ScoutSettings {
    let files = open_files.saturating_sub(SCOUT_FILES_LEFT) / 2 / chains.max(1);
    let scouts = roster.scouts.min(u32::try_from(files).unwrap_or(u32::MAX));
    if scouts < roster.scouts {
        tracing::warn!(
            "only {scouts} scouts of the {} wanted: this host allows {open_files} open files; raise \
             the limit (LimitNOFILE= of a systemd unit, ulimit -n)",
            roster.scouts
        );
    }
    let chain = roster.chain;
    ScoutSettings {
        chain_index: roster.chain_index,
        dial: DialSettings::new(chain, roster.user_agent.clone())
            .through(roster.proxy.clone(), None),
        scouts,
        discover: roster.discover,
        // Names are looked up by nobody where all goes through a proxy.
        seeds: roster.discover && roster.proxy.is_none(),
        refresh: roster.refresh,
        stay: ScoutSettings::stay(chain),
        // Whoever wants whole blocks alone sent wants no others sent.
        own: match roster.relay {
            Relay::Full => watch::channel(None).1,
            Relay::Compact | Relay::CompactAndFull => own.subscribe(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::cold::cover::Selection;
    use crate::cold::proxy::Proxy;
    use crate::wire::chain;

    #[test]
    fn scouts_leave_files_to_others() {
        let roster = RosterSettings {
            chain_index: 0,
            chain: chain::all().next().unwrap(),
            node_p2p: None,
            fixed: Vec::new(),
            max: 0,
            min: 0,
            refresh: Duration::from_secs(1),
            bootstrap: false,
            discover: true,
            scouts: 1_000,
            relay: Relay::Full,
            selection: Selection::Seed,
            atlas: Arc::default(),
            regions: Vec::new(),
            database: Path::new("peers.json").to_path_buf(),
            proxy: Some(Proxy::new(([127, 0, 0, 1], 9_050).into(), None)),
            user_agent: String::new(),
        };
        let own = OwnBlocks::new(None);
        assert!(
            !scout_settings(&roster, &own, 1_024, 1).seeds,
            "no name is looked up beside a proxy"
        );
        let scouts = |files, chains| scout_settings(&roster, &own, files, chains).scouts;
        assert_eq!((scouts(1_000_000, 8), scouts(1_024, 1), scouts(1_024, 4)), (1_000, 256, 64));
        assert_eq!(scouts(100, 1), 0);
        let offered = |relay| {
            let told = RosterSettings { relay, ..roster.clone() };
            let _kept = scout_settings(&told, &own, 1_024, 1);
            own.receiver_count()
        };
        assert_eq!((offered(Relay::Full), offered(Relay::CompactAndFull)), (0, 1));
    }
}
