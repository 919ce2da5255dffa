//! `broadside tune`: makes this host ready for sending blocks, and puts it back.

mod json;
mod print;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{ConfigArgs, Failure, Outcome};
use crate::config::{Config, ConfigError, Cores};
use crate::edge::tune::apply::{self, Row};
use crate::edge::tune::check::check;
use crate::edge::tune::here::{self, Here};
use crate::edge::tune::knob::{Cannot, Host};
use crate::edge::tune::record::{Entry, Record};
use crate::edge::tune::undo;
use crate::edge::tune::unit::{Unit, chosen, to_set, units};
use crate::sys::cpu;
use crate::topology;

/// Where the record is without a configuration, as `engine.data_dir` without one.
const DATA_DIR: &str = "/var/lib/broadside";
/// The record's name in the data directory.
const RECORD: &str = "tuning.json";

/// Options of `tune`.
#[derive(Args, Debug)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Shows how each setting stands, why it matters and what it is worth; changes nothing
    ///
    /// Needs no rights; what only root can read is said to be unknown. Exit codes: 0 nothing that
    /// matters is amiss, 1 something is, 2 it could not be done.
    Check {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        place: Place,
        /// Explain the settings that are right as well
        #[arg(long)]
        all: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Sets what is not as it should be, and records what it was before
    ///
    /// Shows each value with what it becomes, writes the record, sets, reads back. Can be run again at
    /// any time; what it has set lasts until the next boot (packaging/systemd has a unit that sets it
    /// anew). Exit codes: 0 all is as it should be, 1 something could not be set or was left alone, 2
    /// it could not be done.
    Apply {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Puts back what apply has set, as it was before
    ///
    /// What something else has changed since is left alone. Also after a reboot, and after an apply that
    /// was killed. Exit codes: 0 all is as it was, 1 something was left alone or could not be put back,
    /// 2 it could not be done.
    Undo {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: HowArgs,
    },
}

/// Which settings.
#[derive(Args, Clone, Debug)]
struct Which {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only this setting, or this group of settings; can be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

/// Which part of the host.
#[derive(Args, Clone, Debug)]
struct Place {
    /// Network device that blocks leave by; can be given several times [default: those of the default
    /// routes]
    #[arg(long, value_name = "NAME")]
    device: Vec<String>,
}

/// How values are changed.
#[derive(Args, Clone, Debug)]
struct HowArgs {
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Change also what something else has changed since
    #[arg(long)]
    force: bool,
    /// The record of what was set [default: tuning.json in engine.data_dir]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command; `out` is standard output.
///
/// # Errors
/// The configuration or the record can't be used, or nothing may be changed by this user.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Failure> {
    match &options.what {
        What::Check { which, place, all, json } => {
            let (_, host) = look(which, place)?;
            let checked = check(&host, &chosen(units()?, &which.only)?);
            let told = here::surroundings(&host);
            let text = if *json {
                json::checked(&host, &told, &checked)
            } else {
                print::checked(&host, &told, &checked, *all || !which.only.is_empty())
            };
            out.write_all(text.as_bytes())?;
            let is_amiss = checked.iter().any(|checked| checked.is_amiss());
            Ok(if is_amiss { Outcome::No } else { Outcome::Done })
        }
        What::Apply { which, place, how } => {
            let (data_dir, host) = look(which, place)?;
            let units = to_set(units()?, &which.only)?;
            apply(&host, &units, &record(how, &data_dir), how, out)
        }
        What::Undo { which, how } => {
            // With a record named, nothing of the configuration is needed: it may be the fault.
            let data_dir = match &how.record {
                Some(_) => PathBuf::new(),
                None => data_dir(configured(&which.config)?.as_ref()),
            };
            undo(&which.only, &record(how, &data_dir), how, out)
        }
    }
}

/// The configuration, where there is one.
fn configured(arguments: &ConfigArgs) -> Result<Option<Config>, Failure> {
    match arguments.load() {
        Ok(config) => Ok(Some(config)),
        Err(ConfigError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Where the record is, unless another is named.
///
/// # Errors
/// There is a configuration, and it is wrong.
pub(super) fn usual_record(arguments: &ConfigArgs) -> Result<PathBuf, Failure> {
    Ok(data_dir(configured(arguments)?.as_ref()).join(RECORD))
}

fn data_dir(config: Option<&Config>) -> PathBuf {
    config.map_or_else(|| DATA_DIR.into(), |config| config.engine.data_dir.clone())
}

fn record(how: &HowArgs, data_dir: &Path) -> PathBuf {
    how.record.clone().unwrap_or_else(|| data_dir.join(RECORD))
}

/// The data directory, and this host as the configuration wants it used.
fn look(which: &Which, place: &Place) -> Result<(PathBuf, Host), Failure> {
    let config = configured(&which.config)?;
    let cores = match config.as_ref().map(|config| &config.engine.cores) {
        None | Some(Cores::Auto) => topology::Cores::Auto,
        Some(Cores::Named(cores)) => {
            topology::Cores::Listed(cores.iter().map(|core| *core as usize).collect())
        }
    };
    let shards = topology::plan(&cpu::available(), &cores)?.shards;
    let host = Host::look(Path::new("/"), &shards, &place.device);
    let known = here::devices(&host);
    if let Some(device) = place.device.iter().find(|device| !known.contains(device)) {
        let known = known.join(", ");
        return Err(Failure(format!("--device {device}: there is none; there are {known}")));
    }
    Ok((data_dir(config.as_ref()), host))
}

/// Who may change nothing is told so before anything is tried.
fn check_rights() -> Result<(), Failure> {
    if here::has_any_right() {
        return Ok(());
    }
    Err(Failure("not allowed to this user: run it as root; nothing was changed".to_owned()))
}

fn apply(
    host: &Host,
    units: &[Unit],
    path: &Path,
    how: &HowArgs,
    out: &mut impl Write,
) -> Result<Outcome, Failure> {
    let here = Here::look(host);
    let mut record = None;
    if !how.dry_run {
        check_rights()?;
        record = Some(Record::open(path)?);
    }
    let recorded = match &record {
        Some(record) => record.entries.clone(),
        None => Record::peek(path)?,
    };
    let rows = apply::plan(host, units, &recorded, &here, how.force);
    if !how.json {
        out.write_all(print::plan(units, &rows).as_bytes())?;
        out.flush()?;
    }
    let mut ended: Vec<(Row, apply::Outcome)> = Vec::new();
    if let Some(record) = &mut record {
        let mut note = |step: apply::Step<'_>| {
            if let apply::Step::Ended(row, outcome) = step {
                ended.push((row.clone(), outcome));
            }
        };
        apply::apply(host, units, record, &here, &rows, &mut note)?;
    }
    let text = if how.json {
        json::applied(units, &rows, &ended, path, how.dry_run)
    } else {
        print::applied(units, &rows, &ended, path, how.dry_run)
    };
    out.write_all(text.as_bytes())?;
    let is_left = |row: &Row| match &row.plan {
        apply::Plan::ChangedByOthers { .. } => true,
        // What a driver does not even tell is no setting of this host.
        apply::Plan::Cannot(Cannot::Refused(_)) => row.now.is_some(),
        apply::Plan::Cannot(why) => !matches!(why, Cannot::Missing(_) | Cannot::ByHand(_)),
        apply::Plan::Right | apply::Plan::AsNearAsItGoes { .. } | apply::Plan::Set { .. } => false,
    };
    let is_failed = |(_, outcome): &(Row, apply::Outcome)| {
        matches!(outcome, apply::Outcome::Failed(_) | apply::Outcome::ChangedMeanwhile(_))
    };
    let is_short = rows.iter().any(is_left) || ended.iter().any(is_failed);
    Ok(if is_short { Outcome::No } else { Outcome::Done })
}

fn undo(
    words: &[String],
    path: &Path,
    how: &HowArgs,
    out: &mut impl Write,
) -> Result<Outcome, Failure> {
    let (host, units) = (Host::look(Path::new("/"), &[], &[]), units()?);
    let here = Here::look(&host);
    let recorded = Record::peek(path)?;
    let is_meant = |entry: &Entry| {
        let named =
            |word: &String| *word == entry.unit || entry.unit.split('/').any(|part| part == word);
        words.is_empty() || words.iter().any(named)
    };
    // A word may name a setting that only the record has.
    if !recorded.iter().any(is_meant) {
        chosen(units.clone(), words)?;
    }
    let mut ended: Vec<print::Ended> = Vec::new();
    if how.dry_run {
        let plans = undo::plan(&host, &units, &recorded, &here, how.force);
        let planned = recorded.into_iter().zip(plans).filter(|(entry, _)| is_meant(entry));
        ended.extend(planned.rev().map(|(entry, plan)| (entry, plan, None)));
    } else if !recorded.is_empty() {
        check_rights()?;
        let mut record = Record::open(path)?;
        let mut note = |step: undo::Step<'_>| {
            if let undo::Step::Ended(entry, plan, outcome) = step {
                ended.push((entry.clone(), plan.clone(), Some(outcome)));
            }
        };
        undo::undo(&host, &units, &mut record, &here, how.force, &is_meant, &mut note)?;
    }
    if ended.is_empty() {
        return nothing_recorded(path, how, out);
    }
    let text = if how.json {
        json::undone(&ended, path, how.dry_run)
    } else {
        print::undone(&ended, path, how.dry_run)
    };
    out.write_all(text.as_bytes())?;
    let is_left = |(_, plan, _): &print::Ended| {
        use undo::Plan::{Cannot, ChangedByOthers, OtherNetwork, UnknownUnit};
        matches!(plan, ChangedByOthers { .. } | OtherNetwork | UnknownUnit | Cannot(_))
    };
    let is_failed =
        |(_, _, outcome): &print::Ended| matches!(outcome, Some(undo::Outcome::Failed(_)));
    let is_short = ended.iter().any(|it| is_left(it) || is_failed(it));
    Ok(if is_short { Outcome::No } else { Outcome::Done })
}

fn nothing_recorded(path: &Path, how: &HowArgs, out: &mut impl Write) -> Result<Outcome, Failure> {
    if how.json {
        out.write_all(json::undone(&[], path, how.dry_run).as_bytes())?;
    } else {
        writeln!(
            out,
            "{}: nothing of that is recorded, so nothing is to be put back",
            path.display()
        )?;
    }
    Ok(Outcome::Done)
}
