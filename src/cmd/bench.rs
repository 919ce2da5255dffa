//! `broadside bench`: latency against named baselines.

use std::io::{Write, stdin};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;

use super::tune::usual_record;
use super::{ConfigArgs, Failure, Outcome};
use crate::bench::baseline::Kind;
use crate::bench::compare::compare;
use crate::bench::host::Host;
use crate::bench::plan::{Bench, IDLE_S, RUNS, Site, Wishes};
use crate::bench::report::{Report, SCHEMA};
use crate::bench::subject::{Subject, Variant};
use crate::bench::tune::{self, TuneWishes, worth};
use crate::bench::wan::{self, WanWishes, Way};
use crate::bench::{child, fanout, goals, idle, intake, network, node, page, plot, print, stall};
use crate::limits::{
    BENCH_IDLE_S_MAX, BENCH_PEERS_MAX, BENCH_RUNS_MAX, BLOCK_BYTES_MAX, NETWORK_SEEDS_MAX,
};
use crate::sys::cpu;
use crate::topology;
use crate::wire::chain::{self, Network};

/// Options of `bench`.
#[derive(Args, Debug)]
pub struct Options {
    /// Which bench, `list` to see them all, or `compare` to hold two results against each other
    name: String,
    /// The two result files of `compare`, the older one first
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Peers, one number or several [default: the bench's own cases]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=i64::from(BENCH_PEERS_MAX)))]
    peers: Vec<u32>,
    /// Size of each block in bytes, one number or several [default: the bench's own cases]
    #[arg(long, value_name = "BYTES", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1_000..=i64::from(BLOCK_BYTES_MAX)))]
    size: Vec<u32>,
    #[arg(long, value_name = "N", help = format!("Counted runs of each program [default: {RUNS}]"), value_parser = clap::value_parser!(u32).range(1..=i64::from(BENCH_RUNS_MAX)))]
    runs: Option<u32>,
    /// A baseline to hold the engine against; can be given several times [default: all in `fanout`,
    /// none elsewhere; `intake` takes none]
    #[arg(long, value_name = "NAME")]
    baseline: Vec<String>,
    /// A variant of the engine (`bench list` names them); can be given several times [default: wait,
    /// and spin in `intake` and `fanout`]
    #[arg(long, value_name = "NAME")]
    engine: Vec<String>,
    /// A case of `wan`, by its goal (W1 to W10); can be given several times [default: all]
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
    /// A way to send of `wan` (`bench list` names them), beside the one that all are held against; can
    /// be given several times [default: the case's own]
    #[arg(long, value_name = "NAME")]
    way: Vec<String>,
    /// Length of a pause of `idle`, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = IDLE_S, value_parser = clap::value_parser!(u32).range(1..=i64::from(BENCH_IDLE_S_MAX)))]
    idle: u32,
    /// A setting of `tune`, or a group of them (`tune check` shows them); can be given several times
    /// [default: all]
    #[arg(long, value_name = "SETTING")]
    only: Vec<String>,
    /// Have `tune` also try settings of the whole host, one at a time: recorded as `tune apply` does it, put
    /// back behind each. As root
    #[arg(long)]
    host: bool,
    /// Where `tune --host` records what it changes; if it is killed, `tune undo` puts that back [default:
    /// tuning.json in engine.data_dir]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// As little as shows that it works: its figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Write the result, raw samples and all, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the result into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    #[arg(long, value_name = "N", help = format!("Made-up networks of each kind in `network`, from --seed on [default: {}]", network::SEEDS), value_parser = clap::value_parser!(u32).range(1..=i64::from(NETWORK_SEEDS_MAX)))]
    seeds: Option<u32>,
    /// Seed of blocks and of the order of runs; in `network` of the first network
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[arg(long, value_name = "NAME", help = format!("Whose regtest network to use [default: {}; in `node` the first whose node is installed]", chain::names()[0]), value_parser = chain::names().to_vec())]
    chain: Option<String>,
}

/// Runs a bench, lists them, or compares two results; `out` is standard output.
///
/// # Errors
/// There is no such bench or baseline, this host lacks what it takes, or a program under test fails.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Failure> {
    let bench = match (options.name.as_str(), options.files.as_slice()) {
        ("list", []) => {
            write!(out, "{}", list())?;
            return Ok(Outcome::Done);
        }
        ("compare", [old, new]) => {
            let comparison = compare(&Report::read(old)?, &Report::read(new)?);
            if comparison.common == 0 {
                return Err(Failure("the two results have no case in common".to_owned()));
            }
            write!(out, "{}", comparison.text)?;
            writeln!(out, "{} figures of the engine are worse in B", comparison.worse)?;
            return Ok(if comparison.worse == 0 { Outcome::Done } else { Outcome::No });
        }
        ("compare", _) => {
            return Err(Failure("compare takes two files: bench compare A.json B.json".to_owned()));
        }
        ("network", []) => return model(options, out),
        ("tune", []) => return tune(options, out),
        (name, []) => Bench::find(name)
            .ok_or_else(|| Failure(format!("there is no bench {name:?}\n\n{}", list())))?,
        (name, _) => return Err(Failure(format!("bench {name} takes no files"))),
    };
    if options.seeds.is_some() {
        return Err(Failure("--seeds is an option of bench network alone".to_owned()));
    }
    if cfg!(debug_assertions) {
        eprintln!("a debug build: its figures mean nothing; build with --release");
    }
    if !options.only.is_empty() || options.host {
        return Err(Failure("--only and --host are options of bench tune alone".to_owned()));
    }
    let report = measure(options, bench)?;
    write!(out, "{}", print::report(&report))?;
    if let Some(path) = &options.json {
        report.write(path)?;
    }
    if let Some(path) = &options.plot {
        plot::write(&report, path)?;
    }
    Ok(Outcome::Done)
}

/// `bench network`: made-up networks in place of programs.
fn model(options: &Options, out: &mut impl Write) -> Result<Outcome, Failure> {
    let is_said = [&options.peers, &options.size].iter().any(|list| !list.is_empty())
        || [&options.baseline, &options.engine].iter().any(|list| !list.is_empty())
        || options.runs.is_some();
    if is_said {
        let why =
            "bench network takes --seeds, --seed, --quick, --json and --plot: it sends nothing";
        return Err(Failure(why.to_owned()));
    }
    let report = network::run(options.seed, options.seeds, options.quick);
    write!(out, "{}", report.text())?;
    if let Some(path) = &options.json {
        report.write(path)?;
    }
    if let Some(path) = &options.plot {
        network::write_plot(&report, path)?;
    }
    Ok(Outcome::Done)
}

/// `bench tune`: what each setting is worth.
fn tune(options: &Options, out: &mut impl Write) -> Result<Outcome, Failure> {
    if cfg!(debug_assertions) {
        eprintln!("a debug build: its figures mean nothing; build with --release");
    }
    let name = options.chain.as_deref().unwrap_or(chain::names()[0]);
    let site = site(options, name)?;
    let host = Host::look(&site.shard_cores, site.sink_core);
    let record = match &options.record {
        Some(file) => file.clone(),
        None => usual_record(&options.config)?,
    };
    let wishes = TuneWishes {
        only: options.only.clone(),
        host: options.host,
        record,
        runs: options.runs.map(|runs| runs as usize),
        quick: options.quick,
    };
    let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut head = format!("tune: {}\n", host.line());
    let told = tune::run(&site, &wishes, unix_s as u32, &mut |unit| {
        write!(out, "{}{}", std::mem::take(&mut head), unit.text())?;
        out.flush()
    })?;
    if let Some(path) = &options.json {
        let text = format!("{:#}\n", worth::json(&host, site.seed, unix_s, &told));
        std::fs::write(path, text)
            .map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    }
    Ok(Outcome::Done)
}

/// The process of one program under test. Hidden: `bench` starts it.
///
/// # Errors
/// Whoever started it is gone, or it was not `bench`.
pub fn run_child(out: &mut impl Write) -> Result<Outcome, Failure> {
    child::run(&mut stdin().lock(), out)?;
    Ok(Outcome::Done)
}

fn measure(options: &Options, bench: Bench) -> Result<Report, Failure> {
    let cases = wishes(options)?.cases(bench);
    let ways = wan_wishes(options)?;
    let usual = || if bench == Bench::Node { node::usual_chain() } else { chain::names()[0] };
    let name = options.chain.as_deref().unwrap_or_else(usual);
    let site = site(options, name)?;
    let sink_core = site.sink_core;
    let host = Host::look(&site.shard_cores, sink_core);
    if bench != Bench::Wan {
        // The emulator is more than a sink: client and programs share what it leaves.
        sink_core.map(cpu::pin_to);
    }
    let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = unix_s as u32;
    let runs = options.runs.map(|runs| runs as usize).or(options.quick.then_some(1));
    let judged = |cases: Vec<_>| {
        let goals = if options.quick { Vec::new() } else { goals::judge(bench, &cases) };
        (cases, goals)
    };
    let (cases, goals) = match bench {
        Bench::Intake => intake::run(&site, &cases, now).map(judged),
        Bench::Fanout => fanout::run(&site, &cases, now).map(judged),
        Bench::Idle => idle::run(&site, &cases, now, options.idle).map(judged),
        Bench::Stall => stall::run(&site, &cases, now).map(judged),
        Bench::Wan => wan::run(&site, &ways, now),
        Bench::Node => node::run(&site, &options.size, runs, now),
        Bench::Page => page::run(&site, &cases, now).map(judged),
    }?;
    Ok(Report {
        schema: SCHEMA,
        bench: bench.name().to_owned(),
        broadside: env!("CARGO_PKG_VERSION").to_owned(),
        unix_s,
        seed: options.seed,
        host,
        cases,
        goals,
    })
}

/// Where a bench runs: the chain's own test network, the cores of this process.
fn site(options: &Options, name: &str) -> Result<Site, Failure> {
    let chain = chain::find(name, Network::Regtest)
        .ok_or_else(|| Failure(format!("{name} has no regtest network")))?;
    let available = cpu::available();
    let plan = topology::plan(&available, &topology::Cores::Auto)?;
    // Sinks and client keep off the shard's core.
    let sink_core = available.iter().copied().find(|core| !plan.shards.contains(core));
    Ok(Site {
        chain,
        cores: available,
        shard_cores: plan.shards,
        rest_cores: plan.rest,
        sink_core,
        seed: options.seed,
    })
}

fn wishes(options: &Options) -> Result<Wishes, Failure> {
    let unknown = |name: &str| Failure(format!("there is no {name:?}\n\n{}", list()));
    let baseline = |name: &String| {
        Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| unknown(name))
    };
    let engine = |name: &String| {
        Variant::ALL.into_iter().find(|it| it.word() == name).ok_or_else(|| unknown(name))
    };
    Ok(Wishes {
        peers: options.peers.iter().map(|peers| *peers as usize).collect(),
        sizes: options.size.clone(),
        runs: options.runs.map(|runs| runs as usize),
        engines: options.engine.iter().map(engine).collect::<Result<_, _>>()?,
        baselines: options.baseline.iter().map(baseline).collect::<Result<_, _>>()?,
        quick: options.quick,
    })
}

fn wan_wishes(options: &Options) -> Result<WanWishes, Failure> {
    let unknown = |name: &str| Failure(format!("there is no {name:?}\n\n{}", list()));
    let way = |name: &String| Way::find(name).ok_or_else(|| unknown(name));
    let missing = options.case.iter().find(|name| !wan::has_case(name));
    if let Some(name) = missing {
        return Err(unknown(name));
    }
    Ok(WanWishes {
        cases: options.case.clone(),
        ways: options.way.iter().map(way).collect::<Result<_, _>>()?,
        runs: options.runs.map(|runs| runs as usize),
        quick: options.quick,
    })
}

/// Every bench and every program, and what each is.
fn list() -> String {
    let mut text = "benches:\n".to_owned();
    for bench in Bench::ALL {
        text += &format!("  {:<19} {}\n", bench.name(), bench.what());
    }
    text += "  network             made-up networks: when the hash rate has a block, by whom it is pushed to\n";
    text += "  tune                what each setting of tuning/ is worth, as it is against as it should be; needs root\n";
    text += "  compare A B         two files that --json has written, side by side\n\nprograms:\n";
    for subject in Subject::all() {
        text += &format!("  {:<19} {}\n", subject.name(), subject.what());
    }
    text += "\nways of `wan`:\n";
    for way in Way::ALL {
        text += &format!("  {:<20} {}\n", way.name(), way.what());
    }
    text += "\n--baseline takes the names of the last ";
    let words = Variant::ALL.map(Variant::word).join(", ");
    text + &format!("{}; --engine takes {words}\n", Kind::ALL.len())
}
