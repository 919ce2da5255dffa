//! What can go wrong between us and a node, each with what to do about it.

use std::path::PathBuf;

use thiserror::Error;

/// Why there is no result from a node.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The address can't be used.
    #[error("the node address {url:?} cannot be used: {why}; write it as http://host:port")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The cookie file can't be read.
    #[error(
        "cannot read the node's cookie file {}: {source}; check cookie_file of this node in the \
         configuration, that the node runs, and that this user may read the file (or set user and \
         password instead)", path.display()
    )]
    Cookie {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The node refused user, password or cookie, or has none of its methods for us.
    #[error(
        "the node at {url} refused our user, password or cookie (HTTP {status}); check them \
         against its configuration"
    )]
    Unauthorized {
        /// Which node.
        url: String,
        /// 401 or 403.
        status: u16,
    },
    /// No connection.
    #[error("cannot connect to the node at {url}: {source}; check that it runs and listens there")]
    Unreachable {
        /// Which node.
        url: String,
        /// Why.
        source: std::io::Error,
    },
    /// No answer in time.
    #[error("the node at {url} did not answer within {after_s} s; it may be busy or stuck")]
    TimedOut {
        /// Which node.
        url: String,
        /// How long it had, in s.
        after_s: u64,
    },
    /// The connection broke before the answer was complete.
    #[error("the connection to the node at {url} broke before its answer was complete: {why}")]
    Broken {
        /// Which node.
        url: String,
        /// What the HTTP side says.
        why: String,
    },
    /// The answer is longer than what is read.
    #[error("the answer of the node at {url} is over {limit_bytes} bytes and was not read")]
    TooLong {
        /// Which node.
        url: String,
        /// The bound, in bytes.
        limit_bytes: u32,
    },
    /// The node's work queue stayed full.
    #[error("the work queue of the node at {url} is full; raise its rpcworkqueue and rpcthreads")]
    QueueFull {
        /// Which node.
        url: String,
    },
    /// The node is starting.
    #[error("the node at {url} is still starting: {message}")]
    WarmingUp {
        /// Which node.
        url: String,
        /// Its words.
        message: String,
    },
    /// The node answered with an error of its own.
    #[error("the node answers: {message} (code {code})")]
    Rpc {
        /// Its code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// The answer is not JSON-RPC.
    #[error(
        "the node at {url} answered HTTP {status} with something that is not JSON-RPC; check that the address is its RPC port"
    )]
    BadAnswer {
        /// Which node.
        url: String,
        /// HTTP status.
        status: u16,
    },
}

impl NodeError {
    /// In a word, for counters and tables.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Url { .. } => "address",
            Self::Cookie { .. } => "cookie",
            Self::Unauthorized { .. } => "login",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed-out",
            Self::Broken { .. } => "broken",
            Self::TooLong { .. } => "too-long",
            Self::QueueFull { .. } => "queue-full",
            Self::WarmingUp { .. } => "starting",
            Self::Rpc { .. } => "error",
            Self::BadAnswer { .. } => "bad-answer",
        }
    }

    /// Whether the node gave no sign of life (as opposed to a busy, starting or unwilling one).
    #[must_use]
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Broken { .. })
    }
}
