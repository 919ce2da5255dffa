//! `broadside bench node` on real nodes. What it measures is not judged here, only that it measures.

#![allow(clippy::expect_used, reason = "what a test calls fails by panicking")]

use std::process::{Command, Stdio};

use serde_json::Value;

/// One block by relay, one by the engine: the far end of the line has it by relay no sooner than nine
/// delays, and by the engine no sooner than one.
#[test]
fn ten_nodes_get_blocks_by_relay_and_by_the_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("result.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadside"));
    command.args(["bench", "node", "--quick", "--size", "20000", "--json"]).arg(&file);
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: Value =
        serde_json::from_slice(&std::fs::read(&file).expect("it was written")).expect("JSON");
    let programs = result["cases"][0]["programs"].as_array().expect("programs");
    let all_ms = |at: usize| {
        let figures = programs[at]["figures"].as_array().expect("figures");
        let all = figures.iter().find(|figure| figure["name"] == "T(all)").expect("T(all)");
        all["samples"][0].as_u64().expect("a time") / 1_000_000
    };
    assert_eq!(
        (&programs[0]["name"], &programs[1]["name"]),
        (&"node-relay".into(), &"broadside".into())
    );
    assert!(all_ms(0) >= 9 * 50, "{} ms", all_ms(0));
    assert!(all_ms(1) >= 50, "{} ms", all_ms(1));
}
