//! Who may hand in blocks: basic auth, compared in constant time.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::limits::RPC_LOGIN_BYTES_MAX;
use crate::wire::hash::{hex, sha256d};

/// Why there can be no access check.
#[derive(Debug, Error)]
pub enum AuthError {
    /// The cookie can't be written.
    #[error("cannot write the intake's cookie file {}: {source}; check data_dir and its owner", path.display())]
    Cookie {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The kernel gave no random bytes.
    #[error("the kernel gave no random bytes for the intake's cookie: {0}")]
    Random(getrandom::Error),
}

/// The one user that is let in. Holds a digest only, so that comparing takes the same time whatever
/// is sent and however long it is.
#[derive(Clone)]
pub struct RpcAuth {
    digest: [u8; 32],
}

impl std::fmt::Debug for RpcAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RpcAuth(..)")
    }
}

impl RpcAuth {
    /// User and password from the configuration.
    #[must_use]
    pub fn password(user: &str, password: &str) -> Self {
        Self { digest: sha256d(format!("{user}:{password}").as_bytes()) }
    }

    /// Makes a new cookie and writes it to `data_dir/.cookie`, mode 0600, as a node does:
    /// `__cookie__:` and 64 hex digits.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub fn cookie(data_dir: &Path) -> Result<Self, AuthError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(AuthError::Random)?;
        let password = hex(&secret);
        let path = data_dir.join(".cookie");
        write_private(&path, format!("__cookie__:{password}").as_bytes())
            .map_err(|source| AuthError::Cookie { path, source })?;
        Ok(Self::password("__cookie__", &password))
    }

    /// Whether an `Authorization` header lets its sender in.
    #[must_use]
    pub fn accepts(&self, header: &[u8]) -> bool {
        let given = header.strip_prefix(b"Basic ").filter(|_| header.len() <= RPC_LOGIN_BYTES_MAX);
        let Some(given) = given else { return false };
        let Ok(given) = STANDARD.decode(given.trim_ascii()) else {
            return false;
        };
        sha256d(&given).ct_eq(&self.digest).into()
    }
}

/// Written under another name, private from its first moment, then given its own.
fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn basic(text: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(text)).into_bytes()
    }

    #[test]
    fn only_the_right_password_is_let_in() {
        let auth = RpcAuth::password("pool", "secret");
        assert!(auth.accepts(&basic("pool:secret")));
        for wrong in ["", "pool", "pool:", "pool:secre", "pool:secret2", "Pool:secret", ":"] {
            assert!(!auth.accepts(&basic(wrong)), "{wrong}");
        }
        for header in [&b"Bearer x"[..], b"", b"Basic", b"Basic !!!", b"Basic \xff\xfe"] {
            assert!(!auth.accepts(header));
        }
        assert!(!auth.accepts(&basic(&"x".repeat(10_000))));
    }

    #[test]
    fn the_cookie_is_private_and_new_at_each_start() {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path().join(".cookie");
        let first = RpcAuth::cookie(folder.path()).expect("writes");
        let one = std::fs::read_to_string(&path).expect("reads");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!((one.len(), one.starts_with("__cookie__:")), (75, true));
        assert!(first.accepts(&basic(&one)));
        let second = RpcAuth::cookie(folder.path()).expect("writes again");
        assert!(!second.accepts(&basic(&one)));
        assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 1);
        let error = RpcAuth::cookie(&folder.path().join("missing")).expect_err("no folder");
        assert!(error.to_string().contains("data_dir"), "{error}");
    }
}
