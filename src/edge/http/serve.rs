//! The HTTP port, and what it shows of the rosters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::stats::{AskFault, AskPeers, AskUplink, PeersNow};
use crate::cold::gossip::Fate;
use crate::cold::roster::{PeerRow, RosterHandle, RosterView};
use crate::cold::uplink::{UplinkHandle, UplinkView};
use crate::limits::TOP_PEERS_MAX;

/// Serves `router` until `stop` becomes true.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
    if let Err(error) = served {
        tracing::error!("statistics are served no more: {error}; restart broadside to have them");
    }
}

/// Asks a roster who is connected.
#[must_use]
pub fn ask_roster(roster: &RosterHandle) -> AskPeers {
    let view = roster.view.clone();
    Arc::new(move || {
        let now = Arc::clone(&view.borrow());
        PeersNow {
            connected: now.connected,
            max: now.max,
            min: now.min,
            aimed: now.aimed,
            selection: selection(&now),
            relay: relay(&now),
            doubt: now.atlas_doubt.clone(),
            known: now.known,
            node_connected: now.node_connected,
            peers: now.peers.iter().take(TOP_PEERS_MAX).map(row).collect(),
            scouts: (now.scouts.connected, now.scouts.wanted),
            addresses: now.addresses.clone(),
            drops: now.drops.clone(),
            traffic: now.traffic,
            proxy_trouble: now.proxy_trouble.clone(),
        }
    })
}

/// Says when a shard has ended without being told to: it ends in order only when all do.
#[must_use]
pub fn ask_shards(shards: &Arc<Vec<JoinHandle<()>>>) -> AskFault {
    let shards = Arc::clone(shards);
    Arc::new(move || {
        let ended = shards.iter().filter(|shard| shard.is_finished()).count();
        (ended > 0).then(|| format!("{ended} of {} shards have ended: restart", shards.len()))
    })
}

/// Asks what is known of the uplink.
#[must_use]
pub fn ask_uplink(uplink: &UplinkHandle) -> AskUplink {
    let view = uplink.view.clone();
    Arc::new(move || uplink_object(&view.borrow()))
}

fn uplink_object(uplink: &UplinkView) -> Value {
    let last = uplink.last.map(|last| {
        json!({
            "found": last.found.word(),
            "bits_per_s": last.bits_per_s,
            "took_ms": last.took_us / 1_000,
            "queue_ms_max": f64::from(last.queue_us_max) / 1e3,
        })
    });
    let advice = uplink.advice.iter();
    let advice: Vec<_> = advice
        .map(|it| json!({"command": it.command, "why": it.why, "gain_ms": it.gain_ms}))
        .collect();
    json!({
        "state": uplink.state,
        "bits_per_s": uplink.bits_per_s,
        "age_s": uplink.age_s,
        "route": uplink.route,
        "nic_bits_per_s": uplink.card_bits_per_s,
        "peers": uplink.shared_peers,
        "warm_peers": uplink.warm_peers,
        "last_measurement": last,
        "warm_up": {"sent_bytes": uplink.warm_up_sent_bytes, "offers": uplink.warm_up_offers,
                    "under_way": uplink.warm_up_under_way,
                    "left_bytes": uplink.warm_up_left_bytes,
                    "bytes_per_hour": uplink.warm_up_bytes_per_hour},
        "doubt": uplink.doubt,
        "advice": advice,
    })
}

fn selection(view: &RosterView) -> Value {
    let mut regions: BTreeMap<String, u32> = BTreeMap::new();
    for region in view.peers.iter().filter_map(|row| row.kin.region) {
        *regions.entry(region.to_string()).or_default() += 1;
    }
    json!({
        "regions": regions,
        "rule": view.selection.word(),
        "is_by_cover": view.is_by_rule,
        "blocks_watched": view.blocks_watched,
        "peers_watched": view.peers_watched,
    })
}

/// Who takes blocks in which form.
fn relay(view: &RosterView) -> Value {
    let count = |is_one: fn(&PeerRow) -> bool| view.peers.iter().filter(|row| is_one(row)).count();
    json!({
        "form": view.relay.word(),
        "take_compact": count(|row| row.takes_compact),
        "chose_us": count(|row| row.high_bandwidth.is_some()),
    })
}

/// Addresses that others told of: how many, how many were new, and why the others were refused.
pub(super) fn addresses(fates: &BTreeMap<&'static str, u64>) -> Value {
    let of = |word: &str| fates.get(word).copied().unwrap_or(0);
    let refusals = Fate::ALL.iter().filter(|fate| fate.is_refusal()).map(|fate| fate.word());
    let refused: BTreeMap<_, _> =
        refusals.map(|word| (word, of(word))).filter(|(_, count)| *count > 0).collect();
    let heard: u64 = fates.values().sum();
    json!({"heard": heard, "taken": of(Fate::Taken.word()), "known": of(Fate::Known.word()),
           "refused": refused})
}

fn row(peer: &PeerRow) -> Value {
    json!({
        "address": peer.label.address.to_string(),
        "user_agent": peer.label.user_agent,
        "protected": peer.label.protected,
        "connected": true,
        "source": peer.source.word(),
        "score": peer.score,
        "rank": peer.rank,
        "place": peer.seat.0,
        "chosen_by": peer.seat.1.word(),
        "as_number": peer.kin.as_number,
        "region": peer.kin.region.map(|region| region.to_string()),
        "round_trip_ms": peer.round_trip_us.map(|us| f64::from(us) / 1e3),
        "delivery_ms": peer.delivery_ms,
        "successful_broadcasts": peer.successful_broadcasts,
        "failed_broadcasts": peer.failed_broadcasts,
        "echoes": peer.echoes,
        "takes_compact": peer.takes_compact,
        "chose_us": peer.high_bandwidth.is_some(),
        "window_bytes": peer.path.window_bytes,
        "warm": peer.path.warm,
        "retransmits": peer.path.resent_segments,
        "congestion_control": peer.path.congestion_control,
        "connected_since": peer.connected_since_s,
        "received_bytes": peer.traffic.received_bytes,
        "sent_bytes": peer.traffic.sent_bytes,
    })
}
