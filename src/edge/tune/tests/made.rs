//! A made-up host, and how a command on it is stopped.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::edge::tune::apply::{self, Step};
use crate::edge::tune::here::Here;
use crate::edge::tune::knob::Host;
use crate::edge::tune::record::{Entry, Record, RecordError};
use crate::edge::tune::undo;
use crate::edge::tune::unit::Unit;

pub(super) const PLACES: [&str; 4] = ["/proc/sys/a", "/proc/sys/b", "/sys/c2/d", "/sys/c10/d"];

/// A host with four values of three settings, and its record.
pub(super) struct Made {
    folder: TempDir,
    pub(super) host: Host,
    pub(super) units: Vec<Unit>,
}

impl Made {
    pub(super) fn new(values: [&str; 4]) -> Self {
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

    pub(super) fn put(&self, place: &str, value: &str) {
        let path = self.host.path(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value).unwrap();
    }

    pub(super) fn boot(&self, name: &str) {
        self.put("/proc/sys/kernel/random/boot_id", name);
    }

    pub(super) fn enter(&self, network: &str) {
        let link = self.host.path("/proc/self/ns/net");
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&link);
        symlink(network, link).unwrap();
    }

    pub(super) fn values(&self) -> [String; 4] {
        PLACES.map(|place| fs::read_to_string(self.host.path(place)).unwrap().trim().to_owned())
    }

    pub(super) fn record(&self) -> PathBuf {
        self.folder.path().join("data/tuning.json")
    }

    pub(super) fn recorded(&self) -> Vec<Entry> {
        Record::peek(&self.record()).unwrap()
    }

    /// Applies; `tell` may end it. What each value's end was.
    pub(super) fn apply(
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

    pub(super) fn plans(&self, by_force: bool) -> Vec<apply::Plan> {
        let here = Here::look(&self.host);
        let rows = apply::plan(&self.host, &self.units, &self.recorded(), &here, by_force);
        rows.into_iter().map(|row| row.plan).collect()
    }

    /// Undoes; `tell` may end it.
    pub(super) fn undo(
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

pub(super) fn quiet(_: &Step<'_>) {}
pub(super) fn still(_: &undo::Step<'_>) {}

/// Whether `work` came to its end before the step number `at`, at which it is ended.
pub(super) fn stopped_at<T>(at: usize, work: impl FnOnce(&mut dyn FnMut()) -> T) -> bool {
    let steps = Cell::new(0);
    let mut step = || {
        steps.set(steps.get() + 1);
        assert!(steps.get() != at, "stopped here, as it is meant to be");
    };
    catch_unwind(AssertUnwindSafe(|| work(&mut step))).is_err()
}
