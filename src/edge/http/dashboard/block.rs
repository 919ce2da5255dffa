//! One block's own page.

use maud::{Markup, html};

use super::blocks::{fate, verdict};
use super::page;
use super::panels::{empty, fact};
use super::shown::{Standings, standings};
use super::stolen;
use super::text::{ago, bytes, count, foreign, many, maybe_us, now_ms};
use super::waterfall::{outcome_class, verdict_class, waterfall, who};
use crate::cold::stats::{BlockStory, PeerStory, Stage};
use crate::edge::http::state::{HttpChain, HttpState};
use crate::hot::link::{Outcome, Way};
use crate::limits::{DASHBOARD_PAGE_BARS_MAX, DASHBOARD_PAGE_ROWS_MAX};
use crate::wire::hash::BlockHash;

/// The page of a text that is no hash.
pub(super) fn no_hash() -> Markup {
    page::still("No block", &empty("A block's hash is 64 hexadecimal digits."))
}

/// The page of a block that is not in the history.
pub(super) fn unknown(hash: &BlockHash) -> Markup {
    page::still("No block", &empty(&format!("There is no block {hash} in the history.")))
}

/// Everything that is kept of one block.
pub(super) fn page(state: &HttpState, story: &BlockStory) -> Markup {
    let chain = state.chains.iter().find(|chain| {
        chain.chain.name == story.chain && chain.chain.network.name() == story.network
    });
    let standings =
        chain.map(HttpChain::peers).map(|roster| standings(&roster)).unwrap_or_default();
    let title = story.height.map_or_else(|| "Block".to_owned(), |height| format!("Block {height}"));
    let hash = story.hash.to_string();
    let body = html! {
        div.panels {
            section.panel.wide {
                h2 { (title) " " small { (foreign(&story.chain)) " " (foreign(&story.network)) } }
                p.mono.hash { (hash) }
                (facts(story))
            }
            section.panel.wide {
                h3 { "Waterfall" }
                (waterfall(story, &standings, "grid", DASHBOARD_PAGE_BARS_MAX))
            }
            section.panel { h3 { "Stages" } (stages(story)) }
            section.panel { h3 { "Verdicts" } (verdicts(story)) }
            section.panel.wide { h3 { "Peers" } (peers(story, &standings)) }
            section.panel.wide { h3 { "Held up by" } (stolen::table(story)) }
            section.panel.wide { h3 { "Heard by scouts" } (scouts(story)) }
        }
        p.note { a href=(format!("/blocks/{hash}")) { "The same as JSON" } }
    };
    page::still(&title, &body)
}

fn facts(story: &BlockStory) -> Markup {
    let counts = &story.counts;
    html! {
        dl.facts {
            (fact("Came", &ago(story.received_unix_ms, now_ms())))
            (fact("Size", &html! { (bytes(story.size_bytes.into())) }))
            (fact("Transactions", &html! { (count(story.transactions.into())) }))
            (fact("Verdict", &verdict(story)))
            (fact("Fate", &fate(story)))
            (fact("Offers", &html! {
                (counts.offers) ", " (counts.settled) " ended:"
                @for outcome in Outcome::ALL {
                    @if counts.of(outcome) > 0 {
                        " " span.fate.(outcome_class(Some(outcome))) { (outcome.word()) " " (counts.of(outcome)) }
                    }
                }
            }))
            (fact("Announced back", &html! {
                "by " (many(counts.announced.into(), "peer", "peers")) ", " (counts.witnesses)
                " on their own, half after " (maybe_us(story.half_back_us))
            }))
            @if let Some(rival) = story.fate.rival() {
                (fact("Rival", &html! { span.mono.hash { (rival) } }))
            }
        }
    }
}

fn stages(story: &BlockStory) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Stages" {
            table {
                thead { tr {
                    th scope="col" { "Stage" } th.num scope="col" { "After the first byte" }
                    th.num scope="col" { "After publishing" }
                } }
                tbody { @for stage in Stage::ALL {
                    tr {
                        th scope="row" { (stage.word().replace('_', " ")) }
                        td.num { (maybe_us(story.stage(stage))) }
                        td.num { (maybe_us(story.stage_after_publishing_us(stage))) }
                    }
                } }
            }
        }
    }
}

fn verdicts(story: &BlockStory) -> Markup {
    html! {
        @if story.verdicts.is_empty() { (empty("No node has spoken yet.")) }
        ul.endpoints { @for said in &story.verdicts {
            li {
                div.line {
                    span.mono { (foreign(&said.node)) }
                    span.fate.(verdict_class(&said.word)) { (foreign(&said.word)) }
                }
                div.note {
                    @if said.own { "own node, " } @else { "endpoint, " }
                    (maybe_us(said.after_us)) " after publishing"
                }
            }
        } }
    }
}

fn peers(story: &BlockStory, standings: &Standings) -> Markup {
    let more = story.peers.len().saturating_sub(DASHBOARD_PAGE_ROWS_MAX);
    // What the kernel saw has columns where it told anything.
    let seen = story.peers.iter().any(|peer| peer.wire_us.or(peer.tcp_acked_us).is_some());
    html! {
        @if story.peers.is_empty() {
            (empty("What each peer did is not known: nobody was connected, or it is kept no longer."))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Peers" {
                table.blocks {
                    thead { tr {
                        th scope="col" { "Peer" } th scope="col" { "Outcome" } th scope="col" { "Form" }
                        th.num scope="col" { "Bytes" } th.num scope="col" { "Queued" }
                        th.num scope="col" { "Sent" }
                        @if seen { th.num scope="col" { "At the device" } th.num scope="col" { "On the wire" } th.num scope="col" { "TCP acknowledged" } }
                        th.num scope="col" { "Acknowledged" }
                        th.num scope="col" { "Receipt" } th.num scope="col" { "Announced back" }
                    } }
                    tbody {
                        @for peer in story.peers.iter().take(DASHBOARD_PAGE_ROWS_MAX) { (peer_row(peer, standings, seen)) }
                    }
                }
            }
        }
        @if more > 0 { p.note { "and " (more) " more: see the JSON." } }
    }
}

fn peer_row(peer: &PeerStory, standings: &Standings, seen: bool) -> Markup {
    html! {
        tr {
            th scope="row" { (who(peer, standings)) }
            td { span.fate.(outcome_class(peer.outcome)) { (peer.outcome.map_or("under way", Outcome::word)) } }
            td { (peer.way.map_or("", Way::word)) }
            td.num { (count(peer.sent_bytes.into())) }
            td.num { (maybe_us(peer.submitted_us)) }
            td.num { (maybe_us(peer.sent_us)) }
            @if seen {
                td.num { (maybe_us(peer.queued_us)) }
                td.num { (maybe_us(peer.wire_us)) }
                td.num { (maybe_us(peer.tcp_acked_us)) }
            }
            td.num { (maybe_us(peer.acked_us)) }
            td.num { (maybe_us(peer.handled_us)) }
            td.num { (maybe_us(peer.echo_us)) }
        }
    }
}

fn scouts(story: &BlockStory) -> Markup {
    let shown = story.scouts.iter().take(DASHBOARD_PAGE_ROWS_MAX);
    html! {
        @if story.scouts.is_empty() {
            (empty("No peer that a scout listens to has announced it."))
        } @else {
            ul.events { @for (address, after_us) in shown {
                li { span.mono { (address) } span { (maybe_us(*after_us)) } }
            } }
        }
    }
}
