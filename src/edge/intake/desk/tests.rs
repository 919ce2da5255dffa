use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;

use super::testing::*;
use super::*;
use crate::cold::node::NodeAuth;
use crate::cold::node::fake::{Act, FakeNode};
use crate::cold::node::tip::Presence;
use crate::cold::spool::SpoolState;

fn said(word: &str) -> RpcAnswer {
    RpcAnswer::Result(Some(word.to_owned()))
}

async fn here(bench: &Bench) {
    let tip = bench.desk.tip(0).expect("there is a node");
    tip.presence().wait_for(|now| *now == Presence::Here).await.expect("it lives");
}

/// Waits until `done` holds; the test's own deadline is the runner's.
async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_good_block_goes_to_peers_node_endpoints_and_spool() {
    let (node, more) = (FakeNode::start().await, FakeNode::start().await);
    let folder = tempfile::tempdir().expect("tempdir");
    let spool = Arc::new(Spool::open(folder.path()).expect("opens"));
    let (client, endpoint) = (node.client(NodeAuth::None), node_client(&more));
    let bench = Bench::with(
        plain_chain(),
        Some(client),
        vec![endpoint],
        Some(Arc::clone(&spool)),
        ANSWER_DEADLINE,
    );
    let raw = block(GENESIS, 1, 1);
    let answer = bench.submit(&raw).await;
    assert_eq!(answer.reply, RpcAnswer::Result(None));
    assert_eq!(answer.hash, Some(hash_of(&raw)));
    let published = bench.notes.published.lock().expect("whole").clone();
    assert_eq!(published, [(hash_of(&raw), raw.to_vec())], "the bytes of the submission");
    assert_eq!(bench.notes.compact(), 1);
    until(|| more.memory().submitted == [hash_of(&raw)]).await;
    assert_eq!(node.memory().submitted, [hash_of(&raw)]);
    let chain = plain_chain();
    until(|| spool.list(chain, SpoolState::Accepted).len() == 1).await;
    until(|| bench.desk.log().totals(0).endpoint_verdicts.accepted == 1).await;
    assert_eq!(bench.desk.log().totals(0).verdicts.accepted, 1);
}

fn node_client(node: &FakeNode) -> NodeClient {
    node.client(NodeAuth::None)
}

#[tokio::test]
async fn bad_blocks_never_reach_a_peer_and_get_the_nodes_word() {
    let node = FakeNode::start().await;
    let bench = Bench::new(Some(node_client(&node)), None);
    let good = block(GENESIS, 1, 1);
    for (raw, word) in [
        (block_without_work(GENESIS), "high-hash"),
        (block_with_wrong_root(GENESIS), "bad-txnmrklroot"),
    ] {
        node.memory().words.insert(hash_of(&raw), word);
        let answer = bench.submit(&raw).await;
        assert_eq!(answer.reply, said(word));
        assert!(answer.fault.is_some());
    }
    // The node decides about what is cut short; its decoder is its own.
    let cut = good.slice(..good.len() - 1);
    node.memory().words.insert(hash_of(&cut), "rejected");
    assert_eq!(bench.submit(&cut).await.reply, said("rejected"));
    assert!(bench.notes.hashes().is_empty());

    // The whole block afterwards is another block, though its header is the same.
    node.memory().words.clear();
    assert_eq!(bench.submit(&good).await.reply, RpcAnswer::Result(None));
    assert_eq!(bench.notes.hashes(), [hash_of(&good)]);

    let submitted = node.memory().submitted.len();
    let limit = plain_chain().block_bytes_max as usize;
    for unreadable in [Bytes::new(), good.slice(..79), Bytes::from(vec![0; limit + 1])] {
        let answer = bench.submit(&unreadable).await;
        assert_eq!((answer.reply, answer.hash), (decode_failed(), None));
    }
    assert_eq!(node.memory().submitted.len(), submitted, "nobody was bothered with those");
}

#[tokio::test]
async fn without_a_node_our_own_checks_are_the_answer() {
    let bench = Bench::new(None, None);
    let good = block(GENESIS, 1, 1);
    assert_eq!(bench.submit(&good).await.reply, RpcAnswer::Result(None));
    assert_eq!(bench.submit(&block_without_work(GENESIS)).await.reply, said("high-hash"));
    let wrong_root = block_with_wrong_root(GENESIS);
    assert_eq!(bench.submit(&wrong_root).await.reply, said("bad-txnmrklroot"));
    let mut long = block(GENESIS, 1, 2).to_vec();
    long.push(0);
    assert_eq!(bench.submit(&Bytes::from(long)).await.reply, decode_failed());
    assert_eq!(bench.notes.hashes(), [hash_of(&good)]);
}

/// A header says nothing about how much of its block was handed in with it.
#[tokio::test]
async fn what_is_cut_short_behind_a_known_header_is_not_accepted() {
    let good = block(GENESIS, 1, 1);
    let cut = good.slice(..good.len() - 1);
    let mut other = good.to_vec();
    *other.last_mut().expect("a byte") ^= 1;
    let other = Bytes::from(other);

    let alone = Bench::new(None, None);
    assert_eq!(alone.submit(&good).await.reply, RpcAnswer::Result(None));
    assert_eq!(alone.submit(&cut).await.reply, decode_failed());
    assert_eq!(alone.submit(&other).await.reply, said("bad-txnmrklroot"));
    assert_eq!(alone.submit(&good).await.reply, RpcAnswer::Result(None), "still one block");
    assert_eq!(alone.notes.hashes(), [hash_of(&good)]);

    // With a node, its word counts; while it is away, ours.
    let node = FakeNode::start().await;
    let folder = tempfile::tempdir().expect("tempdir");
    let spool = Arc::new(Spool::open(folder.path()).expect("opens"));
    let bench = Bench::new(Some(node_client(&node)), Some(Arc::clone(&spool)));
    assert_eq!(bench.submit(&good).await.reply, RpcAnswer::Result(None));
    until(|| spool.list(plain_chain(), SpoolState::Accepted).len() == 1).await;
    node.memory().words.insert(hash_of(&good), "rejected");
    assert_eq!(bench.submit(&cut).await.reply, said("rejected"));
    node.kill().await;
    let answer = bench.submit(&cut).await;
    assert_eq!((answer.reply, answer.published), (decode_failed(), None));
    assert_eq!(bench.submit(&good).await.reply, RpcAnswer::Result(None));
    let accepted = spool.list(plain_chain(), SpoolState::Accepted);
    let [kept] = &accepted[..] else { panic!("{accepted:?}") };
    assert_eq!(spool.read(kept).expect("reads"), good, "the spool holds the block itself");
}

#[tokio::test]
async fn twice_the_same_block_is_one_block_and_one_answer() {
    let node = FakeNode::start().await;
    let told = Arc::new(Notify::new());
    node.memory().acts.push_back(Act::Wait(Arc::clone(&told)));
    let bench = Arc::new(Bench::new(Some(node_client(&node)), None));
    let raw = block(GENESIS, 1, 1);
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let (bench, raw) = (Arc::clone(&bench), raw.clone());
            tokio::spawn(async move { bench.submit(&raw).await.reply })
        })
        .collect();
    until(|| node.memory().acts.is_empty() && bench.notes.hashes().len() == 1).await;
    told.notify_one();
    for caller in callers {
        assert_eq!(caller.await.expect("no panic"), RpcAnswer::Result(None));
    }
    assert_eq!(bench.submit(&raw).await.reply, RpcAnswer::Result(None), "also when it is over");
    assert_eq!((node.memory().submitted.len(), bench.notes.hashes().len()), (1, 1));
}

#[tokio::test]
async fn a_duplicate_by_our_own_peers_is_success_and_inconclusive_is_said_as_it_is() {
    let node = FakeNode::start().await;
    let bench = Bench::new(Some(node_client(&node)), None);
    for (tag, word, reply) in [
        (1, "duplicate", RpcAnswer::Result(None)),
        (2, "inconclusive", said("inconclusive")),
        (3, "duplicate-invalid", said("duplicate-invalid")),
        (4, "bad-cb-amount", said("bad-cb-amount")),
    ] {
        let raw = block(GENESIS, 1, tag);
        node.memory().words.insert(hash_of(&raw), word);
        assert_eq!(bench.submit(&raw).await.reply, reply);
    }
}

#[tokio::test]
async fn a_block_of_an_unknown_parent_is_held_until_the_node_has_spoken() {
    let node = FakeNode::start().await;
    let client = node_client(&node);
    let bench =
        Bench::with(judged_chain(), Some(client), Vec::new(), None, Duration::from_secs(30));
    here(&bench).await;
    let refused = block(BlockHash([9; 32]), 1, 1);
    node.memory().words.insert(hash_of(&refused), "bad-prevblk");
    assert_eq!(bench.submit(&refused).await.reply, said("bad-prevblk"));
    assert!(bench.notes.hashes().is_empty());

    // The node accepts it: it goes out after all.
    let accepted = block(BlockHash([9; 32]), 1, 2);
    let answer = bench.submit(&accepted).await;
    assert_eq!(answer.reply, RpcAnswer::Result(None));
    assert!(answer.fault.is_some());
    until(|| bench.notes.hashes() == [hash_of(&accepted)]).await;

    // Its child's parent is known because we sent it ourselves.
    let child = block(hash_of(&accepted), 2, 3);
    assert!(bench.submit(&child).await.fault.is_none());
    assert_eq!((bench.notes.hashes().len(), bench.notes.compact()), (2, 2));
}

#[tokio::test]
async fn a_node_that_is_away_delays_no_peer_and_gets_the_block_when_it_is_back() {
    let node = FakeNode::start().await;
    let folder = tempfile::tempdir().expect("tempdir");
    let spool = Arc::new(Spool::open(folder.path()).expect("opens"));
    let client = node_client(&node);
    let bench = Bench::with(
        judged_chain(),
        Some(client),
        Vec::new(),
        Some(Arc::clone(&spool)),
        Duration::from_millis(100),
    );
    here(&bench).await;
    let down = node.kill().await;
    let raw = block(GENESIS, 1, 1);
    let answer = bench.submit(&raw).await;
    let RpcAnswer::Error { code, message } = &answer.reply else { panic!("{answer:?}") };
    assert_eq!(*code, NODE_AWAY);
    assert!(message.contains("broadcast to 0 peers") && message.contains("spool"), "{message}");
    assert_eq!(bench.notes.hashes(), [hash_of(&raw)]);
    let chain = judged_chain();
    until(|| spool.pending(chain).len() == 1).await;

    let node = FakeNode::restart(down).await;
    until(|| spool.list(chain, SpoolState::Accepted).len() == 1).await;
    assert_eq!(node.memory().best, hash_of(&raw));
    assert_eq!(bench.submit(&raw).await.reply, RpcAnswer::Result(None));
}

#[tokio::test]
async fn after_a_kill_the_spool_is_handed_in_and_what_the_node_lost_too() {
    let node = FakeNode::start().await;
    let folder = tempfile::tempdir().expect("tempdir");
    let chain = plain_chain();
    let (lost, waiting) = (block(GENESIS, 1, 1), block(hash_of(&block(GENESIS, 1, 1)), 2, 2));
    {
        // What an earlier process left: one block accepted, one without a verdict.
        let spool = Spool::open(folder.path()).expect("opens");
        let now = course::now_unix_ms();
        spool.store(chain, &hash_of(&lost), now, &lost).expect("stores");
        spool
            .settle(&spool.find(chain, &hash_of(&lost)).expect("stored"), SpoolState::Accepted, now)
            .expect("settles");
        spool.store(chain, &hash_of(&waiting), now + 1, &waiting).expect("stores");
    }
    node.memory().wants_parents = true;
    let spool = Arc::new(Spool::open(folder.path()).expect("opens again"));
    let bench = Bench::new(Some(node_client(&node)), Some(Arc::clone(&spool)));
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    bench.desk.start_recovery(stopped);
    until(|| spool.list(chain, SpoolState::Accepted).len() == 2).await;
    assert_eq!(node.memory().submitted, [hash_of(&lost), hash_of(&waiting)]);
    until(|| bench.notes.hashes() == [hash_of(&waiting)]).await;
    assert_eq!(bench.notes.compact(), 1, "out of the spool too");
}

#[tokio::test]
async fn a_node_that_lost_the_parents_gets_them_before_the_child() {
    let node = FakeNode::start().await;
    let folder = tempfile::tempdir().expect("tempdir");
    let spool = Arc::new(Spool::open(folder.path()).expect("opens"));
    let bench = Bench::new(Some(node_client(&node)), Some(Arc::clone(&spool)));
    let chain = plain_chain();
    let mut parent = GENESIS;
    let mut blocks = Vec::new();
    for height in 1..=4 {
        let raw = block(parent, height, height);
        parent = hash_of(&raw);
        blocks.push(raw);
    }
    for raw in &blocks[..3] {
        assert_eq!(bench.submit(raw).await.reply, RpcAnswer::Result(None));
    }
    until(|| spool.list(chain, SpoolState::Accepted).len() == 3).await;
    // Killed before it wrote its index: it knows only the first.
    let first = hash_of(&blocks[0]);
    node.memory().blocks.retain(|hash, _| *hash == GENESIS || *hash == first);
    node.memory().wants_parents = true;
    assert_eq!(bench.submit(&blocks[3]).await.reply, RpcAnswer::Result(None));
    assert_eq!(node.memory().best, parent);
    assert_eq!(node.memory().blocks.len(), 5);
}

#[tokio::test]
async fn a_child_that_overtakes_its_parent_waits_for_it() {
    let node = FakeNode::start().await;
    node.memory().wants_parents = true;
    let told = Arc::new(Notify::new());
    node.memory().acts.push_back(Act::Wait(Arc::clone(&told)));
    let bench = Arc::new(Bench::new(Some(node_client(&node)), None));
    let first = block(GENESIS, 1, 1);
    let second = block(hash_of(&first), 2, 2);
    let parent = tokio::spawn({
        let (bench, first) = (Arc::clone(&bench), first.clone());
        async move { bench.submit(&first).await.reply }
    });
    until(|| node.memory().acts.is_empty()).await;
    let child = tokio::spawn({
        let (bench, second) = (Arc::clone(&bench), second.clone());
        async move { bench.submit(&second).await.reply }
    });
    until(|| node.memory().submitted.contains(&hash_of(&second))).await;
    told.notify_one();
    assert_eq!(parent.await.expect("no panic"), RpcAnswer::Result(None));
    assert_eq!(child.await.expect("no panic"), RpcAnswer::Result(None));
    assert_eq!(node.memory().best, hash_of(&second));
}

#[tokio::test]
async fn without_a_free_place_the_node_still_gets_the_block() {
    let node = FakeNode::start().await;
    let bench = Bench::new(Some(node_client(&node)), None);
    bench.notes.full.store(true, Ordering::Relaxed);
    let raw = block(GENESIS, 1, 1);
    let submitting = bench.submit(&raw);
    let freeing = async {
        until(|| node.memory().submitted.len() == 1).await;
        bench.notes.full.store(false, Ordering::Relaxed);
    };
    let (answer, ()) = tokio::join!(submitting, freeing);
    assert_eq!(answer.reply, RpcAnswer::Result(None));
    until(|| bench.notes.hashes() == [hash_of(&raw)]).await;
}

#[tokio::test]
async fn places_for_hand_overs_are_bounded() {
    let bench = Bench::new(None, None);
    let held: Vec<_> = std::iter::from_fn(|| bench.desk.admit()).collect();
    assert_eq!(held.len(), SUBMISSIONS_LIVE_MAX as usize);
    drop(held);
    assert!(bench.desk.admit().is_some());
}
