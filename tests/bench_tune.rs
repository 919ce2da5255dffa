//! `broadside bench tune` as a user runs it. What it measures is not judged here, only that it measures
//! and leaves everything as it was.

#![allow(clippy::expect_used, clippy::panic, reason = "what a test calls fails by panicking")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A setting of the whole host that does no harm for a moment.
const UNIT: &str = "memory/swappiness";
const FILE: &str = "/proc/sys/vm/swappiness";
const PATIENCE: Duration = Duration::from_secs(120);
/// Who changes the host waits for who does.
static HOST: Mutex<()> = Mutex::new(());

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadside"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn value() -> String {
    std::fs::read_to_string(FILE).expect("every kernel has it")
}

/// What was told of the units, or a loud skip where the host gives no networks or no rights.
fn measured(arguments: &[&str], json: &Path) -> Option<Vec<Value>> {
    let json = json.to_str().expect("text");
    let output = run(&[&["bench", "tune", "--quick", "--json", json], arguments].concat());
    let said = text(&output.stderr);
    if output.status.code() == Some(2) && said.contains("it needs root") {
        eprintln!("SKIPPED: {said}");
        return None;
    }
    assert!(output.status.success(), "{said}");
    let told: Value =
        serde_json::from_slice(&std::fs::read(json).expect("it was written")).expect("JSON");
    assert_eq!((&told["schema"], &told["bench"]), (&1.into(), &"tune".into()));
    let units = told["units"].as_array().expect("units").clone();
    for unit in &units {
        let shown = format!("{}: ", unit["unit"].as_str().expect("a name"));
        assert!(text(&output.stdout).lines().any(|line| line.starts_with(&shown)), "{shown}");
    }
    Some(units)
}

/// Goal: both values are tried in the same situation, and the host's own network is not touched.
#[test]
fn a_setting_of_a_network_is_measured_in_one_of_its_own() {
    const SETTING: &str = "/proc/sys/net/ipv4/tcp_slow_start_after_idle";
    let before = std::fs::read_to_string(SETTING).expect("every kernel has it");
    let folder = tempfile::tempdir().expect("a folder");
    let only =
        ["--only", "tcp/slow_start_after_idle", "--only", "tcp/initcwnd", "--only", "isolcpus"];
    let Some(units) = measured(&only, &folder.path().join("told.json")) else { return };
    assert_eq!(units.len(), 3);
    let not = units.iter().filter_map(|unit| unit["not_measured"].as_str()).collect::<Vec<_>>();
    assert!(not.len() == 1 && not[0].contains("reboot"), "{not:?}");
    for unit in units.iter().filter(|unit| unit["not_measured"].is_null()) {
        assert_ne!(unit["as_is"], unit["wanted"], "{unit}");
        let figures = unit["figures"].as_array().expect("figures");
        let names: Vec<_> = figures.iter().map(|it| it["name"].as_str().expect("text")).collect();
        assert_eq!(names, ["T(half)", "T(all)", "CPU", "retransmits"]);
        for figure in figures {
            let (as_is, wanted) = (&figure["as_is"][0], &figure["wanted"][0]);
            let saved = as_is.as_i64().zip(wanted.as_i64()).map(|(was, is)| was - is);
            assert_eq!(figure["saved"]["median"].as_i64(), saved, "{figure}");
            assert_eq!(figure["verdict"], "too few pairs");
        }
    }
    assert_eq!(std::fs::read_to_string(SETTING).expect("it is there"), before);
}

/// Goal: the host is changed only when that is said, and is as before when it ends.
#[test]
fn a_setting_of_the_host_is_put_back() {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    let before = value();
    let folder = tempfile::tempdir().expect("a folder");
    let (record, json) = (folder.path().join("tuning.json"), folder.path().join("told.json"));
    let path = record.to_str().expect("text");
    let Some(units) = measured(&["--only", UNIT], &json) else { return };
    let why = units[0]["not_measured"].as_str().expect("not without being told to");
    assert!(why.contains("--host") && value() == before && !record.exists(), "{why}");
    let Some(units) = measured(&["--host", "--only", UNIT, "--record", path], &json) else {
        return;
    };
    assert_eq!(value(), before);
    assert!(!record.exists(), "what is put back is not recorded");
    match units[0]["not_measured"].as_str() {
        Some(why) => eprintln!("SKIPPED: {why}"),
        None => assert_eq!(units[0]["as_is"], before.trim(), "{}", units[0]),
    }
}

/// Goal: whatever ends it, `tune undo` puts back what it has changed.
#[test]
fn a_killed_one_leaves_what_undo_needs() {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    let before = value();
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("tuning.json");
    let path = record.to_str().expect("text");
    let long = ["bench", "tune", "--host", "--only", UNIT, "--runs", "1000", "--record", path];
    let mut command = command(&long);
    let mut bench = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let end = Instant::now() + PATIENCE;
    while value() == before && bench.try_wait().expect("ours").is_none() {
        assert!(Instant::now() < end, "{UNIT} was never set");
        std::thread::yield_now();
    }
    bench.kill().expect("ours");
    bench.wait().expect("it ends");
    if value() == before {
        return eprintln!("SKIPPED: {UNIT} can't be set here, or is right");
    }
    assert!(record.exists(), "it was recorded before it was set");
    let undone = run(&["tune", "undo", "--record", path]);
    assert!(undone.status.success(), "{}{}", text(&undone.stdout), text(&undone.stderr));
    assert_eq!(value(), before);
    assert!(!record.exists());
}

#[test]
fn what_is_no_setting_is_named() {
    for (arguments, part) in [
        (&["bench", "tune", "--only", "nosuch"][..], "\"nosuch\""),
        (&["bench", "fanout", "--only", "tcp"], "bench tune alone"),
        (&["bench", "wan", "--host"], "bench tune alone"),
    ] {
        let output = run(arguments);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(part), "{said}");
        assert!(output.stdout.is_empty());
    }
}
