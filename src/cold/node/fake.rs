//! A node made up for tests: answers over real HTTP in the shapes that the real ones use.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::cold::node::{NodeAuth, NodeClient, NodeSettings};
use crate::wire::chain::Chain;
use crate::wire::check::parse_and_check;
use crate::wire::hash::{BlockHash, hex, sha256d, unhex};

/// What the node does with the next matching request instead of answering.
pub(crate) enum Act {
    /// Litecoin and Dogecoin: 500, plain text.
    QueueFull500,
    /// Bitcoin and Dash: 503.
    QueueFull503,
    /// -28.
    WarmUp,
    /// Takes the block, then closes the connection in the middle of the answer.
    DropMidAnswer,
    /// Answers when told.
    Wait(Arc<Notify>),
    /// This HTTP status and body.
    Say(u16, &'static str),
}

/// What has come in of requests, complete or not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrivals {
    /// Bytes of the longest body so far.
    pub(crate) longest: usize,
    /// Requests that ended before their body did.
    pub(crate) broken: u32,
}

/// What the node knows and was asked.
pub(crate) struct Memory {
    /// Expected `user:password`; `None`: not asked for.
    pub(crate) password: Option<String>,
    /// Acts for `submitblock`, in order.
    pub(crate) acts: VecDeque<Act>,
    /// Blocks that it has, with height and parent.
    pub(crate) blocks: HashMap<BlockHash, (u32, BlockHash)>,
    /// The tip.
    pub(crate) best: BlockHash,
    /// Fixed words for blocks.
    pub(crate) words: HashMap<BlockHash, &'static str>,
    /// What `getblock` answers, and how often it was asked.
    pub(crate) raw: HashMap<BlockHash, Value>,
    pub(crate) asked_for_raw: u32,
    /// The next answer to a proof breaks off.
    pub(crate) tears_next: bool,
    /// Blocks that it has made for proofs, of a chain that takes them, as they are without.
    pub(crate) made: HashMap<BlockHash, (&'static Chain, Vec<u8>)>,
    /// Whether a block without its parent is refused.
    pub(crate) wants_parents: bool,
    /// Blocks handed in, in order.
    pub(crate) submitted: Vec<BlockHash>,
    /// Raw bodies and paths, but for the tip watch's questions.
    pub(crate) bodies: Vec<(String, Bytes)>,
    /// Connections accepted.
    pub(crate) connections: u32,
    /// Bodies on their way in.
    pub(crate) arrivals: watch::Sender<Arrivals>,
}

impl Default for Memory {
    fn default() -> Self {
        let genesis = BlockHash([0; 32]);
        Self {
            password: None,
            acts: VecDeque::new(),
            blocks: HashMap::from([(genesis, (0, genesis))]),
            best: genesis,
            words: HashMap::new(),
            raw: HashMap::new(),
            asked_for_raw: 0,
            made: HashMap::new(),
            tears_next: false,
            wants_parents: false,
            submitted: Vec::new(),
            bodies: Vec::new(),
            connections: 0,
            arrivals: watch::Sender::default(),
        }
    }
}

impl Memory {
    /// The block of the best chain at `height`.
    fn at_height(&self, height: u32) -> Option<BlockHash> {
        let mut hash = self.best;
        loop {
            let (found, parent) = *self.blocks.get(&hash)?;
            match found.cmp(&height) {
                std::cmp::Ordering::Less => return None,
                std::cmp::Ordering::Equal => return Some(hash),
                std::cmp::Ordering::Greater => hash = parent,
            }
        }
    }
}

/// The node.
pub(crate) struct FakeNode {
    pub(crate) memory: Arc<Mutex<Memory>>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<()>,
}

impl FakeNode {
    pub(crate) async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::default()).await
    }

    async fn start_at(address: SocketAddr, memory: Arc<Mutex<Memory>>) -> Self {
        let listener = TcpListener::bind(address).await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = watch::channel(false);
        let ended = tokio::spawn(listen(listener, Arc::clone(&memory), stopped));
        Self { memory, address, stop, ended }
    }

    /// Closes the port and every connection, as a killed node does.
    pub(crate) async fn kill(self) -> (SocketAddr, Arc<Mutex<Memory>>) {
        self.stop.send(true).expect("it runs");
        self.ended.await.expect("it does not panic");
        (self.address, self.memory)
    }

    /// The same node again.
    pub(crate) async fn restart((address, memory): (SocketAddr, Arc<Mutex<Memory>>)) -> Self {
        Self::start_at(address, memory).await
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("no test panicked with it")
    }

    /// Waits until what has come in is as wished.
    pub(crate) async fn arrived(&self, wished: impl FnMut(&Arrivals) -> bool) {
        let mut arrivals = self.memory().arrivals.subscribe();
        arrivals.wait_for(wished).await.expect("the memory is ours");
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn client(&self, auth: NodeAuth) -> NodeClient {
        NodeClient::new(NodeSettings { url: self.url(), auth }).expect("a good address")
    }
}

async fn listen(
    listener: TcpListener,
    memory: Arc<Mutex<Memory>>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        let (stream, _) = accepted.expect("accepts");
        memory.lock().expect("whole").connections += 1;
        let memory = Arc::clone(&memory);
        connections.spawn(async move {
            let service = service_fn(|request| serve(Arc::clone(&memory), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            let _closed = connection.await;
        });
    }
    connections.shutdown().await;
}

type Body = Full<Bytes>;

fn respond(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

/// The body; nothing where it broke off.
async fn take_in(mut body: Incoming, arrivals: &watch::Sender<Arrivals>) -> Bytes {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            arrivals.send_modify(|arrivals| arrivals.broken += 1);
            return Bytes::new();
        };
        all.extend_from_slice(&frame.into_data().unwrap_or_default());
        arrivals.send_modify(|arrivals| arrivals.longest = arrivals.longest.max(all.len()));
    }
    all.freeze()
}

/// Fails to make the connection close.
#[derive(Debug, thiserror::Error)]
#[error("closed on purpose")]
struct Closed;

async fn serve(
    memory: Arc<Mutex<Memory>>,
    request: Request<Incoming>,
) -> Result<Response<http_body_util::combinators::BoxBody<Bytes, Closed>>, Infallible> {
    use base64::Engine as _;
    let path = request.uri().path().to_owned();
    let given = request.headers().get(AUTHORIZATION).cloned();
    let arrivals = memory.lock().expect("whole").arrivals.clone();
    let body = take_in(request.into_body(), &arrivals).await;
    let wanted = memory.lock().expect("whole").password.clone();
    let boxed = |response: Response<Body>| response.map(|body| body.map_err(|_| Closed).boxed());
    if let Some(wanted) = wanted {
        let wanted = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(wanted));
        if given.is_none_or(|given| given.as_bytes() != wanted.as_bytes()) {
            return Ok(boxed(respond(401, "")));
        }
    }
    let call: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let method = call["method"].as_str().unwrap_or("").to_owned();
    if !method.starts_with("getblock") && !method.starts_with("getbest") {
        memory.lock().expect("whole").bodies.push((path, body));
    }
    let torn =
        method == "submitauxblock" && std::mem::take(&mut memory.lock().expect("whole").tears_next);
    if torn {
        let _answer = answer_call(&memory, &method, &call);
        return Ok(Response::new(Torn(Some(Bytes::from("{\"resu"))).boxed()));
    }
    if method != "submitblock" {
        return Ok(boxed(answer_call(&memory, &method, &call)));
    }
    let act = memory.lock().expect("whole").acts.pop_front();
    Ok(match act {
        Some(Act::QueueFull500) => boxed(respond(500, "Work queue depth exceeded")),
        Some(Act::QueueFull503) => boxed(respond(503, "Work queue depth exceeded")),
        Some(Act::WarmUp) => boxed(error_reply(500, -28, "Loading block index...")),
        Some(Act::Say(status, text)) => boxed(respond(status, text)),
        Some(Act::Wait(told)) => {
            told.notified().await;
            boxed(take_block(&memory, &call))
        }
        Some(Act::DropMidAnswer) => {
            let _answer = take_block(&memory, &call);
            Response::new(Torn(Some(Bytes::from("{\"resu"))).boxed())
        }
        None => boxed(take_block(&memory, &call)),
    })
}

/// The first piece of an answer, and then the end of the connection.
struct Torn(Option<Bytes>);

impl hyper::body::Body for Torn {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        Poll::Ready(Some(self.0.take().map(Frame::data).ok_or(Closed)))
    }
}

fn result_reply(result: &Value) -> Response<Body> {
    respond(200, format!("{{\"result\":{result},\"error\":null,\"id\":\"broadside\"}}\n"))
}

fn error_reply(status: u16, code: i64, message: &str) -> Response<Body> {
    let body = json!({"result": null, "error": {"code": code, "message": message}, "id": 1});
    respond(status, body.to_string())
}

fn answer_call(memory: &Mutex<Memory>, method: &str, call: &Value) -> Response<Body> {
    let mut memory = memory.lock().expect("whole");
    let asked = || call["params"][0].as_str().and_then(BlockHash::from_hex).expect("a hash");
    match method {
        "getbestblockhash" => result_reply(&json!(memory.best.to_string())),
        "getblockcount" => result_reply(&json!(memory.blocks.len())),
        "getblockheader" => {
            let hash = asked();
            let Some((height, parent)) = memory.blocks.get(&hash).copied() else {
                return error_reply(500, -5, "Block not found");
            };
            let tip = memory.blocks.get(&memory.best).map_or(0, |(height, _)| *height);
            let is_in_chain = memory.at_height(height) == Some(hash);
            let depth = if is_in_chain { i64::from(tip - height) + 1 } else { -1 };
            let mut header = json!({"height": height, "bits": "207fffff", "confirmations": depth});
            if height > 0 {
                header["previousblockhash"] = json!(parent.to_string());
            }
            result_reply(&header)
        }
        "getblockhash" => {
            let height = call["params"][0].as_u64().expect("a height") as u32;
            match memory.at_height(height) {
                Some(hash) => result_reply(&json!(hash.to_string())),
                None => error_reply(500, -8, "Block height out of range"),
            }
        }
        "getblock" => {
            memory.asked_for_raw += 1;
            match memory.raw.get(&asked()) {
                Some(raw) => result_reply(raw),
                None => error_reply(500, -5, "Block not found"),
            }
        }
        "createauxblock" => match memory.made.keys().next() {
            Some(hash) => result_reply(&json!({"hash": hash.to_string(), "chainid": 98})),
            None => error_reply(500, -10, "no block"),
        },
        "submitauxblock" | "getauxblock" => take_proof(&mut memory, call),
        "echo" => result_reply(&call["params"]),
        _ => error_reply(404, -32601, "Method not found"),
    }
}

/// Takes a proof as a node does that made the block: by all rules, or `false`.
fn take_proof(memory: &mut Memory, call: &Value) -> Response<Body> {
    let hash = call["params"][0].as_str().and_then(BlockHash::from_hex).unwrap_or(memory.best);
    let Some((chain, made)) = memory.made.get(&hash) else {
        return error_reply(500, -8, "block hash unknown");
    };
    let digits = call["params"][1].as_str().unwrap_or("");
    let mut proof = vec![0; digits.len() / 2];
    let read = unhex(digits.as_bytes(), &mut proof);
    let block = [&made[..80], &proof, &made[80..]].concat();
    let taken = read.is_some() && parse_and_check(chain, &block).is_ok();
    if taken {
        let parent = BlockHash(block[4..36].try_into().expect("32 bytes"));
        memory.blocks.insert(hash, (1, parent));
        memory.best = hash;
        memory.raw.insert(hash, json!(hex(&block)));
    }
    result_reply(&json!(taken))
}

fn take_block(memory: &Mutex<Memory>, call: &Value) -> Response<Body> {
    let mut memory = memory.lock().expect("whole");
    let hex = call["params"][0].as_str().unwrap_or("");
    let mut raw = vec![0; hex.len() / 2];
    let decoded = unhex(hex.as_bytes(), &mut raw);
    let Some(header) = raw.get(..80).filter(|_| decoded.is_some()) else {
        return error_reply(500, -22, "Block decode failed");
    };
    let hash = BlockHash(sha256d(header));
    let parent = BlockHash(header[4..36].try_into().expect("32 bytes"));
    memory.submitted.push(hash);
    if let Some(word) = memory.words.get(&hash) {
        return result_reply(&json!(word));
    }
    if memory.blocks.contains_key(&hash) {
        return result_reply(&json!("duplicate"));
    }
    let height = memory.blocks.get(&parent).map(|(height, _)| height + 1);
    if memory.wants_parents && height.is_none() {
        return result_reply(&json!("prev-blk-not-found"));
    }
    memory.blocks.insert(hash, (height.unwrap_or(1), parent));
    memory.best = hash;
    result_reply(&Value::Null)
}
