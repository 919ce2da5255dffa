//! What is installed beside the program: systemd's units and the kernel's command line agree with the program,
//! with `tuning/` and with systemd itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test calls fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use broadside::edge::tune::how::{How, Resource};
use broadside::edge::tune::unit::units;
use broadside::limits::{ARENA_BYTES, SHARDS_MAX};

const PROGRAM: &str = env!("CARGO_BIN_EXE_broadside");
const SERVICES: [&str; 2] = ["broadside.service", "broadside-tune.service"];
/// Worst exposure that `systemd-analyze security` may find, of 10: what is left are the network, and in the
/// one that sets the host up, root.
const EXPOSURE_MAX: f32 = 3.0;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(service: &str) -> String {
    fs::read_to_string(top().join("packaging/systemd").join(service)).unwrap()
}

/// All values of a key, in their order.
fn values<'a>(service: &'a str, key: &str) -> Vec<&'a str> {
    let lines = service.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == key).map(|(_, value)| value).collect()
}

fn words<'a>(service: &'a str, key: &str) -> Vec<&'a str> {
    values(service, key).into_iter().flat_map(str::split_whitespace).collect()
}

/// Whether systemd's own tool is here; says so if not.
fn analyses() -> bool {
    let is_here = Command::new("systemd-analyze").arg("--version").output().is_ok();
    if !is_here {
        eprintln!("SKIPPED: systemd-analyze is not installed");
    }
    is_here
}

/// Runs systemd's tool on the services as they are here, with the program where it was built.
fn analyse(arguments: &[&str]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let built: Vec<PathBuf> = SERVICES
        .iter()
        .map(|service| {
            let path = folder.path().join(service);
            fs::write(&path, text(service).replace("/usr/bin/broadside ", &format!("{PROGRAM} ")))
                .unwrap();
            path
        })
        .collect();
    let said = built.iter().zip(SERVICES).map(|(path, service)| {
        let run = Command::new("systemd-analyze").args(arguments).arg(path).output().unwrap();
        let said =
            [run.stdout, run.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(run.status.success(), "{service}: {}", said.concat());
        (service.to_owned(), said.concat())
    });
    said.collect()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_services() {
    if analyses() {
        for (service, said) in analyse(&["verify", "--man=no"]) {
            assert!(said.trim().is_empty(), "{service}: {said}");
        }
    }
}

#[test]
fn the_services_expose_little() {
    if analyses() {
        for (service, said) in analyse(&["security", "--offline=yes", "--no-pager"]) {
            let line = said.lines().find(|line| line.contains("Overall exposure level")).unwrap();
            let figure = line.split(": ").nth(1).and_then(|rest| rest.split(' ').next());
            let figure: f32 = figure.unwrap().parse().unwrap();
            println!("{service}: exposure {figure} of 10");
            assert!(figure <= EXPOSURE_MAX, "{said}");
        }
    }
}

/// All system calls that the service's filter lets through.
fn let_through(service: &str) -> Vec<String> {
    let listed = |set: &str| {
        let run =
            Command::new("systemd-analyze").args(["syscall-filter", "--no-pager", set]).output();
        String::from_utf8(run.unwrap().stdout).unwrap()
    };
    let mut allowed: Vec<String> =
        words(&text(service), "SystemCallFilter").iter().map(|it| (*it).to_owned()).collect();
    let mut at = 0;
    while let Some(set) = allowed.get(at).cloned() {
        if set.starts_with('@') {
            let inner = listed(&set);
            let inner = inner
                .lines()
                .skip(1)
                .map(str::trim)
                .filter(|it| !it.is_empty() && !it.starts_with('#'));
            allowed.extend(inner.map(str::to_owned));
        }
        at += 1;
        assert!(at < 10_000, "sets within sets");
    }
    allowed
}

/// The filters let through what the programs cannot do without.
#[test]
fn the_filters_of_system_calls_have_the_ring_and_the_clock_in_them() {
    if !analyses() {
        return;
    }
    let ring = ["io_uring_setup", "io_uring_enter", "io_uring_register", "epoll_wait", "eventfd2"];
    let others = ["bpf", "perf_event_open", "mlock", "memfd_create", "sched_setaffinity"];
    let more = ["setpriority", "prlimit64", "sendmsg"];
    // The C library asks for either.
    let clock = ["adjtimex", "clock_adjtime"];
    let engine = [&ring[..], &others, &more, &clock].concat();
    for (service, calls) in SERVICES.into_iter().zip([&engine[..], &clock]) {
        let allowed = let_through(service);
        for call in calls {
            assert!(allowed.iter().any(|it| it == call), "{service}: {call}");
        }
    }
}

/// Every command line in the services is one that the program takes, up to its options' names.
#[test]
fn the_program_knows_what_the_services_ask_of_it() {
    let mut asked = 0;
    for service in SERVICES {
        let text = text(service);
        let lines = [values(&text, "ExecStart"), values(&text, "ExecStop")].concat();
        for line in lines {
            let mut words = line.split_whitespace();
            assert_eq!(words.next(), Some("/usr/bin/broadside"), "{service}");
            let words: Vec<_> = words.collect();
            let first = words.iter().position(|word| word.starts_with('-')).unwrap_or(words.len());
            let help = Command::new(PROGRAM).args(&words[..first]).arg("--help").output().unwrap();
            assert!(help.status.success(), "{service}: {line}");
            let help = String::from_utf8(help.stdout).unwrap();
            for option in words.iter().filter(|word| word.starts_with("--")) {
                let is_known = help
                    .split(|c: char| !c.is_ascii_lowercase() && c != '-')
                    .any(|it| it == *option);
                assert!(is_known, "{service}: {line}: no {option} in\n{help}");
                asked += 1;
            }
        }
    }
    assert!(asked > 2, "only {asked} options were found");
}

/// The service gives what `tuning/limits` asks for.
#[test]
fn the_limits_of_the_service_are_enough() {
    let service = text(SERVICES[0]);
    let mut seen = 0;
    for unit in units().unwrap() {
        let How::Limits(keys) = &unit.text.how else { continue };
        let name = match keys.resource {
            Resource::Nofile => "LimitNOFILE",
            Resource::Memlock => "LimitMEMLOCK",
        };
        let [given] = values(&service, name)[..] else { panic!("{name}: one value") };
        assert!(given == "infinity" || given.parse::<u64>().unwrap() >= keys.at_least, "{name}");
        if keys.resource == Resource::Memlock {
            assert!(keys.at_least >= 2 * u64::from(ARENA_BYTES), "the arena, and one shard's ring");
            assert!(SHARDS_MAX > 1 && given == "infinity", "each further ring counts it again");
        }
        seen += 1;
    }
    assert_eq!(seen, 2);
}

/// Sets no words as it comes; with all of them taken in, those that the units in `tuning/` ask for.
#[test]
fn boot_conf_has_every_word() {
    let text = fs::read_to_string(top().join("tuning/boot.conf")).unwrap();
    let shell = |text: &str| {
        let script = format!(
            "set -eu; GRUB_CMDLINE_LINUX_DEFAULT=quiet\n{text}\necho \"$GRUB_CMDLINE_LINUX_DEFAULT\""
        );
        let run = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(shell(&text), "quiet");
    let all = shell(&text.replace("\n#WORDS=", "\nWORDS="));
    let all: Vec<_> = all.split(' ').collect();
    for unit in units().unwrap() {
        let How::Boot(keys) = &unit.text.how else { continue };
        let want = keys.want.as_deref().unwrap().replace("{shard_cores}", "2-3");
        let word = format!("{}={want}", keys.parameter);
        assert!(all.contains(&word.as_str()), "{word}: {all:?}");
        assert!(text.contains(&format!("# {}: ", unit.name)), "{}", unit.name);
    }
}
