//! The `Authorization` header for a node, and the cookie file behind it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use tokio::io::AsyncReadExt;

use super::{NodeAuth, NodeError};
use crate::limits::COOKIE_BYTES_MAX;

/// Who we are to one node.
#[derive(Debug)]
pub(super) struct Credentials {
    auth: NodeAuth,
    header: Mutex<Option<HeaderValue>>,
}

impl Credentials {
    pub(super) fn new(auth: NodeAuth, url: &str) -> Result<Self, NodeError> {
        let header = match &auth {
            NodeAuth::Password { user, password } => {
                let refused = || NodeError::Unauthorized { url: url.to_owned(), status: 401 };
                Some(basic(&format!("{user}:{password}")).ok_or_else(refused)?)
            }
            NodeAuth::None | NodeAuth::Cookie(_) => None,
        };
        Ok(Self { auth, header: Mutex::new(header) })
    }

    /// The header for the next request.
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>, NodeError> {
        let known = self.header.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (known, &self.auth) {
            (None, NodeAuth::Cookie(_)) => self.read_again().await,
            (known, _) => Ok(known),
        }
    }

    /// Reads the cookie again: the node writes a new one at each start.
    pub(super) async fn read_again(&self) -> Result<Option<HeaderValue>, NodeError> {
        let NodeAuth::Cookie(path) = &self.auth else {
            return Ok(self.header.lock().unwrap_or_else(PoisonError::into_inner).clone());
        };
        let fresh = read_cookie(path)
            .await
            .map_err(|source| NodeError::Cookie { path: path.clone(), source })?;
        *self.header.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
        Ok(Some(fresh))
    }
}

async fn read_cookie(path: &Path) -> std::io::Result<HeaderValue> {
    let file = tokio::fs::File::open(path).await?;
    let mut text = String::new();
    file.take(COOKIE_BYTES_MAX).read_to_string(&mut text).await?;
    let line = text.lines().next().unwrap_or("");
    // A node that is just starting has made the file and not yet written it.
    let shaped =
        line.split_once(':').is_some_and(|(user, rest)| !user.is_empty() && !rest.is_empty());
    let unreadable = || std::io::Error::other("it does not hold a line user:password");
    if shaped { basic(line).ok_or_else(unreadable) } else { Err(unreadable()) }
}

fn basic(user_and_password: &str) -> Option<HeaderValue> {
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(user_and_password))).ok()?;
    value.set_sensitive(true);
    Some(value)
}
