//! The JSON-RPC intake: a pool uses it as its node's port.
//!
//! `submitblock` goes to the desk; everything else goes to the chain's own node byte for byte. A
//! block is decoded, hashed and checked, and its request passed on to the node, while it comes in.
//! `/` is the first chain (`route.rs` says what goes to a merged one), `/chain/NAME` any;
//! `/wallet/...` behind either is the node's own.

mod auth;
mod batch;
mod body;
mod call;
mod dispatch;
mod route;
mod stream;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderValue, WWW_AUTHENTICATE,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::debug;

pub use auth::{AuthError, RpcAuth};
use body::{Body, Door, Patience};
use dispatch::Reply;
use route::Route;
pub use stream::reads_as_whole;

use super::desk::{Desk, decode_failed};
use crate::cold::node::verdict::Shape;
use crate::edge::serving::{Bounds, accept, drive};
use crate::limits::{
    INTAKE_STOP_MS, RPC_BODY_BYTES_MAX, RPC_BODY_DEADLINE_MS, RPC_CONNECTIONS_MAX,
    RPC_HEAD_DEADLINE_MS, RPC_READ_BYTES_MAX, WRONG_PASSWORD_PAUSE_MS,
};
use crate::sys::clock::now_ns;

const BOUNDS: Bounds =
    Bounds { head: Duration::from_millis(RPC_HEAD_DEADLINE_MS), read_bytes: RPC_READ_BYTES_MAX };
const BODY_DEADLINE: Duration = Duration::from_millis(RPC_BODY_DEADLINE_MS);
const WRONG_PASSWORD_PAUSE: Duration = Duration::from_millis(WRONG_PASSWORD_PAUSE_MS);
const STOP_PATIENCE: Duration = Duration::from_millis(INTAKE_STOP_MS);

/// Serves until `stop` becomes true; then finishes what is under way.
pub async fn serve(
    listener: TcpListener,
    desk: Arc<Desk>,
    auth: RpcAuth,
    mut stop: watch::Receiver<bool>,
) {
    let auth = Arc::new(auth);
    let door = Door::new(desk, Patience::USUAL);
    let places = Arc::new(Semaphore::new(RPC_CONNECTIONS_MAX as usize));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (accept(&listener, "the RPC intake").await, place)
        };
        let stopped = async { stop.wait_for(|stop| *stop).await.is_ok() };
        let (stream, place) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped => break,
            Some(_) = connections.join_next() => continue,
        };
        let (door, auth, stop) = (door.clone(), Arc::clone(&auth), stop.clone());
        connections.spawn(async move {
            let _place = place;
            connection(stream, door, auth, stop).await;
        });
    }
    let finished = async { while connections.join_next().await.is_some() {} };
    let _all_done = tokio::time::timeout(STOP_PATIENCE, finished).await;
}

async fn connection(
    stream: TcpStream,
    door: Door,
    auth: Arc<RpcAuth>,
    stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| handle(door.clone(), Arc::clone(&auth), request));
    if let Err(error) = drive(stream, BOUNDS, service, stop).await {
        debug!(%error, "a connection to the RPC intake ended badly");
    }
}

/// One request, in the order in which a node looks at it (`httprpc.cpp`).
async fn handle(
    door: Door,
    auth: Arc<RpcAuth>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let first_byte_ns = now_ns();
    let Some((route, node_path)) = Route::read(&door.desk, request.uri().path()) else {
        discard(request).await;
        return Ok(plain(StatusCode::NOT_FOUND, ""));
    };
    if request.method() != Method::POST {
        discard(request).await;
        return Ok(plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "JSONRPC server handles only POST requests",
        ));
    }
    let given = request.headers().get(AUTHORIZATION);
    if !given.is_some_and(|given| auth.accepts(given.as_bytes())) {
        if given.is_some() {
            tokio::time::sleep(WRONG_PASSWORD_PAUSE).await;
        }
        discard(request).await;
        let mut refusal = plain(StatusCode::UNAUTHORIZED, "");
        let realm = HeaderValue::from_static("Basic realm=\"jsonrpc\"");
        refusal.headers_mut().insert(WWW_AUTHENTICATE, realm);
        return Ok(refusal);
    }
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
    let reply = match door.take(route, first_byte_ns, announced, request.into_body()).await {
        Body::Block(submission) => dispatch::finish(&door.desk, *submission).await,
        Body::Whole(body, last_byte_ns) => {
            let arrival = dispatch::Arrival { route, node_path, body, first_byte_ns, last_byte_ns };
            dispatch::dispatch(&door.desk, arrival).await
        }
        Body::TooLong => {
            let answer = decode_failed();
            return Ok(json(answer.status(Shape::One), answer.to_json(Shape::One, "null")));
        }
        Body::Broken => return Ok(plain(StatusCode::BAD_REQUEST, "")),
    };
    Ok(match reply {
        Reply::Json(status, text) => json(status, text),
        Reply::Passed(status, bytes) => passed(status, bytes),
        Reply::Silence => plain(StatusCode::NO_CONTENT, ""),
        Reply::Busy => plain(StatusCode::SERVICE_UNAVAILABLE, "Work queue depth exceeded"),
    })
}

/// Throws the body of a refused request away, as nodes do: a caller that is still sending would see
/// a broken connection in place of the refusal.
async fn discard(request: Request<Incoming>) {
    // Whoever asks first has sent nothing yet.
    if request.headers().contains_key(EXPECT) {
        return;
    }
    let mut body = request.into_body();
    let reading = async {
        let mut discarded = 0_usize;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > RPC_BODY_BYTES_MAX as usize {
                return;
            }
        }
    };
    let _in_time = tokio::time::timeout(BODY_DEADLINE, reading).await;
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

fn json(status: StatusCode, mut text: String) -> Response<Full<Bytes>> {
    text.push('\n');
    passed(status, Bytes::from(text))
}

/// An answer whose bytes are not ours to change.
fn passed(status: StatusCode, bytes: Bytes) -> Response<Full<Bytes>> {
    let is_json = matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['));
    let mut response = Response::new(Full::new(bytes));
    *response.status_mut() = status;
    if is_json {
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

#[cfg(test)]
mod tests;
