//! Every peer's health: who is connected and how well it does, and who is waited for.

use maud::{Markup, html};

use super::panels::{empty, panel};
use super::shown::ChainShown;
use super::text::{NOTHING, bytes, count, foreign, many, ms, share_of, until};
use crate::cold::roster::{AbsentPeer, PeerRow};
use crate::cold::score::Standing;
use crate::limits::{DASHBOARD_ABSENT_MAX, DASHBOARD_PEERS_MAX};

/// The panel `peers`.
pub(super) fn peers(chain: &ChainShown, now_ms: u64) -> Markup {
    let roster = &chain.roster;
    let mut rows: Vec<&PeerRow> = roster.peers.iter().collect();
    // The own node first, then as they are served.
    rows.sort_by_key(|row| row.standing != Standing::Protected);
    let more = rows.len().saturating_sub(DASHBOARD_PEERS_MAX);
    let absent_more = roster.absent.len().saturating_sub(DASHBOARD_ABSENT_MAX);
    let body = html! {
        @if rows.is_empty() {
            (empty("No peer is connected: check that this host may connect out, that [chain.node] p2p \
                    is right, and what broadside peers list says."))
        }
        @if !rows.is_empty() || !roster.absent.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Peers" {
                table.peers {
                    thead { tr {
                        th scope="col" { "Peer" } th scope="col" { "Blocks taken" }
                        th.num scope="col" { "Round trip" } th.num scope="col" { "Delivery" }
                        th.num scope="col" { "Place" } th scope="col" { "Source" }
                        th scope="col" { "Where" } th.num scope="col" { "Window" }
                    } }
                    tbody {
                        @for row in rows.iter().take(DASHBOARD_PEERS_MAX) { (connected(row)) }
                        @for peer in roster.absent.iter().take(DASHBOARD_ABSENT_MAX) { (absent(peer, now_ms)) }
                    }
                }
            }
        }
        @if more > 0 || absent_more > 0 {
            p.note {
                "and " (many(more as u64, "more connected", "more connected")) ", "
                (count(absent_more as u64)) " more waited for: broadside peers list names them all."
            }
        }
    };
    panel("peers", "Peer health", chain, &body)
}

/// `98.7% (46/47)`.
fn rate(good: u64, bad: u64) -> Markup {
    let all = good.saturating_add(bad);
    html! {
        @match share_of(good, all) {
            Some(share) => { (share) " " span.note.whole { "(" (count(good)) "/" (count(all)) ")" } },
            None => span.note { "no block yet" },
        }
    }
}

fn connected(row: &PeerRow) -> Markup {
    let (good, bad) = (row.successful_broadcasts, row.failed_broadcasts);
    let round_trip = row.round_trip_us.map(|us| f64::from(us) / 1e3);
    let time = |ms_known: Option<f64>| ms_known.map_or_else(|| NOTHING.to_owned(), ms);
    html! {
        tr.here {
            th scope="row" {
                span.mark.ok role="img" aria-label="connected" { "✓" } " "
                @if row.standing == Standing::Protected { strong { "own node" } " " }
                span.mono { (row.label.address) }
                @if row.standing == Standing::Fixed { " " span.tag { "fixed" } }
                span.agent { (foreign(&row.label.user_agent)) }
            }
            td data-name="Taken" { (rate(good, bad)) }
            td.num data-name="Round trip" { (time(round_trip)) }
            td.num data-name="Delivery" { (time(row.delivery_ms)) }
            td.num data-name="Place" title=(format!("by {}, score {:.0}", row.seat.1.word(), row.score)) {
                (seat(row.seat.0))
            }
            td data-name="Source" { (row.source.word().replace('_', " ")) }
            td data-name="Where" { (place(row)) }
            td.num data-name="Window" {
                (bytes(row.path.window_bytes)) " "
                @if row.path.warm { span.fate.ok { "warm" } } @else { span.fate.wait { "cold" } }
            }
        }
    }
}

/// Its place in the order of service; none is given out yet where it has just come.
fn seat(place: u32) -> String {
    place.checked_add(1).map_or_else(|| NOTHING.to_owned(), |place| place.to_string())
}

fn place(row: &PeerRow) -> Markup {
    let region = row.kin.region.map(|region| region.to_string());
    let network = row.kin.as_number.map(|number| format!("AS{number}"));
    let known: Vec<String> = region.into_iter().chain(network).collect();
    html! { @if known.is_empty() { (NOTHING) } @else { (known.join(" ")) } }
}

fn absent(peer: &AbsentPeer, now_ms: u64) -> Markup {
    let (good, bad) = (peer.successful_broadcasts, peer.failed_broadcasts);
    let wait_ms = u64::try_from(peer.next_try_in.as_millis()).unwrap_or(u64::MAX);
    html! {
        tr.gone {
            th scope="row" {
                span.mark.bad role="img" aria-label="not connected" { "✗" } " "
                @if peer.standing == Standing::Protected { strong { "own node" } " " }
                span.mono { (peer.address) }
                @if peer.standing == Standing::Fixed { " " span.tag { "fixed" } }
                span.agent {
                    (many(peer.failures.into(), "failure", "failures")) " in a row"
                    @if let Some(word) = peer.last_failure { ", the last: " (word) }
                }
            }
            td data-name="Taken" { (rate(good, bad)) }
            td colspan="3" data-name="State" {
                span.fate.warn { "reconnecting" } " "
                @if peer.is_dialled { "being dialled now" } @else {
                    "next try " (until(now_ms.saturating_add(wait_ms), now_ms))
                }
            }
            td data-name="Source" { (peer.source.word().replace('_', " ")) }
            td data-name="Where" { (NOTHING) }
            td.num data-name="Window" { (NOTHING) }
        }
    }
}
