//! Puts back what the record says was set, newest first, and nothing else.

use super::here::{Belongs, Here, may_be_alive};
use super::knob::{Cannot, Host, Knob};
use super::record::{Entry, Record, RecordError};
use super::unit::Unit;

/// What is to become of one recorded value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It goes back to what it was.
    Back {
        /// What it is now.
        now: String,
    },
    /// It is what it was before: its entry goes.
    AsBefore,
    /// What it belonged to is gone, and it with that: its entry goes.
    Gone(&'static str),
    /// It is neither what it was before nor what it was set to: somebody else's, left alone.
    ChangedByOthers {
        /// What it is now.
        now: String,
        /// How that is known.
        why: &'static str,
    },
    /// It is in another network namespace: to be put back there.
    OtherNetwork,
    /// This version has no such setting: to be put back by hand.
    UnknownUnit,
    /// Its entry goes, and what it names stays as it is: the user says so.
    Forget,
    /// It can't be read.
    Cannot(Cannot),
}

/// How putting one value back has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is what it was before.
    Back,
    /// Nothing was to be done, or nothing more can be: its entry is gone.
    Dropped,
    /// Left alone; its entry is kept.
    Left,
    /// It could not be put back; its entry is kept.
    Failed(Cannot),
}

/// What is told while values are put back.
#[derive(Debug)]
pub enum Step<'a> {
    /// The record says that this one is being put back.
    Marked(&'a Entry),
    /// It was written; the record still has it.
    Written(&'a Entry),
    /// It is done with.
    Ended(&'a Entry, &'a Plan, Outcome),
}

/// Why a value that was changed since is another's.
const SINCE: &str = "changed by something else since it was set";
/// The same after a reboot, which takes all that was set with it.
const REBOOTED: &str = "what was set went with the last boot, so something else has set this since";

/// What is to be done with each of `entries`, as things stand. Changes nothing.
#[must_use]
pub fn plan(
    host: &Host,
    units: &[Unit],
    entries: &[Entry],
    here: &Here,
    by_force: bool,
) -> Vec<Plan> {
    entries.iter().map(|entry| judge(host, units, entry, here, by_force)).collect()
}

fn judge(host: &Host, units: &[Unit], entry: &Entry, here: &Here, by_force: bool) -> Plan {
    let belongs = here.belongs(entry);
    if belongs == Belongs::OtherNetwork {
        return match &entry.network {
            Some(network) if !may_be_alive(host, here, network) => {
                Plan::Gone("its network namespace is gone")
            }
            _ if by_force => Plan::Forget,
            _ => Plan::OtherNetwork,
        };
    }
    let Some(unit) = units.iter().find(|unit| unit.name == entry.unit) else {
        return if by_force { Plan::Forget } else { Plan::UnknownUnit };
    };
    match unit.knob().read(host, &entry.place) {
        Err(Cannot::Missing(_)) => Plan::Gone("it is not there any more"),
        Err(why) => Plan::Cannot(why),
        Ok(now) if now == entry.before => Plan::AsBefore,
        Ok(now) if by_force => Plan::Back { now },
        Ok(now) if belongs == Belongs::EarlierBoot => Plan::ChangedByOthers { now, why: REBOOTED },
        Ok(now) if entry.may_be_ours(&now) => Plan::Back { now },
        Ok(now) => Plan::ChangedByOthers { now, why: SINCE },
    }
}

/// Puts back those of the record's values that `is_meant`, newest first; the record shrinks with each, and
/// goes with the last one.
///
/// # Errors
/// The record can't be written: then no further value is put back.
pub fn undo(
    host: &Host,
    units: &[Unit],
    record: &mut Record,
    here: &Here,
    by_force: bool,
    is_meant: &dyn Fn(&Entry) -> bool,
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<(), RecordError> {
    for at in (0..record.entries.len()).rev() {
        let entry = record.entries[at].clone();
        if !is_meant(&entry) {
            continue;
        }
        // Each in its turn: putting one back may have changed the next.
        let plan = judge(host, units, &entry, here, by_force);
        let outcome = match &plan {
            Plan::AsBefore | Plan::Gone(_) | Plan::Forget => Outcome::Dropped,
            Plan::ChangedByOthers { .. } | Plan::OtherNetwork | Plan::UnknownUnit => Outcome::Left,
            Plan::Cannot(why) => Outcome::Failed(why.clone()),
            Plan::Back { now } => {
                let unit = units.iter().find(|unit| unit.name == entry.unit);
                match unit {
                    Some(unit) => put_back(host, unit.knob().as_ref(), record, at, now, tell)?,
                    None => Outcome::Left,
                }
            }
        };
        if matches!(outcome, Outcome::Back | Outcome::Dropped) {
            record.entries.remove(at);
        }
        tell(Step::Ended(&entry, &plan, outcome));
    }
    record.save()
}

fn put_back(
    host: &Host,
    knob: &dyn Knob,
    record: &mut Record,
    at: usize,
    now: &str,
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<Outcome, RecordError> {
    let entry = &mut record.entries[at];
    // What is there now is what goes, whatever the record says that it should be.
    entry.applied = Some(now.to_owned());
    entry.under_way = true;
    let entry = entry.clone();
    record.save()?;
    tell(Step::Marked(&entry));
    let written = knob.write(host, &entry.place, &entry.before);
    tell(Step::Written(&entry));
    let after = knob.read(host, &entry.place);
    let kept = &mut record.entries[at];
    Ok(match (written, after) {
        (_, Ok(after)) if after == entry.before => Outcome::Back,
        (written, Ok(after)) => {
            let (place, before) = (&entry.place, &entry.before);
            let why = format!(
                "{place}: took {before} and holds {after}; if that is in use, undo again later"
            );
            kept.applied = Some(after);
            kept.under_way = false;
            Outcome::Failed(written.err().unwrap_or(Cannot::Refused(why)))
        }
        (written, Err(unread)) => Outcome::Failed(written.err().unwrap_or(unread)),
    })
}
