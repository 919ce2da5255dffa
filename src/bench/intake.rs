//! `bench intake`: from the last byte of the hand-over to the first submission, each way in.

use super::BenchError;
use super::child::Times;
use super::ensemble::{Cast, Ensemble, deliver, difference, shuffled};
use super::figure::Unit;
use super::plan::{self, Site, case_name};
use super::program::Program;
use super::progress::{Progress, each_case};
use super::report::{Case, Measured};
use super::sinks::Sinks;
use crate::sim::blocks::{BlockMaker, MadeBlock};
use crate::sim::dice::Dice;

/// Last byte read by the intake (in shared memory: the ring) to published.
pub const PUBLISHED: &str = "last byte in to published";
/// Last byte read by the intake (in shared memory: the ring) to the first send queued.
pub const SUBMITTED: &str = "to first submission";
/// The client's last write or ring to the first send queued.
pub const FROM_CLIENT: &str = "from t1";
/// The client's first write to the first send queued.
pub const FROM_FIRST_BYTE: &str = "from t0";

/// Name of the way through shared memory.
pub const SHARED: &str = "shared";

/// A way to hand a block over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Http,
    PacedHttp,
    Unix,
    Shared,
    Library,
}

const WAYS: [(Way, &str, &str); 5] = [
    (Way::Http, "http", "JSON-RPC as fast as it is read"),
    (Way::PacedHttp, "http at 1 Gbit/s", "JSON-RPC from a pool on a LAN"),
    (Way::Unix, "unix", "the Unix socket"),
    (Way::Shared, SHARED, "shared memory, written at 1 Gbit/s; the ring is the last byte"),
    (Way::Library, "library", "a call inside the process; whole at once"),
];

/// Measures `cases`.
///
/// # Errors
/// See [`BenchError`].
pub fn run(site: &Site, cases: &[plan::Case], now: u32) -> Result<Vec<Case>, BenchError> {
    let rounds = |case: &plan::Case| (case.runs + 1) * case.subjects.len() * WAYS.len();
    each_case(cases, "blocks", rounds, |case, progress| one(site, case, now, progress))
}

fn one(
    site: &Site,
    case: &plan::Case,
    now: u32,
    progress: &mut Progress,
) -> Result<Case, BenchError> {
    let plan::Case { peers, bytes, runs, ref subjects } = *case;
    let mut ensemble = Ensemble::start(site, Cast::plain(subjects, peers))?;
    let mut maker = BlockMaker::new(site.chain, site.seed, now);
    let mut dice = Dice::new(site.seed);
    let named = |subject: &'static str| {
        let ways = WAYS.iter();
        ways.map(move |(_, way, what)| Measured::new(&format!("{subject}, {way}"), true, what))
    };
    let mut programs: Vec<_> = subjects.iter().map(|it| it.name()).flat_map(named).collect();
    for round in 0..=runs {
        for pair in shuffled(programs.len(), &mut dice) {
            let (at, way) = (pair / WAYS.len(), pair % WAYS.len());
            ensemble.wake(at)?;
            let Some(program) = ensemble.programs.get_mut(at) else { break };
            let block = maker.next(bytes)?;
            let way = WAYS.get(way).map_or(Way::Http, |way| way.0);
            let taken = hand_over(program, &ensemble.sinks, way, &block)?;
            ensemble.rest(at)?;
            if let Some(told) = programs.get_mut(pair).filter(|_| round > 0) {
                note(told, &taken);
            }
            progress.step();
        }
    }
    Ok(Case { name: case_name(peers, bytes), peers, bytes, programs, notes: Vec::new() })
}

/// Stages of one block, and the client's own times where it was another process.
struct Taken {
    times: Times,
    client_ns: Option<(u64, u64)>,
}

fn hand_over(
    program: &mut Program,
    sinks: &Sinks,
    way: Way,
    block: &MadeBlock,
) -> Result<Taken, BenchError> {
    let door = match way {
        Way::Library => {
            let times = program.library(block.raw.len() as u32)?;
            return Ok(Taken { times, client_ns: None });
        }
        Way::Http => program.http(),
        Way::PacedHttp => program.paced_http(),
        Way::Unix => program.unix().ok_or_else(|| program.fault("it has no Unix socket"))?,
        Way::Shared => program.shared().ok_or_else(|| program.fault("it has no Unix socket"))?,
    };
    let (written, _) = deliver(program, sinks, door, block)?;
    let client_ns = Some((written.first_byte_ns, written.last_byte_ns));
    Ok(Taken { times: program.times(block.hash)?, client_ns })
}

fn note(told: &mut Measured, taken: &Taken) {
    let Times { last_byte_ns, published_ns, submitted_ns } = taken.times;
    told.add(PUBLISHED, Unit::Ns, difference(Some(published_ns), last_byte_ns));
    told.add(SUBMITTED, Unit::Ns, difference(Some(submitted_ns), last_byte_ns));
    if let Some((first_byte_ns, last_byte_ns)) = taken.client_ns {
        told.add(FROM_CLIENT, Unit::Ns, difference(Some(submitted_ns), last_byte_ns));
        told.add(FROM_FIRST_BYTE, Unit::Ns, difference(Some(submitted_ns), first_byte_ns));
    }
}
