//! At a glance: whether the next block will fly, and how the others did.

use maud::{Markup, html};

use super::panels::panel;
use super::shown::ChainShown;
use super::text::{NOTHING, ago, count, many, ms, sentence, share, short_hash};
use crate::limits::DASHBOARD_ISSUES_MAX;

/// How ready a chain is: class and word.
fn readiness(chain: &ChainShown) -> (&'static str, &'static str) {
    match (chain.blockers.is_empty(), chain.issues.is_empty()) {
        (false, _) => ("bad", "Not ready"),
        (true, false) => ("warn", "Ready, with doubts"),
        (true, true) => ("ok", "Ready"),
    }
}

/// The same in a word beside a chain's name.
pub(super) fn lamp(chain: &ChainShown) -> Markup {
    let (class, word) = readiness(chain);
    html! { span.lamp.(class) { (word) } }
}

fn where_it_goes(chain: &ChainShown) -> String {
    let peers = many(u64::from(chain.roster.connected), "peer", "peers");
    let node = match &chain.node {
        None => "",
        Some(node) if node.trouble.is_some() => "",
        Some(_) => " and the node",
    };
    match (chain.roster.connected, node) {
        (0, "") => "A block handed in now is kept in the spool, and reaches nobody".to_owned(),
        (0, _) => "A block handed in now reaches the node alone".to_owned(),
        _ => format!("A block handed in now goes to {peers}{node}"),
    }
}

/// The panel `summary`.
pub(super) fn summary(chain: &ChainShown, now_ms: u64) -> Markup {
    let (class, word) = readiness(chain);
    let issues = &chain.issues;
    let body = html! {
        div.verdict.(class) role="status" {
            p { strong { (word) ". " } (where_it_goes(chain)) "." }
            @if !issues.is_empty() {
                ul {
                    @for issue in issues.iter().take(DASHBOARD_ISSUES_MAX) { li { (sentence(issue)) } }
                    @if issues.len() > DASHBOARD_ISSUES_MAX {
                        li { "and " (issues.len() - DASHBOARD_ISSUES_MAX) " more" }
                    }
                }
            }
        }
        dl.tiles {
            (tile("Connected peers", &peers(chain), &aimed(chain)))
            (tile("Blocks broadcast", &html! { (count(chain.totals.blocks_broadcast)) }, &held_back(chain)))
            (tile("Success rate", &html! { (rate(chain)) }, &endings(chain)))
            (tile("Average broadcast time", &html! { (mean(chain)) }, &html! { "last byte in to last byte out" }))
            (tile("Last block", &last_age(chain, now_ms), &last_name(chain)))
        }
    };
    panel("summary", "Summary", chain, &body)
}

fn tile(name: &str, value: &Markup, note: &Markup) -> Markup {
    html! { div.tile { dt { (name) } dd { span.big { (value) } span.note { (note) } } } }
}

fn peers(chain: &ChainShown) -> Markup {
    html! { (chain.roster.connected) span.of { "/" (chain.roster.max) } }
}

fn aimed(chain: &ChainShown) -> Markup {
    let roster = &chain.roster;
    html! {
        @if roster.aimed < roster.max { (roster.aimed) " aimed at, " }
        (many(u64::from(roster.known), "address", "addresses")) " known"
        @if roster.scouts.wanted > 0 { ", " (roster.scouts.connected) "/" (roster.scouts.wanted) " scouts" }
    }
}

fn held_back(chain: &ChainShown) -> Markup {
    let held: u64 = chain.totals.held_back.values().sum();
    html! { @if held > 0 { (count(held)) " held back" } @else { "none held back" } }
}

fn rate(chain: &ChainShown) -> String {
    chain.indicators.success_rate.map_or_else(|| NOTHING.to_owned(), share)
}

fn endings(chain: &ChainShown) -> Markup {
    let (good, all) = (chain.totals.successes(), chain.totals.settled());
    html! { (count(good)) " of " (count(all)) " offers" }
}

fn mean(chain: &ChainShown) -> String {
    chain.indicators.broadcast.map_or_else(|| NOTHING.to_owned(), |times| ms(times.mean_ms))
}

fn last_age(chain: &ChainShown, now_ms: u64) -> Markup {
    html! {
        @match chain.totals.last_block {
            Some((_, received_unix_ms)) => (ago(received_unix_ms, now_ms)),
            None => (NOTHING),
        }
    }
}

fn last_name(chain: &ChainShown) -> Markup {
    let Some((hash, _)) = chain.totals.last_block else {
        return html! { "none yet" };
    };
    let hash = hash.to_string();
    let height = chain.newest.first().and_then(|story| story.height);
    html! {
        @if let Some(height) = height { "height " (height) ", " }
        a.mono href=(format!("/block/{hash}")) title=(hash) { (short_hash(&hash)) }
    }
}
