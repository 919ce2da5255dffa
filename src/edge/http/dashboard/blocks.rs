//! The newest blocks.

use maud::{Markup, html};

use super::latency::Latency;
use super::panels::{empty, panel};
use super::shown::ChainShown;
use super::text::{NOTHING, ago, bytes, foreign, maybe_us, short_hash};
use super::waterfall::{fate_class, verdict_class};
use crate::cold::stats::BlockStory;
use crate::hot::link::Outcome;
use crate::limits::{CONFIRM_DEPTH, DASHBOARD_BLOCKS_MAX};

/// The panel `blocks`.
pub(super) fn blocks(chain: &ChainShown, now_ms: u64) -> Markup {
    let body = if chain.newest.is_empty() {
        empty("No block yet. Hand one in: broadside submit FILE")
    } else {
        html! {
            div.scroll tabindex="0" role="region" aria-label="Newest blocks" {
                table.blocks {
                    thead { tr {
                        th scope="col" { "Block" } th.num scope="col" { "Height" } th scope="col" { "Came" }
                        th.num scope="col" { "Size" } th.num scope="col" { "Peers" }
                        th.num scope="col" { "Published" } th.num scope="col" { "Half" }
                        th.num scope="col" { "Last" } th scope="col" { "Verdict" } th scope="col" { "Fate" }
                    } }
                    tbody {
                        @for (story, times) in chain.newest.iter().zip(&chain.latencies).take(DASHBOARD_BLOCKS_MAX) {
                            (block(story, times, now_ms))
                        }
                    }
                }
            }
            p.note {
                "Times are after the last byte in. " code { "broadside blocks list" } " names older ones."
            }
        }
    };
    panel("blocks", "Newest blocks", chain, &body)
}

fn block(story: &BlockStory, times: &Latency, now_ms: u64) -> Markup {
    let hash = story.hash.to_string();
    let good = story.counts.of(Outcome::Handled) + story.counts.of(Outcome::AlreadyHad);
    html! {
        tr {
            th scope="row" { a.mono href=(format!("/block/{hash}")) title=(hash) { (short_hash(&hash)) } }
            td.num { @match story.height { Some(height) => (height), None => (NOTHING) } }
            td { (ago(story.received_unix_ms, now_ms)) }
            td.num { (bytes(story.size_bytes.into())) }
            td.num { (good) "/" (story.counts.offers) }
            td.num { (maybe_us(times.published_us)) }
            td.num { (maybe_us(times.half_us)) }
            td.num { (maybe_us(times.last_us)) }
            td { (verdict(story)) }
            td { (fate(story)) }
        }
    }
}

/// The own node's word; of endpoints alone the last one.
pub(super) fn verdict(story: &BlockStory) -> Markup {
    let said = story.verdicts.iter().find(|said| said.own).or(story.verdicts.last());
    html! {
        @match said {
            Some(said) => span.fate.(verdict_class(&said.word)) { (foreign(&said.word)) },
            None => span.fate.wait { "none yet" },
        }
    }
}

/// What has become of it.
pub(super) fn fate(story: &BlockStory) -> Markup {
    html! {
        span.fate.(fate_class(story)) {
            (story.fate.word())
            @if let Some(depth) = story.fate.depth() { " " (depth) "/" (CONFIRM_DEPTH) }
        }
    }
}
