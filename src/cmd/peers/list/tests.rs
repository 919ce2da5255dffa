//! The table and the JSON of a made-up database.

use super::*;
use crate::cold::score::Standing;
use crate::cold::store::{PeerBook, Source, StoreSettings};

fn at(last: u8) -> SocketAddr {
    SocketAddr::from(([203, last, 113, 1], 9_333))
}

fn database() -> Database {
    let (chain, network) = ("silver".to_owned(), "main".to_owned());
    let settings = StoreSettings { path: "x".into(), chain, network, port: 9_333 };
    Database {
        settings,
        kept: vec![(at(1), Standing::Fixed)],
        max: 3,
        asn_db: None,
        regions: Vec::new(),
    }
}

fn loaded() -> Loaded {
    let now_s = now_s();
    let mut book = PeerBook::default();
    for last in 1..=5 {
        let mut entry = PeerEntry::new(Source::Discovered, now_s - f64::from(last) * 4_000.0);
        entry.score = 100.0 - f64::from(last);
        entry.successful_broadcasts = last.into();
        entry.ping_ms = (last > 3).then(|| f64::from(10 - last));
        book.insert(at(last), entry);
    }
    let failing = book.get_mut(at(3)).unwrap();
    (failing.failures_in_row, failing.next_try_s) = (4, now_s + 900.0);
    failing.last_failure = "refused".into();
    book.connected.insert(at(2));
    book.chosen.insert(at(2), (0, ChosenBy::Lot));
    book.ban("203.4.113.1".parse().unwrap(), now_s - 60.0);
    book.enter_kept([(at(1), Standing::Fixed)], now_s);
    Loaded { book, saved_at_s: Some(now_s - 30.0), ..Loaded::default() }
}

fn printed(is_running: bool, sort: Sort, json: bool) -> String {
    let mut out = Vec::new();
    print(&database(), loaded(), is_running, sort, json, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn each_row_says_why() {
    let text = printed(true, Sort::Address, false);
    let lines: Vec<_> = text.lines().collect();
    let head = "silver main: 5 known, 1 connected, 1 banned; saved by the running engine";
    assert!(lines[0].starts_with(head), "{text}");
    for (line, parts) in [
        (1, &["address", "state", "why"][..]),
        (2, &["203.1.113.1:9333", "fixed", "named in the configuration", "AWAY now"]),
        (3, &["connected", "98.0", "2/2", "in: has a connection, served as no. 1 by lot"]),
        (4, &["broken", "breaker open for 15 min more, 4 failures", "refused"]),
        (5, &["banned", "out: banned for 60 s"]),
        (6, &["next", "next for a free place, 1 before it", "5.0"]),
        (7, &["banned: 203.4.113.1 for 60 s"]),
    ] {
        assert!(parts.iter().all(|part| lines[line].contains(part)), "{line}: {text}");
    }
    let text = printed(false, Sort::Address, false);
    assert!(text.contains("0 connected") && text.contains("no engine runs on it"), "{text}");
    assert!(text.lines().nth(3).unwrap().ends_with("connected when the engine stopped"));
    assert!(!text.contains("AWAY"), "{text}");
}

#[test]
fn rows_are_sorted_as_asked() {
    for (sort, expected) in [
        (Sort::Value, [1, 2, 3, 4, 5]),
        (Sort::Score, [1, 2, 3, 4, 5]),
        (Sort::Delivered, [5, 4, 3, 2, 1]),
        (Sort::Ping, [5, 4, 1, 2, 3]),
        (Sort::Seen, [1, 2, 3, 4, 5]),
        (Sort::Rank, [2, 1, 3, 4, 5]),
        (Sort::State, [4, 3, 2, 1, 5]),
        (Sort::Source, [2, 3, 4, 5, 1]),
    ] {
        let value: Value = serde_json::from_str(&printed(true, sort, true)).unwrap();
        let found: Vec<_> = value["peers"].as_array().unwrap().iter().collect();
        let found: Vec<_> = found.iter().map(|row| row["address"].as_str().unwrap()).collect();
        let expected: Vec<_> = expected.iter().map(|last| at(*last).to_string()).collect();
        assert_eq!(found, expected, "{sort:?}");
    }
}

#[test]
fn the_json_is_whole() {
    let value: Value = serde_json::from_str(&printed(true, Sort::Value, true)).unwrap();
    assert_eq!((&value["running"], &value["known"]), (&json!(true), &json!(5)));
    assert_eq!(value["bans"][0]["address"], "203.4.113.1");
    let row = &value["peers"][1];
    assert_eq!((&row["state"], &row["connected"]), (&json!("connected"), &json!(true)));
    assert_eq!((&row["rank"], &row["chosen_by"]), (&json!(0), &json!("lot")));
    assert_eq!((&row["quality"], &row["netgroup"]), (&json!(198.0), &json!("203.2.0.0/16")));
}
