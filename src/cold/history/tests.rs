use std::net::SocketAddr;

use rusqlite::Connection;

use super::store::{Batch, Store};
use super::*;
use crate::cold::directory::Directory;
use crate::cold::stats::{
    BlockStory, Changes, Counts, Fate, FateNews, FirstBackStory, KeptTotals, PeerStory, StolenTime,
    Thief, VerdictStory, Voice,
};
use crate::hot::link::{Outcome, Way};
use crate::sys::bpf::Runner;
use crate::wire::hash::BlockHash;

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 9_333))
}

fn peer(connection: u64) -> PeerStory {
    PeerStory {
        connection,
        address: Some(address(connection as u8)),
        way: Some(Way::CompactThenFull),
        sent_bytes: u32::MAX,
        outcome: Some(Outcome::AlreadyHad),
        submitted_us: Some(-5),
        sent_us: Some(10),
        acked_us: None,
        handled_us: Some(30),
        echo_us: None,
        queued_us: Some(6),
        wire_us: None,
        tcp_acked_us: Some(-7),
    }
}

fn thief(runner: Runner, number: u32) -> Thief {
    let name = "\"'; DROP --".to_owned();
    Thief { core: 3, runner, number, name, count: 2, total_ns: 12_345, longest_ns: 10_000 }
}

/// A story that has something in every part.
fn story(image: u64, hash: u8) -> BlockStory {
    BlockStory {
        image,
        chain: "a".to_owned(),
        network: "main".to_owned(),
        hash: BlockHash([hash; 32]),
        height: Some(u32::MAX),
        size_bytes: 4_000_000,
        transactions: 7,
        received_unix_ms: 1_795_314_183_123,
        stages: std::array::from_fn(|at| (at % 3 > 0).then_some(at as i64 * 100 - 300)),
        counts: Counts {
            shards: 2,
            offers: 3,
            settled: 2,
            outcomes: [1, 2, 3, 4, 5, 6, 7],
            echoes: 8,
            witnesses: 9,
            announced: 10,
            have: 11,
        },
        fate: Fate::Behind(BlockHash([9; 32])),
        first_back: Some(FirstBackStory {
            address: Some(address(7)),
            voice: Voice::Scout,
            after_us: Some(77),
        }),
        half_back_us: Some(99),
        verdicts: vec![VerdictStory {
            node: "http://a\u{1b}'; DROP TABLE blocks; --".to_owned(),
            own: true,
            word: "\u{202e}\"bad\0".to_owned(),
            after_us: Some(1),
        }],
        peers: vec![peer(u64::MAX), peer(3)],
        scouts: vec![(address(1), None), (address(2), Some(5))],
        stolen: Some(StolenTime {
            thieves: vec![
                thief(Runner::Task, u32::MAX),
                thief(Runner::Interrupt, 0),
                thief(Runner::SoftInterrupt, 3),
            ],
            rest_count: 4,
            rest_ns: 999,
            may_lack: true,
        }),
    }
}

fn store(folder: &Path) -> Store {
    Store::open(&file(folder), 0, 1).unwrap()
}

fn write(store: &mut Store, stories: &[BlockStory], fates: &[FateNews]) -> u64 {
    let changes = Changes { stories: stories.to_vec(), fates: fates.to_vec(), lost: 0 };
    let chains = [ChainName { chain: "a".to_owned(), network: "main".to_owned() }];
    let batch = Batch { changes: &changes, chains: &chains, totals: &[], log_bytes_max: u64::MAX };
    store.write(&batch).unwrap()
}

fn read(folder: &Path, run: i64, image: u64) -> BlockStory {
    HistoryFile::open(&file(folder)).unwrap().at(Place { run, image }).unwrap().unwrap()
}

#[test]
fn the_table_has_the_columns_that_are_written() {
    let folder = tempfile::tempdir().unwrap();
    drop(store(folder.path()));
    let open = Connection::open(file(folder.path())).unwrap();
    let mut list = open.prepare("SELECT name FROM pragma_table_info('blocks')").unwrap();
    let names: Vec<String> = list.query_map([], |row| row.get(0)).unwrap().flatten().collect();
    assert_eq!(names[1..], columns::names());
}

#[test]
fn a_story_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    for (image, fate) in (1..).zip([
        Fate::Pending,
        Fate::InChain(3),
        Fate::Confirmed,
        Fate::Behind(BlockHash([9; 32])),
        Fate::Stale(BlockHash([9; 32])),
        Fate::Refused,
    ]) {
        let stolen = match image % 3 {
            0 => None,
            1 => Some(StolenTime::default()),
            _ => story(1, 1).stolen,
        };
        let told = BlockStory { fate, stolen, ..story(image, image as u8) };
        assert_eq!(write(&mut store, std::slice::from_ref(&told), &[]), 0);
        assert_eq!(read(folder.path(), 1, image), told);
    }
    let open = HistoryFile::open(&file(folder.path())).unwrap();
    let page = open.page(Some("a"), Place { run: 1, image: 5 }, 2).unwrap();
    assert_eq!(page.iter().map(|(place, _)| place.image).collect::<Vec<_>>(), [4, 3]);
    let listed = &page[0].1;
    assert_eq!(listed.summary_json(), read(folder.path(), 1, 4).summary_json());
    assert!(listed.peers.is_empty() && !listed.verdicts.is_empty());
    assert!(matches!(open.find_like("04040404"), Ok(Found::One(found)) if found.image == 4));
    assert!(matches!(open.find_like("0404040*"), Ok(Found::None)));
}

/// Memory lets go of an old block's rows; the file does not, and takes in what comes late.
#[test]
fn rows_outlive_those_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let whole = story(1, 1);
    write(&mut store, std::slice::from_ref(&whole), &[]);
    let none = (Vec::new(), Vec::new(), None);
    let faded = |fate| {
        let (peers, scouts, half_back_us) = none.clone();
        BlockStory { peers, scouts, half_back_us, fate, ..whole.clone() }
    };
    write(&mut store, &[faded(Fate::Confirmed)], &[]);
    assert_eq!(read(folder.path(), 1, 1), BlockStory { fate: Fate::Confirmed, ..whole.clone() });

    let late = PeerStory { echo_us: Some(500), handled_us: None, ..peer(3) };
    let mut told = faded(Fate::Confirmed);
    told.peers = vec![late];
    told.scouts = vec![(address(1), Some(8))];
    told.half_back_us = Some(500);
    // A second process looks at it the same way as one that has forgotten what it wrote.
    for mut store in [store, Store::open(&file(folder.path()), 1, 1).unwrap()] {
        assert_eq!(write(&mut store, &[told.clone()], &[]), 0);
        let kept = read(folder.path(), 1, 1);
        assert_eq!(kept.peers, [peer(u64::MAX), PeerStory { echo_us: Some(500), ..peer(3) }]);
        assert_eq!((&kept.scouts, kept.half_back_us), (&whole.scouts, whole.half_back_us));
    }

    // A block that is written for the first time when its rows are gone is not kept whole.
    let mut store = Store::open(&file(folder.path()), 1, 1).unwrap();
    assert_eq!(write(&mut store, &[BlockStory { image: 2, ..faded(Fate::Pending) }], &[]), 1);
}

#[test]
fn a_fate_is_that_of_every_row_of_the_block_and_of_no_other_chains() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = store(folder.path());
    let pending = |image| BlockStory { fate: Fate::Pending, ..story(image, 1) };
    let other = BlockStory { chain: "b".to_owned(), ..pending(3) };
    write(&mut first, &[pending(1), pending(2), other], &[]);
    drop(first);
    let mut second = store(folder.path());
    assert_eq!((second.run, second.blocks), (2, 3));
    let news = FateNews { chain_index: 0, hash: BlockHash([1; 32]), fate: Fate::Confirmed };
    write(&mut second, &[pending(1)], &[news]);
    let fates = [(1, 1), (1, 2), (2, 1), (1, 3)];
    let fates = fates.map(|(run, image)| read(folder.path(), run, image).fate);
    assert_eq!(fates, [Fate::Confirmed, Fate::Confirmed, Fate::Confirmed, Fate::Pending]);
}

/// However often a fate is heard of, in this process or the last, it is counted once.
#[test]
fn fates_of_earlier_processes_are_counted_once() {
    let log = BlockLog::new(Arc::new(Directory::default()), 1);
    let [known, open, lost] = [1, 2, 3].map(|byte| BlockHash([byte; 32]));
    let mut earlier = crate::cold::stats::ChainTotals::default();
    earlier.fates.confirmed = 1;
    let fates = [(known, Fate::Confirmed), (open, Fate::InChain(2))];
    log.restore(0, &earlier, fates);
    for _ in 0..2 {
        for (hash, fate) in
            [(known, Fate::Confirmed), (open, Fate::Confirmed), (lost, Fate::Stale(open))]
        {
            log.note_fate(0, &hash, Fate::Pending, fate);
        }
    }
    let now = log.totals(0).fates;
    assert_eq!((now.confirmed, now.stale), (2, 1));
    assert_eq!(log.take_changes(10).fates.len(), 3, "each once");

    // The same where the sums of before come last.
    let log = BlockLog::new(Arc::new(Directory::default()), 1);
    log.note_fate(0, &known, Fate::Pending, Fate::Confirmed);
    log.note_fate(0, &open, Fate::Pending, Fate::Confirmed);
    log.restore(0, &earlier, [(known, Fate::Confirmed), (open, Fate::InChain(2))]);
    log.note_fate(0, &known, Fate::Confirmed, Fate::Confirmed);
    assert_eq!(log.totals(0).fates.confirmed, 2);
}

#[test]
fn sums_come_back_and_a_damaged_histogram_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let mut totals = crate::cold::stats::ChainTotals { blocks_broadcast: 5, ..Default::default() };
    totals.sent.add(1_000_000);
    totals.back.add(2_000_000);
    totals.last_block = Some((BlockHash([4; 32]), 1_234));
    let chains = [ChainName { chain: "a".to_owned(), network: "main".to_owned() }];
    let kept = [KeptTotals::from(&totals)];
    let changes = Changes::default();
    let batch =
        Batch { changes: &changes, chains: &chains, totals: &kept, log_bytes_max: u64::MAX };
    store.write(&batch).unwrap();
    let (read, fates) = store.kept(&chains[0]).unwrap();
    assert_eq!((read.last_block, fates.len()), (totals.last_block, 0));
    assert_eq!(KeptTotals::from(&read.read().0), kept[0]);
    drop(store);
    let open = Connection::open(file(folder.path())).unwrap();
    open.execute("UPDATE times SET histogram = x'00ff' WHERE name = 'sent'", []).unwrap();
    let store = Store::open(&file(folder.path()), 1, 1).unwrap();
    let (totals, damaged) = store.kept(&chains[0]).unwrap().0.read();
    assert_eq!(damaged, ["sent"]);
    assert_eq!((totals.blocks_broadcast, totals.sent.count(), totals.back.count()), (5, 0, 1));
}

#[test]
fn places_are_two_numbers() {
    let place = Place { run: 12, image: 345 };
    assert_eq!(Place::parse(&place.to_string()), Some(place));
    for wrong in ["", "1", "-1-2", "1-", "+1-2", "1-2-3", "99999999999999999999-1", "a-b"] {
        assert_eq!(Place::parse(wrong), None, "{wrong}");
    }
}
