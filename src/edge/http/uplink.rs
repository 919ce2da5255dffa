//! What the statistics say of the uplink.

use serde_json::{Value, json};

use crate::cold::uplink::UplinkView;

/// The uplink as JSON.
pub(super) fn uplink_json(uplink: &UplinkView) -> Value {
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
