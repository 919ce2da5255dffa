//! Real devices, in a network and mount namespace that ends with the test.

use std::path::Path;
use std::process::Command;

use broadside::edge::tune::knob::{Cannot, Host};

use super::{apply, of_keys, of_unit, undo, wrong};

const INSIDE: &str = "BROADSIDE_KNOBS_INSIDE";

/// Whether this is the process in which the test's body is to run. If not, this has run it in one whose
/// network and mounts are its own, prepared by the shell commands `prepare`.
fn inside(test: &str, prepare: &str) -> bool {
    inside_with(test, prepare, "")
}

/// The same, with the test's process started by `wrapper`.
fn inside_with(test: &str, prepare: &str, wrapper: &str) -> bool {
    if std::env::var(INSIDE).is_ok_and(|name| name == test) {
        return true;
    }
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-ec", script]);
        command
    };
    let tools = "command -v ip; command -v tc; command -v ethtool; command -v setpriv; \
                 mount -t sysfs sysfs /sys; ip link add v0 type veth peer name v1; \
                 ip tuntap add dev t0 mode tun";
    let can = unshare(tools).output();
    if !can.as_ref().is_ok_and(|it| it.status.success()) {
        eprintln!(
            "SKIPPED {test}: needs root, veth, TUN and iproute2, ethtool, util-linux: {can:?}"
        );
        return false;
    }
    let script = format!(
        "mount -t sysfs sysfs /sys; ip link set lo up
         # No addresses and routes that come by themselves a second later.
         echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode || true
         {prepare}\nexec {wrapper} \"$0\" \"$@\""
    );
    let run = unshare(&script)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, test)
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    false
}

fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-ec", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn here(shard_cores: &[usize], cores: &[usize], devices: &[&str]) -> Host {
    super::host(Path::new("/"), shard_cores, cores, devices)
}

const ROUTES: &str = "
    ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
    ip addr add 10.0.0.1/24 dev v0; ip addr add 10.0.1.1/24 dev v1
    ip -6 addr add fd00::1/64 dev v0 nodad
    ip route add default via 10.0.0.2 dev v0 proto static metric 10 mtu lock 1300 src 10.0.0.1
    ip route add default metric 20 nexthop via 10.0.0.2 dev v0 weight 1 \
        nexthop via 10.0.0.3 dev v0 weight 3
    ip route add default via 10.0.0.4 dev v0 metric 30 initcwnd 20 initrwnd 30
    ip route append default via 10.0.0.5 dev v0 metric 40
    ip route append default via 10.0.0.6 dev v0 metric 40
    ip route add default via 10.0.0.7 dev v0 metric 50 initcwnd 100
    ip route add default via 10.0.1.2 dev v1 metric 60
    ip -6 route add default via fd00::2 dev v0
    ip -6 route add default via fd00::3 dev v0 metric 7 proto ra expires 1800";

#[test]
fn routes_get_their_windows_and_are_put_back() {
    if !inside("network::routes_get_their_windows_and_are_put_back", ROUTES) {
        return;
    }
    let dump = || {
        let text = run("ip -4 -d -o route show table all; ip -6 -d -o route show table all");
        // How long a route has yet to live goes on by itself.
        text.lines().filter(|line| !line.contains("expires")).collect::<Vec<_>>().join("\n")
    };
    let before = dump();
    let host = here(&[1], &[0, 1], &["v0"]);
    let (congestion, receive) = (of_unit("tcp/initcwnd"), of_unit("tcp/initrwnd"));
    assert_eq!(wrong(&*receive, &host).len(), 1);
    // One unit's windows do not hide a route from the other.
    let first = apply(&*congestion, &host);
    let second = apply(&*receive, &host);
    let now = run("ip -4 -o route show default; ip -6 -o route show default");
    println!("{now}");
    let count = now.lines().filter(|line| line.contains("initcwnd 64")).count();
    // Metrics 10, 20, 30 and the kernel's own of IPv6; not those that are ambiguous, larger, of a device
    // that is not meant, or a router's.
    assert_eq!((first.len(), second.len(), count), (4, 1, 4), "{now}");
    assert!(now.contains("initcwnd 100") && !now.contains("initrwnd"), "{now}");
    undo(&*receive, &host, &second);
    undo(&*congestion, &host, &first);
    assert_eq!(dump(), before);

    let alone: Vec<_> =
        congestion.look(&host).into_iter().filter(|it| it.wanted.is_some()).collect();
    let refused = alone.iter().filter(|it| congestion.settable(&host, &it.place).is_err());
    let notes: Vec<_> = refused.map(|it| it.note.as_str()).collect();
    assert_eq!(notes.len(), 3, "{alone:?}");
    assert!(notes.iter().all(|note| note.contains("initial_window_packets")), "{notes:?}");
    // What a record may say is not done: it is no route, or no number.
    for (place, value) in [
        ("-4 default via 10.0.0.99 dev v0", "64"),
        ("-4 10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.1", "64"),
        (first[0].0.as_str(), "64 via 10.0.0.9"),
        (first[0].0.as_str(), ""),
    ] {
        assert!(congestion.write(&host, place, value).is_err(), "{place} {value}");
    }
    assert_eq!(dump(), before);
}

#[test]
fn offloads_are_set_with_what_they_need_and_put_back() {
    let prepare = "ip link add v0 type veth peer name v1
        ethtool -K v0 tx-tcp-segmentation off generic-segmentation-offload off
        ethtool -K v0 tx-scatter-gather off";
    if !inside("network::offloads_are_set_with_what_they_need_and_put_back", prepare) {
        return;
    }
    let dump = || run("ethtool -k v0");
    let before = dump();
    let host = here(&[1], &[0, 1], &["v0"]);
    let knob = of_unit("queues/offloads");
    let places: Vec<_> = wrong(&*knob, &host).into_iter().map(|(place, _)| place).collect();
    let expected =
        ["v0 tx-scatter-gather", "v0 generic-segmentation-offload", "v0 tx-tcp-segmentation"];
    assert_eq!(places, expected, "{before}");
    let set = apply(&*knob, &host);
    assert!(dump().contains("tx-tcp6-segmentation: on\n"), "comes by itself: {}", dump());
    undo(&*knob, &host, &set);
    assert_eq!(dump(), before);
    assert!(knob.write(&host, "v0 tx-scatter-gather", "on rx off").is_err());
    assert!(knob.write(&host, "v0 rx-checksumming", "off").is_err(), "is not of this unit");
    assert!(knob.write(&host, "-s tx-scatter-gather", "on").is_err());
    assert_eq!(dump(), before);
}

#[test]
fn queues_are_as_many_as_shards_and_put_back() {
    let prepare = "ip link add v0 numtxqueues 4 numrxqueues 4 type veth peer name v1
        ethtool -L v0 tx 1 rx 1";
    if !inside("network::queues_are_as_many_as_shards_and_put_back", prepare) {
        return;
    }
    let dump = || run("ethtool -l v0; ls /sys/class/net/v0/queues");
    let before = dump();
    let knob = of_unit("queues/channels");
    for (shards, queues) in [(2, "2"), (9, "4")] {
        let host = here(&(1..=shards).collect::<Vec<_>>(), &[0], &["v0"]);
        assert_eq!(wrong(&*knob, &host), [("v0 tx".to_owned(), queues.to_owned())]);
        let set = apply(&*knob, &host);
        undo(&*knob, &host, &set);
        assert_eq!(dump(), before);
    }
    // This driver has no rings and tells nothing of coalescing: said, with its name.
    let host = here(&[1], &[0, 1], &["v0", "none"]);
    for unit in ["queues/rings", "queues/coalescing"] {
        let found: Vec<_> =
            of_unit(unit).look(&host).into_iter().map(|it| it.now.unwrap_err()).collect();
        let [Cannot::Refused(words), Cannot::Missing(missing)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert!(words.contains("veth") && missing.contains("none"), "{found:?}");
    }
}

#[test]
fn a_queueing_discipline_is_set_and_the_kernels_own_put_back() {
    let prepare = "for it in one several shaped; do
            [ $it = several ] && more=multi_queue || more=
            ip tuntap add dev $it mode tun $more; ip link set $it up
        done
        ip link add v0 type veth peer name v1; ip link set v0 up
        tc qdisc replace dev shaped root tbf rate 1mbit burst 10kb latency 10ms";
    if !inside("network::a_queueing_discipline_is_set_and_the_kernels_own_put_back", prepare) {
        return;
    }
    let dump = || run("tc qdisc show");
    let before = dump();
    let host = here(&[1], &[0, 1], &["one", "several", "shaped", "v0"]);
    // Every kernel has pfifo; not every one has fq.
    let knob = of_keys("qdisc]\nkind = 'pfifo'");
    let expected = [("one root", "pfifo"), ("several root", "mq"), ("several queue 1", "pfifo")]
        .map(|(place, wanted)| (place.to_owned(), wanted.to_owned()));
    assert_eq!(wrong(&*knob, &host), expected, "{before}");
    let set = apply(&*knob, &host);
    assert_eq!(set.len(), 3);
    println!("{}", dump());
    undo(&*knob, &host, &set);
    assert_eq!(dump(), before);
    // Halted between root and queue: what was set is put back all the same.
    knob.write(&host, "several root", "mq").unwrap();
    undo(&*knob, &host, &set[1..2]);
    assert_eq!(dump(), before);
    // Halted in the middle of undo: no queue is left without a discipline.
    let set = apply(&*knob, &host);
    undo(&*knob, &host, &set[2..]);
    assert!(dump().contains("pfifo_fast") && !dump().contains("noop"), "{}", dump());
    undo(&*knob, &host, &set);
    assert_eq!(dump(), before);
    // What is there already is no change.
    for place in ["one root", "several root"] {
        knob.write(&host, place, &knob.read(&host, place).unwrap()).unwrap();
    }
    assert_eq!(dump(), before);
    // A queue alone can't be set below the kernel's own root; nothing else than this unit's is set.
    assert!(knob.write(&host, "several queue 1", "pfifo").is_err());
    assert!(knob.write(&host, "one root", "tbf").is_err());
    let unknown = of_keys("qdisc]\nkind = 'nonesuch'").write(&host, "one root", "nonesuch");
    let Err(Cannot::Missing(why)) = unknown else { panic!("{unknown:?}") };
    assert!(why.contains("CONFIG_NET_SCH_NONESUCH"), "{why}");
    assert_eq!(dump(), before);
}

#[test]
fn packets_are_steered_off_the_shards_and_back() {
    let prepare = "ip link add v0 numtxqueues 2 numrxqueues 2 type veth peer name v1
        for queue in 0 1; do echo 3 >/sys/class/net/v0/queues/rx-$queue/rps_cpus; done
        echo 4096 >/sys/class/net/v0/queues/rx-1/rps_flow_cnt";
    if !inside("network::packets_are_steered_off_the_shards_and_back", prepare) {
        return;
    }
    let dump = || run("grep -r . /sys/class/net/v0/queues | grep -E 'rps|xps_cpus' | sort");
    let before = dump();
    let cores: Vec<usize> =
        std::thread::available_parallelism().map_or(vec![0], |it| (0..it.get()).collect());
    let Some(host) = (cores.len() > 1).then(|| here(&[1], &cores, &["v0"])) else {
        return eprintln!("SKIPPED: there is one core");
    };
    for (unit, count) in [("queues/rps", 2), ("queues/rfs", 1), ("queues/xps", 2)] {
        let knob = of_unit(unit);
        let set = apply(&*knob, &host);
        assert_eq!(set.len(), count, "{unit}: {before}");
        undo(&*knob, &host, &set);
        assert_eq!(dump(), before, "{unit}");
        let queue = "/sys/class/net/v0/queues/rx-0/../../../../../../etc/passwd";
        assert!(matches!(knob.write(&host, queue, "0"), Err(Cannot::Missing(_))));
    }
    // A queue of its own for the shard: whichever it is, that is right.
    run(
        "echo 2 >/sys/class/net/v0/queues/tx-1/xps_cpus; echo 1 >/sys/class/net/v0/queues/tx-0/xps_cpus",
    );
    assert_eq!(wrong(&*of_unit("queues/xps"), &host), []);
}

/// The units of a network that this process would set if it could.
const OF_A_NETWORK: [&str; 4] = ["tcp/initcwnd", "queues/offloads", "queues/qdisc", "queues/rps"];
const ALL_WRONG: &str = "
    ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
    ip addr add 10.0.0.1/24 dev v0; ip route add default via 10.0.0.2 dev v0
    ethtool -K v0 tx-scatter-gather off; echo 3 >/sys/class/net/v0/queues/rx-0/rps_cpus
    ip tuntap add dev t0 mode tun; ip link set t0 up\n";

/// All is seen, and for each value it is said that it can't be set from here; nothing is changed.
fn nothing_can_be_set(units: &[&str]) {
    let dump =
        || run("ip route; ethtool -k v0; tc qdisc; cat /sys/class/net/v0/queues/rx-0/rps_cpus");
    let before = dump();
    let host = here(&[1], &[0, 1], &["v0", "t0"]);
    for unit in units {
        let knob = of_unit(unit);
        let found = wrong(&*knob, &host);
        assert!(!found.is_empty(), "{unit}");
        for (place, wanted) in found {
            for answer in [knob.settable(&host, &place), knob.write(&host, &place, &wanted)] {
                let Err(Cannot::NotFromHere(why)) = answer else {
                    panic!("{unit} {place}: {answer:?}")
                };
                assert!(why.contains("on the host"), "{why}");
            }
        }
    }
    assert_eq!(dump(), before);
}

#[test]
fn without_rights_it_is_seen_and_said() {
    let wrapper = "setpriv --inh-caps=-all --bounding-set=-all";
    if inside_with("network::without_rights_it_is_seen_and_said", ALL_WRONG, wrapper) {
        nothing_can_be_set(&OF_A_NETWORK[..3]);
    }
}

#[test]
fn a_read_only_sysfs_is_seen_and_said() {
    let prepare = format!("{ALL_WRONG} mount -o remount,bind,ro /sys");
    if inside("network::a_read_only_sysfs_is_seen_and_said", &prepare) {
        nothing_can_be_set(&OF_A_NETWORK[3..]);
    }
}

/// The rights that packaging/systemd/broadside-tune.service leaves the program.
const OF_THE_SERVICE: &str = "setpriv --inh-caps=-all --bounding-set=-all,+net_admin";

/// Everything of a network at once, by the program itself.
#[test]
fn the_program_sets_a_network_and_puts_it_back() {
    let prepare = format!(
        "{ALL_WRONG} ip link add w0 numtxqueues 2 numrxqueues 2 type veth peer name w1
         ethtool -L w0 tx 1; ip route add default via 10.0.0.3 dev v0 metric 5 initrwnd 9
         ip tuntap add dev m0 mode tun multi_queue; ip link set m0 up"
    );
    let name = "network::the_program_sets_a_network_and_puts_it_back";
    if !inside_with(name, &prepare, OF_THE_SERVICE) {
        return;
    }
    let dump = || {
        run("ip -4 -o route show table all; ip -6 -o route show table all; tc qdisc
             for it in v0 w0 t0 m0; do ethtool -k $it; ethtool -l $it || true; done 2>&1
             grep -r . /sys/class/net/*/queues 2>/dev/null | grep -E 'rps|xps' | sort
             grep -rs . /proc/sys/net/ipv4 /proc/sys/net/core /proc/sys/net/ipv6 | sort")
    };
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("tuning.json");
    let tune = |words: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_broadside"));
        let run = program.arg("tune").args(words).arg("--record").arg(&record).output().unwrap();
        let said =
            [run.stdout, run.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        println!("{}", said.concat());
        (run.status.code(), said.concat())
    };
    let before = dump();
    let apply = [
        "apply",
        "--device",
        "v0",
        "--device",
        "w0",
        "--device",
        "t0",
        "--device",
        "m0",
        "--only",
        "tcp",
        "--only",
        "queues/channels",
        "--only",
        "queues/offloads",
        "--only",
        "queues/qdisc",
        "--only",
        "queues/rps",
        "--only",
        "queues/rfs",
        "--only",
        "queues/xps",
    ];
    // 1: this kernel need not have fq or BBR.
    let (code, said) = tune(&apply);
    assert!(matches!(code, Some(0 | 1)), "{said}");
    let after = dump();
    for part in ["initcwnd 64", "tcp_slow_start_after_idle:0"] {
        assert!(after.contains(part) && !before.contains(part), "{part}");
    }
    for part in ["initrwnd 9", "scatter-gather: off\n"] {
        assert!(before.contains(part) && !after.contains(part), "{part}");
    }
    tune(&apply);
    assert_eq!(dump(), after, "the second time there is nothing to do");
    let (code, said) = tune(&["undo"]);
    assert_eq!((code, dump()), (Some(0), before), "{said}");
    assert!(!record.exists());
}
