//! The HTTP port.

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Serves `router` until `stop` becomes true.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
    if let Err(error) = served {
        tracing::error!("statistics are served no more: {error}; restart broadside to have them");
    }
}
