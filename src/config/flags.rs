//! Options that users of p2pool forks know, each overriding the file.

use std::path::PathBuf;
use std::time::Duration;

use super::{Config, ConfigError};

/// What the command line says over the file. `None` and `false`: nothing said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--disable-broadcaster`, `--broadcast-peers=false`.
    pub disable: bool,
    /// `--broadcast-enabled`, `--broadcast-peers=true`.
    pub enable: bool,
    /// `--broadcast-max-peers`.
    pub max_peers: Option<u32>,
    /// `--broadcast-min-peers`.
    pub min_peers: Option<u32>,
    /// `--broadcast-refresh-interval`, in s.
    pub refresh_interval_s: Option<u32>,
    /// `--broadcast-skip-bootstrap`.
    pub skip_bootstrap: bool,
    /// `--broadcast-peer-db`.
    pub peer_db: Option<PathBuf>,
    /// `--broadcast-no-fallback`.
    pub no_fallback: bool,
}

impl Overrides {
    /// Lays the options over `config`, for every chain of it.
    ///
    /// # Errors
    /// Options that contradict each other or the file.
    pub fn apply(&self, config: &mut Config) -> Result<(), ConfigError> {
        let refuse = |option, message: String| Err(ConfigError::Option { option, message });
        if self.disable && self.enable {
            return refuse(
                "--disable-broadcaster",
                "is the opposite of --broadcast-enabled".into(),
            );
        }
        config.broadcast = !self.disable;
        if self.peer_db.is_some() && config.chains.len() > 1 {
            let message = "several chains can't share one file; set chain.peers.db for each";
            return refuse("--broadcast-peer-db", message.into());
        }
        for chain in &mut config.chains {
            let peers = &mut chain.peers;
            peers.max = self.max_peers.unwrap_or(peers.max);
            // A lower maximum alone is no contradiction: the file's minimum follows it.
            let follows = peers.min.min(peers.max);
            peers.min = self.min_peers.unwrap_or(follows);
            if peers.min > peers.max {
                let message = format!("{} is over the most allowed, {}", peers.min, peers.max);
                return refuse("--broadcast-min-peers", message);
            }
            if let Some(seconds) = self.refresh_interval_s {
                peers.refresh = Duration::from_secs(seconds.into());
            }
            peers.bootstrap &= !self.skip_bootstrap;
            if let Some(file) = &self.peer_db {
                peers.database = config.engine.data_dir.join(file);
            }
        }
        if self.no_fallback {
            config.notes.push(
                "--broadcast-no-fallback has no effect: your nodes get every block, whatever \
                 becomes of the peers"
                    .to_owned(),
            );
        }
        Ok(())
    }
}
