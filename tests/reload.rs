//! SIGHUP to a real daemon: what is read anew, what is not, and that nothing is lost by it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::process::Command;

use broadside::sim::loopback::Keep;
use support::daemon::{Daemon, Told};
use support::engine::{maker, peers};

/// Changes the configuration and sends the signal; gives the line that has `part` after it.
fn reload(daemon: &Daemon, from: &str, to: &str, part: &str) -> String {
    let text = std::fs::read_to_string(daemon.config()).expect("there");
    assert!(text.contains(from), "{from} in {text}");
    std::fs::write(daemon.config(), text.replace(from, to)).expect("written");
    let seen = daemon.lines().len();
    let sent = Command::new("kill").args(["-HUP", &daemon.pid().to_string()]).status();
    assert!(sent.expect("kill").success());
    daemon.wait_for_line_after(seen, part)
}

#[test]
fn what_can_be_changed_is_and_the_rest_is_named() {
    let loopback = peers(Vec::new(), 3, Keep::Nothing);
    let [one, two, _] = loopback.addresses() else { panic!("three") };
    let mut daemon = Daemon::start(&Told { fixed: &[*one], ..Told::default() });
    daemon.wait_for_peers(1);

    let both = format!("fixed = [\"{one}\", \"{two}\"]");
    let line = reload(&daemon, &format!("fixed = [\"{one}\"]"), &both, "chain.peers.fixed");
    assert!(line.contains("SIGHUP: litecoin: chain.peers.fixed is ["), "{line}");
    daemon.wait_for_peers(2);
    reload(&daemon, "max = 50", "max = 7", "chain.peers.max is 7 now, it was 50");
    daemon.wait_for_stats("the new maximum", |stats| stats["peers"]["max"] == 7);

    // What needs a restart is named and stays; what is wrong changes nothing.
    let rpc = format!("rpc = \"{}\"", daemon.rpc);
    let line = reload(&daemon, &rpc, "rpc = \"off\"", "only read at a start");
    assert!(line.ends_with("only read at a start: [intake]"), "{line}");
    let line = reload(&daemon, "max = 7", "max = 0", "SIGHUP: ");
    assert!(line.contains("chain.peers.max: 0 is not allowed"), "{line}");
    daemon.wait_for_line("nothing was changed");
    reload(&daemon, "max = 0", "max = 7", "SIGHUP: nothing to change");

    // Through all of it both peers kept their connections, and the intake its port.
    let block = maker().next(20_000).unwrap();
    let (code, out, errors) = daemon.submit(&block.raw, &[]);
    assert_eq!(code, 0, "{out}{errors}");
    assert_eq!(loopback.wait_for(block.hash, 2, support::daemon::PATIENCE).times_ns().len(), 2);
    daemon.wait_for_stats("no connection ended", |stats| {
        stats["drops"].as_object().is_some_and(serde_json::Map::is_empty)
    });
    assert!(daemon.terminate().success());
}

#[test]
fn the_log_level_can_be_changed() {
    if std::env::var_os("RUST_LOG").is_some() {
        eprintln!("NOT TESTED: RUST_LOG is set and goes before engine.log");
        return;
    }
    let loopback = peers(Vec::new(), 2, Keep::Nothing);
    let [one, two] = loopback.addresses() else { panic!("two") };
    let told = Told { fixed: &[*one], engine: "log = \"info\"", ..Told::default() };
    let daemon = Daemon::start(&told);
    daemon.wait_for_peers(1);
    assert!(!daemon.lines().iter().any(|line| line.contains("DEBUG")));
    reload(&daemon, "log = \"info\"", "log = \"debug\"", "engine.log is debug now");
    let both = format!("\"{one}\", \"{two}\"");
    reload(&daemon, &format!("\"{one}\""), &both, "chain.peers.fixed");
    daemon.wait_for_line("DEBUG");
}
