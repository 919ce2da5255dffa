//! The dashboard: everything on one page, drawn here, with no more script than keeps it up to date.
//!
//! The page works without that script, without the internet and under a policy that allows nothing
//! but its own two files. What it shows is bounded ([`crate::limits`], `DASHBOARD_*`), and all who
//! have it open share one drawing.

mod alerts;
mod block;
mod blocks;
mod changes;
mod indicators;
mod latency;
mod node;
mod page;
mod panels;
mod peers;
mod regions;
mod scale;
mod shown;
mod stolen;
mod summary;
mod text;
mod uplink;
mod waterfall;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use maud::Markup;
use tokio::sync::Mutex;

use super::state::HttpState;
use crate::limits::DASHBOARD_KEPT_MS;
use crate::wire::hash::BlockHash;
use latency::Remembered;
use shown::Shown;

const KEPT: Duration = Duration::from_millis(DASHBOARD_KEPT_MS);

/// What all open pages share.
struct Dashboard {
    state: Arc<HttpState>,
    drawn: Mutex<Drawn>,
}

/// The panels as they were drawn last, and what they were drawn from.
struct Drawn {
    panels: Option<(Instant, String)>,
    /// Tells whether anything has changed since.
    seen: HttpState,
    log: tokio::sync::watch::Receiver<u64>,
    remembered: Remembered,
}

impl Drawn {
    /// Whether nobody has told of a change since the last drawing; from now on, of those to come.
    fn is_unchanged(&mut self) -> bool {
        let mut changed = self.log.has_changed().unwrap_or(false);
        self.log.mark_unchanged();
        for chain in &mut self.seen.chains {
            changed |= chain.roster.has_changed().unwrap_or(false);
            chain.roster.mark_unchanged();
        }
        changed |= self.seen.uplink.has_changed().unwrap_or(false);
        self.seen.uplink.mark_unchanged();
        changed |= self.seen.alerts.has_changed().unwrap_or(false);
        self.seen.alerts.mark_unchanged();
        !changed
    }
}

impl Dashboard {
    fn new(state: Arc<HttpState>) -> Self {
        let (seen, log) = (HttpState::clone(&state), state.log.revision());
        let drawn = Drawn { panels: None, seen, log, remembered: Remembered::default() };
        Self { state, drawn: Mutex::new(drawn) }
    }

    /// What stands within `<main>`. However many ask, it is drawn by one after the other.
    async fn panels(&self) -> String {
        let mut drawn = self.drawn.lock().await;
        // Looked at before anything is read, so that no change is missed.
        let is_unchanged = drawn.is_unchanged();
        if let Some((at, panels)) = &drawn.panels
            && is_unchanged
            && at.elapsed() < KEPT
        {
            return panels.clone();
        }
        let shown = Shown::collect(&self.state, &mut drawn.remembered).await;
        let panels = panels::panels(&shown).into_string();
        drawn.panels = Some((Instant::now(), panels.clone()));
        panels
    }
}

/// The dashboard's pages.
pub(super) fn router(state: Arc<HttpState>) -> Router {
    Router::new()
        .route("/", get(whole))
        .route("/panels", get(panels))
        .route("/block/{hash}", get(one_block))
        .route("/style.css", get(style))
        .route("/live.js", get(script))
        .with_state(Arc::new(Dashboard::new(state)))
}

async fn whole(State(dashboard): State<Arc<Dashboard>>) -> Html<String> {
    let panels = maud::PreEscaped(dashboard.panels().await);
    Html(page::live(&panels).into_string())
}

async fn panels(State(dashboard): State<Arc<Dashboard>>) -> Html<String> {
    Html(dashboard.panels().await)
}

async fn one_block(
    State(dashboard): State<Arc<Dashboard>>,
    Path(hash): Path<String>,
) -> (StatusCode, Html<String>) {
    let answer = |status, page: Markup| (status, Html(page.into_string()));
    let Some(hash) = BlockHash::from_hex(&hash) else {
        return answer(StatusCode::BAD_REQUEST, block::no_hash());
    };
    match dashboard.state.block(&hash).await {
        Some(story) => answer(StatusCode::OK, block::page(&dashboard.state, &story)),
        None => answer(StatusCode::NOT_FOUND, block::unknown(&hash)),
    }
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}

async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("live.js"))
}

#[cfg(test)]
mod tests;
