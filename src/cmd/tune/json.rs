//! What `tune` says, for programs: one JSON object each. Keys and words stay as they are once they are out.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::print::Ended;
use crate::edge::tune::apply::{self, Row};
use crate::edge::tune::check::Checked;
use crate::edge::tune::knob::{Cannot, Host};
use crate::edge::tune::undo;
use crate::edge::tune::unit::Unit;

/// Everything that `check` found.
pub(super) fn checked(host: &Host, told: &[String], all: &[Checked]) -> String {
    let units: Vec<_> = all
        .iter()
        .map(|Checked { unit, state, values }| {
            json!({
                "name": unit.name, "group": unit.group(), "state": state,
                "matters": unit.text.matters, "by_default": unit.text.by_default,
                "scope": unit.text.scope, "what": unit.text.what, "why": unit.text.why,
                "source": unit.text.source, "worth": unit.text.worth, "bench": unit.text.bench,
                "costs": unit.text.costs, "values": values,
            })
        })
        .collect();
    let report = json!({
        "ready": !all.iter().any(Checked::is_amiss), "cores": host.cores,
        "shard_cores": host.shard_cores, "devices": host.devices, "surroundings": told,
        "units": units,
    });
    format!("{report:#}\n")
}

/// Plan and outcome.
pub(super) fn applied(
    units: &[Unit],
    rows: &[Row],
    ended: &[(Row, apply::Outcome)],
    path: &Path,
    is_dry: bool,
) -> String {
    let value = |row: &Row| {
        let outcome = ended.iter().find(|(it, _)| it.unit == row.unit && it.place == row.place);
        let outcome = outcome.map(|(_, outcome)| outcome);
        let (wanted, state, why) = match (&row.plan, outcome) {
            (apply::Plan::Right, _) => (None, "right", None),
            (apply::Plan::AsNearAsItGoes { wanted }, _) => (Some(wanted), "rounded", None),
            (apply::Plan::ChangedByOthers { wanted, .. }, _) => (Some(wanted), "changed", None),
            (apply::Plan::Cannot(why), _) => (None, kind(why), Some(why.to_string())),
            (apply::Plan::Set { wanted }, None) => (Some(wanted), "to_set", None),
            (apply::Plan::Set { wanted }, Some(outcome)) => match outcome {
                apply::Outcome::Set | apply::Outcome::Already => (Some(wanted), "set", None),
                apply::Outcome::Rounded(_) => (Some(wanted), "rounded", None),
                apply::Outcome::ChangedMeanwhile(_) => (Some(wanted), "changed", None),
                apply::Outcome::Failed(why) => (Some(wanted), "failed", Some(why.to_string())),
            },
        };
        let after = match outcome {
            Some(apply::Outcome::Rounded(after) | apply::Outcome::ChangedMeanwhile(after)) => {
                Some(after)
            }
            Some(apply::Outcome::Set | apply::Outcome::Already) => wanted,
            _ => row.now.as_ref(),
        };
        json!({
            "unit": units[row.unit].name, "place": row.place, "before": row.now,
            "wanted": wanted, "now": after, "state": state, "why": why,
        })
    };
    let values: Vec<Json> = rows.iter().map(value).collect();
    format!("{:#}\n", json!({ "record": path, "dry_run": is_dry, "values": values }))
}

fn kind(why: &Cannot) -> &'static str {
    match why {
        Cannot::Missing(_) => "not_here",
        Cannot::NotFromHere(_) => "not_from_here",
        Cannot::ByHand(_) => "by_hand",
        Cannot::NotAllowed(_) | Cannot::NoProgram { .. } | Cannot::Refused(_) => "unknown",
    }
}

/// What was put back.
pub(super) fn undone(all: &[Ended], path: &Path, is_dry: bool) -> String {
    let value = |(entry, plan, outcome): &Ended| {
        let (state, now, why) = match (plan, outcome) {
            (undo::Plan::Cannot(why), _) | (_, Some(undo::Outcome::Failed(why))) => {
                ("failed", None, Some(why.to_string()))
            }
            (undo::Plan::Back { now }, None) => ("to_put_back", Some(now), None),
            (undo::Plan::Back { .. }, Some(_)) => ("back", Some(&entry.before), None),
            (undo::Plan::AsBefore, _) => ("as_before", Some(&entry.before), None),
            (undo::Plan::Gone(why), _) => ("gone", None, Some((*why).to_owned())),
            (undo::Plan::ChangedByOthers { now, why }, _) => {
                ("changed", Some(now), Some((*why).to_owned()))
            }
            (undo::Plan::OtherNetwork, _) => ("other_network", None, None),
            (undo::Plan::UnknownUnit, _) => ("unknown_unit", None, None),
            (undo::Plan::Forget, _) => ("forgotten", None, None),
        };
        json!({
            "unit": entry.unit, "place": entry.place, "before": entry.before,
            "applied": entry.applied, "now": now, "state": state, "why": why,
        })
    };
    let values: Vec<Json> = all.iter().map(value).collect();
    format!("{:#}\n", json!({ "record": path, "dry_run": is_dry, "values": values }))
}
