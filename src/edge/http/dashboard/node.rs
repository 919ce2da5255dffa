//! The nodes that judge blocks, and the blocks that wait for them.

use maud::{Markup, html};

use super::panels::{empty, fact, panel};
use super::shown::ChainShown;
use super::text::{NOTHING, ago, count, foreign, many, ms, sentence, short_hash};
use super::waterfall::verdict_class;
use crate::cold::node::endpoint::EndpointView;
use crate::cold::stats::VerdictCounts;

/// The panel `node`: the own node and further endpoints.
pub(super) fn node(chain: &ChainShown) -> Markup {
    let body = html! {
        (own(chain))
        @if !chain.endpoints.is_empty() {
            h4 { "Further endpoints" }
            ul.endpoints { @for one in &chain.endpoints { (endpoint(one)) } }
        }
    };
    panel("node", "Node and endpoints", chain, &body)
}

fn own(chain: &ChainShown) -> Markup {
    let Some(node) = &chain.node else {
        return empty(
            "No local node is configured: nothing is judged or forwarded. Name one in \
             [chain.node] of the configuration.",
        );
    };
    let (class, word) = if node.trouble.is_none() { ("ok", "answers") } else { ("bad", "away") };
    html! {
        @if let Some(trouble) = &node.trouble { p.verdict.bad { (sentence(trouble)) } }
        dl.facts {
            (fact("Own node", &html! { span.fate.(class) { (word) } }))
            (fact("As a peer", &match chain.roster.node_connected {
                Some(true) => html! { span.fate.ok { "connected" } },
                Some(false) => html! { span.fate.bad { "not connected" } },
                None => html! { "not configured" },
            }))
            @if let Some((height, hash)) = &node.tip {
                (fact("Tip", &html! { (height) " " span.mono title=(hash) { (short_hash(hash)) } }))
            }
            (fact("Verdicts", &verdicts(chain.totals.verdicts)))
        }
    }
}

/// How often a node said what; the zeros left out.
fn verdicts(counts: VerdictCounts) -> Markup {
    let all = [
        ("accepted", counts.accepted),
        ("duplicate", counts.duplicate),
        ("inconclusive", counts.inconclusive),
        ("refused", counts.refused),
        ("error", counts.error),
    ];
    html! {
        @if all.iter().all(|(_, number)| *number == 0) { "none yet" }
        @for (word, number) in all.iter().filter(|(_, number)| *number > 0) {
            span.fate.(verdict_class(word)) { (word) " " (count(*number)) } " "
        }
    }
}

fn endpoint(one: &EndpointView) -> Markup {
    let (class, word) = match (one.circuit, one.is_here) {
        ("closed", Some(true)) => ("ok", "answers"),
        ("closed", Some(false)) => ("warn", "in trouble"),
        ("closed", None) => ("wait", "not asked yet"),
        ("probing", _) => ("warn", "being probed"),
        _ => ("bad", "left alone"),
    };
    html! {
        li {
            div.line { span.mono { (foreign(&one.url)) } span.fate.(class) { (word) } }
            div.note {
                "breaker " (one.circuit) ", " (many(one.blocks, "block", "blocks")) ", "
                (one.waiting) " waiting, " (one.lost) " lost, answer "
                (one.answers.map_or_else(|| NOTHING.to_owned(), |times| ms(times.p50_ms)))
            }
            div { (verdicts(one.verdicts)) }
            @if let Some(trouble) = &one.last_trouble { div.note.bad { (sentence(trouble)) } }
        }
    }
}

/// The panel `spool`.
pub(super) fn spool(chain: &ChainShown, now_ms: u64) -> Markup {
    let body = match &chain.spool {
        None => html! {
            p.verdict.bad { "Blocks can't be kept on disk: see the log, and the space in data_dir." }
        },
        Some(spool) => html! {
            p {
                span.big { (spool.waiting) } " "
                @if spool.waiting == 1 { "block waits" } @else { "blocks wait" }
                " for the node's verdict"
                @if let Some(oldest) = spool.oldest_unix_ms { ", the oldest came " (ago(oldest, now_ms)) }
                "."
            }
            @if spool.waiting > 0 {
                p.note { "They are handed in again until the node has spoken. If they stay, look at the node." }
            }
        },
    };
    panel("spool", "Spool", chain, &body)
}
