//! The HTTP port: connections that are slow, idle or many take little and keep nobody out.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_service::Service;
use tracing::{debug, error};

use super::crowd::{Crowd, Doing, Followed};
use super::patient::Patient;
use super::security;
use crate::edge::serving::{Bounds, accept, drive};
use crate::limits::{
    HTTP_HEAD_BYTES_MAX, HTTP_HEAD_DEADLINE_MS, HTTP_STOP_MS, HTTP_WAITING_THREADS_MAX,
    HTTP_WRITE_DEADLINE_MS,
};

const BOUNDS: Bounds =
    Bounds { head: Duration::from_millis(HTTP_HEAD_DEADLINE_MS), read_bytes: HTTP_HEAD_BYTES_MAX };
const WRITE_PATIENCE: Duration = Duration::from_millis(HTTP_WRITE_DEADLINE_MS);
const STOP_PATIENCE: Duration = Duration::from_millis(HTTP_STOP_MS);

/// Becomes true when the engine stops: for answers that would go on for ever.
#[derive(Clone, Debug)]
pub(super) struct Stopping(pub(super) watch::Receiver<bool>);

/// [`serve`] on the calling thread, which is the port's own from then on: however long pages take to
/// make, nothing that a block needs waits behind them.
pub fn serve_here(listener: std::net::TcpListener, router: Router, stop: watch::Receiver<bool>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(HTTP_WAITING_THREADS_MAX)
        .build();
    let served = runtime.and_then(|runtime| {
        let served = runtime.block_on(async {
            serve(TcpListener::from_std(listener)?, router, stop).await;
            Ok(())
        });
        // What still waits for a disk is not waited for.
        runtime.shutdown_background();
        served
    });
    if let Err(error) = served {
        error!("statistics are not served: {error}; restart broadside to have them");
    }
}

/// Serves `router` until `stop` becomes true; then what is under way has a moment to end.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let mut crowd = Crowd::default();
    let mut connections = JoinSet::new();
    loop {
        let stopped = async { stop.wait_for(|stop| *stop).await.is_ok() };
        let stream = tokio::select! {
            stream = accept(&listener, "the HTTP port") => stream,
            Some(ended) = connections.join_next_with_id() => {
                crowd.remove(ended.map_or_else(|error| error.id(), |(id, ())| id));
                continue;
            }
            _ = stopped => break,
        };
        crowd.make_room();
        let doing = Doing::default();
        let served = connection(stream, router.clone(), doing.clone(), stop.clone());
        crowd.add(connections.spawn(served), doing);
    }
    drop(listener);
    crowd.end_idle();
    let finished = async { while connections.join_next().await.is_some() {} };
    // Whoever is not done by then is cut off.
    let _in_time = tokio::time::timeout(STOP_PATIENCE, finished).await;
}

async fn connection(stream: TcpStream, router: Router, doing: Doing, stop: watch::Receiver<bool>) {
    let stopping = Stopping(stop.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        answer(router.clone(), doing.clone(), stopping.clone(), request)
    });
    if let Err(error) = drive(Patient::new(stream, WRITE_PATIENCE), BOUNDS, service, stop).await {
        debug!(%error, "an HTTP connection ended badly");
    }
}

async fn answer(
    mut router: Router,
    doing: Doing,
    stopping: Stopping,
    request: Request<Incoming>,
) -> Result<Response<Followed>, Infallible> {
    let busy = doing.begin();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(stopping);
    let mut response = router.call(request).await?;
    security::dress(response.headers_mut());
    Ok(busy.follow(response))
}

#[cfg(test)]
pub(super) mod tests;
