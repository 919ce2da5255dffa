//! Whose request is it: the desk's or the node's?

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::task::spawn_blocking;

use super::batch::batch;
use super::body::Submission;
use super::call::{self, BadCall, Call, Calls, Hex, Wanted};
use super::route::Route;
use crate::cold::node::verdict::{RpcAnswer, Shape};
use crate::edge::intake::desk::{Desk, HandOver, HandedProof, NODE_AWAY, decode_failed};

/// Bodies up to this size are read on the spot; longer ones by a thread that may take its time.
const SMALL_BODY_BYTES: usize = 64 * 1024;

/// A body that has come in.
pub(super) struct Arrival {
    pub(super) route: Route,
    /// Where the node would have got it.
    pub(super) node_path: String,
    pub(super) body: Bytes,
    pub(super) first_byte_ns: u64,
    pub(super) last_byte_ns: u64,
}

/// What goes back.
pub(super) enum Reply {
    /// Our own answer.
    Json(StatusCode, String),
    /// The node's, unchanged.
    Passed(StatusCode, Bytes),
    /// A notification has no answer.
    Silence,
    /// Too many blocks at once.
    Busy,
}

pub(super) async fn dispatch(desk: &Arc<Desk>, arrival: Arrival) -> Reply {
    let body = arrival.body.clone();
    let read = if body.len() <= SMALL_BODY_BYTES {
        call::read(&body)
    } else {
        spawn_blocking(move || call::read(&body)).await.unwrap_or(Err(BadCall::Unparsed))
    };
    match read {
        Err(bad) => {
            let answer = bad.answer();
            Reply::Json(answer.status(Shape::One), answer.to_json(Shape::One, "null"))
        }
        Ok(Calls::Single(call)) => single(desk, &arrival, *call).await,
        Ok(Calls::Batch(calls)) => batch(desk, Arc::new(arrival), calls).await,
    }
}

impl BadCall {
    pub(super) fn answer(self) -> RpcAnswer {
        let (code, message) = match self {
            Self::Unparsed => (-32700, "Parse error"),
            Self::PlainValue => (-32700, "Top-level object parse error"),
            Self::Malformed => (-32600, "Invalid Request object"),
        };
        RpcAnswer::Error { code, message: message.to_owned() }
    }
}

/// A block that was read while it came in.
pub(super) async fn finish(desk: &Desk, submission: Submission) -> Reply {
    let shape = shape_of(desk, submission.chain_index, &submission.call);
    let (call, answer) = submission.finish().await;
    say(&answer.reply, shape, &call)
}

async fn single(desk: &Arc<Desk>, arrival: &Arrival, call: Call) -> Reply {
    let chain_index = arrival.route.of(desk, &call);
    let shape = shape_of(desk, chain_index, &call);
    let answer = match call.wanted {
        Wanted::Other | Wanted::Proof(_) => {
            return pass(desk, arrival, chain_index, &call, arrival.body.clone()).await;
        }
        Wanted::Block(Hex::Bad) => decode_failed(),
        Wanted::Block(Hex::Good { ref digits, ref raw }) => {
            let Some(_place) = desk.admit() else {
                return Reply::Busy;
            };
            desk.submit(hand_over(arrival, chain_index, digits, raw)).await.reply
        }
    };
    say(&answer, shape, &call)
}

/// The answer to a submission.
fn say(answer: &RpcAnswer, shape: Shape, call: &Call) -> Reply {
    if shape == Shape::Two && call.id.is_none() {
        return Reply::Silence;
    }
    Reply::Json(answer.status(shape), answer.to_json(shape, call.id()))
}

/// Our own answers look like those of the node behind us.
pub(super) fn shape_of(desk: &Desk, chain_index: u8, call: &Call) -> Shape {
    call.shape(desk.node(chain_index).is_none_or(|node| node.speaks_two()))
}

pub(super) fn hand_over(
    arrival: &Arrival,
    chain_index: u8,
    digits: &Bytes,
    raw: &Bytes,
) -> HandOver {
    HandOver {
        chain_index,
        raw: raw.clone(),
        hex: Some(digits.clone()),
        first_byte_ns: arrival.first_byte_ns,
        last_byte_ns: arrival.last_byte_ns,
    }
}

/// Hands a request to the node as it is. What a proof completes goes on from there.
pub(super) async fn pass(
    desk: &Arc<Desk>,
    arrival: &Arrival,
    chain_index: u8,
    call: &Call,
    text: Bytes,
) -> Reply {
    let shape = shape_of(desk, chain_index, call);
    let failed = |code, message: String| {
        let answer = RpcAnswer::Error { code, message };
        Reply::Json(answer.status(shape), answer.to_json(shape, call.id()))
    };
    let passed = match call.wanted {
        Wanted::Proof(hash) => {
            let Some(_place) = desk.admit() else {
                return Reply::Busy;
            };
            let (node_path, first_byte_ns) = (arrival.node_path.clone(), arrival.first_byte_ns);
            let proof = HandedProof { chain_index, node_path, body: text, hash, first_byte_ns };
            desk.hand_in_proof(proof).await
        }
        _ => match desk.node(chain_index) {
            Some(node) => Some(node.forward(&arrival.node_path, text).await),
            None => None,
        },
    };
    let Some(passed) = passed else {
        let why = "Method not found: no node is configured behind this port, which takes submitblock alone";
        return failed(-32601, why.to_owned());
    };
    if call.asks_template
        && let Some(tip) = desk.tip(chain_index)
    {
        tip.hint();
    }
    if let (Some(raw), Ok((StatusCode::OK, answer))) = (&call.transaction, &passed)
        && is_accepted(answer)
    {
        desk.push_transaction(chain_index, raw);
    }
    if call.asks_template
        && let Ok((StatusCode::OK, answer)) = &passed
        && let Some(templates) = desk.templates(chain_index)
    {
        templates.offer(answer);
    }
    match passed {
        Ok((status, answer)) => Reply::Passed(status, answer),
        Err(error) => failed(NODE_AWAY, error.to_string()),
    }
}

/// Whether a node's answer to `sendrawtransaction` names the transaction and no error.
fn is_accepted(answer: &[u8]) -> bool {
    let answer: Option<serde_json::Value> = serde_json::from_slice(answer).ok();
    answer.is_some_and(|it| {
        it["error"].is_null() && it["result"].as_str().is_some_and(|id| id.len() == 64)
    })
}
