//! Notices posted to a URL. Whatever is at the other end hangs, fails, redirects or never stops
//! talking: one try is bounded, nothing is followed, and of the answer only its status is read.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{info, warn};

use super::{Letter, Outcome, Queue};
use crate::limits::{
    WEBHOOK_DEADLINE_MS, WEBHOOK_RETRY_MAX_MS, WEBHOOK_RETRY_MIN_MS, WEBHOOK_TRIES_MAX,
    WEBHOOK_URL_BYTES_MAX,
};

/// Where notices are posted. What is behind the host may be a secret and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Takes `http://` and `https://` URLs without a login in them; `None`: it is another thing.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
        let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic());
        let is_place = !place.is_empty() && !place.contains('@');
        let is_url = is_plain && is_place && url.len() <= WEBHOOK_URL_BYTES_MAX;
        (is_url && url.parse::<ureq::http::Uri>().is_ok()).then(|| Self(url.to_owned()))
    }

    /// Scheme and host.
    #[must_use]
    pub fn shown(&self) -> String {
        let start = self.0.find("://").map_or(0, |at| at + 3);
        let (scheme, rest) = self.0.split_at(start);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (place, more) = rest.split_at(end);
        format!("{scheme}{place}{}", if more.len() > 1 { "/…" } else { more })
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.shown())
    }
}

/// Posts what comes, one after the other, until there is nothing more to come.
pub(super) fn run(url: &WebhookUrl, queue: &Queue<Letter>, outcome: &Outcome) {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_millis(WEBHOOK_DEADLINE_MS)))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("broadside/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let (mut is_failing, mut lost) = (false, 0_u32);
    while let Some(letter) = queue.next() {
        match post_until_taken(&agent, url, &letter, queue, &mut is_failing) {
            true => {
                outcome.sent.fetch_add(1, Ordering::Relaxed);
                if is_failing {
                    info!("the webhook {} takes alerts again; {lost} were lost", url.shown());
                }
                (is_failing, lost) = (false, 0);
            }
            false => {
                outcome.lost.fetch_add(1, Ordering::Relaxed);
                lost += 1;
            }
        }
    }
}

/// Tries again with longer and longer pauses; false: it was given up. The first failure is said,
/// those that follow are not.
fn post_until_taken(
    agent: &ureq::Agent,
    url: &WebhookUrl,
    letter: &Letter,
    queue: &Queue<Letter>,
    is_failing: &mut bool,
) -> bool {
    let mut pause_ms = WEBHOOK_RETRY_MIN_MS;
    for tried in 1..=WEBHOOK_TRIES_MAX {
        let Err(why) = post(agent, url, letter) else {
            return true;
        };
        if !std::mem::replace(is_failing, true) {
            warn!(
                "the webhook {} does not take an alert: {why}. It is tried again with growing pauses; \
                 this is said once",
                url.shown()
            );
        }
        if tried == WEBHOOK_TRIES_MAX || !queue.pause(Duration::from_millis(pause_ms)) {
            break;
        }
        pause_ms = (2 * pause_ms).min(WEBHOOK_RETRY_MAX_MS);
    }
    false
}

/// One try. What the answer's body holds is nobody's business: it is not read.
fn post(agent: &ureq::Agent, url: &WebhookUrl, letter: &Letter) -> Result<(), String> {
    let request = agent.post(&url.0).header("Content-Type", "application/json");
    match request.send(letter.body.as_bytes()) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) if answer.status().is_redirection() => {
            let status = answer.status().as_u16();
            Err(format!("it redirects (HTTP {status}), which is not followed; give the final URL"))
        }
        Ok(answer) => Err(format!("it answers HTTP {}", answer.status().as_u16())),
        // An error's own words may repeat the whole URL.
        Err(error) => Err(described(&error, url)),
    }
}

fn described(error: &ureq::Error, url: &WebhookUrl) -> String {
    let text = match error {
        ureq::Error::Timeout(_) => format!("no answer in {} s", WEBHOOK_DEADLINE_MS / 1_000),
        ureq::Error::HostNotFound => "its host is not found".to_owned(),
        other => other.to_string(),
    };
    super::super::text::clean(&text.replace(&url.0, &url.shown()), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_and_never_shown_whole() {
        for (url, shown) in [
            ("https://hooks.example.org/services/T0/B1/secret", "https://hooks.example.org/…"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/", "http://[::1]:8080/"),
            ("https://a.example?token=secret", "https://a.example/…"),
        ] {
            let url = WebhookUrl::parse(url).unwrap();
            assert_eq!((url.shown(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
        }
        for wrong in ["", "ftp://a/b", "https://", "https:///x", "https://u:p@a/b", "https://a/ b"]
        {
            assert_eq!(WebhookUrl::parse(wrong), None, "{wrong}");
        }
    }
}
