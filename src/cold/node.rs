//! JSON-RPC to our own nodes: ordinary calls, bytes passed on, blocks handed in.
//!
//! HTTP/1.1 on kept-alive connections. Blocks have connections of their own, so that a
//! `submitblock` never stands behind an ordinary call.

mod connection;
mod credentials;
pub mod endpoint;
mod error;
pub mod leg;
pub mod pieces;
pub mod row;
mod stream;
pub mod tip;
pub mod verdict;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::limits::{
    IDLE_CALLS_MAX, IDLE_SUBMITS_MAX, NODE_CALL_DEADLINE_MS, NODE_FORWARD_DEADLINE_MS,
    NODE_QUEUE_PAUSE_MS, NODE_QUEUE_TRIES_MAX, NODE_SUBMIT_DEADLINE_MS,
};
use connection::{Exchange, Pool, Segments, Target};
use credentials::Credentials;
pub use error::NodeError;
pub use stream::{SendTimes, Streamed, StreamingBody};
use verdict::Verdict;

const CALL_DEADLINE: Duration = Duration::from_millis(NODE_CALL_DEADLINE_MS);
const SUBMIT_DEADLINE: Duration = Duration::from_millis(NODE_SUBMIT_DEADLINE_MS);
const FORWARD_DEADLINE: Duration = Duration::from_millis(NODE_FORWARD_DEADLINE_MS);
const QUEUE_PAUSE: Duration = Duration::from_millis(NODE_QUEUE_PAUSE_MS);

/// How a node wants to know who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum NodeAuth {
    /// It does not ask.
    None,
    /// The cookie file that it writes at each start; read again on each new connection and 401.
    Cookie(PathBuf),
    /// `rpcuser`/`rpcpassword`, or `rpcauth`.
    Password {
        /// User.
        user: String,
        /// Password.
        password: String,
    },
}

impl std::fmt::Debug for NodeAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Cookie(path) => f.debug_tuple("Cookie").field(path).finish(),
            Self::Password { user, .. } => write!(f, "Password({user})"),
        }
    }
}

/// Where a node's RPC is and how to get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// `http://host:port`, with a path only where a proxy needs one.
    pub url: String,
    /// How to get in.
    pub auth: NodeAuth,
}

/// One node's RPC. Cheap to clone: all clones share the connections.
#[derive(Clone, Debug)]
pub struct NodeClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: Target,
    credentials: Credentials,
    calls: Pool,
    submits: Pool,
    /// The node answers a request of JSON-RPC 2.0 in kind (Bitcoin Core from 28.0 does).
    speaks_two: AtomicBool,
}

/// A node's answer as all four coins' nodes shape it.
#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    code: i64,
    #[serde(default)]
    message: String,
}

impl NodeClient {
    /// Makes a client; nothing is connected yet.
    ///
    /// # Errors
    /// [`NodeError::Url`] where the address can't be used; [`NodeError::Unauthorized`] where user
    /// or password hold what a header can't.
    pub fn new(settings: NodeSettings) -> Result<Self, NodeError> {
        let target = Target::parse(&settings.url)?;
        let credentials = Credentials::new(settings.auth, &target.url)?;
        Ok(Self(Arc::new(Inner {
            target,
            credentials,
            calls: Pool::new(IDLE_CALLS_MAX),
            submits: Pool::new(IDLE_SUBMITS_MAX),
            speaks_two: AtomicBool::new(false),
        })))
    }

    /// The address as given, for messages.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.target.url
    }

    /// Whether the node answers JSON-RPC 2.0 in kind. False until it has answered something.
    #[must_use]
    pub fn speaks_two(&self) -> bool {
        self.0.speaks_two.load(Ordering::Relaxed)
    }

    /// Calls `method` and returns its `result`. For calls that may be made twice: one that finds
    /// its kept-alive connection dead is made again on a new one.
    ///
    /// # Errors
    /// [`NodeError::Rpc`] is the node's own answer; all others tell why there was none.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let request = serde_json::json!({"jsonrpc": "2.0", "id": "broadside", "method": method, "params": params});
        let body = Segments::one(Bytes::from(request.to_string()));
        let (status, answer) = self.ask(&self.0.calls, body, CALL_DEADLINE, true).await?;
        let reply = self.read_reply(status, &answer, true)?;
        reply.map_or(Ok(Value::Null), |raw| {
            serde_json::from_str(raw.get()).map_err(|_| self.bad_answer(status))
        })
    }

    /// Passes `body` on byte for byte to `path` and gives the answer back byte for byte, whatever
    /// its status. Never sent twice, unless the node surely has not seen the first.
    ///
    /// # Errors
    /// There was no answer, or the node refused our own credentials.
    pub async fn forward(&self, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), NodeError> {
        let exchange = Exchange {
            pool: &self.0.calls,
            path: self.0.target.path_of(path),
            body: Segments::one(body),
            deadline: FORWARD_DEADLINE,
            repeatable: false,
        };
        connection::exchange(&self.0.target, &self.0.credentials, exchange).await
    }

    /// As [`Self::forward`], for a request that completes a block: on the connections for blocks, and
    /// a full work queue, which looks at nothing, is waited out for a moment.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub async fn forward_block(
        &self,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), NodeError> {
        let path = self.0.target.path_of(path);
        let body = Segments::one(body);
        for _ in 1..NODE_QUEUE_TRIES_MAX {
            let asked = self.submit_once(path.clone(), body.clone()).await?;
            if !is_queue_full(asked.0, &asked.1) {
                return Ok(asked);
            }
            tokio::time::sleep(QUEUE_PAUSE).await;
        }
        self.submit_once(path, body).await
    }

    async fn submit_once(
        &self,
        path: Uri,
        body: Segments,
    ) -> Result<(StatusCode, Bytes), NodeError> {
        let (pool, deadline, repeatable) = (&self.0.submits, SUBMIT_DEADLINE, false);
        let exchange = Exchange { pool, path, body, deadline, repeatable };
        connection::exchange(&self.0.target, &self.0.credentials, exchange).await
    }

    /// Hands in a block, as hex digits. One try; [`leg::until_verdict`] is the stubborn form.
    ///
    /// # Errors
    /// There is no verdict yet: try again, see [`NodeError`].
    pub async fn submit_block(&self, hex: Bytes) -> Result<Verdict, NodeError> {
        self.submit_block_within(hex, SUBMIT_DEADLINE).await
    }

    /// The same with a deadline of one's own.
    pub(super) async fn submit_block_within(
        &self,
        hex: Bytes,
        deadline: Duration,
    ) -> Result<Verdict, NodeError> {
        let body = Segments::new([
            Bytes::from_static(
                br#"{"jsonrpc":"2.0","id":"broadside","method":"submitblock","params":[""#,
            ),
            hex,
            Bytes::from_static(br#""]}"#),
        ]);
        // Not silently repeated: after a try that may have been seen, `duplicate` means accepted,
        // and only the leg can tell.
        let (status, answer) = self.ask(&self.0.submits, body, deadline, false).await?;
        self.read_verdict(status, &answer, true)
    }

    /// What an answer to `submitblock` says. `own`: the question was in our own words.
    fn read_verdict(
        &self,
        status: StatusCode,
        answer: &[u8],
        own: bool,
    ) -> Result<Verdict, NodeError> {
        match self.read_reply(status, answer, own) {
            Ok(None) => Ok(Verdict::Accepted),
            Ok(Some(raw)) => serde_json::from_str::<Option<String>>(raw.get())
                .map(|word| word.map_or(Verdict::Accepted, |word| Verdict::from_word(&word)))
                .map_err(|_| self.bad_answer(status)),
            Err(NodeError::Rpc { code, message }) if verdict::is_final_error(code) => {
                Ok(Verdict::Error { code, message })
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a connection for blocks alive: nodes close one that is idle for 30 s. Call it every
    /// [`crate::limits::NODE_IDLE_MS`]/2 or so.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn keep_warm(&self) -> Result<(), NodeError> {
        let body = Segments::one(Bytes::from_static(
            br#"{"jsonrpc":"2.0","id":"broadside","method":"getblockcount","params":[]}"#,
        ));
        let (status, answer) = self.ask(&self.0.submits, body, CALL_DEADLINE, true).await?;
        self.read_reply(status, &answer, true).map(|_| ())
    }

    /// One request; a full work queue, which looks at nothing, is waited out for a moment.
    async fn ask(
        &self,
        pool: &Pool,
        body: Segments,
        deadline: Duration,
        repeatable: bool,
    ) -> Result<(StatusCode, Bytes), NodeError> {
        for _ in 0..NODE_QUEUE_TRIES_MAX {
            let exchange = Exchange {
                pool,
                path: self.0.target.path.clone(),
                body: body.clone(),
                deadline,
                repeatable,
            };
            let (status, answer) =
                connection::exchange(&self.0.target, &self.0.credentials, exchange).await?;
            if !is_queue_full(status, &answer) {
                return Ok((status, answer));
            }
            tokio::time::sleep(QUEUE_PAUSE).await;
        }
        Err(NodeError::QueueFull { url: self.0.target.url.clone() })
    }

    /// The `result` of an answer; a JSON error is the node's word whatever the HTTP status. `own`:
    /// we asked ourselves, and so in JSON-RPC 2.0.
    fn read_reply<'a>(
        &self,
        status: StatusCode,
        answer: &'a [u8],
        own: bool,
    ) -> Result<Option<&'a RawValue>, NodeError> {
        let reply: Reply<'a> =
            serde_json::from_slice(answer).map_err(|_| self.bad_answer(status))?;
        if own {
            self.0.speaks_two.store(reply.jsonrpc.is_some(), Ordering::Relaxed);
        }
        match reply.error {
            None if status.is_success() => Ok(reply.result),
            None => Err(self.bad_answer(status)),
            Some(ReplyError { code: -28, message }) => {
                Err(NodeError::WarmingUp { url: self.0.target.url.clone(), message })
            }
            Some(ReplyError { code, message }) => Err(NodeError::Rpc { code, message }),
        }
    }

    fn bad_answer(&self, status: StatusCode) -> NodeError {
        NodeError::BadAnswer { url: self.0.target.url.clone(), status: status.as_u16() }
    }
}

/// 503, or 500, with plain text: no worker was free and the request was not looked at. A 500 with
/// JSON is a real answer (`httprpc.cpp`, `httpserver.cpp`).
fn is_queue_full(status: StatusCode, answer: &[u8]) -> bool {
    let busy = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::INTERNAL_SERVER_ERROR];
    let json = matches!(answer.trim_ascii_start().first(), Some(b'{' | b'['));
    busy.contains(&status) && !json
}
