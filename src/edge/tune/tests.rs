//! Apply and undo on made-up hosts: stopped at every step, rebooted, meddled with.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use tempfile::TempDir;

use super::apply::{self, Step};
use super::here::Here;
use super::knob::{Cannot, Host};
use super::record::{Entry, Record, RecordError};
use super::undo;
use super::unit::Unit;
use crate::sim::dice::Dice;

const PLACES: [&str; 4] = ["/proc/sys/a", "/proc/sys/b", "/sys/c2/d", "/sys/c10/d"];

/// A host with four values of three settings, and its record.
struct Made {
    folder: TempDir,
    host: Host,
    units: Vec<Unit>,
}

impl Made {
    fn new(values: [&str; 4]) -> Self {
        // Where syncing costs nothing, if there is such a place: thousands of records are written.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let root = folder.path().to_owned();
        let host = Host { root, shard_cores: vec![10], cores: vec![2, 10], devices: Vec::new() };
        let unit = |name: &'static str, scope: &str, keys: &str| {
            let head = "what = 'a'\nwhy = 'b'\nsource = 'c'\nworth = 'd'\nmatters = true";
            Unit::parse(name, &format!("{head}\nscope = '{scope}'\n[how.file]\n{keys}")).unwrap()
        };
        let units = vec![
            unit("tcp/a", "network", "path = '/proc/sys/a'\nwant.exactly = '0'"),
            unit("memory/b", "host", "path = '/proc/sys/b'\nwant.at_least = [64]"),
            unit("cpu/d", "host", "path = '/sys/c{core}/d'\nwant.at_most = 10"),
        ];
        let made = Self { folder, host, units };
        made.boot("boot-1");
        made.enter("net:[1]");
        PLACES.iter().zip(values).for_each(|(place, value)| made.put(place, value));
        made
    }

    fn put(&self, place: &str, value: &str) {
        let path = self.host.path(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value).unwrap();
    }

    fn boot(&self, name: &str) {
        self.put("/proc/sys/kernel/random/boot_id", name);
    }

    fn enter(&self, network: &str) {
        let link = self.host.path("/proc/self/ns/net");
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&link);
        symlink(network, link).unwrap();
    }

    fn values(&self) -> [String; 4] {
        PLACES.map(|place| fs::read_to_string(self.host.path(place)).unwrap().trim().to_owned())
    }

    fn record(&self) -> PathBuf {
        self.folder.path().join("data/tuning.json")
    }

    fn recorded(&self) -> Vec<Entry> {
        Record::peek(&self.record()).unwrap()
    }

    /// Applies; `tell` may end it. What each value's end was.
    fn apply(
        &self,
        by_force: bool,
        tell: &mut dyn FnMut(&Step<'_>),
    ) -> Result<Vec<(String, apply::Outcome)>, RecordError> {
        let mut record = Record::open(&self.record())?;
        let here = Here::look(&self.host);
        let rows = apply::plan(&self.host, &self.units, &record.entries, &here, by_force);
        let mut ended = Vec::new();
        let mut note = |step: Step<'_>| {
            tell(&step);
            if let Step::Ended(row, outcome) = step {
                ended.push((row.place.clone(), outcome));
            }
        };
        apply::apply(&self.host, &self.units, &mut record, &here, &rows, &mut note)?;
        Ok(ended)
    }

    fn plans(&self, by_force: bool) -> Vec<apply::Plan> {
        let here = Here::look(&self.host);
        let rows = apply::plan(&self.host, &self.units, &self.recorded(), &here, by_force);
        rows.into_iter().map(|row| row.plan).collect()
    }

    /// Undoes; `tell` may end it.
    fn undo(
        &self,
        by_force: bool,
        tell: &mut dyn FnMut(&undo::Step<'_>),
    ) -> Result<Vec<(String, undo::Outcome)>, RecordError> {
        let mut record = Record::open(&self.record())?;
        let here = Here::look(&self.host);
        let mut ended = Vec::new();
        let mut note = |step: undo::Step<'_>| {
            tell(&step);
            if let undo::Step::Ended(entry, _, outcome) = step {
                ended.push((entry.place.clone(), outcome));
            }
        };
        let all = |_: &Entry| true;
        let (host, units) = (&self.host, &self.units);
        undo::undo(host, units, &mut record, &here, by_force, &all, &mut note)?;
        Ok(ended)
    }
}

fn quiet(_: &Step<'_>) {}
fn still(_: &undo::Step<'_>) {}

/// Whether `work` came to its end before the step number `at`, at which it is ended.
fn stopped_at<T>(at: usize, work: impl FnOnce(&mut dyn FnMut()) -> T) -> bool {
    let steps = Cell::new(0);
    let mut step = || {
        steps.set(steps.get() + 1);
        assert!(steps.get() != at, "stopped here, as it is meant to be");
    };
    catch_unwind(AssertUnwindSafe(|| work(&mut step))).is_err()
}

const AS_FOUND: [&str; 4] = ["1", "0", "50", "5"];
const AS_WANTED: [&str; 4] = ["0", "64", "10", "5"];

#[test]
fn what_is_set_is_put_back() {
    let made = Made::new(AS_FOUND);
    let set = made.apply(false, &mut quiet).unwrap();
    assert_eq!(set.len(), 3);
    assert!(set.iter().all(|(_, outcome)| *outcome == apply::Outcome::Set), "{set:?}");
    assert_eq!(made.values(), AS_WANTED);
    let first = fs::read(made.record()).unwrap();
    assert!(made.apply(false, &mut quiet).unwrap().is_empty(), "a second one has nothing to do");
    assert_eq!(fs::read(made.record()).unwrap(), first);
    let back = made.undo(false, &mut still).unwrap();
    let order: Vec<_> = back.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(order, [PLACES[2], PLACES[1], PLACES[0]], "newest first");
    assert_eq!(made.values(), AS_FOUND);
    assert!(!made.record().exists());
    assert!(made.undo(false, &mut still).unwrap().is_empty());
}

/// Stopped at each step, with a kernel that makes 37 of 64, and stopped again while it is put back.
#[test]
fn a_stop_at_any_step_leaves_nothing_that_undo_does_not_put_back() {
    let mut stops = 0;
    for at in 1.. {
        let made = Made::new(AS_FOUND);
        let applied = stopped_at(at, |step| {
            made.apply(false, &mut |told| {
                if let Step::Written(row) = told
                    && row.place == PLACES[1]
                {
                    made.put(PLACES[1], "37");
                }
                step();
            })
        });
        for again in 1.. {
            let undone = stopped_at(again, |step| made.undo(false, &mut |_| step()).unwrap());
            stops += 1;
            if !undone {
                break;
            }
        }
        assert_eq!(made.values(), AS_FOUND, "stopped at step {at}");
        assert!(!made.record().exists(), "stopped at step {at}");
        if !applied {
            break;
        }
    }
    assert!(stops > 20, "{stops}");
}

/// A second apply goes on, and from then on it is known what is ours.
#[test]
fn an_apply_that_was_stopped_is_completed_by_the_next() {
    for at in 1.. {
        let made = Made::new(AS_FOUND);
        let stopped = stopped_at(at, |step| made.apply(false, &mut |_| step()).unwrap());
        made.apply(false, &mut quiet).unwrap();
        assert_eq!(made.values(), AS_WANTED, "stopped at step {at}");
        let entries = made.recorded();
        assert_eq!(entries.len(), 3);
        for entry in &entries {
            assert!(!entry.under_way && entry.applied.as_ref() == Some(&entry.wanted), "{entry:?}");
        }
        made.put(PLACES[1], "33");
        made.undo(false, &mut still).unwrap();
        assert_eq!(made.values(), ["1", "33", "50", "5"], "what is in between is somebody else's");
        if !stopped {
            break;
        }
    }
}

#[test]
fn what_the_kernel_rounds_is_known_by_what_it_made_of_it() {
    let made = Made::new(AS_FOUND);
    let mut rounding = |told: &Step<'_>| {
        if matches!(told, Step::Written(row) if row.place == PLACES[1]) {
            made.put(PLACES[1], "37");
        }
    };
    let set = made.apply(false, &mut rounding).unwrap();
    assert_eq!(set[1].1, apply::Outcome::Rounded("37".to_owned()));
    let wanted = "64".to_owned();
    assert_eq!(made.plans(false)[1], apply::Plan::AsNearAsItGoes { wanted: wanted.clone() });
    assert_eq!(made.plans(true)[1], apply::Plan::Set { wanted });
    made.put(PLACES[1], "36");
    let left = made.undo(false, &mut still).unwrap();
    assert!(left.contains(&(PLACES[1].to_owned(), undo::Outcome::Left)), "not ours any more");
    made.put(PLACES[1], "37");
    made.undo(false, &mut still).unwrap();
    assert_eq!(made.values(), AS_FOUND);
}

#[test]
fn what_others_change_is_theirs_unless_forced() {
    let made = Made::new(AS_FOUND);
    made.apply(false, &mut quiet).unwrap();
    made.put(PLACES[2], "70");
    let plan = &made.plans(false)[2];
    assert!(matches!(plan, apply::Plan::ChangedByOthers { applied, .. } if applied == "10"));
    assert!(made.apply(false, &mut quiet).unwrap().is_empty());
    let back = made.undo(false, &mut still).unwrap();
    assert_eq!(back[0], (PLACES[2].to_owned(), undo::Outcome::Left));
    assert_eq!(made.values(), ["1", "0", "70", "5"]);
    assert_eq!(made.recorded().len(), 1, "it is kept");
    // By force it is taken over, and goes back to what the others had set.
    made.apply(true, &mut quiet).unwrap();
    assert_eq!(made.values(), AS_WANTED);
    made.undo(false, &mut still).unwrap();
    assert_eq!(made.values(), ["1", "0", "70", "5"]);
    made.put(PLACES[2], "50");
    made.apply(false, &mut quiet).unwrap();
    made.put(PLACES[2], "70");
    made.undo(true, &mut still).unwrap();
    assert_eq!(made.values(), AS_FOUND);
    assert!(!made.record().exists());
}

#[test]
fn a_reboot_takes_everything_and_the_record_knows() {
    let made = Made::new(AS_FOUND);
    made.apply(false, &mut quiet).unwrap();
    // A value falls back, another is set anew by something else, a third has another default.
    made.boot("boot-2");
    ["1", "64", "60", "5"].iter().zip(PLACES).for_each(|(value, place)| made.put(place, value));
    let recorded = fs::read(made.record()).unwrap();
    let back = made.undo(false, &mut still).unwrap();
    use undo::Outcome::{Dropped, Left};
    let outcomes: Vec<_> = back.into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [Left, Left, Dropped]);
    assert_eq!(made.values(), ["1", "64", "60", "5"], "none of it is ours");
    // The same without the undo: what has to be set again is recorded again.
    fs::write(made.record(), recorded).unwrap();
    made.apply(false, &mut quiet).unwrap();
    assert_eq!(made.values(), AS_WANTED);
    let entries = made.recorded();
    assert!(entries.iter().all(|entry| entry.boot == "boot-2") && entries.len() == 2);
    made.undo(false, &mut still).unwrap();
    assert_eq!(made.values(), ["1", "64", "60", "5"]);
}

#[test]
fn another_network_is_left_alone_until_it_is_gone() {
    let made = Made::new(AS_FOUND);
    made.apply(false, &mut quiet).unwrap();
    made.enter("net:[2]");
    let undone = made.undo(false, &mut still).unwrap();
    assert_eq!(undone.last().unwrap(), &(PLACES[0].to_owned(), undo::Outcome::Left));
    assert_eq!(made.values(), ["0", "0", "50", "5"], "the host's values went back");
    // Here it is a value of its own.
    made.put(PLACES[0], "3");
    made.apply(false, &mut quiet).unwrap();
    made.undo(false, &mut still).unwrap();
    assert_eq!(made.values(), ["3", "0", "50", "5"]);
    assert_eq!(made.recorded().len(), 1);
    made.undo(true, &mut still).unwrap();
    assert_eq!(made.values(), ["3", "0", "50", "5"], "forgotten, not written");
    assert!(!made.record().exists());
}

/// Two cores share one clock: setting the one sets the other.
#[test]
fn values_that_are_one_are_put_back_too() {
    let made = Made::new(["0", "64", "50", "50"]);
    let one = made.host.path(PLACES[2]);
    fs::remove_file(made.host.path(PLACES[3])).unwrap();
    symlink(one, made.host.path(PLACES[3])).unwrap();
    let before = made.values();
    for at in 1.. {
        let stopped = stopped_at(at, |step| made.apply(false, &mut |_| step()).unwrap());
        made.undo(false, &mut still).unwrap();
        assert_eq!(made.values(), before, "stopped at step {at}");
        assert!(!made.record().exists());
        if !stopped {
            break;
        }
    }
}

#[test]
fn what_fails_is_not_recorded_and_stops_nothing() {
    let made = Made::new(AS_FOUND);
    let set = made
        .apply(false, &mut |told| match told {
            // As a kernel that takes a value and does nothing.
            Step::Written(row) if row.place == PLACES[1] => made.put(PLACES[1], "0"),
            // Something else is faster than we are.
            Step::Recorded => made.put(PLACES[2], "70"),
            _ => {}
        })
        .unwrap();
    assert_eq!(set[0].1, apply::Outcome::Set);
    assert!(
        matches!(&set[1].1, apply::Outcome::Failed(Cannot::Refused(why)) if why.contains("still"))
    );
    assert_eq!(set[2].1, apply::Outcome::ChangedMeanwhile("70".to_owned()));
    assert_eq!(made.values(), ["0", "0", "70", "5"]);
    let places: Vec<_> = made.recorded().into_iter().map(|entry| entry.place).collect();
    assert_eq!(places, [PLACES[0]]);
    made.undo(false, &mut still).unwrap();
    assert_eq!(made.values(), ["1", "0", "70", "5"]);
}

#[test]
fn without_a_record_nothing_further_is_set() {
    let made = Made::new(AS_FOUND);
    // Nothing can be written where a folder is in the way.
    let blocked = made.record().with_extension("json.new").join("in the way");
    let set = made.apply(false, &mut |told| {
        if matches!(told, Step::Ended(row, _) if row.place == PLACES[0]) {
            fs::create_dir_all(&blocked).unwrap();
        }
    });
    assert!(matches!(set, Err(RecordError::Unwritable { .. })));
    assert_eq!(made.values(), ["0", "0", "50", "5"]);
    fs::remove_dir_all(blocked.parent().unwrap()).unwrap();
    made.undo(false, &mut still).unwrap();
    assert_eq!(made.values(), AS_FOUND);
    fs::create_dir_all(&blocked).unwrap();
    assert!(made.apply(false, &mut quiet).is_err());
    assert_eq!(made.values(), AS_FOUND, "not even the first one");
}

#[test]
fn what_is_gone_or_unknown_is_said() {
    let mut made = Made::new(AS_FOUND);
    made.apply(false, &mut quiet).unwrap();
    fs::remove_file(made.host.path(PLACES[0])).unwrap();
    made.units.truncate(2);
    let back = made.undo(false, &mut still).unwrap();
    use undo::Outcome::{Back, Dropped, Left};
    let outcomes: Vec<_> = back.into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [Left, Back, Dropped]);
    assert_eq!(made.recorded()[0].before, "50");
}

/// Goal: whatever is done in whatever order, stopped wherever, undo brings back what would be there without
/// us. Method: that is kept beside: the default, what others set last, what the last boot gave.
#[test]
fn no_history_loses_a_value() {
    for seed in 0..300 {
        let mut dice = Dice::new(!seed);
        let made = Made::new(AS_FOUND);
        let mut without_us = AS_FOUND.map(str::to_owned);
        let mut boots = 1;
        for turn in 0..12 {
            let stop = if dice.one_in(2) { 1 + dice.below(12) as usize } else { usize::MAX };
            let by_force = dice.one_in(4);
            match dice.below(6) {
                0..=2 => drop(stopped_at(stop, |step| made.apply(by_force, &mut |_| step()))),
                3 => drop(stopped_at(stop, |step| made.undo(false, &mut |_| step()))),
                4 => {
                    // Of nobody else's, and not between what was and what is wanted.
                    let (at, value) = (dice.below(4) as usize, 1_000 + turn);
                    made.put(PLACES[at], &value.to_string());
                    without_us[at] = value.to_string();
                }
                _ => {
                    boots += 1;
                    made.boot(&format!("boot-{boots}"));
                    let fresh = 500 + turn;
                    without_us = [(); 4].map(|()| fresh.to_string());
                    PLACES.iter().for_each(|place| made.put(place, &fresh.to_string()));
                }
            }
        }
        made.undo(false, &mut still).unwrap();
        assert_eq!(made.values(), without_us, "seed {seed}");
    }
}
