//! What is wrong, for whoever is to hear of it.
//!
//! [`situation`] is what is seen now. [`judge`] says what of it is wrong, [`machine`] which of that has
//! lasted long enough to be said, and when it is over; both are pure, time comes in. [`delivery`]
//! carries their notices to the log, to webhooks and to a command. `docs/alerts.md` has the table.

pub mod delivery;
pub mod judge;
mod kind;
pub mod machine;
mod pace;
pub mod situation;
mod text;

use serde_json::{Value, json};

pub use kind::{Kind, Severity};

/// When something is looked at: a clock that nobody sets, and the calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// CLOCK_MONOTONIC, in ms.
    pub clock_ms: u64,
    /// In ms since 1970.
    pub unix_ms: u64,
}

/// One thing that is wrong, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its number in this process.
    pub number: u64,
    /// Which kind: one word, for scripts (`node-lost`).
    pub kind: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The chain that it is about; `None`: the whole engine.
    pub chain: Option<&'static str>,
    /// What it is about where there may be several (a block's hash, an endpoint); else empty.
    pub subject: String,
    /// What is wrong and what to do, in a sentence.
    pub text: String,
    /// Since when, in ms since 1970.
    pub since_unix_ms: u64,
    /// When it was over; `None`: it is not.
    pub cleared_unix_ms: Option<u64>,
    /// How often it has come, with short breaks in between.
    pub count: u32,
}

/// Everything that is wrong now, and what was lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertView {
    /// What is wrong now, oldest first.
    pub active: Vec<Alert>,
    /// What is over, newest first.
    pub past: Vec<Alert>,
}

impl Alert {
    /// `{id, kind, severity, chain, subject, text, since, cleared, count}`; times in s since 1970.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.number,
            "kind": self.kind,
            "severity": self.severity.word(),
            "chain": self.chain,
            "subject": self.subject,
            "text": self.text,
            "since": self.since_unix_ms as f64 / 1e3,
            "cleared": self.cleared_unix_ms.map(|ms| ms as f64 / 1e3),
            "count": self.count,
        })
    }
}

impl AlertView {
    /// `{active, past}`: what concerns `chain`, and what concerns the whole engine.
    #[must_use]
    pub fn to_json(&self, chain: &str) -> Value {
        let ours = |alert: &&Alert| alert.chain.is_none_or(|name| name == chain);
        let told = |alerts: &[Alert]| -> Vec<Value> {
            alerts.iter().filter(ours).map(Alert::to_json).collect()
        };
        json!({"active": told(&self.active), "past": told(&self.past)})
    }
}

/// What has become of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeState {
    /// It is new, or has become worse.
    Raised,
    /// It has not ended for long.
    Repeated,
    /// It is over.
    Cleared,
}

impl NoticeState {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Repeated => "repeated",
            Self::Cleared => "cleared",
        }
    }
}

/// What is told of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What has become of it.
    pub state: NoticeState,
    /// The alert, as it is now. Its text is about the end of it where that is told.
    pub alert: Alert,
    /// When this was found, in ms since 1970.
    pub at_unix_ms: u64,
}
