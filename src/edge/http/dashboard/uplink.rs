//! The uplink: what it carries, how that is known, and what is done to keep the ways warm.

use maud::{Markup, html};

use super::panels::fact;
use super::text::{NOTHING, bits_per_s, bytes, many, sentence, stretch};
use crate::cold::uplink::UplinkView;

/// The panel `uplink`; all chains share it.
pub(super) fn uplink(view: &UplinkView) -> Markup {
    let known = |rate: Option<u64>| rate.map_or_else(|| NOTHING.to_owned(), bits_per_s);
    html! {
        section.panel data-panel="uplink" aria-labelledby="uplink" {
            h3 id="uplink" { "Uplink" }
            @if let Some(doubt) = &view.doubt { p.verdict.warn { (sentence(doubt)) } }
            @if view.state == "not-shared" {
                p.note { "All peers are on this host or none is connected: nothing is held back." }
            }
            dl.facts {
                (fact("Rate reckoned with", &html! { (known(view.bits_per_s)) }))
                (fact("How it is known", &html! {
                    (view.state.replace('-', " "))
                    @if let Some(age_s) = view.age_s { ", " (stretch(age_s)) " ago" }
                }))
                (fact("Network card", &html! { (known(view.card_bits_per_s)) }))
                (fact("Peers behind it", &html! { (many(view.shared_peers as u64, "peer", "peers")) }))
                (fact("Warm", &html! {
                    (view.warm_peers) " of " (view.shared_peers)
                    @if view.shared_peers > 0 {
                        ", " (view.full_window_peers) " with the whole block in one window"
                    }
                }))
                (fact("Sent for warming", &html! {
                    (bytes(view.warm_up_sent_bytes)) " in " (many(view.warm_up_offers, "offer", "offers"))
                    ", " (bytes(view.warm_up_left_bytes)) " left of " (bytes(view.warm_up_bytes_per_hour))
                    " an hour"
                }))
                @if let Some(last) = &view.last {
                    (fact("Last measurement", &html! {
                        (last.found.word().replace('-', " ")) ", " (bits_per_s(last.bits_per_s))
                    }))
                }
                @if let Some(route) = &view.route { (fact("Route", &html! { span.mono { (sentence(route)) } })) }
            }
            @if !view.advice.is_empty() {
                h4 { "What this host could do better" }
                ul.events { @for one in &view.advice {
                    li { code { (one.command) } span { (one.why) ": about " (one.gain_ms) " ms" } }
                } }
            }
        }
    }
}
