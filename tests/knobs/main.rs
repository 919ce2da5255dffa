//! Each kind of setting that is no plain file: what is wrong is seen, set, and put back exactly.
//!
//! `network.rs` turns the knobs of a network for real, on devices of a network and mount namespace of its
//! own (needs root, `ip`, `tc`, `ethtool`); `made_up.rs` those of a host that this one need not be.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test calls fails by panicking")]

mod host;
mod made_up;
mod network;

use std::path::Path;

use broadside::edge::tune::how::{How, knob_of};
use broadside::edge::tune::knob::{Finding, Host, Knob};
use broadside::edge::tune::unit::units;

/// The knob of a unit of `tuning/`.
fn of_unit(name: &str) -> Box<dyn Knob> {
    let unit = units().unwrap().into_iter().find(|unit| unit.name == name);
    unit.unwrap_or_else(|| panic!("no unit {name}")).knob()
}

/// The knob with keys as a unit has them behind `[how.`.
fn of_keys(text: &str) -> Box<dyn Knob> {
    #[derive(serde::Deserialize)]
    struct Text {
        how: How,
    }
    knob_of(&toml::from_str::<Text>(&format!("[how.{text}")).unwrap().how)
}

fn host(root: &Path, shard_cores: &[usize], cores: &[usize], devices: &[&str]) -> Host {
    Host {
        root: root.to_owned(),
        shard_cores: shard_cores.to_vec(),
        cores: cores.to_vec(),
        devices: devices.iter().map(|device| (*device).to_owned()).collect(),
    }
}

/// A value that was set: where, and what was there before.
type Set = (String, String);

/// Sets all that is wrong and can be set, and sees that it then is as it was wanted and looks right.
fn apply(knob: &dyn Knob, host: &Host) -> Vec<Set> {
    let mut set = Vec::new();
    for Finding { place, now, wanted, .. } in knob.look(host) {
        let (Ok(now), Some(wanted)) = (now, wanted) else { continue };
        if knob.settable(host, &place).is_err() {
            continue;
        }
        assert_eq!(knob.read(host, &place).as_ref(), Ok(&now), "{place}");
        knob.write(host, &place, &wanted).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(knob.read(host, &place), Ok(wanted), "{place}");
        set.push((place, now));
    }
    let wrong = knob.look(host).into_iter().filter(|finding| finding.wanted.is_some());
    let wrong: Vec<_> = wrong.filter(|it| knob.settable(host, &it.place).is_ok()).collect();
    assert_eq!(wrong, [], "the second time there is nothing to do");
    set
}

/// Puts it all back, newest first.
fn undo(knob: &dyn Knob, host: &Host, set: &[Set]) {
    for (place, before) in set.iter().rev() {
        knob.write(host, place, before).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(knob.read(host, place).as_ref(), Ok(before), "{place}");
    }
}

/// Places and wanted values of what is wrong.
fn wrong(knob: &dyn Knob, host: &Host) -> Vec<(String, String)> {
    let found = knob.look(host).into_iter();
    found.filter_map(|finding| Some((finding.place, finding.wanted?))).collect()
}
