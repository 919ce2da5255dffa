use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::cold::node::NodeAuth;
use crate::cold::node::fake::FakeNode;
use crate::edge::intake::desk::testing::*;
use crate::limits::SUBMISSIONS_LIVE_MAX;
use crate::sim::blocks::BlockMaker;

struct Served {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

async fn start(path: &Path, desk: Arc<Desk>) -> Served {
    let intake = UnixIntake::bind(path).await.expect("binds");
    let (stop, stopped) = watch::channel(false);
    Served { stop, task: tokio::spawn(serve_on(intake, desk, stopped)) }
}

impl Served {
    async fn end(self) {
        self.stop.send(true).expect("it runs");
        self.task.await.expect("no panic");
    }
}

#[tokio::test]
async fn a_block_gets_its_verdict_and_a_bad_one_its_reason() {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join("intake.sock");
    let node = FakeNode::start().await;
    let bench = Bench::new(Some(node.client(NodeAuth::None)), None);
    let served = start(&path, Arc::clone(&bench.desk)).await;

    let raw = block(GENESIS, 1, 1);
    let answer = hand_over(&path, "", &raw).await.expect("answers");
    assert_eq!(answer["hash"], hash_of(&raw).to_string());
    assert_eq!(
        (&answer["verdict"], &answer["accepted"], &answer["result"], &answer["error"]),
        (&json!("accepted"), &json!(true), &Value::Null, &Value::Null)
    );
    assert_eq!(answer["published"]["image"], 1);
    assert_eq!(answer["peers"], json!([]));

    let name = plain_chain().name;
    let bad = block_without_work(GENESIS);
    node.memory().words.insert(hash_of(&bad), "high-hash");
    let answer = hand_over(&path, name, &bad).await.expect("answers");
    assert_eq!((&answer["accepted"], &answer["result"]), (&json!(false), &json!("high-hash")));
    let answer = hand_over(&path, name, b"short").await.expect("answers");
    assert_eq!((&answer["accepted"], &answer["error"]["code"]), (&json!(false), &json!(-22)));
    let answer = hand_over(&path, "no such coin", &raw).await.expect("answers");
    assert!(answer["error"]["message"].as_str().expect("text").contains("configured"));
    let long = vec![0; BLOCK_BYTES_MAX as usize + 1];
    let answer = hand_over(&path, "", &long).await.expect("answers");
    assert!(answer["error"]["message"].as_str().expect("text").contains("longer"));
    assert_eq!((&answer["accepted"], &answer["error"]["code"]), (&json!(false), &json!(-22)));

    let mut stream = UnixStream::connect(&path).await.expect("connects");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("writes");
    let length = stream.read_u32_le().await.expect("answers");
    let mut text = vec![0; length as usize];
    stream.read_exact(&mut text).await.expect("answers");
    assert!(String::from_utf8_lossy(&text).contains("BSB1"));
    assert_eq!(bench.notes.hashes(), [hash_of(&raw)]);
    served.end().await;
    assert!(!path.exists(), "the file goes with the socket");
}

/// A pool that stops half way, or says less than it meant to, keeps nothing from the others.
#[tokio::test]
async fn half_a_request_delays_nobody() {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join("intake.sock");
    let bench = Bench::with_stall(Duration::from_millis(50));
    let served = start(&path, Arc::clone(&bench.desk)).await;
    let mut maker = BlockMaker::new(plain_chain(), 1, 1_700_000_000);
    let raw = maker.next(200_000).expect("it can be made").raw;
    let mut stopped = Vec::new();
    for _ in 0..SUBMISSIONS_LIVE_MAX - 1 {
        let mut stream = UnixStream::connect(&path).await.expect("connects");
        let head = [&MAGIC[..], &[0], &200_000_u32.to_le_bytes(), &raw[..100_000]].concat();
        stream.write_all(&head).await.expect("writes");
        stopped.push(stream);
    }
    let answer = hand_over(&path, "", &raw).await.expect("answers");
    assert_eq!((&answer["error"], &answer["published"]["image"]), (&Value::Null, &json!(1)));
    let stages = answer["stages"].as_object().expect("it was published");
    for stage in ["header", "work_checked", "last_byte", "walked", "checked", "published"] {
        assert!(stages[stage].is_number(), "{stage}");
    }
    while bench.notes.held.load(std::sync::atomic::Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }

    // One that ends early is told so.
    let mut short = stopped.pop().expect("there are some");
    short.shutdown().await.expect("shuts down");
    let length = short.read_u32_le().await.expect("answers");
    let mut text = vec![0; length as usize];
    short.read_exact(&mut text).await.expect("answers");
    assert!(String::from_utf8_lossy(&text).contains(CUT));
    drop(stopped);
    assert_eq!(bench.notes.hashes().len(), 1);
    served.end().await;
}

#[tokio::test]
async fn the_socket_is_private_and_only_a_dead_one_is_replaced() {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join("intake.sock");
    let bench = Bench::new(None, None);
    // Left over by a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
    let served = start(&path, Arc::clone(&bench.desk)).await;
    let mode = std::fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 1);

    let second = UnixIntake::bind(&path).await.expect_err("it is in use");
    assert!(matches!(second, UnixError::InUse { .. }), "{second}");
    hand_over(&path, "", &block(GENESIS, 1, 1)).await.expect("the first one still answers");
    served.end().await;

    std::fs::write(&path, b"precious").expect("writes");
    let error = UnixIntake::bind(&path).await.expect_err("a file is no socket");
    assert!(matches!(error, UnixError::NotASocket { .. }), "{error}");
    assert_eq!(std::fs::read(&path).expect("untouched"), b"precious");
    let missing = folder.path().join("missing/intake.sock");
    let error = UnixIntake::bind(&missing).await.expect_err("no folder");
    assert!(error.to_string().contains("folder"), "{error}");
    let error = hand_over(&missing, "", b"").await.expect_err("nobody there");
    assert!(error.to_string().contains("check that it runs"), "{error}");
}

#[test]
fn only_our_own_user_and_root_may_enter() {
    assert!(socket::may_enter(Some(1_000), 1_000) && socket::may_enter(Some(0), 1_000));
    assert!(!socket::may_enter(Some(1_001), 1_000) && !socket::may_enter(None, 1_000));
    assert!(!socket::may_enter(Some(1_000), 0));
}
