//! `kill -9` at every step of apply and of undo: a process of its own, which ends itself there.

use std::cell::Cell;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use broadside::edge::tune::apply;
use broadside::edge::tune::here::Here;
use broadside::edge::tune::knob::Host;
use broadside::edge::tune::record::Record;
use broadside::edge::tune::undo;
use rustix::process::{Signal, getpid, kill_process};

use super::world::{Dump, HOST_UNITS, NETWORK_UNITS, Place, host_values, only, recorded, units_of};

/// What the process is told: `apply` or `undo`, which units, at which step it ends, and the record.
const VARIABLES: [&str; 4] = ["TUNE_DO", "TUNE_UNITS", "TUNE_KILLED_AT", "TUNE_RECORD"];

/// Not a test by itself: what [`run_killed`] starts.
#[test]
#[ignore = "started by the tests that need it"]
fn a_process_that_is_killed() {
    let [what, units, at, record] = VARIABLES.map(|name| std::env::var(name).unwrap());
    let at: u32 = at.parse().unwrap();
    let count = Cell::new(0);
    let step = || {
        count.set(count.get() + 1);
        if count.get() == at {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    };
    let units = units_of(&units.split(' ').collect::<Vec<_>>());
    let host = Host::look(Path::new("/"), &[0], &[]);
    let here = Here::look(&host);
    let mut record = Record::open(Path::new(&record)).unwrap();
    if what == "apply" {
        let rows = apply::plan(&host, &units, &record.entries, &here, false);
        apply::apply(&host, &units, &mut record, &here, &rows, &mut |_| step()).unwrap();
    } else {
        let all = |_: &_| true;
        undo::undo(&host, &units, &mut record, &here, false, &all, &mut |_| step()).unwrap();
    }
}

/// Runs that process; whether it was killed before it was done.
fn is_killed(place: &Place, what: &str, units: &[&str], at: u32) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::a_process_that_is_killed", "--ignored", "--test-threads=1"]);
    let told = [what.to_owned(), units.join(" "), at.to_string(), text(&place.record)];
    command.envs(VARIABLES.into_iter().zip(told));
    let output = place.within(move || command.output().unwrap());
    let status: ExitStatus = output.status;
    assert!(status.success() || status.signal() == Some(9), "{output:?}");
    !status.success()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_network_is_put_back_after_each() {
    let Some(place) = Place::network() else { return };
    let before = place.dump();
    let mut at = 1;
    while is_killed(&place, "apply", &NETWORK_UNITS, at) {
        let undone = place.tune("undo", &[], &[]);
        assert_eq!(undone.code, 0, "killed at {at}: {}{}", undone.out, undone.errors);
        assert_eq!(place.dump(), before, "killed at {at}");
        assert!(!place.record.exists(), "killed at {at}");
        at += 1;
    }
    assert!(at > 10, "only {at} steps");
    // A second apply goes on where a killed one was ended, and an undo where an undo was.
    assert_eq!(place.tune("undo", &[], &[]).code, 0);
    for at in [2, 4, 6, 8] {
        assert!(is_killed(&place, "apply", &NETWORK_UNITS, at));
        let applied = place.tune("apply", &only(&NETWORK_UNITS), &[]);
        assert_eq!(applied.code, 0, "{}{}", applied.out, applied.errors);
        assert!(recorded(&place.record).len() >= 4);
        let mut step = 1;
        while is_killed(&place, "undo", &NETWORK_UNITS, step) {
            step += 1;
        }
        assert!(step > 2, "only {step} steps");
        assert_eq!(place.dump(), before, "killed at {at}");
        assert!(!place.record.exists(), "killed at {at}");
    }
}

/// The same on this host.
pub fn host_is_put_back_after_each(place: &Place, before: &Dump) {
    let mut at = 1;
    while is_killed(place, "apply", &HOST_UNITS, at) {
        let undone = place.tune("undo", &[], &[]);
        assert_eq!(undone.code, 0, "killed at {at}: {}{}", undone.out, undone.errors);
        assert_eq!(host_values(), *before, "killed at {at}");
        assert!(!place.record.exists(), "killed at {at}");
        at += 1;
    }
    assert_eq!(place.tune("undo", &[], &[]).code, 0);
    assert_eq!(host_values(), *before);
}
