use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::edge::tune::how::How;

/// A host made of files.
struct Made {
    folder: TempDir,
    host: Host,
}

impl Made {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Host {
            root: folder.path().to_owned(),
            shard_cores: vec![10],
            cores: vec![2, 10],
            devices: vec!["eth0".to_owned()],
        };
        let made = Self { folder, host: made };
        files.iter().for_each(|(path, text)| made.put(path, text));
        made
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn put(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }
}

fn file(keys: &str) -> File {
    let how: How = toml::from_str(&format!("[file]\n{keys}")).unwrap();
    let How::File(file) = how else { panic!("a file") };
    file
}

fn seen(knob: &File, host: &Host) -> Vec<(String, Result<String, Cannot>, Option<String>)> {
    knob.look(host).into_iter().map(|it| (it.place, it.now, it.wanted)).collect()
}

const CUBIC: &str = "path = '/proc/sys/net/ipv4/tcp_congestion_control'\n\
                     want.one_of = { words = ['bbr', 'cubic'], \
                     offered_by = 'tcp_available_congestion_control' }";

#[test]
fn each_kind_of_want_is_judged() {
    let made = Made::new(&[
        ("/proc/sys/a", "1\n"),
        ("/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n"),
        ("/sys/kernel/mm/thp", "always [madvise] never\n"),
        ("/proc/sys/net/ipv4/tcp_congestion_control", "vegas\n"),
        ("/proc/sys/net/ipv4/tcp_available_congestion_control", "reno cubic\n"),
    ]);
    let judged = |path: &str, want: &str| {
        let all = seen(&file(&format!("path = '{path}'\nwant.{want}")), &made.host);
        assert_eq!(all.len(), 1);
        (all[0].1.clone().unwrap(), all[0].2.clone())
    };
    let text = |it: &str| it.to_owned();
    assert_eq!(judged("/proc/sys/a", "exactly = '0'"), (text("1"), Some(text("0"))));
    assert_eq!(judged("/proc/sys/a", "exactly = '1'"), (text("1"), None));
    assert_eq!(judged("/proc/sys/a", "at_most = 0"), (text("1"), Some(text("0"))));
    assert_eq!(judged("/proc/sys/a", "at_most = 1").1, None);
    assert_eq!(judged("/proc/sys/a", "at_least = [2]").1, Some(text("2")));
    let wmem = "/proc/sys/net/ipv4/tcp_wmem";
    let (now, wanted) = judged(wmem, "at_least = [4096, 4096, 8388608]");
    assert_eq!((now.as_str(), wanted), ("4096 16384 4194304", Some(text("4096 16384 8388608"))));
    assert_eq!(judged(wmem, "at_least = [4096, 16384, 4194304]").1, None);
    let choice = |words: &str| judged("/sys/kernel/mm/thp", &format!("one_of.words = [{words}]"));
    assert_eq!(choice("'madvise', 'always'"), (text("madvise"), None));
    assert_eq!(choice("'defer', 'never'").1, Some(text("never")), "the first that is offered");
    let free = judged("/proc/sys/net/ipv4/tcp_congestion_control", "one_of.words = ['a', 'b']");
    assert_eq!(free.1, Some(text("a")), "nothing tells what is offered");
    let cubic = file(CUBIC);
    assert_eq!(cubic.look(&made.host)[0].wanted, Some(text("cubic")));
    assert!(cubic.settable(&made.host, "/proc/sys/net/ipv4/tcp_congestion_control").is_ok());
    made.put("/proc/sys/net/ipv4/tcp_available_congestion_control", "reno\n");
    assert!(matches!(
        cubic.settable(&made.host, "/proc/sys/net/ipv4/tcp_congestion_control"),
        Err(Cannot::NotFromHere(why)) if why.contains("only reno")
    ));
    made.put("/proc/sys/odd", "|/usr/bin/x %p\n");
    let odd = &file("path = '/proc/sys/odd'\nwant.exactly = 'core'").look(&made.host)[0];
    assert!(matches!(&odd.now, Err(Cannot::Refused(_))), "it could not be put back");
    let [one] = &file("path = '/proc/sys/a'\nwant.at_least = [1, 2]").look(&made.host)[..] else {
        panic!("one")
    };
    assert!(matches!(&one.now, Err(Cannot::Refused(_))));
}

#[test]
fn places_are_found_in_the_order_of_their_numbers() {
    let made = Made::new(&[]);
    for core in ["2", "10", "11"] {
        for (state, latency) in [("0", "0"), ("2", "50"), ("10", "400")] {
            let folder = format!("/sys/devices/system/cpu/cpu{core}/cpuidle/state{state}");
            made.put(&format!("{folder}/disable"), "0\n");
            made.put(&format!("{folder}/latency"), latency);
        }
    }
    let states = |core: &str, rest: &str| {
        let path = format!("/sys/devices/system/cpu/cpu{core}/cpuidle/state*/disable");
        let knob = file(&format!("path = '{path}'\nwant.exactly = '1'\n{rest}"));
        seen(&knob, &made.host)
            .into_iter()
            .map(|it| it.0.replace("/sys/devices/system/cpu/", ""))
            .collect::<Vec<_>>()
    };
    let deep = "where_beside = 'latency'\nabove = 10";
    assert_eq!(
        states("{shard_core}", deep),
        ["cpu10/cpuidle/state2/disable", "cpu10/cpuidle/state10/disable"]
    );
    assert_eq!(states("{core}", "").len(), 6);
    assert_eq!(states("{core}", "")[0], "cpu2/cpuidle/state0/disable");
    assert_eq!(states("*", "").len(), 9);
    let none = file("path = '/sys/x/{device}/y'\nwant.exactly = '1'\nmissing = 'no such driver'");
    assert_eq!(none.look(&made.host)[0].now, Err(Cannot::Missing("no such driver".to_owned())));
}

#[test]
fn what_is_written_is_read_and_nothing_is_made() {
    let made = Made::new(&[("/proc/sys/a", "longer than 0\n")]);
    let knob = file("path = '/proc/sys/a'\nwant.exactly = '0'");
    knob.write(&made.host, "/proc/sys/a", "0").unwrap();
    assert_eq!(fs::read_to_string(made.at("/proc/sys/a")).unwrap(), "0\n");
    fs::remove_file(made.at("/proc/sys/a")).unwrap();
    let gone = Cannot::Missing("/proc/sys/a".to_owned());
    assert_eq!(knob.write(&made.host, "/proc/sys/a", "0"), Err(gone.clone()));
    assert_eq!(knob.read(&made.host, "/proc/sys/a"), Err(gone));
    assert!(!made.at("/proc/sys/a").exists());
}

/// A record may have been written by somebody else.
#[test]
fn no_other_file_is_touched_whatever_the_record_says() {
    let made = Made::new(&[("/etc/shadow", "secret"), ("/proc/sys/b", "1"), ("/sys/c7/d", "1")]);
    let knob = file("path = '/sys/c{core}/d'\nwant.at_least = [1]");
    for place in [
        "/etc/shadow",
        "/proc/sys/b",
        "/sys/c/d",
        "/sys/c7/../d",
        "/sys/cx/d",
        "/sys/c7/d/",
        "sys/c7/d",
        "/sys/c7/d\0",
        "",
    ] {
        let (read, written) = (knob.read(&made.host, place), knob.write(&made.host, place, "2"));
        assert!(matches!(read, Err(Cannot::Refused(_))), "{place}");
        assert!(matches!(written, Err(Cannot::Refused(_))), "{place}");
    }
    for value in ["", "x", "1 2", "1\n2", "-1", &"9".repeat(TUNE_VALUE_BYTES_MAX + 1)] {
        let written = knob.write(&made.host, "/sys/c7/d", value);
        assert!(matches!(written, Err(Cannot::Refused(_))), "{value:?}");
    }
    let dots = file("path = '/sys/*/d'\nwant.exactly = '1'");
    assert!(matches!(dots.read(&made.host, "/sys/../d"), Err(Cannot::Refused(_))));
    assert_eq!(dots.read(&made.host, "/sys/c7/d").unwrap(), "1", "of a core that is not ours now");
    let outside = file("path = '/etc/shadow'\nwant.exactly = '1'");
    assert!(matches!(outside.read(&made.host, "/etc/shadow"), Err(Cannot::Refused(_))));
    assert_eq!(fs::read_to_string(made.at("/etc/shadow")).unwrap(), "secret");
}
