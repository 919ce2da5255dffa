//! Looks and judges; never writes.

use serde::Serialize;

use super::knob::{Cannot, Finding, Host, Knob};
use super::unit::Unit;

/// How a setting stands. Those that need more attention are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// This host has no such thing.
    NotHere,
    /// As it should be.
    Ok,
    /// It could not be read, so who knows.
    Unknown,
    /// Not as it should be, and not to be set from here.
    NotFromHere,
    /// Not as it should be; a person has to do it.
    ByHand,
    /// It could be better, and nothing is lost that matters much.
    Better,
    /// Not as it should be, and that costs blocks time.
    Matters,
}

/// One value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Value {
    /// Where.
    pub place: String,
    /// What it is.
    pub now: Option<String>,
    /// What it should be, where it is not.
    pub wanted: Option<String>,
    /// How it stands.
    pub state: State,
    /// Why, or what to do; may be empty.
    pub note: String,
}

/// One setting, looked at.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Which.
    pub unit: Unit,
    /// How it stands: as its worst value.
    pub state: State,
    /// All its values.
    pub values: Vec<Value>,
}

impl Checked {
    /// Whether blocks lose time by it, wherever it has to be set.
    #[must_use]
    pub fn is_amiss(&self) -> bool {
        self.unit.text.matters && self.values.iter().any(|value| value.wanted.is_some())
    }
}

/// Looks at all of `units`.
#[must_use]
pub fn check(host: &Host, units: &[Unit]) -> Vec<Checked> {
    let checked = |unit: &Unit| {
        let knob = unit.knob();
        let found = knob.look(host).into_iter();
        let judged = found.map(|finding| judge(host, knob.as_ref(), unit.text.matters, finding));
        let values: Vec<_> = judged.collect();
        let state = values.iter().map(|value| value.state).max().unwrap_or(State::NotHere);
        Checked { unit: unit.clone(), state, values }
    };
    units.iter().map(checked).collect()
}

fn judge(host: &Host, knob: &dyn Knob, matters: bool, finding: Finding) -> Value {
    let Finding { place, now, wanted, note } = finding;
    let now = match now {
        Ok(now) => now,
        Err(why) => {
            let state =
                if matches!(why, Cannot::Missing(_)) { State::NotHere } else { State::Unknown };
            return Value { place, now: None, wanted: None, state, note: both(&why, &note) };
        }
    };
    let (state, note) = match wanted.as_ref().map(|_| knob.settable(host, &place)) {
        None => (State::Ok, note),
        Some(Err(why @ Cannot::ByHand(_))) => (State::ByHand, both(&why, &note)),
        // Root can: that is said once, not at each value.
        Some(Ok(()) | Err(Cannot::NotAllowed(_))) if matters => (State::Matters, note),
        Some(Ok(()) | Err(Cannot::NotAllowed(_))) => (State::Better, note),
        Some(Err(why)) => (State::NotFromHere, both(&why, &note)),
    };
    Value { place, now: Some(now), wanted, state, note }
}

fn both(why: &Cannot, note: &str) -> String {
    if note.is_empty() { why.to_string() } else { format!("{why}; {note}") }
}
