//! Prometheus' own programs: promtool, and a server that scrapes.

use std::io::Write;
use std::process::{Command, Stdio};

/// Whether Debian's package is there; says so where it is not.
pub fn is_installed() -> bool {
    let there = ["promtool", "prometheus"].iter().all(|program| {
        let found = Command::new(program).arg("--version").output();
        found.is_ok_and(|output| output.status.success())
    });
    if !there {
        println!(
            "SKIPPED: promtool and prometheus are missing (Debian: apt-get install prometheus)"
        );
    }
    there
}

/// Runs promtool with `input`: exit code, and all that it said. `None`: it is not installed.
pub fn promtool(arguments: &[&str], input: &str) -> Option<(i32, String)> {
    if !is_installed() {
        return None;
    }
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was there");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.code().expect("not killed"), String::from_utf8_lossy(&said).into_owned()))
}
