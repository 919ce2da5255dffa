use std::sync::Arc;

use tokio::sync::Notify;

use super::*;
use crate::cold::node::NodeAuth;
use crate::cold::node::fake::{Act, FakeNode};

const MOMENT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

fn endpoint(node: &FakeNode, timeout: Duration, patience: Duration) -> Endpoint {
    let pauses = Pauses { min: MOMENT, max: MOMENT };
    Endpoint::made(node.client(NodeAuth::None), timeout, patience, pauses)
}

/// Something with a header that no node here has seen.
fn raw(tag: u8) -> Bytes {
    Bytes::from(vec![tag; 100])
}

async fn deliver(endpoint: &Endpoint, raw: &Bytes, row: &LegRow) -> Option<Verdict> {
    endpoint.deliver(Parcel { hash: "x", raw, hex: None, row }).await
}

fn row() -> LegRow {
    LegRow::new("x", false, 0)
}

#[tokio::test]
async fn a_block_is_tried_until_there_is_a_verdict_and_all_is_counted() {
    let node = FakeNode::start().await;
    let endpoint = endpoint(&node, LONG, LONG);
    node.memory().acts.extend([
        Act::WarmUp,
        Act::Say(500, r#"{"result":null,"error":{"code":-25,"message":"disk full"},"id":1}"#),
        Act::QueueFull500,
        Act::DropMidAnswer,
    ]);
    let first = row();
    assert_eq!(deliver(&endpoint, &raw(1), &first).await, Some(Verdict::Accepted));
    let now = first.now();
    assert_eq!(
        (now.state, now.verdict, now.tries),
        (LegState::Answered, Some(Verdict::Accepted), 4)
    );
    assert_eq!(deliver(&endpoint, &raw(1), &row()).await, Some(Verdict::Duplicate));
    let told = endpoint.to_json();
    assert_eq!(
        (&told["blocks"], &told["waiting"], &told["tries"]),
        (&2.into(), &0.into(), &5.into())
    );
    assert_eq!(told["verdicts"]["accepted"], 1);
    assert_eq!(told["verdicts"]["duplicate"], 1);
    assert_eq!(told["troubles"], serde_json::json!({"starting": 1, "error": 1, "broken": 1}));
    assert_eq!((&told["breaker"], &told["here"]), (&"closed".into(), &true.into()));
    assert_eq!(told["answer_ms"]["count"], 2);
    assert_eq!(endpoint.trouble(), None, "what is over troubles nobody");
}

#[tokio::test]
async fn one_that_hangs_is_given_up_in_its_own_time() {
    let node = FakeNode::start().await;
    let endpoint = endpoint(&node, MOMENT, 10 * MOMENT);
    let never = Arc::new(Notify::new());
    node.memory().acts.extend((0..100).map(|_| Act::Wait(Arc::clone(&never))));
    let row = row();
    assert_eq!(deliver(&endpoint, &raw(1), &row).await, None);
    assert_eq!(row.now().state, LegState::GaveUp);
    let told = endpoint.to_json();
    assert_eq!((&told["gave_up"], &told["waiting"], endpoint.lost()), (&1.into(), &0.into(), 1));
    assert!(told["troubles"]["timed-out"].as_u64() >= Some(1), "{told}");
    assert!(endpoint.trouble().is_some_and(|why| why.contains("did not answer")), "{told}");
}

/// Goal: a block that waits for an endpoint which is left alone goes as soon as that is back.
#[tokio::test]
async fn blocks_wait_while_it_is_left_alone_and_go_when_it_is_back() {
    let node = FakeNode::start().await;
    let down = node.kill().await;
    let client = FakeNode::restart(down).await;
    let endpoint = endpoint(&client, LONG, LONG);
    let down = client.kill().await;
    let rows = [row(), row(), row()];
    let raws = [raw(1), raw(2), raw(3)];
    let delivering = async {
        let [first, second, third] = [0, 1, 2].map(|at| deliver(&endpoint, &raws[at], &rows[at]));
        tokio::join!(first, second, third)
    };
    let returning = async {
        while endpoint.to_json()["opened"] != 1 {
            tokio::task::yield_now().await;
        }
        assert!(endpoint.trouble().is_some());
        FakeNode::restart(down).await
    };
    let ((first, second, third), node) = tokio::join!(delivering, returning);
    for verdict in [first, second, third] {
        assert_eq!(verdict, Some(Verdict::Accepted));
    }
    assert_eq!(node.memory().submitted.len(), 3);
    let told = endpoint.to_json();
    assert_eq!((&told["breaker"], &told["verdicts"]["accepted"]), (&"closed".into(), &3.into()));
}

#[tokio::test]
async fn places_are_its_own_and_bounded() {
    let node = FakeNode::start().await;
    let endpoint = endpoint(&node, LONG, LONG);
    let held: Vec<_> = std::iter::from_fn(|| endpoint.place()).collect();
    assert_eq!(held.len(), ENDPOINT_LEGS_MAX as usize);
    assert_eq!(endpoint.lost(), 1);
    drop(held);
    assert!(endpoint.place().is_some());
}

#[tokio::test]
async fn between_blocks_it_is_asked_whether_it_is_there() {
    let node = FakeNode::start().await;
    let endpoint = endpoint(&node, LONG, LONG);
    assert_eq!(endpoint.to_json()["here"], Value::Null);
    endpoint.0.look().await;
    assert_eq!(endpoint.to_json()["here"], true);
    let down = node.kill().await;
    endpoint.0.look().await;
    assert_eq!(endpoint.to_json()["here"], false);
    assert!(endpoint.trouble().is_some());
    let _node = FakeNode::restart(down).await;
    endpoint.0.look().await;
    assert_eq!((&endpoint.to_json()["here"], endpoint.trouble()), (&true.into(), None));
}
