//! `/events`: tells whoever listens that something has changed (server-sent events, WHATWG HTML 9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde_json::json;

use super::state::HttpState;
use crate::limits::{EVENT_KEEP_ALIVE_MS, EVENT_PAUSE_MS};

const PAUSE: Duration = Duration::from_millis(EVENT_PAUSE_MS);
const KEEP_ALIVE: Duration = Duration::from_millis(EVENT_KEEP_ALIVE_MS);

/// `event: changed` with `{"revision": n}` at once, and whenever blocks, peers, the uplink or alerts
/// have changed, at most once in [`EVENT_PAUSE_MS`].
pub(super) async fn events(
    State(state): State<Arc<HttpState>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let watched = Watched::new(&state);
    let events = stream::unfold((watched, true), |(mut watched, is_first)| async move {
        if !is_first {
            tokio::time::sleep(PAUSE).await;
            watched.change().await?;
        }
        let told = json!({"revision": *watched.blocks.borrow_and_update()}).to_string();
        Some((Ok(Event::default().event("changed").data(told)), (watched, false)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
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
