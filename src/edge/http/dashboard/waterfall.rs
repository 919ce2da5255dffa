//! Where every millisecond of one block went: coming in, to the nodes, to each peer, and back.

use maud::{Markup, html};

use super::panels::{empty, panel};
use super::scale::{Scale, percent};
use super::shown::{ChainShown, Standings};
use super::stolen;
use super::text::{NOTHING, ago, bytes, count, foreign, many, maybe_us, short_hash, us};
use crate::cold::score::Standing;
use crate::cold::stats::{BlockStory, PeerStory, Stage, VerdictStory};
use crate::hot::link::{Outcome, Way};
use crate::limits::{DASHBOARD_BARS_MAX, DASHBOARD_WITNESSES_MAX};

/// Echoes and verdicts later than so many times the last receipt stand at the edge.
const TAIL: i64 = 2;

/// The panel `last-block`.
pub(super) fn last_block(chain: &ChainShown, now_ms: u64) -> Markup {
    let body = match &chain.last {
        Some(story) => html! {
            (head(story, now_ms))
            (waterfall(story, &chain.standings(), &chain.id("grid"), DASHBOARD_BARS_MAX))
        },
        None => empty(
            "No block yet. Hand one in: broadside submit FILE, or point the pool's \
                       submitblock at the intake (docs/ARCHITECTURE.md).",
        ),
    };
    panel("last-block", "Last block", chain, &body)
}

/// What block it is, in a line.
fn head(story: &BlockStory, now_ms: u64) -> Markup {
    let hash = story.hash.to_string();
    let counts = &story.counts;
    html! {
        p.head {
            @if let Some(height) = story.height { strong { "Height " (height) } " · " }
            a.mono href=(format!("/block/{hash}")) title=(hash) { (short_hash(&hash)) }
            " · " (ago(story.received_unix_ms, now_ms))
            " · " (bytes(story.size_bytes.into()))
            " · " (many(story.transactions.into(), "transaction", "transactions"))
            " · " (many(counts.offers.into(), "offer", "offers")) ", " (counts.settled) " ended"
            " · " span.fate.(fate_class(story)) { (story.fate.word()) }
        }
    }
}

/// The colour of what has become of a block.
pub(super) fn fate_class(story: &BlockStory) -> &'static str {
    match story.fate.word() {
        "confirmed" | "in-chain" => "ok",
        "stale" | "refused" => "bad",
        "behind" => "warn",
        _ => "wait",
    }
}

/// The colour of a node's word.
pub(super) fn verdict_class(word: &str) -> &'static str {
    match word {
        "accepted" | "duplicate" => "ok",
        "inconclusive" | "duplicate-inconclusive" => "warn",
        _ => "bad",
    }
}

/// From when to when: everything up to the receipts and the own node's verdict; later echoes only
/// as far as they do not squeeze the rest.
fn scale(story: &BlockStory) -> Scale {
    let at = |stage| story.stage_after_publishing_us(stage);
    let from = Stage::ALL.iter().filter_map(|stage| at(*stage)).min().unwrap_or(0).min(0);
    let peers = story.peers.iter();
    let ends = peers.filter_map(|peer| peer.handled_us.or(peer.acked_us).or(peer.sent_us));
    let mut ends: Vec<i64> = ends.collect();
    ends.sort_unstable();
    // Of a few peers the slowest is what one wants to see; of many it may hide the others.
    let most = ends.get(ends.len() * 95 / 100).copied().unwrap_or(0);
    let last = ends.last().copied().unwrap_or(0).min(most.saturating_mul(TAIL));
    let need = last.max(at(Stage::NodeLastByte).unwrap_or(0)).max(-from / 4);
    let verdicts = story.verdicts.iter().filter_map(|said| said.after_us);
    let late = verdicts.chain(story.peers.iter().filter_map(|peer| peer.echo_us));
    let late = late.filter(|us| *us <= need.saturating_mul(TAIL)).max().unwrap_or(0);
    Scale::new(from, need.max(late))
}

/// The drawing. `grid`: the name of its grid in the page; `bars_max`: peers drawn at most.
pub(super) fn waterfall(
    story: &BlockStory,
    standings: &Standings,
    grid: &str,
    bars_max: usize,
) -> Markup {
    let scale = scale(story);
    let drawn = story.peers.len().min(bars_max);
    html! {
        div.waterfall {
            (legend())
            (axis(scale, grid))
            ol.rows {
                (received(story, scale, grid))
                (prepared(story, scale, grid))
                (own_node(story, scale, grid))
                @for said in story.verdicts.iter().filter(|said| !said.own) {
                    (endpoint(said, scale, grid))
                }
                @for peer in &story.peers[..drawn] { (peer_row(peer, standings, scale, grid)) }
                (witnesses(story, scale, grid))
            }
            (rest(story, drawn))
            (stolen::line(story))
        }
    }
}

fn legend() -> Markup {
    let keys = [
        ("in", "coming in, checks"),
        ("sent", "sending"),
        ("acked", "until acknowledged"),
        ("handled", "until the receipt"),
        ("echo", "announced back"),
        ("ok", "verdict"),
    ];
    html! { div.legend { @for (class, name) in keys { span { i.key.(class) {} (name) } } } }
}

/// The moments along the top, and the grid that every row uses.
fn axis(scale: Scale, grid: &str) -> Markup {
    html! {
        div.row.scale aria-hidden="true" {
            span.who { "after publishing" }
            svg.bar {
                defs {
                    g id=(grid) {
                        @for tick in scale.ticks() {
                            @let x = percent(scale.place(tick));
                            line.grid.zero[tick == 0] x1=(x) x2=(x) y1="0" y2="100%" {}
                        }
                    }
                }
                @for tick in scale.ticks() {
                    text.tick x=(percent(scale.place(tick))) y="12" { (tick_text(tick)) }
                }
            }
            span.when {}
        }
    }
}

fn tick_text(tick_us: i64) -> String {
    match tick_us.abs() {
        0 => "0".to_owned(),
        1..1_000 => format!("{tick_us} µs"),
        1_000..10_000_000 if tick_us % 1_000 != 0 => format!("{:.1} ms", tick_us as f64 / 1e3),
        1_000..10_000_000 => format!("{} ms", tick_us / 1_000),
        _ => us(tick_us),
    }
}

/// One row: who, the drawing, and the numbers in words.
struct Row<'a> {
    class: &'static str,
    who: Markup,
    /// What the drawing says, for those who do not see it.
    said: &'a str,
    drawing: Markup,
    when: Markup,
}

fn row(row: &Row<'_>, grid: &str) -> Markup {
    html! {
        li.row.(row.class) {
            span.who { (row.who) }
            svg.bar role="img" aria-label=(row.said) {
                title { (row.said) }
                use href=(format!("#{grid}")) {}
                (row.drawing)
            }
            span.when { (row.when) }
        }
    }
}

/// A stretch of time.
fn span(scale: Scale, class: &str, from_us: Option<i64>, to_us: Option<i64>) -> Markup {
    let (Some(from), Some(to)) = (from_us, to_us) else {
        return Markup::default();
    };
    let (x, end) = (scale.place(from), scale.place(to.max(from)));
    html! {
        rect.(class) x=(percent(x)) y="4" width=(percent((end - x).max(0.15))) height="10" {}
    }
}

/// A moment; beyond the scale an arrow at its edge.
fn mark(scale: Scale, class: &str, at_us: Option<i64>) -> Markup {
    let Some(at) = at_us else {
        return Markup::default();
    };
    html! {
        @if scale.is_beyond(at) {
            text.beyond.(class) x="100%" y="13" { "▸" }
        } @else {
            circle.(class) cx=(percent(scale.place(at))) cy="9" r="3.5" {}
        }
    }
}

/// A step on the way: a thin line.
fn step(scale: Scale, at_us: Option<i64>, name: &str) -> Markup {
    let Some(at) = at_us else {
        return Markup::default();
    };
    let x = percent(scale.place(at));
    html! { line.step x1=(x) x2=(x) y1="2" y2="16" { title { (name) " " (us(at)) } } }
}

fn received(story: &BlockStory, scale: Scale, grid: &str) -> Markup {
    let at = |stage| story.stage_after_publishing_us(stage);
    let (first, last) = (at(Stage::FirstByte), at(Stage::LastByte));
    let took = first.zip(last).map(|(first, last)| last - first);
    let said = format!("The block came in within {}", maybe_us(took));
    let drawing = html! {
        (span(scale, "in", first, last))
        (step(scale, at(Stage::Header), "header in"))
        (step(scale, at(Stage::WorkChecked), "work checked"))
    };
    let when = html! { (maybe_us(took)) };
    row(&Row { class: "own", who: html! { "received" }, said: &said, drawing, when }, grid)
}

fn prepared(story: &BlockStory, scale: Scale, grid: &str) -> Markup {
    let at = |stage| story.stage_after_publishing_us(stage);
    let (last, published) = (at(Stage::LastByte), at(Stage::Published));
    let took = last.zip(published).map(|(last, published)| published - last);
    let said = format!("Checked and published {} after its last byte", maybe_us(took));
    let steps = [Stage::Walked, Stage::Checked, Stage::Compact, Stage::Published];
    let drawing = html! {
        (span(scale, "check", last, published))
        @for stage in steps { (step(scale, at(stage), &stage.word().replace('_', " "))) }
    };
    let when = html! { (maybe_us(took)) };
    row(
        &Row { class: "own", who: html! { "checked, published" }, said: &said, drawing, when },
        grid,
    )
}

fn own_node(story: &BlockStory, scale: Scale, grid: &str) -> Markup {
    let at = |stage| story.stage_after_publishing_us(stage);
    let own = story.verdicts.iter().find(|said| said.own);
    let (first, last) = (at(Stage::NodeFirstByte), at(Stage::NodeLastByte));
    if own.is_none() && first.is_none() {
        return Markup::default();
    }
    let said_at = own.and_then(|said| said.after_us);
    let word = own.map_or_else(|| "no verdict yet".to_owned(), |said| foreign(&said.word));
    let said = format!(
        "Own node: request out after {}, {word} after {}",
        maybe_us(last),
        maybe_us(said_at)
    );
    let class = own.map_or("wait", |said| verdict_class(&said.word));
    let drawing = html! {
        (span(scale, "sent", first, last))
        (span(scale, "handled", last.or(Some(0)), said_at))
        (mark(scale, class, said_at))
    };
    let when = html! { span.fate.(class) { (word) } " " (maybe_us(said_at)) };
    row(&Row { class: "own", who: html! { "own node" }, said: &said, drawing, when }, grid)
}

fn endpoint(it: &VerdictStory, scale: Scale, grid: &str) -> Markup {
    let (word, node) = (foreign(&it.word), foreign(&it.node));
    let class = verdict_class(&it.word);
    let said = format!("Endpoint {node}: {word} after {}", maybe_us(it.after_us));
    let drawing = html! {
        (span(scale, "handled", Some(0), it.after_us))
        (mark(scale, class, it.after_us))
    };
    let when = html! { span.fate.(class) { (word) } " " (maybe_us(it.after_us)) };
    row(
        &Row { class: "node", who: html! { span.mono { (node) } }, said: &said, drawing, when },
        grid,
    )
}

/// The colour of how an offer ended.
pub(super) const fn outcome_class(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Handled | Outcome::AlreadyHad) => "ok",
        Some(Outcome::Unanswered | Outcome::Abandoned) => "warn",
        Some(_) => "bad",
        None => "wait",
    }
}

/// Who a peer is.
pub(super) fn who(peer: &PeerStory, standings: &Standings) -> Markup {
    let standing = peer.address.and_then(|address| standings.get(&address));
    html! {
        @if standing == Some(&Standing::Protected) { "own node as a peer " }
        @match peer.address {
            Some(address) => span.mono { (address) },
            None => { "connection " (peer.connection) },
        }
    }
}

fn peer_row(peer: &PeerStory, standings: &Standings, scale: Scale, grid: &str) -> Markup {
    let outcome = peer.outcome.map_or("under way", Outcome::word);
    let said = format!(
        "{outcome}{}: queued {}, sent {}, acknowledged {}, receipt {}, announced back {}",
        peer.way.map_or_else(String::new, |way| format!(", {}", Way::word(way))),
        maybe_us(peer.submitted_us),
        maybe_us(peer.sent_us),
        maybe_us(peer.acked_us),
        maybe_us(peer.handled_us),
        maybe_us(peer.echo_us),
    );
    // What the kernel saw, where it tells.
    let wire = peer.wire_us.map(|at| format!(", on the wire {}", us(at)));
    let said = said + &wire.unwrap_or_default();
    let drawing = html! {
        (span(scale, "handled", peer.acked_us.or(peer.sent_us), peer.handled_us))
        (span(scale, "acked", peer.sent_us, peer.acked_us))
        (span(scale, "sent", peer.submitted_us, peer.sent_us))
        (step(scale, peer.wire_us, "on the wire"))
        (step(scale, peer.tcp_acked_us, "acknowledged by its TCP"))
        (mark(scale, "echo", peer.echo_us))
    };
    let class = outcome_class(peer.outcome);
    let when = html! {
        @match peer.outcome {
            Some(Outcome::Handled) => (maybe_us(peer.handled_us)),
            _ => span.fate.(class) { (outcome) },
        }
    };
    row(&Row { class: "peer", who: who(peer, standings), said: &said, drawing, when }, grid)
}

/// All who had the block although we had sent them nothing of it.
fn witnesses(story: &BlockStory, scale: Scale, grid: &str) -> Markup {
    let counts = &story.counts;
    if counts.announced == 0 && story.first_back.is_none() {
        return Markup::default();
    }
    let first = story.first_back.map(|first| {
        let by = first.address.map_or_else(|| "somebody".to_owned(), |address| address.to_string());
        format!(", the first ({}, {by}) after {}", first.voice.word(), maybe_us(first.after_us))
    });
    let said = format!(
        "{} announced it{}, {} of them on their own",
        counts.announced,
        first.unwrap_or_default(),
        counts.witnesses
    );
    let drawing = html! {
        @for (_, at) in story.scouts.iter().take(DASHBOARD_WITNESSES_MAX) { (mark(scale, "witness", *at)) }
        @if let Some(first) = &story.first_back { (mark(scale, "echo", first.after_us)) }
        (step(scale, story.half_back_us, "half of them"))
    };
    let half = story.half_back_us.map_or_else(|| NOTHING.to_owned(), us);
    let when = html! { (count(counts.announced.into())) ", half " (half) };
    row(&Row { class: "own", who: html! { "announced back" }, said: &said, drawing, when }, grid)
}

/// What is not drawn, in words.
fn rest(story: &BlockStory, drawn: usize) -> Markup {
    let more = story.peers.len() - drawn;
    let forgotten = story.peers.is_empty() && story.counts.offers > 0;
    html! {
        @if more > 0 {
            @let last = story.peers.iter().filter_map(|peer| peer.handled_us).max();
            p.note {
                "and " (many(more as u64, "more peer", "more peers")) ", the last receipt "
                (maybe_us(last)) " after publishing: "
                a href=(format!("/block/{}", story.hash)) { "all of this block" }
            }
        }
        @if forgotten { p.note { "What each peer did is no longer kept for this block." } }
    }
}
