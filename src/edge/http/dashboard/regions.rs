//! Where the peers are, and in whose network.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

use maud::{Markup, html};

use super::panels::{empty, panel};
use super::scale::percent;
use super::shown::ChainShown;
use crate::limits::DASHBOARD_REGIONS_MAX;

/// The panel `regions`.
pub(super) fn regions(chain: &ChainShown) -> Markup {
    let rows = &chain.roster.peers;
    let of_regions = most(rows.iter().map(|row| row.kin.region));
    let networks =
        most(rows.iter().map(|row| row.kin.as_number.map(|number| format!("AS{number}"))));
    let body = html! {
        @if rows.is_empty() {
            (empty("No peer is connected, so there is nothing to place."))
        } @else if of_regions.is_empty() && networks.is_empty() {
            (empty("Regions and networks are not known. Name a file that tells them: asn_db in [engine] \
                    (docs/peers.md). Peers of this host and of private networks have none."))
        } @else {
            (bars("By region", &of_regions, rows.len()))
            (bars("By network", &networks, rows.len()))
        }
    };
    panel("regions", "Peers by region and network", chain, &body)
}

/// Names and counts, the largest first; what is not known has no name and is left out.
fn most<T: Display + Hash + Eq>(names: impl Iterator<Item = Option<T>>) -> Vec<(String, usize)> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    names.flatten().for_each(|name| *counts.entry(name).or_default() += 1);
    let mut counts: Vec<_> =
        counts.into_iter().map(|(name, count)| (name.to_string(), count)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}

fn bars(title: &str, counts: &[(String, usize)], all: usize) -> Markup {
    let shown = counts.len().min(DASHBOARD_REGIONS_MAX);
    let known: usize = counts.iter().map(|(_, count)| count).sum();
    let more: usize = counts[shown..].iter().map(|(_, count)| count).sum();
    let most = counts.first().map_or(1, |(_, count)| *count);
    let wide = |count: usize| percent(100.0 * count as f64 / most.max(1) as f64);
    html! {
        h4 { (title) }
        ul.bars {
            @for (name, count) in &counts[..shown] {
                li {
                    span.who { (name) }
                    svg.bar aria-hidden="true" { rect.sent x="0" y="4" height="10" width=(wide(*count)) {} }
                    span.when { (count) }
                }
            }
        }
        @if more > 0 { p.note { (more) " in " (counts.len() - shown) " others" } }
        @if known < all { p.note { (all - known) " not known" } }
    }
}
