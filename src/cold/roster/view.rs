//! What others see of a roster.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::RosterSettings;
use super::connections::Connection;
use super::keeper::{Keeper, epoch_s};
use super::scouting::ScoutCounts;
use super::slots::Place;
use crate::cold::cover::{ChosenBy, Selection};
use crate::cold::dial::DialError;
use crate::cold::directory::PeerLabel;
use crate::cold::diversity::Kin;
use crate::cold::gossip::Fate;
use crate::cold::score::{self, Standing};
use crate::cold::store::Source;
use crate::cold::uplink::PathFacts;
use crate::hot::link::traffic::Bytes;
use crate::hot::link::{PeerId, Relay};

/// Attempts to connect, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialCounts {
    /// Begun.
    pub attempts: u64,
    /// Ended with a finished handshake.
    pub succeeded: u64,
    /// Ended otherwise; [`RosterView::drops`] has the reasons.
    pub failed: u64,
    /// Those of them that nobody answered in time.
    pub timeouts: u64,
    /// Those of them that were refused.
    pub refused: u64,
}

impl DialCounts {
    /// Failed for any other reason.
    #[must_use]
    pub const fn other(self) -> u64 {
        self.failed.saturating_sub(self.timeouts + self.refused)
    }

    pub(super) fn note_failed(&mut self, error: &DialError) {
        self.failed += 1;
        self.timeouts += u64::from(matches!(error, DialError::Timeout));
        self.refused += u64::from(matches!(error, DialError::Refused));
    }
}

/// One connected peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerRow {
    /// Its name in the shards' reports.
    pub peer: PeerId,
    /// Its address and user agent.
    pub label: PeerLabel,
    /// Protected, fixed, or chosen by rank.
    pub standing: Standing,
    /// Where its address is from.
    pub source: Source,
    /// Its shard.
    pub shard: u8,
    /// Base score.
    pub score: f64,
    /// What it is worth now.
    pub rank_value: f64,
    /// Its place in the order of service: the lowest is first.
    pub rank: u32,
    /// The same counted from 0, and what gave it that place.
    pub seat: (u32, ChosenBy),
    /// In whose hand it may be, and its region.
    pub kin: Kin,
    /// What is known of its way: windows, losses.
    pub path: PathFacts,
    /// Last measured round trip, in us.
    pub round_trip_us: Option<u32>,
    /// Smoothed time from sending a block to its receipt, in ms.
    pub delivery_ms: Option<f64>,
    /// Blocks that it dealt with or already had, over all connections.
    pub successful_broadcasts: u64,
    /// Blocks that it did not take, over all connections.
    pub failed_broadcasts: u64,
    /// Blocks of ours that it announced back on this connection.
    pub echoes: u64,
    /// Blocks of the network that it announced on this connection.
    pub announced: u64,
    /// What it offers.
    pub services: u64,
    /// Its protocol version.
    pub protocol_version: i32,
    /// Its height when we connected.
    pub start_height: i32,
    /// Compact block version for which it chose us as a high-bandwidth sender.
    pub high_bandwidth: Option<u64>,
    /// It takes compact blocks that it did not ask for.
    pub takes_compact: bool,
    /// First and last seen, epoch s.
    pub seen_s: (f64, f64),
    /// When the connection was made, epoch s.
    pub connected_since_s: f64,
    /// What went over it so far.
    pub traffic: Bytes,
}

/// A peer that should be connected and is not: one that is always kept, or one that was lost lately
/// and is waited for.
#[derive(Clone, Debug, PartialEq)]
pub struct AbsentPeer {
    /// Where it is.
    pub address: SocketAddr,
    /// Protected, fixed, or chosen by rank.
    pub standing: Standing,
    /// Where its address is from.
    pub source: Source,
    /// Base score.
    pub score: f64,
    /// Whether it is being dialled at this moment.
    pub is_dialled: bool,
    /// Failures in a row.
    pub failures: u32,
    /// How long until it is tried again, as of [`RosterView::as_of_s`],
    pub next_try_in: Duration,
    /// of this whole wait.
    pub wait: Duration,
    /// The word for the last failure.
    pub last_failure: Option<&'static str>,
    /// Blocks that it dealt with or already had, over all connections.
    pub successful_broadcasts: u64,
    /// Blocks that it did not take, over all connections.
    pub failed_broadcasts: u64,
    /// First and last seen, epoch s.
    pub seen_s: (f64, f64),
}

impl AbsentPeer {
    /// How long until it is tried again, at `now_s`, where the view is as of `as_of_s` (epoch s).
    #[must_use]
    pub fn next_try_in_at(&self, as_of_s: f64, now_s: f64) -> Duration {
        let passed = Duration::try_from_secs_f64(now_s - as_of_s).unwrap_or_default();
        self.next_try_in.saturating_sub(passed)
    }
}

/// What happened to a peer's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceChange {
    /// It was connected.
    Joined,
    /// Its connection ended; the word for the reason.
    Left(&'static str),
    /// It has another place in the order of service now, both counted from 0.
    Moved {
        /// The place before,
        from: u32,
        /// and now.
        to: u32,
    },
}

/// One change of the roster.
#[derive(Clone, Debug, PartialEq)]
pub struct RosterChange {
    /// When, epoch s.
    pub at_s: f64,
    /// Who.
    pub address: SocketAddr,
    /// What.
    pub change: PlaceChange,
}

/// A roster at one moment. The default is one that nothing is known of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RosterView {
    /// When this was so, epoch s.
    pub as_of_s: f64,
    /// Connections that a shard has.
    pub connected: u32,
    /// Connections aimed at.
    pub max: u32,
    /// Fewer than this is worth a warning.
    pub min: u32,
    /// How often empty places are filled anew.
    pub refresh: Duration,
    /// Connections aimed at now: what the uplink serves in time, within `min` and `max`.
    pub aimed: u32,
    /// In which form they are sent blocks.
    pub relay: Relay,
    /// How peers are chosen.
    pub selection: Selection,
    /// Whether the covering rule rules: enough blocks have been watched.
    pub is_by_rule: bool,
    /// Blocks of the network that the rule has learnt from,
    pub blocks_watched: u32,
    /// and peers that it knows something of.
    pub peers_watched: u32,
    /// Why peers can't be spread over networks, where the operator wants it.
    pub atlas_doubt: Option<String>,
    /// Addresses in the database.
    pub known: u32,
    /// The same by the word for where they are from.
    pub sources: BTreeMap<&'static str, u32>,
    /// Whether the database has been read, and dialling has begun.
    pub is_loaded: bool,
    /// Whether the local node has ever told its peers.
    pub bootstrapped: bool,
    /// How often it was asked, and when it told last, epoch s.
    pub node_asked: (u64, Option<f64>),
    /// Whether the protected local node is connected; `None`: none is configured.
    pub node_connected: Option<bool>,
    /// The connected peers, first served first.
    pub peers: Vec<PeerRow>,
    /// Peers that are waited for, those with the best standing and score first.
    pub absent: Vec<AbsentPeer>,
    /// What changed lately, newest first.
    pub changes: Vec<RosterChange>,
    /// Connections and attempts that ended, by the word for the reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Attempts to connect.
    pub dials: DialCounts,
    /// Reports of the shards dropped because the roster did not keep up.
    pub reports_dropped: u64,
    /// Why the proxy can't be used, while it can't.
    pub proxy_trouble: Option<String>,
    /// What went over all connections since the start, those that have ended among them.
    pub traffic: Bytes,
    /// Connections that listen.
    pub scouts: ScoutCounts,
    /// Addresses that others told of since the start, by the word for what became of them.
    pub addresses: BTreeMap<&'static str, u64>,
}

impl RosterView {
    /// Before anything has happened.
    pub(super) fn empty(settings: &RosterSettings) -> Self {
        Self {
            max: settings.max,
            min: settings.min,
            refresh: settings.refresh,
            aimed: settings.max,
            relay: settings.relay,
            selection: settings.selection,
            atlas_doubt: settings.atlas.doubt().map(str::to_owned),
            node_connected: settings.node_p2p.map(|_| false),
            scouts: ScoutCounts { connected: 0, wanted: settings.scouts },
            ..Self::default()
        }
    }
}

impl Keeper {
    /// Shows the latest, when that is due.
    pub(super) fn show(&mut self, now: Instant) {
        if !self.schedule.take_show(now) {
            return;
        }
        let now_s = epoch_s();
        let at_shards = self.connections.iter().filter(|(_, it)| it.pending.is_none());
        let mut peers: Vec<PeerRow> =
            at_shards.map(|(peer, connection)| self.row(peer, connection, now_s)).collect();
        peers.sort_unstable_by_key(|row| (row.rank, row.peer));
        let mut traffic = self.ended_traffic;
        peers.iter().for_each(|row| traffic.add(row.traffic));
        let view = RosterView {
            connected: u32::try_from(peers.len()).unwrap_or(u32::MAX),
            aimed: self.aimed,
            is_by_rule: self.is_by_rule,
            blocks_watched: u32::try_from(self.covering.cover.blocks()).unwrap_or(u32::MAX),
            peers_watched: u32::try_from(self.covering.cover.peers()).unwrap_or(u32::MAX),
            known: u32::try_from(self.book.len()).unwrap_or(u32::MAX),
            is_loaded: true,
            bootstrapped: self.book.bootstrapped,
            node_asked: (self.asker.asked, self.asker.told_s),
            sources: self.sources.clone(),
            as_of_s: now_s,
            absent: self.absent(now, now_s),
            changes: self.diary.lines(),
            node_connected: self.kept.is_node_up(),
            peers,
            drops: self.drops.clone(),
            dials: self.dial_counts,
            reports_dropped: self.traffic.dropped.load(Ordering::Relaxed),
            proxy_trouble: self.proxy_trouble.clone(),
            traffic,
            scouts: ScoutCounts {
                connected: u32::try_from(self.scouting.connected()).unwrap_or(u32::MAX),
                wanted: self.settings.scouts,
            },
            addresses: self.addresses(),
            ..RosterView::empty(&self.settings)
        };
        self.shown.send_replace(Arc::new(view));
    }

    /// What became of addresses that others told of, without the zeros.
    fn addresses(&self) -> BTreeMap<&'static str, u64> {
        let counts = Fate::ALL.iter().map(|fate| (fate.word(), self.traffic.fates.of(*fate)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    fn row(&self, peer: PeerId, connection: &Connection, now_s: f64) -> PeerRow {
        let Connection { address, standing, facts, .. } = connection;
        let entry = self.book.get(*address);
        let Place { link, slot } = &connection.place;
        PeerRow {
            peer,
            label: PeerLabel {
                address: *address,
                user_agent: facts.user_agent.clone(),
                protected: *standing == Standing::Protected,
            },
            standing: *standing,
            source: entry.map_or(Source::Discovered, |entry| entry.source),
            shard: link.shard,
            score: entry.map_or(0.0, |entry| entry.score),
            rank_value: entry.map_or(0.0, |entry| score::rank_value(entry, now_s)),
            rank: connection.rank,
            seat: connection.seat,
            kin: connection.kin,
            path: connection.path.clone(),
            round_trip_us: connection.round_trip_us,
            delivery_ms: entry.and_then(|entry| entry.delivery_ms),
            successful_broadcasts: entry.map_or(0, |entry| entry.successful_broadcasts),
            failed_broadcasts: entry.map_or(0, |entry| entry.failed_broadcasts),
            echoes: connection.echoes,
            announced: connection.announced,
            services: facts.services,
            protocol_version: facts.version,
            start_height: facts.start_height,
            high_bandwidth: connection.terms.chose_us.then_some(connection.terms.compact_version),
            takes_compact: connection.terms.takes_compact(),
            seen_s: entry.map_or((0.0, 0.0), |entry| (entry.first_seen_s, entry.last_seen_s)),
            connected_since_s: connection.since_s,
            traffic: link.traffic.of(*slot, peer).unwrap_or_default(),
        }
    }
}
