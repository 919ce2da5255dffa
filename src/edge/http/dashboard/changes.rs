//! Who came, who went, and who changed places in the order of service.

use maud::{Markup, html};

use super::panels::{empty, panel};
use super::shown::ChainShown;
use super::text::ago;
use crate::cold::roster::{PlaceChange, RosterChange};
use crate::limits::DASHBOARD_CHANGES_MAX;

/// The panel `changes`.
pub(super) fn changes(chain: &ChainShown, now_ms: u64) -> Markup {
    let changes = &chain.roster.changes;
    let body = if changes.is_empty() {
        empty("Nothing has changed yet: peers that come, go or change places are told here.")
    } else {
        html! { ul.events { @for one in changes.iter().take(DASHBOARD_CHANGES_MAX) { (change(one, now_ms)) } } }
    };
    panel("changes", "Rank changes", chain, &body)
}

fn change(one: &RosterChange, now_ms: u64) -> Markup {
    let at_ms = (one.at_s * 1_000.0).max(0.0) as u64;
    html! {
        li {
            @match one.change {
                PlaceChange::Joined => span.fate.ok { "joined" },
                PlaceChange::Left(_) => span.fate.bad { "left" },
                PlaceChange::Moved { from, to } if to < from => span.fate.ok { "up" },
                PlaceChange::Moved { .. } => span.fate.warn { "down" },
            }
            span.mono { (one.address) }
            span {
                @match one.change {
                    PlaceChange::Joined => {},
                    PlaceChange::Left(why) => (why),
                    PlaceChange::Moved { from, to } => { (from.saturating_add(1)) " → " (to.saturating_add(1)) },
                }
            }
            span.note { (ago(at_ms, now_ms)) }
        }
    }
}
