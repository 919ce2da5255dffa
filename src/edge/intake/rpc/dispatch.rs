//! Whose request is it: the desk's or the node's?

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::task::{JoinHandle, spawn_blocking};

use super::body::Submission;
use super::call::{self, BadCall, Call, Calls, Hex, Wanted};
use crate::cold::node::verdict::{RpcAnswer, Shape};
use crate::edge::intake::desk::{Desk, HandOver, NODE_AWAY, decode_failed};

/// Bodies up to this size are read on the spot; longer ones by a thread that may take its time.
const SMALL_BODY_BYTES: usize = 64 * 1024;

/// A body that has come in.
pub(super) struct Arrival {
    pub(super) chain_index: u8,
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
        Ok(Calls::Batch(calls)) => batch(desk, &arrival, calls).await,
    }
}

impl BadCall {
    fn answer(self) -> RpcAnswer {
        let (code, message) = match self {
            Self::Unparsed => (-32700, "Parse error"),
            Self::PlainValue => (-32700, "Top-level object parse error"),
            Self::Malformed => (-32600, "Invalid Request object"),
        };
        RpcAnswer::Error { code, message: message.to_owned() }
    }
}

/// A block that was read while it came in.
pub(super) async fn finish(desk: &Desk, chain_index: u8, submission: Submission) -> Reply {
    let shape = shape_of(desk, chain_index, &submission.call);
    let (call, answer) = submission.finish().await;
    say(&answer.reply, shape, &call)
}

async fn single(desk: &Arc<Desk>, arrival: &Arrival, call: Call) -> Reply {
    let shape = shape_of(desk, arrival.chain_index, &call);
    let answer = match call.wanted {
        Wanted::Other => return pass(desk, arrival, &call, arrival.body.clone()).await,
        Wanted::Block(Hex::Bad) => decode_failed(),
        Wanted::Block(Hex::Good { ref digits, ref raw }) => {
            let Some(_place) = desk.admit() else {
                return Reply::Busy;
            };
            desk.submit(hand_over(arrival, digits, raw)).await.reply
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
fn shape_of(desk: &Desk, chain_index: u8, call: &Call) -> Shape {
    call.shape(desk.node(chain_index).is_none_or(|node| node.speaks_two()))
}

fn hand_over(arrival: &Arrival, digits: &Bytes, raw: &Bytes) -> HandOver {
    HandOver {
        chain_index: arrival.chain_index,
        raw: raw.clone(),
        hex: Some(digits.clone()),
        first_byte_ns: arrival.first_byte_ns,
        last_byte_ns: arrival.last_byte_ns,
    }
}

/// Hands a request to the node as it is.
async fn pass(desk: &Desk, arrival: &Arrival, call: &Call, text: Bytes) -> Reply {
    let shape = shape_of(desk, arrival.chain_index, call);
    let failed = |code, message: String| {
        let answer = RpcAnswer::Error { code, message };
        Reply::Json(answer.status(shape), answer.to_json(shape, call.id()))
    };
    let Some(node) = desk.node(arrival.chain_index) else {
        let why = "Method not found: no node is configured behind this port, which takes submitblock alone";
        return failed(-32601, why.to_owned());
    };
    let passed = node.forward(&arrival.node_path, text).await;
    if call.asks_template
        && let Some(tip) = desk.tip(arrival.chain_index)
    {
        tip.hint();
    }
    if let (Some(raw), Ok((StatusCode::OK, answer))) = (&call.transaction, &passed)
        && is_accepted(answer)
    {
        desk.push_transaction(arrival.chain_index, raw);
    }
    if call.asks_template
        && let Ok((StatusCode::OK, answer)) = &passed
        && let Some(templates) = desk.templates(arrival.chain_index)
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

/// One part of a batch that is answered.
enum Part {
    Answered(Bytes),
    Waiting(Call, JoinHandle<RpcAnswer>),
}

/// A batch without a block is the node's as a whole. Otherwise the blocks start together, the rest
/// goes to the node one by one, and the answers come in the order of the requests.
async fn batch(desk: &Arc<Desk>, arrival: &Arrival, calls: Vec<Call>) -> Reply {
    if calls.iter().all(|call| call.wanted == Wanted::Other) {
        let Some(first) = calls.first() else {
            return pass(desk, arrival, &Call::none(), arrival.body.clone()).await;
        };
        return pass(desk, arrival, first, arrival.body.clone()).await;
    }
    let mut parts = Vec::with_capacity(calls.len());
    let mut others = Vec::new();
    for call in calls {
        match &call.wanted {
            Wanted::Other if !call.text.starts_with(b"{") => {
                // Sent by itself, a node would take it for a broken body.
                let answer = BadCall::Malformed.answer().to_json(Shape::One, "null");
                parts.push(Part::Answered(Bytes::from(answer)));
            }
            Wanted::Other => {
                others.push((parts.len(), call));
                parts.push(Part::Answered(Bytes::new()));
            }
            Wanted::Block(Hex::Bad) => {
                let answer =
                    decode_failed().to_json(shape_of(desk, arrival.chain_index, &call), call.id());
                parts.push(Part::Answered(Bytes::from(answer)));
            }
            Wanted::Block(Hex::Good { digits, raw }) => {
                // Those already started go on; the caller hands the whole batch in again.
                let Some(place) = desk.admit() else {
                    return Reply::Busy;
                };
                let (desk, block) = (Arc::clone(desk), hand_over(arrival, digits, raw));
                let waiting = tokio::spawn(async move {
                    let _place = place;
                    desk.submit(block).await.reply
                });
                parts.push(Part::Waiting(call, waiting));
            }
        }
    }
    for (at, call) in others {
        let answer = match pass(desk, arrival, &call, call.text.clone()).await {
            Reply::Passed(_, answer) => answer,
            Reply::Json(_, text) => Bytes::from(text),
            Reply::Silence | Reply::Busy => Bytes::new(),
        };
        if let Some(part) = parts.get_mut(at) {
            *part = Part::Answered(answer);
        }
    }
    let mut answers = Vec::with_capacity(parts.len());
    for part in parts {
        answers.push(match part {
            Part::Answered(answer) => answer,
            Part::Waiting(call, waiting) => {
                let answer = waiting.await.unwrap_or_else(|_| decode_failed());
                Bytes::from(answer.to_json(shape_of(desk, arrival.chain_index, &call), call.id()))
            }
        });
    }
    Reply::Json(StatusCode::OK, join(&answers))
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
