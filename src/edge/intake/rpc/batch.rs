//! Several requests in one body.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::task::JoinHandle;

use super::call::{BadCall, Call, Hex, Wanted};
use super::dispatch::{Arrival, Reply, hand_over, pass, shape_of};
use crate::cold::node::verdict::{RpcAnswer, Shape};
use crate::edge::intake::desk::{Desk, NODE_AWAY, decode_failed};

/// One part of a batch that is answered.
enum Part {
    Answered(Bytes),
    /// A task of its own, and what stands for its answer if that fails.
    Waiting(JoinHandle<Bytes>),
    /// With others of its chain.
    InTurn,
}

/// Answers by their place in the batch.
type Placed = Vec<(usize, Bytes)>;

/// A batch without a block or a proof, all for one chain, is that node's as a whole. Otherwise blocks
/// and proofs start together, whatever chains they are for, and none waits for another; the rest goes
/// to the nodes, to each one by one; and the answers come in the order of the requests.
pub(super) async fn batch(desk: &Arc<Desk>, arrival: Arc<Arrival>, calls: Vec<Call>) -> Reply {
    let whole = Arc::clone(&arrival);
    let Some(first) = calls.first() else {
        let chain_index = arrival.route.chain_index();
        return pass(desk, &whole, chain_index, &Call::none(), whole.body.clone()).await;
    };
    let chain_index = arrival.route.of(desk, first);
    let is_nodes =
        |call: &Call| call.wanted == Wanted::Other && arrival.route.of(desk, call) == chain_index;
    if calls.iter().all(is_nodes) {
        return pass(desk, &whole, chain_index, first, whole.body.clone()).await;
    }
    let mut parts = Vec::with_capacity(calls.len());
    let mut in_turn: BTreeMap<u8, Vec<(usize, Call)>> = BTreeMap::new();
    for call in calls {
        let chain_index = arrival.route.of(desk, &call);
        let Some(part) = start(desk, &arrival, chain_index, &call) else {
            // Those already started go on; the caller hands the whole batch in again.
            return Reply::Busy;
        };
        if matches!(part, Part::InTurn) {
            in_turn.entry(chain_index).or_default().push((parts.len(), call));
        }
        parts.push(part);
    }
    let others: Vec<_> = in_turn
        .into_iter()
        .map(|(chain_index, calls)| {
            let (desk, arrival) = (Arc::clone(desk), Arc::clone(&arrival));
            tokio::spawn(async move { pass_each(&desk, &arrival, chain_index, calls).await })
        })
        .collect();
    let mut answers = vec![Bytes::new(); parts.len()];
    for (answer, part) in answers.iter_mut().zip(parts) {
        *answer = match part {
            Part::Answered(answer) => answer,
            Part::Waiting(waiting) => waiting.await.unwrap_or_default(),
            Part::InTurn => Bytes::new(),
        };
    }
    for other in others {
        for (at, passed) in other.await.unwrap_or_default() {
            if let Some(answer) = answers.get_mut(at) {
                *answer = passed;
            }
        }
    }
    Reply::Json(StatusCode::OK, join(&answers))
}

/// Starts what can't wait. `None`: too much is being handed in at once.
fn start(desk: &Arc<Desk>, arrival: &Arc<Arrival>, chain_index: u8, call: &Call) -> Option<Part> {
    let shape = shape_of(desk, chain_index, call);
    let (desk, id) = (Arc::clone(desk), call.id().to_owned());
    Some(match &call.wanted {
        Wanted::Other if !call.text.starts_with(b"{") => {
            // Sent by itself, a node would take it for a broken body.
            let answer = BadCall::Malformed.answer().to_json(Shape::One, "null");
            Part::Answered(Bytes::from(answer))
        }
        Wanted::Other => Part::InTurn,
        Wanted::Block(Hex::Bad) => Part::Answered(Bytes::from(decode_failed().to_json(shape, &id))),
        Wanted::Block(Hex::Good { digits, raw }) => {
            let place = desk.admit()?;
            let block = hand_over(arrival, chain_index, digits, raw);
            Part::Waiting(tokio::spawn(async move {
                let _place = place;
                Bytes::from(desk.submit(block).await.reply.to_json(shape, &id))
            }))
        }
        Wanted::Proof(_) => {
            let (arrival, call) = (Arc::clone(arrival), call.clone());
            Part::Waiting(tokio::spawn(async move {
                let text = call.text.clone();
                bytes_of(pass(&desk, &arrival, chain_index, &call, text).await)
            }))
        }
    })
}

/// Hands requests to one chain's node, one by one.
async fn pass_each(
    desk: &Arc<Desk>,
    arrival: &Arrival,
    chain_index: u8,
    calls: Vec<(usize, Call)>,
) -> Placed {
    let mut answers = Vec::with_capacity(calls.len());
    for (at, call) in calls {
        let reply = pass(desk, arrival, chain_index, &call, call.text.clone()).await;
        answers.push((at, bytes_of(reply)));
    }
    answers
}

fn bytes_of(reply: Reply) -> Bytes {
    match reply {
        Reply::Passed(_, answer) => answer,
        Reply::Json(_, text) => Bytes::from(text),
        Reply::Silence | Reply::Busy => Bytes::new(),
    }
}

/// A JSON list of answers; one that is no JSON (plain text of a full queue) becomes an error.
fn join(answers: &[Bytes]) -> String {
    let busy = RpcAnswer::Error {
        code: NODE_AWAY,
        message: "the node did not answer this part".to_owned(),
    };
    let texts = answers.iter().map(|answer| {
        let text = std::str::from_utf8(answer).unwrap_or("").trim();
        if text.starts_with('{') { text.to_owned() } else { busy.to_json(Shape::One, "null") }
    });
    format!("[{}]", texts.collect::<Vec<_>>().join(","))
}
