//! The house rules that a program can check, each a pure function with a test of its own below.
//!
//! Relies on rustfmt's indentation, which `tests/run` checks first.

#![allow(clippy::expect_used, clippy::panic, reason = "what a test calls fails by panicking")]

use std::fs;
use std::path::Path;

/// Rooms from the inside out. A room may import itself and those to its left: no cycle can start.
const ROOMS: [&str; 10] =
    ["limits", "metrics", "wire", "sys", "hot", "cold", "edge", "sim", "bench", "cmd"];
/// Coins whose names stand in the chain table and the configuration alone.
const COINS: [&str; 4] = ["bitcoin", "litecoin", "dogecoin", "dash"];
/// Names that say too little, or a second noun for one thing, and what to write instead.
const BANNED: [(&str, &str); 13] = [
    ("blk", "block"),
    ("buf", "buffer, or what is in it"),
    ("cnt", "count"),
    ("conn", "connection"),
    ("ctx", "what it holds"),
    ("hdr", "header"),
    ("helpers", "what they do"),
    ("idx", "index, or at"),
    ("mgr", "what it does"),
    ("msg", "message"),
    ("tmp", "what it is for"),
    ("utils", "what they do"),
    ("util", "what it does"),
];
/// What may stand at the top level.
const TOP_LEVEL: [&str; 27] = [
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".config",
    ".git",
    ".github",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "benches",
    "bpf",
    "build.rs",
    "docs",
    "examples",
    "fuzz",
    "include",
    "packaging",
    "rustfmt.toml",
    "src",
    "target",
    "tests",
    "tuning",
];
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// One source file. `path` is relative to the top, with `/`.
struct Source<'a> {
    path: &'a str,
    text: &'a str,
}

impl<'a> Source<'a> {
    /// The room that the file belongs to: `wire` of `src/wire/frame.rs`, `limits` of `src/limits.rs`.
    fn room(&self) -> &'a str {
        let inside = self.path.strip_prefix("src/").unwrap_or("");
        inside.split(['/', '.']).next().unwrap_or("")
    }

    /// Line number and code of each line, comments cut off.
    fn code(&self) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
        (1..).zip(self.text.lines().map(without_comment))
    }

    /// The same without the tests, which stand at the end of a file or in one of their own.
    fn shipped(&self) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
        let lines: Vec<_> = self.text.lines().collect();
        let tests = lines
            .windows(2)
            .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod "));
        let whole = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        let end = if whole { 0 } else { tests.unwrap_or(lines.len()) };
        self.code().take(end)
    }
}

/// The line up to a `//` that is not within quotes.
fn without_comment(line: &str) -> &str {
    let quotes = |front: &str| front.replace("\\\"", "").matches('"').count();
    let starts = line.match_indices("//").map(|(at, _)| at);
    let cut = starts.map(|at| &line[..at]).find(|front| quotes(front) % 2 == 0);
    cut.unwrap_or(line)
}

/// The line without what stands within quotes.
fn without_text(line: &str) -> String {
    let plain = line.replace("\\\"", "").replace("'\"'", "");
    plain.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

fn identifiers(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Rule 1: imports point inwards; cold takes of hot only `hot::link`; config is read by cmd alone.
fn import_order(file: &Source<'_>) -> Vec<String> {
    let room = file.room();
    let upto = ROOMS.iter().position(|name| *name == room).map_or(0, |at| at + 1);
    let mut allowed = ROOMS[..upto].to_vec();
    match room {
        "lib" | "main" | "" => return Vec::new(),
        "config" => allowed.extend(["limits", "wire", "config"]),
        "topology" => allowed.extend(["limits", "topology"]),
        "cmd" => allowed.extend(["config", "topology"]),
        _ => {}
    }
    let mut faults = Vec::new();
    for (line, code) in file.shipped() {
        for target in code.split("crate::").skip(1) {
            let name = identifiers(target).next().unwrap_or("");
            if !allowed.contains(&name) {
                faults.push(format!("{line}: {room} must not import {name}"));
            } else if room == "cold" && name == "hot" && !target.starts_with("hot::link") {
                faults.push(format!("{line}: cold takes of hot only hot::link"));
            }
        }
    }
    faults
}

/// Rule 2: a room says at its door who runs it, what it may import, what it must never do.
fn room_opening(file: &Source<'_>) -> Vec<String> {
    if file.path != format!("src/{}/mod.rs", file.room()) {
        return Vec::new();
    }
    let opening = ["//! Runs on: ", "//! May import: ", "//! Must never: "];
    let lines = file.text.lines().take(3).collect::<Vec<_>>();
    let right =
        lines.len() == 3 && lines.iter().zip(opening).all(|(line, start)| line.starts_with(start));
    if right { Vec::new() } else { vec!["1: open with Runs on, May import, Must never".to_owned()] }
}

/// Rule 3: nobody asks which coin it is. Paths into the crate of that name are none of its business.
fn coin_names(file: &Source<'_>) -> Vec<String> {
    let exempt = ["src/wire/chain", "src/config"];
    if !file.path.starts_with("src/") || exempt.iter().any(|start| file.path.starts_with(start)) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (line, code) in file.shipped() {
        let code = code.to_ascii_lowercase().replace("bitcoin::", "");
        let words = code.split(|c: char| !c.is_ascii_alphabetic());
        let named = words.filter(|word| COINS.contains(word));
        faults.extend(
            named.map(|coin| format!("{line}: ask the chain's row instead of naming {coin}")),
        );
    }
    faults
}

/// Rule 4: unsafe only in sys, each block with its argument right above, each file with a reason.
fn unsafe_code(file: &Source<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut argued = false;
    for ((line, code), whole) in file.code().zip(file.text.lines()) {
        if identifiers(&without_text(code)).any(|word| word == "unsafe") {
            // The counting allocator can be nowhere but in the program that it counts for.
            if !file.path.starts_with("src/sys/") && file.path != "tests/no_alloc.rs" {
                faults.push(format!("{line}: unsafe belongs in src/sys"));
            } else if !argued {
                faults.push(format!("{line}: say right above it, after SAFETY:, why it is sound"));
            } else if !file.text.contains("JUSTIFICATION:") {
                faults.push(format!("{line}: say above it, after JUSTIFICATION:, what needs it"));
            }
        }
        if whole.trim_start().starts_with("//") {
            argued |= whole.contains("SAFETY:");
        } else if code.trim_end().ends_with([';', '}', '{']) || code.trim().is_empty() {
            argued = false;
        }
    }
    faults
}

/// Rule 5, lengths: a file can be read at one sitting, a function seen at one glance.
fn lengths(file: &Source<'_>) -> Vec<String> {
    let (mut faults, mut open) = (Vec::new(), None);
    for (line, code) in file.code() {
        let (start, depth) = (code.trim_start(), code.len() - code.trim_start().len());
        if open.is_none() && is_function(start) {
            open = Some((line, depth));
        }
        let ends = open.filter(|(_, at)| *at == depth && start.trim_end().ends_with(['}', ';']));
        let Some((from, _)) = ends else { continue };
        if line - from >= FUNCTION_LINES_MAX {
            faults.push(format!("{from}: function over {FUNCTION_LINES_MAX} lines"));
        }
        open = None;
    }
    if file.text.lines().count() > FILE_LINES_MAX {
        faults.push(format!("1: file over {FILE_LINES_MAX} lines"));
    }
    faults
}

fn is_function(start: &str) -> bool {
    let modifiers = ["pub", "const", "async", "unsafe", "extern"];
    let mut words = start.split_whitespace();
    let first =
        words.find(|word| !modifiers.iter().any(|it| word.starts_with(it)) && *word != "\"C\"");
    first == Some("fn")
}

/// Rule 5, names: what a miner would not know, or a second noun for a thing that has one.
fn banned_names(file: &Source<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (line, code) in file.code() {
        // What other libraries call their things is theirs: after a dot or a path.
        let own = without_text(code).replace("::", "\u{1}");
        for (at, word) in own.match_indices(|c: char| c.is_ascii_alphabetic() || c == '_') {
            let before = own[..at].chars().next_back();
            if before.is_some_and(|c| c.is_ascii_alphanumeric() || "_.\u{1}\"".contains(c)) {
                continue;
            }
            let name = identifiers(&own[at..]).next().unwrap_or(word);
            if let Some((_, instead)) = BANNED.iter().find(|(banned, _)| *banned == name) {
                faults.push(format!("{line}: {name}: write {instead}"));
            }
        }
    }
    faults
}

/// Tests wait for the event, not for the clock. The harness for real nodes may look again.
fn sleeps(file: &Source<'_>) -> Vec<String> {
    let in_tests = file.path.starts_with("tests/") && !file.path.starts_with("tests/support/");
    file.code()
        .filter(|(_, code)| {
            in_tests && identifiers(&without_text(code)).any(|word| word == "sleep")
        })
        .map(|(line, _)| format!("{line}: a test must not sleep: wait for the event"))
        .collect()
}

fn faults(file: &Source<'_>) -> Vec<String> {
    let rules =
        [import_order, room_opening, coin_names, unsafe_code, lengths, banned_names, sleeps];
    rules.iter().flat_map(|rule| rule(file)).map(|it| format!("{}:{it}", file.path)).collect()
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the project: relative path and text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = ["src", "tests", "benches"].map(|name| top().join(name)).into();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).expect("readable text");
                let name = path.strip_prefix(top()).expect("below the top").display().to_string();
                found.push((name, text));
            }
        }
    }
    found
}

#[test]
fn the_house_is_tidy() {
    let sources = sources();
    assert!(sources.len() > 40, "only {} files were found", sources.len());
    let all = sources.iter().flat_map(|(path, text)| faults(&Source { path, text }));
    let mut all: Vec<_> = all.collect();
    all.sort();
    assert!(all.is_empty(), "{} faults:\n{}", all.len(), all.join("\n"));
}

/// A file that no `mod` names is never compiled, so nothing else would notice that it is dead.
#[test]
fn every_file_is_part_of_the_crate() {
    let sources = sources();
    let lines = || sources.iter().flat_map(|(_, text)| text.lines());
    let declared = |name: &str| {
        let end = format!("mod {name};");
        lines().any(|line| line == end || line.ends_with(&format!(" {end}")))
    };
    for (path, _) in sources.iter().filter(|(path, _)| path.starts_with("src/")) {
        let name = path.trim_end_matches("/mod.rs").trim_end_matches(".rs").rsplit('/').next();
        let name = name.expect("a name");
        assert!(["lib", "main"].contains(&name) || declared(name), "{path} is dead");
    }
}

#[test]
fn the_top_level_is_short() {
    for entry in fs::read_dir(top()).expect("the top is there") {
        let name = entry.expect("readable").file_name();
        let name = name.to_string_lossy();
        assert!(TOP_LEVEL.contains(&name.as_ref()), "{name} belongs into a folder");
    }
}

#[path = "tidy/rules.rs"]
mod rules;
