//! Apply and undo on made-up hosts: stopped at every step, rebooted, meddled with.

mod made;

use std::fs;
use std::os::unix::fs::symlink;

use super::apply::{self, Step};
use super::knob::Cannot;
use super::record::RecordError;
use super::undo;
use crate::sim::dice::Dice;
use made::{Made, PLACES, quiet, still, stopped_at};

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
