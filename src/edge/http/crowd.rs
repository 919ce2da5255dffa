//! Who is connected to the HTTP port. When it is full the one that is missed least makes room.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::Response;
use axum::http::header::CONTENT_TYPE;
use hyper::body::{Frame, SizeHint};
use tokio::task::{AbortHandle, Id};

use crate::limits::HTTP_CONNECTIONS_MAX;

/// Nothing is asked: a head that is still coming, an answer that is still being taken.
const IDLE: u8 = 0;
/// An event stream.
const STREAMING: u8 = 1;
/// An answer is being made.
const ANSWERING: u8 = 2;

/// What a connection does.
#[derive(Clone, Debug, Default)]
pub(super) struct Doing(Arc<AtomicU8>);

impl Doing {
    /// A request has come; lasts until its answer is made.
    pub(super) fn begin(&self) -> Busy {
        self.0.store(ANSWERING, Ordering::Relaxed);
        Busy(self.clone())
    }

    fn now(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// As long as this lives an answer is being made.
#[derive(Debug)]
pub(super) struct Busy(Doing);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.store(IDLE, Ordering::Relaxed);
    }
}

impl Busy {
    /// The same answer, which says when it has been made to its end.
    pub(super) fn follow(self, response: Response<Body>) -> Response<Followed> {
        let kind = response.headers().get(CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
            self.0.0.store(STREAMING, Ordering::Relaxed);
        }
        response.map(|body| Followed { body, _busy: self })
    }
}

/// An answer's body.
#[derive(Debug)]
pub(super) struct Followed {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    members: HashMap<Id, Member>,
    /// Connections so far.
    count: u64,
}

#[derive(Debug)]
struct Member {
    number: u64,
    doing: Doing,
    task: AbortHandle,
}

impl Crowd {
    /// Ends connections until there is room for one more: those that ask nothing before streams,
    /// streams before answers, the longest connected first.
    pub(super) fn make_room(&mut self) {
        while self.members.len() >= HTTP_CONNECTIONS_MAX {
            let least = self.members.iter().min_by_key(|(_, it)| (it.doing.now(), it.number));
            let Some(id) = least.map(|(id, _)| *id) else { return };
            self.end(id);
        }
    }

    /// Takes a connection in.
    pub(super) fn add(&mut self, task: AbortHandle, doing: Doing) {
        self.count += 1;
        self.members.insert(task.id(), Member { number: self.count, doing, task });
    }

    /// A connection has ended.
    pub(super) fn remove(&mut self, id: Id) {
        self.members.remove(&id);
    }

    /// Ends those that ask nothing.
    pub(super) fn end_idle(&mut self) {
        let idle = self.members.iter().filter(|(_, it)| it.doing.now() == IDLE);
        let idle: Vec<Id> = idle.map(|(id, _)| *id).collect();
        idle.into_iter().for_each(|id| self.end(id));
    }

    fn end(&mut self, id: Id) {
        if let Some(member) = self.members.remove(&id) {
            member.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn forever() {
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn whoever_is_missed_least_makes_room() {
        let mut crowd = Crowd::default();
        let mut tasks = Vec::new();
        let mut busy = Vec::new();
        for number in 0..HTTP_CONNECTIONS_MAX {
            let task = tokio::spawn(forever());
            let doing = Doing::default();
            if number % 2 == 0 {
                busy.push(doing.begin());
            }
            crowd.add(task.abort_handle(), doing);
            tasks.push(task);
        }
        // The first is a stream: it goes after the idle ones, and before the others.
        busy[0].0.0.store(STREAMING, Ordering::Relaxed);
        for _ in 0..HTTP_CONNECTIONS_MAX / 2 {
            crowd.make_room();
            let task = tokio::spawn(forever());
            let doing = Doing::default();
            busy.push(doing.begin());
            crowd.add(task.abort_handle(), doing);
            tasks.push(task);
        }
        assert_eq!(crowd.members.len(), HTTP_CONNECTIONS_MAX);
        for (number, task) in tasks.iter_mut().enumerate().take(HTTP_CONNECTIONS_MAX) {
            if number % 2 == 1 {
                assert!(task.await.is_err_and(|it| it.is_cancelled()), "{number} was idle");
            }
        }
        crowd.make_room();
        let stream = tasks.swap_remove(0);
        assert!(stream.await.is_err(), "the stream is next");
        assert!(crowd.members.values().all(|it| !it.task.is_finished()));
    }

    #[tokio::test]
    async fn an_answer_is_over_when_its_body_is() {
        let doing = Doing::default();
        let response = doing.begin().follow(Response::new(Body::from("x")));
        assert_eq!(doing.now(), ANSWERING);
        drop(response);
        assert_eq!(doing.now(), IDLE);
        let mut stream = Response::new(Body::empty());
        let kind = axum::http::HeaderValue::from_static("text/event-stream; charset=utf-8");
        stream.headers_mut().insert(CONTENT_TYPE, kind);
        let _response = doing.begin().follow(stream);
        assert_eq!(doing.now(), STREAMING);
    }
}
