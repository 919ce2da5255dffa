//! `broadside demo`: the engine at work, with nothing to set up.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::{Failure, Outcome, run};
use crate::bench::folder::Folder;
use crate::bench::progress::Progress;
use crate::bench::table::Deliveries;
use crate::cold::alert::delivery::AlertSettings;
use crate::cold::cover::Selection;
use crate::cold::template::TemplateMode;
use crate::cold::uplink::{UplinkSetting, Warm};
use crate::edge::engine::{ChainSettings, Engine, EngineSettings, RpcLogin};
use crate::edge::intake::desk::ANSWER_DEADLINE;
use crate::edge::trace::TraceSettings;
use crate::hot::governor::order::OrderOfService;
use crate::hot::route::ZeroCopy;
use crate::hot::shard::Idle;
use crate::hot::spawn::Backend;
use crate::limits::{
    BLOCK_BYTES_MAX, DEMO_BLOCKS_MAX, DEMO_DEADLINE_MS, PEERS_PER_SHARD_MAX, WARM_UP_BYTES_PER_HOUR,
};
use crate::sim::blocks::{BlockMaker, MadeBlock};
use crate::sim::loopback::{Keep, Loopback, LoopbackSettings};
use crate::sys::cpu;
use crate::topology;
use crate::wire::chain::{self, Chain, Network};
use crate::wire::hash::{BlockHash, hex};

const PATIENCE: Duration = Duration::from_millis(DEMO_DEADLINE_MS);
/// Seed of the peers and the blocks.
const SEED: u64 = 1;

/// Options of `demo`.
#[derive(Args, Debug)]
pub struct Options {
    /// Simulated peers
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PEERS_PER_SHARD_MAX)))]
    peers: u32,
    /// Blocks to send, one after the other
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(DEMO_BLOCKS_MAX)))]
    blocks: u32,
    /// Size of each block, in bytes
    #[arg(long, default_value_t = 1_500_000, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1_000..=i64::from(BLOCK_BYTES_MAX)))]
    size: u32,
    /// Whose regtest network to simulate
    #[arg(long, value_name = "NAME", default_value = chain::names()[0], value_parser = chain::names().to_vec())]
    chain: String,
}

/// Runs the demonstration; `out` is standard output.
///
/// # Errors
/// The engine or the simulated peers can't start, or the intake breaks.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Failure> {
    run::start_log("error");
    let chain = chain::find(&options.chain, Network::Regtest)
        .ok_or_else(|| Failure(format!("{} has no regtest network", options.chain)))?;
    let folder = Folder::make()?;
    let peers = options.peers as usize;
    let settings =
        LoopbackSettings { chain, peers, faults: Vec::new(), keep: Keep::Nothing, seed: SEED };
    let loopback = Loopback::start(settings)?;
    let plan = topology::plan(&cpu::available(), &topology::Cores::Auto)?;
    let settings = engine_settings(chain, folder.path(), &loopback, plan.shards);
    let runtime = run::runtime(plan.rest)?;
    let engine = runtime.block_on(Engine::start(settings))?;
    let demo = Demo { options, chain, folder: folder.path(), loopback, engine, runtime };
    let result = demo.connect().and_then(|()| demo.send(out));
    demo.runtime.block_on(demo.engine.stop());
    result
}

struct Demo<'a> {
    options: &'a Options,
    chain: &'static Chain,
    folder: &'a Path,
    loopback: Loopback,
    engine: Engine,
    runtime: tokio::runtime::Runtime,
}

impl Demo<'_> {
    /// Waits until every peer is at a shard.
    fn connect(&self) -> Result<(), Failure> {
        let wanted = self.options.peers;
        let mut view = self.engine.rosters().first().map(|roster| roster.view.clone());
        let all = async {
            match view.as_mut() {
                Some(view) => view.wait_for(|view| view.connected >= wanted).await.is_ok(),
                None => false,
            }
        };
        match self.runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await }) {
            Ok(true) => Ok(()),
            _ => Err(Failure(format!("not all of the {wanted} simulated peers were connected"))),
        }
    }

    /// Sends the blocks and prints what was measured.
    fn send(&self, out: &mut impl Write) -> Result<Outcome, Failure> {
        let Options { peers, blocks, size, .. } = *self.options;
        let address = self.engine.rpc_address().map(|address| address.to_string());
        let address = address.ok_or_else(|| Failure("the intake is not open".to_owned()))?;
        let login = std::fs::read_to_string(self.folder.join(".cookie"))?;
        let mut client = Client::connect(&address, PATIENCE)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut maker = BlockMaker::new(self.chain, SEED, now.as_secs() as u32);
        let mut deliveries = Deliveries::new()?;
        let mut progress = Progress::start(blocks.into(), "blocks");
        // The first one opens the windows of every connection and is not counted.
        for number in 0..=blocks {
            let block = maker.next(size)?;
            let start_ns = submit(&mut client, login.trim(), &block)?;
            let arrivals = self.loopback.wait_for(block.hash, peers as usize, PATIENCE);
            if number > 0 {
                deliveries.add(start_ns, &arrivals.times_ns(), peers as usize)?;
                self.receipts(&block, start_ns, &mut deliveries)?;
                progress.step();
            }
        }
        drop(progress);
        writeln!(out, "{}", self.headline())?;
        writeln!(out, "\n{}", deliveries.table())?;
        writeln!(out, "every delivery, from the block's last byte in:\n{}", deliveries.bars())?;
        if deliveries.short() > 0 {
            writeln!(out, "{} blocks did not reach every peer", deliveries.short())?;
            return Ok(Outcome::No);
        }
        writeln!(out, "all {blocks} blocks reached all {peers} peers")?;
        Ok(Outcome::Done)
    }

    /// Adds the receipts of one block, when the engine has them all.
    fn receipts(
        &self,
        block: &MadeBlock,
        start_ns: u64,
        deliveries: &mut Deliveries,
    ) -> Result<(), Failure> {
        let log = self.engine.log();
        let Some(record) = log.find(0, &BlockHash(block.hash)) else {
            return Ok(());
        };
        let _ = self.runtime.block_on(log.settled(record.image, PATIENCE));
        let rows = log.record(record.image).map(|record| record.rows).unwrap_or_default();
        for row in rows.values().filter(|row| row.handled_ns > 0) {
            deliveries.add_receipt(row.handled_ns.saturating_sub(start_ns))?;
        }
        Ok(())
    }

    fn headline(&self) -> String {
        let Options { peers, blocks, size, .. } = *self.options;
        let facts = self.engine.facts();
        let backend = match facts.shards.first() {
            Some(shard) if shard.uring => "io_uring",
            _ => "epoll",
        };
        format!(
            "{blocks} blocks of {size} bytes to {peers} peers on loopback; {} shard on {backend}, \
             {} cores, shared with the peers",
            facts.shards.len(),
            cpu::available().len(),
        )
    }
}

/// Hands one block over as a pool does; when its last byte was written.
fn submit(client: &mut Client, login: &str, block: &MadeBlock) -> Result<u64, Failure> {
    let hex = hex(&block.raw);
    let body = format!(
        "{{\"jsonrpc\":\"1.0\",\"id\":{},\"method\":\"submitblock\",\"params\":[\"{hex}\"]}}",
        block.height
    );
    let answer = client.exchange("POST", "/", Some(login), body.as_bytes())?;
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status != 200 || !value["result"].is_null() || !value["error"].is_null() {
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        return Err(Failure(format!("the intake answers {}: {said}", answer.status)));
    }
    Ok(answer.last_byte_ns)
}

fn engine_settings(
    chain: &'static Chain,
    folder: &Path,
    loopback: &Loopback,
    cores: Vec<usize>,
) -> EngineSettings {
    let count = loopback.addresses().len() as u32;
    EngineSettings {
        cores,
        backend: Backend::Auto,
        idle: Idle::Sleep,
        zero_copy: ZeroCopy::Auto,
        order: OrderOfService::default(),
        uplink: UplinkSetting::Auto,
        warm_up_bytes_per_hour: WARM_UP_BYTES_PER_HOUR,
        asn_db: None,
        history: None,
        data_dir: folder.to_owned(),
        rpc: Some(("127.0.0.1:0".to_owned(), RpcLogin::Cookie)),
        unix: None,
        http: None,
        http_login: None,
        chains: vec![ChainSettings {
            chain,
            node: None,
            node_p2p: None,
            submit: Vec::new(),
            template: TemplateMode::Auto,
            broadcast: true,
            max: count,
            min: 1,
            refresh: Duration::from_secs(1),
            bootstrap: false,
            discover: false,
            scouts: 0,
            fixed: loopback.addresses().to_vec(),
            relay: crate::hot::link::Relay::Full,
            selection: Selection::Measured,
            regions: Vec::new(),
            database: folder.join("peers.json"),
            warm: Warm::Auto,
            locks: true,
            proxy: None,
        }],
        answer_deadline: ANSWER_DEADLINE,
        alerts: AlertSettings::default(),
        trace: TraceSettings::default(),
    }
}
