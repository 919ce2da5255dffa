//! Who may see the pages, and what browsers are told about them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use crate::edge::intake::rpc::RpcAuth;
use crate::limits::WRONG_PASSWORD_PAUSE_MS;

const WRONG_PASSWORD_PAUSE: Duration = Duration::from_millis(WRONG_PASSWORD_PAUSE_MS);

/// What every answer says to a browser, unless the page says otherwise.
const HEADERS: [(HeaderName, &str); 4] = [
    (CACHE_CONTROL, "no-cache"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
         img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
];

/// Puts [`HEADERS`] in where the page has said nothing else.
pub(super) fn dress(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// `router` for those alone who show `login`. Without one, for whoever asks for this host by its
/// address or as localhost: a page from elsewhere, opened in a browser here, can have a name of its
/// own lead to us, but not these. `/healthz` and `/readyz` are for everybody.
pub fn guarded(router: Router, login: Option<RpcAuth>) -> Router {
    router.layer(from_fn_with_state(Arc::new(login), check))
}

async fn check(
    State(login): State<Arc<Option<RpcAuth>>>,
    request: Request,
    next: Next,
) -> Response {
    if matches!(request.uri().path(), "/healthz" | "/readyz") {
        return next.run(request).await;
    }
    let headers = request.headers();
    match login.as_ref() {
        Some(login) => {
            let given = headers.get(AUTHORIZATION);
            if given.is_some_and(|given| login.accepts(given.as_bytes())) {
                return next.run(request).await;
            }
            if given.is_some() {
                tokio::time::sleep(WRONG_PASSWORD_PAUSE).await;
            }
            let realm = [(WWW_AUTHENTICATE, "Basic realm=\"broadside\", charset=\"UTF-8\"")];
            let text = "log in with user and password of [http] in the configuration\n";
            (StatusCode::UNAUTHORIZED, realm, text).into_response()
        }
        None if headers.get(HOST).is_none_or(is_ours) => next.run(request).await,
        None => {
            let text =
                "ask by address or as localhost; for other names set [http] user and password\n";
            (StatusCode::FORBIDDEN, text).into_response()
        }
    }
}

/// Whether a `Host` header names an address, or localhost.
fn is_ours(host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_ours() {
        for host in
            ["127.0.0.1", "127.0.0.1:9380", "[::1]", "[::1]:9380", "LocalHost:1", "10.0.0.1"]
        {
            assert!(is_ours(&HeaderValue::from_static(host)), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:9380",
            "localhost.evil.example",
            "[",
            "::1",
        ] {
            assert!(!is_ours(&HeaderValue::from_static(host)), "{host}");
        }
    }

    #[test]
    fn a_page_can_say_otherwise() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=9"));
        dress(&mut headers);
        assert_eq!(
            (headers.len(), &headers[CACHE_CONTROL]),
            (HEADERS.len(), &HeaderValue::from_static("max-age=9"))
        );
    }
}
