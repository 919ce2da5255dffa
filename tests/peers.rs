//! `broadside peers` on real files, with the engine stopped and with it running.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use broadside::sim::loopback::Keep;
use serde_json::{Value, json};
use support::daemon::{Daemon, Told};
use support::engine::peers;

fn database(daemon: &Daemon) -> PathBuf {
    daemon.data_dir().join("broadcaster_peers_litecoin_regtest.json")
}

/// A file beside the configuration.
fn file(daemon: &Daemon, name: &str, text: &str) -> String {
    let path = daemon.config().with_file_name(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// Runs `peers`, which must succeed; gives its output.
fn done(daemon: &Daemon, arguments: &[&str]) -> String {
    let (code, out, errors) = daemon.ask(&[&["peers"], arguments].concat());
    assert_eq!(code, 0, "{arguments:?}: {out}{errors}");
    out
}

fn listed(daemon: &Daemon) -> Value {
    serde_json::from_str(&done(daemon, &["list", "--json"])).expect("JSON")
}

fn state_of(list: &Value, address: SocketAddr) -> String {
    let rows = list["peers"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["address"] == address.to_string());
    row.map_or_else(|| "unknown".to_owned(), |row| row["state"].as_str().unwrap().to_owned())
}

#[test]
fn a_list_is_imported_line_by_line_shown_banned_and_exported() {
    let fixed: SocketAddr = "127.0.0.77:7777".parse().unwrap();
    let daemon = Daemon::prepare(&Told { fixed: &[fixed], ..Told::default() });
    let list = file(
        &daemon,
        "list.txt",
        "203.0.113.1:19444 # a\naddnode=203.0.113.2\nnonsense\n198.51.100.3:1234\nseed.test\n",
    );
    let (code, out, errors) = daemon.ask(&["peers", "import", &list]);
    assert_eq!(
        (code, out.as_str()),
        (0, &*format!("{list}: 3 new, 0 known already, 2 left out\n"))
    );
    let faults = [
        format!("{list}: line 3: nonsense is no address"),
        format!("{list}: line 5: seed.test is a name; give its address"),
    ];
    assert_eq!(errors.lines().collect::<Vec<_>>(), faults);
    assert!(done(&daemon, &["import", &list]).contains("0 new, 3 known already"));

    let table = done(&daemon, &["list", "--sort", "address"]);
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("litecoin regtest: 4 known, 0 connected, 0 banned; saved"));
    assert!(lines[2].contains("127.0.0.77:7777") && lines[2].contains("fixed"), "{table}");
    assert!(lines[3].contains("198.51.100.3:1234") && lines[3].contains("operator"), "{table}");

    assert_eq!(
        done(&daemon, &["ban", "203.0.113.1"]),
        "203.0.113.1 is banned, 1 of the known peers with it\n"
    );
    assert_eq!(done(&daemon, &["ban", "203.0.113.1"]), "203.0.113.1 is banned already\n");
    let (code, _, errors) = daemon.ask(&["peers", "ban", "127.0.0.77"]);
    assert!(code == 1 && errors.contains("is named in [chain.peers] fixed"), "{errors}");
    let (code, _, errors) = daemon.ask(&["peers", "unban", "203.0.113.1:19444"]);
    assert!(code == 1 && errors.contains("banned as a whole"), "{errors}");
    let (code, _, errors) = daemon.ask(&["peers", "ban", "somebody"]);
    assert!(code == 2 && errors.contains("give IP"), "{errors}");
    let shown = listed(&daemon);
    assert_eq!(state_of(&shown, "203.0.113.1:19444".parse().unwrap()), "banned");
    assert_eq!((&shown["running"], &shown["known"]), (&json!(false), &json!(4)));

    let lines = done(&daemon, &["export", "--format", "addnode", "-"]);
    assert!(lines.contains("addnode=203.0.113.2:19444\n") && !lines.contains("203.0.113.1"));
    assert_eq!(done(&daemon, &["unban", "203.0.113.1"]), "203.0.113.1 is banned no more\n");
    let (code, _, errors) = daemon.ask(&["peers", "unban", "203.0.113.1"]);
    assert_eq!((code, errors.as_str()), (1, "203.0.113.1 is not banned\n"));
}

/// Goal: what one instance has learnt another can have, in every shape.
#[test]
fn two_instances_exchange_their_peers() {
    let (first, second) = (Daemon::prepare(&Told::default()), Daemon::prepare(&Told::default()));
    let theirs = json!({"version": "1.0", "last_updated": 1_703_174_400, "bootstrapped": true,
        "local_dashd": "127.0.0.1:19444", "peers": {
        "127.0.0.1:19444": {"source": "local_dashd", "protected": true, "score": 999_999},
        "203.0.113.8:19444": {"first_seen": 1_703_000_000, "last_seen": 1_703_174_300,
            "source": "dashd", "protected": false, "successful_broadcasts": 47,
            "failed_broadcasts": 2, "score": 195.5},
        "203.0.113.9:51234": {"source": "p2p", "score": 50}}});
    let from = file(&first, "theirs.json", &theirs.to_string());
    let (code, out, errors) = first.ask(&["peers", "import", &from]);
    assert!(code == 0 && out.contains("1 new, 0 known already, 2 left out"), "{out}{errors}");
    assert!(errors.contains("203.0.113.9:51234: never answered") && errors.contains("its writer"));
    for format in ["seeds", "p2pool", "p2pool-merged", "addnode", "list"] {
        let to = first.config().with_file_name(format).display().to_string();
        let out = done(&first, &["export", "--format", format, &to]);
        assert_eq!(out, format!("{to}: 1 peers of litecoin regtest\n"));
        assert!(done(&second, &["import", &to]).starts_with(&to), "{format}");
        let (code, _, errors) = first.ask(&["peers", "export", &to]);
        assert!(code == 2 && errors.contains("--force replaces it"), "{errors}");
        done(&first, &["export", "--force", "--format", format, &to]);
    }
    let row = listed(&second)["peers"][0].clone();
    assert_eq!(row["address"], "203.0.113.8:19444");
    assert_eq!((&row["score"], &row["source"]), (&json!(195.5), &json!("node")));
    assert_eq!((&row["successful_broadcasts"], &row["failed_broadcasts"]), (&json!(47), &json!(2)));
    let own = database(&first).display().to_string();
    let (code, _, errors) = first.ask(&["peers", "export", "--force", &own]);
    assert!(code == 2 && errors.contains("that is the database itself"), "{errors}");
}

#[test]
fn what_is_damaged_or_foreign_is_refused_in_one_line_and_nothing_is_overwritten() {
    let daemon = Daemon::prepare(&Told::default());
    let good = file(&daemon, "good", "203.0.113.1\n");
    done(&daemon, &["import", &good]);
    let before = fs::read(database(&daemon)).unwrap();
    let whole = String::from_utf8(before.clone()).unwrap();
    for (bad, why) in [
        (&whole[..whole.len() / 2], "is damaged"),
        (r#"{"chain": "dogecoin", "network": "main", "peers": {}}"#, "is of dogecoin main"),
        (r#"{"peers": {"203.0.113.1:9999": {}}}"#, "is of dash main, not of litecoin regtest"),
        ("\0\u{1}", "neither JSON nor text"),
    ] {
        let name = file(&daemon, "bad", bad);
        let (code, out, errors) = daemon.ask(&["peers", "import", &name]);
        assert_eq!((code, out.as_str(), errors.lines().count()), (2, "", 1), "{errors}");
        assert!(
            errors.starts_with("broadside: nothing imported: ") && errors.contains(why),
            "{errors}"
        );
        assert_eq!(fs::read_to_string(&name).unwrap(), bad);
    }
    let (code, _, errors) = daemon.ask(&["peers", "import", "/nonexistent"]);
    assert!(code == 2 && errors.contains("can't read"), "{errors}");
    let none = file(&daemon, "none", "nobody\n");
    assert_eq!(daemon.ask(&["peers", "import", &none]).0, 1);
    assert_eq!(fs::read(database(&daemon)).unwrap(), before);

    // Our own, damaged: `list` leaves it alone; a change puts it aside and goes on from the last
    // good one.
    done(&daemon, &["ban", "203.0.113.9"]);
    fs::write(database(&daemon), &whole[..40]).unwrap();
    let (code, out, errors) = daemon.ask(&["peers", "list"]);
    assert!(code == 0 && out.contains("203.0.113.1:19444"), "{out}");
    assert!(errors.contains("last good database"), "{errors}");
    assert_eq!(fs::read_to_string(database(&daemon)).unwrap(), &whole[..40]);
    let (code, _, errors) = daemon.ask(&["peers", "ban", "203.0.113.8"]);
    assert!(code == 0 && errors.contains("put aside as"), "{errors}");
    let aside = fs::read_dir(daemon.data_dir()).unwrap().map(|it| it.unwrap().path());
    let mut aside = aside.filter(|path| path.display().to_string().contains(".damaged-"));
    assert_eq!(fs::read_to_string(aside.next().unwrap()).unwrap(), &whole[..40]);
    let (code, _, errors) = daemon.ask(&["peers", "list", "--chain", "gold"]);
    assert!(code == 2 && errors.contains("has no chain gold; it has litecoin"), "{errors}");
}

/// Goal: an edit beside a running engine is at work at once, and survives its sudden end.
#[test]
fn a_running_engine_takes_edits_in_and_saves_them() {
    let loopback = peers(Vec::new(), 3, Keep::Nothing);
    let [fixed, wanted, unwanted] = loopback.addresses() else { panic!("three peers") };
    let mut daemon = Daemon::start(&Told { fixed: &[*fixed], ..Told::default() });
    daemon.wait_for_peers(1);
    let list = file(&daemon, "list", &format!("{wanted}\n{unwanted}\n"));
    let out = done(&daemon, &["import", &list]);
    assert!(out.contains("2 new") && out.contains("taken in by the running engine"), "{out}");
    daemon.wait_for_peers(3);
    let shown = listed(&daemon);
    assert_eq!(shown["running"], true);
    let states = [fixed, wanted, unwanted].map(|at| state_of(&shown, *at));
    assert_eq!(states, ["fixed", "connected", "connected"]);

    let out = done(&daemon, &["ban", &unwanted.to_string()]);
    assert!(out.contains("taken in by the running engine"), "{out}");
    daemon.wait_for_peers(2);
    daemon.kill();
    let shown = listed(&daemon);
    assert_eq!(shown["running"], false);
    assert_eq!([wanted, unwanted].map(|at| state_of(&shown, *at)), ["next", "banned"]);

    daemon.restart();
    daemon.wait_for_peers(2);
    let table = done(&daemon, &["list"]);
    assert!(
        table.contains("saved by the running engine") && table.contains("2 connected"),
        "{table}"
    );
    assert_eq!(state_of(&listed(&daemon), *unwanted), "banned");
    let out = done(&daemon, &["unban", &unwanted.to_string()]);
    assert!(out.contains("taken in by the running engine"), "{out}");
    daemon.wait_for_peers(3);
    assert!(daemon.terminate().success());
    let table = done(&daemon, &["list"]);
    assert!(table.contains("no engine runs on it"), "{table}");
    assert_eq!(table.matches("connected when the engine stopped").count(), 3, "{table}");
}

/// Goal: edits that come all at once, while the engine comes and goes, are all there in the end.
#[test]
fn no_edit_is_lost_among_many() {
    let mut daemon = Daemon::prepare(&Told::default());
    let ban_all = |daemon: &Daemon, from: u8| {
        std::thread::scope(|scope| {
            for last in from..from + 6 {
                scope.spawn(move || done(daemon, &["ban", &format!("203.0.113.{last}")]));
            }
        });
    };
    ban_all(&daemon, 10);
    daemon.restart();
    ban_all(&daemon, 20);
    assert!(daemon.terminate().success());
    ban_all(&daemon, 30);
    assert_eq!(listed(&daemon)["bans"].as_array().unwrap().len(), 18);
    let edits = database(&daemon).with_extension("json.edits");
    let left: Vec<_> = fs::read_dir(edits).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
}

/// Goal: a file of networks that can't be used is one line and degraded health, and nothing else.
#[test]
fn an_unreadable_file_of_networks_is_one_line() {
    let daemon = Daemon::prepare(&Told { engine: "asn_db = \"broken.mmdb\"", ..Told::default() });
    fs::create_dir_all(daemon.data_dir()).unwrap();
    let (mut daemon, broken) = (daemon, b"PK\x03\x04 not what it should be");
    fs::write(daemon.data_dir().join("broken.mmdb"), broken).unwrap();
    daemon.restart();
    let stats = daemon.wait_for_stats("a roster", |stats| stats["selection"]["rule"] == "measured");
    let issues = stats["health"]["issues"].to_string();
    assert!(
        issues.contains("can't use engine.asn_db") && issues.contains("broken.mmdb"),
        "{issues}"
    );
    let said = daemon.lines().into_iter().filter(|line| line.contains("engine.asn_db"));
    assert_eq!(said.count(), 1);
    let (code, _, errors) = daemon.ask(&["peers", "list"]);
    assert!(code == 0 && errors.contains("warning: can't use engine.asn_db"), "{errors}");
    assert_eq!(fs::read(daemon.data_dir().join("broken.mmdb")).unwrap(), broken);
}
