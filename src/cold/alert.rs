//! What is wrong, for whoever is to hear of it.

/// One thing that is wrong, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Which kind: one word, for scripts (`node-lost`).
    pub kind: &'static str,
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
}

/// Everything that is wrong now, and what was lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertView {
    /// What is wrong now, oldest first.
    pub active: Vec<Alert>,
    /// What is over, newest first.
    pub past: Vec<Alert>,
}
