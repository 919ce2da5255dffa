//! What the HTTP ports have in common: taking connections in, and driving one of them.

use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::warn;

use crate::limits::ACCEPT_PAUSE_MS;

const ACCEPT_PAUSE: Duration = Duration::from_millis(ACCEPT_PAUSE_MS);

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How long a request's head may take, counted from the connection's start or the last answer.
    pub(super) head: Duration,
    /// Bytes of a request that are kept unread; a longer head is refused.
    pub(super) read_bytes: usize,
}

/// The next connection. `who` is named where none can be had; then it is tried again after a pause.
pub(super) async fn accept(listener: &TcpListener, who: &str) -> TcpStream {
    loop {
        match listener.accept().await {
            // Without it the connection is gone already.
            Ok((stream, _)) if stream.set_nodelay(true).is_ok() => return stream,
            Ok(_) => {}
            Err(error) => {
                warn!(%error, "{who} could not accept a connection; check the open files limit");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends; once `stop` is true, no longer than its answer takes.
///
/// # Errors
/// It ended in the middle of something, or what came was no HTTP.
pub(super) async fn drive<I, S>(
    stream: I,
    bounds: Bounds,
    service: S,
    mut stop: watch::Receiver<bool>,
) -> Result<(), hyper::Error>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: HttpService<Incoming>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::ResBody: Body + 'static,
    <S::ResBody as Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(bounds.read_bytes)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let stopped = async { stop.wait_for(|stop| *stop).await.is_ok() };
    tokio::select! {
        ended = serving.as_mut() => ended,
        _ = stopped => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    }
}
