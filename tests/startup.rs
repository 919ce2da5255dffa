//! A daemon that starts, or says in one line why not, and leaves nothing behind that troubles the
//! next start.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use broadside::sim::loopback::{Keep, Loopback};
use serde_json::{Value, json};
use support::daemon::{Daemon, PATIENCE, Told};
use support::engine::{maker, peers};
use support::spoil::hex_of;

/// The one line on which `run` gives up, after exit code 2.
fn refusal(daemon: &Daemon) -> String {
    let (code, out, errors) = daemon.ask(&["run"]);
    assert_eq!((code, out.as_str()), (2, ""), "{errors}");
    let last: Vec<_> = errors.lines().filter(|line| line.starts_with("broadside: ")).collect();
    let [line] = last[..] else { panic!("one line: {errors}") };
    assert!(errors.ends_with(&format!("{line}\n")) && !errors.contains("panicked"), "{errors}");
    line.to_owned()
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn a_port_in_use_is_said_in_one_line() {
    let mut daemon = Daemon::prepare(&Told::default());
    for (address, key) in [(daemon.rpc, "intake.rpc"), (daemon.http, "http.listen")] {
        let taken = TcpListener::bind(address).expect("it was free a moment ago");
        let line = refusal(&daemon);
        assert!(line.contains(&format!("can't listen on {address} ({key})")), "{line}");
        drop(taken);
    }
    assert!(!daemon.unix().exists(), "a start that failed leaves no socket");
    daemon.restart();
    assert!(daemon.terminate().success());
}

#[test]
fn a_file_in_the_sockets_place_is_left_alone() {
    let daemon = Daemon::prepare(&Told::default());
    std::fs::write(daemon.unix(), "precious").expect("written");
    let line = refusal(&daemon);
    assert!(line.contains("is not a socket") && line.contains("intake.unix"), "{line}");
    assert_eq!(std::fs::read_to_string(daemon.unix()).expect("untouched"), "precious");
}

#[test]
fn a_data_folder_that_can_not_be_is_said() {
    let daemon = Daemon::prepare(&Told::default());
    std::fs::write(daemon.data_dir(), "a file").expect("written");
    let line = refusal(&daemon);
    assert!(line.contains("engine.data_dir"), "{line}");
}

#[test]
fn a_wrong_configuration_is_told_by_line_before_anything_starts() {
    let daemon = Daemon::prepare(&Told { engine: "idle = \"nap\"", ..Told::default() });
    let file = daemon.config().display().to_string();
    let line = refusal(&daemon);
    assert_eq!(
        line,
        format!(
            "broadside: {file}:3: engine.idle: \"nap\" is not allowed; give one of \"wait\", \"spin\""
        )
    );
    let proxy = "[chain.peers]\nproxy = \"socks5://localhost:9050\"\n";
    let text = "[[chain]]\nname = \"litecoin\"\nnetwork = \"regtest\"\n".to_owned() + proxy;
    std::fs::write(daemon.config(), text).expect("written");
    let line = refusal(&daemon);
    assert!(line.starts_with(&format!("broadside: {file}:5: chain.peers.proxy: ")), "{line}");
    let (code, _, errors) = daemon.ask(&["config", "check"]);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.starts_with(&format!("{file}:5: chain.peers.proxy: ")), "{errors}");
    assert!(!daemon.data_dir().exists());
}

fn with_peers(loopback: &Loopback, options: &[&str]) -> Daemon {
    Daemon::start(&Told { fixed: loopback.addresses(), options, ..Told::default() })
}

#[test]
fn a_second_one_on_the_same_data_is_refused_and_the_first_goes_on() {
    let loopback = peers(Vec::new(), 1, Keep::Nothing);
    let daemon = with_peers(&loopback, &[]);
    daemon.wait_for_peers(1);
    let login = daemon.login();
    let line = refusal(&daemon);
    assert!(line.contains("another broadside is running on it"), "{line}");
    assert_eq!(daemon.login(), login, "the first one's cookie is as it was");
    let block = maker().next(20_000).unwrap();
    assert_eq!(daemon.submit(&block.raw, &[]).0, 0);
}

/// Lock, socket and cookie of one that was killed are in nobody's way.
#[test]
fn after_a_kill_it_starts_again_at_once() {
    let loopback = peers(Vec::new(), 2, Keep::Nothing);
    let mut daemon = with_peers(&loopback, &[]);
    daemon.wait_for_peers(2);
    let mut maker = maker();
    let (first, second) = (maker.next(20_000).unwrap(), maker.next(20_000).unwrap());
    assert_eq!(daemon.submit(&first.raw, &[]).0, 0);
    let stale = daemon.login();
    daemon.kill();
    assert!(daemon.unix().exists() && daemon.data_dir().join(".cookie").exists());
    let (code, _, errors) = daemon.submit(&first.raw, &[]);
    assert!(code == 2 && errors.contains("check that it runs"), "{errors}");
    let (code, _, errors) = daemon.ask(&["status"]);
    assert!(code == 2 && errors.contains("is it running"), "{errors}");

    let seen = daemon.lines().len();
    daemon.restart();
    daemon.wait_for_peers(2);
    let lines = daemon.lines();
    assert!(!lines[seen..].iter().any(|line| line.contains("ERROR")), "{lines:#?}");
    assert_eq!((mode(&daemon.unix()), mode(&daemon.data_dir().join(".cookie"))), (0o600, 0o600));
    let mut pool = daemon.pool();
    assert_ne!(pool.login, stale);
    let fresh = std::mem::replace(&mut pool.login, stale);
    assert_eq!(pool.submit(&hex_of(&second.raw)).0, 401, "the old cookie is worth nothing");
    pool.login = fresh;
    assert_eq!(pool.submit(&hex_of(&second.raw)).0, 200);
    assert_eq!(loopback.wait_for(second.hash, 2, PATIENCE).times_ns().len(), 2);
}

#[test]
fn sigterm_saves_the_peers_and_leaves_no_socket() {
    let loopback = peers(Vec::new(), 2, Keep::Nothing);
    let mut daemon = with_peers(&loopback, &[]);
    daemon.wait_for_peers(2);
    let block = maker().next(20_000).unwrap();
    assert_eq!(daemon.submit(&block.raw, &[]).0, 0);
    assert!(daemon.terminate().success());
    daemon.wait_for_line("stopped");
    assert!(!daemon.unix().exists());
    let database = daemon.data_dir().join("broadcaster_peers_litecoin_regtest.json");
    let saved = std::fs::read_to_string(&database).expect("saved");
    serde_json::from_str::<Value>(&saved).expect("JSON");
    for address in loopback.addresses() {
        assert!(saved.contains(&address.port().to_string()), "{address} in {saved}");
    }
    // And it is read again: the next start knows them.
    let seen = daemon.lines().len();
    daemon.restart();
    let loaded = daemon.wait_for_line_after(seen, "peer database loaded");
    assert!(loaded.contains("peers=2"), "{loaded}");
}

#[test]
fn the_options_of_p2pool_forks_are_taken() {
    let loopback = peers(Vec::new(), 2, Keep::Nothing);
    let options = [
        "--broadcast-enabled",
        "--broadcast-max-peers",
        "7",
        "--broadcast-min-peers=2",
        "--broadcast-refresh-interval",
        "1",
        "--broadcast-skip-bootstrap",
        "--broadcast-peer-db",
        "mine.json",
        "--broadcast-no-fallback",
    ];
    let mut daemon = with_peers(&loopback, &options);
    daemon.wait_for_peers(2);
    let stats = daemon.stats();
    assert_eq!((&stats["peers"]["max"], &stats["peers"]["min"]), (&json!(7), &json!(2)));
    daemon.wait_for_line("--broadcast-no-fallback has no effect");
    assert!(daemon.terminate().success());
    assert!(daemon.data_dir().join("mine.json").exists());

    daemon.options = vec!["--disable-broadcaster".to_owned()];
    daemon.restart();
    let block = maker().next(20_000).unwrap();
    daemon.submit(&block.raw, &[]);
    assert_eq!(daemon.stats()["peers"]["connected"], 0);
    assert!(loopback.states().iter().all(|peer| peer.blocks == 0));
    for wrong in
        [&["--disable-broadcaster", "--broadcast-enabled"][..], &["--broadcast-max-peers", "0"]]
    {
        assert_eq!(daemon.ask(&[&["run"], wrong].concat()).0, 2, "{wrong:?}");
    }
}

#[test]
fn health_and_readiness_follow_the_peers() {
    let loopback = peers(Vec::new(), 1, Keep::Nothing);
    let daemon = with_peers(&loopback, &[]);
    daemon.wait_for_peers(1);
    assert_eq!(daemon.page("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(daemon.page("/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(daemon.page("/nothing").0, 404);
    loopback.stop();
    daemon.wait_for_peers(0);
    assert_eq!(daemon.page("/healthz").0, 200, "the engine itself is well");
    assert_eq!(daemon.page("/readyz"), (503, "litecoin: no peer is connected\n".to_owned()));
    let (code, out, _) = daemon.ask(&["status"]);
    assert!(code == 0 && out.contains("degraded: no peer is connected"), "{out}");
}
