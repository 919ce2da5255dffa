//! Notices on their way out: to the log at once, to each webhook and to the command by a thread and a
//! bounded queue of its own. Nobody waits for them.

mod command;
mod queue;
mod webhook;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tracing::{error, info, warn};

use super::machine::Rules;
use super::{Kind, Notice, NoticeState, Severity};
use crate::limits::{ALERT_REPEAT_H, ALERT_SLOW_FACTOR, ALERT_STOP_MS};
use queue::Queue;
pub use webhook::WebhookUrl;

/// How often it is looked whether the threads have ended.
const MOMENT: Duration = Duration::from_millis(10);

/// `[alerts]`, as the engine takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSettings {
    /// Where notices are posted.
    pub webhooks: Vec<WebhookUrl>,
    /// A program with its arguments; empty: none.
    pub command: Vec<String>,
    /// What is less is only logged.
    pub min_severity: Severity,
    /// Time between two reminders; `None`: there are none.
    pub repeat: Option<Duration>,
    /// From how many times the usual on a block is slow.
    pub slow_factor: f64,
    /// Kinds that are not looked at.
    pub off: Vec<Kind>,
    /// Which engine of this host it is.
    pub instance: String,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            webhooks: Vec::new(),
            command: Vec::new(),
            min_severity: Severity::Warning,
            repeat: Some(Duration::from_secs(u64::from(ALERT_REPEAT_H) * 3_600)),
            slow_factor: ALERT_SLOW_FACTOR.into(),
            off: Vec::new(),
            instance: String::new(),
        }
    }
}

impl AlertSettings {
    /// What of it the state machine goes by.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let repeat_ms = self.repeat.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
        Rules { off: self.off.clone(), repeat_ms }
    }
}

/// A notice as the outside gets it.
#[derive(Clone, Debug)]
struct Letter {
    notice: Notice,
    body: Arc<str>,
}

/// What has become of notices on one way out. Each that was taken ends sent, lost or is waiting.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    sent: AtomicU64,
    lost: AtomicU64,
}

/// What a way's thread does.
type Run = Box<dyn FnOnce(&Queue<Letter>, &Outcome) + Send>;

/// One way out.
#[derive(Debug)]
struct Way {
    name: String,
    queue: Arc<Queue<Letter>>,
    outcome: Arc<Outcome>,
}

/// All ways out.
#[derive(Debug)]
pub struct Delivery {
    ways: Vec<Way>,
    min_severity: Severity,
    instance: String,
    host: String,
    /// What tells this process's alerts from those of an earlier one.
    start: String,
}

impl Delivery {
    /// Starts a thread for each webhook and one for the command. One that can't be started is said
    /// and left out.
    #[must_use]
    pub fn start(settings: &AlertSettings) -> Self {
        let mut ways = Vec::new();
        let mut open = |name: String, run: Run| {
            let (queue, outcome) = (Arc::new(Queue::default()), Arc::new(Outcome::default()));
            let theirs = (Arc::clone(&queue), Arc::clone(&outcome));
            let thread = std::thread::Builder::new().name("alerts".to_owned());
            let started = thread.spawn(move || {
                let (queue, outcome) = theirs;
                run(&queue, &outcome);
                queue.end();
            });
            match started {
                Ok(_) => ways.push(Way { name, queue, outcome }),
                Err(error) => warn!("no thread for {name}: {error}; alerts are not sent there"),
            }
        };
        for url in &settings.webhooks {
            let (name, url) = (format!("the webhook {}", url.shown()), url.clone());
            open(name, Box::new(move |queue, outcome| webhook::run(&url, queue, outcome)));
        }
        if let Some(program) = settings.command.first() {
            let (name, words) = (format!("the command {program}"), settings.command.clone());
            open(name, Box::new(move |queue, outcome| command::run(&words, queue, outcome)));
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let instance = settings.instance.clone();
        let start = format!("{:x}", since.as_millis());
        Self { ways, min_severity: settings.min_severity, instance, host, start }
    }

    /// Logs a notice, and puts it into each queue. Never waits.
    pub fn send(&self, notice: &Notice) {
        log(notice);
        if notice.alert.severity < self.min_severity {
            return;
        }
        let body = self.body(notice).to_string();
        let letter = Letter { notice: notice.clone(), body: body.into() };
        for way in &self.ways {
            if let Some(gone) = way.queue.push(letter.clone(), |it| it.notice.alert.severity) {
                way.outcome.lost.fetch_add(1, Ordering::Relaxed);
                let (kind, state) = (gone.notice.alert.kind, gone.notice.state.word());
                tracing::debug!("{}: too many notices wait; gave up {kind} ({state})", way.name);
            }
        }
    }

    /// `{version, id, state, kind, severity, chain, subject, text, since, at, count, host, instance}`;
    /// times in s since 1970.
    fn body(&self, notice: &Notice) -> Value {
        let Notice { state, alert, at_unix_ms } = notice;
        json!({
            "version": 1,
            "id": format!("{}-{}", self.start, alert.number),
            "state": state.word(),
            "kind": alert.kind,
            "severity": alert.severity.word(),
            "chain": alert.chain,
            "subject": alert.subject,
            "text": alert.text,
            "since": alert.since_unix_ms as f64 / 1e3,
            "at": *at_unix_ms as f64 / 1e3,
            "count": alert.count,
            "host": self.host,
            "instance": self.instance,
        })
    }

    /// Takes nothing more, and gives what waits a short time to leave. Says what did not.
    pub async fn stop(self) {
        self.ways.iter().for_each(|way| way.queue.close());
        let end = Instant::now() + Duration::from_millis(ALERT_STOP_MS);
        for way in &self.ways {
            while !way.queue.has_ended() && Instant::now() < end {
                tokio::time::sleep(MOMENT).await;
            }
            let left = way.queue.give_up();
            if left > 0 {
                warn!("{left} alerts did not leave by {} before the stop", way.name);
            }
            let lost = way.outcome.lost.load(Ordering::Relaxed);
            if lost > 0 {
                warn!("{}: {lost} alerts were lost since the start", way.name);
            }
        }
    }
}

impl Drop for Delivery {
    /// However it ends, the threads do.
    fn drop(&mut self) {
        for way in &self.ways {
            way.queue.give_up();
        }
    }
}

fn log(notice: &Notice) {
    let Notice { state, alert, .. } = notice;
    let (kind, chain, text) = (alert.kind, alert.chain, &alert.text);
    let (state, count) = (*state, alert.count);
    match (state, alert.severity) {
        (NoticeState::Cleared, _) => info!(alert = kind, chain, "all clear: {text}"),
        (_, Severity::Info) => info!(alert = kind, chain, count, state = state.word(), "{text}"),
        (_, Severity::Warning) => warn!(alert = kind, chain, count, state = state.word(), "{text}"),
        (_, Severity::Critical) => {
            error!(alert = kind, chain, count, state = state.word(), "CRITICAL: {text}");
        }
    }
}
