//! Which knob a unit turns, with the keys of that knob: the table `[how.KNOB]` of its file in `tuning/`.
//!
//! Each knob's keys are a plain value here; what they do stands in the knob's own file below `knob/`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::knob::Knob;

/// One knob and its keys. A key that no knob has is refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// A file below `/proc/sys` or `/sys`.
    File(File),
    /// A window of the default routes.
    Route(Route),
    /// Something of a network device that `ethtool(8)` shows and sets.
    Ethtool(Ethtool),
    /// A network device's queueing discipline (`tc(8)`).
    Qdisc(Qdisc),
    /// Which cores serve interrupts.
    Interrupts(Interrupts),
    /// Which cores serve packets behind the interrupt.
    Steering(Steering),
    /// A word of the kernel's command line.
    Boot(Boot),
    /// A resource limit of this process and of the service.
    Limits(Limits),
    /// The clock.
    Clock(Clock),
    /// Where the network device's memory is, seen from the shards' cores.
    Numa(Numa),
    /// What runs on the other thread of the shards' cores.
    Smt(Smt),
    /// Which cores this process may run on.
    Pinning(Pinning),
}

/// Keys of `[how.file]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where: begins with `/proc/sys/` or `/sys/`. `{core}` stands for each core that is online,
    /// `{shard_core}` for each of a shard, `{device}` for each network device; `*` for anything within
    /// one part of the path.
    pub path: String,
    /// What is right.
    pub want: Want,
    /// Only where the file of this name beside it holds
    pub where_beside: Option<String>,
    /// a number above this one.
    pub above: Option<u64>,
    /// What it means that the file is not there, instead of that this kernel has no such setting.
    pub missing: Option<String>,
}

/// When a file is right, and what is written where it is not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Want {
    /// Holds this.
    Exactly(String),
    /// Holds one of these; else the first of them is written that the file itself, or the file of the
    /// given name beside it, offers.
    OneOf(OneOf),
    /// Holds numbers, none of them below the one at its place here. A number that is higher stays.
    AtLeast(Vec<u64>),
    /// Holds a number not above this one.
    AtMost(u64),
}

/// Keys of `want.one_of`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOf {
    /// Best first.
    pub words: Vec<String>,
    /// File beside it that lists what there is. Without it: the file shows all its words, the chosen one
    /// in brackets.
    pub offered_by: Option<String>,
}

/// Keys of `[how.route]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `initcwnd` or `initrwnd`.
    pub window: String,
    /// At least so many packets.
    pub packets: u32,
}

/// Keys of `[how.ethtool]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ethtool {
    /// `rings`, `channels`, `coalescing` or `offloads`.
    pub show: String,
    /// What each of its values is to be: a number, `max`, `on`, `off`.
    pub want: BTreeMap<String, String>,
}

/// Keys of `[how.qdisc]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Qdisc {
    /// Its kind: `fq`.
    pub kind: String,
}

/// Keys of `[how.interrupts]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interrupts {
    /// `device`: those of the network devices; `default`: those to come; `balancer`: irqbalance.
    pub of: String,
}

/// Keys of `[how.steering]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steering {
    /// `rps`, `rfs` or `xps`.
    pub of: String,
}

/// Keys of `[how.boot]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// Its name on the kernel's command line.
    pub parameter: String,
    /// What it is to be; `{shard_cores}` stands for their list. Without it: it has no value.
    pub want: Option<String>,
}

/// Keys of `[how.limits]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// `nofile` or `memlock`.
    pub resource: String,
    /// In its own unit: files, bytes.
    pub at_least: u64,
}

/// Keys of `[how.clock]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// `source` or `synchronised`.
    pub of: String,
    /// The right one, best first.
    #[serde(default)]
    pub want: Vec<String>,
}

/// Keys of `[how.numa]`: none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numa {}

/// Keys of `[how.smt]`: none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smt {}

/// Keys of `[how.pinning]`: none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinning {}

/// The knob that these keys describe. [`Knob`] is implemented for the keys themselves, in `knob/`.
#[must_use]
pub fn knob_of(how: &How) -> Box<dyn Knob> {
    match how {
        How::File(keys) => Box::new(keys.clone()),
        // Each takes its line here once its file is in knob/.
        How::Route(_)
        | How::Ethtool(_)
        | How::Qdisc(_)
        | How::Interrupts(_)
        | How::Steering(_)
        | How::Boot(_)
        | How::Limits(_)
        | How::Clock(_)
        | How::Numa(_)
        | How::Smt(_)
        | How::Pinning(_) => Box::new(super::knob::Absent),
    }
}
