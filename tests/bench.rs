//! `broadside bench` as a user runs it. What it measures is not judged here, only that it measures.

#![allow(clippy::expect_used, clippy::panic, reason = "what a test calls fails by panicking")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadside"));
    command.arg("bench").args(arguments).stdin(Stdio::null()).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A bench that must succeed: its table and its result file.
fn measured(arguments: &[&str]) -> (String, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("result.json");
    let file = file.to_str().expect("text");
    let output = bench(&[arguments, &["--quick", "--json", file]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), read(Path::new(file)))
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("it was written")).expect("JSON")
}

fn figures(program: &Value) -> Vec<&str> {
    let figures = program["figures"].as_array().expect("figures");
    figures.iter().map(|figure| figure["name"].as_str().expect("a name")).collect()
}

#[test]
fn the_list_names_benches_and_programs() {
    let output = bench(&["list"]);
    assert!(output.status.success());
    let list = text(&output.stdout);
    for name in
        ["intake", "fanout", "stall", "network", "wan", "node", "tune", "compare", "governor-bpf"]
    {
        assert!(list.contains(&format!("\n  {name} ")), "{name} is missing:\n{list}");
    }
}

#[test]
fn what_is_unknown_gets_the_list() {
    for arguments in [
        &["nosuch"][..],
        &["fanout", "--baseline", "nosuch"],
        &["fanout", "--engine", "nosuch"],
        &["wan", "--case", "nosuch"],
        &["wan", "--way", "nosuch"],
    ] {
        let output = bench(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains("nosuch") && said.contains("sequential"), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn fan_out_is_measured_against_a_baseline() {
    let folder = tempfile::tempdir().expect("a folder");
    let plot = folder.path().join("plot.svg");
    let plot = plot.to_str().expect("text");
    let arguments = ["fanout", "--peers", "3,5", "--baseline", "sequential", "--plot", plot];
    let (table, result) = measured(&arguments);
    assert!(table.contains("3 x 20 KB, 2 runs") && table.contains("sequential"), "{table}");
    assert_eq!((&result["schema"], &result["bench"]), (&json!(1), &json!("fanout")));
    for fact in ["kernel", "processor", "cores", "sink_core", "shard_cores", "sysctls"] {
        assert!(!result["host"][fact].is_null() || fact == "sink_core", "{fact}: {result}");
    }
    let cases = result["cases"].as_array().expect("cases");
    assert_eq!(cases.iter().map(|case| &case["peers"]).collect::<Vec<_>>(), [3, 5]);
    for case in cases {
        let programs = case["programs"].as_array().expect("programs");
        assert_eq!(
            (&programs[0]["product"], &programs[1]["product"]),
            (&json!(true), &json!(false))
        );
        for program in programs {
            let named = figures(program);
            for name in ["T(1) from t1", "T(1)", "T(half)", "T(90 %)", "T(all)", "CPU"] {
                assert!(named.contains(&name), "{name} is missing: {named:?}");
            }
            let all = &program["figures"][4];
            assert_eq!(all["samples"].as_array().map(Vec::len), Some(2), "{all}");
            assert!(all["percentiles"]["p50"].as_u64() > Some(0), "{all}");
        }
        assert!(figures(&programs[0]).contains(&"kernel entries"));
    }
    let svg = std::fs::read_to_string(plot).expect("it was written");
    well_formed(&svg);
    assert!(svg.contains("T(half)") && svg.contains("sequential"));
}

/// Every tag that opens closes again, in order.
fn well_formed(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag ends");
        let name = tag.split([' ', '/', '\n']).find(|word| !word.is_empty()).expect("a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !tag.ends_with('/') && !tag.starts_with(['?', '!']) {
            open.push(name);
        }
    }
    assert!(svg.trim_start().starts_with("<svg") && open.is_empty(), "{open:?} are left open");
}

#[test]
fn every_way_in_is_measured() {
    let (_, result) = measured(&["intake"]);
    let programs = result["cases"][0]["programs"].as_array().expect("programs");
    let names: Vec<_> = programs.iter().map(|it| it["name"].as_str().expect("a name")).collect();
    for way in ["http", "http at 1 Gbit/s", "unix", "shared", "library"] {
        assert!(names.contains(&format!("broadside, {way}").as_str()), "{way}: {names:?}");
    }
    for program in programs {
        assert!(figures(program).contains(&"to first submission"), "{program}");
    }
}

#[test]
fn pauses_and_faults_are_measured() {
    let (_, result) = measured(&["idle", "--idle", "1", "--engine", "epoll"]);
    let program = &result["cases"][0]["programs"][0];
    assert_eq!(figures(program), ["T(all) after the pause", "T(all) back-to-back"]);
    let (_, result) = measured(&["stall", "--runs", "1"]);
    let programs = &result["cases"][0]["programs"];
    assert_eq!(programs[1]["name"], "broadside with faults");
    let output = bench(&["stall", "--peers", "5"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--peers 10"));
}

/// Whether an emulated network can't be had here, which is said in one line.
fn is_lacking(output: &Output) -> bool {
    let said = text(&output.stderr);
    let lacking = output.status.code() == Some(2) && said.contains("needs root and /dev/net/tun");
    if lacking {
        assert!(output.stdout.is_empty());
        eprintln!("SKIPPED: {said}");
    }
    lacking
}

#[test]
fn far_peers_are_measured_in_every_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("result.json");
    let name = file.to_str().expect("text");
    let output = bench(&["wan", "--quick", "--json", name]);
    if is_lacking(&output) {
        return;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("emulator: round trips set and found"));
    let result = read(&file);
    let programs = result["cases"][0]["programs"].as_array().expect("programs");
    let names: Vec<_> = programs.iter().map(|it| it["name"].as_str().expect("a name")).collect();
    let ways = ["all-at-once", "all-at-once-warm", "k-window", "paced-window", "governor", "bound"];
    assert_eq!(names, ways);
    for program in programs {
        let named = figures(program);
        assert!(named.starts_with(&["T(1)", "T(half)", "T(90 %)", "T(all)"]), "{named:?}");
        // The nearest peer is 10 ms away.
        let first = program["figures"][0]["samples"][0].as_u64();
        assert!(first > Some(10_000_000), "{program}");
    }
}

/// Goal: a cold engine's first window is the kernel's, the route's or BPF's; where there is no BPF that is
/// said.
#[test]
fn first_windows_are_held_against_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("result.json");
    let name = file.to_str().expect("text");
    let output = bench(&["wan", "--case", "W10", "--quick", "--json", name]);
    if is_lacking(&output) {
        return;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result = read(&file);
    let case = &result["cases"][0];
    let programs = case["programs"].as_array().expect("programs");
    let names: Vec<_> = programs.iter().map(|it| it["name"].as_str().expect("a name")).collect();
    assert!(names.contains(&"governor-cold") && names.contains(&"governor-initcwnd"), "{names:?}");
    let notes = case["notes"].to_string();
    assert_ne!(names.contains(&"governor-bpf"), notes.contains("governor-bpf is left out"));
}

/// Processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("/proc");
    let ids = processes.flatten().filter_map(|it| it.file_name().to_str()?.parse().ok());
    let is_child = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default();
        fields.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    ids.filter(is_child).collect()
}

/// Goal: nothing of it is left when it is killed. Networks and devices go with the last process in
/// them.
#[test]
fn a_killed_bench_takes_its_programs_with_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadside"));
    command.args(["bench", "wan", "--case", "W4", "--runs", "100"]);
    let mut bench = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
    let found = loop {
        let found = children(bench.id());
        if !found.is_empty() || bench.try_wait().expect("ours").is_some() {
            break found;
        }
        assert!(std::time::Instant::now() < end, "no program was started");
        std::thread::yield_now();
    };
    bench.kill().expect("ours");
    let output = bench.wait_with_output().expect("it ends");
    if found.is_empty() {
        // No networks here, or a host that is too busy for them.
        return eprintln!("SKIPPED: {}", text(&output.stderr));
    }
    let is_there = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    while found.iter().any(is_there) {
        assert!(std::time::Instant::now() < end, "{found:?} live on");
        std::thread::yield_now();
    }
}

#[test]
fn without_a_node_program_that_is_said() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadside"));
    let output = command.args(["bench", "node"]).env("PATH", "").output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    // A debug build says that it is one, before anything else.
    let last = said.trim().lines().last().unwrap_or_default();
    assert!(last.contains("can't be run") && last.contains("install it"), "{said}");
}

/// A result file with one program, whose only figure has these samples.
fn result(folder: &TempDir, name: &str, schema: u32, samples: &[i64]) -> String {
    let figure = json!({"name": "T(all)", "unit": "ns", "samples": samples});
    let program = json!({"name": "broadside", "product": true, "what": "", "figures": [figure]});
    let case = json!({"name": "4 x 20 KB", "peers": 4, "bytes": 20_000, "programs": [program]});
    let host = json!({"kernel": "", "processor": "", "cores": [0], "sink_core": null,
                      "shard_cores": [0], "open_files": 1, "sysctls": {}});
    let value = json!({"schema": schema, "bench": "fanout", "broadside": "0", "unix_s": 0,
                       "seed": 1, "host": host, "cases": [case], "goals": []});
    let path = folder.path().join(name);
    std::fs::write(&path, value.to_string()).expect("written");
    path.to_str().expect("text").to_owned()
}

#[test]
fn two_results_are_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let samples = |from: i64| (0..15).map(|at| from + at).collect::<Vec<_>>();
    let fast = result(&folder, "fast", 1, &samples(1_000_000));
    let slow = result(&folder, "slow", 1, &samples(2_000_000));
    let foreign = result(&folder, "foreign", 99, &[1]);
    let broken = folder.path().join("broken");
    std::fs::write(&broken, "no result").expect("written");
    let broken = broken.to_str().expect("text");
    let ask = |one: &str, two: &str| {
        let output = bench(&["compare", one, two]);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, said, _) = ask(&fast, &slow);
    assert!(code == Some(1) && said.contains("2.00  WORSE"), "{said}");
    let (code, said, _) = ask(&slow, &fast);
    assert!(code == Some(0) && said.contains("better"), "{said}");
    assert_eq!(ask(&fast, &fast).0, Some(0));
    for (other, reason) in [(foreign.as_str(), "schema 99"), (broken, "not a result"), ("/n", "/n")]
    {
        let (code, _, said) = ask(&fast, other);
        assert!(code == Some(2) && said.contains(reason), "{said}");
    }
    assert_eq!(bench(&["compare", &fast]).status.code(), Some(2));
}

#[test]
fn the_network_model_has_its_table_file_and_plot() {
    let folder = tempfile::tempdir().expect("a folder");
    let plot = folder.path().join("plot.svg");
    let plot = plot.to_str().expect("text");
    let (table, result) = measured(&["network", "--seeds", "1", "--seed", "3", "--plot", plot]);
    let rule = "20 covering, compact";
    assert!(table.contains("own node only") && table.contains(rule), "{table}");
    assert_eq!((&result["bench"], &result["seed"]), (&json!("network"), &json!(3)));
    let worlds = result["worlds"].as_array().expect("worlds");
    assert_eq!(worlds.len(), 2);
    for policy in worlds.iter().flat_map(|world| world["policies"].as_array().expect("policies")) {
        for name in ["half_ms", "ninety_ms", "stale_per_10000"] {
            assert_eq!(policy[name].as_array().map(Vec::len), Some(1), "{policy}");
        }
    }
    let svg = std::fs::read_to_string(plot).expect("it was written");
    well_formed(&svg);
    assert!(svg.contains("T50") && svg.contains(rule), "every policy is named");
}

#[test]
fn options_of_the_other_benches_are_refused() {
    for arguments in [&["network", "--peers", "3"][..], &["stall", "--seeds", "3"]] {
        let output = bench(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains("--seeds"), "{}", text(&output.stderr));
    }
}
