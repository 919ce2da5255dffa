//! The programs in `bpf/` on this kernel: what they tell, of whom, and who may load them. Needs root, Linux
//! 6.15, and a build with `--features bpf`; says so and skips otherwise.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]
#![cfg_attr(not(feature = "bpf"), allow(dead_code, unused_imports, reason = "nothing to test"))]

#[cfg(feature = "bpf")]
mod cores;
#[cfg(feature = "bpf")]
mod delivery;
#[cfg(feature = "bpf")]
mod peers;
#[cfg(feature = "bpf")]
mod rights;
#[cfg(feature = "bpf")]
mod sending;
#[cfg(feature = "bpf")]
#[path = "../fanout/world.rs"]
#[allow(dead_code, unreachable_pub)]
mod world;

use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use broadside::sys::bpf::{BpfError, DeliverySettings, DeliveryWatch};

/// How many looks anything may take.
const LOOKS: u32 = 1_000_000;
/// Says to a test that it is run in a process of its own, and what it is to do there.
const CHILD: &str = "BROADSIDE_BPF_CHILD";

/// A watch minds all connections of the process: tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was started, or why the test is skipped.
fn here<T>(started: Result<T, BpfError>) -> Option<T> {
    match started {
        Ok(started) => Some(started),
        // A container without a control group of version 2 is no fault of ours.
        Err(error @ BpfError::Failed { doing, .. }) if !doing.contains("control group") => {
            panic!("{error}")
        }
        Err(error) => {
            eprintln!("SKIPPED: {error}");
            None
        }
    }
}

fn delivery_watch() -> Option<DeliveryWatch> {
    here(DeliveryWatch::start(DeliverySettings::default()))
}

/// This very program again, to run the test `name` alone, through the command `before` if there is one.
fn child(before: &[&str], name: &str, what: &str) -> Output {
    let program = std::env::current_exe().unwrap();
    let mut words: Vec<_> = before.iter().map(|word| (*word).into()).collect();
    words.push(program.into_os_string());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["--exact", name, "--ignored", "--nocapture"]);
    command.env(CHILD, what).output().unwrap()
}

/// What the child was told to do; `None` in a test that nobody runs that way.
fn as_child() -> Option<String> {
    std::env::var(CHILD).ok()
}

#[cfg(not(feature = "bpf"))]
#[test]
fn a_build_without_it_says_so() {
    use broadside::sys::bpf::CoreWatch;
    let told = DeliveryWatch::start(DeliverySettings::default()).map(drop).unwrap_err();
    assert!(matches!(told, BpfError::NotBuilt), "{told}");
    assert!(matches!(CoreWatch::start(&[0], &[]), Err(BpfError::NotBuilt)));
    eprintln!("SKIPPED: {told}");
}
