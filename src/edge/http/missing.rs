//! What is said where there is no page.

use axum::http::StatusCode;

const PAGES: &str = "there is no such page here; there are / /broadcaster_stats /broadcaster_status \
                     /merged_broadcaster_status /blocks /blocks/HASH /metrics /events /healthz \
                     /readyz\n";

pub(super) async fn no_page() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, PAGES)
}

pub(super) async fn no_method() -> (StatusCode, &'static str) {
    (StatusCode::METHOD_NOT_ALLOWED, "pages are only read here: ask with GET or HEAD\n")
}
