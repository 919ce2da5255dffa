//! HTTP/1.1 connections to a node: kept alive, taken in turn, never shared by two requests at once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::stream::{BrokenOff, Feed};
use super::{Credentials, NodeError};
use crate::limits::{NODE_CONNECT_DEADLINE_MS, NODE_IDLE_MS, RPC_ANSWER_BYTES_MAX};

const CONNECT_DEADLINE: Duration = Duration::from_millis(NODE_CONNECT_DEADLINE_MS);
pub(super) const IDLE_MAX: Duration = Duration::from_millis(NODE_IDLE_MS);

/// A node's address, cut into what a request needs.
#[derive(Debug)]
pub(super) struct Target {
    /// As given, for messages.
    pub(super) url: String,
    /// Path of ordinary calls.
    pub(super) path: Uri,
    base: String,
    host: String,
    port: u16,
    host_header: HeaderValue,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, NodeError> {
        let bad = |why| NodeError::Url { url: url.to_owned(), why };
        let uri: Uri = url.parse().map_err(|_| bad("it is not a URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(bad("TLS is not supported, as nodes do not speak it")),
            _ => return Err(bad("it does not begin with http://")),
        }
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("user and password have keys of their own"));
        }
        let port = authority.port_u16().ok_or_else(|| bad("it has no port"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let host_header =
            HeaderValue::from_str(authority.as_str()).map_err(|_| bad("its host is no name"))?;
        let base = uri.path().trim_end_matches('/').to_owned();
        let path = if base.is_empty() { "/" } else { base.as_str() };
        let path = path.parse().map_err(|_| bad("its path is no path"))?;
        Ok(Self { url: url.to_owned(), path, base, host, port, host_header })
    }

    /// `path` below the address's own; the plain one where it can't be put together.
    pub(super) fn path_of(&self, path: &str) -> Uri {
        format!("{}/{}", self.base, path.trim_start_matches('/'))
            .parse()
            .unwrap_or_else(|_| self.path.clone())
    }
}

/// A request body of a few pieces that are sent as they lie in memory: a block's hex is never
/// copied to put a request around it.
#[derive(Clone, Debug)]
pub(super) struct Segments(VecDeque<Bytes>);

impl Segments {
    pub(super) fn one(bytes: Bytes) -> Self {
        Self::new([bytes])
    }

    pub(super) fn new<const N: usize>(pieces: [Bytes; N]) -> Self {
        Self(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
    }
}

/// A request's body.
#[derive(Debug)]
enum Outgoing {
    /// It is all there.
    Whole(Segments),
    /// It is still coming in.
    Coming(Feed),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            Self::Whole(Segments(pieces)) => {
                Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
            }
            Self::Coming(feed) => Pin::new(feed).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(Segments(pieces)) => pieces.is_empty(),
            Self::Coming(feed) => feed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(Segments(pieces)) => {
                SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum())
            }
            Self::Coming(feed) => feed.size_hint(),
        }
    }
}

/// A connection. Dropped, it is closed at once, with whatever the node has not taken yet.
#[derive(Debug)]
struct Line {
    sender: SendRequest<Outgoing>,
    task: AbortHandle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Idle connections of one kind, the latest used last.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<VecDeque<(Line, Instant)>>,
    keep: usize,
}

impl Pool {
    pub(super) const fn new(keep: usize) -> Self {
        Self { idle: Mutex::new(VecDeque::new()), keep }
    }

    fn take(&self) -> Option<Line> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(line, since)| !line.sender.is_closed() && since.elapsed() < IDLE_MAX);
        idle.pop_back().map(|(line, _)| line)
    }

    fn give_back(&self, line: Line) {
        if line.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push_back((line, Instant::now()));
        while idle.len() > self.keep {
            idle.pop_front();
        }
    }

    /// All idle connections lead to a process that is gone.
    fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// One request.
pub(super) struct Exchange<'a> {
    pub(super) pool: &'a Pool,
    pub(super) path: Uri,
    pub(super) body: Segments,
    pub(super) deadline: Duration,
    /// Whether it does no harm if the node sees it twice.
    pub(super) repeatable: bool,
}

/// Makes the request, connecting where needed; asks again once with a fresh cookie after a 401.
pub(super) async fn exchange(
    target: &Target,
    credentials: &Credentials,
    exchange: Exchange<'_>,
) -> Result<(StatusCode, Bytes), NodeError> {
    let deadline = exchange.deadline;
    let work = async {
        let (status, answer, used) = once(target, credentials, &exchange).await?;
        if status != StatusCode::UNAUTHORIZED {
            return Ok((status, answer));
        }
        // A node that was started again has a new cookie.
        if credentials.read_again().await? != used {
            let (status, answer, _) = once(target, credentials, &exchange).await?;
            if status != StatusCode::UNAUTHORIZED {
                return Ok((status, answer));
            }
        }
        Err(NodeError::Unauthorized { url: target.url.clone(), status: status.as_u16() })
    };
    tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
        Err(NodeError::TimedOut { url: target.url.clone(), after_s: deadline.as_secs() })
    })
}

/// On an idle connection; on a new one where there is none or the idle one was dead. Also returns
/// who we said we are.
async fn once(
    target: &Target,
    credentials: &Credentials,
    exchange: &Exchange<'_>,
) -> Result<(StatusCode, Bytes, Option<HeaderValue>), NodeError> {
    if let Some(mut line) = exchange.pool.take() {
        let header = credentials.header().await?;
        let body = Outgoing::Whole(exchange.body.clone());
        match send(target, &mut line, &exchange.path, body, header.clone()).await {
            Ok(response) => {
                let (status, answer) = finish(target, exchange.pool, line, response).await?;
                return Ok((status, answer, header));
            }
            Err(failed) if failed.unseen.is_some() || exchange.repeatable => exchange.pool.clear(),
            Err(failed) => return Err(failed.error),
        }
    }
    // First the connection: a node that is down has no cookie either, and that is not the news.
    let mut line = dial(target).await?;
    let header = credentials.read_again().await?;
    let body = Outgoing::Whole(exchange.body.clone());
    let sent = send(target, &mut line, &exchange.path, body, header.clone()).await;
    let response = sent.map_err(|failed| failed.error)?;
    let (status, answer) = finish(target, exchange.pool, line, response).await?;
    Ok((status, answer, header))
}

/// Makes a request whose body is still coming in, once. Without a deadline: its caller has one.
pub(super) async fn stream(
    target: &Target,
    credentials: &Credentials,
    pool: &Pool,
    feed: Feed,
) -> Result<(StatusCode, Bytes), NodeError> {
    let mut body = Outgoing::Coming(feed);
    if let Some(mut line) = pool.take() {
        let header = credentials.header().await?;
        match send(target, &mut line, &target.path, body, header).await {
            Ok(response) => return finish(target, pool, line, response).await,
            Err(Failed { unseen: Some(unseen), .. }) => {
                pool.clear();
                body = unseen;
            }
            Err(failed) => return Err(failed.error),
        }
    }
    let mut line = dial(target).await?;
    let header = credentials.read_again().await?;
    let sent = send(target, &mut line, &target.path, body, header).await;
    let response = sent.map_err(|failed| failed.error)?;
    finish(target, pool, line, response).await
}

async fn dial(target: &Target) -> Result<Line, NodeError> {
    let unreachable = |source| NodeError::Unreachable { url: target.url.clone(), source };
    let connecting = TcpStream::connect((target.host.as_str(), target.port));
    let stream = tokio::time::timeout(CONNECT_DEADLINE, connecting)
        .await
        .map_err(|_| unreachable(std::io::ErrorKind::TimedOut.into()))?
        .map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let (sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| broken(target, &error))?;
    // Ends with the connection; what went wrong is told to whoever waits for an answer.
    let task = tokio::spawn(async move {
        let _ended = connection.await;
    });
    Ok(Line { sender, task: task.abort_handle() })
}

struct Failed {
    error: NodeError,
    /// The body, where the node surely has seen nothing of the request.
    unseen: Option<Outgoing>,
}

async fn send(
    target: &Target,
    line: &mut Line,
    path: &Uri,
    body: Outgoing,
    header: Option<HeaderValue>,
) -> Result<Response<Incoming>, Failed> {
    let failed = |why: &hyper::Error, unseen| Failed { error: broken(target, why), unseen };
    if let Err(error) = line.sender.ready().await {
        return Err(failed(&error, Some(body)));
    }
    let mut request = Request::new(body);
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = path.clone();
    let headers = request.headers_mut();
    headers.insert(HOST, target.host_header.clone());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(header) = header {
        headers.insert(AUTHORIZATION, header);
    }
    line.sender.try_send_request(request).await.map_err(|mut error| {
        let unseen = error.take_message().map(Request::into_body);
        failed(error.error(), unseen)
    })
}

async fn finish(
    target: &Target,
    pool: &Pool,
    line: Line,
    response: Response<Incoming>,
) -> Result<(StatusCode, Bytes), NodeError> {
    let (head, mut body) = response.into_parts();
    let mut answer = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(target, &error))?;
        let Some(piece) = frame.data_ref() else {
            continue;
        };
        if answer.len() + piece.len() > RPC_ANSWER_BYTES_MAX as usize {
            return Err(NodeError::TooLong {
                url: target.url.clone(),
                limit_bytes: RPC_ANSWER_BYTES_MAX,
            });
        }
        answer.extend_from_slice(piece);
    }
    pool.give_back(line);
    Ok((head.status, answer.freeze()))
}

fn broken(target: &Target, error: &hyper::Error) -> NodeError {
    NodeError::Broken { url: target.url.clone(), why: error.to_string() }
}
