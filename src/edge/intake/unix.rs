//! The Unix socket: one block in, its verdict and a row per peer out.
//!
//! Mode 0600 from the moment it can be connected to, and only processes of our own user or root are
//! served, whoever could open it.
//!
//! # Shapes
//!
//! Request: `"BSB1" [4] · chain name length [u8] · chain name · block length [u32 LE] · raw block`.
//! An empty name is the first chain. Requests of one connection are answered in turn.
//!
//! Answer: `length [u32 LE] · JSON`: `{hash, verdict, accepted, result, error, published, stages,
//! offers, outcomes, peers}`. `result` and `error` are what `submitblock` answers; `accepted` is true,
//! false, or null where the node has not judged; `stages` tells when the block had come how far, in
//! ms from its first byte; `peers` holds one row per connection, times in ms
//! after publishing. It comes after the verdict, and after the last peer's outcome or 2 s.
//!
//! A connection that begins with `"BSM1"` instead is one of [`super::shared`].

mod client;
mod socket;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

pub use client::hand_over;
pub use socket::UnixIntake;

use super::desk::{Answer, Desk, Reception};
use super::shared::{self, Sessions};
use crate::cold::node::row::LegRow;
use crate::cold::node::verdict::{DECODE_FAILED, RpcAnswer};
use crate::cold::stats::BlockRecord;
use crate::limits::{
    BLOCK_BYTES_MAX, INTAKE_STOP_MS, UNIX_CONNECTIONS_MAX, UNIX_IDLE_DEADLINE_MS,
    UNIX_OUTCOMES_DEADLINE_MS, UNIX_PIECE_BYTES, UNIX_TRANSFER_DEADLINE_MS,
};
use crate::sys::clock::now_ns;

/// First bytes of a request.
const MAGIC: &[u8; 4] = b"BSB1";

/// The code for what is no request (`RPC_INVALID_REQUEST`).
const INVALID_REQUEST: i64 = -32600;

const IDLE_DEADLINE: Duration = Duration::from_millis(UNIX_IDLE_DEADLINE_MS);
const TRANSFER_DEADLINE: Duration = Duration::from_millis(UNIX_TRANSFER_DEADLINE_MS);
const OUTCOME_PATIENCE: Duration = Duration::from_millis(UNIX_OUTCOMES_DEADLINE_MS);
const STOP_PATIENCE: Duration = Duration::from_millis(INTAKE_STOP_MS);

/// What can go wrong at the socket, on either side.
#[derive(Debug, Error)]
pub enum UnixError {
    /// Somebody serves it already.
    #[error("another engine answers on the socket {}; stop it, or give this one another intake.unix", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is in its place.
    #[error("{} is there and is not a socket; remove it, or set another intake.unix", path.display())]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// It can't be made.
    #[error("cannot make the socket {}: {source}; check that its folder is there and ours to write to", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The engine can't be reached or stopped answering.
    #[error("the engine at {} did not answer: {source}; check that it runs and that this is its user", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The engine's answer makes no sense.
    #[error("the engine at {} answered something else; check that both are of one version", path.display())]
    BadAnswer {
        /// The socket.
        path: PathBuf,
    },
    /// The request can't be put into the frame.
    #[error("the chain name {0:?} is too long; use a name of the configuration")]
    ChainName(String),
}

/// Makes the socket at `path` and serves until `stop` becomes true.
///
/// # Errors
/// The socket can't be made; see [`UnixIntake::bind`].
pub async fn serve(
    path: PathBuf,
    desk: Arc<Desk>,
    stop: watch::Receiver<bool>,
) -> Result<(), UnixError> {
    let intake = UnixIntake::bind(&path).await?;
    serve_on(intake, desk, stop).await;
    Ok(())
}

/// Serves on a socket that was made before, until `stop` becomes true.
pub async fn serve_on(intake: UnixIntake, desk: Arc<Desk>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(UNIX_CONNECTIONS_MAX as usize));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (intake.accept().await, place)
        };
        let stopped = async { stop.wait_for(|stop| *stop).await.is_ok() };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped => break,
            Some(_) = connections.join_next() => continue,
        };
        let Some(stream) = accepted else { continue };
        let (desk, mut stop) = (Arc::clone(&desk), stop.clone());
        let sessions = intake.sessions.clone();
        connections.spawn(async move {
            let _place = place;
            connection(stream, &desk, &mut stop, &sessions).await;
        });
    }
    let finished = async { while connections.join_next().await.is_some() {} };
    let _all_done = tokio::time::timeout(STOP_PATIENCE, finished).await;
}

/// Requests in turn, until the other side or the engine ends it.
async fn connection(
    mut stream: UnixStream,
    desk: &Arc<Desk>,
    stop: &mut watch::Receiver<bool>,
    sessions: &Sessions,
) {
    loop {
        let mut magic = [0; MAGIC.len()];
        let stopped = async { stop.wait_for(|stop| *stop).await.is_ok() };
        let begun = tokio::select! {
            begun = tokio::time::timeout(IDLE_DEADLINE, stream.read_exact(&mut magic)) => begun,
            _ = stopped => return,
        };
        if !matches!(begun, Ok(Ok(_))) {
            return;
        }
        if magic == shared::MAGIC {
            return shared::serve(stream, desk, stop, sessions).await;
        }
        let answer = match take(&mut stream, magic, desk).await {
            Ok(Request::Block { reception, last_byte_ns }) => {
                tell(desk, &reception.finish(last_byte_ns, None, None).await).await
            }
            Ok(Request::Refused(answer)) => answer,
            Err(reason) => {
                debug!(reason, "a request on the Unix socket was refused");
                // The stream is out of step: said once, then closed.
                let _told = send(&mut stream, &refusal(reason)).await;
                return;
            }
        };
        if send(&mut stream, &answer).await.is_err() {
            return;
        }
    }
}

/// A request that has come in whole.
enum Request {
    Block { reception: Box<Reception>, last_byte_ns: u64 },
    Refused(Value),
}

/// The rest of a request. Its bytes go to the desk as they come.
async fn take(
    stream: &mut UnixStream,
    magic: [u8; 4],
    desk: &Arc<Desk>,
) -> Result<Request, &'static str> {
    if magic != *MAGIC {
        return Err("the request does not begin with BSB1 or BSM1");
    }
    let first_byte_ns = now_ns();
    let reading = async {
        let mut chain = vec![0; usize::from(stream.read_u8().await.map_err(|_| CUT)?)];
        stream.read_exact(&mut chain).await.map_err(|_| CUT)?;
        let chain = String::from_utf8(chain).map_err(|_| "the chain name is not text")?;
        let length = stream.read_u32_le().await.map_err(|_| CUT)?;
        if length > BLOCK_BYTES_MAX {
            return Err(TOO_LONG);
        }
        let reception = receive(desk, &chain, first_byte_ns, length);
        take_block(stream, reception, length as usize).await
    };
    let read = tokio::time::timeout(TRANSFER_DEADLINE, reading).await;
    read.map_err(|_| "the request took too long to come in")?
}

/// A place at the desk; else what is answered once the block has been read past.
fn receive(
    desk: &Arc<Desk>,
    chain: &str,
    first_byte_ns: u64,
    length: u32,
) -> Result<Box<Reception>, Value> {
    let named = (!chain.is_empty()).then(|| desk.chain_index(chain));
    let Some(chain_index) = named.unwrap_or(Some(0)) else {
        return Err(refusal("no chain of this name is configured"));
    };
    let reception = desk.receive(chain_index, first_byte_ns, Some(length)).map(Box::new);
    reception.ok_or_else(|| refusal("too many blocks are being handed in at once; try again"))
}

/// Reads a block of `left` bytes.
async fn take_block(
    stream: &mut UnixStream,
    mut reception: Result<Box<Reception>, Value>,
    mut left: usize,
) -> Result<Request, &'static str> {
    let mut piece = vec![0; left.min(UNIX_PIECE_BYTES)];
    let mut last_byte_ns = now_ns();
    while left > 0 {
        let room = piece.len().min(left);
        let read = stream.read(piece.get_mut(..room).unwrap_or_default()).await;
        let read = read.ok().filter(|read| *read > 0).ok_or(CUT)?;
        last_byte_ns = now_ns();
        left -= read;
        let come = piece.get(..read).unwrap_or_default();
        if let Err(error) = reception.as_mut().map_or(Ok(()), |reception| reception.push(come)) {
            // Read to its end all the same: the next request begins there.
            reception = Err(describe(&Answer::unreadable(&error.to_string()), None));
        }
    }
    Ok(match reception {
        Ok(reception) => Request::Block { reception, last_byte_ns },
        Err(answer) => Request::Refused(answer),
    })
}

const TOO_LONG: &str = "the block is longer than any chain allows";
const CUT: &str = "the request ended too early";

async fn send(stream: &mut UnixStream, answer: &Value) -> std::io::Result<()> {
    let text = answer.to_string();
    let length = u32::try_from(text.len()).map_err(std::io::Error::other)?;
    let writing = async {
        stream.write_all(&length.to_le_bytes()).await?;
        stream.write_all(text.as_bytes()).await
    };
    tokio::time::timeout(TRANSFER_DEADLINE, writing).await?
}

fn refusal(reason: &str) -> Value {
    // No node would read it either: that is an answer, everything else here is a failure to ask.
    let (code, accepted) = match reason {
        TOO_LONG => (DECODE_FAILED, Some(false)),
        _ => (INVALID_REQUEST, None),
    };
    json!({"hash": null, "verdict": null, "accepted": accepted, "result": null,
           "error": {"code": code, "message": reason}, "published": null, "stages": null, "legs": [], "offers": 0,
           "outcomes": {}, "confirmation": null, "peers": []})
}

/// Waits for what is to be told beside the verdict.
async fn tell(desk: &Desk, answer: &Answer) -> Value {
    let Some(published) = answer.published else {
        return describe(answer, None);
    };
    if !desk.log().settled(published.image, OUTCOME_PATIENCE).await {
        debug!("some peers' outcomes are still open when the caller is answered");
    }
    describe(answer, desk.log().record(published.image))
}

/// Whether the block is taken; `None` where nobody has judged it.
pub(super) fn accepted(answer: &Answer) -> Option<bool> {
    match (&answer.verdict, &answer.reply) {
        (Some(verdict), _) if verdict.is_success() => Some(true),
        (Some(verdict), _) if verdict.is_refusal() => Some(false),
        // Unreadable: no node was asked, and none would say otherwise.
        (None, RpcAnswer::Error { code: DECODE_FAILED, .. }) => Some(false),
        (None, RpcAnswer::Result(Some(_))) => Some(false),
        _ => None,
    }
}

fn describe(answer: &Answer, record: Option<BlockRecord>) -> Value {
    let details = record.map_or(Value::Null, |record| record.to_json());
    let (result, error) = match &answer.reply {
        RpcAnswer::Result(word) => (json!(word), Value::Null),
        RpcAnswer::Error { code, message } => {
            (Value::Null, json!({"code": code, "message": message}))
        }
    };
    json!({
        "hash": answer.hash.map(|hash| hash.to_string()),
        "verdict": answer.verdict.as_ref().map(|verdict| verdict.word()),
        "accepted": accepted(answer),
        "result": result,
        "error": error,
        "fault": answer.fault.as_ref().map(|fault| fault.why.as_str()),
        "published": answer.published.map(|published| json!({
            "image": published.image.0,
            "last_byte_ms": details.get("last_byte_ms"),
        })),
        "stages": details.get("stages"),
        "legs": answer.legs.iter().map(LegRow::to_json).collect::<Vec<_>>(),
        "offers": details.get("offers").cloned().unwrap_or_else(|| json!(0)),
        "outcomes": details.get("outcomes").cloned().unwrap_or_else(|| json!({})),
        "confirmation": details.get("confirmation"),
        "peers": details.get("peers").cloned().unwrap_or_else(|| json!([])),
    })
}

/// Somebody who has no business here; said in the log, as it is either a mistake or worse.
fn turn_away(uid: Option<u32>) {
    warn!(?uid, "turned away a process of another user from the Unix socket");
}

#[cfg(test)]
mod tests;
