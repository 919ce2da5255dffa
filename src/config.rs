//! What an operator can change: one TOML file, read whole, checked whole, with its lines.
//!
//! Only [`crate::cmd`] reads this; the rooms are handed values. Every default is the one that
//! [`EXAMPLE`] shows.

mod alerts;
mod chains;
mod flags;
mod history;
mod keys;
mod locate;
mod parse;
mod problem;
mod read;
mod trace;
mod warn;

use std::fmt;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use alerts::{ALERT_KINDS, Alerts, MinSeverity, Webhook};
pub use flags::Overrides;
pub use history::History;
pub use locate::locate;
pub use problem::{ConfigError, Problem};
pub use trace::Trace;

use crate::limits::CONFIG_BYTES_MAX;
use crate::wire::chain::Chain;

/// A commented example that passes `config check` and shows every default.
pub const EXAMPLE: &str = include_str!("config/example.toml");

/// The whole configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it was read from.
    pub file: PathBuf,
    /// Whether blocks go to peers at all. The nodes get them in any case.
    pub broadcast: bool,
    /// `[engine]`.
    pub engine: Engine,
    /// `[intake]`.
    pub intake: Intake,
    /// `[http]` listen; `None` where it is off.
    pub http: Option<SocketAddr>,
    /// `[alerts]`.
    pub alerts: Alerts,
    /// `[history]`; `None` where it is off.
    pub history: Option<History>,
    /// `[trace]`.
    pub trace: Trace,
    /// `[http]` user and password; `None`: whoever reaches it sees it.
    pub http_login: Option<Password>,
    /// `[[chain]]`, at least one, at most [`crate::limits::CHAINS_MAX`].
    pub chains: Vec<ChainSection>,
    notes: Vec<String>,
}

/// `[engine]`: how blocks are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Which cores shards are pinned to.
    pub cores: Cores,
    /// What a shard waits with.
    pub backend: Backend,
    /// What a shard does when nothing is to be done.
    pub idle: Idle,
    /// When blocks are sent from the arena without copying.
    pub zero_copy: ZeroCopy,
    /// How much the uplink carries.
    pub uplink: Uplink,
    /// Who is served first.
    pub order: Order,
    /// Bytes sent in an hour to keep connections warm. A block of one's own is never held back.
    pub warm_upload_bytes: u64,
    /// How much is logged, where RUST_LOG says nothing.
    pub log: Log,
    /// Who runs which network: a MaxMind or IPinfo file.
    pub asn_db: Option<PathBuf>,
    /// Where the cookie, the spool and the peer databases live.
    pub data_dir: PathBuf,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Only what went wrong.
    Error,
    /// And what may.
    Warn,
    /// And what happens.
    Info,
    /// And each connection.
    Debug,
    /// Everything.
    Trace,
}

impl Log {
    /// The word in the file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Which cores shards are pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// The program chooses.
    Auto,
    /// One shard per core named.
    Named(Vec<u32>),
}

/// What a shard waits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// io_uring, or epoll where that is not allowed.
    Auto,
    /// io_uring or nothing.
    IoUring,
    /// epoll.
    Epoll,
}

/// What a shard does when nothing is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Sleeps in the kernel.
    Wait,
    /// Burns its core and wakes in under a microsecond.
    Spin,
}

/// When blocks are sent from the arena without copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroCopy {
    /// Where the kernel reports that it does not copy anyway.
    Auto,
    /// Never.
    Off,
    /// Everywhere.
    Always,
}

/// How much the uplink carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uplink {
    /// To be learnt.
    Auto,
    /// Nothing is held back.
    Unlimited,
    /// This many bits per second.
    BitsPerSecond(u64),
}

/// Who is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The best ranked tier, and in it the near half.
    Rank,
    /// By rank alone.
    StrictRank,
    /// The nearest by round trip.
    NearFirst,
    /// Everybody together.
    AllAtOnce,
}

/// `[intake]`: ways in for a block. At least one is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// JSON-RPC over HTTP; `None` where it is off.
    pub rpc: Option<SocketAddr>,
    /// What a caller of `rpc` must show.
    pub login: IntakeLogin,
    /// Unix socket; `None` where it is off.
    pub unix: Option<PathBuf>,
}

/// What a caller of the JSON-RPC intake must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntakeLogin {
    /// The line in this file, written anew at each start.
    Cookie(PathBuf),
    /// A fixed name and password.
    Password(Password),
}

/// A name and a password. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// Name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(..)")
    }
}

/// `[[chain]]`: one coin's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSection {
    /// Its parameters.
    pub chain: &'static Chain,
    /// `[chain.node]` p2p: the protected connection to the local node.
    pub node_p2p: Option<SocketAddr>,
    /// `[chain.node]` rpc: whose verdict the pool is told.
    pub node: Option<Endpoint>,
    /// `[chain.node]` template: where block templates come from.
    pub template: Template,
    /// `[[chain.submit]]`: more nodes that get every block.
    pub submit: Vec<Submit>,
    /// `[chain.peers]`.
    pub peers: Peers,
}

/// A node's RPC port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `http://HOST:PORT`.
    pub url: String,
    /// How to log in there.
    pub login: EndpointLogin,
}

/// A further node that gets every block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submit {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How long one try may take.
    pub timeout: Duration,
    /// How long one block is tried there.
    pub retry: Duration,
}

/// How to log in at a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointLogin {
    /// The line in this file, which the node writes anew at each of its starts.
    Cookie(PathBuf),
    /// A fixed name and password.
    Password(Password),
}

/// `[chain.peers]`: who gets the block besides the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Connections held at most.
    pub max: u32,
    /// Connections below which the health is degraded.
    pub min: u32,
    /// Listening connections that feed selection.
    pub scouts: u32,
    /// Time between two looks at the roster.
    pub refresh: Duration,
    /// Ask the local node for its peers.
    pub bootstrap: bool,
    /// Ask peers and DNS for more peers.
    pub discover: bool,
    /// Always kept, never rotated out.
    pub fixed: Vec<SocketAddr>,
    /// The peer database.
    pub database: PathBuf,
    /// What all peers are dialled through but those on loopback and the local node.
    pub proxy: Option<Proxy>,
    /// What is sent.
    pub relay: Relay,
    /// Paced relay of recent blocks to peers with small windows.
    pub warm: Warm,
    /// How peers are chosen.
    pub selection: Selection,
    /// Countries and continents over which peers are spread, two letters each.
    pub regions: Vec<String>,
    /// Whether locks of blocks and transactions are passed on, where the chain has them.
    pub locks: bool,
}

/// A SOCKS5 proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    /// How to log in; `None`: each connection has a random login of its own.
    pub login: Option<Password>,
}

/// What is sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// What suits the chain.
    Auto,
    /// The whole block.
    Full,
    /// The compact block.
    Compact,
    /// The compact block, then the whole one.
    CompactAndFull,
}

/// Where block templates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// From what the pool asks through our intake.
    Auto,
    /// From nowhere.
    Off,
    /// The node is asked as well, from time to time.
    Poll,
    /// The node is asked as well, and answers when there is something new.
    LongPoll,
}

/// When connections are kept warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warm {
    /// Where it is worth it.
    Auto,
    /// Never.
    Off,
    /// Everywhere.
    Always,
}

/// How peers are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// By what was measured.
    Measured,
    /// By the base score alone.
    Seed,
}

impl Config {
    /// Reads and checks the file at `file`.
    ///
    /// # Errors
    /// It can't be read, or it is wrong; the message names every fault with its line.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { file: file.to_owned(), source };
        let mut text = String::new();
        let open = std::fs::File::open(file).map_err(unreadable)?;
        open.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge { file: file.to_owned(), limit: CONFIG_BYTES_MAX });
        }
        Self::parse(&text, file)
    }

    /// Checks `text`; `file` is what it is called in messages.
    ///
    /// # Errors
    /// Every fault of the text, with its line.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        parse::parse(text, file)
    }

    /// What the operator should know although the configuration is right: one line each, beginning
    /// with the file's name.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.notes
    }
}
