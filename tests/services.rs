//! The services of `packaging/systemd` under a real systemd, in namespaces of their own.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use broadside::sys::bpf::{CoreWatch, DeliverySettings, DeliveryWatch};
use broadside::sys::clock::is_synchronised;

/// Where everybody has it.
const SYSTEMD: &str = "/lib/systemd/systemd";
/// Long enough for all of it on a busy host, in seconds.
const PATIENCE: &str = "120";

/// What a systemd told that was started on these folders; `None`: none can be started here.
fn boot(folder: &Path) -> Option<HashMap<String, String>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(top.join("tests/services/inside.sh"), folder.join("inside.sh")).unwrap();
    let console = std::fs::File::create(folder.join("console")).unwrap();
    // With unshare goes all that was started: its child is the first process of its namespace.
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", PATIENCE, "unshare", "--mount", "--pid", "--net", "--uts"]);
    command.args(["--ipc", "--cgroup", "--fork", "--propagation", "private", "--kill-child"]);
    command.arg("bash").arg(top.join("tests/services/boot.sh"));
    command.arg(env!("CARGO_BIN_EXE_broadside")).arg(top.join("packaging/systemd")).arg(folder);
    command.stdin(Stdio::null()).stdout(console.try_clone().unwrap()).stderr(console);
    command.status().unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let told = read("told");
    let lines = told.lines().filter_map(|line| line.split_once(' '));
    let told: HashMap<_, _> =
        lines.map(|(word, what)| (word.to_owned(), what.to_owned())).collect();
    // Not the host's fault: what stands between, our files made ready.
    if !told.contains_key("mounted")
        || told.contains_key("prepared") && !told.contains_key("inside")
    {
        eprintln!("SKIPPED: systemd can't be started in namespaces here: {}", read("console"));
        return None;
    }
    for name in ["console", "inside.log", "broadside-tune.log", "broadside.log", "told"] {
        println!("{name}:\n{}", read(name));
    }
    Some(told)
}

#[test]
fn both_start_go_on_and_stop_under_systemd() {
    if !rustix::process::geteuid().is_root() || !Path::new(SYSTEMD).exists() {
        return eprintln!("SKIPPED: this needs root and {SYSTEMD}");
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(told) = boot(folder.path()) else { return };
    for (word, expected) in [
        ("prepared", "yes"),
        ("tune.start", "0"),
        ("tune.state", "active"),
        ("engine.start", "0"),
        ("engine.user", "broadside"),
        ("engine.reload", "0"),
        ("engine.restarts", "1"),
        ("engine.state", "active"),
        ("engine.stop", "0"),
        ("engine.result", "success"),
        ("tune.stop", "0"),
        ("tune.result", "success"),
        ("through", "yes"),
    ] {
        assert_eq!(told.get(word).map(String::as_str), Some(expected), "{word}");
    }

    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let [before, tuned, after] =
        ["before", "tuned", "after"].map(|it| read(&format!("settings.{it}")));
    assert!(before.contains("/ipv4/tcp_slow_start_after_idle:1"), "{before}");
    assert!(tuned.contains("/ipv4/tcp_slow_start_after_idle:0"), "{tuned}");
    assert_eq!(before, after);
    // The filter of system calls leaves the clock to be asked.
    if is_synchronised().is_some() {
        assert!(!read("broadside-tune.log").contains("does not tell whether its clock"));
    }
    // What root may load here, the service may.
    let metrics = read("metrics");
    let deliveries = DeliveryWatch::start(DeliverySettings::default()).is_ok();
    for (program, can) in
        [("tcp_delivery", deliveries), ("core_jitter", CoreWatch::start(&[0], &[]).is_ok())]
    {
        let on = format!("broadside_trace_on{{program=\"{program}\"}} 1");
        assert!(!can || metrics.contains(&on), "{program}: {metrics}");
    }
}
