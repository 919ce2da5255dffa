use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Frame;
use tokio::sync::mpsc;

use super::super::dispatch::{self, Arrival, Reply};
use super::*;
use crate::cold::node::NodeAuth;
use crate::cold::node::fake::FakeNode;
use crate::cold::node::leg::hex_of;
use crate::edge::intake::desk::testing::*;
use crate::limits::SUBMISSIONS_LIVE_MAX;

/// A body that the test feeds. Closed: it broke off.
struct Fed(mpsc::UnboundedReceiver<Option<Bytes>>);

impl hyper::body::Body for Fed {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.0.poll_recv(context).map(|piece| match piece {
            Some(piece) => piece.map(|piece| Ok(Frame::data(piece))),
            None => Some(Err("it broke off")),
        })
    }
}

/// One space at a time, for ever.
struct Trickle(tokio::time::Interval);

impl hyper::body::Body for Trickle {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let tick = self.0.poll_tick(context);
        tick.map(|_| Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }
}

fn body_of(raw: &[u8]) -> Bytes {
    let digits = String::from_utf8(hex_of(raw).to_vec()).expect("digits");
    let text = format!(r#"{{"id":7,"method":"submitblock","params":["{digits}"]}}"#);
    Bytes::from(text)
}

fn all_places_are_free(door: &Door) -> bool {
    let held: Vec<_> = std::iter::from_fn(|| door.desk.admit()).collect();
    let streams = door.streams.available_permits();
    (held.len(), streams) == (SUBMISSIONS_LIVE_MAX as usize, RPC_STREAMS_LIVE_MAX as usize)
}

#[tokio::test]
async fn a_body_that_stops_or_trickles_ends_at_its_deadline_and_leaves_nothing() {
    let node = FakeNode::start().await;
    let bench = Bench::new(Some(node.client(NodeAuth::None)), None);
    let soon = Duration::from_millis(50);
    let door = |piece, whole| Door::new(Arc::clone(&bench.desk), Patience { piece, whole });
    let body = body_of(&large_block(GENESIS, 1, 1, 5_000));
    let announced = Some(body.len() as u64);
    let half = body.slice(..body.len() / 2);
    let never = Duration::from_secs(3_600);
    for (piece, whole, breaks) in [(soon, never, false), (never, soon, false), (never, never, true)]
    {
        let door = door(piece, whole);
        let (feed, fed) = mpsc::unbounded_channel();
        feed.send(Some(half.clone())).expect("it is taken");
        let open = (!breaks).then_some(feed);
        assert!(matches!(door.take(Route::FIRST, 1, announced, Fed(fed)).await, Body::Broken));
        assert!(all_places_are_free(&door));
        drop(open);
    }
    let tick = Trickle(tokio::time::interval(Duration::from_millis(1)));
    let door = door(never, soon);
    assert!(matches!(door.take(Route::FIRST, 1, None, tick).await, Body::Broken));
    assert!(node.memory().submitted.is_empty() && bench.notes.hashes().is_empty());
}

#[tokio::test]
async fn where_all_places_are_taken_a_body_is_read_when_it_is_whole() {
    let bench = Bench::new(None, None);
    let door = Door::new(Arc::clone(&bench.desk), Patience::USUAL);
    let body = body_of(&large_block(GENESIS, 1, 1, 5_000));
    let take = async || {
        let announced = Some(body.len() as u64);
        door.take(Route::FIRST, 1, announced, http_body_util::Full::new(body.clone())).await
    };
    assert!(matches!(take().await, Body::Block(_)));
    let streams: Vec<_> =
        std::iter::from_fn(|| Arc::clone(&door.streams).try_acquire_owned().ok()).collect();
    assert!(matches!(take().await, Body::Whole(whole, _) if whole == body));
    drop(streams);
    let held: Vec<_> = std::iter::from_fn(|| door.desk.admit()).collect();
    assert!(matches!(take().await, Body::Whole(whole, _) if whole == body));
    drop(held);
    assert!(matches!(take().await, Body::Block(_)));
}

/// Goal: digits that were forgotten because the desk has the block come back as they were.
#[tokio::test]
async fn a_body_that_turns_out_to_be_no_submission_is_read_byte_for_byte() {
    let bench = Bench::new(None, None);
    let door = Door::new(Arc::clone(&bench.desk), Patience::USUAL);
    for size in [300, 40_000] {
        let digits = "0f1b".repeat(size);
        for digits in [digits.clone(), format!("{digits}FA"), format!("{digits}z"), digits + "0"] {
            let text = format!(r#"{{"method":"submitblock","params":["{digits}"],"method":"x"}}"#);
            let body = Bytes::from(text);
            for cut in [63, 64, 501, 7_000, body.len()] {
                let (feed, fed) = mpsc::unbounded_channel();
                for piece in body.chunks(cut) {
                    feed.send(Some(body.slice_ref(piece))).expect("open");
                }
                feed.send(None).expect("open");
                let taken = door.take(Route::FIRST, 1, Some(body.len() as u64), Fed(fed)).await;
                assert!(matches!(taken, Body::Whole(whole, _) if whole == body), "{size} {cut}");
            }
        }
    }
    assert!(all_places_are_free(&door));
}

/// What goes back, as text.
fn text_of(reply: Reply) -> String {
    match reply {
        Reply::Json(status, text) => format!("{status} {text}"),
        Reply::Passed(status, bytes) => format!("{status} {}", bytes.escape_ascii()),
        Reply::Silence => "nothing".to_owned(),
        Reply::Busy => "busy".to_owned(),
    }
}

/// Goal: nobody can tell from an answer how a body was read.
#[tokio::test]
async fn a_body_in_pieces_gets_the_answer_of_the_whole_body() {
    let good = large_block(GENESIS, 1, 1, 3_000);
    let digits = String::from_utf8(hex_of(&good).to_vec()).expect("digits");
    let no_work = format!("{}{digits}", "00".repeat(80));
    let [odd, bad] = [format!("{digits}0"), format!("{digits}zz")];
    let [cut, more] = [digits[..digits.len() - 2].to_owned(), format!("{digits}00")];
    let long = "00".repeat(plain_chain().block_bytes_max as usize + 1);
    let mut bodies = Vec::new();
    for digits in [&digits, &no_work, &odd, &bad, &cut, &more, &long] {
        for shape in [
            r#"{"id":7,"method":"submitblock","params":["D"]}"#,
            r#"{"jsonrpc":"2.0","id":"a","method":"submitblock","params":["D"]}"#,
            r#"{"jsonrpc":"2.0","method":"submitblock","params":["D"]}"#,
            r#"{"method":"submitblock","params":{"hexdata":"D"}} "#,
            r#"{"id":7,"method":"submitblock","params":["D","",7]}"#,
            r#"{"id":7,"params":["D"],"method":"submitblock"}"#,
            r#"{"id":7,"method":"submitblock","params":["D"],"method":"echo"}"#,
            r#"{"id":7,"method":"submitblock","params":["D"]"#,
            r#"[{"id":7,"method":"submitblock","params":["D"]}]"#,
            r#"{"id":7,"method":"echo","params":["D"]}"#,
        ] {
            bodies.push(Bytes::from(shape.replace('D', digits)));
        }
    }
    for with_node in [true, false] {
        for body in &bodies {
            let mut answers = Vec::new();
            for pieces in [0, 1, 2, 7] {
                let node = FakeNode::start().await;
                let client = with_node.then(|| node.client(NodeAuth::None));
                let bench = Bench::new(client, None);
                let whole = body.clone();
                let answer = if pieces == 0 {
                    dispatch::dispatch(&bench.desk, arrival(whole)).await
                } else {
                    in_pieces(&bench, whole, pieces).await
                };
                answers.push((text_of(answer), bench.notes.hashes(), node.kill().await));
            }
            let first = (&answers[0].0, &answers[0].1);
            for (text, published, _) in &answers {
                assert_eq!((text, published), first, "{} {with_node}", body[..70].escape_ascii());
            }
        }
    }
}

fn arrival(body: Bytes) -> Arrival {
    let (first_byte_ns, last_byte_ns) = (1, 2);
    Arrival { route: Route::FIRST, node_path: "/".to_owned(), body, first_byte_ns, last_byte_ns }
}

async fn in_pieces(bench: &Bench, body: Bytes, pieces: usize) -> Reply {
    let door = Door::new(Arc::clone(&bench.desk), Patience::USUAL);
    let (feed, fed) = mpsc::unbounded_channel();
    for piece in body.chunks(body.len().div_ceil(pieces)) {
        feed.send(Some(body.slice_ref(piece))).expect("open");
    }
    feed.send(None).expect("open");
    match door.take(Route::FIRST, 1, Some(body.len() as u64), Fed(fed)).await {
        Body::Block(submission) => dispatch::finish(&bench.desk, *submission).await,
        Body::Whole(body, _) => dispatch::dispatch(&bench.desk, arrival(body)).await,
        Body::TooLong | Body::Broken => Reply::Busy,
    }
}
