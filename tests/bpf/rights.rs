//! Who may load the programs, and where they work.

use broadside::sys::bpf::{BpfError, CoreWatch, DeliverySettings, DeliveryWatch};
use broadside::sys::cpu;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use crate::cores::{Burner, name_of};
use crate::delivery::{Sends, send_and_look};
use crate::peers::Pair;
use crate::{alone, as_child, child, delivery_watch};

/// What a process that lacks rights is told.
fn are_refused() {
    for window_only in [false, true] {
        let settings = DeliverySettings { initial_window_packets: 20, window_only };
        let told = DeliveryWatch::start(settings).map(drop).unwrap_err();
        assert!(matches!(told, BpfError::NotAllowed), "{told}");
        assert!(told.to_string().contains("CAP_BPF"), "{told}");
    }
    let told = CoreWatch::start(&[0], &[]).map(drop).unwrap_err();
    assert!(matches!(told, BpfError::NotAllowed), "{told}");
}

/// Does `work` with these rights and no others, which are a thread's own.
fn with_rights(rights: CapabilitySet, work: impl FnOnce() + Send + 'static) {
    let limited = move || {
        let own = capabilities(None).unwrap();
        set_capabilities(None, CapabilitySets { effective: rights, ..own }).unwrap();
        work();
    };
    std::thread::spawn(limited).join().unwrap();
}

#[test]
fn without_rights_it_is_not_allowed() {
    with_rights(CapabilitySet::empty(), are_refused);
}

#[test]
fn the_named_rights_are_enough() {
    let _turn = alone();
    if delivery_watch().is_none() {
        return;
    }
    let cores = CapabilitySet::BPF | CapabilitySet::PERFMON;
    with_rights(cores, || drop(CoreWatch::start(&[0], &[]).unwrap()));
    with_rights(cores | CapabilitySet::NET_ADMIN, || drop(delivery_watch().unwrap()));
}

#[test]
fn root_of_a_container_is_not_allowed_either() {
    let output =
        child(&["unshare", "--user", "--map-root-user"], "rights::child_of_a_container", "refused");
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && text.contains("unshare:") {
        return eprintln!("SKIPPED: no user namespaces here ({})", text.trim());
    }
    assert!(output.status.success(), "{}{text}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_process_in_a_namespace_of_processes_is_known_by_its_own_numbers() {
    let _turn = alone();
    if delivery_watch().is_none() {
        return;
    }
    let before = ["unshare", "--pid", "--fork", "--mount-proc"];
    let output = child(&before, "rights::child_of_a_container", "works");
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && text.contains("unshare:") {
        return eprintln!("SKIPPED: no namespaces of processes here ({})", text.trim());
    }
    assert!(output.status.success(), "{}{text}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "run by other tests, as a process of its own"]
fn child_of_a_container() {
    match as_child().as_deref() {
        Some("refused") => are_refused(),
        Some("works") => works(),
        _ => {}
    }
}

/// Both programs mind this process and its threads.
fn works() {
    assert!(std::process::id() < 100, "this is a namespace of its own");
    let mut watch = delivery_watch().unwrap();
    let (mut pair, mut sends) = (Pair::over_loopback(), Sends::default());
    send_and_look(&mut pair, 10);
    sends.read(&mut watch, pair.cookie);
    assert_eq!(sends.0.len(), 1);

    let core = *cpu::available().last().unwrap();
    let ours = Burner::start("ours", core);
    let mut cores = CoreWatch::start(&[core], &[ours.id]).unwrap();
    Burner::start("thief", core).end();
    let (mut thief, mut own) = (false, false);
    let mut look = |event| {
        thief |= name_of(&event) == "thief" && event.held_us_up;
        own |= name_of(&event) == "ours";
    };
    cores.read(&mut look).unwrap();
    // Only now: a thread that ends has no number in a namespace any more, and is nobody's.
    ours.end();
    assert!(thief && !own, "thief {thief}, ours {own}");
}
