//! What the statistics say of a roster.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cold::gossip::Fate;
use crate::cold::roster::{PeerRow, RosterView};

/// How peers are chosen, and where they are.
pub(super) fn selection(view: &RosterView) -> Value {
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
pub(super) fn relay(view: &RosterView) -> Value {
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

/// One connected peer.
pub(super) fn row(peer: &PeerRow) -> Value {
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
