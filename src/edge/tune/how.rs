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
    /// Holds one of these; else the first of them is written that is offered.
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
    /// File beside it that lists what is offered. Without it: the file itself does, with the chosen one in
    /// brackets; or nothing tells what the kernel takes.
    pub offered_by: Option<String>,
}

/// Keys of `[how.route]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Which of a route's windows.
    pub window: Window,
    /// At least so many packets; 0: as many as the kernel takes by itself.
    pub packets: u16,
}

/// What a new connection begins with (`ip-route(8)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// The congestion window: what is sent before the first acknowledgement.
    Initcwnd,
    /// The receive window.
    Initrwnd,
}

/// Keys of `[how.ethtool]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ethtool {
    /// Which part.
    pub show: Shown,
    /// What each of its values is to be, by the program's own name for it: `on`, `off`, `at most 10`,
    /// `at least 1024` (or the most that the device has), `at least shards` (as many as there are).
    pub want: BTreeMap<String, String>,
}

/// What the program shows of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// How many packets its queues hold.
    Rings,
    /// How many queues it has.
    Channels,
    /// How long it waits before it interrupts.
    Coalescing,
    /// What it does in place of the processor.
    Offloads,
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
    /// Which.
    pub of: Which,
}

/// Which interrupts are to be kept off the shards' cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Those of the network devices.
    Device,
    /// All others.
    Others,
    /// Those that are yet to be made.
    ToCome,
    /// Those that irqbalance moves.
    Balanced,
}

/// Keys of `[how.steering]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steering {
    /// What steers.
    pub of: Steer,
}

/// What gives packets to cores, and cores to queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Steer {
    /// Received packets to a set of cores.
    Rps,
    /// Received packets to the core whose thread reads them.
    Rfs,
    /// Cores to the queues that they send by.
    Xps,
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
    /// Of what.
    pub resource: Resource,
    /// In its own unit: files, bytes.
    pub at_least: u64,
}

/// What is limited (`getrlimit(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Open files, sockets among them.
    Nofile,
    /// Locked memory, in bytes.
    Memlock,
}

/// Keys of `[how.clock]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// What of it.
    pub of: ClockPart,
    /// The right ones, best first.
    #[serde(default)]
    pub want: Vec<String>,
}

/// What can be wrong with a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockPart {
    /// The counter that it reads.
    Source,
    /// Whether it agrees with others.
    Synchronised,
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
        How::Route(keys) => Box::new(keys.clone()),
        How::Ethtool(keys) => Box::new(keys.clone()),
        How::Qdisc(keys) => Box::new(keys.clone()),
        How::Interrupts(keys) => Box::new(keys.clone()),
        How::Steering(keys) => Box::new(keys.clone()),
        How::Boot(keys) => Box::new(keys.clone()),
        How::Limits(keys) => Box::new(keys.clone()),
        How::Clock(keys) => Box::new(keys.clone()),
        How::Numa(keys) => Box::new(keys.clone()),
        How::Smt(keys) => Box::new(keys.clone()),
        How::Pinning(keys) => Box::new(keys.clone()),
    }
}
