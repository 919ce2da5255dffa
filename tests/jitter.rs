//! `broadside jitter` as a user runs it. What it measures is not judged here, only that it measures.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broadside::sys::cpu;
use serde_json::Value;
use support::daemon::{Daemon, Told};

/// Runs it where no configuration is found.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadside"));
    let nowhere = std::env::temp_dir();
    command.arg("jitter").args(arguments).current_dir(nowhere).stdin(Stdio::null());
    command.env("XDG_CONFIG_HOME", "/nonexistent").env("HOME", "/nonexistent");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn told(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Goal: the cores are those of the engine that runs, and its shard is known by its thread.
#[test]
fn the_running_engines_cores_are_watched() {
    let daemon = Daemon::start(&Told::default());
    let (code, out, errors) = daemon.ask(&["jitter", "--seconds", "1", "--json"]);
    assert_eq!(code, 0, "{errors}");
    let told: Value = serde_json::from_str(&out).expect("JSON");
    let stats = daemon.stats();
    let shard = &stats["shards"][0];
    let core = &told["cores"][0];
    assert_eq!((&core["core"], &core["thread"]), (&shard["core"], &shard["thread"]), "{told}");
    assert_eq!((&told["cores_by"], &core["shard"]), (&"the running engine's".into(), &0.into()));
    let name = std::fs::read_to_string(format!("/proc/{}/comm", core["thread"]));
    assert_eq!(name.expect("it runs"), "shard-0\n");
    // A probe would hold the engine up, so there is none, unasked or asked.
    assert!(core["probe"].is_null(), "{told}");
    assert!(told["silent"].is_null() != core["stolen"].is_null(), "{told}");
    let (code, out, errors) = daemon.ask(&["jitter", "--probe"]);
    assert!(code == 2 && out.is_empty() && errors.contains("hold them up"), "{errors}");
}

/// Goal: where nobody runs, and whatever the kernel tells, a probe tells something.
#[test]
fn a_probe_needs_no_rights_and_no_engine() {
    let core = cpu::available()[0];
    let named = core.to_string();
    let output = command(&["--probe", "--cores", &named, "--seconds", "1", "--json"]).output();
    let told = told(&output.expect("it starts"));
    let seen = &told["cores"][0];
    assert_eq!((&seen["core"], &seen["shard"]), (&core.into(), &Value::Null), "{told}");
    let probe = &seen["probe"];
    assert!(probe["took_us"].as_f64() > Some(100_000.0), "{told}");
    assert!(probe["gaps"]["max_us"].as_f64() >= probe["gaps"]["p50_us"].as_f64(), "{told}");
    assert_eq!(probe["unexplained"].is_null(), seen["stolen"].is_null(), "{told}");
}

/// Goal: whoever runs on the core of one of ours is told by name, and that it held that one up.
#[test]
fn a_thief_is_named() {
    let core = cpu::available()[0];
    let (stop, named) = (Arc::new(AtomicBool::new(false)), core.to_string());
    let until = Arc::clone(&stop);
    let work = move || {
        assert!(cpu::pin_to(core) && cpu::go_first() || cpu::current() == core);
        while !until.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    };
    let thief = std::thread::Builder::new().name("a-thief".to_owned()).spawn(work).unwrap();
    let output = command(&["--probe", "--cores", &named, "--seconds", "1", "--json"]).output();
    stop.store(true, Ordering::Relaxed);
    thief.join().unwrap();
    let told = told(&output.expect("it starts"));
    let stolen = &told["cores"][0]["stolen"];
    if stolen.is_null() {
        return eprintln!("SKIPPED: {}", told["silent"]);
    }
    let mut who = stolen["who"].as_array().expect("rows").iter();
    let row = who.find(|row| row["who"] == "a-thief").unwrap_or_else(|| panic!("{told}"));
    assert!(row["held_us"].as_f64() > Some(0.0) && row["kind"] == "thread", "{row}");
    assert!(row["longest_us"].as_f64() <= row["total_us"].as_f64(), "{row}");
}

#[test]
fn a_core_that_is_not_there_is_named() {
    let output = command(&["--cores", "4000"]).output().expect("it starts");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("no core 4000") && output.stdout.is_empty(), "{said}");
    for wrong in [&["--seconds", "0"][..], &["--cores", "x"], &["--json", "--histogram"]] {
        assert_eq!(command(wrong).output().expect("it starts").status.code(), Some(2));
    }
}

/// Goal: Ctrl-C ends the watch, not the report.
#[test]
fn what_was_seen_until_ctrl_c_is_told() {
    let mut command = command(&["--seconds", "3600", "--histogram"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut line = String::new();
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    // It is said once signals are minded.
    errors.read_line(&mut line).expect("it says what it does");
    assert!(line.starts_with("watching core "), "{line}");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill").success());
    let mut out = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
    assert!(child.wait().expect("it ends").success());
    assert!(out.contains("\ncore ") && out.contains("/proc: "), "{out}");
}
