//! The five indicators. Each number also stands in the page as it does in the JSON.

use maud::{Markup, html};

use super::panels::panel;
use super::shown::ChainShown;
use super::text::{NOTHING, count, ms, raw, share};
use crate::cold::stats::Percentiles;

/// The panel `indicators`.
pub(super) fn indicators(chain: &ChainShown) -> Markup {
    let five = &chain.indicators;
    let fates = chain.totals.fates;
    let body = html! {
        dl.tiles {
            (one("Broadcast success rate", "success_rate", five.success_rate,
                &html! { "of all ended offers, the peer surely had the block" }))
            (times("Broadcast time", "broadcast_ms", five.broadcast,
                "last byte in to last byte out, all peers"))
            (one("Peer availability", "peer_availability", five.peer_availability,
                &html! { (chain.roster.connected) " of " (chain.roster.aimed) " wanted connections" }))
            (one("Orphan rate", "orphan_rate", five.orphan_rate,
                &html! { (count(fates.stale)) " stale, " (count(fates.confirmed)) " confirmed" }))
            (times("Network propagation", "propagation_ms", five.propagation,
                "published to announced back"))
        }
    };
    panel("indicators", "Indicators", chain, &body)
}

fn one(name: &str, key: &str, value: Option<f64>, note: &Markup) -> Markup {
    html! {
        div.tile {
            dt { (name) }
            dd {
                span.big data-indicator=(key) data-value=(raw(value)) {
                    (value.map_or_else(|| NOTHING.to_owned(), share))
                }
                span.note { (note) }
            }
        }
    }
}

/// How a number is read out of the times, under its name in the JSON.
type Part = (&'static str, fn(Percentiles) -> f64);
const PARTS: [Part; 4] = [
    ("p50", |it| it.p50_ms),
    ("p90", |it| it.p90_ms),
    ("p99", |it| it.p99_ms),
    ("max", |it| it.max_ms),
];

fn times(name: &str, key: &str, times: Option<Percentiles>, note: &str) -> Markup {
    let shown = |value: Option<f64>| value.map_or_else(|| NOTHING.to_owned(), ms);
    let mean = times.map(|it| it.mean_ms);
    let total = times.map_or_else(|| "null".to_owned(), |it| it.count.to_string());
    html! {
        div.tile {
            dt { (name) }
            dd {
                span.big data-indicator=(format!("{key}.mean")) data-value=(raw(mean)) {
                    (shown(mean))
                }
                span.parts {
                    @for (part, of) in PARTS {
                        @let value = times.map(of);
                        span { (part) " " span data-indicator=(format!("{key}.{part}"))
                            data-value=(raw(value)) { (shown(value)) } }
                    }
                }
                span.note {
                    (note) ", "
                    span data-indicator=(format!("{key}.count"))
                        data-value=(total) {
                        (count(times.map_or(0, |it| it.count)))
                    }
                    " times"
                }
            }
        }
    }
}
