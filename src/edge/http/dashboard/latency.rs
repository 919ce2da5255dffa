//! How long the newest blocks took: published, and the first, the middle and the last receipt.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use maud::{Markup, html};

use super::panels::{empty, panel};
use super::scale::{LogScale, rounded};
use super::shown::ChainShown;
use super::text::{many, maybe_us, us};
use crate::cold::stats::{BlockStory, Stage};
use crate::edge::http::state::HttpState;
use crate::limits::DASHBOARD_READS_MAX;
use crate::wire::hash::BlockHash;

/// Height of the drawing, in units of its own.
const HEIGHT: f64 = 150.0;
/// Width of one block's column.
const COLUMN: f64 = 10.0;

/// One block's times, in us after its last byte had come in; `None`: not reached, or not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Latency {
    /// Its height.
    pub(super) height: Option<u32>,
    /// Until the shards were told,
    pub(super) published_us: Option<i64>,
    /// until the first receipt,
    pub(super) first_us: Option<i64>,
    /// until half of the peers had sent theirs,
    pub(super) half_us: Option<i64>,
    /// and until the last one.
    pub(super) last_us: Option<i64>,
    /// Receipts.
    pub(super) receipts: u32,
    /// Connections that it was offered to.
    pub(super) offers: u32,
}

/// The lines of the drawing: class, name, and how each is read out of a block.
type Line = (&'static str, &'static str, fn(&Latency) -> Option<i64>);
const LINES: [Line; 4] = [
    ("l-last", "last receipt", |it| it.last_us),
    ("l-half", "half of the receipts", |it| it.half_us),
    ("l-first", "first receipt", |it| it.first_us),
    ("l-pub", "published", |it| it.published_us),
];

impl Latency {
    /// Of a block with its rows.
    pub(super) fn of(story: &BlockStory) -> Self {
        let published_us = story.stage_after_publishing_us(Stage::LastByte).map(|us| -us);
        let handled = story.peers.iter().filter_map(|peer| peer.handled_us);
        let after = |us: i64| us + published_us.unwrap_or(0);
        let mut handled: Vec<i64> = handled.map(after).collect();
        handled.sort_unstable();
        let middle = (story.counts.offers as usize).div_ceil(2).checked_sub(1);
        Self {
            height: story.height,
            published_us,
            first_us: handled.first().copied(),
            half_us: middle.and_then(|at| handled.get(at).copied()),
            last_us: handled.last().copied(),
            receipts: u32::try_from(handled.len()).unwrap_or(u32::MAX),
            offers: story.counts.offers,
        }
    }

    fn told(&self) -> String {
        let height =
            self.height.map_or_else(|| "block".to_owned(), |height| format!("block {height}"));
        format!(
            "{height}: published {}, first receipt {}, half {}, last {} ({} of {} peers)",
            maybe_us(self.published_us),
            maybe_us(self.first_us),
            maybe_us(self.half_us),
            maybe_us(self.last_us),
            self.receipts,
            self.offers,
        )
    }
}

/// Times of blocks that were read before: a settled block's do not change, and its rows may be many.
#[derive(Debug, Default)]
pub(super) struct Remembered(HashMap<BlockHash, (u32, Latency)>);

impl Remembered {
    /// Those of `newest`; at most [`DASHBOARD_READS_MAX`] blocks are read anew.
    pub(super) async fn latencies(
        &mut self,
        state: &HttpState,
        newest: &[BlockStory],
    ) -> Vec<Latency> {
        let mut reads = 0;
        let mut all = Vec::with_capacity(newest.len());
        for story in newest {
            let known = self.0.get(&story.hash).copied();
            let latency = match known {
                Some((settled, latency)) if settled == story.counts.settled => latency,
                _ if !story.peers.is_empty() => self.remember(story),
                _ if reads < DASHBOARD_READS_MAX => {
                    reads += 1;
                    let whole = state.block(&story.hash).await;
                    self.remember(whole.as_ref().unwrap_or(story))
                }
                _ => known.map_or_else(|| Latency::of(story), |(_, latency)| latency),
            };
            all.push(latency);
        }
        all
    }

    fn remember(&mut self, story: &BlockStory) -> Latency {
        let latency = Latency::of(story);
        self.0.insert(story.hash, (story.counts.settled, latency));
        latency
    }

    /// Keeps only what is still among the newest.
    pub(super) fn forget_all_but(&mut self, chains: &[ChainShown]) {
        let newest = chains.iter().flat_map(|chain| &chain.newest).map(|story| story.hash);
        let newest: HashSet<BlockHash> = newest.collect();
        self.0.retain(|hash, _| newest.contains(hash));
    }
}

/// The panel `latency`.
pub(super) fn latency(chain: &ChainShown) -> Markup {
    let times = chain.latencies.iter().flat_map(|it| LINES.iter().filter_map(|line| line.2(it)));
    let body = match LogScale::around(times) {
        Some(scale) => drawing(&chain.latencies, scale),
        None => empty("No times yet: they are drawn from the first block on."),
    };
    panel("latency", "Latency history", chain, &body)
}

fn drawing(latencies: &[Latency], scale: LogScale) -> Markup {
    // Oldest at the left.
    let blocks: Vec<&Latency> = latencies.iter().rev().collect();
    let width = COLUMN * blocks.len().max(1) as f64;
    let last = latencies.first().map(Latency::told).unwrap_or_default();
    let said = format!(
        "Times of the newest {} after the last byte, on a logarithmic scale. Newest: {last}",
        many(blocks.len() as u64, "block", "blocks")
    );
    let y = |time_us: i64| rounded(HEIGHT * (1.0 - scale.place(time_us)));
    html! {
        div.legend {
            @for (class, name, _) in LINES { span { i.key.(class) {} (name) } }
        }
        div.chart {
            div.axis aria-hidden="true" {
                @for tick in scale.ticks().iter().rev() { span { (decade(*tick)) } }
            }
            svg.plot viewBox=(format!("0 0 {} {HEIGHT}", rounded(width))) preserveAspectRatio="none"
                role="img" aria-label=(said) {
                @for tick in scale.ticks() {
                    path.grid d=(format!("M0 {}H{}", y(tick), rounded(width))) {}
                }
                @for (class, _, of) in LINES {
                    path.line.(class) d=(line(&blocks, of, y)) {}
                    path.dots.(class) d=(dots(&blocks, of, y)) {}
                }
                @for (at, block) in blocks.iter().enumerate() {
                    rect.hit x=(rounded(at as f64 * COLUMN)) y="0" width="10" height="150" {
                        title { (block.told()) }
                    }
                }
            }
        }
        p.note {
            "After the last byte in, newest " (many(blocks.len() as u64, "block", "blocks"))
            ", newest at the right. Newest: " (last)
        }
    }
}

fn decade(time_us: i64) -> String {
    match time_us {
        0..1_000 => format!("{time_us} µs"),
        1_000..1_000_000 => format!("{} ms", time_us / 1_000),
        1_000_000..60_000_000 => format!("{} s", time_us / 1_000_000),
        _ => us(time_us),
    }
}

fn column(at: usize) -> String {
    rounded((at as f64 + 0.5) * COLUMN)
}

/// A line through the blocks that have this time; a gap where one has not.
fn line(blocks: &[&Latency], of: fn(&Latency) -> Option<i64>, y: impl Fn(i64) -> String) -> String {
    let (mut path, mut is_drawing) = (String::new(), false);
    for (at, block) in blocks.iter().enumerate() {
        let Some(time_us) = of(block) else {
            is_drawing = false;
            continue;
        };
        let to = if is_drawing { 'L' } else { 'M' };
        // Writing to a string does not fail.
        let _ = write!(path, "{to}{} {}", column(at), y(time_us));
        is_drawing = true;
    }
    path
}

/// A dot for each of them: a line of no length with round ends stays round when it is stretched.
fn dots(blocks: &[&Latency], of: fn(&Latency) -> Option<i64>, y: impl Fn(i64) -> String) -> String {
    let mut path = String::new();
    for (at, block) in blocks.iter().enumerate() {
        if let Some(time_us) = of(block) {
            let _ = write!(path, "M{} {}h0", column(at), y(time_us));
        }
    }
    path
}
