//! What `tune` says, for people.

use std::fmt::Write;
use std::path::Path;

use crate::cmd::text::printable;
use crate::edge::tune::apply::{self, Row};
use crate::edge::tune::check::{Checked, State, Value};
use crate::edge::tune::knob::{Cannot, Host};
use crate::edge::tune::record::Entry;
use crate::edge::tune::undo;
use crate::edge::tune::unit::Unit;

/// Characters of a line of text, without what it is set in by.
const TEXT_CHARS: usize = 88;
/// Values of a setting that are shown one by one where all are alike. The JSON has them all.
const ALIKE_SHOWN_MAX: usize = 4;
/// A note of so many characters is a name.
const NAME_CHARS: usize = 32;

const fn word(state: State) -> &'static str {
    match state {
        State::NotHere => "not here",
        State::Ok => "ok",
        State::Unknown => "can't tell",
        State::NotFromHere => "not from here",
        State::ByHand => "by hand",
        State::Better => "could be better",
        State::Matters => "MATTERS",
    }
}

/// Everything that `check` found.
pub(super) fn checked(host: &Host, told: &[String], all: &[Checked], explain: bool) -> String {
    let mut text = about(host);
    for line in told {
        text += &format!("{line}\n");
    }
    let mut group = "";
    for checked in all {
        if checked.unit.group() != group {
            group = checked.unit.group();
            let gap = if text.ends_with("\n\n") { "" } else { "\n" };
            text += &format!("{gap}{group}\n");
        }
        let what = &checked.unit.text.what;
        text += &format!("  {:<15}  {:<32}  {what}\n", word(checked.state), checked.unit.name);
        let is_right = matches!(checked.state, State::Ok | State::NotHere);
        if explain || !is_right {
            text += &values(&checked.values);
            text += &explained(checked);
        }
    }
    if !text.ends_with("\n\n") {
        text.push('\n');
    }
    text + &summary(all)
}

fn about(host: &Host) -> String {
    let cores: Vec<_> = host.shard_cores.iter().map(ToString::to_string).collect();
    let devices = match host.devices.is_empty() {
        true => "no network device (no default route; name one with --device)".to_owned(),
        false => format!("network device {}", printable(&host.devices.join(", "))),
    };
    format!("{} cores, shards on {}; {devices}\n", host.cores.len(), cores.join(", "))
}

/// Values that are alike are told together, each note once.
fn values(all: &[Value]) -> String {
    let alike = |a: &Value, b: &Value| (&a.now, &a.wanted, a.state) == (&b.now, &b.wanted, b.state);
    let mut kinds: Vec<Vec<&Value>> = Vec::new();
    for value in all {
        match kinds.iter_mut().find(|kind| alike(kind[0], value)) {
            Some(kind) => kind.push(value),
            None => kinds.push(vec![value]),
        }
    }
    let (mut text, mut notes) = (String::new(), Vec::new());
    for kind in kinds {
        let said = match (&kind[0].now, &kind[0].wanted) {
            (Some(now), Some(wanted)) => format!("is {}, should be {}", shown(now), shown(wanted)),
            (Some(now), None) => shown(now),
            (None, _) => String::new(),
        };
        for value in kind.iter().take(ALIKE_SHOWN_MAX) {
            let is_short = value.note.chars().count() <= NAME_CHARS;
            let name = match value.note.as_str() {
                "" => String::new(),
                name if is_short => format!(" ({name})"),
                _ => String::new(),
            };
            if value.now.is_some() {
                text += &wrapped("", &format!("{}{name}: {said}", value.place));
            }
            if (value.now.is_none() || !is_short) && !notes.contains(&&value.note) {
                text += &wrapped("", &value.note);
                notes.push(&value.note);
            }
        }
        if kind.len() > ALIKE_SHOWN_MAX {
            text += &wrapped("", &format!("and {} more like these", kind.len() - ALIKE_SHOWN_MAX));
        }
    }
    text
}

fn explained(checked: &Checked) -> String {
    let unit = &checked.unit;
    let mut text = wrapped("Why: ", &unit.text.why);
    text += &wrapped("Worth: ", &unit.text.worth);
    if let Some(costs) = &unit.text.costs {
        text += &wrapped("Costs: ", costs);
    }
    if let Some(bench) = &unit.text.bench {
        text += &wrapped("Measure it: ", bench);
    }
    text += &wrapped("Source: ", &unit.text.source);
    if matches!(checked.state, State::Matters | State::Better) {
        let name = unit.name;
        text += &match unit.text.by_default {
            true => wrapped("Set it: ", &format!("broadside tune apply --only {name}")),
            false => wrapped(
                "Set it: ",
                &format!("broadside tune apply --only {name} (it is not set unless it is named)"),
            ),
        };
    }
    text.push('\n');
    text
}

fn summary(all: &[Checked]) -> String {
    let count = |state: State| all.iter().filter(|checked| checked.state == state).count();
    let states = [
        (State::Ok, "as it should be"),
        (State::Matters, "amiss where it matters"),
        (State::Better, "could be better"),
        (State::ByHand, "for a person to do"),
        (State::NotFromHere, "not to be set from here"),
        (State::Unknown, "could not be read"),
        (State::NotHere, "this host does not have"),
    ];
    let told: Vec<_> = states
        .iter()
        .filter(|(state, _)| count(*state) > 0)
        .map(|(state, words)| format!("{} {words}", count(*state)))
        .collect();
    let mut text = format!("{} settings: {}\n", all.len(), told.join(", "));
    if count(State::Matters) + count(State::Better) > 0 {
        text += "broadside tune apply sets what can be set, broadside tune undo puts it back\n";
    }
    text
}

/// What is going to be done.
pub(super) fn plan(units: &[Unit], rows: &[Row]) -> String {
    let mut text = String::new();
    let mut last = None;
    for row in rows {
        let line = match (&row.plan, &row.now) {
            (apply::Plan::Set { wanted }, Some(now)) => {
                format!("{}: {} -> {}", row.place, shown(now), shown(wanted))
            }
            (apply::Plan::ChangedByOthers { applied, wanted }, Some(now)) => format!(
                "{}: left alone: is {}, was set to {}, and something else has changed it since; \
                 --force makes it {}",
                row.place,
                shown(now),
                shown(applied),
                shown(wanted)
            ),
            (apply::Plan::AsNearAsItGoes { wanted }, Some(now)) => format!(
                "{}: stays {}, which is what the kernel made of {}",
                row.place,
                shown(now),
                shown(wanted)
            ),
            (apply::Plan::Cannot(why), _) if !matches!(why, Cannot::Missing(_)) => {
                match matches!(why, Cannot::ByHand(_)) {
                    true => format!("by hand: {why}"),
                    false => format!("not set: {why}"),
                }
            }
            _ => continue,
        };
        if last.replace(row.unit) != Some(row.unit) {
            let unit = &units[row.unit];
            text += &format!("{}: {}\n", unit.name, unit.text.what);
        }
        text += &format!("  {}\n", printable(&line));
    }
    text
}

/// What was done.
pub(super) fn applied(
    units: &[Unit],
    rows: &[Row],
    ended: &[(Row, apply::Outcome)],
    path: &Path,
    is_dry: bool,
) -> String {
    let due = rows.iter().filter(|row| matches!(row.plan, apply::Plan::Set { .. })).count();
    if is_dry {
        return format!("{due} values would be set; nothing was done\n");
    } else if due == 0 {
        return "nothing is to be set\n".to_owned();
    }
    let (mut text, mut set) = (String::new(), 0);
    for (row, outcome) in ended {
        let said = match outcome {
            apply::Outcome::Set | apply::Outcome::Already => None,
            apply::Outcome::Rounded(after) => {
                Some(format!("{}: the kernel made it {}", row.place, shown(after)))
            }
            apply::Outcome::ChangedMeanwhile(now) => Some(format!(
                "{}: left alone: something else made it {} just now",
                row.place,
                shown(now)
            )),
            apply::Outcome::Failed(why) => Some(format!("NOT SET: {why}")),
        };
        let is_set =
            !matches!(outcome, apply::Outcome::Failed(_) | apply::Outcome::ChangedMeanwhile(_));
        set += usize::from(is_set);
        if let Some(said) = said {
            text += &format!("{}: {}\n", units[row.unit].name, printable(&said));
        }
    }
    text += &format!("{set} of {due} values set");
    if set > 0 {
        text += &format!("; {} says what they were: broadside tune undo", path.display());
    }
    text + "\n"
}

/// One recorded value, what was to become of it, and what did, unless nothing was done.
pub(super) type Ended = (Entry, undo::Plan, Option<undo::Outcome>);

/// What was put back.
pub(super) fn undone(all: &[Ended], path: &Path, is_dry: bool) -> String {
    let mut text = String::new();
    for (entry, plan, outcome) in all {
        let line = match (plan, outcome) {
            (_, Some(undo::Outcome::Failed(why))) => format!("NOT PUT BACK: {why}"),
            (undo::Plan::Cannot(why), _) => format!("NOT PUT BACK: {why}"),
            (undo::Plan::Back { now }, _) => {
                format!("{}: {} -> {}", entry.place, shown(now), shown(&entry.before))
            }
            (undo::Plan::AsBefore, _) => {
                format!("{}: is {} as before", entry.place, shown(&entry.before))
            }
            (undo::Plan::Gone(why), _) => format!("{}: {why}", entry.place),
            (undo::Plan::ChangedByOthers { now, why }, _) => format!(
                "{}: left alone: is {}, and was {} before; {why}. --force puts back what was before",
                entry.place,
                shown(now),
                shown(&entry.before)
            ),
            (undo::Plan::OtherNetwork, _) => format!(
                "{}: left alone: was set in another network namespace: undo it there, or forget it \
                 with --force",
                entry.place
            ),
            (undo::Plan::UnknownUnit, _) => format!(
                "{}: left alone: this version has no such setting. Make it {} by hand, then forget \
                 it with --force",
                entry.place,
                shown(&entry.before)
            ),
            (undo::Plan::Forget, _) => {
                format!("{}: forgotten; was {} before", entry.place, shown(&entry.before))
            }
        };
        text += &format!("{}: {}\n", printable(&entry.unit), printable(&line));
    }
    let of = |wanted: undo::Outcome| {
        all.iter().filter(|(_, _, outcome)| outcome.as_ref() == Some(&wanted)).count()
    };
    let kept = all.iter().filter(|(_, _, outcome)| {
        matches!(outcome, Some(undo::Outcome::Left | undo::Outcome::Failed(_)))
    });
    if is_dry {
        let due = all.iter().filter(|(_, plan, _)| matches!(plan, undo::Plan::Back { .. }));
        return text + &format!("{} values would be put back; nothing was done\n", due.count());
    }
    text += &format!("{} of {} values put back", of(undo::Outcome::Back), all.len());
    match kept.count() {
        0 => {}
        kept => text += &format!(", {kept} stay in {}", path.display()),
    }
    text + "\n"
}

/// A value between other words.
fn shown(value: &str) -> String {
    match value {
        "" => "empty".to_owned(),
        value => printable(value),
    }
}

/// `text` behind `head` in lines of at most [`TEXT_CHARS`]; nothing for no text.
fn wrapped(head: &str, text: &str) -> String {
    let (mut lines, mut line) = (String::new(), head.to_owned());
    for word in text.split_whitespace().map(printable) {
        if line.chars().count() + word.chars().count() > TEXT_CHARS && line.len() > head.len() {
            let _ = writeln!(lines, "      {}", line.trim_end());
            line.clear();
        }
        line += &word;
        line.push(' ');
    }
    if text.is_empty() {
        return lines;
    }
    let _ = writeln!(lines, "      {}", line.trim_end());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(place: &str, now: Option<&str>, note: &str) -> Value {
        let (place, note) = (place.to_owned(), note.to_owned());
        let now = now.map(str::to_owned);
        Value { place, now, wanted: Some("0".to_owned()), state: State::Better, note }
    }

    #[test]
    fn what_is_alike_is_told_together() {
        let long = "a note of some words that is told once and no more";
        let mut all = vec![value("/a", Some("1"), "eth0-rx-0"), value("/b", Some("2"), long)];
        all.extend((0..9).map(|at| value(&format!("/c{at}"), Some("2"), long)));
        all.push(value("/d", None, "why"));
        let text = values(&all);
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(lines[0], "/a (eth0-rx-0): is 1, should be 0");
        assert_eq!(lines[1..4], ["/b: is 2, should be 0", long, "/c0: is 2, should be 0"]);
        assert_eq!(lines[6..], ["and 6 more like these", "why"]);
    }

    #[test]
    fn lines_are_short_and_show_nothing_that_a_terminal_obeys() {
        let text = wrapped("Why: ", &"many words \u{1b}[2J\n".repeat(40));
        assert!(text.lines().all(|line| line.starts_with("      ") && line.chars().count() <= 96));
        assert!(text.lines().count() > 3 && !text.contains('\u{1b}'));
        assert_eq!(wrapped("Why: ", ""), "");
    }
}
