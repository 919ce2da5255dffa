//! Who held up the shards while a block went out.

use maud::{Markup, html};

use super::panels::empty;
use super::text::{count, many, us};
use crate::cold::stats::{BlockStory, StolenTime, Thief, runner_word};

/// Thieves that are named in the line.
const NAMED: usize = 3;

fn time(ns: u64) -> String {
    match ns {
        0 => "0".to_owned(),
        1..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", ns / 1_000),
        _ => us((ns / 1_000).cast_signed()),
    }
}

/// Its name, or what it is.
fn who(thief: &Thief) -> String {
    let kind = runner_word(thief.runner);
    match thief.name.as_str() {
        "" => format!("{kind} {}", thief.number),
        name => format!("{kind} {name}"),
    }
}

fn total(stolen: &StolenTime) -> String {
    let least = if stolen.may_lack { "at least " } else { "" };
    format!("{least}{}", time(stolen.total_ns()))
}

/// A line below the drawing; nothing where nothing is known.
pub(super) fn line(story: &BlockStory) -> Markup {
    let Some(stolen) = &story.stolen else {
        return Markup::default();
    };
    let named = stolen.thieves.iter().take(NAMED);
    let named: Vec<_> =
        named.map(|it| format!("{} on core {} {}", who(it), it.core, time(it.total_ns))).collect();
    html! {
        p.note.stolen {
            @if named.is_empty() && !stolen.may_lack {
                "Nothing held up the shards until the last receipt."
            } @else {
                "The shards were held up for " (total(stolen)) " until the last receipt"
                @if !named.is_empty() { ": " (named.join(", ")) }
            }
        }
    }
}

/// All that is known, as a table.
pub(super) fn table(story: &BlockStory) -> Markup {
    let Some(stolen) = &story.stolen else {
        return empty("Not known: see [trace] in the configuration, and docs/trace.md.");
    };
    html! {
        p { (total(stolen)) " from publishing until the last receipt" }
        @if !stolen.thieves.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Held up by" {
                table {
                    thead { tr {
                        th scope="col" { "Who" } th.num scope="col" { "Number" }
                        th.num scope="col" { "Core" } th.num scope="col" { "Times" }
                        th.num scope="col" { "Total" } th.num scope="col" { "Longest" }
                    } }
                    tbody { @for thief in &stolen.thieves {
                        tr {
                            th scope="row" { (who(thief)) }
                            td.num { (thief.number) } td.num { (thief.core) }
                            td.num { (count(thief.count)) }
                            td.num { (time(thief.total_ns)) } td.num { (time(thief.longest_ns)) }
                        }
                    } }
                }
            }
        }
        @if stolen.rest_count > 0 {
            p.note { "and " (many(stolen.rest_count, "more time", "more times")) " by others, " (time(stolen.rest_ns)) " in all" }
        }
    }
}
