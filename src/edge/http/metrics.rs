//! `/metrics`: everything that Prometheus may want to know.
//!
//! Nothing is counted here. At each scrape the families of [`chain`] and [`engine`] read what the
//! other pages read too, so all of them show the same numbers. Labels are words of ours, names of
//! chains and addresses that the operator configured; never anything that a peer has said.

mod chain;
mod engine;
mod family;
mod nodes;
mod now;
mod peers;
mod process;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::{encode, encode_registry};
use prometheus_client::registry::Registry;

use super::state::HttpState;
use now::Now;

/// How the text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// OpenMetrics 1.0, which Prometheus asks for.
    OpenMetrics,
    /// Prometheus's own older text, version 0.0.4: for everyone else, `promtool check metrics` too.
    Text,
}

impl Format {
    /// What a client that accepts this gets.
    fn wanted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let is_open = |value: &str| value.contains("application/openmetrics-text");
        if accepted.into_iter().any(is_open) { Self::OpenMetrics } else { Self::Text }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// All families, in the format that the client accepts.
pub(super) async fn metrics(State(state): State<Arc<HttpState>>, headers: HeaderMap) -> Response {
    let format = Format::wanted(&headers);
    // Some hundred microseconds of pure work, which a block's way shall not wait for.
    let page = tokio::task::spawn_blocking(move || page(Now::of(&state), format)).await;
    let Ok(Ok(page)) = page else {
        let told = "the metrics could not be written: report this\n";
        return (StatusCode::INTERNAL_SERVER_ERROR, told).into_response();
    };
    ([(CONTENT_TYPE, format.content_type()), (VARY, "accept")], page).into_response()
}

fn page(now: Now, format: Format) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(family::Scrape { now, format }));
    let mut page = String::new();
    match format {
        Format::OpenMetrics => encode(&mut page, &registry)?,
        Format::Text => encode_registry(&mut page, &registry)?,
    }
    Ok(page)
}

#[cfg(test)]
mod tests;
