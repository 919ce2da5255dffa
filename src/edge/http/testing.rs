//! What the tests of several pages are made of.

use std::sync::Arc;

use tokio::sync::watch;

use super::state::{HttpChain, HttpState};
use crate::cold::alert::{Alert, Severity};
use crate::cold::cover::ChosenBy;
use crate::cold::directory::PeerLabel;
use crate::cold::diversity::Kin;
use crate::cold::roster::{PeerRow, RosterView};
use crate::cold::score::Standing;
use crate::cold::stats::BlockLog;
use crate::cold::store::Source;
use crate::cold::uplink::{PathFacts, UplinkView};
use crate::hot::link::PeerId;
use crate::hot::link::traffic::Bytes;
use crate::wire::chain::Chain;

/// An ordinary peer of which little is known.
pub(super) fn peer_row(place: u32, user_agent: &str) -> PeerRow {
    PeerRow {
        peer: PeerId::new(0, place.into()),
        label: PeerLabel {
            address: ([198, 51, 100, 7], place as u16).into(),
            user_agent: user_agent.to_owned(),
            protected: false,
        },
        standing: Standing::Ordinary,
        source: Source::Node,
        shard: 0,
        score: 1.0,
        rank_value: 1.0,
        rank: place,
        seat: (place, ChosenBy::default()),
        kin: Kin::default(),
        path: PathFacts::default(),
        round_trip_us: None,
        delivery_ms: None,
        successful_broadcasts: 0,
        failed_broadcasts: 0,
        echoes: 0,
        announced: 0,
        services: 0,
        protocol_version: 0,
        start_height: 0,
        high_bandwidth: None,
        takes_compact: false,
        connected_since_s: 0.0,
        seen_s: (0.0, 0.0),
        traffic: Bytes::default(),
    }
}

/// An alert about the chain.
pub(super) fn alert(chain: &'static Chain, subject: &str, text: &str) -> Alert {
    Alert {
        number: 1,
        kind: "block-refused",
        severity: Severity::Critical,
        chain: Some(chain.name),
        subject: subject.to_owned(),
        text: text.to_owned(),
        since_unix_ms: 1,
        cleared_unix_ms: None,
        count: 1,
    }
}

/// An engine of one chain, without nodes, of which nothing else is known.
pub(super) fn state(chain: &'static Chain, log: &Arc<BlockLog>, roster: RosterView) -> HttpState {
    let chain = HttpChain {
        chain,
        tip: None,
        endpoints: Vec::new(),
        merged: None,
        templates: None,
        roster: watch::Sender::new(Arc::new(roster)).subscribe(),
        locks: None,
    };
    let uplink = UplinkView { state: "not-shared", ..UplinkView::default() };
    HttpState {
        chains: vec![chain],
        log: Arc::clone(log),
        spool: None,
        uplink: watch::Sender::new(Arc::new(uplink)).subscribe(),
        alerts: watch::Sender::default().subscribe(),
        history: None,
        history_view: watch::Sender::default().subscribe(),
        trace: watch::Sender::default().subscribe(),
        shards: Arc::new([]),
        links: Vec::new(),
        fault: Arc::new(|| None),
    }
}
