//! `broadside tune` as an operator runs it: the binary itself, on network namespaces of their own and on
//! this host, whose values are all back afterwards.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]
#![allow(unreachable_pub, reason = "the files below have one reader")]

#[path = "tune/world.rs"]
mod world;

#[path = "tune/killed.rs"]
mod killed;

#[path = "tune/refused.rs"]
mod refused;

use std::fs;

use serde_json::Value;
use world::{HOST_UNITS, NETWORK_UNITS, Place, broadside, host_values, is_root, only, recorded};

#[test]
fn a_network_is_tuned_and_put_back() {
    let Some(place) = Place::network() else { return };
    let before = place.dump();
    let checked = place.run(&["tune", "check", "--json", "--only", "slow_start_after_idle"]);
    assert_eq!(checked.code, 1, "{}", checked.out);
    let report: Value = serde_json::from_str(&checked.out).unwrap();
    assert_eq!(
        (&report["ready"], &report["units"][0]["state"]),
        (&false.into(), &"matters".into())
    );
    assert_eq!(place.dump(), before, "check never writes");
    assert!(!place.record.exists());

    let dry = place.tune("apply", &only(&NETWORK_UNITS), &["--dry-run"]);
    assert_eq!(dry.code, 0);
    assert!(dry.out.contains("tcp_slow_start_after_idle: 1 -> 0"), "{}", dry.out);
    assert_eq!(place.dump(), before, "a dry run writes nothing");
    assert!(!place.record.exists());

    let applied = place.tune("apply", &only(&NETWORK_UNITS), &[]);
    assert_eq!((applied.code, applied.errors.as_str()), (0, ""), "{}", applied.out);
    let tuned = place.dump();
    let changed: Vec<_> = before.iter().filter(|(path, text)| tuned[*path] != **text).collect();
    assert_eq!(changed.len(), recorded(&place.record).len());
    assert!(changed.len() >= 3, "{changed:?}");
    assert_eq!(place.run(&["tune", "check", "--only", "slow_start_after_idle"]).code, 0);

    let record = fs::read(&place.record).unwrap();
    let again = place.tune("apply", &only(&NETWORK_UNITS), &[]);
    assert_eq!(again.code, 0);
    assert!(again.out.contains("nothing is to be set"), "{}", again.out);
    assert_eq!(fs::read(&place.record).unwrap(), record);
    assert_eq!(place.dump(), tuned);

    let undone = place.tune("undo", &[], &["--json"]);
    assert_eq!(undone.code, 0, "{}{}", undone.out, undone.errors);
    let told: Value = serde_json::from_str(&undone.out).unwrap();
    assert!(told["values"].as_array().unwrap().iter().all(|value| value["state"] == "back"));
    assert_eq!(place.dump(), before);
    assert_eq!(fs::read_dir(place.record.parent().unwrap()).unwrap().count(), 0, "nothing is left");
    let nothing = place.tune("undo", &[], &[]);
    assert_eq!(nothing.code, 0);
    assert!(nothing.out.contains("nothing of that is recorded"), "{}", nothing.out);
}

#[test]
fn parts_are_set_and_put_back_alone() {
    let Some(place) = Place::network() else { return };
    let before = place.dump();
    assert_eq!(place.tune("apply", &only(&NETWORK_UNITS), &[]).code, 0);
    let all = recorded(&place.record).len();
    let undone = place.tune("undo", &only(&["mtu_probing"]), &[]);
    assert_eq!(undone.code, 0, "{}", undone.out);
    assert_eq!(recorded(&place.record).len(), all - 1);
    assert_eq!(place.value("/proc/sys/net/ipv4/tcp_mtu_probing"), "0");
    assert_eq!(place.value("/proc/sys/net/ipv4/tcp_slow_start_after_idle"), "0");
    for words in
        [&["tune", "apply", "--only", "no_such"][..], &["tune", "undo", "--only", "no_such"]]
    {
        let wrong = place.run(words);
        assert_eq!(wrong.code, 2);
        assert!(wrong.errors.contains("no_such"), "{}", wrong.errors);
    }
    assert_eq!(place.tune("undo", &[], &[]).code, 0);
    assert_eq!(place.dump(), before);
}

#[test]
fn what_others_have_changed_is_left_to_them() {
    let Some(place) = Place::network() else { return };
    let before = place.dump();
    const WMEM: &str = "/proc/sys/net/ipv4/tcp_wmem";
    assert_eq!(place.tune("apply", &only(&NETWORK_UNITS), &[]).code, 0);
    place.put(WMEM, "4096 16384 1000000");
    let theirs = place.value(WMEM);
    let again = place.tune("apply", &only(&NETWORK_UNITS), &[]);
    assert_eq!(again.code, 1);
    assert!(again.out.contains("left alone: is 4096 16384 1000000"), "{}", again.out);
    let undone = place.tune("undo", &[], &[]);
    assert_eq!(undone.code, 1);
    assert!(undone.out.contains("changed by something else"), "{}", undone.out);
    assert_eq!(place.value(WMEM), theirs);
    assert_eq!(recorded(&place.record), [WMEM]);
    // All others are back, and that one as well once it is asked for.
    let others = |values: &world::Dump| {
        values.iter().filter(|(path, _)| path.as_str() != WMEM).count()
            == before.iter().filter(|(path, text)| values.get(*path) == Some(*text)).count()
    };
    assert!(others(&place.dump()));
    let forced = place.tune("undo", &[], &["--force"]);
    assert_eq!(forced.code, 0, "{}", forced.out);
    assert_eq!(place.dump(), before);
}

#[test]
fn another_network_is_not_touched() {
    let (Some(place), Some(other)) = (Place::network(), Place::network()) else { return };
    let (before, others) = (place.dump(), other.dump());
    assert_eq!(place.tune("apply", &only(&NETWORK_UNITS), &[]).code, 0);
    let tuned = place.dump();
    let record = place.record.to_str().unwrap();
    let undone = other.run(&["tune", "undo", "--record", record]);
    assert_eq!(undone.code, 1);
    assert!(undone.out.contains("another network namespace"), "{}", undone.out);
    assert_eq!((place.dump(), other.dump()), (tuned, others));
    assert_eq!(place.tune("undo", &[], &[]).code, 0);
    assert_eq!(place.dump(), before);
}

/// Values of the whole host: those that this one has and that do no harm for a moment.
#[test]
fn this_host_is_tuned_and_put_back() {
    if !is_root() {
        return eprintln!("SKIPPED: changing this host's values takes root");
    }
    let place = Place::host();
    let before = host_values();
    let kept = world::PutBack::new(&before);
    let applied = place.tune("apply", &only(&HOST_UNITS), &["--json"]);
    let told: Value = serde_json::from_str(&applied.out).unwrap();
    let values = told["values"].as_array().unwrap();
    let set = values.iter().filter(|value| value["state"] == "set").count();
    if set == 0 {
        return eprintln!(
            "SKIPPED: nothing is to be set on this host, or nothing can: {}",
            applied.out
        );
    }
    assert_ne!(host_values(), before);
    assert_eq!(
        place.tune("apply", &only(&HOST_UNITS), &[]).out.lines().last(),
        Some("nothing is to be set")
    );
    let undone = place.tune("undo", &[], &[]);
    assert_eq!(undone.code, 0, "{}{}", undone.out, undone.errors);
    assert_eq!(host_values(), before);
    assert!(!place.record.exists());
    killed::host_is_put_back_after_each(&place, &before);
    drop(kept);
}

#[test]
fn every_command_says_what_it_does() {
    for command in ["check", "apply", "undo"] {
        let help = broadside(&["tune", command, "--help"]);
        assert_eq!(help.code, 0);
        assert!(help.out.contains("Exit codes"), "{}", help.out);
    }
    let wrong = broadside(&["tune", "check", "--device", "no-such-device"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.errors.contains("there is none; there are lo"), "{}", wrong.errors);
}
