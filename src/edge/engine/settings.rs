//! What an engine is told, and why it can't start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cold::alert::delivery::AlertSettings;
use crate::cold::atlas::{Atlas, Region};
use crate::cold::cover::Selection;
use crate::cold::history::HistoryBounds;
use crate::cold::node::endpoint::EndpointSettings;
use crate::cold::node::{NodeClient, NodeError, NodeSettings};
use crate::cold::proxy::Proxy;
use crate::cold::roster::RosterSettings;
use crate::cold::template::TemplateMode;
use crate::cold::uplink::{ChainWarmth, UplinkSetting, UplinkSettings, Warm};
use crate::edge::intake::desk::Desk;
use crate::edge::trace::TraceSettings;
use crate::hot::governor::order::OrderOfService;
use crate::hot::link::Relay;
use crate::hot::route::ZeroCopy;
use crate::hot::shard::Idle;
use crate::hot::spawn::{Backend, SpawnError};
use crate::wire::chain::Chain;

/// One chain of an engine.
#[derive(Clone, Debug)]
pub struct ChainSettings {
    /// Its row.
    pub chain: &'static Chain,
    /// The local node's RPC.
    pub node: Option<NodeSettings>,
    /// The local node's P2P address: the protected peer.
    pub node_p2p: Option<SocketAddr>,
    /// Further endpoints that get every block.
    pub submit: Vec<EndpointSettings>,
    /// Where block templates come from.
    pub template: TemplateMode,
    /// Whether blocks go to peers at all.
    pub broadcast: bool,
    /// Connections aimed at.
    pub max: u32,
    /// Fewer is degraded health.
    pub min: u32,
    /// How often empty places are filled.
    pub refresh: Duration,
    /// Whether the node is asked for its peers.
    pub bootstrap: bool,
    /// Whether the network is asked for peers.
    pub discover: bool,
    /// Listening connections aimed at.
    pub scouts: u32,
    /// Peers that are always kept.
    pub fixed: Vec<SocketAddr>,
    /// The peer database.
    pub database: PathBuf,
    /// In which form blocks are sent.
    pub relay: Relay,
    /// How peers are chosen and ranked.
    pub selection: Selection,
    /// Regions over which peers are spread.
    pub regions: Vec<Region>,
    /// When connections are kept warm.
    pub warm: Warm,
    /// Whether locks are passed on, where the chain has them.
    pub locks: bool,
    /// What peers are dialled through.
    pub proxy: Option<Proxy>,
}

/// Who may use the JSON-RPC intake.
#[derive(Clone, Debug)]
pub enum RpcLogin {
    /// Whoever can read `.cookie` in the data folder: written anew at each start, mode 0600.
    Cookie,
    /// Whoever knows these.
    Password {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
}

/// All that an engine is told.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// One pinned shard on each; empty: one that is not pinned.
    pub cores: Vec<usize>,
    /// Which ring.
    pub backend: Backend,
    /// What a shard does when there is nothing to do.
    pub idle: Idle,
    /// When blocks are sent without copying.
    pub zero_copy: ZeroCopy,
    /// Who is served first, where the uplink is shared.
    pub order: OrderOfService,
    /// What the uplink carries.
    pub uplink: UplinkSetting,
    /// Bytes that may be sent in an hour to keep connections warm.
    pub warm_up_bytes_per_hour: u64,
    /// A file that tells who runs which network (`.mmdb`).
    pub asn_db: Option<PathBuf>,
    /// How much history is kept; `None`: none.
    pub history: Option<HistoryBounds>,
    /// Where cookie, spool and databases are.
    pub data_dir: PathBuf,
    /// JSON-RPC intake: address and who may use it.
    pub rpc: Option<(String, RpcLogin)>,
    /// Unix socket intake.
    pub unix: Option<PathBuf>,
    /// Statistics and health.
    pub http: Option<String>,
    /// User and password of those who may see them; `None`: whoever reaches them.
    pub http_login: Option<(String, String)>,
    /// The chains; the first is the intakes' default.
    pub chains: Vec<ChainSettings>,
    /// How long a caller waits for the node's verdict.
    pub answer_deadline: Duration,
    /// Who hears of what is wrong.
    pub alerts: AlertSettings,
    /// What is seen of the kernel.
    pub trace: TraceSettings,
}

/// Why an engine can't start. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A folder can't be made or written.
    #[error("can't use {path}: {error}; create it, or let broadside's user write there")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// An address can't be listened on.
    #[error(
        "can't listen on {address} ({key}): {error}; is another broadside or node using it? Choose \
         another address"
    )]
    Listen {
        /// The configuration's key.
        key: &'static str,
        /// Its value.
        address: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A shard can't run.
    #[error(transparent)]
    Shard(#[from] SpawnError),
    /// No memory or descriptors.
    #[error("the kernel gives no memory or descriptors for the arena: {0}; raise the limits")]
    Memory(std::io::Error),
    /// A node's settings are no good.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// An intake can't start.
    #[error("{0}")]
    Intake(String),
    /// A chain beyond the last possible.
    #[error("more than {} chains in one engine: run a second one", crate::limits::CHAINS_MAX)]
    Chains,
}

pub(super) fn uplink_settings(
    settings: &EngineSettings,
    desk: &Desk,
) -> Result<UplinkSettings, EngineError> {
    let chain = |(index, told): (usize, &ChainSettings)| {
        let node = told.node.clone().map(NodeClient::new).transpose()?;
        Ok(ChainWarmth {
            chain: told.chain,
            warm: told.warm,
            node: node.zip(desk.tip(index as u8).cloned()),
            earns_slots: told.relay != Relay::Full && !told.chain.takes_compact_unasked,
        })
    };
    let chains = settings.chains.iter().enumerate().map(chain);
    Ok(UplinkSettings {
        uplink: settings.uplink,
        chains: chains.collect::<Result<_, EngineError>>()?,
        file: settings.data_dir.join("uplink.json"),
        warm_up_bytes_per_hour: settings.warm_up_bytes_per_hour,
    })
}

pub(super) fn roster_settings(
    chain_index: u8,
    told: &ChainSettings,
    atlas: &Arc<Atlas>,
) -> RosterSettings {
    RosterSettings {
        chain_index,
        chain: told.chain,
        node_p2p: told.node_p2p.filter(|_| told.broadcast),
        fixed: if told.broadcast { told.fixed.clone() } else { Vec::new() },
        max: if told.broadcast { told.max } else { 0 },
        min: if told.broadcast { told.min } else { 0 },
        refresh: told.refresh,
        bootstrap: told.bootstrap && told.broadcast,
        discover: told.discover && told.broadcast,
        scouts: if told.broadcast { told.scouts } else { 0 },
        relay: told.relay,
        selection: told.selection,
        atlas: Arc::clone(atlas),
        regions: told.regions.clone(),
        database: told.database.clone(),
        user_agent: format!("/broadside:{}/", env!("CARGO_PKG_VERSION")),
        proxy: told.proxy.clone(),
    }
}
