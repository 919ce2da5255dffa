//! What a node says of a block, and how that is said back to a pool.
//!
//! Source: the nodes' `rpc/mining.cpp`, `submitblock`; BIP 22.

use hyper::StatusCode;
use serde_json::Value;

/// A node's final word on a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// null: accepted and checked.
    Accepted,
    /// Already there and valid: success, as our peers' copy came back first.
    Duplicate,
    /// Stored, not validated: a rival at the same height or a fork. Not a failure.
    Inconclusive,
    /// Its header was known, the block is stored and not validated. Not a failure.
    DuplicateInconclusive,
    /// Known to be bad.
    DuplicateInvalid,
    /// Refused for this reason, in the node's words.
    Refused(String),
    /// A JSON-RPC error that a second try would meet again (-22: "Block decode failed").
    Error {
        /// Its code.
        code: i64,
        /// Its words.
        message: String,
    },
}

/// The code for a block that can't be read (`RPC_DESERIALIZATION_ERROR`).
pub const DECODE_FAILED: i64 = -22;

impl Verdict {
    /// The verdict behind the string in `result`.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "duplicate" => Self::Duplicate,
            "inconclusive" => Self::Inconclusive,
            "duplicate-inconclusive" => Self::DuplicateInconclusive,
            "duplicate-invalid" => Self::DuplicateInvalid,
            other => Self::Refused(other.chars().filter(|c| !c.is_control()).take(256).collect()),
        }
    }

    /// The node has the block and holds it for valid.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Accepted | Self::Duplicate)
    }

    /// The node will not have the block. What is neither success nor refusal is stored for later.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::DuplicateInvalid | Self::Refused(_) | Self::Error { .. })
    }

    /// The node does not have the parent, or (where it says the same of both) holds it for bad.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        matches!(self, Self::Refused(word) if word == "prev-blk-not-found" || word == "bad-prevblk")
    }

    /// One word for logs and tables.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Inconclusive => "inconclusive",
            Self::DuplicateInconclusive => "duplicate-inconclusive",
            Self::DuplicateInvalid => "duplicate-invalid",
            Self::Refused(word) => word,
            Self::Error { message, .. } => message,
        }
    }

    /// The verdict as the node itself answers it.
    #[must_use]
    pub fn answer(&self) -> RpcAnswer {
        match self {
            Self::Accepted => RpcAnswer::Result(None),
            Self::Error { code, message } => {
                RpcAnswer::Error { code: *code, message: message.clone() }
            }
            other => RpcAnswer::Result(Some(other.word().to_owned())),
        }
    }
}

/// Errors that are about the block or the request: asking again would get the same. All others
/// (-25: the node's disk is full, -10: it is catching up, ...) are asked again.
#[must_use]
pub const fn is_final_error(code: i64) -> bool {
    matches!(code, DECODE_FAILED | -1 | -3 | -8)
}

/// An answer to `submitblock` in the nodes' shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RpcAnswer {
    /// `result`: null or a string. HTTP 200, also where the string is a refusal.
    Result(Option<String>),
    /// `error`, with the HTTP status that goes with its code.
    Error {
        /// JSON-RPC code.
        code: i64,
        /// For people.
        message: String,
    },
}

impl RpcAnswer {
    /// The HTTP status that nodes give a single call so answered (`httprpc.cpp`).
    #[must_use]
    pub const fn status(&self, shape: Shape) -> StatusCode {
        match (self, shape) {
            (Self::Result(_), _) | (_, Shape::Two) => StatusCode::OK,
            (Self::Error { code: -32600, .. }, _) => StatusCode::BAD_REQUEST,
            (Self::Error { code: -32601, .. }, _) => StatusCode::NOT_FOUND,
            (Self::Error { .. }, _) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The whole answer as nodes write it. `id` is the request's own, as JSON text.
    #[must_use]
    pub fn to_json(&self, shape: Shape, id: &str) -> String {
        let (result, error) = match self {
            Self::Result(None) => ("null".to_owned(), None),
            Self::Result(Some(word)) => (Value::from(word.as_str()).to_string(), None),
            Self::Error { code, message } => {
                let message = Value::from(message.as_str());
                let error = format!("{{\"code\":{code},\"message\":{message}}}");
                ("null".to_owned(), Some(error))
            }
        };
        match (shape, error) {
            (Shape::One, error) => {
                let error = error.as_deref().unwrap_or("null");
                format!("{{\"result\":{result},\"error\":{error},\"id\":{id}}}")
            }
            (Shape::Two, None) => {
                format!("{{\"jsonrpc\":\"2.0\",\"result\":{result},\"id\":{id}}}")
            }
            (Shape::Two, Some(error)) => {
                format!("{{\"jsonrpc\":\"2.0\",\"error\":{error},\"id\":{id}}}")
            }
        }
    }
}

/// In which version's shape an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `result`, `error` and `id`, always all three; errors have an HTTP status of their own.
    One,
    /// JSON-RPC 2.0: `result` or `error`; HTTP 200 for both. Only nodes from Bitcoin Core 28 on
    /// answer so, and only who asked so.
    Two,
}
