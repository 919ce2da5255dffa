//! Where little or nothing may be changed: said clearly, nothing half-done.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use broadside::edge::tune::record::Record;
use serde_json::Value;

use super::world::{NETWORK_UNITS, Place, Said, only, program, recorded};

/// Whom setpriv(1) makes us.
const NOBODY: [&str; 5] = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];

/// Runs the program behind another one; none where that is not installed or not allowed.
fn behind(place: &Place, front: &[&str], arguments: &[&str]) -> Option<Said> {
    let mut command = Command::new(front[0]);
    command.args(&front[1..]).arg(program().get_program()).args(arguments).current_dir("/");
    command.env("HOME", "/nonexistent").env_remove("XDG_CONFIG_HOME");
    let said = match place.within(move || command.output()) {
        Ok(output) => Said::of(output),
        Err(error) => {
            eprintln!("SKIPPED: {}: {error}", front[0]);
            return None;
        }
    };
    if said.errors.contains(&format!("{}: ", front[0])) {
        eprintln!("SKIPPED: {}", said.errors.trim());
        return None;
    }
    Some(said)
}

#[test]
fn without_rights_all_is_seen_and_nothing_is_changed() {
    let Some(place) = Place::network() else { return };
    let nobody = [&["setpriv"][..], &NOBODY].concat();
    let Some(checked) = behind(&place, &nobody, &["tune", "check", "--json"]) else { return };
    assert_eq!(checked.code, 1, "{}", checked.errors);
    let report: Value = serde_json::from_str(&checked.out).unwrap();
    let units = report["units"].as_array().unwrap();
    let state = |name: &str| &units.iter().find(|unit| unit["name"] == name).unwrap()["state"];
    assert_eq!(state("tcp/slow_start_after_idle"), "matters");

    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let record = folder.path().join("tuning.json");
    let record = record.to_str().unwrap();
    let before = place.dump();
    let applied = behind(&place, &nobody, &["tune", "apply", "--record", record]).unwrap();
    assert_eq!(applied.code, 2);
    assert!(applied.errors.contains("run it as root; nothing was changed"), "{}", applied.errors);
    let dry = behind(&place, &nobody, &["tune", "apply", "--dry-run", "--record", record]).unwrap();
    assert!(dry.out.contains("tcp_slow_start_after_idle: 1 -> 0"), "{}{}", dry.out, dry.errors);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // Nor is a record of root's undone by others.
    assert_eq!(place.tune("apply", &only(&NETWORK_UNITS), &[]).code, 0);
    let tuned = place.dump();
    let shared = folder.path().join("shared.json");
    fs::copy(&place.record, &shared).unwrap();
    let undone =
        behind(&place, &nobody, &["tune", "undo", "--record", shared.to_str().unwrap()]).unwrap();
    assert_eq!(undone.code, 2, "{}", undone.out);
    assert_eq!(place.dump(), tuned);
    assert_eq!(place.tune("undo", &[], &[]).code, 0);
    assert_eq!(place.dump(), before);
}

/// As most containers have it.
#[test]
fn read_only_settings_are_said_to_be_the_hosts() {
    let Some(place) = Place::network() else { return };
    let before = place.dump();
    let script = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && \
                  mount -o remount,ro,bind /sys && exec \"$0\" \"$@\"";
    let front = ["unshare", "--mount", "sh", "-c", script];
    let record = place.record.to_str().unwrap();
    let apply = ["tune", "apply", "--record", record, "--only", "tcp", "--only", "memory"];
    let Some(applied) = behind(&place, &front, &apply) else { return };
    assert_eq!(applied.code, 1, "{}{}", applied.out, applied.errors);
    assert!(applied.out.contains("is read-only here"), "{}", applied.out);
    assert!(applied.out.ends_with("nothing is to be set\n"), "{}", applied.out);
    assert!(!place.record.exists());
    let checked = behind(&place, &front, &["tune", "check"]).unwrap();
    assert_eq!(checked.code, 1);
    assert!(checked.out.contains("/proc/sys is read-only"), "{}", checked.out);
    assert!(checked.out.contains("not from here    tcp/slow_start_after_idle"), "{}", checked.out);
    assert_eq!(place.dump(), before);
}

/// As root of a container that has no rights on the host.
#[test]
fn root_of_a_user_namespace_sets_what_is_its_own() {
    let Some(place) = Place::network() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let record = folder.path().join("tuning.json");
    let script = "echo 1 > /proc/sys/net/ipv4/tcp_slow_start_after_idle; \
                  \"$0\" tune apply --record \"$1\" --only slow_start_after_idle --only swappiness; \
                  echo exit $?; cat /proc/sys/net/ipv4/tcp_slow_start_after_idle; \
                  \"$0\" tune undo --record \"$1\"; echo exit $?; \
                  cat /proc/sys/net/ipv4/tcp_slow_start_after_idle";
    let mut command = Command::new("setpriv");
    command.args(NOBODY).args(["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]);
    command.arg(script).arg(program().get_program()).arg(&record).current_dir("/");
    let Ok(output) = place.within(move || command.output()) else {
        return eprintln!("SKIPPED: setpriv is missing");
    };
    let said = Said::of(output);
    if said.errors.contains("unshare") || said.errors.contains("setpriv") {
        return eprintln!("SKIPPED: {}", said.errors.trim());
    }
    assert!(said.out.contains("swappiness: not allowed here, not even to root"), "{}", said.out);
    assert!(said.out.contains("1 of 1 values set"), "{}{}", said.out, said.errors);
    assert!(said.out.contains("exit 1\n0\n"), "{}", said.out);
    assert!(said.out.ends_with("exit 0\n1\n"), "{}", said.out);
    assert!(!record.exists());
}

#[test]
fn a_record_that_is_none_or_in_use_stops_everything() {
    let Some(place) = Place::network() else { return };
    let before = place.dump();
    fs::create_dir_all(place.record.parent().unwrap()).unwrap();
    for (text, part) in [
        ("{\"broadside_tuning\": 1, \"values\": [", "is damaged"),
        ("{\"broadside_tuning\": 9, \"values\": []}", "newer broadside"),
    ] {
        fs::write(&place.record, text).unwrap();
        for what in ["apply", "undo"] {
            let said = place.tune(what, &[], &[]);
            assert_eq!(said.code, 2, "{}", said.out);
            assert!(said.errors.contains(part), "{}", said.errors);
        }
        assert_eq!(fs::read_to_string(&place.record).unwrap(), text);
        assert_eq!(place.dump(), before);
    }
    fs::remove_file(&place.record).unwrap();
    let taken = Record::open(&place.record).unwrap();
    let busy = place.tune("apply", &only(&NETWORK_UNITS), &[]);
    assert_eq!(busy.code, 2);
    assert!(busy.errors.contains("another `broadside tune` is at work"), "{}", busy.errors);
    assert_eq!(place.dump(), before);
    drop(taken);
    assert_eq!(place.tune("apply", &only(&NETWORK_UNITS), &[]).code, 0);
    assert!(!recorded(&place.record).is_empty());
    assert_eq!(place.tune("undo", &[], &[]).code, 0);
    assert_eq!(place.dump(), before);
}
