//! `peers list`: the table and the JSON.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{Database, now_s, put};
use crate::bench::table::columns;
use crate::cmd::{Failure, Outcome};
use crate::cold::atlas::Atlas;
use crate::cold::cover::ChosenBy;
use crate::cold::diversity::Kin;
use crate::cold::score;
use crate::cold::store::places::{Place, places};
use crate::cold::store::{Loaded, Netgroup, PeerEntry};
use crate::limits::BREAKER_FAILURES;

/// What the rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    /// Rank value, the best first
    Value,
    /// Base score, the highest first
    Score,
    /// Score as p2pool forks work it out, the highest first
    Quality,
    /// Delivered blocks, the most first
    Delivered,
    /// Round trip, the nearest first
    Ping,
    /// When it was last seen, the latest first
    Seen,
    /// Address
    Address,
    /// Place in the order of service, the first served first
    Rank,
    /// Where the address is from
    Source,
    /// Why it is in or out
    State,
}

struct Row<'a> {
    address: SocketAddr,
    value: f64,
    place: Place,
    entry: &'a PeerEntry,
    /// Its place in the order of service, from 0, and what gave it that.
    seat: Option<(u32, ChosenBy)>,
    kin: Kin,
    is_connected: bool,
    /// It had a connection when the engine stopped.
    was_connected: bool,
}

/// Prints what is known. `is_running`: by an engine, and this is what it saved last.
pub(super) fn print(
    database: &Database,
    mut loaded: Loaded,
    is_running: bool,
    sort: Sort,
    json: bool,
    out: &mut impl Write,
) -> Result<Outcome, Failure> {
    let now_s = now_s();
    let before = match is_running {
        true => BTreeSet::new(),
        false => std::mem::take(&mut loaded.book.connected),
    };
    let atlas = database.asn_db.as_deref().map(Atlas::read).unwrap_or_default();
    super::warn(&atlas.doubt().map(str::to_owned).into_iter().collect::<Vec<_>>());
    let book = &loaded.book;
    // A running engine may aim at fewer, for the uplink's sake.
    let aimed = book.aimed.filter(|_| is_running).unwrap_or(database.max);
    let seats = (aimed as usize).saturating_sub(database.kept.len());
    let kin = |address| Kin::of(address, &atlas, &database.regions);
    let mut rows: Vec<_> = places(book, seats, now_s, kin)
        .into_iter()
        .filter_map(|(address, value, place)| {
            Some(Row {
                address,
                value,
                place,
                entry: book.get(address)?,
                seat: book.chosen.get(&address).copied().filter(|_| is_running),
                kin: kin(address),
                is_connected: book.connected.contains(&address),
                was_connected: before.contains(&address),
            })
        })
        .collect();
    rows.sort_by(|a, b| compare(a, b, sort, now_s));
    let text = if json {
        format!("{:#}\n", object(database, &loaded, is_running, &rows, now_s))
    } else {
        text(database, &loaded, is_running, &rows, now_s)
    };
    put(out, text.as_bytes())?;
    Ok(Outcome::Done)
}

/// Rows come sorted by rank value; equals keep that order.
fn compare(a: &Row<'_>, b: &Row<'_>, sort: Sort, now_s: f64) -> Ordering {
    let falling = |of: &dyn Fn(&Row<'_>) -> f64| of(b).total_cmp(&of(a));
    match sort {
        Sort::Value => Ordering::Equal,
        Sort::Score => falling(&|row| row.entry.score),
        Sort::Quality => falling(&|row| score::quality_score(row.entry, now_s)),
        Sort::Delivered => b.entry.successful_broadcasts.cmp(&a.entry.successful_broadcasts),
        Sort::Ping => falling(&|row| -row.entry.ping_ms.unwrap_or(f64::MAX)),
        Sort::Seen => falling(&|row| row.entry.last_seen_s),
        Sort::Address => a.address.cmp(&b.address),
        Sort::Rank => rank(a).cmp(&rank(b)),
        Sort::Source => a.entry.source.word().cmp(b.entry.source.word()),
        Sort::State => a.place.word().cmp(b.place.word()),
    }
}

/// Whoever has no place comes last.
fn rank(row: &Row<'_>) -> u32 {
    row.seat.map_or(u32::MAX, |(place, _)| place)
}

fn text(
    database: &Database,
    loaded: &Loaded,
    is_running: bool,
    rows: &[Row<'_>],
    now_s: f64,
) -> String {
    let settings = &database.settings;
    let saved = match (loaded.saved_at_s, is_running) {
        (None, _) => "nothing saved yet".to_owned(),
        (Some(at_s), true) => format!("saved by the running engine {} ago", span(now_s - at_s)),
        (Some(at_s), false) => format!("saved {} ago, no engine runs on it", span(now_s - at_s)),
    };
    let connected = rows.iter().filter(|row| row.is_connected).count();
    let banned = loaded.book.bans().count();
    let mut text = format!(
        "{} {}: {} known, {connected} connected, {banned} banned; {saved}\n",
        settings.chain,
        settings.network,
        rows.len()
    );
    const HEAD: [&str; 9] =
        ["address", "state", "value", "score", "delivered", "ping ms", "source", "seen", "why"];
    let mut cells = vec![HEAD[..8].iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()];
    let mut reasons = vec![HEAD[8].to_owned()];
    for row in rows {
        cells.push(row.cells(now_s));
        reasons.push(row.why(is_running, now_s));
    }
    for (line, why) in columns(&cells).lines().zip(&reasons) {
        text += &format!("{line}  {why}\n");
    }
    for (ban, since_s) in loaded.book.bans() {
        text += &format!("banned: {ban} for {}\n", span(now_s - since_s));
    }
    text
}

impl Row<'_> {
    fn cells(&self, now_s: f64) -> Vec<String> {
        let entry = self.entry;
        let tried = entry.successful_broadcasts.saturating_add(entry.failed_broadcasts);
        let seen = match entry.last_seen_s {
            at_s if at_s > 0.0 => span(now_s - at_s),
            _ => "-".to_owned(),
        };
        vec![
            self.address.to_string(),
            self.place.word().to_owned(),
            format!("{:.1}", self.value),
            format!("{:.1}", entry.score),
            format!("{}/{tried}", entry.successful_broadcasts),
            entry.ping_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}")),
            entry.source.word().to_owned(),
            seen,
        ]
    }

    /// Its place in the order of service, where it has one.
    fn served(&self) -> String {
        let by = |by| match by {
            ChosenBy::Cover => "by what it hears early",
            ChosenBy::Lot => "by lot",
            ChosenBy::Score => "by score",
        };
        let seat = self.seat.filter(|_| self.is_connected);
        seat.map_or_else(String::new, |(place, it)| {
            format!(", served as no. {} {}", place + 1, by(it))
        })
    }

    /// One line on why it is in or out.
    fn why(&self, is_running: bool, now_s: f64) -> String {
        let entry = self.entry;
        let failure = match entry.last_failure.as_str() {
            "" => "failed",
            word => word,
        };
        let mut why = match self.place {
            Place::Protected => format!("your own node, never given up{}", self.served()),
            Place::Fixed => format!("named in the configuration, never given up{}", self.served()),
            Place::Connected => format!("in: has a connection{}", self.served()),
            Place::Banned(since_s) => format!("out: banned for {}", span(now_s - since_s)),
            Place::Spent => {
                format!("out: score below {}, dropped at the next look", score::SCORE_DROP_BELOW)
            }
            Place::Broken { until_s } => format!(
                "out: breaker open for {} more, {} failures in a row, the last: {failure}",
                span(until_s - now_s),
                entry.failures_in_row
            ),
            Place::Waiting { until_s } => {
                format!("out: tried again in {}, the last time: {failure}", span(until_s - now_s))
            }
            Place::Crowded(full) => format!("out: {full} has as many places as it gets"),
            Place::Next(before) => format!("next for a free place, {before} before it"),
            Place::Outranked(before) => format!("out: {before} better ones"),
        };
        let is_tried = matches!(self.place, Place::Next(_) | Place::Outranked(_));
        if is_tried && entry.failures_in_row >= BREAKER_FAILURES {
            why += "; breaker half-open: one try";
        }
        if let Some(key) = entry.onion {
            why += &format!("; {key}");
        }
        if is_running && !self.is_connected && self.place.is_in() {
            why += "; AWAY now";
        }
        for word in [
            self.kin.as_number.map(|number| format!("AS{number}")),
            self.kin.region.map(|region| region.to_string()),
        ] {
            why += &word.map_or_else(String::new, |word| format!("; {word}"));
        }
        if self.was_connected {
            why += "; connected when the engine stopped";
        }
        why
    }
}

fn object(
    database: &Database,
    loaded: &Loaded,
    is_running: bool,
    rows: &[Row<'_>],
    now_s: f64,
) -> Value {
    let known = |time_s: f64| (time_s > 0.0).then_some(time_s);
    let bans = loaded.book.bans();
    let bans: Vec<_> =
        bans.map(|(ban, since_s)| json!({"address": ban.to_string(), "since": since_s})).collect();
    let peers = rows.iter().map(|row| {
        let entry = row.entry;
        json!({
            "address": row.address.to_string(),
            "state": row.place.word(),
            "why": row.why(is_running, now_s),
            "connected": row.is_connected,
            "value": row.value,
            "score": entry.score,
            "quality": score::quality_score(entry, now_s),
            "success_rate": score::success_rate(entry),
            "successful_broadcasts": entry.successful_broadcasts,
            "failed_broadcasts": entry.failed_broadcasts,
            "source": entry.source.word(),
            "source_original": entry.source_original,
            "protected": entry.protected,
            "fixed": entry.fixed,
            "ping_ms": entry.ping_ms,
            "delivery_ms": entry.delivery_ms,
            "first_seen": known(entry.first_seen_s),
            "last_seen": known(entry.last_seen_s),
            "last_connected": known(entry.last_connected_s),
            "failures_in_row": entry.failures_in_row,
            "last_failure": entry.last_failure,
            "next_try": entry.waits_until(now_s),
            "onion": entry.onion.map(|key| key.to_string()),
            "rank": row.seat.map(|(place, _)| place),
            "chosen_by": row.seat.map(|(_, by)| by.word()),
            "as_number": row.kin.as_number,
            "region": row.kin.region.map(|region| region.to_string()),
            "netgroup": Netgroup::of(row.address.ip()).map(|group| group.to_string()),
            "user_agent": entry.user_agent,
        })
    });
    let peers: Vec<_> = peers.collect();
    json!({
        "chain": database.settings.chain,
        "network": database.settings.network,
        "database": database.settings.path.display().to_string(),
        "running": is_running,
        "saved_at": loaded.saved_at_s,
        "bootstrapped": loaded.book.bootstrapped,
        "known": rows.len(),
        "bans": bans,
        "peers": peers,
    })
}

/// A length of time, in s, as one looks at it.
fn span(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests;
