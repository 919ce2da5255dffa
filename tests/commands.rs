//! Every command as a user runs it: the binary itself, its output, its exit codes.

#![allow(clippy::expect_used, clippy::panic, reason = "what a test calls fails by panicking")]

#[path = "support/ports.rs"]
#[allow(unreachable_pub)]
mod ports;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use broadside::sim::blocks::BlockMaker;
use broadside::sim::loopback::{Keep, Loopback, LoopbackSettings};
use broadside::wire::chain::{self, Chain, Network};
use broadside::wire::hash::hex;
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

fn broadside(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadside"));
    command.args(arguments).stdin(Stdio::null()).output().expect("it starts")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it was not killed")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn regtest() -> &'static Chain {
    chain::find("litecoin", Network::Regtest).expect("it is in the table")
}

/// A running daemon with two simulated peers and no node.
struct Daemon {
    folder: TempDir,
    loopback: Loopback,
    child: Child,
    log: Option<JoinHandle<String>>,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (chain, faults, keep) = (regtest(), Vec::new(), Keep::Nothing);
        let settings = LoopbackSettings { chain, peers: 2, faults, keep, seed: 1 };
        let loopback = Loopback::start(settings).expect("peers");
        let fixed: Vec<_> = loopback.addresses().iter().map(|it| format!("\"{it}\"")).collect();
        let config = format!(
            "[engine]\ndata_dir = \"{0}/data\"\n[intake]\nrpc = \"{1}\"\nunix = \"{0}/intake.sock\"\n\
             [http]\nlisten = \"{2}\"\n[[chain]]\nname = \"litecoin\"\nnetwork = \"regtest\"\n\
             [chain.peers]\nmin = 1\nrefresh_s = 1\nfixed = [{3}]\n",
            folder.path().display(),
            ports::free_address(),
            ports::free_address(),
            fixed.join(", "),
        );
        fs::write(folder.path().join("broadside.toml"), config).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_broadside"))
            .args(["run", "--config"])
            .arg(folder.path().join("broadside.toml"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped"));
        let mut log = String::new();
        while !log.contains("/broadcaster_stats") {
            assert!(lines.read_line(&mut log).expect("text") > 0, "it ended:\n{log}");
        }
        let log = std::thread::spawn(move || {
            lines.lines().map_while(Result::ok).fold(log, |log, line| log + "\n" + &line)
        });
        let daemon = Self { folder, loopback, child, log: Some(log) };
        daemon.wait_for_peers();
        daemon
    }

    fn wait_for_peers(&self) {
        assert!(
            self.loopback.wait_until(PATIENCE, |peers| peers.iter().all(|it| it.handshakes > 0))
        );
        let end = Instant::now() + PATIENCE;
        loop {
            let output = self.ask(&["status", "--json"], &[]);
            let stats: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            if stats["litecoin"]["peers"]["connected"] == 2 {
                return;
            }
            assert!(Instant::now() < end, "{stats}");
        }
    }

    /// Runs a command with the daemon's configuration.
    fn ask(&self, command: &[&str], more: &[&str]) -> Output {
        let config = self.folder.path().join("broadside.toml");
        let config = config.to_str().expect("text");
        broadside(&[command, &["--config", config], more].concat())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("written");
        path
    }

    fn submit(&self, file: &Path, more: &[&str]) -> Output {
        self.ask(&["submit", file.to_str().expect("text")], more)
    }

    /// Sends SIGTERM; the exit code and the log.
    fn terminate(&mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        let status = self.child.wait().expect("it ends");
        let log = self.log.take().map(|log| log.join().expect("it reads"));
        (status.code(), log.unwrap_or_default())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_command_explains_itself() {
    for command in [
        &[][..],
        &["demo"],
        &["run"],
        &["submit"],
        &["status"],
        &["config"],
        &["config", "check"],
        &["config", "example"],
    ] {
        let output = broadside(&[command, &["--help"]].concat());
        let help = text(&output.stdout);
        assert_eq!(code(&output), 0, "{command:?}");
        assert!(help.contains("Usage: broadside") && help.lines().count() > 5, "{help}");
    }
    assert_eq!(code(&broadside(&["nonsense"])), 2);
    assert_eq!(
        text(&broadside(&["--version"]).stdout),
        format!("broadside {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn config_check_says_what_is_wrong_and_by_its_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.toml");
    let name = file.to_str().expect("text");
    fs::write(&file, broadside(&["config", "example"]).stdout).expect("written");
    let right = broadside(&["config", "check", name]);
    assert_eq!((code(&right), text(&right.stderr)), (0, String::new()));
    assert!(text(&right.stdout).contains("right (litecoin main)"));

    fs::write(&file, "[[chain]]\nname = \"litecoin\"\n[chain.peers]\nmax = 0\n").expect("written");
    let wrong = broadside(&["config", "check", "--config", name]);
    let expected = format!(
        "{name}:4: chain.peers.max: 0 is not allowed; give a whole number from 1 to 1000\n"
    );
    assert_eq!((code(&wrong), text(&wrong.stderr)), (1, expected));
    let refused = broadside(&["run", "--config", name]);
    assert_eq!(code(&refused), 2);
    assert!(text(&refused.stderr).contains(":4: chain.peers.max"));
    assert_eq!(code(&broadside(&["config", "check", "/nowhere.toml"])), 2);

    fs::write(&file, "[[chain]]\nname = \"litecoin\"\n[chain.peers]\nrelay = \"compact\"\n")
        .expect("written");
    let sound = broadside(&["config", "check", name]);
    assert_eq!((code(&sound), text(&sound.stderr).contains("relay")), (0, false));
}

#[test]
fn the_demo_prints_what_it_measured() {
    let output = broadside(&["demo", "--peers", "3", "--blocks", "5", "--size", "30000"]);
    let (table, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(code(&output), 0, "{table}{errors}");
    for expected in [
        "5 blocks of 30000 bytes to 3 peers",
        "first peer has it",
        "90 % of the peers",
        "receipt (each peer)",
        "all 5 blocks reached all 3 peers",
        " ms ",
    ] {
        assert!(table.contains(expected), "{expected} in:\n{table}");
    }
    assert!(
        !table.lines().any(|line| line.starts_with("receipt") && line.ends_with('-')),
        "{table}"
    );
    assert!(errors.contains("5 of 5 blocks"), "{errors}");
}

#[test]
fn a_daemon_takes_blocks_and_says_what_became_of_them() {
    let mut daemon = Daemon::start();
    let config = fs::read_to_string(daemon.folder.path().join("broadside.toml")).expect("text");
    let rpc = config.lines().find_map(|line| line.strip_prefix("rpc = ")).expect("a port");
    let host = rpc.trim_matches('"');
    let mut maker = BlockMaker::new(regtest(), 1, 1_700_000_000);

    good_blocks_reach_everybody(&daemon, &mut maker, host);
    bad_ones_reach_nobody(&daemon, &mut maker, host);

    let status = text(&daemon.ask(&["status"], &[]).stdout);
    let row = status.lines().nth(1).expect("a row");
    assert!(row.starts_with("litecoin") && row.contains("2/"), "{status}");
    let second = daemon.ask(&["run"], &[]);
    assert_eq!(code(&second), 2);
    assert!(text(&second.stderr).contains("another broadside"), "{}", text(&second.stderr));

    let (exit, log) = daemon.terminate();
    assert_eq!(exit, Some(0), "{log}");
    assert!(log.contains("stopped"), "{log}");
    let gone = daemon.ask(&["status"], &[]);
    assert_eq!(code(&gone), 2);
    assert!(text(&gone.stderr).contains("is it running"), "{}", text(&gone.stderr));
    assert_eq!(code(&daemon.submit(&daemon.file("late", b"00"), &[])), 2);
}

/// Raw by the Unix socket, in hex by JSON-RPC.
fn good_blocks_reach_everybody(daemon: &Daemon, maker: &mut BlockMaker, host: &str) {
    let block = maker.next(50_000).expect("a block");
    let accepted = daemon.submit(&daemon.file("raw", &block.raw), &[]);
    let said = text(&accepted.stdout);
    assert_eq!(code(&accepted), 0, "{said}{}", text(&accepted.stderr));
    assert!(said.contains("accepted\n"), "{said}");
    for address in daemon.loopback.addresses() {
        let row = said.lines().find(|line| line.starts_with(&address.to_string()));
        assert!(row.is_some_and(|row| row.contains("handled")), "{said}");
    }
    assert_eq!(daemon.loopback.wait_for(block.hash, 2, PATIENCE).times_ns().len(), 2);

    through_shared_memory(daemon, maker, host);
    let next = maker.next(50_000).expect("a block");
    let hex = daemon.file("hex", format!("{}\n", hex(&next.raw)).as_bytes());
    let accepted = daemon.submit(&hex, &["--to", &format!("http://{host}")]);
    assert_eq!(text(&accepted.stdout), "accepted\n", "{}", text(&accepted.stderr));
    assert_eq!(code(&accepted), 0);
    assert_eq!(daemon.loopback.wait_for(next.hash, 2, PATIENCE).times_ns().len(), 2);
}

fn through_shared_memory(daemon: &Daemon, maker: &mut BlockMaker, host: &str) {
    let block = maker.next(200_000).expect("a block");
    let file = daemon.file("shared", &block.raw);
    let accepted = daemon.submit(&file, &["--shared"]);
    let said = text(&accepted.stdout);
    assert_eq!(code(&accepted), 0, "{said}{}", text(&accepted.stderr));
    for expected in ["block ", "accepted\n", "published ", " us from the ring"] {
        assert!(said.contains(expected), "{expected} in:\n{said}");
    }
    assert_eq!(daemon.loopback.wait_for(block.hash, 2, PATIENCE).times_ns().len(), 2);
    let refused = daemon.submit(&daemon.file("short", b"00"), &["--shared"]);
    assert_eq!(code(&refused), 1, "{}{}", text(&refused.stdout), text(&refused.stderr));
    let elsewhere = daemon.submit(&file, &["--shared", "--to", &format!("http://{host}")]);
    assert_eq!(code(&elsewhere), 2);
    assert!(text(&elsewhere.stderr).contains("Unix socket"), "{}", text(&elsewhere.stderr));
}

fn bad_ones_reach_nobody(daemon: &Daemon, maker: &mut BlockMaker, host: &str) {
    let before: Vec<_> = daemon.loopback.states().iter().map(|peer| peer.blocks).collect();
    let mut broken = maker.next(50_000).expect("a block").raw;
    broken[40] ^= 1;
    let refused = daemon.submit(&daemon.file("broken", &broken), &[]);
    assert_eq!(code(&refused), 1, "{}", text(&refused.stdout));
    assert!(text(&refused.stdout).contains("refused: "));

    let whole = maker.next(50_000).expect("a block").raw;
    let cut = daemon.file("cut", &whole[..25_000]);
    let refused = daemon.submit(&cut, &["--to", &format!("http://{host}")]);
    assert_eq!(code(&refused), 1, "{}{}", text(&refused.stdout), text(&refused.stderr));

    let good = daemon.file("good", &whole);
    let stranger = daemon.submit(&good, &["--to", &format!("http://me:wrong@{host}")]);
    assert_eq!(code(&stranger), 2);
    assert!(text(&stranger.stderr).contains("401"), "{}", text(&stranger.stderr));
    let after: Vec<_> = daemon.loopback.states().iter().map(|peer| peer.blocks).collect();
    assert_eq!(before, after, "a bad block went out");
}
