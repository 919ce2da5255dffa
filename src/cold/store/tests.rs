//! The database on a real file system.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::*;
use crate::cold::cover::ChosenBy;
use crate::limits::PEER_ENTRIES_MAX;

const NOW_S: f64 = 1_800_000_000.0;

fn settings(folder: &Path) -> StoreSettings {
    StoreSettings {
        path: folder.join("deep/peers.json"),
        chain: "silver".into(),
        network: "main".into(),
        port: 9_333,
    }
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, last], 9_333))
}

fn book_of(count: u8) -> PeerBook {
    let mut book = PeerBook::default();
    book.bootstrapped = true;
    for last in 0..count {
        book.insert(address(last), PeerEntry::new(Source::Node, NOW_S - f64::from(last)));
    }
    book
}

fn parsed(text: &[u8], settings: &StoreSettings) -> json::Read {
    json::read(text, settings, Whose::Ours, NOW_S).unwrap()
}

fn files_like(path: &Path, part: &str) -> Vec<PathBuf> {
    let folder = path.parent().unwrap();
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    found.retain(|path| path.to_string_lossy().contains(part));
    found
}

#[test]
fn what_is_saved_is_loaded_and_the_file_before_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::new(settings(folder.path()));
    assert!(store.load(NOW_S).book.is_empty());
    store.save(&book_of(3), NOW_S).unwrap();
    store.save(&book_of(5), NOW_S).unwrap();
    let loaded = store.load(NOW_S);
    assert_eq!((loaded.book, loaded.warnings.len(), loaded.faults.count), (book_of(5), 0, 0));
    let backup = fs::read(file::beside(&store.settings.path, ".bak")).unwrap();
    assert_eq!(parsed(&backup, &store.settings).book, book_of(3));
    assert!(files_like(&store.settings.path, ".new").is_empty());
}

#[test]
fn a_damaged_file_is_put_aside_and_the_last_good_one_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::new(settings(folder.path()));
    store.save(&book_of(3), NOW_S).unwrap();
    store.save(&book_of(4), NOW_S).unwrap();
    let path = store.settings.path.clone();
    let whole = fs::read(&path).unwrap();
    // Cut off at every length, as a crash of another writer leaves it.
    for cut in [0, 1, 17, whole.len() / 2, whole.len() - 3] {
        fs::write(&path, &whole[..cut]).unwrap();
        let loaded = store.load(NOW_S);
        assert_eq!(loaded.book, book_of(3), "cut at {cut}");
        assert_eq!(loaded.warnings.len(), 2);
        assert!(!path.exists());
    }
    let aside = files_like(&path, ".damaged-1800000000");
    assert_eq!(aside.len(), 5, "nothing that was put aside is overwritten");
    // A save after that doesn't touch the backup that we live from.
    store.save(&book_of(6), NOW_S).unwrap();
    assert_eq!(store.load(NOW_S).book, book_of(6));
    let backup = fs::read(file::beside(&path, ".bak")).unwrap();
    assert_eq!(parsed(&backup, &store.settings).book, book_of(3));
}

#[test]
fn foreign_files_and_folders_are_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::new(settings(folder.path()));
    let path = store.settings.path.clone();
    let ported = r#"{"peers": {"203.0.113.1:9999": {}, "203.0.113.2:9999": {}}}"#;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, ported).unwrap();
    let warning = store.load(NOW_S).warnings.remove(0);
    assert!(warning.contains("not of silver main") && warning.contains("put aside"), "{warning}");
    for other in [r#"{"chain":"gold","network":"main","peers":{}}"#, "[]", "{}", r#"{"peers":3}"#] {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, other).unwrap();
        let loaded = store.load(NOW_S);
        assert!(loaded.book.is_empty() && loaded.warnings.len() == 1, "{other}");
        assert!(!path.exists());
    }
    fs::create_dir(&path).unwrap();
    assert_eq!(store.load(NOW_S).warnings.len(), 1);
    assert_eq!(files_like(&path, ".damaged-").len(), 6);
}

#[test]
fn an_oversized_file_is_put_aside_unread() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::new(settings(folder.path()));
    let path = store.settings.path.clone();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(&path).unwrap().set_len(PEER_FILE_BYTES_MAX + 1).unwrap();
    assert!(store.load(NOW_S).warnings[0].contains("over"));
    assert!(!path.exists());
}

#[test]
fn files_of_the_programs_before_us_are_read() {
    let text = br#"{"version": "1.0", "last_updated": 1703174400, "local_dashd": "127.0.0.1:9999",
        "saved_at": 1703174400.5, "bootstrapped": true, "peers": {
        "127.0.0.1:9333": {"first_seen": 1703000000, "source": "local_dashd", "protected": true,
            "successful_broadcasts": 154, "failed_broadcasts": 0, "score": 999999},
        "203.0.113.8:9333": {"source": "coind", "score": 195.5, "last_seen": 1703174300.25,
            "successful_broadcasts": 47.0, "failed_broadcasts": 2, "blocks_relayed": 7},
        "203.0.113.9:51234": {"source": "p2p", "score": 50},
        "203.0.113.9:51235": {"source": "p2p", "score": 50, "outbound": true},
        "2001:db8::5:9333": {"source": "p2p_discovery", "score": 70, "ping_ms": 41},
        "seed.example.org:9333": {"score": 50},
        "203.0.113.10:9333": {"score": "high"},
        "203.0.113.11:9333": null,
        "203.0.113.12:9333": {}}}"#;
    let folder = tempfile::tempdir().unwrap();
    let json::Read { book, faults, .. } = parsed(text, &settings(folder.path()));
    assert_eq!((book.len(), faults.count, book.bootstrapped), (5, 4, true));
    let named: Vec<_> = faults.named.iter().map(|fault| fault.what.as_str()).collect();
    let bad =
        ["203.0.113.9:51234", "seed.example.org:9333", "203.0.113.10:9333", "203.0.113.11:9333"];
    assert_eq!(named, bad);
    let good = book.get(address(8)).unwrap();
    assert_eq!((good.score, good.source, good.successful_broadcasts), (195.5, Source::Node, 47));
    assert_eq!(good.source_original.as_deref(), Some("coind"));
    let six = book.get(parse_address("2001:db8::5:9333").unwrap()).unwrap();
    assert_eq!((six.ping_ms, six.source), (Some(41.0), Source::Discovered));
    assert!(book.iter().all(|(_, entry)| !entry.protected));
}

#[test]
fn the_written_file_has_the_shared_schema() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = book_of(1);
    book.insert(address(9), PeerEntry::new(Source::LocalNode, NOW_S));
    let mut text = Vec::new();
    json::write(&mut text, &settings(folder.path()), &book, &[], NOW_S).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(value["version"], "1.0");
    assert_eq!(value["local_node"], "203.0.113.9:9333");
    let node = &value["peers"]["203.0.113.9:9333"];
    assert_eq!((&node["score"], &node["protected"]), (&999_999.0.into(), &true.into()));
    assert_eq!(node["successful_broadcasts"], 0);
    assert_eq!(value["peers"]["203.0.113.0:9333"]["source"], "node");
}

#[test]
fn a_file_with_too_many_peers_is_read_within_the_limit() {
    let mut text = String::from(r#"{"peers":{"#);
    for number in 0..3 * PEER_ENTRIES_MAX {
        let [_, b, c, d] = number.to_be_bytes();
        text += &format!(r#""20.{b}.{c}.{d}:9333":{{"score":{}}},"#, number % 900);
    }
    text += r#""20.255.0.1:9333":{"score":1000}}}"#;
    let folder = tempfile::tempdir().unwrap();
    let book = parsed(text.as_bytes(), &settings(folder.path())).book;
    assert!(book.len() <= PEER_ENTRIES_MAX as usize);
    assert!(book.get(parse_address("20.255.0.1:9333").unwrap()).is_some());
}

#[test]
fn a_folder_that_refuses_is_an_error_and_the_old_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(settings(folder.path()));
    store.save(&book_of(2), NOW_S).unwrap();
    // The name that is written first is taken by a folder: the write can't begin.
    fs::create_dir(file::beside(&store.settings.path, ".new")).unwrap();
    assert!(matches!(store.save(&book_of(3), NOW_S), Err(StoreError::Write { .. })));
    let mut again = Store::new(settings(folder.path()));
    assert_eq!(again.load(NOW_S).book, book_of(2));
}

#[test]
fn bans_and_connections_are_saved_with_the_peers() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::new(settings(folder.path()));
    let mut book = book_of(2);
    book.connected.insert(address(1));
    for ban in ["203.0.113.7", "[2001:db8::1]:9333"] {
        assert!(book.ban(ban.parse().unwrap(), NOW_S - 5.0));
    }
    let mut listed = PeerEntry::new(Source::Operator, NOW_S);
    listed.fixed = false;
    book.insert("203.0.113.9:1234".parse().unwrap(), listed);
    store.save(&book, NOW_S).unwrap();
    let loaded = store.load(NOW_S);
    assert_eq!((loaded.book, loaded.saved_at_s), (book, Some(NOW_S)));
}

#[test]
fn one_owner_at_a_time_and_nobody_overwrites_anothers() {
    let folder = tempfile::tempdir().unwrap();
    let mut owner = Store::new(settings(folder.path()));
    assert!(!Store::is_owned(&owner.settings));
    owner.load(NOW_S);
    owner.save(&book_of(3), NOW_S).unwrap();
    let mut second = Store::new(settings(folder.path()));
    assert!(Store::is_owned(&second.settings) && !second.claim(Duration::ZERO).unwrap());
    let loaded = second.load(NOW_S);
    assert_eq!(loaded.book, book_of(3), "read, not touched");
    assert!(loaded.warnings[0].contains("another broadside keeps its peers there"));
    assert!(matches!(second.save(&book_of(9), NOW_S), Err(StoreError::Owned { .. })));
    assert_eq!(Store::peek(&second.settings, NOW_S).book, book_of(3));
    drop(owner);
    assert!(!Store::is_owned(&second.settings) && second.claim(Duration::ZERO).unwrap());
    second.save(&book_of(4), NOW_S).unwrap();
}

/// Goal: no edit is lost, whoever ends when: it goes only once it has been saved.
#[test]
fn edits_wait_until_they_have_been_saved() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut owner = Store::new(settings.clone());
    owner.load(NOW_S);
    let mut edit = Edit { book: book_of(2), unbanned: Vec::new() };
    edit.book.ban("203.0.113.7".parse().unwrap(), NOW_S);
    let first = Store::leave(&settings, &edit, NOW_S).unwrap();
    let lifted = Edit { unbanned: vec!["203.0.113.7".parse().unwrap()], ..Edit::default() };
    let second = Store::leave(&settings, &lifted, NOW_S + 1.0).unwrap();
    // Somebody who is killed between taking in and saving has taken nothing away.
    assert_eq!(Store::peek(&settings, NOW_S).book, book_of(2));
    assert_eq!(owner.edits(NOW_S).files, [first.clone(), second.clone()]);
    drop(owner);
    let mut next = Store::new(settings.clone());
    let loaded = next.load(NOW_S);
    assert_eq!((&loaded.book, loaded.edits.len()), (&book_of(2), 2), "in their order");
    next.save(&loaded.book, NOW_S).unwrap();
    assert!(first.exists() && second.exists());
    next.done(&loaded.edits).unwrap();
    assert!(!first.exists() && !second.exists() && next.edits(NOW_S).list.is_empty());
    // A damaged one is put aside and named; the next is taken.
    let bad = edit::folder(&settings.path).join("0.edit");
    fs::write(&bad, "{").unwrap();
    Store::leave(&settings, &edit, NOW_S).unwrap();
    let edits = next.edits(NOW_S);
    assert_eq!((edits.list.len(), edits.warnings.len()), (1, 1), "{:?}", edits.warnings);
    assert!(edits.warnings[0].contains("put aside as") && !bad.exists());
}

#[test]
fn what_was_chosen_is_kept_and_what_others_call_so_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::new(settings(folder.path()));
    let mut book = book_of(3);
    book.anchors = vec![address(2), address(1)];
    book.chosen.insert(address(1), (7, ChosenBy::Cover));
    book.chosen.insert(address(2), (0, ChosenBy::Lot));
    book.aimed = Some(11);
    store.save(&book, NOW_S).unwrap();
    assert_eq!(store.load(NOW_S).book, book);
    let foreign = br#"{"peers": {"203.0.113.1:9333": {}}, "anchors": 5, "aimed": "no",
        "chosen": {"203.0.113.1:9333": ["x", 1], "a": [1, "lot"], "203.0.113.2:1": [1, "lots"]}}"#;
    let read = parsed(foreign, &settings(folder.path())).book;
    assert_eq!((read.len(), read.anchors.len(), read.chosen.len(), read.aimed), (1, 0, 0, None));
}
