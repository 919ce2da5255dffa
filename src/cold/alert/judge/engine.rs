//! What concerns the whole engine: shards, cores, the clock, dropped reports, the history.

use super::Finding;
use crate::cold::alert::situation::{EngineNow, Situation};
use crate::cold::alert::{Kind, Moment, Severity};
use crate::limits::{
    ALERT_CLOCK_JUMP_MS, ALERT_CLOCK_RAISE_MS, ALERT_CLOCK_STANDS_MS, ALERT_CPU_WAIT_PERCENT,
    ALERT_REPORTS_STANDS_MS,
};

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub(super) struct EngineMemory {
    last: Option<Moment>,
    /// By how much the clock was set when, in ms.
    jump: Option<(i64, u64)>,
    /// Reports that had been dropped at the last look, and when there were more.
    dropped: Option<u64>,
    dropped_at_ms: Option<u64>,
}

impl EngineMemory {
    pub(super) fn look(&mut self, situation: &Situation, now: Moment) -> Vec<Finding> {
        let engine = &situation.engine;
        let mut found = Vec::new();
        found.extend(ended(engine));
        found.extend(waiting(engine));
        found.extend(unsynchronised(engine));
        found.extend(self.jumped(now));
        let dropped = situation.chains.iter().map(|chain| chain.reports_dropped).sum::<u64>();
        found.extend(self.dropped(engine.reports_dropped.saturating_add(dropped), now));
        if let Some(why) = &engine.history_trouble {
            let text = format!(
                "the history can't be kept: {why}. Broadcasting is unaffected; make room or mend the \
                 file in data_dir"
            );
            let over = "the history is kept again";
            found.push(Finding::new(Kind::History, Severity::Warning, text, over));
        }
        found
    }

    /// The calendar and the clock that nobody sets must move together.
    fn jumped(&mut self, now: Moment) -> Option<Finding> {
        if let Some(last) = self.last.replace(now) {
            let passed_ms = now.clock_ms.saturating_sub(last.clock_ms);
            let moved_ms = now.unix_ms.cast_signed().wrapping_sub(last.unix_ms.cast_signed());
            let by_ms = moved_ms.saturating_sub_unsigned(passed_ms);
            if by_ms.unsigned_abs() >= ALERT_CLOCK_JUMP_MS {
                self.jump = Some((by_ms, now.clock_ms));
            }
        }
        let (by_ms, at_ms) = self.jump?;
        if now.clock_ms.saturating_sub(at_ms) >= ALERT_CLOCK_STANDS_MS {
            self.jump = None;
            return None;
        }
        let which = if by_ms < 0 { "back" } else { "forward" };
        let text = format!(
            "the clock was set {which} by {:.1} s, or the host slept: times of blocks before and after \
             can't be compared, and nodes refuse blocks that are too far ahead. Check the host's time \
             service",
            by_ms.unsigned_abs() as f64 / 1e3
        );
        let over = "the clock has run evenly since";
        Some(Finding::new(Kind::Clock, Severity::Warning, text, over).about("set"))
    }

    /// Dropped reports are told as long as there are more, and for some minutes after.
    fn dropped(&mut self, dropped: u64, now: Moment) -> Option<Finding> {
        if dropped > self.dropped.replace(dropped).unwrap_or(0) {
            self.dropped_at_ms = Some(now.clock_ms);
        }
        let at_ms = self.dropped_at_ms?;
        if now.clock_ms.saturating_sub(at_ms) >= ALERT_REPORTS_STANDS_MS {
            self.dropped_at_ms = None;
            return None;
        }
        let text = format!(
            "{dropped} reports of the shards were dropped since the start, as nobody read them in time: \
             blocks went out, their figures are too low. Give broadside's other threads more of a core \
             (engine.cores)"
        );
        let over = "no more reports were dropped";
        Some(Finding::new(Kind::ReportsDropped, Severity::Warning, text, over))
    }
}

fn ended(engine: &EngineNow) -> Option<Finding> {
    if engine.shards_ended == 0 {
        return None;
    }
    let text = format!(
        "{} of {} shards have ended: their peers get no blocks. Restart broadside, and report this \
         with its log",
        engine.shards_ended, engine.shards
    );
    Some(Finding::new(Kind::ShardEnded, Severity::Critical, text, "all shards run"))
}

fn waiting(engine: &EngineNow) -> Vec<Finding> {
    let waited = engine.waited_percent.iter().enumerate();
    let late = waited.filter(|(_, percent)| **percent >= ALERT_CPU_WAIT_PERCENT);
    let told = late.map(|(shard, percent)| {
        let text = format!(
            "shard {shard} waited for its core {percent} % of the time: something else runs there, and \
             a block may be late by as much. Give it a core of its own (engine.cores), or let \
             broadside raise its priority (CAP_SYS_NICE)"
        );
        let over = format!("shard {shard} has its core to itself again");
        let finding = Finding::new(Kind::Cpu, Severity::Warning, text, over);
        finding.about(format!("shard-{shard}"))
    });
    told.collect()
}

fn unsynchronised(engine: &EngineNow) -> Option<Finding> {
    if engine.is_clock_synchronised != Some(false) {
        return None;
    }
    let text = "the kernel says that its clock is not synchronised. Where the host's own host does \
                that, nothing is wrong: write off = [\"clock\"] in [alerts]. Else start a time service \
                (chrony, systemd-timesyncd)"
        .to_owned();
    let over = "the kernel's clock is synchronised";
    let finding = Finding::new(Kind::Clock, Severity::Info, text, over).about("unsynchronised");
    Some(Finding { hold_ms: (ALERT_CLOCK_RAISE_MS, 0), ..finding })
}
