//! `bench tune`: what each setting of `tuning/` is worth. One at a time, as it is against as it should
//! be, block by block in one run.
//!
//! Settings that each network has for itself are tried in the sender's network of [`crate::sim::wan`]; nothing
//! of the host is touched. Those of the whole host are tried only when the user says so, recorded as
//! [`crate::edge::tune::apply`] does it, on a fan-out over loopback.

mod bout;
mod host;
mod scene;
mod sides;
pub mod worth;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use self::bout::Bout;
use self::scene::{Scene, scene_of};
use self::sides::{Sides, moved};
use self::worth::{Told, UnitTold};
use super::BenchError;
use super::plan::{RUNS, Site};
use super::wan::{self, honesty};
use crate::edge::tune::knob::Host;
use crate::edge::tune::unit::{Unit, chosen, units};
use crate::sim::wan::{UPLINK, Wan};

/// What the user said.
#[derive(Clone, Debug, Default)]
pub struct TuneWishes {
    /// Settings or groups of them; none: all.
    pub only: Vec<String>,
    /// Whether settings of the whole host may be changed and put back.
    pub host: bool,
    /// Where those are recorded.
    pub record: PathBuf,
    /// Pairs of each setting.
    pub runs: Option<usize>,
    /// As little as shows that it works.
    pub quick: bool,
}

/// Measures what `wishes` ask for, and tells of each setting when it is through: all of a network's
/// take 8 minutes with 5 runs.
///
/// # Errors
/// See [`BenchError`]; [`BenchError::Lacking`] where a word names no setting, or nothing could be measured
/// for want of something.
pub fn run(
    site: &Site,
    wishes: &TuneWishes,
    now: u32,
    tell: &mut dyn FnMut(&UnitTold) -> io::Result<()>,
) -> Result<Vec<UnitTold>, BenchError> {
    let lacking = |why: String| BenchError::Lacking(why);
    let all = units().map_err(|error| lacking(error.to_string()))?;
    let meant = chosen(all, &wishes.only).map_err(|error| lacking(error.to_string()))?;
    let (mut all, mut is_measured, mut missed) = (Vec::new(), false, None);
    for unit in meant {
        let told = match one(site, wishes, &unit, now) {
            // A host that was too busy for one of them may not be for the next.
            Err(BenchError::Lacking(why)) => {
                missed.get_or_insert_with(|| why.clone());
                Told::NotMeasured(why)
            }
            told => told?,
        };
        is_measured |= matches!(told, Told::Measured(_));
        let told = UnitTold { unit: unit.name, what: unit.text.what.clone(), told };
        tell(&told)?;
        all.push(told);
    }
    match missed {
        Some(why) if !is_measured => Err(lacking(why)),
        _ => Ok(all),
    }
}

fn one(site: &Site, wishes: &TuneWishes, unit: &Unit, now: u32) -> Result<Told, BenchError> {
    let runs = wishes.runs.unwrap_or(if wishes.quick { 1 } else { RUNS });
    let here = Host::look("/".as_ref(), &site.shard_cores, &[]);
    let scene = match scene_of(unit) {
        Ok(scene) => scene,
        Err(why) => return Ok(Told::NotMeasured(why)),
    };
    if scene == Scene::Loopback {
        if !wishes.host {
            let why = "of the whole host: --host changes it, measures, and puts it back";
            return Ok(Told::NotMeasured(why.to_owned()));
        }
        return host::run(site, unit, &here, &host::Wishes { runs, wishes }, now);
    }
    let case = scene.case(wishes.quick);
    let mut settings = case.network(site.sink_core);
    // As a network begins, but for what would have runs depend on each other.
    settings.stack.slow_start_after_idle = scene == Scene::Pause;
    settings.stack.keep_metrics = scene == Scene::AfterLoss;
    let wan = Arc::new(Wan::start(settings).map_err(wan::lacking)?);
    let mut notes = honesty(&wan, wishes.quick)?;
    let (unit, outside) = (unit.clone(), moved(unit.knob().look(&here), &here.devices));
    let scratch = Host { devices: vec![UPLINK.to_owned()], ..here };
    let sides = wan.sender().run(move || Sides::find(&unit, scratch, &outside))?;
    let sides = match sides {
        Ok(sides) => sides,
        Err(why) => return Ok(Told::NotMeasured(why)),
    };
    let bout = Bout {
        site: site.clone(),
        scene,
        case,
        sides,
        runs,
        now,
        strict: !wishes.quick,
        wan: Arc::clone(&wan),
    };
    let mut worth = wan.sender().run(move || bout.run())??;
    notes.append(&mut worth.notes);
    worth.notes = notes;
    Ok(Told::Measured(worth))
}
