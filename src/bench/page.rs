//! `bench page`: how long the pages take that people and programs look at, with many peers connected
//! and a full history on disk.

use std::time::Instant;

use super::BenchError;
use super::ensemble::{Cast, Ensemble};
use super::figure::Unit;
use super::past::HISTORY_BLOCKS;
use super::plan::{self, Site, case_name};
use super::progress::{Progress, each_case};
use super::report::{Case, Measured};
use super::subject::Subject;
use super::watchers::Reader;
use crate::sim::blocks::BlockMaker;
use crate::wire::hash::BlockHash;

/// What the page takes that is held to a goal.
pub const DASHBOARD: &str = "GET /";
/// Size of the history on disk.
pub const HISTORY: &str = "history on disk";
/// Size of the same page, as it comes without compression.
const DASHBOARD_BYTES: &str = "GET /, size";
const PAGES: [(&str, &str); 6] = [
    (DASHBOARD, "/"),
    ("GET /panels", "/panels"),
    ("GET /blocks?limit=100", "/blocks?limit=100"),
    ("GET /broadcaster_stats", "/broadcaster_stats"),
    ("GET /metrics", "/metrics"),
    ("GET /healthz", "/healthz"),
];
const STORY: &str = "GET /block/HASH";

/// Measures `cases`.
///
/// # Errors
/// See [`BenchError`].
pub fn run(site: &Site, cases: &[plan::Case], now: u32) -> Result<Vec<Case>, BenchError> {
    let rounds = |case: &plan::Case| (case.runs + 1) * case.subjects.len();
    each_case(cases, "blocks", rounds, |case, progress| {
        let plan::Case { peers, bytes, .. } = *case;
        let mut programs = Vec::new();
        for subject in &case.subjects {
            programs.push(one(site, case, *subject, now, progress)?);
        }
        let name = format!("{}, {HISTORY_BLOCKS} blocks of history", case_name(peers, bytes));
        Ok(Case { name, peers, bytes, programs, notes: Vec::new() })
    })
}

fn one(
    site: &Site,
    case: &plan::Case,
    subject: Subject,
    now: u32,
    progress: &mut Progress,
) -> Result<Measured, BenchError> {
    let mut ensemble = Ensemble::start(site, Cast::plain(&[subject], case.peers))?;
    let mut told = Measured::new(subject.name(), subject.is_product(), subject.what());
    let mut maker = BlockMaker::new(site.chain, site.seed, now);
    let program = ensemble.programs.first().and_then(|program| program.pages());
    let http = program.ok_or_else(|| {
        BenchError::Lacking("bench page takes --engine watched: no other has pages".to_owned())
    })?;
    let reader = Reader::new(http);
    for round in 0..=case.runs {
        // The last block's panel has all its peers, and the page is made anew.
        let block = maker.next(case.bytes)?;
        ensemble.run(0, &block)?;
        let story = (STORY, format!("/block/{}", BlockHash(block.hash)));
        let pages = PAGES.map(|(name, path)| (name, path.to_owned()));
        for (name, path) in pages.into_iter().chain([story]) {
            let begun = Instant::now();
            let page = reader.page(&path)?;
            let took_ns = begun.elapsed().as_nanos() as i64;
            if round > 0 {
                told.add(name, Unit::Ns, took_ns);
            }
            if round > 0 && name == DASHBOARD {
                told.add(DASHBOARD_BYTES, Unit::Bytes, page.len() as i64);
            }
        }
        progress.step();
    }
    if let Some(program) = ensemble.programs.first() {
        told.add(HISTORY, Unit::Bytes, program.history_bytes()?.cast_signed());
    }
    Ok(told)
}
