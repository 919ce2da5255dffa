//! One setting in a scratch network: pairs of blocks, one as it is and one as it should be.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::scene::{PAUSE_MS, Scene};
use super::sides::{SIDES, Sides};
use super::worth::{Pairs, Worth};
use crate::bench::BenchError;
use crate::bench::ensemble::shuffled;
use crate::bench::fanout::{ALL, CPU, HALF};
use crate::bench::figure::Unit;
use crate::bench::plan::{RUNS, Site};
use crate::bench::progress::Progress;
use crate::bench::wan::stage::{Stage, WARM_BLOCKS, WanRun};
use crate::bench::wan::{LATE_NS_MAX, RETRANSMITS, WORTHLESS_RATIO_MAX, WanCase, Way};
use crate::limits::FRAME_HEADER_BYTES;
use crate::sim::blocks::{BlockMaker, MadeBlock};
use crate::sim::dice::Dice;
use crate::sim::wan::Wan;
use crate::sys::cpu;

/// The engine, told the rate, without a node: nothing is warmed behind our back.
const WAY: Way = Way::GovernorCold;

/// What is measured of each block.
const FIGURES: [(&str, Unit); 4] =
    [(HALF, Unit::Ns), (ALL, Unit::Ns), (CPU, Unit::NsPerMb), (RETRANSMITS, Unit::Entries)];

/// All that it needs, inside the sender's network.
pub(super) struct Bout {
    pub(super) site: Site,
    pub(super) scene: Scene,
    pub(super) case: WanCase,
    pub(super) sides: Sides,
    pub(super) runs: usize,
    pub(super) now: u32,
    pub(super) strict: bool,
    pub(super) wan: Arc<Wan>,
}

impl Bout {
    pub(super) fn run(self) -> Result<Worth, BenchError> {
        let Self { ref site, ref case, scene, runs, .. } = self;
        let is_first = cpu::go_first();
        let mut progress = Progress::start(((runs + 1) * SIDES.len()) as u64, "runs");
        progress.say(&format!("{} against {}", self.sides.shown[0], self.sides.shown[1]));
        let mut maker = BlockMaker::new(site.chain, site.seed, self.now);
        let mut stage = Stage::start(site, case, &self.wan, &mut maker)?;
        if scene.keeps() {
            self.keep(&mut stage, &mut maker)?;
        }
        let mut dice = Dice::new(site.seed);
        let mut pairs = FIGURES.map(|(name, unit)| Pairs::new(name, unit));
        let (mut worthless, mut round) = (0, 0);
        // The first pair is not counted.
        while round <= runs {
            let block = maker.next(case.bytes)?;
            let before = maker.next(case.bytes)?;
            let mut found: [Option<WanRun>; 2] = [None, None];
            for side in shuffled(SIDES.len(), &mut dice) {
                found[side] = Some(self.one(&mut stage, side, &block, &before)?);
                progress.step();
            }
            let [Some(as_is), Some(wanted)] = found else { continue };
            // Both or neither: each is to have met the same host.
            if self.strict && as_is.late_ns.max(wanted.late_ns) > LATE_NS_MAX {
                worthless += 1;
                if worthless > WORTHLESS_RATIO_MAX * (runs + 1) {
                    let why = "packets were handed on too late too often: this host is too busy";
                    return Err(BenchError::Lacking(why.to_owned()));
                }
                continue;
            }
            if round > 0 {
                note(&mut pairs, case, &as_is, &wanted);
            }
            round += 1;
        }
        let mut notes = stage.notes();
        if !is_first {
            notes.push("not allowed to run before the host's other work (nice -20)".to_owned());
        }
        if worthless > 0 {
            notes.push(format!("{worthless} pairs were late and dropped"));
        }
        Ok(Worth {
            scene: format!("{}, {}", case.title(), scene.what()),
            shown: self.sides.shown.clone(),
            pairs: pairs.into(),
            notes,
        })
    }

    /// Starts both sides' programs and opens their windows.
    fn keep(&self, stage: &mut Stage<'_>, maker: &mut BlockMaker) -> Result<(), BenchError> {
        for side in 0..SIDES.len() {
            self.set(stage, side)?;
            stage.keep(WAY)?;
        }
        for _ in 0..WARM_BLOCKS {
            let block = maker.next(self.case.bytes)?;
            for side in 0..SIDES.len() {
                self.set(stage, side)?;
                stage.run_kept(side, &block)?;
            }
        }
        Ok(())
    }

    fn set(&self, stage: &mut Stage<'_>, side: usize) -> Result<(), BenchError> {
        self.sides.set(side, stage).map_err(|why| BenchError::Lacking(why.to_string()))
    }

    /// One block with the value of one side; `before` goes over the connections before, where that is
    /// what matters.
    fn one(
        &self,
        stage: &mut Stage<'_>,
        side: usize,
        block: &MadeBlock,
        before: &MadeBlock,
    ) -> Result<WanRun, BenchError> {
        match self.scene {
            Scene::Pause => std::thread::sleep(Duration::from_millis(PAUSE_MS)),
            Scene::AfterLoss => forget_metrics()?,
            _ => {}
        }
        self.set(stage, side)?;
        if self.scene.keeps() {
            return stage.run_kept(side, block);
        }
        if self.scene == Scene::AfterLoss {
            stage.run(WAY, before)?;
        }
        stage.run(WAY, block)
    }
}

fn note(pairs: &mut [Pairs], case: &WanCase, as_is: &WanRun, wanted: &WanRun) {
    let sent_bytes = (case.peers as u64 * u64::from(case.bytes + FRAME_HEADER_BYTES)).max(1);
    for told in pairs {
        let of = |run: &WanRun| match told.name {
            HALF => run.share_ns(50),
            ALL => run.share_ns(100),
            CPU => (u128::from(run.cpu_ns) * 1_000_000 / u128::from(sent_bytes)) as i64,
            _ => run.retransmits.cast_signed(),
        };
        told.add(of(as_is), of(wanted));
    }
}

/// Has the kernel forget what it has learnt of the peers of the calling thread's network.
fn forget_metrics() -> Result<(), BenchError> {
    let mut command = Command::new("ip");
    command.args(["tcp_metrics", "flush", "all"]).stdin(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(BenchError::Lacking(
            "what the kernel has learnt of peers can't be made forgotten (ip tcp_metrics flush): install \
             iproute2"
                .to_owned(),
        )),
    }
}

/// Fewer pairs than the usual can't say much.
const _: () = assert!(RUNS >= super::worth::PAIRS_MIN);
