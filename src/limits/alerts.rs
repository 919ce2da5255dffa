//! Alerts: how long what must last, and what is kept and sent of them.

// How long it must last before it is said, and be gone before its end is said.
/// The own node's RPC is away,
pub const ALERT_NODE_RAISE_MS: u64 = 5_000;
/// or the protected connection to it: a restart of the node alone ends that for a moment.
pub const ALERT_NODE_P2P_RAISE_MS: u64 = 15_000;
/// It is back.
pub const ALERT_NODE_CLEAR_MS: u64 = 10_000;
/// Fewer peers than wanted: long enough to dial some.
pub const ALERT_PEERS_RAISE_MS: u64 = 30_000;
/// There are enough again.
pub const ALERT_PEERS_CLEAR_MS: u64 = 30_000;
/// An endpoint, the proxy or the history can't be used.
pub const ALERT_AWAY_RAISE_MS: u64 = 30_000;
/// It can again.
pub const ALERT_AWAY_CLEAR_MS: u64 = 30_000;
/// The spool has drained.
pub const ALERT_SPOOL_CLEAR_MS: u64 = 10_000;
/// A shard waits for a core.
pub const ALERT_CPU_RAISE_MS: u64 = 30_000;
/// It no longer does.
pub const ALERT_CPU_CLEAR_MS: u64 = 60_000;
/// The kernel says that its clock is not synchronised: longer than any start takes.
pub const ALERT_CLOCK_RAISE_MS: u64 = 1_800_000;
/// Shortest time that something which has come back must be gone. Each return doubles the kind's own,
pub const ALERT_HOLD_MIN_MS: u64 = 5_000;
/// up to this.
pub const ALERT_HOLD_MAX_MS: u64 = 3_600_000;
/// How long an alert that is over is remembered: what comes back by then is the same one.
pub const ALERT_MEMORY_MS: u64 = 3_600_000;

// What counts as wrong.
/// Age from which on a block without a verdict counts as not draining,
pub const ALERT_SPOOL_AGE_MS: u64 = 60_000;
/// and how many such blocks do whatever their age.
pub const ALERT_SPOOL_BLOCKS_MAX: usize = 10;
/// How long what happened to a block stands as an alert, if nothing better happens.
pub const ALERT_BLOCK_STANDS_MS: u64 = 3_600_000;
/// Blocks of one chain whose times are remembered. Full: the oldest goes.
pub const ALERT_PACES_MAX: usize = 50;
/// Blocks of similar size that must be known before one is judged by them.
pub const ALERT_PACES_MIN: usize = 10;
/// Times the usual time from which on a block counts as slow, unless it is configured,
pub const ALERT_SLOW_FACTOR: u32 = 3;
/// and the most that can be configured,
pub const ALERT_SLOW_FACTOR_MAX: u32 = 1_000;
/// and what its half receipt must be above the usual, in us,
pub const ALERT_SLOW_HALF_US: i64 = 50_000;
/// or its last.
pub const ALERT_SLOW_LAST_US: i64 = 500_000;
/// How far calendar and monotonic clock may drift apart between two looks.
pub const ALERT_CLOCK_JUMP_MS: u64 = 1_000;
/// How long it stands that the clock was set.
pub const ALERT_CLOCK_STANDS_MS: u64 = 600_000;
/// Share of the time that a shard may wait for a core, in percent.
pub const ALERT_CPU_WAIT_PERCENT: u64 = 10;
/// Over how long that is taken.
pub const ALERT_CPU_LOOK_MS: u64 = 10_000;
/// How long it stands that reports were dropped.
pub const ALERT_REPORTS_STANDS_MS: u64 = 600_000;

// What is kept.
/// What may be wrong at once, and was lately. Full: what is over goes, else the new is counted only.
pub const ALERTS_TRACKED_MAX: usize = 256;
/// Alerts that are over and still shown. Full: the oldest goes.
pub const ALERTS_PAST_MAX: usize = 50;
/// Longest text of an alert, in characters. The rest is cut.
pub const ALERT_TEXT_CHARS_MAX: usize = 600;
/// Longest subject, in characters.
pub const ALERT_SUBJECT_CHARS_MAX: usize = 120;

// What is sent.
/// How often all is looked at.
pub const ALERT_LOOK_MS: u64 = 1_000;
/// Least pause between two looks because a block has changed.
pub const ALERT_LOOK_PAUSE_MS: u64 = 250;
/// Notices that wait for one way out. Full: the oldest of the least severe goes, and is counted.
pub const ALERT_QUEUE_MAX: usize = 64;
/// Webhooks that can be configured.
pub const WEBHOOKS_MAX: usize = 8;
/// Longest URL of one, in bytes.
pub const WEBHOOK_URL_BYTES_MAX: usize = 2_048;
/// How long one try may take, from looking up the name to the answer's head.
pub const WEBHOOK_DEADLINE_MS: u64 = 10_000;
/// Pause after a failed try; doubled after each further one,
pub const WEBHOOK_RETRY_MIN_MS: u64 = 1_000;
/// up to this.
pub const WEBHOOK_RETRY_MAX_MS: u64 = 300_000;
/// Tries of one notice: some 25 minutes. Then it is lost, and counted.
pub const WEBHOOK_TRIES_MAX: u32 = 12;
/// How long a command may run. Then it is killed with all that it started.
pub const ALERT_COMMAND_DEADLINE_MS: u64 = 30_000;
/// How often it is looked at whether it has ended.
pub const ALERT_COMMAND_PAUSE_MS: u64 = 20;
/// Words of a command.
pub const ALERT_COMMAND_WORDS_MAX: usize = 64;
/// Longest time between two reminders, in hours.
pub const ALERT_REPEAT_H_MAX: u32 = 8_760;
/// Time between two reminders, unless it is configured, in hours.
pub const ALERT_REPEAT_H: u32 = 24;
/// How long notices have to leave when the engine stops.
pub const ALERT_STOP_MS: u64 = 2_000;

// The report of each block.
/// How long after publishing a block's report waits for offers and verdict.
pub const BLOCK_REPORT_MS: u64 = 10_000;
/// How long it waits in any case: for those who announce the block back.
pub const BLOCK_REPORT_PAUSE_MS: u64 = 1_000;
