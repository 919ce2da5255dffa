//! Everything of one case inside the sender's network: the sinks at the far end of the line, programs
//! that stay and programs that come for one block.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::BenchError;
use super::super::child::{Setup, UplinkTold};
use super::super::client::Written;
use super::super::ensemble::{deliver, difference};
use super::super::folder::Folder;
use super::super::plan::Site;
use super::super::program::Program;
use super::super::sinks::{SinkSettings, Sinks};
use super::cases::{INITIAL_WINDOW_PACKETS, Trouble, WanCase, Way};
use super::house::House;
use crate::limits::BENCH_DEADLINE_MS;
use crate::sim::blocks::{BlockMaker, MadeBlock};
use crate::sim::dice::Dice;
use crate::sim::wan::Wan;
use crate::sys::cpu;

const PATIENCE: Duration = Duration::from_millis(BENCH_DEADLINE_MS);
/// How long a program has to wake up before a run.
const WAKE: Duration = Duration::from_millis(50);
/// How long what is still under way has to come through behind a run: receipts and acknowledgements of
/// the farthest, and what TCP sends again.
const SETTLE: Duration = Duration::from_millis(500);
/// Blocks that open the windows of connections that are to be warm: each lets them grow by its size.
pub(in crate::bench) const WARM_BLOCKS: usize = 3;
/// Size of the tip that an engine warms its connections with, at least, in bytes.
const WARM_UP_BYTES: u32 = 1_000_000;
/// How long it has to be through with that; what is not warm then stays as it is.
const WARM_PATIENCE: Duration = Duration::from_secs(30);
/// When nothing was warmed for so long, nothing more will be.
const QUIET: Duration = Duration::from_secs(6);
/// Open files of the bench itself.
const OWN_FILES: u64 = 200;

/// One block through one program.
#[derive(Clone, Debug)]
pub(in crate::bench) struct WanRun {
    written: Written,
    /// Soonest first.
    arrivals_ns: Vec<u64>,
    /// Segments that the sender's TCP sent again.
    pub(in crate::bench) retransmits: u64,
    /// Segments that found the line's queue full,
    pub(super) queue_drops: u64,
    /// and such that were lost by chance.
    pub(super) chance_drops: u64,
    /// Processor time of the program, in ns.
    pub(in crate::bench) cpu_ns: u64,
    /// How late the emulator was at most, in ns.
    pub(in crate::bench) late_ns: u64,
    /// The rate that the program has learnt, in bits/s.
    pub(super) learnt_bits_per_s: Option<u64>,
}

impl WanRun {
    /// T(k): the time from t0 at which `share` per cent of the peers have the block, in ns.
    pub(in crate::bench) fn share_ns(&self, share: usize) -> i64 {
        let at = (self.arrivals_ns.len() * share).div_ceil(100).max(1) - 1;
        difference(self.arrivals_ns.get(at).copied(), self.written.first_byte_ns)
    }
}

/// What the kernel and the emulator have counted.
#[derive(Clone, Copy, Debug)]
struct Tally {
    retransmits: u64,
    queue_drops: u64,
    chance_drops: u64,
}

/// The running case.
pub(in crate::bench) struct Stage<'a> {
    site: &'a Site,
    case: &'a WanCase,
    wan: &'a Arc<Wan>,
    /// Dropped before the sinks: whoever sends goes first.
    kept: Vec<(Way, Program)>,
    sinks: Sinks,
    /// The engine's own node.
    house: House,
    folder: Folder,
    /// Programs started so far.
    started: u64,
    facts: Vec<String>,
    /// First window by route of what is launched from now on, in packets; `None`: as its way says.
    pub(in crate::bench) first_packets: Option<u32>,
    /// Congestion control of the sockets of what is launched from now on; `None`: that of all benches.
    pub(in crate::bench) congestion_control: Option<String>,
}

impl<'a> Stage<'a> {
    /// Starts the sinks and those programs that stay, and opens their windows. Call it in the sender's network.
    pub(in crate::bench) fn start(
        site: &'a Site,
        case: &'a WanCase,
        wan: &'a Arc<Wan>,
        maker: &mut BlockMaker,
    ) -> Result<Self, BenchError> {
        let kept_ways: Vec<_> = case.ways.iter().filter(|way| !way.is_fresh()).collect();
        let tip = maker.next(case.bytes.max(WARM_UP_BYTES))?;
        let house = House::start(site.chain, &tip)?;
        let needed = case.peers as u64 * (2 * kept_ways.len() as u64 + 3) + OWN_FILES;
        let allowed = cpu::raise_open_files();
        if allowed < needed {
            return Err(BenchError::Lacking(format!(
                "{} takes {needed} open files, {allowed} are allowed: raise the limit (ulimit -n \
                 {needed}), or name fewer ways",
                case.title()
            )));
        }
        let (conducts, counted) = case.conducts().into_iter().unzip();
        let places = wan.peers(0).into_iter().map(Into::into).collect();
        let core = site.sink_core;
        let settings =
            SinkSettings { chain: site.chain, conducts, places, counted, core, seed: site.seed };
        let sinks = wan.receiver().run(move || Sinks::start(settings))??;
        let (kept, facts) = (Vec::new(), Vec::new());
        let folder = Folder::make()?;
        let (first_packets, congestion_control, started) = (None, None, 0);
        let mut stage = Self {
            site,
            case,
            wan,
            kept,
            sinks,
            house,
            folder,
            started,
            facts,
            first_packets,
            congestion_control,
        };
        stage.sinks.misbehave(case.trouble == Trouble::Stalls);
        for way in kept_ways {
            stage.keep(*way)?;
        }
        stage.warm(maker)?;
        Ok(stage)
    }

    /// Starts a program that stays, halted while it is not its turn.
    pub(in crate::bench) fn keep(&mut self, way: Way) -> Result<(), BenchError> {
        let program = self.launch(way)?;
        program.pause()?;
        self.kept.push((way, program));
        Ok(())
    }

    /// What there is to say about it, for people.
    pub(in crate::bench) fn notes(&self) -> Vec<String> {
        self.facts.clone()
    }

    /// Starts a program and waits until it is connected to all.
    fn launch(&mut self, way: Way) -> Result<Program, BenchError> {
        let by_way = if way.is_routed() { INITIAL_WINDOW_PACKETS } else { 0 };
        self.wan.set_initial_window(self.first_packets.unwrap_or(by_way))?;
        self.started += 1;
        let mut own = self.folder.path().to_owned();
        own.push(self.started.to_string());
        std::fs::create_dir(&own)?;
        let subject = way.subject();
        let setup = Setup {
            subject: subject.name().to_owned(),
            chain: self.site.chain.name.to_owned(),
            peers: self.sinks.addresses().to_vec(),
            folder: own,
            cores: self.site.cores.clone(),
            shard_cores: self.site.shard_cores.clone(),
            rest_cores: self.site.rest_cores.clone(),
            login: format!("bench:{:016x}", Dice::new(self.site.seed ^ self.started).throw()),
            line: way.line(self.case.uplink_bits_per_s),
            node: way.has_node().then(|| self.house.url().to_owned()),
            congestion_control: self.congestion_control.clone(),
            first_window_packets: if way == Way::GovernorBpf { INITIAL_WINDOW_PACKETS } else { 0 },
        };
        // Whoever else is connected is halted and connects to nobody.
        self.sinks.mark();
        let mut program = Program::start(subject, &setup)?;
        let wanted = self.case.peers;
        program.connected(wanted)?;
        let live = self.sinks.wait_for_marked(wanted, PATIENCE);
        if live < wanted {
            return Err(program.fault(format!("the sinks see {live} of {wanted} connections")));
        }
        if way.has_node() {
            let told = self.warmed(&mut program, way)?;
            let UplinkTold { warm_peers: warm, full_window_peers: full, state, .. } = told;
            let (name, peers) = (way.name(), self.case.peers);
            self.say(format!(
                "{name}: of {peers} {warm} warm, {full} with full windows, uplink {state}"
            ));
        }
        if way.is_product() {
            self.say(format!("{}: {}", way.name(), program.facts()));
        }
        Ok(program)
    }

    fn say(&mut self, fact: String) {
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
    }

    /// Waits until an engine has measured what it has to and warmed its connections, as far as it gets.
    fn warmed(&self, program: &mut Program, way: Way) -> Result<UplinkTold, BenchError> {
        let wanted = self.case.healthy().len();
        let end = Instant::now() + WARM_PATIENCE;
        let mut quiet_since = Instant::now();
        loop {
            let told = program.uplink()?;
            let is_known = way != Way::Learnt || told.measured;
            if !is_known || told.warming > 0 {
                quiet_since = Instant::now();
            }
            let is_through = told.full_window_peers >= wanted || quiet_since.elapsed() > QUIET;
            if (is_known && told.warming == 0 && is_through) || Instant::now() > end {
                return Ok(told);
            }
            std::thread::sleep(WAKE);
        }
    }

    /// Opens the windows of those that stay.
    fn warm(&mut self, maker: &mut BlockMaker) -> Result<(), BenchError> {
        for _ in 0..WARM_BLOCKS {
            let block = maker.next(self.case.bytes)?;
            for at in 0..self.kept.len() {
                self.run_kept(at, &block)?;
            }
        }
        Ok(())
    }

    /// Sends one block in one way.
    pub(in crate::bench) fn run(
        &mut self,
        way: Way,
        block: &MadeBlock,
    ) -> Result<WanRun, BenchError> {
        if let Some(at) = self.kept.iter().position(|(kept, _)| *kept == way) {
            return self.run_kept(at, block);
        }
        let mut program = self.launch(way)?;
        // The handshakes' last messages.
        std::thread::sleep(SETTLE);
        let learnt = match way {
            Way::Learnt => program.uplink()?.bits_per_s,
            _ => None,
        };
        let run = self.measure(&program, block);
        let run = run.map(|run| WanRun { learnt_bits_per_s: learnt, ..run });
        drop(program);
        let gone = self.bury();
        run.and_then(|run| gone.map(|()| run))
    }

    /// Sends one block through a program that stays.
    pub(in crate::bench) fn run_kept(
        &mut self,
        at: usize,
        block: &MadeBlock,
    ) -> Result<WanRun, BenchError> {
        let Some((_, program)) = self.kept.get(at) else {
            return Err(BenchError::Lacking("no such program".to_owned()));
        };
        program.resume()?;
        std::thread::sleep(WAKE);
        let run = self.measure(program, block);
        program.pause()?;
        run
    }

    /// Ends what the sinks have of a program that is gone.
    fn bury(&self) -> Result<(), BenchError> {
        let live = self.sinks.cut(PATIENCE);
        if live > 0 {
            let why = format!("{live} connections of a program that has ended are left");
            return Err(BenchError::Lacking(why));
        }
        Ok(())
    }

    fn measure(&self, program: &Program, block: &MadeBlock) -> Result<WanRun, BenchError> {
        let before = self.tally()?;
        let cpu_ns = program.cpu_ns()?;
        let _ = self.wan.take_late_ns();
        let delivered = deliver(program, &self.sinks, program.http(), block);
        std::thread::sleep(SETTLE);
        let (written, arrivals_ns) = delivered?;
        let after = self.tally()?;
        Ok(WanRun {
            written,
            arrivals_ns,
            retransmits: after.retransmits - before.retransmits,
            queue_drops: after.queue_drops - before.queue_drops,
            chance_drops: after.chance_drops - before.chance_drops,
            cpu_ns: program.cpu_ns()? - cpu_ns,
            late_ns: self.wan.take_late_ns(),
            learnt_bits_per_s: None,
        })
    }

    fn tally(&self) -> Result<Tally, BenchError> {
        let text = std::fs::read_to_string("/proc/thread-self/net/snmp")?;
        let retransmits = retransmits(&text)
            .ok_or_else(|| BenchError::Lacking("/proc/net/snmp has no RetransSegs".to_owned()))?;
        let [queue_drops, chance_drops] = self.wan.counts().drops();
        Ok(Tally { retransmits, queue_drops, chance_drops })
    }
}

/// `RetransSegs` of `/proc/net/snmp`: names in one line, values in the next.
fn retransmits(text: &str) -> Option<u64> {
    let mut rows = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (rows.next()?, rows.next()?);
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    pairs.find(|(name, _)| *name == "RetransSegs")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_found_by_name() {
        let text = "Ip: A B\nIp: 1 2\nTcp: A RetransSegs C\nTcp: -1 77 3\n";
        assert_eq!(retransmits(text), Some(77));
        assert_eq!(retransmits("Tcp: A\nTcp: 1\n"), None);
        let here = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
        assert!(retransmits(&here).is_some());
    }

    #[test]
    fn shares_are_of_the_right_peer() {
        let written = Written { first_byte_ns: 100, last_byte_ns: 150 };
        let run = WanRun {
            written,
            arrivals_ns: (1..=20).map(|k| 100 + k).collect(),
            retransmits: 0,
            queue_drops: 0,
            chance_drops: 0,
            cpu_ns: 0,
            late_ns: 0,
            learnt_bits_per_s: None,
        };
        assert_eq!([0, 50, 90, 100].map(|share| run.share_ns(share)), [1, 10, 18, 20]);
    }
}
