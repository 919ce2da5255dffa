use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use proptest::prelude::*;

use super::super::testing::*;
use super::*;
use crate::cold::node::NodeAuth;
use crate::cold::node::fake::FakeNode;
use crate::cold::node::tip::Presence;
use crate::cold::node::verdict::RpcAnswer;
use crate::limits::{RECEPTION_SLOTS_MAX, SUBMISSIONS_LIVE_MAX};
use crate::sim::blocks::BlockMaker;
use crate::wire::check::check_work;
use crate::wire::hash::{BlockHash, hex};

/// A block that is dealt with on two threads.
fn long(seed: u64) -> Vec<u8> {
    let mut maker = BlockMaker::new(plain_chain(), seed, 1_700_000_000);
    maker.next(200_000).expect("it can be made").raw
}

static LONG: LazyLock<Vec<u8>> = LazyLock::new(|| long(1));

fn without_work(raw: &[u8]) -> Vec<u8> {
    let mut raw = raw.to_vec();
    loop {
        raw[76] = raw[76].wrapping_add(1);
        let header = raw.first_chunk().expect("a header");
        if check_work(plain_chain(), header, None).is_err() {
            return raw;
        }
    }
}

async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

/// What was published, what was answered, and what is on record.
type Seen = (Vec<(BlockHash, Vec<u8>)>, RpcAnswer, Option<String>, Option<[u64; 3]>);

async fn seen(bench: &Bench, answer: Answer) -> Seen {
    let record = answer.published.and_then(|at| bench.desk.log().record(at.image));
    let meta = record.and_then(|record| record.meta).map(|meta| {
        let stages = meta.stages;
        let order = [
            stages.header_ns,
            stages.work_checked_ns,
            stages.walked_ns,
            stages.checked_ns,
            stages.compact_ns,
        ];
        assert!(order.is_sorted() && order[0] > 0, "{stages:?}");
        assert!(stages.compact_ns <= meta.published_ns);
        [meta.height.unwrap_or(0).into(), meta.size_bytes.into(), meta.transactions.into()]
    });
    let published = bench.notes.published.lock().expect("whole").clone();
    (published, answer.reply, answer.fault.map(|fault| fault.why), meta)
}

async fn whole(raw: &[u8]) -> Seen {
    let bench = Bench::new(None, None);
    let answer = bench.submit(&raw.to_vec().into()).await;
    seen(&bench, answer).await
}

/// Hands `raw` in by pieces of these lengths, over and over; in digits where `in_hex`.
async fn cut(raw: &[u8], lengths: &[usize], in_hex: bool, announced: Option<u32>) -> Seen {
    let bench = Bench::new(None, None);
    let text = if in_hex { hex(raw).into_bytes() } else { raw.to_vec() };
    let mut reception = bench.desk.receive(0, 1, announced).expect("a place");
    let mut rest = &text[..];
    for length in lengths.iter().cycle() {
        let (piece, behind) = rest.split_at((*length).clamp(1, rest.len().max(1)).min(rest.len()));
        let taken = if in_hex { reception.push_hex(piece) } else { reception.push(piece) };
        taken.expect("good bytes");
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    let answer = reception.finish(2, None, None).await;
    seen(&bench, answer).await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Goal: however a block is cut, the peers get the same bytes and the caller the same answer.
    #[test]
    fn any_cut_is_the_same_block(
        lengths in prop::collection::vec(1..60_000_usize, 1..12),
        hex: bool,
        announced in prop::option::of(0..400_000_u32),
        spoilt in prop::option::of((0..200_000_usize, 1..=255_u8)),
    ) {
        let mut raw = LONG.clone();
        if let Some((at, bits)) = spoilt {
            raw[at] ^= bits;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        let (expected, got) = runtime.block_on(async {
            (whole(&raw).await, cut(&raw, &lengths, hex, announced).await)
        });
        prop_assert_eq!(expected.0.len(), usize::from(expected.2.is_none()));
        prop_assert!(expected == got, "{:?} is not {:?}", (got.1, got.2, got.3), (expected.1, expected.2, expected.3));
    }
}

#[tokio::test]
async fn single_bytes_and_odd_digits_are_the_same_block() {
    let small = block(GENESIS, 1, 1);
    let (mut trailing, cut_off) = (small.to_vec(), small[..small.len() - 1].to_vec());
    trailing.extend([0; 5]);
    for raw in
        [&small[..], &block_without_work(GENESIS), &trailing, &cut_off, &small[..80], &small[..79]]
    {
        let expected = whole(raw).await;
        for (hex, lengths) in [(false, &[1][..]), (true, &[1]), (true, &[3]), (true, &[7, 2, 1])] {
            for announced in [None, Some(raw.len() as u32), Some(1_000_000)] {
                assert!(cut(raw, lengths, hex, announced).await == expected, "{lengths:?}");
            }
        }
    }
    let expected = whole(&LONG).await;
    assert_eq!(expected.1, RpcAnswer::Result(None));
    assert!(cut(&LONG, &[1], false, None).await == expected);
    assert!(cut(&LONG, &[4_095], true, Some(1)).await == expected, "announced too little");
}

#[tokio::test]
async fn what_is_no_block_is_said_and_forgotten() {
    let bench = Bench::new(None, None);
    let receive = || bench.desk.receive(0, 1, None).expect("a place");
    let mut odd = receive();
    odd.push_hex(b"000").expect("half a byte is to come");
    assert!(odd.finish_now().await.fault.expect("a reason").why.contains("hex"));
    let mut mixed = receive();
    mixed.push_hex(b"0").expect("half a byte is to come");
    assert_eq!(mixed.push(b"0"), Err(ReceptionError::NotHex));
    let mut wrong = receive();
    wrong.push(&LONG[..100_000]).expect("good so far");
    assert_eq!(wrong.push_hex(b"0g"), Err(ReceptionError::NotHex));
    assert_eq!(wrong.push(&LONG[100_000..]), Err(ReceptionError::NotHex), "it stays so");
    assert_eq!(wrong.finish_now().await.hash, None);
    let mut large = receive();
    let limit = plain_chain().block_bytes_max as usize;
    large.push(&vec![0; limit]).expect("as long as may be");
    assert_eq!(large.push(&[0]), Err(ReceptionError::TooLong));
    assert_eq!(large.finish_now().await.hash, None);
    drop(receive());
    assert!(bench.desk.receive(1, 1, None).is_none(), "no such chain");
    assert!(bench.notes.hashes().is_empty());
    until(|| bench.notes.held.load(Relaxed) == 0).await;
}

/// Pushes `raw` until it has its slot.
async fn half(bench: &Bench, raw: &[u8]) -> Reception {
    let begun = bench.notes.begun.load(Relaxed);
    let mut reception = bench.desk.receive(0, 1, Some(raw.len() as u32)).expect("a place");
    reception.push(&raw[..100_000]).expect("good");
    let Course::Relay(relay) = &reception.course else { panic!("it is a long one") };
    until(|| *relay.work.borrow() != walk::Work::Unknown).await;
    reception.push(&raw[100_000..100_001]).expect("good");
    assert_eq!(bench.notes.begun.load(Relaxed), begun + 1);
    reception
}

#[tokio::test]
async fn bodies_that_stop_leave_a_slot_to_whole_ones() {
    let bench = Bench::with_stall(Duration::from_secs(3_600));
    let mut stopped = Vec::new();
    for seed in 0..RECEPTION_SLOTS_MAX {
        stopped.push(half(&bench, &long(10 + u64::from(seed))).await);
    }
    let (other, third) = (long(2), long(3));
    let answer = bench.submit(&other.clone().into()).await;
    assert_eq!(answer.reply, RpcAnswer::Result(None));
    let mut late = bench.desk.receive(0, 1, Some(third.len() as u32)).expect("a place");
    third.chunks(1_000).for_each(|piece| late.push(piece).expect("good"));
    assert_eq!(late.finish_now().await.reply, RpcAnswer::Result(None));
    assert_eq!(bench.notes.hashes(), [hash_of(&other), hash_of(&third)]);
    assert_eq!(bench.notes.held.load(Relaxed), RECEPTION_SLOTS_MAX);
    drop(stopped);
    until(|| bench.notes.held.load(Relaxed) == 0).await;
    assert_eq!(bench.notes.hashes().len(), 2);
}

#[tokio::test]
async fn a_body_that_trickles_loses_its_slot_and_its_place_but_not_its_block() {
    let bench = Bench::with_stall(Duration::from_millis(300));
    let mut trickling = half(&bench, &LONG).await;
    let places: Vec<_> = std::iter::from_fn(|| bench.desk.receive(0, 1, None)).collect();
    assert!(places.len() >= SUBMISSIONS_LIVE_MAX as usize - 1);
    // Not one byte more from any: all are given up.
    until(|| bench.notes.held.load(Relaxed) == 0).await;
    until(|| bench.desk.admit().is_some()).await;
    let other = long(4);
    assert_eq!(bench.submit(&other.clone().into()).await.reply, RpcAnswer::Result(None));
    trickling.push(&LONG[100_001..]).expect("good");
    assert_eq!(trickling.finish_now().await.reply, RpcAnswer::Result(None));
    assert_eq!(bench.notes.hashes(), [hash_of(&other), hash_of(&LONG)]);
    assert_eq!(bench.notes.published.lock().expect("whole")[1].1, *LONG);
}

#[tokio::test]
async fn without_work_no_slot_is_taken() {
    let bench = Bench::new(None, None);
    let bad = without_work(&LONG);
    let mut reception = bench.desk.receive(0, 1, Some(bad.len() as u32)).expect("a place");
    bad.chunks(5_000).for_each(|piece| reception.push(piece).expect("taken"));
    let answer = reception.finish_now().await;
    assert_eq!(answer.reply, RpcAnswer::Result(Some("high-hash".to_owned())));
    assert_eq!(bench.submit(&bad.into()).await.reply, answer.reply);
    assert_eq!(bench.submit(&block_without_work(GENESIS)).await.reply, answer.reply);
    assert_eq!(bench.notes.begun.load(Relaxed), 0);
}

#[tokio::test]
async fn twice_at_once_is_one_block_and_one_answer() {
    let node = FakeNode::start().await;
    let bench = Bench::new(Some(node.client(NodeAuth::None)), None);
    let mut twins = [0, 1].map(|_| bench.desk.receive(0, 1, Some(200_000)).expect("a place"));
    for piece in LONG.chunks(9_999) {
        twins.iter_mut().for_each(|twin| twin.push(piece).expect("good"));
    }
    let [one, other] = twins;
    let (one, other) = tokio::join!(one.finish_now(), other.finish_now());
    assert_eq!((one.reply, one.hash), (RpcAnswer::Result(None), Some(hash_of(&LONG))));
    assert_eq!((other.reply, other.published), (RpcAnswer::Result(None), one.published));
    assert_eq!(bench.notes.hashes(), [hash_of(&LONG)]);
    assert_eq!(node.memory().submitted, [hash_of(&LONG)]);
    // Cut short afterwards, it is not that block.
    let mut short = bench.desk.receive(0, 1, Some(200_000)).expect("a place");
    short.push(&LONG[..150_000]).expect("good so far");
    node.memory().words.insert(hash_of(&LONG), "rejected");
    let answer = short.finish_now().await;
    assert_eq!(
        (answer.reply, answer.published),
        (RpcAnswer::Result(Some("rejected".into())), None)
    );
    until(|| bench.notes.held.load(Relaxed) == 0).await;
}

#[tokio::test]
async fn what_can_not_be_read_still_goes_to_the_node() {
    let node = FakeNode::start().await;
    let bench = Bench::new(Some(node.client(NodeAuth::None)), None);
    let mut bad = LONG.clone();
    // The count of transactions: none.
    bad[80] = 0;
    node.memory().words.insert(hash_of(&bad), "rejected");
    let mut reception = bench.desk.receive(0, 1, Some(200_000)).expect("a place");
    bad.chunks(3_000).for_each(|piece| reception.push(piece).expect("taken"));
    let answer = reception.finish_now().await;
    assert_eq!(answer.reply, RpcAnswer::Result(Some("rejected".to_owned())));
    assert_eq!(node.memory().submitted, [hash_of(&bad)]);
    assert!(bench.notes.hashes().is_empty());
}

#[tokio::test]
async fn a_long_block_of_an_unknown_parent_waits_for_the_node() {
    let node = FakeNode::start().await;
    let (chain, client) = (judged_chain(), node.client(NodeAuth::None));
    let bench = Bench::with(chain, Some(client), Vec::new(), None, Duration::from_secs(30));
    let tip = bench.desk.tip(0).expect("there is a node");
    tip.presence().wait_for(|now| *now == Presence::Here).await.expect("it lives");
    let mut maker = BlockMaker::new(plain_chain(), 1, 1_700_000_000).on_top_of([9; 32], 7);
    let raw = maker.next(200_000).expect("it can be made").raw;
    let mut reception = bench.desk.receive(0, 1, Some(200_000)).expect("a place");
    raw.chunks(30_000).for_each(|piece| reception.push(piece).expect("good"));
    let answer = reception.finish_now().await;
    assert_eq!(answer.reply, RpcAnswer::Result(None));
    assert_eq!(answer.fault.expect("held back").word, Some("prev-blk-not-found"));
    until(|| bench.notes.hashes() == [hash_of(&raw)]).await;
}

/// Goal: of a block that is made of a template the peers get all, once, though half of it never came;
/// whoever brings the rest gets the answer of a block that is known.
#[tokio::test]
async fn a_block_whose_rest_is_known_is_not_waited_for() {
    let bench = Bench::new(None, None);
    let templates = bench.desk.templates(0).expect("there is a chain").clone();
    let layout = crate::wire::block::Walker::new(plain_chain()).finish(&LONG).expect("a block");
    let behind = layout.transactions.iter().skip(1);
    let data: Vec<_> =
        behind.map(|span| serde_json::json!({"data": hex(&LONG[span.range()])})).collect();
    let parent = BlockHash(*LONG[4..].first_chunk().expect("a parent")).to_string();
    let result = serde_json::json!({"previousblockhash": parent, "transactions": data});
    templates.offer(&Bytes::from(serde_json::json!({"result": result}).to_string()));
    until(|| templates.counts().staged == 1).await;

    let mut reception = bench.desk.receive(0, now_ns(), Some(LONG.len() as u32)).expect("a place");
    let (half, rest) = LONG.split_at(LONG.len() / 2);
    reception.push(half).expect("it is taken");
    until(|| !bench.notes.hashes().is_empty()).await;
    assert_eq!(bench.notes.published.lock().expect("whole")[0].1, *LONG);
    reception.push(rest).expect("it is taken");
    let answer = reception.finish_now().await;
    assert_eq!(answer.reply, RpcAnswer::Result(None), "{answer:?}");
    assert!(answer.published.is_some() && answer.fault.is_none(), "{answer:?}");
    assert_eq!((bench.notes.hashes().len(), templates.counts().proven), (1, 1));

    // Without the template nothing goes out of a block that is cut off.
    let bench = Bench::new(None, None);
    let mut reception = bench.desk.receive(0, now_ns(), Some(LONG.len() as u32)).expect("a place");
    reception.push(half).expect("it is taken");
    let answer = reception.finish_now().await;
    assert!(answer.published.is_none() && bench.notes.hashes().is_empty(), "{answer:?}");
}
