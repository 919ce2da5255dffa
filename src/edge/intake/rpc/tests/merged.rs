//! One port for a chain and the one that is merged into it.

use super::*;
use crate::cold::node::fake::Act;
use crate::edge::intake::desk::aux::tests::{bench, chains, share};
use crate::wire::hash::hex;

impl Port {
    /// The parent chain first, the merged one behind it.
    async fn merged(parent: &FakeNode, aux: &FakeNode) -> Self {
        Self::over(bench(parent, aux, Vec::new())).await
    }
}

fn block_call(raw: &[u8], id: &str) -> String {
    let digits = hex(raw);
    format!(r#"{{"id":"{id}","method":"submitblock","params":["{digits}"]}}"#)
}

#[tokio::test]
async fn calls_of_merged_mining_find_the_merged_node_unchanged() {
    let (parent, aux) = (FakeNode::start().await, FakeNode::start().await);
    let port = Port::merged(&parent, &aux).await;
    let share = share(1);
    aux.memory().made.insert(share.hash(), (chains().0, share.unproven.raw()));
    for body in [
        r#"{"method":"createauxblock","params":["address"],"id":1}"#.to_owned(),
        r#"{"id": 2, "method" : "createauxblock", "params":[]}"#.to_owned(),
        r#"[{"method":"createauxblock","params":["a"],"id":1},{"method":"createauxblock","id":2}]"#
            .to_owned(),
        share.submitauxblock(),
    ] {
        let direct = aux.client(NodeAuth::None).forward("/", Bytes::from(body.clone())).await;
        let (status, answer) = direct.expect("answers");
        let ours = port.post("/", body.clone()).await;
        assert_eq!(ours, (status.as_u16(), String::from_utf8_lossy(&answer).into_owned()));
        let bodies = aux.memory().bodies.clone();
        assert_eq!(bodies.last().map(|(_, sent)| &sent[..]), Some(body.as_bytes()));
    }
    assert!(parent.memory().bodies.is_empty(), "none of it is for the parent's node");
    while port.bench.notes.hashes() != [share.hash()] {
        tokio::task::yield_now().await;
    }
    // Named, the path's chain gets it, whatever it is.
    let named = format!("/chain/{}", chains().1.name);
    let (status, _) =
        port.post(&named, r#"{"method":"submitauxblock","params":["00"],"id":1}"#).await;
    assert_eq!((status, parent.memory().bodies.len()), (500, 1));
}

/// Goal: one request carries both blocks of a share, and neither waits for the other: each is with
/// the peers while the other's node is silent.
#[tokio::test]
async fn both_blocks_of_a_share_come_in_one_batch_and_neither_waits() {
    let share = share(1);
    for silent_is_parent in [true, false] {
        let (parent, aux) = (FakeNode::start().await, FakeNode::start().await);
        let port = Port::merged(&parent, &aux).await;
        let told = Arc::new(tokio::sync::Notify::new());
        let silent = if silent_is_parent { &parent } else { &aux };
        silent.memory().acts.push_back(Act::Wait(Arc::clone(&told)));
        let body = format!(
            "[{},{},{{\"method\":\"echo\",\"params\":[5],\"id\":3}}]",
            block_call(&share.parent.raw, "parent"),
            block_call(&share.aux.raw, "aux"),
        );
        let posting = port.post("/", body);
        let watching = async {
            let both = [BlockHash(share.parent.hash), share.hash()];
            while !both.iter().all(|hash| port.bench.notes.hashes().contains(hash)) {
                tokio::task::yield_now().await;
            }
            let other = if silent_is_parent { 1 } else { 0 };
            while port.bench.desk.log().totals(other).verdicts.accepted == 0 {
                tokio::task::yield_now().await;
            }
            told.notify_one();
        };
        let ((status, answer), ()) = tokio::join!(posting, watching);
        let answers: Vec<Value> = serde_json::from_str(&answer).expect("a list");
        assert_eq!((status, answers.len()), (200, 3));
        assert_eq!(answers[0], json!({"result": null, "error": null, "id": "parent"}));
        assert_eq!(answers[1], json!({"result": null, "error": null, "id": "aux"}));
        assert_eq!(answers[2]["result"], json!([5]));
        assert_eq!((parent.memory().submitted.len(), aux.memory().submitted.len()), (1, 1));
    }
}

#[tokio::test]
async fn a_parents_block_and_a_proof_come_in_one_batch() {
    let (parent, aux) = (FakeNode::start().await, FakeNode::start().await);
    let port = Port::merged(&parent, &aux).await;
    let share = share(1);
    aux.memory().made.insert(share.hash(), (chains().0, share.unproven.raw()));
    let calls = [share.submitauxblock(), block_call(&share.parent.raw, "parent")];
    let (status, answer) = port.post("/", format!("[{}]", calls.join(","))).await;
    let answers: Vec<Value> = serde_json::from_str(&answer).expect("a list");
    assert_eq!(
        (status, &answers[0]["result"], &answers[1]["result"]),
        (200, &json!(true), &Value::Null)
    );
    while port.bench.notes.hashes().len() < 2 {
        tokio::task::yield_now().await;
    }
}

/// A long block that comes in pieces finds its chain too, wherever its digits are cut.
#[tokio::test]
async fn a_block_that_comes_in_pieces_finds_its_chain() {
    let (parent, aux) = (FakeNode::start().await, FakeNode::start().await);
    let port = Port::merged(&parent, &aux).await;
    let (aux_chain, parent_chain) = chains();
    for (at, cut) in [0, 1, 7, 8, 9, 200].into_iter().enumerate() {
        for (chain, node) in [(aux_chain, &aux), (parent_chain, &parent)] {
            let mut maker =
                crate::sim::blocks::BlockMaker::new(chain, 9, 1_700_000_000 + at as u32);
            let made = maker.next(100_000).expect("made");
            let body = block_call(&made.raw, "x");
            let first = body.find("[\"").expect("there") + 2 + cut;
            let slow = through::Slow::post(&port, body.len(), &body.as_bytes()[..first]).await;
            let answer = slow.end(&body.as_bytes()[first..]).await;
            assert_eq!(answer, through::NULL, "{cut}");
            let hash = BlockHash(chain.identity_hash(made.raw.first_chunk().expect("80")).0);
            assert!(port.bench.notes.hashes().contains(&hash));
            assert!(node.memory().submitted.contains(&hash), "{cut}");
        }
    }
}

#[tokio::test]
async fn a_proof_without_a_node_or_place_is_said_so() {
    let (parent, aux) = (FakeNode::start().await, FakeNode::start().await);
    let port = Port::merged(&parent, &aux).await;
    aux.kill().await;
    let (status, answer) = port.post("/", share(1).submitauxblock()).await;
    assert!(status == 500 && answer.contains("-9") && answer.contains("\"aux\""), "{answer}");
    let held: Vec<_> = std::iter::from_fn(|| port.bench.desk.admit()).collect();
    assert_eq!(port.post("/", share(1).submitauxblock()).await.0, 503);
    drop(held);
}
