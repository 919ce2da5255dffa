//! `/events`: tells whoever listens that something has changed (server-sent events, WHATWG HTML 9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::stream::{self, Stream, StreamExt};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::serve::Stopping;
use super::state::HttpState;
use crate::limits::{EVENT_KEEP_ALIVE_MS, EVENT_PAUSE_MS, EVENT_RETRY_MS, EVENT_STREAMS_MAX};

const PAUSE: Duration = Duration::from_millis(EVENT_PAUSE_MS);
const RETRY: Duration = Duration::from_millis(EVENT_RETRY_MS);
const KEEP_ALIVE: Duration = Duration::from_millis(EVENT_KEEP_ALIVE_MS);

/// All streams of events.
struct Streams {
    state: Arc<HttpState>,
    places: Arc<Semaphore>,
}

pub(super) fn router(state: Arc<HttpState>) -> Router {
    let places = Arc::new(Semaphore::new(EVENT_STREAMS_MAX));
    Router::new().route("/events", get(events)).with_state(Arc::new(Streams { state, places }))
}

/// `event: changed` with `{"revision": n}` at once, and whenever blocks, peers, the uplink or alerts
/// have changed, at most once in [`EVENT_PAUSE_MS`].
///
/// At most [`EVENT_STREAMS_MAX`] at once. It ends when the engine stops.
async fn events(
    State(all): State<Arc<Streams>>,
    stopping: Option<Extension<Stopping>>,
) -> Response {
    let Ok(place) = Arc::clone(&all.places).try_acquire_owned() else {
        let text = "too many streams of events are open; try again later\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "30")], text).into_response();
    };
    let told = changes(Watched::new(&all.state), place);
    let stopped = async {
        match stopping {
            Some(Extension(Stopping(mut stop))) => drop(stop.wait_for(|stop| *stop).await),
            None => std::future::pending().await,
        }
    };
    let events = told.take_until(Box::pin(stopped));
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// One event at once, then one a pause after each change. `place` is given back at
/// the end.
fn changes(
    watched: Watched,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold((watched, true, place), |(mut watched, is_first, place)| async move {
        if !is_first {
            watched.change().await?;
            // Nobody is to draw a page while a new block goes out.
            tokio::time::sleep(PAUSE).await;
        }
        let told = json!({"revision": *watched.blocks.borrow_and_update()}).to_string();
        let event = Event::default().event("changed").data(told);
        let event = if is_first { event.retry(RETRY) } else { event };
        Some((Ok(event), (watched, false, place)))
    })
}

/// Everything whose change is told.
struct Watched {
    blocks: tokio::sync::watch::Receiver<u64>,
    state: HttpState,
}

impl Watched {
    fn new(state: &HttpState) -> Self {
        let mut state = state.clone();
        state.chains.iter_mut().for_each(|chain| chain.roster.mark_unchanged());
        state.uplink.mark_unchanged();
        state.alerts.mark_unchanged();
        Self { blocks: state.log.revision(), state }
    }

    /// Waits for the next change; `None`: the engine has ended.
    async fn change(&mut self) -> Option<()> {
        let Self { blocks, state } = self;
        let rosters = state.chains.iter_mut().map(|chain| Box::pin(chain.roster.changed()));
        let rosters = futures_util::future::select_all(rosters);
        let changed = tokio::select! {
            changed = blocks.changed() => changed,
            (changed, _, _) = rosters => changed,
            changed = state.uplink.changed() => changed,
            changed = state.alerts.changed() => changed,
        };
        changed.ok()
    }
}
