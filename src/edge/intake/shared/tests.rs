use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::layout::Code;
use super::*;
use crate::cold::node::NodeAuth;
use crate::cold::node::fake::FakeNode;
use crate::edge::intake::desk::testing::*;
use crate::edge::intake::unix::{UnixIntake, serve_on};
use crate::limits::BLOCK_BYTES_MAX;

const PATIENCE: Duration = Duration::from_secs(60);

/// An engine's socket, served.
struct Served {
    _folder: tempfile::TempDir,
    path: PathBuf,
    bench: Bench,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start(bench: Bench, idle: Idle) -> Self {
        Self::watching(bench, Sessions::new(idle)).await
    }

    async fn watching(bench: Bench, sessions: Sessions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("intake.sock");
        let mut intake = UnixIntake::bind(&path).await.expect("binds");
        intake.sessions = sessions;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve_on(intake, Arc::clone(&bench.desk), stopped));
        Self { _folder: folder, path, bench, stop, task }
    }

    /// Runs what waits for the engine where waiting does no harm.
    async fn pool<T: Send + 'static>(
        &self,
        work: impl FnOnce(&std::path::Path) -> T + Send + 'static,
    ) -> T {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || work(&path)).await.expect("the pool did not panic")
    }

    async fn end(self) {
        self.stop.send(true).expect("it runs");
        self.task.await.expect("no panic");
    }
}

/// The same block in pieces.
fn hand_over(pool: &mut SharedClient, raw: &[u8], piece: usize) -> SharedAnswer {
    pool.begin(None);
    raw.chunks(piece).for_each(|piece| pool.write(piece).expect("there is room"));
    pool.ring();
    pool.answer(PATIENCE).expect("an answer")
}

async fn blocks_go_through(idle: Idle) {
    let served = Served::start(Bench::new(None, None), idle).await;
    let blocks = [block(GENESIS, 1, 1), block(GENESIS, 1, 2), block(GENESIS, 1, 3)];
    let handed = blocks.clone();
    served
        .pool(move |path| {
            let mut pool = SharedClient::open(path, plain_chain().name).expect("a session");
            for (raw, piece) in handed.iter().zip([1, 7, 4_096]) {
                let answer = hand_over(&mut pool, raw, piece);
                assert_eq!(answer.code, Code::Accepted, "{answer:?}");
                assert_eq!(answer.hash, hash_of(raw).to_string());
                let times = [
                    answer.first_byte_ns,
                    answer.last_byte_ns,
                    answer.taken_ns,
                    answer.answered_ns,
                ];
                assert!(times[0] > 0 && times.is_sorted(), "{answer:?}");
                assert!(answer.published_ns >= answer.last_byte_ns);
            }
            let again = hand_over(&mut pool, &handed[0], 50);
            assert_eq!(again.code, Code::Accepted, "the same block again: {again:?}");
        })
        .await;
    let published = served.bench.notes.published.lock().expect("whole").clone();
    let expected: Vec<_> = blocks.iter().map(|raw| (hash_of(raw), raw.to_vec())).collect();
    assert_eq!(published, expected);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_go_through_whole_and_once() {
    blocks_go_through(Idle::Sleep).await;
    blocks_go_through(Idle::Spin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_comes_back_in_the_nodes_word() {
    let node = FakeNode::start().await;
    let (good, bad) = (block(GENESIS, 1, 1), block_without_work(GENESIS));
    node.memory().words.insert(hash_of(&bad), "high-hash");
    let served = Served::start(Bench::new(Some(node.client(NodeAuth::None)), None), Idle::Sleep);
    let served = served.await;
    served
        .pool(move |path| {
            let mut pool = SharedClient::open(path, "").expect("a session");
            let answer = hand_over(&mut pool, &good, 100);
            assert_eq!((answer.code, answer.word.as_str()), (Code::Accepted, "accepted"));
            let answer = hand_over(&mut pool, &bad, 100);
            assert_eq!((answer.code, answer.word.as_str()), (Code::Refused, "high-hash"));
            assert_eq!(answer.published_ns, 0);
            assert!(!answer.message.is_empty(), "why peers did not get it");
            let answer = hand_over(&mut pool, b"short", 100);
            assert_eq!((answer.code, answer.hash.as_str()), (Code::Refused, ""));
        })
        .await;
    served.end().await;
}

/// What a pool can do wrong, and what it is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_hand_over_costs_its_own_block_alone() {
    let served = Served::start(Bench::new(None, None), Idle::Sleep).await;
    let raw = block(GENESIS, 1, 1);
    let handed = raw.clone();
    served
        .pool(move |path| {
            type Wrong = fn(&mut SharedClient);
            let wrongs: [(Wrong, &str); 5] = [
                (|pool| pool.ring_as(99), "total_bytes"),
                (|pool| pool.ring_as(0), "total_bytes"),
                (|pool| pool.claim_written(u64::MAX), "beyond"),
                (|pool| pool.claim_written(u64::from(BLOCK_BYTES_MAX) + 1), "beyond"),
                (
                    |pool| {
                        pool.claim_written(u64::from(plain_chain().block_bytes_max) + 1);
                        pool.ring();
                    },
                    "",
                ),
            ];
            let mut pool = SharedClient::open(path, "").expect("a session");
            for (wrong, expected) in wrongs {
                pool.begin(None);
                pool.write(&handed[..50]).expect("room");
                wrong(&mut pool);
                let answer = pool.answer(PATIENCE).expect("an answer");
                assert_eq!(answer.code, Code::Lost, "{answer:?}");
                assert!(answer.message.contains(expected), "{answer:?}");
                assert_eq!((answer.published_ns, answer.hash.as_str()), (0, ""));
            }
            // Given up half way: no answer, and nothing is left of it.
            pool.begin(Some(1_000));
            pool.write(&[7; 100]).expect("room");
            let answer = hand_over(&mut pool, &handed, 60);
            assert_eq!(answer.code, Code::Accepted, "{answer:?}");
            // Rung twice: the second one is nothing.
            pool.ring();
            assert_eq!(pool.answer(PATIENCE).expect("the same"), answer);
            assert!(matches!(pool.write(&vec![0; 4_000_000]), Err(SharedError::TooLong)));
        })
        .await;
    assert_eq!(served.bench.notes.hashes(), [hash_of(&raw)]);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_shrinks_while_it_is_read_is_lost() {
    let served = Served::start(Bench::new(None, None), Idle::Spin).await;
    served
        .pool(|path| {
            let mut pool = SharedClient::open(path, "").expect("a session");
            pool.begin(None);
            pool.write(&[1; 200]).expect("room");
            // A reader that has slept through it all is still owed a refusal: the total is wrong.
            pool.claim_written(100);
            pool.ring_as(200);
            let answer = pool.answer(PATIENCE).expect("an answer");
            assert_eq!(answer.code, Code::Lost, "{answer:?}");
        })
        .await;
    assert!(served.bench.notes.hashes().is_empty());
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_counted_and_given_back() {
    let served = Served::start(Bench::new(None, None), Idle::Sleep).await;
    let blocks = [block(GENESIS, 1, 1), block(GENESIS, 1, 2)];
    let [handed, left] = blocks.clone();
    served
        .pool(move |path| {
            let open = || SharedClient::open(path, "");
            let mut all: Vec<_> =
                (0..SHARED_SESSIONS_MAX).map(|_| open().expect("a session")).collect();
            let refused = open().expect_err("one too many");
            assert!(refused.to_string().contains("16 sessions are in use"), "{refused}");
            // One writes half a block, one rings, and both are gone.
            all[0].begin(None);
            all[0].write(&handed[..100]).expect("room");
            all[1].begin(None);
            all[1].write(&left).expect("room");
            all[1].ring();
            drop(all);
            // Every place is free again, as soon as the engine has noticed.
            let mut back = Vec::new();
            let until = std::time::Instant::now() + PATIENCE;
            while back.len() < SHARED_SESSIONS_MAX as usize {
                back.extend(open().ok());
                assert!(std::time::Instant::now() < until, "{} places came back", back.len());
            }
            let answer = hand_over(&mut back[3], &handed, 1_000);
            assert_eq!(answer.code, Code::Accepted, "{answer:?}");
            let refused = SharedClient::open(path, "no such coin").expect_err("unknown");
            assert!(refused.to_string().contains("configured"), "{refused}");
        })
        .await;
    // Rung is rung: the second block goes out, though nobody waits for its verdict.
    let until = std::time::Instant::now() + PATIENCE;
    while served.bench.notes.hashes().len() < blocks.len() {
        assert!(std::time::Instant::now() < until, "{:?}", served.bench.notes.hashes());
        tokio::task::yield_now().await;
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_engine_says_so() {
    let served = Served::start(Bench::new(None, None), Idle::Sleep).await;
    let (stop, path) = (served.stop.clone(), served.path.clone());
    let said = tokio::task::spawn_blocking(move || {
        let mut pool = SharedClient::open(&path, "").expect("a session");
        pool.begin(None);
        pool.write(&[1; 10]).expect("room");
        stop.send(true).expect("it runs");
        pool.answer(PATIENCE).expect_err("no answer to come")
    });
    let said = said.await.expect("no panic").to_string();
    assert!(said.contains("stopping"), "{said}");
    served.task.await.expect("no panic");
}

/// Waits until the engine's thread is about to sleep, or does.
fn until_asleep(pool: &SharedClient) {
    let until = std::time::Instant::now() + PATIENCE;
    while pool.memory().load_u32(layout::ENGINE_WAITS_AT, Ordering::Acquire) == 0 {
        assert!(std::time::Instant::now() < until, "it never sleeps");
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_thread_sleeps_while_nothing_is_written() {
    let raw = block(GENESIS, 1, 1);
    for idle in [Idle::Sleep, Idle::Spin] {
        let served = Served::start(Bench::new(None, None), idle).await;
        let handed = raw.clone();
        served
            .pool(move |path| {
                let mut pool = SharedClient::open(path, "").expect("a session");
                until_asleep(&pool);
                pool.begin(None);
                until_asleep(&pool);
                pool.write(&handed[..90]).expect("room");
                // Also in the middle of a block: a writer that has stopped is not spun on.
                until_asleep(&pool);
                pool.write(&handed[90..]).expect("room");
                pool.ring();
                assert_eq!(pool.answer(PATIENCE).expect("an answer").code, Code::Accepted);
                until_asleep(&pool);
            })
            .await;
        served.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_stops_loses_its_block_and_keeps_its_session() {
    let mut sessions = Sessions::new(Idle::Sleep);
    sessions.patience.progress_ns = 1_000_000;
    let served = Served::watching(Bench::new(None, None), sessions).await;
    let raw = block(GENESIS, 1, 1);
    let handed = raw.clone();
    served
        .pool(move |path| {
            let mut pool = SharedClient::open(path, "").expect("a session");
            pool.begin(None);
            pool.write(&handed[..90]).expect("room");
            let answer = pool.answer(PATIENCE).expect("an answer");
            assert_eq!(answer.code, Code::Lost);
            assert!(answer.message.contains("nothing more was written"), "{answer:?}");
            // It is over: what comes now belongs to nothing.
            pool.write(&handed[90..]).expect("room");
            pool.ring();
            // Whole before the engine wakes, or a second late: it is taken or lost, never stuck.
            while hand_over(&mut pool, &handed, 1_000).code != Code::Accepted {}
        })
        .await;
    assert_eq!(served.bench.notes.hashes(), [hash_of(&raw)]);
    served.end().await;
}
