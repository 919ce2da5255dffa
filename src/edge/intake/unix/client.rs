//! The other side of the socket, for `submit` and for tests.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{MAGIC, UnixError};
use crate::limits::UNIX_ANSWER_BYTES_MAX;

/// Hands `raw` to the engine at the socket `path` and returns its answer (shape in
/// [`super`]). `chain` may be empty: the engine's first chain.
///
/// # Errors
/// The engine can't be reached, or answers something else.
pub async fn hand_over(path: &Path, chain: &str, raw: &[u8]) -> Result<Value, UnixError> {
    let unreachable = |source| UnixError::Unreachable { path: path.to_owned(), source };
    let name_length =
        u8::try_from(chain.len()).map_err(|_| UnixError::ChainName(chain.to_owned()))?;
    let length =
        u32::try_from(raw.len()).map_err(|_| unreachable(ErrorKind::InvalidInput.into()))?;
    let mut stream = UnixStream::connect(path).await.map_err(unreachable)?;
    let mut head = MAGIC.to_vec();
    head.push(name_length);
    head.extend_from_slice(chain.as_bytes());
    head.extend_from_slice(&length.to_le_bytes());
    let sent = async {
        stream.write_all(&head).await?;
        stream.write_all(raw).await
    };
    // A refusal may come before all is sent: what it says is of more use than that.
    let sent = sent.await;
    let length = match stream.read_u32_le().await {
        Ok(length) => length,
        Err(read) => return Err(unreachable(sent.err().unwrap_or(read))),
    };
    if length > UNIX_ANSWER_BYTES_MAX {
        return Err(UnixError::BadAnswer { path: path.to_owned() });
    }
    let mut text = vec![0; length as usize];
    stream.read_exact(&mut text).await.map_err(unreachable)?;
    serde_json::from_slice(&text).map_err(|_| UnixError::BadAnswer { path: path.to_owned() })
}
