//! Hosts that this one need not be: files and programs in a folder of their own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use broadside::edge::tune::knob::{Cannot, Host};
use tempfile::TempDir;

use super::{apply, host, of_keys, of_unit, undo, wrong};

fn put(root: &TempDir, path: &str, text: &str) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn link(root: &TempDir, path: &str, to: &str) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(to, path).unwrap();
}

/// Written by another process: a program that this one has open for writing, or has just handed to a child
/// of another test, can't be run.
fn program(root: &TempDir, name: &str, script: &str) {
    put(root, "usr/sbin/.folder", "");
    let write = Command::new("sh")
        .args(["-ec", "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$0\"; chmod 755 \"$0\""])
        .arg(root.path().join("usr/sbin").join(name))
        .arg(script)
        .status();
    assert!(write.unwrap().success());
}

/// Every file below the folder, with what is in it.
fn dump(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let kind = path.symlink_metadata().unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                found.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A server: eight cores in two memory nodes, each physical core with two threads, a network device behind
/// virtio and one of its own below a bond, shards on 2 and 3.
fn server() -> (TempDir, Host) {
    let root = tempfile::tempdir().unwrap();
    let pci = "sys/devices/pci0/0000:00:03.0";
    for (path, text) in [
        (format!("{pci}/numa_node"), "1\n"),
        (format!("{pci}/msi_irqs/41"), "msix\n"),
        (format!("{pci}/msi_irqs/42"), "msix\n"),
        (format!("{pci}/virtio2/vendor"), "x\n"),
        ("sys/devices/pci0/0000:00:04.0/irq".to_owned(), "50\n"),
        ("sys/devices/pci0/0000:00:04.0/numa_node".to_owned(), "-1\n"),
        ("proc/irq/default_smp_affinity".to_owned(), "ff\n"),
        ("sys/devices/system/node/node0/cpulist".to_owned(), "0-3\n"),
        ("sys/devices/system/node/node1/cpulist".to_owned(), "4-7\n"),
        ("sys/devices/system/cpu/isolated".to_owned(), "\n"),
        ("proc/cmdline".to_owned(), "quiet root=/dev/vda rcu_nocbs=2\n"),
    ] {
        put(&root, &path, text);
    }
    for (number, cores) in [(1, "2"), (41, "0-7"), (42, "3"), (50, "1"), (60, "2-3"), (61, "4")] {
        put(&root, &format!("proc/irq/{number}/smp_affinity_list"), &format!("{cores}\n"));
    }
    put(
        &root,
        "proc/interrupts",
        "            CPU0       CPU1\n   1:     3   0  IO-APIC   1-edge      i8042\n  \
         41:  7  0  PCI-MSIX  0-edge  virtio2-input.0\n  42:  7  0  PCI-MSIX  0-edge  virtio2-output.0\n  \
         50:  7  0  IO-APIC  9-edge  eth1\n  60:  0  9  PCI-MSIX-0000:00:05.0   1-edge      nvme0q1\n  \
         61:  0  9  PCI-MSIX-0000:00:05.0   1-edge      nvme0q2\n LOC:  5  5  Local timer interrupts\n",
    );
    link(&root, "sys/class/net/eth0/device", "../../../devices/pci0/0000:00:03.0/virtio2");
    link(&root, "sys/class/net/eth1/device", "../../../devices/pci0/0000:00:04.0");
    put(&root, "sys/class/net/bond0/lower_eth1/x", "");
    for core in 0..8 {
        let siblings = format!("{},{}\n", core % 4, core % 4 + 4);
        put(
            &root,
            &format!("sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"),
            &siblings,
        );
    }
    let cores: Vec<_> = (0..8).collect();
    let host = host(root.path(), &[2, 3], &cores, &["eth0", "bond0"]);
    (root, host)
}

fn irq(number: u32) -> String {
    format!("/proc/irq/{number}/smp_affinity_list")
}

#[test]
fn interrupts_leave_the_shards_cores_and_come_back() {
    let (root, host) = server();
    let before = dump(root.path());
    // Of both devices, below a bond too; where a core is left it stays there.
    let expected = [(irq(41), "0-1,4-7".to_owned()), (irq(42), "1".to_owned())];
    assert_eq!(wrong(&*of_unit("irq/device"), &host), expected);
    let notes: Vec<_> = of_unit("irq/device").look(&host).into_iter().map(|it| it.note).collect();
    assert_eq!(notes, ["virtio2-input.0", "virtio2-output.0", "eth1"]);
    let places: Vec<_> = wrong(&*of_unit("irq/others"), &host);
    assert_eq!(places, [(irq(1), "0".to_owned()), (irq(60), "1".to_owned())]);
    let coming = [("/proc/irq/default_smp_affinity".to_owned(), "f3".to_owned())];
    assert_eq!(wrong(&*of_unit("irq/to_come"), &host), coming);
    for unit in ["irq/device", "irq/others", "irq/to_come"] {
        let knob = of_unit(unit);
        let set = apply(&*knob, &host);
        assert!(!set.is_empty() && dump(root.path()) != before, "{unit}");
        undo(&*knob, &host, &set);
        let now: Vec<_> = dump(root.path())
            .into_iter()
            .map(|(path, text)| (path, text.trim().to_owned()))
            .collect();
        let before: Vec<_> =
            before.iter().map(|(path, text)| (path.clone(), text.trim().to_owned())).collect();
        assert_eq!(now, before, "{unit}");
        for (place, value) in [
            ("/proc/irq/41/../../cmdline", "0"),
            ("/proc/irq/x/smp_affinity_list", "0"),
            ("/etc/passwd", "0"),
        ] {
            assert!(matches!(knob.write(&host, place, value), Err(Cannot::Missing(_))), "{place}");
        }
    }
    assert!(matches!(of_unit("irq/device").write(&host, &irq(41), "x"), Err(Cannot::Refused(_))));
    // Where all cores are the shards' there is nowhere to go.
    let shared = Host { cores: vec![2, 3], ..host };
    assert_eq!(wrong(&*of_unit("irq/device"), &shared), []);
}

#[test]
fn irqbalance_is_told_apart_from_one_that_leaves_shards_alone() {
    let (root, host) = server();
    let knob = of_unit("irq/balanced");
    assert_eq!(wrong(&*knob, &host), [], "it does not run");
    put(&root, "proc/77/comm", "irqbalance\n");
    assert_eq!(wrong(&*knob, &host), [("irqbalance".to_owned(), "leaves 2-3 alone".to_owned())]);
    let Err(Cannot::ByHand(what)) = knob.settable(&host, "irqbalance") else { panic!() };
    assert!(what.contains("IRQBALANCE_BANNED_CPULIST=2-3"), "{what}");
    put(&root, "etc/default/irqbalance", "# x\nIRQBALANCE_BANNED_CPULIST=\"2\"\n");
    assert_eq!(wrong(&*knob, &host).len(), 1);
    put(&root, "etc/default/irqbalance", "IRQBALANCE_BANNED_CPULIST=\"1-3\"\n");
    assert_eq!(wrong(&*knob, &host), []);
}

#[test]
fn memory_nodes_and_siblings_are_told() {
    let (root, host) = server();
    let numa = of_unit("cpu/numa");
    assert_eq!(wrong(&*numa, &host), [("shards of eth0".to_owned(), "node 1".to_owned())]);
    let Err(Cannot::ByHand(what)) = numa.settable(&host, "shards of eth0") else { panic!() };
    assert!(what.contains("cores 4-7 in engine.cores"), "{what}");
    let there = Host { shard_cores: vec![5, 6], ..host.clone() };
    assert_eq!(wrong(&*numa, &there), []);

    let smt = of_unit("cpu/smt");
    let places: Vec<_> =
        smt.look(&host).into_iter().map(|it| (it.place, it.now.unwrap())).collect();
    let shared = |core: usize| (format!("core {core}"), format!("shared with core {}", core + 4));
    assert_eq!(places, [shared(2), shared(3)]);
    let Err(Cannot::ByHand(what)) = smt.settable(&host, "core 2") else { panic!() };
    assert!(what.contains("cpu6/online"), "{what}");
    let both = Host { shard_cores: vec![2, 6], ..host.clone() };
    let Err(Cannot::ByHand(what)) = smt.settable(&both, "core 2") else { panic!() };
    assert!(what.contains("two shards share"), "{what}");
    put(&root, "sys/devices/system/cpu/isolated", "2-3,6-7\n");
    assert_eq!(wrong(&*smt, &host), [], "nothing runs on the siblings");
}

#[test]
fn boot_words_are_for_a_person_to_add() {
    let (root, host) = server();
    let knob = of_unit("cpu/isolcpus");
    let word = "isolcpus=managed_irq,domain,2-3".to_owned();
    assert_eq!(wrong(&*knob, &host), [("isolcpus".to_owned(), word.clone())]);
    let Err(Cannot::ByHand(what)) = knob.write(&host, "isolcpus", &word) else { panic!() };
    assert!(what.contains(&word) && what.contains("tuning/boot.conf"), "{what}");
    put(&root, "sys/devices/system/cpu/isolated", "1-3\n");
    assert_eq!(wrong(&*knob, &host), [], "what is in effect counts");

    let callbacks = of_unit("cpu/rcu_nocbs");
    assert_eq!(wrong(&*callbacks, &host), [("rcu_nocbs".to_owned(), "rcu_nocbs=2-3".to_owned())]);
    let ticks = of_unit("cpu/nohz_full");
    assert!(matches!(ticks.look(&host)[0].now, Err(Cannot::Missing(_))), "not in this kernel");
    put(&root, "sys/devices/system/cpu/nohz_full", "2-3\n");
    assert_eq!((wrong(&*ticks, &host), wrong(&*callbacks, &host)), (vec![], vec![]));

    put(&root, "sys/devices/system/cpu/isolated", "\n");
    let few = Host { cores: vec![1, 2, 3], ..host.clone() };
    assert_eq!(wrong(&*knob, &few), [], "the rest needs two cores");
    assert!(knob.look(&few)[0].note.contains("too few cores"));
    put(&root, "proc/cmdline", "idle=poll\n");
    let idle = of_keys("boot]\nparameter = 'idle'\nwant = 'halt'");
    assert_eq!(wrong(&*idle, &host), [("idle".to_owned(), "idle=halt".to_owned())]);
}

/// A row of `/proc/PID/limits`, and one of `/proc/PID/status`.
fn process(root: &TempDir, name: &str, files: u64, memory: &str, capabilities: &str) {
    let rows = format!(
        "Limit   Soft Limit   Hard Limit   Units\nMax open files   1024   {files}   files\n\
         Max locked memory   65536   {memory}   bytes\n"
    );
    put(root, &format!("proc/{name}/limits"), &rows);
    let status = format!("Name:\tx\nCapEff:\t{capabilities}\nCpus_allowed_list:\t0-2\n");
    put(root, &format!("proc/{name}/status"), &status);
}

#[test]
fn limits_are_those_of_the_engine_where_there_is_one() {
    let (root, host) = server();
    process(&root, "self", 1024, "65536", "0000000000000000");
    let (files, memory) = (of_unit("limits/nofile"), of_unit("limits/memlock"));
    assert_eq!(wrong(&*files, &host), [("nofile of this process".to_owned(), "65536".to_owned())]);
    assert_eq!(wrong(&*memory, &host).len(), 1);
    process(&root, "self", 1_048_576, "65536", "0000000000004000");
    assert_eq!((wrong(&*files, &host), wrong(&*memory, &host)), (vec![], vec![]), "CAP_IPC_LOCK");

    // A service that runs systemd's way, and an engine that was started some other way.
    program(
        &root,
        "systemctl",
        "echo LoadState=loaded; echo LimitNOFILE=infinity; echo LimitMEMLOCK=65536",
    );
    fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
    process(&root, "4000000000", 1024, "unlimited", "0000000000000000");
    put(&root, "proc/4000000000/cmdline", "/usr/bin/broadside\0run\0--config\0x\0");
    let engine = "nofile of engine 4000000000".to_owned();
    assert_eq!(wrong(&*files, &host), [(engine, "65536".to_owned())]);
    let service = "memlock of broadside.service".to_owned();
    assert_eq!(wrong(&*memory, &host), [(service.clone(), "268435456".to_owned())]);
    assert_eq!(memory.read(&host, &service), Ok("65536".to_owned()));
    let Err(Cannot::ByHand(what)) = memory.settable(&host, &service) else { panic!() };
    assert!(
        what.contains("LimitMEMLOCK=268435456") && what.contains("ulimit -Hl 262144"),
        "{what}"
    );
}

#[test]
fn the_clock_reads_the_best_counter_that_there_is() {
    let (root, host) = server();
    let knob = of_unit("cpu/clock_source");
    let folder = "sys/devices/system/clocksource/clocksource0";
    assert!(matches!(knob.look(&host)[0].now, Err(Cannot::Missing(_))));
    put(&root, &format!("{folder}/available_clocksource"), "kvm-clock tsc hpet acpi_pm \n");
    for (now, wanted) in [("tsc", None), ("kvm-clock", None), ("hpet", Some("tsc"))] {
        put(&root, &format!("{folder}/current_clocksource"), &format!("{now}\n"));
        let found = wrong(&*knob, &host).into_iter().map(|(_, wanted)| wanted);
        assert_eq!(found.collect::<Vec<_>>(), Vec::from_iter(wanted));
    }
    let set = apply(&*knob, &host);
    undo(&*knob, &host, &set);
    let place = format!("/{folder}/current_clocksource");
    assert!(
        matches!(knob.write(&host, &place, "jiffies"), Err(Cannot::Missing(_))),
        "is not there"
    );
    assert!(matches!(knob.write(&host, "synchronised", "yes"), Err(Cannot::Missing(_))));
}

#[test]
fn cores_and_time_that_the_group_does_not_give_are_told() {
    let (root, host) = server();
    process(&root, "self", 1, "1", "0");
    put(&root, "proc/self/cgroup", "1:cpu:/x\n0::/pool/engine\n");
    let knob = of_unit("cpu/pinning");
    let cores = ("cores of this process".to_owned(), "3 too".to_owned());
    assert_eq!(wrong(&*knob, &host).as_slice(), std::slice::from_ref(&cores));
    let Err(Cannot::ByHand(what)) = knob.settable(&host, &cores.0) else { panic!() };
    assert!(what.contains("may not use core 3"), "{what}");
    put(&root, "sys/fs/cgroup/pool/engine/cpu.max", "max 100000\n");
    put(&root, "sys/fs/cgroup/pool/cpu.max", "50000 100000\n");
    let time = ("processor time of this process".to_owned(), "max".to_owned());
    assert_eq!(wrong(&*knob, &host), [cores, time]);
}

#[test]
fn programs_that_are_missing_or_say_no_are_named() {
    let (root, host) = server();
    for (unit, program, package) in [
        ("tcp/initcwnd", "ip", "iproute2"),
        ("queues/qdisc", "tc", "iproute2"),
        ("queues/rings", "ethtool", "ethtool"),
    ] {
        let found = of_unit(unit).look(&host).swap_remove(0);
        assert_eq!(found.now, Err(Cannot::NoProgram { program, package }), "{unit}");
    }
    program(
        &root,
        "ethtool",
        "case $1 in -i) echo 'driver: vic';; \
         *) echo 'netlink error: Operation not supported' >&2; exit 1;; esac",
    );
    let Err(Cannot::Refused(why)) = of_unit("queues/rings").look(&host).swap_remove(0).now else {
        panic!()
    };
    assert!(why.contains("eth0") && why.contains("vic"), "{why}");
    program(&root, "ip", "echo 'nonsense, and more of it'; printf 'default\\ndefault via\\n'");
    assert_eq!(of_unit("tcp/initcwnd").look(&host), []);
    let qdisc = || of_unit("queues/qdisc").look(&host).swap_remove(0).now;
    program(&root, "tc", "head -c 3000000 /dev/zero");
    assert!(matches!(qdisc(), Err(Cannot::Missing(_))));
    program(&root, "tc", "echo 'qdisc pfifo_fast 0: root refcnt 2'");
    put(&root, "proc/sys/kernel/osrelease", "6.1.0-x\n");
    put(&root, "lib/modules/6.1.0-x/modules.builtin", "kernel/net/sched/sch_fifo.ko\n");
    let list = "lib/modules/6.1.0-x/modules.dep";
    put(&root, list, "kernel/net/sched/sch_fq_codel.ko.xz:\n");
    let Err(Cannot::Missing(why)) = qdisc() else { panic!("{:?}", qdisc()) };
    assert!(why.contains("CONFIG_NET_SCH_FQ"), "{why}");
    put(&root, list, "kernel/net/sched/sch_fq.ko.xz:\n");
    assert_eq!(qdisc().as_deref(), Ok("default pfifo_fast"));
}

/// A device with rings and coalescing, kept in files by a program that speaks as `ethtool` does.
#[test]
fn rings_and_coalescing_are_set_and_put_back() {
    let (root, host) = server();
    let state = root.path().join("state");
    fs::create_dir_all(&state).unwrap();
    for (name, value) in [("rx", "256"), ("tx", "512"), ("adaptive-rx", "on"), ("rx-usecs", "50")] {
        fs::write(state.join(name), value).unwrap();
    }
    program(
        &root,
        "ethtool",
        &format!(
            "cd {}\ncase $1 in\n\
             -g) printf 'Ring parameters for eth0:\\nPre-set maximums:\\nRX:\\t4096\\nTX:\\t512\\n'\n\
             printf 'Current hardware settings:\\nRX:\\t%s\\nTX:\\t%s\\n' $(cat rx) $(cat tx);;\n\
             -c) printf 'Coalesce parameters for eth0:\\nAdaptive RX: %s  TX: off\\n' $(cat adaptive-rx)\n\
             printf 'rx-usecs:\\t%s\\n' $(cat rx-usecs);;\n\
             -G|-C) [ -e $3 ] && printf %s $4 >$3;;\nesac",
            state.display()
        ),
    );
    let host = Host { devices: vec!["eth0".to_owned()], ..host };
    let before = dump(&state);
    let expected = [
        ("queues/rings", &[("eth0 rx", "1024")][..]),
        ("queues/coalescing", &[("eth0 adaptive-rx", "off"), ("eth0 rx-usecs", "10")]),
    ];
    for (unit, expected) in expected {
        let knob = of_unit(unit);
        let expected: Vec<_> = expected
            .iter()
            .map(|(place, value)| ((*place).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(wrong(&*knob, &host), expected);
        let set = apply(&*knob, &host);
        undo(&*knob, &host, &set);
        assert_eq!(dump(&state), before);
    }
}
