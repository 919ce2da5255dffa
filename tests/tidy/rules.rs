//! Every rule finds its fault in a snippet, and leaves the right thing alone.

use super::*;

fn check(rule: fn(&Source<'_>) -> Vec<String>, path: &str, text: &str) -> Vec<String> {
    rule(&Source { path, text })
}

#[test]
fn imports_point_inwards() {
    let outwards = "use crate::hot::shard::Shard;\n";
    assert_eq!(check(import_order, "src/wire/frame.rs", outwards), ["1: wire must not import hot"]);
    assert_eq!(check(import_order, "src/cold/dial.rs", outwards).len(), 1);
    let link = "use crate::hot::link::Link; // crate::cmd\nuse crate::limits::X;";
    assert!(check(import_order, "src/cold/dial.rs", link).is_empty());
    assert!(check(import_order, "src/hot/shard.rs", outwards).is_empty());
    let config = "fn f(it: &crate::config::Config) {}";
    assert_eq!(check(import_order, "src/edge/engine.rs", config).len(), 1);
    assert!(check(import_order, "src/cmd/run.rs", config).is_empty());
    let tests = "#[cfg(test)]\nmod tests {\n    use crate::sim::ring::SimRing;\n}";
    assert!(check(import_order, "src/hot/shard.rs", tests).is_empty());
    assert_eq!(check(import_order, "src/limits.rs", "crate::metrics::X").len(), 1);
}

#[test]
fn rooms_open_with_three_lines() {
    let right = "//! Runs on: x.\n//! May import: y.\n//! Must never: z.\n";
    assert!(check(room_opening, "src/hot/mod.rs", right).is_empty());
    assert_eq!(check(room_opening, "src/hot/mod.rs", "//! Runs on: x.\n").len(), 1);
    assert!(check(room_opening, "src/hot/shard.rs", "").is_empty());
}

#[test]
fn coins_are_named_in_the_table_alone() {
    let named = "if chain.name == \"litecoin\" {}\nlet IsDash = dash_rules(); // dogecoin\n";
    assert_eq!(check(coin_names, "src/edge/x.rs", named).len(), 2);
    assert!(check(coin_names, "src/wire/chain/row.rs", named).is_empty());
    assert!(check(coin_names, "src/config/chains.rs", named).is_empty());
    assert!(check(coin_names, "src/wire/x.rs", "use bitcoin::Block; dashboard();").is_empty());
}

#[test]
fn unsafe_is_argued_and_in_sys() {
    let bare = "    let x = unsafe { f() };\n";
    assert_eq!(check(unsafe_code, "src/hot/x.rs", bare), ["1: unsafe belongs in src/sys"]);
    assert_eq!(check(unsafe_code, "src/sys/x.rs", bare).len(), 1);
    let argued = format!("// JUSTIFICATION: so.\n// SAFETY: so.\n{bare}");
    assert!(check(unsafe_code, "src/sys/x.rs", &argued).is_empty());
    let spent = format!("{argued}{bare}");
    let unreasoned = argued.replace("JUSTIFICATION", "Because");
    assert_eq!(check(unsafe_code, "src/sys/x.rs", &unreasoned).len(), 1);
    assert_eq!(check(unsafe_code, "src/sys/x.rs", &spent).len(), 1);
    assert!(check(unsafe_code, "src/lib.rs", "#![deny(unsafe_code)] // unsafe").is_empty());
}

#[test]
fn long_files_and_functions_are_found() {
    let function = |lines: usize| {
        format!(
            "    pub(crate) async fn f(\n    ) {{\n{}    }}\n",
            "        x();\n".repeat(lines - 3)
        )
    };
    assert!(check(lengths, "src/x.rs", &function(70)).is_empty());
    assert_eq!(check(lengths, "src/x.rs", &function(71)), ["1: function over 70 lines"]);
    assert!(check(lengths, "src/x.rs", &function(40).repeat(2)).is_empty());
    assert!(check(lengths, "src/x.rs", &"\n".repeat(400)).is_empty());
    assert_eq!(check(lengths, "src/x.rs", &"\n".repeat(401)), ["1: file over 400 lines"]);
    assert!(check(lengths, "src/x.rs", &format!("// fn f() {{\n{}", "x\n".repeat(90))).is_empty());
}

#[test]
fn banned_names_come_with_another() {
    let text = "let buf = x.buf; // msg\nfn f(msg: u8) { a::tmp(b.tmp, \"tmp\"); buffer }";
    let expected = ["1: buf: write buffer, or what is in it", "2: msg: write message"];
    assert_eq!(check(banned_names, "src/x.rs", text), expected);
}

#[test]
fn tests_do_not_sleep() {
    let text = "thread::sleep(PAUSE);\n";
    assert_eq!(check(sleeps, "tests/x.rs", text).len(), 1);
    assert!(check(sleeps, "tests/support/litecoind.rs", text).is_empty());
    assert!(check(sleeps, "src/sim/peer.rs", text).is_empty());
}
