//! Many blocks: the file stays within its bound, and a page of them is read quickly.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use broadside::cold::directory::{Directory, PeerLabel};
use broadside::cold::history::{
    ChainName, History, HistoryBounds, HistoryFile, HistorySettings, HistoryView, Place, file,
};
use broadside::cold::stats::{BlockLog, BlockMeta, Stages};
use broadside::hot::link::{ImageId, Outcome, PeerId, Report, Way};
use broadside::wire::hash::BlockHash;
use rusqlite::Connection;
use tokio::sync::watch;

use super::*;

const BLOCKS: u64 = 10_000;
const PEERS: u64 = 20;
/// Changed blocks that wait to be written at most while more are made: their rows are still there then.
const WAITING_MAX: usize = 100;
const NEWEST: Place = Place { run: i64::MAX, image: u64::MAX };

fn settings(daemon: &Daemon, keep_bytes: u64) -> HistorySettings {
    let chain = support::engine::chain();
    let name = ChainName { chain: chain.name.into(), network: chain.network.name().into() };
    let bounds = HistoryBounds { keep_days: 365, keep_bytes };
    HistorySettings { file: file(&daemon.data_dir()), bounds, chains: vec![name] }
}

fn peer(number: u64) -> PeerId {
    PeerId::new(0, number)
}

fn log() -> Arc<BlockLog> {
    let directory = Arc::new(Directory::default());
    for number in 0..PEERS {
        let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, number as u8), 9_333));
        let label = PeerLabel { address, user_agent: "/x/".to_owned(), protected: false };
        directory.insert(peer(number), label);
    }
    Arc::new(BlockLog::new(directory, 1))
}

/// One block, and what became of it at every peer.
fn tell(log: &BlockLog, number: u64, received_unix_ms: u64) {
    let published_ns = number * 1_000_000_000;
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    let image = ImageId(number);
    let meta = BlockMeta {
        chain_index: 0,
        chain: support::engine::chain(),
        hash: BlockHash(hash),
        height: Some(number as u32),
        size_bytes: 1_000_000,
        transactions: 2_000,
        first_byte_ns: published_ns - 3_000_000,
        last_byte_ns: published_ns - 1_000_000,
        published_ns,
        received_unix_ms,
        stages: Stages { header_ns: published_ns - 2_500_000, ..Stages::default() },
    };
    log.begin(image, meta);
    log.on_report(&Report::Offered { image, shard: 0, offers: PEERS as u32, at_ns: published_ns });
    for at in 0..PEERS {
        let at_ns = published_ns + at * 777_777;
        log.on_report(&Report::Settled {
            image,
            peer: peer(at),
            outcome: Outcome::Handled,
            way: Way::CompactThenFull,
            sent_bytes: 1_010_000,
            submitted_ns: at_ns + 1_000,
            sent_ns: at_ns + 2_000_000,
            acked_ns: at_ns + 4_500_000,
            handled_ns: at_ns + 5_000_000,
        });
    }
}

/// Tells of block `number`, and waits while many are still to be written, unless that is in trouble.
async fn tell_slowly(log: &BlockLog, number: u64, view: &watch::Receiver<HistoryView>) {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    tell(log, number, now_ms as u64);
    while log.unkept() > WAITING_MAX && view.borrow().trouble.is_none() {
        tokio::task::yield_now().await;
    }
}

fn bytes(file: &std::path::Path) -> u64 {
    let beside = format!("{}-wal", file.display());
    let size = |name: &std::path::Path| std::fs::metadata(name).map_or(0, |found| found.len());
    size(file) + size(beside.as_ref())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_blocks_are_kept_and_bounded() {
    const SMALL: u64 = 16_000_000;
    let mut daemon = Daemon::prepare(&Told::default());
    std::fs::create_dir_all(daemon.data_dir()).expect("a folder");
    let path = file(&daemon.data_dir());
    let log = log();
    let began = Instant::now();
    let history = History::start(settings(&daemon, 1_000_000_000), Arc::clone(&log)).await.unwrap();
    let view = history.view.clone();
    for number in 1..=BLOCKS {
        tell_slowly(&log, number, &view).await;
    }
    history.stop().await;
    let shown = view.borrow().clone();
    assert_eq!((shown.blocks, shown.lost, shown.trouble), (BLOCKS, 0, None));
    eprintln!("{BLOCKS} blocks x {PEERS} peers: {} bytes, {:?}", bytes(&path), began.elapsed());

    // The oldest has its rows, though memory has long let go of them.
    let opened = HistoryFile::open(&path).unwrap();
    let first = opened.page(None, Place { run: 1, image: 2 }, 1).unwrap().remove(0);
    assert_eq!(opened.find(&first.1.hash).unwrap().unwrap().peers.len() as u64, PEERS);
    let began = Instant::now();
    assert_eq!(opened.page(None, NEWEST, 1_000).unwrap().len(), 1_000);
    let newest = began.elapsed();
    let began = Instant::now();
    assert_eq!(opened.page(Some("x"), NEWEST, 1_000).unwrap().len(), 0);
    assert_eq!(opened.hashes_like("ffffffffffff").unwrap(), []);
    eprintln!("a page of 1,000 from the file: {newest:?}; nothing found: {:?}", began.elapsed());
    drop(opened);
    run_the_documented_queries(&path);

    daemon.restart();
    for path in ["/blocks?limit=1000", "/blocks?limit=1000&before=1-1500", "/blocks?limit=50"] {
        let began = Instant::now();
        let (status, page) = daemon.page(path);
        eprintln!("{path}: {status}, {} bytes, {:?}", page.len(), began.elapsed());
        assert_eq!(status, 200);
    }
    assert_eq!(daemon.stats()["blocks_sent"], BLOCKS);
    assert_eq!(daemon.stats()["receipt_ms"]["count"], BLOCKS * PEERS);
    assert!(daemon.terminate().success());

    // A lower bound: the oldest go, the file gives its room back, the sums stay.
    let text = std::fs::read_to_string(daemon.config()).expect("there");
    let bound = format!("[history]\nkeep_bytes = \"16MB\"\n{text}");
    std::fs::write(daemon.config(), bound).expect("written");
    daemon.restart();
    let told = daemon.wait_for_stats("the bound", |stats| {
        stats["history"]["bytes"].as_u64().is_some_and(|bytes| bytes <= SMALL)
    });
    assert!(daemon.terminate().success());
    eprintln!("bound of {SMALL}: {} blocks in {} bytes", told["history"]["blocks"], bytes(&path));
    assert!(bytes(&path) <= SMALL && told["history"]["blocks"].as_u64() < Some(BLOCKS));
    assert_eq!(told["blocks_sent"], BLOCKS);
    let (_, out, _) = daemon.ask(&["blocks", "list", "--limit", "1"]);
    assert!(out.contains(&format!(" {BLOCKS} ")), "{out}");
    bounded_while_written_and_read(&daemon).await;
}

/// Every query that docs/history.md shows can be run.
fn run_the_documented_queries(path: &std::path::Path) {
    let text = include_str!("../../docs/history.md");
    let queries: Vec<_> =
        text.split("```sql\n").skip(1).filter_map(|it| it.split("```").next()).collect();
    assert_eq!(queries.len(), 8);
    let open = Connection::open(path).expect("it opens");
    for query in queries {
        let began = Instant::now();
        let mut query = open.prepare(query).unwrap_or_else(|why| panic!("{query}: {why}"));
        let mut rows = query.query([]).expect("it runs");
        let mut count = 0;
        while rows.next().expect("a row").is_some() {
            count += 1;
        }
        eprintln!("a documented query: {count} rows in {:?}", began.elapsed());
    }
}

/// The bound holds while blocks come in; somebody who reads on and on is waited for, within it.
async fn bounded_while_written_and_read(daemon: &Daemon) {
    const SMALL: u64 = 16_000_000;
    let path = file(&daemon.data_dir());
    let log = log();
    let history = History::start(settings(daemon, SMALL), Arc::clone(&log)).await.unwrap();
    let mut view = history.view.clone();
    let other = Connection::open(&path).expect("it opens");
    other.execute_batch("BEGIN; SELECT count(*) FROM blocks").expect("it reads");
    let mut number = 0;
    while view.borrow().trouble.is_none() {
        number += 1;
        tell_slowly(&log, number, &view).await;
        assert!(number < 2 * BLOCKS && bytes(&path) <= 2 * SMALL, "{number}: {}", bytes(&path));
    }
    let trouble = view.borrow().trouble.clone();
    assert!(trouble.as_ref().is_some_and(|it| it.contains("transaction")), "{trouble:?}");
    let held = bytes(&path);
    other.execute_batch("ROLLBACK").expect("it ends");
    drop(other);
    let freed = view.wait_for(|view| view.trouble.is_none());
    tokio::time::timeout(PATIENCE, freed).await.expect("in time").expect("it runs");
    eprintln!("a reader held {number} blocks' log: {held} bytes, {} once it ended", bytes(&path));
    history.stop().await;
    assert!(bytes(&path) <= SMALL, "{}", bytes(&path));
}
