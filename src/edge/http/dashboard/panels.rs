//! All panels, in their order.

use maud::{Markup, html};

use super::shown::{ChainShown, Shown};
use super::text::sentence;
use super::{
    alerts, blocks, changes, indicators, latency, node, peers, regions, summary, uplink, waterfall,
};

/// What stands within `<main>`.
pub(super) fn panels(shown: &Shown) -> Markup {
    html! {
        @if let Some(fault) = &shown.fault {
            p.banner.bad role="alert" { strong { "The engine itself is in trouble. " } (sentence(fault)) }
        }
        (alerts::alerts(&shown.alerts, shown.now_ms))
        @if let [chain] = shown.chains.as_slice() {
            section.chain.only data-chain=(chain.name) {
                h2 { (chain.name) " " small { (chain.network) } }
                (of_chain(chain, shown.now_ms, &uplink::uplink(&shown.uplink)))
            }
        } @else {
            @for (at, chain) in shown.chains.iter().enumerate() {
                details.chain id=(chain.id("chain")) data-chain=(chain.name) open[at == 0] {
                    summary { h2 { (chain.name) " " small { (chain.network) } } (summary::lamp(chain)) }
                    (of_chain(chain, shown.now_ms, &Markup::default()))
                }
            }
            (uplink::uplink(&shown.uplink))
        }
    }
}

/// `more`: what stands at the end, where there is room.
fn of_chain(chain: &ChainShown, now_ms: u64, more: &Markup) -> Markup {
    html! {
        div.panels {
            (summary::summary(chain, now_ms))
            (indicators::indicators(chain))
            (waterfall::last_block(chain, now_ms))
            (node::node(chain))
            (node::spool(chain, now_ms))
            (latency::latency(chain))
            (regions::regions(chain))
            (peers::peers(chain, now_ms))
            (blocks::blocks(chain, now_ms))
            (changes::changes(chain, now_ms))
            (more)
        }
    }
}

/// One panel of a chain.
pub(super) fn panel(name: &str, title: &str, chain: &ChainShown, body: &Markup) -> Markup {
    let id = chain.id(name);
    html! {
        section.panel data-panel=(name) data-chain=(chain.name) aria-labelledby=(id) {
            h3 id=(id) { (title) }
            (body)
        }
    }
}

/// What a panel says that has nothing to show yet.
pub(super) fn empty(what_to_do: &str) -> Markup {
    html! { p.empty { (what_to_do) } }
}

/// A name and a value under it.
pub(super) fn fact(name: &str, value: &Markup) -> Markup {
    html! { div.fact { dt { (name) } dd { (value) } } }
}
