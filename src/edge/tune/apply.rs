//! Sets what is not as it should be: recorded first, one value at a time, read back.

use super::here::{Belongs, Here};
use super::knob::{Cannot, Host, Knob};
use super::record::{Entry, Record, RecordError};
use super::unit::Unit;

/// What is to become of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It is as it should be.
    Right,
    /// It was set before, and the kernel made this of what was asked for.
    AsNearAsItGoes {
        /// What was asked for.
        wanted: String,
    },
    /// It is to be set.
    Set {
        /// What is asked for.
        wanted: String,
    },
    /// It was set before, and somebody else has changed it since: left alone.
    ChangedByOthers {
        /// What it had been set to.
        applied: String,
        /// What it should be.
        wanted: String,
    },
    /// It can't be read, or not be set from here.
    Cannot(Cannot),
}

/// One value and what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which of the units.
    pub unit: usize,
    /// Where.
    pub place: String,
    /// What it is now, where it can be read.
    pub now: Option<String>,
    /// What is to become of it.
    pub plan: Plan,
}

/// How setting one value has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds what was asked for.
    Set,
    /// The kernel made this of it.
    Rounded(String),
    /// It held that by itself when its turn came: another of our values brought it about.
    Already,
    /// It held something else when its turn came, so it was left alone.
    ChangedMeanwhile(String),
    /// It could not be set.
    Failed(Cannot),
}

/// What is told while values are set.
#[derive(Debug)]
pub enum Step<'a> {
    /// All that is to be set is in the record.
    Recorded,
    /// The record says that this one is being set.
    Marked(&'a Row),
    /// It was written; what came of it is not in the record yet.
    Written(&'a Row),
    /// It is done with.
    Ended(&'a Row, Outcome),
}

/// What is to be done with every value of `units`, as things stand. Changes nothing.
#[must_use]
pub fn plan(
    host: &Host,
    units: &[Unit],
    recorded: &[Entry],
    here: &Here,
    by_force: bool,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        let knob = unit.knob();
        for finding in knob.look(host) {
            let known = known(recorded, unit, &finding.place, here);
            let (now, plan) = match (finding.now, finding.wanted) {
                (Err(why), _) => (None, Plan::Cannot(why)),
                (Ok(now), None) => (Some(now), Plan::Right),
                (Ok(now), Some(wanted)) => {
                    let known = known.filter(|_| !by_force).map(|at| &recorded[at]);
                    let plan = judge(host, knob.as_ref(), &finding.place, &now, wanted, known);
                    (Some(now), plan)
                }
            };
            rows.push(Row { unit: at, place: finding.place, now, plan });
        }
    }
    rows
}

/// Where the record has this value, as one that was set in this boot and network.
fn known(recorded: &[Entry], unit: &Unit, place: &str, here: &Here) -> Option<usize> {
    recorded.iter().position(|entry| {
        entry.unit == unit.name && entry.place == place && here.belongs(entry) == Belongs::Here
    })
}

fn judge(
    host: &Host,
    knob: &dyn Knob,
    place: &str,
    now: &str,
    wanted: String,
    known: Option<&Entry>,
) -> Plan {
    match knob.settable(host, place) {
        // Who asks without the right to it is told when it comes to it.
        Ok(()) | Err(Cannot::NotAllowed(_)) => {}
        Err(why) => return Plan::Cannot(why),
    }
    let Some(known) = known else { return Plan::Set { wanted } };
    if known.applied.as_deref() == Some(now) && known.wanted == wanted {
        return Plan::AsNearAsItGoes { wanted };
    }
    if now == known.before || known.may_be_ours(now) {
        return Plan::Set { wanted };
    }
    let applied = known.applied.clone().unwrap_or_else(|| known.wanted.clone());
    Plan::ChangedByOthers { applied, wanted }
}

impl Entry {
    /// Whether `now`, which is not what was there before, can be our doing: what was asked for, what came
    /// of it, or, if we were stopped while it was being changed, something in between.
    #[must_use]
    pub fn may_be_ours(&self, now: &str) -> bool {
        let applied = self.applied.as_deref();
        // Once it is known what came of it, what was asked for is somebody else's.
        let is_told = applied == Some(now) || (applied.is_none() && self.wanted == now);
        let halfway = || {
            let ends = [Some(self.wanted.as_str()), applied].into_iter().flatten();
            ends.into_iter().any(|end| end == now || is_between(&self.before, now, end))
        };
        is_told || (self.under_way && halfway())
    }
}

/// Whether `now` holds numbers, each from its one end to its other.
fn is_between(one: &str, now: &str, other: &str) -> bool {
    let numbers =
        |text: &str| text.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>().ok();
    let (Some(one), Some(now), Some(other)) = (numbers(one), numbers(now), numbers(other)) else {
        return false;
    };
    let ends = one.iter().zip(&other).map(|(a, b)| *a.min(b)..=*a.max(b));
    one.len() == now.len()
        && now.len() == other.len()
        && ends.zip(&now).all(|(range, number)| range.contains(number))
}

/// Sets what `rows` say is to be set. Every value is in the record before the first one changes.
///
/// # Errors
/// The record can't be written: then no further value is set. What was set before is in it.
pub fn apply(
    host: &Host,
    units: &[Unit],
    record: &mut Record,
    here: &Here,
    rows: &[Row],
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<(), RecordError> {
    let kept = record.entries.clone();
    enter(units, record, here, rows);
    let due: Vec<_> = rows.iter().filter(|row| matches!(row.plan, Plan::Set { .. })).collect();
    if due.is_empty() {
        if record.entries != kept {
            record.save()?;
        }
        return Ok(());
    }
    record.save()?;
    tell(Step::Recorded);
    for row in due {
        let unit = &units[row.unit];
        let Some(at) = known(&record.entries, unit, &row.place, here) else { continue };
        let (outcome, after) = set(host, unit.knob().as_ref(), record, at, row, tell)?;
        match after {
            After::Known => record.entries[at].under_way = false,
            After::Unknown => {}
            // Nothing of ours is there but what the record had before.
            After::Unchanged => {
                let is_it = |entry: &&Entry| {
                    record.entries[at].is_same(entry) && here.belongs(entry) == Belongs::Here
                };
                match kept.iter().find(is_it).cloned() {
                    Some(before) => record.entries[at] = before,
                    None => drop(record.entries.remove(at)),
                }
            }
        }
        tell(Step::Ended(row, outcome));
    }
    record.save()
}

/// A value needs nothing. Where a command that set it was stopped, the record learns now what came of it.
fn settle(units: &[Unit], record: &mut Record, here: &Here, row: &Row, now: &str) {
    let Some(at) = known(&record.entries, &units[row.unit], &row.place, here) else { return };
    let entry = &mut record.entries[at];
    if now == entry.before {
        record.entries.remove(at);
    } else if entry.may_be_ours(now) {
        entry.applied = Some(now.to_owned());
        entry.under_way = false;
    }
}

/// What an attempt to set a value has left behind.
enum After {
    /// It is as it was.
    Unchanged,
    /// The entry says what is there.
    Known,
    /// Something of ours may be there: the mark stays.
    Unknown,
}

impl Entry {
    fn is_same(&self, other: &Self) -> bool {
        (&self.unit, &self.place, &self.network) == (&other.unit, &other.place, &other.network)
    }
}

/// Enters what is to be set, and forgets what an earlier boot took with it.
fn enter(units: &[Unit], record: &mut Record, here: &Here, rows: &[Row]) {
    for row in rows {
        let unit = &units[row.unit];
        let network = here.network_of(unit.text.scope);
        let of_earlier_boot = |entry: &Entry| {
            let is_it = entry.unit == unit.name && entry.place == row.place;
            is_it && here.belongs(entry) == Belongs::EarlierBoot
        };
        if row.now.is_some() {
            record.entries.retain(|entry| !of_earlier_boot(entry));
        }
        let Some(now) = &row.now else { continue };
        if matches!(row.plan, Plan::Right | Plan::AsNearAsItGoes { .. }) {
            settle(units, record, here, row, now);
        }
        let Plan::Set { wanted } = &row.plan else { continue };
        let fresh = Entry {
            unit: unit.name.to_owned(),
            place: row.place.clone(),
            before: now.clone(),
            wanted: wanted.clone(),
            applied: None,
            under_way: false,
            boot: here.boot.clone(),
            network,
        };
        match known(&record.entries, unit, &row.place, here) {
            None => record.entries.push(fresh),
            Some(at) => {
                let entry = &mut record.entries[at];
                if *now != entry.before && !entry.may_be_ours(now) {
                    // Taken over by force: what the other had set is what goes back.
                    *entry = fresh;
                }
            }
        }
    }
}

/// Sets one value, and notes in its entry what came of it.
fn set(
    host: &Host,
    knob: &dyn Knob,
    record: &mut Record,
    at: usize,
    row: &Row,
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<(Outcome, After), RecordError> {
    let (Plan::Set { wanted }, Some(planned)) = (&row.plan, &row.now) else {
        return Ok((Outcome::Already, After::Unchanged));
    };
    let now = match knob.read(host, &row.place) {
        Ok(now) => now,
        Err(why) => return Ok((Outcome::Failed(why), After::Unchanged)),
    };
    let entry = &mut record.entries[at];
    if now == *wanted {
        entry.wanted.clone_from(wanted);
        entry.applied = Some(now);
        return Ok((Outcome::Already, After::Known));
    } else if now != *planned {
        return Ok((Outcome::ChangedMeanwhile(now), After::Unchanged));
    }
    entry.under_way = true;
    entry.wanted.clone_from(wanted);
    record.save()?;
    tell(Step::Marked(row));
    let written = knob.write(host, &row.place, wanted);
    tell(Step::Written(row));
    let read = knob.read(host, &row.place);
    let entry = &mut record.entries[at];
    let without_effect =
        || Cannot::Refused(format!("{}: took {wanted} and still holds {now}", row.place));
    Ok(match (written, read) {
        (written, Ok(after)) if after == now => {
            (Outcome::Failed(written.err().unwrap_or_else(without_effect)), After::Unchanged)
        }
        (written, Ok(after)) => {
            entry.applied = Some(after.clone());
            let outcome = match written {
                Err(why) => Outcome::Failed(why),
                Ok(()) if after == *wanted => Outcome::Set,
                Ok(()) => Outcome::Rounded(after),
            };
            (outcome, After::Known)
        }
        (written, Err(unread)) => {
            (Outcome::Failed(written.err().unwrap_or(unread)), After::Unknown)
        }
    })
}
