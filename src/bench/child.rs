//! The inside of a process under test: one program, asked over standard input, answering on
//! standard output, one JSON value a line.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::BenchError;
use super::baseline;
use super::host::CONGESTION_CONTROL;
use super::product::Product;
use super::subject::Subject;
use crate::limits::BENCH_DEADLINE_MS;
use crate::sys::bpf::{DeliverySettings, DeliveryWatch};
use crate::sys::socket::prefer_congestion_control;
use crate::sys::{cpu, process};
use crate::wire::chain::{Chain, Network, find};

const PATIENCE: Duration = Duration::from_millis(BENCH_DEADLINE_MS);
/// How often a start looks whether every peer is connected.
const MOMENT: Duration = Duration::from_millis(2);

/// What a child is told first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Which program.
    pub subject: String,
    /// Name of the chain, whose regtest network is used.
    pub chain: String,
    /// The sinks.
    pub peers: Vec<SocketAddr>,
    /// A folder of its own.
    pub folder: PathBuf,
    /// The cores of the whole process: its parent may be pinned.
    pub cores: Vec<usize>,
    /// The engine's shards run on these cores,
    pub shard_cores: Vec<usize>,
    /// and everything else of it on these; anywhere where there are none.
    pub rest_cores: Vec<usize>,
    /// `user:password` of the engine's intake.
    pub login: String,
    /// The line that all peers are behind.
    #[serde(default)]
    pub line: Line,
    /// The RPC of the engine's own node, without a password.
    #[serde(default)]
    pub node: Option<String>,
    /// What its sockets ask for; none: what those of all benches do.
    #[serde(default)]
    pub congestion_control: Option<String>,
    /// First congestion window of its connections, set by BPF, in packets; 0: the kernel's own.
    #[serde(default)]
    pub first_window_packets: u32,
}

/// What a program is told about the line that all its peers are behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// There is none.
    #[default]
    None,
    /// There is one, of a rate that it has to find out.
    Unknown,
    /// Its rate, in bits/s.
    BitsPerS(u64),
}

impl Line {
    /// Its rate in bits/s; 0 where it is not known.
    #[must_use]
    pub const fn bits_per_s(self) -> u64 {
        match self {
            Self::BitsPerS(bits) => bits,
            Self::None | Self::Unknown => 0,
        }
    }
}

/// What a child is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Whether at least so many peers are connected, after waiting for it.
    Connected(usize),
    /// The times of the block with this hash (wire order), when all its offers have ended.
    Times([u8; 32]),
    /// To hand itself a block of so many bytes by the library.
    Library(u32),
    /// To count, from now on, the kernel entries until the next block of so many bytes is queued to
    /// so many peers. Answered when it begins to look.
    Watch(u32, usize),
    /// What that has found.
    Entries,
    /// What the engine knows of the line.
    Uplink,
}

/// What an engine knows of the line that all peers are behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UplinkTold {
    /// Its word for it.
    pub state: String,
    /// The rate that it goes by, in bits/s.
    pub bits_per_s: Option<u64>,
    /// A measurement has ended, whatever it found.
    pub measured: bool,
    /// Connections that are served among the warm,
    pub warm_peers: usize,
    /// and those whose windows let a block through in one go.
    pub full_window_peers: usize,
    /// Warm-ups under way.
    pub warming: usize,
}

/// What a child answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// It has started.
    Ready(Doors),
    /// Peers connected.
    Connected(usize),
    /// Times of a block.
    Times(Times),
    /// It looks.
    Watching,
    /// Kernel entries; none where it was not seen.
    Entries(Option<u64>),
    /// The line.
    Uplink(UplinkTold),
    /// It can't.
    Failed(String),
}

/// Where a program takes blocks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Doors {
    /// JSON-RPC.
    pub http: SocketAddr,
    /// The Unix socket.
    pub unix: Option<PathBuf>,
    /// Statistics and the dashboard.
    pub pages: Option<SocketAddr>,
    /// How it came up, for people.
    pub facts: String,
}

/// Stages of one block, CLOCK_MONOTONIC in ns.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Times {
    /// The intake had read its last byte.
    pub last_byte_ns: u64,
    /// The shards were told.
    pub published_ns: u64,
    /// The first send was queued.
    pub submitted_ns: u64,
}

enum Running {
    Product(Box<Product>),
    Baseline(Box<dyn baseline::Program>),
}

/// Runs the program that the first line of `input` names, until `input` ends.
///
/// # Errors
/// The first line is no setup, or the output is gone. What the program itself can't do is answered.
pub fn run(input: &mut impl BufRead, output: &mut impl Write) -> Result<(), BenchError> {
    process::end_with_parent();
    cpu::raise_open_files();
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut setup: Setup = serde_json::from_str(&line).map_err(std::io::Error::from)?;
    // Once for the whole process, so that it may as well stay.
    let wanted = setup.congestion_control.take().map(|name| &*name.leak());
    prefer_congestion_control(wanted.unwrap_or(CONGESTION_CONTROL));
    cpu::keep_on(&setup.cores);
    // The window lasts as long as this does.
    let started = first_window(&setup).and_then(|it| Ok((it, Running::start(&setup)?)));
    let (_first_window, mut running) = match started {
        Ok(running) => running,
        Err(error) => return say(output, &Answer::Failed(error.to_string())),
    };
    say(output, &Answer::Ready(running.doors()))?;
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            running.stop();
            return Ok(());
        }
        let ask: Ask = serde_json::from_str(&line).map_err(std::io::Error::from)?;
        say(output, &running.answer(&ask))?;
    }
}

/// Opens the first window of connections that this process makes, where that is wanted.
fn first_window(setup: &Setup) -> Result<Option<DeliveryWatch>, BenchError> {
    let settings = match setup.first_window_packets {
        0 => return Ok(None),
        packets => DeliverySettings { initial_window_packets: packets, window_only: true },
    };
    let watch = DeliveryWatch::start(settings);
    watch.map(Some).map_err(|error| BenchError::Lacking(error.to_string()))
}

fn say(output: &mut impl Write, answer: &Answer) -> Result<(), BenchError> {
    let mut line = serde_json::to_vec(answer).map_err(std::io::Error::from)?;
    line.push(b'\n');
    output.write_all(&line)?;
    Ok(output.flush()?)
}

impl Running {
    fn start(setup: &Setup) -> Result<Self, BenchError> {
        let missing = |what: &str| BenchError::Lacking(format!("there is no {what}"));
        let chain: &'static Chain =
            find(&setup.chain, Network::Regtest).ok_or_else(|| missing(&setup.chain))?;
        match Subject::find(&setup.subject).ok_or_else(|| missing(&setup.subject))? {
            Subject::Product(variant) => {
                Ok(Self::Product(Box::new(Product::start(variant, chain, setup)?)))
            }
            Subject::Baseline(kind) => {
                let rate = setup.line.bits_per_s();
                Ok(Self::Baseline(baseline::start(kind, chain, &setup.peers, rate)?))
            }
        }
    }

    fn doors(&self) -> Doors {
        match self {
            Self::Product(product) => product.doors().clone(),
            Self::Baseline(program) => {
                let (unix, pages) = (None, None);
                Doors { http: program.intake(), unix, pages, facts: String::new() }
            }
        }
    }

    fn connected(&self) -> usize {
        match self {
            Self::Product(product) => product.connected(),
            Self::Baseline(program) => program.connected(),
        }
    }

    fn answer(&mut self, ask: &Ask) -> Answer {
        match (self, ask) {
            (running, Ask::Connected(count)) => {
                let end = Instant::now() + PATIENCE;
                while running.connected() < *count && Instant::now() < end {
                    std::thread::sleep(MOMENT);
                }
                Answer::Connected(running.connected())
            }
            (Self::Product(product), ask) => product.answer(ask),
            (Self::Baseline(_), _) => Answer::Failed("only the engine tells that".to_owned()),
        }
    }

    fn stop(self) {
        match self {
            Self::Product(product) => product.stop(),
            Self::Baseline(program) => program.stop(),
        }
    }
}
