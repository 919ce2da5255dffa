//! Pages are made one at a time, marked, compressed and bounded.
//!
//! One at a time, so that however many ask, the memory of one page at most is needed for making them.
//! What waits to be taken by slow readers is bounded over all connections.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, RETRY_AFTER, TRANSFER_ENCODING,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::compression::CompressionLayer;

use crate::limits::{HTTP_ANSWERS_BYTES_MAX, HTTP_PAGE_BYTES_MAX, HTTP_PAGE_DEADLINE_MS};

const PAGE_DEADLINE: Duration = Duration::from_millis(HTTP_PAGE_DEADLINE_MS);

/// What all pages share.
#[derive(Debug)]
struct Press {
    /// Whose turn it is.
    turn: Semaphore,
    /// Bytes of answers that may wait for their readers.
    room: Arc<Semaphore>,
    /// How long a page may take, its turn included.
    patience: Duration,
}

impl Press {
    fn new(room_bytes: usize, patience: Duration) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(room_bytes));
        Arc::new(Self { turn: Semaphore::new(1), room, patience })
    }
}

/// `pages`, made and sent in this way.
pub(super) fn pressed(pages: Router) -> Router {
    with(Press::new(HTTP_ANSWERS_BYTES_MAX, PAGE_DEADLINE), pages)
}

fn with(press: Arc<Press>, pages: Router) -> Router {
    pages
        .layer(from_fn(marked))
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(press, in_turn))
}

/// Makes a page when it is its turn, and keeps it as a whole until its reader has it.
async fn in_turn(State(press): State<Arc<Press>>, request: Request, next: Next) -> Response {
    let made = async {
        let _turn = press.turn.acquire().await;
        let (head, body) = next.run(request).await.into_parts();
        (head, to_bytes(body, HTTP_PAGE_BYTES_MAX).await)
    };
    let Ok((mut head, page)) = tokio::time::timeout(press.patience, made).await else {
        return busy("the page was not ready in time; try again\n");
    };
    let Ok(page) = page else {
        let text = "the page is too long; ask for less with limit=\n";
        return (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
    };
    let wanted = u32::try_from(page.len()).unwrap_or(u32::MAX);
    let Ok(room) = Arc::clone(&press.room).try_acquire_many_owned(wanted) else {
        return busy("too many answers wait for slow readers; try again\n");
    };
    head.headers.remove(TRANSFER_ENCODING);
    Response::from_parts(head, Body::from(Bytes::from_owner(Held { page, _room: room })))
}

fn busy(text: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], text).into_response()
}

/// A page whose room is given back when its last byte has gone.
struct Held {
    page: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.page
    }
}

/// Marks a page by what is in it (RFC 9110, 8.8.3). Whoever has it already is told so, no more.
async fn marked(request: Request, next: Next) -> Response {
    let known = request.headers().get_all(IF_NONE_MATCH).iter().cloned().collect::<Vec<_>>();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(page) = to_bytes(body, HTTP_PAGE_BYTES_MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mark = mark(&head.headers, &page);
    let is_known = known.iter().any(|known| names(known, &mark));
    head.headers.insert(ETAG, mark);
    if is_known {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(CONTENT_LENGTH);
        head.headers.remove(CONTENT_TYPE);
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::from(page))
}

/// Weak, as it is the same whether compressed or not.
fn mark(headers: &HeaderMap, page: &[u8]) -> HeaderValue {
    let mut hasher = blake3::Hasher::new();
    hasher.update(headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes));
    hasher.update(&[0]).update(page);
    let hash = hasher.finalize().to_hex();
    let mark = format!("W/\"{}\"", hash.get(..32).unwrap_or_default());
    HeaderValue::try_from(mark).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Whether an `If-None-Match` names `mark`, weak or not.
fn names(known: &HeaderValue, mark: &HeaderValue) -> bool {
    let (Ok(known), Ok(mark)) = (known.to_str(), mark.to_str()) else { return false };
    let plain = |mark: &str| mark.trim().trim_start_matches("W/").to_owned();
    known.trim() == "*" || known.split(',').any(|known| plain(known) == plain(mark))
}

#[cfg(test)]
mod tests;
