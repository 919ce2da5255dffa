//! What was seen of cores, as text and as JSON.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::bench::jitter::counts::Counted;
use crate::bench::jitter::probe::{Hiccups, Unexplained};
use crate::bench::jitter::tally::{Sum, Tally};
use crate::bench::jitter::{CoreSeen, Seen};
use crate::bench::table::columns;
use crate::cmd::text::printable;
use crate::limits::JITTER_GAP_NS_MIN;

/// Version of the JSON's shape.
const SCHEMA: u32 = 1;
/// What is shown of a histogram.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];
/// Rows of a core's table; the rest is one row.
const ROWS_SHOWN: usize = 25;
/// Counts of /proc that are shown of each kind.
const COUNTS_SHOWN: usize = 6;
/// Length of the longest bar, in characters.
const BAR_CHARS: u64 = 50;

fn us(ns: u64) -> String {
    format!("{:.1}", ns as f64 / 1e3)
}

fn ms(ns: u64) -> String {
    format!("{:.3}", ns as f64 / 1e6)
}

fn share(ns: u64, of_ns: u64) -> f64 {
    ns as f64 / of_ns.max(1) as f64
}

/// All of it, for people.
pub(super) fn text(seen: &Seen, with_bars: bool) -> String {
    let mut text = String::new();
    if let Some(why) = &seen.silent {
        let instead = match seen.cores.iter().any(|core| core.probe.is_some()) {
            true => "what a probe was kept from, and what /proc has counted",
            false => "what /proc has counted",
        };
        text += &format!("who ran is not told ({}): {instead}\n", printable(why));
    }
    if seen.lost > 0 {
        let lost = seen.lost;
        text +=
            &format!("{lost} times are missing (no room, or not told): sums are too low by them\n");
    }
    for core in &seen.cores {
        text += &one_core(core, seen.took_ns, with_bars);
    }
    text
}

fn one_core(core: &CoreSeen, took_ns: u64, with_bars: bool) -> String {
    let shard =
        core.watched.shard.map(|(shard, thread)| format!(", shard {shard} (thread {thread})"));
    let number = core.watched.core;
    let mut text = format!("\ncore {number}{}", shard.unwrap_or_default());
    if let Some(tally) = &core.tally {
        let all = tally.all;
        text += &format!(
            ": stolen {} times, {} ms of {:.1} s ({:.3} %)",
            all.times,
            ms(all.total_ns),
            took_ns as f64 / 1e9,
            share(all.total_ns, took_ns) * 100.0
        );
        let held =
            format!(", of these {} ms in {} times held us up", ms(all.held_ns), all.held_times);
        let is_ours = core.watched.shard.is_some() || core.probe.is_some();
        text += &format!("{}\n{}", if is_ours { &held } else { "" }, table(tally, took_ns));
        text += &format!("how long it took, us: {}\n", quantiles(&tally.histogram));
        if with_bars {
            text += &bars(&tally.histogram);
        }
    } else {
        text.push('\n');
    }
    if let Some((hiccups, explained)) = &core.probe {
        text += &probe(hiccups, explained.as_ref());
        if with_bars {
            text += &bars(&hiccups.histogram);
        }
    }
    text + &counted(&core.counted)
}

fn table(tally: &Tally, took_ns: u64) -> String {
    const HEAD: [&str; 8] =
        ["who", "kind", "times", "ms", "share %", "longest us", "held us up", "for ms"];
    let rows = tally.rows();
    if rows.is_empty() {
        return String::new();
    }
    let row = |name: String, kind: &str, sum: Sum| {
        let share = format!("{:.4}", share(sum.total_ns, took_ns) * 100.0);
        let (times, held) = (sum.times.to_string(), sum.held_times.to_string());
        let cells = [kind.to_owned(), times, ms(sum.total_ns), share, us(sum.longest_ns), held];
        [vec![name], cells.to_vec(), vec![ms(sum.held_ns)]].concat()
    };
    let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
    let mut rest = tally.others;
    for (at, (who, sum)) in rows.iter().enumerate() {
        if at < ROWS_SHOWN {
            lines.push(row(printable(&who.name()), who.kind(), *sum));
        } else {
            rest.times += sum.times;
            rest.total_ns = rest.total_ns.saturating_add(sum.total_ns);
            rest.longest_ns = rest.longest_ns.max(sum.longest_ns);
            rest.held_times += sum.held_times;
            rest.held_ns = rest.held_ns.saturating_add(sum.held_ns);
        }
    }
    if rest.times > 0 {
        lines.push(row("all others".to_owned(), "", rest));
    }
    columns(&lines)
}

fn quantiles(histogram: &Histogram<u64>) -> String {
    if histogram.is_empty() {
        return "nothing".to_owned();
    }
    let told =
        QUANTILES.map(|(name, at)| format!("{name} {}", us(histogram.value_at_quantile(at))));
    format!("{}, max {}", told.join(", "), us(histogram.max()))
}

fn probe(hiccups: &Hiccups, explained: Option<&Unexplained>) -> String {
    let mut text = format!(
        "probe: {} gaps of {} us or more, {} ms of {:.1} s ({:.3} %), us: {}\n",
        hiccups.histogram.len(),
        JITTER_GAP_NS_MIN / 1_000,
        ms(hiccups.total_ns),
        hiccups.took_ns as f64 / 1e9,
        share(hiccups.total_ns, hiccups.took_ns) * 100.0,
        quantiles(&hiccups.histogram),
    );
    if let Some(left) = explained {
        text += &format!(
            "probe: of that {} ms is nobody's in this kernel ({} gaps mostly, longest {} us): other \
             tenants of the machine, firmware, or too short to be told\n",
            ms(left.total_ns),
            left.gaps,
            us(left.longest_ns)
        );
    }
    text
}

fn counted(counted: &Counted) -> String {
    let list = |rows: &[(String, u64)]| {
        let shown = rows.iter().take(COUNTS_SHOWN);
        let shown: Vec<_> =
            shown.map(|(name, count)| format!("{} {count}", printable(name))).collect();
        if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
    };
    let waited = counted.waited_ns.map_or_else(String::new, |waited_ns| {
        format!("; the shard was ready and waited {} ms for its core", ms(waited_ns))
    });
    format!(
        "/proc: interrupts: {}; softirqs: {}; ms in interrupts {}, in softirqs {}, by other tenants \
         {}{waited}\n",
        list(&counted.interrupts),
        list(&counted.softirqs),
        ms(counted.interrupt_ns),
        ms(counted.softirq_ns),
        ms(counted.steal_ns),
    )
}

/// Times by powers of two of a microsecond.
fn buckets(histogram: &Histogram<u64>) -> Vec<(u64, u64, u64)> {
    let mut rows: Vec<(u64, u64, u64)> = Vec::new();
    for value in histogram.iter_recorded() {
        let ns = value.value_iterated_to();
        let to_us = (ns / 1_000 + 1).next_power_of_two();
        let from_us = if to_us == 1 { 0 } else { to_us / 2 };
        let count = value.count_since_last_iteration();
        match rows.last_mut() {
            Some(last) if last.1 == to_us => last.2 += count,
            _ => rows.push((from_us, to_us, count)),
        }
    }
    rows
}

fn bars(histogram: &Histogram<u64>) -> String {
    let rows = buckets(histogram);
    let most = rows.iter().map(|row| row.2).max().unwrap_or(1).max(1);
    let bar = |(from_us, to_us, count): &(u64, u64, u64)| {
        let bar = "#".repeat(usize::try_from((count * BAR_CHARS).div_ceil(most)).unwrap_or(0));
        format!("{from_us:>9} - {to_us:>9} us {count:>8} {bar}\n")
    };
    rows.iter().map(bar).collect()
}

/// All of it, for programs. Times in us.
///
/// `{schema, took_s, cores_by, silent, lost, cores[]}`; a core has `core, shard, thread`, and `stolen`,
/// `probe` (`null` where there was none) and `counted`.
pub(super) fn json(seen: &Seen, whence: &str) -> Value {
    let core = |core: &CoreSeen| {
        let probe = core.probe.as_ref().map(|(hiccups, explained)| {
            json!({
                "took_us": in_us(hiccups.took_ns), "total_us": in_us(hiccups.total_ns),
                "gaps": histogram(&hiccups.histogram),
                "unexplained": explained.map(|left| json!({
                    "total_us": in_us(left.total_ns), "longest_us": in_us(left.longest_ns),
                    "gaps": left.gaps,
                })),
            })
        });
        let list = |rows: &[(String, u64)]| -> Value {
            rows.iter().map(|(name, count)| json!({"name": name, "count": count})).collect()
        };
        let counted = &core.counted;
        json!({
            "core": core.watched.core,
            "shard": core.watched.shard.map(|it| it.0),
            "thread": core.watched.shard.map(|it| it.1),
            "stolen": core.tally.as_ref().map(|tally| stolen(tally, seen.took_ns)),
            "probe": probe,
            "counted": {
                "interrupts": list(&counted.interrupts), "softirqs": list(&counted.softirqs),
                "interrupt_us": in_us(counted.interrupt_ns), "softirq_us": in_us(counted.softirq_ns),
                "steal_us": in_us(counted.steal_ns), "waited_us": counted.waited_ns.map(in_us),
            },
        })
    };
    json!({
        "schema": SCHEMA, "took_s": seen.took_ns as f64 / 1e9, "cores_by": whence,
        "silent": seen.silent, "lost": seen.lost,
        "cores": seen.cores.iter().map(core).collect::<Value>(),
    })
}

fn in_us(ns: u64) -> f64 {
    ns as f64 / 1e3
}

fn stolen(tally: &Tally, took_ns: u64) -> Value {
    let sum = |sum: &Sum| {
        json!({
            "times": sum.times, "total_us": in_us(sum.total_ns), "longest_us": in_us(sum.longest_ns),
            "held_times": sum.held_times, "held_us": in_us(sum.held_ns),
        })
    };
    let who = tally.rows().into_iter().map(|(who, its)| {
        let mut row = sum(&its);
        row["who"] = json!(who.name());
        row["kind"] = json!(who.kind());
        row["longest_number"] = json!(its.longest_number);
        row
    });
    let mut told = sum(&tally.all);
    told["share"] = json!(share(tally.all.total_ns, took_ns));
    told["who"] = who.collect();
    told["others"] = sum(&tally.others);
    told["intervals"] = histogram(&tally.histogram);
    told
}

fn histogram(histogram: &Histogram<u64>) -> Value {
    let mut told = json!({
        "count": histogram.len(), "max_us": in_us(histogram.max()),
        "buckets": buckets(histogram).into_iter().map(|(from_us, to_us, count)| {
            json!({"from_us": from_us, "to_us": to_us, "count": count})
        }).collect::<Value>(),
    });
    for (name, at) in QUANTILES {
        let name = format!("{}_us", name.replace('.', "_"));
        told[name] = json!(in_us(histogram.value_at_quantile(at)));
    }
    told
}

#[cfg(test)]
mod tests;
