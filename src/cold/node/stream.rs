//! A pool's request that goes to the node while it comes in (cut-through).
//!
//! Whoever receives the request pushes its pieces, never waits, and keeps the last one back until
//! the request is known to be what it was taken for: a node does nothing with a body that is not
//! complete. Dropped before, the connection is closed and nothing has happened.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::pieces::Pieces;
use super::verdict::Verdict;
use super::{NodeClient, NodeError, SUBMIT_DEADLINE, connection, is_queue_full};
use crate::sys::clock::now_ns;

/// The request will not be completed.
#[derive(Clone, Copy, Debug, Error)]
#[error("whoever sent the request broke it off")]
pub(super) struct BrokenOff;

/// How a body's sending side stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    UnderWay,
    Complete,
    BrokenOff,
}

/// What the sending and the receiving side share.
#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    content_bytes: u64,
    /// CLOCK_MONOTONIC, ns; 0: not yet.
    first_byte_ns: AtomicU64,
    last_byte_ns: AtomicU64,
    sending: watch::Sender<Sending>,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: Pieces,
    /// Bytes that were pushed so far.
    pushed: u64,
    /// Bytes that the connection has taken so far.
    taken: u64,
    waker: Option<Waker>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let waker = self.queue().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The way in for the request's pieces. All of them pushed: the request is complete. Dropped before:
/// it is broken off.
#[derive(Debug)]
pub struct StreamingBody(Arc<Shared>);

impl StreamingBody {
    /// Appends a piece. Never waits: what the node has not taken yet is held, and the pieces that
    /// are pushed share their memory with the caller's. More than was announced breaks the request
    /// off.
    pub fn push(&self, piece: Bytes) {
        let mut queue = self.0.queue();
        queue.pushed += piece.len() as u64;
        let state = match queue.pushed.cmp(&self.0.content_bytes) {
            std::cmp::Ordering::Less => Sending::UnderWay,
            std::cmp::Ordering::Equal => Sending::Complete,
            std::cmp::Ordering::Greater => Sending::BrokenOff,
        };
        queue.pieces.push(piece);
        drop(queue);
        if state != Sending::UnderWay {
            self.0.sending.send_replace(state);
        }
        self.0.wake();
    }
}

impl Drop for StreamingBody {
    fn drop(&mut self) {
        let over = |state: &mut Sending| {
            let open = *state == Sending::UnderWay;
            if open {
                *state = Sending::BrokenOff;
            }
            open
        };
        if self.0.sending.send_if_modified(over) {
            self.0.wake();
        }
    }
}

/// The other end: the body as the connection sends it.
#[derive(Debug)]
pub(super) struct Feed(Arc<Shared>);

impl Body for Feed {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let shared = &self.0;
        let mut queue = shared.queue();
        if *shared.sending.borrow() == Sending::BrokenOff {
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        let Some(piece) = queue.pieces.pop() else {
            if queue.taken == shared.content_bytes {
                return Poll::Ready(None);
            }
            queue.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        let now_ns = now_ns();
        if queue.taken == 0 {
            shared.first_byte_ns.store(now_ns, Ordering::Relaxed);
        }
        queue.taken += piece.len() as u64;
        if queue.taken == shared.content_bytes {
            shared.last_byte_ns.store(now_ns, Ordering::Relaxed);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.queue().taken == self.0.content_bytes
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.0.content_bytes.saturating_sub(self.0.queue().taken);
        SizeHint::with_exact(left)
    }
}

/// The request's answer. Dropped, the request goes on by itself.
#[derive(Debug)]
pub struct Streamed {
    shared: Arc<Shared>,
    url: String,
    answer: JoinHandle<Result<Verdict, NodeError>>,
}

impl Streamed {
    /// The node's word, at most [`crate::limits::NODE_SUBMIT_DEADLINE_MS`] after the request was
    /// complete. Ask once.
    ///
    /// # Errors
    /// There is no verdict by this request: hand the block in again. An error that may be about how
    /// the pool wrote its request is one of them.
    pub async fn verdict(&mut self) -> Result<Verdict, NodeError> {
        let ended = (&mut self.answer).await;
        ended.unwrap_or_else(|why| {
            Err(NodeError::Broken { url: self.url.clone(), why: why.to_string() })
        })
    }

    /// When the connection took the first byte of the body (CLOCK_MONOTONIC, ns).
    #[must_use]
    pub fn first_byte_ns(&self) -> Option<u64> {
        self.times().first_byte_ns()
    }

    /// When it took the last one. From then on the node may have seen the block.
    #[must_use]
    pub fn last_byte_ns(&self) -> Option<u64> {
        self.times().last_byte_ns()
    }

    /// The same for somebody else, who may look later.
    #[must_use]
    pub fn times(&self) -> SendTimes {
        SendTimes(Arc::clone(&self.shared))
    }
}

/// When a streamed request went out.
#[derive(Clone, Debug)]
pub struct SendTimes(Arc<Shared>);

impl SendTimes {
    /// As [`Streamed::first_byte_ns`].
    #[must_use]
    pub fn first_byte_ns(&self) -> Option<u64> {
        Some(self.0.first_byte_ns.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// As [`Streamed::last_byte_ns`].
    #[must_use]
    pub fn last_byte_ns(&self) -> Option<u64> {
        Some(self.0.last_byte_ns.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}

impl NodeClient {
    /// Begins a `submitblock` request of `content_bytes` bytes that somebody else wrote and that is
    /// still coming in, on an idle connection or a new one. Call it inside a tokio runtime.
    #[must_use]
    pub fn stream(&self, content_bytes: u64) -> (StreamingBody, Streamed) {
        let (sending, _) = watch::channel(Sending::UnderWay);
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            content_bytes,
            first_byte_ns: AtomicU64::new(0),
            last_byte_ns: AtomicU64::new(0),
            sending,
        });
        let (client, feed) = (self.clone(), Feed(Arc::clone(&shared)));
        let answer = tokio::spawn(async move { client.drive(feed).await });
        let streamed = Streamed { shared: Arc::clone(&shared), url: self.url().to_owned(), answer };
        (StreamingBody(shared), streamed)
    }

    /// The request to its end, whoever waits for it.
    async fn drive(&self, feed: Feed) -> Result<Verdict, NodeError> {
        let (target, url) = (&self.0.target, || self.0.target.url.clone());
        let mut sending = feed.0.sending.subscribe();
        let over = async {
            let state = sending.wait_for(|state| *state != Sending::UnderWay).await.map(|it| *it);
            if matches!(state, Ok(Sending::Complete)) {
                tokio::time::sleep(SUBMIT_DEADLINE).await;
                return NodeError::TimedOut { url: url(), after_s: SUBMIT_DEADLINE.as_secs() };
            }
            NodeError::Broken { url: url(), why: BrokenOff.to_string() }
        };
        let asking = connection::stream(target, &self.0.credentials, &self.0.submits, feed);
        let (status, answer) = tokio::select! {
            answer = asking => answer?,
            error = over => return Err(error),
        };
        if status == StatusCode::UNAUTHORIZED {
            // The next try may have a new cookie.
            let _fresh = self.0.credentials.read_again().await;
            return Err(NodeError::Unauthorized { url: url(), status: status.as_u16() });
        }
        if is_queue_full(status, &answer) {
            return Err(NodeError::QueueFull { url: url() });
        }
        match self.read_verdict(status, &answer, false)? {
            // It may be about how the pool wrote its request: a try in our own words tells.
            Verdict::Error { code, message } => Err(NodeError::Rpc { code, message }),
            verdict => Ok(verdict),
        }
    }
}

#[cfg(test)]
mod tests;
