//! `bench node`: one `submitblock` to a node that relays, which is what a pool does today, against the
//! engine connected to all of the same nodes.
//!
//! Ten real nodes on regtest stand in a line, each connected to the one before it, a way of
//! [`DELAY`] between any two; the engine has the same way to each. Both get a block in turn, and the
//! nodes themselves tell when it is their tip.

mod daemon;
mod delay;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use self::daemon::{Daemon, program_name};
use self::delay::Delays;
use super::BenchError;
use super::child::{Line, Setup};
use super::client::{self, Door};
use super::ensemble::{difference, shuffled};
use super::fanout::{HALF, SHARES};
use super::figure::Unit;
use super::folder::Folder;
use super::plan::{RUNS, Site, case_name};
use super::program::Program;
use super::progress::Progress;
use super::report::{Case, Goal, Measured};
use super::subject::{Subject, Variant};
use crate::limits::BENCH_DEADLINE_MS;
use crate::sim::blocks::{BlockMaker, MadeBlock};
use crate::sim::dice::Dice;
use crate::sys::clock::now_ns;
use crate::wire::chain;
use crate::wire::hash::BlockHash;

/// Nodes.
pub const NODES: usize = 10;
/// How long a byte is on its way between two of them, and from the engine to any.
pub const DELAY: Duration = Duration::from_millis(50);
/// Sizes of blocks when nothing is said, in bytes. Nothing but a coinbase is in them, as nodes judge
/// what they are given; it can't be longer than this, because nothing of it is witness.
pub const SIZES: [u32; 2] = [20_000, 990_000];
/// What a pool does today.
pub const RELAY: &str = "node-relay";
/// How much sooner half of the nodes are to have it.
const GAIN: f64 = 5.0;
/// Blocks that nodes are given before anything is measured: they choose by them from whom they want
/// blocks unasked.
const WARM_BLOCKS: usize = 4;
/// How long questions have to reach the nodes, and what is under way to end, before a block.
const SETTLE: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_millis(BENCH_DEADLINE_MS);

/// The first chain whose node is installed here, or the first of all.
#[must_use]
pub fn usual_chain() -> &'static str {
    let names = chain::names();
    let is_here = |name: &&&str| daemon::version(&program_name(name)).is_ok();
    names.iter().find(is_here).copied().unwrap_or(names[0])
}

/// Measures blocks of `sizes` (bytes), `runs` counted runs each; where empty or none, the usual ones.
///
/// # Errors
/// [`BenchError::Lacking`] without the chain's node program; see [`BenchError`].
pub fn run(
    site: &Site,
    sizes: &[u32],
    runs: Option<usize>,
    now: u32,
) -> Result<(Vec<Case>, Vec<Goal>), BenchError> {
    let began = Instant::now();
    let sizes = if sizes.is_empty() { &SIZES[..] } else { sizes };
    let runs = runs.unwrap_or(RUNS);
    let net = Net::start(site)?;
    let mut maker = BlockMaker::new(site.chain, site.seed, now);
    let mut next = |bytes| {
        // Each block as of now: a node whose tip is old asks for blocks before it takes them.
        maker = maker.clone().at(now + began.elapsed().as_secs() as u32);
        maker.next_coinbase_only(bytes)
    };
    for at in 0..WARM_BLOCKS {
        net.send(at % 2 == 1, &next(SIZES[0])?)?;
    }
    let mut progress = Progress::start((sizes.len() * runs * 2) as u64, "runs");
    let (mut cases, mut goals) = (Vec::new(), Vec::new());
    let mut dice = Dice::new(site.seed);
    for bytes in sizes {
        let relay = format!("submitblock to the first of a line of nodes ({})", net.version);
        let engine = Subject::Product(Variant::Wait);
        let mut programs = [
            Measured::new(RELAY, false, &relay),
            Measured::new(engine.name(), true, "the engine, connected to all of them"),
        ];
        for _ in 0..runs {
            for at in shuffled(programs.len(), &mut dice) {
                let block = next(*bytes)?;
                let times_ns = net.send(at == 1, &block)?;
                for (name, share) in SHARES {
                    let nth = (times_ns.len() * share).div_ceil(100).max(1) - 1;
                    programs[at].add(name, Unit::Ns, times_ns.get(nth).copied().unwrap_or(0));
                }
                progress.step();
            }
        }
        let name = format!("{}, {} ms apart", case_name(NODES, *bytes), DELAY.as_millis());
        goals.extend(judge(&name, &programs));
        let cores = site.cores.len();
        let notes = vec![
            format!("engine: {}", net.engine.facts()),
            format!(
                "by relay the nodes check a block one after the other, from the engine all at the \
                 same time, on {cores} cores that they share: what a large one takes is mostly that"
            ),
        ];
        cases.push(Case { name, peers: NODES, bytes: *bytes, programs: programs.into(), notes });
    }
    Ok((cases, goals))
}

fn judge(case: &str, programs: &[Measured; 2]) -> Vec<Goal> {
    let [relay, engine] = programs;
    let median = |told: &Measured, figure| told.spread(figure).map(|it| it.median as f64);
    let one = |figure| {
        let gain = median(relay, figure)? / median(engine, figure)?.max(1.0);
        let text = format!("{case}: gain at {figure} against {RELAY}");
        Some((text, gain))
    };
    let goal = |(text, figure): (String, f64)| Goal {
        goal: "Node".to_owned(),
        text,
        figure,
        bound: format!(">= {GAIN}"),
        reached: figure >= GAIN,
    };
    [HALF].into_iter().filter_map(one).map(goal).collect()
}

/// The nodes, what is between them, and the engine.
struct Net {
    /// Dropped first: it sends to the others.
    engine: Program,
    nodes: Vec<Daemon>,
    version: String,
    _delays: Delays,
    _folder: Folder,
}

impl Net {
    fn start(site: &Site) -> Result<Self, BenchError> {
        let version = daemon::version(&program_name(site.chain.name))?;
        let folder = Folder::make()?;
        let delays = Delays::start(DELAY)?;
        let mut nodes = Vec::new();
        for at in 0..NODES {
            let own = folder.path().join(at.to_string());
            nodes.push(Daemon::start(site.chain, own)?);
        }
        for node in &mut nodes {
            node.wait_until_ready()?;
        }
        for (before, node) in nodes.iter().zip(nodes.iter().skip(1)) {
            node.connect(delays.way_to(before.p2p())?)?;
        }
        let peers: Vec<SocketAddr> =
            nodes.iter().map(|node| delays.way_to(node.p2p())).collect::<Result<_, _>>()?;
        let own = folder.path().join("engine");
        std::fs::create_dir(&own)?;
        let setup = Setup {
            subject: Subject::Product(Variant::Wait).name().to_owned(),
            chain: site.chain.name.to_owned(),
            peers,
            folder: own,
            cores: site.cores.clone(),
            shard_cores: site.shard_cores.clone(),
            rest_cores: site.rest_cores.clone(),
            login: format!("bench:{:016x}", Dice::new(site.seed).throw()),
            line: Line::None,
            node: None,
            congestion_control: None,
            first_window_packets: 0,
        };
        let mut engine = Program::start(Subject::Product(Variant::Wait), &setup)?;
        engine.connected(NODES)?;
        for (at, node) in nodes.iter().enumerate() {
            // A neighbour on either side, and the engine.
            let wanted = if at == 0 || at + 1 == NODES { 2 } else { 3 };
            node.wait_for_connections(wanted)?;
        }
        engine.pause()?;
        Ok(Self { engine, nodes, version, _delays: delays, _folder: folder })
    }

    /// Hands `block` to the engine or to the first node; times until the nodes had it, from the first
    /// byte of the submission on, in ns, soonest first.
    fn send(&self, by_engine: bool, block: &MadeBlock) -> Result<Vec<i64>, BenchError> {
        if by_engine {
            self.engine.resume()?;
        }
        let hash = BlockHash(block.hash).to_string();
        let (tell, told) = mpsc::channel();
        let sent = std::thread::scope(|scope| {
            for node in &self.nodes {
                let (tell, hash) = (tell.clone(), &hash);
                scope.spawn(move || {
                    let found = node.wait_for_tip(hash, PATIENCE).map(|()| now_ns());
                    let _ = tell.send(found);
                });
            }
            std::thread::sleep(SETTLE);
            let login;
            let door = if by_engine {
                self.engine.http()
            } else {
                let first = self.nodes.first().ok_or_else(|| BenchError::Lacking(String::new()))?;
                login = first.login()?;
                Door::Http(first.rpc(), Some(&login))
            };
            let (written, exchange) = client::hand_over(door, &block.raw)?;
            exchange.answer()?;
            Ok::<_, BenchError>(written)
        });
        drop(tell);
        let times: Result<Vec<u64>, BenchError> = told.iter().collect();
        if by_engine {
            self.engine.pause()?;
        }
        let (written, mut times) = (sent?, times?);
        times.sort_unstable();
        Ok(times.into_iter().map(|at| difference(Some(at), written.first_byte_ns)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gain_at_half_is_judged() {
        let told = |name: &str, half| {
            let mut told = Measured::new(name, false, "");
            told.add(HALF, Unit::Ns, half);
            told
        };
        let goals = judge("a case", &[told(RELAY, 400), told("broadside", 80)]);
        assert!(goals.len() == 1 && goals[0].reached && goals[0].bound == ">= 5", "{goals:?}");
        let goals = judge("a case", &[told(RELAY, 399), told("broadside", 80)]);
        assert!(!goals[0].reached);
    }
}
