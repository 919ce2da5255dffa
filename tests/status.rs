//! `status --watch` as an operator sees it: in a terminal, and into a pipe.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use broadside::sim::blocks::BlockMaker;
use broadside::sim::loopback::{Keep, Loopback};
use broadside::wire::hash::{BlockHash, hex};
use support::daemon::{Daemon, PATIENCE, Told};
use support::engine::{maker, peers};

/// The other screen, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const COLUMNS: usize = 70;
const LINES: usize = 12;

/// A program whose output is read while it runs.
struct Live {
    child: Child,
    said: Arc<(Mutex<String>, Condvar)>,
}

impl Live {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut output = child.stdout.take().expect("piped");
        let said = Arc::new((Mutex::new(String::new()), Condvar::new()));
        std::thread::spawn({
            let said = Arc::clone(&said);
            move || {
                let mut piece = [0; 4_096];
                while let Ok(count @ 1..) = output.read(&mut piece) {
                    let text = String::from_utf8_lossy(&piece[..count]).into_owned();
                    said.0.lock().unwrap().push_str(&text);
                    said.1.notify_all();
                }
            }
        });
        Self { child, said }
    }

    /// Waits until `part` has been said behind the first `from` bytes; where that ends.
    fn wait_for(&self, from: usize, part: &str) -> usize {
        let find = |said: &str| Some(from + said.get(from..)?.find(part)? + part.len());
        let (said, more) = &*self.said;
        let waited =
            more.wait_timeout_while(said.lock().unwrap(), PATIENCE, |it| find(it).is_none());
        let (said, _) = waited.unwrap();
        find(&said).unwrap_or_else(|| panic!("{part:?} never came behind {from} of:\n{said}"))
    }

    fn all(&self) -> String {
        self.said.0.lock().unwrap().clone()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn daemon(peers: &Loopback) -> Daemon {
    let daemon = Daemon::start(&Told { fixed: peers.addresses(), ..Told::default() });
    daemon.wait_for_peers(peers.addresses().len() as u64);
    daemon
}

/// Hands in the next block; the front of its hash, as it is shown.
fn broadcast(daemon: &Daemon, maker: &mut BlockMaker) -> String {
    let block = maker.next(20_000).expect("a block");
    daemon.pool().submit(&hex(&block.raw));
    BlockHash(block.hash).to_string()[..16].to_owned()
}

/// Goal: the view is drawn in place on a screen of its own, fits it, shows new blocks, an engine that
/// goes and comes back, and gives the terminal back at Ctrl-C.
#[test]
fn a_terminal_is_drawn_on_and_given_back() {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("SKIPPED: script is missing (Debian: util-linux)");
        return;
    }
    let peers = peers(Vec::new(), 3, Keep::Nothing);
    let (mut daemon, mut maker) = (daemon(&peers), maker());
    let command = format!(
        "stty cols {COLUMNS} rows {LINES}; exec {} status --watch --config {}",
        env!("CARGO_BIN_EXE_broadside"),
        daemon.config().display()
    );
    let mut live = Live::start(Command::new("script").args(["-qefc", &command, "/dev/null"]));
    live.wait_for(0, ENTER);
    let seen = live.wait_for(0, "litecoin: 3/50 peers");
    let block = broadcast(&daemon, &mut maker);
    let seen = live.wait_for(seen, &block);
    daemon.kill();
    let seen = live.wait_for(seen, "AWAY for");
    daemon.restart();
    let seen = live.wait_for(seen, "litecoin: ");
    let block = broadcast(&daemon, &mut maker);
    live.wait_for(seen, &block);
    let input = live.child.stdin.as_mut().expect("piped");
    input.write_all(b"\x03").expect("it reads");
    live.wait_for(seen, LEAVE);
    let all = live.all();
    let frames: Vec<&str> = all.split("\x1b[H").skip(1).collect();
    assert!(frames.len() >= 4, "{all}");
    for frame in frames {
        let text = frame.replace("\x1b[K", "").replace("\x1b[J", "").replace(LEAVE, "");
        let lines: Vec<_> = text.trim_end_matches("^C").split("\r\n").collect();
        assert!(lines.len() <= LINES, "{lines:?}");
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS + 2), "{lines:?}");
    }
}

/// Goal: into a pipe goes one view after the other, without anything for a terminal; SIGTERM ends it
/// well, as does a reader that has enough.
#[test]
fn into_a_pipe_goes_plain_text() {
    let peers = peers(Vec::new(), 2, Keep::Nothing);
    let (daemon, mut maker) = (daemon(&peers), maker());
    let watch = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_broadside"));
        command.args(["status", "--watch", "1", "--config"]).arg(daemon.config());
        command
    };
    let mut live = Live::start(&mut watch());
    let seen = live.wait_for(0, "no block yet\n");
    let block = broadcast(&daemon, &mut maker);
    let seen = live.wait_for(seen, &block);
    live.wait_for(seen, "\n\nbroadside ");
    assert!(!live.all().contains('\x1b'), "{}", live.all());
    let ended = Command::new("kill").arg(live.child.id().to_string()).status().expect("kill");
    assert!(ended.success() && live.child.wait().expect("it ends").success());

    let mut child = watch().stdout(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    assert!(child.wait().expect("it ends").success(), "nobody reads any more");
}

/// Goal: the indicators on the command line are those of the page.
#[test]
fn the_indicators_are_those_of_the_page() {
    let peers = peers(Vec::new(), 2, Keep::Nothing);
    let (daemon, mut maker) = (daemon(&peers), maker());
    broadcast(&daemon, &mut maker);
    let stats = daemon.wait_for_stats("both receipts", |stats| {
        stats["indicators"]["broadcast_ms"]["count"] == 2 && stats["outcomes"]["handled"] == 2
    });
    let (code, shown, _) = daemon.ask(&["status"]);
    let line = shown.lines().find(|line| line.starts_with("litecoin: success ")).expect("a line");
    assert_eq!(code, 0);
    let told = &stats["indicators"];
    let mean = told["broadcast_ms"]["mean"].as_f64().expect("a number");
    let p99 = told["broadcast_ms"]["p99"].as_f64().expect("a number");
    assert!(line.contains("success 100.0 %"), "{line}");
    assert!(line.contains(&format!("broadcast {mean:.3} ms mean")), "{line} {told}");
    assert!(line.contains(&format!("{p99:.3} p99")), "{line} {told}");
}
