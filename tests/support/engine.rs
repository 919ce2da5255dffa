//! The whole engine in this process, with simulated peers over real TCP.

use std::net::SocketAddr;
use std::time::Duration;

use broadside::cold::alert::delivery::AlertSettings;
use broadside::cold::cover::Selection;
use broadside::cold::template::TemplateMode;
use broadside::cold::uplink::{UplinkSetting, Warm};
use broadside::edge::engine::{ChainSettings, Engine, EngineSettings};
use broadside::edge::trace::TraceSettings;
use broadside::hot::governor::order::OrderOfService;
use broadside::hot::route::ZeroCopy;
use broadside::hot::shard::Idle;
use broadside::hot::spawn::Backend;
use broadside::limits::WARM_UP_BYTES_PER_HOUR;
use broadside::sim::blocks::{BlockMaker, MadeBlock};
use broadside::sim::loopback::{Fault, Keep, Loopback, LoopbackSettings};
use broadside::wire::chain::{Chain, Network, find};
use tempfile::TempDir;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The row of all these tests.
pub fn chain() -> &'static Chain {
    find("litecoin", Network::Regtest).unwrap()
}

/// Makes the same blocks in every test.
pub fn maker() -> BlockMaker {
    maker_of(chain())
}

/// The same on another chain.
pub fn maker_of(chain: &'static Chain) -> BlockMaker {
    BlockMaker::new(chain, 7, 1_700_000_000)
}

/// Simulated peers.
pub fn peers(faults: Vec<Fault>, count: usize, keep: Keep) -> Loopback {
    let settings = LoopbackSettings { chain: chain(), peers: count, faults, keep, seed: 3 };
    // Its runtime can't be made inside the test's own.
    std::thread::spawn(|| Loopback::start(settings).unwrap()).join().unwrap()
}

/// An engine with these peers and nothing else.
pub fn settings(folder: &TempDir, backend: Backend, loopback: &Loopback) -> EngineSettings {
    settings_at(folder, backend, loopback.addresses().to_vec())
}

/// The same with peers that listen there.
pub fn settings_at(folder: &TempDir, backend: Backend, fixed: Vec<SocketAddr>) -> EngineSettings {
    EngineSettings {
        cores: Vec::new(),
        backend,
        idle: Idle::Sleep,
        zero_copy: ZeroCopy::Auto,
        order: OrderOfService::default(),
        uplink: UplinkSetting::Auto,
        warm_up_bytes_per_hour: WARM_UP_BYTES_PER_HOUR,
        asn_db: None,
        history: None,
        data_dir: folder.path().to_owned(),
        rpc: None,
        unix: None,
        http: None,
        http_login: None,
        chains: vec![ChainSettings {
            chain: chain(),
            node: None,
            node_p2p: None,
            submit: Vec::new(),
            template: TemplateMode::Auto,
            broadcast: true,
            max: fixed.len() as u32,
            min: 1,
            refresh: Duration::from_millis(200),
            bootstrap: false,
            discover: false,
            scouts: 0,
            fixed,
            relay: broadside::hot::link::Relay::CompactAndFull,
            selection: Selection::Measured,
            regions: Vec::new(),
            database: folder.path().join("peers.json"),
            warm: Warm::Auto,
            locks: true,
            proxy: None,
        }],
        answer_deadline: PATIENCE,
        alerts: AlertSettings::default(),
        trace: TraceSettings::default(),
    }
}

/// Waits until so many peers are connected.
pub async fn connected(engine: &Engine, count: u32) {
    let mut view = engine.rosters()[0].view.clone();
    let reached = view.wait_for(|view| view.connected == count);
    tokio::time::timeout(PATIENCE, reached).await.expect("in time").expect("a roster");
}

/// Hands in a block, which goes to the peers.
pub async fn submit(engine: &Engine, block: &MadeBlock) {
    let answer = engine.submit(0, block.raw.clone().into()).await;
    assert!(answer.published.is_some(), "{answer:?}");
}
